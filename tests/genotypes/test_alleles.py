from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxa_causal._core.errors import DxaCausalError
from dxa_causal.genotypes import Alignment, Alleles, align_alleles, complement, is_palindromic

WORDS = ["A", "C", "G", "T", "I", "D", "AT", "TA", "ACG", None]


def alleles(*rows: tuple[str | None, str | None, float]) -> Alleles:
    effect, other, eaf = zip(*rows, strict=True)
    return Alleles(np.array(effect, dtype=object), np.array(other, dtype=object), np.array(eaf, dtype=float))


def one(first: tuple, second: tuple, **options) -> Alignment:
    return align_alleles(alleles(first), alleles(second), **options)


@pytest.mark.parametrize(
    ("first", "second", "sign", "flipped"),
    [
        (("A", "G", 0.2), ("A", "G", 0.2), 1, False),
        (("A", "G", 0.2), ("G", "A", 0.8), -1, False),
        (("A", "G", 0.2), ("T", "C", 0.2), 1, True),
        (("A", "G", 0.2), ("C", "T", 0.8), -1, True),
        (("A", "G", np.nan), ("C", "T", np.nan), -1, True),
        (("A", "T", 0.2), ("A", "T", 0.2), 1, False),
        (("A", "T", 0.2), ("T", "A", 0.8), -1, False),
        (("A", "T", 0.2), ("A", "T", 0.8), -1, True),
        (("A", "T", 0.2), ("T", "A", 0.2), 1, True),
        (("C", "G", 0.9), ("G", "C", 0.1), -1, False),
        (("AT", "A", 0.2), ("I", "D", 0.2), 1, False),
        (("AT", "A", 0.2), ("D", "I", 0.8), -1, False),
        (("A", "AT", 0.2), ("I", "D", 0.8), -1, False),
        (("A", "AT", 0.2), ("D", "I", 0.2), 1, False),
        (("I", "D", 0.2), ("AT", "A", 0.2), 1, False),
        (("I", "D", 0.2), ("A", "AT", 0.8), -1, False),
        (("D", "I", 0.2), ("AT", "A", 0.8), -1, False),
        (("D", "I", 0.2), ("A", "AT", 0.2), 1, False),
        (("D", "I", 0.2), ("I", "D", 0.8), -1, False),
        (("A", "G", 0.2), ("A", None, 0.2), 1, False),
        (("A", "G", 0.2), ("G", None, 0.8), -1, False),
        (("AT", "A", 0.2), ("D", None, 0.8), -1, False),
        (("A", None, 0.2), ("A", None, 0.2), 1, False),
    ],
)
def test_what_agrees_is_turned_to_the_first_file(first, second, sign, flipped):
    r = one(first, second)
    assert (r.sign_first[0], r.sign_second[0], r.strand_flipped[0]) == (1, sign, flipped)
    assert not r.incompatible[0]
    assert not r.ambiguous[0]
    expected = second[2] if sign == 1 else 1 - second[2]
    assert r.eaf_second[0] == pytest.approx(expected, nan_ok=True)
    assert r.swapped[0] == (sign == -1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("A", "G", 0.2), ("A", "C", 0.2)),
        (("A", "T", 0.2), ("A", "G", 0.2)),
        (("A", "G", 0.2), ("I", "D", 0.2)),
        (("AT", "TA", 0.2), ("I", "D", 0.2)),
        (("I", "D", 0.2), ("AT", "TA", 0.2)),
        (("A", "A", 0.2), ("A", "A", 0.2)),
        (("A", "T", 0.2), ("A", None, 0.2)),
        (("I", "D", 0.2), ("I", None, 0.2)),
        (("AC", "AT", 0.2), ("I", None, 0.2)),
        (("AT", "A", 0.2), ("C", None, 0.2)),
        (("A", None, 0.2), ("G", None, 0.2)),
        (("A", None, 0.2), ("T", None, 0.2)),
    ],
)
def test_incompatible_both_ways_round(first, second):
    assert one(first, second).incompatible[0]
    assert one(second, first).incompatible[0]


@pytest.mark.parametrize(
    ("fa", "fb", "ambiguous"),
    [
        (0.2, 0.2, False),
        (0.2, 0.45, True),
        (0.2, np.nan, True),
        (np.nan, np.nan, True),
        (0.42, 0.42, False),  # the band is open
        (0.42, 0.5, True),
        (0.58, 0.9, False),
    ],
)
def test_palindromic_near_one_half_is_ambiguous(fa, fb, ambiguous):
    r = one(("A", "T", fa), ("A", "T", fb))
    assert r.palindromic[0]
    assert r.ambiguous[0] == ambiguous


def test_tolerance_and_strand_inference_are_options():
    assert not one(("A", "T", 0.45), ("A", "T", 0.45), tolerance=0.01).ambiguous[0]
    assert one(("A", "T", 0.2), ("A", "T", 0.8), infer_strand=False).sign_second[0] == 1
    with pytest.raises(DxaCausalError, match="tolerance"):
        one(("A", "T", 0.2), ("A", "T", 0.2), tolerance=0.5)


@pytest.mark.parametrize(
    ("first", "second", "ambiguous"),
    [
        (("A", "G", 0.2), ("A", None, 0.9), True),
        (("A", "G", 0.2), ("A", None, np.nan), True),
        (("A", "G", 0.2), ("G", None, 0.2), True),
        (("A", "G", 0.2), ("T", None, 0.2), True),  # other strand: alleles match, nothing confirms it
        (("A", None, 0.2), ("A", None, 0.9), True),
        (("A", None, 0.2), ("A", None, 0.42), True),  # needs to lie beyond the band
    ],
)
def test_one_allele_needs_frequencies_that_confirm(first, second, ambiguous):
    r = one(first, second)
    assert not r.incompatible[0]
    assert r.ambiguous[0] == ambiguous


def test_exposure_is_turned_when_only_the_outcome_names_both_alleles():
    r = one(("G", None, 0.8), ("A", "G", 0.2))
    assert (r.effect[0], r.other[0], r.sign_first[0], r.sign_second[0]) == ("A", "G", -1, 1)
    assert r.eaf_first[0] == pytest.approx(0.2)


def test_letters():
    assert [complement(x) for x in ("A", "CG", "D")] == ["T", "GC", "D"]
    assert [is_palindromic(*x) for x in ("AT", "CG", "AG", "II")] == [True, True, False, False]


row = st.tuples(
    st.sampled_from(WORDS[:-1]), st.sampled_from(WORDS), st.sampled_from([np.nan, 0.1, 0.45, 0.5, 0.55, 0.9])
)


@given(st.lists(st.tuples(row, row), min_size=1, max_size=20))
def test_rows_do_not_influence_each_other(pairs):
    together = align_alleles(alleles(*[a for a, _ in pairs]), alleles(*[b for _, b in pairs]))
    for i, (a, b) in enumerate(pairs):
        alone = one(a, b)
        for name in Alignment.__slots__:
            x, y = getattr(together, name)[i], getattr(alone, name)[0]
            assert x == y or (x != x and y != y), name


@given(row, row)
def test_exchanging_the_alleles_of_the_second_file_turns_its_sign(a, b):
    if b[1] is None or a[1] is None or b[2] in (0.5,):
        return
    there, back = one(a, b), one(a, (b[1], b[0], 1 - b[2]))
    assert there.incompatible[0] == back.incompatible[0]
    assert there.ambiguous[0] == back.ambiguous[0]
    if not there.incompatible[0]:
        assert there.sign_second[0] == -back.sign_second[0]
