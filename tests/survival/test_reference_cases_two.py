"""Reference cases of part two with the calls a user would type: distributions, states, evaluation.

Those of icenReg, flexsurv, glmnet, riskRegression, timeROC and mice stand with the tests of their topics.
"""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc

s = dc.survival

# survreg stops at a relative change of 1e-9 of the log-likelihood.
ESTIMATE = 1e-6
LOGLIK = 1e-9
EXACT = 1e-9


@pytest.fixture(scope="module")
def cases(reference):
    return reference("survival/cases/expected.json")["results"]


@pytest.fixture(scope="module")
def by_day_2000(frames):
    """Rows of pbc whose vital status at day 2000 is known."""
    pbc = frames["pbc"]
    died = (pbc["status"] == 2) & (pbc["time"] <= 2000)
    return pbc.assign(died=died.astype(int))[died | (pbc["time"] > 2000)]


@pytest.mark.parametrize("name", ["weibull", "exponential", "lognormal", "gaussian"])
def test_accelerated_failure_times(name, frames, cases):
    want = cases[f"aft_{name}"]
    fit = s.parametric("Surv(time, status) ~ age + sex + ph.ecog", frames["lung"], distribution=name)
    table = fit.tidy()
    np.testing.assert_allclose(table["estimate"].head(4), list(want["coef"].values()), rtol=ESTIMATE)
    np.testing.assert_allclose(table["std_error"], want["se"], rtol=ESTIMATE)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], want["loglik"], rtol=LOGLIK)
    if name != "exponential":
        assert np.exp(table["estimate"].iloc[-1]) == pytest.approx(want["scale"], rel=ESTIMATE)
    new = pd.DataFrame({"age": [60], "sex": [1], "ph.ecog": [1]})
    quantiles = fit.predict(new, type="quantile", p=[0.25, 0.5, 0.75])
    np.testing.assert_allclose(quantiles["estimate"], want["quantiles"], rtol=ESTIMATE)
    np.testing.assert_allclose(quantiles["std_error"], want["quantiles_se"], rtol=ESTIMATE)


def test_a_scale_for_each_stratum(frames, cases):
    want = cases["aft_strata"]
    table = s.parametric("Surv(time, status) ~ age", frames["lung"], strata="sex").tidy()
    np.testing.assert_allclose(table["estimate"].head(2), list(want["coef"].values()), rtol=ESTIMATE)
    np.testing.assert_allclose(np.exp(table["estimate"].tail(2)), list(want["scale"].values()), rtol=ESTIMATE)


def test_transition_hazards(frames, cases):
    want = cases["msm_coxph"]
    data = frames["mgus2_ms"].assign(st=lambda d: pd.Categorical(d["st"], ["censor", "pcm", "death"]))
    fit = s.multi_state("Surv(tstart, tstop, st) ~ age + sex", data, id="id")
    np.testing.assert_allclose(fit.coefficients, list(want["coef"].values()), rtol=ESTIMATE)
    np.testing.assert_allclose(fit.std_error, want["se"], rtol=ESTIMATE)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance_model)), want["naive_se"], rtol=ESTIMATE)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], want["loglik"], rtol=LOGLIK)


def test_state_occupation(frames, cases):
    want = cases["msm_survfit"]
    fit = s.state_occupation("Surv(tstart, tstop, st) ~ 1", frames["mgus2_ms"], id="id")
    table = fit.predict(want["times"])
    for column, name in (("estimate", "pstate"), ("std_error", "se")):
        got = table.pivot(index="time", columns="state", values=column)[want["states"]]
        np.testing.assert_allclose(got, want[name], rtol=EXACT)


def test_delong(by_day_2000, cases):
    want = cases["delong"]
    d = by_day_2000.assign(low_albumin=-by_day_2000["albumin"])
    result = s.delong("died", "bili", "low_albumin", data=d)
    table = result.tidy().set_index("term")
    assert (result.nobs, int(d["died"].sum())) == (want["n"], want["cases"])
    np.testing.assert_allclose(
        table.loc[["bili", "low_albumin"], "estimate"], [want["auc_bili"], want["auc_alb"]], rtol=EXACT
    )
    np.testing.assert_allclose(
        table.loc[["bili", "low_albumin"], "std_error"] ** 2, [want["var_bili"], want["var_alb"]], rtol=EXACT
    )


def logistic(d, *columns):
    from scipy.optimize import minimize

    x = np.column_stack([np.ones(len(d)), *[(d[c] - d[c].mean()) / d[c].std() for c in columns]])
    y = d["died"].to_numpy()
    beta = minimize(
        lambda b: np.logaddexp(0, x @ b).sum() - y @ (x @ b),
        np.zeros(x.shape[1]),
        jac=lambda b: x.T @ (1 / (1 + np.exp(-x @ b)) - y),
        method="BFGS",
        options={"gtol": 1e-9},
    ).x
    return 1 / (1 + np.exp(-x @ beta))


def test_integrated_calibration_index(by_day_2000, cases):
    want = cases["ici_logistic"]
    d = by_day_2000.assign(risk=logistic(by_day_2000, "age"))
    table = s.calibration("risk", d, outcome="died", method="loess").tidy().set_index("metric")["estimate"]
    for name in ("ICI", "E50", "E90", "Emax", "slope"):
        assert table[name] == pytest.approx(want[name], rel=1e-6)  # the risks come from an iteration


def test_reclassification(by_day_2000, cases):
    want = cases["nri_idi"]
    d = by_day_2000.assign(log_bili=np.log(by_day_2000["bili"]))
    d = d.assign(small=logistic(d, "age"), large=logistic(d, "age", "log_bili"))
    models = {"small": "small", "large": "large"}
    free = s.reclassification(models, d, outcome="died").tidy().set_index("metric")["estimate"]
    assert free["category-free NRI, events"] == pytest.approx(want["nri_events"], rel=EXACT)
    assert free["category-free NRI, non-events"] == pytest.approx(want["nri_nonevents"], rel=EXACT)
    assert free["IDI"] == pytest.approx(want["idi"], rel=1e-6)
    cut = (
        s.reclassification(models, d, outcome="died", cuts=want["cat_nri_cuts"]).tidy().set_index("metric")["estimate"]
    )
    assert cut["NRI"] == pytest.approx(want["cat_nri"], rel=EXACT)


def test_net_benefit(by_day_2000, cases):
    want = cases["dca"]
    risk = logistic(by_day_2000.assign(log_bili=np.log(by_day_2000["bili"])), "age", "log_bili")
    d = by_day_2000.assign(risk=risk)
    table = s.decision_curve("risk", d, outcome="died", thresholds=want["pt"]).tidy()
    got = table[(table["model"] == "risk") & (table["metric"] == "net benefit")]["estimate"]
    np.testing.assert_allclose(got, want["nb_binary"], rtol=EXACT)
