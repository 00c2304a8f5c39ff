"""Who is at risk, who has an event and who leaves at each distinct exit time of one group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RiskCounts:
    """Sums of weights at each of k distinct exit times ("places").

    Attributes
    ----------
    place : (k,) ndarray of int64
        Index of each time among the distinct times of all groups.
    n_risk, n_censor, n_left : (k,) ndarray
        At risk just before, censored at, and at risk without an event at the
        place; `n_left` is exactly zero when all at risk have one.
    n_event : (causes, k) ndarray
    n_death : (k,) ndarray of int64
        Number of rows with an event of any cause.
    entered : (n,) ndarray of int64
        First place at which each row is at risk.
    exit : (n,) ndarray of int64
        Place at which each row leaves.
    """

    place: IntArray
    n_risk: FloatArray
    n_censor: FloatArray
    n_left: FloatArray
    n_event: FloatArray
    n_death: IntArray
    entered: IntArray
    exit: IntArray


def count_at_risk(
    rank: IntArray, entry_rank: IntArray | None, event: IntArray, weight: FloatArray, *, n_causes: int = 1
) -> RiskCounts:
    """Count from ranked times; `event` holds the cause, 0 = censored."""
    seen = np.bincount(rank) > 0
    number: IntArray = np.cumsum(seen)
    k = int(number[-1])
    leave = number[rank] - 1
    entered = np.zeros(rank.size, dtype=np.int64) if entry_rank is None else number[entry_rank]
    by_cause = np.bincount(event * k + leave, weight, (n_causes + 1) * k).astype(np.float64).reshape(-1, k)
    n_event = by_cause[1:]
    died = n_event.sum(axis=0)
    n_death = np.bincount(leave[event > 0], minlength=k)
    # a difference of sums of weights leaves rounding noise where all at risk die: rows are counted exactly
    rows = np.ones(rank.size)
    last = _at_risk(leave, entered, rows, k) == n_death
    n_risk = np.where(last, died, _at_risk(leave, entered, weight, k))
    return RiskCounts(np.flatnonzero(seen), n_risk, by_cause[0], n_risk - died, n_event, n_death, entered, leave)


def _at_risk(leave: IntArray, entered: IntArray, weight: FloatArray, k: int) -> FloatArray:
    """Those who came less those who left before, or those who leave less those who come later: the shorter sums."""
    out, come = np.bincount(leave, weight, k), np.bincount(entered, weight, k + 1)[:k]
    came, leaving = np.cumsum(come), out[::-1].cumsum()[::-1]
    later = np.concatenate([come[:0:-1].cumsum()[::-1], [0.0]])
    total: FloatArray = np.where(came < leaving, came - (np.cumsum(out) - out), leaving - later)
    return total
