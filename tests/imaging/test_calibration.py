"""Calibration from wedge and phantom, and the solve it gives."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from dxa_causal import imaging, simulate
from dxa_causal._core.errors import ImageError
from dxa_causal.simulate._physics import ATTENUATION, DEVICES
from dxa_causal.simulate.calibration_scans import BINDER_PER_HA

# Single energies make the response linear; what remains is the noise of about 400 pixels a cell.
MONO_HA = 0.004  # g/cm2
MONO_SOFT = 0.06  # g/cm2 of lean and of fat, in about 4
POLY_HA = 0.01  # g/cm2, root mean square over the independent phantom: scatter and beam hardening


@pytest.mark.parametrize("device", sorted(DEVICES))
def test_known_masses_come_back(calibrations, device):
    ha, lean, fat = (a.ravel() for a in np.meshgrid([0.0, 0.3, 0.8], [1.5, 3.0, 5.0], [0.2, 1.0, 2.0]))
    low, high = (
        ATTENUATION[e]["ha"] * ha + ATTENUATION[e]["lean"] * lean + ATTENUATION[e]["fat"] * fat
        for e in DEVICES[device].energies_kev
    )
    found_ha, found_lean = calibrations[device].bone(low, high, fat)
    np.testing.assert_allclose(found_ha, ha, atol=MONO_HA)
    np.testing.assert_allclose(found_lean, lean - BINDER_PER_HA * ha, atol=MONO_SOFT)
    soft = ha == 0
    found_lean, found_fat = calibrations[device].soft(low[soft], high[soft])
    np.testing.assert_allclose(found_fat, fat[soft], atol=MONO_SOFT)
    np.testing.assert_allclose(found_lean, lean[soft], atol=MONO_SOFT)


def test_independent_device(independent_calibration):
    assert independent_calibration.device_id == "k_edge"
    assert independent_calibration.residual_ha < POLY_HA
    assert not independent_calibration.response.flags.writeable


def test_folder_and_memory_agree(tmp_path, calibrations):
    wedge, phantom = simulate.calibration_scans(device="k_edge", seed=1)
    wedge.write(tmp_path / "w")
    phantom.write(tmp_path / "p")
    from_files = imaging.calibrate(tmp_path / "w", tmp_path / "p")
    np.testing.assert_array_equal(from_files.response, calibrations["k_edge"].response)


def test_save_and_load_round_trip(tmp_path, calibrations):
    path = tmp_path / "cal.json"
    calibrations["portable"].save(path)
    loaded = imaging.Calibration.load(path)
    for name in ("response", "materials", "max_attenuation"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(calibrations["portable"], name))
    assert loaded.device_id == "portable"
    assert loaded.residual_ha == calibrations["portable"].residual_ha


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("{}", "is not a calibration file"),
        ('{"format": "dxa_causal forearm calibration 2"}', "is damaged: 'device_id'"),
        (
            '{"format": "dxa_causal forearm calibration 2", "device_id": "a", "response": [1, 2]}',
            r"is damaged: expected finite numbers of shape \(9, 2\)",
        ),
    ],
)
def test_other_files_are_not_loaded(tmp_path, text, message):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ImageError, match=message):
        imaging.Calibration.load(tmp_path / "c.json")
    with pytest.raises(ImageError, match="there is no such calibration file"):
        imaging.Calibration.load(tmp_path / "d.json")


def test_devices_are_not_mixed():
    wedge, _ = simulate.calibration_scans(device="k_edge", seed=1)
    _, phantom = simulate.calibration_scans(device="portable", seed=1)
    with pytest.raises(ImageError, match="wedge and phantom are of different devices: 'k_edge'.*'portable'"):
        imaging.calibrate(wedge, phantom)


def test_wedge_and_phantom_exchanged():
    wedge, phantom = simulate.calibration_scans(device="k_edge", seed=1)
    with pytest.raises(ImageError, match="steps.csv has no column 'al_mm', 'pmma_mm', 'pe_mm'"):
        imaging.calibrate(phantom, wedge)


def test_broken_step_lists_are_refused(tmp_path):
    wedge, phantom = simulate.calibration_scans(device="k_edge", seed=1)
    wedge.write(tmp_path / "w")
    phantom.write(tmp_path / "p")
    steps = pd.read_csv(tmp_path / "w" / "steps.csv")
    steps.assign(col1=steps["col1"] + 500).to_csv(tmp_path / "w" / "steps.csv", index=False)
    with pytest.raises(ImageError, match="leaves the .250, 200. image"):
        imaging.calibrate(tmp_path / "w", tmp_path / "p")
    steps.iloc[:5].to_csv(tmp_path / "w" / "steps.csv", index=False)
    with pytest.raises(ImageError, match="wedge has 5 cells, too few"):
        imaging.calibrate(tmp_path / "w", tmp_path / "p")
    (tmp_path / "w" / "steps.csv").unlink()
    with pytest.raises(ImageError, match="steps.csv is missing"):
        imaging.calibrate(tmp_path / "w", tmp_path / "p")


@pytest.mark.parametrize("side", [0, -6.0, "6 mm", True])
def test_the_side_of_a_beam_stop_is_a_length(forearm_reference, tmp_path, side):
    calibration = forearm_reference / "calibration"
    shutil.copytree(calibration / "phantom_k_edge", tmp_path / "p")
    meta = json.loads((tmp_path / "p" / "meta.json").read_text())
    (tmp_path / "p" / "meta.json").write_text(json.dumps({**meta, "beam_stop_mm": side}))
    with pytest.raises(ImageError, match="beam_stop_mm of meta.json is"):
        imaging.calibrate(calibration / "wedge_k_edge", tmp_path / "p")
