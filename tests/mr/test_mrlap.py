"""MRlap's correction: its published formula, drawn moments, and samples that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import overlap_bias as kernel
from dxa_causal.mr.sample_overlap.ldsc import overlap
from dxa_causal.mr.sample_overlap.mrlap import overlap_correction
from dxa_causal.results import NotApplicable

# README of MRlap 0.0.3, example A (BMI and SBP, about 100 000 people each, no overlap)
EXAMPLE = {
    "observed": 0.0856060582715485, "corrected": 0.114571580921726, "h2": 0.243865854,
    "error_correlation": -0.001101472, "polygenicity": 0.00702, "per_variant_h2": 3.02e-5,
}  # fmt: skip
MARKERS, PEOPLE = 40_000, 15_000


def one(value):
    return np.array([float(value)])


def published(n_exp, cross, pi, sigma, observed, t):
    """The correction as MRlap's documentation of `get_correction` writes it, term by term."""
    a = norm.cdf(-t / np.sqrt(1 + n_exp * sigma**2))
    b = 2 * t * np.exp(-(t**2) / (2 * (n_exp * sigma**2 + 1))) / (np.sqrt(2 * np.pi) * (1 + n_exp * sigma**2) ** 1.5)
    c = norm.cdf(-t) + t * norm.pdf(t)
    with_effect = pi * (2 * (sigma**2 + 1 / n_exp) * a + b * (n_exp * sigma**4 + 2 * sigma**2 + 1 / n_exp))
    expected = with_effect + (1 - pi) * 2 / n_exp * c
    bias = cross * (pi * (2 * a + b + sigma**2 * n_exp * b) + (1 - pi) * 2 * c)
    return (observed * expected - bias) / (pi * sigma**2 * (2 * a + b * n_exp * sigma**2 + b)), expected


@pytest.mark.parametrize("p1", [5e-8, 1e-5])
@pytest.mark.parametrize(("n_x", "n_y", "cross"), [(1e5, 1e5, 0.0), (5e4, 2e5, 0.3), (3e5, 1e4, -0.2)])
def test_is_the_published_formula(p1, n_x, n_y, cross):
    t, pi, sigma2 = -norm.ppf(p1 / 2), 0.004, 6e-5
    theirs, expected = published(n_x, cross / np.sqrt(n_x * n_y), pi, np.sqrt(sigma2), 0.15, t)
    ours = kernel.corrected(one(0.15), one(cross), one(pi), one(sigma2), n_x, n_y, t)
    assert ours[0] == pytest.approx(theirs, rel=1e-12)
    total = kernel.expected_sum(one(pi), one(sigma2 * pi * 1e6), n_x, t, 1e6)
    assert total[0] == pytest.approx(1e6 * expected, rel=1e-12)


def test_published_example():
    """Polygenicity was printed to three digits and the sample size as about 100 000: so much for the tolerance."""
    t = -norm.ppf(2.5e-8)
    assert EXAMPLE["h2"] / 1_150_000 / EXAMPLE["polygenicity"] == pytest.approx(EXAMPLE["per_variant_h2"], rel=2e-3)
    ours = kernel.corrected(
        one(EXAMPLE["observed"]), one(EXAMPLE["error_correlation"]), one(EXAMPLE["polygenicity"]),
        one(EXAMPLE["h2"] / 1_150_000 / EXAMPLE["polygenicity"]), 1e5, 1e5, t,
    )  # fmt: skip
    assert ours[0] == pytest.approx(EXAMPLE["corrected"], rel=0.01)


def test_moments_by_drawing():
    rng = np.random.default_rng(1)
    n, pi, sigma2, t = 20_000, 0.3, 4e-4, 2.5
    g = np.where(rng.random(2_000_000) < pi, np.sqrt(sigma2) * rng.standard_normal(2_000_000), 0.0)
    e = rng.standard_normal(2_000_000) / np.sqrt(n)
    x = (g + e) * (np.abs(g + e) * np.sqrt(n) > t)
    signal, error, spike, total = kernel._parts(one(pi), one(sigma2), n, t)
    assert signal[0] == pytest.approx(np.mean(x * g), rel=0.01)
    assert error[0] + spike[0] == pytest.approx(np.mean(x * e), rel=0.01)
    assert total[0] == pytest.approx(np.mean(x**2), rel=0.01)


def test_architecture_is_found_again():
    t = -norm.ppf(2.5e-8)
    pi, h2 = np.array([1e-4, 1e-3, 5e-3, 2e-2]), np.full(4, 0.25)
    total = kernel.expected_sum(pi, h2, 1e5, t, 1.15e6)
    found = kernel.architecture(total, h2, 1e5, t, 1.15e6)
    assert found.met.all()
    np.testing.assert_allclose(found.pi, pi, rtol=1e-9)
    np.testing.assert_allclose(found.sigma2, h2 / (1.15e6 * pi), rtol=1e-9)
    assert not kernel.architecture(one(10.0), one(0.2), 1e5, t, 1.15e6).met[0]


def studies(seed, *, alpha, cross, h2=0.2, pi=0.02, people=PEOPLE):
    rng = np.random.default_rng(seed)
    effect = np.where(rng.random(MARKERS) < pi, np.sqrt(h2 / (pi * MARKERS)) * rng.standard_normal(MARKERS), 0.0)
    e = rng.standard_normal((2, MARKERS)) / np.sqrt(people)
    return effect + e[0], alpha * effect + cross * e[0] + np.sqrt(1 - cross**2) * e[1]


def instruments(x, y, people=PEOPLE, scale=1.0):
    chosen = np.abs(x) * np.sqrt(people) > -norm.ppf(2.5e-8)
    se = np.full(chosen.sum(), people**-0.5)
    return mr.Harmonised.from_arrays(
        beta_exposure=scale * x[chosen], se_exposure=scale * se, beta_outcome=y[chosen], se_outcome=se,
        n_exposure=people, n_outcome=people,
    )  # fmt: skip


