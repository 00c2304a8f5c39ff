"""Variants that several traits share, their alleles, and prior probabilities over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError, shown
from dxa_causal.genotypes.alignment import Alleles, align_alleles
from dxa_causal.mr.locus.trait import LocusTrait
from dxa_causal.results import read_only

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


NO_ALLELES = "effect alleles not given in both: taken as equal"


def common_variants(traits: Sequence[LocusTrait]) -> list[IntArray]:
    """Rows of each trait that all of them have, in the order of the first.

    Raises
    ------
    SummaryStatisticsError
        There are none.
    """
    first = traits[0].variant
    rows = [np.arange(first.size)]
    for other in traits[1:]:
        same = other.variant.size == first.size and bool((other.variant == first).all())
        rows.append(np.arange(first.size) if same else pd.Index(other.variant).get_indexer(first))
    shared = np.all([r >= 0 for r in rows], axis=0)
    if not shared.any():
        examples = "; ".join(f"{t.name} has {', '.join(map(repr, t.variant[:2]))}" for t in traits)
        raise SummaryStatisticsError(
            f"no variant is in all of the traits: {examples}. Do the names follow one pattern?"
        )
    return [r[shared] for r in rows]


def aligned_variants(first: LocusTrait, second: LocusTrait) -> tuple[list[IntArray], FloatArray, tuple[str, ...]]:
    """Common rows whose alleles agree, the sign that turns the second trait to the alleles of the first, and notes.

    Raises
    ------
    SummaryStatisticsError
        There are none.
    """
    rows = common_variants([first, second])
    m = rows[0].size
    notes = [f"{m} variants in common; {first.name} has {first.n_variants}, {second.name} {second.n_variants}"]
    if first.effect_allele is None or second.effect_allele is None:
        return rows, np.ones(m), (*notes, NO_ALLELES)
    sides = []
    for trait, r in ((first, rows[0]), (second, rows[1])):
        assert trait.effect_allele is not None
        other = trait.other_allele[r] if trait.other_allele is not None else np.full(m, None, dtype=object)
        sides.append(Alleles(trait.effect_allele[r], other, trait.eaf[r]))
    aligned = align_alleles(sides[0], sides[1])
    bad = aligned.incompatible | aligned.ambiguous
    if bad.all():
        raise SummaryStatisticsError(
            f"the alleles of {first.name} and {second.name} agree for none of {m} variants, first "
            f"{first.variant[rows[0][0]]!r}: {first.name} counts {shown(sides[0].effect[0])}, {second.name} "
            f"{shown(sides[1].effect[0])}"
        )
    if aligned.incompatible.any():
        notes.append(f"{int(aligned.incompatible.sum())} variants left out: their alleles do not match")
    ambiguous = aligned.ambiguous & ~aligned.incompatible
    if ambiguous.any():
        notes.append(f"{int(ambiguous.sum())} palindromic variants left out: frequencies do not tell the strand")
    keep = ~bad
    sign = (aligned.sign_first * aligned.sign_second)[keep]
    return [r[keep] for r in rows], sign, tuple(notes)


def turned_to(first: LocusTrait, second: LocusTrait) -> LocusTrait:
    """Return the second trait counted for the alleles of the first; variants whose alleles disagree are left out.

    Variants that the first does not have stay as they are.
    """
    if first.effect_allele is None or second.effect_allele is None:
        return second
    rows, sign, notes = aligned_variants(first, second)
    shared = pd.Index(second.variant).isin(pd.Index(first.variant))
    keep, turn = ~shared, np.ones(second.n_variants)
    keep[rows[1]], turn[rows[1]] = True, sign
    effect = second.effect_allele.copy()
    other = None if second.other_allele is None else second.other_allele.copy()
    effect[rows[1]] = first.effect_allele[rows[0]]
    if other is not None and first.other_allele is not None:
        other[rows[1]] = first.other_allele[rows[0]]
    return replace(
        second,
        variant=second.variant[keep],
        z=read_only((turn * second.z)[keep]),
        variance=read_only(second.variance[keep]),
        eaf=read_only(np.where(turn < 0.0, 1.0 - second.eaf, second.eaf)[keep]),
        position=read_only(second.position[keep]),
        effect_allele=effect[keep],
        other_allele=None if other is None else other[keep],
        notes=(*second.notes, *notes[1:]),
    )


def check_prior(name: str, value: float, n_variants: int = 1) -> None:
    """Refuse a prior probability per variant that is none, or that adds up to one or more over the region."""
    if not 0.0 < value < 1.0:
        raise OptionError(f"{name}={value!r} must lie strictly between 0 and 1; 1e-4 is usual")
    if n_variants * value >= 1.0:
        raise OptionError(
            f"{name}={value!r} is too large for {n_variants} variants: a causal variant in the region would be "
            f"certain; give less than {1.0 / n_variants:.3g}"
        )
