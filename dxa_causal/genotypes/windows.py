"""Windows: the rows of a GWAS in and around a gene."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_number
from dxa_causal.genotypes.columns import frame_of, is_gwas, standard
from dxa_causal.genotypes.reading import plain_chromosome

_NAME = re.compile(r"[1-9]|1\d|2[0-2]|X|Y|XY|MT")


def cis_window(gwas: Any, chromosome: str | int, *, start: int, end: int, kb: float = 500) -> Any:
    """Rows of a GWAS within `kb` thousand base pairs of a gene.

    Parameters
    ----------
    gwas : GWAS or frame
        With chromosome and position.
    chromosome : str or int
        1, "1" or "chr1" ... "X".
    start, end : int
        First and last base of the gene, in the build of the GWAS.
    kb : float
        How far beyond the gene; both ends of the window belong to it.

    Returns
    -------
    GWAS or frame
        Of the kind that was given, rows in their order; none where there are none.

    Raises
    ------
    SummaryStatisticsError
        No columns chromosome and position.

    Examples
    --------
    >>> import pandas as pd
    >>> gwas = pd.DataFrame({"variant": ["a", "b", "c"], "chromosome": [17, 17, 4], "position": [5000, 90000, 5000]})
    >>> cis_window(gwas, "chr17", start=8000, end=12000, kb=3)["variant"].tolist()
    ['a']
    """
    name = str(pl.select(plain_chromosome(pl.lit(str(chromosome)))).item())
    if not _NAME.fullmatch(name):
        raise OptionError(f"chromosome={chromosome!r} is none; use 1 to 22, 'X', 'Y', 'XY' or 'MT'")
    for argument, value in (("start", start), ("end", end), ("kb", kb)):
        check_number(argument, value)
    if not 0 < start <= end:
        raise OptionError(
            f"start={start!r} and end={end!r} must be positions with start <= end; swap them for genes "
            "on the reverse strand"
        )
    if not 0.0 <= kb < np.inf:
        raise OptionError(f"kb={kb!r} must be zero or a positive number of thousand base pairs; 500 is usual")
    places = standard(gwas, "gwas", needs=("chromosome", "position"))
    if places.height and places["position"].null_count() == places.height:
        raise SummaryStatisticsError("gwas: every position is missing; a window needs chromosome and position")
    inside = (places["chromosome"] == name) & places["position"].is_between(start - kb * 1000, end + kb * 1000)
    rows = np.flatnonzero(inside.fill_null(False).to_numpy())
    table = frame_of(gwas, "gwas")
    return like(gwas, table[rows] if isinstance(table, pl.DataFrame) else table.iloc[rows])


def like(gwas: Any, rows: Any) -> Any:
    """Some rows of a GWAS as a GWAS, of a frame as they are."""
    if is_gwas(gwas) and dataclasses.is_dataclass(gwas) and not isinstance(gwas, type):
        return dataclasses.replace(gwas, frame=pl.DataFrame(rows).lazy())
    return rows
