from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.joint_effects import joint_effects, joint_exposures
from dxa_causal.mr._kernels.liml import Moments
from dxa_causal.mr._kernels.multivariable import least_absolute, least_absolute_many
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
    draws = 20_000
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
    ours = least_absolute_many(x[None], y[None], w)[0]
    np.testing.assert_allclose(ours, least_absolute(x, y, w), rtol=1e-9)
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
        mr.conditional_f(h, correlation=np.eye(4))


def test_robust_shrugs_off_outliers():
    h = made(40)
    y = h.beta_outcome.copy()
    y[:5] += 1.0
    bad = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures, se_exposures=h.se_exposures, beta_outcome=y, se_outcome=h.se_outcome
    )
    table = mr.mvmr(bad, ["ivw", "ivw_robust"]).tidy().set_index(["method", "term"])["estimate"]
    np.testing.assert_allclose(table["ivw_robust"], [0.3, -0.2], atol=0.08)


def three_lipids(private_csv, **more) -> mr.MultivariableHarmonised:
    data = private_csv("mendelianrandomization_lipids_chd.csv")
    names = ["ldlc", "hdlc", "trig"]
    return mr.MultivariableHarmonised.from_arrays(
        beta_exposures=data[names], se_exposures=data[[f"{n}se" for n in names]].to_numpy(),
        beta_outcome=data["chdlodds"], se_outcome=data["chdloddsse"], n_exposures=17723, n_outcome=17723, **more,
    )  # fmt: skip


def named_rows(rows, kind="computed_from_R_source"):
    return {r["method"]: r for r in rows if r["dataset"].startswith("mendelianrandomization") and r["kind"] == kind}


def test_fixed_effects(lipids, rows):
    table = mr.mvmr(lipids, "ivw", convention="mendelianrandomization", model="fixed").tidy()
    row = named_rows(rows)["mr_mvivw(fixed)"]
    np.testing.assert_allclose(table["std_error"], row["se"], rtol=RTOL)
    np.testing.assert_allclose(table["p_value"], row["p"], rtol=1e-6)


@pytest.mark.parametrize(("lambda_", "method"), [(None, "mr_mvlasso"), (0.1, "mr_mvlasso(lambda=0.1)")])
def test_lasso_reference(lipids, rows, lambda_, method):
    row = named_rows(rows)[method]
    fit = mr.mvmr(lipids, "lasso", lambda_=lambda_)
    np.testing.assert_allclose(fit.tidy()["estimate"], row["estimate"], rtol=RTOL)
    np.testing.assert_allclose(fit.tidy()["std_error"], row["se"], rtol=RTOL)
    assert fit.valid_variants()["lasso"].sum() == row["Valid"]
    # the path of penalties is glmnet's to the eight digits it works with
    assert fit.further().set_index("what")["value"]["lambda"] == pytest.approx(row["Lambda"], rel=1e-6)


def test_cml_reference(private_csv, rows):
    row = named_rows(rows)["mr_mvcML(n=17723,DP=FALSE)"]
    fit = mr.mvmr(three_lipids(private_csv), "cml")
    # MVMR-cML stops when the estimates move by less than 1e-4 in all; ours has a zero gradient
    np.testing.assert_allclose(fit.tidy()["estimate"], row["estimate"], rtol=1e-4)
    np.testing.assert_allclose(fit.tidy()["std_error"], row["se"], rtol=1e-5)
    assert np.flatnonzero(~fit.valid_variants()["cml"]).tolist() == [row["BIC_invalid"] - 1]


def test_cml_perturbed_reference(private_csv, rows, perturbations):
    row = named_rows(rows)["mr_mvcML(n=17723,DP=TRUE,num_pert=100,random_start=5)"]
    draws = perturbations
    table = mr.mvmr(three_lipids(private_csv), "cml_dp", seed=1, perturbations=draws).tidy()
    error = 4 * np.array(row["se"]) * np.hypot(1 / np.sqrt(100), 1 / np.sqrt(draws))
    assert (np.abs(table["estimate"] - row["estimate"]) < error).all()
    # the drawn estimates have heavy tails, kurtosis about 8: s.e. of a s.d. is sd sqrt((kurtosis - 1) / 4 B)
    assert (np.abs(table["std_error"] / row["se"] - 1) < 4 * np.sqrt(7 / 4 * (1 / 100 + 1 / draws))).all()


