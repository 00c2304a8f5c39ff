"""Attenuation to areal-mass maps of hydroxyapatite, lean and fat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, UnmeasurableScanError
from dxa_causal.imaging.air import air_level
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.read import BoolArray, FloatArray, ForearmScan

ARM_ATTENUATION = 0.10  # at the low energy: about a pixel half covered by the skin's edge
BONE_THRESHOLD = 0.12  # g/cm2 of rough mineral, smoothed; the mask is widened before fat is read beside it
CLEAR_OF_BONE_MM = 1.8
CLEAR_OF_SKIN_MM = 2.0
SMOOTH_FAT_MM = (30.0, 3.0)  # along and across the arm: streaks of fat between muscles run along it
OPAQUE_HA = 2.5  # g/cm2; no forearm bone reaches it, metal does

# What two energies cannot measure and must be assumed about the inside of a bone (adults):
CORTEX_G_CM3 = 1.12  # hydroxyapatite per volume of compact bone
DEPTH_TO_WIDTH = 0.9  # of the shaft, beam direction over image direction
MAX_HALF_DEPTH_MM = 8.1  # the flat distal end is no deeper than this
MARROW_FAT = 0.7  # of the marrow by volume is yellow, the rest red
RED_MARROW_FAT = 0.5  # of red marrow is adipose tissue (lipid 40 % where yellow marrow has 80 %)
SKIN_FAT_G_CM2 = 0.5  # of the fat in the beam lies under the skin, above and below; a bone does not displace it
FLANK_TELLS = 0.4  # of what fat on the flanks differs from that is taken to hold above and below as well
SKIN_MM = 1.5  # of the flank is skin, which counts as lean
SLANT = 1.2  # path through the shell of fat under the skin over its thickness, above and below the bones
MUSCLE_LEAN_G_CM2 = 1.2  # of lean in the beam: skin and the wall of the fascia hold less
LEAN_SMOOTH_MM = (6.0, 0.6)  # along and across the arm
FAT_G_CM3 = 0.95


@dataclass(frozen=True, eq=False, slots=True)
class TissueMaps:
    """Areal masses per pixel, row 0 distal, radius at low columns.

    Attributes
    ----------
    ha, lean, fat : (rows, columns) ndarray
        Areal mass, g/cm2. Under bone, fat is interpolated from the soft tissue
        beside it. NaN where nothing can be known (dead rows, metal).
    marrow : (rows, columns) ndarray
        Assumed thickness of the marrow, cm; 0 outside bone.
    arm, bone, opaque, beyond : (rows, columns) ndarray of bool
        Arm; roughly detected bone; pixels of metal or another opaque object;
        pixels that attenuate more than anything in the calibration wedge.
    dead_rows : (rows,) ndarray of bool
    pixel_mm : (float, float)
        Pixel size (row, column) in the plane of the bones, mm.
    """

    ha: FloatArray
    lean: FloatArray
    fat: FloatArray
    marrow: FloatArray
    arm: BoolArray
    bone: BoolArray
    opaque: BoolArray
    beyond: BoolArray
    dead_rows: BoolArray
    pixel_mm: tuple[float, float]


def decompose(image: ForearmScan, calibration: Calibration, marrow_fat: float = MARROW_FAT) -> TissueMaps:
    r"""Turn a scan into areal masses of hydroxyapatite, lean and fat.

    Parameters
    ----------
    image : ForearmScan
    calibration : Calibration
        Of the same device.
    marrow_fat : float
        Share of yellow marrow in the marrow of the shaft, 0 to 1; the rest is
        red. An assumption: adults have 0.4 to 0.95 there.

    Returns
    -------
    TissueMaps

    Raises
    ------
    OptionError
        `marrow_fat` is not between 0 and 1.
    UnmeasurableScanError
        The calibration is of another device, the pixel spacing is not known, or
        there is no air or no arm in the field.

    Notes
    -----
    Two energies give two numbers per pixel, so a pixel of bone cannot tell
    mineral, lean and fat apart. Soft pixels are solved for lean and fat. What the
    soft tissue near by holds (Gaussian mean, 30 mm along and 3 mm across the
    arm) is taken to lie over and under the bone as well; bone pixels are then
    solved for mineral and lean. The mean is long because a streak of fat between
    muscles beside a bone says little about those above it.

    A bone displaces tissue of that kind, less the fat :math:`s` under the skin (0.5
    g/cm2, moved by 0.4 towards that of the flanks), and brings marrow. With :math:`c`
    the chord (cm) of an elliptic shaft of the width seen in the row, :math:`f, l` the
    fat and lean mass near by, the marrow is :math:`c - m_{HA}/1.12` thick and the fat in the beam is

    .. math:: f + 0.95\,[(y + 0.5(1 - y))\,(c - m_{HA}/1.12) - c\,(f - s)/(f + l - s)]

    g/cm2, where :math:`y` is `marrow_fat`. What remains is a person's own: fat
    above the bone differs from that beside it by about 0.24 g/cm2 (SD), 1.5 % of
    bone mineral for each 0.2, and repeats from scan to scan.

    References
    ----------
    Sorenson JA, Duke PR, Smith SW (1989) Med Phys 16:75, doi:10.1118/1.596387.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> scan, truth = dc.simulate.forearm(1)
    >>> wedge, phantom = dc.simulate.calibration_scans(device="k_edge", seed=1)
    >>> maps = dc.imaging.decompose(dc.imaging.read(scan), dc.imaging.calibrate(wedge, phantom))
    >>> maps.ha.shape
    (250, 200)
    """
    from scipy import ndimage

    if not 0.0 <= marrow_fat <= 1.0:
        raise OptionError(f"marrow_fat={marrow_fat!r} must lie between 0 and 1 (adults: 0.4 to 0.95)")
    name = image.scan_id or "scan"
    if image.device_id and calibration.device_id and image.device_id != calibration.device_id:
        raise UnmeasurableScanError(
            f"{name} is of device {image.device_id!r}, the calibration of {calibration.device_id!r}", "device_mismatch"
        )
    if not all(map(math.isfinite, image.pixel_mm)):
        raise UnmeasurableScanError(f"{name}: the pixel spacing is not known, so nothing has a size", "no_spacing")
    top = image.max_count
    air = air_level(image.low, saturated=top), air_level(image.high, saturated=top)
    if not (math.isfinite(air[0]) and math.isfinite(air[1])):
        raise UnmeasurableScanError(
            f"{name}: no unattenuated beam in the field (too little air, or saturated)", "no_air"
        )
    dead = dead_rows(image, air)
    low, high = (
        _bridge(calibration.attenuation(_whole(counts, dead), level, energy, image.spacing_mm), dead)
        for energy, (counts, level) in enumerate(zip((image.low, image.high), air))
    )
    arm = arm_mask(low)
    if not arm.any():
        raise UnmeasurableScanError(f"{name}: no arm in the field", "no_arm")

    pixel = np.asarray(image.pixel_mm)
    lean, fat = calibration.soft(low, high)
    typical = float(np.clip(np.median((fat / np.maximum(fat + lean, 1e-6))[arm]), 0.0, 1.0))
    rough = calibration.bone(low, high, typical * np.maximum(fat + lean, 0.0))[0]
    opaque = arm & (ndimage.median_filter(rough, 3) > OPAQUE_HA)
    opaque = ndimage.binary_dilation(opaque, iterations=2)
    bone = arm & (ndimage.gaussian_filter(rough, 1.0) > BONE_THRESHOLD)
    for _ in range(2):  # the second round has the local fat, so the first mask need not be good
        near_fat, near_lean = _near_by((fat, lean), arm, bone | opaque, pixel)
        ha, lean_bone = calibration.bone(low, high, near_fat)
        bone = arm & (ndimage.gaussian_filter(ha, 1.0) > BONE_THRESHOLD)
    chord = _chord_cm(bone, pixel)
    under_skin = _fat_under_skin(lean, arm, bone | opaque, pixel)
    displaced = np.clip((near_fat - under_skin) / np.maximum(near_fat + near_lean - under_skin, 0.5), 0.0, 1.0)
    adipose = marrow_fat + RED_MARROW_FAT * (1.0 - marrow_fat)
    for _ in range(2):  # mineral and marrow thickness depend on each other, weakly
        marrow = np.maximum(chord - np.maximum(ha, 0.0) / CORTEX_G_CM3, 0.0)
        fat_everywhere = near_fat + FAT_G_CM3 * (adipose * marrow - displaced * chord)
        ha, lean_bone = calibration.bone(low, high, fat_everywhere)
    lean = np.where(bone, lean_bone, lean)
    fat = np.where(bone, fat_everywhere, fat)
    unknown = opaque | dead[:, None]
    ha, lean, fat = (np.where(unknown, np.nan, np.where(arm, m, 0.0)) for m in (ha, lean, fat))
    return TissueMaps(
        ha=ha,
        lean=lean,
        fat=fat,
        marrow=marrow,
        arm=arm,
        bone=bone,
        opaque=opaque,
        beyond=(low > calibration.max_attenuation[0]) | (high > calibration.max_attenuation[1]),
        dead_rows=dead,
        pixel_mm=image.pixel_mm,
    )


def dead_rows(image: ForearmScan, air: tuple[float, float]) -> BoolArray:
    """Rows whose brightest pixel is far below air at either energy."""
    rows: BoolArray = (image.low.max(axis=1) < 0.2 * air[0]) | (image.high.max(axis=1) < 0.2 * air[1])
    return rows


def arm_mask(low: FloatArray) -> BoolArray:
    """Largest attenuating region without holes; empty when it covers less than 5 % of the field."""
    from scipy import ndimage

    found = low > ARM_ATTENUATION
    labels, n = ndimage.label(found)
    if n == 0:
        return found
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    arm: BoolArray = ndimage.binary_fill_holes(labels == sizes.argmax())
    return arm if arm.mean() >= 0.05 else np.zeros_like(arm)


def _whole(counts: npt.NDArray[Any], dead: BoolArray) -> npt.NDArray[Any]:
    """Counts with the nearest live row in place of each dead one, which would else scatter nothing."""
    if not dead.any() or dead.all():
        return counts
    alive = np.flatnonzero(~dead)
    nearest = alive[np.abs(alive[None, :] - np.arange(len(dead))[:, None]).argmin(axis=1)]
    return counts[nearest]


def _bridge(attenuation: FloatArray, dead: BoolArray) -> FloatArray:
    """Put the neighbours' mean into dead rows, so that filters and masks do not trip over them."""
    if dead.any() and not dead.all():
        alive = np.flatnonzero(~dead)
        for row in np.flatnonzero(dead):
            k = int(np.clip(np.searchsorted(alive, row), 1, len(alive) - 1))
            attenuation[row] = 0.5 * (attenuation[alive[k - 1]] + attenuation[alive[k]])
    return attenuation


