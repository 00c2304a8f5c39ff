"""Attenuation to areal-mass maps of hydroxyapatite, lean and fat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dxa_causal._core.errors import UnmeasurableScanError
from dxa_causal.imaging.air import air_level
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.read import BoolArray, FloatArray, ForearmScan

ARM_ATTENUATION = 0.10  # at the low energy: about a pixel half covered by the skin's edge
BONE_THRESHOLD = 0.12  # g/cm2 of rough mineral, smoothed; the mask is widened before fat is read beside it
CLEAR_OF_BONE_MM = 1.8
CLEAR_OF_SKIN_MM = 2.0
SMOOTH_FAT_MM = (6.0, 1.2)  # along and across the arm
OPAQUE_HA = 2.5  # g/cm2; no forearm bone reaches it, metal does

# What two energies cannot measure and must be assumed about the inside of a bone (adults):
CORTEX_G_CM3 = 1.12  # hydroxyapatite per volume of compact bone
DEPTH_TO_WIDTH = 0.9  # of the shaft, beam direction over image direction
MAX_HALF_DEPTH_MM = 8.1  # the flat distal end is no deeper than this
MARROW_FAT_SHARE = 0.85  # of the marrow by volume is adipose: yellow marrow with some red
MUSCLE_FAT_SHARE = 0.08  # of the muscle that the bone displaces is fat between its fibres
FAT_G_CM3 = 0.95


@dataclass(frozen=True, eq=False, slots=True)
class TissueMaps:
    """Areal masses per pixel, row 0 distal, radius at low columns.

    Attributes
    ----------
    ha, lean, fat : (rows, columns) ndarray
        Areal mass, g/cm2. Under bone, fat is interpolated from the soft tissue
        beside it. NaN where nothing can be known (dead rows, metal).
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
    arm: BoolArray
    bone: BoolArray
    opaque: BoolArray
    beyond: BoolArray
    dead_rows: BoolArray
    pixel_mm: tuple[float, float]


def decompose(image: ForearmScan, calibration: Calibration) -> TissueMaps:
    r"""Turn a scan into areal masses of hydroxyapatite, lean and fat.

    Parameters
    ----------
    image : ForearmScan
    calibration : Calibration
        Of the same device.

    Returns
    -------
    TissueMaps

    Raises
    ------
    UnmeasurableScanError
        The calibration is of another device, the pixel spacing is not known, or
        there is no air or no arm in the field.

    Notes
    -----
    Two energies give two numbers per pixel, so a pixel of bone cannot tell
    mineral, lean and fat apart. Soft pixels are solved for lean and fat; the fat
    map is smoothed within the soft tissue and carried across the bones by linear
    interpolation in each row; bone pixels are then solved for mineral and lean.
    Fat *mass* varies less across a bone than the ratio of the attenuations does,
    which is what older methods interpolate.

    A bone also brings fat of its own (marrow) and displaces the fat of the muscle
    it replaces. With :math:`c` the chord of an elliptic shaft of the width seen in
    the row, the marrow is :math:`c - m_{HA}/1.12` thick (cm, with
    :math:`m_{HA}` in g/cm2) and the carried fat changes by
    :math:`0.95\,[0.85\,(c - m_{HA}/1.12) - 0.08\,c]` g/cm2. These shares are
    assumptions about adults, not measurements; without the term the one-third
    radius reads about 3-4 % low when its marrow is yellow. A person's marrow and
    the streaks of fat beside the bone differ, which leaves an error of
    about 2-3 % (SD between people) that repeats from scan to scan.

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
        _bridge(-np.log(np.maximum(counts, 1.0) / level), dead) for counts, level in zip((image.low, image.high), air)
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
        fat_everywhere = _carry_fat(fat, arm, bone | opaque, pixel)
        ha, lean_bone = calibration.bone(low, high, fat_everywhere)
        bone = arm & (ndimage.gaussian_filter(ha, 1.0) > BONE_THRESHOLD)
    carried, chord = fat_everywhere, _chord_cm(bone, pixel)
    for _ in range(2):  # mineral and marrow thickness depend on each other, weakly
        fat_everywhere = carried + _own_fat(ha, chord)
        ha, lean_bone = calibration.bone(low, high, fat_everywhere)
    lean = np.where(bone, lean_bone, lean)
    fat = np.where(bone, fat_everywhere, fat)
    unknown = opaque | dead[:, None]
    ha, lean, fat = (np.where(unknown, np.nan, np.where(arm, m, 0.0)) for m in (ha, lean, fat))
    return TissueMaps(
        ha=ha,
        lean=lean,
        fat=fat,
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


def _bridge(attenuation: FloatArray, dead: BoolArray) -> FloatArray:
    """Put the neighbours' mean into dead rows, so that filters and masks do not trip over them."""
    if dead.any() and not dead.all():
        alive = np.flatnonzero(~dead)
        for row in np.flatnonzero(dead):
            k = int(np.clip(np.searchsorted(alive, row), 1, len(alive) - 1))
            attenuation[row] = 0.5 * (attenuation[alive[k - 1]] + attenuation[alive[k]])
    return attenuation


def _carry_fat(fat: FloatArray, arm: BoolArray, bone: BoolArray, pixel_mm: FloatArray) -> FloatArray:
    """Fat smoothed within soft tissue, then interpolated linearly across bone and up to the skin."""
    from scipy import ndimage

    column = pixel_mm[1]
    near_bone = ndimage.binary_dilation(bone, iterations=max(1, round(CLEAR_OF_BONE_MM / column)))
    inner = ndimage.binary_erosion(arm, iterations=max(1, round(CLEAR_OF_SKIN_MM / column)), border_value=1)
    soft = inner & ~near_bone
    sigma = np.asarray(SMOOTH_FAT_MM) / pixel_mm
    weight = ndimage.gaussian_filter(soft.astype(float), sigma)
    smooth = ndimage.gaussian_filter(np.where(soft, fat, 0.0), sigma) / np.maximum(weight, 1e-9)
    carried = smooth.copy()
    columns = np.arange(fat.shape[1])
    overall = float(np.median(fat[soft])) if soft.any() else 0.0
    for row in range(len(fat)):
        known = np.flatnonzero(soft[row])
        carried[row] = np.interp(columns, known, smooth[row, known]) if known.size else overall
    return carried


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


def _own_fat(ha: FloatArray, chord_cm: FloatArray) -> FloatArray:
    """Fat, g/cm2, that a bone adds (marrow) less what it displaces (fat within muscle)."""
    marrow = np.maximum(chord_cm - np.maximum(ha, 0.0) / CORTEX_G_CM3, 0.0)
    return FAT_G_CM3 * (MARROW_FAT_SHARE * marrow - MUSCLE_FAT_SHARE * chord_cm)
