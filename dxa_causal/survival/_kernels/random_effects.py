"""Random-effects summary of independent estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import gammaincc

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Mean and spread of true values between units.

    Attributes
    ----------
    estimate, std_error : float
        Of the mean; the standard error is Hartung and Knapp's, for a t distribution on ``k - 1`` df.
    tau2 : float
        Variance between units (restricted maximum likelihood, or DerSimonian and Laird).
    prediction_error : float
        Standard error of the value in a new unit, for a t distribution on ``k - 2`` df.
    q, p_value : float
        Cochran's test of no heterogeneity, on ``k - 1`` df.
    i2 : float
        Share of the variation that is between units.
    k : int
        Number of units.
    """

    estimate: float
    std_error: float
    tau2: float
    prediction_error: float
    q: float
    p_value: float
    i2: float
    k: int


def random_effects(y: FloatArray, variance: FloatArray, *, reml: bool) -> RandomEffects:
    """Pool k >= 2 estimates with their sampling variances."""
    k = y.size
    w = 1.0 / variance
    fixed = float(w @ y / w.sum())
    q = float(w @ (y - fixed) ** 2)
    spare = float(w.sum() - (w @ w) / w.sum())
    moments = max(0.0, (q - (k - 1)) / spare)
    tau2 = _reml(y, variance) if reml else moments
    w = 1.0 / (variance + tau2)
    mean = float(w @ y / w.sum())
    model = 1.0 / float(w.sum())
    # never below the model's: a chance agreement of few units is no certainty
    scale = max(1.0, float(w @ (y - mean) ** 2) / (k - 1))
    return RandomEffects(
        estimate=mean,
        std_error=float(np.sqrt(scale * model)),
        tau2=tau2,
        prediction_error=float(np.sqrt(tau2 + scale * model)),
        q=q,
        p_value=float(gammaincc((k - 1) / 2, q / 2)),
        i2=max(0.0, (q - (k - 1)) / q) if q > 0 else 0.0,
        k=k,
    )


def _reml(y: FloatArray, variance: FloatArray) -> float:
    """Root of the restricted score in the variance between units; zero where it falls from there on."""

    def score(tau2: float) -> float:
        w = 1.0 / (variance + tau2)
        mean = w @ y / w.sum()
        return float((w**2) @ (y - mean) ** 2 - w.sum() + (w @ w) / w.sum())

    if score(0.0) <= 0:
        return 0.0
    high = float(np.var(y)) + 1e-12
    while score(high) > 0:
        high *= 2
    return float(brentq(score, 0.0, high, xtol=1e-14 * (1 + high), rtol=1e-13))
