"""Selectors that look at features one by one or in pairs: variance, correlation, mutual information."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal._numerics.midranks import midranks
from dxa_causal.selection.features import FloatArray, martingale_residuals, read_outcome
from dxa_causal.selection.selector import Selector, best

CorrelationMethod = Literal["pearson", "spearman"]
_BLOCK = 512  # columns whose correlations are held at a time


class VarianceFilter(Selector):
    """Leave out features that hardly vary.

    Parameters
    ----------
    threshold : float
        Smallest variance (1/n) that is kept, exclusive; the default leaves
        out constants.
    scale : {"raw", "relative"}
        "relative" divides the standard deviation by the mean of the absolute
        values first, for features in different units.

    Examples
    --------
    >>> import pandas as pd
    >>> from dxa_causal.selection import VarianceFilter
    >>> X = pd.DataFrame({"site": [1.0, 1.0, 1.0], "bmd": [0.6, 0.7, 0.5]})
    >>> VarianceFilter().fit_transform(X).columns.tolist()
    ['bmd']
    """

    needs_outcome = False

    def __init__(self, threshold: float = 0.0, *, scale: Literal["raw", "relative"] = "raw") -> None:
        self.threshold = threshold
        self.scale = scale

    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        check_option("scale", self.scale, Literal["raw", "relative"])
        if not (isinstance(self.threshold, int | float) and self.threshold >= 0):
            raise OptionError(f"threshold={self.threshold!r} must be a variance, zero or more")
        scores = x.var(axis=0)
        # the variance of a constant is rounding noise
        scores[np.ptp(x, axis=0) == 0] = 0.0
        if self.scale == "relative":
            size = np.abs(x).mean(axis=0) ** 2
            scores = np.divide(scores, size, out=np.zeros_like(scores), where=size > 0)
        mask = scores > self.threshold
        if not mask.any():
            raise OptionError(
                f"threshold={self.threshold!r} leaves no feature; the largest variance is {scores.max():g}"
            )
        return mask, scores


class CorrelationPruner(Selector):
    """Of features that say the same, keep the one that tells most.

    Features are taken in order of their association with `y` (without `y`:
    in the order of their columns); one that is correlated beyond `threshold`
    with a feature already kept is left out.

    Parameters
    ----------
    threshold : float
        Largest absolute correlation among the features kept.
    method : {"pearson", "spearman"}

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from dxa_causal.selection import CorrelationPruner
    >>> bmd = np.array([0.5, 0.6, 0.8, 0.7])
    >>> X = pd.DataFrame({"bmd": bmd, "bmc": 3 * bmd + [0, 0.01, 0, 0], "lean": [2.0, 1.0, 2.0, 1.0]})
    >>> CorrelationPruner(0.95).fit(X).get_feature_names_out().tolist()
    ['bmd', 'lean']
    """

    needs_outcome = False

    def __init__(self, threshold: float = 0.9, *, method: CorrelationMethod = "pearson") -> None:
        self.threshold = threshold
        self.method = method

    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        check_option("method", self.method, CorrelationMethod)
        if not (isinstance(self.threshold, int | float) and 0 < self.threshold <= 1):
            raise OptionError(f"threshold={self.threshold!r} must lie between 0 (exclusive) and 1")
        z = _standardised(midranks(x) if self.method == "spearman" else x)
        n, p = z.shape
        if y is None:
            scores = np.arange(p, 0, -1) / p
        else:
            values, kind = read_outcome(y, n)
            target = martingale_residuals(values) if kind == "cox" else values.astype(np.float64)
            target = midranks(target) if self.method == "spearman" else target
            scores = np.abs(z.T @ _standardised(target[:, None])[:, 0])
        order = np.argsort(-scores, kind="stable")
        mask = np.ones(p, dtype=bool)
        for first in range(0, p, _BLOCK):
            block = order[first : first + _BLOCK]
            earlier = order[:first][mask[order[:first]]]
            if earlier.size:
                mask[block] = ~(np.abs(z[:, earlier].T @ z[:, block]) > self.threshold).any(axis=0)
            among = np.abs(z[:, block].T @ z[:, block]) > self.threshold
            for k in range(1, block.size):  # one by one: what is left out pushes nothing else out
                mask[block[k]] &= not (among[:k, k] & mask[block[:k]]).any()
        return mask, scores


class MutualInformation(Selector):
    """Keep the features that share most information with the outcome, of whatever shape.

    Parameters
    ----------
    k : int
        Number of features kept.
    n_neighbors : int
        Of the estimator of Kraskov et al.
    seed : int

    Notes
    -----
    scikit-learn's nearest-neighbour estimate of mutual information
    [1]_. A survival outcome enters as the martingale residual of the model
    without covariates.

    References
    ----------
    .. [1] Kraskov A, Stoegbauer H, Grassberger P (2004). Estimating mutual information. Physical Review E 69:066138.
       doi:10.1103/PhysRevE.69.066138

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from dxa_causal.selection import MutualInformation
    >>> rng = np.random.default_rng(1)
    >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    >>> MutualInformation(1).fit(X, X["b"] ** 2).get_feature_names_out().tolist()
    ['b']
    """

    def __init__(self, k: int = 10, *, n_neighbors: int = 3, seed: int = 0) -> None:
        self.k = k
        self.n_neighbors = n_neighbors
        self.seed = seed

    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

        if not 1 <= self.k <= x.shape[1]:
            raise OptionError(f"k={self.k!r} must lie between 1 and the number of features, {x.shape[1]}")
        values, kind = read_outcome(y, len(x))
        target = martingale_residuals(values) if kind == "cox" else values
        estimate = mutual_info_classif if kind == "logistic" else mutual_info_regression
        scores = estimate(x, target, n_neighbors=self.n_neighbors, random_state=self.seed, discrete_features=False)
        return best(scores, self.k), scores


def _standardised(x: FloatArray) -> FloatArray:
    centred = x - x.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    return np.asarray(np.divide(centred, size, out=np.zeros_like(centred), where=size > 1e-12 * np.abs(x).max(axis=0)))
