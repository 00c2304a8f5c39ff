"""One forearm scan: two 16-bit images and what the site knows about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging.image_file import MAX_COUNT, as_number, spacing_of
from dxa_causal.imaging.pair import CountArray, HasImages, load, sides_over_middle

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SWAP_CHECK_SHARE = 0.05  # share of the field that must attenuate before the energies are compared


@dataclass(frozen=True, eq=False, slots=True)
class ForearmScan:
    """A dual-energy forearm scan, row 0 distal, radius at low columns.

    Attributes
    ----------
    low, high : (rows, columns) ndarray of uint16
        Detector counts at the low and the high energy, read-only. Left arms are
        mirrored on reading, so the radius always lies at low columns.
    spacing_mm : (float, float)
        Pixel spacing (row, column) in the detector plane, mm; NaN when none is
        known.
    magnification : float
        Size in the detector plane over size in the plane of the bones.
    forearm_length_mm : float
        Ulnar styloid to olecranon, mm; NaN when the site gave none.
    laterality : {"R", "L"}
    mirrored : bool
        True when the columns were reversed on reading.
    scan_id, subject_id, device_id : str
        Empty when neither sidecar nor image file has one.
    meta : mapping
        The whole sidecar and what the image files say: where the spacing comes
        from (`spacing_from`), `photometric`, `inverted`, `rescale` and so on.
    flags : tuple of str
        What reading noticed: ``no_spacing``, ``burnt_in_identity``,
        ``lossy_compression``.
    """

    low: CountArray
    high: CountArray
    spacing_mm: tuple[float, float]
    magnification: float
    forearm_length_mm: float
    laterality: str
    mirrored: bool
    scan_id: str = ""
    subject_id: str = ""
    device_id: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @property
    def max_count(self) -> float:
        """The detector's maximum: `max_count` of sidecar or image (2^bits - 1), else 65535."""
        given = as_number(self.meta.get("max_count"))
        return given if 0 < given < MAX_COUNT else float(MAX_COUNT)

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Pixel size (row, column) in the plane of the bones, mm."""
        return self.spacing_mm[0] / self.magnification, self.spacing_mm[1] / self.magnification

    def __repr__(self) -> str:
        rows, columns = self.low.shape
        return (
            f"ForearmScan({self.scan_id or 'unnamed'}, device {self.device_id or 'unknown'}, {rows} x {columns} px, "
            f"laterality {self.laterality})"
        )


def read(
    path: str | Path | HasImages, *, high: str | Path | None = None, sidecar: str | Path | None = None
) -> ForearmScan:
    """Read one dual-energy forearm scan.

    Parameters
    ----------
    path : path or scan
        A folder with ``low.tif``, ``high.tif`` and ``meta.json``, or with the same
        names in another format (``.png``, ``.dcm``, ``.nii``, ``.nii.gz``), or
        with two DICOM files whose KVP tells the energies, or with ``scan.dcm``
        (two frames) or ``scan.nii.gz`` (two images in the last dimension), low
        energy first. Or such a two-image file; or the low-energy file, with
        `high`. Or an object with `low`, `high` and `meta`, such as a simulated
        scan.
    high, sidecar : path, optional
        The high-energy image and the JSON sidecar when `path` is a file. The
        sidecar defaults to ``meta.json`` in a folder, to the file's name with
        ``.json`` beside a file.

    Returns
    -------
    ForearmScan

    Raises
    ------
    ImageError
        A file is missing or damaged, not a grey image of 16-bit counts, absurdly
        large or decompressing to more than its header says; the image shows one
        energy only; the two images differ in shape, are equal or are swapped;
        sidecar and image contradict each other; no laterality is known; a
        spacing is nonsense; a JPEG 2000 file needs a decoder that is not installed.

    Notes
    -----
    TIFF and PNG need the sidecar; DICOM and NIfTI may have one, and what both say
    must agree. Used are ``spacing_mm`` (two numbers, mm), ``laterality`` ("R" or
    "L"), ``magnification`` (default 1), ``forearm_length_mm``, ``height_cm``,
    ``scan_id``, ``subject_id`` and ``device_id``. Without a spacing, or with zero,
    the scan is read, has NaN spacing and the flag ``no_spacing``.

    Images: row 0 distal; right arms with the radius at low columns, left arms as
    acquired (radius at high columns). Whether the arm lies that way round is
    taken from `laterality`. A side named wrongly, or an image mirrored before, is
    not noticed here; :func:`features`, which sees the bones, flags it
    ``sides_contradict`` and measures nothing.

    DICOM: modalities DX, CR, BMD, OT and SC; uncompressed, RLE or JPEG 2000.
    Rescale slope and intercept are applied. Of the spacings PixelSpacing is used
    before ImagerPixelSpacing; the magnification of the header only with a spacing
    in the detector plane. Counts must grow with transmission: where
    PixelIntensityRelationshipSign says that they fall, they are inverted; without
    that tag MONOCHROME1 alone only tells how to show them, so such images are
    inverted unless the beam beside the arm is brighter than the arm as stored.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> scan, truth = dc.simulate.forearm(1, device="k_edge", age=70, sex="F")
    >>> dc.imaging.read(scan)
    ForearmScan(sim_1, device k_edge, 250 x 200 px, laterality R)
    """
    if isinstance(path, ForearmScan):
        return path
    pair = load(path, high=high, sidecar=sidecar)
    low_image, high_image, meta, where = pair.low, pair.high, pair.meta, pair.where
    if np.array_equal(low_image, high_image):
        raise ImageError(f"{where}: both images hold the same pixels; one energy is missing")
    _refuse_dark_air(low_image, high_image, where)
    _refuse_swapped(low_image, high_image, where)
    laterality = meta.get("laterality")
    if laterality not in ("R", "L"):
        raise ImageError(f"{where}: laterality is {laterality!r}; the sidecar must say 'R' or 'L'")
    mirrored = laterality == "L"
    if mirrored:
        low_image, high_image = low_image[:, ::-1], high_image[:, ::-1]
    spacing_mm = spacing_of(meta.get("spacing_mm"), where)
    flags = pair.flags if math.isfinite(spacing_mm[0]) else (*pair.flags, "no_spacing")
    return ForearmScan(
        low=_frozen(low_image),
        high=_frozen(high_image),
        spacing_mm=spacing_mm,
        magnification=_positive(meta, "magnification", where, default=1.0),
        forearm_length_mm=_positive(meta, "forearm_length_mm", where, default=math.nan),
        laterality=laterality,
        mirrored=mirrored,
        scan_id=str(meta.get("scan_id", "")),
        subject_id=str(meta.get("subject_id", "")),
        device_id=str(meta.get("device_id", "")),
        meta=dict(meta),
        flags=flags,
    )


def _refuse_dark_air(low: CountArray, high: CountArray, where: str) -> None:
    """An arm brighter than the air beside it is a picture of attenuation, or inverted."""
    if max(sides_over_middle(low), sides_over_middle(high)) < 0.5:
        raise ImageError(
            f"{where}: the middle of the field is more than twice as bright as its sides; counts must be highest in "
            "air (an inverted picture, or a radiograph in place of raw counts?)"
        )


def _positive(meta: Mapping[str, Any], key: str, where: str, *, default: float) -> float:
    value = meta.get(key)
    if value is None:
        return default
    number = as_number(value)
    if not (math.isfinite(number) and number > 0):
        raise ImageError(f"{where}: {key} is {value!r}; it must be a positive number")
    return number


def _refuse_swapped(low: CountArray, high: CountArray, where: str) -> None:
    """Tissue attenuates the low energy more; the other way round the two files are swapped."""
    with np.errstate(divide="ignore"):
        attenuation = [-np.log(np.maximum(image, 1) / max(np.percentile(image, 99), 1.0)) for image in (low, high)]
    inside = (attenuation[0] > 0.1) | (attenuation[1] > 0.1)
    if inside.mean() > SWAP_CHECK_SHARE and np.median(attenuation[0][inside]) < np.median(attenuation[1][inside]):
        raise ImageError(
            f"{where}: tissue attenuates the 'high' image more than the 'low' one; the two energies look swapped"
        )


def _frozen(image: CountArray) -> CountArray:
    copy = np.ascontiguousarray(image)
    copy = copy.copy() if copy is image else copy
    copy.flags.writeable = False
    return copy
