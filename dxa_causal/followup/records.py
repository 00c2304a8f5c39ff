"""Changes as arrays: who, when, and which record was the last at a given time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, PredictorError
from dxa_causal.followup.changes import Change
from dxa_causal.followup.columns import FloatArray, IntArray, find_people, read_column, read_frame, read_times, take


@dataclass(frozen=True, eq=False, slots=True)
class Records:
    """Occurrences of known people, by person and time, in the order of the frame where these are equal.

    Attributes
    ----------
    person : (m,) ndarray of int64
    time : (m,) ndarray
    row : (m,) ndarray of int64
        Place in the frame.
    frame : DataFrame
    unknown : int
        Rows of people who are not followed.
    untimed : int
        Rows of those who are, without a time.
    """

    person: IntArray
    time: FloatArray
    row: IntArray
    frame: pd.DataFrame
    unknown: int
    untimed: int

    def values(self, change: Change, name: str) -> tuple[pd.Series | None, IntArray]:
        """Values in the order of the records, and the places of those that count."""
        if change.value is None:
            return None, np.arange(self.row.size)
        if change.value not in self.frame.columns:
            read_frame(self.frame, {f"changes[{name!r}], value": change.value})
        column = read_column(self.frame, change.value)
        summed = change.kind in ("cumtdc", "cumevent")
        if summed and not pd.api.types.is_numeric_dtype(column.dtype):
            raise PredictorError(
                f"changes[{name!r}]: {change.kind} adds up numbers, but {change.value!r} holds {column.dtype} values"
            )
        sorted_values = column.iloc[self.row]
        if summed and pd.api.types.is_bool_dtype(column.dtype):
            sorted_values = sorted_values.astype(np.int64)
        known = np.arange(self.row.size)
        return sorted_values, known[sorted_values.notna().to_numpy()] if change.missing == "skip" else known


def read_records(
    changes: Mapping[str, Change], id: str, people: pd.Index, first_entry: FloatArray
) -> dict[str, Records]:
    """Read each change's occurrences; changes that share a frame and a time share its records."""
    read: dict[tuple[int, str, float], Records] = {}
    found: dict[str, Records] = {}
    for name, change in changes.items():
        if not isinstance(change, Change):
            raise OptionError(
                f"changes[{name!r}] must be made by tdc, cumtdc, event or cumevent, not {type(change).__name__}"
            )
        key = _identity(change.data), change.time, change.delay
        if key not in read:
            read[key] = _read(change, id, people, first_entry, argument=f"changes[{name!r}]")
        found[name] = read[key]
    return found


def _identity(data: object) -> int:
    return id(data)


def _read(change: Change, id: str, people: pd.Index, first_entry: FloatArray, *, argument: str) -> Records:
    frame = read_frame(change.data, {f"{argument}, id": id, f"{argument}, time": change.time})
    time = read_times(frame, change.time, argument=f"{argument}, time", missing=True)
    person = find_people(frame, id, people, argument=argument)
    followed = person >= 0
    rows = np.flatnonzero(followed & ~np.isnan(time))
    time, person_kept = time[rows], person[rows]
    if change.delay:
        time = time + np.where(time > first_entry[person_kept], change.delay, 0.0)
    order = np.lexsort((time, person_kept))
    unknown, untimed = int((~followed).sum()), int(followed.sum()) - rows.size
    return Records(person_kept[order], time[order], rows[order], frame, unknown, untimed)


def increasing(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Distinct values of all parts, sorted.

    Examples
    --------
    >>> increasing([np.array([3, 1]), np.array([1])]).tolist()
    [1, 3]
    """
    values = np.sort(np.concatenate(parts), kind="stable")  # quick where the parts are sorted already
    return values[np.append(True, values[1:] != values[:-1])] if values.size else values


@dataclass(frozen=True, eq=False, slots=True)
class Clock:
    """Integer keys that order (person, time) pairs, for times known beforehand.

    Attributes
    ----------
    distinct : (k,) ndarray
        All times, increasing.
    """

    distinct: FloatArray

    def key(self, person: IntArray, time: FloatArray) -> IntArray:
        """Key of each pair."""
        return person * self.distinct.size + np.searchsorted(self.distinct, time)

    def person(self, key: IntArray) -> IntArray:
        """Person of each key."""
        return key // self.distinct.size

    def time(self, key: IntArray) -> FloatArray:
        """Time of each key."""
        return self.distinct[key % self.distinct.size]

    def last(self, keys: IntArray, at: IntArray) -> IntArray:
        """Place among sorted `keys` of the same person's last one not after `at`, -1 for none."""
        place = np.searchsorted(keys, at, side="right") - 1
        found = place >= 0
        found[found] = self.person(keys[place[found]]) == self.person(at[found])
        return np.where(found, place, -1)


def covariate(change: Change, values: pd.Series | None, person: IntArray, last: IntArray) -> Any:
    """Values of a covariate, given the place of each row's last record (-1 for none)."""
    if change.kind == "tdc":
        return (last >= 0).astype(np.int64) if values is None else take(values, last, change.initial)
    running = running_sum(values, person)
    if values is None:
        return take(running, last, 0)
    return take(running + (change.initial or 0), last, change.initial)


def running_sum(values: pd.Series | None, person: IntArray) -> Any:
    """Sum of each person's values up to each record; 1 each where there are no values."""
    plain = np.ones(person.size, dtype=np.int64) if values is None else values.to_numpy()
    return pd.Series(plain).groupby(person).cumsum(skipna=False).to_numpy()
