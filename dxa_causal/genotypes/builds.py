"""Genome builds and chromosomes by name, and where the HLA region lies in each build."""

from __future__ import annotations

from dxa_causal._core.errors import OptionError

_SPELLINGS = {
    "GRCh37": ("grch37", "hg19", "b37", "37", "build37", "hg19/grch37"),
    "GRCh38": ("grch38", "hg38", "b38", "38", "build38"),
    "NCBI36": ("ncbi36", "hg18", "b36", "36"),
}
# Numbers and letters that other programs write -> the name here.
CHROMOSOME_NAMES = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT"}
# Chromosome 6, 25 to 34 million in GRCh37, and the same sequence in the others.
HLA = {
    "GRCh37": (25_000_000, 34_000_000),
    "GRCh38": (24_999_772, 34_032_223),
    "NCBI36": (25_107_979, 34_107_978),
}


def chromosome_name(text: str) -> str:
    """Bring the name of a chromosome to the spelling used here; `reading.plain_chromosome` does it for columns.

    Examples
    --------
    >>> [chromosome_name(name) for name in ("chr1", "01", "1.0", "23", "chrM", "chrUn_gl000220")]
    ['1', '1', '1', 'X', 'MT', 'UN_GL000220']
    """
    name = text.strip().upper().removeprefix("CHR").removesuffix(".0")
    short = name.lstrip("0") or name
    return CHROMOSOME_NAMES.get(short, short)


def named(text: str | None) -> str | None:
    """Return "GRCh37", "GRCh38" or "NCBI36" for any usual spelling, None for others.

    Examples
    --------
    >>> named("hg19"), named("GRCh38.p14"), named("mm10")
    ('GRCh37', 'GRCh38', None)
    """
    plain = "" if text is None else str(text).strip().lower().split(".p")[0]
    return next((build for build, spellings in _SPELLINGS.items() if plain in spellings), None)


def genome_build(name: str | None, argument: str) -> str | None:
    """Return the build that is named; None stays, an unknown name is refused.

    Examples
    --------
    >>> genome_build("hg19", "build"), genome_build(None, "build")
    ('GRCh37', None)
    """
    found = named(name)
    if name is None or found is not None:
        return found
    raise OptionError(f"{argument}={name!r} is not a known genome build; use 'GRCh37', 'GRCh38' or 'NCBI36'")
