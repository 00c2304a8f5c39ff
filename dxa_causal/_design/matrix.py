"""The formula door: text and frame in, checked outcome and design matrix out."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
from formulaic import Formula, ModelSpec
from formulaic.errors import DataMismatchWarning, FormulaicError

from dxa_causal._core.errors import (
    DxaCausalError,
    FormulaError,
    MissingDataError,
    PredictorError,
    UnseenLevelError,
    column_not_found,
    shown,
)
from dxa_causal._core.options import Missing, check_option
from dxa_causal._design.interval import IntervalOutcome, is_interval, read_interval, with_bounds
from dxa_causal._design.outcome import SurvivalOutcome, coding_notes, is_survival, read_survival
from dxa_causal._design.parse import Parts, parse
from dxa_causal._design.rows import LARGE, Rows, columns_used, complete_rows, quote_dotted
from dxa_causal._design.splines import TRANSFORMS_ADDED
from dxa_causal.results import Provenance

FloatArray = npt.NDArray[np.float64]
# What the evaluation of a formula may raise: formulaic's own errors and those of the code it runs.
_EVALUATION = (
    FormulaicError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NameError,
    ArithmeticError,
    SyntaxError,
)


@dataclass(frozen=True, eq=False)
class Design:
    """What a model needs from a formula and a frame.

    Attributes
    ----------
    parts : Parts
        The two sides of the formula, as text.
    x : (n, p) ndarray
        Design matrix, C order, without intercept column unless asked for.
    terms : list of str
        Names of its columns.
    rows : Rows
        Rows and columns analysed.
    coding : ModelSpec or None
        How the right side was coded; None when it is a sum of columns of
        numbers, which need no coding.
    outcome : SurvivalOutcome or IntervalOutcome or Series or None
        Checked survival outcome, or the values of another left side.
    beside : IntervalOutcome or None
        An interval-censored outcome beside that of the formula.
    """

    parts: Parts
    x: FloatArray
    terms: list[str]
    rows: Rows
    coding: ModelSpec | None
    outcome: SurvivalOutcome | IntervalOutcome | pd.Series | None
    intercept: bool
    beside: IntervalOutcome | None = None

    @property
    def index(self) -> pd.Index:
        """Labels of the rows analysed."""
        return self.rows.frame.index

    @cached_property
    def survival(self) -> SurvivalOutcome:
        """The outcome, known to be a survival outcome."""
        if not isinstance(self.outcome, SurvivalOutcome):
            raise FormulaError(f"the left side {self.parts.outcome!r} must be Surv(time, event)")
        return self.outcome

    @cached_property
    def interval(self) -> IntervalOutcome:
        """The outcome, known to be interval-censored."""
        if not isinstance(self.outcome, IntervalOutcome):
            raise FormulaError(f"the left side {self.parts.outcome!r} must be Surv(left, right, type='interval')")
        return self.outcome

    @cached_property
    def spec(self) -> ModelSpec:
        """Formulaic's specification of the right side."""
        if self.coding is not None:
            return self.coding
        return _materialise(self.parts.fixed, self.rows.frame[self.terms]).model_spec

    @cached_property
    def term_columns(self) -> dict[str, list[int]]:
        """Columns of `x` that belong to each term of the formula: all levels of a factor, all columns of a spline."""
        if self.coding is None:
            return {name: [k] for k, name in enumerate(self.terms)}
        shift = 0 if self.intercept else 1
        return {
            re.sub("`", "", str(term)): [k - shift for k in columns]
            for term, columns in self.coding.term_indices.items()
            if str(term) != "1"
        }

    def column(self, name: str | None) -> pd.Series | None:
        """A column passed as an argument, on the rows analysed."""
        return None if name is None else self.rows.frame[name]

    def number(self, name: str | None, *, argument: str, positive: bool = False) -> FloatArray | None:
        """A numeric column passed as an argument, finite (and positive) on every row analysed."""
        return self.rows.number(name, argument=argument, positive=positive)

    def provenance(self, call: str, *, seed: int | None = None, notes: tuple[str, ...] = ()) -> Provenance:
        """Provenance of a fit on these rows."""
        return Provenance(
            call=call,
            n_rows=self.rows.n_rows,
            n_used=len(self.rows.frame),
            missing=dict(self.rows.missing),
            seed=seed,
            notes=(*coding_notes(self.outcome), *notes),
        )

    def new(self, data: Any) -> tuple[FloatArray, pd.Index]:
        """Design matrix of new rows with the coding of the fit.

        Returns
        -------
        x : (m, p) ndarray
        index : Index
            Row labels of `data`.
        """
        frame = to_pandas(data)
        used = columns_used(self.parts.fixed, self.rows.frame.columns)
        for name in used:
            if name not in frame.columns:
                raise column_not_found(name, frame.columns, argument="new data")
        frame = plain_types(frame[used]) if used else pd.DataFrame(index=frame.index)
        _refuse_missing(frame)
        _refuse_other_types(frame, self.rows.frame)
        if self.coding is None:
            numbers = [
                Rows(frame, np.ones(len(frame), dtype=bool), {}).number(n, argument="column") for n in self.terms
            ]
            columns = [np.asarray(n) for n in numbers]
            return np.column_stack([np.empty((len(frame), 0)), *columns]), frame.index
        _refuse_unseen_levels(self.spec, frame)
        spec = copy.deepcopy(self.spec)  # formulaic keeps what it learns from new data
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error", DataMismatchWarning)
                matrix = spec.get_model_matrix(frame, output="numpy", na_action="ignore", context=TRANSFORMS_ADDED)
        except DxaCausalError:
            raise
        except DataMismatchWarning as mismatch:
            raise UnseenLevelError(f"new data: {mismatch}") from None
        except _EVALUATION as error:
            raise FormulaError(f"new data cannot be coded as at the fit: {_plain(error)}") from None
        x = _strip_intercept(np.asarray(matrix, dtype=np.float64), self.intercept)
        _refuse_non_finite(x, self.terms, frame.index, where="new data: ")
        return x, frame.index


