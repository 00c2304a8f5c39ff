"""Quality flags: what was wrong with a scan, or why a number is missing."""

from __future__ import annotations

import numpy as np

from dxa_causal.imaging.read import BoolArray, FloatArray, ForearmScan

FLAGS = {
    "unreadable": "the files could not be read as a scan; see the error column of extract",
    "failed": "measuring it stopped with an error that is not foreseen; see the error column of extract",
    "no_spacing": "the pixel spacing is not known, so no length, area or site can be measured",
    "burnt_in_identity": "the picture may show the patient's name; look before it is passed on",
    "lossy_compression": "the pixels were compressed with loss on their way here",
    "no_calibration": "no calibration of the scan's device was given",
    "device_mismatch": "scan, manifest or calibration name different devices",
    "no_air": "no unattenuated beam in the field",
    "no_arm": "no arm in the field",
    "saturated": "more than 0.1 % of the pixels are at the detector's maximum",
    "segmentation_failed": "radius and ulna could not be told apart",
    "styloid_outside_field": "the tip of the ulnar styloid is not in the field",
    "no_forearm_length": "neither forearm_length_mm nor height_cm is known, so no site can be placed",
    "length_from_height": "forearm length was taken as 0.146 of the height",
    "sides_contradict": "the bone on the radius' side is the narrower at the wrist: wrong laterality, or mirrored",
    "site_outside_field": "a site is not wholly in the field; its features are missing",
    "site_obscured": "more than 5 % of a bone at a site lies under metal or in dead rows; its features are missing",
    "beyond_calibration": "part of a bone at a site attenuates more than anything in the wedge",
    "metal": "metal or another opaque object in the field",
    "dead_rows": "rows without signal",
    "motion": "the arm's outline jumps between rows",
    "texture_failed": "too few pixels of bone, or too much noise, for texture",
}

SATURATED_SHARE = 0.001
MOTION_MM = 2.0
WRIST_MM = (5.0, 20.0)  # from the ulnar styloid: here the radius is about 1.7 times as wide as the ulna
NARROWER = 0.8
_MOTION_ROWS = 3  # averaged on each side of a possible jump


def saturated(scan: ForearmScan) -> bool:
    """Whether more than 0.1 % of either image is at the detector's maximum."""
    return any(float((image >= scan.max_count).mean()) > SATURATED_SHARE for image in (scan.low, scan.high))


def moved(arm: BoolArray, column_mm: float) -> bool:
    """Whether both edges of the arm jump the same way by more than 2 mm between neighbouring rows.

    Examples
    --------
    >>> import numpy as np
    >>> arm = np.zeros((40, 60), dtype=bool)
    >>> arm[:20, 10:40] = arm[20:, 20:50] = True
    >>> moved(arm, 0.6), moved(arm[:20], 0.6)
    (True, False)
    """
    inside = arm.any(axis=1) & ~arm[:, 0] & ~arm[:, -1]
    edges = np.stack([arm.argmax(axis=1), arm.shape[1] - arm[:, ::-1].argmax(axis=1)], axis=1).astype(float)
    edges[~inside] = np.nan
    if len(edges) < 2 * _MOTION_ROWS:
        return False
    mean = np.lib.stride_tricks.sliding_window_view(edges, _MOTION_ROWS, axis=0).mean(axis=2)
    jump = (mean[_MOTION_ROWS:] - mean[:-_MOTION_ROWS]) * column_mm
    return bool(((jump > MOTION_MM).all(axis=1) | (jump < -MOTION_MM).all(axis=1)).any())


def sides_contradict(radius: BoolArray, ulna: BoolArray, distance_mm: FloatArray) -> bool:
    """Whether what lies on the radius' side is much narrower at the wrist than what lies on the ulna's.

    Parameters
    ----------
    radius, ulna : (rows, columns) ndarray of bool
    distance_mm : (rows, columns) ndarray
        From the ulnar styloid, towards the elbow.
    """
    wrist = (distance_mm >= WRIST_MM[0]) & (distance_mm <= WRIST_MM[1])
    return bool((wrist & radius).sum() < NARROWER * (wrist & ulna).sum())
