"""Debiased and penalised inverse-variance weighting: moments, estimates, standard errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Debiased(NamedTuple):
    """Estimate, standard error, overdispersion and effective strength of the instruments."""

    estimate: float
    std_error: float
    tau2: float
    condition: float


def overdispersion(beta: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray) -> float:
    """Moment estimate of the variance of balanced pleiotropy, not below zero."""
    excess = ((by - beta * bx) ** 2 - sy**2 - beta**2 * sx**2) / sy**2
    return max(0.0, float(excess.sum() / (sy**-2.0).sum()))


def condition(bx: FloatArray, sx: FloatArray) -> float:
    """(mean F - 1) sqrt(n); above 20 the normal limits hold well."""
    return float((np.mean((bx / sx) ** 2) - 1) * np.sqrt(bx.size))


def spread(beta: float, tau2: float, bx: FloatArray, sx: FloatArray, sy: FloatArray) -> float:
    """Square root of the estimated variance of the numerator minus beta times the denominator."""
    terms = bx**2 / sy**2 * (1 + tau2 / sy**2) + beta**2 * sx**2 / sy**4 * (bx**2 + sx**2)
    return float(np.sqrt(terms.sum()))


def divw(
    bx: FloatArray,
    by: FloatArray,
    sx: FloatArray,
    sy: FloatArray,
    *,
    overdispersed: bool,
    keep: BoolArray | None = None,
) -> Debiased:
    """Debiased IVW; with `keep`, the overdispersion still comes from all variants."""
    use = np.ones(bx.size, dtype=bool) if keep is None else keep
    denominator = float((((bx**2 - sx**2) / sy**2)[use]).sum())
    beta = float(((bx * by / sy**2)[use]).sum()) / denominator
    tau2 = overdispersion(beta, bx, by, sx, sy) if overdispersed else 0.0
    error = spread(beta, tau2, bx[use], sx[use], sy[use]) / abs(denominator)
    return Debiased(beta, error, tau2, condition(bx[use], sx[use]))


class Moments(NamedTuple):
    """Numerator and denominator after the penalty, and their (co)variances; any leading shape."""

    mu1: FloatArray
    mu2: FloatArray
    v1: FloatArray
    v12: FloatArray
    v2: FloatArray


def penalised_moments(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, penalty: float, tau2: float
) -> Moments:
    """Sums over the last axis of the effects, numerator and denominator penalised away from zero."""
    w = sy**-2.0
    w2 = w * w
    v1 = (w2 * (by**2 * bx**2 - (by**2 - sy**2 - tau2) * (bx**2 - sx**2))).sum(axis=-1)
    v2 = (w2 * (4 * (bx**2 - sx**2) * sx**2 + 2 * sx**4)).sum(axis=-1)
    v12 = (2 * w2 * by * bx * sx**2).sum(axis=-1)
    mu1 = (w * by * bx).sum(axis=-1)
    mu2 = (w * (bx**2 - sx**2)).sum(axis=-1)
    away = mu2 / 2 + np.sign(mu2) * np.sqrt(np.maximum(0.0, mu2**2 / 4 + penalty * v2))
    shrink = away / (2 * away - mu2)
    return Moments(mu1 + v12 / v2 * (away - mu2), away, v1, shrink * v12, shrink**2 * v2)


def pivw(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, penalty: float, overdispersed: bool
) -> Debiased:
    """Penalised IVW."""
    moments = penalised_moments(bx, by, sx, sy, penalty=penalty, tau2=0.0)
    beta = float(moments.mu1 / moments.mu2)
    tau2 = overdispersion(beta, bx, by, sx, sy) if overdispersed else 0.0
    return Debiased(beta, spread(beta, tau2, bx, sx, sy) / abs(float(moments.mu2)), tau2, condition(bx, sx))


def fieller_draws(
    bx: FloatArray, sx: FloatArray, sy: FloatArray, *, beta: float, tau2: float, penalty: float,
    rng: np.random.Generator, n_draws: int,
) -> FloatArray:  # fmt: skip
    """Sorted parametric bootstrap of Fieller's statistic at `beta`; draws with a negative variance are left out."""
    step = max(1, 2_000_000 // bx.size)
    kept: list[FloatArray] = []
    for start in range(0, n_draws, step):
        shape = (min(step, n_draws - start), bx.size)
        y = rng.normal(bx * beta, np.sqrt(sy**2 + tau2), shape)
        m = penalised_moments(rng.normal(bx, sx, shape), y, sx, sy, penalty=penalty, tau2=tau2)
        variance = m.v1 - 2 * beta * m.v12 + beta**2 * m.v2
        fine = variance > 0
        kept.append((m.mu1 - beta * m.mu2)[fine] ** 2 / variance[fine])
    return np.sort(np.concatenate(kept))


def fieller_set(moments: Moments, critical: float) -> FloatArray:
    """Pieces of the effects that Fieller's statistic does not reject, (k, 2)."""
    mu1, mu2, v1, v12, v2 = (float(x) for x in moments)
    a, b, c = mu2**2 - critical * v2, 2 * (critical * v12 - mu1 * mu2), mu1**2 - critical * v1
    discriminant = b * b - 4 * a * c
    if discriminant <= 0:
        return np.array([[-np.inf, np.inf]]) if a <= 0 else np.empty((0, 2))
    low, high = sorted(((-b - np.sqrt(discriminant)) / (2 * a), (-b + np.sqrt(discriminant)) / (2 * a)))
    return np.array([[low, high]]) if a > 0 else np.array([[-np.inf, low], [high, np.inf]])
