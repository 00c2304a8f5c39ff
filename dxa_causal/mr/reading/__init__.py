"""Reading GWAS files."""

from dxa_causal.mr.reading.gwas import GWAS
from dxa_causal.mr.reading.read import read_gwas

__all__ = ["GWAS", "read_gwas"]
