"""Columns of follow-up data, checked once: people, times, events, spans of observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import EmptyDataError, MissingDataError, OptionError, OutcomeError, column_not_found, shown
from dxa_causal._design.matrix import plain_types, to_pandas
from dxa_causal._numerics.times import rank_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def read_numbers(values: Any, *, argument: str) -> FloatArray:
    """Return numbers given as an argument, one or several, finite and at least one, increasing."""
    try:
        numbers = np.unique(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise OptionError(f"{argument}={values!r} must be finite numbers, unit of the times: {argument}=[1, 2.5]")
    return numbers


def read_changes(changes: Any) -> dict[str, Any]:
    """Return changes by the name of the new column; nothing else can be told apart."""
    if changes is not None and not isinstance(changes, Mapping):
        raise OptionError(
            f"changes must be a mapping, new column -> tdc(...), cumtdc(...), event(...) or cumevent(...), not a "
            f"{type(changes).__name__}: changes={{'grip': tdc(visits, 'year', 'grip')}}"
        )
    return dict(changes or {})


def read_frame(data: Any, columns: Mapping[str, str | None]) -> pd.DataFrame:
    """Return `data` as pandas; the columns named (argument -> column) are there."""
    frame = to_pandas(data)
    for argument, name in columns.items():
        if name is not None and name not in frame.columns:
            raise column_not_found(str(name), frame.columns, argument=argument)
    return frame


def refuse_names(frame: pd.DataFrame, new: Mapping[str, str | None]) -> None:
    """Refuse a new column (argument -> name) that the frame already has."""
    for argument, name in new.items():
        if name is not None and name in frame.columns:
            raise OptionError(f"{argument}={name!r} is already a column of the frame; drop or rename it first")


def read_column(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return one column without nullable or Arrow types."""
    return plain_types(frame[[name]])[name]


def read_times(frame: pd.DataFrame, name: str, *, argument: str, missing: bool = False) -> FloatArray:
    """Return finite numbers; nan only where `missing` allows it."""
    column = read_column(frame, name)
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        raise OutcomeError(
            f"{argument}={name!r} holds dates; count time from each person's origin first, in one unit for all "
            f"columns: (data[{name!r}] - data['origin']).dt.days / 365.25"
        )
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise OutcomeError(f"{argument}={name!r} must be numbers, but the column holds {column.dtype} values")
    values: FloatArray = np.asarray(column, dtype=np.float64)
    wrong = np.flatnonzero(np.isinf(values) if missing else ~np.isfinite(values))
    if wrong.size:
        i = wrong[0]
        raise OutcomeError(
            f"{argument}={name!r} must be known and finite: {wrong.size} values are not, first row "
            f"{shown(frame.index[i])} with {values[i]:g}"
        )
    return values


def read_people(frame: pd.DataFrame, id: str) -> tuple[IntArray, pd.Index]:
    """Return a code per row, in order of appearance, and the people the codes stand for."""
    if len(frame) == 0:
        raise EmptyDataError("the frame has no rows")
    codes, people = pd.factorize(_labels(frame, id))
    return codes.astype(np.int64), pd.Index(people)


def find_people(frame: pd.DataFrame, id: str, people: pd.Index, *, argument: str) -> IntArray:
    """Return the place of each row's person among `people`, -1 for an unknown one."""
    labels = _labels(frame, id)
    codes: IntArray = people.get_indexer(pd.Index(labels)).astype(np.int64)
    if codes.size and (codes < 0).all():
        raise OutcomeError(
            f"{argument}: none of the people in {id!r} is known, for instance {shown(labels[0])}; the known ones are "
            f"like {shown(people[0])}. Do both frames hold the same identifiers, of the same type?"
        )
    return codes


def _labels(frame: pd.DataFrame, id: str) -> npt.NDArray[Any]:
    column = read_column(frame, id)
    absent = np.flatnonzero(column.isna())
    if absent.size:
        raise MissingDataError(
            f"id={id!r} is missing in {absent.size} rows, first row {shown(frame.index[absent[0]])}; every row must "
            "say whose it is"
        )
    return np.asarray(column)


def read_events(frame: pd.DataFrame, name: str, *, argument: str = "event") -> tuple[pd.Series, Any]:
    """Return an event column without missing values, and its value for "none".

    0 or False stands for none, or the first category of a categorical; 1, 2,
    ... are causes.
    """
    column = read_column(frame, name).infer_objects()
    absent = np.flatnonzero(column.isna())
    if absent.size:
        raise MissingDataError(
            f"{argument}={name!r} is missing in {absent.size} rows, first row {shown(frame.index[absent[0]])}; leave "
            "these rows out, or say what happened"
        )
    if not isinstance(column.dtype, pd.CategoricalDtype) and not pd.api.types.is_bool_dtype(column.dtype):
        _refuse_codes(column, f"{argument}={name!r}", name)
    return column, no_event(column)


