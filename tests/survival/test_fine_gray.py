"""Fine-Gray: agreement with R (tests/reference/survival/competing_risks), the definition, and what must hold."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal._core import warnings as named
from dxa_causal._core.warnings import OverlapWarning

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
    data["w"] = 1 + data["id"] % 3 / 2
    data["entry"] = 6 * (data["id"] % 4)
    return data.assign(male=(data["sex"] == "M") * 1.0)


@pytest.fixture(scope="module")
def pbc(frames):
    data = frames["pbc"]
    return data.assign(female=(data["sex"] == "f") * 1.0, decade=np.floor(data["age"] / 2))


NEW = pd.DataFrame({"age": [60, 75], "male": [1.0, 0.0], "sex": ["M", "F"], "hgb": [13, 12]})
NEW_PBC = pd.DataFrame({"age": [45, 60], "female": [1.0, 0.0], "bili": [1, 6], "albumin": [3.8, 3.1]})


def check(fit, want, new, tolerance, *, errors=True):
    scale = np.array(want["se"])
    np.testing.assert_allclose(fit.coefficients / scale, want["coef"] / scale, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fit.log_likelihood, np.atleast_1d(want["loglik"])[-1], rtol=1e-11)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance_model)), want["model_se"], rtol=tolerance)
    if errors:
        np.testing.assert_allclose(fit.tidy()["std_error"], want["se"], rtol=tolerance)
    risk = fit.predict(new, times=want["times"])
    np.testing.assert_allclose(risk["estimate"], np.ravel(want["cif"]), rtol=tolerance)


@pytest.mark.parametrize("cause", [1, 2])
def test_crr(cause, mgus2, pbc, expected):
    fit = s.fine_gray("Surv(etime, event) ~ age + C(sex) + hgb", mgus2, cause=cause)
    want = expected[f"crr_mgus2_{cause}"]
    check(fit, want, NEW, TIGHT)
    np.testing.assert_allclose(fit.covariance, want["var"], rtol=TIGHT, atol=1e-12)
    assert fit.log_likelihood_null == pytest.approx(want["loglik_null"][0], rel=1e-12)
    assert fit.nobs == want["n"][0]
    assert fit.tidy()["term"].tolist() == ["age", "C(sex)[T.M]", "hgb"]
    check(
        s.fine_gray("Surv(time, status) ~ age + female + bili + albumin", pbc, cause=cause),
        expected[f"crr_pbc_{cause}"],
        NEW_PBC,
        TIGHT,
    )


def test_crr_with_censoring_strata(mgus2, expected):
    """Its variance leaves out what events of other groups say of the weights; ours is checked by derivatives below."""
    fit = s.fine_gray("Surv(etime, event) ~ age + male + hgb", mgus2, cause=1, censoring_strata="sex")
    check(fit, expected["crr_cengroup"], NEW, TIGHT, errors=False)
    np.testing.assert_allclose(fit.std_error, expected["crr_cengroup"]["se"], rtol=2e-3)


FINEGRAY = {
    "mgus2_pcm": ("Surv(etime, event)", 1, {}),
    "mgus2_death": ("Surv(etime, event)", 2, {}),
    "weights": ("Surv(etime, event)", 1, {"weights": "w"}),
    "entry": ("Surv(entry, etime, event)", 1, {}),
    "rows": ("Surv(start, stop, event)", 1, {"id": "id"}),
}


def two_rows(data):
    """Follow-up beyond 30 months in a second row, with the haemoglobin one less."""
    cut = data[data["etime"] > 30]
    first = cut.assign(start=0, stop=30, event=0)
    second = cut.assign(start=30, stop=cut["etime"], hgb=cut["hgb"] - 1)
    rest = data[data["etime"] <= 30]
    return pd.concat([second, first, rest.assign(start=0, stop=rest["etime"])], ignore_index=True)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("case", FINEGRAY)
def test_finegray(case, ties, mgus2, expected):
    outcome, cause, options = FINEGRAY[case]
    data = two_rows(mgus2) if case == "rows" else mgus2[mgus2["etime"] > mgus2["entry"]] if case == "entry" else mgus2
    fit = s.fine_gray(f"{outcome} ~ age + male + hgb", data, cause=cause, ties=ties, censoring="finegray", **options)
    check(fit, expected[f"finegray_{case}_{ties}"], NEW, TIGHT)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_finegray_clusters(ties, pbc, expected):
    formula = "Surv(time, status) ~ age + female + bili + albumin"
    fit = s.fine_gray(formula, pbc, cause=2, ties=ties, censoring="finegray", cluster="decade")
    check(fit, expected[f"finegray_pbc_cluster_{ties}"], NEW_PBC, TIGHT)


def simulated(seed, n=60, *, ties=True, delay=False):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.integers(0, 2, n).astype(float)
    own, other = rng.exponential(np.exp(-0.4 * x)), rng.exponential(np.exp(0.3 * z))
    censored = rng.exponential(1.2, n) * np.exp(0.3 * z)
    t = np.minimum(np.minimum(own, other), censored) + 0.05
    e = np.where(censored <= np.minimum(own, other), 0, np.where(own < other, 1, 2))
    entry = np.where(rng.random(n) < 0.4, t * rng.random(n) * 0.7, 0.0) if delay else np.zeros(n)
    if ties:
        t, entry = np.ceil(t * 12), np.floor(entry * 12)
    frame = pd.DataFrame({"x": x, "z": z, "t": t, "e": e, "entry": entry, "w": rng.integers(1, 4, n) * 1.0})
    return frame.assign(g=rng.integers(0, 2, n), unit=rng.integers(0, n // 3, n))


def pseudo_likelihood(frame, beta, *, shift):
    """Breslow's, one risk set at a time, the weights estimated within g.

    `shift` takes failures at t out of the risk set for censoring at t.
    """
    t, e, entry, g = (frame[name].to_numpy() for name in ("t", "e", "entry", "g"))
    risk = np.exp(frame[["x", "z"]].to_numpy() @ beta)

    def staying(when, group):
        own = g == group
        value = float(when <= t[own].max())
        for u in np.unique(t[own & (e == 0)]):
            if u < when:
                at_risk = own & (entry < u) & ((t > u) | ((t == u) & ((e == 0) | (not shift))))
                value *= 1 - (own & (t == u) & (e == 0)).sum() / at_risk.sum()
        for u in np.unique(entry[own]):
            if u >= when:
                value *= 1 - (own & (entry == u)).sum() / (own & (entry <= u) & (t > u)).sum()
        return value

    weight = {(u, k): staying(u, k) for u in np.unique(t) for k in np.unique(g)}
    total = 0.0
    for u in t[e == 1]:
        at_risk = risk[(t >= u) & (entry < u)].sum()
        gone = sum(weight[u, g[i]] / weight[t[i], g[i]] * risk[i] for i in np.flatnonzero((e == 2) & (t < u)))
        total -= np.log(at_risk + gone)
    return total + np.log(risk[e == 1]).sum()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), censoring=st.sampled_from(["crr", "finegray"]))
def test_maximum_of_the_definition(seed, censoring):
    frame = simulated(seed, n=40)
    fit = s.fine_gray(FORMULA, frame, cause=1, censoring=censoring, censoring_strata="g")
    shift = censoring == "finegray"
    assert fit.log_likelihood == pytest.approx(pseudo_likelihood(frame, fit.coefficients, shift=shift), rel=1e-11)
    assert fit.log_likelihood_null == pytest.approx(pseudo_likelihood(frame, np.zeros(2), shift=shift), rel=1e-11)
    for step in (1e-4, -1e-4):
        for j in range(2):
            moved = fit.coefficients.copy()
            moved[j] += step
            assert pseudo_likelihood(frame, moved, shift=shift) < fit.log_likelihood


def test_delayed_entry_by_definition():
    frame = simulated(3, delay=True)
    for censoring in ("crr", "finegray"):
        fit = s.fine_gray(LATE, frame, cause=1, censoring=censoring, censoring_strata="g")
        value = pseudo_likelihood(frame, fit.coefficients, shift=censoring == "finegray")
        assert fit.log_likelihood == pytest.approx(value, rel=1e-11)


def derivatives(formula, frame, new, times, **options):
    """Change of coefficients and incidences with the weight of each row, by differences."""
    step = 1e-4
    both = []
    for i in range(len(frame)):
        values = []
        for sign in (step, -step):
            weight = frame["w"].to_numpy().copy()
            weight[i] *= 1 + sign
            fit = s.fine_gray(formula, frame.assign(w=weight), cause=1, weights="w", **options)
            values.append(np.concatenate([fit.coefficients, fit.predict(new, times=times)["estimate"]]))
        both.append((values[0] - values[1]) / (2 * step))
    return np.array(both)


@pytest.mark.parametrize(
    ("delay", "options", "ties", "tolerance"),
    [
        # W known: the sandwich is made of exact derivatives
        (False, {"censoring": "finegray", "ties": "efron"}, True, 1e-7),
        (True, {"censoring": "finegray", "censoring_strata": "g"}, True, 1e-7),
        # W estimated: Fine and Gray's formula leaves out factors 1 - d/n of the product limit
        (False, {"ties": "efron"}, True, 0.01),
        (True, {"censoring_strata": "g"}, False, 0.01),
    ],
)
def test_standard_errors_are_those_of_the_infinitesimal_jackknife(delay, options, ties, tolerance):
    frame = simulated(7, delay=delay, ties=ties)
    formula, new, times = LATE if delay else FORMULA, frame.head(2), frame["t"].quantile([0.3, 0.8])
    change = derivatives(formula, frame, new, times, **options)
    fit = s.fine_gray(formula, frame, cause=1, weights="w", **options)
    whole = np.concatenate([fit.std_error, fit.predict(new, times=times)["std_error"]])
    np.testing.assert_allclose(whole, np.sqrt((change**2).sum(axis=0)), rtol=tolerance)
    unit = s.fine_gray(formula, frame, cause=1, weights="w", cluster="unit", **options)
    summed = pd.DataFrame(change).groupby(frame["unit"]).sum().to_numpy()
    clustered = np.concatenate([unit.std_error, unit.predict(new, times=times)["std_error"]])
    np.testing.assert_allclose(clustered, np.sqrt((summed**2).sum(axis=0)), rtol=2 * tolerance)


def test_what_estimating_the_weights_adds():
    frame = simulated(15, n=150, ties=False).assign(w=1.0)
    new, times = frame.head(2), [0.3, 0.6]
    want = np.sqrt((derivatives(FORMULA, frame, new, times) ** 2).sum(axis=0))
    ours, known = (
        np.concatenate([fit.std_error, fit.predict(new, times=times)["std_error"]])
        for fit in (s.fine_gray(FORMULA, frame, cause=1, censoring=c) for c in ("crr", "finegray"))
    )
    np.testing.assert_allclose(ours, want, rtol=1e-4)
    assert np.abs(known / want - 1).max() > 1e-3


def test_without_other_causes_it_is_a_cox_model():
    frame = simulated(5).assign(e=lambda d: (d["e"] == 1) * 1)
    for ties in ("efron", "breslow"):
        fit = s.fine_gray(FORMULA, frame, ties=ties, censoring="finegray", weights="w", cluster="unit")
        cox = s.cox(FORMULA, frame, ties=ties, weights="w", cluster="unit")
        np.testing.assert_allclose(fit.coefficients, cox.coefficients, rtol=1e-9)
        np.testing.assert_allclose(fit.covariance, cox.covariance, rtol=1e-9, atol=1e-12)
        assert fit.log_likelihood == pytest.approx(cox.log_likelihood, rel=1e-12)
        ours, theirs = fit.baseline_cumulative_hazard(), cox.baseline_cumulative_hazard()
        np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-9)


def test_without_covariates_it_is_the_aalen_johansen_estimate():
    frame = simulated(6, n=200, ties=False)
    fit = s.fine_gray("Surv(t, e) ~ 1", frame, cause=1)
    times = frame["t"].quantile([0.2, 0.5, 0.8]).to_numpy()
    curve = s.aalen_johansen("Surv(t, e) ~ 1", frame).tidy()
    curve = curve[curve["cause"] == 1]
    want = curve["estimate"].to_numpy()[np.searchsorted(curve["time"], times, side="right") - 1]
    # 1 - exp(-hazard) in place of the product limit
    np.testing.assert_allclose(fit.predict(frame.head(1), times=times)["estimate"], want, rtol=0.01)
    hazard = np.diff(fit.baseline_cumulative_hazard()["estimate"], prepend=0.0)
    product = 1 - np.cumprod(1 - hazard)
    place = np.searchsorted(fit.baseline_cumulative_hazard()["time"], times, side="right") - 1
    np.testing.assert_allclose(product[place], want, rtol=1e-10)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), censoring=st.sampled_from(["crr", "finegray"]))
def test_row_order_unit_of_time_and_frame(seed, censoring):
    frame = simulated(seed)
    fit = s.fine_gray(FORMULA, frame, cause=1, censoring=censoring, censoring_strata="g")
    others = (
        frame.sample(frac=1, random_state=seed),
        frame.assign(t=frame["t"] * 365.25),
        frame.assign(t=frame["t"] * (1 + 1e-14 * np.arange(len(frame)))),
        pl.from_pandas(frame),
        frame.convert_dtypes(),
        frame.assign(e=pd.Categorical.from_codes(frame["e"], ["no", "own", "other"])),
    )
    for other in others:
        cause = 1 if "own" not in list(other["e"]) else "own"
        again = s.fine_gray(FORMULA, other, cause=cause, censoring=censoring, censoring_strata="g")
        np.testing.assert_allclose(again.coefficients, fit.coefficients, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(again.covariance, fit.covariance, rtol=1e-8, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_weights(seed):
    frame = simulated(seed)
    one = s.fine_gray(FORMULA, frame.assign(w=1.0), cause=1, weights="w")
    plain = s.fine_gray(FORMULA, frame, cause=1)
    np.testing.assert_array_equal(one.covariance, plain.covariance)
    repeated = frame.loc[frame.index.repeat(frame["w"].astype(int))].rename_axis("row").reset_index()
    weighted = s.fine_gray(FORMULA, frame, cause=1, weights="w")
    rows = s.fine_gray(FORMULA, repeated, cause=1, cluster="row")
    np.testing.assert_allclose(weighted.coefficients, rows.coefficients, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(weighted.covariance_model, rows.covariance_model, rtol=1e-8)
    np.testing.assert_allclose(weighted.covariance, rows.covariance, rtol=1e-7, atol=1e-10)
    a, b = (f.predict(frame.head(2), times=[6, 12]) for f in (weighted, rows))
    np.testing.assert_allclose(a["std_error"], b["std_error"], rtol=1e-7)


@pytest.mark.parametrize("censoring", ["crr", "finegray"])
def test_splitting_follow_up_changes_nothing(censoring):
    frame = simulated(8, delay=True).assign(id=lambda d: d.index)
    cut = np.floor((frame["entry"] + frame["t"]) / 2)
    long = (cut > frame["entry"]) & (cut < frame["t"])
    split = pd.concat([frame[long].assign(t=cut[long], e=0), frame[long].assign(entry=cut[long]), frame[~long]])
    one = s.fine_gray(LATE, frame, cause=1, censoring=censoring)
    two = s.fine_gray(LATE, split, cause=1, censoring=censoring, id="id")
    np.testing.assert_allclose(two.coefficients, one.coefficients, rtol=1e-8)
    np.testing.assert_allclose(two.covariance, one.covariance, rtol=1e-8)
    a, b = (f.predict(frame.head(2), times=[5, 10])["std_error"] for f in (one, two))
    np.testing.assert_allclose(a, b, rtol=1e-8)


def test_predictions():
    frame = simulated(9, n=150)
    fit = s.fine_gray(FORMULA, frame, cause=1)
    curves = fit.predict(frame.head(3))
    assert curves["estimate"].between(0, 1).all()
    assert (curves.groupby("row")["estimate"].diff().dropna() >= 0).all()
    assert (curves["conf_low"] <= curves["estimate"]).all()
    assert (curves["estimate"] <= curves["conf_high"]).all()
    base = fit.baseline_cumulative_hazard()
    np.testing.assert_allclose(
        fit.predict(pd.DataFrame({"x": [0.0], "z": [0.0]}))["estimate"], 1 - np.exp(-base["estimate"]), rtol=1e-12
    )
    centred = fit.baseline_cumulative_hazard(centered=True)["estimate"]
    mean = frame[["x", "z"]].mean().to_frame().T
    np.testing.assert_allclose(fit.predict(mean)["estimate"], 1 - np.exp(-centred), rtol=1e-12)
    before = fit.predict(frame.head(1), times=[0.0]).iloc[0]
    assert before[["estimate", "std_error", "conf_low", "conf_high"]].tolist() == [0.0, 0.0, 0.0, 0.0]
    lp = fit.predict(type="lp")
    np.testing.assert_allclose(lp["estimate"].diff()[1:], np.diff(frame[["x", "z"]] @ fit.coefficients), atol=1e-12)
    risk = fit.predict(frame, type="risk")
    np.testing.assert_allclose(risk["estimate"], np.exp(lp["estimate"]), rtol=1e-12)
    with pytest.warns(named.HorizonWarning, match="lies beyond the last observation"):
        fit.predict(frame.head(1), times=[1e6])
    with pytest.raises(errors.OptionError, match="times= belongs to"):
        fit.predict(frame, type="lp", times=[1])


def test_total_incidence():
    frame = simulated(10, n=200)
    fits = [s.fine_gray(FORMULA, frame, cause=k) for k in (1, 2)]
    total = s.total_incidence(fits, frame.head(2), times=[3, 6])
    parts = [f.predict(frame.head(2), times=[3, 6])["estimate"] for f in fits]
    np.testing.assert_allclose(total["estimate"], parts[0] + parts[1], rtol=1e-15)
    extreme = pd.DataFrame({"x": [6.0], "z": [0.0]})
    with pytest.warns(named.IncidenceSumWarning, match="add up to more than one in 1 of 1 lines"):
        s.total_incidence(fits, extreme, times=[frame["t"].max()])
    with pytest.raises(errors.OptionError, match="one fit per cause"):
        s.total_incidence([fits[0], fits[0]], frame, times=[3])


def test_bad_input():
    frame = simulated(12)
    with pytest.raises(errors.OutcomeError, match="holds 2 causes"):
        s.fine_gray(FORMULA, frame)
    with pytest.raises(errors.OutcomeError, match="never seen"):
        s.fine_gray(FORMULA, frame, cause=3)
    with pytest.raises(errors.OutcomeError, match="no event"):
        s.fine_gray(FORMULA, frame.assign(e=0))
    with pytest.raises(errors.OptionError, match="ties='exact' is not allowed"):
        s.fine_gray(FORMULA, frame, cause=1, ties="exact")
    with pytest.raises(errors.PredictorError, match="weights='w' must be positive"):
        s.fine_gray(FORMULA, frame.assign(w=0.0), cause=1, weights="w")
    with pytest.raises(errors.CollinearityError, match="'y' is a linear combination of 'x'"):
        s.fine_gray("Surv(t, e) ~ x + y", frame.assign(y=2 * frame["x"]), cause=1)
    with pytest.raises(errors.PredictorError, match="60 values, more than 30"):
        s.fine_gray(FORMULA, frame.assign(g=frame.index), cause=1, censoring_strata="g")
    with pytest.raises(errors.PredictorError, match="cluster='g' has one value"):
        s.fine_gray(FORMULA, frame.assign(g=1), cause=1, cluster="g")
    with pytest.warns(named.SeparationWarning, match="'only' runs to infinity"):
        s.fine_gray("Surv(t, e) ~ x + only", frame.assign(only=(frame["e"] == 0) * 1), cause=1)


def test_rows_of_one_person():
    rows = pd.DataFrame(
        {
            "id": [1, 1, 2, 3, 4, 5],
            "start": [0, 3, 0, 0, 0, 0],
            "stop": [3, 6, 4, 5, 7, 2],
            "e": [0, 2, 1, 0, 1, 1],
            "x": [0.1, 0.3, 0.2, 0.9, 0.5, 0.7],
        }
    )
    formula = "Surv(start, stop, e) ~ x"
    s.fine_gray(formula, rows, cause=1, id="id")
    with pytest.warns(OverlapWarning, match="say id='id'"):  # a family may look the same
        s.fine_gray(formula, rows, cause=1, cluster="id")
    with pytest.raises(errors.OutcomeError, match="neither overlap nor leave a gap; 1 do not, first 1 at row 0"):
        s.fine_gray(formula, rows.assign(start=[0, 4, 0, 0, 0, 0]), cause=1, id="id")
    with pytest.raises(errors.OutcomeError, match="hold an event in the last one only"):
        s.fine_gray(formula, rows.assign(e=[2, 2, 1, 0, 1, 1]), cause=1, id="id")
    with pytest.raises(errors.OutcomeError, match="neither overlap nor leave a gap"):
        s.fine_gray("Surv(stop, e) ~ x", rows, cause=1, id="id")


def test_nobody_at_risk_early():
    frame = pd.DataFrame({"entry": [0, 3, 3, 4], "t": [2, 5, 6, 7], "e": [2, 1, 0, 1], "x": [0.0, 1.0, 0.0, 2.0]})
    with pytest.raises(errors.OutcomeError, match="1 rows that fail from another cause .* first row 0"):
        s.fine_gray("Surv(entry, t, e) ~ x", frame, cause=1)


def test_everyone_followed_to_an_event():
    frame = simulated(4).assign(e=lambda d: np.where(d["e"] == 0, 2, d["e"]))
    with pytest.warns(named.CodingWarning, match="no row is censored"):
        fits = [s.fine_gray(FORMULA, frame, cause=1, censoring=c) for c in ("crr", "finegray")]
    # nothing to estimate: the weights are one
    np.testing.assert_allclose(fits[0].covariance, fits[1].covariance, rtol=1e-12)
    until = frame.assign(t=frame["t"].where(frame["e"] == 1, frame["t"].max() + 1), e=(frame["e"] == 1) * 1)
    np.testing.assert_allclose(fits[0].coefficients, s.cox(FORMULA, until, ties="breslow").coefficients, rtol=1e-9)
