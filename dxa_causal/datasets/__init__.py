"""Data sets that ship with the package: real cohorts and GWAS summary statistics, each with a codebook."""

from dxa_causal.datasets.catalogue import describe, list, load, path

__all__ = ["describe", "list", "load", "path"]