def to_pandas(data: Any) -> pd.DataFrame:
    """Return a pandas frame of any narwhals-compatible one, column names as text."""
    if isinstance(data, pd.DataFrame):
        frame = data
    else:
        try:
            native = nw.from_native(data)
        except TypeError:
            raise DxaCausalError(f"data must be a pandas or polars frame, not {type(data).__name__}") from None
        native = native.collect() if isinstance(native, nw.LazyFrame) else native
        if (
            native.implementation.is_polars()
        ):  # whose categories stand in the order of their first row; not those of Enum
            unordered = [name for name, kind in native.schema.items() if kind == nw.Categorical]
            native = native.with_columns(nw.col(name).cast(nw.String) for name in unordered)
        frame = native.to_pandas()
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DxaCausalError(f"the frame has two columns named {twice!r}; rename one")
    return frame


def build_design(
    formula: str,
    data: Any,
    *,
    arguments: Mapping[str, str | None] | None = None,
    missing: Missing = "drop",
    intercept: bool = False,
    causes: bool = False,
    interval: bool = False,
    beside: str | None = None,
) -> Design:
    """Read a formula against a frame.

    Parameters
    ----------
    formula : str
        ``outcome ~ covariates``.
    data : pandas or polars frame
    arguments : mapping of str to str or None
        Columns passed beside the formula (strata, weights, ...); a row missing
        there is dropped too.
    missing : {"drop", "raise"}
    intercept : bool
        Keep the intercept column. It is always built, so that factors lose
        one level, and dropped for models without one.
    causes : bool
        The event may name several causes; see `SurvivalOutcome`.
    interval : bool
        The outcome may also be ``Surv(left, right, type='interval')``.
    beside : str, optional
        An interval-censored outcome beside that of the formula, on the same rows.
    """
    check_option("missing", missing, Missing)
    frame = to_pandas(data)
    parts = parse(formula)
    used = selected_columns(parts.outcome, parts.fixed, frame, arguments or {})
    if beside is not None:
        used = list(dict.fromkeys([*used, *selected_columns(beside, "1", frame, {})]))
    large = len(frame) > LARGE
    # a large frame is copied once, into the design matrix
    picked = pd.DataFrame({name: frame[name] for name in used}, copy=False) if large and used else frame[used]
    picked = plain_types(picked)
    intervals = [text for text in (parts.outcome if interval else "", beside) if text and is_interval(text, picked)]
    for text in intervals:
        picked = with_bounds(text, picked)
    rows = complete_rows(picked, missing=missing)
    if parts.outcome in intervals:
        outcome: Any = read_interval(parts.outcome, rows.frame)
    else:
        outcome = _read_outcome(parts.outcome, rows.frame, causes)
    second = None
    if beside is not None:
        if beside not in intervals:
            raise FormulaError(f"{beside!r} must be Surv(left, right, type='interval')")
        second = read_interval(beside, rows.frame)
    fixed = columns_used(parts.fixed, frame.columns)
    kinds = rows.frame.dtypes
    others = [name for name in fixed if not _is_number(kinds[name])]
    _refuse_single_level(rows.frame, others)
    _refuse_spoilt_numbers(rows.frame, others)
    names = _sum_of_columns(parts.fixed, rows.frame)
    if names is not None and not intercept:  # formulaic would only copy them, at a price
        coding, terms = None, names
        x = _side_by_side([rows.frame[name].to_numpy() for name in names])
        if large:
            rows = _share(rows, x, names)
    else:
        if large:
            rows = replace(rows, frame=rows.frame.copy())
        right = rows.frame[fixed] if fixed else pd.DataFrame(index=rows.frame.index)
        matrix = _materialise(parts.fixed, right)
        coding = matrix.model_spec
        _refuse_single_level_factors(coding, len(right))
        terms = [re.sub("`", "", str(name)) for name in coding.column_names]
        x = _strip_intercept(np.asarray(matrix, dtype=np.float64), intercept)
        terms = terms if intercept else terms[1:]
    _refuse_non_finite(x, terms, rows.frame.index)
    return Design(parts, x, terms, rows, coding, outcome, intercept, second)


