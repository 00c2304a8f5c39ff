"""Grey TIFF files."""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from dxa_causal._core.errors import ImageError
from dxa_causal._core.optional import require
from dxa_causal.imaging.image_file import ImageFile, check_size, file_bytes

_UNCOMPRESSED = 1
_DEFLATE = (8, 32946)


def load(path: Path) -> ImageFile:
    """Read a TIFF file with one image, uncompressed or with Deflate."""
    require("tifffile", extra="imaging")
    import tifffile

    content = file_bytes(path)
    try:
        with _quiet(), tifffile.TiffFile(BytesIO(content)) as file:
            if len(file.pages) != 1:
                raise ImageError(f"{path} holds {len(file.pages)} images; one is needed")
            page = file.pages.first
            check_size(page.imagelength, page.imagewidth, path)
            if page.samplesperpixel > 4:
                raise ImageError(f"{path} has {page.samplesperpixel} values per pixel; one is needed")
            _check_parts(page, content, path)
            return ImageFile(frames=(page.asarray(maxworkers=1),), format="tiff")
    except ImageError:
        raise
    except Exception as error:  # damaged bytes can surface as anything
        raise ImageError(f"{path} cannot be read as TIFF (truncated or damaged?): {error}") from error


def _check_parts(page: Any, content: bytes, path: Path) -> None:
    """Strips or tiles must be whole and hold no more than the header says; tifffile checks neither."""
    if page.compression not in (_UNCOMPRESSED, *_DEFLATE):
        name = getattr(page.compression, "name", page.compression)
        raise ImageError(f"{path} is compressed with {name}; save it uncompressed or with Deflate (zlib)")
    per_pixel = page.bitspersample // 8 * page.samplesperpixel
    if page.is_tiled:
        check_size(page.tilelength, page.tilewidth, path)
        allowed = page.tilelength * page.tilewidth * per_pixel
        across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
        expected = across * down * allowed
    else:
        allowed = min(page.rowsperstrip, page.imagelength) * page.imagewidth * per_pixel
        expected = page.imagelength * page.imagewidth * per_pixel
    parts = [content[start : start + n] for start, n in zip(page.dataoffsets, page.databytecounts)]
    if page.compression in _DEFLATE:  # inflated no further than one byte more than is allowed
        sizes = [len(zlib.decompressobj().decompress(part, allowed + 1)) for part in parts]
    else:
        sizes = [len(part) for part in parts]
    if page.compression != _UNCOMPRESSED and max(sizes, default=0) > allowed:
        raise ImageError(f"{path}: a part of it decompresses to more than the {allowed:,} bytes its header allows")
    if sum(sizes) < expected:
        raise ImageError(
            f"{path} cannot be read as TIFF (truncated or damaged?): {sum(sizes):,} of {expected:,} bytes of pixels"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence tifffile's log for a moment: what it finds odd is in the error, or does not matter."""
    log = logging.getLogger("tifffile")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
