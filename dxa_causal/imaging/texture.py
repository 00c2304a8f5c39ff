"""Texture of the bone-mineral map by pyradiomics, chosen features only."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import numpy as np

from dxa_causal._core.errors import ImageError, UnmeasurableScanError
from dxa_causal._core.optional import require
from dxa_causal.imaging.read import BoolArray, FloatArray

BIN_WIDTH = 0.05  # g/cm2: above the pixel noise of the devices met so far, 20 or so grey levels in a shaft
MIN_PIXELS = 200

# our name -> (pyradiomics class, its feature, unit, definition)
TEXTURE = {
    "firstorder_mean": ("firstorder", "Mean", "g/cm2", "mean"),
    "firstorder_variance": ("firstorder", "Variance", "g2/cm4", "variance"),
    "firstorder_skewness": ("firstorder", "Skewness", "1", "skewness"),
    "firstorder_entropy": ("firstorder", "Entropy", "bit", "entropy of the grey-level histogram"),
    "glcm_contrast": ("glcm", "Contrast", "1", "mean squared difference of neighbouring grey levels"),
    "glcm_homogeneity": ("glcm", "Idm", "1", "inverse difference moment of neighbouring grey levels"),
    "glcm_correlation": ("glcm", "Correlation", "1", "correlation of neighbouring grey levels"),
    "glrlm_run_entropy": ("glrlm", "RunEntropy", "bit", "entropy of run lengths and grey levels"),
    "glrlm_short_run_emphasis": ("glrlm", "ShortRunEmphasis", "1", "weight of short runs of one grey level"),
}


def texture(image: FloatArray, mask: BoolArray, pixel_mm: tuple[float, float]) -> dict[str, float]:
    """Texture features of a planar map within a mask.

    Parameters
    ----------
    image : (rows, columns) ndarray
        Bone mineral, g/cm2.
    mask : (rows, columns) ndarray of bool
    pixel_mm : (float, float)

    Returns
    -------
    dict of str to float
        Keys as in `TEXTURE`.

    Raises
    ------
    ImageError
        Mask and image differ in size.
    UnmeasurableScanError
        Fewer than 200 pixels.

    Notes
    -----
    Grey levels are 0.05 g/cm2 wide, bins starting at a multiple of the width;
    neighbours lie within the plane at one pixel. The map is given as a stack of
    one slice with ``force2D=True``: the same option on a two-dimensional image
    reads its rows as slices and gives wrong matrices.

    References
    ----------
    van Griethuysen JJM et al. (2017) Cancer Res 77:e104, doi:10.1158/0008-5472.CAN-17-0339.
    """
    if mask.shape != image.shape:
        raise ImageError(f"the mask is {mask.shape}, the image {image.shape} pixels; they must be of one size")
    if int(mask.sum()) < MIN_PIXELS:
        raise UnmeasurableScanError(f"{int(mask.sum())} pixels; texture needs {MIN_PIXELS} or more", "texture_failed")
    for package in ("radiomics", "SimpleITK"):
        require(package, extra="imaging")
    import SimpleITK as sitk
    from radiomics import firstorder, glcm, glrlm

    engines = {
        "firstorder": firstorder.RadiomicsFirstOrder,
        "glcm": glcm.RadiomicsGLCM,
        "glrlm": glrlm.RadiomicsGLRLM,
    }
    rows, columns = np.nonzero(mask)
    crop = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    slices = [sitk.GetImageFromArray(a[crop][None]) for a in (np.nan_to_num(image), mask.astype(np.uint8))]
    for one in slices:
        one.SetSpacing((pixel_mm[1], pixel_mm[0], 1.0))  # type: ignore[no-untyped-call]
    found: dict[str, float] = {}
    with _quiet():
        for family, engine in engines.items():
            names = {name: feature for name, (f, feature, *_) in TEXTURE.items() if f == family}
            run = engine(*slices, binWidth=BIN_WIDTH, force2D=True, force2Ddimension=0)
            run.disableAllFeatures()
            for feature in names.values():
                run.enableFeatureByName(feature)
            values = run.execute()
            found |= {name: float(values[feature]) for name, feature in names.items()}
    return {name: found[name] for name in TEXTURE}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence pyradiomics' log for a moment (it announces every matrix)."""
    log = logging.getLogger("radiomics")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
