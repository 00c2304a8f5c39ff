"""Follow-up cut into pieces along age, calendar time or any other clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import DxaCausalError, MissingDataError, OptionError, OutcomeError, column_not_found, shown
from dxa_causal._numerics.times import TIME_TOLERANCE
from dxa_causal.followup.columns import read_events, read_frame

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of follow-up, sorted by row and time.

    Attributes
    ----------
    row : (m,) ndarray of int64
        Position of the row that was cut.
    start, stop : (m,) ndarray
        The piece is (start, stop].
    last : (m,) ndarray of bool
        The piece ends where its row ends: the event, if any, is here.
    bands : tuple of (m,) ndarray
        Per scale, the lower limit of the band the piece lies in; -inf before the first.
    """

    row: IntArray
    start: FloatArray
    stop: FloatArray
    last: npt.NDArray[np.bool_]
    bands: tuple[FloatArray, ...]


def lexis_split(
    data: Any,
    *,
    exit: str,
    entry: str | None = None,
    event: str | None,
    scales: Mapping[str, tuple[str | None, Sequence[float]]],
) -> pd.DataFrame:
    """Split each row's follow-up wherever a time scale passes one of its breaks.

    Parameters
    ----------
    data : pandas or polars frame
    exit : str
        Column: end of follow-up.
    entry : str, optional
        Column: start of follow-up; zero for everyone when omitted, and then
        a column "entry" is added.
    event : str or None
        Column 0/1, boolean, a code of causes (0 = censored) or a categorical
        whose first category is censoring; it stays in the last piece only.
        None only where the frame holds no event: any other column is copied
        into every piece, events too.
    scales : mapping of str to (str or None, sequence of float)
        Name of the new column, and the column with the value of that scale at
        entry together with the breaks, in the unit of the times:
        ``{"age": ("age_at_entry", [40, 50, 60])}``. None in place of the
        column stands for the time of follow-up itself.

    Returns
    -------
    DataFrame
        One row per piece (a, b], all columns carried along; each scale's
        column holds the lower limit of the band, -inf before the first break.
        Sums of ``exit - entry`` and of events are those of `data`.

    Notes
    -----
    Breaks closer to a row's entry or exit than ``sqrt(eps)`` do not cut it.
    Of an event exactly at a break the time before counts: the piece ends there.

    References
    ----------
    Clayton D, Hills M. Statistical Models in Epidemiology. Oxford, 1993, chapter 6.

    Examples
    --------
    >>> data = pd.DataFrame({"born": [1950.5], "joined": [1999.0], "left": [2002.0], "died": [1]})
    >>> data["age_in"] = data["joined"] - data["born"]
    >>> lexis_split(
    ...     data, entry="joined", exit="left", event="died", scales={"age": ("age_in", [40, 50, 60])}
    ... )[["joined", "left", "died", "age"]]
       joined    left  died   age
    0  1999.0  2000.5     0  40.0
    1  2000.5  2002.0     1  50.0
    """
    frame = read_frame(data, {"exit": exit, "entry": entry, "event": event})
    scales = check_scales(scales)
    none = None if event is None else read_events(frame, event)[1]
    start_name = "entry" if entry is None else entry
    added = [*scales, *([start_name] if entry is None else [])]
    for name in added:
        if name in frame.columns:
            raise OptionError(f"the new column {name!r} is already in the frame; give it another name")
    stop = _numbers(frame, exit, argument="exit")
    start = np.zeros(stop.size) if entry is None else _numbers(frame, entry, argument="entry")
    late = np.flatnonzero(start >= stop)
    if late.size:
        i = late[0]
        raise OutcomeError(
            f"entry must come before exit; {late.size} rows do not, first row {shown(frame.index[i])} with entry "
            f"{start[i]:g} and exit {stop[i]:g}"
        )
    clocks = [
        (start if column is None else _numbers(frame, column, argument=f"scales[{name!r}]"), check_breaks(name, breaks))
        for name, (column, breaks) in scales.items()
    ]
    pieces = cut(start, stop, clocks)
    out = frame.iloc[pieces.row].reset_index(drop=True)
    out[start_name], out[exit] = pieces.start, pieces.stop
    if event is not None:
        out[event] = out[event].where(pieces.last, none)
    return out.assign(**dict(zip(scales, pieces.bands, strict=True)))


