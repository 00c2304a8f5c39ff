"""Shared frailty: R (tests/reference/survival/frailty/generate.R), brute force, properties, bad input."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal._core import warnings as named
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import HypothesisTest, NotApplicable
from dxa_causal.survival._kernels.cox import BRESLOW, EFRON, prepare
from dxa_causal.survival._kernels.frailty import Penalty, maximise_penalised
from dxa_causal.survival._kernels.frailty_sums import build_levels
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

s = dc.survival
cox_frailty = s.cox_frailty

# Newton's method in both programs (R does so where it keeps the whole Hessian).
TIGHT = 1e-10
# R's sparse fits step with a diagonal block: convergence is linear, and stops where the penalised likelihood no longer
# changes in double precision, 1e-8 of a standard error or so from its maximum; the unpenalised one is not flat there.
SPARSE, SPARSE_VALUE = 2e-7, 2e-6
# R's search for theta ends at about the root of the rounding error of the likelihood.
SEARCH, SEARCH_VALUE = 1e-6, 1e-5
# R's own stopping rules, as its users see them: theta to two digits.
AS_IS = 0.02

KIDNEY = "Surv(time, status) ~ age + sex"
CGD = "Surv(tstart, tstop, status) ~ treat + age"
DIABETIC = "Surv(time, status) ~ trt + risk"
GAUSS = {"distribution": "gaussian"}
CASES = {
    "kidney_gamma_fixed": ("kidney", KIDNEY, {"frailty": "id", "theta": 0.6}, SPARSE),
    "kidney_gauss_fixed": ("kidney", KIDNEY, {"frailty": "id", "theta": 0.6, **GAUSS}, SPARSE),
    "kidney_gamma_fixed_dense": ("kidney", KIDNEY, {"frailty": "id", "theta": 0.6, "sparse": False}, TIGHT),
    "kidney_gauss_fixed_dense": ("kidney", KIDNEY, {"frailty": "id", "theta": 0.6, "sparse": False, **GAUSS}, TIGHT),
    "kidney_factor_fixed": ("kidney", "Surv(time, status) ~ age + C(disease)", {"frailty": "id", "theta": 1}, SPARSE),
    "kidney_gamma_weights_fixed": (
        "kidney",
        KIDNEY,
        {"frailty": "id", "theta": 0.6, "sparse": False, "weights": "w"},
        TIGHT,
    ),
    "kidney_gauss_weights_fixed": (
        "kidney",
        KIDNEY,
        {"frailty": "id", "theta": 0.6, "sparse": False, "weights": "w", **GAUSS},
        TIGHT,
    ),
    "kidney_only_frailty": ("kidney", "Surv(time, status) ~ 1", {"frailty": "id", "theta": 0.5}, SPARSE),
    "cgd_gamma_fixed": ("cgd", CGD + " + steroids", {"frailty": "id", "theta": 0.9}, SPARSE),
    "cgd_strata_gauss_fixed": ("cgd", CGD, {"frailty": "center", "theta": 0.4, "strata": "inherit", **GAUSS}, SPARSE),
    "cgd_strata_gamma_fixed": ("cgd", CGD, {"frailty": "id", "theta": 0.4, "strata": "enum"}, SPARSE),
    "diabetic_strata_gamma_fixed": ("diabetic", DIABETIC, {"frailty": "id", "theta": 1, "strata": "eye"}, SPARSE),
    "lung_offset_few_fixed": (
        "lung",
        "Surv(time, status) ~ age",
        {"frailty": "ph.ecog", "theta": 0.3, "offset": "o", **GAUSS},
        TIGHT,
    ),
    "kidney_gamma_em": ("kidney", KIDNEY, {"frailty": "id"}, SEARCH),
    "kidney_gauss_reml": ("kidney", KIDNEY, {"frailty": "id", **GAUSS}, SEARCH),
    "kidney_gauss_reml_dense": ("kidney", KIDNEY, {"frailty": "id", "sparse": False, **GAUSS}, SEARCH),
    "cgd_gamma_em": ("cgd", CGD, {"frailty": "id"}, SEARCH),
    "cgd_gauss_reml": ("cgd", CGD, {"frailty": "id", **GAUSS}, SEARCH),
    "diabetic_gamma_em": ("diabetic", DIABETIC, {"frailty": "id"}, SEARCH),
    "diabetic_gauss_reml": ("diabetic", DIABETIC, {"frailty": "id", **GAUSS}, SEARCH),
}
VALUE = {TIGHT: TIGHT, SPARSE: SPARSE_VALUE, SEARCH: SEARCH_VALUE}


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/frailty/expected.json")["cases"]


def frame(frames, name):
    data = frames[name]
    if name == "kidney":
        return data.assign(w=1 + data["age"] % 3)
    return data.assign(o=data["wt.loss"] / 50) if name == "lung" else data


def close(got, want, tolerance):
    """Agreement relative to the largest of a set of like numbers."""
    want = np.asarray(want, dtype=float)
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max(initial=0))


@pytest.mark.filterwarnings("ignore:1 of 8 strata")
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_r(case, ties, frames, expected):
    name, formula, options, tolerance = CASES[case]
    want = expected[f"{case}_{ties}"]
    fit = cox_frailty(formula, frame(frames, name), ties=ties, **options)
    assert fit.theta == pytest.approx(want["theta"], rel=tolerance)
    if want["coef"] is not None:
        se = np.sqrt(np.diag(np.atleast_2d(want["var"])))
        np.testing.assert_allclose((fit.coefficients - want["coef"]) / se, 0, atol=tolerance)
        np.testing.assert_allclose(fit.std_error, se, rtol=tolerance)
        close(fit.covariance, np.atleast_2d(want["var"]), tolerance)
        close(fit.covariance_model, np.atleast_2d(want["var2"]), tolerance)
    close(fit.frailties, want["frail"], tolerance)
    close(fit.frailty_variance, want["fvar"], tolerance)
    np.testing.assert_allclose(list(fit.df_terms.values()), np.atleast_1d(want["df"]), rtol=tolerance)
    value = VALUE[tolerance]
    assert fit.log_likelihood == pytest.approx(want["loglik"][1], abs=value)
    if "dense" not in case and options.get("weights") is None and options.get("offset") is None:
        # R adds the penalty's constant to the null likelihood of its dense gaussian fits, and leaves offsets in it
        assert fit.log_likelihood_null == pytest.approx(want["loglik"][0], rel=1e-12)
    glance = fit.glance().iloc[0]
    np.testing.assert_allclose(glance[["aic", "bic"]].astype(float), [want["aic"], want["bic"]], rtol=value)
    assert (glance["nobs"], glance["n_events"]) == (want["n"], want["nevent"])
    if want["lr"] is not None:
        assert fit.likelihood_ratio_test.statistic == pytest.approx(want["lr"], rel=value)
    if want["c_loglik"] is not None and "weights" not in options:
        # flat at its maximum: the marginal likelihood is known better than theta
        assert fit.log_likelihood_marginal == pytest.approx(want["c_loglik"], abs=1e-9)
        assert fit.log_likelihood_marginal >= want["c_loglik"] - 1e-11


def test_reaches_r_as_it_comes(frames, expected):
    gamma, want = cox_frailty(KIDNEY, frames["kidney"], frailty="id"), expected["reference_gamma"]
    assert gamma.log_likelihood_marginal > want["c_loglik"]
    gauss = cox_frailty(KIDNEY, frames["kidney"], frailty="id", distribution="gaussian")
    for fit, other in ((gamma, want), (gauss, expected["reference_gauss"])):
        assert fit.theta == pytest.approx(other["theta"], rel=AS_IS)
        np.testing.assert_allclose(fit.coefficients, other["coef"], rtol=AS_IS)
        np.testing.assert_allclose(fit.std_error, other["se"], rtol=AS_IS)
        np.testing.assert_allclose(list(fit.df_terms.values()), other["df"], rtol=AS_IS)


def test_reaches_coxme(frames, expected):
    """Coxme stopped 6e-6 below the maximum of the integrated likelihood, 0.2 % away in theta."""
    want = expected["reference_coxme"]
    fit = cox_frailty(KIDNEY, frames["kidney"], frailty="id", distribution="gaussian", method="ml")
    assert fit.log_likelihood_marginal > want["loglik"][1]
    assert fit.log_likelihood_marginal == pytest.approx(want["loglik"][1], abs=1e-5)
    assert fit.theta == pytest.approx(want["var"], rel=3e-3)
    np.testing.assert_allclose((fit.coefficients - want["coef"]) / want["se"], 0, atol=3e-3)
    np.testing.assert_allclose(fit.std_error, want["se"], rtol=1e-3)
    at = cox_frailty(KIDNEY, frames["kidney"], frailty="id", distribution="gaussian", theta=want["var"], sparse=False)
    # at coxme's own variance, all its numbers
    np.testing.assert_allclose((at.coefficients - want["coef"]) / want["se"], 0, atol=1e-5)
    np.testing.assert_allclose(at.std_error, want["se"], rtol=1e-5)
    assert at.log_likelihood_marginal == pytest.approx(want["loglik"][1], abs=1e-6)
    penalised = at.log_likelihood - (at.frailties**2).sum() / (2 * at.theta)
    assert penalised == pytest.approx(want["loglik"][2], abs=1e-5)


def test_prediction(frames, expected):
    want = expected["kidney_predict"]
    kidney = frames["kidney"]
    fit = cox_frailty(KIDNEY, kidney, frailty="id", theta=0.6)
    new = pd.DataFrame({"age": [30, 50], "sex": [1, 2], "id": [1, 2]})
    got = fit.predict(new)
    np.testing.assert_allclose(got["estimate"], want["lp"], rtol=SPARSE)
    np.testing.assert_allclose(got["std_error"], want["se"], rtol=SPARSE)
    own = fit.predict(frailties=True)
    np.testing.assert_allclose(own["estimate"], want["lp_rows"], atol=SPARSE)
    np.testing.assert_allclose(own["estimate"] + fit.coefficients @ want["means"], fit.linear_predictor, atol=1e-12)
    risk = fit.predict(new, type="risk", frailties=True)
    np.testing.assert_allclose(np.log(risk["estimate"]), got["estimate"] + fit.frailties[:2], rtol=1e-12)
    with pytest.raises(errors.UnseenLevelError, match=r"level id=99 \(row 1\) was not in the fit"):
        fit.predict(new.assign(id=[1, 99]), frailties=True)
    with pytest.raises(errors.ColumnNotFoundError, match="frailty"):
        fit.predict(new.drop(columns="id"), frailties=True)


def simulated(seed, families=60, size=4, theta=0.5, entry=False):
    rng = np.random.default_rng(seed)
    n = families * size
    family = np.repeat(np.arange(families), size)
    x, z = rng.normal(size=n), rng.integers(0, 2, n)
    effect = rng.gamma(1 / theta, theta, families) if theta else np.ones(families)
    start = rng.uniform(0, 0.5, n) * rng.integers(0, 2, n) if entry else np.zeros(n)
    time = start + rng.exponential(1 / (effect[family] * np.exp(0.5 * x - 0.5 * z)))
    end = start + rng.uniform(0.5, 3, n)
    return pd.DataFrame(
        {
            "entry": start,
            "time": np.ceil(np.minimum(time, end) * 8) / 8 + (entry * 0.5),
            "died": (time < end).astype(int),
            "x": x,
            "z": z,
            "family": family,
            "site": rng.integers(0, 3, n),
            "w": rng.integers(1, 4, n).astype(float),
        }
    )


def _kernel_fit(data, *, penalty, ties, strata=None):
    x = np.ascontiguousarray(data[["x", "z"]], dtype=float)
    times = rank_times(data["time"].to_numpy(float), data["entry"].to_numpy(float))
    stratum = None if strata is None else data[strata].to_numpy(np.int64)
    sets = build_risk_sets(times, data["died"].to_numpy(np.int64), stratum)
    prepared = prepare(x, sets, weight=data["w"].to_numpy(float), offset=None, ties=ties)
    levels = build_levels(prepared, data["family"].to_numpy(np.int64), data["family"].max() + 1)
    fit = maximise_penalised(prepared, levels, penalty, beta=np.zeros(2), f=np.zeros(levels.size), whole=True)
    return prepared, fit


def _brute(data, ties, strata=None):
    """Log partial likelihood as a function of eta, from its definition."""
    entry, time, died, weight = (data[c].to_numpy(float) for c in ("entry", "time", "died", "w"))
    stratum = np.zeros(len(data)) if strata is None else data[strata].to_numpy()
    sets = []
    for k in np.unique(stratum):
        for t in np.unique(time[(died == 1) & (stratum == k)]):
            dead = np.flatnonzero((died == 1) & (time == t) & (stratum == k))
            sets.append((np.flatnonzero((entry < t) & (time >= t) & (stratum == k)), dead))

    def log_likelihood(eta):
        risk = weight * np.exp(eta)
        total = np.sum(weight * died * eta)
        for at_risk, dead in sets:
            share = np.arange(dead.size) / dead.size * (ties == EFRON)
            total -= weight[dead].mean() * np.log(risk[at_risk].sum() - share * risk[dead].sum()).sum()
        return total

    return log_likelihood


@pytest.mark.parametrize("ties", [EFRON, BRESLOW])
@pytest.mark.parametrize("strata", [None, "site"])
@pytest.mark.parametrize("gamma", [True, False])
def test_hessian_is_that_of_the_definition(gamma, strata, ties):
    """Delayed entry, ties, weights, families across strata, levels that come and go, one never at risk."""
    data = simulated(1, families=7, size=5, entry=True)
    data.loc[data["family"] == 6, ["entry", "time", "died"]] = [0.0, 1e-3, 0]
    penalty = Penalty(gamma, 0.7)
    prepared, fit = _kernel_fit(data, penalty=penalty, ties=ties, strata=strata)
    at = np.concatenate([fit.beta, fit.f])
    brute = _brute(data, ties, strata)
    x = (data[["x", "z"]].to_numpy(float) - prepared.centre) / prepared.scale

    def value(v):
        return brute(x @ v[:2] + v[2:][data["family"]])

    assert fit.converged
    assert fit.log_likelihood == pytest.approx(value(at), rel=1e-12)
    h, unit = 1e-3, np.eye(at.size)
    gradient = [(value(at + h * u) - value(at - h * u)) / (2 * h) for u in unit]
    np.testing.assert_allclose(gradient, np.concatenate([[0, 0], penalty.first(fit.f)]), atol=1e-5)
    second = np.array(
        [
            [
                (value(at + h * (u + v)) - value(at + h * (u - v)) - value(at - h * (u - v)) + value(at - h * (u + v)))
                / (4 * h * h)
                for u in unit
            ]
            for v in unit
        ]
    )
    blocks = fit.blocks
    got = np.block([[blocks.fixed, blocks.cross.T], [blocks.cross, blocks.whole]])
    np.testing.assert_allclose(got, -second, atol=1e-4)
    np.testing.assert_allclose(np.diag(blocks.whole), blocks.diagonal, atol=1e-12)
    assert blocks.diagonal[6] == 0
    assert fit.f[6] == 0


@pytest.mark.parametrize("weights", [None, "w"])
def test_marginal_likelihood_by_integration(weights):
    """Each family's gamma frailty integrated out numerically, the baseline jumping at the event times."""
    data = simulated(2, families=8, size=3)
    data["w"] = 1.0 if weights is None else data["w"] / 2  # sums of events that are not whole
    fit = cox_frailty("Surv(time, died) ~ x", data, frailty="family", theta=0.6, ties="breslow", weights=weights)
    jumps = np.unique(data.loc[data["died"] == 1, "time"])
    theta, nu = 0.6, 1 / 0.6
    deaths = np.array([data.loc[(data["died"] == 1) & (data["time"] == t), "w"].sum() for t in jumps])

    def log_likelihood(beta, log_jumps):
        total = 0.0
        for _, family in data.groupby("family"):
            risk = family["w"] * np.exp(beta * family["x"])
            cumulative = sum(r * np.exp(log_jumps[jumps <= t]).sum() for r, t in zip(risk, family["time"]))
            dead = family[family["died"] == 1]
            d = dead["w"].sum()
            total += np.sum(dead["w"] * (beta * dead["x"] + log_jumps[np.searchsorted(jumps, dead["time"])]))
            mode = (nu + d) / (nu + cumulative)
            value = integrate.quad(
                lambda z: math.exp(d * math.log(z / mode) - z * cumulative) * stats.gamma.pdf(z, nu, scale=theta),  # noqa: B023
                0,
                np.inf,
                epsabs=0,
                epsrel=1e-11,
            )[0]
            total += math.log(value) + d * math.log(mode)
        return total

    # Breslow's jumps with the fit's frailties
    risk = data["w"] * np.exp(data["x"] * fit.coefficients[0] + fit.frailties[data["family"]])
    log_jumps = np.log(deaths / [np.sum(risk * (data["time"] >= t)) for t in jumps])
    constant = np.sum(deaths * np.log(deaths)) - deaths.sum()
    best = log_likelihood(fit.coefficients[0], log_jumps)
    assert best == pytest.approx(fit.log_likelihood_marginal + constant, abs=1e-8)
    rng = np.random.default_rng(3)
    for _ in range(8):  # and that is its maximum
        change = rng.normal(0, 0.02, 1 + jumps.size)
        assert log_likelihood(fit.coefficients[0] + change[0], log_jumps + change[1:]) < best


