"""Clumps over a whole genome: variants laid on one line, cut where no clump can reach across, taken piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_number
from dxa_causal.genotypes.alleles import BoolArray, FloatArray, IntArray
from dxa_causal.genotypes.panel import Panel

_MEMORY = 2**27  # bytes of genotypes unpacked at a time, where the gaps between variants allow it


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """For each variant given: who took it (its own number for an index, -1 nobody), r with that, does it vary."""

    owner: IntArray
    r: FloatArray
    varies: BoolArray


def reach_of(kb: float) -> int:
    """Largest distance in base pairs: less than `kb` thousand, as in plink."""
    check_number("kb", kb)
    if not 0.0 < kb < np.inf:
        raise OptionError(f"kb={kb!r} must be a positive number of thousand base pairs; 10000 is usual in MR")
    return int(kb * 1000.0 * (1.0 + 1e-12)) - 1


def check_r2(r2: float) -> None:
    """Refuse an r2 outside [0, 1)."""
    check_number("r2", r2)
    if not 0.0 <= r2 < 1.0:
        raise OptionError(f"r2={r2!r} must be at least 0 and below 1; 0.001 is usual in MR")


def group(panel: Panel, place: IntArray, ranking: IntArray, *, reach: int, r2: float, haplotype: bool = True) -> Groups:
    """Form clumps of variants of a panel.

    Parameters
    ----------
    panel : Panel
    place : (m,) ndarray of int
        Rows of the bim file.
    ranking : (m,) ndarray of int
        Lower is better, no two alike; negative for those that may only be taken.
    reach : int
        Largest distance, base pairs.
    r2 : float
    haplotype : bool
        Correlation of haplotypes rather than of allele counts.
    """
    from dxa_causal.genotypes._kernels import bits, greedy

    m, n = place.size, int(panel.founders.sum())
    owner, r, varies = np.full(m, -1, dtype=np.int64), np.full(m, np.nan), np.ones(m, dtype=bool)
    line, order = one_line(panel, place, reach)
    for piece in _pieces(line, reach, max(1, _MEMORY // (24 * -(-panel.n_samples // 64)))):
        here = order[piece]
        planes = panel.planes(place[here])
        counts = bits.count(planes)
        still = (counts[:, [0, 1]].sum(axis=1) == 0) | (counts[:, [1, 2]].sum(axis=1) == 0)
        varies[here[still]] = False
        rank = np.where(still, -1, ranking[here])
        may = np.flatnonzero(rank >= 0)
        found = greedy.clumps(
            planes, counts, line[piece], may[np.argsort(rank[may])], n=n, reach=reach, r2=r2, haplotype=haplotype
        )
        taken = found.owner >= 0
        owner[here[taken]] = here[found.owner[taken]]
        r[here] = found.r
    return Groups(owner, r, varies)


def one_line(panel: Panel, place: IntArray, reach: int) -> tuple[IntArray, IntArray]:
    """Positions in rising order, chromosomes one after the other farther apart than `reach`; and that order."""
    names = panel.variants["chromosome"][place].cast(pl.Categorical)
    chromosome = pd.factorize(names.to_physical().fill_null(0).to_numpy())[0].astype(np.int64)
    position = panel.variants["position"][place].to_numpy()
    length = int(position.max(initial=0)) + reach + 1
    line = chromosome * length + position
    order = np.lexsort((place, line))
    return np.ascontiguousarray(line[order]), order


def _pieces(line: IntArray, reach: int, most: int) -> Iterator[slice]:
    """Cut the line at gaps that nothing reaches across, into pieces of about `most` variants or as few as it allows."""
    cuts = np.append(np.flatnonzero(np.diff(line) > reach) + 1, line.size)
    start = 0
    while start < line.size:
        fits = int(np.searchsorted(cuts, start + most, side="right")) - 1
        end = int(cuts[fits]) if fits >= 0 and cuts[fits] > start else int(cuts[np.searchsorted(cuts, start, "right")])
        yield slice(start, end)
        start = end
