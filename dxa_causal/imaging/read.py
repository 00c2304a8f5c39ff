"""One forearm scan: two 16-bit images and what the site knows about them."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError
from dxa_causal._core.optional import require

CountArray = npt.NDArray[np.uint16]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_PIXELS = 40  # rows and columns; anything smaller cannot hold a forearm
SWAP_CHECK_SHARE = 0.05  # share of the field that must attenuate before the energies are compared


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
        Pixel spacing (row, column) in the detector plane, mm.
    magnification : float
        Size in the detector plane over size in the plane of the bones.
    forearm_length_mm : float
        Ulnar styloid to olecranon, mm; NaN when the site gave none.
    laterality : {"R", "L"}
    mirrored : bool
        True when the columns were reversed on reading.
    scan_id, subject_id, device_id : str
        Empty when the sidecar has none.
    meta : mapping
        The whole sidecar.
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
        A folder with ``low.tif``, ``high.tif`` and ``meta.json``; or the
        low-energy file, with `high` and `sidecar`; or an object with `low`,
        `high` and `meta`, such as a simulated scan.
    high, sidecar : path, optional
        The high-energy image and the JSON sidecar when `path` is a file.

    Returns
    -------
    ForearmScan

    Raises
    ------
    ImageError
        A file is missing or damaged, not a 16-bit grey image, the two images
        differ in shape or are swapped, or the sidecar lacks what measuring
        needs (`spacing_mm`, `laterality`).

    Notes
    -----
    The sidecar must have ``spacing_mm`` (two numbers, mm) and ``laterality``
    ("R" or "L"). ``magnification`` (default 1), ``forearm_length_mm``,
    ``height_cm``, ``scan_id``, ``subject_id`` and ``device_id`` are used when
    they are there. Images: row 0 distal; right arms with the radius at low
    columns, left arms as acquired (radius at high columns).

    Examples
    --------
    >>> import dxa_causal as dc
    >>> scan, truth = dc.simulate.forearm(1, device="k_edge", age=70, sex="F")
    >>> dc.imaging.read(scan)
    ForearmScan(sim_1, device k_edge, 250 x 200 px, laterality R)
    """
    low_image, high_image, meta, where = load_pair(path, high=high, sidecar=sidecar)
    _refuse_swapped(low_image, high_image, where)
    laterality = meta.get("laterality")
    if laterality not in ("R", "L"):
        raise ImageError(f"{where}: laterality is {laterality!r}; the sidecar must say 'R' or 'L'")
    mirrored = laterality == "L"
    if mirrored:
        low_image, high_image = low_image[:, ::-1], high_image[:, ::-1]
    return ForearmScan(
        low=_frozen(low_image),
        high=_frozen(high_image),
        spacing_mm=spacing(meta, where),
        magnification=_positive(meta, "magnification", where, default=1.0),
        forearm_length_mm=_positive(meta, "forearm_length_mm", where, default=math.nan),
        laterality=laterality,
        mirrored=mirrored,
        scan_id=str(meta.get("scan_id", "")),
        subject_id=str(meta.get("subject_id", "")),
        device_id=str(meta.get("device_id", "")),
        meta=dict(meta),
    )


def load_pair(
    source: str | Path | HasImages, *, high: str | Path | None = None, sidecar: str | Path | None = None
) -> tuple[CountArray, CountArray, Mapping[str, Any], str]:
    """Low image, high image, sidecar and a name for error messages, checked for shape and depth."""
    if not isinstance(source, str | Path):
        if not all(hasattr(source, name) for name in ("low", "high", "meta")):
            raise ImageError(f"path must be a folder, a file or a scan with low, high and meta, not {type(source)!r}")
        where = str(source.meta.get("scan_id", "scan in memory"))
        low_image, high_image, meta = np.asarray(source.low), np.asarray(source.high), source.meta
    else:
        low_path, high_path, meta_path = _paths(Path(source), high, sidecar)
        where = str(source)
        meta = _read_sidecar(meta_path)
        low_image, high_image = _read_tiff(low_path), _read_tiff(high_path)
    for name, image in (("low", low_image), ("high", high_image)):
        _check_image(image, f"{where}, {name} energy")
    if low_image.shape != high_image.shape:
        raise ImageError(f"{where}: the low image is {low_image.shape}, the high image {high_image.shape} pixels")
    return low_image, high_image, meta, where


def spacing(meta: Mapping[str, Any], where: str) -> tuple[float, float]:
    """The pixel spacing of a sidecar, refused when missing or not positive."""
    value = meta.get("spacing_mm")
    if value is None:
        raise ImageError(f"{where}: the sidecar has no spacing_mm; lengths and areas cannot be measured")
    numbers = [float(v) for v in value] if isinstance(value, list | tuple) and all(map(_is_number, value)) else []
    if len(numbers) != 2 or not all(math.isfinite(v) and v > 0 for v in numbers):
        raise ImageError(f"{where}: spacing_mm is {value!r}; it must be two positive numbers, [row, column] in mm")
    return numbers[0], numbers[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(meta: Mapping[str, Any], key: str, where: str, *, default: float) -> float:
    value = meta.get(key)
    if value is None:
        return default
    if not _is_number(value) or not (math.isfinite(value) and value > 0):
        raise ImageError(f"{where}: {key} is {value!r}; it must be a positive number")
    return float(value)


def _paths(path: Path, high: str | Path | None, sidecar: str | Path | None) -> tuple[Path, Path, Path]:
    if path.is_dir():
        found = path / "low.tif", path / "high.tif", path / "meta.json"
    elif high is None or sidecar is None:
        if not path.exists():
            raise ImageError(f"{path}: there is no such folder or file")
        raise ImageError(f"{path} is a file: give high= and sidecar= as well, or the folder that holds all three")
    else:
        found = path, Path(high), Path(sidecar)
    for file in found:
        if not file.is_file():
            raise ImageError(f"{file} is missing; a scan is low.tif, high.tif and meta.json")
    return found


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ImageError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(meta, dict):
        raise ImageError(f"{path} must hold one JSON object, not a {type(meta).__name__}")
    return meta


def _read_tiff(path: Path) -> npt.NDArray[Any]:
    require("tifffile", extra="imaging")
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            if len(file.pages) != 1:
                raise ImageError(f"{path} holds {len(file.pages)} images; one is needed")
            image: npt.NDArray[Any] = file.pages[0].asarray()
    except ImageError:
        raise
    except (tifffile.TiffFileError, OSError, ValueError, zlib.error, struct.error, IndexError, RuntimeError) as error:
        raise ImageError(f"{path} cannot be read as TIFF (truncated or damaged?): {error}") from error
    return image


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
