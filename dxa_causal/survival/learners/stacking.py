"""Stacked survival models: several learners combined by their cross-validated Brier score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.utils.metaestimators import _BaseComposition

from dxa_causal._core.errors import OptionError
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed
from dxa_causal._core.selected_rows import refuse_leak
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.ipcw import censoring_curves, censoring_weights
from dxa_causal.survival.estimator_curves import survival_at
from dxa_causal.survival.learners.features import FloatArray, as_frame
from dxa_causal.survival.learners.folds import make_folds
from dxa_causal.survival.learners.learner import IntArray, SurvivalLearner, refuse_class, teach_pipelines, with_last
from dxa_causal.survival.learners.outcome import TrainingOutcome, read_outcome
from dxa_causal.survival.step_curves import check_times


class StackedSurvival(SurvivalLearner, _BaseComposition):
    r"""Combine learners: a weighted mean of their survival curves, weights chosen on rows left out.

    Parameters
    ----------
    estimators : sequence of (str, estimator)
        Learners of this module, Pipelines that end in one, or estimators of
        scikit-survival. What prepares features belongs into each Pipeline, so
        that it is fitted anew in every fold.
    times : (k,) array_like, optional
        Times at which curves are judged; the nine deciles of the event times
        when omitted.
    cv : int, splitter or iterable of (train, test)
        Each row must be left out once.
    seed : int or Generator, optional
        Draws the folds.
    n_jobs : int, optional

    Attributes
    ----------
    weights_ : (m,) ndarray
        Not negative, sum one.
    estimators_ : list of (str, estimator)
        Fitted to all rows.
    times_ : (k,) ndarray
    cv_results_ : DataFrame
        term (learner, or "stack"), weight, brier (mean over times,
        cross-validated).

    Notes
    -----
    Minimises over convex weights :math:`a` the sum over times and rows of
    :math:`W_i(t) (1\{T_i > t\} - \sum_m a_m \hat S_m^{(-i)}(t))^2`, with
    survival predicted by learners that have not seen row i, and weights W
    against censoring: 1/G(T-) for an event by t, 1/G(t) for a row
    observed beyond, 0 for one censored before; G is the Kaplan-Meier
    estimate of the censoring times [1]_. The Brier score of the stack
    itself is slightly too good, as its few weights were chosen on it.

    References
    ----------
    .. [1] Wey A, Connett J, Rudser K (2015). Combining parametric, semi-parametric, and non-parametric survival models
       with stacked survival models. Biostatistics 16:537-549. doi:10.1093/biostatistics/kxv001

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 75 and grip_kg > 0")
    >>> X, y = cohort[["age", "grip_kg"]], dc.survival.survival_outcome("Surv(time, died)", cohort)
    >>> stack = dc.survival.StackedSurvival(
    ...     [("cox", dc.survival.CoxNet(lambdas=[0.01])), ("null", dc.survival.CoxNet(lambdas=[9.0]))], cv=3, seed=1
    ... )
    >>> stack.fit(X, y).tidy()["term"].tolist()
    ['cox', 'null']
    """

    weights_: FloatArray
    estimators_: list[tuple[str, Any]]

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]],
        *,
        times: npt.ArrayLike | None = None,
        cv: Any = 5,
        seed: Seed = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimators = estimators
        self.times = times
        self.cv = cv
        self.seed = seed
        self.n_jobs = n_jobs

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, with `deep` those of the learners as ``name__parameter``."""
        return dict(self._get_params("estimators", deep=deep))

    def set_params(self, **params: Any) -> StackedSurvival:
        """Set parameters, also those of the learners."""
        self._set_params("estimators", **params)
        return self

    def fit(self, X: Any, y: Any) -> StackedSurvival:
        """Learn the weights on rows left out, then every learner on all rows.

        Parameters
        ----------
        X : (n, p) frame or array
            What the learners take; columns may be text where they begin with
            an encoder.
        y : (n,) structured ndarray
            From :func:`survival_outcome`.

        Returns
        -------
        StackedSurvival
        """
        refuse_leak(X)
        names = self._learner_names()
        frame, _ = as_frame(X)
        rows = X if isinstance(X, np.ndarray) else frame
        outcome = read_outcome(y, len(rows))
        self.n_features_in_ = rows.shape[1]
        if isinstance(rows, pd.DataFrame):
            self.feature_names_in_ = np.array([str(c) for c in rows.columns], dtype=object)
        teach_pipelines()
        self.times_ = self._grid(outcome)
        weight, alive = ipcw_targets(outcome, self.times_)
        target = outcome.array()
        folds = make_folds(self.cv, rows, outcome, self.seed)
        left_out = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(rows))
        if (left_out != 1).any():
            raise OptionError(
                f"cv must leave each row out once; row {int(np.flatnonzero(left_out != 1)[0])} is left out "
                f"{int(left_out[left_out != 1][0])} times"
            )
        learners = [learner for _, learner in self.estimators]
        work = [(learner, train, test) for learner in learners for train, test in folds]
        predicted = parallel_map(partial(_predict_left_out, rows, target, self.times_), work, n_jobs=self.n_jobs)
        error = np.empty((len(learners), len(rows), self.times_.size))
        for m in range(len(learners)):
            for _, test in folds:
                error[m, test] = alive[test] - next(predicted)
        weighted = error * weight
        cross = np.einsum("mit,lit->ml", weighted, error) / (len(rows) * self.times_.size)
        self.weights_ = convex_weights(cross)
        brier = [*np.diag(cross), self.weights_ @ cross @ self.weights_]
        self.cv_results_ = pd.DataFrame({"term": [*names, "stack"], "weight": [*self.weights_, np.nan], "brier": brier})
        whole = [(learner, np.arange(len(rows)), None) for learner in learners]
        fitted = parallel_map(partial(_predict_left_out, rows, target, self.times_), whole, n_jobs=self.n_jobs)
        self.estimators_ = list(zip(names, fitted, strict=True))
        self.unique_times_ = with_last(outcome.time[outcome.event == 1], float(outcome.time.max()))
        return self

    def predict(self, X: Any) -> FloatArray:
        """Mean over `times_` of the probability of an event by then; higher means an earlier event.

        Parameters
        ----------
        X : (n, p) frame or array

        Returns
        -------
        (n,) ndarray
        """
        return np.asarray(1.0 - self._combine(self._features(X), self.times_).mean(axis=1))

    def tidy(self) -> pd.DataFrame:
        """One row per learner: term, estimate (its weight)."""
        self._features_known()
        return pd.DataFrame({"term": [name for name, _ in self.estimators_], "estimate": self.weights_})

    def _survival(self, values: Any) -> FloatArray:
        return self._combine(values, self.unique_times_)

    def _combine(self, rows: Any, times: FloatArray) -> FloatArray:
        survival = np.zeros((len(rows), times.size))
        for weight, (_, learner) in zip(self.weights_, self.estimators_, strict=True):
            if weight > 0:
                survival += weight * survival_at(learner, rows, times)
        return survival

    def _features_known(self) -> None:
        if not hasattr(self, "unique_times_"):
            super()._features(None)  # raises NotFittedError

    def _features(self, X: Any) -> Any:
        """The rows as the learners take them: their own Pipelines read the values."""
        self._features_known()
        return X if isinstance(X, np.ndarray) else as_frame(X)[0]

    def _learner_names(self) -> list[str]:
        given = list(self.estimators) if isinstance(self.estimators, Sequence) else []
        if len(given) < 2 or not all(isinstance(e, tuple) and len(e) == 2 and isinstance(e[0], str) for e in given):
            raise OptionError("estimators must hold at least two pairs: [('cox', CoxNet()), ('forest', ...)]")
        for _, learner in given:
            refuse_class(learner)
        names = [name for name, _ in given]
        if len(set(names)) < len(names) or "stack" in names or any("__" in name for name in names):
            raise OptionError(f"estimators need different names without '__', not 'stack': {names}")
        return names

    def _grid(self, outcome: TrainingOutcome) -> FloatArray:
        if self.times is None:
            return np.unique(np.quantile(outcome.time[outcome.event == 1], np.arange(1, 10) / 10))
        times = np.unique(check_times(self.times))
        last = float(outcome.time.max())
        if times[0] <= 0 or times[-1] > last:
            raise OptionError(f"times must lie in (0, {last:g}], the follow-up of the training rows; found {times}")
        return times