def test_gmm_reference_is_not_the_minimum(private_csv, rows):
    """R's optimiser reports "false convergence": its gradient leaves out a term. Ours is lower."""
    row = named_rows(rows)["mr_mvgmm(nx=ny=17723,robust=FALSE)"]
    fit = mr.mvmr(three_lipids(private_csv), "gmm", overdispersion=False)
    q = fit.further().set_index("what")["value"]["q"]
    assert q < row["Heter.Stat"][0] - 0.1
    # nlminb in R from the same start with the full gradient
    assert q == pytest.approx(47.3682355744, rel=1e-9)
    np.testing.assert_allclose(fit.tidy()["estimate"], [2.021878681, -0.559212561, 0.736190586], rtol=1e-6)
    assert (np.abs(fit.tidy()["estimate"] - row["estimate"]) < 0.3 * np.array(row["se"])).all()
    np.testing.assert_allclose(fit.tidy()["std_error"], row["se"], rtol=0.005)  # the same formula near by
    widened = named_rows(rows)["mr_mvgmm(nx=ny=17723,robust=TRUE)"]
    wider = mr.mvmr(three_lipids(private_csv), "gmm")
    more = wider.further().set_index("what")["value"]
    assert more["q"] < widened["Heter.Stat"]
    assert more["overdispersion"] == pytest.approx(widened["Overdispersion"], rel=0.03)
    np.testing.assert_allclose(wider.tidy()["std_error"], widened["se"], rtol=0.01)  # and near that of R


def test_principal_components_reference(private_csv, rows):
    row = named_rows(rows, "published")["mr_mvpcgmm"]
    fit = mr.mvmr(three_lipids(private_csv, ld=np.eye(28)), "pc_gmm")
    assert fit.further().set_index("what")["value"]["n_components"] == row["PCs"]
    assert (np.abs(fit.tidy()["estimate"] - row["estimate"]) < 0.1 * np.array(row["se"])).all()  # as above
    np.testing.assert_allclose(fit.tidy()["std_error"], row["se"], rtol=0.01)  # three digits printed, and as above


def test_conditional_f_of_joint_effects(private_csv, rows):
    """Equal where R's optimiser does not leave its start; for the second exposure it moves on a false slope."""
    found = mr.conditional_f(three_lipids(private_csv), convention="mendelianrandomization")["statistic"]
    expected = named_rows(rows)["mr_mvivw(nx=17723: CondFstat)"]["CondFstat"]
    np.testing.assert_allclose(found[[0, 2]], np.array(expected)[[0, 2]], rtol=1e-6)  # R's start is from an optimiser
    assert found[1] > expected[1]


def test_measurement_error_reference(lipids):
    """Minimum of Q, and sandwich, by optim and numDeriv in R 4.2."""
    table = mr.mvmr(lipids, "ivw_me").tidy()
    np.testing.assert_allclose(table["estimate"], [2.025029151310, -0.561224097351, 0.737889940936], rtol=1e-6)
    np.testing.assert_allclose(table["std_error"], [0.503571202628, 0.676250160497, 0.280748620935], rtol=1e-6)
    overlap = [[1, 0.2, 0.1], [0.2, 1, -0.3], [0.1, -0.3, 1]]
    table = mr.mvmr(lipids, "ivw_me", correlation=overlap).tidy()
    np.testing.assert_allclose(table["estimate"], [2.016387748475, -0.542482707420, 0.751284543286], rtol=1e-6)
    np.testing.assert_allclose(table["std_error"], [0.503167476523, 0.652336992062, 0.267028801140], rtol=1e-6)


def test_robust_reference(lipids):
    """R's lmrob, robustbase 0.95, k.max=500, of all three."""
    table = mr.mvmr(lipids, "ivw_robust").tidy()
    np.testing.assert_allclose(table["estimate"], [1.930118924182573, -0.469073479965299, 0.785147673639105], rtol=1e-5)
    np.testing.assert_allclose(table["std_error"], [0.389256254737674, 0.709831774629483, 0.253032878777272], rtol=1e-5)


