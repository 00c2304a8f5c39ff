"""The text files beside a bed file: variants (bim) and people (fam)."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError, shown
from dxa_causal.genotypes.builds import CHROMOSOME_NAMES

_BIM = ("chromosome", "variant", "morgans", "position", "allele_1", "allele_2")
_FAM = ("family", "person", "father", "mother", "sex", "phenotype")


def plain_chromosome(column: pl.Expr) -> pl.Expr:
    """Chromosome as text: as `builds.chromosome_name` spells it, for a whole column."""
    bare = column.cast(pl.String).str.strip_chars().str.to_uppercase().str.strip_prefix("CHR")
    short = bare.str.strip_suffix(".0")  # numbers that pandas keeps as floats, beside a missing one
    return (
        pl.when(short.str.contains("^0+$"))
        .then(short)
        .otherwise(short.str.strip_chars_start("0"))
        .replace(CHROMOSOME_NAMES)
    )


def read_bim(path: Path) -> pl.DataFrame:
    """Variants of a bim file: variant, chromosome, position, allele_1, allele_2.

    Raises
    ------
    SummaryStatisticsError
        The file is missing, has no six columns, or a position is no number.
    """
    frame = _read(path, _BIM)
    names = frame["chromosome"].unique()
    plain = names.to_frame().select(plain_chromosome(pl.col("chromosome"))).to_series()
    changed = {old: new for old, new in zip(names, plain, strict=True) if old != new}
    alleles = pl.col("allele_1", "allele_2")
    variants = frame.select(
        "variant",
        pl.col("chromosome").replace(changed) if changed else pl.col("chromosome"),
        pl.col("position").cast(pl.Int64, strict=False),
        alleles.str.to_uppercase(),
    )
    wrong = variants["position"].is_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise SummaryStatisticsError(
            f"{path}: line {row + 1}, variant {shown(frame['variant'][row])}: the position (fourth column) is "
            f"{shown(frame['position'][row])}; it must be a whole number"
        )
    return variants


def read_fam(path: Path) -> pl.DataFrame:
    """People of a fam file: person, founder (neither parent is named)."""
    return _read(path, _FAM).select(
        "person", ((pl.col("father") == "0") & (pl.col("mother") == "0")).fill_null(True).alias("founder")
    )


def _read(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """All columns as text, whatever white space stands between them."""
    if not path.is_file():
        raise SummaryStatisticsError(
            f"{path}: no such file; a panel is three files PREFIX.bed, PREFIX.bim, PREFIX.fam, given by their PREFIX"
        )
    raw = path.read_bytes().rstrip(b"\r\n")
    first = _first_line(raw)
    if not first.strip():
        raise SummaryStatisticsError(f"{path}: the file is empty or starts with an empty line")
    if first.endswith(b"\r"):
        raw = raw.replace(b"\r\n", b"\n")
    if first.count(b"\t") != len(columns) - 1 or b" " in first:
        raw = re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", raw))
    found = len(_first_line(raw).split(b"\t"))
    if found != len(columns):
        raise SummaryStatisticsError(
            f"{path}: line 1 has {found} columns; {len(columns)} are needed: {', '.join(columns)}"
        )
    kinds: dict[str, type[pl.DataType]] = dict.fromkeys(columns, pl.String)
    try:
        frame = pl.read_csv(raw, separator="\t", has_header=False, schema=kinds, quote_char=None)
    except pl.exceptions.ComputeError as error:
        raise SummaryStatisticsError(
            f"{path}: a line has not {len(columns)} columns ({', '.join(columns)}): {str(error).splitlines()[0]}"
        ) from None
    short = frame[columns[-1]].is_null()
    if short.any():
        raise SummaryStatisticsError(
            f"{path}: line {int(short.arg_max() or 0) + 1} has fewer than {len(columns)} columns: {', '.join(columns)}"
        )
    return frame


def _first_line(raw: bytes) -> bytes:
    end = raw.find(b"\n")
    return raw if end < 0 else raw[:end]