def test_theta_is_the_maximum():
    data = simulated(4)
    fit = cox_frailty("Surv(time, died) ~ x + z", data, frailty="family")
    gauss = cox_frailty("Surv(time, died) ~ x + z", data, frailty="family", distribution="gaussian", method="ml")
    for best, options in ((fit, {}), (gauss, {"distribution": "gaussian"})):

        def minus(t, options=options):
            other = cox_frailty("Surv(time, died) ~ x + z", data, frailty="family", theta=float(np.exp(t)), **options)
            return -other.log_likelihood_marginal

        log_theta = np.log(best.theta)
        found = optimize.minimize_scalar(minus, bounds=(log_theta - 1, log_theta + 1), options={"xatol": 1e-6})
        assert best.theta == pytest.approx(np.exp(found.x), rel=1e-5)
        assert best.log_likelihood_marginal >= -found.fun - 1e-9


def test_reml_solves_its_equation():
    data = simulated(5)
    for sparse in (True, False):
        fit = cox_frailty("Surv(time, died) ~ x", data, frailty="family", distribution="gaussian", sparse=sparse)
        trace = fit.frailty_variance.sum()
        assert fit.theta == pytest.approx((fit.frailties**2).sum() / (60 - trace / fit.theta), rel=1e-9)


@pytest.mark.parametrize("options", [{}, GAUSS, {**GAUSS, "method": "ml"}])
def test_whole_weights_equal_repeated_rows(options):
    data = simulated(6)
    repeated = data.loc[data.index.repeat(data["w"].astype(int))]
    a = cox_frailty("Surv(time, died) ~ x", data, frailty="family", ties="breslow", weights="w", **options)
    b = cox_frailty("Surv(time, died) ~ x", repeated, frailty="family", ties="breslow", **options)
    assert a.theta == pytest.approx(b.theta, rel=1e-7)
    np.testing.assert_allclose(a.coefficients, b.coefficients, rtol=1e-7)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-7)
    assert a.log_likelihood_marginal == pytest.approx(b.log_likelihood_marginal, rel=1e-11)


