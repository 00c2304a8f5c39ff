"""A planar map within a mask, checked and cropped."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError, UnmeasurableScanError
from dxa_causal.imaging.read import BoolArray, FloatArray

BAD_SHOWN = 3


def within(image: npt.ArrayLike, mask: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Part of a map and of its mask that the mask spans; refused where the mask is empty or a pixel in it unknown."""
    values, inside = np.asarray(image, dtype=float), np.asarray(mask, dtype=bool)
    if values.ndim != 2 or values.shape != inside.shape:
        raise ImageError(f"image {values.shape} and mask {inside.shape} must be two-dimensional and of one shape")
    if not inside.any():
        raise UnmeasurableScanError("mask: no pixel is set, so there is nothing to measure", "texture_failed")
    unknown = np.argwhere(inside & ~np.isfinite(values))
    if len(unknown):
        where = ", ".join(f"({r}, {c})" for r, c in unknown[:BAD_SHOWN])
        raise ImageError(
            f"image: {len(unknown)} of {int(inside.sum())} pixels in the mask are not finite, first at (row, column) "
            f"{where}; leave them out: mask & np.isfinite(image)"
        )
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(values[crop]), np.ascontiguousarray(inside[crop])


def check_pixel(pixel_mm: tuple[float, float]) -> None:
    """Refuse a size of pixels (row, column) that is not two positive numbers, mm."""
    if len(pixel_mm) != 2 or not all(math.isfinite(side) and side > 0 for side in pixel_mm):
        raise ImageError(f"pixel_mm={pixel_mm!r} must be two positive numbers, mm: of a row and of a column")
