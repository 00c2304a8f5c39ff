"""A reference panel in PLINK's binary format: variants in memory, genotypes left on disk until they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.optional import require
from dxa_causal.genotypes.alleles import BoolArray, FloatArray, IntArray
from dxa_causal.genotypes.builds import genome_build
from dxa_causal.genotypes.reading import read_bim, read_fam

_MAGIC = bytes([0x6C, 0x1B])
_BLOCK = 2**24  # bytes of a bed file that are unpacked at a time


@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """Genotypes of people in whom linkage disequilibrium is measured; made by :func:`read_panel`.

    Attributes
    ----------
    prefix : Path
        Of the files PREFIX.bed, PREFIX.bim and PREFIX.fam.
    variants : polars.DataFrame
        variant, chromosome (text without "chr"), position, allele_1, allele_2
        (upper case; A1 and A2 of the bim file), in the order of the file.
    people : polars.DataFrame
        person, founder. Only founders count in frequencies and correlations, as in plink.
    build : str or None
        "GRCh37", "GRCh38", "NCBI36"; None when not told.
    """

    prefix: Path
    variants: pl.DataFrame
    people: pl.DataFrame
    build: str | None = None

    @property
    def n_samples(self) -> int:
        """People in the panel."""
        return self.people.height

    @property
    def n_variants(self) -> int:
        """Variants in the panel."""
        return self.variants.height

    @property
    def founders(self) -> BoolArray:
        """Who is a founder: (n_samples,)."""
        return self.people["founder"].to_numpy()

    @cached_property
    def duplicates(self) -> pd.DataFrame:
        """Ids that several variants share: variant, n."""
        counts = self.variants.group_by("variant", maintain_order=True).len("n").filter(pl.col("n") > 1)
        return pd.DataFrame({name: counts[name].to_numpy() for name in counts.columns})

    @cached_property
    def n_monomorphic(self) -> int:
        """Variants of which founders have one allele only (or no genotype); reads the whole file once."""
        return int((~(self._counts[:, [0, 1]].any(axis=1) & self._counts[:, [1, 2]].any(axis=1))).sum())

    def frequencies(self) -> pd.DataFrame:
        """One row per variant: variant, allele_1, frequency (of allele_1 among founders), n_called, monomorphic.

        The frequency is nan where no founder has a genotype.
        """
        counts = self._counts
        called = counts.sum(axis=1)
        copies = 2 * counts[:, 0] + counts[:, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            frequency = copies / (2.0 * called)
        return pd.DataFrame(
            {
                "variant": self.variants["variant"].to_numpy(),
                "allele_1": self.variants["allele_1"].to_numpy(),
                "frequency": frequency,
                "n_called": called,
                "monomorphic": (copies == 0) | (copies == 2 * called),
            }
        )

    def genotypes(self, variants: Any = None) -> pd.DataFrame:
        """Copies of allele_1 that each person has, nan where the genotype is missing.

        Parameters
        ----------
        variants : sequence of str or frame, optional
            Ids, "chromosome:position:allele:allele", or a frame of summary
            statistics (whose effect alleles are then counted). All when omitted.

        Returns
        -------
        (n_samples, m) DataFrame
            Float32; one row per person, one column per variant.

        Raises
        ------
        SummaryStatisticsError
            A variant is not in the panel.
        """
        require("bed_reader", extra="omics")
        import bed_reader

        from dxa_causal.genotypes.matching import require_all

        if variants is None:
            names, place = self.variants["variant"].to_numpy(), np.arange(self.n_variants)
            turned = np.zeros(1, dtype=bool)
        else:
            found = require_all(self, variants)
            names, place, turned = found.names, found.place, found.turned
        bed = bed_reader.open_bed(
            _beside(self.prefix, "bed"), iid_count=self.n_samples, sid_count=self.n_variants, num_threads=1
        )
        codes = bed.read(index=(slice(None), place), dtype="int8")
        counts = codes.astype(np.float32)
        counts[codes < 0] = np.nan
        counts = np.where(turned, np.float32(2.0) - counts, counts)
        return pd.DataFrame(counts, index=self.people["person"].to_numpy(), columns=names)

    def planes(self, place: IntArray) -> npt.NDArray[np.uint64]:
        """Genotypes of founders as bits (`_kernels.bits.pack`), for variants by their place in the file."""
        from dxa_causal.genotypes._kernels import bits

        return bits.pack(self._bed[place], bits.people(self.founders))

    def blocks(self) -> Iterator[IntArray]:
        """Places of all variants, in pieces that are read at a time."""
        size = max(1, _BLOCK // max(1, self._bed.shape[1]))
        for start in range(0, self.n_variants, size):
            yield np.arange(start, min(start + size, self.n_variants))

    @cached_property
    def _counts(self) -> IntArray:
        """Founders with two, one and no copies of allele_1: (n_variants, 3)."""
        from dxa_causal.genotypes._kernels import bits

        pieces = [bits.count(self.planes(place)) for place in self.blocks()]
        return np.concatenate(pieces) if pieces else np.zeros((0, 3), dtype=np.int64)

    @cached_property
    def _bed(self) -> npt.NDArray[np.uint8]:
        """Rows of the bed file, mapped into memory."""
        shape = (self.n_variants, _row_bytes(self.n_samples))
        return np.memmap(_beside(self.prefix, "bed"), dtype=np.uint8, mode="r", offset=3, shape=shape)

    def __getstate__(self) -> dict[str, Any]:  # the map is opened anew where the panel arrives
        return {name: value for name, value in self.__dict__.items() if name != "_bed"}

    def __repr__(self) -> str:
        relatives = int((~self.founders).sum())
        return (
            f"Panel {self.prefix}: {self.n_variants:,} variants, {self.n_samples:,} people"
            f"{f' ({relatives:,} not founders)' if relatives else ''}, build {self.build or 'unknown'}"
        )


def read_panel(prefix: str | PathLike[str], *, build: str | None = None) -> Panel:
    r"""Open a reference panel: PREFIX.bed, PREFIX.bim and PREFIX.fam of plink 1.

    Parameters
    ----------
    prefix : path
        What the three names have in common; one of the three names will do.
    build : str, optional
        Genome build of its positions ("GRCh37", "hg38" ...). Clumping refuses a GWAS of another one.

    Returns
    -------
    Panel

    Raises
    ------
    SummaryStatisticsError
        A file is missing or damaged, or the sizes of the three do not agree.

    Notes
    -----
    Variants and people are read; genotypes stay in the file, mapped into
    memory, and are unpacked where they are needed. In the file each genotype
    has two bits; a variant of n people takes :math:`\lceil n / 4 \rceil` bytes.

    References
    ----------
    Chang CC et al. GigaScience 2015;4:7. doi:10.1186/s13742-015-0047-8

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "tiny"
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, 0b11100100]))
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n")
    ...     _ = prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    ...     panel = read_panel(prefix)
    ...     panel.n_variants, panel.n_samples, panel.genotypes(["rs1"])["rs1"].tolist()
    (1, 4, [2.0, nan, 1.0, 0.0])
    """
    stem = Path(prefix)
    if stem.suffix in (".bed", ".bim", ".fam"):
        stem = stem.with_suffix("")
    variants, people = read_bim(_beside(stem, "bim")), read_fam(_beside(stem, "fam"))
    _check_bed(stem, variants.height, people.height)
    return Panel(stem, variants, people, genome_build(build, "build"))


def as_panel(panel: Any) -> Panel:
    """The panel itself, or that at a path."""
    if isinstance(panel, Panel):
        return panel
    if isinstance(panel, str | PathLike):
        return read_panel(panel)
    raise SummaryStatisticsError(
        f"panel must be the prefix of bed, bim and fam files or what read_panel returned, not {type(panel).__name__}"
    )


def minor_frequency(panel: Panel) -> FloatArray:
    """Frequency of the rarer allele among founders; nan where none has a genotype."""
    frequency = panel.frequencies()["frequency"].to_numpy()
    return np.minimum(frequency, 1.0 - frequency)


def _beside(prefix: Path, ending: str) -> Path:
    """PREFIX.ending, where the prefix may itself hold dots."""
    return prefix.parent / f"{prefix.name}.{ending}"


def _row_bytes(n_samples: int) -> int:
    return -(-n_samples // 4)


def _check_bed(prefix: Path, n_variants: int, n_samples: int) -> None:
    path = _beside(prefix, "bed")
    if not path.is_file():
        raise SummaryStatisticsError(f"{path}: no such file; beside it are {prefix.name}.bim and {prefix.name}.fam")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(3)
    if not start:
        raise SummaryStatisticsError(f"{path}: the file is empty")
    if start[:2] != _MAGIC:
        raise SummaryStatisticsError(f"{path}: not a bed file of plink 1 (it starts with {start[:2].hex()}, not 6c1b)")
    if start[2:] != b"\x01":
        raise SummaryStatisticsError(
            f"{path}: its genotypes stand person by person; plink --make-bed writes them variant by variant"
        )
    expected = 3 + n_variants * _row_bytes(n_samples)
    if size != expected:
        raise SummaryStatisticsError(
            f"{path}: {size:,} bytes; {n_variants:,} variants ({prefix.name}.bim) of {n_samples:,} people "
            f"({prefix.name}.fam) take {expected:,}. {_which_is_wrong(size - 3, n_variants, n_samples)}"
        )


def _which_is_wrong(body: int, n_variants: int, n_samples: int) -> str:
    """What sizes would fit."""
    fits = []
    if n_samples and body % _row_bytes(n_samples) == 0:
        fits.append(f"{body // _row_bytes(n_samples):,} variants")
    if n_variants and body % n_variants == 0:
        per_variant = body // n_variants
        fits.append(f"{max(0, 4 * per_variant - 3):,} to {4 * per_variant:,} people")
    if fits:
        return f"It would fit {' or '.join(fits)}: the three files are not of one panel"
    return "The file is cut short" if body < n_variants * _row_bytes(n_samples) else "The file is too long"
