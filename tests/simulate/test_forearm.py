"""The simulated forearm: truth, knobs, files, determinism."""

import json
import math

import numpy as np
import pytest
import tifffile

from dxa_causal._core.errors import OptionError
from dxa_causal.simulate import calibration_scans, forearm
from dxa_causal.simulate._physics import ATTENUATION, DEVICES, device_named, expose

SEGMENTATION_OF_GRID = 0.01  # a wall of 2 mm on a grid of 0.3 mm: mineral follows bone_scale to 1 %


def test_the_same_seed_gives_the_same_scan_and_another_does_not():
    first, truth = forearm(4)
    again, same = forearm(4)
    other, _ = forearm(5)
    assert np.array_equal(first.low, again.low)
    assert np.array_equal(first.high, again.high)
    assert dict(truth) == dict(same)
    assert not np.array_equal(first.low, other.low)


def test_a_generator_serves_as_seed():
    assert np.array_equal(forearm(np.random.default_rng(4))[0].low, forearm(4)[0].low)


@pytest.mark.parametrize("device", sorted(DEVICES))
def test_counts_look_like_a_scan(device):
    scan, truth = forearm(2, device=device)
    assert scan.low.dtype == scan.high.dtype == np.uint16
    assert scan.low.shape == DEVICES[device].shape
    assert np.median(scan.low[:, :5]) == pytest.approx(50_000, rel=0.01)
    assert scan.low.min() < scan.high.min()
    assert not scan.low.flags.writeable
    assert truth["radius_third_bmd"] == pytest.approx(truth["radius_third_bmc"] / truth["radius_third_area"])
    assert all(math.isfinite(v) for v in truth.values())


def test_bone_scale_moves_mineral_and_nothing_else():
    _, one = forearm(3)
    _, less = forearm(3, bone_scale=0.7)
    assert less["radius_third_bmd"] / one["radius_third_bmd"] == pytest.approx(0.7, rel=SEGMENTATION_OF_GRID)
    assert less["radius_third_area"] == one["radius_third_area"]
    assert less["forearm_width"] == one["forearm_width"]


def test_soft_tissue_knobs_move_what_they_name():
    _, base = forearm(3, muscle_fat=0.05, subcutaneous_mm=3.0)
    _, fat = forearm(3, muscle_fat=0.20, subcutaneous_mm=3.0)
    _, thick = forearm(3, muscle_fat=0.05, subcutaneous_mm=8.0)
    _, muscular = forearm(3, muscle_fat=0.05, subcutaneous_mm=3.0, muscle_scale=1.3)
    assert fat["soft_fat_fraction"] > base["soft_fat_fraction"] + 0.05
    assert thick["forearm_width"] == pytest.approx(base["forearm_width"] + 10.0, abs=0.5)
    assert muscular["forearm_width"] > base["forearm_width"] + 5.0
    assert muscular["soft_fat_fraction"] < base["soft_fat_fraction"]
    assert {base["radius_third_bmd"]} == {other["radius_third_bmd"] for other in (fat, thick, muscular)}


def test_mineral_falls_with_age_and_men_have_more():
    bmd = {(age, sex): forearm(1, age=age, sex=sex)[1]["radius_third_bmd"] for age in (40, 70, 85) for sex in "FM"}
    assert bmd[40, "F"] > bmd[70, "F"] > bmd[85, "F"]
    assert bmd[40, "M"] > bmd[70, "M"] > bmd[70, "F"]


def test_a_left_arm_is_the_mirror_image_with_the_same_truth():
    right, truth = forearm(6)
    left, mirrored = forearm(6, laterality="L")
    assert np.array_equal(left.low, right.low[:, ::-1])
    assert left.meta["laterality"] == "L"
    assert dict(truth) == dict(mirrored)


def test_expose_is_beer_lambert():
    device = device_named("k_edge")
    masses = {"ha": np.full((60, 60), 0.5), "lean": np.full((60, 60), 3.0)}
    low, high = expose(masses, device, np.random.default_rng(0))
    for image, energy in ((low, 38), (high, 70)):
        table = ATTENUATION[energy]
        expected = 50_000 * math.exp(-0.5 * table["ha"] - 3.0 * table["lean"])
        # 3600 pixels of about 1e4 to 5e4 quanta: the mean is known to 0.02 %
        assert image.mean() == pytest.approx(expected, rel=1e-3)


def test_write_makes_a_whole_folder(tmp_path):
    scan, _ = forearm(1)
    scan.write(tmp_path / "a")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["high.tif", "low.tif", "meta.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert np.array_equal(tifffile.imread(tmp_path / "a" / "low.tif"), scan.low)
    assert json.loads((tmp_path / "a" / "meta.json").read_text())["spacing_mm"] == [0.6, 0.6]


def test_calibration_scans_name_their_cells(tmp_path):
    wedge, phantom = calibration_scans(device="portable", seed=3)
    again, _ = calibration_scans(device="portable", seed=3)
    assert np.array_equal(wedge.low, again.low)
    row0, row1, col0, col1 = wedge.steps.loc[0, ["row0", "row1", "col0", "col1"]].astype(int)
    assert wedge.low[row0:row1, col0:col1].mean() == pytest.approx(50_000, rel=0.01)
    phantom.write(tmp_path / "phantom")
    header = (tmp_path / "phantom" / "steps.csv").read_text().splitlines()[0]
    assert header == "cell,row0,row1,col0,col1,ha_g_cm2,ha_binder_g_cm2,lean_eq_mm,fat_eq_mm,water_mm"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "kedge"}, "device='kedge' is not allowed.*did you mean 'k_edge'"),
        ({"sex": "female"}, "sex='female' is not allowed; use 'F' or 'M'"),
        ({"age": 5}, "age=5 must lie between 18 and 110"),
        ({"bone_scale": 0.0}, "bone_scale=0.0 must lie between 0.2 and 2"),
        ({"height_cm": 1.7}, "height_cm=1.7 must lie between 120 and 220"),
        ({"bmi": math.nan}, "bmi=nan must lie between"),
        ({"laterality": "left"}, "laterality='left'"),
    ],
)
def test_impossible_people_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        forearm(1, **options)


def test_a_person_can_be_scanned_again():
    first, truth = forearm(4)
    again, truth_again = forearm(4, repeat=1)
    assert (again.meta["subject_id"], again.meta["scan_id"]) == ("sim_4", "sim_4_1")
    assert truth_again["radius_third_bmd"] == pytest.approx(truth["radius_third_bmd"], rel=0.02)
    assert truth_again["soft_fat_fraction"] == pytest.approx(truth["soft_fat_fraction"], abs=0.01)
    assert truth_again["ulna_styloid_row"] != truth["ulna_styloid_row"]
    assert not np.array_equal(first.low, again.low)
    np.testing.assert_array_equal(forearm(4, repeat=1)[0].low, again.low)
    with pytest.raises(OptionError, match="needs a whole number as seed"):
        forearm(np.random.default_rng(1), repeat=1)
