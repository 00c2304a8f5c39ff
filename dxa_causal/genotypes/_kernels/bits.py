"""Genotypes as bits: one plane per genotype, 64 people per word."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from dxa_causal._core.jit import inner, kernel, warms

ByteArray = npt.NDArray[np.uint8]
WordArray = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]


def _nibbles() -> WordArray:
    """Four genotypes of a byte of a bed file -> four bits, for two, one and no copy of the first allele."""
    byte = np.arange(256, dtype=np.uint64)
    table = np.zeros((3, 256), dtype=np.uint64)
    for person in range(4):
        code = (byte >> np.uint64(2 * person)) & np.uint64(3)
        for plane, meant in enumerate((0, 2, 3)):  # 1 is missing
            table[plane] |= (code == meant).astype(np.uint64) << np.uint64(person)
    return table


_NIBBLES = _nibbles()


def _popcount(typingctx, word):
    """Number of bits set in an unsigned word of 64: one instruction of the processor."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


popcount: Any = intrinsic(_popcount)


@kernel
def _spread(rows, nibbles, keep, planes):
    n_words = keep.size
    for v in range(rows.shape[0]):
        for b in range(rows.shape[1]):
            byte = rows[v, b]
            word = b >> 4
            shift = np.uint64(4 * (b & 15))
            for plane in range(3):
                planes[v, plane, word] |= nibbles[plane, byte] << shift
        for plane in range(3):
            for word in range(n_words):
                planes[v, plane, word] &= keep[word]


@inner
def count_words(words):
    """Bits set in a row of words."""
    total = 0
    for word in range(words.size):
        total += popcount(words[word])
    return total


@kernel
def _count(planes, counts):
    for v in range(planes.shape[0]):
        for plane in range(3):
            counts[v, plane] = count_words(planes[v, plane])


def people(keep: npt.NDArray[np.bool_]) -> WordArray:
    """Bits of the people that count, 64 per word.

    Parameters
    ----------
    keep : (n,) bool
    """
    bits = np.packbits(keep, bitorder="little")
    whole = np.zeros(8 * (-(-keep.size // 64)), dtype=np.uint8)
    whole[: bits.size] = bits
    return whole.view("<u8").astype(np.uint64)


def pack(rows: ByteArray, keep: WordArray) -> WordArray:
    """Planes of variants.

    Parameters
    ----------
    rows : (m, ceil(n / 4)) uint8
        Rows of a bed file, variant by variant.
    keep : (ceil(n / 64),) uint64
        From `people`; others count as missing, as do the bits that fill the last byte.

    Returns
    -------
    (m, 3, ceil(n / 64)) uint64
        Who has two, one and no copy of the first allele. Who is in none is missing.
    """
    planes = np.zeros((rows.shape[0], 3, keep.size), dtype=np.uint64)
    _spread(np.ascontiguousarray(rows), _NIBBLES, keep, planes)
    return planes


def count(planes: WordArray) -> IntArray:
    """People with two, one and no copy of the first allele, variant by variant: (m, 3)."""
    counts = np.zeros((planes.shape[0], 3), dtype=np.int64)
    _count(planes, counts)
    return counts


@warms
def _warm() -> None:
    count(pack(np.zeros((1, 1), dtype=np.uint8), people(np.ones(3, dtype=bool))))
