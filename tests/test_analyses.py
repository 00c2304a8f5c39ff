"""The studies give the numbers they promise."""

from pathlib import Path

import pandas as pd
import pytest

from dxa_causal import runner

ANALYSES = Path(__file__).parents[1] / "analyses"
# Sums inside BLAS and FFT come in another order on another machine; the scans pass through thresholds.
TOLERANCE = 1e-5

# Words of the report: every kind of block left something.
SHOWN = {
    "01_first_light": [
        "Participant flow",
        "Hazard ratios",
        "training_grip_love",
        "Wald ratio",
        "One scan of the cohort",
    ],
    "02_grip_and_mortality": [
        "only where time &gt; 2",
        "Proportional hazards",
        "gait_dose_curve",
        "not a straight line",
        "gait_subgroups_forest",
        "Cause-specific hazard ratios",
        "gait_incidence_gray",
        "Fine and Gray",
        "Mean time lived (RMST)",
    ],
    "03_interval_censored_onset": [
        "Turnbull",
        "interval-censored Cox",
        "onset_effects",
        "Aalen-Johansen, onset known (simulation)",
        "woman, weak grip",
        "Hazards of the three transitions",
    ],
    "04_mr_bmi_heart": ["STROBE-MR", "bmi_chd_funnel", "Weighted median", "InSIDE", "to be filled in by the authors"],
    "05_mr_bone_muscle": [
        "people of UK Biobank are in both studies",
        "MRlap",
        "clumping (r2 0.01",
        "SharedPeopleWarning",
        "STROBE-MR",
    ],
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("study", SHOWN)
def test_study(study, tmp_path):
    folder = ANALYSES / study
    result = runner.run(folder, out=tmp_path / "out", n_jobs=2)
    expected = sorted((folder / "expected").glob("*.csv"))
    assert expected
    for path in expected:
        got = pd.read_csv(result.out / "tables" / path.name)
        pd.testing.assert_frame_equal(got, pd.read_csv(path), rtol=TOLERANCE, obj=path.name)
    page = result.report.read_text("utf-8")
    for words in SHOWN[study]:
        assert words in page


def test_every_study_is_tested():
    assert {path.parent.name for path in ANALYSES.glob("*/study.toml")} == set(SHOWN)
