"""Clumps that were formed, and what became of every variant that was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal.genotypes.alleles import FloatArray, IntArray, TextArray
from dxa_causal.genotypes.columns import frame_of, names_at
from dxa_causal.genotypes.windows import like
from dxa_causal.results import Provenance, Result, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FATES = (
    "index",
    "clumped",
    "p above p1",
    "p missing",
    "not in the panel",
    "alleles differ",
    "monomorphic",
    "repeated",
    "HLA region",
)
_SHOWN = 10


def code_of(fate: str) -> int:
    """Place of a fate in `FATES`."""
    return FATES.index(fate)


@dataclass(frozen=True, eq=False, repr=False)
class ClumpResult(Result):
    """Independent variants and the clumps they stand for.

    Attributes
    ----------
    gwas : frame or GWAS
        As it was given.
    fate : (n,) ndarray of int
        What became of each row, as a place in `FATES`.
    owner : (n,) ndarray of int
        Row of the index variant; -1 for rows in no clump.
    r : (n,) ndarray
        Correlation with the index variant by the alleles of the panel; nan for rows in no clump.
    variant, chromosome : (n,) ndarray of str
    position, p_value, neg_log10_p : (n,) ndarray
    nobs : int
        Rows in clumps.
    """

    title: ClassVar[str] = "Clumping"

    gwas: Any
    fate: IntArray
    owner: IntArray
    r: FloatArray
    variant: TextArray
    chromosome: TextArray
    position: FloatArray
    p_value: FloatArray
    neg_log10_p: FloatArray
    nobs: int
    provenance: Provenance
    estimand: str = "variants that stand for independent signals"

    @property
    def kept(self) -> Any:
        """Rows of the index variants in their order in the data, of the kind that was given: ready to harmonise."""
        rows = np.flatnonzero(self.fate == code_of("index"))
        table = frame_of(self.gwas, "gwas")
        some = table[rows] if isinstance(table, pl.DataFrame) else table.iloc[rows]
        return like(self.gwas, some)

    def fates(self) -> pd.DataFrame:
        """One row per row given, in that order: variant, fate, index_variant (which took it), r2."""
        columns = {"variant": self.variant, "fate": np.array(FATES, dtype=object)[self.fate]}
        return pd.DataFrame({**columns, "index_variant": names_at(self.variant, self.owner), "r2": self.r**2})

    def counts(self) -> pd.DataFrame:
        """One row per fate: fate, n; they add up to the rows given."""
        n = np.bincount(self.fate, minlength=len(FATES))
        return pd.DataFrame({"fate": FATES, "n": n})

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per clump, the smallest p-value first: variant, chromosome, position, p_value, n_variants.

        `n_variants` counts the index variant too. Nothing is estimated: the
        arguments change nothing.
        """
        rows = np.flatnonzero(self.fate == code_of("index"))
        rows = rows[np.lexsort((rows, -self.neg_log10_p[rows], self.p_value[rows]))]
        members = np.bincount(self.owner[self.owner >= 0], minlength=self.fate.size)
        return pd.DataFrame(
            {
                "variant": self.variant[rows],
                "chromosome": self.chromosome[rows],
                "position": self.position[rows].astype(np.int64),
                "p_value": self.p_value[rows],
                "n_variants": members[rows],
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs (rows in clumps), n_clumps, n_variants (rows given)."""
        n_clumps = int((self.fate == code_of("index")).sum())
        return pd.DataFrame([{"nobs": self.nobs, "n_clumps": n_clumps, "n_variants": self.fate.size}])

    def summary(self, conf_level: float = 0.95) -> Summary:
        """The strongest clumps, the fates with their counts, and notes."""
        clumps, counts = self.tidy(), self.counts()
        return Summary(self.title, [clumps.head(_SHOWN), counts[counts["n"] > 0], self.glance()], self._notes())

    def plot(self, ax: Axes | None = None) -> Axes:
        """-log10 p by position, several chromosomes side by side; index variants stand out."""
        from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

        ax = new_axes(ax, width=8.0)
        there = np.isfinite(self.position) & ~np.isnan(self.neg_log10_p)
        where, ticks = _side_by_side(self.chromosome[there], self.position[there])
        height, fate = self.neg_log10_p[there], self.fate[there]
        top = float(height[np.isfinite(height)].max(initial=300.0 if np.isinf(height).any() else 0.0))
        height = np.minimum(height, 1.05 * top)  # p = 0 stands above all others
        for code, colour, size in ((None, "#CCCCCC", 4), ("clumped", GREY, 8), ("index", COLOURS[1], 22)):
            some = fate == code_of(code) if code else fate > 1
            if some.any():
                ax.scatter(
                    where[some],
                    height[some],
                    s=size,
                    color=colour,
                    label=code or "neither",
                    linewidths=0,
                    rasterized=True,
                )
        if len(ticks) == 1:
            ax.set_xlabel(f"position on chromosome {next(iter(ticks))} (million base pairs)")
        else:
            ax.set_xticks(list(ticks.values()), list(ticks), fontsize=7)
            ax.set_xlabel("chromosome")
        ax.set_ylabel("-log10 p")
        ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), markerscale=2.0)
        strip(ax)
        return ax

    def _notes(self) -> list[str]:
        lines = []
        if int((self.fate == code_of("index")).sum()) > _SHOWN:
            lines.append(f"the first {_SHOWN} clumps are shown; tidy() has all")
        return [*lines, *super()._notes()]


def _side_by_side(chromosome: TextArray, position: FloatArray) -> tuple[npt.NDArray[np.float64], dict[str, float]]:
    """Places on one axis, and where the name of each chromosome stands; million base pairs where there is only one."""
    names = sorted(set(chromosome.tolist()), key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0))
    if len(names) == 1:
        return position / 1e6, {names[0]: 0.0}
    where, ticks, start = np.zeros(position.size), {}, 0.0
    for name in names:
        here = chromosome == name
        low, high = position[here].min(), position[here].max()
        where[here] = start + position[here] - low
        ticks[name] = start + (high - low) / 2.0
        start += (high - low) * 1.02 + 1.0
    return where, ticks
