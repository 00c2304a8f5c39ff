"""Features as an array of numbers: read at the fit, found again by name at prediction."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import EmptyDataError, MissingDataError, PredictorError, column_not_found, shown

FloatArray = npt.NDArray[np.float64]


def read_features(x: Any) -> tuple[FloatArray, list[str] | None]:
    """Values, and names where `x` is a frame; every one a finite number."""
    frame, names = as_frame(x)
    if 0 in frame.shape:
        raise EmptyDataError(
            f"X has {frame.shape[0]} rows and {frame.shape[1]} columns; there is nothing to learn from"
        )
    if len(frame) < 2:
        raise EmptyDataError("X has 1 row; there is nothing to learn from")
    if not frame.columns.is_unique:
        raise PredictorError(f"two columns of X are named {shown(frame.columns[frame.columns.duplicated()][0])}")
    return _numbers(frame), names


def features_again(x: Any, n_features: int, names: npt.NDArray[np.object_] | None) -> FloatArray:
    """Values of the features of the fit, found by name whatever the order of the columns."""
    frame, given = as_frame(x)
    if names is not None and given is not None:
        frame.columns = pd.Index(given)
        for name in names:
            if name not in frame.columns:
                raise column_not_found(name, frame.columns, argument="X")
        frame = frame[list(names)]
    elif frame.shape[1] != n_features:
        raise PredictorError(f"X has {frame.shape[1]} columns; at the fit it had {n_features}")
    if not len(frame):
        raise EmptyDataError("X has no rows; there is nothing to predict")
    return _numbers(frame)


def as_frame(x: Any) -> tuple[pd.DataFrame, list[str] | None]:
    """Frame of features and, unless it was an array, its names."""
    if isinstance(x, np.ndarray | list | tuple):
        array = np.asarray(x)
        if array.ndim != 2:
            raise PredictorError(f"X must have rows and columns, not shape {array.shape}")
        return pd.DataFrame(array, columns=[f"x{k}" for k in range(array.shape[1])]), None
    if isinstance(x, pd.DataFrame):
        frame = x.copy(deep=False)
    else:
        try:
            native = nw.from_native(x)
        except TypeError:
            hint = "; make it dense first (sparse_output=False)" if hasattr(x, "toarray") else ""
            raise PredictorError(f"X must be a frame or an array, not {type(x).__name__}{hint}") from None
        frame = (native.collect() if isinstance(native, nw.LazyFrame) else native).to_pandas()
    return frame, [str(c) for c in frame.columns]


def _numbers(frame: pd.DataFrame) -> FloatArray:
    for name, kind in frame.dtypes.items():
        if not (pd.api.types.is_numeric_dtype(kind) or _all_numbers(frame[name])):
            raise PredictorError(
                f"column {str(name)!r} of X holds {kind} values; make them numbers first, for instance with "
                "OneHotEncoder in the same Pipeline"
            )
    values = np.array(frame.to_numpy(dtype=np.float64, na_value=np.nan), order="C")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise MissingDataError(
            f"column {str(frame.columns[column])!r} of X is missing or not finite in {int(bad[:, column].sum())} rows, "
            f"first row {shown(frame.index[row])} with {values[row, column]}; impute inside the Pipeline, or leave "
            "these rows out of X and y"
        )
    return values


def _all_numbers(column: pd.Series) -> bool:
    """Whether a column of objects holds numbers only, as an array of mixed types makes them."""
    return column.dtype == object and bool(column.map(lambda v: isinstance(v, int | float | np.number)).all())
