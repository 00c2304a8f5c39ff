"""Which variant of a panel is meant: by id, or by chromosome, position and alleles, on either strand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError, shown
from dxa_causal.genotypes.alleles import BoolArray, IntArray, TextArray
from dxa_causal.genotypes.columns import build_of, is_gwas, listed, names_at
from dxa_causal.genotypes.panel import Panel

ABSENT, OTHER_ALLELES = "not in the panel", "alleles differ"
_STRANGERS = 0.5  # share of ids at another position from which on the builds are said to differ
_ENOUGH = 5  # ids that tell


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where variants stand in a panel.

    Attributes
    ----------
    names : (m,) ndarray of str
        As they were given.
    place : (m,) ndarray of int
        Row of the bim file; -1 for none.
    turned : (m,) ndarray of bool
        The effect allele is allele_2 of the panel.
    reason : (m,) ndarray of str
        Empty, "not in the panel" or "alleles differ".
    """

    names: TextArray
    place: IntArray
    turned: BoolArray
    reason: TextArray


def locate(panel: Panel, wanted: pl.DataFrame, argument: str = "variants") -> Places:
    """Find variants, given in the columns of `columns.standard`, in a panel.

    An id counts where the alleles agree, in either order and on either strand
    (without alleles always); what has no such id is looked up by chromosome,
    position and alleles. Of several that fit, the first in the file counts.

    Raises
    ------
    SummaryStatisticsError
        Most ids stand at another position: two genome builds.
    """
    rows = wanted.select("variant", "chromosome", "position", "effect_allele", "other_allele").with_row_index("row")
    there = panel.variants.with_row_index("place")
    ids = rows.filter(pl.col("variant").is_not_null() & ~pl.col("variant").is_in(["", "."]))
    same_id = ids.join(there, on="variant", how="inner", suffix="_panel").with_columns(_agreement())
    _check_builds(same_id, panel, argument)
    by_id = _first(same_id)
    rest = rows.join(by_id, on="row", how="anti").filter(pl.col("effect_allele").is_not_null())
    by_place = _first(
        rest.drop_nulls(["chromosome", "position"])
        .join(there, on=["chromosome", "position"], how="inner", suffix="_panel")
        .with_columns(_agreement())
    )
    n = wanted.height
    place, turned = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=bool)
    reason = np.full(n, ABSENT, dtype=object)
    reason[same_id["row"].to_numpy()] = OTHER_ALLELES
    for found in (by_id, by_place):
        row = found["row"].to_numpy()
        place[row] = found["place"].to_numpy()
        turned[row] = found["turned"].to_numpy()
        reason[row] = ""
    return Places(wanted["variant"].fill_null("").to_numpy().astype(object), place, turned, reason)


def require_all(panel: Panel, variants: Any, argument: str = "variants") -> Places:
    """Places of variants that all have to be there, each once."""
    if is_gwas(variants):
        refuse_other_build(panel, variants, argument)
    found = locate(panel, listed(variants, argument), argument)
    if not found.names.size:
        raise SummaryStatisticsError(f"{argument} is empty: name at least one variant")
    for reason in (ABSENT, OTHER_ALLELES):
        wrong = found.names[found.reason == reason]
        if wrong.size:
            raise SummaryStatisticsError(
                f"{argument}: {wrong.size} of {found.names.size}: {reason} ({panel.prefix}), first "
                f"{', '.join(repr(v) for v in wrong[:5])}; genotypes.match(panel, variants) tells which are there"
            )
    twice = pd.Index(found.names).duplicated() | pd.Index(found.place).duplicated()
    if twice.any():
        raise SummaryStatisticsError(f"{argument}: {shown(found.names[twice][0])} is there more than once")
    return found


