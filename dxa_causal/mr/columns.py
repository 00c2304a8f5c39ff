"""Read one GWAS file's columns, whatever they are called, into the names used here."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import DxaCausalError, SummaryStatisticsError, nearest, shown
from dxa_causal.mr.reading.builds import CHROMOSOME_NAMES

Side = Literal["exposure", "outcome"]

# The one synonym map. Each spelling is tried first with ".exposure" or ".outcome" behind it (TwoSampleMR), then
# as it stands, upper or lower case alike; the first that is there counts.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "variant": ("variant", "SNP", "rsid", "rs_id", "variant_id"),
    "chromosome": ("chromosome", "chr"),
    "position": ("position", "pos", "base_pair_location"),
    "effect_allele": ("effect_allele",),
    "other_allele": ("other_allele",),
    "beta": ("beta", "odds_ratio"),
    "se": ("se", "standard_error"),
    "eaf": ("eaf", "effect_allele_frequency"),
    "p_value": ("p_value", "pval", "p", "neg_log_10_p_value"),
    "n": ("n", "samplesize", "sample_size"),
}
_REQUIRED = ("variant", "effect_allele", "beta", "se")
_NUMBERS = ("position", "beta", "se", "eaf", "p_value", "n")
_MISSING = frozenset({"", ".", "NA", "NAN", "NR", "NULL", "NONE", "<NA>"})


def read_side(data: Any, side: Side) -> tuple[pd.DataFrame, str]:
    """Return one file in standard columns, and the name of its trait.

    Parameters
    ----------
    data : pandas or polars frame, or what `read_gwas` returns
    side : {"exposure", "outcome"}

    Returns
    -------
    frame : DataFrame
        variant, chromosome (without "chr"), effect_allele, other_allele
        (upper case, None if missing), position, beta, se, eaf, p_value, n
        (float, nan if missing); rows as given. Without a column of ids, but
        with chromosomes and positions, the ids are None.
    trait : str
        The value of the column named `side` or the trait of what was read,
        else the name of the side.

    Raises
    ------
    SummaryStatisticsError
        A column is missing, holds text where numbers belong or values outside
        their range, or the frame holds several traits.
    """
    from dxa_causal._design.matrix import to_pandas  # loads formulaic; not needed until data arrive

    given = getattr(data, "trait", None)
    try:
        frame = to_pandas(_narrowed(data.table if _was_read(data) else data, side))
    except DxaCausalError as error:
        raise SummaryStatisticsError(f"{side}: {error}") from None
    spelled = {str(c).lower(): c for c in reversed(frame.columns)}
    trait = _one_trait(frame, spelled, side)
    if _was_read(data) and isinstance(given, str) and given:
        trait = given
    found = {field: _find(spelled, field, side) for field in SYNONYMS}
    placed = found["chromosome"] is not None and found["position"] is not None
    for field in _REQUIRED:
        if found[field] is None and not (field == "variant" and placed):
            raise _not_found(field, side, frame, spelled, found)
    columns: dict[str, Any] = {}
    for field, column in found.items():
        if column is None:
            columns[field] = np.nan if field in _NUMBERS else None
        elif field in _NUMBERS:
            columns[field] = _on_scale(_number(frame[column], side), str(column))
        else:
            columns[field] = _text(frame[column], upper=field != "variant")
    columns["chromosome"] = _chromosome(columns["chromosome"])
    read = pd.DataFrame(columns, index=frame.index, copy=False)  # read only from here on
    _refuse_outside(read["eaf"], found["eaf"], side, "an allele frequency", "percentages have to be divided by 100")
    _refuse_outside(read["p_value"], found["p_value"], side, "a p-value", "call -log10 p neg_log_10_p_value")
    return read.reset_index(drop=True), trait


def _narrowed(data: Any, side: Side) -> Any:
    """Leave out, before anything is copied, what a polars frame holds beside the columns read here."""
    names = list(data.collect_schema()) if hasattr(data, "collect_schema") else []
    spelled = {name.lower(): name for name in reversed(names)}
    found = [name for name in (_find(spelled, field, side) for field in SYNONYMS) if name is not None]
    if any(_find(spelled, field, side) is None for field in _REQUIRED):
        return data  # whoever complains lists all columns
    trait = [spelled[name] for name in (f"id.{side}", side) if name in spelled]
    return data.select(list(dict.fromkeys([*found, *trait])))


def _was_read(data: Any) -> bool:
    """Whether it is a result of `read_gwas`: a table with the name of its trait."""
    return not isinstance(data, pd.DataFrame) and hasattr(data, "table") and hasattr(data, "trait")


def build_of(data: Any) -> str:
    """Genome build of what `read_gwas` returned; "" where it is not known."""
    build = getattr(data, "build", None) if _was_read(data) else None
    return build if isinstance(build, str) else ""


def _chromosome(column: pd.Series | None) -> pd.Series | None:
    """Bring "chr1", "01", 1.0 and 23 to "1", "1", "1" and "X"."""
    if column is None:
        return None
    known, codes = np.unique(column.dropna().to_numpy(dtype=object).astype(str)), {}
    for name in known:
        short = name.removeprefix("CHR").removesuffix(".0").lstrip("0") or name
        codes[name] = CHROMOSOME_NAMES.get(short, short)
    return pd.Series(column.map(codes).to_numpy(dtype=object, na_value=None), index=column.index, dtype=object)


def _find(spelled: dict[str, Any], field: str, side: str) -> Any:
    for name in (*(f"{s}.{side}" for s in SYNONYMS[field]), *SYNONYMS[field]):
        if name.lower() in spelled:
            return spelled[name.lower()]
    return None


def _one_trait(frame: pd.DataFrame, spelled: dict[str, Any], side: str) -> str:
    """Several traits in one frame would meet as duplicated variants: say it in plain words instead."""
    trait: str = side
    for name in (f"id.{side}", side):
        if name in spelled:
            values = frame[spelled[name]].dropna().astype(str).unique()
            if values.size > 1:
                raise SummaryStatisticsError(
                    f"{side}: column {spelled[name]!r} holds {values.size} studies "
                    f"({', '.join(repr(v) for v in values[:3])}{', ...' if values.size > 3 else ''}); "
                    f"harmonise one pair at a time, keeping the rows of one"
                )
            trait = values[0].split(" || ")[0] if values.size and name == side else trait
    return trait


def _not_found(
    field: str, side: Side, frame: pd.DataFrame, spelled: dict[str, Any], found: dict[str, Any]
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


def _number(column: pd.Series, side: str) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(column):
        text = column.astype("string").str.strip()
        text = text.mask(text.str.upper().isin(_MISSING))
        numbers = pd.to_numeric(text, errors="coerce").astype("Float64")
        wrong = (text.notna() & numbers.isna()).to_numpy(dtype=bool)
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise SummaryStatisticsError(
                f"{side}: column {column.name!r} must hold numbers; {int(wrong.sum())} values are not, first "
                f"{shown(column.iloc[i])} in row {shown(column.index[i])} (decimal commas become points first)"
            )
        column = numbers
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)


def _on_scale(values: pd.Series, column: str) -> pd.Series:
    """Bring odds ratios to log odds and -log10 p to p; an odds ratio of zero or less becomes missing."""
    if column.lower().startswith("odds_ratio"):
        return np.log(values.where(values > 0))
    if column.lower().startswith("neg_log_10"):
        return 10.0**-values
    return values


def _text(column: pd.Series, *, upper: bool) -> pd.Series:
    """Strip, and set to None what stands for missing."""
    if upper:  # few distinct values: clean those, and let the rows share them
        codes, known = pd.factorize(column)
        clean = _clean(pd.Series(known, dtype=object), upper=True)
        values = np.append(clean, np.array([None], dtype=object))[codes]
    else:
        values = _clean(column, upper=False)
    return pd.Series(values, index=column.index, dtype=object)


def _clean(column: pd.Series, *, upper: bool) -> npt.NDArray[np.object_]:
    given = column.astype(object).where(column.notna(), None)
    text = given.astype("string[pyarrow]")
    stripped = text.str.strip()
    capital = stripped.str.upper()
    clean = (capital if upper else stripped).mask(capital.isin(_MISSING))
    if given.map(type).isin([str, type(None)]).all() and bool(((clean == text) | text.isna()).fillna(False).all()):
        return given.to_numpy(dtype=object)  # nothing to clean: no second copy of every id
    return clean.to_numpy(dtype=object, na_value=None)


def _refuse_outside(values: pd.Series, column: Any, side: str, what: str, advice: str) -> None:
    outside = ((values < 0) | (values > 1)).to_numpy()
    if outside.any():
        i = int(np.flatnonzero(outside)[0])
        raise SummaryStatisticsError(
            f"{side}: column {column!r} must lie between 0 and 1 ({what}); {int(outside.sum())} values do not, first "
            f"{values.iloc[i]:g} in row {shown(values.index[i])}; {advice}"
        )
