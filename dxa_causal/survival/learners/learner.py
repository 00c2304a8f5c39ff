"""What all survival learners share: features by name, survival curves, concordance as the score."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from dxa_causal._core.errors import OptionError, OutcomeError
from dxa_causal._core.selected_rows import refuse_leak
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.concordance import concordance_totals, dense_ranks
from dxa_causal.survival._kernels.risk_sets import counting_sort
from dxa_causal.survival.learners.features import features_again, read_features
from dxa_causal.survival.learners.outcome import TrainingOutcome, read_outcome
from dxa_causal.survival.step_curves import check_times, warn_beyond

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class SurvivalLearner(BaseEstimator, abc.ABC):
    """Base of the learners: scikit-learn estimators whose outcome is :func:`survival_outcome`.

    Usable in ``Pipeline``, ``cross_validate`` and ``GridSearchCV``. `predict`
    gives a risk score (higher: earlier event), `score` Harrell's concordance.

    Attributes
    ----------
    unique_times_ : (k,) ndarray
        Times at which predicted curves step, up to the end of follow-up.
    n_features_in_ : int
    feature_names_in_ : (p,) ndarray of str
        Only after a fit to a frame.
    """

    unique_times_: FloatArray
    n_features_in_: int

    @abc.abstractmethod
    def fit(self, X: Any, y: Any) -> SurvivalLearner:
        """Learn from features and :func:`survival_outcome`."""

    @abc.abstractmethod
    def predict(self, X: Any) -> FloatArray:
        """Risk score of each row, (n,); higher means an earlier event."""

    @abc.abstractmethod
    def _survival(self, values: FloatArray) -> FloatArray:
        """Survival at `unique_times_` of rows of features."""

    def predict_survival_function(
        self, X: Any, times: npt.ArrayLike | None = None, *, return_array: bool = False
    ) -> Any:
        """Survival curves.

        Parameters
        ----------
        X : (n, p) frame or array
        times : (k,) array_like, optional
            Times of interest, unit of the training data. Beyond its follow-up
            the last value is carried forward, with a warning.
        return_array : bool
            Without `times`: an array at ``unique_times_`` instead of
            scikit-survival's step functions.

        Returns
        -------
        (n, k) ndarray, or (n,) ndarray of StepFunction
        """
        values = self._features(X)
        if times is not None:
            at = check_times(times)
            warn_beyond(at, float(self.unique_times_[-1]))
            place = np.searchsorted(self.unique_times_, at, side="right")
            return np.column_stack([np.ones(len(values)), self._survival(values)])[:, place]
        survival = self._survival(values)
        if return_array:
            return survival
        from sksurv.functions import StepFunction

        grid = self.unique_times_
        if grid[0] > 0:  # a StepFunction holds its first value before its first time
            grid, survival = np.concatenate([[0.0], grid]), np.column_stack([np.ones(len(values)), survival])
        curves = np.empty(len(values), dtype=object)
        curves[:] = [StepFunction(grid, row) for row in survival]
        return curves

    def score(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """Harrell's concordance of :meth:`predict` on these rows.

        Parameters
        ----------
        X : (n, p) frame or array
        y : (n,) structured ndarray
        sample_weight : (n,) array_like, optional

        Returns
        -------
        float
            One half for a useless score, one for a perfect order.
        """
        risk = self.predict(X)
        outcome = read_outcome(y, risk.size, delayed=True)
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        return harrell(risk, outcome, weight)

    def _training(self, X: Any, y: Any, *, delayed: bool = False) -> tuple[FloatArray, TrainingOutcome]:
        """Checked features and outcome; remembers the names."""
        refuse_leak(X)
        values, names = read_features(X)
        outcome = read_outcome(y, len(values), delayed=delayed)
        self.n_features_in_ = values.shape[1]
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):  # of an earlier fit
            del self.feature_names_in_
        teach_pipelines()
        return values, outcome

    def _features(self, X: Any) -> FloatArray:
        if not hasattr(self, "unique_times_"):
            raise NotFittedError(f"this {type(self).__name__} has not been fitted; call fit(X, y) first")
        return features_again(X, self.n_features_in_, getattr(self, "feature_names_in_", None))

    def _names(self) -> list[str]:
        """Names of the features; x0, x1, ... after a fit to an array."""
        return [str(v) for v in getattr(self, "feature_names_in_", [f"x{k}" for k in range(self.n_features_in_)])]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "unique_times_")


def harrell(risk: FloatArray, outcome: TrainingOutcome, weight: FloatArray | None = None) -> float:
    """Harrell's concordance of a risk score, in O(n log n)."""
    times = rank_times(outcome.time, outcome.entry)
    order = counting_sort(times.rank, times.distinct.size)
    value = np.ascontiguousarray(risk[order])
    scores, n_scores = dense_ranks(value, np.argsort(value))
    start, by_start = np.full(risk.size, -1, dtype=np.int64), np.empty(0, dtype=np.int64)
    if times.entry_rank is not None:
        start = times.entry_rank[order]
        by_start = np.argsort(start, kind="stable")
    own = np.ones(risk.size) if weight is None else np.ascontiguousarray(weight[order])
    one, stratum = np.ones(risk.size), np.zeros(risk.size, dtype=np.int64)
    totals, _, _ = concordance_totals(
        scores, n_scores, start, times.rank[order], outcome.event[order], own, one, by_start, stratum
    )
    total = float(totals[:3].sum())
    if total == 0.0:
        raise OutcomeError("no two rows of y can be compared: concordance is undefined (too few events?)")
    return float((totals[0] + 0.5 * totals[2]) / total)


def with_last(times: npt.ArrayLike, last: float) -> FloatArray:
    """Times of steps and the end of follow-up."""
    return np.union1d(np.asarray(times, dtype=np.float64), [last])


def refuse_class(estimator: Any) -> None:
    """Raise `OptionError` for what is no estimator, or the class of one."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        name = estimator.__name__ if isinstance(estimator, type) else repr(estimator)
        raise OptionError(f"{name} is not an estimator; give an instance, such as CoxNet()")


def teach_pipelines() -> None:
    """Give Pipeline its ``predict_survival_function``, as scikit-survival does when it is imported."""
    import sksurv  # noqa: F401
