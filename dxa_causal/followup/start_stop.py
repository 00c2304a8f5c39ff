"""Long visits to start-stop rows, with the meaning R's ``survival::tmerge`` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.warnings import TimeUnitWarning, warn
from dxa_causal.followup.changes import Change
from dxa_causal.followup.columns import (
    IntArray,
    no_event,
    read_changes,
    read_events,
    read_frame,
    read_spans,
    refuse_names,
    take,
)
from dxa_causal.followup.records import Clock, Records, covariate, increasing, read_records, running_sum

_LIE = ["early", "late", "gap", "within", "boundary", "leading", "trailing", "tied"]
_COUNTS = [*_LIE, "unknown_id", "no_time", "no_value"]


def start_stop(
    base: Any,
    changes: Mapping[str, Change] | None = None,
    *,
    id: str,
    time: str,
    event: str | Mapping[str, str] | None = None,
    entry: str | float = 0.0,
    start: str = "tstart",
    stop: str = "tstop",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut each person's follow-up where something changes.

    Parameters
    ----------
    base : pandas or polars DataFrame
        One row per person. Several rows (entry, time] of one person may touch
        or leave gaps: so the result can go in again.
    changes : mapping of str to Change
        New column -> what it follows, made by :func:`tdc` (last value),
        :func:`cumtdc` (count or sum so far), :func:`event` or
        :func:`cumevent`. Their frames hold the person in a column `id` too.
        A person without any record keeps the initial values.
    id : str
        Column of the person.
    time : str
        Column of the end of follow-up.
    event : str or mapping of str to str, optional
        Column of what happened at `time`: 0/1, boolean, 0 and a code per
        cause, or a categorical whose first category is nothing; or new column
        -> column of `base`, which then stays as it is. In the result the event
        stands on the person's last row, and all others hold 0, False or the
        first category. Columns of `base` not named here are copied onto every
        row of the person, events too.
    entry : str or float
        Column of the beginning of follow-up, or one number for all.
    start, stop : str
        Names of the two new columns.

    Returns
    -------
    rows : DataFrame
        Columns of `base`, then `start`, `stop` (each row covers (start, stop]),
        events and changes, by person in the order of `base` and by time.
    counts : DataFrame
        A row per event and change: term, and how its records lay. ``early``
        and ``late``: outside the person's follow-up; ``gap``: between two of
        the person's rows; ``within``: inside a row, which was cut there;
        ``boundary``: where two rows touch; ``leading``, ``trailing``: at the
        start or end of a row; ``tied``: at the same time as another record of
        the person, counted beside those; ``unknown_id``: of people not in
        `base`; ``no_time``, ``no_value``: skipped, for want of a time, or of a
        value with ``missing="skip"``. All but ``tied`` add up to the rows of
        the frame. A covariate takes up early records and those in gaps; events
        there are lost.

    Raises
    ------
    OutcomeError
        A time is missing, entry is not before exit, rows of a person overlap,
        or the event is text or in R's coding 1/2.
    MissingDataError
        An identifier or an event is missing.
    OptionError
        A new column has the name of one that is there.

    Warns
    -----
    TimeUnitWarning
        All records of a change lie after the end of follow-up.

    Notes
    -----
    Times are compared as they stand, as ``tmerge`` does: round times that
    carry noise. A value holds from its time on, in (time, ...]; the event at a
    time belongs to the row that ends there; of records at the same time the
    last one counts, and counts and sums take all.

    References
    ----------
    Therneau, Crowson, Atkinson 2024, Using time dependent covariates and time
    dependent coefficients in the Cox model, vignette of the R package survival.

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> f = dc.followup
    >>> people = pd.DataFrame({"id": [1, 2], "days": [10, 8], "died": [1, 0]})
    >>> visits = pd.DataFrame({"id": [1, 1, 2], "day": [0, 4, 0], "bili": [1.4, 2.1, 0.8]})
    >>> treated = pd.DataFrame({"id": [2], "from": [3]})
    >>> rows, counts = f.start_stop(
    ...     people,
    ...     {"bili": f.tdc(visits, "day", "bili"), "drug": f.tdc(treated, "from")},
    ...     id="id", time="days", event="died",
    ... )
    >>> rows
       id  days  died  tstart  tstop  bili  drug
    0   1    10     0     0.0    4.0   1.4     0
    1   1    10     1     4.0   10.0   2.1     0
    2   2     8     0     0.0    3.0   0.8     0
    3   2     8     0     3.0    8.0   0.8     1
    >>> counts[["term", "within", "leading", "trailing"]]
       term  within  leading  trailing
    0  died       0        0         2
    1  bili       1        2         0
    2  drug       1        0         0
    """
    changes = read_changes(changes)
    events = {event: event} if isinstance(event, str) else dict(event or {})
    columns = {"id": id, "time": time, "entry": entry if isinstance(entry, str) else None}
    frame = read_frame(base, columns | {f"event {new!r}": old for new, old in events.items()})
    _refuse_clashes(frame, changes, events, spans={"start": start, "stop": stop}, times=(entry, time))
    outcomes = {new: read_events(frame, old) for new, old in events.items()}

    spans = read_spans(frame, id=id, entry=entry, time=time)
    first = np.flatnonzero(np.diff(spans.person, prepend=-1))
    records = read_records(changes, id, spans.people, spans.entry[first])
    clock = Clock(increasing([spans.entry, spans.time, *(r.time for r in set(records.values()))]))
    begin, end = clock.key(spans.person, spans.entry), clock.key(spans.person, spans.time)

    tracks: dict[str, tuple[Records, pd.Series | None, IntArray, IntArray]] = {}
    counts = [[new, *_lie(clock, begin, end, end, end[:0])[0], 0, 0, 0] for new in events]
    cuts = end[:0]
    for name, change in changes.items():
        known = records[name]
        values, places = known.values(change, name)
        keys = clock.key(known.person[places], known.time[places])
        tally, fresh = _lie(clock, begin, end, keys, cuts)
        if places.size and tally[1] == places.size:
            warn(
                f"changes[{name!r}]: all {places.size} records lie after the end of follow-up; are {change.time!r} and "
                f"{time!r} counted in the same unit, from the same origin?",
                TimeUnitWarning,
            )
        counts.append([name, *tally, known.unknown, known.untimed, known.row.size - places.size])
        tracks[name] = known, None if values is None else values.iloc[places], places, keys
        cuts = increasing([cuts, fresh])

    starts, stops = np.sort(np.concatenate([begin, cuts])), np.sort(np.concatenate([end, cuts]))
    parent = np.searchsorted(begin, starts, side="right") - 1
    rows = frame.iloc[spans.order[parent]].reset_index(drop=True)
    rows[start], rows[stop] = clock.time(starts), clock.time(stops)
    last_piece = np.where(stops == end[parent], spans.order[parent], -1)
    for new, (column, none) in outcomes.items():
        rows[new] = take(column, last_piece, none)
    for name, change in changes.items():
        known, values, places, keys = tracks[name]
        person = known.person[places]
        if change.kind in ("tdc", "cumtdc"):
            rows[name] = covariate(change, values, person, clock.last(keys, starts))
        else:
            rows[name] = _events(change, values, person, keys, stops, before=rows.get(name))
    return rows, pd.DataFrame(counts, columns=["term", *_COUNTS])