def _predict_left_out(rows: Any, y: npt.NDArray[np.void], times: FloatArray, work: tuple[Any, IntArray, Any]) -> Any:
    """Fit a copy of a learner; its survival of the rows left out, or itself where there are none."""
    learner, train, test = work
    pick = rows.iloc if isinstance(rows, pd.DataFrame) else rows
    fitted = clone(learner).fit(pick[train], y[train])
    return fitted if test is None else survival_at(fitted, pick[test], times)


def ipcw_targets(outcome: TrainingOutcome, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights against censoring and whether a row is alive, (n, k)."""
    ranked = rank_times(outcome.time)
    codes = np.zeros(outcome.time.size, dtype=np.int64)
    curves = censoring_curves(ranked.rank, ranked.distinct.size, outcome.event == 0, codes)
    reached = np.searchsorted(ranked.distinct, times, side="right").astype(np.int64)
    weights = censoring_weights(curves, reached)
    empty = np.flatnonzero(~np.isfinite(weights.weight).all(axis=0) | ~weights.weight.any(axis=0))
    if empty.size:
        raise OptionError(f"times: no row is observed up to {times[empty[0]]:g}, so the curves cannot be judged there")
    return weights.weight, weights.beyond.astype(np.float64)


def convex_weights(cross: FloatArray) -> FloatArray:
    """Weights a >= 0 with sum one that minimise a' cross a.

    With b the non-negative least squares solution of ``|| R b ||^2 + (sum b - 1)^2``, ``R'R = cross``, the
    minimum is at b / sum(b): both problems share their conditions of optimality.

    Examples
    --------
    >>> convex_weights(np.diag([1.0, 3.0])).round(6).tolist()
    [0.75, 0.25]
    """
    from scipy.optimize import nnls

    values, vectors = np.linalg.eigh(cross / np.trace(cross))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    b, _ = nnls(np.vstack([root, np.ones(len(cross))]), np.append(np.zeros(len(cross)), 1.0))
    return np.asarray(b / b.sum())
