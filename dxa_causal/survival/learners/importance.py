"""How much a learner loses when a feature is shuffled, on rows it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import clone

from dxa_causal._core.errors import OptionError
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, generator
from dxa_causal._core.selected_rows import refuse_selected
from dxa_causal.results import Provenance, Result, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.learners.features import FloatArray, as_frame
from dxa_causal.survival.learners.folds import IntArray, make_folds
from dxa_causal.survival.learners.learner import refuse_class
from dxa_causal.survival.learners.outcome import read_outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class PermutationImportance(Result):
    """Loss of concordance on rows left out when one feature is shuffled.

    Attributes
    ----------
    folds : DataFrame
        term, row (fold), estimate (mean over shuffles).
    concordance : float
        Of the rows left out, nothing shuffled; mean over folds.
    """

    title: ClassVar[str] = "Permutation importance"

    folds: pd.DataFrame
    concordance: float
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "loss of concordance on new rows"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per feature, largest loss first; the error is the folds' spread / sqrt(folds), only a guide."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a loss of concordance")
        by = self.folds.groupby("term", sort=False)["estimate"]
        mean, error = by.mean(), by.std(ddof=1) / np.sqrt(by.size())
        table = pd.DataFrame({"term": mean.index, **wald_columns(mean, error, conf_level=conf_level)})
        table = table.drop(columns=["statistic", "p_value"])  # folds share rows: no test
        return table.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, concordance."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "concordance": [self.concordance]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Features one below the other, the most important on top."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure="Loss of concordance", reference=0.0, log=False, ax=ax)


def permutation_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    n_repeats: int = 5,
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> PermutationImportance:
    """Loss of concordance when a feature is shuffled among rows the model has not seen.

    Parameters
    ----------
    estimator : estimator
        A learner, or a Pipeline that ends in one; copies of it are fitted,
        with all their preparation, to the rows of each fold.
    X : (n, p) frame or array
        Features as they enter the Pipeline: a categorical column is shuffled
        as one.
    y : (n,) structured ndarray
        From :func:`survival_outcome`.
    cv : int, splitter or iterable of (train, test)
    n_repeats : int
        Shuffles per feature and fold.
    seed : int or Generator, optional
    n_jobs : int, optional
    progress : bool

    Returns
    -------
    PermutationImportance

    Notes
    -----
    Features that say the same share their importance: shuffling one leaves
    the other. The loss is about this model, not about causes.

    References
    ----------
    Breiman L (2001). Random forests. Machine Learning 45:5-32. doi:10.1023/A:1010933404324

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 75 and grip_kg > 0")
    >>> X, y = cohort[["age", "grip_kg"]], dc.survival.survival_outcome("Surv(time, died)", cohort)
    >>> found = dc.survival.permutation_importance(dc.survival.CoxNet(lambdas=[0.01]), X, y, cv=3, seed=1)
    >>> found.tidy().columns.tolist()
    ['term', 'estimate', 'std_error', 'conf_low', 'conf_high']
    """
    refuse_selected(X, "permutation_importance")
    refuse_class(estimator)
    if not isinstance(n_repeats, int | np.integer) or n_repeats < 1:
        raise OptionError(f"n_repeats={n_repeats!r} must be a positive whole number")
    frame, names = as_frame(X)
    outcome = read_outcome(y, len(frame), delayed=True)
    rng = generator(seed)
    folds = make_folds(cv, frame, outcome, rng)
    if len(folds) < 2:
        raise OptionError("permutation_importance needs at least two folds")
    judge = partial(_judge, estimator, frame, np.asarray(y), int(n_repeats), names is None)
    found = list(
        parallel_map(
            judge,
            list(zip(folds, rng.spawn(len(folds)), strict=True)),
            n_jobs=n_jobs,
            progress=progress,
            description="shuffling",
        )
    )
    terms = [str(c) for c in frame.columns]
    table = pd.DataFrame(
        {
            "term": np.tile(terms, len(folds)),
            "row": np.repeat(np.arange(1, len(folds) + 1), len(terms)),
            "estimate": np.concatenate([loss for _, loss in found]),
        }
    )
    call = format_call("survival.permutation_importance", type(estimator).__name__, n_repeats=n_repeats)
    provenance = Provenance(
        call=call, n_rows=len(frame), n_used=len(frame), seed=seed if isinstance(seed, int) else None
    )
    return PermutationImportance(
        folds=table,
        concordance=float(np.mean([whole for whole, _ in found])),
        nobs=len(frame),
        n_events=int(outcome.event.sum()),
        provenance=provenance,
    )


def _judge(
    estimator: Any,
    frame: pd.DataFrame,
    y: Any,
    n_repeats: int,
    as_array: bool,
    work: tuple[tuple[IntArray, IntArray], np.random.Generator],
) -> tuple[float, FloatArray]:
    """Concordance of the rows left out, and its loss for each feature."""
    (train, test), rng = work

    def given(rows: pd.DataFrame) -> Any:
        return rows.to_numpy() if as_array else rows

    fitted = clone(estimator).fit(given(frame.iloc[train]), y[train])
    left_out = frame.iloc[test]
    whole = float(fitted.score(given(left_out), y[test]))
    loss = np.zeros(frame.shape[1])
    for k in range(frame.shape[1]):
        column = left_out.iloc[:, k]
        for _ in range(n_repeats):
            shuffled = column.iloc[rng.permutation(len(column))].set_axis(left_out.index)
            mixed = left_out.copy(deep=False)
            mixed.isetitem(k, shuffled)
            loss[k] += (whole - float(fitted.score(given(mixed), y[test]))) / n_repeats
    return whole, loss
