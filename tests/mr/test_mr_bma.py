"""MR-BMA: every model by brute force, the published Bayes factor, and exposures that are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import bma as kernel
from dxa_causal.mr.models.mr_bma import bma
from dxa_causal.results import NotApplicable

MH = mr.MultivariableHarmonised


def drawn(n=40, k=5, effects=(0.5, -0.3), seed=1, noise=0.02, correlation=0.4) -> MH:
    rng = np.random.default_rng(seed)
    x = 0.1 * (
        np.sqrt(correlation) * rng.standard_normal((n, 1)) + np.sqrt(1 - correlation) * rng.standard_normal((n, k))
    )
    se = noise * rng.uniform(0.7, 1.3, n)
    y = x[:, : len(effects)] @ np.array(effects) + se * rng.standard_normal(n)
    return MH.from_arrays(
        beta_exposures=x, se_exposures=np.full((n, k), 0.01), beta_outcome=y, se_outcome=se,
        exposures=[f"x{j}" for j in range(k)],
    )  # fmt: skip


def by_hand(mh, sigma=0.5, prior=0.5, sizes=None, g=None):
    """Models one by one, marginal likelihoods through the multivariate t distribution of the outcome."""
    y, x = mh.beta_outcome / mh.se_outcome, mh.beta_exposures / mh.se_outcome[:, None]
    n, k = x.shape
    rows = []
    for size in sizes or range(1, k + 1):
        for member in combinations(range(k), size):
            own = x[:, member]
            spread = sigma**2 * np.eye(size) if g is None else g * np.linalg.inv(own.T @ own)
            covariance = np.eye(n) + own @ spread @ own.T  # of y in units of the residual variance, itself ~ 1 / s
            quadratic, empty = y @ np.linalg.solve(covariance, y), y @ y
            log_bayes = -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * n * (np.log(quadratic) - np.log(empty))
            beta = np.zeros(k)
            beta[list(member)] = np.linalg.solve(own.T @ own + np.linalg.inv(spread), own.T @ y) if size else []
            rows.append((member, log_bayes, log_bayes + size * np.log(prior) + (k - size) * np.log(1 - prior), beta))
    weight = np.array([r[2] for r in rows])
    p = np.exp(weight - weight.max())
    return rows, p / p.sum()


@pytest.mark.parametrize(("prior", "sigma", "probability"), [("independence", 0.5, 0.5), ("g", 6.0, 0.2)])
def test_every_model_by_hand(prior, sigma, probability):
    mh = drawn()
    fit = bma(mh, prior=prior, sigma=sigma, prior_probability=probability)
    rows, p = by_hand(mh, sigma, probability, g=sigma**2 if prior == "g" else None)
    assert fit.probabilities.size == 31
    order = np.argsort(-p)
    np.testing.assert_allclose(fit.probabilities, p[order], rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(fit.log_bayes_factors[:8], [rows[i][1] for i in order[:8]], rtol=1e-9)
    included = sum(w * np.isin(np.arange(5), r[0]) for w, r in zip(p, rows, strict=True))
    averaged = sum(w * r[3] for w, r in zip(p, rows, strict=True))
    np.testing.assert_allclose(fit.inclusion, included, rtol=1e-9)
    np.testing.assert_allclose(fit.estimates, averaged, rtol=1e-8, atol=1e-12)


def test_bayes_factor_as_published():
    """log10 BF = -log10|Omega| / 2 - log10 prod(sigma) - n/2 (log10(y'y - b'Omega b) - log10 y'y)."""
    mh = drawn()
    y, x = mh.beta_outcome / mh.se_outcome, (mh.beta_exposures / mh.se_outcome[:, None])[:, [0, 2]]
    omega = x.T @ x + 4 * np.eye(2)
    b = np.linalg.solve(omega, x.T @ y)
    ten = -0.5 * np.log10(np.linalg.det(omega)) - np.log10(0.25)
    ten -= 20 * (np.log10(y @ y - b @ omega @ b) - np.log10(y @ y))
    fit = bma(mh)
    at = np.flatnonzero((fit.members == [True, False, True, False, False]).all(axis=1))[0]
    assert fit.log_bayes_factors[at] == pytest.approx(ten * np.log(10), rel=1e-10)
    np.testing.assert_allclose(fit.coefficients[at, [0, 2]], b, rtol=1e-10)


def test_finds_the_exposures_and_not_the_others():
    wrong, right = 0, 0
    for seed in range(20):
        fit = bma(drawn(n=80, k=8, seed=seed), prior_probability=0.2)
        right += (fit.inclusion[:2] > 0.5).sum()
        wrong += (fit.inclusion[2:] > 0.5).sum()
    assert right >= 38
    assert wrong <= 8


def test_sizes_and_the_empty_model():
    mh = drawn()
    small = bma(mh, max_size=2)
    assert small.members.sum(axis=1).max() == 2
    assert small.probabilities.size == 15
    rows, p = by_hand(mh, sizes=(1, 2))
    np.testing.assert_allclose(small.probabilities, np.sort(p)[::-1], rtol=1e-8, atol=1e-14)
    nothing = drawn(effects=(0.0, 0.0), seed=3)
    with_empty = bma(nothing, empty_model=True, prior_probability=0.1)
    assert with_empty.glance()["model"].item() == "none"
    assert with_empty.inclusion.max() < bma(nothing, prior_probability=0.1).inclusion.max()
    assert with_empty.diagnostics(min_probability=0.0)["model"].nunique() == 32


def test_many_outcomes_at_once():
    mh = drawn(k=4)
    y, x = mh.beta_outcome / mh.se_outcome, mh.beta_exposures / mh.se_outcome[:, None]
    ys = np.random.default_rng(0).permuted(np.tile(y, (7, 1)), axis=1)
    many = kernel.inclusion(kernel.Moments(x.T @ x, x.T @ ys.T, (ys**2).sum(axis=1), 40), range(1, 5), 0.5, None, 0.3)
    for row, shuffled in zip(many, ys, strict=True):
        single = MH.from_arrays(
            beta_exposures=mh.beta_exposures, se_exposures=mh.se_exposures, beta_outcome=shuffled * mh.se_outcome,
            se_outcome=mh.se_outcome,
        )  # fmt: skip
        np.testing.assert_allclose(row, bma(single, prior_probability=0.3).inclusion, rtol=1e-9)


def test_parts_give_the_same(monkeypatch):
    whole = bma(drawn(), n_permutations=20, seed=1)
    monkeypatch.setattr(kernel, "_CELLS", 100)
    parts = bma(drawn(), n_permutations=20, seed=1)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=1e-12)
    np.testing.assert_array_equal(parts.p_values, whole.p_values)


