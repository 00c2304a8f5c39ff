from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError
from dxa_causal.mr._kernels import mode as mode_kernel

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
ROWS = json.loads((REFERENCE / "univariable.json").read_text())
RTOL = 1e-6  # references carry 15 digits
MM_RTOL = 1e-5  # R's lmrob stops at a relative step of 1e-7, in scale and coefficients
R_DRAWS, R_DRAWS_MANY, OUR_DRAWS = 1000, 10_000, 20_000


def first(fit: mr.MREstimates) -> pd.Series:
    return fit.tidy().iloc[0]


def mad_error(draws: int) -> float:
    return 1.17 / np.sqrt(draws)  # relative standard error of a normal sample's MAD


@pytest.fixture(scope="module")
def lipids(private_csv) -> mr.Harmonised:
    d = private_csv("mendelianrandomization_lipids_chd.csv")
    return mr.Harmonised.from_arrays(
        beta_exposure=d["ldlc"], se_exposure=d["ldlcse"], beta_outcome=d["chdlodds"], se_outcome=d["chdloddsse"]
    )


def simulated(n: int = 25, seed: int = 7) -> mr.Harmonised:
    rng = np.random.default_rng(seed)
    bx = rng.uniform(0.03, 0.2, n) * rng.choice([-1, 1], n)
    sx, sy = rng.uniform(0.005, 0.01, n), rng.uniform(0.01, 0.03, n)
    by = 0.4 * bx + rng.normal(0, sy) + np.where(np.arange(n) < 4, 0.1, 0.0)
    return mr.Harmonised.from_arrays(
        beta_exposure=bx + rng.normal(0, sx), se_exposure=sx, beta_outcome=by, se_outcome=sy
    )


@pytest.mark.parametrize("row", ROWS["exact"], ids=lambda row: row["ours"])
def test_deterministic_rows(bmi_chd, row):
    table = mr.estimate(bmi_chd, row["ours"]).tidy()
    assert table["estimate"][0] == pytest.approx(row["estimate"], rel=RTOL)
    assert table["p_value"][0] == pytest.approx(row["p"], rel=RTOL)
    if row["se"] is not None:
        assert table["std_error"][0] == pytest.approx(row["se"], rel=RTOL)


def test_grip_intercept_and_adjustment(bmi_chd):
    row = next(r for r in ROWS["exact"] if r["ours"] == "grip")
    fit = mr.estimate(bmi_chd, "grip")
    intercept = fit.tidy().iloc[1]
    assert [intercept["estimate"], intercept["std_error"], intercept["p_value"]] == pytest.approx(
        [row["b_i"], row["se_i"], row["pval_i"]], rel=RTOL
    )
    assert fit.further()["value"].tolist() == pytest.approx([row["b.adj"], row["se.adj"], row["pval.adj"]], rel=RTOL)


def test_maxlik_is_the_optimum(bmi_chd):
    fit = mr.estimate(bmi_chd, "maxlik")
    assert first(fit)["estimate"] == pytest.approx(ROWS["optimum"]["estimate"], rel=RTOL)
    q = fit.further().set_index("what")["value"]["q"]
    assert q == pytest.approx(ROWS["optimum"]["Q"], rel=1e-9)
    assert q < ROWS["optimum"]["upstream_Q"]


@pytest.mark.parametrize("psi", [0.0, 0.3, -0.5])
def test_maxlik_profile_equals_all_parameters_at_once(psi):
    from scipy.optimize import minimize

    h = simulated()
    bx, by, sx, sy = h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome
    inverse = np.linalg.inv(np.array([[sx**2, psi * sx * sy], [psi * sx * sy, sy**2]]).transpose(2, 0, 1))

    def minus_log_likelihood(par):
        r = np.stack([bx - par[1:], by - par[0] * par[1:]], axis=1)
        return 0.5 * np.einsum("ni,nij,nj->", r, inverse, r)

    found = minimize(minus_log_likelihood, np.concatenate([[0.4], bx]), method="BFGS", options={"gtol": 1e-7})
    fit = mr.maxlik(h, psi=psi, model="fixed")
    row = first(fit)
    assert row["estimate"] == pytest.approx(found.x[0], rel=1e-5)
    assert fit.further()["value"][0] <= 2 * found.fun * (1 + 1e-12)
    assert mr.maxlik(h, psi=psi).std_errors[0] == pytest.approx(
        row["std_error"] * max(1, fit.further().set_index("what")["value"]["sigma"])
    )
    # information of the slope with the other parameters profiled out, by differences of the profile
    d = 1e-4
    profile = [
        np.sum((by - b * bx) ** 2 / (sy**2 - 2 * psi * b * sx * sy + (b * sx) ** 2))
        for b in row["estimate"] + np.array([-d, 0, d])
    ]
    assert row["std_error"] == pytest.approx((2 * d**2 / (profile[0] - 2 * profile[1] + profile[2])) ** 0.5, rel=1e-4)


