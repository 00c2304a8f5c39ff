"""LD scores: a frame, a file of ldsc, or a folder with one file per chromosome."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError, nearest

_SPELLINGS = {
    "variant": ("variant", "snp", "rsid"),
    "ld_score": ("ld_score", "l2", "ldscore"),
    "chromosome": ("chromosome", "chr", "chrom"),
    "position": ("position", "bp", "pos"),
    "weight": ("weight", "weight_l2", "w_ld"),
}


@dataclass(frozen=True, eq=False)
class LDScores:
    """LD scores in the order of the genome.

    Attributes
    ----------
    table : polars.DataFrame
        variant, ld_score, weight (scores for the regression weights).
    n_reference : float
        Variants that the scores sum over (ldsc's M_5_50).
    ordered : bool
        Whether the table gave chromosomes and positions to sort by.
    """

    table: pl.DataFrame
    n_reference: float
    ordered: bool


def read_ldscores(source: Any, n_reference: float | None = None) -> LDScores:
    """Read LD scores.

    Parameters
    ----------
    source : frame, or path of an ``.l2.ldscore`` file or of a folder of them
        Columns SNP and L2 (or variant and ld_score), if possible CHR and BP,
        and weight where the scores that weight the regression differ.
    n_reference : float, optional
        How many variants the scores sum over; beside files it is taken from
        ``.l2.M_5_50``.

    Raises
    ------
    OptionError
        `n_reference` is neither given nor found.
    SummaryStatisticsError
        A column or a file is missing, or a value is not possible.

    Examples
    --------
    >>> table = pd.DataFrame({"SNP": ["rs2", "rs1"], "CHR": [1, 1], "BP": [20, 10], "L2": [3.0, 1.5]})
    >>> scores = read_ldscores(table, n_reference=1000)
    >>> scores.table["variant"].to_list(), scores.n_reference
    (['rs1', 'rs2'], 1000.0)
    """
    found: float | None = None
    if isinstance(source, LDScores):
        return source
    if isinstance(source, str | PathLike):
        frame, found = _from_files(Path(source))
    elif isinstance(source, pl.LazyFrame):
        frame = source.collect()
    elif isinstance(source, pl.DataFrame):
        frame = source
    elif isinstance(source, pd.DataFrame):
        frame = pl.from_pandas(source)
    else:
        raise SummaryStatisticsError(f"ldscores must be a frame or a path, not {type(source).__name__}")
    size = found if n_reference is None else n_reference
    if size is None:
        raise OptionError(
            "n_reference: give the number of variants that the LD scores sum over (the file .l2.M_5_50 beside them)"
        )
    if not 0 < size < np.inf:
        raise OptionError(f"n_reference={size!r} must be a positive number")
    return _standard(frame, float(size))


def _standard(frame: pl.DataFrame, n_reference: float) -> LDScores:
    spelled = {name.lower(): name for name in reversed(frame.columns)}
    columns = {field: next((spelled[s] for s in names if s in spelled), None) for field, names in _SPELLINGS.items()}
    for field in ("variant", "ld_score"):
        if columns[field] is None:
            near = nearest(_SPELLINGS[field][1], frame.columns, n=1)
            raise SummaryStatisticsError(
                f"ldscores: no column for {field}; looked for {', '.join(_SPELLINGS[field])}; the table has "
                f"{', '.join(frame.columns[:12])}{f'. Nearest: {near[0]}' if near else ''}"
            )
    taken = frame.select([pl.col(name).alias(field) for field, name in columns.items() if name is not None])
    ordered = {"chromosome", "position"} <= set(taken.columns)
    if ordered:
        number = pl.col("chromosome").cast(pl.String).str.to_lowercase().str.strip_prefix("chr")
        code = number.replace({"x": "23", "y": "24", "mt": "26", "m": "26"}).cast(pl.Float64, strict=False)
        taken = taken.sort([code, "position"], maintain_order=True, nulls_last=True)
    score = taken["ld_score"].cast(pl.Float64, strict=False)
    if score.null_count() or score.is_nan().any() or score.is_infinite().any():
        wrong = (score.is_null() | score.is_nan() | score.is_infinite()).fill_null(True)
        raise SummaryStatisticsError(
            f"ldscores: column {columns['ld_score']!r} must hold finite numbers; {int(wrong.sum())} rows do not, first "
            f"{taken['variant'][int(wrong.arg_max() or 0)]!r}"
        )
    table = taken.select(pl.col("variant").cast(pl.String), score.alias("ld_score"))
    weight = taken["weight"].cast(pl.Float64, strict=False) if "weight" in taken.columns else score
    if not weight.is_finite().fill_null(False).all():
        row = int((~weight.is_finite().fill_null(False)).arg_max() or 0)
        raise SummaryStatisticsError(
            f"ldscores: column {columns['weight']!r} must hold finite numbers, which it does not for "
            f"{taken['variant'][row]!r}"
        )
    table = table.with_columns(weight.alias("weight")).unique("variant", keep="first", maintain_order=True)
    return LDScores(table, n_reference, ordered)


def _from_files(path: Path) -> tuple[pl.DataFrame, float | None]:
    files = sorted(path.glob("*.l2.ldscore*")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise SummaryStatisticsError(f"{path}: no file of LD scores (*.l2.ldscore or *.l2.ldscore.gz)")
    frames, total, known = [], 0.0, True
    for file in files:
        frames.append(
            pl.read_csv(file, separator="\t", infer_schema_length=10_000, schema_overrides={"CHR": pl.String})
        )
        beside = Path(f"{str(file).split('.l2.ldscore')[0]}.l2.M_5_50")
        if beside.is_file():
            total += sum(float(v) for v in beside.read_text().split())
        else:
            known = False
    return pl.concat(frames, how="diagonal_relaxed"), total if known else None
