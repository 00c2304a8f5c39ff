"""Bring the positions of a GWAS to another genome build."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.genotypes import complement
from dxa_causal.genotypes.builds import named
from dxa_causal.mr.reading.chain import Chain, Lifted, lift, read_chain
from dxa_causal.mr.reading.gwas import GWAS

_BASES = ["A", "C", "G", "T"]
_ALLELES = ("effect_allele", "other_allele")


def liftover(gwas: GWAS, chain: str | PathLike[str], to_build: str | None = None) -> GWAS:
    """Carry out `GWAS.liftover`."""
    path = Path(chain)
    if not path.is_file():
        raise SummaryStatisticsError(f"chain: there is no file {str(path)!r}")
    asked = None if to_build is None else named(to_build)
    if to_build is not None and asked is None:
        raise OptionError(f"to_build={to_build!r} is not known; allowed: 'GRCh37' (hg19), 'GRCh38' (hg38), 'NCBI36'")
    table = gwas.table
    if table.select((pl.col("chromosome").is_null() | pl.col("position").is_null()).all()).item():
        raise SummaryStatisticsError("liftover needs chromosomes and positions; this GWAS has none")
    file = read_chain(path)
    for ours, theirs, what in ((gwas.build, file.old_build, "leads from"), (asked, file.new_build, "leads to")):
        if ours is not None and theirs is not None and ours != theirs:
            raise SummaryStatisticsError(
                f"{path.name} {what} {theirs} (by the length of its chromosome 1), not {ours}; take another chain file"
            )
    lifted, found = _places(table, file)
    placed = lifted.position > 0
    if not placed.any():
        raise SummaryStatisticsError(
            f"{path.name} covers none of {int(found.sum())} positions: another build, or other names of chromosomes "
            f"({', '.join(list(file.stretches)[:5])}, ... there)"
        )
    snp = table.select(pl.all_horizontal((pl.col(x).is_in(_BASES) | pl.col(x).is_null()) for x in _ALLELES)).to_series()
    stuck = lifted.turned & ~snp.fill_null(False).to_numpy()
    counts = {
        "liftover: no position to begin with": ~found,
        "liftover: place not in the new build, position set to missing": found & ~placed,
        "liftover: no single base and on the other strand, position set to missing": stuck,
        "liftover: on the other strand, alleles turned": lifted.turned & ~stuck,
        "liftover: on another chromosome": placed & ~stuck & _moved(table, lifted, file),
        "liftover: in several chains, that of the highest score taken": lifted.several,
    }
    rows = [(name, int(flag.sum()), int(np.argmax(flag)) + 1 if flag.any() else None) for name, flag in counts.items()]
    more = pd.DataFrame(rows, columns=["check", "n", "first_row"]).astype({"n": "int64", "first_row": "Int64"})
    new_build = asked or file.new_build
    old = gwas.build or file.old_build
    return replace(
        gwas,
        frame=_renamed(table, _moved_table(table, lifted, placed & ~stuck, file), old or "other build").lazy(),
        build=new_build,
        report=pd.concat([gwas.report, more], ignore_index=True),
        notes=(*gwas.notes, f"positions lifted from {old or 'an unknown build'} to {new_build or '?'} by {path.name}"),
    )


def _places(table: pl.DataFrame, file: Chain) -> tuple[Lifted, np.ndarray]:
    """New places of all rows, and which rows had an old one."""
    n = table.height
    whole = Lifted(np.zeros(n, np.int64), np.full(n, -1, np.int64), np.zeros(n, bool), np.zeros(n, bool))
    position = table["position"].fill_null(0).to_numpy()
    found = (table["chromosome"].is_not_null() & table["position"].is_not_null()).to_numpy()
    for name in table["chromosome"].unique().drop_nulls().cast(pl.String):
        rows = np.flatnonzero((table["chromosome"] == name).fill_null(False).to_numpy() & found)
        for column, part in zip(whole, lift(file.stretches.get(name), position[rows]), strict=True):
            column[rows] = part
    return whole, found


def _moved(table: pl.DataFrame, lifted: Lifted, file: Chain) -> np.ndarray:
    return (_chromosomes(lifted, file) != table["chromosome"].cast(pl.String)).fill_null(False).to_numpy()


def _chromosomes(lifted: Lifted, file: Chain) -> pl.Series:
    codes = pl.Series(lifted.chromosome).replace(-1, None)
    return pl.Series(file.chromosomes, dtype=pl.String).gather(codes)


def _moved_table(table: pl.DataFrame, lifted: Lifted, placed: np.ndarray, file: Chain) -> pl.DataFrame:
    stays, turns = pl.Series(placed), pl.Series(lifted.turned & placed)
    other_strand = {base: complement(base) for base in _BASES}
    alleles = {
        name: pl.when(turns)
        .then(pl.col(name).cast(pl.String).replace(other_strand))
        .otherwise(pl.col(name).cast(pl.String))
        for name in _ALLELES
    }
    return table.with_columns(
        chromosome=pl.when(stays).then(_chromosomes(lifted, file)).cast(pl.Categorical),
        position=pl.when(stays).then(pl.Series(lifted.position)),
        **{name: allele.cast(pl.Categorical) for name, allele in alleles.items()},
    )


def _renamed(old: pl.DataFrame, new: pl.DataFrame, build: str) -> pl.DataFrame:
    """Ids that were made of the old place follow to the new one; where there is none they name their build."""
    place = pl.concat_str(
        [pl.col(name).cast(pl.String) for name in ("chromosome", "position", "other_allele", "effect_allele")],
        separator=":",
    )
    made_of_place = (old.select(place).to_series() == old["variant"]).fill_null(False)
    if not made_of_place.any():
        return new
    name = pl.coalesce(place, pl.format("{}:{}", pl.lit(build), "variant"))
    return new.with_columns(variant=pl.when(made_of_place).then(name).otherwise("variant"))
