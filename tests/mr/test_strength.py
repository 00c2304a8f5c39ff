from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.variance_explained import population_frequency, r2_from_p, sensitivity_ratio
from dxa_causal.results import NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
RTOL = 1e-9
CHD = mr.CaseControl(60801, 123504, prevalence=0.1)


@pytest.fixture(scope="module")
def reference() -> dict[str, dict]:
    return {row["method"]: row for row in json.loads((REFERENCE / "steiger.json").read_text())}


def small(**changes) -> mr.Harmonised:
    arrays = {
        "beta_exposure": [0.10, 0.21, -0.15],
        "se_exposure": [0.01] * 3,
        "beta_outcome": [0.05, 0.10, -0.08],
        "se_outcome": [0.02] * 3,
        "n_exposure": 20000,
        "n_outcome": 10000,
    }
    return mr.Harmonised.from_arrays(**{**arrays, **changes})


def test_steiger_as_twosamplemr(bmi_chd, reference):
    row = reference["Steiger directionality (quantitative, r from p,n; mr_keep rows)"]
    for scale in ("p", "auto"):
        test = mr.steiger(bmi_chd, exposure=scale, outcome=scale)
        assert isinstance(test, mr.SteigerTest)
        assert test.applicable
        np.testing.assert_allclose(
            [test.r2_exposure, test.r2_outcome, test.p_value, test.sensitivity_ratio],
            [row["r2_exp"], row["r2_out"], row["p"], row["sensitivity_ratio"]],
            rtol=RTOL,
        )
        assert test.correct_direction is True
    tidy = test.tidy()
    assert tidy["n_variants"].tolist() == [79]
    assert "direction exposure to outcome" in str(test)
    assert "<p>" in test._repr_html_()


def test_steiger_filter_as_twosamplemr(bmi_chd):
    upstream = pd.read_csv(REFERENCE / "ref_twosamplemr_steiger_filtering.csv").set_index("SNP")
    ours = mr.steiger_filter(bmi_chd, exposure="sd", outcome=CHD).set_index("variant")
    upstream = upstream.loc[ours.index]
    for name, theirs in {
        "r2_exposure": "rsq.exposure",
        "r2_outcome": "rsq.outcome",
        "n_exposure": "effective_n.exposure",
        "p_value": "steiger_pval",
    }.items():
        np.testing.assert_allclose(ours[name], upstream[theirs], rtol=RTOL, err_msg=name)
    cases = pd.read_csv(REFERENCE / "twosamplemr_harmonised_bmi_chd_dat.csv").set_index("SNP").loc[ours.index]
    by_variant = mr.CaseControl(cases["ncase.outcome"], cases["ncontrol.outcome"], prevalence=0.1)
    again = mr.steiger_filter(bmi_chd, exposure="sd", outcome=by_variant).set_index("variant")
    np.testing.assert_allclose(again["n_outcome"], upstream["effective_n.outcome"], rtol=RTOL)
    assert (ours["correct_direction"] == upstream["steiger_dir"]).all()
    assert (ours["reason"] == "").all()


def test_strength_as_twosamplemr(bmi_chd, reference):
    s = mr.strength(bmi_chd)
    assert s.i2_gx == pytest.approx(reference["I2_GX (Isq of b_exp/se_exp)"]["estimate"], rel=RTOL)
    assert s.i2_gx_weighted == pytest.approx(reference["I2_GX weighted (Isq of b_exp/se_out)"]["estimate"], rel=RTOL)
    f = (bmi_chd.beta_exposure / bmi_chd.se_exposure) ** 2
    np.testing.assert_allclose(s.tidy()["f_statistic"], f)
    assert s.f_mean == mr.estimate(bmi_chd, ["ivw"]).glance()["f_statistic"].iloc[0]
    n = bmi_chd.table["n_exposure"].to_numpy()
    r2 = (f / (n - 2 + f)).sum()
    assert s.r2 == pytest.approx(r2, rel=1e-12)
    assert s.f_total == pytest.approx((n.mean() - 80) / 79 * r2 / (1 - r2), rel=1e-12)
    assert list(s.glance().columns)[:2] == ["n_variants", "f_statistic"]
    assert "79 variants: F mean" in str(s)


