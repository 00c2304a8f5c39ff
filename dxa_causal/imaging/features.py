"""One scan to one row of numbers, each with a unit and a flag."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from dxa_causal._core.errors import UnmeasurableScanError
from dxa_causal.imaging import quality
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import TissueMaps, decompose
from dxa_causal.imaging.dictionary import MEASURED_NAMES, TEXTURE_NAMES
from dxa_causal.imaging.pair import HasImages
from dxa_causal.imaging.read import BoolArray, FloatArray, ForearmScan, read
from dxa_causal.imaging.regions import band, leaves_field, third_site, ulna_axis
from dxa_causal.imaging.segmentation import CARPUS, RADIUS, ULNA, Segmentation, bone_coverage, segment
from dxa_causal.imaging.texture import texture

CLEAR_MM = 2.0  # soft tissue is measured this far from bone and from the skin's edge
SPILL_PX = 2  # mineral that blur carries past the bone's outline is counted with it
OBSCURED_SHARE = 0.05
BEYOND_SHARE = 0.01
LENGTH_PER_HEIGHT = 0.146


def features(image: ForearmScan | HasImages | str | Path, calibration: Calibration | None = None) -> pd.DataFrame:
    """Measure one forearm scan.

    Parameters
    ----------
    image : ForearmScan, path or simulated scan
        Anything :func:`read` takes, or what it returned.
    calibration : Calibration, optional
        Of the scan's device. Without one nothing is measured in the image: the
        row holds NaN and the flag ``no_calibration``.

    Returns
    -------
    DataFrame
        One row: scan_id, the features of :func:`feature_dictionary`, qc_flag.

    Raises
    ------
    ImageError
        The scan cannot be read, or is a radiograph of one energy. What can be read
        but not measured is NaN, with the reason in `qc_flag`.

    Notes
    -----
    Mineral content is summed over the bone's outline widened by two pixels,
    because blur carries mineral past the edge; area is that of the outline; BMD
    is their quotient. Mineral is hydroxyapatite as the device's phantom defines
    it, so levels of two manufacturers need cross-calibration before they are
    pooled.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> scan, truth = dc.simulate.forearm(1, device="k_edge", age=70, sex="F")
    >>> wedge, phantom = dc.simulate.calibration_scans(device="k_edge", seed=1)
    >>> row = dc.imaging.features(scan, calibration=dc.imaging.calibrate(wedge, phantom)).iloc[0]
    >>> bool(abs(row["radius_third_bmd"] / truth["radius_third_bmd"] - 1) < 0.02), row["qc_flag"]
    (True, 'ok')
    """
    scan = read(image)
    values = dict.fromkeys((*MEASURED_NAMES, *TEXTURE_NAMES), math.nan)
    flags = list(scan.flags)
    if quality.saturated(scan):
        flags.append("saturated")
    values["forearm_length"], flag = forearm_length(scan)
    if flag:
        flags.append(flag)
    if calibration is None:
        flags.append("no_calibration")
    else:
        try:
            _measure(scan, calibration, values, flags)
        except UnmeasurableScanError as error:
            flags.append(error.code)
    return pd.DataFrame([{"scan_id": scan.scan_id, **values, "qc_flag": ";".join(dict.fromkeys(flags)) or "ok"}])


def _measure(scan: ForearmScan, calibration: Calibration, values: dict[str, float], flags: list[str]) -> None:
    """Fill `values` and `flags` as far as the scan allows."""
    maps = decompose(scan, calibration)
    if maps.opaque.any():
        flags.append("metal")
    if maps.dead_rows.any():
        flags.append("dead_rows")
    if quality.moved(maps.arm, maps.pixel_mm[1]):
        flags.append("motion")
    seg = segment(maps)
    axis = ulna_axis(seg.mask("ulna"), seg.pixel_mm)
    distance = axis.distance(seg.labels.shape)
    if quality.sides_contradict(seg.mask("radius"), seg.mask("ulna"), distance):
        flags.append("sides_contradict")
        return  # the bone measured would be the ulna
    values["ulna_styloid_row"] = axis.tip[0]
    length = values["forearm_length"]
    if not math.isfinite(length):
        return
    start, stop = third_site(length)
    values["soft_fat_fraction"] = _soft_fat_fraction(maps, seg, distance, stop)
    if leaves_field(distance, seg.mask("radius") | seg.mask("ulna"), start, stop):
        flags.append("site_outside_field")
        return
    site = band(distance, start, stop, seg.pixel_mm[0])
    pixel_cm2 = seg.pixel_mm[0] * seg.pixel_mm[1] / 100.0
    values["forearm_width"] = float((site * maps.arm).sum()) * pixel_cm2 * 100.0 / (stop - start)
    _radius(maps, seg, site, pixel_cm2, values, flags)


def _radius(
    maps: TissueMaps,
    seg: Segmentation,
    site: FloatArray,
    pixel_cm2: float,
    values: dict[str, float],
    flags: list[str],
) -> None:
    from scipy import ndimage

    radius = seg.mask("radius")
    within = site * radius
    known = np.isfinite(maps.ha)
    if within[~known].sum() > OBSCURED_SHARE * within.sum():
        flags.append("site_obscured")
        return
    if within[maps.beyond].sum() > BEYOND_SHARE * within.sum():
        flags.append("beyond_calibration")
    widened = ndimage.binary_dilation(radius, iterations=SPILL_PX) & ~seg.mask("ulna")
    content = float((site * np.where(widened & known, maps.ha, 0.0)).sum()) * pixel_cm2
    content *= float(within.sum() / within[known].sum())  # the few dead pixels count as their neighbours
    edge = ndimage.binary_dilation(radius, iterations=1) & ~seg.mask("ulna")
    covered = np.where(known, bone_coverage(maps.ha, edge), radius)
    area = float((site * covered).sum()) * pixel_cm2
    values["radius_third_bmc"], values["radius_third_area"] = content, area
    values["radius_third_bmd"] = content / area
    inner = ndimage.binary_erosion(radius, iterations=1) & (site >= 0.5) & known
    try:
        found = texture(maps.ha, inner, seg.pixel_mm)
    except UnmeasurableScanError as error:
        flags.append(error.code)
        return
    values |= {f"radius_third_{name}": value for name, value in found.items()}


def _soft_fat_fraction(maps: TissueMaps, seg: Segmentation, distance: FloatArray, stop_mm: float) -> float:
    bone = np.isin(seg.labels, (RADIUS, ULNA, CARPUS)) | maps.opaque
    soft = _depth_mm(maps.arm, seg.pixel_mm) >= CLEAR_MM
    soft &= _depth_mm(~bone, seg.pixel_mm) >= CLEAR_MM
    soft &= (distance >= 0.0) & (distance <= stop_mm) & np.isfinite(maps.fat)
    fat, lean = float(maps.fat[soft].sum()), float(maps.lean[soft].sum())
    return fat / (fat + lean) if fat + lean > 0 else math.nan


def _depth_mm(inside: BoolArray, pixel_mm: tuple[float, float]) -> FloatArray:
    """Distance of a pixel's centre to the edge of its region, mm; the image border is no edge."""
    from scipy import ndimage

    depth: FloatArray = ndimage.distance_transform_edt(inside, sampling=pixel_mm) - 0.5 * pixel_mm[1]
    return depth


def forearm_length(scan: ForearmScan) -> tuple[float, str]:
    """Length, mm, and the quality flag it brings: none, taken from the height, or not known (NaN)."""
    if math.isfinite(scan.forearm_length_mm):
        return scan.forearm_length_mm, ""
    height = scan.meta.get("height_cm")
    if isinstance(height, int | float) and math.isfinite(height) and height > 0:
        return LENGTH_PER_HEIGHT * 10.0 * float(height), "length_from_height"
    return math.nan, "no_forearm_length"