@pytest.mark.parametrize("options", [{}, GAUSS, {**GAUSS, "method": "ml"}])
def test_what_must_not_matter(options):
    data = simulated(8, entry=True)
    formula = "Surv(entry, time, died) ~ x + C(z)"
    fit = cox_frailty(formula, data, frailty="family", strata="site", **options)
    shuffled = data.sample(frac=1, random_state=1)
    months = data.assign(entry=data["entry"] * 12, time=data["time"] * 12)
    named_levels = data.assign(family="f" + data["family"].astype(str))
    middle = (data["entry"] + data["time"]) / 2
    split = pd.concat([data.assign(time=middle, died=0), data.assign(entry=middle)])
    for other in (shuffled, months, named_levels, split, data.assign(w=1.0)):
        weights = "w" if (other["w"] == 1).all() else None
        again = cox_frailty(formula, other, frailty="family", strata="site", weights=weights, **options)
        assert again.theta == pytest.approx(fit.theta, rel=1e-7)
        np.testing.assert_allclose(again.coefficients, fit.coefficients, rtol=1e-7)
        np.testing.assert_allclose(again.std_error, fit.std_error, rtol=1e-7)
        assert again.log_likelihood_marginal == pytest.approx(fit.log_likelihood_marginal, rel=1e-11)
    assert fit.random_effects()["level"].tolist() == sorted(data["family"].unique())


