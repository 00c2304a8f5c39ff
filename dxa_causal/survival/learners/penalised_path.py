"""The elastic-net path on some of the rows, and how it does on the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from dxa_causal.survival._kernels.elastic_net import ElasticNetPath, elastic_net_path, partial_log_likelihood
from dxa_causal.survival.learners.baseline import risk_sets
from dxa_causal.survival.learners.features import FloatArray
from dxa_causal.survival.learners.learner import IntArray, harrell
from dxa_causal.survival.learners.outcome import TrainingOutcome


@dataclass(frozen=True, eq=False, slots=True)
class PenalisedProblem:
    """Training rows and how they are penalised.

    Attributes
    ----------
    values : (n, p) ndarray
    outcome : TrainingOutcome
    weight : (n,) ndarray
    factor : (p,) ndarray
        Penalty factors, mean one.
    l1_ratio : float
    standardize : bool
    n_lambdas : int
    lambda_ratio : float or None
    tolerance : float
    max_iter : int
    """

    values: FloatArray
    outcome: TrainingOutcome
    weight: FloatArray
    factor: FloatArray
    l1_ratio: float
    standardize: bool
    n_lambdas: int
    lambda_ratio: float | None
    tolerance: float
    max_iter: int

    def rows(self, kept: IntArray) -> PenalisedProblem:
        """The problem on some of the rows."""
        return replace(self, values=self.values[kept], outcome=self.outcome.rows(kept), weight=self.weight[kept])

    @property
    def spread(self) -> FloatArray:
        """Standard deviation of each feature (1/n); zero for a constant."""
        share = self.weight / self.weight.sum()
        mean = share @ self.values
        spread = np.sqrt(share @ (self.values - mean) ** 2)
        # that of a constant is rounding noise
        return np.where(spread <= 1e-12 * np.abs(mean), 0.0, spread)

    @property
    def scale(self) -> FloatArray:
        """What features are divided by before the penalty."""
        spread = self.spread
        return np.where(spread > 0, spread, 1.0) if self.standardize else np.ones(spread.size)

    def path(self, lambdas: FloatArray | None) -> ElasticNetPath:
        """Coefficients on the original scale along given lambdas, or glmnet's own."""
        scale = self.scale
        n, p = self.values.shape
        found = elastic_net_path(
            (self.values - self.values.mean(axis=0)) / scale,
            risk_sets(self.outcome),
            alpha=float(self.l1_ratio),
            weight=self.weight,
            factor=np.where(self.spread > 0, self.factor, np.inf),
            lambdas=lambdas,
            n_lambdas=self.n_lambdas,
            smallest=self.lambda_ratio or (0.01 if n < p else 1e-4),
            tolerance=self.tolerance,
            max_iter=self.max_iter,
        )
        return replace(found, coefficients=found.coefficients / scale)

    def deviance(self, eta: FloatArray) -> FloatArray:
        """Twice what the log partial likelihood of each column lacks to the saturated one."""
        sets = risk_sets(self.outcome)
        deaths = np.bincount(sets.last, self.weight[sets.order] * sets.event)
        saturated = -float(np.sum(special.xlogy(deaths, deaths)))
        return 2.0 * (saturated - partial_log_likelihood(eta, sets, self.weight))


def left_out(
    problem: PenalisedProblem, lambdas: FloatArray, criterion: str, fold: tuple[IntArray, IntArray]
) -> FloatArray:
    """Deviance per event left out after Verweij and van Houwelingen, or concordance, at each lambda."""
    train, test = fold
    coefficients = problem.rows(train).path(lambdas).coefficients
    own = problem.rows(test)
    if criterion == "concordance":
        return np.array([harrell(own.values @ b, own.outcome, own.weight) for b in coefficients])
    eta = (problem.values - problem.values.mean(axis=0)) @ coefficients.T
    rest = np.setdiff1d(np.arange(len(eta)), test)
    gain = problem.deviance(eta) - problem.rows(rest).deviance(eta[rest])
    return np.asarray(gain / max(float(own.weight @ own.outcome.event), 1e-300))
