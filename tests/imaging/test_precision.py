"""Precision and stability: by hand, published tables, coverage."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import chi2

from dxa_causal import imaging
from dxa_causal._core.errors import (
    ColumnNotFoundError,
    EmptyDataError,
    MeasurementError,
    MissingDataError,
    OptionError,
)
from tests.simulations import densitometry

EXACT = 1e-12


@pytest.fixture
def scans():
    """Subjects a to c twice or three times on device 1, d once; a twice on device 2."""
    return pd.DataFrame(
        {
            "subject_id": list("aabbcccdaa"),
            "device_id": ["1"] * 8 + ["2"] * 2,
            "bmd": [0.70, 0.72, 0.61, 0.60, 0.80, 0.82, 0.81, 0.9, 0.75, 0.76],
        },
        index=range(100, 110),
    )


def line(found, device="1", metric="rms_sd", term="bmd", **options):
    table = found.tidy(**options)
    return table[(table["group"] == device) & (table["metric"] == metric) & (table["term"] == term)].iloc[0]


def test_by_hand(scans):
    found = imaging.precision(scans, ["bmd"])
    variance = np.array([0.02**2 / 2, 0.01**2 / 2, 0.01**2])
    row = line(found)
    assert row["estimate"] == pytest.approx(np.sqrt(variance.mean()), rel=EXACT)
    assert row["df"] == pytest.approx(9 / (1 + 1 + 1 / 2))
    assert row["n"] == 3
    assert row["conf_low"] == pytest.approx(np.sqrt(row["df"] * variance.mean() / chi2.ppf(0.975, row["df"])))
    assert row["conf_high"] == pytest.approx(np.sqrt(row["df"] * variance.mean() / chi2.ppf(0.025, row["df"])))
    cv = np.sqrt(variance) / np.array([0.71, 0.605, 0.81])
    assert line(found, metric="cv_percent")["estimate"] == pytest.approx(100 * np.sqrt(np.mean(cv**2)), rel=EXACT)
    lsc = line(found, metric="lsc")
    assert lsc["estimate"] == pytest.approx(2.77 * row["estimate"])
    assert lsc["conf_high"] == pytest.approx(2.77 * row["conf_high"])
    assert line(found, device="2")["df"] == 1
    assert found.nobs == 9
    assert "device 1, bmd: 1 subjects with one scan left out" in found.provenance.notes
    assert any("ISCD asks for 30 subjects" in note for note in found.provenance.notes)


@pytest.mark.parametrize(("people", "times"), [(30, 2), (15, 3)])
def test_iscd_designs_have_thirty_degrees_of_freedom(people, times):
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(people), times)
    found = imaging.precision(
        pd.DataFrame({"subject_id": person, "x": rng.normal(5, 1, person.size)}), "x", device=None
    )
    assert found.df.tolist() == [30.0]
    assert not found.provenance.notes
    # the factors of ISCD's tables for 30 degrees of freedom
    assert line(found, device="all", term="x")["conf_high"] / found.rms_sd[0] == pytest.approx(1.337, abs=0.001)


def test_level_of_the_limits(scans):
    found = imaging.precision(scans, ["bmd"], conf_level=0.8)
    pd.testing.assert_frame_equal(found.tidy(), found.tidy(conf_level=0.8))
    assert line(found, conf_level=0.95)["conf_low"] < line(found)["conf_low"]
    with pytest.raises(OptionError, match="conf_level=2"):
        imaging.precision(scans, ["bmd"], conf_level=2)


def test_polars_order_and_missing_values(scans):
    found = imaging.precision(scans, ["bmd"])
    pd.testing.assert_frame_equal(imaging.precision(pl.from_pandas(scans), ["bmd"]).tidy(), found.tidy())
    shuffled = imaging.precision(scans.iloc[::-1], ["bmd"])
    assert line(shuffled)["estimate"] == pytest.approx(line(found)["estimate"], rel=EXACT)
    without = scans.assign(bmd=scans["bmd"].where(scans.index != 106))
    assert line(imaging.precision(without, ["bmd"]))["df"] == 3
    assert "bmd: 1 rows without a value" in imaging.precision(without, ["bmd"]).provenance.notes


def test_what_has_no_value_says_why(scans):
    found = imaging.precision(scans.assign(other=np.where(scans["device_id"] == "1", -1.0, np.nan)), ["bmd", "other"])
    assert line(found, term="other", metric="cv_percent")["reason"] == "a subject's mean is not positive"
    assert line(found, "2", term="other")["reason"] == "no subject was scanned twice"
    assert line(found)["reason"] == ""


def test_changes(scans):
    found = imaging.precision(scans, ["bmd"])
    before = pd.DataFrame({"subject_id": list("abcdef"), "device_id": list("111113"), "bmd": 0.7})
    after = pd.DataFrame(
        {"subject_id": list("abcdgf"), "device_id": list("111213"), "bmd": [0.66, 0.69, np.nan, 0.5, 0.7, 0.1]}
    )
    table = found.changed(before, after).set_index("subject")
    assert table.loc["a", "exceeds"] is np.True_ or table.loc["a", "exceeds"] is True
    assert not table.loc["b", "exceeds"]
    assert table.loc["a", "change"] == pytest.approx(-0.04)
    assert table["exceeds"].isna().sum() == 5
    assert table.loc[list("cdegf"), "reason"].tolist() == [
        "no value after", "another device", "no value after", "no value before", "no precision of this device",
    ]  # fmt: skip
    with pytest.raises(MeasurementError, match="before has subjects like 'a', after like 0: are they of one type"):
        found.changed(before, after.assign(subject_id=range(6)))
    with pytest.raises(MeasurementError, match=r"before: subject 'a' stands in two rows, the second 101.*allowed"):
        found.changed(scans, after)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.drop(columns="bmd"), ColumnNotFoundError, "features: no column 'bmd'"),
        (lambda d: d.drop(columns="device_id"), ColumnNotFoundError, "device: no column 'device_id'"),
        (lambda d: d.assign(bmd="0.7"), MeasurementError, "column 'bmd' must hold numbers.*'0.7' in row 100"),
        (lambda d: d.assign(bmd=True), MeasurementError, "column 'bmd' must hold numbers"),
        (lambda d: d.assign(bmd=np.inf), MeasurementError, "'bmd' holds inf in row 100; allowed are finite"),
        (lambda d: d.assign(subject_id=None), MissingDataError, "subject='subject_id' is missing in 10 rows"),
        (lambda d: d.assign(subject_id=range(10)), MeasurementError, "needs repeated scans"),
        (lambda d: d.iloc[:0], EmptyDataError, "no rows"),
    ],
)
def test_refusals(scans, change, error, message):
    with pytest.raises(error, match=message):
        imaging.precision(change(scans), ["bmd"])


def test_no_features(scans):
    for nothing in ([], 5, [None]):
        with pytest.raises(OptionError, match="features=.* names no column"):
            imaging.precision(scans, nothing)
    with pytest.raises(
        OptionError, match="column 'subject_id' is named twice; subject, device and features must differ"
    ):
        imaging.precision(scans, ["subject_id", "bmd"])


def test_shrout_and_fleiss():
    """Table 2 and 4 of Shrout and Fleiss 1979: ICC(2,1) = .29; McGraw and Wong's limits .02 and .76."""
    judged = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    frame = pd.DataFrame(
        {"subject_id": np.repeat(range(6), 4), "repeat": np.tile(range(4), 6), "score": np.ravel(judged)}
    )
    found = imaging.stability(frame.sample(frac=1, random_state=1), ["score"])
    row = found.tidy().iloc[0]
    assert row["estimate"] == pytest.approx(0.2897638, abs=1e-7)
    assert row["conf_low"] == pytest.approx(0.0188, abs=5e-5)
    assert row["conf_high"] == pytest.approx(0.7611, abs=5e-5)
    part = found.parts[0]
    assert (part.subjects, part.repeats) == (pytest.approx(11.24, abs=0.005), pytest.approx(32.49, abs=0.005))
    assert part.residual == pytest.approx(1.02, abs=0.005)


