"""Clumps: the best variant of all takes those near it that are correlated with it, then the best of the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms
from dxa_causal.genotypes._kernels.bits import count, pack, people
from dxa_causal.genotypes._kernels.pairs import dosage_r, fill_table, haplotype_r

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Clumps(NamedTuple):
    """For each variant, the place of the one that took it (its own for an index, -1 for none) and r with that."""

    owner: IntArray
    r: FloatArray


@kernel
def _take(planes, counts, n, position, order, reach, limit, haplotype, owner, correlation):
    m = position.size
    table = np.zeros(9, dtype=np.int64)
    for i in order:
        if owner[i] >= 0:
            continue
        owner[i] = i
        correlation[i] = 1.0
        low = i
        while low > 0 and position[i] - position[low - 1] <= reach:
            low -= 1
        for j in range(low, m):
            if position[j] - position[i] > reach:
                break
            if owner[j] >= 0:
                continue
            fill_table(planes[i], planes[j], counts[i], counts[j], n, table)
            r = haplotype_r(table) if haplotype else dosage_r(table)
            if r * r > limit * (1.0 + 1e-12):  # what equals it but for rounding stays; never where r is nan
                owner[j] = i
                correlation[j] = r


def clumps(
    planes: npt.NDArray[np.uint64],
    counts: IntArray,
    position: IntArray,
    order: IntArray,
    *,
    n: int,
    reach: int,
    r2: float,
    haplotype: bool,
) -> Clumps:
    """Form the clumps of one stretch of a chromosome.

    Parameters
    ----------
    planes : (m, 3, words) uint64
    counts : (m, 3) int64
        Bits in them, from `bits.count`.
    position : (m,) int64
        In rising order.
    order : (k,) int64
        Places of those that may be an index, the best first. Others can only be taken.
    n : int
        People that count.
    reach : int
        Largest distance, base pairs.
    r2 : float
        A variant is taken where its squared correlation exceeds it.
    haplotype : bool
        Correlation of haplotypes (as plink --clump) or of allele counts.
    """
    owner = np.full(position.size, -1, dtype=np.int64)
    correlation = np.full(position.size, np.nan)
    _take(planes, counts, n, position, order, reach, r2, haplotype, owner, correlation)
    return Clumps(owner, correlation)


@warms
def _warm() -> None:
    planes = pack(np.array([[27], [27]], dtype=np.uint8), people(np.ones(4, dtype=bool)))
    clumps(planes, count(planes), np.arange(2), np.arange(2), n=4, reach=1, r2=0.5, haplotype=True)
