"""Dual-energy forearm scans to bone, muscle and fat measurements with units and flags."""

from dxa_causal.imaging.calibrate import calibrate
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import TissueMaps, decompose
from dxa_causal.imaging.dicom import dicom_private_blocks
from dxa_causal.imaging.dictionary import feature_dictionary
from dxa_causal.imaging.extract import extract
from dxa_causal.imaging.features import features
from dxa_causal.imaging.radiograph import Radiograph, read_radiograph
from dxa_causal.imaging.read import ForearmScan, read
from dxa_causal.imaging.segmentation import Segmentation, segment
from dxa_causal.imaging.show import show

__all__ = [
    "Calibration",
    "ForearmScan",
    "Radiograph",
    "Segmentation",
    "TissueMaps",
    "calibrate",
    "decompose",
    "dicom_private_blocks",
    "extract",
    "feature_dictionary",
    "features",
    "read",
    "read_radiograph",
    "segment",
    "show",
]
