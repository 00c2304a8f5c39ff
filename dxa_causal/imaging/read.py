"""One forearm scan: two 16-bit images and what the site knows about them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging import scan_files
from dxa_causal.imaging.image_file import MAX_COUNT, ImageFile, Pixels, as_counts, as_number, file_bytes, spacing_of
from dxa_causal.imaging.open_image import open_image
from dxa_causal.imaging.radiograph import Radiograph

CountArray = npt.NDArray[np.uint16]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_PIXELS = 40  # rows and columns; anything smaller cannot hold a forearm
SWAP_CHECK_SHARE = 0.05  # share of the field that must attenuate before the energies are compared
SIDE, MIDDLE = 0.04, 0.3  # shares of the columns: the outermost on each side; where the middle begins
SAME_VALUE = 0.01  # what the spacings and magnifications of sidecar and image file may differ by


class HasImages(Protocol):
    """What a scan held in memory offers (a simulated one, for instance)."""

    @property
    def low(self) -> CountArray: ...  # noqa: D102
    @property
    def high(self) -> CountArray: ...  # noqa: D102
    @property
    def meta(self) -> Mapping[str, Any]: ...  # noqa: D102


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
    pair = _load(path, high=high, sidecar=sidecar)
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


def load_pair(
    source: str | Path | HasImages, *, high: str | Path | None = None, sidecar: str | Path | None = None
) -> tuple[CountArray, CountArray, Mapping[str, Any], str]:
    """Low image, high image, sidecar and a name for error messages, checked for shape and depth."""
    pair = _load(source, high=high, sidecar=sidecar)
    return pair.low, pair.high, pair.meta, pair.where


@dataclass(frozen=True, eq=False, slots=True)
class _Pair:
    low: CountArray
    high: CountArray
    meta: Mapping[str, Any]
    where: str
    flags: tuple[str, ...] = ()


def _load(source: str | Path | HasImages, *, high: str | Path | None, sidecar: str | Path | None) -> _Pair:
    if isinstance(source, Radiograph):
        raise ImageError(
            f"{source.name or 'radiograph'} is a radiograph of one energy; bone mineral needs a scan of two energies"
        )
    if isinstance(source, str | Path):
        pair = _from_files(
            scan_files.find(Path(source), Path(high) if high else None, Path(sidecar) if sidecar else None), str(source)
        )
    elif all(hasattr(source, name) for name in ("low", "high", "meta")):
        where = str(source.meta.get("scan_id", "scan in memory"))
        pair = _Pair(np.asarray(source.low), np.asarray(source.high), source.meta, where)
    else:
        raise ImageError(f"path must be a folder, a file or a scan with low, high and meta, not {type(source)!r}")
    for name, image in (("low", pair.low), ("high", pair.high)):
        _check_image(image, f"{pair.where}, {name} energy")
    if pair.low.shape != pair.high.shape:
        raise ImageError(f"{pair.where}: the low image is {pair.low.shape}, the high image {pair.high.shape} pixels")
    return pair


def _from_files(files: scan_files.ScanFiles, where: str) -> _Pair:
    said = _read_sidecar(files.sidecar) if files.sidecar is not None else {}
    first = open_image(files.low)
    if files.high is None:
        if len(first.frames) != 2:
            raise ImageError(
                f"{files.low} holds one image, of one energy; a scan needs two: give high=, or put both into a folder "
                "(imaging.read_radiograph reads a single image for display)"
            )
        opened = [(first, 0), (first, 1)]
    else:
        opened = [(first, 0), (open_image(files.high), 0)]
        for file, path in zip((opened[0][0], opened[1][0]), (files.low, files.high)):
            if len(file.frames) != 1:
                raise ImageError(f"{path} holds {len(file.frames)} images; one energy per file, or one file alone")
        opened = _by_energy(opened, files, where)
    for file, _ in opened:
        if file.not_counts:
            raise ImageError(f"{where}: {file.not_counts}")
    meta = _agreeing(opened[0][0].meta, opened[1][0].meta, where, ("low image", "high image"))
    for key, what in (("subject_id", "patients"), ("device_id", "devices")):
        if len({file.meta[key] for file, _ in opened if key in file.meta}) > 1:
            raise ImageError(f"{where}: the two images name different {what}")
    meta = _agreeing(meta, said, where, ("image", "sidecar"))
    images, turned = [], []
    for (file, frame), name in zip(opened, ("low", "high")):
        image, inverted = _transmission(file, frame)
        turned.append(inverted)
        images.append(as_counts(image, f"{where}, {name} energy") if file.format in ("dicom", "nifti") else image)
    if first.format == "dicom":
        meta["inverted"] = any(turned)
    flags = tuple(dict.fromkeys(flag for file, _ in opened for flag in file.flags))
    return _Pair(images[0], images[1], meta, where, flags)


def _by_energy(
    opened: list[tuple[ImageFile, int]], files: scan_files.ScanFiles, where: str
) -> list[tuple[ImageFile, int]]:
    """Low energy first; tube voltages, where the files have them, must agree with the names."""
    kvp = [as_number(file.meta.get("kvp")) for file, _ in opened]
    if files.unordered and not (kvp[0] < kvp[1] or kvp[0] > kvp[1]):
        raise ImageError(f"{where}: KVP does not tell which file is the low energy; name them low.dcm and high.dcm")
    if kvp[0] > kvp[1] and not files.unordered:
        raise ImageError(
            f"{where}: KVP is {kvp[0]:g} in the low and {kvp[1]:g} in the high image; the two energies look swapped"
        )
    return opened[::-1] if kvp[0] > kvp[1] else opened


def _agreeing(
    first: Mapping[str, Any], second: Mapping[str, Any], where: str, names: tuple[str, str]
) -> dict[str, Any]:
    """Both mappings in one, the second on top; what decides a measurement must not differ."""
    merged = dict(first) | {key: value for key, value in second.items() if value is not None}
    spacings = [spacing_of(source.get("spacing_mm"), where) for source in (first, second)]
    if math.isfinite(spacings[0][0]):  # a zero on top is no spacing
        merged |= {key: first[key] for key in ("spacing_mm", "spacing_from") if key in first}
    elif math.isfinite(spacings[1][0]):
        merged.setdefault("spacing_from", "sidecar")
    differ = {
        "spacing_mm": any(abs(a - b) > SAME_VALUE * a for a, b in zip(*spacings)),
        "laterality": len({first.get("laterality"), second.get("laterality")} - {None}) > 1,
        "magnification": abs(as_number(first.get("magnification")) - as_number(second.get("magnification")))
        > SAME_VALUE,
    }
    for key, found in differ.items():
        if found:
            values = f"{first[key]!r} and {second[key]!r}"
            raise ImageError(f"{where}: {names[0]} and {names[1]} contradict each other in {key} ({values})")
    return merged


def _transmission(file: ImageFile, frame: int) -> tuple[Pixels, bool]:
    """A frame whose values grow with transmission, and whether it had to be inverted for that."""
    image = file.frames[frame]
    falls = file.monochrome1 and not _sides_over_middle(image) > 1.0
    inverted = falls if file.sign is None else file.sign < 0
    if not inverted:
        return image, False
    turned = file.mirror_sum - image.astype(np.float64)
    return (turned.astype(image.dtype) if image.dtype.kind in "ui" else turned), True


def _sides_over_middle(image: Pixels) -> float:
    """Level at both sides of the field, where there is air, over the level in its middle; NaN if there is none."""
    columns = image.shape[-1]
    if image.ndim != 2 or columns < MIN_PIXELS:
        return math.nan
    n, start = max(1, int(SIDE * columns)), int(MIDDLE * columns)
    sides = float(np.median(np.concatenate([image[:, :n], image[:, -n:]], axis=1)))
    middle = float(np.median(image[:, start : columns - start]))
    return sides / middle if middle > 0 else math.inf


def _refuse_dark_air(low: CountArray, high: CountArray, where: str) -> None:
    """An arm brighter than the air beside it is a picture of attenuation, or inverted."""
    if max(_sides_over_middle(low), _sides_over_middle(high)) < 0.5:
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


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(file_bytes(path).decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImageError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(meta, dict):
        raise ImageError(f"{path} must hold one JSON object, not a {type(meta).__name__}")
    return meta


def _check_image(image: npt.NDArray[Any], where: str) -> None:
    if image.ndim != 2:
        raise ImageError(f"{where}: the image has shape {image.shape}; one grey image is needed, not colour or a stack")
    if image.dtype != np.uint16:
        raise ImageError(f"{where}: pixels are {image.dtype}; raw detector counts must be 16-bit unsigned (uint16)")
    if min(image.shape) < MIN_PIXELS:
        raise ImageError(f"{where}: {image.shape[0]} x {image.shape[1]} pixels; at least {MIN_PIXELS} each are needed")


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
