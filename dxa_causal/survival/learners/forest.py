"""Random survival forest."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.rng import Seed, generator
from dxa_causal.survival.learners.features import FloatArray
from dxa_causal.survival.learners.learner import SurvivalLearner, with_last

_BLOCK = 20_000_000  # numbers of curves held at a time


class RandomSurvivalForest(SurvivalLearner):
    """Random survival forest: scikit-survival's, with features by name and rows of curves in blocks.

    Parameters
    ----------
    n_estimators : int
        Trees.
    max_depth : int, optional
    min_samples_split, min_samples_leaf : int
        Small leaves cost memory: every leaf holds a curve.
    max_features : int, float, "sqrt", "log2" or None
        Features tried at a split; a float is a share of them.
    max_samples : int or float, optional
        Rows drawn for a tree; all when omitted.
    oob_score : bool
        Concordance on the rows a tree has not seen, in `oob_score_`.
    low_memory : bool
        Keep the risk only, not the curves: much less memory, and no
        `predict_survival_function`.
    seed : int or Generator, optional
    n_jobs : int, optional

    Attributes
    ----------
    model_ : sksurv.ensemble.RandomSurvivalForest
    oob_score_ : float

    See Also
    --------
    permutation_importance : which features the forest lives on.

    Notes
    -----
    Trees split by the log-rank statistic; a leaf holds the Nelson-Aalen and
    Kaplan-Meier curves of its rows [1]_. `predict` is the mean over trees of
    the cumulative hazard summed over event times ("mortality"). Competing
    causes are not taken: y holds one event.

    References
    ----------
    .. [1] Ishwaran H, Kogalur UB, Blackstone EH, Lauer MS (2008). Random survival forests. Annals of Applied Statistics
       2:841-860. doi:10.1214/08-AOAS169

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 75 and grip_kg > 0")
    >>> X, y = cohort[["age", "grip_kg"]], dc.survival.survival_outcome("Surv(time, died)", cohort)
    >>> forest = dc.survival.RandomSurvivalForest(10, min_samples_leaf=50, seed=1).fit(X, y)
    >>> forest.predict_survival_function(X.head(2), times=[1, 2, 3]).shape
    (2, 3)
    """

    model_: Any

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        max_depth: int | None = None,
        min_samples_split: int = 6,
        min_samples_leaf: int = 3,
        max_features: int | float | Literal["sqrt", "log2"] | None = "sqrt",
        max_samples: int | float | None = None,
        oob_score: bool = False,
        low_memory: bool = False,
        seed: Seed = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.low_memory = low_memory
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> RandomSurvivalForest:
        """Grow the trees.

        Parameters
        ----------
        X : (n, p) frame or array
            Numbers without missing values.
        y : (n,) structured ndarray
            From :func:`survival_outcome`.

        Returns
        -------
        RandomSurvivalForest
        """
        values, outcome = self._training(X, y)
        from sksurv.ensemble import RandomSurvivalForest as Forest

        settings = {k: v for k, v in self.get_params(deep=False).items() if k != "seed"}
        self.model_ = Forest(**settings, random_state=draw_state(self.seed)).fit(values, outcome.array())
        if self.oob_score:
            self.oob_score_ = float(self.model_.oob_score_)
        self._steps = np.asarray(self.model_.unique_times_, dtype=np.float64)
        self.unique_times_ = with_last(self._steps, float(outcome.time.max()))
        return self

    def predict(self, X: Any) -> FloatArray:
        """Expected number of events ("mortality"); higher means an earlier event.

        Parameters
        ----------
        X : (n, p) frame or array

        Returns
        -------
        (n,) ndarray
        """
        values = self._features(X)
        return np.asarray(self.model_.predict(values), dtype=np.float64)

    def _survival(self, values: FloatArray) -> FloatArray:
        if self.low_memory:
            raise OptionError(
                "low_memory=True keeps no survival curves; fit with low_memory=False, larger leaves save too"
            )
        blocks = np.array_split(values, 1 + len(values) * self._steps.size // _BLOCK)
        curves = np.vstack([self.model_.predict_survival_function(b, return_array=True) for b in blocks if len(b)])
        place = np.searchsorted(self._steps, self.unique_times_, side="right")
        return np.column_stack([np.ones(len(values)), curves])[:, place]


def draw_state(seed: Seed) -> int:
    """A whole number for libraries that want one."""
    return int(generator(seed).integers(2**31 - 1))