def test_quantile_of_f_as_r(reference):
    n, p, f = np.array(reference["qf(p, 1, n - 1, lower.tail = FALSE), R 4.2"]["rows"]).T
    np.testing.assert_allclose(r2_from_p(p, n), f / (n - 2 + f), rtol=1e-12)
    assert r2_from_p(np.array([0.0]), np.array([1000.0])) == r2_from_p(np.array([1e-300]), np.array([1000.0]))


def test_r2_is_that_of_the_regression():
    rng = np.random.default_rng(1)
    g = rng.binomial(2, 0.3, 500).astype(float)
    y = 0.3 * g + rng.normal(size=500)
    slope, intercept = np.polyfit(g, y, 1)
    residual = y - intercept - slope * g
    se = np.sqrt(residual @ residual / 498 / ((g - g.mean()) @ (g - g.mean())))
    h = small(beta_exposure=[slope] * 3, se_exposure=[se] * 3, n_exposure=500)
    assert mr.strength(h).tidy()["r2"].iloc[0] == pytest.approx(np.corrcoef(g, y)[0, 1] ** 2, rel=1e-10)


def test_f_of_correlated_variants_is_that_of_the_joint_regression():
    rng = np.random.default_rng(2)
    n = 5000
    base = rng.normal(size=(n, 3))
    g = base @ np.array([[1.0, 0.6, 0.2], [0.0, 0.8, 0.3], [0.0, 0.0, 0.9]])
    g = (g - g.mean(axis=0)) / g.std(axis=0)
    y = g @ np.array([0.03, 0.02, 0.01]) + rng.normal(size=n)
    y = y - y.mean()
    joint = np.linalg.lstsq(g, y, rcond=None)[0]
    residual = y - g @ joint
    f = (y @ y - residual @ residual) / 3 / (residual @ residual / (n - 4))
    beta = g.T @ y / n
    se = np.sqrt(((y[:, None] - g * beta) ** 2).sum(axis=0) / (n - 2) / n)
    h = small(beta_exposure=beta, se_exposure=se, n_exposure=n, ld=np.corrcoef(g.T))
    s = mr.strength(h)
    assert s.f_total == pytest.approx(f, rel=0.01)  # marginal against joint residual variance
    assert s.r2 == pytest.approx(1 - residual @ residual / (y @ y), rel=0.01)
    with pytest.raises(SummaryStatisticsError, match="ld holds correlations"):
        mr.steiger(h)


def test_population_frequency_gives_back_the_table():
    # 2000 alleles of cases, 3000 of controls, made by hand.
    case, control = np.array([600.0, 1400.0]), np.array([600.0, 2400.0])
    log_odds = np.log(case[0] * control[1] / (case[1] * control[0]))
    pooled = 1200 / 5000
    for sign, eaf in ((1.0, pooled), (-1.0, 1 - pooled)):
        f = population_frequency(np.array([sign * log_odds]), np.array([eaf]), np.array([0.4]), 0.05)[0]
        expected = 0.95 * 0.2 + 0.05 * 0.3
        assert f == pytest.approx(expected if sign > 0 else 1 - expected, rel=1e-12)
    assert population_frequency(np.array([0.0]), np.array([0.3]), np.array([0.4]), 0.05)[0] == pytest.approx(0.3)


def test_sensitivity_ratio_is_a_ratio_of_volumes():
    # Precisions of exposure and outcome anywhere from the observed correlation to 1: the true correlations
    # are r / precision. Volume between the surfaces where the direction holds, over that where it turns.
    rx, ry = 0.4, 0.1
    x, y = ((r + (1 - r) * (np.arange(2000) + 0.5) / 2000) for r in (rx, ry))
    difference = rx / x[:, None] - ry / y[None, :]
    cell = (1 - rx) * (1 - ry) / 2000**2
    right, wrong = difference[difference > 0].sum() * cell, -difference[difference < 0].sum() * cell
    assert sensitivity_ratio(rx**2, ry**2) == pytest.approx(right / wrong, rel=1e-3)
    assert sensitivity_ratio(ry**2, rx**2) == sensitivity_ratio(rx**2, ry**2)