def selected_columns(outcome: str, fixed: str, frame: pd.DataFrame, arguments: Mapping[str, str | None]) -> list[str]:
    """Columns of `frame` that the two sides of a formula and the arguments beside it name."""
    used = dict.fromkeys(columns_used(outcome.removeprefix("Surv"), frame.columns))
    used |= dict.fromkeys(columns_used(fixed, frame.columns))
    for argument, name in arguments.items():
        if name is None:
            continue
        if not isinstance(name, str):
            raise PredictorError(
                f"{argument} must be the name of a column, not {type(name).__name__}; put the values into the "
                f"frame first: data.assign({argument}=...)"
            )
        if name not in frame.columns:
            raise column_not_found(name, frame.columns, argument=argument)
        used[name] = None
    return list(used)


def _read_outcome(text: str, frame: pd.DataFrame, causes: bool) -> SurvivalOutcome | pd.Series | None:
    if not text:
        return None
    if is_survival(text):
        return read_survival(text, frame, causes=causes)
    if text in frame.columns:
        return frame[text].copy()  # a large frame is a view of the user's
    if text.startswith("`") and text.strip("`") in frame.columns:
        return frame[text.strip("`")].copy()
    try:
        values = Formula(f"0 + {quote_dotted('{' + text + '}', list(frame.columns))}").get_model_matrix(
            frame, output="pandas", na_action="raise"
        )
    except _EVALUATION as error:
        raise FormulaError(f"the left side {text!r} cannot be evaluated: {_plain(error)}") from None
    return values.iloc[:, -1].rename(text)


def plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Nullable and Arrow-backed columns as plain float, bool or object; categoricals lose unused levels later."""
    convert: dict[str, Any] = {}
    for name, kind in frame.dtypes.items():
        if isinstance(kind, np.dtype | pd.CategoricalDtype):
            continue
        if pd.api.types.is_bool_dtype(kind):
            convert[str(name)] = object if frame[name].isna().any() else bool
        elif pd.api.types.is_numeric_dtype(kind):
            convert[str(name)] = np.float64
        elif pd.api.types.is_string_dtype(kind):
            convert[str(name)] = object
    frame = frame.astype(convert) if convert else frame
    # numbers in a column of Python objects (from a database, say) are numbers
    numbers = {str(n): _number_kind(frame[n]) for n, kind in frame.dtypes.items() if kind.kind == "O"}
    numbers = {name: kind for name, kind in numbers.items() if kind is not None}
    return frame.astype(numbers) if numbers else frame


def _number_kind(values: pd.Series) -> Any:
    found = pd.api.types.infer_dtype(values, skipna=True)
    if found == "integer" and not values.isna().any():
        return np.int64
    return np.float64 if found in ("integer", "floating", "mixed-integer-float", "decimal") else None


def _sum_of_columns(text: str, frame: pd.DataFrame) -> list[str] | None:
    """Names of a right side that is nothing but columns of numbers joined by +; None for any other."""
    names = list(dict.fromkeys(word.strip().strip("`") for word in text.split("+")))
    kinds = dict(zip(frame.columns, frame.dtypes))
    plain = all(n in kinds and _is_number(kinds[n]) and kinds[n].kind != "b" for n in names)
    return names if plain and names else None


def _side_by_side(columns: list[npt.NDArray[Any]]) -> FloatArray:
    """Columns as a C-ordered matrix, written in pieces that fit the cache."""
    x = np.empty((len(columns[0]), len(columns)))
    for first in range(0, len(x), 2048):
        piece = x[first : first + 2048]
        for k, column in enumerate(columns):
            piece[:, k] = column[first : first + 2048]
    return x


def _share(rows: Rows, x: FloatArray, names: list[str]) -> Rows:
    """The same rows with the covariates as views of the design matrix: a large frame is not held twice."""
    own = {name: k for k, name in enumerate(names) if rows.frame[name].dtype == np.float64}
    columns = {c: x[:, own[c]] if c in own else rows.frame[c].copy() for c in rows.frame.columns}
    return replace(rows, frame=pd.DataFrame(columns, index=rows.frame.index, copy=False))


def _is_number(kind: Any) -> bool:
    return isinstance(kind, np.dtype) and kind.kind in "fiub"


def _materialise(text: str, frame: pd.DataFrame) -> Any:
    unused = {c: frame[c].cat.remove_unused_categories() for c in frame.columns if frame[c].dtype == "category"}
    frame = frame.assign(**unused) if unused else frame
    text = re.sub(r"\bI\(([^()]*)\)", lambda m: f"I({m[1].replace('^', '**')})", text)  # R writes I(age^2)
    try:
        with np.errstate(all="ignore"):  # what is not finite gets its own error, naming term and row
            return Formula(f"1 + ({quote_dotted(text, list(frame.columns))})").get_model_matrix(
                frame, output="numpy", na_action="ignore", context=TRANSFORMS_ADDED
            )
    except DxaCausalError:
        raise
    except _EVALUATION as error:
        said = _plain(error)
        hint = "; put a comparison into I(): I(age > 60)" if "Unknown operator" in said else ""
        raise FormulaError(f"the right side {text!r} cannot be evaluated: {said}{hint}") from None


def _plain(error: Exception) -> str:
    """What formulaic says, without the codes that colour a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m|[\u29db\u29da]", "", str(error)).strip().splitlines()[0]


def _strip_intercept(matrix: FloatArray, intercept: bool) -> FloatArray:
    return np.ascontiguousarray(matrix if intercept else matrix[:, 1:])


