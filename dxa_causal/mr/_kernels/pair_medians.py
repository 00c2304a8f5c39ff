"""Weighted medians of many pairs and their parametric bootstrap, with random numbers that belong to the pair.

Draws come from Philox 4x32-10 (Salmon et al. 2011), keyed by the pair and counted by the draw: they depend neither on
the other pairs nor on how the work is split.
"""

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_MASK = np.uint64(0xFFFFFFFF)


@inner
def _philox(draw, block, key_low, key_high):
    """Four random 32-bit words for a counter and a key."""
    m0, m1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    c0, c1, c2, c3 = np.uint64(draw), np.uint64(block), np.uint64(0), np.uint64(0)
    k0, k1 = np.uint64(key_low), np.uint64(key_high)
    shift = np.uint64(32)
    for _ in range(10):
        p0, p1 = m0 * c0, m1 * c2
        c0, c2 = (p1 >> shift) ^ c1 ^ k0, (p0 >> shift) ^ c3 ^ k1
        c1, c3 = p1 & _MASK, p0 & _MASK
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _MASK, (k1 + np.uint64(0xBB67AE85)) & _MASK
    return c0, c1, c2, c3


@inner
def _two_normals(first, second):
    """Box and Muller's pair from two 32-bit words."""
    radius = np.sqrt(-2.0 * np.log((np.float64(first) + 0.5) / 4294967296.0))
    angle = 2.0 * np.pi * (np.float64(second) / 4294967296.0)
    return radius * np.cos(angle), radius * np.sin(angle)


@inner
def _weighted_median(ratio, weight, n):
    """Sort both by ratio, in place; interpolate the cumulative weight up to the middles at one half."""
    for i in range(1, n):
        value, own = ratio[i], weight[i]
        j = i - 1
        while j >= 0 and ratio[j] > value:
            ratio[j + 1], weight[j + 1] = ratio[j], weight[j]
            j -= 1
        ratio[j + 1], weight[j + 1] = value, own
    total = 0.0
    for i in range(n):
        total += weight[i]
    passed, low, below = 0.0, -1.0, -1
    for i in range(n):
        middle = (passed + 0.5 * weight[i]) / total
        if middle >= 0.5:
            if below < 0:
                return ratio[i]
            return ratio[below] + (ratio[i] - ratio[below]) * (0.5 - low) / (middle - low)
        low, below = middle, i
        passed += weight[i]
    return ratio[n - 1]


@kernel
def medians(
    bx: FloatArray,
    by: FloatArray,
    sx: FloatArray,
    sy: FloatArray,
    weight: FloatArray,
    start: IntArray,
    key: IntArray,
    n_draws: int,
) -> FloatArray:
    """Estimate and bootstrap standard error of each pair, (p, 2); key (p, 2) holds 32-bit words."""
    n_pairs = start.shape[0] - 1
    longest = 0
    for p in range(n_pairs):
        longest = max(longest, start[p + 1] - start[p])
    ratio, own, normal = np.empty(longest), np.empty(longest), np.empty(2 * longest + 4)
    found = np.empty((n_pairs, 2))
    for p in range(n_pairs):
        first = start[p]
        n = start[p + 1] - first
        for i in range(n):
            ratio[i], own[i] = by[first + i] / bx[first + i], weight[first + i]
        estimate = _weighted_median(ratio, own, n)
        mean = squares = 0.0
        for draw in range(n_draws):
            for block in range((2 * n + 3) // 4):
                a, b, c, d = _philox(draw, block, key[p, 0], key[p, 1])
                normal[4 * block], normal[4 * block + 1] = _two_normals(a, b)
                normal[4 * block + 2], normal[4 * block + 3] = _two_normals(c, d)
            for i in range(n):
                row = first + i
                ratio[i] = (by[row] + sy[row] * normal[2 * i + 1]) / (bx[row] + sx[row] * normal[2 * i])
                own[i] = weight[row]
            value = _weighted_median(ratio, own, n) - estimate
            step = value - mean
            mean += step / (draw + 1)
            squares += step * (value - mean)
        found[p, 0], found[p, 1] = estimate, np.sqrt(squares / (n_draws - 1))
    return found


@kernel
def philox(draw: int, block: int, key_low: int, key_high: int) -> FloatArray:
    """The four words as an array: for tests."""
    a, b, c, d = _philox(draw, block, key_low, key_high)
    return np.array([a, b, c, d])


@warms
def _warm() -> None:
    two = np.ones(2)
    medians(two, two, two, two, two, np.array([0, 2]), np.zeros((1, 2), dtype=np.int64), 2)
    philox(0, 0, 0, 0)
