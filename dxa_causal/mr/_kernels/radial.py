"""Radial regression: weights, Cochran's Q with the slope in its own weights, and its minimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_STEPS = 75  # shrinks a bracket by 2e-16


@dataclass(frozen=True, slots=True)
class Line:
    """Slope through the origin of the radial plot, its plain standard error, Q, and each variant's part of Q."""

    estimate: float
    std_error: float
    q: float
    parts: FloatArray


@dataclass(frozen=True, slots=True)
class RadialEgger:
    """Intercept and slope of the radial plot, plain standard errors, Rucker's Q, and each variant's part of it."""

    intercept: float
    intercept_std_error: float
    slope: float
    slope_std_error: float
    q: float
    parts: FloatArray


def modified_weights(
    bx: FloatArray, sx: FloatArray, sy: FloatArray, slope: FloatArray | float, phi: float = 1.0
) -> FloatArray:
    """Inverse variances of the ratios at a given slope, with the outcome's variance times phi."""
    weights: FloatArray = bx**2 / (phi * sy**2 + slope * slope * sx**2)
    return weights


def through_origin(ratios: FloatArray, weights: FloatArray) -> Line:
    """Weighted mean of the ratios; the standard error holds the dispersion, above or below one."""
    total = float(weights.sum())
    estimate = float(weights @ ratios) / total
    parts = weights * (ratios - estimate) ** 2
    q = float(parts.sum())
    return Line(estimate, float(np.sqrt(q / (ratios.size - 1) / total)), q, parts)


def with_intercept(ratios: FloatArray, weights: FloatArray) -> RadialEgger:
    """Regress sqrt(w) times ratio on sqrt(w); nan where all weights are equal, which leaves no line to tell."""
    x = np.sqrt(weights)
    y = x * ratios
    dx = x - x.mean()
    sxx = float(dx @ dx)
    if sxx <= 1e-20 * float(x @ x):
        sxx = float("nan")
    slope = float(dx @ y) / sxx
    intercept = float(y.mean() - slope * x.mean())
    parts = (y - intercept - slope * x) ** 2
    q = float(parts.sum())
    sigma = np.sqrt(q / (x.size - 2))
    return RadialEgger(
        intercept, float(sigma * np.sqrt(1.0 / x.size + x.mean() ** 2 / sxx)), slope, float(sigma / sxx**0.5), q, parts
    )


def profile_q(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, slope: FloatArray, phi: float
) -> FloatArray:
    """Sum over variants (last axis) of (y - b x)^2 / (phi sy^2 + b^2 sx^2) for one slope b per row."""
    b = slope[..., None]
    total: FloatArray = ((by - b * bx) ** 2 / (phi * sy**2 + b * b * sx**2)).sum(axis=-1)
    return total


def minimise_q(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, low: FloatArray, high: FloatArray, phi: float = 1.0
) -> FloatArray:
    """Slope of smallest Q within brackets, by golden section for all rows at once."""
    low, high = low.copy(), high.copy()
    for _ in range(_STEPS):
        gap = _GOLDEN * (high - low)
        left, right = high - gap, low + gap
        lower = profile_q(bx, by, sx, sy, left, phi) < profile_q(bx, by, sx, sy, right, phi)
        high, low = np.where(lower, right, high), np.where(lower, low, left)
    middle: FloatArray = 0.5 * (low + high)
    return middle
