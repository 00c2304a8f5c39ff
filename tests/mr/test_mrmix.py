"""MRMix: the package's published example, R's expectation-maximisation, and the delta method by finite differences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import mrmix as kernel
from dxa_causal.mr.models.mrmix import mix
from dxa_causal.results import NotApplicable

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "mr" / "mrmix.json").read_text())


def given(bx, by, sx, sy, **more) -> mr.Harmonised:
    return mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=sx, beta_outcome=by, se_outcome=sy, **more
    )  # fmt: skip


def drawn(n=150, valid=0.6, theta=0.3, seed=1, shift=0.01) -> mr.Harmonised:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.02, n)
    direct = np.where(np.arange(n) < valid * n, 0.0, rng.normal(shift, 0.01, n))
    sy = rng.uniform(0.002, 0.004, n)
    return given(x + rng.normal(0, 0.002, n), theta * x + direct + sy * rng.standard_normal(n), np.full(n, 0.002), sy)


def test_published_example(private_csv):
    d = private_csv("mrmix_sumstats.csv")
    h = given(d["betahat_x"], d["betahat_y"], d["sx"], d["sy"], n_exposure=d["nx"], n_outcome=d["ny"])
    fit = mix(h, standardise=("continuous", "continuous"))
    row, printed = fit.tidy().iloc[0], REFERENCE["readme_sumstats"]
    found = {
        "theta": fit.theta, "pi0": fit.pi0, "sigma2": fit.sigma2, "SE_theta": fit.std_error,
        "zstat_theta": row["statistic"], "pvalue_theta": row["p_value"],
    }  # fmt: skip
    for name, value in printed.items():
        assert found[name] == pytest.approx(value, rel=2e-7), name  # seven digits were printed
    np.testing.assert_allclose(fit.shares, REFERENCE["profile_std"]["pi0"], rtol=1e-10)
    np.testing.assert_allclose(fit.variances, REFERENCE["profile_std"]["sigma2"], rtol=1e-10)


def test_published_bmi_and_depression(private_csv):
    x, y = private_csv("mrmix_BMI15.csv"), private_csv("mrmix_MDD18.csv")
    exposure = x.rename(columns={"SNP": "variant", "EAF": "eaf", "N": "n"})
    outcome = y.rename(columns={"SNP": "variant", "A1": "effect_allele", "A2": "other_allele", "FRQ_U_113154": "eaf"})
    outcome = outcome.assign(beta=np.log(y["OR"]), se=y["SE"])
    keep = ["variant", "effect_allele", "other_allele", "beta", "se", "eaf"]
    h = mr.harmonise(exposure[[*keep, "n"]], outcome[keep], action=1, by="variant")
    assert h.n_variants == 96
    fit = mix(h, standardise=("continuous", "binary"))
    found = {"theta": fit.theta, "pi0": fit.pi0, "sigma2": fit.sigma2, "SE_theta": fit.std_error}
    for name, value in found.items():
        assert value == pytest.approx(REFERENCE["readme_bmi_mdd"][name], rel=0.004), name  # three digits were printed
    np.testing.assert_allclose(fit.shares, REFERENCE["profile_mdd"]["pi0"], rtol=1e-10)


def test_profile_where_the_share_reaches_its_bound(bmi_chd):
    fit = mix(bmi_chd)
    np.testing.assert_allclose(fit.shares, REFERENCE["profile_chd"]["pi0"], rtol=1e-10)
    np.testing.assert_allclose(fit.variances, REFERENCE["profile_chd"]["sigma2"], rtol=1e-7)  # R stops a step earlier
    assert "at its bound for several effects" in str(fit)
    assert fit.theta == pytest.approx(fit.grid[fit.shares == fit.shares.max()].mean())


def test_shares_maximise_the_likelihood():
    h = drawn()
    fit = mix(h, grid=np.linspace(0.1, 0.5, 9))
    for theta, share, variance in zip(fit.grid, fit.shares, fit.variances, strict=True):
        r, own = h.beta_outcome - theta * h.beta_exposure, np.sqrt(h.se_outcome**2 + theta**2 * h.se_exposure**2)

        def minus(p, r=r, own=own):
            q = 1 / (1 + np.exp(-p[0]))
            both = q * stats.norm.pdf(r, 0, own) + (1 - q) * stats.norm.pdf(r, 0, np.exp(p[1] / 2))
            return -np.log(both).sum()

        start = [np.log(share / (1 - share)), np.log(variance)]
        better = optimize.minimize(minus, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
        assert minus(start) - better.fun < 1e-7
        np.testing.assert_allclose(better.x, start, atol=1e-6)


def test_standard_error_by_finite_differences():
    """Solve the three estimating equations again after moving one statistic at a time."""
    h = drawn(n=40)
    data = [h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome]
    start = mix(h, grid=np.linspace(0, 0.6, 601))

    def log_density(t, p, s, bx, by, sx, sy):
        r = by - t * bx
        one, two = stats.norm.pdf(r, 0, np.sqrt(sy**2 + t**2 * sx**2)), stats.norm.pdf(r, 0, np.sqrt(s))
        return np.log(p * one + (1 - p) * two).sum()

    def inner(t, data):
        def minus(v):
            return -log_density(t, 1 / (1 + np.exp(-v[0])), np.exp(v[1]), *data)

        v0 = [np.log(start.pi0 / (1 - start.pi0)), np.log(start.sigma2)]
        v = optimize.minimize(minus, v0, method="BFGS", options={"gtol": 1e-9}).x
        for _ in range(3):  # polish by Newton on numerical derivatives
            g, hess = _derivatives(minus, v)
            v = v - np.linalg.solve(hess, g)
        return 1 / (1 + np.exp(-v[0])), np.exp(v[1])

    def peak(data):
        """Top of a polynomial through the profile near the grid's best effect."""
        grid = start.theta + np.linspace(-0.006, 0.006, 9)
        slope = np.polynomial.Polynomial.fit(grid, [inner(t, data)[0] for t in grid], 5).deriv()
        real = [root.real for root in slope.roots() if abs(root.imag) < 1e-9]
        return min(real, key=lambda root: abs(root - start.theta))

    theta = peak(data)
    share, variance = inner(theta, data)
    parts = np.array([_one_variant(theta, share, variance, data, k) for k in range(40)])
    assert np.sqrt(parts.sum()) == pytest.approx(kernel.std_error(theta, share, variance, *data), rel=1e-9)
    for k in range(0, 40, 8):
        total = 0.0
        for which in (0, 1):
            ends = []
            for sign in (1, -1):
                moved = [v.copy() for v in data]
                moved[which][k] += sign * 0.05 * data[which + 2][k]
                ends.append(peak(moved))
            total += ((ends[0] - ends[1]) / 0.1) ** 2
        assert total == pytest.approx(parts[k], rel=0.02, abs=1e-4 * parts.sum())


