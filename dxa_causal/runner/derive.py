"""New columns of a cohort: expressions, categories cut from numbers, levels put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dxa_causal import cohort as cohort_room
from dxa_causal._core.errors import StudyFileError, column_not_found
from dxa_causal.runner.blocks import Cohort, Cut, Regroup


def derive(frame: pd.DataFrame, spec: Cohort, *, example: bool = False) -> pd.DataFrame:
    """Add the columns that `spec` derives.

    Parameters
    ----------
    frame : DataFrame
        Rows that the exclusions left.
    spec : Cohort
    example : bool
        The rows are made up: only the names of columns are looked at.
    """
    for name, expression in spec.derive.items():
        frame = frame.assign(**{_new(name, frame): _value(frame, name, expression)})
    for name, cut in spec.cut.items():
        for column in (cut.column, *([cut.within] if cut.within else [])):
            _known(column, frame, f"cut.{name}")
        frame = frame.assign(**{_new(name, frame): 0 if example else _cut(frame, name, cut)})
    for name, regroup in spec.regroup.items():
        _known(regroup.column, frame, f"regroup.{name}")
        frame = frame.assign(**{_new(name, frame): 0 if example else _regroup(frame[regroup.column], name, regroup)})
    return frame


def restrict(frame: pd.DataFrame, where: str | None) -> pd.DataFrame:
    """Rows where the condition of a block holds."""
    if where is None:
        return frame
    kept, _ = cohort_room.exclude(frame, {"where": f"not ({where})"})
    if kept.empty:
        raise StudyFileError(f"where = {where!r} holds for nobody of {len(frame)} people")
    return kept


def _new(name: str, frame: pd.DataFrame) -> str:
    if name in frame.columns:
        raise StudyFileError(f"{name!r} is a column already; give the derived one another name")
    return name


def _known(column: str, frame: pd.DataFrame, argument: str) -> None:
    if column not in frame.columns:
        raise column_not_found(column, frame.columns, argument=argument)


def _value(frame: pd.DataFrame, name: str, expression: str) -> Any:
    try:
        return frame.eval(expression, engine="python", local_dict={}, global_dict={})
    except pd.errors.UndefinedVariableError as error:
        raise column_not_found(str(error).split("'")[1], frame.columns, argument=f"derive.{name}") from None
    except (SyntaxError, TypeError, AttributeError, NotImplementedError) as error:
        raise StudyFileError(f"derive.{name} = {expression!r} cannot be evaluated: {error}") from None


def _cut(frame: pd.DataFrame, name: str, cut: Cut) -> pd.Categorical:
    values = frame[cut.column]
    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise StudyFileError(f"cut.{name}: {cut.column!r} must hold numbers, but holds {values.dtype} values")
    number = values.to_numpy(dtype=np.float64)
    if cut.parts is None:
        code = np.searchsorted(cut.at, number, side="right")
        inner = [f"{low:g} to <{high:g}" for low, high in zip(cut.at, cut.at[1:])]
        unit = f" {cut.unit}" if cut.unit else ""
        labels = [f"{label}{unit}" for label in (f"<{cut.at[0]:g}", *inner, f">={cut.at[-1]:g}")]
    else:
        code = np.full(len(frame), -1)
        share = np.arange(1, cut.parts) / cut.parts
        known = ~np.isnan(number)
        group = np.zeros(len(frame)) if cut.within is None else pd.factorize(frame[cut.within])[0]
        for value in np.unique(group[group >= 0]):
            own = known & (group == value)
            code[own] = np.searchsorted(np.quantile(number[own], share), number[own], side="left")
        labels = ["1 (lowest)", *map(str, range(2, cut.parts)), f"{cut.parts} (highest)"]
    return pd.Categorical.from_codes(np.where(np.isnan(number), -1, code), categories=labels)


def _regroup(values: pd.Series, name: str, regroup: Regroup) -> pd.Categorical:
    place = {old: new for new, olds in regroup.levels.items() for old in olds}
    unknown = sorted(set(values.dropna().unique()) - set(place), key=str)
    if unknown:
        raise StudyFileError(f"regroup.{name}: levels does not say where {unknown} of {regroup.column!r} belong")
    return pd.Categorical(values.map(place), categories=[*regroup.levels])
