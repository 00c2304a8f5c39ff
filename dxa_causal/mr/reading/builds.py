"""Genome builds: their names, and what a position too large for one says."""

from __future__ import annotations

import polars as pl

NAMES = {
    "grch37": "GRCh37", "hg19": "GRCh37", "b37": "GRCh37", "37": "GRCh37", "build37": "GRCh37", "hg19/grch37": "GRCh37",
    "grch38": "GRCh38", "hg38": "GRCh38", "b38": "GRCh38", "38": "GRCh38", "build38": "GRCh38",
    "ncbi36": "NCBI36", "hg18": "NCBI36", "36": "NCBI36", "b36": "NCBI36",
}  # fmt: skip
CHROMOSOMES = (*(str(c) for c in range(1, 23)), "X")
# Numbers and letters that other programs write -> the name here.
CHROMOSOME_NAMES = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT"}
# Lengths of chromosomes 1 to 22 and X.
LENGTHS: dict[str, tuple[int, ...]] = {
    "GRCh37": (
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431, 135534747,
        135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248, 59128983, 63025520,
        48129895, 51304566, 155270560,
    ),
    "GRCh38": (
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
        135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167,
        46709983, 50818468, 156040895,
    ),
    "NCBI36": (
        247249719, 242951149, 199501827, 191273063, 180857866, 170899992, 158821424, 146274826, 140273252, 135374737,
        134452384, 132349534, 114142980, 106368585, 100338915, 88827254, 78774742, 76117153, 63811651, 62435964,
        46944323, 49691432, 154913754,
    ),
}  # fmt: skip


def named(text: str | None) -> str | None:
    """Return "GRCh37", "GRCh38" or "NCBI36" for any usual spelling, None for others.

    Examples
    --------
    >>> named("hg19"), named("GRCh38.p14"), named("mm10")
    ('GRCh37', 'GRCh38', None)
    """
    return None if text is None else NAMES.get(str(text).strip().lower().split(".p")[0])


def by_length(length: int) -> str | None:
    """Return the build whose chromosome 1 is that long."""
    return next((build for build, lengths in LENGTHS.items() if lengths[0] == length), None)


def beyond(table: pl.DataFrame) -> dict[str, int]:
    """Rows per build whose position lies behind the end of their chromosome."""
    if table["position"].null_count() == table.height:
        return dict.fromkeys(LENGTHS, 0)
    farthest = table.lazy().group_by("chromosome").agg(pl.col("position").max()).collect(engine="streaming")
    reached = dict(farthest.with_columns(pl.col("chromosome").cast(pl.String)).iter_rows())
    counts = dict.fromkeys(LENGTHS, 0)
    for build, lengths in LENGTHS.items():
        for name, end in zip(CHROMOSOMES, lengths, strict=True):
            if (reached.get(name) or 0) > end:
                behind = (pl.col("chromosome") == name) & (pl.col("position") > end)
                counts[build] += int(table.select(behind.sum()).item())
    return counts