def check_scales(scales: Any) -> dict[str, tuple[str | None, Sequence[float]]]:
    """Return time scales as a dict; each must name its column and breaks."""
    example = "scales={'age': ('age_at_entry', [40, 50, 60])}"
    if not isinstance(scales, Mapping):
        raise OptionError(f"scales must be a mapping, as in {example}, not a {type(scales).__name__}")
    for name, scale in scales.items():
        if not (isinstance(scale, tuple | list) and len(scale) == 2 and isinstance(scale[0], str | None)):
            raise OptionError(
                f"scales[{name!r}] must be a pair, the column with the value at entry (None for the time of follow-up) "
                f"and the breaks, not {scale!r}; write {example}"
            )
    return dict(scales)


def check_breaks(name: str, breaks: Sequence[float]) -> FloatArray:
    """Breaks of a time scale as an increasing array."""
    try:
        array: FloatArray = np.asarray(breaks, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all() or (np.diff(array) <= 0).any():
        raise OptionError(f"breaks of {name!r} must be increasing finite numbers, not {breaks!r}")
    return array


def cut(entry: FloatArray, exit: FloatArray, scales: Sequence[tuple[FloatArray, FloatArray]]) -> Pieces:
    """Cut intervals (entry, exit] at breaks of several clocks.

    Parameters
    ----------
    entry, exit : (n,) ndarray
    scales : sequence of ((n,) ndarray, (k,) ndarray)
        Value of the clock at entry, and increasing breaks.
    """
    n = exit.size
    near = TIME_TOLERANCE * max(1.0, float(np.abs(exit).mean())) if n else 0.0
    rows, cuts = [np.arange(n)], [exit]
    for value, breaks in scales:
        first = np.searchsorted(breaks, value + near, side="right")
        count = np.maximum(np.searchsorted(breaks, value + (exit - entry) - near, side="left") - first, 0)
        row = np.repeat(np.arange(n), count)
        within = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        rows.append(row)
        cuts.append(breaks[first[row] + within] + (entry - value)[row])
    row, stop = np.concatenate(rows), np.concatenate(cuts)
    order = np.lexsort((stop, row))
    row, stop = row[order], stop[order]
    same = row[1:] == row[:-1]
    # of cuts by two clocks at one moment the last stands
    kept = np.concatenate([~(same & (np.diff(stop) <= near)), np.ones(min(n, 1), dtype=bool)])
    row, stop = row[kept], stop[kept]
    fresh = np.concatenate([np.ones(min(n, 1), dtype=bool), row[1:] != row[:-1]])
    start = np.where(fresh, entry[row], np.concatenate([stop[:1], stop[:-1]]))
    middle = (start + stop) / 2 - entry[row]
    bands = tuple(
        np.concatenate([[-np.inf], breaks])[np.searchsorted(breaks, value[row] + middle, side="right")]
        for value, breaks in scales
    )
    return Pieces(row, start, stop, np.concatenate([fresh[1:], np.ones(min(n, 1), dtype=bool)]), bands)


def _numbers(frame: pd.DataFrame, name: str, *, argument: str) -> FloatArray:
    if name not in frame.columns:
        raise column_not_found(name, frame.columns, argument=argument)
    series = frame[name]
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        raise DxaCausalError(
            f"{argument}={name!r} must be numbers, but the column holds {series.dtype} values; dates as years, for "
            "instance"
        )
    values: FloatArray = series.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise MissingDataError(
            f"{argument}={name!r} is missing or not finite in {bad.size} rows, first row "
            f"{shown(frame.index[bad[0]])}; drop them first"
        )
    return values
