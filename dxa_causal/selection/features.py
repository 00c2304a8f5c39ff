"""The door of the room: features and outcome, checked once."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, shown
from dxa_causal.survival.learners import features

FloatArray = npt.NDArray[np.float64]
Kind = Literal["linear", "logistic", "cox"]


def read_features(x: Any) -> tuple[FloatArray, list[str], pd.Index | None]:
    """Values, names and (for a frame) row labels of features, every one a finite number."""
    values, names = features.read_features(x)
    if names is None:
        return values, [f"x{k}" for k in range(values.shape[1])], None  # scikit-learn's names
    return values, names, features.as_frame(x)[0].index


def read_outcome(y: Any, n: int, kind: str = "auto") -> tuple[Any, Kind]:
    """Outcome values and which model they are for: survival, two classes or numbers."""
    if y is None:
        raise OutcomeError("y is missing; this selector chooses features by what they tell of an outcome")
    values = np.asarray(y)
    if len(values) != n:
        raise OutcomeError(f"X has {n} rows and y has {len(values)}")
    if values.size != n:
        raise OutcomeError(
            f"y has {values.shape[1]} columns, but is one outcome; survival.survival_outcome makes one of two"
        )
    if values.dtype.names:
        event, time = (values[name] for name in values.dtype.names[:2])
        if len(values.dtype.names) > 2:
            raise OutcomeError("y holds entry times; selectors take none: count time from entry")
        if kind not in ("auto", "cox"):
            raise OptionError(f"y is a survival outcome, so kind={kind!r} does not fit; use 'cox' or 'auto'")
        if event.dtype != np.bool_:
            raise OutcomeError(f"the first field of y, {values.dtype.names[0]!r}, must be True/False (event seen)")
        if not event.any():
            raise OutcomeError("y holds no event; nothing can be learnt of the time to one")
        if not np.isfinite(time).all() or (time < 0).any():
            raise OutcomeError(f"times of y ({values.dtype.names[1]!r}) must be finite and not negative")
        return values, "cox"
    if kind == "cox":
        raise OutcomeError("kind='cox' needs a survival outcome: survival.survival_outcome('Surv(time, died)', data)")
    values = values.ravel()
    if pd.isna(values).any():
        i = int(np.flatnonzero(pd.isna(values))[0])
        raise OutcomeError(f"y is missing in {int(pd.isna(values).sum())} rows, first at position {i}")
    levels = np.unique(values)
    if levels.size < 2:
        raise OutcomeError(f"y has one value ({shown(levels[0])}) in all {n} rows")
    if kind == "logistic" or (kind == "auto" and (levels.size == 2 or values.dtype.kind in "OUSb")):
        if levels.size > 2:
            raise OutcomeError(f"y has {levels.size} classes; a logistic model needs two")
        return (values == levels[1]).astype(np.int64), "logistic"
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise OutcomeError(f"y is not finite at position {int(np.flatnonzero(~np.isfinite(numbers))[0])}")
    return numbers, "linear"


def refuse_other_order(y: Any, labels: pd.Index | None) -> None:
    """Refuse an outcome whose rows are those of X in another order: it would be taken row by row."""
    if labels is None or not isinstance(y, pd.Series | pd.DataFrame) or y.index.equals(labels):
        return
    if len(y.index) == len(labels) and y.index.isin(labels).all():
        raise OutcomeError("the rows of y have the labels of X in another order; use y.loc[X.index]")


def check_folds(cv: object, n: int) -> None:
    """Refuse a number of folds that the rows do not allow."""
    if not isinstance(cv, int | np.integer) or not 2 <= cv <= n:
        raise OptionError(f"cv={cv!r} must lie between 2 and the number of rows, {n}, and be a whole number")


def martingale_residuals(y: Any) -> FloatArray:
    """Events minus their expected number without covariates (Nelson-Aalen): a survival outcome as one number."""
    event, time = (y[name] for name in y.dtype.names[:2])
    distinct, rank = np.unique(time, return_inverse=True)
    events = np.bincount(rank, event, minlength=distinct.size)
    at_risk = np.cumsum(np.bincount(rank, minlength=distinct.size)[::-1])[::-1]
    return np.asarray(event - np.cumsum(events / at_risk)[rank], dtype=np.float64)
