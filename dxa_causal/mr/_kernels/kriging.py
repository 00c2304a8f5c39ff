"""Do z statistics fit the correlations they are said to have? Conditional distributions under the null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.bayes_factors import log_sum

FloatArray = npt.NDArray[np.float64]

_STEP = 1.05  # ratio of neighbouring standard deviations in the mixture
_ROUNDS = 3000
_GAP = 1e-4  # by which the log-likelihood of the weights may still rise


@dataclass(frozen=True, slots=True)
class Kriging:
    """Inconsistency s, smallest eigenvalue, and per variant: expected z, its sd, log likelihood ratio of -z to z."""

    s: float
    smallest: float
    expected: FloatArray
    sd: FloatArray
    log_lr: FloatArray


def inconsistency(rotated: FloatArray, eigenvalues: FloatArray) -> float:
    """Maximum-likelihood s of z ~ N(0, (1 - s) R + s I), from U'z and the eigenvalues of R = U D U'."""
    from scipy.optimize import minimize_scalar

    def minus(s: float) -> float:
        variance = (1.0 - s) * eigenvalues + s
        with np.errstate(divide="ignore"):
            return float(0.5 * np.sum(np.log(variance) + rotated**2 / variance))

    found = minimize_scalar(minus, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-8})
    return float(found.x)


def kriging(z: FloatArray, r: FloatArray) -> Kriging:
    """Compare each z with its distribution given the others."""
    eigenvalues, vectors = np.linalg.eigh(r)
    smallest = float(eigenvalues[0])
    eigenvalues = np.where(eigenvalues < 1e-8, 0.0, eigenvalues)
    rotated = vectors.T @ z
    s = inconsistency(rotated, eigenvalues)
    with np.errstate(divide="ignore"):
        inverse = 1.0 / ((1.0 - s) * eigenvalues + s)
    inverse[~np.isfinite(inverse)] = 0.0
    diagonal = (vectors**2) @ inverse
    expected = z - (vectors @ (inverse * rotated)) / diagonal
    sd = np.sqrt(1.0 / diagonal)
    return Kriging(s, smallest, expected, sd, _log_ratio(z, expected, sd))


def _log_ratio(z: FloatArray, expected: FloatArray, sd: FloatArray) -> FloatArray:
    """Log likelihood of -z over that of z, given the others: a scale mixture of normals whose weights are fitted."""
    largest = float(np.max(((z - expected) / sd) ** 2))
    top = 2.0 if largest < 1.0 else 2.0 * np.sqrt(largest)
    scales = top / _STEP ** np.arange(int(np.ceil(np.log(top / 0.8) / np.log(_STEP))), -1, -1)
    spread = sd[:, None] * scales
    seen, turned = (-np.log(spread) - 0.5 * ((y - expected)[:, None] / spread) ** 2 for y in (z, -z))
    weights = _mixture_weights(seen)
    log_weights = np.log(weights + 1e-15)
    return np.asarray(log_sum(turned + log_weights) - log_sum(seen + log_weights))


def _mixture_weights(log_density: FloatArray) -> FloatArray:
    """Weights (k,) of highest likelihood by expectation-maximisation; rests where the dual gap is small."""
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    n, k = density.shape
    weights = np.full(k, 1.0 / k)
    for _ in range(_ROUNDS):
        gradient = density.T @ (1.0 / (density @ weights)) / n
        if n * (gradient.max() - 1.0) < _GAP:
            break
        weights = weights * gradient
    return weights / weights.sum()