def one_exposure(h, **more):
    multi = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures[:, :1], se_exposures=h.se_exposures[:, :1], beta_outcome=h.beta_outcome,
        se_outcome=h.se_outcome, n_exposures=5000, n_outcome=6000, **more,
    )  # fmt: skip
    single = mr.Harmonised.from_arrays(
        beta_exposure=h.beta_exposures[:, 0], se_exposure=h.se_exposures[:, 0], beta_outcome=h.beta_outcome,
        se_outcome=h.se_outcome, n_exposure=5000, n_outcome=6000, **more,
    )  # fmt: skip
    return multi, single


def test_one_exposure_is_the_univariable_likelihood():
    multi, single = one_exposure(made())
    ours = mr.mvmr(multi, ["ivw_me", "lasso", "cml"]).tidy().set_index("method")
    theirs = mr.estimate(single, ["maxlik", "lasso", "cml_bic"]).tidy().set_index("method")
    assert ours["estimate"]["ivw_me"] == pytest.approx(theirs["estimate"]["maxlik"], rel=1e-8)
    assert ours["estimate"]["cml"] == pytest.approx(theirs["estimate"]["cml_bic"], rel=1e-6)  # stops at 1e-8 a step
    for column in ("estimate", "std_error"):
        assert ours[column]["lasso"] == pytest.approx(theirs[column]["lasso"], rel=1e-9)


def test_invalid_variants_are_left_out():
    h = made(40)
    y = h.beta_outcome.copy()
    y[:5] += 0.5
    bad = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures, se_exposures=h.se_exposures, beta_outcome=y, se_outcome=h.se_outcome,
        n_exposures=5000, n_outcome=5000,
    )  # fmt: skip
    fit = mr.mvmr(bad, ["cml", "lasso", "cml_dp"], seed=1, perturbations=20)
    assert not fit.valid_variants()[["cml", "lasso", "cml_dp"]].iloc[:5].any().any()
    np.testing.assert_allclose(fit.tidy()["estimate"], [0.3, -0.2] * 3, atol=0.08)  # truth; standard errors 0.03


def test_gmm_is_the_minimum():
    h = made()
    ld = 0.4 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    linked = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures, se_exposures=h.se_exposures, beta_outcome=h.beta_outcome,
        se_outcome=h.se_outcome, n_exposures=[5000, 8000], n_outcome=6000, ld=ld,
    )  # fmt: skip
    exposures = joint_exposures(
        linked.beta_exposures, linked.se_exposures, linked.n_exposures, ld, np.array([[1, 0.3], [0.3, 1]])
    )
    outcome = joint_effects(linked.beta_outcome, linked.se_outcome, 6000.0, ld)
    moments = Moments(exposures.effects, outcome.effect, exposures.cov, outcome.cov)
    fit = mr.mvmr(linked, "gmm", overdispersion=False, correlation=[[1, 0.3], [0.3, 1]])
    at = fit.estimates
    q = fit.further().set_index("what")["value"]["q"]
    assert moments.q(at) == pytest.approx(q, rel=1e-12)
    around = at + 0.05 * fit.std_errors * np.random.default_rng(0).standard_normal((200, 2))
    assert all(moments.q(theta) > q for theta in around)
    np.testing.assert_allclose(moments.gradient(at), 0.0, atol=1e-8)
    near, step = at + 0.1, 1e-5
    slope = [(moments.q(near + step * e) - moments.q(near - step * e)) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(moments.gradient(near), slope, rtol=1e-6)


def test_heterogeneity_is_brought_to_its_expectation():
    h = made(40)
    y = h.beta_outcome + 0.1 * np.random.default_rng(1).standard_normal(40)
    spread = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures, se_exposures=h.se_exposures, beta_outcome=y, se_outcome=h.se_outcome
    )
    more = mr.mvmr(spread, "q_het").further().set_index("what")["value"]
    assert more["q"] == pytest.approx(38, rel=1e-9)
    assert more["tau2"] == pytest.approx(0.01, rel=0.5)
    as_mvmr = mr.mvmr(spread, ["q_het", "ivw_me"], convention="mvmr").tidy()["estimate"].to_numpy().reshape(2, 2)
    np.testing.assert_allclose(as_mvmr[0], as_mvmr[1], rtol=1e-9)


