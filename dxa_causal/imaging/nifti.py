"""NIfTI-1 files of planar images: one image, or two in the last dimension."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging.image_file import ImageFile, check_size, file_bytes, spacing_of

HEADER = 348
GZIP = b"\x1f\x8b"
_TYPES = {2: "u1", 256: "i1", 4: "i2", 512: "u2", 8: "i4", 768: "u4", 16: "f4", 64: "f8"}
_COLOUR = (128, 2304)
_TO_MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # unit of length: metre, millimetre, micrometre
_FIRST_PIECE = 1024


def load(path: Path) -> ImageFile:
    """Read a single-file NIfTI-1 image, plain or gzipped.

    Columns are the first, rows the second dimension, as stored; orientation
    matrices are not applied. A gzipped file is decompressed no further than its
    header says.

    Raises
    ------
    ImageError
    """
    try:
        return _load(path)
    except (zlib.error, struct.error, OverflowError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{path} cannot be read as NIfTI (truncated or damaged?): {error}") from error


def is_header(start: bytes) -> bool:
    """Whether bytes begin like a NIfTI-1 or NIfTI-2 header, or one of a header-image pair."""
    if len(start) < HEADER:
        return False
    size = {struct.unpack(order + "i", start[:4])[0] for order in "<>"}
    return bool(size & {HEADER, 540}) or start[344:347] in (b"n+1", b"ni1")


def _load(path: Path) -> ImageFile:
    stream = _Stream(file_bytes(path), path)
    header = stream.first(HEADER)
    order = "<" if struct.unpack("<i", header[:4])[0] == HEADER else ">"
    if struct.unpack(order + "i", header[:4])[0] != HEADER or header[344:348] != b"n+1\0":
        raise ImageError(f"{path} is not a single-file NIfTI-1 image (.nii); NIfTI-2 and .hdr/.img pairs are not read")
    dims = struct.unpack(order + "8h", header[40:56])
    code, bits = struct.unpack(order + "hh", header[70:74])
    pixdim = struct.unpack(order + "8f", header[76:108])
    offset, slope, intercept = struct.unpack(order + "3f", header[108:120])
    columns, rows, n = _shape(dims, path)
    if code in _COLOUR:
        raise ImageError(f"{path} is a colour picture (a screenshot?); grey counts are needed")
    if code not in _TYPES:
        raise ImageError(f"{path}: data type {code} is not read; use 512 (uint16)")
    kind = np.dtype(order + _TYPES[code])
    if bits != 8 * kind.itemsize:
        raise ImageError(f"{path} is damaged: data type {code} has {8 * kind.itemsize} bits, its header says {bits}")
    if not (math.isfinite(offset) and HEADER + 4 <= offset <= 2**20):
        raise ImageError(f"{path} is damaged: its header says that the pixels start at byte {offset}")
    start, size = int(offset), rows * columns * n * kind.itemsize
    content = stream.whole(start + size)
    volume = np.frombuffer(content, kind, count=rows * columns * n, offset=start).reshape(n, rows, columns)
    volume = volume.astype(kind.newbyteorder("="))
    if slope != 0 and (slope, intercept) != (1.0, 0.0):
        if not (math.isfinite(slope) and math.isfinite(intercept)):
            raise ImageError(f"{path}: scl_slope and scl_inter are {slope} and {intercept}; they must be finite")
        volume = volume.astype(np.float64) * slope + intercept
    return ImageFile(frames=tuple(volume), format="nifti", meta=_spacing(pixdim, header[123], path))


def _shape(dims: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """Columns, rows and the number of images."""
    if not 1 <= dims[0] <= 7:
        raise ImageError(f"{path} is damaged: its header says {dims[0]} dimensions")
    used = dims[1 : dims[0] + 1]
    others = [d for d in used[2:] if d != 1]
    if len(used) < 2 or others not in ([], [2]):
        raise ImageError(f"{path} has dimensions {used}; one planar image, or two (low, high) in the last dimension")
    check_size(used[1], used[0], path)
    return used[0], used[1], (others or [1])[0]


def _spacing(pixdim: tuple[float, ...], units: int, path: Path) -> dict[str, object]:
    """Spacing where the header names the unit of length; without one a number is no length."""
    scale = _TO_MM.get(units & 7)
    if scale is None:
        return {}
    row, column = (round(float(pixdim[k]) * scale, 7) for k in (2, 1))
    found = spacing_of([row, column], path, name="pixdim")
    return {"spacing_mm": list(found), "spacing_from": "pixdim"} if math.isfinite(found[0]) else {}


class _Stream:
    """A file's bytes, or those of a gzipped one as far as they are asked for."""

    def __init__(self, content: bytes, path: Path) -> None:
        self._path = path
        self._packed = content.startswith(GZIP)
        self._inflate = zlib.decompressobj(wbits=31)
        self._known = content if not self._packed else self._inflate.decompress(content, _FIRST_PIECE)

    def first(self, n: int) -> bytes:
        if len(self._known) < n:
            raise ImageError(f"{self._path} cannot be read as NIfTI (truncated or damaged?): {len(self._known)} bytes")
        return self._known[:n]

    def whole(self, n: int) -> bytes:
        """All `n` bytes; a gzipped file must end there and match its checksum."""
        if self._packed:
            rest = max(n - len(self._known), 0) + 1
            self._known += self._inflate.decompress(self._inflate.unconsumed_tail, rest)
            if len(self._known) > n:
                raise ImageError(f"{self._path} decompresses to more than the {n:,} bytes its header says")
            if not self._inflate.eof and len(self._known) == n:
                self._known += self._inflate.decompress(self._inflate.unconsumed_tail, 1)
            if not self._inflate.eof:
                raise ImageError(
                    f"{self._path} cannot be read as NIfTI (truncated or damaged?): the gzip stream breaks"
                )
        return self.first(n) if len(self._known) >= n else self._short(n)

    def _short(self, n: int) -> bytes:
        raise ImageError(
            f"{self._path} cannot be read as NIfTI (truncated or damaged?): {len(self._known):,} of {n:,} bytes"
        )
