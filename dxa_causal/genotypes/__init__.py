"""Genetic variants: which allele an effect belongs to, and on which strand it was read."""

from dxa_causal.genotypes.alignment import Alignment, Alleles, align_alleles
from dxa_causal.genotypes.alleles import complement, is_palindromic

__all__ = ["Alignment", "Alleles", "align_alleles", "complement", "is_palindromic"]
