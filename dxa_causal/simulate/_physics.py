"""X-rays of the simulator: attenuation at two energies, devices, noise.

These constants belong to the simulator alone. What measures images must learn
a device from its calibration scans, or a test of accuracy would test nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, nearest

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
CountArray = npt.NDArray[np.uint16]

# Mass attenuation, cm2/g, total with coherent scatter. Tissues and hydroxyapatite: Elam's tables
# (Elam WT, Ravel BD, Sieber JR, Radiat Phys Chem 2002;63:121, doi:10.1016/S0969-806X(01)00227-4) with
# ICRU-44 compositions. Aluminium, polyethylene: Hubbell JH, Seltzer SM, NISTIR 5632 (doi:10.18434/T4D01F),
# log-log interpolated to 38 and 70 keV.
ATTENUATION: Mapping[int, Mapping[str, float]] = {
    30: {"ha": 2.0992, "lean": 0.3783, "fat": 0.3064, "water": 0.3756, "pmma": 0.3032, "al": 1.128, "pe": 0.2706},
    38: {"ha": 1.1234, "lean": 0.2822, "fat": 0.2481, "water": 0.2817, "pmma": 0.2437, "al": 0.6423, "pe": 0.2346},
    50: {"ha": 0.5867, "lean": 0.2263, "fat": 0.2123, "water": 0.2269, "pmma": 0.2074, "al": 0.3681, "pe": 0.2084},
    70: {"ha": 0.3131, "lean": 0.1916, "fat": 0.1875, "water": 0.1929, "pmma": 0.1825, "al": 0.2341, "pe": 0.1890},
    80: {"ha": 0.2589, "lean": 0.1823, "fat": 0.1800, "water": 0.1837, "pmma": 0.1751, "al": 0.2018, "pe": 0.1823},
}
DENSITY = {"lean": 1.05, "fat": 0.95, "water": 0.998, "pmma": 1.185, "al": 2.699, "pe": 0.935}  # g/cm3
HA_SOLID = 3.16  # g/cm3
AIR_COUNTS = 50_000.0


@dataclass(frozen=True, slots=True)
class Device:
    """One kind of scanner, idealised to two single energies without scatter."""

    energies_kev: tuple[int, int]
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    magnification: float
    quanta: float  # per pixel in air
    blur_px: float


DEVICES = {
    "k_edge": Device((38, 70), (0.6, 0.6), (250, 200), 1.01, 1e5, 0.45),
    "kvp_switch": Device((50, 80), (0.5, 0.5), (300, 220), 1.05, 3e5, 0.60),
    "portable": Device((30, 50), (0.6, 0.5), (250, 230), 1.03, 4e4, 0.35),
}


def device_named(name: str) -> Device:
    """The device of that name, or an error that lists them."""
    if name not in DEVICES:
        near = nearest(name, DEVICES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"device={name!r} is not allowed; use {', '.join(map(repr, DEVICES))}{hint}")
    return DEVICES[name]


def expose(
    masses: Mapping[str, FloatArray], device: Device, rng: np.random.Generator, *, supersampled: int = 1
) -> tuple[CountArray, CountArray]:
    r"""Counts at the low and the high energy behind areal masses.

    Parameters
    ----------
    masses : mapping of material to (rows, columns * supersampled) ndarray
        Areal mass, g/cm2.
    device : Device
    rng : Generator
    supersampled : int
        Columns per detector pixel; the beam, not the mass, is averaged over them.

    Notes
    -----
    :math:`I/I_0 = \exp(-\sum_k (\mu/\rho)_k m_k)`, averaged over the pixel, blurred,
    then Poisson noise.
    """
    from scipy import ndimage

    images = []
    for energy in device.energies_kev:
        path = -np.asarray(sum(ATTENUATION[energy][material] * mass for material, mass in masses.items()))
        beam = binned(np.exp(path, out=path), supersampled)
        beam = ndimage.gaussian_filter(beam, device.blur_px, mode="nearest", truncate=3.0)
        counts = rng.poisson(beam * device.quanta) * (AIR_COUNTS / device.quanta)
        image = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
        image.flags.writeable = False
        images.append(image)
    return images[0], images[1]


def binned(fine: npt.NDArray[Any], columns: int) -> FloatArray:
    """Mean over groups of neighbouring columns."""
    if columns == 1:
        return np.asarray(fine, dtype=np.float64)
    total: FloatArray = np.add.reduce([fine[:, k::columns] for k in range(columns)], dtype=np.float64)
    return total / columns
