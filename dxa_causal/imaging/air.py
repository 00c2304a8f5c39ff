"""The unattenuated beam: the reference of every attenuation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_AIR_SHARE = 0.01  # of the field; fewer bright pixels are no reference
SATURATED = 65535


def air_level(image: npt.NDArray[Any], *, saturated: float = SATURATED) -> float:
    """Counts of the unattenuated beam, NaN when the field shows too little air.

    The median of the pixels within 4 % of the brightest level, twice; the
    brightest level starts at the 99th percentile, so that a few hot pixels do
    not move it. NaN also when that level is `saturated`, the detector's maximum.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.full((50, 50), 50_000, dtype=np.uint16)
    >>> image[:, 10:40] = 9_000
    >>> air_level(image)
    50000.0
    """
    level = float(np.percentile(image, 99))
    if level < 1 or level >= saturated:
        return math.nan
    for _ in range(2):
        bright = image[np.abs(image / level - 1.0) < 0.04]
        if bright.size < MIN_AIR_SHARE * image.size:
            return math.nan
        level = float(np.median(bright))
    return level