def _one_variant(theta, share, variance, data, k):
    """The squared error is a sum over variants; that of one, from the same formula with the derivatives unchanged."""
    bx, by, sx, sy = data
    derivatives = kernel._derivatives(theta, share, variance, bx, by, sx, sy)
    t = {name: v.sum() for name, v in derivatives.items()}
    d = {name: v[k] for name, v in derivatives.items()}

    def along(e, of):
        a, b, c, f = (of["".join(sorted(pair + e))] for pair in ("ss", "pt", "ps", "st"))
        return a * t["pt"] + t["ss"] * b - c * t["st"] - t["ps"] * f

    matrix = np.array([[t["pp"], t["ps"]], [t["ps"], t["ss"]]])
    s_t = -np.linalg.solve(matrix, [t["pt"], t["st"]])[1]
    bottom = along("t", t) + along("s", t) * s_t
    total = 0.0
    for e, se in (("x", sx[k]), ("y", sy[k])):
        p_e, s_e = -np.linalg.solve(matrix, [d["p" + e], d["s" + e]])
        total += ((along(e, d) + along("p", t) * p_e + along("s", t) * s_e) / bottom * se) ** 2
    return total


def _derivatives(f, v, h=1e-4):
    e = np.eye(2) * h
    g = np.array([(f(v + a) - f(v - a)) / (2 * h) for a in e])
    hess = [[(f(v + a + b) - f(v + a - b) - f(v - a + b) + f(v - a - b)) / (4 * h * h) for b in e] for a in e]
    return g, np.array(hess)


