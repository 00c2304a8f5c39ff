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


def residual_squares_of_many(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """Weighted squared distance (m, n) of each variant from the fit of the others; x (m, n, k), y (m, n).

    With the hat value h_j the residual of a fit without j is e_j / (1 - h_j).
    """
    inverse = np.linalg.inv(np.einsum("n,mnk,mnl->mkl", w, x, x))
    beta = np.einsum("mkl,n,mnl,mn->mk", inverse, w, x, y)
    hat = w * np.einsum("mnk,mkl,mnl->mn", x, inverse, x)
    found: FloatArray = w * ((y - np.einsum("mnk,mk->mn", x, beta)) / (1 - hat)) ** 2
    return found


def slopes_without_each(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """Coefficients (n, k) of the regression without each variant."""
    inverse = np.linalg.inv((x * w[:, None]).T @ x)
    beta = inverse @ (x.T @ (w * y))
    influence = (x @ inverse) * w[:, None]
    hat = np.einsum("nk,nk->n", influence, x)
    found: FloatArray = beta - influence * ((y - x @ beta) / (1 - hat))[:, None]
    return found


def simulate_many(
    x: FloatArray, sx: FloatArray, sy: FloatArray, slopes: FloatArray, observed: FloatArray, rng: np.random.Generator,
    n_draws: int,
) -> tuple[int, IntArray]:  # fmt: skip
    """`simulate` for several exposures: x, sx (n, k), slopes (n, k) of the data without each variant."""
    w, (n, k) = 1.0 / sy**2, x.shape
    total, own = 0, np.zeros(n, dtype=np.int64)
    rss = float((w * observed).sum())
    block = max(1, BLOCK // (n * k))
    for start in range(0, n_draws, block):
        m = min(block, n_draws - start)
        drawn = x + sx * rng.standard_normal((m, n, k))
        y = np.einsum("nk,nk->n", slopes, x) + sy * rng.standard_normal((m, n))
        total += int((residual_squares_of_many(drawn, y, w).sum(axis=1) > rss).sum())
        own += ((y - np.einsum("nk,mnk->mn", slopes, drawn)) ** 2 > observed).sum(axis=0)
    return total, own
