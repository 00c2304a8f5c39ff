"""p-values adjusted for how many there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def holm(p_value: FloatArray) -> FloatArray:
    """Holm's step-down p-values (any dependence); missing ones stay missing and do not count."""
    known = p_value[~np.isnan(p_value)]
    order = np.argsort(known)
    adjusted = np.maximum.accumulate(known[order] * np.arange(known.size, 0, -1))
    return _back(p_value, order, adjusted)


def benjamini_hochberg(p_value: FloatArray) -> FloatArray:
    """Benjamini and Hochberg's step-up p-values (false discovery rate); missing ones do not count."""
    known = p_value[~np.isnan(p_value)]
    order = np.argsort(known)[::-1]
    adjusted = np.minimum.accumulate(known[order] * known.size / np.arange(known.size, 0, -1))
    return _back(p_value, order, adjusted)


def _back(p_value: FloatArray, order: npt.NDArray[np.intp], adjusted: FloatArray) -> FloatArray:
    known = np.empty(order.size)
    known[order] = np.minimum(adjusted, 1.0)
    found = np.full(p_value.shape, np.nan)
    found[~np.isnan(p_value)] = known
    return found