def _refuse_codes(column: pd.Series, what: str, name: str) -> None:
    """Refuse event codes that cannot be told apart from "none"."""
    found = column.unique()
    listed = ", ".join(shown(v) for v in sorted(found, key=str)[:6])
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise OutcomeError(
            f"{what} holds text ({listed}), of which none is known to mean no event; name the event, "
            f"data.assign({name}=(data[{name!r}] == {shown(max(found, key=str))}).astype(int)), or make it a "
            f"categorical whose first category is no event: pd.Categorical(data[{name!r}], categories=[...])"
        )
    codes = column.to_numpy(dtype=np.float64)
    wrong = np.flatnonzero((codes < 0) | (codes != np.floor(codes)) | np.isinf(codes))
    if wrong.size:
        raise OutcomeError(
            f"{what} must be 0/1 (or 0 and a whole number per cause): {wrong.size} values are not, first row "
            f"{shown(column.index[wrong[0]])} with {codes[wrong[0]]:g}"
        )
    if set(codes) in ({1.0, 2.0}, {2.0}):
        raise OutcomeError(
            f"{what} holds {listed}: this looks like R's coding (1 = censored, 2 = event), but 0 stands for no event "
            f"here; code it first: data.assign({name}=(data[{name!r}] == 2).astype(int))"
        )


def no_event(column: pd.Series) -> Any:
    """Value of an event column that stands for "no event"."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories[0]
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    return 0 if pd.api.types.is_numeric_dtype(column.dtype) else ""


def take(values: Any, index: IntArray, fill: Any = None) -> Any:
    """Elements of an array; where the index is -1, `fill`, or missing when that is None.

    Examples
    --------
    >>> take(np.array([4, 5]), np.array([1, -1]), 0).tolist()
    [5, 0]
    """
    array = values.array if isinstance(values, pd.Series) else values
    if isinstance(array, pd.Categorical) and fill is not None and fill not in array.categories:
        array = array.add_categories([fill])
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        array = array.to_numpy()
    return pd.api.extensions.take(array, index, allow_fill=True, fill_value=fill)


@dataclass(frozen=True, eq=False, slots=True)
class Spans:
    """Rows (entry, time] by person and time.

    Attributes
    ----------
    order : (n,) ndarray of int64
        Row of the frame at each place.
    person : (n,) ndarray of int64
    entry, time : (n,) ndarray
    people : Index
    """

    order: IntArray
    person: IntArray
    entry: FloatArray
    time: FloatArray
    people: pd.Index


def read_spans(frame: pd.DataFrame, *, id: str, entry: str | float, time: str) -> Spans:
    """Read who was observed when; refuses empty rows, and rows of one person that overlap."""
    person, people = read_people(frame, id)
    end = read_times(frame, time, argument="time")
    begin = read_times(frame, entry, argument="entry") if isinstance(entry, str) else np.full(end.size, float(entry))
    refuse_empty(frame, begin, end, entry=entry, time=time)
    ranks = rank_times(end, begin)
    assert ranks.entry_rank is not None
    order = np.lexsort((ranks.entry_rank, person))
    before, after = order[:-1], order[1:]
    clash = np.flatnonzero((person[before] == person[after]) & (ranks.entry_rank[after] < ranks.rank[before]))
    if clash.size:
        a, b = before[clash[0]], after[clash[0]]
        raise OutcomeError(
            f"{clash.size} rows overlap another row of the same {id!r}: first {shown(people[person[a]])} with rows "
            f"{shown(frame.index[a])} ({begin[a]:g}, {end[a]:g}] and {shown(frame.index[b])} ({begin[b]:g}, "
            f"{end[b]:g}]; a person counts once at any time"
        )
    return Spans(order, person[order], begin[order], end[order], people)


def refuse_empty(
    frame: pd.DataFrame, begin: FloatArray, end: FloatArray, *, entry: str | float | None, time: str
) -> None:
    """Refuse rows whose entry does not come before their exit, up to rounding noise."""
    ranks = rank_times(end, begin)
    assert ranks.entry_rank is not None
    late = np.flatnonzero(ranks.entry_rank >= ranks.rank)
    if late.size:
        i = late[0]
        raise OutcomeError(
            f"entry ({entry if isinstance(entry, str) else '0'}) must come before exit ({time}); {late.size} rows do "
            f"not, first row {shown(frame.index[i])} with entry {begin[i]:g} and exit {end[i]:g}"
        )
