"""Who is at risk at which event time, as integers: the times themselves are no longer needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms
from dxa_causal._numerics.times import RankedTimes

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskSets:
    """Risk sets of a Cox model: row i is at risk at the event groups ``before[i] < g <= last[i]``.

    A group is one distinct event time of one stratum; groups are numbered by
    stratum, then time. Rows never at risk at an event time carry no
    information and are left out of `order`.

    Attributes
    ----------
    order : (m,) ndarray of int64
        Rows kept, sorted by `last`.
    last : (m,) ndarray of int64
        Last group at or before the exit, of the rows in `order`.
    before : (m,) ndarray of int64
        Last group at or before the entry; -1 for none in the stratum.
    entry_order : (k,) ndarray of int64
        Positions (in `order`) of rows with delayed entry, sorted by `before`.
    event : (m,) ndarray of int64
    group_rank : (g,) ndarray of int64
        Rank of each group's time among the distinct times.
    group_stratum : (g,) ndarray of int64
    group_closes : (g,) ndarray of int64
        1 where the group is the last of its stratum.
    """

    order: IntArray
    last: IntArray
    before: IntArray
    entry_order: IntArray
    event: IntArray
    group_rank: IntArray
    group_stratum: IntArray
    group_closes: IntArray


def build_risk_sets(times: RankedTimes, event: IntArray, stratum: IntArray | None) -> RiskSets:
    """Number event groups and place every row among them.

    Parameters
    ----------
    times : RankedTimes
    event : (n,) ndarray of int64
        1 = event.
    stratum : (n,) ndarray of int64 or None
        Codes 0, 1, ...
    """
    n_ranks = times.distinct.size
    base = np.zeros(event.size, dtype=np.int64) if stratum is None else stratum * n_ranks
    key = base + times.rank
    size = n_ranks if stratum is None else (int(stratum.max()) + 1) * n_ranks
    groups, last = _events_up_to(key, event, key, size)
    if times.entry_rank is None:
        before = np.full(event.size, -1, dtype=np.int64)
    else:
        _, before = _events_up_to(key, event, base + times.entry_rank, size)
    if stratum is not None:
        for place in (last, before):
            place[(place >= 0) & (groups[np.maximum(place, 0)] < base)] = -1
    kept = np.flatnonzero(last > before)
    kept = kept[counting_sort(last[kept], groups.size)]
    last, before = last[kept], before[kept]
    delayed = np.flatnonzero(before >= 0)
    group_stratum = groups // max(n_ranks, 1)
    closes = np.ones(groups.size, dtype=np.int64)
    closes[:-1] = group_stratum[1:] != group_stratum[:-1]
    return RiskSets(
        order=kept,
        last=last,
        before=before,
        entry_order=delayed[counting_sort(before[delayed], groups.size)],
        event=event[kept],
        group_rank=groups - group_stratum * n_ranks,
        group_stratum=group_stratum,
        group_closes=closes,
    )


def _events_up_to(key: IntArray, event: IntArray, at: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Keys with an event, sorted, and for each of `at` the place of the last one up to it (-1 for none)."""
    died = key[event == 1]
    if size <= 8 * key.size + 1024:  # a table of all keys is small enough: no search, no sort
        has_event = np.zeros(size, dtype=bool)
        has_event[died] = True
        place = np.concatenate([[-1], np.cumsum(has_event) - 1])  # -1 stands for a time before all
        return np.flatnonzero(has_event), place[at + 1]
    groups = np.unique(died)
    return groups, np.searchsorted(groups, at, side="right") - 1


@kernel
def counting_sort(key: IntArray, n_keys: int) -> IntArray:
    """Stable order of integer keys 0 .. n_keys - 1, in O(n)."""
    place = np.zeros(n_keys + 1, dtype=np.int64)
    for i in range(key.shape[0]):
        place[key[i] + 1] += 1
    for k in range(n_keys):
        place[k + 1] += place[k]
    order = np.empty(key.shape[0], dtype=np.int64)
    for i in range(key.shape[0]):
        order[place[key[i]]] = i
        place[key[i]] += 1
    return order


@warms
def _warm() -> None:
    counting_sort(np.array([1, 0], dtype=np.int64), 2)
