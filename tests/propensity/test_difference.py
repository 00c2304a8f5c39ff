"""Weighted differences in means: R, brute-force M-estimation, missing outcomes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import propensity
from dxa_causal._core.errors import ColumnNotFoundError, DxaCausalError, MissingDataError, OptionError, OutcomeError
from dxa_causal.results import GLANCE, TIDY

ESTIMANDS = ("ATE", "ATT", "ATC", "ATO", "ATM")
# Weights and means are smooth in a logistic fit both programs iterate to rounding.
REFERENCE = 1e-10
# WeightIt takes the derivatives of its weights numerically.
NUMERICAL = 2e-9


@pytest.fixture(scope="module")
def expected(reference):
    return reference("propensity/expected.json")


@pytest.fixture
def cohort():
    rng = np.random.default_rng(11)
    n = 250
    age = rng.normal(size=n)
    treated = (rng.random(n) < 1 / (1 + np.exp(-age))).astype(int)
    grip = 25 + 3 * treated - 2 * age + rng.normal(size=n)
    return pd.DataFrame({"treated": treated, "age": age, "grip": grip, "sw": rng.uniform(0.5, 2, n)})


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_estimate_and_robust_error_agree_with_r(nhefs, whatif, expected, estimand):
    ps = propensity.weight(whatif, nhefs, estimand=estimand)
    fit = propensity.mean_difference("wt82_71", ps, nhefs, std_error="robust")
    assert fit.estimate == pytest.approx(expected[estimand]["estimate"], rel=REFERENCE)
    assert fit.std_error == pytest.approx(expected[estimand]["robust"], rel=REFERENCE)


@pytest.mark.parametrize("estimand", ["ATE", "ATO"])
def test_m_estimation_agrees_with_weightit(nhefs, whatif, expected, estimand):
    ps = propensity.weight(whatif, nhefs, estimand=estimand)
    fit = propensity.mean_difference("wt82_71", ps, nhefs)
    assert fit.std_error == pytest.approx(expected[estimand]["m_estimation"], rel=NUMERICAL)
    assert fit.method == "m_estimation"


def test_without_covariates_it_is_the_crude_difference(nhefs, expected):
    fit = propensity.mean_difference("wt82_71", propensity.weight("qsmk ~ 1", nhefs), nhefs, std_error="robust")
    assert fit.estimate == pytest.approx(expected["crude"]["estimate"], rel=1e-13)
    arms = [nhefs["wt82_71"][nhefs["qsmk"] == v] for v in (1, 0)]
    assert fit.std_error == pytest.approx(np.sqrt(sum(a.var(ddof=0) / len(a) for a in arms)), rel=1e-12)
    # a score without covariates is estimated without influence on the means
    both = propensity.mean_difference("wt82_71", propensity.weight("qsmk ~ 1", nhefs), nhefs)
    assert both.std_error == pytest.approx(fit.std_error, rel=1e-10)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_m_estimation_by_brute_force(cohort, estimand):
    """Sandwich of the stacked equations, its derivative by differences; sampling weights, missing outcomes."""
    cohort.loc[::9, "grip"] = np.nan
    ps = propensity.weight("treated ~ age", cohort, estimand=estimand, weights="sw")
    fit = propensity.mean_difference("grip", ps, cohort)
    a, sw, y = (cohort[c].to_numpy(float) for c in ("treated", "sw", "grip"))
    x = np.column_stack([np.ones(len(a)), cohort["age"]])
    seen = ~np.isnan(y)
    y = np.nan_to_num(y)

    def psi(theta):
        p = 1 / (1 + np.exp(-x @ theta[:2]))
        tilt = {"ATE": 1, "ATT": p, "ATC": 1 - p, "ATO": p * (1 - p), "ATM": np.minimum(p, 1 - p)}[estimand]
        w = sw * seen * tilt / np.where(a == 1, p, 1 - p)
        means = [w * a * (y - theta[2]), w * (1 - a) * (y - theta[3])]
        return np.column_stack([(sw * (a - p))[:, None] * x, *means])

    theta = np.array([*ps.coefficients, fit.mean_treated, fit.mean_control])
    np.testing.assert_allclose(psi(theta).sum(axis=0), 0, atol=1e-9)
    h = 1e-5
    bread = np.column_stack(
        [(psi(theta + h * e).sum(axis=0) - psi(theta - h * e).sum(axis=0)) / (2 * h) for e in np.eye(4)]
    )
    phi = psi(theta) @ np.linalg.inv(bread).T @ np.array([0, 0, 1, -1])
    assert fit.std_error == pytest.approx(np.sqrt(phi @ phi), rel=1e-7)


@pytest.mark.parametrize("std_error", ["robust", "m_estimation"])
def test_stabilising_changes_nothing(cohort, std_error):
    plain, stabilised = (
        propensity.mean_difference("grip", ps, cohort, std_error=std_error)
        for ps in (propensity.weight("treated ~ age", cohort, stabilize=s) for s in (False, True))
    )
    assert stabilised.estimate == pytest.approx(plain.estimate, rel=1e-13)
    assert stabilised.std_error == pytest.approx(plain.std_error, rel=1e-12)


@pytest.mark.slow
def test_intervals_cover_and_m_estimation_is_narrower():
    rng = np.random.default_rng(20261123)
    covered, ratio = 0, []
    for _ in range(400):
        age = rng.normal(size=400)
        treated = (rng.random(400) < 1 / (1 + np.exp(-0.7 * age))).astype(int)
        data = pd.DataFrame({"t": treated, "age": age, "y": 1.0 * treated + 2 * age + rng.normal(size=400)})
        ps = propensity.weight("t ~ age", data, estimand="ATO")
        row = propensity.mean_difference("y", ps, data).tidy().iloc[0]
        covered += row["conf_low"] <= 1.0 <= row["conf_high"]
        ratio.append(row["std_error"] / propensity.mean_difference("y", ps, data, std_error="robust").std_error)
    assert 0.92 <= covered / 400 <= 0.98  # 95% +- 2.7 binomial standard errors
    assert np.mean(ratio) < 0.6


def test_missing_outcomes_are_counted_and_keep_their_score(nhefs_all, whatif):
    complete = nhefs_all.dropna(subset=["education"])
    ps = propensity.weight(whatif, complete)
    fit = propensity.mean_difference("wt82_71", ps, complete)
    assert (fit.nobs, fit.provenance.n_rows) == (1566, 1629)
    assert fit.provenance.missing == {"wt82_71": 63}
    assert "63 dropped for missing values (wt82_71 63)" in str(fit.summary())
    with pytest.raises(MissingDataError, match="'wt82_71' is missing in 63 of 1629 rows"):
        propensity.mean_difference("wt82_71", ps, complete, missing="raise")


def test_binary_outcome_is_a_risk_difference(cohort):
    cohort["weak"] = cohort["grip"] < 25
    ps = propensity.weight("treated ~ 1", cohort)
    fit = propensity.mean_difference("weak", ps, cohort)
    risk = cohort.groupby("treated")["weak"].mean()
    assert fit.estimate == pytest.approx(risk[1] - risk[0])


def test_tables_keep_to_the_glossary(cohort):
    fit = propensity.mean_difference("grip", propensity.weight("treated ~ age", cohort), cohort)
    row = fit.tidy(conf_level=0.9).iloc[0]
    assert set(fit.tidy()) <= set(TIDY)
    assert set(fit.glance()) <= set(GLANCE)
    assert (row["term"], row["effect_measure"]) == ("treated", "mean difference")
    assert row["conf_high"] - row["estimate"] == pytest.approx(1.6448536269514722 * fit.std_error)
    with pytest.raises(OptionError, match="not on a logarithmic scale"):
        fit.tidy(exponentiate=True)
    assert fit.plot().get_yticklabels()[0].get_text() == "treated"


def test_polars(cohort):
    frame = pl.from_pandas(cohort)
    fit = propensity.mean_difference("grip", propensity.weight("treated ~ age", frame), frame)
    assert (
        fit.estimate == propensity.mean_difference("grip", propensity.weight("treated ~ age", cohort), cohort).estimate
    )


def test_bad_calls(cohort):
    ps = propensity.weight("treated ~ age", cohort)
    with pytest.raises(DxaCausalError, match="it has 10 rows, the weights 250; pass the same frame"):
        propensity.mean_difference("grip", ps, cohort.head(10))
    with pytest.raises(DxaCausalError, match="in another order"):
        propensity.mean_difference("grip", ps, cohort.sort_values("age"))
    with pytest.raises(ColumnNotFoundError, match="no column 'gripp'; did you mean 'grip'"):
        propensity.mean_difference("gripp", ps, cohort)
    with pytest.raises(OutcomeError, match="must be numbers"):
        propensity.mean_difference("word", ps, cohort.assign(word="x"))
    with pytest.raises(OutcomeError, match="is infinite in row 4"):
        propensity.mean_difference("grip", ps, cohort.assign(grip=cohort["grip"].where(cohort.index != 4, np.inf)))
    with pytest.raises(OutcomeError, match="missing in all treated rows"):
        propensity.mean_difference("grip", ps, cohort.assign(grip=cohort["grip"].where(cohort["treated"] == 0)))
    with pytest.raises(OptionError, match="std_error='hc0' is not allowed"):
        propensity.mean_difference("grip", ps, cohort, std_error="hc0")
