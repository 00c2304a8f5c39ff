"""Ranks of times that treat rounding noise as a tie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Times closer than this, absolutely or relative to the mean |time|, are one
# time: the default of R's survival (its ``timefix``).
TIME_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))


@dataclass(frozen=True, slots=True)
class RankedTimes:
    """Distinct times and each observation's place among them.

    Attributes
    ----------
    distinct : (k,) ndarray
        Increasing; of merged times the smallest stands.
    rank : (n,) ndarray of int64
        ``distinct[rank]`` is the time up to the tolerance.
    entry_rank : (n,) ndarray of int64 or None
        The same for entry times.
    """

    distinct: npt.NDArray[np.float64]
    rank: npt.NDArray[np.int64]
    entry_rank: npt.NDArray[np.int64] | None


def rank_times(time: npt.NDArray[np.float64], entry: npt.NDArray[np.float64] | None = None) -> RankedTimes:
    """Rank exit (and entry) times together, merging those closer than `TIME_TOLERANCE`.

    Examples
    --------
    >>> import numpy as np
    >>> rank_times(np.array([0.1 + 0.2, 0.3, 1.0])).rank.tolist()
    [0, 0, 1]
    """
    both = time if entry is None else np.concatenate([time, entry])
    distinct, rank = np.unique(both, return_inverse=True)
    gap = np.diff(distinct)
    tied = gap <= TIME_TOLERANCE * max(1.0, float(np.mean(np.abs(distinct)))) if distinct.size else gap > 0
    if tied.any():
        first = np.concatenate([[True], ~tied])
        rank = (np.cumsum(first) - 1)[rank]
        distinct = distinct[first]
    rank = rank.astype(np.int64, copy=False)
    if entry is None:
        return RankedTimes(distinct, rank, None)
    return RankedTimes(distinct, rank[: time.size], rank[time.size :])
