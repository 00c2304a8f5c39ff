"""Weighted medians of the variants' ratios, and their parametric bootstrap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_BLOCK = 1 << 20  # numbers drawn at once: bounds memory, about 60 MB with the work arrays


def second_order_weights(bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray) -> FloatArray:
    """Inverse variances of the ratios by / bx, to second order."""
    return 1.0 / (sy**2 / bx**2 + by**2 * sx**2 / bx**4)


def weighted_medians(ratios: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted median of each row of `ratios` (m, n), one vector of `weights` (n,) for all.

    With ratios in order and weights summing to one, the cumulative weight up to
    the middle of each ratio is interpolated linearly at one half.
    """
    order = np.argsort(ratios, axis=1, kind="stable")
    value = np.take_along_axis(ratios, order, axis=1)
    w = weights[order] / weights.sum()
    middle = np.cumsum(w, axis=1) - 0.5 * w
    last = ratios.shape[1] - 1
    above = np.minimum((middle < 0.5).sum(axis=1), last)
    below = np.maximum(above - 1, 0)
    rows = np.arange(ratios.shape[0])
    low, high = middle[rows, below], middle[rows, above]
    gap = np.where(high > low, high - low, 1.0)
    share = np.where(high > low, (0.5 - low) / gap, 0.0)
    found: FloatArray = value[rows, below] + (value[rows, above] - value[rows, below]) * share
    return found


def bootstrap_std_error(
    bx: FloatArray,
    by: FloatArray,
    sx: FloatArray,
    sy: FloatArray,
    weights: FloatArray,
    rng: np.random.Generator,
    n_draws: int,
) -> float:
    """Standard deviation of the weighted median when both effects are drawn anew and the weights stay."""
    n = bx.size
    block = max(1, _BLOCK // n)
    draws = np.empty(n_draws)
    for start in range(0, n_draws, block):
        m = min(block, n_draws - start)
        x = bx + sx * rng.standard_normal((m, n))
        y = by + sy * rng.standard_normal((m, n))
        draws[start : start + m] = weighted_medians(y / x, weights)
    return float(draws.std(ddof=1))
