"""Variants as users name them - ids, frames, what `mr.read_gwas` returns - in one polars frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError, nearest, shown
from dxa_causal.genotypes.alleles import IntArray, TextArray
from dxa_causal.genotypes.builds import genome_build
from dxa_causal.genotypes.reading import plain_chromosome

# Spellings that frames may use, upper or lower case alike; `mr.columns` adds those of effects.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "variant": ("variant", "SNP", "rsid", "rs_id", "variant_id"),
    "chromosome": ("chromosome", "chr", "chrom"),
    "position": ("position", "pos", "base_pair_location"),
    "effect_allele": ("effect_allele", "ea", "A1", "alt"),
    "other_allele": ("other_allele", "oa", "nea", "non_effect_allele", "A2", "ref"),
    "p_value": ("p_value", "pval", "p"),
    "neg_log10_p": ("neg_log10_p", "neg_log_10_p_value"),
}
_TEXT = ("variant", "effect_allele", "other_allele")
_PLACE = r"^(?i:chr)?([0-9]{1,2}|[A-Za-z]{1,2})[:_]([0-9]+)[:_]([A-Za-z]+)[:_]([A-Za-z]+)$"
_MISSING = ["", ".", "NA", "NAN", "NULL", "NONE", "0"]


def is_gwas(data: Any) -> bool:
    """Whether it is what `mr.read_gwas` returns: a table with the name of its trait (this room cannot import mr)."""
    return not isinstance(data, pd.DataFrame | pl.DataFrame) and hasattr(data, "table") and hasattr(data, "trait")


def build_of(data: Any) -> str | None:
    """Genome build of what `mr.read_gwas` returned; None where it is not known."""
    build = getattr(data, "build", None) if is_gwas(data) else None
    return genome_build(build, "gwas.build") if isinstance(build, str) and build else None


def frame_of(data: Any, argument: str) -> pd.DataFrame | pl.DataFrame:
    """The pandas or polars frame behind `data`."""
    table = data.table if is_gwas(data) else data
    if isinstance(table, pl.LazyFrame):
        table = table.collect()
    if not isinstance(table, pd.DataFrame | pl.DataFrame):
        raise SummaryStatisticsError(
            f"{argument} must be a pandas or polars frame or what read_gwas returned, not {type(data).__name__}"
        )
    return table


def standard(data: Any, argument: str, *, needs: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return variant, chromosome, position, effect_allele, other_allele, p_value and neg_log10_p, null where absent.

    Parameters
    ----------
    data : frame, or what `mr.read_gwas` returned
        Names of columns in upper or lower case, perhaps with ".exposure" or ".outcome" behind.
    argument : str
        What messages call it.
    needs : tuple of str
        Columns that must be there.

    Raises
    ------
    SummaryStatisticsError
        A needed column is missing, or holds text where numbers belong.
    """
    table = frame_of(data, argument)
    spelled = {str(name).lower(): name for name in reversed(list(table.columns))}
    found = {field: _find(spelled, names) for field, names in SPELLINGS.items()}
    for field in needs:
        if found[field] is None:
            near = nearest(field, spelled)
            hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
            raise SummaryStatisticsError(
                f"{argument}: no column {field!r}{hint} The frame has {', '.join(repr(str(c)) for c in table.columns)}"
            )
    frame = pl.DataFrame({field: _column(table, name, field, argument) for field, name in found.items()})
    unnamed = pl.col("variant").is_null() & pl.col("chromosome").is_not_null() & pl.col("position").is_not_null()
    place = pl.concat_str("chromosome", "position", "effect_allele", "other_allele", separator=":", ignore_nulls=True)
    return frame.with_columns(pl.when(unnamed).then(place).otherwise(pl.col("variant")).alias("variant"))


def listed(variants: Any, argument: str) -> pl.DataFrame:
    """The same of a list of names; "chromosome:position:allele:allele" tells the place too."""
    if is_gwas(variants) or isinstance(variants, pd.DataFrame | pl.DataFrame | pl.LazyFrame):
        return standard(variants, argument, needs=("variant",))
    given = [variants] if isinstance(variants, str) else list(variants)
    names = pl.Series("variant", ["" if v is None else str(v) for v in given], dtype=pl.String)
    return _placed(names.to_frame())


def _placed(frame: pl.DataFrame) -> pl.DataFrame:
    """Chromosome, position and alleles that the names tell."""
    part = [pl.col("variant").str.extract(_PLACE, k) for k in (1, 2, 3, 4)]
    return frame.select(
        "variant",
        plain_chromosome(part[0]).alias("chromosome"),
        part[1].cast(pl.Int64, strict=False).alias("position"),
        part[2].str.to_uppercase().alias("effect_allele"),
        part[3].str.to_uppercase().alias("other_allele"),
        pl.lit(None, dtype=pl.Float64).alias("p_value"),
        pl.lit(None, dtype=pl.Float64).alias("neg_log10_p"),
    )


def names_at(names: TextArray, place: IntArray) -> TextArray:
    """Names at places, None for -1."""
    found = np.full(place.size, None, dtype=object)
    known = place >= 0
    found[known] = names[place[known]]
    return found


def _find(spelled: dict[str, Any], names: tuple[str, ...]) -> Any:
    for ending in ("", ".exposure", ".outcome"):
        for name in names:
            if name.lower() + ending in spelled:
                return spelled[name.lower() + ending]
    return None


def _column(table: pd.DataFrame | pl.DataFrame, name: Any, field: str, argument: str) -> pl.Series:
    number = field in ("position", "p_value", "neg_log10_p")
    kind = pl.Int64 if field == "position" else pl.Float64 if number else pl.String
    if name is None:
        return pl.repeat(None, len(table), dtype=kind, eager=True).alias(field)
    column = table[name] if isinstance(table, pl.DataFrame) else _from_pandas(table[name], number)
    if number:
        values = column.cast(pl.Float64, strict=False).fill_nan(None)
        lost = values.is_null() & column.is_not_null()
        if column.dtype == pl.String and lost.any():
            text = column.str.strip_chars().str.to_uppercase()
            lost &= ~text.is_in(_MISSING)
            if lost.any():
                row = int(lost.arg_max() or 0)
                raise SummaryStatisticsError(
                    f"{argument}: column {name!r}, row {row + 1}: {shown(column[row])} is not a number"
                )
        return values.cast(kind, strict=False).alias(field)
    text = column.cast(pl.String)
    if field == "chromosome":
        return text.to_frame("c").select(plain_chromosome(pl.col("c"))).to_series().alias(field)
    if field in ("effect_allele", "other_allele"):
        upper = text.str.strip_chars().str.to_uppercase()
        return (
            upper.to_frame("a")
            .select(pl.when(pl.col("a").is_in(_MISSING)).then(None).otherwise(pl.col("a")))
            .to_series()
            .alias(field)
        )
    return text.alias(field)


def _from_pandas(column: pd.Series, number: bool) -> pl.Series:
    if number and column.dtype != object:
        return pl.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
    values = column.astype(object).where(column.notna(), None)
    return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