def test_small_variance_is_cox():
    data = simulated(9)
    plain = s.cox("Surv(time, died) ~ x + z", data)
    for options in ({}, GAUSS):
        zero = cox_frailty("Surv(time, died) ~ x + z", data, frailty="family", theta=0, **options)
        np.testing.assert_allclose(zero.coefficients, plain.coefficients, rtol=1e-10)
        np.testing.assert_allclose(zero.covariance, plain.covariance, rtol=1e-8)
        assert list(zero.df_terms.values()) == pytest.approx([1, 1, 0])
        small = cox_frailty("Surv(time, died) ~ x + z", data, frailty="family", theta=1e-6, **options)
        np.testing.assert_allclose(small.coefficients, plain.coefficients, rtol=1e-4)
        assert small.log_likelihood_marginal == pytest.approx(plain.log_likelihood, abs=1e-3)


def test_no_variation_between_levels(frames):
    """The kidney data with disease in the model: the classical zero."""
    formula = "Surv(time, status) ~ age + sex + C(disease)"
    fit = cox_frailty(formula, frames["kidney"], frailty="id")
    assert fit.theta == 0
    assert (fit.frailties == 0).all()
    assert "no variation between levels of id beyond chance" in str(fit)
    assert (fit.frailty_test.statistic, fit.frailty_test.p_value) == (0, 1)
    np.testing.assert_allclose(fit.coefficients, s.cox(formula, frames["kidney"]).coefficients, rtol=1e-9)


