"""The programs of the simulation studies run; their results stand in docs/explanation/simulations.md."""

import numpy as np
import pandas as pd
import pytest

from tests.simulations.survival import STUDIES, Interval, line, simulate, summary


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_gives_one_full_row_per_interval_or_test(name):
    table = simulate(name, 2, truth_size=5000)
    assert set(table["runs"]) == {2}
    assert table["percent"].isin([0.0, 50.0, 100.0]).all()
    tests = name in ("ph-test", "logrank", "gray")
    assert (table[["bias", "sd", "mean_se"]].isna() if tests else np.isfinite(table[["bias", "sd", "mean_se"]])).all(
        None
    )
    assert (table["asked"] == ("4-6" if tests else "94-96")).any()
    for row in table.to_dict("records"):
        assert line(row).count("|") == 11


def test_how_runs_are_grouped_changes_nothing():
    one, four = (simulate("cox-plain", 4, block=block) for block in (1, 4))
    pd.testing.assert_frame_equal(one, four)


def test_a_summary_is_what_it_says():
    results = [Interval(error, 0.5, error < 0.3, (70.0, 80.0)) for error in (-0.1, 0.0, 0.1, 0.4)]
    row = summary("Cox: x", 100, results)
    assert row["bias"] == pytest.approx(0.1)
    assert row["sd"] == pytest.approx(np.std([-0.1, 0.0, 0.1, 0.4], ddof=1))
    assert row["percent"] == 75.0
    assert row["mc_se"] == pytest.approx(100 * np.sqrt(0.75 * 0.25 / 4))
    assert (row["asked"], row["met"]) == ("70-80", "yes")
