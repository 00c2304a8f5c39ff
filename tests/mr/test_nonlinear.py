"""Non-linear MR: DRMR's strata and associations, curves that are known, and the residual method's failure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

from dxa_causal._core.errors import ColumnNotFoundError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import SummaryStatisticsWarning
from dxa_causal.mr._kernels import strata as kernel
from dxa_causal.mr.models.nonlinear import nonlinear
from dxa_causal.results import HypothesisTest, NotApplicable

DRMR = json.loads((Path(__file__).parents[1] / "reference" / "mr" / "nonlinear.json").read_text())
RTOL = 1e-8  # the data were stored to twelve digits


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.DataFrame({name: DRMR[name] for name in ("z", "x", "y", "b", "c")})


def by_group(fit):
    f = (fit.beta_exposure / fit.se_exposure) ** 2
    return np.column_stack(
        [fit.sizes, fit.means, fit.beta_exposure, fit.se_exposure, f, fit.beta_outcome, fit.se_outcome]
    )


def test_strata_of_drmr():
    z, x = np.array(DRMR["z"]), np.array(DRMR["x"])
    np.testing.assert_array_equal(kernel.doubly_ranked(z, x, 10) + 1, DRMR["dr"])
    np.testing.assert_array_equal(kernel.by_residual(z, x, 10) + 1, DRMR["res"])
    ties = kernel.doubly_ranked(np.array(DRMR["zd"], dtype=float), np.array(DRMR["xd"]), 7)
    np.testing.assert_array_equal(ties + 1, DRMR["dr_ties"])


def test_associations_of_drmr(people):
    options = {"exposure": "x", "instrument": "z"}
    fit = nonlinear("y ~ 1", people, **options)
    np.testing.assert_allclose(by_group(fit), DRMR["linear"], rtol=RTOL)
    np.testing.assert_array_equal(fit.strata, DRMR["dr"])
    np.testing.assert_allclose(by_group(nonlinear("y ~ c", people, **options)), DRMR["adjusted"], rtol=RTOL)
    np.testing.assert_allclose(
        by_group(nonlinear("b ~ 1", people, family="logistic", **options)),
        DRMR["logistic"],
        rtol=1e-7,  # R: errors of the step before
    )
    with pytest.warns(SummaryStatisticsWarning, match="residual"):
        residual = nonlinear("y ~ 1", people, method="residual", **options)
    np.testing.assert_allclose(by_group(residual), DRMR["residual"], rtol=RTOL)
    assert "biased where" in str(residual)
    q = fit.tests()[0]
    np.testing.assert_allclose([q.statistic, q.p_value], DRMR["linear_q"][1:], rtol=1e-7)
    table = fit.tidy()
    np.testing.assert_allclose(table["estimate"], fit.beta_outcome / fit.beta_exposure)
    np.testing.assert_allclose(table["std_error"], fit.se_outcome / np.abs(fit.beta_exposure))


def drawn(shape, n=60_000, seed=1, interaction=0.2):
    """The instrument's effect on the exposure grows with a person's exposure, but keeps the order of exposures."""
    rng = np.random.default_rng(seed)
    score, cause, noise = rng.standard_normal((3, n))
    rank = (cause + noise) / np.sqrt(2)
    x = 12 + (0.75 + interaction * rank) * score + (1.5 + 3 * interaction) * rank
    return pd.DataFrame({"z": score, "x": x, "y": shape(x) + cause + rng.standard_normal(n)})


def test_a_parabola_is_found():
    data = drawn(lambda x: 0.1 * (x - 12) ** 2)
    fit = nonlinear("y ~ 1", data, exposure="x", instrument="z")
    table = fit.tidy()
    truth = 0.2 * (table["value"] - 12)
    assert (np.abs(table["estimate"] - truth) < 4 * table["std_error"] + 0.03).all()
    assert all(test.p_value < 1e-4 for test in fit.tests())
    curve = fit.curve([10, 12, 14], reference=12.0)
    np.testing.assert_allclose(curve["estimate"], [0.4, 0.0, 0.4], atol=0.12)  # the truth, from ten strata
    assert curve["std_error"].iloc[1] == 0


def test_one_effect_is_not_taken_for_a_curve_but_the_residual_method_does():
    p, residual = [], []
    for seed in range(40):
        data = drawn(lambda x: 0.3 * x, n=20_000, seed=seed)
        options = {"exposure": "x", "instrument": "z"}
        p.append([test.p_value for test in nonlinear("y ~ 1", data, **options).tests()])
        with pytest.warns(SummaryStatisticsWarning):
            residual.append(nonlinear("y ~ 1", data, method="residual", **options).tests()[1].p_value)
    assert (np.mean(np.array(p) < 0.05, axis=0) <= 0.2).all()
    assert stats.kstest(np.array(p)[:, 0], "uniform").pvalue > 1e-3
    assert np.mean(np.array(residual) < 0.05) > 0.5


def test_tests_as_weighted_regressions(people):
    fit = nonlinear("y ~ 1", people.assign(x=people["x"] + 20), exposure="x", instrument="z", n_strata=8)
    weight, mean, slope = 1 / fit.lace_se**2, fit.means, fit.lace
    ols = sm.WLS(slope, sm.add_constant(mean), weights=weight).fit()
    trend = fit.tests()[1]
    assert trend.statistic == pytest.approx(ols.params[1] / (ols.bse[1] / np.sqrt(ols.scale)), rel=1e-8)
    deviances = {}
    for power in kernel.POWERS:
        basis = 1 / mean if power == 0 else power * mean ** (power - 1)
        deviances[power] = (weight * sm.WLS(slope, basis, weights=weight).fit().resid ** 2).sum()
    best = min(deviances, key=deviances.get)
    test = fit.tests()[2]
    assert test.statistic == pytest.approx(deviances[1.0] - deviances[best], rel=1e-6, abs=1e-8)
    assert f"power {best:g}" in test.method


def test_curve_has_the_slopes_of_the_strata(people):
    fit = nonlinear("y ~ 1", people, exposure="x", instrument="z", n_strata=5)
    ends = 0.5 * (fit.means[1:] + fit.means[:-1])
    at = np.concatenate([[ends[0] - 1], ends, [ends[-1] + 1]])
    curve = fit.curve(at, reference=ends[1])
    np.testing.assert_allclose(np.diff(curve["estimate"]) / np.diff(at), fit.lace, rtol=1e-9)
    np.testing.assert_allclose(curve["estimate"].iloc[2], 0.0, atol=1e-12)
    third = np.diff(at)[2] * fit.lace_se[2]
    assert curve["std_error"].iloc[3] == pytest.approx(third)
    assert fit.curve().shape == (101, 5)


def test_monotone_changes_of_the_exposure_leave_the_strata():
    data = drawn(lambda x: x, n=5000)
    a = nonlinear("y ~ 1", data, exposure="x", instrument="z")
    b = nonlinear("y ~ 1", pl.from_pandas(data.assign(x=np.exp(data["x"] / 5), z=3 * data["z"] + 1)),
                  exposure="x", instrument="z")  # fmt: skip
    np.testing.assert_array_equal(a.strata, b.strata)


def test_ties_and_seeds():
    rng = np.random.default_rng(3)
    score = rng.integers(0, 3, 3000).astype(float)
    data = pd.DataFrame(
        {"z": score, "x": np.round(score + rng.standard_normal(3000), 1), "y": rng.standard_normal(3000)}
    )
    plain = nonlinear("y ~ 1", data, exposure="x", instrument="z")
    assert "broken by the order of rows" in str(plain)
    one, again, two = (nonlinear("y ~ 1", data, exposure="x", instrument="z", seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.strata, again.strata)
    assert (one.strata != two.strata).any()
    assert "broken by" not in str(one)


def test_tables_and_figure(people):
    lost = people.assign(y=people["y"].where(people.index > 6), sex=np.where(people.index % 2, "f", "m"))
    fit = nonlinear("y ~ c + C(sex)", lost, exposure="x", instrument="z", n_strata=4)
    assert fit.nobs == 1000
    assert "1000 of 1007 rows used" in str(fit)
    assert len(fit.index) == 1000
    assert list(fit.strengths()) == ["group", "low", "mean", "high", "f_statistic"]
    assert fit.glance()["n_groups"].item() == 4
    assert "Mean x" in fit.plot().get_xlabel()
    assert fit.tidy(exponentiate=True)["estimate"].iloc[0] == pytest.approx(np.exp(fit.lace[0]))
    assert isinstance(fit.tests()[2], NotApplicable)  # the exposure is negative
    two = nonlinear("y ~ 1", people, exposure="x", instrument="z", n_strata=2)
    assert not any(isinstance(test, HypothesisTest) for test in two.tests())
    constant = people.assign(k=(people["x"] > people["x"].quantile(0.95)).astype(float))
    gaps = nonlinear("y ~ k", constant, exposure="x", instrument="z")
    assert gaps.tidy()["reason"].str.contains("does not vary").any()
    assert np.isfinite(gaps.curve()["estimate"]).all()


def test_refusals(people):
    options = {"exposure": "x", "instrument": "z"}
    assert isinstance(nonlinear("y ~ 1", people[:150], **options), NotApplicable)
    with pytest.raises(ColumnNotFoundError, match="score"):
        nonlinear("y ~ 1", people, exposure="x", instrument="score")
    with pytest.raises(OptionError, match="exposure itself"):
        nonlinear("y ~ 1", people, exposure="x", instrument="x")
    with pytest.raises(OptionError, match="n_strata=1"):
        nonlinear("y ~ 1", people, n_strata=1, **options)
    with pytest.raises(OptionError, match="method='naive'"):
        nonlinear("y ~ 1", people, method="naive", **options)
    with pytest.raises(OutcomeError, match="0 or 1"):
        nonlinear("y ~ 1", people, family="logistic", **options)
    with pytest.raises(PredictorError, match="same value"):
        nonlinear("y ~ 1", people.assign(z=1.0), **options)
    with pytest.raises(OutcomeError, match="numbers"):
        nonlinear("y ~ 1", people.assign(y="a"), **options)


def test_strata_without_cases_say_so():
    rng = np.random.default_rng(2)
    z = rng.standard_normal(2000)
    people = pd.DataFrame({"z": z, "x": z + rng.standard_normal(2000), "d": rng.integers(0, 2, 2000)})
    options = {"exposure": "x", "instrument": "z", "n_strata": 5, "family": "logistic"}
    lowest = nonlinear("d ~ 1", people, **options).strata == 1
    fit = nonlinear("d ~ 1", people.assign(d=people["d"].where(~lowest, 0)), **options)
    assert fit.tidy()["reason"].str.startswith("no cases").tolist() == [True, False, False, False, False]
    assert "Log odds ratio" in fit.plot().get_ylabel()
    none = nonlinear("d ~ 1", people.assign(d=0), **options)
    with pytest.raises(OptionError, match="no stratum has an effect"):
        none.curve()
