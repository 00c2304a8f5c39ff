"""MR-PRESSO by leave-one-out in closed form: no regression is refitted in a draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BLOCK = 1 << 19  # numbers drawn at once: 4 MB an array


def residual_squares(bx: FloatArray, by: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted squared distance of each variant from the slope of the others, and that slope; last axis = variants."""
    xy, xx = w * bx * by, w * bx * bx
    others = (xy.sum(axis=-1, keepdims=True) - xy) / (xx.sum(axis=-1, keepdims=True) - xx)
    return w * (by - others * bx) ** 2, others


def simulate(
    bx: FloatArray, sx: FloatArray, sy: FloatArray, slope: FloatArray, observed: FloatArray, rng: np.random.Generator,
    n_draws: int,
) -> tuple[int, IntArray]:  # fmt: skip
    """Draws whose total exceeds the observed one, and per variant those whose own squared distance does.

    Both effects are drawn around what they would be without direct effects,
    x ~ N(bx, sx^2), y ~ N(slope_j bx, sy^2). A variant's own distance is the
    unweighted (y_j - slope_j x_j)^2, its slope that of the data without it.
    """
    w = 1.0 / sy**2
    n = bx.size
    total, own = 0, np.zeros(n, dtype=np.int64)
    rss, single = float((w * observed).sum()), observed
    block = max(1, BLOCK // n)
    for start in range(0, n_draws, block):
        m = min(block, n_draws - start)
        x = bx + sx * rng.standard_normal((m, n))
        y = slope * bx + sy * rng.standard_normal((m, n))
        squares, _ = residual_squares(x, y, w)
        total += int((squares.sum(axis=1) > rss).sum())
        own += ((y - slope * x) ** 2 > single).sum(axis=0)
    return total, own
