"""Stability selection: features chosen again and again on halves of the data, with a bound on false ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import spawn
from dxa_causal.selection.elastic_net import OutcomeKind
from dxa_causal.selection.features import FloatArray, Kind, read_outcome
from dxa_causal.selection.paths import first_to_enter
from dxa_causal.selection.selector import Selector


class StabilitySelection(Selector):
    r"""Keep the features that a lasso picks in most random halves of the data.

    Parameters
    ----------
    false_selections : float
        Largest expected number of false features (the per-family error rate).
    threshold : float
        Share of halves in which a feature must be picked, in (0.5, 1].
    n_picked : int, optional
        Features picked per half, q. None: the most that `false_selections`
        and `threshold` allow.
    estimator : Selector, optional
        Picks the features of a half, instead of the first `n_picked` to enter
        a lasso path; its picks are cut to the `n_picked` of best score.
    kind : {"auto", "linear", "logistic", "cox"}
    n_pairs : int
        Pairs of complementary halves, B.
    seed : int
    n_jobs : int, optional
        The result does not depend on it.

    Attributes
    ----------
    scores_ : (p,) ndarray
        Share of the 2 B halves in which the feature was picked.
    n_picked_ : int
    bound_ : float
        Bound on the expected number of false selections, given `n_picked_` and `threshold`.
    kind_ : str

    Notes
    -----
    With q of p features picked per half and B complementary pairs, the number V of selected features among those that
    a half picks with a chance of at most q / p has

    .. math::

        E V \le \frac{q^2}{p} C, \quad C = \begin{cases}
        \frac{1}{2(2\pi - 1 - 1/(2B))} & \pi \le 3/4 \\
        \frac{4(1 - \pi + 1/(2B))}{1 + 1/B} & \pi > 3/4,\end{cases}

    where the share of both halves of a pair is unimodal [1]_ (equation 8); the bound of [2]_, :math:`q^2 / (p (2\pi -
    1))`, needs more. Nothing is assumed of the design, but features that stand in for a true one, being correlated
    with it, are not "false" here.

    References
    ----------
    .. [1] Shah RD, Samworth RJ (2013). Variable selection with error control: another look at stability selection.
       Journal of the Royal Statistical Society B 75:55-80. doi:10.1111/j.1467-9868.2011.01034.x
    .. [2] Meinshausen N, Buehlmann P (2010). Stability selection. Journal of the Royal Statistical Society B
       72:417-473. doi:10.1111/j.1467-9868.2010.00740.x

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from dxa_causal.selection import StabilitySelection
    >>> rng = np.random.default_rng(1)
    >>> X = pd.DataFrame(rng.normal(size=(150, 40)), columns=[f"protein_{k}" for k in range(40)])
    >>> y = X["protein_3"] - X["protein_7"] + rng.normal(size=150)
    >>> StabilitySelection(0.5, n_pairs=20, seed=1).fit(X, y).get_feature_names_out().tolist()
    ['protein_3', 'protein_7']
    """

    def __init__(
        self,
        false_selections: float = 1.0,
        *,
        threshold: float = 0.75,
        n_picked: int | None = None,
        estimator: Selector | None = None,
        kind: OutcomeKind = "auto",
        n_pairs: int = 50,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.false_selections = false_selections
        self.threshold = threshold
        self.n_picked = n_picked
        self.estimator = estimator
        self.kind = kind
        self.n_pairs = n_pairs
        self.seed = seed
        self.n_jobs = n_jobs

    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        check_option("kind", self.kind, OutcomeKind)
        n, p = x.shape
        values, self.kind_ = read_outcome(y, n, self.kind)
        self.n_picked_ = self._number(p)
        self.bound_ = bound_on_false(self.n_picked_, p, self.threshold, self.n_pairs)
        pick = partial(_picked, x=x, y=values, kind=self.kind_, most=self.n_picked_, estimator=self.estimator)
        halves = [_halves(rng, values, self.kind_) for rng in spawn(self.seed, self.n_pairs)]
        counts = sum(parallel_map(pick, halves, n_jobs=self.n_jobs, description="halves"))
        scores = np.asarray(counts, dtype=np.float64) / (2 * self.n_pairs)
        return scores >= self.threshold, scores

    def _number(self, p: int) -> int:
        """Features to pick per half."""
        if not 0.5 < self.threshold <= 1:
            raise OptionError(f"threshold={self.threshold!r} must lie in (0.5, 1]")
        if self.n_pairs < 1 or self.threshold <= 0.5 + 0.25 / self.n_pairs:
            raise OptionError(f"n_pairs={self.n_pairs!r} is too small for threshold={self.threshold}; 50 is usual")
        if not self.false_selections > 0:
            raise OptionError(f"false_selections={self.false_selections!r} must be positive")
        if self.n_picked is not None:
            if not 1 <= self.n_picked <= p:
                raise OptionError(f"n_picked={self.n_picked!r} must lie between 1 and the number of features, {p}")
            bound = bound_on_false(self.n_picked, p, self.threshold, self.n_pairs)
            if bound > self.false_selections:
                raise OptionError(
                    f"n_picked={self.n_picked} of {p} with threshold={self.threshold} only bounds the false selections "
                    f"by {bound:.3g}, more than false_selections={self.false_selections}; lower n_picked, or raise one "
                    "of the other two"
                )
            return self.n_picked
        one = bound_on_false(1, p, self.threshold, self.n_pairs)
        number = min(int(np.sqrt(self.false_selections / one) + 1e-9), p)
        if number < 1:
            raise OptionError(
                f"false_selections={self.false_selections} cannot be kept with {p} features: picking one per half "
                f"gives a bound of {one:.3g}"
            )
        return number


def bound_on_false(n_picked: int, p: int, threshold: float, n_pairs: int) -> float:
    """Bound of Shah and Samworth on the expected number of false selections.

    Examples
    --------
    >>> round(bound_on_false(10, 100, 0.75, 50), 3)
    1.02
    """
    if threshold <= 0.75:
        factor = 1 / (2 * (2 * threshold - 1 - 1 / (2 * n_pairs)))
    else:
        factor = 4 * (1 - threshold + 1 / (2 * n_pairs)) / (1 + 1 / n_pairs)
    return n_picked**2 / p * factor


def _halves(rng: np.random.Generator, y: Any, kind: Kind) -> list[npt.NDArray[np.int64]]:
    """Two disjoint halves; events, or the two classes, are shared out evenly."""
    n = len(y)
    if kind == "linear":
        order = rng.permutation(n)
        return [order[: n // 2], order[n // 2 : 2 * (n // 2)]]
    classes = np.asarray(y[y.dtype.names[0]] if kind == "cox" else y, dtype=np.int64)
    order = np.lexsort([rng.random(n), classes])
    return [order[::2][: n // 2], order[1::2]]


def _picked(
    halves: list[npt.NDArray[np.int64]], *, x: FloatArray, y: Any, kind: Kind, most: int, estimator: Selector | None
) -> npt.NDArray[np.int64]:
    """In how many of the two halves each feature is picked."""
    counts = np.zeros(x.shape[1], dtype=np.int64)
    for half in halves:
        if estimator is None:
            counts[first_to_enter(x[half], y[half], kind, most)] += 1
            continue
        fitted = clone(estimator).fit(x[half], y[half])
        chosen = np.flatnonzero(fitted.get_support())
        if chosen.size > most:
            chosen = chosen[np.argsort(-fitted.scores_[chosen], kind="stable")[:most]]
        counts[chosen] += 1
    return counts
