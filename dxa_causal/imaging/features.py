"""One scan to one row of numbers, each with a unit and a flag."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dxa_causal._core.errors import UnmeasurableScanError
from dxa_causal.imaging import quality
from dxa_causal.imaging.bone import MAGNIFICATION_SD, WALL_G_CM3, bone_site
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import MARROW_FAT, TissueMaps, decompose
from dxa_causal.imaging.dictionary import FEATURE_NAMES
from dxa_causal.imaging.pair import HasImages
from dxa_causal.imaging.read import BoolArray, FloatArray, ForearmScan, read
from dxa_causal.imaging.regions import ForearmAxis, band, leaves_field, sites, ulna_axis
from dxa_causal.imaging.segmentation import Segmentation, segment
from dxa_causal.imaging.soft import soft_tissue
from dxa_causal.imaging.texture import TEXTURE, texture
from dxa_causal.imaging.variogram import noise_variance, variogram_slope

OBSCURED_SHARE = 0.05
BEYOND_SHARE = 0.01
LENGTH_PER_HEIGHT = 0.146
THIRD_CLASSES: tuple[Literal["firstorder", "glcm", "glrlm"], ...] = ("firstorder", "glcm", "glrlm")

# Standard deviations found on scans with truth:
STYLOID_SD_MM = 0.5
ROTATION_SD_DEG = 0.15
EDGE_SKIN_MM = 0.2
LENGTH_SD = 0.02  # relative, of a length taken from the height


def features(
    image: ForearmScan | HasImages | str | Path,
    calibration: Calibration | None = None,
    *,
    marrow_fat: float = MARROW_FAT,
) -> pd.DataFrame:
    """Measure one forearm scan.

    Parameters
    ----------
    image : ForearmScan, path or simulated scan
        Anything :func:`read` takes, or what it returned.
    calibration : Calibration, optional
        Of the scan's device. Without one nothing is measured in the image: the
        row holds NaN and the flag ``no_calibration``.
    marrow_fat : float
        Share of yellow marrow, see :func:`decompose`; recorded in the row.

    Returns
    -------
    DataFrame
        One row: scan_id, the features of :func:`feature_dictionary` with a standard
        error ``{name}_se`` each (texture has none, see
        :func:`stability`), marrow_fat_assumed, qc_flag.

    Raises
    ------
    ImageError
        The scan cannot be read, or is a radiograph of one energy. What can be read
        but not measured is NaN, with the reason in `qc_flag`.

    Notes
    -----
    Mineral content is summed over the bone's outline widened by two pixels,
    because blur carries mineral past the edge; area is that of the outline; BMD
    is their quotient. Wall, marrow space and resistance to bending take the shaft for
    an elliptic tube of compact bone of 1.09 g/cm3 hydroxyapatite
    (`radius_mineral_density_assumed`), 0.9 times as deep as it is wide.

    Standard errors are of a person's value: they hold the fat above the bone, the
    marrow (yellow from 0.4 to 0.95), the calibration, the magnification and the
    outline. Most of them repeat when a person is scanned again, so a change is judged
    by :func:`precision`, not by them. Mineral is hydroxyapatite as the device's phantom defines
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
    values = dict.fromkeys(FEATURE_NAMES, math.nan)
    flags = list(scan.flags)
    if quality.saturated(scan):
        flags.append("saturated")
    length, flag = forearm_length(scan)
    _put(values, "forearm_length", (length, LENGTH_SD * length if flag else 0.0))
    if flag:
        flags.append(flag)
    if calibration is None:
        flags.append("no_calibration")
    else:
        try:
            _measure(scan, calibration, marrow_fat, values, flags)
        except UnmeasurableScanError as error:
            flags.append(error.code)
    return pd.DataFrame([{"scan_id": scan.scan_id, **values, "qc_flag": ";".join(dict.fromkeys(flags)) or "ok"}])


