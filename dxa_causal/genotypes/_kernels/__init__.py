"""Numba kernels of the genotypes room: packed genotypes in, counts and correlations out."""

from dxa_causal.genotypes._kernels import bits, greedy, matrix, pairs

__all__ = ["bits", "greedy", "matrix", "pairs"]
