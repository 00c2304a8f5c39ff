from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.multivariable import least_absolute
from dxa_causal.results import NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
RTOL = 1e-8  # the references carry 15 digits; R's lm works by QR as ours
CORRELATION = [[1, -0.1, -0.05], [-0.1, 1, 0.2], [-0.05, 0.2, 1]]


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return json.loads((REFERENCE / "multivariable.json").read_text())


@pytest.fixture(scope="module")
def lipids_chd() -> mr.MultivariableHarmonised:
    data = pd.read_csv(REFERENCE / "ref_twosamplemr_mvdat_lipids_chd.csv")
    ids = ["ieu-a-299", "ieu-a-300", "ieu-a-302"]
    columns = {part: [f"{part}.{i.replace('-', '.')}" for i in ids] for part in ("b", "se", "p")}
    return mr.MultivariableHarmonised.from_arrays(
        beta_exposures=data[columns["b"]].to_numpy(), se_exposures=data[columns["se"]].to_numpy(),
        p_exposures=data[columns["p"]].to_numpy(), beta_outcome=data["b_out"], se_outcome=data["se_out"],
        exposures=ids, variant=data["SNP"],
    )  # fmt: skip


@pytest.fixture
def lipids(private_csv) -> mr.MultivariableHarmonised:
    data = private_csv("mendelianrandomization_lipids_chd.csv")
    names = ["ldlc", "hdlc", "trig"]
    return mr.MultivariableHarmonised.from_arrays(
        beta_exposures=data[names], se_exposures=data[[f"{n}se" for n in names]].to_numpy(),
        beta_outcome=data["chdlodds"], se_outcome=data["chdloddsse"],
    )  # fmt: skip


@pytest.fixture
def sbp(private_csv) -> mr.MultivariableHarmonised:
    data = private_csv("mvmr_rawdat_lipids_sbp.csv")
    names = ["LDL", "HDL", "Trg"]
    return mr.MultivariableHarmonised.from_arrays(
        beta_exposures=data[[f"{n}_beta" for n in names]].to_numpy(), exposures=names,
        se_exposures=data[[f"{n}_se" for n in names]].to_numpy(),
        beta_outcome=data["SBP_beta"], se_outcome=data["SBP_se"],
    )  # fmt: skip


def agree(ours, row, rtol=RTOL):
    assert ours["estimate"] == pytest.approx(row["estimate"], rel=rtol)
    assert ours["std_error"] == pytest.approx(row["se"], rel=rtol)
    assert ours["p_value"] == pytest.approx(row["p"], rel=1e-6)  # z^2 times the error of the statistic


def test_two_sample_mr(lipids_chd, rows):
    seen = 0
    for row in rows:
        match = re.match(r"mv_(\w+)\(intercept=(\w+),instrument_specific=(\w+)\): (\S+)", row["method"])
        if match is None:
            continue
        kind, intercept, specific, exposure = match.groups()
        method = {"multiple": "ivw", "residual": "residual"}[kind]
        fit = mr.mvmr(lipids_chd, method, intercept=intercept == "TRUE", instrument_specific=specific == "TRUE")
        ours = fit.tidy().set_index("term").loc[exposure]
        agree(ours, row)
        if specific == "TRUE":
            assert ours["n_variants"] == row["nsnp"]
        seen += 1
    assert seen == 24


def test_mendelian_randomization(lipids, rows):
    named = {r["method"]: r for r in rows if r["dataset"].startswith("mendelianrandomization")}

    def compare(fit, row):
        table = fit.tidy()
        table = table[table["term"] != "intercept"]
        np.testing.assert_allclose(table["estimate"], row["estimate"], rtol=RTOL)
        np.testing.assert_allclose(table["std_error"], row["se"], rtol=RTOL)
        np.testing.assert_allclose(table["p_value"], row["p"], rtol=1e-6)

    compare(mr.mvmr(lipids, "ivw", convention="mendelianrandomization"), named["mr_mvivw(random)"])
    for by in (1, 2, 3):
        row = named[f"mr_mvegger(orientate={by})"]
        fit = mr.mvmr(lipids, "egger", convention="mendelianrandomization", orientate=by)
        compare(fit, row)
        intercept = fit.tidy().query("term == 'intercept'").iloc[0]
        assert intercept["estimate"] == pytest.approx(row["Intercept"], rel=RTOL)
        assert intercept["std_error"] == pytest.approx(row["StdError.Int"], rel=RTOL)
    row = named["mr_mvmedian(iterations=1000)"]
    draws = 2000
    table = mr.mvmr(lipids, "median", seed=1, n_draws=draws).tidy()
    np.testing.assert_allclose(table["estimate"], row["estimate"], rtol=1e-6)
    error = 4 * np.hypot(1 / np.sqrt(2 * 1000), 1 / np.sqrt(2 * draws))
    np.testing.assert_allclose(table["std_error"], row["se"], rtol=error)


