"""Agreement with R's survival, case by case (tests/reference/survival/generate.R)."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc

s = dc.survival

# R iterates to a relative change of the log-likelihood of 1e-14, ours to a
# Newton decrement of 1e-10: both leave the estimate about 1e-10 of its standard error.
TIGHT = 1e-9
# Closed forms differ by rounding only.
EXACT = 1e-12
# The weights come from a logistic fit in both programs.
WEIGHTED = 1e-8

COX = {
    "lung": ("lung", "Surv(time, status) ~ age + sex + ph.ecog", {}),
    "lung_strata": ("lung", "Surv(time, status) ~ age + ph.ecog", {"strata": "sex"}),
    "lung_weights_robust": ("lung", "Surv(time, status) ~ age + sex", {"weights": "w", "robust": True}),
    "lung_robust": ("lung", "Surv(time, status) ~ age + sex", {"robust": True}),
    "lung_cluster": ("lung", "Surv(time, status) ~ age + sex", {"cluster": "inst"}),
    "heart": ("heart", "Surv(start, stop, event) ~ age + year + surgery + transplant", {}),
    "heart_weights_cluster": (
        "heart",
        "Surv(start, stop, event) ~ age + year",
        {"weights": "w", "cluster": "id", "strata": "surgery"},
    ),
    "recur_cluster": ("recur", "Surv(TIME0, TIME1, CENSOR) ~ AGE + TREAT", {"cluster": "ID"}),
    "rossi_weights": ("rossi", "Surv(week, arrest) ~ fin + age + prio", {"weights": "w"}),
    "rossi_offset": ("rossi", "Surv(week, arrest) ~ fin + age", {"offset": "o"}),
}


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/expected.json")


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("case", COX)
def test_cox(case, ties, frames, expected):
    data, formula, options = COX[case]
    want = expected[f"{case}_{ties}"]
    fit = s.cox(formula, frames[data], ties=ties, **options)
    tidy = fit.tidy().set_index("term")
    terms = np.atleast_1d(want["terms"])
    got = tidy.loc[list(terms)]
    scale = np.atleast_1d(want["se"])
    np.testing.assert_allclose(got["estimate"], want["coef"], rtol=TIGHT, atol=TIGHT * scale.max())
    np.testing.assert_allclose(got["std_error"], want["se"], rtol=TIGHT)
    np.testing.assert_allclose(got["statistic"], want["statistic"], rtol=TIGHT, atol=TIGHT)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance_model)), want["naive_se"], rtol=TIGHT)
    glance = fit.glance().iloc[0]
    np.testing.assert_allclose([glance["log_likelihood_null"], glance["log_likelihood"]], want["loglik"], rtol=EXACT)
    np.testing.assert_allclose(glance[["aic", "bic"]].astype(float), [want["aic"], want["bic"]], rtol=EXACT)
    assert (glance["nobs"], glance["n_events"]) == (want["n"], want["nevent"])
    assert fit.score_test.statistic == pytest.approx(want["score"], rel=TIGHT)
    assert fit.wald_test.statistic == pytest.approx(want["wald"], rel=TIGHT)
    c = s.concordance(fit)
    np.testing.assert_allclose([c.estimate, c.std_error], [want["concordance"], want["concordance_se"]], rtol=EXACT)


def test_uno_concordance(frames, expected):
    fit = s.cox("Surv(time, status) ~ age + sex + ph.ecog", frames["lung"])
    c = s.concordance(fit, weighting="uno")
    want = expected["lung_uno"]
    np.testing.assert_allclose([c.estimate, c.std_error], [want["concordance"], want["se"]], rtol=EXACT)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_prediction(ties, frames, expected):
    want = expected[f"lung_predict_{ties}"]
    fit = s.cox("Surv(time, status) ~ age + sex + ph.ecog", frames["lung"], ties=ties)
    new = pd.DataFrame({"age": [60, 70], "sex": [1, 2], "ph.ecog": [1, 2]})
    got = fit.predict(new, type="survival", times=want["times"])
    for ours, theirs in {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}.items():
        np.testing.assert_allclose(got[ours], np.ravel(want[theirs]), rtol=TIGHT)
    hazard = fit.predict(new, type="cumulative_hazard", times=want["times"])
    np.testing.assert_allclose(hazard["estimate"], np.ravel(want["cumhaz"]), rtol=TIGHT)
    lp = fit.predict(new)
    np.testing.assert_allclose(lp["estimate"], want["lp"], rtol=TIGHT)
    np.testing.assert_allclose(lp["std_error"], want["lp_se"], rtol=TIGHT)


def test_stratified_prediction(frames, expected):
    want = expected["lung_predict_strata"]
    fit = s.cox("Surv(time, status) ~ age + ph.ecog", frames["lung"], strata="sex")
    new = pd.DataFrame({"age": [60, 70], "sex": [1.0, 2.0], "ph.ecog": [1, 2]})
    got = fit.predict(new, type="survival", times=want["times"])
    np.testing.assert_allclose(got["estimate"], np.ravel(want["surv"]), rtol=TIGHT)
    np.testing.assert_allclose(got["std_error"], np.ravel(want["se"]), rtol=TIGHT)
    lp = fit.predict(new)
    np.testing.assert_allclose(lp["estimate"], want["lp"], rtol=TIGHT)
    np.testing.assert_allclose(lp["std_error"], want["lp_se"], rtol=TIGHT)


KM = {f"km_lung_{t}": ("lung", "Surv(time, status) ~ 1", {"conf_type": t}) for t in ("plain", "log", "log-log")}
KM |= {f"km_lung_{t}": ("lung", "Surv(time, status) ~ 1", {"conf_type": t}) for t in ("logit", "arcsin")}
KM |= {
    "km_lung_sex": ("lung", "Surv(time, status) ~ sex", {}),
    "km_lung_weighted": ("lung", "Surv(time, status) ~ 1", {"weights": "w"}),
    "km_lung_weighted_greenwood": ("lung", "Surv(time, status) ~ 1", {"weights": "w", "robust": False}),
    "km_heart_entry": ("heart", "Surv(start, stop, event) ~ 1", {}),
    "km_heart_entry_weighted": ("heart", "Surv(start, stop, event) ~ 1", {"weights": "w", "robust": True}),
}


@pytest.mark.parametrize("case", KM)
def test_kaplan_meier(case, frames, expected):
    data, formula, options = KM[case]
    want = expected[case]
    fit = s.kaplan_meier(formula, frames[data], **options)
    got = fit.predict(want["times"])
    pairs = {"n_risk": "n_risk", "estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
    for ours, theirs in pairs.items():
        np.testing.assert_allclose(got[ours], want[theirs], rtol=EXACT, err_msg=ours)
    median = fit.median()
    np.testing.assert_allclose(median["estimate"], np.ravel(want["median"]), rtol=EXACT)
    limits = np.concatenate([np.ravel(want["median_lower"]), np.ravel(want["median_upper"])]).astype(float)
    np.testing.assert_allclose(np.ravel(median[["conf_low", "conf_high"]].T), limits, rtol=EXACT)


@pytest.mark.parametrize(
    ("case", "formula", "options"),
    [
        ("logrank_lung", "Surv(time, status) ~ sex", {}),
        ("logrank_lung_rho1", "Surv(time, status) ~ sex", {"rho": 1}),
        ("logrank_lung_strata", "Surv(time, status) ~ sex", {"strata": "ph.ecog"}),
        ("logrank_lung_ecog", "Surv(time, status) ~ ph.ecog", {}),
    ],
)
def test_logrank(case, formula, options, frames, expected):
    got = s.logrank(formula, frames["lung"], **options)
    assert got.statistic == pytest.approx(expected[case]["chisq"], rel=EXACT)
    assert got.df == expected[case]["df"]


PROPENSITY = (
    "qsmk ~ sex + race + age + I(age^2) + C(education) + smokeintensity + I(smokeintensity^2) + smokeyrs"
    " + I(smokeyrs^2) + C(exercise) + C(active) + wt71 + I(wt71^2)"
)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATO"])
def test_weighted_cox_on_nhefs(estimand, expected):
    nhefs = dc.datasets.load("nhefs")
    months = np.where(nhefs["death"] == 1, (nhefs["yrdth"] - 83) * 12 + nhefs["modth"], 120)
    ps = dc.propensity.weight(PROPENSITY, nhefs, estimand=estimand)
    data = nhefs.assign(survtime=months, w=ps.weights)
    fit = s.cox("Surv(survtime, death) ~ qsmk", data, weights="w", robust=True)
    want = expected[f"nhefs_cox_{estimand}"]
    row = fit.tidy().iloc[0]
    # relative to the standard error: the estimate itself is nearly zero
    assert row["estimate"] == pytest.approx(want["coef"], abs=WEIGHTED * want["se"])
    assert row["std_error"] == pytest.approx(want["se"], rel=WEIGHTED)
    assert ps.weights.sum() == pytest.approx(want["weight_sum"], rel=WEIGHTED)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATO"])
def test_weighted_mean_difference_on_nhefs(estimand, expected):
    known = dc.datasets.load("nhefs").dropna(subset=["wt82_71"])
    ps = dc.propensity.weight(PROPENSITY, known, estimand=estimand)
    row = dc.propensity.mean_difference("wt82_71", ps, known, std_error="robust").tidy().iloc[0]
    want = expected[f"nhefs_mean_{estimand}"]
    assert row["estimate"] == pytest.approx(want["estimate"], rel=WEIGHTED)
    assert row["std_error"] == pytest.approx(want["se_hc0"], rel=WEIGHTED)
