"""Agreement of the Cox model's neighbours with R (tests/reference/survival/cox/generate.R)."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc

s = dc.survival

# Both programs iterate until an estimate is good to about 1e-10 of its standard error.
TIGHT = 1e-8
# Closed forms of converged estimates: the error of the estimate, enlarged by a division by a small value.
DERIVED = 1e-7
LOGLIK = 1e-11

FITS = {
    "veteran": ("veteran", "Surv(time, status) ~ trt + karno + C(celltype)", {}),
    "lung_strata": ("lung", "Surv(time, status) ~ age + ph.ecog", {"strata": "sex"}),
    "lung_weights": ("lung", "Surv(time, status) ~ age + sex", {"weights": "w", "robust": True}),
    "heart_weights": ("heart", "Surv(start, stop, event) ~ age + year + transplant", {"weights": "w", "cluster": "id"}),
    "bladder": ("bladder2", "Surv(start, stop, event) ~ rx + size + number", {"strata": "enum", "cluster": "id"}),
    "mgus2_age": ("mgus2", "Surv(entry, exit, death) ~ C(sex) + hgb + creat", {}),
}
CASES = {f"{name}_{ties}": (*case, ties) for name, case in FITS.items() for ties in ("efron", "breslow")}
CASES |= {
    "veteran_exact_30": ("veteran", "Surv(time, status) ~ trt + karno + C(celltype)", {}, "exact"),
    "veteran_exact_19": ("veteran", "Surv(time, status) ~ karno + age + prior", {}, "exact"),
    "rossi_exact_strata": ("rossi", "Surv(week, arrest) ~ fin + age + prio", {"strata": "race"}, "exact"),
    "infert_exact": ("infert", "Surv(one, case) ~ spontaneous + induced", {"strata": "stratum"}, "exact"),
    "nafld": ("nafld_head", "Surv(futime, status) ~ age + male + weight + height", {}, "efron"),
    "rotterdam_ns": ("rotterdam", "Surv(dtime, death) ~ ns(age, df=3) + C(grade) + bs(nodes, df=4)", {}, "efron"),
}


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/cox/expected.json")


@pytest.fixture(scope="module")
def data(frames):
    mgus2 = frames["mgus2"]
    return {
        "veteran": frames["veteran"],
        "lung": frames["lung"],
        "heart": frames["heart"],
        "bladder2": frames["bladder2"],
        "mgus2": mgus2.assign(entry=mgus2["age"], exit=mgus2["age"] + mgus2["futime"] / 12 + 1e-9),
        "rossi": frames["rossi"],
        "infert": frames["infert"].assign(one=1),
        "nafld_head": frames["nafld1"].head(4000),
        "rotterdam": frames["rotterdam"],
    }


def _fit(name, data):
    frame, formula, options, ties = CASES[name]
    return s.cox(formula, data[frame], ties=ties, **options)


def _order(fit, want):
    """Positions of our coefficients that R lists: formulaic may put the terms in another order."""

    def plain(term):
        return term.replace("C(", "factor(").replace("[T.", "").replace("]", "").replace("[", "").replace(" ", "")

    ours = [plain(t) for t in fit.terms]
    theirs = [plain(t) for t in np.atleast_1d(want["terms"])]
    return [ours.index(next(o for o in ours if o in (t, f"factor({t[:-1]}){t[-1]}"))) for t in theirs]


@pytest.mark.parametrize("name", CASES)
def test_fit(name, data, expected):
    want = expected[name]
    fit = _fit(name, data)
    own = _order(fit, want)
    se = np.atleast_1d(want["se"])
    np.testing.assert_allclose(fit.coefficients[own], want["coef"], rtol=TIGHT, atol=TIGHT * se.min())
    np.testing.assert_allclose(fit.std_error[own], se, rtol=TIGHT)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], want["loglik"], rtol=LOGLIK)
    assert fit.score_test.statistic == pytest.approx(want["score_test"], rel=TIGHT)
    assert fit.wald_test.statistic == pytest.approx(want["wald"], rel=TIGHT)
    assert (fit.nobs, fit.n_events) == (want["n"], want["nevent"])
    c = s.concordance(fit)
    np.testing.assert_allclose([c.estimate, c.std_error], [want["concordance"], want["concordance_se"]], rtol=1e-9)


@pytest.mark.parametrize("transform", ["km", "rank", "identity", "log"])
@pytest.mark.parametrize("name", CASES)
def test_proportional_hazards(name, transform, data, expected):
    want = expected[name].get(f"zph_{transform}")
    if want is None:
        return
    got = s.ph_test(_fit(name, data), transform=transform).tidy()
    assert got["term"].iloc[-1] == "GLOBAL"
    # terms may come in another order; a statistic near zero is compared on the scale of one
    np.testing.assert_allclose(np.sort(got["statistic"][:-1]), np.sort(want["chisq"][:-1]), rtol=DERIVED, atol=1e-9)
    np.testing.assert_allclose(got["statistic"].iloc[-1], want["chisq"][-1], rtol=DERIVED)
    assert got["df"].iloc[-1] == want["df"][-1]
    np.testing.assert_allclose(got["p_value"].iloc[-1], want["p"][-1], rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_residuals(name, data, expected):
    want = expected[name]
    fit = _fit(name, data)
    martingale = s.residuals(fit)
    np.testing.assert_allclose(martingale.head(8), want["martingale"], rtol=DERIVED, atol=DERIVED)
    assert martingale.abs().sum() == pytest.approx(want["sum_abs_martingale"], rel=DERIVED)
    assert (s.residuals(fit, type="deviance") ** 2).sum() == pytest.approx(want["sum_sq_deviance"], rel=DERIVED)
    own = _order(fit, want)
    for ours, theirs in {
        "score": "score",
        "dfbeta": "dfbeta",
        "dfbetas": "dfbetas",
        "schoenfeld": "schoenfeld",
        "scaled_schoenfeld": "scaledsch",
    }.items():
        if theirs not in want:
            continue
        got = np.asarray(s.residuals(fit, type=ours))[:, own]
        total = np.abs(got).sum(axis=0)
        np.testing.assert_allclose(total, np.atleast_1d(want[f"sum_abs_{theirs}"]), rtol=DERIVED, err_msg=ours)
        if "entry" not in fit.design.rows.frame and "schoenfeld" not in ours:  # tied events are in another order there
            np.testing.assert_allclose(got[:4], want[theirs], rtol=DERIVED, atol=DERIVED * np.abs(got).max())


def test_anova(data, expected):
    lung = data["lung"].dropna(subset=["ph.ecog"])
    small = s.cox("Surv(time, status) ~ age", lung)
    large = s.cox("Surv(time, status) ~ age + sex + C(ph.ecog)", lung)
    want = expected["anova"]["two"]
    got = s.anova(small, large)
    assert (got.statistic, got.df, got.p_value) == pytest.approx((want["chisq"], want["df"], want["p"]), rel=TIGHT)
    want = expected["anova"]["one"]
    steps = s.anova(large)
    assert steps.terms == ("age", "sex", "C(ph.ecog)")
    np.testing.assert_allclose(steps.log_likelihoods, want["loglik"], rtol=LOGLIK)
    np.testing.assert_allclose(steps.statistics, want["chisq"], rtol=DERIVED)
    np.testing.assert_array_equal(steps.dfs, want["df"])


def test_ridge_with_strata(data, expected):
    want = expected["ridge_strata"]
    fit = s.cox("Surv(time, status) ~ age + ph.karno", data["lung"], ridge=3, strata="sex")
    np.testing.assert_allclose(fit.coefficients, want["coef"], rtol=TIGHT)
    np.testing.assert_allclose(fit.std_error, want["var"], rtol=TIGHT)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance_model)), want["var2"], rtol=TIGHT)
    assert fit.df == pytest.approx(want["df"], rel=TIGHT)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], want["loglik"], rtol=LOGLIK)


@pytest.mark.parametrize(
    ("case", "formula", "options"),
    [
        ("tt", "Surv(time, status) ~ trt + karno", {"time_varying": {"karno": "log(t + 20)"}}),
        (
            "tt_strata",
            "Surv(time, status) ~ age + karno",
            {"strata": "celltype", "ties": "breslow", "time_varying": {"karno": "t > 100"}},
        ),
    ],
)
def test_function_of_time(case, formula, options, data, expected):
    want = expected[case]
    fit = s.cox(formula, data["veteran"], **options)
    assert list(fit.terms) == want["terms"]
    np.testing.assert_allclose(fit.coefficients, want["coef"], rtol=TIGHT)
    np.testing.assert_allclose(fit.std_error, want["se"], rtol=TIGHT)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], want["loglik"], rtol=LOGLIK)


NEW = pd.DataFrame({"age": [50, 65], "sex": [1, 2], "ph.ecog": [0, 2]})


@pytest.mark.parametrize(
    ("case", "options"),
    [("predict_weights", {"weights": "w", "robust": True}), ("predict_exact", {"ties": "exact"})],
)
def test_curves(case, options, data, expected):
    want = expected[case]
    fit = s.cox("Surv(time, status) ~ age + sex + ph.ecog", data["lung"], **options)
    got = fit.predict(NEW, type="survival", times=want["times"])
    for ours, theirs in {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}.items():
        np.testing.assert_allclose(got[ours], np.ravel(want[theirs]), rtol=TIGHT, err_msg=ours)
    lp = fit.predict(NEW)
    np.testing.assert_allclose(lp["estimate"], want["fit"], rtol=TIGHT)
    np.testing.assert_allclose(lp["std_error"], want["se.fit"], rtol=TIGHT)


def test_curves_of_start_stop_rows(data, expected):
    want = expected["predict_heart"]
    fit = s.cox("Surv(start, stop, event) ~ age + year", data["heart"], cluster="id")
    new = pd.DataFrame({"age": [-10, 5], "year": [1, 4]})
    got = fit.predict(new, type="survival", times=want["times"])
    np.testing.assert_allclose(got["estimate"], np.ravel(want["surv"]), rtol=TIGHT)
    np.testing.assert_allclose(got["std_error"], np.ravel(want["se"]), rtol=TIGHT)
    collapsed = s.residuals(fit, collapse="id")
    np.testing.assert_allclose(collapsed.head(6), expected["collapse"]["martingale"], rtol=DERIVED)
    np.testing.assert_allclose(
        s.residuals(fit, type="dfbeta", collapse="id").head(4), expected["collapse"]["dfbeta"], rtol=DERIVED
    )


def test_median_mean_and_baseline(data, expected):
    fit = s.cox("Surv(time, status) ~ age + sex + ph.ecog", data["lung"])
    want = expected["predict_median"]
    got = fit.predict(NEW, type="median")
    np.testing.assert_allclose(
        got[["estimate", "conf_low", "conf_high"]].T, [want[k] for k in ("median", "lower", "upper")]
    )
    np.testing.assert_allclose(fit.predict(NEW, type="rmst", times=[500])["estimate"], want["rmst500"], rtol=TIGHT)
    for centered, key in ((True, "centered"), (False, "zero")):
        hazard = fit.baseline_cumulative_hazard(centered=centered)
        assert hazard["estimate"].iloc[-1] == pytest.approx(expected["basehaz"][key][-1], rel=TIGHT)


def test_offset_in_prediction(data, expected):
    want = expected["predict_offset"]
    veteran = data["veteran"].assign(o=-0.03 * data["veteran"]["karno"])
    fit = s.cox("Surv(time, status) ~ age + trt", veteran, offset="o")
    new = pd.DataFrame({"age": [60, 70], "trt": [1, 2], "o": [-1.8, -2.4]})
    got = fit.predict(new, type="survival", times=want["times"])
    np.testing.assert_allclose(got["estimate"], np.ravel(want["surv"]), rtol=TIGHT)
    np.testing.assert_allclose(got["std_error"], np.ravel(want["se"]), rtol=TIGHT)
    # R centres the offset on its mean for the rows of the fit only; we do for new rows too
    np.testing.assert_allclose(fit.predict(new)["estimate"], np.array(want["lp"]) - veteran["o"].mean(), rtol=TIGHT)
