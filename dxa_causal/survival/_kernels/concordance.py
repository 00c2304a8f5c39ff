"""Concordant pairs and their influence in O(n log n), by Fenwick trees over the ranks of the score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@inner
def _add(tree, position, value):
    i = position + 1
    while i < tree.shape[0]:
        tree[i] += value
        i += i & -i


@inner
def _below(tree, position):
    """Sum of the values at ranks smaller than `position`."""
    total = 0.0
    i = position
    while i > 0:
        total += tree[i]
        i -= i & -i
    return total


@inner
def _agreement(tree, score, total):
    """Weight with a smaller score, and with an equal one."""
    lower = _below(tree, score)
    equal = _below(tree, score + 1) - lower
    return lower, equal, total - lower - equal


@kernel
def concordance_pairs(
    score: IntArray,
    n_scores: int,
    start: IntArray,
    stop: IntArray,
    event: IntArray,
    weight: FloatArray,
    death_weight: FloatArray,
    by_stop: IntArray,
    by_start: IntArray,
    stratum: IntArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Concordance sums in which every row takes part, as the earlier and as the later of a pair.

    A pair counts when the earlier of the two had an event while the other was
    at risk and went on (longer, or censored at the same time). It is
    concordant when the earlier had the larger score.

    Parameters
    ----------
    score : (n,) int64
        Dense ranks of the risk score, 0 .. n_scores - 1.
    n_scores : int
    start, stop : (n,) int64
        Ranks of entry (-1: from the origin) and exit.
    event : (n,) int64
    weight, death_weight : (n,) float64
        Case weight, and the factor of pairs in which the row is the one with the event.
    by_stop, by_start : (n,) int64
        Rows sorted by stratum then exit, and by stratum then entry.
    stratum : (n,) int64

    Returns
    -------
    totals : (4,) float64
        Sums of weights of concordant, discordant, tied-score and tied-event-time pairs.
    agree, pairs : (n,) float64
        Per row, sum over its pairs of the other weights: concordant + half of tied scores; all.
    """
    n = score.shape[0]
    totals = np.zeros(4)
    agree = np.zeros(n)
    pairs = np.zeros(n)
    tree = np.zeros(n_scores + 1)

    # Pass 1, backwards in time: rows with an event meet those still at risk.
    total = 0.0
    i = n - 1
    j = n - 1
    while i >= 0:
        s = stratum[by_stop[i]]
        t = stop[by_stop[i]]
        first = i
        while first >= 0 and stratum[by_stop[first]] == s and stop[by_stop[first]] == t:
            row = by_stop[first]
            if event[row] == 0:
                _add(tree, score[row], weight[row])
                total += weight[row]
            first -= 1
        while j >= 0 and stratum[by_start[j]] == s and start[by_start[j]] >= t:
            row = by_start[j]
            _add(tree, score[row], -weight[row])
            total -= weight[row]
            j -= 1
        tied = 0.0
        for k in range(first + 1, i + 1):
            row = by_stop[k]
            if event[row] == 1:
                lower, equal, higher = _agreement(tree, score[row], total)
                u = death_weight[row]
                totals[0] += weight[row] * u * lower
                totals[1] += weight[row] * u * higher
                totals[2] += weight[row] * u * equal
                totals[3] += weight[row] * u * tied
                agree[row] += u * (lower + 0.5 * equal)
                pairs[row] += u * total
                tied += weight[row]
        for k in range(first + 1, i + 1):
            row = by_stop[k]
            if event[row] == 1:
                _add(tree, score[row], weight[row])
                total += weight[row]
        i = first
        if i < 0 or stratum[by_stop[i]] != s:
            tree[:] = 0.0
            total = 0.0
            while j >= 0 and stratum[by_start[j]] == s:
                j -= 1

    # Pass 2, forwards: every row meets the events that happened while it was at risk.
    tree[:] = 0.0
    total = 0.0
    i = 0
    j = 0
    while i < n:
        s = stratum[by_stop[i]]
        t = stop[by_stop[i]]
        while j < n and stratum[by_start[j]] == s and start[by_start[j]] < t:
            row = by_start[j]
            if start[row] >= 0:
                lower, equal, higher = _agreement(tree, score[row], total)
                agree[row] -= higher + 0.5 * equal
                pairs[row] -= total
            j += 1
        last = i
        while last < n and stratum[by_stop[last]] == s and stop[by_stop[last]] == t:
            row = by_stop[last]
            if event[row] == 1:
                lower, equal, higher = _agreement(tree, score[row], total)
                agree[row] += higher + 0.5 * equal
                pairs[row] += total
            last += 1
        for k in range(i, last):
            row = by_stop[k]
            if event[row] == 1:
                _add(tree, score[row], weight[row] * death_weight[row])
                total += weight[row] * death_weight[row]
        for k in range(i, last):
            row = by_stop[k]
            if event[row] == 0:
                lower, equal, higher = _agreement(tree, score[row], total)
                agree[row] += higher + 0.5 * equal
                pairs[row] += total
        i = last
        if i >= n or stratum[by_stop[i]] != s:
            tree[:] = 0.0
            total = 0.0
            while j < n and stratum[by_start[j]] == s:
                j += 1
    return totals, agree, pairs


@warms
def _warm() -> None:
    one = np.arange(3, dtype=np.int64)
    zero = np.zeros(3, dtype=np.int64)
    concordance_pairs(one, 3, zero - 1, one, zero + 1, np.ones(3), np.ones(3), one, one, zero)
