"""Mendelian randomisation with summary statistics: harmonise two GWAS files, estimate, question the estimate."""

from dxa_causal.mr.estimates import MREstimates, estimate
from dxa_causal.mr.harmonise import harmonise
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.heterogeneity import heterogeneity, pleiotropy
from dxa_causal.mr.opengwas import opengwas_associations, opengwas_instruments
from dxa_causal.mr.single import single_variant

__all__ = [
    "Harmonised",
    "MREstimates",
    "estimate",
    "harmonise",
    "heterogeneity",
    "opengwas_associations",
    "opengwas_instruments",
    "pleiotropy",
    "single_variant",
]
