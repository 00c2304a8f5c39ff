"""Start-stop rows of persons with repeated events: who is who, whether rows overlap, which event is next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OutcomeError, shown
from dxa_causal._design import SurvivalOutcome
from dxa_causal._numerics.times import RankedTimes

IntArray = npt.NDArray[np.int64]


def order_episodes(outcome: SurvivalOutcome, times: RankedTimes, person: pd.Series) -> tuple[IntArray, IntArray]:
    """Check the rows of each person.

    Parameters
    ----------
    outcome : SurvivalOutcome
    times : RankedTimes
    person : Series
        Who each row belongs to; index and name are used in messages.

    Returns
    -------
    codes : (n,) ndarray of int64
        Persons 0, 1, ...
    order : (n,) ndarray of int64
        Rows by person, then time.

    Raises
    ------
    OutcomeError
        Two rows of a person overlap, or a row is empty up to rounding. Gaps are allowed.
    """
    codes = pd.factorize(person)[0].astype(np.int64)
    entry_rank = np.full(codes.size, -1, dtype=np.int64) if times.entry_rank is None else times.entry_rank
    entry = np.zeros(codes.size) if outcome.entry is None else outcome.entry
    empty = np.flatnonzero(entry_rank >= times.rank)
    if empty.size:
        i = int(empty[0])
        raise OutcomeError(
            f"entry and exit are the same up to rounding in {empty.size} rows, first row {shown(person.index[i])} at "
            f"{outcome.time[i]:g}"
        )
    order = np.lexsort((times.rank, entry_rank, codes))
    before, after = order[:-1], order[1:]
    overlap = np.flatnonzero((codes[before] == codes[after]) & (entry_rank[after] < times.rank[before]))
    if overlap.size:
        a, b = before[overlap[0]], after[overlap[0]]
        hint = "; write Surv(start, stop, event)" if outcome.entry is None else "; a person counts once at any time"
        raise OutcomeError(
            f"{overlap.size} rows overlap another row of the same {person.name!r}: first {shown(person.iloc[a])} with "
            f"rows {shown(person.index[a])} ({entry[a]:g}, {outcome.time[a]:g}] and {shown(person.index[b])} "
            f"({entry[b]:g}, {outcome.time[b]:g}]{hint}"
        )
    return codes, order


def number_events(codes: IntArray, order: IntArray, event: IntArray) -> IntArray:
    """Number of the event each row waits for: 1 for rows up to the person's first event, then 2, ...

    Examples
    --------
    >>> person, event = np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1])
    >>> number_events(person, np.arange(4), event).tolist()
    [1, 1, 2, 1]
    """
    happened = event[order]
    earlier = np.cumsum(happened) - happened
    first = np.concatenate([[True], np.diff(codes[order]) != 0])
    at_first = earlier[first][np.cumsum(first) - 1]
    number = np.empty(codes.size, dtype=np.int64)
    number[order] = 1 + earlier - at_first
    return number