def match(panel: Panel, variants: Any) -> pd.DataFrame:
    """Say which variants a panel has, and where it stands to their alleles.

    Parameters
    ----------
    panel : Panel
    variants : sequence of str or frame
        Ids, "chromosome:position:allele:allele", or a frame with variant and,
        as far as known, chromosome, position, effect_allele, other_allele.

    Returns
    -------
    DataFrame
        One row per variant given: variant, panel_variant, allele_1, allele_2,
        turned (the effect allele is allele_2), reason ("", "not in the panel",
        "alleles differ").

    Raises
    ------
    SummaryStatisticsError
        Most ids stand at another position: two genome builds.
    """
    found = locate(panel, listed(variants, "variants"))
    table = {"variant": found.names}
    for column, name in (("variant", "panel_variant"), ("allele_1", "allele_1"), ("allele_2", "allele_2")):
        table[name] = names_at(panel.variants[column].to_numpy(), found.place)
    return pd.DataFrame({**table, "turned": found.turned, "reason": found.reason})


def refuse_other_build(panel: Panel, gwas: Any, argument: str) -> None:
    """Refuse a GWAS of another build than the panel, where both are known."""
    build = build_of(gwas)
    if build and panel.build and build != panel.build:
        raise SummaryStatisticsError(
            f"{argument} has positions of {build}, the panel {panel.prefix} of {panel.build}; bring one to the "
            f"build of the other (gwas.liftover) or take another panel"
        )


def _agreement() -> list[pl.Expr]:
    """Whether alleles are those of the panel, and turned; one that is missing counts as agreeing."""
    effect, other = _spelled_out(pl.col("effect_allele")), _spelled_out(pl.col("other_allele"))
    straight, turned = _same(effect, other), _same(other, effect)
    effect_2, other_2 = _opposite(effect), _opposite(other)
    straight_2, turned_2 = _same(effect_2, other_2), _same(other_2, effect_2)
    known = effect.is_not_null() | other.is_not_null()
    return [
        (~known | straight | turned | straight_2 | turned_2).alias("agrees"),
        (known & ~straight & (turned | (~straight_2 & turned_2))).alias("turned"),
    ]


def _same(first: pl.Expr, second: pl.Expr) -> pl.Expr:
    """Alleles equal those of the panel in this order; "0" in a bim file stands for an allele nobody has."""
    return ((first == pl.col("allele_1")).fill_null(True) | (pl.col("allele_1") == "0")) & (
        second == pl.col("allele_2")
    ).fill_null(True)


def _spelled_out(allele: pl.Expr) -> pl.Expr:
    """I (insertion) is the longer of the panel's alleles, D (deletion) the shorter."""
    first, second = pl.col("allele_1"), pl.col("allele_2")
    longer = first.str.len_bytes() > second.str.len_bytes()
    told = (first.str.len_bytes() != second.str.len_bytes()) & allele.is_in(["I", "D"])
    return pl.when(told).then(pl.when((allele == "I") == longer).then(first).otherwise(second)).otherwise(allele)


def _opposite(allele: pl.Expr) -> pl.Expr:
    return allele.str.replace_many(["A", "C", "G", "T"], ["T", "G", "C", "A"])


def _first(candidates: pl.DataFrame) -> pl.DataFrame:
    """Of the candidates that agree, for each row the first in the panel."""
    return candidates.filter("agrees").sort("place").unique("row", keep="first", maintain_order=True)


def _check_builds(same_id: pl.DataFrame, panel: Panel, argument: str) -> None:
    known = same_id.filter(
        pl.col("position").is_not_null() & pl.col("chromosome").is_not_null() & (pl.col("position_panel") > 0)
    )
    apart = known.filter(
        (pl.col("position") != pl.col("position_panel")) | (pl.col("chromosome") != pl.col("chromosome_panel"))
    )
    if known.height >= _ENOUGH and apart.height > _STRANGERS * known.height:
        one = apart.row(0, named=True)
        raise SummaryStatisticsError(
            f"{argument}: {apart.height} of {known.height} ids stand elsewhere in the panel {panel.prefix}, first "
            f"{one['variant']!r}: {one['chromosome']}:{one['position']} against "
            f"{one['chromosome_panel']}:{one['position_panel']}; the genome builds differ (gwas.liftover brings "
            f"positions to another)"
        )
