"""Muscle and fat of the forearm, with standard errors."""

from __future__ import annotations

import math

import numpy as np

from dxa_causal.imaging.bone import MAGNIFICATION_SD
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import FAT_G_CM3, SKIN_MM, TissueMaps, flanks
from dxa_causal.imaging.read import BoolArray, FloatArray
from dxa_causal.imaging.segmentation import CARPUS, MUSCLE, RADIUS, ULNA, Segmentation

CLEAR_MM = 2.0  # soft tissue is measured this far from bone and from the skin's edge
SLANT = 1.5  # path through the shell of fat over its thickness, mean over the muscle
BAND_MM = 10.0
STREAKS_MM = 3.0  # fat and lean are smoothed so far before their pattern is judged
FLANK_FROM_MM = 10.0  # of the ulna's axis, where the flanks are measured

# Standard deviations between people of what a scan cannot show, and of what their scans were found to miss:
FAT_SHARE_SD = 0.011  # lean of another water content reads as fat, and fat of another lipid content as lean
FLANK_SD_MM = 0.4
INTERMUSCULAR_SD = 0.04  # share of the muscle's path

SOFT_NAMES = (
    "soft_fat_fraction",
    "soft_fat_mass",
    "muscle_lean_mass",
    "muscle_area",
    "subcutaneous_area",
    "intermuscular_area",
    "muscle_fat_fraction",
    "muscle_heterogeneity",
    "subcutaneous_thickness",
)


def soft_tissue(
    maps: TissueMaps, seg: Segmentation, calibration: Calibration, distance: FloatArray, stop_mm: float
) -> dict[str, tuple[float, float]]:
    """Measure soft tissue from the styloid to the proximal end of the one-third site.

    Parameters
    ----------
    maps, seg, calibration
    distance : (rows, columns) ndarray
        Millimetres from the styloid along the ulna's axis.
    stop_mm : float

    Returns
    -------
    dict of str to (float, float)
        Value and standard error under the names in `SOFT_NAMES`; NaN where there
        is no such tissue.
    """
    pixel_cm2 = seg.pixel_mm[0] * seg.pixel_mm[1] / 100.0
    size_se = 2.0 * MAGNIFICATION_SD
    bone = np.isin(seg.labels, (RADIUS, ULNA, CARPUS)) | maps.opaque
    along = (distance >= 0.0) & (distance <= stop_mm)
    inner = depth_mm(maps.arm, seg.pixel_mm) >= CLEAR_MM
    clear = inner & (depth_mm(~bone, seg.pixel_mm) >= CLEAR_MM) & along & np.isfinite(maps.fat)
    found = dict.fromkeys(SOFT_NAMES, (math.nan, math.nan))
    fat, lean = float(maps.fat[clear].sum()), float(maps.lean[clear].sum())
    if fat + lean <= 0.0:
        return found
    share_se = math.hypot(calibration.residual_fat / ((fat + lean) / clear.sum()), FAT_SHARE_SD)
    found["soft_fat_fraction"] = fat / (fat + lean), share_se
    mass_se = math.hypot(share_se * (fat + lean) * pixel_cm2, size_se * fat * pixel_cm2)
    found["soft_fat_mass"] = fat * pixel_cm2, mass_se
    found["muscle_lean_mass"] = lean * pixel_cm2, math.hypot(mass_se, size_se * lean * pixel_cm2)

    muscle = (seg.labels == MUSCLE) & along & np.isfinite(maps.fat)
    if not muscle.any():
        return found
    thickness, flank_pixels = _flanks(maps.arm, seg, distance, stop_mm)
    area = float(muscle.sum()) * pixel_cm2
    beside = float((flank_pixels & along).sum()) * pixel_cm2
    length_cm = min(stop_mm, float(distance[maps.arm].max())) / 10.0
    edge = 2.0 * FLANK_SD_MM / 10.0 * length_cm
    found["muscle_area"] = area, math.hypot(edge, size_se * area)
    found["subcutaneous_area"] = beside, math.hypot(edge, size_se * beside)
    found["subcutaneous_thickness"] = thickness, FLANK_SD_MM
    fat_muscle, lean_muscle = float(maps.fat[muscle].sum()), float(maps.lean[muscle].sum())
    found["muscle_fat_fraction"] = fat_muscle / (fat_muscle + lean_muscle), share_se
    # fat under the skin above and below the muscle, as thick as on the flanks and crossed at a slant
    under_skin = 2.0 * SLANT * FAT_G_CM3 * max(thickness - SKIN_MM, 0.0) / 10.0
    between = np.clip(
        (maps.fat[muscle] - under_skin) / np.maximum(maps.fat + maps.lean - under_skin, 0.5)[muscle], 0, 1
    )
    found["intermuscular_area"] = float(between.sum()) * pixel_cm2, INTERMUSCULAR_SD * area
    found["muscle_heterogeneity"] = _heterogeneity(maps, muscle, distance, seg.pixel_mm)
    return found


def depth_mm(inside: BoolArray, pixel_mm: tuple[float, float]) -> FloatArray:
    """Distance of a pixel's centre to the edge of its region, mm; the image border is no edge."""
    from scipy import ndimage

    depth: FloatArray = ndimage.distance_transform_edt(inside, sampling=pixel_mm) - 0.5 * pixel_mm[1]
    return depth


def _flanks(arm: BoolArray, seg: Segmentation, distance: FloatArray, stop_mm: float) -> tuple[float, BoolArray]:
    """Mean thickness, mm, of the soft tissue beside the muscle on both sides, and its pixels."""
    inside = (seg.labels == MUSCLE) | (seg.labels >= RADIUS)
    beside = flanks(arm, inside)
    rows = beside.any(axis=1)
    middle = distance[:, arm.shape[1] // 2]
    measured = rows & (middle >= FLANK_FROM_MM) & (middle <= stop_mm)
    if not measured.any():
        return math.nan, beside
    return float(beside[measured].sum(axis=1).mean()) * 0.5 * seg.pixel_mm[1], beside


def _heterogeneity(
    maps: TissueMaps, muscle: BoolArray, distance: FloatArray, pixel_mm: tuple[float, float]
) -> tuple[float, float]:
    """Standard deviation of the fat share within muscle, once noise is smoothed away; error by a jackknife of bands."""
    from scipy import ndimage

    sigma = STREAKS_MM / np.asarray(pixel_mm)
    weight = np.maximum(ndimage.gaussian_filter(muscle.astype(float), sigma), 1e-9)
    fat, lean = (ndimage.gaussian_filter(np.where(muscle, m, 0.0), sigma) / weight for m in (maps.fat, maps.lean))
    share = fat[muscle] / np.maximum((fat + lean)[muscle], 1e-6)
    bands = np.floor(distance[muscle] / BAND_MM).astype(int)
    bands -= bands.min()
    n, first, second = (np.bincount(bands, w) for w in (None, share, share**2))
    left = n.sum() - n
    ready = (n > 0) & (left > 0)
    without = second.sum() - second[ready], first.sum() - first[ready]
    spread = np.sqrt(np.maximum(without[0] / left[ready] - (without[1] / left[ready]) ** 2, 0.0))
    k = spread.size
    return float(share.std()), float(np.sqrt((k - 1) / k * ((spread - spread.mean()) ** 2).sum()))