@pytest.mark.parametrize(("alpha", "cross"), [(0.2, 0.0), (0.2, 0.6), (0.0, 0.6), (0.0, 0.0)])
def test_nearly_unbiased_where_ivw_is_not(alpha, cross):
    rows = []
    for seed in range(120):
        h = instruments(*studies(seed, alpha=alpha, cross=cross))
        fit = overlap_correction(h, h2=0.2, error_correlation=cross, n_markers=MARKERS, n_draws=400, seed=seed)
        rows.append((fit.observed, fit.corrected, fit.corrected_se, fit.tidy()["p_value"].iloc[2]))
    observed, estimate, error, p = np.array(rows).T
    biased = alpha != 0 or cross != 0
    if biased:
        assert abs(observed.mean() - alpha) > 0.03
    assert abs(estimate.mean() - alpha) < 0.015
    assert np.mean(np.abs(estimate - alpha) < 1.96 * error) > 0.88
    assert error.mean() == pytest.approx(estimate.std(), rel=0.35)
    if cross:
        assert np.mean(p < 0.05) > 0.5


def test_scale_of_the_exposure_does_not_matter():
    x, y = studies(1, alpha=0.2, cross=0.5)
    options = {"h2": 0.2, "error_correlation": 0.5, "n_markers": MARKERS, "n_draws": 200, "seed": 3}
    a, b = (overlap_correction(instruments(x, y, scale=s), **options) for s in (1.0, 7.0))
    assert a.corrected == pytest.approx(b.corrected, rel=1e-12)
    assert a.corrected_se == pytest.approx(b.corrected_se, rel=1e-12)


def test_from_ld_score_regression():
    rng = np.random.default_rng(5)
    x, y = studies(5, alpha=0.3, cross=0.4)
    names = [f"rs{j}" for j in range(MARKERS)]
    both = [
        pd.DataFrame({"variant": names, "effect_allele": "A", "other_allele": "C", "beta": b, "se": PEOPLE**-0.5})
        for b in (x, y)
    ]
    scores = pd.DataFrame({"SNP": names, "L2": rng.uniform(0.9, 1.1, MARKERS)})
    fit = overlap(*both, ldscores=scores, n_reference=MARKERS, n_exposure=PEOPLE, n_outcome=PEOPLE, n_blocks=50)
    object.__setattr__(fit, "h2_exposure", fit.h2_exposure._replace(total=0.2, total_se=0.02))
    chosen = np.abs(x) * np.sqrt(PEOPLE) > -norm.ppf(2.5e-8)
    h = mr.harmonise(both[0][chosen], both[1], action=3)
    found = overlap_correction(h, fit, n_markers=MARKERS, n_draws=500, seed=1)
    assert found.h2 == 0.2
    assert found.error_correlation == fit.error_correlation
    same = overlap_correction(
        instruments(x, y), h2=0.2, h2_se=0.02, error_correlation=fit.error_correlation,
        error_correlation_se=fit.covariance.intercept_se, n_markers=MARKERS, n_draws=500, seed=1,
    )  # fmt: skip
    assert found.corrected == pytest.approx(same.corrected, rel=1e-9)
    assert found.corrected_se == pytest.approx(same.corrected_se, rel=1e-9)


def test_what_is_left_out_is_said():
    x, y = studies(1, alpha=0.2, cross=0.5)
    h = instruments(x, y)
    options = {"h2": 0.2, "error_correlation": 0.5, "n_markers": MARKERS, "n_draws": 200, "seed": 3}
    strict = overlap_correction(h, p1=1e-12, **options)
    z = np.abs(h.beta_exposure / h.se_exposure)
    assert strict.nobs == (z > -norm.ppf(5e-13)).sum() < h.n_variants
    assert "left out: p not below 1e-12" in str(strict)
    uncertain = overlap_correction(h, **{**options, "h2_se": 0.15})
    assert "draws left out: heritability not positive" in str(uncertain)
    much = overlap_correction(h, **{**options, "h2": 0.001})
    assert "more than the heritability" in str(much)
    assert strict.plot() is not None
    assert list(strict.glance()) == ["n_variants", "polygenicity", "per_variant_h2", "error_correlation"]


def test_refusals():
    h = instruments(*studies(1, alpha=0.2, cross=0.5))
    good = {"h2": 0.2, "error_correlation": 0.1}
    assert isinstance(overlap_correction(h, p1=1e-300, **good), NotApplicable)
    assert "not positive" in overlap_correction(h, h2=-0.1, error_correlation=0).reason
    for options, match in (
        ({"h2": 0.2}, "error_correlation: give"), ({"error_correlation": 0.1}, "h2: give"),
        ({**good, "h2": 1.5}, "below 1"), ({**good, "error_correlation": 1.0}, "between -1 and 1"),
        ({**good, "p1": 0}, "p1=0"), ({**good, "h2_se": -1}, "negative"), ({**good, "n_draws": 5}, "n_draws=5"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=match):
            overlap_correction(h, **options)
    bare = mr.Harmonised.from_arrays(
        beta_exposure=h.beta_exposure, se_exposure=h.se_exposure, beta_outcome=h.beta_outcome, se_outcome=h.se_outcome
    )
    with pytest.raises(SummaryStatisticsError, match="n_exposure: .* give n_exposure="):
        overlap_correction(bare, **good)
    assert overlap_correction(bare, n_exposure=PEOPLE, n_outcome=PEOPLE, **good, n_draws=100).nobs == h.n_variants
    with pytest.raises(SummaryStatisticsError, match="ldsc must be"):
        overlap_correction(h, 0.2)
