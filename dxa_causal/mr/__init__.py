"""Mendelian randomisation with summary statistics: harmonise two GWAS files, estimate, question the estimate."""

from dxa_causal.genotypes import clump
from dxa_causal.mr.assumptions import assumptions
from dxa_causal.mr.bidirectional import BidirectionalEstimates, bidirectional
from dxa_causal.mr.doubt.clusters import ClustersResult, clusters
from dxa_causal.mr.doubt.cooks import cooks_distance
from dxa_causal.mr.doubt.leave_one_out import leave_one_out
from dxa_causal.mr.doubt.negative_controls import NegativeControlsResult, negative_controls
from dxa_causal.mr.doubt.presso import PressoResult, presso
from dxa_causal.mr.doubt.radial import RadialResult, radial
from dxa_causal.mr.doubt.rucker import RuckerResult, rucker
from dxa_causal.mr.doubt.simex import SimexResult, simex
from dxa_causal.mr.estimates import MREstimates, estimate
from dxa_causal.mr.harmonise import harmonise
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.heterogeneity import heterogeneity, pleiotropy
from dxa_causal.mr.locus.coloc import ColocResult, coloc_abf
from dxa_causal.mr.locus.coloc_susie import ColocSusieResult, coloc_susie
from dxa_causal.mr.locus.finemap import FinemapResult, finemap_abf
from dxa_causal.mr.locus.hyprcoloc import HyprColocResult, TraitCluster, hyprcoloc
from dxa_causal.mr.locus.ld_check import LDCheck, ld_check
from dxa_causal.mr.locus.smr import SmrResult, smr
from dxa_causal.mr.locus.susie import susie
from dxa_causal.mr.locus.susie_result import CredibleSet, SusieResult
from dxa_causal.mr.locus.trait import LocusTrait, locus_data
from dxa_causal.mr.mediation import MediationEstimates, mediation
from dxa_causal.mr.multivariable.estimates import MVMREstimates, mvmr
from dxa_causal.mr.multivariable.harmonise import harmonise_exposures
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.mr.multivariable.presso import MVPressoResult
from dxa_causal.mr.multivariable.strength import conditional_f, q_a
from dxa_causal.mr.opengwas import opengwas_associations, opengwas_instruments
from dxa_causal.mr.power import detectable_effect, power
from dxa_causal.mr.reading import GWAS, read_gwas
from dxa_causal.mr.scanning.result import ScanResult
from dxa_causal.mr.scanning.scan import scan
from dxa_causal.mr.single import single_variant
from dxa_causal.mr.steiger import SteigerTest, steiger, steiger_filter
from dxa_causal.mr.strength import InstrumentStrength, strength
from dxa_causal.mr.univariable.constrained import cml
from dxa_causal.mr.univariable.debiased import divw, pivw
from dxa_causal.mr.univariable.joint import clr, pc_gmm
from dxa_causal.mr.univariable.lasso import lasso
from dxa_causal.mr.univariable.likelihood import maxlik
from dxa_causal.mr.univariable.mixture import conmix, hetpen
from dxa_causal.mr.univariable.modes import mode
from dxa_causal.mr.univariable.options import egger, ivw, median
from dxa_causal.mr.univariable.raps import raps
from dxa_causal.mr.variance import CaseControl

__all__ = [
    "BidirectionalEstimates",
    "CaseControl",
    "ClustersResult",
    "ColocResult",
    "ColocSusieResult",
    "CredibleSet",
    "FinemapResult",
    "GWAS",
    "Harmonised",
    "HyprColocResult",
    "InstrumentStrength",
    "LDCheck",
    "LocusTrait",
    "MREstimates",
    "MVMREstimates",
    "MVPressoResult",
    "MediationEstimates",
    "MultivariableHarmonised",
    "NegativeControlsResult",
    "PressoResult",
    "RadialResult",
    "RuckerResult",
    "ScanResult",
    "SimexResult",
    "SmrResult",
    "SteigerTest",
    "SusieResult",
    "TraitCluster",
    "assumptions",
    "bidirectional",
    "clr",
    "clump",
    "clusters",
    "cml",
    "coloc_abf",
    "coloc_susie",
    "conditional_f",
    "conmix",
    "cooks_distance",
    "detectable_effect",
    "divw",
    "egger",
    "estimate",
    "finemap_abf",
    "harmonise",
    "harmonise_exposures",
    "heterogeneity",
    "hetpen",
    "hyprcoloc",
    "ivw",
    "lasso",
    "ld_check",
    "leave_one_out",
    "locus_data",
    "maxlik",
    "median",
    "mediation",
    "mode",
    "mvmr",
    "negative_controls",
    "opengwas_associations",
    "opengwas_instruments",
    "pc_gmm",
    "pivw",
    "pleiotropy",
    "power",
    "presso",
    "q_a",
    "radial",
    "raps",
    "read_gwas",
    "rucker",
    "scan",
    "simex",
    "single_variant",
    "smr",
    "steiger",
    "steiger_filter",
    "strength",
    "susie",
]
