"""Outcomes that the exposure cannot cause: the same estimates, adjusted p-values, a joint test, words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.adjusted_p import benjamini_hochberg, holm


def drawn(effect=0.0, n=30, seed=1):
    rng = np.random.default_rng(seed)
    x, sy = np.random.default_rng(0).uniform(0.05, 0.2, n), np.full(n, 0.02)
    y = effect * x + sy * rng.standard_normal(n)
    return mr.Harmonised.from_arrays(beta_exposure=x, se_exposure=np.full(n, 0.005), beta_outcome=y, se_outcome=sy)


@pytest.fixture(scope="module")
def outcomes():
    return {"hair": drawn(seed=1), "skin": drawn(0.3, seed=2), "birth weight": drawn(seed=3), "one": drawn(n=2, seed=4)}


def test_rows_are_those_of_estimate(outcomes):
    methods = ("ivw", "egger", "weighted_median")
    fit = mr.negative_controls(outcomes, seed=5)
    table = fit.tidy()
    assert table["outcome"].tolist() == [name for name in outcomes for _ in methods]
    for name, h in outcomes.items():
        ours = table[(table["outcome"] == name) & (table["method"] != "weighted_median")].set_index("method")
        theirs = mr.estimate(h, methods).tidy().query("term == 'effect'").set_index("method")
        columns = ["estimate", "std_error", "p_value", "conf_low", "conf_high"]
        np.testing.assert_allclose(ours[columns], theirs.loc[ours.index, columns], rtol=1e-12)
    assert table.query("outcome == 'one' and method == 'egger'")["reason"].str.contains("at least 3").all()
    assert fit.glance().iloc[0].tolist() == [4, 30]
    np.testing.assert_array_equal(mr.negative_controls(outcomes, seed=5).tidy()["std_error"], table["std_error"])


def test_adjusted_p_values(outcomes):
    p = np.array([0.01, 0.04, 0.03, np.nan, 0.5])  # R: p.adjust(p, "holm"), p.adjust(p, "BH")
    np.testing.assert_allclose(holm(p), [0.04, 0.09, 0.09, np.nan, 0.5], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), [0.04, 0.16 / 3, 0.16 / 3, np.nan, 0.5], rtol=1e-12)
    rng = np.random.default_rng(1)
    many = rng.uniform(size=40) ** 3
    np.testing.assert_allclose(benjamini_hochberg(many), stats.false_discovery_control(many), rtol=1e-12)
    table = mr.negative_controls(outcomes, seed=5).tidy()
    for _, rows in table.groupby("method"):
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p_value"].to_numpy()))
        assert (rows["p_bh"].dropna() <= rows["p_holm"].dropna()).all()


def test_joint_test(outcomes):
    fit = mr.negative_controls(outcomes, seed=5)
    joint = fit.joint().set_index("method")
    ivw = fit.tidy().query("method == 'ivw'")
    assert joint.loc["ivw", "statistic"] == pytest.approx((ivw["statistic"] ** 2).sum(), rel=1e-9)
    assert joint["df"].to_dict() == {"ivw": 4, "egger": 3, "weighted_median": 3}
    egger = fit.tidy().query("method == 'egger' and reason == ''")
    assert joint.loc["egger", "statistic"] < (egger["statistic"] ** 2).sum()  # t, not normal
    for _, row in joint.iterrows():
        assert row["p_value"] == pytest.approx(stats.chi2.sf(row["statistic"], row["df"]), rel=1e-9)


def test_joint_test_holds_its_level():
    p = [
        mr.negative_controls({str(k): drawn(seed=100 * i + k) for k in range(4)}, methods="ivw_fe").joint()["p_value"][
            0
        ]
        for i in range(150)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_says_what_it_means(outcomes):
    fit = mr.negative_controls(outcomes, seed=5)
    assert "skin (ivw" in fit.in_words()
    assert "population structure" in str(fit)
    quiet = mr.negative_controls({"hair": outcomes["hair"], "birth weight": outcomes["birth weight"]}, seed=5)
    assert quiet.in_words().startswith("No effect on the negative controls stands out")


def test_refusals(outcomes):
    for bad in ({}, [drawn()], None):
        with pytest.raises(OptionError, match="outcomes="):
            mr.negative_controls(bad)
    with pytest.raises(SummaryStatisticsError, match=r"outcomes\['hair'\]"):
        mr.negative_controls({"hair": 1})
    with pytest.raises(SummaryStatisticsError, match="different exposures"):
        mr.negative_controls({"hair": drawn(), "skin": replace(drawn(), exposure="height")})
    with pytest.raises(OptionError, match="methods"):
        mr.negative_controls(outcomes, methods="ivvw")
