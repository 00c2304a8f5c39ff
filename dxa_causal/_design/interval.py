"""The left side of a formula whose event lies between two visits: ``Surv(left, right, type='interval')``."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, MissingDataError, OutcomeError, shown
from dxa_causal._design.outcome import evaluate, is_survival, original_name, surv_arguments
from dxa_causal._design.rows import columns_used
from dxa_causal._numerics.times import TIME_TOLERANCE

FloatArray = npt.NDArray[np.float64]

INTERVAL = ("interval", "interval2")


@dataclass(frozen=True, eq=False, slots=True)
class IntervalOutcome:
    """Times known up to an interval: the event lies in (left, right].

    Attributes
    ----------
    left : (n,) ndarray
        Last time known to be free of the event; 0 where nothing is known (left-censored).
    right : (n,) ndarray
        First time at which the event has happened; equal to `left` where the time is exact, infinite where the event
        was never seen (right-censored).
    entry : (n,) ndarray or None
        Start of observation: only those free of the event then could be seen (left truncation).
    left_name, right_name : str
        How the formula calls the bounds.
    """

    left: FloatArray
    right: FloatArray
    entry: FloatArray | None
    left_name: str
    right_name: str

    @property
    def exact(self) -> npt.NDArray[np.bool_]:
        """Rows whose time is known exactly."""
        return self.left == self.right

    @property
    def right_censored(self) -> npt.NDArray[np.bool_]:
        """Rows in which the event was never seen."""
        return np.isinf(self.right)

    @property
    def left_censored(self) -> npt.NDArray[np.bool_]:
        """Rows in which the event had happened at the first look."""
        return (self.left <= 0) & np.isfinite(self.right) & ~self.exact

    @property
    def n_events(self) -> int:
        """Rows in which the event is known to have happened."""
        return int(np.isfinite(self.right).sum())

    def observed_from(self, entry: FloatArray | None, name: str | None, index: pd.Index) -> IntervalOutcome:
        """The same outcome for people observed from `entry` on, who were free of the event then.

        A left bound before entry becomes the entry time.
        """
        if entry is None:
            return self
        negative = np.flatnonzero(entry < 0)
        if negative.size:
            i = negative[0]
            raise OutcomeError(
                f"entry={name!r} must not be negative: {negative.size} values are, first row {shown(index[i])} with "
                f"{entry[i]:g}"
            )
        late = np.flatnonzero(self.right <= entry)
        if late.size:
            i = late[0]
            raise OutcomeError(
                f"entry={name!r} must come before the event: in {late.size} rows {self.right_name!r} is not after it, "
                f"first row {shown(index[i])} with entry {entry[i]:g} and {self.right_name} {self.right[i]:g}; whoever "
                "had the event at entry tells nothing about its time and is left out beforehand"
            )
        return replace(self, left=np.maximum(self.left, entry), entry=entry.copy())


def is_interval(text: str, frame: pd.DataFrame) -> bool:
    """Whether the left side is ``Surv(left, right, type='interval')``."""
    return is_survival(text) and surv_arguments(text, frame)[1] in INTERVAL


def with_bounds(text: str, frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with every bound given: open bounds that are missing made infinite (interval2), or refused (interval).

    A missing right bound often means "never seen": to leave the row out as incomplete would take out the healthy.
    """
    arguments, kind = surv_arguments(text, frame)
    if len(arguments) != 2:
        raise FormulaError(f"{text}: write Surv(left, right, type='interval')")
    sides = [[_column(frame, n) for n in _names(argument, frame)] for argument in arguments]
    absent = [frame[side].isna().any(axis=1).to_numpy() if side else np.zeros(len(frame), bool) for side in sides]
    if not (absent[0].any() or absent[1].any()):
        return frame
    left, right = (original_name(ast.unparse(a), frame) for a in arguments)
    if kind == "interval":
        name, rows = (right, absent[1]) if absent[1].any() else (left, absent[0])
        write = "np.inf where the event was never seen" if rows is absent[1] else "0 where nothing is known before"
        raise MissingDataError(
            f"{text}: bound {name!r} is missing in {int(rows.sum())} rows, first row {shown(frame.index[rows][0])}; "
            f"write {write} (type='interval2' reads missing bounds so, as R does)"
        )
    both = absent[0] & absent[1]
    if both.any():
        raise MissingDataError(
            f"{text}: both bounds are missing in {int(both.sum())} rows, first row {shown(frame.index[both][0])}; such "
            "rows tell nothing: leave them out"
        )
    filled = {n: frame[n].fillna(-np.inf) for n in sides[0]} | {n: frame[n].fillna(np.inf) for n in sides[1]}
    return frame.assign(**filled)


def read_interval(text: str, frame: pd.DataFrame) -> IntervalOutcome:
    """Evaluate ``Surv(left, right, type='interval')`` on complete rows."""
    arguments, _ = surv_arguments(text, frame)
    if len(arguments) != 2:
        raise FormulaError(f"{text}: write Surv(left, right, type='interval')")
    names = [original_name(ast.unparse(a), frame) for a in arguments]
    left, right = (
        _bounds(evaluate(a, frame, text), name, frame.index) for a, name in zip(arguments, names, strict=True)
    )
    _refuse(np.isposinf(left), text, frame.index, left, right, "left bound must be finite", "is the order left, right?")
    left = np.where(np.isneginf(left), 0.0, left)
    _refuse((left < 0) | (right < 0), text, frame.index, left, right, "bounds must not be negative", "")
    _refuse(left > right, text, frame.index, left, right, "left must not come after right", "exchange the bounds there")
    width = right - left
    smallest = TIME_TOLERANCE * max(1.0, float(np.mean(right[np.isfinite(right)])) if np.isfinite(right).any() else 1.0)
    cure = "write the same number twice for an exact time"
    _refuse((width > 0) & (width <= smallest), text, frame.index, left, right, "an interval has no width", cure)
    return IntervalOutcome(left, right, None, names[0], names[1])


def _names(argument: ast.expr, frame: pd.DataFrame) -> list[str]:
    text = ast.unparse(argument)
    return columns_used(original_name(text, frame, quoted=True), frame.columns)


def _column(frame: pd.DataFrame, name: str) -> Any:
    return next(c for c in frame.columns if str(c) == name)


def _bounds(values: Any, name: str, index: pd.Index) -> FloatArray:
    series = values if isinstance(values, pd.Series) else pd.Series(values, index=index)
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        raise OutcomeError(
            f"bound {name!r} must be numbers, but the column holds {series.dtype} values, first {shown(series.iloc[0])}"
        )
    return np.array(series, dtype=np.float64)


def _refuse(
    bad: npt.NDArray[np.bool_], text: str, index: pd.Index, left: FloatArray, right: FloatArray, need: str, cure: str
) -> None:
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise OutcomeError(
            f"{text}: {need}; {int(bad.sum())} rows break this, first row {shown(index[i])} with "
            f"({left[i]:.10g}, {right[i]:.10g})" + (f"; {cure}" if cure else "")
        )
