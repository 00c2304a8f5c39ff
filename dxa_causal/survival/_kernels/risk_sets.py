"""Who is at risk at which event time, as integers: the times themselves are no longer needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    groups = np.unique(key[event == 1])
    last = np.searchsorted(groups, key, side="right") - 1
    in_stratum = (last >= 0) & (groups[last] >= base) if groups.size else np.zeros(event.size, dtype=bool)
    if times.entry_rank is None:
        before = np.full(event.size, -1, dtype=np.int64)
    else:
        before = np.searchsorted(groups, base + times.entry_rank, side="right") - 1
        before[(before >= 0) & (groups[np.maximum(before, 0)] < base)] = -1
    kept = np.flatnonzero(in_stratum & (last > before))
    kept = kept[np.argsort(last[kept], kind="stable")]
    delayed = np.flatnonzero(before[kept] >= 0)
    group_stratum = groups // max(n_ranks, 1)
    closes = np.ones(groups.size, dtype=np.int64)
    closes[:-1] = group_stratum[1:] != group_stratum[:-1]
    return RiskSets(
        order=kept,
        last=np.ascontiguousarray(last[kept]),
        before=np.ascontiguousarray(before[kept]),
        entry_order=delayed[np.argsort(before[kept][delayed], kind="stable")],
        event=np.ascontiguousarray(event[kept]),
        group_rank=groups - group_stratum * n_ranks,
        group_stratum=group_stratum,
        group_closes=closes,
    )
