"""Scans shared by the tests of the imaging room."""

from pathlib import Path

import pytest

from dxa_causal import imaging, simulate

FOREARM = Path(__file__).parents[1] / "reference" / "forearm"


@pytest.fixture(scope="session")
def forearm_reference():
    """Folder of the two independent scans and their device's calibration."""
    return FOREARM


@pytest.fixture(scope="session")
def independent_calibration():
    return imaging.calibrate(
        wedge=FOREARM / "calibration" / "wedge_k_edge", phantom=FOREARM / "calibration" / "phantom_k_edge"
    )


@pytest.fixture(scope="session")
def calibrations():
    """Calibration of each simulated device."""
    return {
        device: imaging.calibrate(*simulate.calibration_scans(device=device, seed=1))
        for device in ("k_edge", "kvp_switch", "portable")
    }


@pytest.fixture
def scan_folder(tmp_path):
    """A simulated scan on disk."""
    simulate.forearm(1)[0].write(tmp_path / "scan")
    return tmp_path / "scan"
