"""Start-stop rows that may be analysed: no row is empty, no person counts twice."""

from __future__ import annotations

from typing import Any

from dxa_causal.followup.columns import read_frame, read_spans


def check_start_stop(data: Any, *, id: str, entry: str, time: str) -> None:
    """Refuse start-stop rows that are empty or overlap another row of the same person.

    Parameters
    ----------
    data : pandas or polars DataFrame
        Rows in any order.
    id : str
        Column of the person.
    entry, time : str
        Columns between which the row was observed, (entry, time].

    Raises
    ------
    OutcomeError
        Entry does not come before exit, or two rows of a person overlap; the
        message names the person and both rows. Rows that touch, and gaps, are
        fine. Times that differ by rounding noise are one time, as in
        :func:`dxa_causal.survival.cox`.
    MissingDataError
        An identifier is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> rows = pd.DataFrame({"id": [1, 1, 2], "start": [0, 4, 0], "stop": [5, 9, 3]})
    >>> dc.followup.check_start_stop(rows, id="id", entry="start", time="stop")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.OutcomeError: 1 rows overlap another row of the same 'id': first 1 with rows 0 (0, 5] and
    1 (4, 9]; a person counts once at any time
    """
    read_spans(read_frame(data, {"id": id, "entry": entry, "time": time}), id=id, entry=entry, time=time)
