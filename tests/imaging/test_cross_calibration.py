"""Lines between devices: published examples, brute force, coverage; Bland and Altman's own data."""

import itertools

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from dxa_causal import imaging
from dxa_causal._core.errors import MeasurementError, OptionError
from dxa_causal._core.warnings import CalibrationRangeWarning
from tests.simulations import densitometry

# Pearson 1901, whose line of closest fit is y = 5.784 - 0.5456 x
PEARSON_X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
PEARSON_Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
# Bland and Altman 1986, table: peak flow by a large and a mini meter, l/min, first readings
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(3)
    true = rng.normal(0.7, 0.1, 24)
    return true + 0.02 * rng.standard_normal(24), 0.05 + 1.1 * true + 0.03 * rng.standard_normal(24)


def terms(fit, **options):
    return fit.tidy(**options).set_index("term")


def test_pearsons_line():
    # mirrored, as two devices that measure the same rise together
    fit = imaging.cross_calibrate(PEARSON_X, -PEARSON_Y)
    assert fit.slope == pytest.approx(0.5456, abs=5e-5)
    assert fit.intercept == pytest.approx(-5.784, abs=5e-4)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
def test_deming_by_brute_force(pairs, ratio):
    x, y = pairs
    fit = imaging.cross_calibrate(x, y, error_ratio=ratio)

    def fitted(x, y):
        def squares(p):
            return np.sum((y - p[0] - p[1] * x) ** 2) / (ratio + p[1] ** 2)

        return minimize(squares, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-11, "fatol": 1e-16}).x

    np.testing.assert_allclose([fit.intercept, fit.slope], fitted(x, y), atol=1e-6)
    out = np.array([fitted(np.delete(x, i), np.delete(y, i)) for i in range(x.size)])
    error = np.sqrt((x.size - 1) / x.size * np.sum((out - out.mean(axis=0)) ** 2, axis=0))
    np.testing.assert_allclose([fit.intercept_se, fit.slope_se], error, rtol=1e-4)


