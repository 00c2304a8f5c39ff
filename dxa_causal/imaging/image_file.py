"""One image file as it was stored: its frames, what it says about itself, and the limits of what is opened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError

Pixels = npt.NDArray[Any]
Format = Literal["tiff", "png", "dicom", "nifti"]

MAX_COUNT = 65_535
MAX_PIXELS = 25_000_000  # per frame; a flat panel has 9 to 20 million, a forearm scanner less than one
MAX_BYTES = 256 * 2**20  # of a file
SPACING_MM = (0.01, 10.0)  # outside it the unit is wrong


@dataclass(frozen=True, eq=False, slots=True)
class ImageFile:
    """What one file holds.

    Attributes
    ----------
    frames : tuple of ndarray
        As stored, with rescale slope and intercept applied.
    format : {"tiff", "png", "dicom", "nifti"}
    meta : mapping
        Under the names of the sidecar; only what the file says.
    flags : tuple of str
    monochrome1 : bool
        Low values are meant to be shown bright.
    sign : {1, -1} or None
        Whether values grow (1) or fall (-1) with transmission, where the file says so.
    mirror_sum : float
        Lowest plus highest value that can be stored: v becomes mirror_sum - v.
    not_counts : str
        Why the pixels cannot be a forearm's detector counts; empty if nothing speaks against it.
    """

    frames: tuple[Pixels, ...]
    format: Format
    meta: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    monochrome1: bool = False
    sign: int | None = None
    mirror_sum: float = 0.0
    not_counts: str = ""


def file_bytes(path: Path, *, first: int = -1) -> bytes:
    """The file's first bytes or all of them, refused when it is missing or too large to be an image of an arm."""
    if path.exists() and not path.is_file():  # a folder, or a pipe that would wait for ever
        raise ImageError(f"{path} is not a file")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImageError(f"{path} has {size:,} bytes; image files up to {MAX_BYTES:,} bytes are opened")
        with open(path, "rb") as handle:
            return handle.read(first)
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}") from error


def check_size(rows: int, columns: int, where: object) -> None:
    """Refuse dimensions that no image of an arm has, before anything is decompressed."""
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        raise ImageError(
            f"{where}: its header says {rows} x {columns} pixels; images of 1 to {MAX_PIXELS:,} pixels are opened"
        )


def spacing_of(value: object, where: object, *, name: str = "spacing_mm") -> tuple[float, float]:
    """Pixel spacing (row, column), mm; NaN when there is none or it is zero, refused when it is nonsense."""
    if value is None:
        return math.nan, math.nan
    numbers = [as_number(v) for v in value] if isinstance(value, list | tuple) else []
    if len(numbers) != 2 or not all(math.isfinite(v) and v >= 0 for v in numbers):
        raise ImageError(f"{where}: {name} is {value!r}; it must be two positive numbers, [row, column] in mm")
    if 0.0 in numbers:
        return math.nan, math.nan
    if not all(SPACING_MM[0] <= v <= SPACING_MM[1] for v in numbers):
        raise ImageError(
            f"{where}: {name} is {value!r}; spacings of {SPACING_MM[0]} to {SPACING_MM[1]:g} mm are allowed. "
            "Is it in another unit?"
        )
    return numbers[0], numbers[1]


def as_number(value: object) -> float:
    """A JSON number as float, NaN for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def as_counts(image: Pixels, where: str) -> npt.NDArray[np.uint16]:
    """Whole counts of 16 bits from integers of another width or from rescaled values.

    Raises
    ------
    ImageError
        Values that are not finite, negative, above 65535, or so small that they
        were normalised on the way.
    """
    if image.dtype == np.uint16:
        return image
    if image.dtype.itemsize == 1:
        raise ImageError(f"{where}: pixels are 8-bit ({image.dtype}); raw detector counts need 16 bits")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int((~np.isfinite(image)).sum())
        raise ImageError(f"{where}: {bad} pixels are NaN or infinite; raw counts are finite")
    lowest, highest = float(image.min()), float(image.max())
    if lowest < 0:
        raise ImageError(f"{where}: the lowest value is {lowest:g}; counts cannot be negative")
    if highest > MAX_COUNT:
        raise ImageError(f"{where}: the highest value is {highest:g}; counts up to {MAX_COUNT} are read")
    if image.dtype.kind == "f" and highest < 256:
        raise ImageError(f"{where}: the highest value is {highest:g}; that is a normalised picture, not raw counts")
    return np.rint(image).astype(np.uint16)