def test_mvmr_package(sbp, rows):
    named = {r["method"]: r for r in rows if r["dataset"].startswith("mvmr_rawdat")}
    table = mr.mvmr(sbp, "ivw", convention="mvmr").tidy().set_index("term")
    for name in sbp.exposures:
        agree(table.loc[name], named[f"ivw_mvmr: {name}"])
    for correlation, strength, q in (
        (None, "strength_mvmr(gencov=0) conditional F (LDL,HDL,Trg)", "pleiotropy_mvmr(gencov=0) Q_A"),
        (
            CORRELATION,
            "strength_mvmr(phenocov rho=[1,-.1,-.05;-.1,1,.2;-.05,.2,1])",
            "pleiotropy_mvmr(same phenocov) Q_A",
        ),
    ):
        ours = mr.conditional_f(sbp, correlation=correlation)
        np.testing.assert_allclose(ours["statistic"], named[strength]["estimate"], rtol=RTOL)
        test = mr.q_a(sbp, correlation=correlation)
        assert test.statistic == pytest.approx(named[q]["estimate"], rel=RTOL)
        assert test.p_value == pytest.approx(named[q]["p"], rel=1e-6)


def made(n=30, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 0.1, (n, 2))
    y = x @ [0.3, -0.2] + 0.02 * rng.standard_normal(n)
    return mr.MultivariableHarmonised.from_arrays(
        beta_exposures=x + 0.01 * rng.standard_normal((n, 2)), se_exposures=np.full((n, 2), 0.01), beta_outcome=y,
        se_outcome=np.full(n, 0.02),
    )  # fmt: skip


def test_one_exposure_is_the_univariable_estimate():
    h = made()
    one = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures[:, :1], se_exposures=h.se_exposures[:, :1], beta_outcome=h.beta_outcome,
        se_outcome=h.se_outcome,
    )  # fmt: skip
    single = mr.Harmonised.from_arrays(
        beta_exposure=h.beta_exposures[:, 0], se_exposure=h.se_exposures[:, 0], beta_outcome=h.beta_outcome,
        se_outcome=h.se_outcome,
    )  # fmt: skip
    columns = ["estimate", "std_error"]
    ours = mr.mvmr(one, ["ivw", "egger"], convention="mendelianrandomization").tidy()[columns]
    np.testing.assert_allclose(ours, mr.estimate(single, ["ivw", "egger"]).tidy()[columns], rtol=1e-9)


def test_least_absolute_is_the_best_corner():
    h = made(9)
    x, y, w = h.beta_exposures, h.beta_outcome, h.se_outcome**-2.0
    ours = least_absolute(x, y, w)
    loss = [
        np.sum(w * np.abs(y - x @ np.linalg.solve(x[[i, j]], y[[i, j]]))) for i in range(9) for j in range(i)
    ]  # the minimum lies where two variants fit exactly
    assert np.sum(w * np.abs(y - x @ ours)) == pytest.approx(min(loss), rel=1e-9)


def test_seed_and_row_order():
    h = made()
    order = np.random.default_rng(1).permutation(30)
    turned = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures[order], se_exposures=h.se_exposures[order],
        beta_outcome=h.beta_outcome[order], se_outcome=h.se_outcome[order],
    )  # fmt: skip
    a, b = (mr.mvmr(x, ["ivw", "egger", "residual"]).tidy() for x in (h, turned))
    np.testing.assert_allclose(a["estimate"], b["estimate"], rtol=1e-9)
    first, again = (mr.mvmr(h, ["median"], seed=2, n_draws=20).tidy() for _ in range(2))
    assert first.equals(again)


def test_bad_input():
    h = made()
    with pytest.raises(OptionError, match="egger"):
        mr.mvmr(h, "eger")
    with pytest.raises(OptionError, match="orientate=3"):
        mr.mvmr(h, "egger", orientate=3)
    good = {"se_exposures": np.full((3, 2), 0.01), "beta_outcome": [0.1, 0.2, 0.3], "se_outcome": [0.02] * 3}
    with pytest.raises(SummaryStatisticsError, match=r"\(3, k\).*\(2, 2\)"):
        mr.MultivariableHarmonised.from_arrays(beta_exposures=np.ones((2, 2)), **good)
    with pytest.raises(SummaryStatisticsError, match="collinear"):
        mr.mvmr(mr.MultivariableHarmonised.from_arrays(beta_exposures=np.ones((3, 2)), **good), "ivw")
    few = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=np.eye(2), se_exposures=np.full((2, 2), 0.01), beta_outcome=[0.1, 0.2], se_outcome=[0.02] * 2
    )
    assert (
        mr.mvmr(few, "ivw").tidy()["reason"].tolist() == ["needs at least 3 variants for 2 exposures; there are 2"] * 2
    )
    assert isinstance(mr.q_a(few), NotApplicable)
    with pytest.raises(SummaryStatisticsError, match="2 by 2"):
        mr.conditional_f(h, correlation=np.eye(3))


def test_robust_shrugs_off_outliers():
    h = made(40)
    y = h.beta_outcome.copy()
    y[:5] += 1.0
    bad = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures, se_exposures=h.se_exposures, beta_outcome=y, se_outcome=h.se_outcome
    )
    table = mr.mvmr(bad, ["ivw", "ivw_robust"]).tidy().set_index(["method", "term"])["estimate"]
    np.testing.assert_allclose(table["ivw_robust"], [0.3, -0.2], atol=0.08)
    three = np.column_stack([h.beta_exposures, h.beta_exposures[:, 0] ** 2])
    many = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=three, se_exposures=np.full((40, 3), 0.01), beta_outcome=y, se_outcome=h.se_outcome
    )
    assert "at most 2 exposures" in mr.mvmr(many, "ivw_robust").tidy()["reason"].iloc[0]