def test_maxlik_on_lipids(lipids):
    fit = mr.maxlik(lipids)
    assert first(fit)["estimate"] == pytest.approx(ROWS["lipids_optimum"]["estimate"], rel=RTOL)
    assert fit.further()["value"][0] == pytest.approx(ROWS["lipids_optimum"]["Q"], rel=1e-9)
    # R stops early here too: a higher Q than ours
    assert mr.maxlik(lipids, psi=0.3).further()["value"][0] < ROWS["lipids_optimum"]["upstream_Q_psi_0.3"]


@pytest.mark.parametrize("row", ROWS["lipids"], ids=lambda row: row["method"])
def test_regressions_on_lipids(lipids, row):
    fit = getattr(mr, row["call"])(lipids, **row["options"])
    rtol = MM_RTOL if row["options"].get("robust") else RTOL
    table = fit.tidy()
    assert [table["estimate"][0], table["std_error"][0]] == pytest.approx([row["estimate"], row["se"]], rel=rtol)
    # a p-value far in the tail magnifies the relative error
    assert np.log(table["p_value"][0]) == pytest.approx(np.log(row["p"]), rel=10 * rtol)
    assert [table["conf_low"][0], table["conf_high"][0]] == pytest.approx([row["low"], row["high"]], rel=rtol)
    assert fit.further()["value"][0] == pytest.approx(row["RSE"], rel=rtol)
    if "Intercept" in row:
        wanted = [row["Intercept"], row["StdError.Int"], row["Pvalue.Int"]]
        assert table.loc[1, ["estimate", "std_error", "p_value"]].tolist() == pytest.approx(wanted, rel=rtol)
    if row["Q"] is not None:
        assert fit.further()["value"][1] == pytest.approx(row["Q"], rel=rtol)


@pytest.mark.parametrize("row", ROWS["lipids_stochastic"], ids=lambda row: row["method"])
def test_medians_and_modes_on_lipids(lipids, row):
    table = getattr(mr, row["call"])(lipids, seed=5, n_draws=OUR_DRAWS, **row["options"]).tidy()
    assert table["estimate"][0] == pytest.approx(row["estimate"], rel=RTOL)
    # the points of the grid lie 0.54 apart here: draws tie on few values and the MAD is far from normal
    error = np.hypot(1 / np.sqrt(2 * OUR_DRAWS), 1 / np.sqrt(2 * R_DRAWS_MANY))
    tolerance = 4 * error if row["call"] == "median" else 4 * mad_error(R_DRAWS_MANY) + 0.02
    assert table["std_error"][0] == pytest.approx(row["se"], rel=tolerance)


@pytest.mark.parametrize("row", ROWS["modes"], ids=lambda row: str(row["options"]))
def test_modes_on_the_grid(bmi_chd, row):
    table = mr.mode(bmi_chd, density="grid", seed=2, n_draws=2, **row["options"]).tidy()
    assert table["estimate"][0] == pytest.approx(row["estimate"], rel=RTOL)


@pytest.mark.parametrize("row", ROWS["mode_errors"], ids=lambda row: row["ours"])
def test_standard_errors_of_modes(bmi_chd, row):
    fit = mr.estimate(bmi_chd, row["ours"], seed=4, n_draws=OUR_DRAWS)
    assert fit.std_errors[0] == pytest.approx(row["se"], rel=4 * np.hypot(mad_error(R_DRAWS), mad_error(OUR_DRAWS)))


def test_egger_bootstrap(bmi_chd):
    table = mr.estimate(bmi_chd, "egger_bootstrap", seed=4, n_draws=OUR_DRAWS).tidy()
    row = ROWS["egger_bootstrap"]
    for i, (b, se) in enumerate(((row["estimate"], row["se"]), (row["b_i"], row["se_i"]))):
        assert abs(table["estimate"][i] - b) < 4 * se * np.hypot(R_DRAWS**-0.5, OUR_DRAWS**-0.5)
        assert table["std_error"][i] == pytest.approx(se, rel=4 * np.hypot((2 * R_DRAWS) ** -0.5, 0.005))
    p = row["pval_i"]
    assert abs(table["p_value"][1] - p) < 4 * (p * (1 - p) / R_DRAWS) ** 0.5
    assert table["p_value"][0] < 1e-3


def test_exact_mode_is_the_top_of_the_density():
    rng = np.random.default_rng(3)
    values, weights = rng.standard_t(2, (40, 30)), rng.uniform(0.1, 1, 30)
    h = mode_kernel.bandwidths(values, 1.0)
    found = mode_kernel.modes(values, weights, h, exact=True)
    for i in range(40):
        fine = np.linspace(values[i].min(), values[i].max(), 20_001)
        height = (np.exp(-0.5 * ((fine[:, None] - values[i]) / h[i]) ** 2) @ weights).max()
        ours = np.exp(-0.5 * ((found[i] - values[i]) / h[i]) ** 2) @ weights
        assert ours >= height * (1 - 1e-9)


ROBUST = ROWS["simulated"]


@pytest.mark.parametrize("call", ["ivw", "egger"])
def test_robust_regression_against_lmrob(call):
    h = mr.Harmonised.from_arrays(
        **{k: ROBUST[k] for k in ("beta_exposure", "se_exposure", "beta_outcome", "se_outcome")}
    )
    table = getattr(mr, call)(h, robust=True).tidy()
    wanted = ROBUST[call]
    assert table["estimate"].tolist() == pytest.approx(wanted["estimates"], rel=MM_RTOL)
    assert table["std_error"].tolist() == pytest.approx(wanted["std_errors"], rel=MM_RTOL)


