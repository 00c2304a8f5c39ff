"""Alleles as letters, and as integer codes of one dictionary in which a million variants cost a few operations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.object_]

_OTHER_STRAND = str.maketrans("ACGT", "TGCA")


def complement(allele: str) -> str:
    """Return the letters on the other strand, position by position.

    Parameters
    ----------
    allele : str
        Upper-case letters.

    Examples
    --------
    >>> complement("A"), complement("GT"), complement("I")
    ('T', 'CA', 'I')
    """
    return allele.translate(_OTHER_STRAND)


def is_palindromic(effect: str, other: str) -> bool:
    """Say whether two single bases look the same on both strands (A/T, C/G).

    Parameters
    ----------
    effect, other : str
        The two alleles, upper case.

    Examples
    --------
    >>> is_palindromic("A", "T"), is_palindromic("A", "G")
    (True, False)
    """
    return len(effect) == 1 and effect in "ACGT" and complement(effect) == other


class Words(NamedTuple):
    """The dictionary: spelling, length, code on the other strand, is it one base, codes of I and D."""

    names: TextArray
    length: IntArray
    opposite: IntArray
    base: BoolArray
    insertion: int
    deletion: int

    @classmethod
    def of(cls, given: TextArray) -> Words:
        """Dictionary of distinct alleles: their codes count from 0 in this order; I, D and other strands follow."""
        names = pd.Series(np.append(given, np.array(["I", "D"], dtype=object)), dtype=object)
        spellings = np.concatenate([names, names.str.translate(_OTHER_STRAND)])
        code, name = pd.factorize(spellings)
        opposite = np.arange(name.size)
        opposite[code[: names.size]] = code[names.size :]  # only alleles that occur are ever turned over
        return cls(
            names=np.asarray(name, dtype=object),
            length=pd.Series(name, dtype=object).str.len().to_numpy(dtype=np.int64),
            opposite=opposite,
            base=np.isin(name, ["A", "C", "G", "T"]),
            insertion=int(code[names.size - 2]),
            deletion=int(code[names.size - 1]),
        )

    def spelling(self, code: IntArray) -> TextArray:
        """Letters of the codes, None for -1."""
        return np.append(self.names, np.array([None], dtype=object))[code]

    def palindromic(self, x: IntArray, y: IntArray) -> BoolArray:
        """A/T or C/G."""
        return self.base[x] & (self.opposite[x] == y)


def encode(*columns: TextArray) -> tuple[Words, list[IntArray]]:
    """Build the dictionary of all columns and return it with their codes; None becomes -1."""
    codes, names = pd.factorize(np.concatenate(columns))
    return Words.of(np.asarray(names, dtype=object)), np.split(codes.astype(np.int64), len(columns))


def spell_out(
    words: Words, x1: IntArray, x2: IntArray, y1: IntArray, y2: IntArray | None = None
) -> tuple[IntArray, IntArray, BoolArray]:
    """Replace I and D in y by the sequences of x (longer = I); also say where x cannot tell which is which."""
    insertion, deletion = y1 == words.insertion, y1 == words.deletion
    cannot = (words.length[x1] > 1) & (words.length[x1] == words.length[x2]) & (insertion | deletion)
    if y2 is not None:
        insertion &= y2 == words.deletion
        deletion &= y2 == words.insertion
    longer = words.length[x1] > words.length[x2]
    differ = words.length[x1] != words.length[x2]
    as_x = differ & ((insertion & longer) | (deletion & ~longer))
    as_turned = differ & ((insertion & ~longer) | (deletion & longer))
    missing = np.full_like(y1, -1) if y2 is None else y2
    return (
        np.where(as_x, x1, np.where(as_turned, x2, y1)),
        np.where(as_x, x2, np.where(as_turned, x1, missing)),
        cannot,
    )