def _near_by(
    masses: tuple[FloatArray, FloatArray], arm: BoolArray, bone: BoolArray, pixel_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gaussian means of areal masses over the soft tissue around each pixel."""
    from scipy import ndimage

    near_bone = ndimage.binary_dilation(bone, iterations=max(1, round(CLEAR_OF_BONE_MM / pixel_mm[1])))
    inner = ndimage.binary_erosion(arm, iterations=max(1, round(CLEAR_OF_SKIN_MM / pixel_mm[1])), border_value=1)
    soft = inner & ~near_bone
    if not soft.any():
        soft = inner if inner.any() else arm
    sigma = np.asarray(SMOOTH_FAT_MM) / pixel_mm
    weight = np.maximum(ndimage.gaussian_filter(soft.astype(float), sigma), 1e-9)
    fat, lean = (ndimage.gaussian_filter(np.where(soft, mass, 0.0), sigma) / weight for mass in masses)
    return fat, lean


def smooth_lean(lean: FloatArray, soft: BoolArray, pixel_mm: npt.ArrayLike) -> FloatArray:
    """Mean lean mass, g/cm2, of the soft tissue around a pixel: muscle where it exceeds `MUSCLE_LEAN_G_CM2`."""
    from scipy import ndimage

    sigma = np.asarray(LEAN_SMOOTH_MM) / pixel_mm
    weight = np.maximum(ndimage.gaussian_filter(soft.astype(float), sigma), 1e-9)
    smooth: FloatArray = ndimage.gaussian_filter(np.where(soft, np.nan_to_num(lean), 0.0), sigma) / weight
    return smooth


def flanks(arm: BoolArray, inside: BoolArray) -> BoolArray:
    """Pixels of the arm on either side of what lies inside the fascia (muscle and bone), row by row."""
    columns = np.arange(arm.shape[1])
    rows = np.logical_and(arm.any(axis=1), inside.any(axis=1))
    first, last = inside.argmax(axis=1), arm.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    beside: BoolArray = arm & rows[:, None] & ((columns < first[:, None]) | (columns > last[:, None]))
    return beside


def _fat_under_skin(lean: FloatArray, arm: BoolArray, bone: BoolArray, pixel_mm: FloatArray) -> float:
    """Fat, g/cm2, above and below the muscle: the usual one, moved towards that of the flanks."""
    inside: BoolArray = bone | (arm & (smooth_lean(lean, arm & ~bone, pixel_mm) > MUSCLE_LEAN_G_CM2))
    beside = flanks(arm, inside)
    rows = beside.any(axis=1)
    if not rows.any():
        return SKIN_FAT_G_CM2
    flank_mm = float(np.median(beside[rows].sum(axis=1))) * 0.5 * float(pixel_mm[1])
    seen = 2.0 * SLANT * FAT_G_CM3 * max(flank_mm - SKIN_MM, 0.0) / 10.0
    return SKIN_FAT_G_CM2 + FLANK_TELLS * (seen - SKIN_FAT_G_CM2)


def _chord_cm(bone: BoolArray, pixel_mm: FloatArray) -> FloatArray:
    """Thickness, cm, of an elliptic shaft as wide as each run of bone pixels in a row."""
    from scipy import ndimage

    chord = np.zeros(bone.shape)
    runs, _ = ndimage.label(bone, structure=[[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    for run in ndimage.find_objects(runs):
        n = run[1].stop - run[1].start
        half_width = 0.5 * n * pixel_mm[1]
        half_depth = min(DEPTH_TO_WIDTH * half_width, MAX_HALF_DEPTH_MM)
        across = (np.arange(n) + 0.5) * pixel_mm[1] / half_width - 1.0
        chord[run] = 0.2 * half_depth * np.sqrt(1.0 - across**2)
    return chord
