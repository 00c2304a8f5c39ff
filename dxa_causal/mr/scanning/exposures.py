"""The instruments of many exposures as one long table, and what one outcome file knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr.audit import FATES, FIRST_KEPT
from dxa_causal.mr.columns import build_of, read_side
from dxa_causal.mr.harmonise import Action, aligned_rows
from dxa_causal.mr.joining import By, Join, NothingShared, join
from dxa_causal.mr.reading import read_gwas

IntArray = npt.NDArray[np.int64]
Source = Any  # a frame, what read_gwas returns, or the path of a file that it reads


@dataclass(frozen=True, eq=False)
class Exposures:
    """Instruments of all exposures: one row per exposure and variant.

    Attributes
    ----------
    names : tuple of str
        In the order in which they first appear.
    table : polars.DataFrame
        As `read_side` gives it.
    code : (r,) ndarray
        Position in `names` of each row.
    unique : (u,) ndarray
        First row of each distinct variant.
    place : (r,) ndarray
        Position in `unique` of each row's variant.
    build : str
    """

    names: tuple[str, ...]
    table: pl.DataFrame
    code: IntArray
    unique: IntArray
    place: IntArray
    build: str

    def only(self, name: str) -> pl.DataFrame:
        """Rows of one exposure."""
        return self.table.filter(pl.Series(self.code == self.names.index(name)))


def exposures_of(given: Any) -> Exposures:
    """Read a mapping of name to instruments, or one frame with a column `exposure`.

    Studies of one name that a column `id.exposure` tells apart are "name (id)".
    """
    if isinstance(given, Mapping):
        if not given:
            raise SummaryStatisticsError("exposures is empty; give at least one")
        parts = {str(name): read_source(source) for name, source in given.items()}
        builds = {build_of(source) for source in parts.values()} - {""}
        if len(builds) > 1:
            raise SummaryStatisticsError(f"the exposures are on different genome builds: {', '.join(sorted(builds))}")
        tables = [_instruments(source, f"exposure {name!r}") for name, source in parts.items()]
        table = pl.concat(
            [t.with_columns(pl.col(pl.Categorical).cast(pl.String)) for t in tables], how="vertical_relaxed"
        )
        code = np.repeat(np.arange(len(tables)), [t.height for t in tables])
        return _of(tuple(parts), table, code, next(iter(builds), ""))
    frame = _frame(given)
    if "exposure" not in frame.columns:
        raise SummaryStatisticsError(
            f"exposures must be a mapping of name to instruments, or a frame with a column 'exposure'; its columns are "
            f"{', '.join(frame.columns[:12])}"
        )
    if not frame.height:
        raise SummaryStatisticsError("exposures: the frame has no rows")
    names = frame["exposure"].cast(pl.String)
    if names.null_count():
        raise SummaryStatisticsError(
            f"exposures: column 'exposure' is empty in {names.null_count()} rows, first row {names.is_null().arg_max()}"
        )
    if "id.exposure" in frame.columns:
        studies = frame.select(name=names, study=pl.col("id.exposure").cast(pl.String))
        several = studies.unique().filter(pl.col("name").is_duplicated())["name"].unique()
        told = pl.format("{} ({})", "name", "study")
        names = studies.select(pl.when(pl.col("name").is_in(several.implode())).then(told).otherwise("name"))["name"]
    table = read_side(frame.drop("exposure", "id.exposure", strict=False), "exposure")[0]
    distinct = names.unique(maintain_order=True)
    code = names.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).to_numpy()
    return _of(tuple(distinct), table, code, "")


def _of(names: tuple[str, ...], table: pl.DataFrame, code: IntArray, build: str) -> Exposures:
    order = np.argsort(code, kind="stable")
    table, code = table[order], code[order]
    key = table.select(
        key=pl.coalesce(
            pl.col("variant").cast(pl.String),
            pl.concat_str(
                [pl.col(c).cast(pl.String) for c in ("chromosome", "position", "effect_allele")], separator=":"
            ),
        )
    )["key"]
    twice = pl.DataFrame({"code": code, "key": key}).drop_nulls().filter(pl.struct("code", "key").is_duplicated())
    if twice.height:
        first = twice.row(0)
        raise SummaryStatisticsError(
            f"exposure {names[first[0]]!r} lists {first[1]!r} more than once ({twice.height} such rows); keep one row "
            f"of each"
        )
    place, _ = pd.factorize(key.fill_null("").to_numpy())
    _, unique = np.unique(place, return_index=True)
    return Exposures(names, table, code, unique, place.astype(np.int64), build)


def _instruments(source: Any, name: str) -> pl.DataFrame:
    try:
        return read_side(source, "exposure")[0]
    except SummaryStatisticsError as error:
        raise SummaryStatisticsError(f"{name}: {error}") from None


def _frame(given: Any) -> pl.DataFrame:
    if isinstance(given, pl.LazyFrame):
        return given.collect()
    if isinstance(given, pl.DataFrame):
        return given
    if isinstance(given, pd.DataFrame):
        return pl.from_pandas(given)
    raise SummaryStatisticsError(
        f"exposures must be a mapping of name to instruments, or a frame with a column 'exposure', not "
        f"{type(given).__name__}"
    )


def read_source(source: Source) -> Any:
    """Read a path; anything else as it is."""
    return read_gwas(source) if isinstance(source, str | PathLike | Path) else source


@dataclass(frozen=True, eq=False)
class Shared:
    """Variants of the exposures that one outcome has too, aligned.

    Attributes
    ----------
    table : DataFrame
        Columns of `Harmonised.table`, in the order of exposures.
    code : (k,) ndarray
        Exposure of each row.
    fates : (exposures, fates) ndarray
        How many variants of each exposure met each fate of the audit.
    """

    table: pd.DataFrame
    code: IntArray
    fates: IntArray


def shared_with(exposures: Exposures, outcome: Any, *, action: Action, tolerance: float, by: By) -> Shared:
    """Join the instruments with one outcome and bring the effects onto the same alleles."""
    b, _ = read_side(outcome, "outcome")
    a = exposures.table
    try:
        found = join(a[exposures.unique], b, by, (exposures.build, build_of(outcome)))
        partner = found.partner[exposures.place]
    except NothingShared:
        partner = np.full(a.height, -1, dtype=np.int32)
    aligned = aligned_rows(a, b, Join(partner, b.height), action=action, tolerance=tolerance)
    fates = np.zeros((len(exposures.names), len(FATES)), dtype=np.int64)
    np.add.at(fates, (exposures.code, aligned.fate), 1)
    return Shared(aligned.table, exposures.code[aligned.fate >= FIRST_KEPT], fates)
