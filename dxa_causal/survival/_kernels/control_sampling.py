"""Draw controls for every case from those at risk when it fails."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@inner
def _put(row, pool, place, size):
    pool[size] = row
    place[row] = size
    return size + 1


@inner
def _take_out(row, pool, place, size):
    last = pool[size - 1]
    pool[place[row]] = last
    place[last] = place[row]
    place[row] = -1
    return size - 1


def draw_controls(
    rank: IntArray, entry: IntArray, event: IntArray, stratum: IntArray, *, m: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray]:
    """Sample m rows without replacement from each case's risk set.

    Parameters
    ----------
    rank, entry : (n,) ndarray of int64
        Ranks of exit and entry; entry -1 for those at risk from the origin.
    event, stratum : (n,) ndarray of int64
    m : int
    rng : Generator

    Returns
    -------
    cases : (cases,) ndarray of int64
    controls : (cases, m) ndarray of int64
        Rows drawn; -1 where fewer are eligible.
    eligible : (cases,) ndarray of int64
    """
    by_exit, by_entry = np.lexsort((event, -rank, stratum)), np.lexsort((-entry, stratum))
    cases = by_exit[event[by_exit] == 1]
    controls, eligible = _draw(rank, entry, event, stratum, by_exit, by_entry, rng.random((cases.size, m)))
    return cases, controls, eligible


@kernel
def _draw(rank, entry, event, stratum, by_exit, by_entry, uniform):
    """Go back in time through every stratum, drawing by Floyd's algorithm.

    Eligible are rows of the case's stratum that entered before its time and
    neither leave before it nor fail at it. They are kept in a pool, where the
    last fills the place of a row taken out. Cost: O(n + cases m^2).

    Parameters
    ----------
    rank, entry, event, stratum : (n,) int64
    by_exit : (n,) int64
        Rows by stratum, exit from late to early, censored before failing.
    by_entry : (n,) int64
        Rows by stratum, entry from late to early.
    uniform : (cases, m) float64
        Random numbers in [0, 1); one line per case in the order of `by_exit`.
    """
    n = rank.shape[0]
    n_cases, m = uniform.shape
    controls = np.full((n_cases, m), -1, dtype=np.int64)
    eligible = np.zeros(n_cases, dtype=np.int64)
    pool = np.empty(n, dtype=np.int64)
    place = np.full(n, -1, dtype=np.int64)
    size = 0
    case = 0
    i = 0
    j = 0
    while i < n:
        own = stratum[by_exit[i]]
        if i > 0 and stratum[by_exit[i - 1]] != own:
            size = 0
            j = i
        t = rank[by_exit[i]]
        while i < n and stratum[by_exit[i]] == own and rank[by_exit[i]] == t and event[by_exit[i]] == 0:
            size = _put(by_exit[i], pool, place, size)
            i += 1
        first = i
        while i < n and stratum[by_exit[i]] == own and rank[by_exit[i]] == t:
            if i == first:
                while j < n and stratum[by_entry[j]] == own and entry[by_entry[j]] >= t:
                    size = _take_out(by_entry[j], pool, place, size)
                    j += 1
            eligible[case] = size
            drawn = min(m, size)
            for q in range(drawn):
                top = size - drawn + q
                pick = pool[min(int(uniform[case, q] * (top + 1)), top)]
                for k in range(q):
                    if controls[case, k] == pick:
                        pick = pool[top]
                        break
                controls[case, q] = pick
            case += 1
            i += 1
        for k in range(first, i):
            size = _put(by_exit[k], pool, place, size)
    return controls, eligible


def inclusion_probability(
    key: IntArray, entry_key: IntArray, case_key: IntArray, eligible: IntArray, drawn: IntArray
) -> FloatArray:
    r"""Probability that a row is ever drawn: :math:`1 - \prod (1 - m_c / e_c)` over the cases it was eligible for.

    Parameters
    ----------
    key, entry_key : (n,) ndarray of int64
        Numbers of exit and entry of each row, increasing with time within a stratum and from stratum to stratum.
    case_key, eligible, drawn : (cases,) ndarray of int64
        The same number of each case, how many were eligible and how many drawn.
    """
    order = np.argsort(case_key, kind="stable")
    keys, e, m = case_key[order], eligible[order], drawn[order]
    certain = (m == e) & (e > 0)
    missed = np.log1p(-np.where(certain, 0.0, m / np.maximum(e, 1)))
    low, high = (np.searchsorted(keys, k, side="right") for k in (entry_key, key))
    log_missed, sure = (np.concatenate([[0.0], np.cumsum(v)]) for v in (missed, certain))
    return np.where(sure[high] > sure[low], 1.0, -np.expm1(log_missed[high] - log_missed[low]))


@warms
def _warm() -> None:
    rank, none = np.array([0, 1], dtype=np.int64), np.zeros(2, dtype=np.int64)
    event = np.array([1, 0], dtype=np.int64)
    draw_controls(rank, none - 1, event, none, m=1, rng=np.random.default_rng(1))
