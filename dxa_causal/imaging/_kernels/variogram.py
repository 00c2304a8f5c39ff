"""Sums of squared differences of a masked map at given lags."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@kernel
def _squares(image, inside, lags, totals):
    rows, columns = image.shape
    for k in range(lags.shape[0]):
        down, right = lags[k, 0], lags[k, 1]
        total, pairs = 0.0, 0
        for r in range(rows - down):
            for c in range(columns - right):
                if inside[r, c] and inside[r + down, c + right]:
                    step = image[r + down, c + right] - image[r, c]
                    total += step * step
                    pairs += 1
        totals[k, 0] = total
        totals[k, 1] = pairs


def squares(image: FloatArray, inside: IntArray, lags: IntArray) -> FloatArray:
    """Sum of squared differences and number of pairs, (n, 2), at each lag (rows down, columns right), (n, 2)."""
    totals = np.empty((len(lags), 2))
    _squares(image, inside, lags, totals)
    return totals


@warms
def _warm() -> None:
    squares(np.zeros((2, 2)), np.ones((2, 2), dtype=np.int64), np.array([[0, 1]], dtype=np.int64))
