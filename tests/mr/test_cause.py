"""A causal effect or a shared cause: densities by brute force, the posterior on a grid, and truths that are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

from dxa_causal import mr
from dxa_causal._core.errors import MissingDependencyError, OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import cause as kernel
from dxa_causal.mr.models.cause import cause
from dxa_causal.results import NotApplicable


def drawn(gamma, *, n=250, seed=1, cross=0.3):
    rng = np.random.default_rng(seed)
    b = np.where(rng.random(n) < 0.3, rng.normal(0, 0.05, n), 0.0)
    direct = np.where(rng.random(n) < 0.2, rng.normal(0, 0.02, n), 0.0)
    e = 0.01 * rng.standard_normal((2, n))
    return mr.Harmonised.from_arrays(
        beta_exposure=b + e[0], se_exposure=np.full(n, 0.01),
        beta_outcome=gamma * b + direct + cross * e[0] + np.sqrt(1 - cross**2) * e[1], se_outcome=np.full(n, 0.01),
    )  # fmt: skip


@pytest.fixture(scope="module")
def fit():
    return cause(drawn(0.4), error_correlation=0.3, prior_scale=1.0, n_draws=300, n_tune=300, seed=1)


EFFECTS = kernel.Effects(
    np.array([0.05, -0.01]), np.array([0.02, 0.03]), np.array([0.01, 0.02]), np.array([0.02, 0.01]), 0.3
)
PARTS = kernel.Components(np.array([0.0, 0.01]), np.array([0.0004, 0.0]), np.array([0.7, 0.3]))


def test_density_by_brute_force():
    slopes = np.array([0.0, 0.5])
    ours = kernel.log_density(EFFECTS, slopes, PARTS)
    for s, b in enumerate(slopes):
        for j in range(2):
            for k in range(2):
                a = np.array([[1.0, 0.0], [b, 1.0]])
                error = (
                    np.diag([EFFECTS.sx[j], EFFECTS.sy[j]])
                    @ [[1, 0.3], [0.3, 1]]
                    @ np.diag([EFFECTS.sx[j], EFFECTS.sy[j]])
                )
                covariance = error + a @ np.diag([PARTS.exposure[k], PARTS.direct[k]]) @ a.T
                expected = stats.multivariate_normal.logpdf([EFFECTS.x[j], EFFECTS.y[j]], cov=covariance)
                assert ours[s, j, k] == pytest.approx(expected, rel=1e-10)
    mixed = np.log(np.exp(ours) @ PARTS.share)
    both = np.log(0.8 * np.exp(mixed[0]) + 0.2 * np.exp(mixed[1]))
    found = kernel.pointwise(EFFECTS, PARTS, np.zeros(1), np.full(1, 0.5), np.full(1, 0.2))
    np.testing.assert_allclose(found[0], both, rtol=1e-12)


def test_parts_of_draws_give_the_same(monkeypatch):
    draws = np.linspace(0.1, 0.5, 5)
    whole = kernel.pointwise(EFFECTS, PARTS, draws, draws, draws)
    monkeypatch.setattr(kernel, "_CELLS", 8)
    np.testing.assert_array_equal(kernel.pointwise(EFFECTS, PARTS, draws, draws, draws), whole)


def test_components_maximise_the_likelihood():
    h = drawn(0.0, n=2000)
    e = kernel.Effects(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome, 0.3)
    found = kernel.components(e, np.array([0.0, 0.02, 0.05]), np.array([0.0, 0.02]), 1.0)
    parts = np.exp(kernel.log_density(e, np.zeros(1), found)[0])
    gradient = (parts / (parts @ found.share)[:, None]).mean(axis=0)  # 1 for every share that is used, at the maximum
    # EM ends when no share moves by 1e-8, and shares below 1e-5 are left out of the others' sum
    np.testing.assert_allclose(gradient, 1.0, atol=1e-5)
    exposure = found.share[found.exposure > 0].sum()
    assert exposure == pytest.approx(0.3, abs=0.1)


def test_criterion_and_r_hat():
    values = np.log(np.random.default_rng(1).uniform(0.1, 1.0, (500, 3)))
    expected = np.log(np.exp(values).mean(axis=0)) - values.var(axis=0, ddof=1)
    np.testing.assert_allclose(kernel.expected_density(values), expected)
    rng = np.random.default_rng(2)
    assert kernel.r_hat(rng.standard_normal((4, 1000))) == pytest.approx(1.0, abs=0.01)
    assert kernel.r_hat(rng.standard_normal((4, 1000)) + np.arange(4)[:, None]) > 1.5


@pytest.mark.slow
def test_posterior_as_on_a_grid(fit):
    """The sampled posterior of the causal model against sums over a fine grid."""
    h = fit.harmonised
    e = kernel.Effects(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome, 0.3)
    grid = np.stack(
        np.meshgrid(np.linspace(0, 0.8, 61), np.linspace(-3, 3, 61), (np.arange(15) + 0.5) / 30, indexing="ij")
    )
    gamma, eta, q = grid.reshape(3, -1)
    posterior = kernel.pointwise(e, fit.components, gamma, eta, q).sum(axis=1)
    posterior += stats.norm.logpdf(gamma) + stats.norm.logpdf(eta) + stats.beta.logpdf(q, 1, 10)
    weight = np.exp(posterior - posterior.max())
    weight /= weight.sum()
    mean = weight @ gamma
    spread = np.sqrt(weight @ (gamma - mean) ** 2)
    draws = fit.causal["gamma"]
    assert draws.mean() == pytest.approx(mean, abs=0.25 * spread)
    assert draws.std() == pytest.approx(spread, rel=0.25)
    assert fit.causal["q"].mean() == pytest.approx(weight @ q, abs=0.03)


@pytest.mark.slow
def test_finds_the_causal_effect(fit):
    row = fit.tidy().iloc[0]
    assert row["term"] == "gamma"
    assert row["conf_low"] < 0.4 < row["conf_high"]
    assert row["estimate"] == pytest.approx(0.4, abs=0.1)
    assert fit.comparison().p_value < 0.05
    assert fit.glance()["elpd_difference"].item() < 0


@pytest.mark.slow
def test_tables_and_figure(fit):
    table = fit.tidy()
    assert table["model"].tolist() == ["causal"] * 3 + ["sharing"] * 2
    assert (table["r_hat"] < 1.2).all()
    ratio = fit.tidy(exponentiate=True)
    assert ratio["estimate"][0] == pytest.approx(np.exp(table["estimate"][0]))
    assert ratio["estimate"][2] == table["estimate"][2]
    assert "components of effects" in str(fit)
    assert fit.plot() is not None
    assert not fit.causal["gamma"].flags.writeable


def test_refusals(monkeypatch):
    h = drawn(0.4)
    assert isinstance(cause(drawn(0.4, n=50)), NotApplicable)
    small, ones = np.full(120, 0.01), np.ones(120)
    weak = mr.Harmonised.from_arrays(beta_exposure=small, se_exposure=small, beta_outcome=0 * ones, se_outcome=ones)
    assert "p < 0.001" in cause(weak).reason
    for options, match in (
        ({"error_correlation": 1.0}, "error_correlation=1.0"), ({"prior_scale": 0}, "prior_scale"),
        ({"q_prior": (1, 0)}, "q_prior"),
        ({"n_draws": 5}, "n_draws=5"), ({"n_chains": 1}, "n_chains=1"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=match):
            cause(h, **options)
    with pytest.raises(SummaryStatisticsError, match="needs"):
        cause(h.table)
    monkeypatch.setattr("dxa_causal._core.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="bayes"):
        cause(h)


def test_not_loaded_before_it_is_needed():
    import subprocess

    code = "import dxa_causal.mr.models.cause, sys; assert 'pymc' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