def test_what_is_missing_is_a_reason():
    h = small(n_outcome=None)
    test = mr.steiger(h)
    assert isinstance(test, NotApplicable)
    assert "n_outcome (3 of 3 variants)" in test.reason
    assert "n_outcome" in mr.steiger_filter(h)["reason"].iloc[0]
    assert mr.steiger_filter(h)["correct_direction"].isna().all()
    assert "eaf_outcome" in mr.steiger(small(), outcome=CHD).reason
    assert "p_exposure" in mr.steiger(small(), exposure="p").reason
    s = mr.strength(small(n_exposure=None))
    assert np.isnan(s.r2)
    assert s.i2_gx > 0.9
    assert "n_exposure" in s.reason
    assert "more than 3 people" in mr.steiger(small(n_exposure=2)).reason


def test_turned_around():
    h = small()
    back = small(
        beta_exposure=h.beta_outcome, se_exposure=h.se_outcome, beta_outcome=h.beta_exposure, se_outcome=h.se_exposure,
        n_exposure=10000, n_outcome=20000,
    )  # fmt: skip
    a, b = mr.steiger(h), mr.steiger(back)
    assert a.correct_direction
    assert not b.correct_direction
    assert a.p_value == pytest.approx(b.p_value)
    assert a.sensitivity_ratio == b.sensitivity_ratio


def test_power_is_the_share_of_significant_wald_ratios():
    rng = np.random.default_rng(3)
    n, r2, beta, share = 3000, 0.03, 0.2, 0.3
    g = rng.normal(size=(400, n))
    x = np.sqrt(r2) * g + np.sqrt(1 - r2) * rng.normal(size=g.shape)
    y = beta * x + np.sqrt(1 - beta**2) * rng.normal(size=g.shape)
    r = ((g - g.mean(1, keepdims=True)) * y).sum(1) / (g.std(1) * y.std(1) * n)
    significant = np.mean(np.abs(r) * np.sqrt(n - 2) / np.sqrt(1 - r**2) > 1.96)
    assert mr.power(effect=beta, n=n, r2=r2) == pytest.approx(significant, abs=0.08)
    binary = mr.power(effect=[0.1, -0.1], n=n, r2=r2, case_share=share)
    assert binary[0] == binary[1] == pytest.approx(mr.power(effect=0.1, n=n * share * (1 - share), r2=r2))


def test_power_of_brion_and_burgess_agree_for_small_effects():
    options = {"effect": 0.05, "n": 100_000, "r2": 0.02}
    assert mr.power(**options, formula="brion") == pytest.approx(mr.power(**options), abs=2e-3)
    for effect in (0.03, -0.03):
        one, two = (mr.power(**{**options, "effect": effect}, case_share=0.5, formula=f) for f in ("brion", "burgess"))
        assert one == pytest.approx(two, abs=2e-2)
    # Without effect the two-sided test keeps its level.
    assert mr.power(effect=0.0, n=1000, r2=0.1, formula="brion") == pytest.approx(0.05)
    confounded = mr.power(**options, formula="brion", observational=0.5)
    assert confounded > mr.power(**options, formula="brion")


def test_detectable_effect_has_the_power_asked_for():
    for share in (None, 0.1):
        effect = mr.detectable_effect(n=[5e3, 5e4], r2=0.02, power=0.9, case_share=share, alpha=0.01)
        np.testing.assert_allclose(mr.power(effect=effect, n=[5e3, 5e4], r2=0.02, case_share=share, alpha=0.01), 0.9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mr.power(effect=0.1, n=100, r2=2.0), "r2 must be above 0 and below 1"),
        (lambda: mr.power(effect=np.nan, n=100, r2=0.1), "effect must be finite"),
        (lambda: mr.power(effect=0.1, n=100, r2=0.1, alpha=5), "alpha=5"),
        (lambda: mr.power(effect=0.1, n=100, r2=0.1, observational=0.1), "observational"),
        (lambda: mr.power(effect=3.0, n=100, r2=0.1, formula="brion", observational=3.0), "no residual variance"),
        (lambda: mr.detectable_effect(n=100, r2=0.1, power=0.01), "above alpha / 2"),
        (lambda: mr.CaseControl(10, 0, prevalence=0.1), "n_controls must be positive"),
        (lambda: mr.CaseControl(10, 10, prevalence=10), "prevalence=10"),
        (lambda: mr.steiger(small(), exposure="z"), "exposure='z'"),
        (lambda: mr.steiger(small(), outcome=mr.CaseControl([1, 2], 4, 0.1)), "n_cases holds 2 values for 3"),
    ],
)
def test_bad_options(call, said):
    with pytest.raises(OptionError, match=said):
        call()
