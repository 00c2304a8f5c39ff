"""Genetic variants: alleles and strands, reference panels, linkage disequilibrium, clumping, proxies."""

from dxa_causal.genotypes.alignment import Alignment, Alleles, align_alleles
from dxa_causal.genotypes.alleles import complement, is_palindromic
from dxa_causal.genotypes.clump_result import ClumpResult
from dxa_causal.genotypes.clumping import clump
from dxa_causal.genotypes.ld import ld
from dxa_causal.genotypes.matching import match
from dxa_causal.genotypes.panel import Panel, read_panel
from dxa_causal.genotypes.proxies import proxies
from dxa_causal.genotypes.pruning import prune
from dxa_causal.genotypes.windows import cis_window

__all__ = [
    "Alignment",
    "Alleles",
    "ClumpResult",
    "Panel",
    "align_alleles",
    "cis_window",
    "clump",
    "complement",
    "is_palindromic",
    "ld",
    "match",
    "proxies",
    "prune",
    "read_panel",
]
