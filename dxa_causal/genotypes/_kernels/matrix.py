"""Correlations of allele counts, those of all pairs or of each variant with its neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms
from dxa_causal.genotypes._kernels.bits import count, pack, people
from dxa_causal.genotypes._kernels.pairs import dosage_r, fill_table

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_BLOCK = 64  # variants whose planes stay in the processor's cache


@kernel
def _all_pairs(planes, counts, n, block, result):
    m = planes.shape[0]
    table = np.zeros(9, dtype=np.int64)
    for first in range(0, m, block):
        for second in range(first, m, block):
            for i in range(first, min(first + block, m)):
                for j in range(max(i, second), min(second + block, m)):
                    fill_table(planes[i], planes[j], counts[i], counts[j], n, table)
                    r = dosage_r(table)
                    result[i, j] = r
                    result[j, i] = r


@kernel
def _one_with_others(planes, counts, n, which, start, end, offset, result):
    table = np.zeros(9, dtype=np.int64)
    for k in range(which.size):
        i = which[k]
        for j in range(start[k], end[k]):
            fill_table(planes[i], planes[j], counts[i], counts[j], n, table)
            result[offset[k] + j - start[k]] = dosage_r(table)


def correlations(planes: npt.NDArray[np.uint64], counts: IntArray, n: int) -> FloatArray:
    """Signed correlations of all pairs, each from the people in whom both are known: (m, m)."""
    result = np.empty((planes.shape[0], planes.shape[0]))
    _all_pairs(planes, counts, n, _BLOCK, result)
    return result


def neighbours(
    planes: npt.NDArray[np.uint64], counts: IntArray, n: int, which: IntArray, start: IntArray, end: IntArray
) -> FloatArray:
    """Correlations of the variants `which` with those from `start` to before `end`, one after the other."""
    offset = np.concatenate([[0], np.cumsum(end - start)])
    result = np.empty(int(offset[-1]))
    _one_with_others(planes, counts, n, which, start, end, offset, result)
    return result


@warms
def _warm() -> None:
    planes = pack(np.array([[27], [27]], dtype=np.uint8), people(np.ones(4, dtype=bool)))
    zero = np.zeros(1, dtype=np.int64)
    correlations(planes, count(planes), 4)
    neighbours(planes, count(planes), 4, zero, zero, zero + 2)