def _refuse_single_level(frame: pd.DataFrame, names: list[str]) -> None:
    for name in names:
        levels = pd.unique(frame[name])
        if len(levels) < 2:
            raise PredictorError(
                f"column {name!r} has one level ({shown(levels[0])}) in the {len(frame)} rows analysed; a factor needs "
                "two. Leave it out, or look at which rows were dropped"
            )


def _refuse_spoilt_numbers(frame: pd.DataFrame, names: list[str]) -> None:
    """A column of numbers with a few words in it would become a factor with a level per value."""
    for name in names:
        values = frame[name]
        if pd.api.types.is_datetime64_any_dtype(values.dtype) or pd.api.types.is_timedelta64_dtype(values.dtype):
            raise PredictorError(
                f"column {name!r} holds dates or durations; make it a number, for instance years since entry"
            )
        if values.dtype != object:
            continue
        numbers = pd.to_numeric(values, errors="coerce")
        words = values[numbers.isna()]
        if 0 < len(words) < 0.5 * len(values):
            raise PredictorError(
                f"column {name!r} holds numbers, but text in {len(words)} of {len(values)} rows, first row "
                f"{shown(words.index[0])} with {shown(words.iloc[0])}; correct it or make it missing"
            )


def _refuse_single_level_factors(spec: ModelSpec, n: int) -> None:
    for factor, (_, state) in spec.encoder_state.items():
        levels = state.get("categories")
        if levels is not None and len(levels) < 2:
            raise PredictorError(
                f"factor {factor!r} has one level ({shown(levels[0])}) in the {n} rows analysed; a factor needs "
                "two. Leave it out, or look at which rows were dropped"
            )


def _refuse_non_finite(x: FloatArray, terms: list[str], index: pd.Index, *, where: str = "") -> None:
    if np.isfinite(x.sum()):
        return
    rows, columns = np.nonzero(~np.isfinite(x))
    if rows.size:
        raise PredictorError(
            f"{where}term {terms[columns[0]]!r} is not finite in {np.unique(rows).size} rows, first row "
            f"{shown(index[rows[0]])} with {x[rows[0], columns[0]]:g}; a logarithm of zero or a division by zero?"
        )


def _refuse_missing(frame: pd.DataFrame) -> None:
    for name in frame.columns:
        absent = frame[name].isna()
        if absent.any():
            raise MissingDataError(
                f"new data: {name!r} is missing in {int(absent.sum())} rows, first row "
                f"{shown(frame.index[absent][0])}; drop or impute them before predicting"
            )


def _refuse_other_types(frame: pd.DataFrame, fitted: pd.DataFrame) -> None:
    """A covariate that was a number at the fit must be one in new data."""
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(fitted[name].dtype) and not pd.api.types.is_numeric_dtype(frame[name].dtype):
            raise PredictorError(
                f"new data: column {name!r} must be numbers as at the fit, but holds {frame[name].dtype} values, first "
                f"{shown(frame[name].iloc[0])}"
            )


def _refuse_unseen_levels(spec: ModelSpec, frame: pd.DataFrame) -> None:
    for factor, (_, state) in spec.encoder_state.items():
        if "categories" not in state:
            continue
        names = columns_used(factor, frame.columns) if factor not in frame.columns else [factor]
        if len(names) != 1 or not re.fullmatch(rf"(C\()?`?{re.escape(names[0])}`?(,.*)?\)?", factor):
            continue
        known = set(state["categories"])
        unseen = [v for v in pd.unique(frame[names[0]]) if v not in known]
        if unseen:
            found = ", ".join(shown(v) for v in unseen[:5])
            levels = ", ".join(shown(v) for v in state["categories"])
            row = frame.index[frame[names[0]] == unseen[0]][0]
            raise UnseenLevelError(
                f"new data: column {names[0]!r} holds {found} (first row {shown(row)}), which the fit has not seen; "
                f"its levels are {levels}"
            )
