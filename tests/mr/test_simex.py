"""SIMEX against R's lm() in a simulation-extrapolation written for it, and against what is true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.simex import add_error, extrapolating_weights
from dxa_causal.results import NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
DRAWS = 20_000


@pytest.fixture(scope="module")
def weak() -> mr.Harmonised:
    data = pd.read_csv(REFERENCE / "simex_weak.csv")
    return mr.Harmonised.from_arrays(**{column: data[column] for column in data})


@pytest.mark.parametrize("name", ["simex_weak", "bmi_chd"])
def test_as_lm_in_r(name, weak, bmi_chd):
    fit = mr.simex(weak if name == "simex_weak" else bmi_chd, n_draws=DRAWS, seed=3)
    table = fit.tidy().set_index("term")
    rows = [r for r in json.loads((REFERENCE / "simex.json").read_text())["rows"] if r["dataset"] == name]
    assert len(rows) == 2
    for row in rows:
        ours = table.loc[row["term"]]
        both = np.sqrt(1 + row["n_draws"] / DRAWS)  # Monte-Carlo error of the difference
        assert abs(ours["estimate"] - row["estimate"]) < 4 * both * row["estimate_error"]
        assert abs(ours["std_error"] ** 2 - row["variance"]) < 4 * both * row["variance_error"]
        assert ours["monte_carlo_error"] == pytest.approx(
            row["estimate_error"] * np.sqrt(row["n_draws"] / DRAWS), rel=0.5
        )
        assert ours["df"] == fit.nobs - 2


class Replay:
    """Gives the draws of a file, in their order."""

    def __init__(self, draws):
        self.draws = draws

    def standard_normal(self, size):
        given, self.draws = self.draws[: size[0]], self.draws[size[0] :]
        return given


def test_as_lm_in_r_on_the_same_draws(weak):
    row = json.loads((REFERENCE / "simex.json").read_text())["same_draws"]
    draws = np.loadtxt(REFERENCE / "simex_draws.csv", delimiter=",")
    x, y = np.abs(weak.beta_exposure), np.sign(weak.beta_exposure) * weak.beta_outcome
    lambdas = np.array([0.5, 1.0, 1.5, 2.0])
    found = add_error(x, y, weak.se_exposure, weak.se_outcome**-2, lambdas, 10, Replay(draws))
    at = extrapolating_weights(lambdas, 2)
    np.testing.assert_allclose(at @ found.estimates, row["estimate"], rtol=1e-10)
    np.testing.assert_allclose(at @ found.variances, row["variance"], rtol=1e-9)


def test_is_refitting_in_every_draw(weak):
    """The same draws, one regression at a time."""
    fit = mr.simex(weak, n_draws=30, lambdas=(0.5, 1.0, 2.0), seed=8)
    rng = np.random.default_rng(8)
    x, y = np.abs(weak.beta_exposure), np.sign(weak.beta_exposure) * weak.beta_outcome
    w = 1 / weak.se_outcome

    def line(z):
        design = np.column_stack([z, np.ones(z.size)]) * w[:, None]
        beta, rss, *_ = np.linalg.lstsq(design, y * w, rcond=None)
        return beta, np.diag(np.linalg.inv(design.T @ design)) * rss[0] / (z.size - 2)

    means, variances = [line(x)[0]], [line(x)[1]]
    for added in (0.5, 1.0, 2.0):
        noise = rng.standard_normal((30, x.size))
        drawn = [line(x + np.sqrt(added) * weak.se_exposure * e) for e in noise]
        means.append(np.mean([b for b, _ in drawn], axis=0))
        variances.append(np.mean([v for _, v in drawn], axis=0) - np.var([b for b, _ in drawn], axis=0, ddof=1))
    at = np.polyfit([0, 0.5, 1.0, 2.0], means, 2)
    np.testing.assert_allclose(fit.estimates, at[0] - at[1] + at[2], rtol=1e-9)
    at = np.polyfit([0, 0.5, 1.0, 2.0], variances, 2)
    np.testing.assert_allclose(fit.std_errors**2, at[0] - at[1] + at[2], rtol=1e-8)
    simulated = fit.simulated().query("term == 'effect'")
    assert simulated["lambda"].tolist() == [-1, 0, 0.5, 1, 2]
    np.testing.assert_allclose(simulated["estimate"], [fit.estimates[0], *np.array(means)[:, 0]], rtol=1e-9)


def test_takes_away_most_of_the_attenuation():
    """I2_GX about 0.65: the slope keeps two thirds of the effect, with SIMEX more than nine tenths."""
    rng = np.random.default_rng(5)
    plain, corrected, i2 = [], [], []
    for _ in range(60):
        true = rng.uniform(0.04, 0.16, 100)
        sx, sy = np.full(100, 0.028), rng.uniform(0.01, 0.02, 100)
        h = mr.Harmonised.from_arrays(
            beta_exposure=true + sx * rng.standard_normal(100), se_exposure=sx,
            beta_outcome=0.01 + 0.5 * true + sy * rng.standard_normal(100), se_outcome=sy,
        )  # fmt: skip
        fit = mr.simex(h, n_draws=200, seed=rng)
        plain.append(fit.curve[0, 0])
        corrected.append(fit.estimates[0])
        i2.append(fit.i2_gx_weighted)
    assert np.mean(i2) == pytest.approx(0.65, abs=0.03)
    assert np.mean(plain) == pytest.approx(0.5 * np.mean(i2), abs=0.02)
    assert 0.44 < np.mean(corrected) < 0.51


def test_nothing_to_correct_without_error_in_the_exposure(weak):
    h = mr.Harmonised.from_arrays(
        beta_exposure=weak.beta_exposure, se_exposure=np.full(40, 1e-9), beta_outcome=weak.beta_outcome,
        se_outcome=weak.se_outcome,
    )  # fmt: skip
    egger = mr.estimate(h, ["egger"])
    sigma = np.sqrt(mr.heterogeneity(h)["statistic"].iloc[1] / 38)
    fit = mr.simex(h, n_draws=20, seed=1)
    np.testing.assert_allclose(fit.estimates, egger.estimates, rtol=1e-6)
    np.testing.assert_allclose(fit.std_errors, egger.std_errors * min(1.0, sigma), rtol=1e-6)


def test_a_negative_variance_is_a_reason():
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.078, 0.056, 0.042, 0.041, 0.089, 0.095], se_exposure=[0.04] * 6,
        beta_outcome=[0.0429, 0.0308, 0.0189, 0.0167, 0.0426, 0.0476], se_outcome=[0.01] * 6,
    )  # fmt: skip
    table = mr.simex(h, n_draws=2000, seed=1).tidy()
    assert table["estimate"].notna().all()
    assert table[["std_error", "p_value", "conf_low"]].isna().all(axis=None)
    assert table["reason"].str.contains("below zero").all()


def test_signs_seeds_blocks_and_refusals(weak):
    turned = mr.Harmonised.from_arrays(
        beta_exposure=-weak.beta_exposure, se_exposure=weak.se_exposure, beta_outcome=-weak.beta_outcome,
        se_outcome=weak.se_outcome,
    )  # fmt: skip
    one, two = mr.simex(weak, n_draws=50, seed=4), mr.simex(turned, n_draws=50, seed=4)
    np.testing.assert_array_equal(one.estimates, two.estimates)
    strength = mr.strength(weak)
    assert (one.i2_gx, one.i2_gx_weighted) == (strength.i2_gx, strength.i2_gx_weighted)
    linear = mr.simex(weak, n_draws=50, extrapolation="linear", seed=4)
    assert one.curve[0, 0] < linear.estimates[0] < one.estimates[0]
    np.testing.assert_allclose(extrapolating_weights(np.array([1.0]), 1), [2.0, -1.0])
    for bad in ((), (0.5,), (0.0, 1.0), (1.0, 1.0), (1.0, np.nan)):
        with pytest.raises(OptionError, match="lambdas"):
            mr.simex(weak, lambdas=bad)
    with pytest.raises(OptionError, match="n_draws"):
        mr.simex(weak, n_draws=1)
    with pytest.raises(SummaryStatisticsError, match="ld holds"):
        mr.simex(weak.with_ld(1.01 * np.eye(40) - 0.01, variants=weak.table["variant"].tolist()))
    few = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0.2], se_exposure=[0.1, 0.1], beta_outcome=[0.1, 0.2], se_outcome=[0.1, 0.1]
    )
    assert isinstance(mr.simex(few), NotApplicable)
