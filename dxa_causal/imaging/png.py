"""Grey 8- or 16-bit PNG files."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np

from dxa_causal._core.errors import ImageError
from dxa_causal._core.optional import require
from dxa_causal.imaging.image_file import ImageFile, check_size, file_bytes

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0


def load(path: Path) -> ImageFile:
    """Read a PNG file with one grey image; its header is judged before anything is decompressed."""
    require("PIL", extra="imaging")
    from PIL import Image

    content = file_bytes(path)
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise ImageError(f"{path} cannot be read as PNG (truncated or damaged?): it has no header")
    columns, rows, depth, colour = struct.unpack(">IIBB", content[16:26])
    check_size(rows, columns, path)
    if colour != _GREY:
        raise ImageError(f"{path} is a colour picture (a screenshot?); one grey image of 16 bits is needed")
    if depth not in (8, 16):
        raise ImageError(f"{path}: pixels have {depth} bits; raw detector counts need 16")
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            pixels = np.asarray(image)
    except Exception as error:  # damaged bytes can surface as anything
        raise ImageError(f"{path} cannot be read as PNG (truncated or damaged?): {error}") from error
    if pixels.shape != (rows, columns):
        raise ImageError(f"{path}: the header says {rows} x {columns} pixels, decoded were {pixels.shape}")
    return ImageFile(frames=(pixels.astype(np.uint16 if depth == 16 else np.uint8),), format="png")
