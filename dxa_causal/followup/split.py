"""Follow-up split at given times, as R's ``survival::survSplit`` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dxa_causal.followup.columns import (
    read_events,
    read_frame,
    read_numbers,
    read_spans,
    read_times,
    refuse_empty,
    refuse_names,
    take,
)
from dxa_causal.followup.lexis import cut


def split(
    data: Any,
    *,
    cuts: Sequence[float],
    time: str,
    event: str | None,
    entry: str | float = 0.0,
    id: str | None = None,
    start: str = "tstart",
    episode: str = "episode",
) -> pd.DataFrame:
    """Split each row at fixed times since the origin.

    Parameters
    ----------
    data : pandas or polars DataFrame
        Follow-up (entry, time] per row.
    cuts : sequence of float
        Times to split at, in any order. A row is cut by those strictly inside
        it.
    time : str
        Column of the end of follow-up.
    event : str or None
        Column of what happened at `time`: 0/1, boolean, 0 and a code per
        cause, or a categorical whose first category is nothing. It stays on
        the last piece of each row. None only where the frame holds no event:
        any other column is copied into every piece, events too.
    entry : str or float
        Column of the beginning of follow-up, or one number for all.
    id : str, optional
        Column of the person; when given, rows of one person may not overlap.
    start : str
        Name of the new column of beginnings, where `entry` is a number.
    episode : str
        Name of the new column: 1 before the first cut, 2 from there to the
        second, ...

    Returns
    -------
    DataFrame
        All columns; `time`, `event` and the beginning are those of the piece.
        Rows in the order of `data`, pieces by time, numbered anew.

    Raises
    ------
    OutcomeError
        A time is missing, entry is not before exit, or the event is text or in
        R's coding 1/2.

    See Also
    --------
    lexis_split : Bands of age or calendar time besides.

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> people = pd.DataFrame({"id": [1, 2], "years": [7.0, 2.0], "died": [1, 0]})
    >>> dc.followup.split(people, cuts=[2, 5], time="years", event="died", id="id")
       id  years  died  tstart  episode
    0   1    2.0     0     0.0        1
    1   1    5.0     0     2.0        2
    2   1    7.0     1     5.0        3
    3   2    2.0     0     0.0        1
    """
    columns = {"time": time, "event": event, "entry": entry if isinstance(entry, str) else None, "id": id}
    frame = read_frame(data, columns)
    begins = entry if isinstance(entry, str) else start
    refuse_names(frame, {"start": None if begins == entry else start, "episode": episode})
    breaks = read_numbers(cuts, argument="cuts")
    end = read_times(frame, time, argument="time")
    begin = read_times(frame, entry, argument="entry") if isinstance(entry, str) else np.full(end.size, float(entry))
    if id is None:
        refuse_empty(frame, begin, end, entry=entry, time=time)
    else:
        read_spans(frame, id=id, entry=entry, time=time)
    pieces = cut(begin, end, [(begin, breaks)])
    out = frame.iloc[pieces.row].reset_index(drop=True)
    out[begins], out[time] = pieces.start, pieces.stop
    if event is not None:
        column, none = read_events(frame, event)
        out[event] = take(column, np.where(pieces.last, pieces.row, -1), none)
    out[episode] = np.searchsorted(breaks, pieces.bands[0], side="right") + 1
    return out
