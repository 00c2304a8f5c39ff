"""MR-Clust: stationary points of its likelihood, clusters that are known, and the R package's likelihoods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import clusters as kernel
from dxa_causal.results import NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"


def drawn(sizes, effects, *, junk=0, seed=1, precision=0.05):
    """Variants whose ratios have the effects given, and `junk` that have any effect."""
    rng = np.random.default_rng(seed)
    effect = np.concatenate([np.repeat(effects, sizes), rng.uniform(-2, 2, junk)])
    x = rng.uniform(0.05, 0.2, effect.size) * rng.choice([-1, 1], effect.size)
    sy = precision * rng.uniform(0.5, 1.5, effect.size) * 0.1
    y = effect * x + sy * rng.standard_normal(effect.size)
    return mr.Harmonised.from_arrays(
        beta_exposure=x, se_exposure=np.full(effect.size, 0.005), beta_outcome=y, se_outcome=sy
    )


def likelihood(fit, means, weights):
    """Log-likelihood with scipy's densities."""
    theta, se = fit.ratios, fit.std_errors
    density = [w * stats.norm.pdf(theta, mu, se) for mu, w in zip([*means, 0.0], weights[:-1], strict=True)]
    return np.log(sum(density) + weights[-1] * stats.t.pdf(theta / fit.junk_scale, 4) / fit.junk_scale).sum()


@pytest.fixture(scope="module")
def known():
    return drawn([15, 12, 10], [0.5, -0.4, 0.0], junk=3, seed=3)


def test_finds_the_clusters_that_are_there(known):
    fit = mr.clusters(known, seed=1)
    table = fit.tidy().set_index("term")
    assert table.index.tolist() == ["1", "2", "null", "junk"]
    # against the truth of one draw: standard errors of the means are about 0.01, of the shares less than 0.03
    np.testing.assert_allclose(table["estimate"], [-0.4, 0.5, 0.0, np.nan], atol=0.03)
    np.testing.assert_allclose(table["weight"], [12 / 40, 15 / 40, 10 / 40, 3 / 40], atol=0.03)
    truth = np.repeat(["2", "1", "null", "junk"], [15, 12, 10, 3])
    assigned = fit.assignments()
    assert (assigned["cluster"] == truth).mean() > 0.95
    assert table["n_variants"].sum() == len(assigned) == 40
    assert fit.glance()[["n_clusters", "n_variants"]].to_numpy().tolist() == [[2, 40]]
    assert "not to be interpreted" not in str(fit)


