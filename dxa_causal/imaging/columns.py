"""Columns of tables of measurements, checked once: numbers, and labels of who, what and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import (
    EmptyDataError,
    MeasurementError,
    MissingDataError,
    OptionError,
    column_not_found,
    shown,
)
from dxa_causal._design.matrix import plain_types, to_pandas

FloatArray = npt.NDArray[np.float64]


def read_table(data: Any, labels: Mapping[str, str | None], features: Sequence[str] | str) -> pd.DataFrame:
    """Return the columns named, as pandas: labels (argument -> column) known everywhere, features numbers or nan."""
    names = list(dict.fromkeys(name_list(features, "features")))
    frame = to_pandas(data)
    asked = [(argument, name) for argument, name in labels.items() if name is not None]
    named = [name for _, name in asked] + names
    if twice := [name for name in named if named.count(name) > 1]:
        raise OptionError(f"column {twice[0]!r} is named twice; {', '.join(labels)} and features must differ")
    for argument, name in [*asked, *(("features", name) for name in names)]:
        if name not in frame.columns:
            raise column_not_found(str(name), frame.columns, argument=argument)
    if len(frame) == 0:
        raise EmptyDataError("the frame has no rows")
    table = plain_types(frame[named])
    for argument, name in asked:
        absent = np.flatnonzero(table[name].isna())
        if absent.size:
            raise MissingDataError(
                f"{argument}={name!r} is missing in {absent.size} rows, first row "
                f"{shown(frame.index[absent[0]])}; every row must have one"
            )
    return table.assign(**{name: read_numbers(table[name], f"column {name!r}") for name in names})


def name_list(names: Sequence[str] | str, argument: str) -> list[str]:
    """Return one or several names as a list; none is refused."""
    found = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else []
    if not found or not all(isinstance(name, str) for name in found):
        raise OptionError(f"{argument}={names!r} names no column; allowed is a name or a list of names")
    return found


def read_numbers(column: Any, what: str) -> FloatArray:
    """Return a column as float64, nan where missing; text, dates, truth values and infinities are refused."""
    if np.ndim(column) != 1:
        raise MeasurementError(f"{what} has {np.ndim(column)} dimensions; allowed is one row of numbers")
    series = plain_types(pd.Series(column).to_frame("x"))["x"]
    if series.isna().all() and series.dtype == object:
        series = series.astype(np.float64)
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        example = series.dropna()
        found = f", for instance {shown(example.iloc[0])} in row {shown(example.index[0])}" if len(example) else ""
        raise MeasurementError(f"{what} must hold numbers, but it holds {series.dtype} values{found}")
    values = series.to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(np.isinf(values))
    if wrong.size:
        raise MeasurementError(
            f"{what} holds {values[wrong[0]]:g} in row {shown(series.index[wrong[0]])}; allowed are finite numbers"
        )
    return values


def missing_notes(table: pd.DataFrame, features: Sequence[str]) -> tuple[str, ...]:
    """A line per feature without a value in some rows."""
    counts = [(name, int(table[name].isna().sum())) for name in features]
    return tuple(f"{name}: {n} rows without a value" for name, n in counts if n)
