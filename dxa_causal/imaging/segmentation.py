"""Tissue maps to labels: air, soft tissue, muscle, radius, ulna, carpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError, UnmeasurableScanError
from dxa_causal.imaging.decomposition import MUSCLE_LEAN_G_CM2, TissueMaps, smooth_lean
from dxa_causal.imaging.read import BoolArray, FloatArray
from dxa_causal.imaging.regions import band, leaves_field, outline, sites, ulna_axis

AIR, SOFT, MUSCLE, RADIUS, ULNA, CARPUS = range(6)
NAMES = ("air", "soft", "muscle", "radius", "ulna", "carpus")

BONE_EDGE = 0.20  # g/cm2: about what a pixel half covered by a shaft's cortex holds
EDGE_SMOOTH_PX = 0.6  # holds noise down without moving the edge
MIN_BONE_WIDTH_MM = 6.0
MIN_SHAFT_MM = 30.0  # of two separate bones at the proximal end, to know which is which
SKIN_MM = 2.0

LabelArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, slots=True)
class Segmentation:
    """Labels of a scan.

    Attributes
    ----------
    labels : (rows, columns) ndarray of uint8
        0 air, 1 soft (skin and subcutaneous flanks), 2 muscle, 3 radius, 4 ulna,
        5 carpus (and metacarpals).
    pixel_mm : (float, float)
        Pixel size (row, column) in the plane of the bones, mm.
    """

    labels: LabelArray
    pixel_mm: tuple[float, float]

    def mask(self, name: str) -> BoolArray:
        """Pixels of one tissue by name, for instance ``"radius"``."""
        if name not in NAMES:
            raise ImageError(f"name={name!r} is not a tissue; use one of {', '.join(NAMES)}")
        found: BoolArray = self.labels == NAMES.index(name)
        return found

    def site_outlines(self, forearm_length_mm: float) -> dict[str, FloatArray]:
        """Corners (4, 2) as row, column of the box around the radius at every site in the field, for a figure."""
        axis = ulna_axis(self.mask("ulna"), self.pixel_mm)
        distance = axis.distance(self.labels.shape)
        bones = self.mask("radius") | self.mask("ulna")
        return {
            name: outline(axis, (band(distance, *ends, self.pixel_mm[0]) * self.mask("radius")) > 0.0, *ends)
            for name, ends in sites(forearm_length_mm).items()
            if not leaves_field(distance, bones, *ends)
        }


def segment(maps: TissueMaps) -> Segmentation:
    """Label every pixel of a decomposed scan.

    Parameters
    ----------
    maps : TissueMaps

    Returns
    -------
    Segmentation

    Raises
    ------
    UnmeasurableScanError
        Two shafts cannot be told apart at the proximal end of the field.

    Notes
    -----
    Bone is where the mineral map, barely smoothed, exceeds 0.20 g/cm2. At the
    proximal end the two shafts are separate; the gap between them is followed
    distally and, where the bones touch, carried on in a straight line. What is
    joined to a shaft on its side of the gap is radius (low columns) or ulna;
    other bone is carpus. Muscle is soft tissue with more than 1.2 g/cm2 of lean,
    smoothed, at least 2 mm from the skin's edge.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> scan, truth = dc.simulate.forearm(1)
    >>> wedge, phantom = dc.simulate.calibration_scans(device="k_edge", seed=1)
    >>> maps = dc.imaging.decompose(dc.imaging.read(scan), dc.imaging.calibrate(wedge, phantom))
    >>> seg = dc.imaging.segment(maps)
    >>> [int(label) for label in sorted(set(seg.labels.ravel()))]
    [0, 1, 2, 3, 4, 5]
    """
    from scipy import ndimage

    ha = np.nan_to_num(maps.ha, nan=0.0)
    if maps.dead_rows.any():
        ha[maps.dead_rows] = _nearest_alive(ha, maps.dead_rows)
    bone = maps.arm & (ndimage.gaussian_filter(ha, EDGE_SMOOTH_PX) > BONE_EDGE) | maps.opaque
    bone = ndimage.binary_fill_holes(ndimage.binary_opening(bone, iterations=1))
    split = _gap_between_shafts(bone, maps.pixel_mm)
    columns = np.arange(bone.shape[1])
    low_side = columns < split[:, None]
    radius = _joined_to_shaft(bone & low_side)
    ulna = _joined_to_shaft(bone & ~low_side)

    labels = np.zeros(bone.shape, dtype=np.uint8)
    labels[maps.arm] = SOFT
    labels[_muscle(maps, bone)] = MUSCLE
    labels[bone] = CARPUS
    labels[radius] = RADIUS
    labels[ulna] = ULNA
    labels.flags.writeable = False
    return Segmentation(labels=labels, pixel_mm=maps.pixel_mm)


def bone_coverage(ha: FloatArray, near: BoolArray) -> FloatArray:
    """Share of each pixel that is bone: the edge's place between columns by linear interpolation.

    Shafts run nearly along the columns, so whole pixels would all err the same
    way: half a pixel on both sides is 4 % of a radius.
    """
    from scipy import ndimage

    smooth = np.pad(ndimage.gaussian_filter(np.nan_to_num(ha, nan=0.0), EDGE_SMOOTH_PX), ((0, 0), (1, 1)), mode="edge")
    here, before, after = smooth[:, 1:-1], smooth[:, :-2], smooth[:, 2:]
    covered = np.zeros(ha.shape)
    for part in (1, 3):  # at 1/8 and 3/8 of a pixel to either side
        for neighbour in (before, after):
            covered += here + part / 8.0 * (neighbour - here) > BONE_EDGE
    return np.where(near, covered / 4.0, 0.0)


def _nearest_alive(image: FloatArray, dead: BoolArray) -> FloatArray:
    alive = np.flatnonzero(~dead)
    if not alive.size:
        raise UnmeasurableScanError("every row of the scan is dead", "dead_rows")
    nearest = alive[np.abs(alive[None, :] - np.flatnonzero(dead)[:, None]).argmin(axis=1)]
    rows: FloatArray = image[nearest]
    return rows


def _runs(row: BoolArray, min_px: float) -> list[tuple[int, int]]:
    """Half-open runs of bone in one row that are at least `min_px` wide."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return [(a, b) for a, b in zip(edges[::2], edges[1::2]) if b - a >= min_px]


