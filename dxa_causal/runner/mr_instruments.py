"""Which of the exposure's variants a ``[[mr]]`` block uses: below a p-value, or one per region."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from dxa_causal import genotypes, mr
from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr.columns import read_side
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import Clump, MrBlock
from dxa_causal.runner.gwas_sources import GENOME_WIDE, Gwas

_PLACES = ("chromosome", "position")
# Fates that a reader of the report must see: the others are the rule.
_LOST = ("not in the panel", "alleles differ", "monomorphic", "repeated", "HLA region")


def instruments(
    block: MrBlock, exposure: Gwas, writer: BlockWriter, base: Path
) -> tuple[Gwas | pl.DataFrame, str]:  # fmt: skip
    """Rows of the exposure to use, and how they were chosen, in words; empty where nothing was asked for."""
    if block.clump is not None:
        return _clumped(block.clump, without_places(block, exposure), writer, base)
    if block.p_below is None:
        return exposure, ""
    table, _ = read_side(exposure, "exposure")
    kept = table.filter(pl.col("p_value") < block.p_below)
    said = f"Of {table.height:,} variants in the exposure file the {kept.height:,} with p < {block.p_below:g} are used."
    return (replace(exposure, frame=kept.lazy()) if isinstance(exposure, mr.GWAS) else kept), said


def without_places(block: MrBlock, source: Gwas) -> Gwas:
    """Drop chromosome and position where ids alone are to join, so that a panel of another build fits."""
    if block.by != "variant":
        return source
    if isinstance(source, mr.GWAS):
        present = [c for c in _PLACES if c in source.frame.collect_schema().names()]
        return replace(source, frame=source.frame.drop(present))
    return source.drop(columns=[c for c in _PLACES if c in source])


def threshold(block: MrBlock) -> float:
    """P-value below which the variants were selected, as far as the block says."""
    if block.clump is not None:
        return block.clump.p1
    return block.p_below if block.p_below is not None else GENOME_WIDE


def whole_file(h: mr.Harmonised) -> str:
    """A word where the exposure file seems to hold more than instruments."""
    p = h.table["p_exposure"].astype(float)
    n = int((p > GENOME_WIDE).sum())
    if n < 0.3 * len(p):
        return ""
    return (
        f"{n:,} of {len(p):,} variants have p > {GENOME_WIDE:g} for the exposure: a whole file rather than "
        f"instruments? clump = {{ panel = ... }} takes one per region, p_below those below a p-value."
    )


def _clumped(spec: Clump, exposure: Gwas, writer: BlockWriter, base: Path) -> tuple[Gwas, str]:
    found = genotypes.clump(
        exposure, base / spec.panel, p1=spec.p1, r2=spec.r2, kb=spec.kb, exclude_hla=spec.exclude_hla
    )
    if not isinstance(found, genotypes.ClumpResult):
        raise SummaryStatisticsError(f"clump: {found.reason}")
    clumps, counts = found.tidy(), found.counts().set_index("fate")["n"]
    lost = "; ".join(f"{counts[fate]:,} left out: {fate}" for fate in _LOST if counts[fate])
    hla = ", without the HLA region" if spec.exclude_hla else ""
    taken = int(counts["index"] + counts["clumped"])
    said = (
        f"Of {int(counts.sum()):,} variants in the exposure file {taken:,} with p up to {spec.p1:g} are in the panel "
        f"{spec.panel.name}; clumping (r2 {spec.r2:g}, {spec.kb:,.0f} kb{hla}) leaves {len(clumps):,}."
        f"{f' {lost}.' if lost else ''}"
    )
    writer.table(clumps, "clumps", "Clumps: their index variants are the instruments, n_variants share the clump.")
    writer.figure(found.plot(), "clumps", "Where the instruments lie among the variants of the exposure file.")
    writer.table(found.fates(), "fates", "Every variant of the exposure file and what became of it:", kind="file")
    return found.kept, said
