"""Winner's curse: conditional likelihood by brute force, false discovery rates, three-sample designs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import selected_effects as kernel
from dxa_causal.mr.sample_overlap.three_sample import three_sample
from dxa_causal.mr.sample_overlap.winners_curse import shrink
from dxa_causal.results import NotApplicable

CUT = -stats.norm.ppf(2.5e-8)
Z = np.array([CUT + 1e-6, 5.6, 6.0, 7.0, 9.0, 20.0])


def log_likelihood(mu, z, cut=CUT):
    return stats.norm.logpdf(z - mu) - np.logaddexp(stats.norm.logcdf(mu - cut), stats.norm.logcdf(-mu - cut))


def test_most_likely_by_optimisation():
    for z, ours in zip(Z, kernel.most_likely(Z, CUT), strict=True):
        best = optimize.minimize_scalar(
            lambda m, z=z: -log_likelihood(m, z), bounds=(0, z), method="bounded", options={"xatol": 1e-12}
        )
        assert -log_likelihood(ours, z) <= best.fun + 1e-12
        assert ours == pytest.approx(best.x, abs=2e-6)


def test_mean_likelihood_by_quadrature():
    for z, ours in zip(Z, kernel.mean_likelihood(Z, CUT), strict=True):
        top = log_likelihood(kernel.most_likely(np.array([z]), CUT)[0], z)
        bottom = integrate.quad(lambda m, z=z, top=top: np.exp(log_likelihood(m, z) - top), -12, z + 12, limit=400)[0]
        upper = integrate.quad(lambda m, z=z, top=top: m * np.exp(log_likelihood(m, z) - top), -12, z + 12, limit=400)
        assert ours == pytest.approx(upper[0] / bottom, rel=1e-6)


def test_information_is_the_curvature():
    mu = np.array([0.5, 3.0, 5.5, 8.0])
    h = 1e-3
    second = [(log_likelihood(m + h, 6.0) - 2 * log_likelihood(m, 6.0) + log_likelihood(m - h, 6.0)) / h**2 for m in mu]
    np.testing.assert_allclose(kernel.conditional_variance(mu, CUT), -np.array(second), rtol=1e-5)
    np.testing.assert_allclose(kernel.conditional_mean(np.array([20.0]), CUT), 20.0)


def test_limits_have_their_probabilities():
    for tail in (0.025, 0.975):
        mu = kernel.limit(Z, CUT, tail)
        selected = stats.norm.cdf(mu - CUT) + stats.norm.cdf(-mu - CUT)
        np.testing.assert_allclose(stats.norm.sf(Z - mu) / selected, tail, rtol=1e-6)


@pytest.mark.parametrize(
    ("mean", "observed", "mle", "mid"), [(3, 2.8, -0.7, 0.2), (5, 1.1, -1.1, -0.9), (7, 0.1, -0.4, -0.6)]
)
def test_biases_that_the_docs_give(mean, observed, mle, mid):
    z = mean + np.random.default_rng(1).standard_normal(2_000_000)
    z = np.abs(z[np.abs(z) > CUT])[:20_000]
    assert np.mean(z) - mean == pytest.approx(observed, abs=0.06)
    assert np.mean(kernel.most_likely(z, CUT)) - mean == pytest.approx(mle, abs=0.06)
    assert np.mean(kernel.mean_likelihood(z, CUT)) - mean == pytest.approx(mid, abs=0.06)


@pytest.mark.slow
def test_right_coverage():
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 3, 400_000)
    z = truth + rng.standard_normal(truth.size)
    gwas = pd.DataFrame({"variant": np.arange(z.size).astype(str), "effect_allele": "A", "beta": z * 0.02, "se": 0.02})
    fit = shrink(gwas, 5e-8)
    true = truth[[int(v) for v in fit.variant]] * 0.02
    table = fit.tidy()
    assert np.mean((table["conf_low"] < true) & (true < table["conf_high"])) == pytest.approx(0.95, abs=0.01)
    assert (np.abs(fit.estimates) <= np.abs(fit.observed) * (1 + 1e-12)).all()
    assert fit.glance()["mean_shrinkage"].item() < 1


def test_fiqt_is_benjamini_hochberg_turned_back():
    rng = np.random.default_rng(2)
    z = np.concatenate([rng.standard_normal(5000), rng.normal(4, 2, 300), [12.0, -8.0]])
    ours = kernel.inverse_quantile(z)
    p = 2 * stats.norm.sf(np.abs(z))
    q = stats.false_discovery_control(p)
    np.testing.assert_allclose(ours, np.sign(z) * stats.norm.isf(q / 2), rtol=1e-9, atol=1e-9)
    big = kernel.inverse_quantile(np.append(z, 60.0))
    assert 59 < big[-1] < 60  # p = 0 in doubles
    assert np.mean(ours[:5000] ** 2) < 0.2 * np.mean(z[:5000] ** 2)  # null variants go to zero


def test_frames_and_harmonised_variants(bmi_chd):
    fit = shrink(bmi_chd, 5e-9)
    h = fit.harmonised
    z = np.abs(bmi_chd.beta_exposure / bmi_chd.se_exposure)
    cut = -stats.norm.ppf(2.5e-9)
    assert h.n_variants == (z > cut).sum() < bmi_chd.n_variants
    assert f"{(z <= cut).sum()} variants left out: p not below p1" in str(fit)
    np.testing.assert_array_equal(h.beta_exposure, fit.estimates)
    assert "beta_observed" in fit.frame()
    ld = bmi_chd.with_ld(np.eye(bmi_chd.n_variants), variants=bmi_chd.table["variant"].tolist())
    assert shrink(ld, 5e-9).harmonised.ld.shape == (h.n_variants,) * 2
    signs = shrink(
        mr.Harmonised.from_arrays(
            beta_exposure=-bmi_chd.beta_exposure, se_exposure=bmi_chd.se_exposure, beta_outcome=bmi_chd.beta_outcome,
            se_outcome=bmi_chd.se_outcome,
        ),
        5e-9,
    )  # fmt: skip
    np.testing.assert_allclose(signs.estimates, -fit.estimates, rtol=1e-12)
    a, b = fit.tidy(), signs.tidy()
    np.testing.assert_allclose(a["conf_low"], -b["conf_high"], rtol=1e-9)
    assert fit.plot().get_xlabel() == "Observed z statistic"
    whole = shrink(bmi_chd, method="fiqt")
    assert whole.nobs == bmi_chd.n_variants
    assert "whole genome-wide study" in str(whole)
    assert whole.tidy()["conf_low"].isna().all()
    np.testing.assert_array_equal(whole.std_errors, bmi_chd.se_exposure)


def test_refusals():
    gwas = pd.DataFrame({"variant": ["a", "b"], "effect_allele": "A", "beta": [0.1, np.nan], "se": [0.1, 0.1]})
    assert isinstance(shrink(gwas), NotApplicable)
    fit = shrink(gwas, 0.9)
    assert "1 variants left out: beta or se" in str(fit)
    with pytest.raises(OptionError, match="harmonise"):
        _ = fit.harmonised
    with pytest.raises(OptionError, match="p1=5"):
        shrink(gwas, 5)
    with pytest.raises(OptionError, match="method='bayes'"):
        shrink(gwas, method="bayes")
    with pytest.raises(SummaryStatisticsError, match="no column"):
        shrink(gwas.drop(columns="beta"))


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.25, 0.8])
def test_correlation_from_the_middle(rho):
    rng = np.random.default_rng(3)
    a = rng.standard_normal(200_000)
    b = rho * a + np.sqrt(1 - rho**2) * rng.standard_normal(a.size)
    inside = (np.abs(a) < 1) & (np.abs(b) < 1)
    estimate, error = kernel.null_correlation(a[inside], b[inside], 1.0)
    assert abs(estimate - rho) < 4 * error < 0.08
    if rho in (-0.6, 0.25):  # a plain correlation is far off
        assert abs(np.corrcoef(a[inside], b[inside])[0, 1]) < 0.6 * abs(rho)
    draws = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a = rng.standard_normal(8000)
        b = rho * a + np.sqrt(1 - rho**2) * rng.standard_normal(a.size)
        inside = (np.abs(a) < 1) & (np.abs(b) < 1)
        draws.append(kernel.null_correlation(a[inside], b[inside], 1.0))
    values, errors = np.array(draws).T
    assert values.std() == pytest.approx(errors.mean(), rel=0.3)


def study(effect, noise, se=0.01):
    return pd.DataFrame(
        {"variant": [f"rs{j}" for j in range(effect.size)], "effect_allele": "A", "other_allele": "C",
         "beta": effect + se * noise, "se": se}
    )  # fmt: skip


def test_three_samples():
    rng = np.random.default_rng(4)
    effect = np.where(np.arange(20_000) < 400, rng.normal(0, 0.05, 20_000), 0.0)
    e = rng.standard_normal((3, 20_000))
    a, b = study(effect, e[0]), study(effect, e[1])
    c = study(0.5 * effect, 0.4 * e[1] + np.sqrt(1 - 0.16) * e[2])
    design = three_sample(a, b, c)
    chosen = np.abs(a["beta"] / a["se"]) > CUT
    assert design.n_selected == design.nobs == chosen.sum()
    np.testing.assert_array_equal(design.harmonised.table["variant"], a["variant"][chosen])
    np.testing.assert_allclose(design.harmonised.beta_exposure, b["beta"][chosen])
    table = design.tidy().set_index("term")
    assert table.loc["exposure and outcome", "estimate"] == pytest.approx(0.4, abs=0.06)
    assert table.loc["selection and exposure", "p_value"] > 1e-3
    assert "exposure and outcome seem to share people" in str(design)
    assert "selection and exposure seem" not in str(design)
    x = design.selection
    assert design.slope == pytest.approx(
        (x["beta_selection"] * x["beta_exposure"]).sum() / (x["beta_selection"] ** 2).sum()
    )
    assert design.slope < 1
    assert design.glance()["sign_concordance"].item() > 0.95
    assert design.plot().get_ylabel()
    some = three_sample(a, b, c, variants=a["variant"][chosen].tolist()[:10])
    assert some.nobs == 10


def test_three_samples_lose_variants_aloud():
    rng = np.random.default_rng(5)
    effect = np.where(np.arange(300) < 30, 0.2, 0.0)
    a, b, c = (study(effect, rng.standard_normal(300)) for _ in range(3))
    design = three_sample(a, b[5:], c)
    assert design.nobs == 25
    assert "5 selected variants left out" in str(design)
    assert design.tidy()["reason"].str.contains("fewer than 500").all()
    assert isinstance(three_sample(a, b[30:], c), NotApplicable)
    flipped = b.assign(effect_allele="C", other_allele="A", beta=-b["beta"])
    assert three_sample(a, flipped, c).slope == pytest.approx(three_sample(a, b, c).slope)
    with pytest.raises(OptionError, match="p1=0"):
        three_sample(a, b, c, p1=0)
