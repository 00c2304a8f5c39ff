"""The same features by pyradiomics 3.0.1, under our names."""

import contextlib
import logging
import re
import warnings

import numpy as np

CLASSES = {
    "firstorder": "RadiomicsFirstOrder",
    "glcm": "RadiomicsGLCM",
    "glrlm": "RadiomicsGLRLM",
    "glszm": "RadiomicsGLSZM",
    "gldm": "RadiomicsGLDM",
    "ngtdm": "RadiomicsNGTDM",
}


@contextlib.contextmanager
def quiet():
    """Without pyradiomics' log of every matrix, and its warnings of means of nothing."""
    log = logging.getLogger("radiomics")
    before = log.level
    log.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            log.setLevel(before)


def snake(name):
    """``ShortRunEmphasis`` to ``short_run_emphasis``; ``MCC`` to ``mcc``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def by_pyradiomics(image, mask, **settings):
    """All features of a map, given as a stack of one slice."""
    import radiomics  # sets the level of its log
    import SimpleITK as sitk

    with quiet():
        slices = [sitk.GetImageFromArray(a[None]) for a in (image.astype(float), mask.astype(np.uint8))]
        found = {}
        for family, name in CLASSES.items():
            engine = getattr(getattr(radiomics, family), name)
            values = engine(*slices, force2D=True, force2Ddimension=0, **settings).execute()
            found |= {f"{family}_{snake(feature)}": float(np.squeeze(value)) for feature, value in values.items()}
    return found