def test_variance_test(frames):
    kidney = frames["kidney"]
    fit = cox_frailty(KIDNEY, kidney, frailty="id")
    test = fit.frailty_test
    plain = s.cox(KIDNEY, kidney)
    assert isinstance(test, HypothesisTest)
    assert test.statistic == pytest.approx(2 * (fit.log_likelihood_marginal - plain.log_likelihood), rel=1e-9)
    assert test.p_value == pytest.approx(stats.chi2.sf(test.statistic, 1) / 2)
    assert isinstance(cox_frailty(KIDNEY, kidney, frailty="id", theta=1).frailty_test, NotApplicable)
    reml = cox_frailty(KIDNEY, kidney, frailty="id", distribution="gaussian")
    assert 0 < reml.frailty_test.p_value < 0.5


def test_missing_rows_are_counted():
    data = simulated(10)
    data["family"] = data["family"].astype(float)
    data.loc[[3, 5], "family"] = np.nan
    fit = cox_frailty("Surv(time, died) ~ x", data, frailty="family", theta=0.5)
    assert fit.nobs == len(data) - 2
    assert fit.provenance.missing == {"family": 2}


def test_bad_input():
    data = simulated(11)
    formula = "Surv(time, died) ~ x"

    def fails(error, text, frame=data, **options):
        with pytest.raises(error, match=text):
            cox_frailty(formula, frame, **({"frailty": "family"} | options))

    fails(errors.ColumnNotFoundError, "frailty: no column 'famly'; did you mean 'family'", frailty="famly")
    fails(errors.PredictorError, r"frailty='family' has one level .*\(1\)", data.assign(family=1))
    fails(errors.OptionError, "distribution='gama' is not allowed", distribution="gama")
    fails(errors.OptionError, "method='reml' is not allowed; use 'em'", method="reml")
    fails(errors.OptionError, "method='em' is not allowed; use 'reml' or 'ml'", method="em", distribution="gaussian")
    fails(errors.OptionError, "theta=0.5 fixes the variance", theta=0.5, method="em")
    fails(errors.OptionError, "theta=-1 must be zero or a positive number", theta=-1)
    fails(errors.OptionError, "ties='exact' takes no frailty", ties="exact")
    fails(errors.OutcomeError, "no event", data.assign(died=0))
    fails(errors.PredictorError, "every stratum of 'family' lies within one level", strata="family")
    fails(errors.PredictorError, "weights='w' must be positive", data.assign(w=0.0), weights="w")
    fails(errors.CollinearityError, "constant", data.assign(x=1.0))
    with pytest.warns(named.CodingWarning, match="every level of frailty='row' has one row"):
        cox_frailty(formula, data.assign(row=range(len(data))), frailty="row")