def test_correlated_variants():
    h = made()
    ld = 0.4 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    multi, single = one_exposure(h, ld=ld)
    columns = ["estimate", "std_error"]
    ours = mr.mvmr(multi, ["ivw", "egger"]).tidy()[columns]
    np.testing.assert_allclose(ours, mr.estimate(single, ["ivw", "egger"]).tidy()[columns], rtol=1e-9)
    with pytest.raises(SummaryStatisticsError, match=r"median, lasso do not allow.*ivw, egger, gmm, pc_gmm"):
        mr.mvmr(multi, ["median", "lasso"])
    with pytest.raises(OptionError, match="instrument_specific"):
        mr.mvmr(multi, "ivw", intercept=True)


def test_what_a_method_lacks_is_said():
    table = mr.mvmr(made(), ["cml", "gmm", "ivw"]).tidy().drop_duplicates("method").set_index("method")["reason"]
    assert "n_exposures and n_outcome" in table["gmm"]
    assert "or n to mvmr" in table["cml"]
    assert not table["ivw"]
    assert mr.mvmr(made(), "cml", n=5000).tidy()["reason"].eq("").all()


def test_robust_standard_errors_by_model(lipids):
    """Scale 0.425 with five variants: R's standard error of lmrob over the scale for all models."""
    few = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=lipids.beta_exposures[:5, :2], se_exposures=lipids.se_exposures[:5, :2],
        beta_outcome=lipids.beta_outcome[:5], se_outcome=lipids.se_outcome[:5],
    )  # fmt: skip
    for model in ("default", "random", "fixed"):
        np.testing.assert_allclose(mr.mvmr(few, "ivw_robust", model=model).std_errors, [0.7063, 0.5447], atol=5e-5)


def test_what_cannot_be_estimated_is_said():
    h = made()

    def with_effects(x, y=None):
        return mr.MultivariableHarmonised.from_arrays(
            beta_exposures=x, se_exposures=h.se_exposures, beta_outcome=h.beta_outcome if y is None else y,
            se_outcome=h.se_outcome, n_exposures=5e4, n_outcome=6e4,
        )  # fmt: skip

    x = h.beta_exposures
    with pytest.raises(SummaryStatisticsError, match="no variant has an effect on exposure_2: leave it out"):
        mr.mvmr(with_effects(np.column_stack([x[:, 0], np.zeros(30)])), "ivw")
    with pytest.raises(SummaryStatisticsError, match="collinear"):
        mr.mvmr(with_effects(np.column_stack([x[:, 0], x[:, 0] + 1e-9 * x[:, 1]])), "gmm")
    flat = mr.mvmr(with_effects(x, np.zeros(30)), ["ivw", "egger", "lasso", "ivw_me"]).tidy()
    assert flat.query("method != 'ivw_me'")["reason"].eq("the variants fit exactly: no standard error").all()
    assert flat.query("method == 'ivw_me'")["reason"].eq("").all()
    many = np.random.default_rng(1).normal(0.1, 0.03, (2000, 2))
    too_much = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=many, se_exposures=np.full((2000, 2), 0.01), beta_outcome=many[:, 0],
        se_outcome=np.full(2000, 0.02), n_exposures=5e4, n_outcome=6e4,
    )  # fmt: skip
    assert "explain all of exposure_1" in mr.mvmr(too_much, "gmm").reason[0]


def test_residual_knows_no_dispersion():
    """Unweighted: its residual scale is in units of the outcome, and no convention changes its standard error."""
    h = made()
    plain = mr.mvmr(h, "residual").std_errors
    for convention in ("mendelianrandomization", "mvmr"):
        np.testing.assert_array_equal(mr.mvmr(h, "residual", convention=convention, model="fixed").std_errors, plain)


def test_fixed_effects_with_correlated_variants():
    h = made()
    ld = 0.4 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    rng = np.random.default_rng(1)
    linked = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=h.beta_exposures, se_exposures=h.se_exposures, se_outcome=h.se_outcome, ld=ld,
        beta_outcome=h.beta_outcome + 0.1 * rng.standard_normal(30),
    )  # fmt: skip
    fixed, usual = (mr.mvmr(linked, "egger", model=model).std_errors for model in ("fixed", "default"))
    assert (usual > 1.5 * fixed).all()
