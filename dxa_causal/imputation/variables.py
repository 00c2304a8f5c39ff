"""The columns an imputation works with: numbers or categories, what is missing, and how each is imputed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ImputationError, OptionError, PredictorError, shown
from dxa_causal._core.options import check_option

Method = Literal["pmm", "norm", "logreg", "polyreg", "polr"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_LEVELS = 50
# Methods that suit a column, the one taken by default first.
_SUITED: dict[str, tuple[Method, ...]] = {
    "numbers": ("pmm", "norm"),
    "numbers, two of them": ("logreg", "pmm", "norm", "polyreg"),
    "two categories": ("logreg", "polyreg", "pmm"),
    "ordered categories": ("polr", "polyreg", "pmm"),
    "categories": ("polyreg",),
}
_CODED = ("logreg", "polyreg", "polr")


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """A column as numbers.

    Attributes
    ----------
    name : str
    values : (n,) ndarray
        Numbers, or codes 0, 1, ... of `levels`; NaN where missing.
    levels : Index or None
        Categories in order; None for a column of numbers.
    method : str
        How missing values are drawn; "derived" for a column computed from others.
    """

    name: str
    values: FloatArray
    levels: pd.Index | None
    method: str

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Rows without a value."""
        return np.isnan(self.values)

    @property
    def n_missing(self) -> int:
        """Their number."""
        return int(self.missing.sum())

    def coded(self) -> tuple[FloatArray, float, float]:
        """Columns of a design matrix, with the centre and scale of a column of numbers.

        Numbers are standardised by what is observed, a category has an indicator per level after the first; zero where
        missing.
        """
        if self.levels is not None:
            codes = np.arange(1, max(len(self.levels), 1))
            return (self.values[:, None] == codes).astype(np.float64), 0.0, 1.0
        known = self.values[~self.missing]
        centre, scale = (float(known.mean()), float(known.std())) if known.size else (0.0, 1.0)
        scale = scale if scale > 0 else 1.0
        return np.nan_to_num((self.values - centre) / scale)[:, None], centre, scale


def read_variable(series: pd.Series, method: str | None) -> Variable:
    """Check a column of a frame with plain types and settle how it is imputed."""
    name = str(series.name)
    absent = series.isna().to_numpy()
    if absent.all():
        raise ImputationError(
            f"column {name!r} has no value in any of the {len(series)} rows, so nothing tells what they could be; "
            "leave it out of the formula and of auxiliary, or out of the frame"
        )
    kind, levels = _kind(series, name)
    n_levels = 0 if levels is None else len(levels)
    allowed = _SUITED[kind]
    if method is None or not absent.any():
        method = allowed[0]
    elif method not in allowed:
        check_option(f"methods[{name!r}]", method, Method)
        raise OptionError(f"methods[{name!r}]={method!r} does not suit {kind}; use {_either(allowed)}")
    if n_levels > MOST_LEVELS and absent.any():
        raise ImputationError(
            f"column {name!r} has {n_levels} categories, more than {MOST_LEVELS}: too many for a model of its missing "
            "values; group them first, or leave the column out"
        )
    as_number = levels is None or (kind == "numbers, two of them" and method not in _CODED)
    if not as_number and levels is not None:
        codes = np.asarray(pd.Categorical(series, categories=levels).codes, dtype=np.float64)
        return Variable(name, np.where(codes < 0, np.nan, codes), levels, method)
    values = np.array(series, dtype=np.float64)
    wild = np.isinf(values)
    if wild.any():
        raise PredictorError(
            f"column {name!r} is infinite in {int(wild.sum())} rows, first row {shown(series.index[wild][0])}; correct "
            "it, or make it missing"
        )
    return Variable(name, values, None, method)


def _kind(series: pd.Series, name: str) -> tuple[str, pd.Index | None]:
    """What a column holds, and its categories if it has any."""
    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        levels = series.cat.remove_unused_categories().cat.categories
        if len(levels) <= 2:
            return "two categories", levels
        return ("ordered categories" if kind.ordered else "categories"), levels
    if pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        raise PredictorError(
            f"column {name!r} holds dates or durations, which are not imputed; make it a number, for instance years "
            f"since entry, or keep it out of the imputation: exclude=[{name!r}]"
        )
    if pd.api.types.is_bool_dtype(kind):
        return "two categories", pd.Index([False, True], dtype=object)
    known = series[series.notna()]
    if pd.api.types.is_numeric_dtype(kind):
        _refuse_running_number(known, name)
        distinct = pd.unique(known)
        return ("numbers, two of them", pd.Index(np.sort(distinct))) if len(distinct) == 2 else ("numbers", None)
    words = known[pd.to_numeric(known, errors="coerce").isna()]
    if 0 < len(words) < 0.5 * len(known):
        raise PredictorError(
            f"column {name!r} holds numbers, but text in {len(words)} of {len(known)} rows, first row "
            f"{shown(words.index[0])} with {shown(words.iloc[0])}; correct it or make it missing"
        )
    distinct = pd.unique(known)
    if len(distinct) == len(known) and len(distinct) > 10:
        raise PredictorError(
            f"column {name!r} has another text in every row: an identifier? Keep it out of the imputation: "
            f"exclude=[{name!r}]"
        )
    try:
        levels = pd.Index(sorted(distinct), dtype=object)
    except TypeError:
        raise PredictorError(f"column {name!r} mixes kinds of values, first {shown(known.iloc[0])}") from None
    return ("two categories" if len(levels) <= 2 else "categories"), levels


def _refuse_running_number(known: pd.Series, name: str) -> None:
    values = np.asarray(known, dtype=np.float64)
    if (
        values.size > 10
        and np.isfinite(values).all()
        and (np.abs(np.diff(values)) == 1).all()
        and np.ptp(values) == values.size - 1
    ):
        raise PredictorError(
            f"column {name!r} numbers the rows one by one: an identifier? Keep it out of the imputation: "
            f"exclude=[{name!r}]"
        )


def check_methods(methods: Mapping[str, str] | str | None, names: Iterable[str]) -> dict[str, str]:
    """Methods by column; a single one for all is spread out."""
    names = list(names)
    if methods is None:
        return {}
    if isinstance(methods, str):
        check_option("methods", methods, get_args(Method))
        return dict.fromkeys(names, methods)
    refuse_unknown("methods", methods, names)
    return dict(methods)


def refuse_unknown(argument: str, given: Iterable[Any], names: list[str]) -> None:
    """Refuse columns that take no part in the imputation."""
    for name in given:
        if name not in names:
            raise OptionError(
                f"{argument}: column {name!r} takes no part in the imputation; its columns are "
                f"{', '.join(repr(n) for n in names)}. Others are added with auxiliary=[...]"
            )


def _either(choices: tuple[str, ...]) -> str:
    listed = [repr(c) for c in choices]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"
