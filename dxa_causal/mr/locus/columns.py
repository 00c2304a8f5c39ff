"""Read and check the columns of one trait's summary statistics in a region."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError, nearest, shown
from dxa_causal._core.options import check_option
from dxa_causal.genotypes.columns import SPELLINGS
from dxa_causal.mr._kernels.bayes_factors import standard_deviation
from dxa_causal.mr.columns import SYNONYMS

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.object_]
TraitType = Literal["quant", "cc"]

_SPELLINGS: dict[str, tuple[str, ...]] = {
    **{field: SYNONYMS[field] for field in ("variant", "position", "se", "n")},
    **{field: SPELLINGS[field] for field in ("effect_allele", "other_allele")},
    "beta": ("beta",),
    "varbeta": ("varbeta",),
    "p_value": (*SPELLINGS["p_value"], "pvalues"),
    "eaf": SYNONYMS["eaf"],
    "maf": ("maf",),  # which allele is the rarer one it does not say: no help in aligning
    "type": ("type",),
    "sd": ("sdy", "sd_y", "sd"),
    "case_share": ("case_share", "s"),
    "n_cases": ("n_cases", "ncase", "ncases"),
}
NUMBERS = ("beta", "se", "varbeta", "p_value", "eaf", "maf", "n", "position", "sd", "case_share", "n_cases")
_ENDINGS = ("", ".exposure", ".outcome")  # of TwoSampleMR


def to_frame(data: Any, name: str) -> pd.DataFrame:
    """A pandas frame of what was given."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, dict):
        try:
            return pd.DataFrame(data)
        except ValueError as error:
            raise SummaryStatisticsError(f"{name}: {error}") from None
    if hasattr(data, "collect"):
        data = data.collect()
    if hasattr(data, "to_pandas"):
        return pd.DataFrame(data.to_pandas())
    raise SummaryStatisticsError(f"{name} must be a frame or a dict of columns, not {data.__class__.__name__}")


def find_columns(table: pd.DataFrame, name: str) -> dict[str, pd.Series]:
    """Find the columns, by our names; one without any value counts as not there."""
    if not len(table):
        raise SummaryStatisticsError(f"{name}: no rows")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise SummaryStatisticsError(f"{name}: column {str(twice[0])!r} is there more than once")
    spelled = {str(c).lower(): c for c in reversed(list(table.columns))}
    found = {}
    for field, spellings in _SPELLINGS.items():
        for spelling in (s.lower() + ending for ending in _ENDINGS for s in spellings):
            column = spelled.get(spelling)
            if column is not None and table[column].notna().any():
                found[field] = table[column]
                break
            if column is not None and field in ("se", "varbeta"):
                found.setdefault("empty", table[column])
    if "variant" not in found:
        near = nearest("variant", table.columns)
        hint = f"; nearest: {', '.join(map(repr, near))}" if near else ""
        raise SummaryStatisticsError(
            f"{name}: no column with the names of the variants. Looked for "
            f"{', '.join(map(repr, _SPELLINGS['variant']))}; the frame has "
            f"{', '.join(repr(str(c)) for c in table.columns[:12])}{hint}"
        )
    return found


def trait_type(found: dict[str, pd.Series], name: str) -> TraitType | None:
    """The one value of the column type; None where there is no such column."""
    if "type" not in found:
        return None
    kinds = pd.unique(found["type"].dropna())
    if len(kinds) != 1:
        raise SummaryStatisticsError(f"{name}: column 'type' must hold one value, not {len(kinds)}")
    check_option(f"{name}: type", kinds[0], get_args(TraitType))
    return "quant" if kinds[0] == "quant" else "cc"


def no_type(name: str) -> str:
    """Say how to give the type of a trait."""
    return (
        f"{name}: its type is not given; add a column 'type' that holds 'quant' (quantitative) or 'cc' (cases and "
        "controls), or use mr.locus_data(frame, type=)"
    )


def needed_columns(found: dict[str, pd.Series], use_p: bool, table: pd.DataFrame, name: str) -> list[str]:
    """Columns without which a row cannot be used."""
    if not use_p:
        return ["beta", "se" if "se" in found else "varbeta"]
    if "beta" in found and "empty" in found:
        raise SummaryStatisticsError(
            f"{name}: column {str(found['empty'].name)!r} has no value in any row; without it effects would be taken "
            f"from p-values, in standard deviations of the trait: leave the column out if that is wanted"
        )
    frequency = "eaf" if "eaf" in found else "maf"
    lacking = ["eaf" if f == "maf" else f for f in ("p_value", "n", frequency) if f not in found]
    if lacking:
        raise SummaryStatisticsError(
            f"{name}: needs beta and se, or p_value, n and eaf; of the latter {', '.join(map(repr, lacking))} "
            f"{'is' if len(lacking) == 1 else 'are'} missing too. The frame has "
            f"{', '.join(repr(str(c)) for c in table.columns[:12])}"
        )
    return ["p_value", "n", frequency]