def test_passing_bablok_by_brute_force(pairs):
    x, y = np.round(pairs[0], 2), np.round(pairs[1], 2)  # with ties
    fit = imaging.cross_calibrate(x, y, method="passing_bablok")
    slopes = []
    for i, j in itertools.combinations(range(x.size), 2):
        if x[i] == x[j]:
            if y[i] != y[j]:
                slopes.append(np.inf)
        elif (y[j] - y[i]) / (x[j] - x[i]) != -1:
            slopes.append((y[j] - y[i]) / (x[j] - x[i]))
    slopes = sorted(slopes)
    shift, n = sum(s < -1 for s in slopes), len(slopes)
    middle = slopes[(n - 1) // 2 + shift], slopes[n // 2 + shift]
    assert fit.slope == pytest.approx(np.mean(middle), rel=1e-12)
    reach = norm.ppf(0.975) * np.sqrt(x.size * (x.size - 1) * (2 * x.size + 5) / 18)
    first = round((n - reach) / 2)
    low, high = slopes[first + shift - 1], slopes[n - first + 1 + shift - 1]
    assert terms(fit).loc["slope", ["conf_low", "conf_high"]].tolist() == pytest.approx([low, high], rel=1e-12)
    assert terms(fit).loc["intercept", "conf_low"] == pytest.approx(np.median(y - high * x), abs=1e-12)
    assert terms(fit).loc["intercept", "conf_high"] == pytest.approx(np.median(y - low * x), abs=1e-12)
    assert fit.intercept == pytest.approx(np.median(y - fit.slope * x), abs=1e-12)


@pytest.mark.parametrize("method", ["deming", "passing_bablok"])
def test_devices_may_change_places(pairs, method):
    x, y = pairs
    there, back = (imaging.cross_calibrate(a, b, method=method) for a, b in ((x, y), (y, x)))
    assert there.slope * back.slope == pytest.approx(1, rel=2e-2 if method == "passing_bablok" else 1e-12)
    if method == "passing_bablok":
        low, high = terms(there).loc["slope", ["conf_low", "conf_high"]]
        again = terms(back).loc["slope", ["conf_high", "conf_low"]].to_numpy()
        np.testing.assert_allclose([low, high], 1 / again, rtol=1e-12)


def test_one_gross_error_moves_ranks_little(pairs):
    x, y = pairs[0], pairs[1].copy()
    y[0] += 5.0
    moved = [
        abs(imaging.cross_calibrate(x, y, method=m).slope - imaging.cross_calibrate(*pairs, method=m).slope)
        for m in ("deming", "passing_bablok")
        if m == "passing_bablok" or np.corrcoef(x, y)[0, 1] > 0
    ]
    assert moved[-1] < 0.1


def test_bland_and_altmans_own_data():
    table = imaging.cross_calibrate(MINI, LARGE).agreement().set_index("term")
    mean, low, high = (table.loc[t] for t in table.index)
    assert mean["estimate"] == pytest.approx(-2.1, abs=0.05)
    assert mean[["conf_low", "conf_high"]].tolist() == pytest.approx([-22.0, 17.8], abs=0.1)
    # the paper takes 2 SD for 1.96 and 3 s^2 / n for the variance of a limit
    assert (high["estimate"] - low["estimate"]) / 3.92 == pytest.approx(38.8, abs=0.05)
    assert low["estimate"] == pytest.approx(-79.7, abs=1.7)
    assert high["estimate"] == pytest.approx(75.5, abs=1.7)
    assert low["conf_low"] == pytest.approx(-114.3, abs=2)
    assert high["conf_high"] == pytest.approx(110.1, abs=2)


def test_apply(pairs):
    fit = imaging.cross_calibrate(*pairs)
    values = pd.Series([0.6, np.nan, 0.7], index=list("abc"), name="bmd")
    found = fit.apply(values)
    assert list(found.index) == list("abc")
    assert found.name == "bmd"
    assert found["a"] == fit.intercept + fit.slope * 0.6
    assert np.isnan(found["b"])
    np.testing.assert_array_equal(fit.apply([0.6, 0.7]), found.to_numpy()[[0, 2]])
    assert isinstance(fit.apply(0.6), float)
    with pytest.warns(CalibrationRangeWarning, match="1 of 2 values lie outside"):
        fit.apply([0.6, 2.0])


def test_pairs_left_out_and_noted(pairs):
    x = np.append(pairs[0], [np.nan, 0.5])
    y = np.append(pairs[1], [0.7, np.nan])
    fit = imaging.cross_calibrate(pl.Series(x), pd.Series(y))
    assert fit.slope == imaging.cross_calibrate(*pairs).slope
    assert (fit.nobs, fit.provenance.n_dropped) == (24, 2)
    assert any("ISCD asks for 30 subjects on both devices" in note for note in fit.provenance.notes)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: (x[:9], y[:9]), MeasurementError, "9 pairs without a missing value; .*at least 10"),
        (lambda x, y: (x, y[1:]), MeasurementError, "x has 24 values and y 23"),
        (lambda x, y: (x, -y), MeasurementError, "not positively associated"),
        (lambda x, y: (x, np.ones(24)), MeasurementError, "all values of y are 1"),
        (lambda x, y: (x.reshape(12, 2), y), MeasurementError, "x has 2 dimensions"),
        (lambda x, y: (list("abcdefghijkl"), y[:12]), MeasurementError, "x must hold numbers"),
        (lambda x, y: (np.append(x[1:], np.inf), y), MeasurementError, "x holds inf in row 23"),
    ],
)
def test_refusals(pairs, change, error, message):
    with pytest.raises(error, match=message):
        imaging.cross_calibrate(*change(*pairs))


def test_refused_options(pairs):
    with pytest.raises(OptionError, match="method='demming' is not allowed.*did you mean 'deming'"):
        imaging.cross_calibrate(*pairs, method="demming")
    for ratio in (0.0, -1.0, np.inf):
        with pytest.raises(OptionError, match="error_ratio=.* must be positive"):
            imaging.cross_calibrate(*pairs, error_ratio=ratio)


# Three Monte Carlo standard errors of 0.95, and the jackknife's 0.7 points of too few; 4000 runs found 0.942 to 0.950.
@pytest.mark.parametrize(("n_runs", "within"), [(200, 0.055), pytest.param(2000, 0.022, marks=pytest.mark.slow)])
def test_coverage(n_runs, within):
    found = densitometry.cross_calibration(n_runs)
    for name, value in found.items():
        if "mean" in name:
            assert value == pytest.approx(1.1, abs=0.02), name
        else:
            assert abs(value - 0.95) < within, (name, value)
