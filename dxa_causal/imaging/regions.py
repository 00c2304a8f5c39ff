"""Where to measure: distance along the forearm and the one-third site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dxa_causal._core.errors import UnmeasurableScanError
from dxa_causal.imaging.read import BoolArray, FloatArray

HALF_SITE_MM = 10.0
ULTRADISTAL_MM = (10.0, 25.0)
MARGIN_MM = 1.0  # to the border: the styloid is not found better than this
UNSEEN_TIP_MM = 0.35  # of the styloid holds too little mineral to be seen
AXIS_MM = (20.0, 110.0)  # from the styloid: where the ulna's shaft gives the direction


@dataclass(frozen=True, eq=False, slots=True)
class ForearmAxis:
    """The ulna's axis: a tip, and a direction towards the elbow.

    Attributes
    ----------
    tip : (float, float)
        Row and column of the ulnar styloid's tip, pixel centres are integers.
    direction : (2,) ndarray
        Unit vector (row, column) in millimetres, pointing proximally.
    pixel_mm : (float, float)
    """

    tip: tuple[float, float]
    direction: FloatArray
    pixel_mm: tuple[float, float]

    def distance(self, shape: tuple[int, int]) -> FloatArray:
        """Millimetres from the tip along the axis, for every pixel of an image."""
        rows = (np.arange(shape[0]) - self.tip[0]) * self.pixel_mm[0] * self.direction[0]
        columns = (np.arange(shape[1]) - self.tip[1]) * self.pixel_mm[1] * self.direction[1]
        along: FloatArray = rows[:, None] + columns[None, :]
        return along


def ulna_axis(ulna: BoolArray, pixel_mm: tuple[float, float]) -> ForearmAxis:
    """Tip and direction of the ulna from its mask.

    Raises
    ------
    UnmeasurableScanError
        The mask reaches the distal border, or too little of the shaft is seen.
    """
    rows = np.flatnonzero(ulna.any(axis=1))
    if not rows.size:
        raise UnmeasurableScanError("no ulna was found", "segmentation_failed")
    first = int(rows[0])
    if first <= 1:
        raise UnmeasurableScanError(
            "the ulna reaches the distal border: the styloid is not in the field", "styloid_outside_field"
        )
    columns = np.arange(ulna.shape[1])
    centre = (ulna * columns).sum(axis=1)[rows] / ulna.sum(axis=1)[rows]
    below = (rows - first) * pixel_mm[0]
    shaft = (below >= AXIS_MM[0]) & (below <= AXIS_MM[1])
    if shaft.sum() * pixel_mm[0] < 20.0:
        raise UnmeasurableScanError("less than 20 mm of the ulna's shaft is in the field", "segmentation_failed")
    slope = float(np.polyfit(below[shaft], centre[shaft] * pixel_mm[1], 1)[0])
    direction = np.array([1.0, slope]) / np.hypot(1.0, slope)
    return ForearmAxis(
        tip=(first - 0.5 - UNSEEN_TIP_MM / pixel_mm[0], float(centre[0])), direction=direction, pixel_mm=pixel_mm
    )


def band(distance: FloatArray, start_mm: float, stop_mm: float, row_mm: float) -> FloatArray:
    """Share of each pixel between two distances, so that a band's area does not jump by whole rows.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(band(np.arange(0.0, 10.0, 0.5), 2.2, 5.1, 0.5).sum()) * 0.5, 6)
    2.9
    """
    after = np.clip((distance - start_mm) / row_mm + 0.5, 0.0, 1.0)
    before = np.clip((stop_mm - distance) / row_mm + 0.5, 0.0, 1.0)
    share: FloatArray = np.maximum(after + before - 1.0, 0.0)
    return share


def sites(forearm_length_mm: float) -> dict[str, tuple[float, float]]:
    """Start and end of every site, mm from the ulnar styloid.

    Examples
    --------
    >>> sites(240.0)
    {'third': (70.0, 90.0), 'mid': (25.0, 70.0), 'ultradistal': (10.0, 25.0)}
    """
    start, stop = third_site(forearm_length_mm)
    return {"third": (start, stop), "mid": (ULTRADISTAL_MM[1], start), "ultradistal": ULTRADISTAL_MM}


def third_site(forearm_length_mm: float) -> tuple[float, float]:
    """Start and end of the one-third site, mm from the ulnar styloid."""
    return forearm_length_mm / 3.0 - HALF_SITE_MM, forearm_length_mm / 3.0 + HALF_SITE_MM


def leaves_field(distance: FloatArray, bones: BoolArray, start_mm: float, stop_mm: float) -> bool:
    """Whether a band across the bones comes within a millimetre of the distal or proximal border."""
    proximal, distal = distance[-1][bones[-1]], distance[0][bones[0]]
    short = not proximal.size or proximal.min() < stop_mm + MARGIN_MM
    return bool(short or (distal.size > 0 and distal.max() > start_mm - MARGIN_MM))


def outline(axis: ForearmAxis, inside: BoolArray, start_mm: float, stop_mm: float) -> FloatArray:
    """Corners (4, 2) as row, column of the rectangle along the axis that holds a region."""
    rows, columns = np.nonzero(inside)
    side = np.array([-axis.direction[1], axis.direction[0]])
    offsets = (rows - axis.tip[0]) * axis.pixel_mm[0] * side[0] + (columns - axis.tip[1]) * axis.pixel_mm[1] * side[1]
    low, high = offsets.min() - 1.0, offsets.max() + 1.0
    corners = [(start_mm, low), (start_mm, high), (stop_mm, high), (stop_mm, low)]
    in_mm = np.array([along * axis.direction + across * side for along, across in corners])
    placed: FloatArray = in_mm / np.asarray(axis.pixel_mm) + np.asarray(axis.tip)
    return placed
