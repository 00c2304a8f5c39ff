"""Fit of z statistics and linkage: conditional distributions written out, planted faults."""

import matplotlib.axes
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import kriging as kernel
from dxa_causal.mr.locus.ld_check import ld_check
from dxa_causal.results import NotApplicable


def correlations(m, rho=0.95):
    return rho ** np.abs(np.subtract.outer(np.arange(m), np.arange(m)))


def drawn(rng, r, lead=None, strength=6.0):
    mean = np.zeros(len(r)) if lead is None else strength * r[lead]
    return mean + np.linalg.cholesky(r + 1e-10 * np.eye(len(r))) @ rng.standard_normal(len(r))


def test_conditional_distribution_written_out():
    rng = np.random.default_rng(1)
    r = correlations(12, 0.8)
    z = drawn(rng, r, 4)
    check = ld_check(z, r)
    s = check.inconsistency
    sigma = (1 - s) * r + s * np.eye(12)
    for j in range(12):
        others = np.delete(np.arange(12), j)
        weights = np.linalg.solve(sigma[np.ix_(others, others)], sigma[others, j])
        assert check.expected[j] == pytest.approx(weights @ z[others], abs=1e-9)
        assert check.sd[j] ** 2 == pytest.approx(1 - weights @ sigma[others, j], rel=1e-9)
    assert "n unknown" in str(check)


def test_inconsistency_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(2)
    r = correlations(30)
    z = drawn(rng, 0.7 * r + 0.3 * np.eye(30))
    grid = np.linspace(0, 1, 2001)
    likelihood = [stats.multivariate_normal.logpdf(z, cov=(1 - s) * r + s * np.eye(30)) for s in grid]
    assert ld_check(z, r).inconsistency == pytest.approx(grid[int(np.argmax(likelihood))], abs=1e-3)


def test_weights_of_the_mixture_are_the_best():
    rng = np.random.default_rng(3)
    log_density = -0.5 * rng.standard_normal((40, 1)) ** 2 / np.array([0.5, 1.0, 2.0]) ** 2 - np.log([0.5, 1.0, 2.0])
    weights = kernel._mixture_weights(log_density)

    def minus(p):
        w = np.exp(np.append(p, 0.0))
        return -np.log(np.exp(log_density) @ (w / w.sum())).sum()

    best = optimize.minimize(minus, np.zeros(2), method="Nelder-Mead", options={"fatol": 1e-10, "maxiter": 5000})
    assert -np.log(np.exp(log_density) @ weights).sum() == pytest.approx(best.fun, abs=2e-4)


def test_exchanged_alleles_are_found():
    rng = np.random.default_rng(4)
    r = correlations(80)
    z = drawn(rng, r, 40, 9.0)
    clean = ld_check(z, r, n=20_000)
    assert clean.inconsistency < 0.02
    assert not clean.flagged.any()
    z[[38, 43]] *= -1
    check = ld_check(z, r, n=20_000)
    assert np.flatnonzero(check.flagged).tolist() == [38, 43]
    assert check.inconsistency > 10 * clean.inconsistency
    assert "2 variants look as if their alleles were exchanged" in str(check)
    assert isinstance(check.plot(), matplotlib.axes.Axes)
    assert isinstance(clean.plot(), matplotlib.axes.Axes)
    table = check.tidy()
    np.testing.assert_allclose(table["z_difference"], (table["statistic"] - table["expected"]) / table["std_error"])


def test_linkage_of_another_ancestry():
    """Recombination at other places, and less of it."""
    rng = np.random.default_rng(5)
    places = [np.cumsum(rng.exponential(size, 100)) for size in (0.1, 0.03)]
    own, foreign = (np.exp(-np.abs(np.subtract.outer(p, p))) for p in places)
    z = drawn(rng, own, 50, 8.0)
    assert ld_check(z, own).inconsistency < 0.02
    check = ld_check(z, foreign)
    assert check.inconsistency > 0.05
    assert "another ancestry" in str(check)


def test_few_people_in_the_panel():
    """A singular matrix: fewer people than variants."""
    rng = np.random.default_rng(6)
    r = correlations(60)
    panel = np.corrcoef((rng.standard_normal((40, 60)) @ np.linalg.cholesky(r).T).T)
    check = ld_check(drawn(rng, r, 30), panel)
    assert np.isfinite(check.log_ratio).all()
    assert np.isfinite(check.expected).all()
    assert check.inconsistency > ld_check(drawn(rng, r, 30), r).inconsistency


def test_false_alarms_are_rare():
    rng = np.random.default_rng(7)
    r = correlations(60, 0.9)
    flagged = [ld_check(drawn(rng, r, 30), r, n=5000).flagged.mean() for _ in range(60)]
    assert np.mean(flagged) < 0.005


def test_frames_are_matched_by_name():
    rng = np.random.default_rng(8)
    r, names = correlations(30), [f"rs{i}" for i in range(30)]
    z = drawn(rng, r, 10)
    ld = pd.DataFrame(r, names, names)
    d = pd.DataFrame({"variant": names, "beta": z * 0.01, "se": 0.01, "n": 10_000})
    by_name = ld_check(d.sample(frac=1, random_state=1), ld).tidy().set_index("variant").loc[names]
    np.testing.assert_allclose(by_name["expected"], ld_check(z, r, n=10_000).expected, atol=1e-6)
    assert ld_check(z, ld, n=10_000).variant.tolist() == names
    assert ld_check(d.iloc[3:], ld).nobs == 27


def test_negative_eigenvalues_are_told():
    r = np.where(np.eye(10), 1, -0.2)
    check = ld_check(np.ones(10), r)
    assert check.smallest_eigenvalue == pytest.approx(-0.8)
    assert "negative eigenvalues" in str(check)


def test_refusals():
    r = correlations(4)
    with pytest.raises(SummaryStatisticsError, match="z must be finite"):
        ld_check([1.0, np.nan, 0, 0], r)
    with pytest.raises(SummaryStatisticsError, match="must be 3 by 3"):
        ld_check([1.0, 0, 0], r)
    with pytest.raises(SummaryStatisticsError, match="must hold correlations"):
        ld_check([1.0, 0, 0, 0], r * 2)
    with pytest.raises(OptionError, match="n=1"):
        ld_check([1.0, 0, 0, 0], r, n=1)
    with pytest.raises(SummaryStatisticsError, match="p-values have no sign"):
        ld_check({"variant": list("abcd"), "p": 0.1, "n": 100, "eaf": 0.2, "type": "quant"}, r)
    assert isinstance(ld_check([1.0, 0.0], correlations(2)), NotApplicable)


def test_r_squared_is_suspected():
    rng = np.random.default_rng(3)
    r = np.corrcoef(rng.standard_normal((60, 40)).T)
    z = rng.multivariate_normal(np.zeros(40), r)
    assert "is this r squared" in str(ld_check(z, r**2))
    assert "is this r squared" not in str(ld_check(z, r))