def test_extremes():
    """Levels that differ by factors of a thousand, one without events, offsets far from zero."""
    rng = np.random.default_rng(12)
    family = np.repeat(np.arange(12), 10)
    rate = np.exp(rng.normal(0, 3, 12))[family]
    data = pd.DataFrame({"time": rng.exponential(1 / rate), "died": 1, "x": rng.normal(size=120), "family": family})
    data.loc[family == 3, "died"] = 0
    data["far"] = 500.0
    for options in ({}, GAUSS, {**GAUSS, "method": "ml"}):
        fit = cox_frailty("Surv(time, died) ~ x", data, frailty="family", **options)
        assert fit.converged
        assert 1 < fit.theta < 50
        far = cox_frailty("Surv(time, died) ~ x", data, frailty="family", offset="far", **options)
        assert far.theta == pytest.approx(fit.theta, rel=1e-6)
        assert np.isfinite(fit.std_error).all()


@pytest.mark.parametrize("separating", ["died", "time"])
def test_separation_is_said_and_nothing_is_nan(separating):
    data = simulated(13, families=12, size=5)
    data["apart"] = -data[separating].astype(float)
    for options in ({}, GAUSS, {"theta": 1}):
        with pytest.warns(named.SeparationWarning, match="'apart' runs to infinity"):
            fit = cox_frailty("Surv(time, died) ~ apart + x", data, frailty="family", **options)
        assert np.isfinite(fit.coefficients).all()
        assert not np.isnan(fit.std_error).any()


@pytest.mark.slow
@pytest.mark.parametrize("theta", [0.0, 0.5])
def test_recovers_what_was_simulated(theta):
    """150 runs of 240 rows in 60 families."""
    runs = (simulated(100 + k, theta=theta) for k in range(150))
    fits = [cox_frailty("Surv(time, died) ~ x + z", data, frailty="family") for data in runs]
    found = np.array([f.theta for f in fits])
    x = np.array([f.coefficients[0] for f in fits])
    p = np.array([f.frailty_test.p_value for f in fits])
    assert abs(x.mean() - 0.5) < 4 * x.std() / np.sqrt(x.size) + 0.01
    if theta:
        assert abs(found.mean() - theta) < 4 * found.std() / np.sqrt(found.size)
        assert (p < 0.05).mean() > 0.9
    else:
        assert 0.4 < (found == 0).mean() < 0.75
        assert (p < 0.05).mean() < 0.11