def test_stability_leaves_incomplete_subjects_out():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"subject_id": np.repeat(range(12), 2), "repeat": np.tile([1, 2], 12)})
    frame["x"] = rng.normal(size=12)[frame["subject_id"]] + 0.1 * rng.normal(size=24)
    gaps = frame.assign(x=frame["x"].where(frame.index != 3)).drop(index=[8])
    found = imaging.stability(gaps, ["x"])
    whole = imaging.stability(frame[~frame["subject_id"].isin([1, 4])], ["x"])
    pd.testing.assert_frame_equal(found.tidy(), whole.tidy())
    assert found.n_left_out == (2,)
    assert "x: 2 subjects without a value at every repeat left out" in found.provenance.notes
    assert imaging.stability(frame.assign(x=1.0), ["x"]).tidy()["reason"].tolist() == ["all values are the same"]


def test_stability_refusals():
    frame = pd.DataFrame({"subject_id": [1, 1, 2, 2], "repeat": [1, 2, 1, 2], "x": [1.0, 2, 3, 4]})
    with pytest.raises(MeasurementError, match="'x' has 2 subjects with a value at each of the 2 repeats"):
        imaging.stability(frame, ["x"])
    with pytest.raises(MeasurementError, match="at least two repeats"):
        imaging.stability(frame.iloc[::2], ["x"])
    with pytest.raises(MeasurementError, match="subject 1 has two rows of repeat 1, the second 1"):
        imaging.stability(frame.assign(repeat=1), ["x"])


# Three Monte Carlo standard errors of 0.95 beside the nominal level: 300 runs 0.038, 4000 runs 0.010.
@pytest.mark.parametrize(("n_runs", "within"), [(300, 0.038), pytest.param(4000, 0.012, marks=pytest.mark.slow)])
def test_coverage(n_runs, within):
    held = densitometry.precision(n_runs) | densitometry.stability(n_runs)
    assert all(abs(share - 0.95) < within for share in held.values()), held
