"""Estimators about the coding of alleles: regression of products, and MR-Egger with the coding drawn anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class GripEstimate:
    """Slope and intercept with standard errors, and the slope adjusted for weak instruments with its own."""

    slope: float
    slope_std_error: float
    intercept: float
    intercept_std_error: float
    adjusted: float
    adjusted_std_error: float


def grip(bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray) -> GripEstimate | None:
    """Regress by * bx on bx^2 with weights (bx sy)^-2; None if all |bx| are equal."""
    x, y, w = bx**2, bx * by, (bx * sy) ** -2.0
    total = float(w.sum())
    mean_x, mean_y = float(w @ x) / total, float(w @ y) / total
    sxx = float(w @ (x - mean_x) ** 2)
    if sxx <= 1e-20 * total * mean_x**2:
        return None
    slope = float(w @ ((x - mean_x) * (y - mean_y))) / sxx
    intercept = mean_y - slope * mean_x
    variance = float(w @ (y - intercept - slope * x) ** 2) / (bx.size - 2)
    # bx^2, its square and its products are replaced by unbiased estimates under normal errors of bx
    v = sy**-2.0
    second, third = x - sx**2, x - 3 * sx**2
    fourth = x**2 - 6 * x * sx**2 + 3 * sx**4
    size, mean_square = float(v.sum()), float(v @ second)
    below = size * float(v @ fourth) - mean_square**2
    adjusted = (size * float(v @ (y * third)) - float(v @ y) * mean_square) / below
    noise = v**2 * float(np.mean((by - (slope * x + intercept) / bx) ** 2)) * x
    above = size**2 * float(noise @ third**2) + float(noise.sum()) * mean_square**2
    above -= 2 * size * mean_square * float(noise @ second)
    return GripEstimate(
        slope=slope,
        slope_std_error=(variance / sxx) ** 0.5,
        intercept=intercept,
        intercept_std_error=(variance * (1 / total + mean_x**2 / sxx)) ** 0.5,
        adjusted=adjusted,
        adjusted_std_error=max(0.0, above) ** 0.5 / abs(below),
    )


def egger_draws(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, rng: np.random.Generator, n_draws: int
) -> FloatArray:
    """Slopes and intercepts (n_draws, 2) with both effects drawn anew and coded to raise the exposure.

    The slope is cov(wx, wy) / var(wx), w = sy^-2, as TwoSampleMR has it: not the weighted regression.
    """
    n = bx.size
    w = sy**-2.0
    draws = np.empty((n_draws, 2))
    block = max(1, _BLOCK // n)
    for start in range(0, n_draws, block):
        m = min(block, n_draws - start)
        x = bx + sx * rng.standard_normal((m, n))
        y = (by + sy * rng.standard_normal((m, n))) * np.sign(x)
        x = np.abs(x)
        dx, wy = x * w, y * w
        dx -= dx.mean(axis=1, keepdims=True)
        slope = (dx * wy).sum(axis=1) / (dx**2).sum(axis=1)
        draws[start : start + m, 0] = slope
        draws[start : start + m, 1] = y.mean(axis=1) - slope * x.mean(axis=1)
    return draws
