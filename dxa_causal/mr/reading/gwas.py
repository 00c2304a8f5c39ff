"""One GWAS file as it was read, with the account of what was found in it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import polars as pl

from dxa_causal.results import Summary


@dataclass(frozen=True, eq=False, repr=False)
class GWAS:
    """Summary statistics of one trait in standard columns; made by :func:`dxa_causal.mr.read_gwas`.

    Attributes
    ----------
    table : polars.DataFrame
        variant, chromosome, position, effect_allele, other_allele, beta, se,
        eaf, p_value, neg_log10_p, n; every row of the file, in its order.
        ``p_value`` may be 0 where it is smaller than a double can hold;
        ``neg_log10_p`` is not.
    format : str
        The layout that was detected or asked for.
    build : str or None
        "GRCh37", "GRCh38", "NCBI36"; None when nothing tells.
    report : DataFrame
        check, n (rows concerned), first_row (counted from 1 after the header).
    trait : str or None
    notes : tuple of str
        What was taken for granted, in words.
    """

    table: pl.DataFrame
    format: str
    build: str | None
    report: pd.DataFrame
    trait: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_variants(self) -> int:
        """Rows of the table."""
        return self.table.height

    def lazy(self) -> pl.LazyFrame:
        """Return the table as a lazy polars frame."""
        return self.table.lazy()

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas frame."""
        return self.table.to_pandas()

    def summary(self) -> Summary:
        """Format, build and every check with the number of rows it concerns."""
        found = self.report[self.report["n"] > 0]
        title = f"{self.trait or 'GWAS'}: {self.n_variants:,} rows ({self.format}, build {self.build or 'unknown'})"
        return Summary(title, [found] if len(found) else [], self.notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
