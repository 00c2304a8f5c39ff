"""MM-regression with the bisquare: an S-estimate for the scale, an M-estimate for the coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_C_SCALE = 1.54764  # breakdown point one half
_C_COEFFICIENTS = 4.685061  # 95 % efficiency under normal errors
_BREAKDOWN = 0.5
_MOST_STARTS = 4000
_ILL_CONDITIONED = 1e7
_EXACT = 1e-12  # of the largest outcome: what counts as no residual
_STEPS = 500
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class MMEstimate:
    """Coefficients (p,), their standard errors (p,) and the residual scale."""

    coefficients: FloatArray
    std_errors: FloatArray
    scale: float


def mm_regression(design: FloatArray, y: FloatArray) -> MMEstimate | None:
    """Regress y (n,) on design (n, p); None where more than half of the points fit exactly."""
    n, p = design.shape
    beta: FloatArray
    beta, scale = _s_estimate(design, y)
    if not scale > _EXACT * float(np.median(np.abs(y))):
        return None
    initial = y - design @ beta
    for _ in range(_STEPS):
        w = _weights((y - design @ beta) / scale, _C_COEFFICIENTS)
        new = np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (w * y))
        step = float(np.max(np.abs(new - beta)))
        beta = np.asarray(new, dtype=np.float64)
        if step <= _TOLERANCE * float(np.max(np.abs(new))):
            break
    cov = _covariance(design, (y - design @ beta) / scale, initial / scale, scale)
    return MMEstimate(beta, np.sqrt(np.diag(cov)), scale)


def _weights(u: FloatArray, c: float) -> FloatArray:
    return np.maximum(0.0, 1.0 - (u / c) ** 2) ** 2


def _rho(u: FloatArray, c: float) -> FloatArray:
    return 1.0 - np.maximum(0.0, 1.0 - (u / c) ** 2) ** 3


def _s_estimate(design: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Coefficients with the least M-scale: elemental starts, the best of them iterated to convergence."""
    n, p = design.shape
    beta = _starts(design, y)
    size = np.abs(y - beta @ design.T)
    scale = np.median(size, axis=1) / 0.6745
    # a fit may go through half of the points and yet leave a scale: the sum of rho can reach the number of the others
    left = (size > _EXACT * np.max(np.abs(y))).sum(axis=1)
    through = (scale <= _EXACT * np.max(np.abs(y))) & (left > _BREAKDOWN * (n - p))
    scale = np.where(through, size.max(axis=1), scale)
    for steps, kept in ((2, 300), (30, 30)):  # the best after few steps may all lie in one basin
        beta, scale = _refine(design, y, beta, scale, steps)
        best = np.argsort(scale, kind="stable")[:kept]
        beta, scale = beta[best], scale[best]
    beta, scale = _refine(design, y, beta, scale, _STEPS)
    at = int(np.argmin(scale))
    return beta[at], float(scale[at])


def _starts(design: FloatArray, y: FloatArray) -> FloatArray:
    """Exact fits to p points: every point or set of p, or an even share of the sets when there are many."""
    n, p = design.shape
    if p == 1:
        nonzero = design[:, 0] != 0
        return (y[nonzero] / design[nonzero, 0])[:, None]
    if math.comb(n, p) <= _MOST_STARTS:
        subsets = np.array(list(combinations(range(n), p)))
    else:  # the same sets every time
        subsets = np.argsort(np.random.default_rng(0).random((_MOST_STARTS, n)), axis=1)[:, :p]
    part = design[subsets]
    apart = np.linalg.cond(part) < _ILL_CONDITIONED
    starts: FloatArray = np.linalg.solve(part[apart], y[subsets][apart][..., None])[..., 0]
    return starts


def _refine(
    design: FloatArray, y: FloatArray, beta: FloatArray, scale: FloatArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Steps of reweighting and of the scale, all starts (m, p) at once."""
    n, p = design.shape
    products = design[:, :, None] * design[:, None, :]
    moments = design * y[:, None]
    for _ in range(steps):
        residual = y - beta @ design.T
        safe = np.where(scale > 0, scale, 1.0)
        new_scale = safe * np.sqrt(_rho(residual / safe[:, None], _C_SCALE).sum(axis=1) / (n - p) / _BREAKDOWN)
        new_scale = np.where(scale > 0, new_scale, 0.0)
        safe = np.where(new_scale > 0, new_scale, 1.0)
        w = _weights(residual / safe[:, None], _C_SCALE)
        information = np.einsum("mn,npq->mpq", w, products)
        singular = ~(np.linalg.cond(information) < 1e14)
        information[singular] = np.eye(p)
        new = np.linalg.solve(information, (w @ moments)[:, :, None])[:, :, 0]
        hold = singular | (new_scale <= 0)
        new = np.where(hold[:, None], beta, new)
        still = float(np.max(np.abs(new - beta), initial=0.0)) <= _TOLERANCE * float(np.max(np.abs(new), initial=0.0))
        settled = bool(np.all(np.abs(new_scale - scale) <= _TOLERANCE * scale))
        beta, scale = new, new_scale
        if still and settled:
            break
    return beta, scale


def _covariance(design: FloatArray, u: FloatArray, u0: FloatArray, scale: float) -> FloatArray:
    """Heteroscedastic variance from the influence functions of coefficients and scale (Croux et al. 2003)."""
    n = design.shape[0]
    t = np.minimum(1.0, (u / _C_COEFFICIENTS) ** 2)
    psi, slope = u * (1 - t) ** 2, (1 - t) * (1 - 5 * t)
    t0 = np.minimum(1.0, (u0 / _C_SCALE) ** 2)
    chi_slope = 6 * u0 / _C_SCALE**2 * (1 - t0) ** 2
    bread = scale * n * np.linalg.inv(design.T @ (slope[:, None] * design))
    shift = bread @ (design.T @ (slope * u)) / n / float(np.mean(chi_slope * u0))
    # centred at one half by its expectation, not in the sample: E(chi - b)^2 = E chi^2 - b^2
    chi = _rho(u0, _C_SCALE)
    sandwich = (psi[:, None] * design) @ bread
    cross = np.outer(sandwich.T @ chi, shift)
    spread = float(np.sum(chi**2 - _BREAKDOWN**2)) * np.outer(shift, shift)
    cov: FloatArray = (sandwich.T @ sandwich - cross - cross.T + spread) / n**2
    return cov