def numbers(column: pd.Series, field: str, name: str) -> FloatArray:
    """A column as floats, nan where missing."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    number = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(np.isnan(number) & column.notna().to_numpy())
    if wrong.size:
        i = int(wrong[0])
        raise SummaryStatisticsError(
            f"{name}: column for {field} must hold numbers; {wrong.size} values are not, first "
            f"{shown(column.iloc[i])} in row {shown(column.index[i])}"
        )
    return number


def variant_names(column: pd.Series) -> TextArray:
    """Names as text, None where missing."""
    names = column.to_numpy(dtype=object, copy=True)
    return names if pd.api.types.infer_dtype(names, skipna=True) == "string" else _as_text(names)


def _as_text(names: TextArray) -> TextArray:
    return np.array([None if pd.isna(v) else str(v) for v in names], dtype=object)


def letters(column: pd.Series, keep: npt.NDArray[np.bool_]) -> TextArray:
    """Alleles of the kept rows, upper case."""
    letters = np.array([None if pd.isna(v) else str(v).strip().upper() for v in column], dtype=object)[keep]
    letters.flags.writeable = False
    return letters


def refuse_repeated(names: TextArray, name: str) -> None:
    """Refuse a variant that is there twice."""
    index = pd.Index(names)
    if not index.is_unique:
        twice = index[index.duplicated()]
        raise SummaryStatisticsError(
            f"{name}: {len(set(twice))} variants are there more than once, first {shown(twice[0])}; keep one "
            "of each, or put the alleles into the names (sites with several alleles)"
        )


def refuse_impossible(values: dict[str, FloatArray], names: TextArray, name: str, *, use_p: bool) -> None:
    """Refuse values outside their range; p-values and frequencies of 0 only where all hangs on them."""
    open_range = "strictly between 0 and 1; a monomorphic variant tells nothing"
    fraction = (lambda v: (v > 0.0) & (v < 1.0)) if use_p else (lambda v: (v >= 0.0) & (v <= 1.0))
    rules = (
        ("se", lambda v: (v > 0.0) & np.isfinite(v), "greater than 0"),
        ("varbeta", lambda v: (v > 0.0) & np.isfinite(v), "greater than 0"),
        ("beta", np.isfinite, "finite"),
        (
            "p_value",
            lambda v: (v > 0.0) & (v <= 1.0) | (not use_p),
            "in (0, 1]; where it underflows to 0 give beta and se",
        ),
        ("eaf", fraction, open_range if use_p else "between 0 and 1"),
        ("maf", fraction, open_range if use_p else "between 0 and 1"),
        ("n", lambda v: v > 2.0, "greater than 2"),
        ("sd", lambda v: v > 0.0, "greater than 0"),
        ("case_share", lambda v: (v > 0.0) & (v < 1.0), "strictly between 0 and 1"),
    )
    for field, allowed, what in rules:
        if field in values:
            wrong = np.flatnonzero(~np.isnan(values[field]) & ~allowed(values[field]))
            if wrong.size:
                i = int(wrong[0])
                raise SummaryStatisticsError(
                    f"{name}: {field} must be {what}; {wrong.size} variants are not, first {names[i]!r} with "
                    f"{shown(values[field][i])}"
                )


def one_value(values: dict[str, FloatArray], field: str, name: str) -> float:
    """The value of a column that holds one value; nan where it is not there."""
    known = np.unique(values[field][~np.isnan(values[field])]) if field in values else np.empty(0)
    if known.size > 1:
        raise SummaryStatisticsError(f"{name}: column for {field} must hold one value, not {known.size}")
    return float(known[0]) if known.size else float("nan")


def share_of_cases(values: dict[str, FloatArray], name: str) -> float:
    """Share of cases among the people."""
    if "case_share" in values:
        return one_value(values, "case_share", name)
    if "n_cases" in values:
        share = float(np.nanmedian(values["n_cases"] / values["n"]))
        if 0.0 < share < 1.0:
            return share
        raise SummaryStatisticsError(f"{name}: n_cases / n is {share:.4g}; it must lie strictly between 0 and 1")
    raise SummaryStatisticsError(
        f"{name}: p-values of cases and controls need the share of cases: a column 's' or 'n_cases', or case_share="
    )


def estimated_sd(variance: FloatArray, eaf: FloatArray, n: FloatArray) -> float:
    """Standard deviation of the trait from se, n and eaf; nan where no variant has all three."""
    use = np.isfinite(eaf) & np.isfinite(n)
    return standard_deviation(variance[use], eaf[use], n[use]) if use.any() else float("nan")


def no_sd(eaf: FloatArray, n: FloatArray, name: str) -> str:
    """Say what the standard deviation of the trait could have been estimated from."""
    lacking = " and ".join(field for field, v in (("n", n), ("eaf", eaf)) if not np.isfinite(v).any())
    return (
        f"{name}: the standard deviation of the trait is not given (sdY) and cannot be estimated from se without "
        f"{lacking or 'n and eaf'}; give sd=1 for a standardised trait"
    )
