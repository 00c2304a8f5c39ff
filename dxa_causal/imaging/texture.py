"""Texture of a planar map within a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from dxa_causal._core.errors import OptionError, UnmeasurableScanError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal.imaging._kernels import texture as kernels
from dxa_causal.imaging.planar import check_pixel, within
from dxa_causal.imaging.read import BoolArray, FloatArray
from dxa_causal.imaging.texture_table import FEATURES, NAMES
from dxa_causal.imaging.variogram import fractal_dimension, noise_variance, variogram_slope

__all__ = [
    "BIN_WIDTH",
    "CLASSES",
    "FEATURES",
    "MIN_PIXELS",
    "TEXTURE",
    "fractal_dimension",
    "noise_variance",
    "texture",
    "variogram_slope",
]

TextureClass = Literal["firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"]
Directions = Literal["averaged", "merged"]

CLASSES: tuple[TextureClass, ...] = get_args(TextureClass)
BIN_WIDTH = 0.05  # g/cm2: above the pixel noise of the devices met so far, 20 or so grey levels in a shaft
MIN_PIXELS = 200
MAX_LEVELS = 1000  # more come of a bin too narrow, and matrices grow with their square

# what a scan's row holds -> the feature it is
TEXTURE = {
    "firstorder_mean": "firstorder_mean",
    "firstorder_variance": "firstorder_variance",
    "firstorder_skewness": "firstorder_skewness",
    "firstorder_entropy": "firstorder_entropy",
    "glcm_contrast": "glcm_contrast",
    "glcm_homogeneity": "glcm_idm",
    "glcm_correlation": "glcm_correlation",
    "glrlm_run_entropy": "glrlm_run_entropy",
    "glrlm_short_run_emphasis": "glrlm_short_run_emphasis",
}


def texture(
    image: FloatArray,
    mask: BoolArray,
    pixel_mm: tuple[float, float],
    *,
    classes: Sequence[TextureClass] = CLASSES,
    bin_width: float = BIN_WIDTH,
    n_bins: int | None = None,
    directions: Directions = "averaged",
    min_pixels: int = MIN_PIXELS,
) -> dict[str, float]:
    r"""Texture features of a planar map within a mask.

    Parameters
    ----------
    image : (rows, columns) ndarray
        Bone mineral, g/cm².
    mask : (rows, columns) ndarray of bool
        Pixels to measure; they need not hang together.
    pixel_mm : (float, float)
        Size of a pixel (row, column), mm. Neighbours are neighbouring pixels,
        whatever their size; it enters ``firstorder_total_energy`` only.
    classes : sequence of str
        Among 'firstorder', 'glcm' (pairs of neighbours), 'glrlm' (runs), 'glszm'
        (zones), 'gldm' (dependences) and 'ngtdm' (differences from neighbours).
    bin_width : float
        Width of a grey level, g/cm²; levels start at a multiple of it.
    n_bins : int, optional
        Instead, so many levels of equal width from the smallest value in the mask
        to the largest.
    directions : 'averaged' or 'merged'
        Pairs and runs are counted in four directions. Features are averaged over
        these, or taken of the merged counts.
    min_pixels : int
        Fewer in the mask are refused.

    Returns
    -------
    dict of str to float
        Keys ``{class}_{feature}``, as in ``FEATURES``, which has the units and
        definitions. NaN where no pixel has a neighbour ('glcm', 'ngtdm').

    Raises
    ------
    UnmeasurableScanError
        The mask is empty or has fewer pixels than `min_pixels`, or there are more
        than 1000 levels.
    ImageError
        Shapes differ, or a pixel in the mask is not finite.

    Notes
    -----
    The level of a value is :math:`\lfloor x / w \rfloor - \lfloor x_{min} / w \rfloor + 1`,
    or :math:`\min(\lfloor n (x - x_{min}) / (x_{max} - x_{min}) \rfloor + 1, n)` with
    `n_bins`; a value within :math:`10^{-9}` bins below an edge counts as on it, so
    that 0.15 lies in the fourth bin of 0.05 whatever its last binary digit.
    Matrices: pairs at one pixel, symmetric; runs in four directions; zones and
    neighbourhoods of eight neighbours; dependence of equal levels only.

    Features and names are those of pyradiomics 3.0.1, except its deprecated ones,
    and values follow IBSI. They differ from pyradiomics where it does: kurtosis is
    the excess; runs count in all four directions even where a mask is so thin that
    one of them holds single pixels only; a pixel without neighbours takes no part
    in 'ngtdm'; the second information correlation is 0, not left out, in a
    direction where rounding makes it the root of a negative number; and values on
    a bin's edge, as above. Total energy and the maximal correlation coefficient are
    not in IBSI.

    References
    ----------
    Zwanenburg A et al. (2020) Radiology 295:328, doi:10.1148/radiol.2020191145.
    van Griethuysen JJM et al. (2017) Cancer Res 77:e104, doi:10.1158/0008-5472.CAN-17-0339.

    Examples
    --------
    >>> import numpy as np
    >>> from dxa_causal.imaging.texture import texture
    >>> checks = 0.5 + 0.1 * (np.indices((20, 20)).sum(axis=0) % 2)
    >>> found = texture(checks, np.ones((20, 20), dtype=bool), (0.6, 0.6), classes=["glcm"])
    >>> round(found["glcm_contrast"], 6)  # neighbours in rows and columns differ by two levels, at corners by none
    2.0
    """
    check_pixel(pixel_mm)
    for family in classes:
        check_option("classes", family, CLASSES)
    check_option("directions", directions, Directions)
    check_whole_number("min_pixels", min_pixels, 1)
    values, inside = within(image, mask)
    n = int(inside.sum())
    if n < min_pixels:
        raise UnmeasurableScanError(f"{n} pixels; texture needs {min_pixels} or more", "texture_failed")
    seen = values[inside]
    levels, grey = kernels.ranks(_levels(seen, bin_width, n_bins), inside)
    merged = directions == "merged"
    found: dict[str, FloatArray] = {}
    if "firstorder" in classes:
        counts = kernels.tally(levels, grey)
        found["firstorder"] = kernels.firstorder(seen, counts, float(pixel_mm[0] * pixel_mm[1]))
    if "glcm" in classes:
        found["glcm"] = kernels.glcm(levels, grey, merged)
    if "glrlm" in classes:
        found["glrlm"] = kernels.glrlm(levels, grey, merged)
    if "glszm" in classes:
        found["glszm"] = kernels.glszm(levels, grey)
    if "gldm" in classes or "ngtdm" in classes:
        dependences, differences = kernels.neighbourhoods(levels, grey)
        found["gldm"] = kernels.gldm(dependences, grey)
        found["ngtdm"] = kernels.ngtdm(differences, grey)
    return {
        f"{family}_{name}": float(value)
        for family in CLASSES
        if family in classes
        for name, value in zip(NAMES[family], found[family])
    }


def _levels(seen: FloatArray, bin_width: float, n_bins: int | None) -> FloatArray:
    """Grey level of each value, from 1."""
    if n_bins is not None:
        check_whole_number("n_bins", n_bins, 1, MAX_LEVELS)
        return kernels.levels_of_number(seen, n_bins)
    if not (math.isfinite(bin_width) and bin_width > 0):
        raise OptionError(f"bin_width={bin_width!r} must be a positive number, in the unit of the map")
    levels = kernels.levels_of_width(seen, bin_width)
    if levels.max() > MAX_LEVELS:
        raise UnmeasurableScanError(
            f"bin_width={bin_width:g} makes {levels.max():.0f} grey levels of values from {seen.min():.4g} to "
            f"{seen.max():.4g}; {MAX_LEVELS} at most are counted. Widen the bins or leave the outlying pixels out",
            "texture_failed",
        )
    return levels
