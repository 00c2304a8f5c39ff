"""GRAPPLE: its estimating equations solved in R, brute force, and overlapping samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import grapple as kernel
from dxa_causal.mr._kernels.raps import psi, rho
from dxa_causal.mr.models.grapple import grapple
from dxa_causal.mr.univariable.raps import raps
from dxa_causal.results import NotApplicable

R = json.loads((Path(__file__).parents[1] / "reference" / "mr" / "grapple.json").read_text())
RTOL = 1e-7  # R's optim stops where the loss does not change any more, which leaves effects uncertain by 1e-8
LOSSES = ("l2", "huber", "tukey")
MH = mr.MultivariableHarmonised


@pytest.fixture(scope="module")
def two():
    d = {name: np.array(v) for name, v in R["data"].items()}
    return MH.from_arrays(
        beta_exposures=np.column_stack([d["x1"], d["x2"]]), se_exposures=np.column_stack([d["s1"], d["s2"]]),
        beta_outcome=d["y"], se_outcome=d["sy"], exposures=["one", "two"],
    )  # fmt: skip


def agrees(fit, row):
    np.testing.assert_allclose(fit.estimates, row["beta"], rtol=RTOL)
    np.testing.assert_allclose(fit.std_errors, row["se_scaled"], rtol=RTOL)
    assert fit.tau2 == pytest.approx(row["tau2"][0], rel=RTOL)
    assert fit.tau2_std_error == pytest.approx(row["tau2_se_scaled"][0], rel=RTOL)
    assert fit.converged


@pytest.mark.parametrize("loss", LOSSES)
def test_as_in_r(loss, two, bmi_chd):
    agrees(grapple(two, correlation=R["correlation"], loss=loss), R[f"sim_{loss}"])
    agrees(grapple(bmi_chd, correlation=0.25, loss=loss), R[f"chd_{loss}"])


def test_where_the_package_differs(two):
    """Two scalings of Tukey's loss: effects by less than half a per cent, the overdispersion by much."""
    fit, row = grapple(two, correlation=R["correlation"]), R["sim_tukey"]
    np.testing.assert_allclose(fit.std_errors, row["se"], rtol=0.006)  # the difference itself, as the title says
    assert fit.tau2_std_error / row["tau2_se"][0] == pytest.approx(4.685**2 / 6, rel=0.01)