def test_permutations():
    fit = bma(drawn(n=60), n_permutations=199, seed=2)
    assert fit.p_values[0] == pytest.approx(1 / 200)
    table = fit.tidy()
    np.testing.assert_allclose(table["p_bh"], stats.false_discovery_control(table["p_value"]))
    uniform = np.concatenate(
        [bma(drawn(n=60, k=3, effects=(0, 0), seed=s), n_permutations=99, seed=s).p_values for s in range(60)]
    )
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert bma(drawn()).tidy()["p_value"].isna().all()


def test_diagnostics_find_what_was_planted():
    mh = drawn(n=50)
    y = mh.beta_outcome.copy()
    y[7] += 10 * mh.se_outcome[7]
    fit = bma(MH.from_arrays(
        beta_exposures=mh.beta_exposures, se_exposures=mh.se_exposures, beta_outcome=y, se_outcome=mh.se_outcome
    ))  # fmt: skip
    d = fit.diagnostics()
    flagged = d.groupby("variant")["outlier"].all()
    assert flagged[flagged].index.tolist() == ["variant_8"]
    member = fit.members[0]
    yw, x = y / mh.se_outcome, (mh.beta_exposures / mh.se_outcome[:, None])[:, member]
    hat = x @ np.linalg.solve(x.T @ x + 4 * np.eye(member.sum()), x.T)
    first = d[d["model"] == d["model"].iloc[0]]
    r = yw - hat @ yw
    np.testing.assert_allclose(first["q"], r**2, rtol=1e-8)
    h, size = np.diag(hat), member.sum()
    s2 = r @ r / (50 - size)
    np.testing.assert_allclose(first["cooks_distance"], r**2 / (s2 * size) * h / (1 - h) ** 2, rtol=1e-8)
    assert (first["influential"] == (first["cooks_distance"] > stats.f.ppf(0.5, size, 50 - size))).all()
    assert bma(mh, prior="g", sigma=7).diagnostics()["q"].notna().all()


