"""Gradient-boosted trees for Cox's partial likelihood."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.rng import Seed
from dxa_causal.survival.learners.baseline import breslow_hazard
from dxa_causal.survival.learners.features import FloatArray
from dxa_causal.survival.learners.forest import draw_state
from dxa_causal.survival.learners.learner import SurvivalLearner, with_last


class GradientBoostedSurvival(SurvivalLearner):
    """Trees added one by one against the gradient of Cox's partial likelihood: scikit-survival's, features by name.

    Parameters
    ----------
    n_estimators : int
        Trees at most.
    learning_rate : float
        Share of each tree that is added.
    max_depth : int
        Order of interaction.
    min_samples_leaf : int
    subsample : float
        Share of the rows drawn for each tree.
    max_features : int, float, "sqrt", "log2" or None
    patience : int, optional
        Stop when so many trees did not improve the partial likelihood of a
        part of the training rows held back; None adds all trees.
    validation_fraction : float
        The part held back for `patience`.
    dropout_rate : float
        Share of earlier trees left out while one is grown.
    seed : int or Generator, optional

    Attributes
    ----------
    model_ : sksurv.ensemble.GradientBoostingSurvivalAnalysis
    n_estimators_ : int
        Trees added.

    Notes
    -----
    Boosting [1]_ of regression trees; survival curves use Breslow's
    cumulative baseline hazard at the boosted score. Competing causes are not
    taken: y holds one event.

    References
    ----------
    .. [1] Friedman JH (2001). Greedy function approximation: a gradient boosting machine. Annals of Statistics
       29:1189-1232. doi:10.1214/aos/1013203451

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 75 and grip_kg > 0")
    >>> X, y = cohort[["age", "grip_kg"]], dc.survival.survival_outcome("Surv(time, died)", cohort)
    >>> boosted = dc.survival.GradientBoostedSurvival(20, max_depth=2, seed=1).fit(X, y)
    >>> boosted.score(X, y) > 0.6
    True
    """

    model_: Any
    n_estimators_: int

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        learning_rate: float = 0.1,
        max_depth: int = 3,
        min_samples_leaf: int = 5,
        subsample: float = 1.0,
        max_features: int | float | Literal["sqrt", "log2"] | None = None,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        dropout_rate: float = 0.0,
        seed: Seed = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.subsample = subsample
        self.max_features = max_features
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.dropout_rate = dropout_rate
        self.seed = seed

    def fit(self, X: Any, y: Any) -> GradientBoostedSurvival:
        """Add the trees.

        Parameters
        ----------
        X : (n, p) frame or array
            Numbers without missing values.
        y : (n,) structured ndarray
            From :func:`survival_outcome`.

        Returns
        -------
        GradientBoostedSurvival
        """
        if self.patience is not None and not (isinstance(self.patience, int | np.integer) and self.patience >= 1):
            raise OptionError(f"patience={self.patience!r} must be a positive number of trees, or None")
        values, outcome = self._training(X, y)
        from sksurv.ensemble import GradientBoostingSurvivalAnalysis

        settings = self.get_params(deep=False)
        settings = {k: v for k, v in settings.items() if k not in ("seed", "patience")}
        self.model_ = GradientBoostingSurvivalAnalysis(
            **settings, n_iter_no_change=self.patience, random_state=draw_state(self.seed)
        ).fit(values, outcome.array())
        self.n_estimators_ = int(self.model_.n_estimators_)
        risk = np.asarray(self.model_.predict(values), dtype=np.float64)
        self._centre = float(risk.mean())
        self.unique_times_ = with_last(outcome.time[outcome.event == 1], float(outcome.time.max()))
        self._hazard = breslow_hazard(risk - self._centre, outcome, np.ones(risk.size), self.unique_times_)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Boosted log hazard, up to a constant; higher means an earlier event.

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
        relative = np.exp(np.asarray(self.model_.predict(values)) - self._centre)
        return np.exp(-np.outer(relative, self._hazard))
