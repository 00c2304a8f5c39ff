"""Grey TIFF files."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from dxa_causal._core.errors import ImageError
from dxa_causal._core.optional import require
from dxa_causal.imaging.image_file import ImageFile, check_size, file_bytes

_UNCOMPRESSED, _PACKBITS = 1, 32773
_DEFLATE = (8, 32946)


def load(path: Path) -> ImageFile:
    """Read a TIFF file with one image, uncompressed, PackBits or Deflate."""
    require("tifffile", extra="imaging")
    import tifffile

    content = file_bytes(path)
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            if len(file.pages) != 1:
                raise ImageError(f"{path} holds {len(file.pages)} images; one is needed")
            page = file.pages.first
            check_size(page.imagelength, page.imagewidth, path)
            if page.samplesperpixel > 4:
                raise ImageError(f"{path} has {page.samplesperpixel} values per pixel; one is needed")
            _refuse_bomb(page, content, path)
            return ImageFile(frames=(page.asarray(maxworkers=1),), format="tiff")
    except ImageError:
        raise
    except Exception as error:  # damaged bytes can surface as anything
        raise ImageError(f"{path} cannot be read as TIFF (truncated or damaged?): {error}") from error


def _refuse_bomb(page: Any, content: bytes, path: Path) -> None:
    """No strip or tile may inflate to more than the header says; tifffile itself does not stop."""
    if page.compression == _UNCOMPRESSED:
        return
    if page.compression not in (*_DEFLATE, _PACKBITS):
        name = getattr(page.compression, "name", page.compression)
        raise ImageError(f"{path} is compressed with {name}; save it uncompressed or with Deflate (zlib)")
    per_pixel = page.bitspersample // 8 * page.samplesperpixel
    if page.is_tiled:
        allowed = page.tilelength * page.tilewidth * per_pixel
        check_size(page.tilelength, page.tilewidth, path)
    else:
        allowed = min(page.rowsperstrip, page.imagelength) * page.imagewidth * per_pixel
    for start, n in zip(page.dataoffsets, page.databytecounts):
        strip = content[start : start + n]
        if page.compression == _PACKBITS:
            too_large = len(strip) > 2 * allowed + 64
        else:
            too_large = len(zlib.decompressobj().decompress(strip, allowed + 1)) > allowed
        if too_large:
            raise ImageError(f"{path}: a part of it decompresses to more than the {allowed:,} bytes its header allows")
