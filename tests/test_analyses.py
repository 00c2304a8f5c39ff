"""The studies give the numbers they promise."""

from pathlib import Path

import pandas as pd
import pytest

from dxa_causal import runner

STUDY = Path(__file__).parents[1] / "analyses" / "01_first_light"
# Sums inside BLAS and FFT come in another order on another machine; the scans pass through thresholds.
TOLERANCE = 1e-5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_first_light(tmp_path):
    result = runner.run(STUDY, out=tmp_path / "out", n_jobs=2)
    expected = sorted((STUDY / "expected").glob("*.csv"))
    assert expected
    for path in expected:
        got = pd.read_csv(result.out / "tables" / path.name)
        pd.testing.assert_frame_equal(got, pd.read_csv(path), rtol=TOLERANCE, obj=path.name)
    page = result.report.read_text("utf-8")
    for words in ("Participant flow", "Hazard ratios", "training_grip_love", "Wald ratio", "One scan of the cohort"):
        assert words in page