def test_robust_and_penalised_resist_outliers_that_pull_ivw():
    h = simulated(40)
    by = h.beta_outcome.copy()
    by[:6] += 1.0 * np.sign(h.beta_exposure[:6])
    bad = mr.Harmonised.from_arrays(
        beta_exposure=h.beta_exposure, se_exposure=h.se_exposure, beta_outcome=by, se_outcome=h.se_outcome
    )
    plain, robust, penalised = (
        first(mr.ivw(bad, **o))["estimate"] for o in ({}, {"robust": True}, {"penalised": True})
    )
    assert abs(plain - 0.4) > 0.5
    assert abs(robust - 0.4) < 0.15
    assert abs(penalised - 0.4) < 0.15


def test_estimate_has_the_same_numbers_as_the_functions():
    h = simulated()
    for name, fit in (
        ("ivw_robust", mr.ivw(h, robust=True)),
        ("ivw_penalised", mr.ivw(h, penalised=True)),
        ("egger_robust_penalised", mr.egger(h, robust=True, penalised=True)),
        ("maxlik", mr.maxlik(h)),
    ):
        ours = mr.estimate(h, name, convention="mendelianrandomization").tidy()
        pd.testing.assert_frame_equal(ours, fit.tidy())


def test_egger_t_below_scale_one_is_never_sharper_than_normal():
    bx, sy = np.array([0.1, 0.2, 0.3, 0.4, 0.25]), np.full(5, 0.05)
    by = 0.5 * bx + 0.002 * np.array([1, -1, 1, -1, 1])
    h = mr.Harmonised.from_arrays(beta_exposure=bx, se_exposure=sy / 5, beta_outcome=by, se_outcome=sy)
    t, normal = mr.egger(h, distribution="t").tidy(), mr.egger(h).tidy()
    assert (t["p_value"] >= normal["p_value"] * (1 - 1e-12)).all()
    assert (t["conf_high"] >= normal["conf_high"] - 1e-12).all()


def test_default_model_is_fixed_below_four_variants():
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0.2, 0.3], se_exposure=[0.01] * 3, beta_outcome=[0.2, 0.0, 0.3], se_outcome=[0.02] * 3
    )
    assert first(mr.ivw(h))["std_error"] == first(mr.ivw(h, model="fixed"))["std_error"]
    assert first(mr.ivw(h))["std_error"] < first(mr.ivw(h, model="random"))["std_error"]


def test_reasons_and_refused_options():
    two = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0.2], se_exposure=[0.01] * 2, beta_outcome=[0.1, 0.1], se_outcome=[0.02] * 2
    )
    for fit in (mr.mode(two, seed=1), mr.egger(two), mr.ivw(two, robust=True), mr.median(two, seed=1)):
        assert "needs at least 3 variants" in fit.reason[0]
    line = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0.2, 0.4, 0.8], se_exposure=[0.01] * 4, beta_outcome=[0.1, 0.2, 0.4, 0.8],
        se_outcome=[0.02] * 4,
    )  # fmt: skip
    assert "exactly on one line" in mr.ivw(line, robust=True).reason[0]
    assert "6 variants" in mr.estimate(line, "sign").reason[0]
    for call in (
        lambda: mr.maxlik(two, psi=1.0),
        lambda: mr.ivw(two, psi=-2),
        lambda: mr.ivw(two, model="both"),
        lambda: mr.mode(two, phi=0),
        lambda: mr.mode(two, density="fine"),
        lambda: mr.median(two, n_draws=1),
    ):
        with pytest.raises(OptionError):
            call()


def test_robust_line_through_two_of_three():
    """Half of the points may lie on the first line: numbers of R's lmrob, its standard error over its scale."""
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0.2, 0.15], se_exposure=[0.01] * 3, beta_outcome=[0.05, 0.11, 0.06],
        se_outcome=[0.02, 0.03, 0.025],
    )  # fmt: skip
    effect = mr.egger(h, robust=True).tidy().iloc[0]
    assert effect["estimate"] == pytest.approx(0.547733076, rel=1e-6)
    assert effect["std_error"] == pytest.approx(0.10225411 / 0.9755459808, rel=1e-6)


def test_robust_scale_is_the_least_of_all_starts():
    from dxa_causal.mr._kernels import mm_regression as kernel

    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.uniform(2, 6, 60)
        y = 0.3 * x + rng.standard_normal(60) + np.where(rng.random(60) < 0.35, rng.normal(3, 4, 60), 0)
        design = np.column_stack([np.ones(60), x])
        starts = kernel._starts(design, y)
        scale = np.median(np.abs(y - starts @ design.T), axis=1) / 0.6745
        _, all_scales = kernel._refine(design, y, starts, np.maximum(scale, 1e-3), 300)
        assert kernel._s_estimate(design, y)[1] <= all_scales.min() * (1 + 1e-9)
