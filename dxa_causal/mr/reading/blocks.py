"""A file, plain or compressed, as blocks of whole lines."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dxa_causal._core.errors import SummaryStatisticsError

BLOCK = 32 * 2**20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_FOREIGN = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PAR1": "a Parquet file"}


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a file.

    Attributes
    ----------
    text : bytes
        Ends with a line end.
    line : int
        Number of its first line in the file, from 1.
    last : bool
        Whether the file ends here.
    closed : bool
        Whether the file had a line end there; only its last block may lack one.
    """

    text: bytes
    line: int
    last: bool
    closed: bool = True


def compression(path: Path) -> str:
    """Return "gzip" (which bgzip is), "zstd" or "none", by the first bytes and not by the name."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise SummaryStatisticsError(f"{path.name} is {what}; allowed are plain text, gzip, bgzip and zstd")
    return "gzip" if start.startswith(_GZIP) else "zstd" if start.startswith(_ZSTD) else "none"


def read_blocks(path: Path, size: int = BLOCK) -> Iterator[Block]:
    """Yield the file in blocks; the next one is unpacked while the caller works on this one."""
    blocks = _blocks(path, size)
    with ThreadPoolExecutor(1) as worker:
        ahead = worker.submit(next, blocks, None)
        while (block := ahead.result()) is not None:
            ahead = worker.submit(next, blocks, None)
            yield block


def _blocks(path: Path, size: int) -> Iterator[Block]:
    parts: list[bytes] = []
    line, held = 1, 0
    kind = compression(path)
    try:
        for piece in _pieces(path, kind):
            parts.append(piece)
            held += len(piece)
            if held < size or b"\n" not in piece:
                continue
            cut = piece.rfind(b"\n") + 1
            parts[-1] = piece[:cut]
            text = b"".join(parts)
            parts, held = [piece[cut:]], len(piece) - cut
            yield Block(text, line, last=False)
            line += text.count(b"\n")
    except (zlib.error, EOFError, OSError) as error:
        near = line + sum(p.count(b"\n") for p in parts)
        raise SummaryStatisticsError(
            f"{path.name}: the {kind} data are damaged or cut short near line {near} ({error}); fetch the file again"
        ) from error
    text = b"".join(parts)
    closed = not text or text.endswith(b"\n")
    yield Block(text if closed else text + b"\n", line, last=True, closed=closed)


def _pieces(path: Path, kind: str) -> Iterator[bytes]:
    if kind == "gzip":
        yield from _gunzip(path)
    elif kind == "zstd":
        import pyarrow as pa

        with pa.OSFile(str(path)) as raw, pa.CompressedInputStream(raw, "zstd") as stream:
            while piece := stream.read(2**20):
                yield piece
    else:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                yield piece


def _gunzip(path: Path) -> Iterator[bytes]:
    """Gzip members one behind the other, which is what bgzip writes; each is checked against its own sum."""
    with path.open("rb") as file:
        unpack = zlib.decompressobj(wbits=31)
        fresh = True
        while raw := file.read(2**18):
            out = []
            while raw:
                if fresh and not raw.strip(b"\0"):  # padding behind the last member
                    break
                out.append(unpack.decompress(raw))
                fresh = False
                raw = unpack.unused_data
                if unpack.eof:
                    unpack, fresh = zlib.decompressobj(wbits=31), True
            if text := b"".join(out):
                yield text
        if not fresh:
            raise EOFError("the end of the compressed data is missing")
