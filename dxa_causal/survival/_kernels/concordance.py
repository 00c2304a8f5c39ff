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
def _clear(tree, position):
    """Empty what a row has added to: cheaper than the whole tree where strata are many."""
    i = position + 1
    while i < tree.shape[0]:
        tree[i] = 0.0
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
def concordance_totals(
    score: IntArray,
    n_scores: int,
    start: IntArray,
    stop: IntArray,
    event: IntArray,
    weight: FloatArray,
    death_weight: FloatArray,
    by_start: IntArray,
    stratum: IntArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Concordance sums; every row with an event meets those still at risk, backwards in time.

    A pair counts when the earlier of the two had an event while the other was
    at risk and went on (longer, or censored at the same time). It is
    concordant when the earlier had the larger score.

    Rows are sorted by stratum, then exit: all arrays but the tree are read in order.

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
    by_start : (n,) int64
        Rows sorted by stratum then entry; empty without delayed entry.
    stratum : (n,) int64

    Returns
    -------
    totals : (4,) float64
        Sums of weights of concordant, discordant, tied-score and tied-event-time pairs.
    agree, pairs : (n,) float64
        Per row with an event, sum over its pairs with later rows of their weights: concordant + half of tied
        scores; all.
    """
    n = score.shape[0]
    totals = np.zeros(4)
    agree = np.zeros(n)
    pairs = np.zeros(n)
    tree = np.zeros(n_scores + 1)
    distinct = n_scores == n
    total = 0.0
    i = n - 1
    j = by_start.shape[0] - 1
    end = n
    while i >= 0:
        s = stratum[i]
        t = stop[i]
        first = i
        while first >= 0 and stratum[first] == s and stop[first] == t:
            row = first
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
            row = k
            if event[row] == 1:
                lower = _below(tree, score[row])
                equal = 0.0 if distinct else _below(tree, score[row] + 1) - lower
                higher = total - lower - equal
                u = death_weight[row]
                totals[0] += weight[row] * u * lower
                totals[1] += weight[row] * u * higher
                totals[2] += weight[row] * u * equal
                totals[3] += weight[row] * u * tied
                agree[row] = u * (lower + 0.5 * equal)
                pairs[row] = u * total
                tied += weight[row]
        for k in range(first + 1, i + 1):
            row = k
            if event[row] == 1:
                _add(tree, score[row], weight[row])
                total += weight[row]
        i = first
        if i < 0 or stratum[i] != s:
            for k in range(i + 1, end):
                _clear(tree, score[k])
            end = i + 1
            total = 0.0
            while j >= 0 and stratum[by_start[j]] == s:
                j -= 1
    return totals, agree, pairs


@kernel
def concordance_later(
    score: IntArray,
    n_scores: int,
    start: IntArray,
    stop: IntArray,
    event: IntArray,
    weight: FloatArray,
    death_weight: FloatArray,
    by_start: IntArray,
    stratum: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Part of every row as the later one of its pairs: it meets the events that happened while it was at risk.

    Parameters as in :func:`concordance_totals`.

    Returns
    -------
    agree, pairs : (n,) float64
    """
    n = score.shape[0]
    agree = np.zeros(n)
    pairs = np.zeros(n)
    tree = np.zeros(n_scores + 1)
    total = 0.0
    i = 0
    j = 0
    begin = 0
    n_start = by_start.shape[0]
    while i < n:
        s = stratum[i]
        t = stop[i]
        while j < n_start and stratum[by_start[j]] == s and start[by_start[j]] < t:
            row = by_start[j]
            if start[row] >= 0:
                lower, equal, higher = _agreement(tree, score[row], total)
                agree[row] -= higher + 0.5 * equal
                pairs[row] -= total
            j += 1
        last = i
        while last < n and stratum[last] == s and stop[last] == t:
            row = last
            if event[row] == 1:
                lower, equal, higher = _agreement(tree, score[row], total)
                agree[row] += higher + 0.5 * equal
                pairs[row] += total
            last += 1
        for k in range(i, last):
            row = k
            if event[row] == 1:
                _add(tree, score[row], weight[row] * death_weight[row])
                total += weight[row] * death_weight[row]
        for k in range(i, last):
            row = k
            if event[row] == 0:
                lower, equal, higher = _agreement(tree, score[row], total)
                agree[row] += higher + 0.5 * equal
                pairs[row] += total
        i = last
        if i < n and stratum[i] != s:
            for k in range(begin, i):
                _clear(tree, score[k])
            begin = i
            total = 0.0
            while j < n_start and stratum[by_start[j]] == s:
                j += 1
    return agree, pairs


@kernel
def dense_ranks(values: FloatArray, order: IntArray) -> tuple[IntArray, int]:
    """Ranks 0, 1, ... of values, equal ones alike, given their order; and how many differ."""
    ranks = np.empty(values.shape[0], dtype=np.int64)
    current = -1
    for i in range(values.shape[0]):
        if i == 0 or values[order[i]] != values[order[i - 1]]:
            current += 1
        ranks[order[i]] = current
    return ranks, current + 1


@warms
def _warm() -> None:
    one = np.arange(3, dtype=np.int64)
    zero = np.zeros(3, dtype=np.int64)
    arguments = (one, 3, zero - 1, one, zero + 1, np.ones(3), np.ones(3), one, zero)
    concordance_totals(*arguments)
    concordance_later(*arguments)
    dense_ranks(np.ones(3), one)
