"""Dual-energy forearm scans to bone, muscle and fat measurements with units and flags; quality control of a site."""

from dxa_causal.imaging.batches import Harmonisation, combat
from dxa_causal.imaging.calibrate import calibrate
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.cross_calibration import CrossCalibration, cross_calibrate
from dxa_causal.imaging.decomposition import TissueMaps, decompose
from dxa_causal.imaging.dicom import dicom_private_blocks
from dxa_causal.imaging.dictionary import feature_dictionary
from dxa_causal.imaging.drift import DriftResult, drift
from dxa_causal.imaging.extract import extract
from dxa_causal.imaging.features import features
from dxa_causal.imaging.precision import PrecisionResult, precision
from dxa_causal.imaging.radiograph import Radiograph, read_radiograph
from dxa_causal.imaging.read import ForearmScan, read
from dxa_causal.imaging.reference_values import (
    forget_references,
    register_reference,
    registered_references,
    t_score,
    z_score,
)
from dxa_causal.imaging.segmentation import Segmentation, segment
from dxa_causal.imaging.sheet import qc_sheet
from dxa_causal.imaging.show import show
from dxa_causal.imaging.stability import StabilityResult, stability

__all__ = [
    "Calibration",
    "CrossCalibration",
    "DriftResult",
    "ForearmScan",
    "Harmonisation",
    "PrecisionResult",
    "Radiograph",
    "Segmentation",
    "StabilityResult",
    "TissueMaps",
    "calibrate",
    "combat",
    "cross_calibrate",
    "decompose",
    "dicom_private_blocks",
    "drift",
    "extract",
    "feature_dictionary",
    "features",
    "forget_references",
    "precision",
    "qc_sheet",
    "read",
    "read_radiograph",
    "register_reference",
    "registered_references",
    "segment",
    "show",
    "stability",
    "t_score",
    "z_score",
]