@pytest.mark.slow
def test_finds_the_effect_among_invalid_instruments():
    estimates, errors = [], []
    for seed in range(20):
        fit = mix(drawn(n=300, seed=seed), grid=np.linspace(-0.2, 0.8, 101))
        estimates.append(fit.theta)
        errors.append(fit.std_error)
    assert abs(np.mean(estimates) - 0.3) < 0.03
    assert 0.4 < np.std(estimates) / np.median(errors) < 2.0


def test_invalid_variants_get_low_probabilities():
    fit = mix(drawn(n=200, shift=0.03), grid=np.linspace(0, 0.6, 61))
    p = fit.assignments()["probability"].to_numpy()
    assert p[:120].mean() > 0.8
    assert p[120:].mean() < 0.3
    assert fit.pi0 == pytest.approx(p.mean(), abs=1e-3)


def test_order_and_signs_do_not_matter():
    h = drawn()
    t = h.table.iloc[::-1]
    other = given(-t["beta_exposure"], -t["beta_outcome"], t["se_exposure"], t["se_outcome"])
    a, b = mix(h, grid=np.linspace(0, 0.6, 31)), mix(other, grid=np.linspace(0, 0.6, 31))
    np.testing.assert_allclose(a.shares, b.shares, rtol=1e-9)
    assert a.std_error == pytest.approx(b.std_error, rel=1e-6)


def test_tables_notes_and_figure():
    fit = mix(drawn(), grid=[0.1, 0.2])
    assert "end of the grid" in str(fit)
    assert list(fit.profile()) == ["theta", "pi0", "sigma2"]
    assert fit.glance()["pi0"].item() == fit.pi0
    assert "valid" in fit.plot().get_ylabel()
    assert fit.tidy(exponentiate=True)["estimate"].item() == pytest.approx(np.exp(0.2))


def test_refusals():
    h = drawn(n=10)
    assert isinstance(mix(drawn(n=3)), NotApplicable)
    with pytest.raises(OptionError, match="grid must be"):
        mix(h, grid=[[0.1]])
    with pytest.raises(OptionError, match="standardise='binary'"):
        mix(h, standardise="binary")
    with pytest.raises(OptionError, match="'binari'"):
        mix(h, standardise=("as_given", "binari"))
    with pytest.raises(OptionError, match="pi_start"):
        mix(h, pi_start=1.0)
    with pytest.raises(OptionError, match="sigma2_start"):
        mix(h, sigma2_start=0.0)
    with pytest.raises(SummaryStatisticsError, match="n_exposure.*10 of 10.*'variant_1'"):
        mix(h, standardise=("continuous", "as_given"))
    with pytest.raises(SummaryStatisticsError, match="allele frequency"):
        mix(h, standardise=("as_given", "binary"))
    with pytest.raises(SummaryStatisticsError, match="ld holds"):
        mix(h.with_ld(1.05 * np.eye(10) - 0.05, variants=h.table["variant"].tolist()))


def test_frequencies_of_the_outcome_fill_in():
    h = drawn(n=30)
    object.__setattr__(h, "table", h.table.assign(eaf_outcome=0.5))
    fit = mix(h, standardise=("binary", "binary"), grid=[0.2, 0.3, 0.4])
    plain = given(*(v * np.sqrt(0.5) for v in (h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome)))
    np.testing.assert_allclose(fit.shares, mix(plain, grid=[0.2, 0.3, 0.4]).shares, rtol=1e-12)


def test_csv_of_the_example_is_already_standardised(private_csv):
    d = private_csv("mrmix_sumstats_std.csv")
    fit = mix(given(d["betahat_x_std"], d["betahat_y_std"], d["sx_std"], d["sy_std"]))
    assert isinstance(fit.profile(), pd.DataFrame)
    assert fit.std_error == pytest.approx(0.02449794, rel=2e-7)
