"""Cause-specific Cox models: agreement with R (tests/reference/survival/competing_risks) and what must hold."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal._core import warnings as named

s = dc.survival
FORMULA = "Surv(t, e) ~ x + z"
LATE = "Surv(entry, t, e) ~ x + z"
# Both programs stop within about 1e-10 standard errors of the optimum.
TIGHT = 1e-9


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/competing_risks/expected.json")


@pytest.fixture(scope="module")
def mgus2(frames):
    data = frames["mgus2_cr"]
    untied = data["etime"] + np.arange(1, len(data) + 1) / 10000
    return data.assign(male=(data["sex"] == "M") * 1.0, untied=untied).dropna(subset=["hgb"])


NEW = pd.DataFrame({"age": [60, 75], "male": [1.0, 0.0], "sex": ["M", "F"], "hgb": [13, 12]})


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("cause", [1, 2])
def test_cox_models(cause, ties, frames, mgus2, expected):
    pbc = frames["pbc"].assign(female=lambda d: (d["sex"] == "f") * 1.0)
    for case, formula, data, options in (
        ("pbc", "Surv(time, status) ~ age + female + bili + albumin", pbc, {}),
        ("mgus2_strata", "Surv(etime, event) ~ age + hgb", mgus2, {"strata": "sex", "cluster": "dxyr"}),
    ):
        want = expected[f"cox_{case}_{cause}_{ties}"]
        both = s.cause_specific(formula, data, ties=ties, **options)
        one = s.cause_specific(formula, data, cause=cause, ties=ties, **options)
        for table in (both.tidy().query("cause == @cause"), one.tidy()):
            scale = np.array(want["se"])
            np.testing.assert_allclose(table["estimate"] / scale, want["coef"] / scale, rtol=TIGHT, atol=TIGHT)
            np.testing.assert_allclose(table["std_error"], want["se"], rtol=TIGHT)
        np.testing.assert_array_equal(one.coefficients, both.fits[cause].coefficients)
        assert one.terms == both.fits[cause].terms
        assert one.log_likelihood == pytest.approx(want["loglik"][1], rel=1e-12)
        assert (one.nobs, one.n_events) == (want["n"][0], want["nevent"][0])
        assert both.n_events == sum(f.n_events for f in both.fits.values())


@pytest.mark.parametrize("cause", [1, 2])
@pytest.mark.parametrize("limit", [False, True])
@pytest.mark.parametrize("case", ["tied_efron", "tied_breslow", "untied_efron", "untied_breslow", "untied_strata"])
def test_absolute_risk(case, limit, cause, mgus2, expected):
    want = expected[f"risk_{case}_{cause}" + ("_product_limit" if limit else "")]
    time = "etime" if case.startswith("tied") else "untied"
    covariates, strata = ("age + hgb", "sex") if case.endswith("strata") else ("age + male + hgb", None)
    ties = "breslow" if case.endswith("breslow") else "efron"
    fit = s.cause_specific(f"Surv({time}, event) ~ {covariates}", mgus2, ties=ties, strata=strata)
    got = fit.predict(NEW, cause=cause, times=want["times"], product_limit=limit)
    np.testing.assert_allclose(got["estimate"], np.ravel(want["estimate"]), rtol=TIGHT)
    if time == "untied" and not limit:
        for ours, theirs in {"std_error": "se", "conf_low": "lower", "conf_high": "upper"}.items():
            np.testing.assert_allclose(got[ours], np.ravel(want[theirs]), rtol=TIGHT)
    # for the product limit it takes the errors of the exponential form; where times are tied all are off, see below
    np.testing.assert_allclose(got["std_error"], np.ravel(want["se"]), rtol=0.02 if time == "untied" else 0.06)


def absolute_risk_errors(data, cause, times, *, count_once):
    """Standard errors of the exponential form from n x g arrays; `count_once` as riskRegression 2022.11.28 does."""
    t, e = data["etime"].to_numpy(float), data["event"].to_numpy()
    x, new = (d[["age", "male", "hgb"]].to_numpy(float) for d in (data, NEW))
    u = np.unique(t[e > 0])
    at_risk = t[:, None] >= u
    part = {}
    for k in (1, 2):
        fit = s.cox("Surv(etime, own) ~ age + male + hgb", data.assign(own=(e == k) * 1), ties="breslow")
        risk = at_risk * np.exp(x @ fit.coefficients)[:, None]
        died = (e == k)[:, None] & (t[:, None] == u)
        s0 = risk.sum(axis=0)
        mean = risk.T @ x / s0[:, None]
        hazard = died.sum(axis=0) / s0
        own = died.any(axis=0) / s0 if count_once else hazard
        score = (
            np.einsum("ig,igp->ip", died, x[:, None, :] - mean)
            - x * (risk @ own)[:, None]
            + risk @ (own[:, None] * mean)
        )
        beta = score @ fit.covariance_model
        base = died / s0 - risk * (hazard / s0) - beta @ (hazard[:, None] * mean).T
        part[k] = fit.coefficients, hazard, beta, base
    out = []
    for row in new:
        own = {k: np.exp(row @ b) * hazard for k, (b, hazard, _, _) in part.items()}
        survival = np.exp(-np.concatenate([[0.0], np.cumsum(own[1] + own[2])[:-1]]))
        change = {k: np.exp(row @ b) * base + np.outer(beta @ row, own[k]) for k, (b, _, beta, base) in part.items()}
        before = np.cumsum(change[1] + change[2], axis=1) - change[1] - change[2]
        total = np.cumsum(survival * (change[cause] - own[cause] * before), axis=1)
        out.append(np.sqrt((total[:, np.searchsorted(u, times, side="right") - 1] ** 2).sum(axis=0)))
    return np.concatenate(out)


@pytest.mark.parametrize("cause", [1, 2])
def test_where_risk_regression_differs(cause, mgus2, expected):
    want = expected[f"risk_tied_breslow_{cause}"]
    once = absolute_risk_errors(mgus2, cause, want["times"], count_once=True)
    np.testing.assert_allclose(once, np.ravel(want["se"]), rtol=TIGHT)
    fit = s.cause_specific("Surv(etime, event) ~ age + male + hgb", mgus2, ties="breslow")
    ours = fit.predict(NEW, cause=cause, times=want["times"], product_limit=False)["std_error"]
    each = absolute_risk_errors(mgus2, cause, want["times"], count_once=False)
    np.testing.assert_allclose(ours, each, rtol=TIGHT)


def simulated(seed, n=60, *, ties=True, delay=False):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.integers(0, 2, n).astype(float)
    own, other = rng.exponential(np.exp(-0.4 * x)), rng.exponential(np.exp(0.3 * z))
    censored = rng.exponential(1.2, n)
    t = np.minimum(np.minimum(own, other), censored) + 0.05
    e = np.where(censored <= np.minimum(own, other), 0, np.where(own < other, 1, 2))
    entry = np.where(rng.random(n) < 0.4, t * rng.random(n) * 0.7, 0.0) if delay else np.zeros(n)
    if ties:
        t, entry = np.ceil(t * 12), np.floor(entry * 12)
    frame = pd.DataFrame({"x": x, "z": z, "t": t, "e": e, "entry": entry, "w": rng.integers(1, 4, n) * 1.0})
    return frame.assign(g=rng.integers(0, 2, n), unit=rng.integers(0, n // 3, n))


def both_curves(fit, new, **options):
    """Incidences and survival in one vector."""
    survival = fit.predict(new, type="survival", **options)
    return pd.concat([fit.predict(new, **options), survival], ignore_index=True)


@pytest.mark.parametrize(
    ("delay", "limit", "options"),
    [
        (False, True, {}),
        (True, False, {}),
        (True, True, {"ties": "breslow", "strata": "g"}),
        (False, False, {"strata": "g"}),
        (False, True, {"cluster": "unit"}),
    ],
)
def test_standard_errors_are_those_of_the_infinitesimal_jackknife(delay, options, limit):
    frame = simulated(5, n=30, delay=delay)
    formula, new, times, step = LATE if delay else FORMULA, frame.head(2), [3.0, 8.0], 1e-4
    units = frame.groupby("unit").indices.values() if "cluster" in options else [[i] for i in range(len(frame))]
    change = []
    for rows in units:
        values = []
        for sign in (step, -step):
            weight = frame["w"].to_numpy().copy()
            weight[rows] *= 1 + sign
            fit = s.cause_specific(formula, frame.assign(w=weight), weights="w", robust=False, **options)
            values.append(both_curves(fit, new, times=times, product_limit=limit, conf_level=None)["estimate"])
        change.append((values[0] - values[1]) / (2 * step))
    fit = s.cause_specific(formula, frame, weights="w", **options)
    got = both_curves(fit, new, times=times, product_limit=limit)["std_error"]
    np.testing.assert_allclose(got, np.sqrt((np.array(change) ** 2).sum(axis=0)), rtol=1e-7)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), delay=st.booleans(), strata=st.sampled_from([None, "g"]))
def test_incidences_and_survival_add_up_to_one(seed, delay, strata):
    frame = simulated(seed, delay=delay)
    fit = s.cause_specific(LATE if delay else FORMULA, frame, strata=strata)
    wild = pd.concat([frame.head(3), pd.DataFrame({"x": [-9.0, 9.0], "z": [1.0, 0.0], "g": [0, 1]})], ignore_index=True)
    curves = both_curves(fit, wild, times=np.unique(frame["t"]))
    assert curves["estimate"].between(0, 1 + 1e-12).all()
    total = curves.groupby(["row", "time"])["estimate"].sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    incidence = fit.predict(wild)
    assert (incidence.groupby(["row", "cause"])["estimate"].diff().dropna() >= 0).all()
    exponential = both_curves(fit, wild, times=[5], product_limit=False).groupby(["row", "time"])["estimate"].sum()
    assert (exponential > 0.5).all()


def test_without_covariates_it_is_the_aalen_johansen_estimate():
    frame = simulated(6, n=150, delay=True)
    fit = s.cause_specific("Surv(entry, t, e) ~ 1", frame, ties="breslow")
    curve = s.aalen_johansen("Surv(entry, t, e) ~ 1", frame).tidy()
    for cause in (1, 2):
        own = curve[curve["cause"] == cause]
        got = fit.predict(frame.head(1), cause=cause, times=own["time"].to_numpy())
        np.testing.assert_allclose(got["estimate"], own["estimate"], rtol=1e-10)


def test_one_cause_is_a_cox_model():
    frame = simulated(7).assign(e=lambda d: (d["e"] > 0) * 1)
    fit, cox = s.cause_specific(FORMULA, frame), s.cox(FORMULA, frame)
    np.testing.assert_array_equal(fit.covariance, cox.covariance)
    for limit in (True, False):
        pair = both_curves(fit, frame.head(2), times=[4, 9], product_limit=limit)
        if limit:
            np.testing.assert_allclose(pair["std_error"][:4], pair["std_error"][4:], rtol=1e-9)
        else:
            want = cox.predict(frame.head(2), type="survival", times=[4, 9])["estimate"]
            np.testing.assert_allclose(pair["estimate"][4:], want, rtol=1e-10)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_row_order_unit_of_time_and_frame(seed):
    frame = simulated(seed)
    want = s.cause_specific(FORMULA, frame).predict(frame.head(2), times=[4, 9])
    for other, unit in (
        (frame.sample(frac=1, random_state=seed), 1),
        (frame.assign(t=frame["t"] * 365.25), 365.25),
        (pl.from_pandas(frame), 1),
        (frame.convert_dtypes(), 1),
        (frame.assign(e=pd.Categorical.from_codes(frame["e"], ["no", "own", "other"])), 1),
    ):
        got = s.cause_specific(FORMULA, other).predict(frame.head(2), times=[4 * unit, 9 * unit])
        np.testing.assert_allclose(got["estimate"], want["estimate"], rtol=1e-8)
        np.testing.assert_allclose(got["std_error"], want["std_error"], rtol=1e-8)


def test_weights():
    frame = simulated(3)
    repeated = frame.loc[frame.index.repeat(frame["w"].astype(int))].rename_axis("row").reset_index()
    weighted = s.cause_specific(FORMULA, frame, weights="w", ties="breslow").predict(frame.head(2), times=[4, 9])
    rows = s.cause_specific(FORMULA, repeated, cluster="row", ties="breslow").predict(frame.head(2), times=[4, 9])
    pd.testing.assert_frame_equal(weighted, rows, rtol=1e-8)


def test_blocks_of_rows_change_nothing(monkeypatch):
    from dxa_causal.survival._kernels import absolute_risk

    frame = simulated(2)
    fit = s.cause_specific(FORMULA, frame, strata="g")
    whole = fit.predict(times=[3, 6])
    monkeypatch.setattr(absolute_risk, "_BLOCK", 100)
    pd.testing.assert_frame_equal(fit.predict(times=[3, 6]), whole)


def test_predictions():
    frame = simulated(9, n=150)
    fit = s.cause_specific(FORMULA, frame, cause=2)
    table = fit.predict(frame.head(2))
    assert set(table["cause"]) == {2}
    assert table.columns.tolist() == ["row", "cause", "time", "estimate", "std_error", "conf_low", "conf_high"]
    inner = table[table["estimate"].between(0.01, 0.99)]
    assert ((inner["conf_low"] < inner["estimate"]) & (inner["estimate"] < inner["conf_high"])).all()
    bare = fit.predict(frame.head(2), conf_level=None)
    pd.testing.assert_frame_equal(bare, table[bare.columns])
    start = fit.predict(frame.head(1), times=[0.0]).iloc[0]
    assert start[["estimate", "std_error", "conf_low", "conf_high"]].tolist() == [0.0] * 4
    with pytest.warns(named.HorizonWarning, match="lies beyond the last observation"):
        fit.predict(frame.head(1), times=[1e6])
    with pytest.raises(errors.OptionError, match="cause=5 was not fitted; use 1, 2"):
        fit.predict(frame, cause=5)
    with pytest.raises(errors.OptionError, match="cause= has no meaning for type='survival'"):
        fit.predict(frame, type="survival", cause=1)


def test_bad_input():
    frame = simulated(12)
    with pytest.raises(errors.OutcomeError, match="never seen"):
        s.cause_specific(FORMULA, frame, cause=3)
    with pytest.raises(errors.OutcomeError, match="no event"):
        s.cause_specific(FORMULA, frame.assign(e=0))
    with pytest.raises(errors.OutcomeError, match="names the causes, not the expression 'e == 1'"):
        s.cause_specific("Surv(t, e == 1) ~ x", frame)
    with pytest.raises(errors.OptionError, match="ties='exact' is not allowed"):
        s.cause_specific(FORMULA, frame, ties="exact")
    with pytest.raises(errors.OptionError, match=r"holds 2 causes; take one: .fits\[1\]"):
        s.cause_specific(FORMULA, frame).coefficients  # noqa: B018
    with pytest.warns(named.SeparationWarning, match="cause 2: the coefficient of 'only' runs to infinity"):
        s.cause_specific("Surv(t, e) ~ x + only", frame.assign(only=((frame["e"] == 1) & (frame["x"] > 0)) * 1))
    dropped = s.cause_specific(FORMULA, frame.assign(x=frame["x"].where(frame.index > 4)))
    assert dropped.provenance.missing == {"x": 5}
    assert dropped.fits[1].provenance.n_dropped == 5


def test_a_rare_cause_does_not_spoil_the_others():
    data = pd.DataFrame(
        {
            "t": range(1, 13),
            "ev": [1, 2, 1, 0, 2, 1, 2, 0, 1, 2, 1, 3],
            "x": [0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1.0],
            "z": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8.0],
        }
    )
    fit = s.cause_specific("Surv(t, ev) ~ x + z", data, cause=1)
    alone = s.cox("Surv(t, ev == 1) ~ x + z", data)
    np.testing.assert_array_equal(fit.coefficients, alone.coefficients)
    with pytest.raises(errors.OptionError, match="cause 3 has none"):
        fit.predict(data.head(1), times=[5])
    with pytest.raises(errors.CollinearityError, match="cause 3: "):
        s.cause_specific("Surv(t, ev) ~ x + z", data)