def _gap_between_shafts(bone: BoolArray, pixel_mm: tuple[float, float]) -> FloatArray:
    """Column that parts radius and ulna in every row, followed from the proximal end."""
    n = len(bone)
    split = np.full(n, np.nan)
    for row in range(n - 1, -1, -1):
        runs = _runs(bone[row], MIN_BONE_WIDTH_MM / pixel_mm[1])
        if len(runs) == 2:
            split[row] = 0.5 * (runs[0][1] + runs[1][0])
        elif row < n - MIN_SHAFT_MM / pixel_mm[0]:
            break  # the shafts meet here (or end): carry the line on
    known = np.flatnonzero(np.isfinite(split))
    if known.size < MIN_SHAFT_MM / pixel_mm[0]:
        raise UnmeasurableScanError(
            f"two separate shafts were found in {known.size} rows at the proximal end; at least "
            f"{MIN_SHAFT_MM:.0f} mm are needed to tell radius from ulna",
            "segmentation_failed",
        )
    last = known[known < known[0] + round(15.0 / pixel_mm[0])]
    slope, start = np.polyfit(last, split[last], 1)
    rows = np.arange(n)
    line: FloatArray = np.where(rows < known[0], start + slope * rows, np.interp(rows, known, split[known]))
    return line


def _joined_to_shaft(side: BoolArray) -> BoolArray:
    """The connected region that reaches furthest along the arm from the proximal border."""
    from scipy import ndimage

    regions, n = ndimage.label(side)
    if n == 0:
        return side
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    shaft: BoolArray = regions == sizes.argmax()
    return shaft


def _muscle(maps: TissueMaps, bone: BoolArray) -> BoolArray:
    from scipy import ndimage

    soft = maps.arm & ~bone & np.isfinite(maps.fat)
    lean = smooth_lean(maps.lean, soft, maps.pixel_mm)
    steps = max(1, round(SKIN_MM / maps.pixel_mm[1]))
    inner = ndimage.binary_erosion(maps.arm, iterations=steps, border_value=1)
    muscle: BoolArray = soft & inner & (lean > MUSCLE_LEAN_G_CM2)
    regions, n = ndimage.label(muscle)
    if n > 1:  # specks of lean within the flank are not muscle
        sizes = np.bincount(regions.ravel())
        muscle &= sizes[regions] >= 0.02 * muscle.sum()
    return muscle