@pytest.mark.parametrize("loss", LOSSES)
def test_constants_by_quadrature(loss):
    def mean(f):
        return integrate.quad(
            lambda x: f(np.array([x]))[0] * stats.norm.pdf(x), -12, 12, limit=400, points=[-4.685, -1.345, 1.345, 4.685]
        )[0]

    c = kernel.constants(loss)
    assert c.mean == pytest.approx(mean(lambda x: rho(x, loss)), rel=1e-9)
    assert c.psi2 == pytest.approx(mean(lambda x: psi(x, loss) ** 2), rel=1e-9)
    assert c.spread == pytest.approx(mean(lambda x: rho(x, loss) ** 2) - c.mean**2, rel=1e-8)
    assert c.slope == pytest.approx(mean(lambda x: x * psi(x, loss)), rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_better_minimum_nearby_or_far(loss, two):
    fit = grapple(two, correlation=R["correlation"], loss=loss, overdispersed=False)
    x, s = two.beta_exposures, np.column_stack([two.se_exposures, two.se_outcome])

    def total(b):
        contrast = np.append(-b, 1.0) * s
        v = np.einsum("ni,ij,nj->n", contrast, np.array(R["correlation"]), contrast)
        return rho((two.beta_outcome - x @ b) / np.sqrt(v), loss).sum()

    here = total(fit.estimates)
    brute = optimize.brute(total, ((-2, 2), (-2, 2)), Ns=81, finish=optimize.fmin)
    assert here <= total(brute) + 1e-9
    np.testing.assert_allclose(kernel.losses(fit.estimates[None], 0.0, _data(two), loss), here, rtol=1e-12)
    assert np.isnan(fit.tau2_std_error)
    assert fit.tau2 == 0


def _data(two):
    se = np.column_stack([two.se_exposures, two.se_outcome])
    return kernel.Data(two.beta_exposures, two.beta_outcome, kernel.covariances(se, np.array(R["correlation"])))


def test_gradient(two):
    for b in ([0.1, 0.2], [0.6, -0.5]):
        for loss in LOSSES:
            g = kernel._objective(np.array(b), 1e-4, _data(two), loss)[1]
            around = [
                [kernel._objective(b + s * e, 1e-4, _data(two), loss)[0] for s in (-1e-6, 1e-6)] for e in np.eye(2)
            ]
            np.testing.assert_allclose(g, np.diff(around)[:, 0] / 2e-6, rtol=1e-6)


def test_near_raps_for_one_exposure(bmi_chd):
    ours, theirs = grapple(bmi_chd, loss="l2").tidy(), raps(bmi_chd, loss="l2").tidy()
    assert ours["estimate"].item() == pytest.approx(theirs["estimate"].item(), rel=0.02)
    assert ours["std_error"].item() == pytest.approx(theirs["std_error"].item(), rel=0.05)


def drawn(seed, n=400, beta=(0.4, 0.0), cross=0.0, outliers=0.05, tau=0.004):
    """Weak instruments of two exposures; the errors of all studies correlate by `cross`."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(np.full((3, 3), cross) + (1 - cross) * np.eye(3))
    x, e = rng.normal(0, 0.02, (n, 2)), 0.01 * rng.standard_normal((n, 3)) @ root.T
    direct = np.where(rng.random(n) < outliers, rng.normal(0, 0.1, n), tau * rng.standard_normal(n))
    return MH.from_arrays(
        beta_exposures=x + e[:, :2], se_exposures=np.full((n, 2), 0.01), beta_outcome=x @ beta + direct + e[:, 2],
        se_outcome=np.full(n, 0.01),
    )  # fmt: skip


@pytest.mark.slow
def test_coverage_and_overlap():
    right, wrong, hits, errors = [], [], [], []
    cross = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    for seed in range(60):
        mh = drawn(seed, cross=0.5, outliers=0.0)
        fit = grapple(mh, correlation=cross)
        right.append(fit.estimates)
        errors.append(fit.std_errors)
        hits.append(np.abs(fit.estimates - [0.4, 0.0]) < 1.96 * fit.std_errors)
        wrong.append(grapple(mh).estimates)
    assert np.abs(np.mean(right, axis=0) - [0.4, 0.0]).max() < 0.015
    assert np.abs(np.mean(wrong, axis=0) - [0.4, 0.0]).max() > 0.05
    assert (np.mean(hits, axis=0) > 0.87).all()
    # a standard deviation of so few runs: Monte-Carlo error about 10 %, three of them
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(right, axis=0), rtol=0.3)


def test_profile_shows_two_mechanisms():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 0.05, 120)
    effect = np.where(np.arange(120) < 60, 0.5, -0.5)
    h = mr.Harmonised.from_arrays(
        beta_exposure=x, se_exposure=np.full(120, 0.003), beta_outcome=effect * x + rng.normal(0, 0.003, 120),
        se_outcome=np.full(120, 0.003),
    )  # fmt: skip
    profile = grapple(h).profile()
    modes = profile[profile["mode"]].nlargest(2, "log_likelihood")["value"].sort_values()
    np.testing.assert_allclose(modes, [-0.5, 0.5], atol=0.05)  # against the truth, and on the grid of the profile
    one = grapple(h).profile(np.linspace(0, 1, 5))
    assert len(one) == 5


def test_signs_order_and_scale(two):
    fit = grapple(two, correlation=R["correlation"])
    turn, scale = np.where(np.arange(two.n_variants) % 3, 1.0, -1.0), np.array([10.0, 1.0])
    other = MH.from_arrays(
        beta_exposures=(two.beta_exposures * turn[:, None] * scale)[::-1],
        se_exposures=(two.se_exposures * scale)[::-1],
        beta_outcome=(two.beta_outcome * turn)[::-1],
        se_outcome=two.se_outcome[::-1],
    )
    again = grapple(other, correlation=R["correlation"])
    np.testing.assert_allclose(again.estimates * scale, fit.estimates, rtol=1e-6)
    np.testing.assert_allclose(again.std_errors * scale, fit.std_errors, rtol=1e-6)


def test_tables_outliers_and_figure(two):
    fit = grapple(two, correlation=R["correlation"])
    found = fit.outliers()
    planted = {f"variant_{i + 1}" for i in range(0, 150, 15)}
    assert len(found)
    assert set(found["variant"]) <= planted
    assert "outlying variants" in str(fit)
    assert fit.tidy()["exposure"].tolist() == ["one", "two"]
    assert list(fit.glance()) == ["n_variants", "tau2", "tau2_std_error"]
    assert fit.plot() is not None
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), fit.std_errors)
    with pytest.raises(OptionError, match="one exposure"):
        fit.profile()


def test_refusals(two, bmi_chd):
    for correlation, error, match in (
        (0.2, OptionError, "3 by 3"), (np.eye(2), OptionError, "3 by 3"),
        ([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]], SummaryStatisticsError, "not positive definite"),
    ):  # fmt: skip
        with pytest.raises(error, match=match):
            grapple(two, correlation=correlation)
    with pytest.raises(SummaryStatisticsError, match="correlation must hold correlations"):
        grapple(bmi_chd, correlation=1.5)
    with pytest.raises(OptionError, match="strictly between"):
        grapple(bmi_chd, correlation=1.0)
    with pytest.raises(OptionError, match="loss='l1'"):
        grapple(two, loss="l1")
    with pytest.raises(SummaryStatisticsError, match="not DataFrame"):
        grapple(bmi_chd.table)
    few = MH.from_arrays(
        beta_exposures=two.beta_exposures[:3], se_exposures=two.se_exposures[:3], beta_outcome=two.beta_outcome[:3],
        se_outcome=two.se_outcome[:3],
    )  # fmt: skip
    assert isinstance(grapple(few), NotApplicable)
    same = MH.from_arrays(
        beta_exposures=two.beta_exposures[:, [0, 0]], se_exposures=two.se_exposures, beta_outcome=two.beta_outcome,
        se_outcome=two.se_outcome,
    )  # fmt: skip
    assert "combinations" in grapple(same).reason
    ld = 1.005 * np.eye(79) - 0.005
    with pytest.raises(SummaryStatisticsError, match="independent"):
        grapple(bmi_chd.with_ld(ld, variants=bmi_chd.table["variant"].tolist()))
