"""The two images of a scan, from memory or from files of any format, and what sidecar and headers say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging import scan_files
from dxa_causal.imaging.image_file import ImageFile, Pixels, as_counts, as_number, file_bytes, spacing_of
from dxa_causal.imaging.open_image import open_image
from dxa_causal.imaging.radiograph import Radiograph

CountArray = npt.NDArray[np.uint16]

MIN_PIXELS = 40  # rows and columns; anything smaller cannot hold a forearm
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
class Pair:
    """Two images whose counts grow with transmission, as acquired, and what is known about them."""

    low: CountArray
    high: CountArray
    meta: Mapping[str, Any]
    where: str
    flags: tuple[str, ...] = ()


def load(source: str | Path | HasImages, *, high: str | Path | None = None, sidecar: str | Path | None = None) -> Pair:
    """Read two images and their sidecar, checked for shape and depth and brought to one convention."""
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
        pair = Pair(np.asarray(source.low), np.asarray(source.high), source.meta, where)
    else:
        raise ImageError(f"path must be a folder, a file or a scan with low, high and meta, not {type(source)!r}")
    for name, image in (("low", pair.low), ("high", pair.high)):
        _check_image(image, f"{pair.where}, {name} energy")
    if pair.low.shape != pair.high.shape:
        raise ImageError(f"{pair.where}: the low image is {pair.low.shape}, the high image {pair.high.shape} pixels")
    return pair


def _from_files(files: scan_files.ScanFiles, where: str) -> Pair:
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
    # of the two the low energy shows the arm best, so it says for both which way round they are
    falls = not sides_over_middle(opened[0][0].frames[0]) > 1.0
    for (file, frame), name in zip(opened, ("low", "high")):
        image, inverted = _transmission(file, frame, falls=falls)
        turned.append(inverted)
        images.append(as_counts(image, f"{where}, {name} energy") if file.format in ("dicom", "nifti") else image)
    if first.format == "dicom":
        meta["inverted"] = any(turned)
    if files.high is not None and all("kvp" in file.meta for file, _ in opened):
        meta["kvp"] = [file.meta["kvp"] for file, _ in opened]
    flags = tuple(dict.fromkeys(flag for file, _ in opened for flag in file.flags))
    return Pair(images[0], images[1], meta, where, flags)


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
    sides = first.get("laterality"), second.get("laterality")
    differ = {
        "spacing_mm": any(abs(a - b) > SAME_VALUE * a for a, b in zip(*spacings)),
        "laterality": None not in sides and sides[0] != sides[1],
        "magnification": abs(as_number(first.get("magnification")) - as_number(second.get("magnification")))
        > SAME_VALUE,
    }
    for key, found in differ.items():
        if found:
            values = f"{first[key]!r} and {second[key]!r}"
            raise ImageError(f"{where}: {names[0]} and {names[1]} contradict each other in {key} ({values})")
    return merged


def _transmission(file: ImageFile, frame: int, *, falls: bool) -> tuple[Pixels, bool]:
    """A frame whose values grow with transmission, and whether it had to be inverted for that."""
    image = file.frames[frame]
    inverted = file.monochrome1 and falls if file.sign is None else file.sign < 0
    if not inverted:
        return image, False
    turned = file.mirror_sum - image.astype(np.float64)
    return (turned.astype(image.dtype) if image.dtype.kind in "ui" else turned), True


def sides_over_middle(image: Pixels) -> float:
    """Level at both sides of the field, where there is air, over the level in its middle; NaN if there is none."""
    columns = image.shape[-1]
    if image.ndim != 2 or columns < MIN_PIXELS:
        return math.nan
    n, start = max(1, int(SIDE * columns)), int(MIDDLE * columns)
    sides = float(np.median(np.concatenate([image[:, :n], image[:, -n:]], axis=1)))
    middle = float(np.median(image[:, start : columns - start]))
    return sides / middle if middle > 0 else math.inf


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
