r"""Two variants at a time: the table of their genotypes, and what it says of their correlation.

A table holds how many people have genotype a of one variant and b of the other, 0 = two copies of the first allele,
1 = one, 2 = none, those with either missing left out; flat, 3a + b.
"""

from __future__ import annotations

import numpy as np

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal.genotypes._kernels.bits import count, pack, people, popcount

_TINY = 1e-12  # below it a share is rounding error
_NOTHING = 2.0**-44  # below it so is a covariance of alleles


@inner
def fill_table(x, y, of_x, of_y, n, table):
    """Fill the table of two variants from their planes, each (3, words), their counts, each (3,), and the people."""
    if of_x[0] + of_x[1] + of_x[2] == n and of_y[0] + of_y[1] + of_y[2] == n:
        _fill_complete(x, y, of_x, of_y, n, table)
        return
    for cell in range(9):
        table[cell] = 0
    for word in range(x.shape[1]):
        for a in range(3):
            bits = x[a, word]
            table[3 * a] += popcount(bits & y[0, word])
            table[3 * a + 1] += popcount(bits & y[1, word])
            table[3 * a + 2] += popcount(bits & y[2, word])


@inner
def _fill_complete(x, y, of_x, of_y, n, table):
    """The same where no genotype is missing: four cells are counted, the others follow."""
    both = first = second = het = 0
    for word in range(x.shape[1]):
        both += popcount(x[0, word] & y[0, word])
        first += popcount(x[0, word] & y[1, word])
        second += popcount(x[1, word] & y[0, word])
        het += popcount(x[1, word] & y[1, word])
    table[0], table[1], table[2] = both, first, of_x[0] - both - first
    table[3], table[4], table[5] = second, het, of_x[1] - second - het
    table[6], table[7] = of_y[0] - both - second, of_y[1] - first - het
    table[8] = n - of_x[0] - of_x[1] - table[6] - table[7]


@inner
def dosage_r(table):
    """Pearson correlation of the numbers of first alleles; nan where one does not vary."""
    n = 0
    sx = sy = sxx = syy = sxy = 0
    for a in range(3):
        for b in range(3):
            c = table[3 * a + b]
            x, y = 2 - a, 2 - b
            n += c
            sx += c * x
            sy += c * y
            sxx += c * x * x
            syy += c * y * y
            sxy += c * x * y
    vx, vy = n * sxx - sx * sx, n * syy - sy * sy
    if vx <= 0 or vy <= 0:
        return np.nan
    return (n * sxy - sx * sy) / np.sqrt(float(vx) * float(vy))


@inner
def _log_likelihood(a, b, c, d, h, x):
    """Of haplotype shares a + x, b + h - x, c + h - x, d + x per haplotype; a ... d known from single phases."""
    total = 0.0
    if a > 0.0:
        total += a * np.log(a + x)
    if b > 0.0:
        total += b * np.log(b + h - x)
    if c > 0.0:
        total += c * np.log(c + h - x)
    if d > 0.0:
        total += d * np.log(d + x)
    either = (a + x) * (d + x) + (b + h - x) * (c + h - x)
    return total + h * np.log(either) if either > 0.0 else -np.inf


@inner
def _keep_better(a, b, c, d, h, x, best, best_value):
    """The likelier of x, set into its range, and the best so far."""
    x = min(max(x, 0.0), h)
    value = _log_likelihood(a, b, c, d, h, x)
    if value > best_value:
        return x, value
    return best, best_value


@inner
def _phase(a, b, c, d, h):
    """Share of haplotypes that are 11 and stem from double heterozygotes, at the maximum of the likelihood.

    Stationary points are roots of 2x^3 + (a + d - b - c - 3h) x^2 + (ad + (b + h)(c + h) - h(a + d)) x - h a d.
    """
    if h <= _TINY:
        return 0.0
    p2 = (a + d - b - c - 3.0 * h) / 2.0
    p1 = (a * d + (b + h) * (c + h) - h * (a + d)) / 2.0
    p0 = -h * a * d / 2.0
    shift = -p2 / 3.0
    q = (p2 * p2 - 3.0 * p1) / 9.0
    r = (2.0 * p2 * p2 * p2 - 9.0 * p2 * p1 + 27.0 * p0) / 54.0
    best, value = 0.0, _log_likelihood(a, b, c, d, h, 0.0)
    best, value = _keep_better(a, b, c, d, h, h, best, value)
    if q > 0.0 and r * r <= q * q * q:
        angle = np.arccos(min(max(r / (q * np.sqrt(q)), -1.0), 1.0))
        size = -2.0 * np.sqrt(q)
        for k in range(3):
            root = size * np.cos((angle + 2.0 * np.pi * (k - 1)) / 3.0) + shift
            best, value = _keep_better(a, b, c, d, h, root, best, value)
    else:
        size = np.cbrt(abs(r) + np.sqrt(max(r * r - q * q * q, 0.0)))
        if r > 0.0:
            size = -size
        root = size + (q / size if size != 0.0 else 0.0) + shift
        best, value = _keep_better(a, b, c, d, h, root, best, value)
    return best


@inner
def haplotype_r(table):
    """Correlation of the alleles on haplotypes at the maximum of the likelihood; nan where one does not vary."""
    n = 0
    for cell in range(9):
        n += table[cell]
    if n == 0:
        return np.nan
    twice = 2.0 * n
    a = (2 * table[0] + table[1] + table[3]) / twice
    b = (2 * table[2] + table[1] + table[5]) / twice
    c = (2 * table[6] + table[3] + table[7]) / twice
    d = (2 * table[8] + table[5] + table[7]) / twice
    h = table[4] / twice
    p, q = a + b + h, a + c + h
    if min(p, q, 1.0 - p, 1.0 - q) <= _TINY:
        return np.nan
    apart = a + _phase(a, b, c, d, h) - p * q
    if abs(apart) < _NOTHING:
        return 0.0
    return apart / np.sqrt(p * (1.0 - p) * q * (1.0 - q))


@kernel
def _of_table(table, haplotype):
    return haplotype_r(table) if haplotype else dosage_r(table)


@kernel
def _of_planes(planes, counts, n, table):
    fill_table(planes[0], planes[1], counts[0], counts[1], n, table)


def correlation(table: np.ndarray, *, haplotype: bool) -> float:
    """Correlation that a flat table of nine counts gives: of haplotypes or of allele counts."""
    return float(_of_table(np.ascontiguousarray(table, dtype=np.int64), haplotype))


def table_of(planes: np.ndarray, n: int) -> np.ndarray:
    """Table of the first two variants of `planes`, of n people."""
    table = np.zeros(9, dtype=np.int64)
    _of_planes(planes, count(planes), n, table)
    return table


@warms
def _warm() -> None:
    table = table_of(pack(np.zeros((2, 1), dtype=np.uint8), people(np.ones(3, dtype=bool))), 3)
    correlation(table, haplotype=True)