def test_is_a_maximum_of_the_likelihood(known):
    fit = mr.clusters(known, seed=1)
    at = likelihood(fit, fit.means, fit.weights)
    assert fit.glance()["log_likelihood"].item() == pytest.approx(at, abs=1e-9)
    assert fit.glance()["bic"].item() == pytest.approx(-2 * at + 5 * np.log(40), abs=1e-8)
    np.testing.assert_allclose(fit.probabilities.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(fit.probabilities.mean(axis=0), fit.weights, atol=1e-6)
    extreme = np.argmax(np.abs(fit.ratios) + 2 * fit.std_errors)
    assert fit.junk_scale == pytest.approx(np.ptp(fit.ratios) + fit.std_errors[extreme], rel=1e-12)

    def minus(p):
        shares = np.exp(np.concatenate([p[2:], [0.0]]))
        return -likelihood(fit, p[:2], shares / shares.sum())

    start = np.concatenate([fit.means, np.log(fit.weights[:-1] / fit.weights[-1])])
    better = optimize.minimize(minus, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    assert -better.fun - at < 1e-6


def test_more_clusters_never_fit_worse(known):
    numbers = mr.clusters(known, seed=1).numbers()
    assert numbers["n_clusters"].tolist() == list(range(11))
    assert (np.diff(numbers["log_likelihood"]) > -1e-6).all()
    n_parameters = 2 * numbers["n_clusters"] + 1
    np.testing.assert_allclose(numbers["bic"], -2 * numbers["log_likelihood"] + n_parameters * np.log(40))


def test_no_cluster_where_nothing_is_going_on():
    fit = mr.clusters(drawn([30], [0.0]), max_clusters=4, seed=2)
    assert fit.means.size == 0
    assert fit.tidy()["term"].tolist() == ["null", "junk"]
    assert fit.weights[0] > 0.9


def test_order_signs_and_seeds_do_not_matter(known):
    fit = mr.clusters(known, max_clusters=4, seed=1)
    table = known.table.iloc[::-1].assign(
        beta_exposure=lambda d: -d["beta_exposure"], beta_outcome=lambda d: -d["beta_outcome"]
    )
    columns = ("beta_exposure", "se_exposure", "beta_outcome", "se_outcome")
    other = mr.clusters(mr.Harmonised.from_arrays(**{c: table[c] for c in columns}), max_clusters=4, seed=7)
    # another seed starts elsewhere: equal as far as EM goes
    np.testing.assert_allclose(other.means, fit.means, atol=1e-6)
    np.testing.assert_allclose(other.probabilities[::-1], fit.probabilities, atol=1e-6)
    np.testing.assert_array_equal(
        mr.clusters(known, max_clusters=4, seed=7).means, mr.clusters(known, max_clusters=4, seed=7).means
    )


def test_weak_assignments_can_be_left_out(known):
    fit = mr.clusters(known, seed=1)
    sure = fit.assignments(min_probability=0.8, min_variants=4)
    assert set(sure["cluster"]) == {"1", "2", "null"}
    assert (sure["probability"] >= 0.8).all()
    assert len(sure) < 40
    single = mr.clusters(known, max_clusters=1, seed=1)
    assert "larger max_clusters" in str(single)


def test_search_ends_after_rises(monkeypatch):
    h = drawn([20, 20], [0.5, -0.5])
    assert len(mr.clusters(h, max_clusters=14, seed=1).bics) == 11  # BIC rose from 3 to 10
    monkeypatch.setattr("dxa_causal.mr.doubt.clusters._RISES", 100)
    assert len(mr.clusters(h, max_clusters=12, seed=1).bics) == 13


def test_refusals():
    assert isinstance(mr.clusters(drawn([3], [0.5])), NotApplicable)
    with pytest.raises(OptionError, match="max_clusters=0"):
        mr.clusters(drawn([5], [0.5]), max_clusters=0)
    h = drawn([5], [0.5])
    with pytest.raises(SummaryStatisticsError, match="ld holds"):
        mr.clusters(h.with_ld(0.5 * np.eye(5) + 0.5, variants=h.table["variant"].tolist()))
    four = mr.clusters(drawn([4], [0.5]), max_clusters=10, seed=1)  # as many clusters as variants at most
    assert len(four.bics) == 5


@pytest.mark.parametrize("pressure", ["sbp", "dbp", "pp"])
def test_not_below_the_r_package(pressure, private_csv):
    """Likelihoods of mrclust's algorithm, best of its six starts; from K = 3 on ours finds higher ones."""
    d = private_csv(f"mrclust_{pressure}_cad.csv")
    h = mr.Harmonised.from_arrays(
        beta_exposure=d["bx"], se_exposure=d["bxse"], beta_outcome=d["by"], se_outcome=d["byse"], variant=d["rsid"]
    )
    fit = mr.clusters(h, seed=1)
    row = json.loads((REFERENCE / "clusters.json").read_text())[pressure]
    theirs = np.array(row["log_likelihood"])
    assert (fit.log_likelihoods > theirs - 1e-6).all()
    np.testing.assert_allclose(fit.log_likelihoods[:2], theirs[:2], atol=5e-6)
    if pressure == "sbp":  # the paper: four clusters, one of them negative
        assert fit.means.size == row["published_n_clusters"]
        assert (fit.means < 0).sum() == 1
    assert fit.bics.min() < row["bic"]
    more = kernel.fit(kernel.prepare(fit.ratios, fit.std_errors), 4, None, np.random.default_rng(99))
    assert fit.log_likelihoods[4] > more.log_likelihood - 1e-6
