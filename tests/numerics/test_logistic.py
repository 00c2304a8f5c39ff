"""Logistic regression: R's glm, closed forms, separation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal._numerics.logistic import fit_logistic

NHEFS = Path(__file__).parents[1] / "reference" / "propensity" / "nhefs.csv"
# Both programs iterate to rounding; coefficients of age and age**2 lose some
# digits in R, whose steps are taken in the raw covariates.
ROUNDING = 1e-9
# R's covariance is that of its last but one iterate.
COVARIANCE = 1e-7


@pytest.fixture(scope="module")
def nhefs():
    frame = pd.read_csv(NHEFS)
    return frame[frame["wt82_71"].notna()]


@pytest.fixture(scope="module")
def expected(reference):
    return reference("propensity/logistic.json")


def agrees(fit, case):
    assert fit.converged
    np.testing.assert_allclose(fit.coefficients, case["coefficients"], rtol=ROUNDING)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), case["std_error"], rtol=COVARIANCE)
    np.testing.assert_allclose(fit.log_likelihood, case["log_likelihood"], rtol=1e-13)


def whatif_matrix(d):
    square = [d["age"], d["smokeintensity"], d["smokeyrs"], d["wt71"]]
    levels = {name: [(d[name] == v).astype(float) for v in sorted(d[name].unique())[1:]] for name in _FACTORS}
    columns = [np.ones(len(d)), d["sex"], d["race"], square[0], square[0] ** 2, *levels["education"]]
    columns += [square[1], square[1] ** 2, square[2], square[2] ** 2, *levels["exercise"], *levels["active"]]
    return np.column_stack([*columns, square[3], square[3] ** 2]).astype(float)


_FACTORS = ("education", "exercise", "active")


def test_what_if_model_agrees_with_r(nhefs, expected):
    agrees(fit_logistic(whatif_matrix(nhefs), nhefs["qsmk"].to_numpy(float)), expected["whatif"])


def test_weights_and_offset_agree_with_r(nhefs, expected):
    x = np.column_stack([np.ones(len(nhefs)), nhefs["age"], nhefs["sex"]]).astype(float)
    weight, offset = (0.5 + nhefs["smokeyrs"] / 20).to_numpy(), (nhefs["wt71"] / 100).to_numpy()
    agrees(fit_logistic(x, nhefs["qsmk"].to_numpy(float), weight=weight, offset=offset), expected["weighted_offset"])


def test_score_equations_hold_to_rounding(nhefs):
    x, y = whatif_matrix(nhefs), nhefs["qsmk"].to_numpy(float)
    score = (x / np.abs(x).sum(axis=0)).T @ (y - fit_logistic(x, y).fitted)
    assert np.abs(score).max() < 1e-12


def test_scale_of_covariates_costs_no_digits(nhefs):
    x, y = whatif_matrix(nhefs), nhefs["qsmk"].to_numpy(float)
    scale = 10.0 ** np.linspace(-6, 6, x.shape[1])
    np.testing.assert_allclose(
        fit_logistic(x * scale, y).coefficients * scale, fit_logistic(x, y).coefficients, rtol=1e-9
    )


def test_integer_weights_are_repeated_rows():
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(60), rng.normal(size=60)])
    y = (rng.random(60) < 0.4).astype(float)
    times = rng.integers(1, 4, 60)
    weighted, repeated = (
        fit_logistic(x, y, weight=times.astype(float)),
        fit_logistic(x.repeat(times, 0), y.repeat(times)),
    )
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-10)
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-10)


def test_two_by_two_table_in_closed_form():
    y, group = np.repeat([1.0, 0, 1, 0], [7, 5, 3, 9]), np.repeat([1.0, 1, 0, 0], [7, 5, 3, 9])
    fit = fit_logistic(np.column_stack([np.ones(24), group]), y)
    np.testing.assert_allclose(fit.coefficients[1], np.log(7 * 9 / (5 * 3)), rtol=1e-12)
    np.testing.assert_allclose(fit.covariance[1, 1], 1 / 7 + 1 / 5 + 1 / 3 + 1 / 9, rtol=1e-12)


def test_separation_names_only_what_diverges():
    rng = np.random.default_rng(1)
    n = 200
    noise, group = rng.normal(size=n), np.arange(n) % 4
    y = (rng.random(n) < 0.5).astype(float)
    y[group == 3] = 1.0
    fit = fit_logistic(np.column_stack([np.ones(n), noise, group == 2, group == 3]).astype(float), y)
    assert not fit.converged
    assert fit.diverging.tolist() == [False, False, False, True]
    # what is not separated sits at the maximum of the likelihood of the other rows
    rest = group != 3
    alone = fit_logistic(np.column_stack([np.ones(n), noise, group == 2])[rest].astype(float), y[rest])
    np.testing.assert_allclose(fit.coefficients[:3], alone.coefficients, rtol=1e-8)


def test_complete_separation_of_one_covariate():
    z = np.linspace(-1, 1, 20)
    fit = fit_logistic(np.column_stack([np.ones(20), z]), (z > 0).astype(float))
    assert fit.diverging.tolist() == [False, True]
    assert np.isfinite(fit.coefficients).all()


def test_extreme_scores_alone_are_not_separation():
    z = np.append(np.tile([-1.0, -0.5, 0.5, 1.0], 5), [40.0, -40.0])
    y = np.append(np.tile([0.0, 1, 0, 1], 5), [1.0, 0])
    fit = fit_logistic(np.column_stack([np.ones(22), z]), y)
    assert np.abs(fit.linear_predictor).max() > 20
    assert fit.converged
    assert not fit.diverging.any()
