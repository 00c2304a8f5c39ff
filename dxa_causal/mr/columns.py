"""Read one GWAS file's columns, whatever they are called, into the names used here."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal._core.errors import DxaCausalError, SummaryStatisticsError, nearest, shown
from dxa_causal.genotypes.builds import chromosome_name
from dxa_causal.genotypes.columns import SPELLINGS
from dxa_causal.mr.reading.gwas import GWAS

Side = Literal["exposure", "outcome"]
AnyFrame: TypeAlias = pd.DataFrame | pl.DataFrame
AnySeries: TypeAlias = pd.Series | pl.Series

# Spellings that a frame may use; files may use many more (`reading.formats`). Each is tried first with ".exposure" or
# ".outcome" behind it (TwoSampleMR), then as it stands, upper or lower case alike; the first that is there counts.
SYNONYMS: dict[str, tuple[str, ...]] = {
    **{name: SPELLINGS[name] for name in ("variant", "chromosome", "position")},
    # A1, REF and their like mean one allele in one format and the other in the next: only `read_gwas` takes them
    "effect_allele": ("effect_allele",),
    "other_allele": ("other_allele",),
    "beta": ("beta", "odds_ratio"),
    "se": ("se", "standard_error"),
    "eaf": ("eaf", "effect_allele_frequency"),
    "p_value": (*SPELLINGS["p_value"], "neg_log_10_p_value"),
    "n": ("n", "samplesize", "sample_size"),
}
_REQUIRED = ("variant", "effect_allele", "beta", "se")
_NUMBERS = ("position", "beta", "se", "eaf", "p_value", "n")
_MISSING = ("", ".", "NA", "NAN", "NR", "NULL", "NONE", "<NA>")


def read_side(data: Any, side: Side) -> tuple[pl.DataFrame, str]:
    """Return one file in standard columns, and the name of its trait.

    Parameters
    ----------
    data : pandas or polars frame, or what `read_gwas` returns
    side : {"exposure", "outcome"}

    Returns
    -------
    frame : polars.DataFrame
        variant (text); chromosome (without "chr"), effect_allele, other_allele
        (categories, upper case); position, beta, se, eaf, p_value, n
        (numbers). What is missing is null; rows as given. A column that the
        file lacks has the type Null and takes no room; what needed no cleaning
        is the caller's own memory.
    trait : str
        The value of the column named `side` or the trait of what was read,
        else the name of the side.

    Raises
    ------
    SummaryStatisticsError
        A column is missing, holds text where numbers belong or values outside
        their range, or the frame holds several traits.
    """
    given = getattr(data, "trait", None)
    table = data.lazy() if isinstance(data, GWAS) else data.table if _was_read(data) else data
    frame = _frame(_narrowed(table, side), side)
    spelled = {str(c).lower(): c for c in reversed(list(frame.columns))}
    trait = _one_trait(frame, spelled, side)
    if _was_read(data) and isinstance(given, str) and given:
        trait = given
    found = {field: _find(spelled, field, side) for field in SYNONYMS}
    placed = found["chromosome"] is not None and found["position"] is not None
    for field in _REQUIRED:
        if found[field] is None and not (field == "variant" and placed):
            raise _not_found(field, side, frame, spelled, found)
    columns: dict[str, pl.Series] = {}
    for field, column in found.items():
        if column is None:
            columns[field] = pl.repeat(None, len(frame), dtype=pl.Null, eager=True)
        elif field in _NUMBERS:
            columns[field] = _on_scale(_number(frame[column], column, side), str(column))
        elif field == "variant":
            columns[field] = _clean(_plain(frame[column]))
        else:
            columns[field] = _categories(_plain(frame[column]), chromosome=field == "chromosome")
    for field, what, advice in (
        ("eaf", "an allele frequency", "percentages have to be divided by 100"),
        ("p_value", "a p-value", "call -log10 p neg_log_10_p_value"),
    ):
        _refuse_outside(columns[field], f"{side}: column {found[field]!r}", what, advice, frame)
    few = columns["n"].dtype != pl.Null and (columns["n"] <= 0).fill_null(False)
    if isinstance(few, pl.Series) and few.any():
        i = few.arg_max() or 0
        row = frame.index[i] if isinstance(frame, pd.DataFrame) else i
        raise SummaryStatisticsError(
            f"{side}: column {found['n']!r} must hold sample sizes above 0, or be empty where they are not known; "
            f"{int(few.sum())} values are not, first {columns['n'][i]:g} in row {shown(row)}"
        )
    return pl.DataFrame({field: column.rechunk() for field, column in columns.items()}), trait


def build_of(data: Any) -> str:
    """Genome build of what `read_gwas` returned; "" where it is not known."""
    build = getattr(data, "build", None) if _was_read(data) else None
    return build if isinstance(build, str) else ""


def _was_read(data: Any) -> bool:
    """Whether it is a result of `read_gwas`: a table with the name of its trait."""
    return isinstance(data, GWAS) or (
        not isinstance(data, pd.DataFrame) and hasattr(data, "table") and hasattr(data, "trait")
    )


def _narrowed(data: Any, side: Side) -> Any:
    """Leave out, before anything is copied, what a polars frame holds beside the columns read here."""
    names = list(data.collect_schema()) if hasattr(data, "collect_schema") else []
    spelled = {name.lower(): name for name in reversed(names)}
    found = [name for name in (_find(spelled, field, side) for field in SYNONYMS) if name is not None]
    if any(_find(spelled, field, side) is None for field in _REQUIRED):
        return data  # whoever complains lists all columns
    trait = [spelled[name] for name in (f"id.{side}", side) if name in spelled]
    return data.select(list(dict.fromkeys([*found, *trait])))


def _frame(data: Any, side: Side) -> AnyFrame:
    """A polars frame as it is; any other as pandas."""
    from dxa_causal._design.matrix import to_pandas  # loads formulaic; not needed until data arrive

    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    try:
        return to_pandas(data)
    except DxaCausalError as error:
        raise SummaryStatisticsError(f"{side}: {error}") from None


def _find(spelled: dict[str, Any], field: str, side: str) -> Any:
    for name in (*(f"{s}.{side}" for s in SYNONYMS[field]), *SYNONYMS[field]):
        if name.lower() in spelled:
            return spelled[name.lower()]
    return None


def _one_trait(frame: AnyFrame, spelled: dict[str, Any], side: str) -> str:
    """Several traits in one frame would meet as duplicated variants: say it in plain words instead."""
    trait: str = side
    for name in (f"id.{side}", side):
        if name in spelled:
            values = _plain(frame[spelled[name]]).drop_nulls().unique(maintain_order=True).to_list()
            if len(values) > 1:
                raise SummaryStatisticsError(
                    f"{side}: column {spelled[name]!r} holds {len(values)} studies "
                    f"({', '.join(repr(v) for v in values[:3])}{', ...' if len(values) > 3 else ''}); "
                    f"harmonise one pair at a time, keeping the rows of one"
                )
            trait = values[0].split(" || ")[0] if values and name == side else trait
    return trait


def _not_found(
    field: str, side: Side, frame: AnyFrame, spelled: dict[str, Any], found: dict[str, Any]
) -> SummaryStatisticsError:
    looked = (*SYNONYMS[field], f"{SYNONYMS[field][0]}.{side}")
    other = "outcome" if side == "exposure" else "exposure"
    near = sorted({n for name in looked for n in nearest(name, frame.columns, n=1)})
    what = "no standard errors" if field == "se" else f"no column for {field}"
    message = (
        f"{side}: {what}. Looked for {', '.join(repr(n) for n in looked)}; the frame has "
        f"{', '.join(repr(str(c)) for c in frame.columns[:15])}{', ...' if len(frame.columns) > 15 else ''}."
    )
    if near:
        message += f" Nearest: {', '.join(repr(n) for n in near)}."
    if any(f"{s}.{other}".lower() in spelled for s in SYNONYMS[field]):
        message += f" It holds {other} columns: are exposure and outcome swapped?"
    if field == "se":
        message += " Standard errors cannot be invented."
        if found["beta"] is not None and found["p_value"] is not None:
            message += (
                f" From {str(found['beta'])!r} and an unrounded two-sided {str(found['p_value'])!r} they follow as "
                "abs(beta) / scipy.stats.norm.isf(p / 2), where p > 0 (beta on the log scale); add them as 'se' and "
                "report it."
            )
    return SummaryStatisticsError(message)


def _number(column: AnySeries, name: Any, side: str) -> pl.Series:
    """Numbers as polars has them, null where missing; text that holds numbers is read."""
    if isinstance(column, pl.Series) and (column.dtype.is_integer() or column.dtype == pl.Float64):
        number = column
    elif isinstance(column, pl.Series) and (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        number = column.cast(pl.Float64)
    elif isinstance(column, pd.Series) and pd.api.types.is_numeric_dtype(column):
        number = pl.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        text = _clean(_plain(column))
        number = pl.Series(pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(dtype=np.float64))
        wrong = text.is_not_null() & number.is_nan()
        if wrong.any():
            i = wrong.arg_max() or 0
            value, row = (column.iloc[i], column.index[i]) if isinstance(column, pd.Series) else (column[i], i)
            raise SummaryStatisticsError(
                f"{side}: column {name!r} must hold numbers; {int(wrong.sum())} values are not, first "
                f"{shown(value)} in row {shown(row)} (decimal commas become points first)"
            )
    return number.fill_nan(None) if number.dtype == pl.Float64 and number.is_nan().any() else number


def _on_scale(values: pl.Series, column: str) -> pl.Series:
    """Bring odds ratios to log odds and -log10 p to p; an odds ratio of zero or less becomes missing."""
    value = pl.col("x").cast(pl.Float64)
    if column.lower().startswith("odds_ratio"):
        return values.to_frame("x").select(pl.when(value > 0).then(value.log())).to_series()
    if column.lower().startswith("neg_log_10"):
        return values.to_frame("x").select(pl.lit(10.0).pow(-value)).to_series()
    return values


def _plain(column: AnySeries) -> pl.Series:
    """Text or categories of a column of any frame, as they stand."""
    if isinstance(column, pl.Series):
        return column if column.dtype in (pl.String, pl.Categorical, pl.Enum) else column.cast(pl.String)
    return pl.Series(column.astype("string[pyarrow]").rename("text"), dtype=pl.String)


def _clean(text: pl.Series) -> pl.Series:
    """Strip, and set to null what stands for missing; the same memory where nothing changes."""
    text = text.cast(pl.String)
    stripped = text.str.strip_chars()
    short = stripped.filter(stripped.str.len_bytes() <= max(map(len, _MISSING))).unique()
    missing = short.filter(short.str.to_uppercase().is_in(_MISSING))
    if missing.len():
        return stripped.set(stripped.is_in(missing.implode()), None)
    return text if (stripped.str.len_bytes() == text.str.len_bytes()).all() else stripped


def _categories(text: pl.Series, *, chromosome: bool) -> pl.Series:
    """Clean the few distinct values, in upper case; chromosomes also as this package names them."""
    known = text.unique().drop_nulls().cast(pl.String)
    clean = _clean(known).str.to_uppercase()
    if chromosome:
        clean = pl.Series([None if name is None else chromosome_name(name) for name in clean], dtype=pl.String)
    if not clean.equals(known):
        text = text.cast(pl.String).replace_strict(known, clean, return_dtype=pl.String)
    return text.cast(pl.Categorical)


def _refuse_outside(values: pl.Series, column: str, what: str, advice: str, frame: AnyFrame) -> None:
    if values.dtype == pl.Null:
        return
    outside = (values < 0) | (values > 1)
    if outside.any():
        i = outside.arg_max() or 0
        row = frame.index[i] if isinstance(frame, pd.DataFrame) else i
        raise SummaryStatisticsError(
            f"{column} must lie between 0 and 1 ({what}); {int(outside.sum())} values do not, first "
            f"{values[i]:g} in row {shown(row)}; {advice}"
        )