def _measure(
    scan: ForearmScan, calibration: Calibration, marrow_fat: float, values: dict[str, float], flags: list[str]
) -> None:
    """Fill `values` and `flags` as far as the scan allows."""
    maps = decompose(scan, calibration, marrow_fat)
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
    _put(values, "ulna_styloid_row", (axis.tip[0], STYLOID_SD_MM / seg.pixel_mm[0]))
    slope = math.degrees(math.atan2(float(axis.direction[1]), float(axis.direction[0])))
    _put(values, "forearm_rotation", (-slope if scan.laterality == "L" else slope, ROTATION_SD_DEG))
    length = values["forearm_length"]
    if not math.isfinite(length):
        return
    places = sites(length)
    stop = places["third"][1]
    for name, entry in soft_tissue(maps, seg, calibration, distance, stop).items():
        _put(values, name, entry)
    values |= {"radius_mineral_density_assumed": WALL_G_CM3, "marrow_fat_assumed": marrow_fat}
    bones = seg.mask("radius") | seg.mask("ulna")
    for site, (first, last) in places.items():
        if leaves_field(distance, bones, first, last):
            flags.append("site_outside_field")
            continue
        _site(
            maps,
            seg,
            calibration,
            axis,
            site,
            band(distance, first, last, seg.pixel_mm[0]),
            last - first,
            values,
            flags,
        )


def _site(
    maps: TissueMaps,
    seg: Segmentation,
    calibration: Calibration,
    axis: ForearmAxis,
    site: str,
    share: FloatArray,
    length_mm: float,
    values: dict[str, float],
    flags: list[str],
) -> None:
    """Both bones at one site; at the one-third site also the shaft, the arm and, as at the ultradistal one, texture."""
    from scipy import ndimage

    if site == "third":
        pixel_mm2 = seg.pixel_mm[0] * seg.pixel_mm[1]
        width = float((share * maps.arm).sum()) * pixel_mm2 / length_mm
        _put(values, "forearm_width", (width, math.hypot(EDGE_SKIN_MM, MAGNIFICATION_SD * width)))
    known = np.isfinite(maps.ha)
    for bone in ("radius", "ulna"):
        within = share * seg.mask(bone)
        total = float(within.sum())
        if total == 0.0:
            flags.append("segmentation_failed")
            continue
        if within[~known].sum() > OBSCURED_SHARE * total:
            flags.append("site_obscured")
            continue
        if within[maps.beyond].sum() > BEYOND_SHARE * total:
            flags.append("beyond_calibration")
        cut = bone_site(maps, seg, calibration, bone, site, share, length_mm)
        found = cut.mineral()
        if bone == "ulna":
            del found["width"]
        elif site == "third":
            found |= cut.shaft(axis)
        for name, entry in found.items():
            _put(values, f"{bone}_{site}_{name}", entry)
        if bone == "radius" and site != "mid":
            inner = ndimage.binary_erosion(seg.mask(bone), iterations=1) & (share >= 0.5) & known
            _texture(maps, seg, site, inner, values, flags)


def _texture(
    maps: TissueMaps, seg: Segmentation, site: str, inner: BoolArray, values: dict[str, float], flags: list[str]
) -> None:
    try:
        if site == "third":
            found = texture(maps.ha, inner, seg.pixel_mm, classes=THIRD_CLASSES)
            values |= {f"radius_third_{name}": found[key] for name, key in TEXTURE.items()}
            return
        found = texture(maps.ha, inner, seg.pixel_mm)
        values |= {f"radius_ultradistal_texture_{name}": value for name, value in found.items()}
    except UnmeasurableScanError as error:
        flags.append(error.code)
        return
    muscle = seg.mask("muscle") & np.isfinite(maps.ha)
    try:
        noise = noise_variance(maps.ha, muscle)
        slope = variogram_slope(maps.ha, inner, seg.pixel_mm, noise_variance=noise)
    except UnmeasurableScanError as error:
        flags.append(error.code)
        return
    values["radius_ultradistal_variogram_slope"] = slope
    values["radius_ultradistal_fractal_dimension"] = 3.0 - 0.5 * slope


def _put(values: dict[str, float], name: str, entry: tuple[float, float]) -> None:
    values[name], values[f"{name}_se"] = entry


def forearm_length(scan: ForearmScan) -> tuple[float, str]:
    """Length, mm, and the quality flag it brings: none, taken from the height, or not known (NaN)."""
    if math.isfinite(scan.forearm_length_mm):
        return scan.forearm_length_mm, ""
    height = scan.meta.get("height_cm")
    if isinstance(height, int | float) and math.isfinite(height) and height > 0:
        return LENGTH_PER_HEIGHT * 10.0 * float(height), "length_from_height"
    return math.nan, "no_forearm_length"
