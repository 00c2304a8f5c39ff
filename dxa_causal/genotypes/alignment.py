"""Bring the alleles of two files onto the same coding: exchanges, strands, palindromes, insertions and deletions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dxa_causal._core.errors import DxaCausalError
from dxa_causal.genotypes.alleles import BoolArray, FloatArray, IntArray, TextArray, Words, encode, spell_out


@dataclass(frozen=True, eq=False, slots=True)
class Alleles:
    """The alleles of one file, variant by variant.

    Attributes
    ----------
    effect, other : (n,) ndarray of object
        Upper-case allele that the effect is counted for, and the other one;
        None where the file does not say. Insertions and deletions are
        sequences or the letters I and D.
    eaf : (n,) ndarray of float
        Frequency of the effect allele, nan where unknown.
    """

    effect: TextArray
    other: TextArray
    eaf: FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class Alignment:
    """Two files on one coding. The second is turned to the first, save where only the second names both alleles.

    Attributes
    ----------
    effect, other : (n,) ndarray of object
        The common alleles (those of the first file where `incompatible`).
    sign_first, sign_second : (n,) ndarray of float
        Multiply the effects by it: -1 where the effect allele was exchanged.
    eaf_first, eaf_second : (n,) ndarray of float
        Frequencies of the common effect allele.
    swapped, strand_flipped : (n,) ndarray of bool
        What was done: an effect turned; one file read on the other strand.
    palindromic : (n,) ndarray of bool
        A/T or C/G: both strands carry the same letters.
    ambiguous : (n,) ndarray of bool
        Alleles agree, but the frequencies cannot tell (or deny) that they mean the same.
    incompatible : (n,) ndarray of bool
        No swap or strand makes the alleles agree.
    """

    effect: TextArray
    other: TextArray
    sign_first: FloatArray
    sign_second: FloatArray
    eaf_first: FloatArray
    eaf_second: FloatArray
    swapped: BoolArray
    strand_flipped: BoolArray
    palindromic: BoolArray
    ambiguous: BoolArray
    incompatible: BoolArray


def align_alleles(first: Alleles, second: Alleles, *, tolerance: float = 0.08, infer_strand: bool = True) -> Alignment:
    """Align the effect alleles of two files that list the same variants in the same order.

    Parameters
    ----------
    first, second : Alleles
        Both with `effect` known; `other` may be missing on either side.
    tolerance : float
        A palindromic variant is ambiguous when either frequency lies strictly
        within this distance of 0.5; a missing frequency counts as 0.5.
    infer_strand : bool
        Turn palindromic variants whose frequencies lie on opposite sides of 0.5.

    Returns
    -------
    Alignment

    Notes
    -----
    Both alleles known in both files: I/D codes are replaced by the sequences
    of the other file (longer = I); alleles are exchanged if they match the
    other way round; what then does not match, and is not palindromic, is read
    on the other strand and tried again. With an allele missing the
    frequencies have to agree too (both below 0.5 - tolerance or both above
    0.5 + tolerance after the exchange), else the variant is ambiguous;
    palindromic ones are incompatible. With both missing the effect alleles
    have to be the same letter.

    References
    ----------
    Hartwig FP et al. Int J Epidemiol 2016;45:1717-1726. doi:10.1093/ije/dyx028

    Examples
    --------
    >>> import numpy as np
    >>> first = Alleles(np.array(["A", "A"], object), np.array(["G", "G"], object), np.array([0.2, 0.2]))
    >>> second = Alleles(np.array(["G", "T"], object), np.array(["A", "C"], object), np.array([0.8, 0.2]))
    >>> aligned = align_alleles(first, second)
    >>> aligned.sign_second.tolist(), aligned.strand_flipped.tolist()
    ([-1.0, 1.0], [False, True])
    """
    check_tolerance(tolerance)
    words, (a1, a2, b1, b2) = encode(first.effect, first.other, second.effect, second.other)
    coded = CodedAlleles(a1, a2, first.eaf), CodedAlleles(b1, b2, second.eaf)
    aligned = align_codes(words, *coded, tolerance=tolerance, infer_strand=infer_strand)
    spelled = {"effect": words.spelling(aligned.effect), "other": words.spelling(aligned.other)}
    return Alignment(**{**aligned._asdict(), **spelled})


class CodedAlleles(NamedTuple):
    """`Alleles` in codes of a dictionary, -1 where missing."""

    effect: IntArray
    other: IntArray
    eaf: FloatArray


class CodedAlignment(NamedTuple):
    """`Alignment` with its alleles in codes of a dictionary."""

    effect: IntArray
    other: IntArray
    sign_first: FloatArray
    sign_second: FloatArray
    eaf_first: FloatArray
    eaf_second: FloatArray
    swapped: BoolArray
    strand_flipped: BoolArray
    palindromic: BoolArray
    ambiguous: BoolArray
    incompatible: BoolArray


def check_tolerance(tolerance: float) -> None:
    """Refuse what is no distance from 0.5."""
    if not 0.0 <= tolerance < 0.5:
        raise DxaCausalError(f"tolerance={tolerance!r} must lie between 0 and 0.5 (a distance from frequency 0.5)")


def align_codes(
    words: Words, first: CodedAlleles, second: CodedAlleles, *, tolerance: float, infer_strand: bool
) -> CodedAlignment:
    """`align_alleles` on codes; what it says of rows without an effect allele means nothing."""
    (a1, a2), (b1, b2) = first[:2], second[:2]
    n = a1.size
    parts = [np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)]
    flags = np.zeros((6, n), dtype=bool)
    cases = (
        ((a2 >= 0) & (b2 >= 0), _two_two),
        ((a2 >= 0) & (b2 < 0), _two_one),
        ((a2 < 0) & (b2 >= 0), _one_two),
        ((a2 < 0) & (b2 < 0), _one_one),
    )
    for case, align in cases:
        i = np.flatnonzero(case)
        if i.size:
            pair = _Pair(words, a1[i], a2[i], b1[i], b2[i], first.eaf[i], second.eaf[i], tolerance)
            done = align(pair, infer_strand)
            parts[0][i], parts[1][i] = done.effect, done.other
            for row, flag in zip(flags, done[2:], strict=True):
                row[i] = flag
    turned_first, turned_second, strand_flipped, palindromic, ambiguous, incompatible = flags
    effect, other = np.where(incompatible, (a1, a2), parts)
    return CodedAlignment(
        effect=effect,
        other=other,
        sign_first=np.where(turned_first, -1.0, 1.0),
        sign_second=np.where(turned_second, -1.0, 1.0),
        eaf_first=np.where(turned_first, 1.0 - first.eaf, first.eaf),
        eaf_second=np.where(turned_second, 1.0 - second.eaf, second.eaf),
        swapped=turned_first | turned_second,
        strand_flipped=strand_flipped,
        palindromic=palindromic,
        ambiguous=ambiguous,
        incompatible=incompatible,
    )


class _Pair(NamedTuple):
    """Codes and frequencies of variants of one case; -1 stands for a missing allele."""

    words: Words
    a1: IntArray
    a2: IntArray
    b1: IntArray
    b2: IntArray
    fa: FloatArray
    fb: FloatArray
    tolerance: float

    def side(self, f: FloatArray) -> IntArray:
        """-1 below, 0 inside, 1 above the band around 0.5; missing counts as 0.5."""
        return (f > 0.5 + self.tolerance).astype(np.int64) - (f < 0.5 - self.tolerance)

    def near_half(self, f: FloatArray) -> BoolArray:
        """Strictly inside the band; missing counts as 0.5."""
        return np.isnan(f) | ((f > 0.5 - self.tolerance) & (f < 0.5 + self.tolerance))


class _Done(NamedTuple):
    effect: IntArray
    other: IntArray
    turned_first: BoolArray
    turned_second: BoolArray
    strand_flipped: BoolArray
    palindromic: BoolArray
    ambiguous: BoolArray
    incompatible: BoolArray


def _two_two(pair: _Pair, infer_strand: bool) -> _Done:
    words = pair.words
    b1, b2, unclear_b = spell_out(words, pair.a1, pair.a2, pair.b1, pair.b2)
    a1, a2, unclear_a = spell_out(words, pair.b1, pair.b2, pair.a1, pair.a2)
    palindromic = words.palindromic(a1, a2)
    same = (a1 == b1) & (a2 == b2)
    turned = (a1 == b2) & (a2 == b1)
    c1, c2 = words.opposite[b1], words.opposite[b2]
    retry = ~palindromic & ~same & ~turned
    same_flipped = retry & (a1 == c1) & (a2 == c2)
    turned_flipped = retry & (a1 == c2) & (a2 == c1)
    flipped = same_flipped | turned_flipped
    turned |= turned_flipped
    incompatible = ~(same | turned | flipped) | unclear_a | unclear_b | (a1 == a2) | (b1 == b2)
    fb = np.where(turned, 1.0 - pair.fb, pair.fb)
    if infer_strand:
        opposite = palindromic & ~incompatible & (((pair.fa < 0.5) & (fb > 0.5)) | ((pair.fa > 0.5) & (fb < 0.5)))
        flipped |= opposite
        turned ^= opposite
    return _Done(
        effect=a1,
        other=a2,
        turned_first=np.zeros_like(turned),
        turned_second=turned,
        strand_flipped=flipped,
        palindromic=palindromic,
        ambiguous=palindromic & (pair.near_half(pair.fa) | pair.near_half(fb)),
        incompatible=incompatible,
    )


def _two_one(pair: _Pair, infer_strand: bool) -> _Done:
    words = pair.words
    a1, a2 = pair.a1, pair.a2
    palindromic = words.palindromic(a1, a2)
    letters = (words.insertion, words.deletion)
    b1, _, unclear = spell_out(words, a1, a2, pair.b1)
    same, turned = a1 == b1, a2 == b1
    side_a, side_b = pair.side(pair.fa), pair.side(pair.fb)
    retry = ~same & ~turned
    c1 = words.opposite[b1]
    same_flipped, turned_flipped = retry & (a1 == c1), retry & (a2 == c1)
    agree = (side_a != 0) & np.where(turned, side_a == -side_b, side_a == side_b)
    return _Done(
        effect=a1,
        other=a2,
        turned_first=np.zeros_like(turned),
        turned_second=turned | turned_flipped,
        strand_flipped=same_flipped | turned_flipped,
        palindromic=palindromic,
        ambiguous=palindromic | retry | ~agree,
        incompatible=palindromic
        | unclear
        | (np.isin(a1, letters) & np.isin(a2, letters))
        | (a1 == a2)
        | (retry & ~same_flipped & ~turned_flipped),
    )


def _one_two(pair: _Pair, infer_strand: bool) -> _Done:
    mirror = pair._replace(a1=pair.b1, a2=pair.b2, b1=pair.a1, b2=pair.a2, fa=pair.fb, fb=pair.fa)
    done = _two_one(mirror, infer_strand)
    # The first file is turned where its letter is the second's other allele as it stands; where that shows
    # on the other strand only, the second file is turned.
    late = done.turned_second & done.strand_flipped
    return done._replace(
        effect=np.where(late, done.other, done.effect),
        other=np.where(late, done.effect, done.other),
        turned_first=done.turned_second & ~late,
        turned_second=late,
    )


def _one_one(pair: _Pair, infer_strand: bool) -> _Done:
    same = pair.a1 == pair.b1
    side_a, side_b = pair.side(pair.fa), pair.side(pair.fb)
    no = np.zeros_like(same)
    return _Done(
        effect=pair.a1,
        other=pair.a2,
        turned_first=no,
        turned_second=no,
        strand_flipped=no,
        palindromic=no,
        ambiguous=same & ~((side_a != 0) & (side_a == side_b)),
        incompatible=~same,
    )