def test_order_of_variants_and_exposures():
    mh = drawn()
    fit = bma(mh)
    turn = np.where(np.arange(40) % 2, -1.0, 1.0)[::-1]
    other = MH.from_arrays(
        beta_exposures=(mh.beta_exposures[::-1] * turn[:, None])[:, ::-1], se_exposures=mh.se_exposures,
        beta_outcome=mh.beta_outcome[::-1] * turn, se_outcome=mh.se_outcome[::-1],
    )  # fmt: skip
    np.testing.assert_allclose(bma(other).inclusion[::-1], fit.inclusion, rtol=1e-9)


def test_tables_and_figure():
    fit = bma(drawn())
    assert fit.models(3)["model"].tolist()[0] == fit.glance()["model"].item()
    effects = fit.models(1)[list(fit.harmonised.exposures)].iloc[0].notna().to_numpy()
    np.testing.assert_array_equal(effects, fit.members[0])
    assert (np.diff(fit.tidy()["inclusion"]) <= 0).all()
    assert fit.plot().get_xlim() == (0.0, 1.0)
    assert "31 models of up to 5 of 5 exposures" in str(fit)


def test_refusals():
    mh = drawn()
    for options, match in (
        ({"prior": "flat"}, "prior='flat'"), ({"sigma": 0}, "sigma=0"), ({"prior_probability": 1}, "prior_probability"),
        ({"max_size": 0}, "max_size=0"), ({"n_permutations": -1}, "n_permutations"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=match):
            bma(mh, **options)
    wide = drawn(n=30, k=40)
    with pytest.raises(OptionError, match="40 exposures give the size"):
        bma(wide)
    with pytest.raises(OptionError, match="models; at most"):
        bma(wide, max_size=10)
    assert bma(wide, max_size=2).probabilities.size == 820
    assert isinstance(bma(drawn(n=2, k=2)), NotApplicable)
    with pytest.raises(SummaryStatisticsError, match="MultivariableHarmonised"):
        bma(3)
    ld = 0.5 * np.eye(40) + 0.5
    correlated = MH.from_arrays(
        beta_exposures=mh.beta_exposures, se_exposures=mh.se_exposures, beta_outcome=mh.beta_outcome,
        se_outcome=mh.se_outcome, ld=ld,
    )  # fmt: skip
    with pytest.raises(SummaryStatisticsError, match="independent"):
        bma(correlated)


def test_exposures_that_are_combinations_and_an_outcome_without_effects():
    mh = drawn()
    x, se = mh.beta_exposures.copy(), mh.se_exposures
    x[:, 1] = 2 * x[:, 0]
    twins = MH.from_arrays(beta_exposures=x, se_exposures=se, beta_outcome=mh.beta_outcome, se_outcome=mh.se_outcome)
    assert "linear combinations" in bma(twins, prior="g", sigma=3.0).reason
    assert bma(twins).inclusion.sum() > 0  # the independence prior is proper
    nothing = MH.from_arrays(
        beta_exposures=mh.beta_exposures, se_exposures=se, beta_outcome=0 * mh.beta_outcome, se_outcome=mh.se_outcome
    )
    assert "all zero" in bma(nothing).reason
