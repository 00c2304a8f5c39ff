"""One GWAS file as it was read, with the account of what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike

import pandas as pd
import polars as pl

from dxa_causal.results import Summary


@dataclass(frozen=True, eq=False, repr=False)
class GWAS:
    """Summary statistics of one trait in standard columns; made by :func:`dxa_causal.mr.read_gwas`.

    Attributes
    ----------
    frame : polars.LazyFrame
        What `table` is read from: memory or, with a cache, its Parquet file.
    format : str
        The layout that was detected or asked for.
    build : str or None
        "GRCh37", "GRCh38", "NCBI36"; None when nothing tells.
    report : DataFrame
        check, n (rows concerned), first_row (counted from 1 after the header,
        where the check keeps it).
    trait : str or None
    notes : tuple of str
        What was taken for granted, in words.
    """

    frame: pl.LazyFrame
    format: str
    build: str | None
    report: pd.DataFrame
    trait: str | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def table(self) -> pl.DataFrame:
        """Every row of the file, in its order.

        variant, chromosome, position, effect_allele, other_allele, beta, se,
        eaf, p_value, neg_log10_p, n; chromosome and alleles are categories.
        ``p_value`` may be 0 where it is smaller than a double can hold;
        ``neg_log10_p`` is not.
        """
        return self.frame.collect()

    @property
    def n_variants(self) -> int:
        """Rows of the table."""
        return int(self.frame.select(pl.len()).collect().item())

    def lazy(self) -> pl.LazyFrame:
        """Return the table as a lazy polars frame; of a cached file only what is asked for is read."""
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas frame."""
        categories = [name for name, kind in self.table.schema.items() if kind == pl.Categorical]
        return self.table.with_columns(pl.col(categories).cast(pl.String)).to_pandas()

    def liftover(self, chain: str | PathLike[str], to_build: str | None = None) -> GWAS:
        r"""Bring the positions to another genome build with a chain file of UCSC.

        Parameters
        ----------
        chain : path
            For instance hg19ToHg38.over.chain.gz, plain or compressed.
        to_build : str, optional
            The build that the file leads to, where its sizes do not tell.

        Returns
        -------
        GWAS
            All rows, in their order. Those whose place the new build lacks have
            no chromosome and position any more; `report` counts them, and those
            whose strand turned.

        Raises
        ------
        SummaryStatisticsError
            No positions, a damaged chain file, one that leads from another
            build, or one that covers none of the positions.

        Notes
        -----
        A chain's blocks count from 0 and leave out their end; positions here
        count from 1. Where the new build has the other strand, single bases are
        complemented; other alleles cannot be placed without the sequence (their
        first base is now their last), so these rows lose their position too.
        Of several chains over one place that of the highest score counts. Ids
        that were made of chromosome, position and alleles follow.

        References
        ----------
        Hinrichs AS et al. Nucleic Acids Res 2006;34:D590-D598. doi:10.1093/nar/gkj144

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from dxa_causal import mr
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file, chain = Path(folder) / "bmi.csv", Path(folder) / "old_to_new.chain"
        ...     _ = file.write_text("snp,chr,pos,ea,oa,beta,se\nrs1,1,15,A,G,0.1,0.02\nrs2,1,25,A,G,0.1,0.02\n")
        ...     _ = chain.write_text("chain 1 chr1 100 + 10 20 chr1 200 - 50 60 1\n10\n")
        ...     gwas = mr.read_gwas(file).liftover(chain)
        >>> gwas.table.select("variant", "position", "effect_allele").rows()
        [('rs1', 146, 'T'), ('rs2', None, 'A')]
        """
        from dxa_causal.mr.reading.liftover import liftover  # which makes a GWAS

        return liftover(self, chain, to_build)

    def summary(self) -> Summary:
        """Format, build and every check with the number of rows it concerns."""
        found = self.report[self.report["n"] > 0]
        title = f"{self.trait or 'GWAS'}: {self.n_variants:,} rows ({self.format}, build {self.build or 'unknown'})"
        return Summary(title, [found] if len(found) else [], self.notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
