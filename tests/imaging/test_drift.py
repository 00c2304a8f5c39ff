"""Control charts: rules by hand, cumulative sums by the plain recursion, dates, drift per year."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import linregress

from dxa_causal import imaging
from dxa_causal._core.errors import MeasurementError, OptionError
from dxa_causal.imaging._kernels.control import cusum, sensitised_rules
from tests.simulations import densitometry


@pytest.fixture
def phantom():
    values = 1.0 + 0.004 * np.random.default_rng(5).standard_normal(90)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=90, freq="7D"), "ha": values})


def test_rules_by_hand():
    z = np.array([0, 2.5, 2.1, -0.5, 3.6, -0.6, 1.1, 1.2, 1.3, 1.4, -3.1] + [0.1] * 10 + [-0.1])
    found = {name: np.flatnonzero(hit).tolist() for name, hit in sensitised_rules(z).items()}
    assert found == {
        "3 SD": [4, 10], "2 in a row beyond 2 SD": [2], "step of 4 SD": [4, 5, 10],
        "4 in a row beyond 1 SD": [9], "10 in a row on one side": [20],
    }  # fmt: skip


def test_cusum_is_the_plain_recursion():
    rng = np.random.default_rng(2)
    for _ in range(50):
        z = rng.standard_normal(60) + (np.arange(60) >= 30)
        sums, total, alarm = [], 0.0, -1
        for i, value in enumerate(z):
            total = max(0.0, total + value - 0.5)
            sums.append(total)
            if total > 4 and alarm < 0:
                alarm = i
        found = cusum(z, 0.5, 4.0)
        np.testing.assert_allclose(found.sums, sums, atol=1e-12)
        assert found.alarm == alarm
        if alarm < 0:
            assert (found.start, np.isnan(found.size)) == (-1, True)
            continue
        # squared errors about a step, by brute force over its place
        steps = [max(np.mean(z[t : alarm + 1]), 0.0) for t in range(alarm + 1)]
        rest = [np.sum(z[:t] ** 2) + np.sum((z[t : alarm + 1] - steps[t]) ** 2) for t in range(alarm + 1)]
        assert found.start == np.argmin(rest)
        assert found.size == pytest.approx(steps[found.start])


def test_a_step_is_dated_and_sized(phantom):
    phantom.loc[60:, "ha"] -= 0.012
    found = imaging.drift(phantom)
    shift = found.shifts().iloc[0]
    assert "direction" in str(found.summary())
    assert shift["direction"] == "down"
    assert abs((shift["change"] - phantom["date"][60]).days) <= 14
    assert shift["change"] <= shift["alarm"]
    assert shift["percent"] == pytest.approx(-1.2, abs=0.4)
    assert found.glance()["n_flagged"][0] > 5


def test_slope_is_least_squares(phantom):
    found = imaging.drift(phantom.sample(frac=1, random_state=1))
    years = np.arange(90) * 7 / 365.25
    line = linregress(years, phantom["ha"])
    table = found.tidy().set_index("effect_measure")
    assert table.loc["per year", "estimate"] == pytest.approx(line.slope, rel=1e-9)
    assert table.loc["per year", "std_error"] == pytest.approx(line.stderr, rel=1e-9)
    assert table.loc["per year", "p_value"] == pytest.approx(line.pvalue, rel=1e-9)
    percent = 100 / phantom["ha"][:25].mean()
    assert table.loc["% per year", "conf_high"] == pytest.approx(table.loc["per year", "conf_high"] * percent)


def test_times_in_any_form(phantom):
    found = imaging.drift(phantom).chart()
    text = imaging.drift(phantom.assign(date=phantom["date"].astype(str)))
    pd.testing.assert_frame_equal(text.chart(), found, check_dtype=False)
    with_polars = imaging.drift(pl.from_pandas(phantom).with_columns(pl.col("date").cast(pl.Date)))
    pd.testing.assert_frame_equal(with_polars.chart(), found, check_dtype=False)
    zoned = imaging.drift(phantom.assign(date=phantom["date"].dt.tz_localize("Asia/Tokyo")))
    assert zoned.slope == pytest.approx(imaging.drift(phantom).slope, rel=1e-9)
    years = imaging.drift(phantom.assign(date=2024 + np.arange(90) * 7 / 365.25))
    assert years.slope == pytest.approx(imaging.drift(phantom).slope, rel=1e-6)


def test_chart_and_figures(phantom):
    phantom.loc[30, "ha"] = 1.05
    found = imaging.drift(phantom)
    chart = found.chart()
    assert chart.loc[30, "rules"].startswith("1.5 %; 3 SD")
    assert chart.loc[30, "percent"] > 4
    assert found.plot(chart="cusum").get_ylabel() == "Cumulative sum (SD)"
    assert len(found.plot().get_legend().get_texts()) >= 3
    with pytest.raises(OptionError, match="chart='c' is not allowed"):
        found.plot(chart="c")


def test_missing_scans_and_a_bad_baseline_are_noted(phantom):
    phantom.loc[[40, 41], "ha"] = np.nan
    phantom.loc[3, "ha"] = 1.1
    found = imaging.drift(phantom)
    assert found.provenance.n_dropped == 2
    assert any("was the baseline in control?" in note for note in found.provenance.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.head(25), "25 scans with a value of 'ha'; the baseline takes 25"),
        (lambda d: d.assign(ha=1.0), "all have 'ha' = 1; limits need values that vary"),
        (lambda d: d.assign(ha=-d["ha"]), "must be positive"),
        (lambda d: d.assign(date="2024-01-01"), "all 90 scans are of one time"),
        (lambda d: d.assign(date="soon"), "time='date' must hold dates .*'soon' in row 0"),
        (lambda d: d.assign(date="03/04/2024"), "time='date' must hold dates"),
        (lambda d: d.assign(date=np.arange(90) * 7.0), "holds numbers from 0 to 623; numbers are years"),
        (lambda d: d.assign(device_id=["a", "b"] * 45), r"names several devices \('a', 'b'\)"),
        (lambda d: d.assign(ha="1"), "column 'ha' must hold numbers"),
    ],
)
def test_refusals(phantom, change, message):
    with pytest.raises(MeasurementError, match=message):
        imaging.drift(change(phantom))


def test_refused_options(phantom):
    with pytest.raises(OptionError, match="baseline=5 must be a whole number, at least 10"):
        imaging.drift(phantom, baseline=5)
    with pytest.raises(OptionError, match="interval=-1 must be a positive number"):
        imaging.drift(phantom, interval=-1)


@pytest.mark.slow
def test_false_alarms_and_delays_are_those_documented():
    found = densitometry.drift(2000)
    assert found["baseline 25"] == pytest.approx(0.41, abs=0.04)
    assert found["true mean"] == pytest.approx(0.19, abs=0.03)
    assert found["slope"] == pytest.approx(0.95, abs=0.015)
    assert found["median delay"] <= 9
