"""GWAS-VCF: one sample column, its numbers named by FORMAT (ES SE LP AF SS)."""

from __future__ import annotations

import re
from collections import Counter

import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.genotypes.builds import named
from dxa_causal.mr.reading.blocks import Block
from dxa_causal.mr.reading.builds import by_length
from dxa_causal.mr.reading.formats import Layout
from dxa_causal.mr.reading.parse import MISSING, standard

TAB = b"\t"
_FIELDS = {"ES": "beta", "SE": "se", "LP": "neg_log10_p", "AF": "eaf", "SS": "n"}


class VcfRows:
    """How the rows of one GWAS-VCF are read."""

    def __init__(self, head: list[str], file: str) -> None:
        names = head[-1].split("\t")
        if len(names) != 10:
            raise SummaryStatisticsError(
                f"{file}: a GWAS-VCF has one sample column behind FORMAT; this one has {max(len(names) - 9, 0)}"
            )
        defined = {m.group(1) for line in head if (m := re.match(r"##FORMAT=<ID=([^,>]+)", line))}
        missing = [f for f in ("ES", "SE") if f not in defined]
        if missing:
            raise SummaryStatisticsError(
                f"{file}: FORMAT defines {', '.join(sorted(defined)) or 'nothing'}, not {' and '.join(missing)}: "
                "this VCF holds no effect sizes"
            )
        self.file = file
        self.trait = names[9]
        self.counts: Counter[str] = Counter()
        self.traits = {names[9]}
        self.layout = Layout("gwas-vcf", {}, _build(head), [])
        sample = next((line for line in head if line.startswith("##SAMPLE=") and f"ID={names[9]}" in line), "")
        totals = [float(x) for x in re.findall(r"Total(?:Cases|Controls)=([0-9.eE+]+)", sample)]
        self.n = sum(totals) if totals else None

    def read(self, block: Block) -> pl.DataFrame:
        """Return the block's rows in standard columns, in their order."""
        text = block.text.replace(b"\r\n", b"\n")
        lines = text.count(b"\n")
        if text.count(TAB) != 9 * lines:
            for i, line in enumerate(text.split(b"\n")[:-1]):
                if line and line.count(TAB) != 9:
                    cut = " (the file was probably cut short)" if block.last and i == lines - 1 else ""
                    raise SummaryStatisticsError(
                        f"{self.file}, line {block.line + i}: {line.count(TAB) + 1} fields where a GWAS-VCF has 10{cut}"
                    )
        if block.last and not block.closed and text.strip():
            keys, values = text.rstrip(b"\n").rsplit(b"\n", 1)[-1].split(TAB)[-2:]
            if keys.count(b":") != values.count(b":"):
                raise SummaryStatisticsError(
                    f"{self.file}, line {block.line + lines - 1}: the sample has {values.count(b':') + 1} values where "
                    f"FORMAT names {keys.count(b':') + 1} (the last line; the file was probably cut short)"
                )
        raw = (
            pl.scan_csv(
                text,
                has_header=False,
                separator="\t",
                schema={f"c{i}": pl.String for i in range(10)},
                quote_char=None,
                encoding="utf8-lossy",
            )
            .select(f"c{i}" for i in (0, 1, 2, 3, 4, 7, 8, 9))
            .collect()
            .with_row_index("row")
        )
        parts = [self._one_format(part, str(key[0])) for key, part in raw.partition_by("c8", as_dict=True).items()]
        if not parts:
            return standard(pl.DataFrame(), self.layout, self.counts)
        frame = pl.concat(parts, how="diagonal").sort("row").drop("row")
        return standard(frame, self.layout, self.counts)

    def _one_format(self, part: pl.DataFrame, keys: str) -> pl.DataFrame:
        names = keys.split(":")
        lacking = [key for key in ("ES", "SE") if key not in names]
        if lacking:
            raise SummaryStatisticsError(
                f"{self.file}: the FORMAT {keys!r} of {part.height} rows has no {' and '.join(lacking)}: no effects"
            )
        values = pl.col("c9").str.splitn(":", len(names))
        pick = {_FIELDS[k]: values.struct[i] for i, k in enumerate(names) if k in _FIELDS}
        self.counts["rows with several alternative alleles"] += int(part["c4"].str.contains(",").sum())
        numbers = {f: x.replace(MISSING, None).cast(pl.Float64, strict=False) for f, x in pick.items()}
        if "eaf" not in numbers:
            info = pl.col("c7").str.extract(r"(?:^|;)AF=([0-9.eE+-]+)")
            numbers["eaf"] = info.cast(pl.Float64, strict=False)
        if self.n is not None:
            numbers["n"] = pl.coalesce(numbers["n"], pl.lit(self.n)) if "n" in numbers else pl.lit(self.n)
        identity = pl.col("c2").replace(".", None)
        if "ID" in names:
            identity = pl.coalesce(identity, values.struct[names.index("ID")].replace(".", None))
        return part.select(
            "row",
            variant=identity,
            chromosome=pl.col("c0"),
            position=pl.col("c1").cast(pl.Float64, strict=False),
            effect_allele=pl.col("c4").replace(".", None),
            other_allele=pl.col("c3").replace(".", None),
            **numbers,
        )


def _build(head: list[str]) -> str | None:
    for line in head:
        if line.startswith("##contig"):
            said = re.search(r"assembly=([^,>]+)", line)
            if said and named(said.group(1)):
                return named(said.group(1))
            length = re.search(r"ID=(?:chr)?1,.*length=(\d+)", line)
            if length and (build := by_length(int(length.group(1)))):
                return build
        elif line.startswith(("##reference", "##genome_build")):
            said = re.search(r"(?i)(grch3[78]|hg19|hg38|hg18|b37)", line)
            if said:
                return named(said.group(1))
    return None
