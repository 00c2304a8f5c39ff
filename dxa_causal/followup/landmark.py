"""Landmark sets: the people still at risk at a time, with what was known of them then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dxa_causal._core.errors import EmptyDataError, OptionError, OutcomeError, shown
from dxa_causal.followup.changes import Change
from dxa_causal.followup.columns import (
    read_changes,
    read_events,
    read_frame,
    read_numbers,
    read_spans,
    refuse_names,
    take,
)
from dxa_causal.followup.records import Clock, covariate, increasing, read_records


def landmark(
    data: Any,
    changes: Mapping[str, Change] | None = None,
    *,
    at: Sequence[float] | float,
    id: str,
    time: str,
    event: str,
    entry: str | float = 0.0,
    horizon: float | None = None,
    max_gap: float | None = None,
    start: str = "entry",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""People at risk at each landmark, with their last values and their follow-up from there.

    Parameters
    ----------
    data : pandas or polars DataFrame
        One row per person.
    changes : mapping of str to Change
        New column -> covariate known at the landmark, made by :func:`tdc` or
        :func:`cumtdc` from a long frame of visits: the last value at or before
        the landmark.
    at : float or sequence of float
        Landmarks, unit of `time`.
    id : str
        Column of the person.
    time, event : str
        Columns of the end of follow-up, and of what happened then: 0/1,
        boolean, 0 and a code per cause, or a categorical whose first category
        is nothing.
    entry : str or float
        Column of the beginning of follow-up, or one number for all.
    horizon : float, optional
        Follow-up is cut this long after the landmark; never when omitted.
    max_gap : float, optional
        A value measured longer than this before the landmark is missing (the
        `initial` one where it is given). Switches, counts and sums stay.
    start : str
        Name of the column that holds the landmark as delayed entry, where
        `entry` is a number; otherwise `entry` itself holds it.

    Returns
    -------
    rows : DataFrame
        Stacked by landmark: columns of `data` with `time` and `event` cut at
        the horizon, the landmark as entry, the covariates, and landmark.
    counts : DataFrame
        Per landmark: n_at_risk (the rows), n_event (within the horizon),
        n_not_entered and n_ended (people left out), n_missing (rows that miss
        a covariate).

    Raises
    ------
    EmptyDataError
        Nobody is at risk at a landmark.
    OutcomeError
        A time is missing, entry is not before exit, a person has two rows, or
        the event is text or in R's coding 1/2.

    Notes
    -----
    At the landmark s a person is at risk with :math:`\mathrm{entry} \le s <
    \mathrm{time}`. One model per landmark needs rows of that landmark only; a
    supermodel takes all, stratified by landmark and with the person as
    cluster: ``cox("Surv(entry, time, event) ~ x + x:landmark", rows,
    strata="landmark", cluster="id")``.

    References
    ----------
    van Houwelingen 2007, Scandinavian Journal of Statistics 34:70.
    doi:10.1111/j.1467-9469.2006.00529.x

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> people = pd.DataFrame({"id": [1, 2, 3], "years": [1.5, 4.0, 9.0], "died": [1, 1, 0]})
    >>> visits = pd.DataFrame({"id": [2, 2, 3], "year": [0.0, 2.0, 0.5], "grip": [30.0, 26.0, 35.0]})
    >>> rows, counts = dc.followup.landmark(
    ...     people, {"grip": dc.followup.tdc(visits, "year", "grip")},
    ...     at=[1, 2], horizon=3, id="id", time="years", event="died",
    ... )
    >>> rows
       id  years  died  entry  grip  landmark
    0   1    1.5     1    1.0   NaN       1.0
    1   2    4.0     1    1.0  30.0       1.0
    2   3    4.0     0    1.0  35.0       1.0
    3   2    4.0     1    2.0  26.0       2.0
    4   3    5.0     0    2.0  35.0       2.0
    >>> counts
       landmark  n_at_risk  n_event  n_not_entered  n_ended  n_missing
    0       1.0          3        2              0        0          1
    1       2.0          2        1              0        1          0
    """
    changes = read_changes(changes)
    landmarks = read_numbers(at, argument="at")
    for argument, length in (("horizon", horizon), ("max_gap", max_gap)):
        if length is not None and not (isinstance(length, int | float | np.number) and length > 0):
            raise OptionError(f"{argument}={length!r} must be a positive number")
    columns = {"id": id, "time": time, "event": event, "entry": entry if isinstance(entry, str) else None}
    frame = read_frame(data, columns)
    begins = entry if isinstance(entry, str) else start
    refuse_names(frame, {"start": None if begins == entry else start, "landmark": "landmark"})
    for name, change in changes.items():
        refuse_names(frame, {"changes": name})
        if name in (begins, "landmark") or getattr(change, "kind", "tdc") not in ("tdc", "cumtdc"):
            raise OptionError(f"changes[{name!r}] must be a tdc or cumtdc, and not be called {begins!r} or 'landmark'")
    spans = read_spans(frame, id=id, entry=entry, time=time)
    twice = np.flatnonzero(spans.person[1:] == spans.person[:-1])
    if twice.size:
        raise OutcomeError(
            f"data must hold one row per person, but {id}={shown(spans.people[spans.person[twice[0]]])} has several; "
            "pass what changes over time as changes="
        )
    happened, none = read_events(frame, event)

    entered = spans.entry[None, :] <= landmarks[:, None]
    ended = spans.time[None, :] <= landmarks[:, None]
    which, place = np.nonzero(entered & ~ended)
    empty = np.flatnonzero(np.bincount(which, minlength=landmarks.size) == 0)
    if empty.size:
        raise EmptyDataError(
            f"nobody is at risk at landmark {landmarks[empty[0]]:g}: follow-up lasts from {spans.entry.min():g} to "
            f"{spans.time.max():g}"
        )
    now, person = landmarks[which], spans.person[place]
    until = np.inf if horizon is None else now + horizon
    exits = spans.time[place]
    counted = exits <= until
    row = spans.order[place]

    out = frame.iloc[row].reset_index(drop=True)
    out[begins], out[time] = now, np.minimum(exits, until)
    out[event] = take(happened, np.where(counted, row, -1), none)
    records = read_records(changes, id, spans.people, spans.entry)
    clock = Clock(increasing([landmarks, *(r.time for r in set(records.values()))]))
    for name, change in changes.items():
        known = records[name]
        values, places = known.values(change, name)
        of, when = known.person[places], known.time[places]
        last = clock.last(clock.key(of, when), clock.key(person, now))
        if max_gap is not None and change.kind == "tdc" and values is not None and places.size:
            last = np.where(now - when[last] <= max_gap, last, -1)
        out[name] = covariate(change, None if values is None else values.iloc[places], of, last)
    out["landmark"] = now
    lacking = out[list(changes)].isna().to_numpy().any(axis=1)
    events = (out[event] != none).to_numpy()
    size = landmarks.size
    counts = {
        "landmark": landmarks,
        "n_at_risk": np.bincount(which, minlength=size),
        "n_event": np.bincount(which[events], minlength=size),
        "n_not_entered": (~entered).sum(axis=1),
        "n_ended": (entered & ended).sum(axis=1),
        "n_missing": np.bincount(which[lacking], minlength=size),
    }
    return out, pd.DataFrame(counts)
