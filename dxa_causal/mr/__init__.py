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
from dxa_causal.mr.models.cause import CauseResult, cause
from dxa_causal.mr.models.grapple import GrappleResult, grapple
from dxa_causal.mr.models.mr_bma import BmaResult, bma
from dxa_causal.mr.models.mrmix import MixResult, mix
from dxa_causal.mr.models.nonlinear import NonlinearResult, nonlinear
from dxa_causal.mr.multivariable.estimates import MVMREstimates, mvmr
from dxa_causal.mr.multivariable.harmonise import harmonise_exposures
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.mr.multivariable.presso import MVPressoResult
from dxa_causal.mr.multivariable.strength import conditional_f, q_a
from dxa_causal.mr.opengwas import opengwas_associations, opengwas_instruments
from dxa_causal.mr.power import detectable_effect, power
from dxa_causal.mr.reading import GWAS, read_gwas
from dxa_causal.mr.sample_overlap.ldsc import OverlapResult, overlap
from dxa_causal.mr.sample_overlap.ldscores import LDScores, read_ldscores
from dxa_causal.mr.sample_overlap.mrlap import OverlapCorrection, overlap_correction
from dxa_causal.mr.sample_overlap.three_sample import ThreeSampleDesign, three_sample
from dxa_causal.mr.sample_overlap.winners_curse import ShrunkEffects, shrink
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
    "BmaResult",
    "CaseControl",
    "CauseResult",
    "ClustersResult",
    "ColocResult",
    "ColocSusieResult",
    "CredibleSet",
    "FinemapResult",
    "GWAS",
    "GrappleResult",
    "Harmonised",
    "HyprColocResult",
    "InstrumentStrength",
    "LDCheck",
    "LDScores",
    "LocusTrait",
    "MREstimates",
    "MVMREstimates",
    "MVPressoResult",
    "MediationEstimates",
    "MixResult",
    "MultivariableHarmonised",
    "NegativeControlsResult",
    "NonlinearResult",
    "OverlapCorrection",
    "OverlapResult",
    "PressoResult",
    "RadialResult",
    "RuckerResult",
    "ScanResult",
    "ShrunkEffects",
    "SimexResult",
    "SmrResult",
    "SteigerTest",
    "SusieResult",
    "ThreeSampleDesign",
    "TraitCluster",
    "assumptions",
    "bidirectional",
    "bma",
    "cause",
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
    "grapple",
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
    "mix",
    "mode",
    "mvmr",
    "negative_controls",
    "nonlinear",
    "opengwas_associations",
    "opengwas_instruments",
    "overlap",
    "overlap_correction",
    "pc_gmm",
    "pivw",
    "pleiotropy",
    "power",
    "presso",
    "q_a",
    "radial",
    "raps",
    "read_gwas",
    "read_ldscores",
    "rucker",
    "scan",
    "shrink",
    "simex",
    "single_variant",
    "smr",
    "steiger",
    "steiger_filter",
    "strength",
    "susie",
    "three_sample",
]
