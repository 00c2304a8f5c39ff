"""Read a GWAS file of any usual layout."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Literal

import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_option
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.genotypes.builds import named
from dxa_causal.mr.reading import cache as stored
from dxa_causal.mr.reading.blocks import Block, read_blocks
from dxa_causal.mr.reading.builds import beyond, by_places
from dxa_causal.mr.reading.checks import fill_p, letters, report, scales, warn_again
from dxa_causal.mr.reading.formats import FormatName, find_layout, listed
from dxa_causal.mr.reading.gwas import GWAS
from dxa_causal.mr.reading.parse import COLUMNS, Rows
from dxa_causal.mr.reading.vcf import VcfRows

_SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}


def read_gwas(
    path: str | PathLike[str],
    format: FormatName | None = None,
    build: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    side: Literal["exposure", "outcome"] | None = None,
    population: str | None = None,
    study: tuple[str, str] | None = None,
    trait: str | None = None,
    cache: str | PathLike[str] | None = None,
) -> GWAS:
    r"""Read GWAS summary statistics into standard columns, and count what is wrong with them.

    Parameters
    ----------
    path : path
        Plain text, gzip, bgzip or zstd, told by the content.
    format : str, optional
        "gwas-ssf", "gwas-vcf", "finngen", "neale", "pan-ukb", "regenie",
        "saige", "bolt-lmm", "metal", "fastgwa", "plink2", "plink1", "ldsc",
        "daner", "mach2qtl", "epacts", "twosamplemr" or "table" (any header,
        by a map of synonyms). Detected from the header when omitted.
    build : str, optional
        "GRCh37"/"hg19" or "GRCh38"/"hg38". When omitted: from the GWAS-SSF
        YAML file or VCF header, from the format where it has only one, from
        the places of some much studied variants (rs429358 ...), or by
        exclusion, when positions lie behind the end of a chromosome in the
        other builds. Never guessed otherwise.
    columns : mapping, optional
        Field here -> column of the file, over what was detected.
    separator : str, optional
        One character; " " is any run of blanks.
    side : {"exposure", "outcome"}, optional
        Which half of a harmonised TwoSampleMR table.
    population : str, optional
        For Pan-UKB, "EUR" or "meta_hq".
    study : (column, value), optional
        Take the rows of one study from a file that holds several.
    trait : str, optional
        Name of the trait.
    cache : folder, optional
        Keep the table there as Parquet, and read that while path, size, time
        of change and options are the same; columns are read when they are used.

    Returns
    -------
    GWAS
        ``table``, ``format``, ``build``, ``report``, ``trait``, ``notes``.

    Raises
    ------
    SummaryStatisticsError
        The file is damaged or cut short (file and line are named), columns are
        missing, or a column is on another scale (percentages).

    Warns
    -----
    SummaryStatisticsWarning
        p does not follow from beta and se, or positions contradict `build`.

    Notes
    -----
    Odds ratios become log odds; their standard error is taken to be that of
    the log odds. No row is dropped but those of other tests in PLINK and
    REGENIE output and of other studies than `study`, which are counted.

    References
    ----------
    Lyon MS et al. Genome Biol 2021;22:32. doi:10.1186/s13059-020-02248-0

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "bmi.tsv"
    ...     _ = file.write_text("SNP\tA1\tA2\tOR\tSE\tP\nrs1\ta\tg\t1.2\t0.03\t1.2e-9\n")
    ...     gwas = read_gwas(file)
    >>> gwas.format, gwas.table["effect_allele"].item(), round(gwas.table["beta"].item(), 4)
    ('table', 'A', 0.1823)
    """
    file = Path(path)
    if format is not None:
        check_option("format", format, FormatName)
    if side is not None:
        check_option("side", side, Literal["exposure", "outcome"])
    if file.is_dir():
        raise SummaryStatisticsError(f"path: {str(file)!r} is a folder")
    if cache is not None and Path(cache).exists() and not Path(cache).is_dir():
        raise OptionError(f"cache={str(cache)!r} is a file; give a folder")
    if not file.is_file():
        raise SummaryStatisticsError(f"path: there is no file {str(file)!r}")
    asked = None if build is None else named(build)
    if build is not None and asked is None:
        raise OptionError(f"build={build!r} is not known; allowed: 'GRCh37' (hg19), 'GRCh38' (hg38), 'NCBI36' (hg18)")
    options = (format, asked, sorted((columns or {}).items()), separator, side, population, study, trait)
    key = None if cache is None else stored.key(file, options)
    if cache is not None and key is not None and (kept := stored.load(Path(cache), key)) is not None:
        warn_again(kept.report, kept.n_variants, file.name)
        return kept
    gwas = _read(file, format, asked, columns, separator, side, population, study, trait)
    if cache is not None and key is not None:
        return stored.save(gwas, Path(cache), key)
    return gwas


def _read(
    file: Path,
    format: str | None,
    build: str | None,
    columns: Mapping[str, str] | None,
    separator: str | None,
    side: str | None,
    population: str | None,
    study: tuple[str, str] | None,
    trait: str | None,
) -> GWAS:
    blocks = read_blocks(file)
    opening = next(blocks)
    head, body = _head(opening, file)
    rows: Rows | VcfRows
    if head[0].startswith("##fileformat=VCF") or head[-1].startswith("#CHROM\tPOS\tID\tREF\tALT\tQUAL"):
        if format not in (None, "gwas-vcf"):
            raise SummaryStatisticsError(f"{file.name} is a VCF, not format={format!r}")
        rows = VcfRows(head, file.name)
        trait = trait or rows.trait
    else:
        if format == "gwas-vcf":
            raise SummaryStatisticsError(f"{file.name} has no VCF header, which format='gwas-vcf' needs")
        split, header = _header(head[-1], separator, file.name)
        layout = find_layout(header, format=format, columns=columns, side=side, population=population, where=file.name)
        if study is not None:
            if study[0] not in header:
                raise SummaryStatisticsError(f"study names the column {study[0]!r}; {file.name} has {listed(header)}")
            layout.columns["study_column"] = study[0]
        rows = Rows(layout, header, split, file.name, None if study is None else study[1])
    table = _joined([rows.read(body)] + [rows.read(block) for block in blocks])
    if table.height == 0:
        raise SummaryStatisticsError(f"{file.name} has a header but no rows" + (f" of study {study}" if study else ""))
    notes, counts = rows.layout.notes, rows.counts
    table = letters(scales(table, file.name, counts, notes), notes)
    unnamed = table["variant"].is_null() & table["position"].is_not_null()
    counts["variant named chr:pos:other:effect"] += int(unnamed.sum())
    if unnamed.any():
        names = ("chromosome", "position", "other_allele", "effect_allele")
        made = pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator=":")
        table = table.with_columns(pl.coalesce("variant", made))
    table = fill_p(table, counts, file.name)
    meta = _meta(file)
    said = build or named(meta.get("genome_assembly")) or rows.layout.build
    found = _checked_build(table, said, file.name, notes)
    one = next(iter(rows.traits)) if len(rows.traits) == 1 else None
    name = trait or (meta.get("trait_description") or one or "").split(" || ")[0] or None
    return GWAS(table.lazy(), rows.layout.format, found, report(table, counts), name, tuple(notes))


def _joined(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """One table of the parts, which are given up column by column; a column of nulls only takes no memory."""
    columns: dict[str, pl.Series] = {}
    for name, kind in COLUMNS.items():
        pieces = [part.drop_in_place(name) for part in parts]
        size = sum(piece.len() for piece in pieces)
        if size and sum(piece.null_count() for piece in pieces) == size:
            columns[name] = pl.repeat(None, size, dtype=kind, eager=True)
        else:
            columns[name] = pl.concat(pieces).rechunk()
    return pl.DataFrame(columns)


def _head(opening: Block, file: Path) -> tuple[list[str], Block]:
    """Lines up to the header, and the rest of the first block."""
    text, line = opening.text.removeprefix(b"\xef\xbb\xbf"), opening.line
    if text[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in text[:4096]:
        raise SummaryStatisticsError(f"{file.name} is not UTF-8 text (zero bytes at its start)")
    head: list[str] = []
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        row = text[start:end].decode(errors="replace").rstrip("\r")
        start, line = end + 1, line + 1
        if row.strip():
            head.append(row)
            if not row.startswith(("##", "# ")):
                return head, Block(text[start:], line, opening.last, opening.closed)
    raise SummaryStatisticsError(f"{file.name} is empty: no header line")


def _header(line: str, separator: str | None, file: str) -> tuple[str, list[str]]:
    if separator is None:
        separator = next((s for s in ("\t", ";", ",", "|") if line.count(s)), " ")
    names = line.split() if separator == " " else next(csv.reader([line], delimiter=separator))
    names = [n.strip() for n in names]
    if len(names) < 3:
        other = [w for s, w in _SEPARATORS.items() if s != separator and line.count(s) >= 2]
        hint = f"; it seems to be parted by {other[0]}: separator=" if other else ""
        raise SummaryStatisticsError(
            f"{file}: the header, read with {_SEPARATORS.get(separator, separator)} as delimiter, has only "
            f"{len(names)} columns ({line[:80]!r}){hint}"
        )
    twice = sorted({n for n in names if names.count(n) > 1})
    if any(twice):
        raise SummaryStatisticsError(f"{file}: the header names {', '.join(map(repr, twice[:3]))} more than once")
    return separator, names


def _meta(file: Path) -> dict[str, str]:
    """Plain `key: value` lines of the YAML file that GWAS-SSF lays beside the table."""
    for beside in (Path(f"{file}-meta.yaml"), Path(f"{file}-meta.yml"), file.with_suffix(".yaml")):
        if beside.is_file():
            pairs = (line.split(":", 1) for line in beside.read_text(encoding="utf-8").splitlines() if ":" in line)
            return {k.strip().lstrip("- "): v.strip().strip("'\"") for k, v in pairs if v.strip()}
    return {}


def _checked_build(table: pl.DataFrame, said: str | None, file: str, notes: list[str]) -> str | None:
    counts = beyond(table)
    fits = [b for b, n in counts.items() if n == 0]
    if said in counts and counts[said]:
        warn(
            f"{file}: {counts[said]} positions lie behind the end of their chromosome in {said}: another build?",
            SummaryStatisticsWarning,
        )
    standing, n = by_places(table)
    if standing is not None and said is not None and standing != said:
        warn(
            f"{file}: {n} much studied variants stand where they are in {standing}, not {said}",
            SummaryStatisticsWarning,
        )
    if said is not None:
        return said
    if standing is not None:
        notes.append(f"build {standing}: the places of {n} much studied variants")
        return standing
    if len(fits) == 1:
        notes.append(f"build {fits[0]}: positions lie behind the ends of chromosomes of the others")
        return fits[0]
    return None
