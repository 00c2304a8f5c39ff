"""The left side of a formula: survival times, checked once."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, OutcomeError, shown
from dxa_causal._core.warnings import CodingWarning, warn
from dxa_causal._numerics.times import TIME_TOLERANCE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


_CENSORED = {"censor", "censored", "censoring"}


@dataclass(frozen=True, eq=False, slots=True)
class SurvivalOutcome:
    """Right-censored times, possibly with delayed entry and several causes.

    Attributes
    ----------
    time : (n,) ndarray
        Time of event or censoring, unit of the data.
    event : (n,) ndarray of int64
        1 = event, 0 = censored; k = the k-th of `causes` where there are several.
    entry : (n,) ndarray or None
        Start of observation, exclusive; None when all enter at the origin.
    time_name : str
        How the formula calls the time, for labels.
    event_name : str
        How the formula calls the event, for messages.
    causes : tuple
        What the codes 1, 2, ... stand for.
    censored : object
        What 0 stands for.
    """

    time: FloatArray
    event: IntArray
    entry: FloatArray | None
    time_name: str
    event_name: str
    causes: tuple[Any, ...] = (1,)
    censored: Any = 0

    def cause_code(self, cause: Any) -> int:
        """Code of `cause`; None will do where there is only one."""
        known = ", ".join(shown(c) for c in self.causes)
        if cause is None:
            if len(self.causes) == 1:
                return 1
            raise OutcomeError(
                f"{self.event_name!r} holds {len(self.causes)} causes ({known}); say which one is meant: "
                f"cause={shown(self.causes[0])}"
            )
        for code, label in enumerate(self.causes, start=1):
            if label == cause:
                if not (self.event == code).any():
                    raise OutcomeError(f"cause={shown(cause)} never happens in the {self.event.size} rows analysed")
                return code
        raise OutcomeError(
            f"cause={shown(cause)} is never seen in {self.event_name!r}; its causes are {known} (0 or the first "
            "category is censoring)"
        )

    def of_cause(self, code: int) -> SurvivalOutcome:
        """The same times with one cause as the event and the others as censoring."""
        return replace(self, event=(self.event == code).astype(np.int64), causes=(self.causes[code - 1],))


def coding_notes(outcome: object) -> tuple[str, ...]:
    """What a reader must know of the coding of causes: which value was taken for censoring."""
    if not isinstance(outcome, SurvivalOutcome) or (len(outcome.causes) == 1 and outcome.censored == 0):
        return ()
    causes = ", ".join(shown(c) for c in outcome.causes)
    return (f"censored: {outcome.event_name} == {shown(outcome.censored)}; causes: {causes}",)


def is_survival(text: str) -> bool:
    """Whether the left side is a ``Surv(...)``."""
    return re.match(r"\s*Surv\s*\(", text) is not None


def read_survival(text: str, frame: pd.DataFrame, *, causes: bool = False) -> SurvivalOutcome:
    """Evaluate ``Surv(time, event)`` or ``Surv(entry, time, event)`` on complete rows.

    Arguments are columns or simple expressions of columns (``status == 2``,
    ``age + futime / 12``). With `causes` the event may be 0 = censored and 1,
    2, ... = causes, or a categorical whose first category is censoring.
    """
    arguments, kind = surv_arguments(text, frame)
    names = [ast.unparse(a) for a in arguments]
    values = [evaluate(a, frame, text) for a in arguments]
    if kind not in (None, "right", "counting"):
        raise OutcomeError(
            f"{text}: type={kind!r} is not taken here; use right-censored or start-stop times, or one of interval_cox, "
            "turnbull and parametric for intervals"
        )
    if len(values) == 2:
        entry, (time, event), (time_name, event_name) = None, values, names
    elif len(values) == 3:
        entry, time, event = values
        time_name, event_name = names[1:]
        entry = _times(entry, names[0], frame.index)
    else:
        raise FormulaError(f"{text}: write Surv(time, event) or Surv(entry, time, event)")
    times = _times(time, original_name(time_name, frame), frame.index)
    labels: tuple[Any, ...] = (1,)
    censored: Any = 0
    event_name = original_name(event_name, frame)
    if causes:
        events, labels, censored = _causes(event, event_name, frame.index)
    else:
        events = _events(event, event_name, frame.index)
    if entry is not None:
        # times that close count as one
        smallest = TIME_TOLERANCE * max(1.0, float(np.mean(np.abs(times))))
        late = np.flatnonzero(times - entry <= smallest)
        if late.size:
            i = late[0]
            equal = " (the same up to rounding)" if entry[i] < times[i] else ""
            raise OutcomeError(
                f"{text}: entry must come before exit; {late.size} rows do not, first row {shown(frame.index[i])} with "
                f"entry {entry[i]:g} and exit {times[i]:g}{equal}"
            )
    return SurvivalOutcome(times, events, entry, original_name(time_name, frame), event_name, labels, censored)


def _placeholder(i: int) -> str:
    return f"_column_{i}_"


def original_name(name: str, frame: pd.DataFrame, *, quoted: bool = False) -> str:
    """Text of an argument with the columns under their own names, in backticks where asked."""
    mark = "`" if quoted else ""
    return re.sub(r"_column_(\d+)_", lambda m: f"{mark}{frame.columns[int(m[1])]}{mark}", name)


def surv_arguments(text: str, frame: pd.DataFrame) -> tuple[list[ast.expr], str | None]:
    """Arguments of a ``Surv(...)``, columns of difficult names replaced by placeholders, and its type."""
    safe = text
    for i, column in sorted(enumerate(map(str, frame.columns)), key=lambda c: -len(c[1])):
        safe = safe.replace(f"`{column}`", _placeholder(i))
        if not column.isidentifier():
            safe = re.sub(rf"(?<![\w.`]){re.escape(column)}(?![\w.`(])", _placeholder(i), safe)
    try:
        call = ast.parse(safe.strip(), mode="eval").body
    except SyntaxError:
        raise FormulaError(f"the left side {text!r} cannot be read; write Surv(time, event)") from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Surv"):
        raise FormulaError(f"the left side {text!r} is not a survival outcome; write Surv(time, event)")
    kind = None
    for option in call.keywords:
        if option.arg != "type" or not isinstance(option.value, ast.Constant):
            raise FormulaError(f"{text}: Surv takes times, an event and type='...', not {option.arg!r}")
        kind = str(option.value.value)
    return list(call.args), kind


def evaluate(node: ast.expr, frame: pd.DataFrame, text: str) -> Any:
    """Value of an argument of ``Surv(...)``."""
    match node:
        case ast.Name(id=name):
            if held := re.fullmatch(r"_column_(\d+)_", name):
                return frame.iloc[:, int(held[1])]
            return frame[name]
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](evaluate(left, frame, text), evaluate(right, frame, text))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _COMPARE[type(op)](evaluate(left, frame, text), evaluate(right, frame, text))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -evaluate(operand, frame, text)
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return ~evaluate(operand, frame, text)
    raise FormulaError(
        f"{text}: {ast.unparse(node)!r} cannot stand in Surv(); use columns, numbers, + - * / and comparisons"
    )


def _as_series(values: Any, index: pd.Index) -> pd.Series:
    return values if isinstance(values, pd.Series) else pd.Series(values, index=index)


def _times(values: Any, name: str, index: pd.Index) -> FloatArray:
    series = _as_series(values, index)
    numbers = pd.to_numeric(series, errors="coerce") if series.dtype == object else series
    if not pd.api.types.is_numeric_dtype(numbers.dtype) or pd.api.types.is_bool_dtype(numbers.dtype):
        raise OutcomeError(f"time {name!r} must be numbers, but the column holds {series.dtype} values")
    bad = numbers.isna()
    if bad.any():
        row = series.index[bad][0]
        raise OutcomeError(
            f"time {name!r} must be numbers: {int(bad.sum())} values are not, "
            f"first row {shown(row)} holds {shown(series[bad].iloc[0])}"
        )
    times: FloatArray = np.array(numbers, dtype=np.float64)  # not a view of what the user may change
    wrong = np.flatnonzero(~np.isfinite(times) | (times < 0))
    if wrong.size:
        i = wrong[0]
        raise OutcomeError(
            f"time {name!r} must be finite and not negative: {wrong.size} values are not, first row "
            f"{shown(series.index[i])} with {times[i]:g}"
        )
    return times


def _events(values: Any, name: str, index: pd.Index) -> IntArray:
    series = _as_series(values, index)
    if pd.api.types.is_bool_dtype(series.dtype):
        return np.array(series, dtype=np.int64)
    found = pd.unique(series)
    listed = ", ".join(shown(v) for v in sorted(found, key=str)[:6])
    if not pd.api.types.is_numeric_dtype(series.dtype):
        raise OutcomeError(
            f"event {name!r} must be 0/1 or True/False, but holds {listed}; name the event, for instance "
            f"Surv(..., {name} == {sorted(map(str, found))[-1]!r})"
        )
    levels = {float(v) for v in found}
    if levels <= {0.0, 1.0}:
        return np.array(series, dtype=np.int64)
    if levels == {1.0, 2.0} or levels == {2.0}:
        raise OutcomeError(
            f"event {name!r} holds {listed}: this looks like R's coding (1 = censored, 2 = event); "
            f"write Surv(..., {name} == 2)"
        )
    if len(levels) > 10:
        raise OutcomeError(
            f"event {name!r} must be 0 (censored) or 1 (event), but holds {len(levels)} different values; are time and "
            "event exchanged? Write Surv(time, event)"
        )
    one = 1.0 if 1.0 in levels else max(levels)
    raise OutcomeError(
        f"event {name!r} must be 0 (censored) or 1 (event), but holds {listed}; name one event, for instance "
        f"Surv(..., {name} == {one:g}), and make codes for unknown missing"
    )


def _causes(values: Any, name: str, index: pd.Index) -> tuple[IntArray, tuple[Any, ...], Any]:
    """Codes 0 = censored, 1, 2, ..., the causes they stand for, and the value that is censoring."""
    series = _as_series(values, index)
    if isinstance(series.dtype, pd.CategoricalDtype):
        labels = tuple(series.cat.categories[1:])
        if not labels:
            raise OutcomeError(
                f"event {name!r} has one category ({shown(series.cat.categories[0])}), which stands for censoring; "
                "name the causes after it"
            )
        places = np.asarray(series.cat.codes, dtype=np.int64)
        first = series.cat.categories[0]
        if not (places == 0).any():
            warn(
                f"no row is censored: event {name!r} never holds {shown(first)}, its first category, which stands for "
                f"censoring; {', '.join(shown(v) for v in labels)} count as causes. If one of them is censoring, put "
                f"it first: data[{name!r}].cat.reorder_categories([...]) after remove_unused_categories()",
                CodingWarning,
            )
        return places, labels, first
    if pd.api.types.is_bool_dtype(series.dtype):
        return np.array(series, dtype=np.int64), (1,), 0
    found = pd.unique(series)
    listed = ", ".join(shown(v) for v in sorted(found, key=str)[:6])
    if not pd.api.types.is_numeric_dtype(series.dtype):
        censored = [v for v in found if str(v).strip().lower() in _CENSORED]
        if len(censored) == 1 and len(found) > 1:  # the word leaves no doubt
            levels = censored + sorted((v for v in found if v != censored[0]), key=str)
            return _causes(pd.Series(pd.Categorical(series, levels), index=index), name, index)
        raise OutcomeError(
            f"event {name!r} holds text ({listed}); make it a categorical whose first category is censoring: "
            f"pd.Categorical(data[{name!r}], categories=['censored', ...])"
        )
    codes: FloatArray = np.asarray(series, dtype=np.float64)
    wrong = np.flatnonzero((codes < 0) | (codes != np.floor(codes)) | ~np.isfinite(codes))
    if wrong.size:
        raise OutcomeError(
            f"event {name!r} must be 0 (censored) or a whole number 1, 2, ... naming the cause; {wrong.size} values "
            f"are not, first row {shown(series.index[wrong[0]])} with {codes[wrong[0]]:g}"
        )
    seen = np.unique(codes[codes > 0])
    if seen.size > 10:
        raise OutcomeError(
            f"event {name!r} holds {seen.size} different causes, more than 10; are time and event exchanged? "
            "Write Surv(time, event), or group the causes first"
        )
    if not (codes == 0).any() and set(seen) <= {1.0, 2.0}:
        warn(
            f"no row is censored: event {name!r} holds {listed} and 0 would be censoring. Right if everyone was "
            f"followed to an event; if 1 means censored (R's coding of one event), write Surv(..., {name} == 2)",
            CodingWarning,
        )
    position = np.searchsorted(seen, codes) + 1
    return np.where(codes > 0, position, 0).astype(np.int64), tuple(int(c) for c in seen) or (1,), 0
