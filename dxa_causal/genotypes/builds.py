"""Genome builds by name, and where the HLA region lies in each."""

from __future__ import annotations

from dxa_causal._core.errors import OptionError

_SPELLINGS = {
    "GRCh37": ("grch37", "hg19", "b37", "37", "build37", "hg19/grch37"),
    "GRCh38": ("grch38", "hg38", "b38", "38", "build38"),
    "NCBI36": ("ncbi36", "hg18", "b36", "36"),
}
# Chromosome 6, 25 to 34 million in GRCh37, and the same sequence in the others.
HLA = {
    "GRCh37": (25_000_000, 34_000_000),
    "GRCh38": (24_999_772, 34_032_223),
    "NCBI36": (25_107_979, 34_107_978),
}


def genome_build(name: str | None, argument: str) -> str | None:
    """Return "GRCh37", "GRCh38" or "NCBI36" for any usual spelling; None stays.

    Examples
    --------
    >>> genome_build("hg19", "build"), genome_build(None, "build")
    ('GRCh37', None)
    """
    if name is None:
        return None
    plain = str(name).strip().lower().split(".p")[0]
    for build, spellings in _SPELLINGS.items():
        if plain in spellings:
            return build
    raise OptionError(f"{argument}={name!r} is not a known genome build; use 'GRCh37', 'GRCh38' or 'NCBI36'")