def _refuse_clashes(
    frame: pd.DataFrame,
    changes: Mapping[str, Change],
    events: Mapping[str, str],
    *,
    spans: Mapping[str, str],
    times: tuple[str | float, str],
) -> None:
    """Every new column needs a name of its own; an event of `base` may be updated."""
    refuse_names(frame, {argument: name for argument, name in spans.items() if name not in times})
    refuse_names(frame, {f"event {new!r}": new for new, old in events.items() if new != old})
    for name, change in changes.items():
        updated = name in events and getattr(change, "kind", "") == "event"
        if name in spans.values() or (name in events and not updated):
            raise OptionError(f"changes: {name!r} is also the name of start, stop or event; choose another")
        if not updated:
            refuse_names(frame, {"changes": name})


def _lie(clock: Clock, begin: IntArray, end: IntArray, keys: IntArray, cuts: IntArray) -> tuple[list[int], IntArray]:
    """How many keys lie where, in the order of `_LIE`, and those within rows as cut at `cuts`."""
    person = clock.person(keys)
    last = np.searchsorted(begin, keys, side="right") - 1  # row that started last
    soon = np.searchsorted(end, keys, side="left")  # row that ends next
    owner = np.append(clock.person(begin), -1)  # -1 also where there is no such row
    early = owner[last] != person
    late = ~early & (owner[soon] != person)
    followed = ~early & ~late
    touched = followed & (last == soon)
    leading = touched & (begin[last] == keys)
    trailing = touched & (end[np.minimum(soon, end.size - 1)] == keys)
    inside = touched & ~leading & ~trailing
    cut = inside & (np.append(cuts, -1)[np.searchsorted(cuts, keys)] == keys)
    within = inside & ~cut
    boundary = cut | (followed & (last > soon))
    gap = followed & (last < soon)
    tied = keys[1:] == keys[:-1]
    return [int(w.sum()) for w in (early, late, gap, within, boundary, leading, trailing, tied)], keys[within]


def _events(
    change: Change, values: pd.Series | None, person: IntArray, keys: IntArray, stops: IntArray, before: Any
) -> Any:
    """Events on the rows that end with them; other rows keep what `before` holds."""
    if change.kind == "cumevent":
        running = pd.Series(running_sum(values, person))
        happened = np.ones(person.size, dtype=bool) if values is None else values.to_numpy() != 0
        values, keys = running[happened], keys[happened]
    column = pd.Series(np.ones(keys.size, dtype=np.int64)) if values is None else values
    place = np.searchsorted(keys, stops, side="right") - 1  # of several at one time the last
    found = place >= 0
    found[found] = keys[place[found]] == stops[found]
    marked = take(column, np.where(found, place, -1), no_event(column))
    return marked if before is None else before.mask(found, pd.Series(marked))
