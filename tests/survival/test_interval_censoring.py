"""Turnbull's estimate and the semi-parametric regression of intervals: R's numbers, definitions, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import dxa_causal as dc
from dxa_causal._core.errors import (
    CollinearityError,
    FormulaError,
    MissingDataError,
    OptionError,
    OutcomeError,
    PredictorError,
)
from dxa_causal._core.warnings import AllCensoredWarning, HorizonWarning, RiskSetWarning, SeparationWarning

s = dc.survival
VISITS = "Surv(left, right, type='interval')"
MICE = "Surv(l, u, type='interval')"
# npsurv and glm were run to convergence
RTOL = 1e-9
# icenReg stops when its likelihood changes by less than 1e-10
STOPPED = 1e-6


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/interval_censoring/expected.json")


def visited(seed, n, *, effect=(0.7, -0.5), exact=0.0, model="ph", entry=False, digits=3):
    """Onsets between irregular visits, some exact, some of people who enter late."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.integers(0, 2, n), rng.normal(size=n).round(3)]).astype(float)
    u = rng.random(n)
    odds = {"ph": -np.log(u), "po": (1 - u) / u}[model] * np.exp(-x @ np.array(effect))
    onset = 5 * odds ** (1 / 1.5)
    start = rng.uniform(0, 2, n).round(digits) if entry else np.zeros(n)
    onset, x, start = (v[onset > start] for v in (onset, x, start))
    visit = start[:, None] + rng.uniform(0.5, 3.0, (onset.size, 5)).cumsum(axis=1).round(digits)
    left = np.maximum(np.where(visit < onset[:, None], visit, 0).max(axis=1), start)
    right = np.where(visit >= onset[:, None], visit, np.inf).min(axis=1)
    known = (rng.random(onset.size) < exact) & np.isfinite(right)
    onset = np.maximum(onset.round(digits), start + 10.0**-digits)
    columns = {"left": np.where(known, onset, left), "right": np.where(known, onset, right), "entry": start}
    columns = {name: value.round(digits) for name, value in columns.items()}
    return pd.DataFrame({**columns, "arm": x[:, 0], "x": x[:, 1], "w": rng.integers(1, 4, onset.size)})


# Turnbull: references


TURNBULL = {
    "mice_ce": ("mice_tumours", MICE, lambda d: d[d["grp"] == "ce"], {}),
    "mice_ge": ("mice_tumours", MICE, lambda d: d[d["grp"] == "ge"], {}),
    "mice_pooled": ("mice_tumours", MICE, lambda d: d, {}),
    "diabetes": ("ir_diabetes", VISITS, lambda d: d, {}),
    "onsets": ("onsets", VISITS, lambda d: d[d["entry"] == 0], {}),
    "onsets_weighted": (
        "onsets",
        VISITS,
        lambda d: d[d["entry"] == 0].assign(w=lambda e: 1 + e["id"] % 3),
        {"weights": "w"},
    ),
}


@pytest.mark.parametrize("case", TURNBULL)
def test_npsurv(case, expected, frames):
    name, outcome, choose, options = TURNBULL[case]
    v = expected[case]
    fit = s.turnbull(f"{outcome} ~ 1", choose(frames[name]), **options)
    table = fit.tidy()
    np.testing.assert_array_equal(table["time_left"], np.array(v["left"], dtype=float))
    np.testing.assert_array_equal(table["time_right"], np.array(v["right"], dtype=float))
    np.testing.assert_allclose(table["probability"], v["p"], rtol=0, atol=1e-10)  # npsurv's own tolerance
    np.testing.assert_allclose(fit.log_likelihood, v["loglik"], rtol=1e-12)
    assert fit.gain < 1e-9


def test_groups_are_fitted_by_themselves(expected, frames):
    fit = s.turnbull(f"{MICE} ~ grp", frames["mice_tumours"])
    alone = [expected[f"mice_{group}"] for group in ("ce", "ge")]
    np.testing.assert_allclose(fit.log_likelihood, sum(v["loglik"] for v in alone), rtol=1e-12)
    np.testing.assert_allclose(fit.tidy()["probability"], np.concatenate([v["p"] for v in alone]), atol=1e-10)


def test_icenreg_np_and_survfit(expected, frames):
    """ic_np agrees; survfit's EM stopped early, at a lower likelihood."""
    v = expected["stored"]["ic_turnbull_mice"]
    data = frames["mice_tumours"]
    fit = s.turnbull(f"{MICE} ~ 1", data)
    np.testing.assert_allclose(fit.regions["probability"], v["np_pmass"], atol=1e-12)
    np.testing.assert_allclose(fit.regions[["time_left", "time_right"]], v["np_intervals"], rtol=1e-11)
    np.testing.assert_allclose(fit.log_likelihood, v["np_loglik"], rtol=1e-12)
    times, survival = np.array(v["times"]), np.array(v["surv"])

    def log_likelihood(curve):
        at = [np.r_[1.0, curve][np.searchsorted(times, data[c], side="right")] for c in ("l", "u")]
        return np.log(at[0] - np.where(np.isinf(data["u"]), 0.0, at[1])).sum()

    ours = fit.predict(times)["estimate"].to_numpy()
    np.testing.assert_allclose(log_likelihood(ours), v["np_loglik"], rtol=1e-12)
    assert log_likelihood(survival) < v["np_loglik"] - 0.004
    np.testing.assert_allclose(ours, survival, atol=0.02)  # survfit stopped below the maximum, as just shown


def test_kaplan_meier_with_delayed_entry(expected, frames):
    v = expected["km_entry"]
    data = frames["onsets"]
    seen = np.isfinite(data["onset"])
    data = data.assign(left=data["onset"].where(seen, data["time"]), right=data["onset"])
    fit = s.turnbull(f"{VISITS} ~ 1", data, entry="entry")
    for column in ("estimate", "bound_low", "bound_high"):
        np.testing.assert_allclose(fit.predict(v["time"])[column], v["surv"], rtol=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_kaplan_meier_with_ties_and_weights(seed):
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 12, 60), rng.integers(0, 2, 60)
    data = pd.DataFrame(
        {"time": time.astype(float), "event": event, "w": rng.uniform(0.5, 2, 60), "g": rng.integers(0, 2, 60)}
    )
    data = data.assign(left=data["time"], right=data["time"].where(event == 1, np.inf))
    ours = s.turnbull(f"{VISITS} ~ g", data, weights="w").predict(np.arange(1, 11))
    theirs = s.kaplan_meier("Surv(time, event) ~ g", data, weights="w").predict(np.arange(1, 11))
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-12)


# Turnbull: definition


def cells(data):
    """Points and gaps between all times, and which of them each row's interval and entry leave open."""
    times = np.unique(np.concatenate([data["left"], data["right"][np.isfinite(data["right"])], data["entry"]]))
    edges = [(t, t) for t in times] + list(zip(times, [*times[1:], np.inf]))
    left, right, entry = (data[c].to_numpy()[:, None] for c in ("left", "right", "entry"))
    low, high = (np.array(e)[None] for e in zip(*edges))
    point = low == high
    inside = np.where(point, (low > left) & (low <= right), (low >= left) & (high <= right))
    inside = np.where(left == right, point & (low == left), inside)
    beyond = np.where(point, low > entry, low >= entry)
    return inside.astype(float), beyond.astype(float)


@pytest.mark.parametrize(("seed", "entry"), [(1, False), (2, False), (3, True), (5, True)])
def test_em_from_the_definition(seed, entry):
    """Turnbull's EM over all cells, not only the innermost, slow and plain."""
    data = visited(seed, 40, exact=0.3, entry=entry, digits=1)
    inside, beyond = cells(data)
    w = data["w"].to_numpy()
    p = np.full(inside.shape[1], 1 / inside.shape[1])
    for _ in range(20_000):
        ghosts = (1 - beyond) / (beyond @ p)[:, None]
        expected = p * (w @ (inside / (inside @ p)[:, None] + ghosts))
        p = expected / expected.sum()
    value = w @ (np.log(inside @ p) - np.log(beyond @ p))
    fit = s.turnbull(f"{VISITS} ~ 1", data, entry="entry" if entry else None, weights="w")
    assert fit.log_likelihood >= value - 1e-10
    np.testing.assert_allclose(fit.log_likelihood, value, atol=1e-4)  # EM is slow


@pytest.mark.parametrize("entry", [False, True])
def test_no_cell_can_gain(entry):
    """The directional derivative towards any point mass is at most zero, regions or not."""
    data = visited(6, 60, exact=0.2, entry=entry, digits=1)
    fit = s.turnbull(f"{VISITS} ~ 1", data, entry="entry" if entry else None)
    inside, beyond = cells(data)
    regions = fit.tidy()
    edges = np.unique(np.concatenate([data["left"], data["right"][np.isfinite(data["right"])], data["entry"]]))
    ends = [(t, t) for t in edges] + list(zip(edges, [*edges[1:], np.inf]))
    p = np.zeros(len(ends))
    for row in regions.itertuples():
        point = row.time_left == row.time_right
        own = [k for k, (a, b) in enumerate(ends) if (a == b) == point and a == row.time_left]
        p[own[0]] += row.probability
    observed, at_risk = inside @ p, beyond @ p
    np.testing.assert_allclose((np.log(observed) - np.log(at_risk)).sum(), fit.log_likelihood, rtol=1e-12)
    slope = (inside / observed[:, None] - beyond / at_risk[:, None]).sum(axis=0)
    assert slope.max() < 1e-7
    np.testing.assert_allclose(slope[p > 0], 0, atol=1e-7)


# Turnbull: results


def test_values_at_times_and_quantiles():
    data = pd.DataFrame({"left": [0, 1, 4, 4, 9.0], "right": [2, 3, 6, np.inf, 9.0]})
    fit = s.turnbull(f"{VISITS} ~ 1", data)
    table = fit.tidy()
    assert table[["time_left", "time_right"]].to_numpy().tolist() == [[1, 2], [4, 6], [9, 9]]
    np.testing.assert_allclose(table["probability"], [0.4, 0.2 / 0.6 * 0.6 / 1.0 + 0.1, 0.3], atol=1e-12)
    at = fit.predict([0, 1, 1.4, 1.6, 2, 5.5, 9])
    np.testing.assert_allclose(at["bound_high"], [1, 1, 1, 1, 0.6, 0.6, 0])
    np.testing.assert_allclose(at["bound_low"], [1, 1, 0.6, 0.6, 0.6, 0.3, 0])
    np.testing.assert_allclose(at["estimate"], [1, 1, 1, 0.6, 0.6, 0.3, 0], atol=1e-12)
    assert fit.median().iloc[0].tolist() == ["all", 5.0, 4.0, 6.0]
    assert fit.quantile([0.2, 0.9])["time_right"].tolist() == [2.0, 9.0]
    with pytest.raises(OptionError, match="strictly between 0 and 1"):
        fit.quantile(1.0)
    with pytest.warns(HorizonWarning, match="beyond the last bound"):
        fit.predict([20])


def test_a_level_of_one_half_is_a_range():
    fit = s.turnbull(f"{VISITS} ~ 1", pd.DataFrame({"left": [1.0, 3.0], "right": [2.0, 5.0]}))
    assert fit.median().iloc[0].tolist() == ["all", 2.75, 1.0, 5.0]


@pytest.mark.slow
def test_bootstrap_of_turnbull_does_not_depend_on_jobs():
    data = visited(3, 60)
    one = s.turnbull(f"{VISITS} ~ arm", data, std_error="bootstrap", n_resamples=60, seed=3)
    two = s.turnbull(f"{VISITS} ~ arm", data, std_error="bootstrap", n_resamples=60, seed=3, n_jobs=2)
    for a, b in zip(one.replicates, two.replicates, strict=True):
        np.testing.assert_array_equal(a, b)
    table = one.predict([2, 6])
    assert (table["conf_low"] <= table["estimate"]).all()
    assert (table["conf_high"] >= table["estimate"]).all()


def test_flat_and_spent_curves_are_told():
    data = pd.DataFrame({"left": [1.0, 2, 1, 2], "right": [np.inf, np.inf, 3, np.inf], "g": list("aabb")})
    with pytest.warns(AllCensoredWarning, match="group 'a'"):
        fit = s.turnbull(f"{VISITS} ~ g", data)
    assert fit.predict([2])["bound_high"].tolist() == [1.0, 1.0]
    early = pd.DataFrame({"left": [0.0, 3, 4], "right": [1, 5, np.inf], "entry": [0.0, 3, 2], "x": [0, 1, 0]})
    with pytest.warns(RiskSetWarning, match="survive 1.*2 of 3 rows enter only later"):
        fit = s.turnbull(f"{VISITS} ~ 1", early, entry="entry")
    assert fit.tidy()["estimate"].tolist() == [0.0]


@pytest.mark.parametrize("model", ["ph", "po"])
def test_rows_nobody_can_be_compared_with_tell_nothing(model):
    """The first to enter is found ill at once, before anybody else enters."""
    data = visited(7, 120, entry=True)
    data = data[data["entry"] > 0.5]
    first = pd.DataFrame({"left": [0.1], "right": [0.4], "entry": [0.1], "arm": [1.0], "x": [0.3]})
    options = {"entry": "entry", "model": model}
    with_it = s.interval_cox(f"{VISITS} ~ arm + x", pd.concat([first, data]), **options)
    without = s.interval_cox(f"{VISITS} ~ arm + x", data, **options)
    assert with_it.n_alone == 1
    assert without.n_alone == 0
    assert "1 rows tell nothing" in str(with_it.summary())
    np.testing.assert_allclose(with_it.coefficients, without.coefficients, rtol=1e-7)
    np.testing.assert_allclose(with_it.log_likelihood, without.log_likelihood, rtol=1e-12)
    new = data.head(2)
    curves = [fit.predict(new, type="survival", times=[2, 5])["estimate"] for fit in (with_it, without)]
    np.testing.assert_allclose(*curves, rtol=1e-7)
    many = pd.concat([first] * 5)
    with pytest.warns(RiskSetWarning, match="intervals of 5 of .* rows hold a time, up to"):
        s.interval_cox(f"{VISITS} ~ arm + x", pd.concat([many, data]), **options)


# regression: references

REGRESSION = {
    "ph_yearly": ("arm + x", {"entry": "entry"}),
    "ph_yearly_weighted": ("arm + x", {"entry": "entry", "weights": "w"}),
    "ph_yearly_product": ("arm * x", {"entry": "entry"}),
    "po_yearly": ("arm + x", {"model": "po"}),
    "po_yearly_arm": ("arm", {"model": "po"}),
}


@pytest.mark.parametrize("case", REGRESSION)
def test_yearly_visits(case, expected, frames):
    """Of visits that all share, ph is a cloglog model of person-years and po one of cumulative odds (of the event)."""
    right, options = REGRESSION[case]
    data, v = frames["yearly"], expected[case]
    data = data[data["entry"] == 0] if "entry" not in options else data
    fit = s.interval_cox(f"{VISITS} ~ {right}", data, **options)
    sign = -1 if "model" in options else 1
    assert list(fit.terms) == np.atleast_1d(v["terms"]).tolist()
    np.testing.assert_allclose(sign * fit.coefficients, np.atleast_1d(v["coef"]), rtol=RTOL)
    np.testing.assert_allclose(fit.log_likelihood, v["loglik"], rtol=1e-12)
    # R's errors invert the second derivatives, ours outer products of scores: the same in large samples
    np.testing.assert_allclose(fit.std_error, np.atleast_1d(v["se"]), rtol=0.13)
    if case == "ph_yearly":
        np.testing.assert_allclose(fit.log_likelihood_null, expected["ph_yearly_null"]["loglik"], rtol=1e-12)
        test = fit.likelihood_ratio_test
        assert test.df == 2
        np.testing.assert_allclose(test.statistic, 2 * (fit.log_likelihood - fit.log_likelihood_null))


def test_icenreg(expected, frames):
    """Both models, with icenReg's signs; its likelihood is not higher."""
    v = expected["stored"]["ic_sp_ph"]
    ph = s.interval_cox(f"{VISITS} ~ gender", frames["ir_diabetes"])
    po = s.interval_cox(f"{VISITS} ~ gender", frames["ir_diabetes"], model="po")
    np.testing.assert_allclose(ph.coefficients, v["coef"]["gendermale"], rtol=STOPPED)
    np.testing.assert_allclose(po.coefficients, v["po_coef"]["gendermale"], rtol=STOPPED)
    for fit, theirs in ((ph, v["loglik"]), (po, v["po_loglik"])):
        assert fit.log_likelihood >= theirs - 1e-9
        np.testing.assert_allclose(fit.log_likelihood, theirs, rtol=1e-11)
        assert fit.gain < 1e-9


def test_turnbull_is_the_null_model(frames):
    data = frames["onsets"]
    fit = s.interval_cox(f"{VISITS} ~ arm", data, entry="entry", std_error="none")
    null = s.turnbull(f"{VISITS} ~ 1", data, entry="entry")
    np.testing.assert_allclose(fit.log_likelihood_null, null.log_likelihood, rtol=1e-13)


# regression: definition


def log_likelihood(data, model, b, t, jumps, *, entry):
    """Straight from the model; the baseline jumps at `t`."""
    theta = np.exp(data[["arm", "x"]].to_numpy() @ b * (1 if model == "ph" else -1))

    def survival(at, including):
        passed = (t[None] <= at[:, None]) if including else (t[None] < at[:, None])
        h = np.where(np.isinf(at), np.inf, passed @ jumps)
        return np.exp(-theta * h) if model == "ph" else 1 / (1 + theta * h)

    left, right = data["left"].to_numpy(), data["right"].to_numpy()
    exact = left == right
    before = np.where(exact, survival(left, False), survival(left, True))
    value = np.log(before - survival(right, True))
    return value - np.log(survival(data["entry"].to_numpy(), True)) if entry else value


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ph", "po"])
@pytest.mark.parametrize("entry", [False, True])
def test_maximum_over_all_jumps(model, entry):
    """A general optimiser with jumps at every bound and between any two finds nothing higher, and comes near."""
    data = visited(8, 30, exact=0.2, model=model, entry=entry, digits=1)
    fit = s.interval_cox(f"{VISITS} ~ arm + x", data, model=model, entry="entry" if entry else None, std_error="none")
    t = np.unique(np.concatenate([data["left"], data["right"][np.isfinite(data["right"])], data["entry"]]))
    t = np.sort(np.concatenate([t[t > data["entry"].min()], (t[1:] + t[:-1]) / 2]))

    def target(u):
        return -log_likelihood(data, model, u[:2], t, np.exp(u[2:]), entry=entry).sum()

    start = np.r_[0.5, -0.5, np.full(t.size, -3.0)]
    found = minimize(target, start, method="L-BFGS-B", options={"maxfun": 10**5, "maxiter": 1000})
    assert -found.fun <= fit.log_likelihood + 1e-8
    np.testing.assert_allclose(-found.fun, fit.log_likelihood, atol=0.1)  # it ends where jumps are small, not zero
    np.testing.assert_allclose(found.x[:2], fit.coefficients, atol=0.05)


def test_exact_times_are_nearly_cox():
    """The likelihood of grouped times differs from the partial likelihood by terms of order 1/n."""
    rng = np.random.default_rng(3)
    gaps = []
    for n in (250, 1000):
        x = rng.normal(size=n)
        time, end = rng.exponential(size=n) * np.exp(-0.5 * x), rng.uniform(0.5, 3, n)
        data = pd.DataFrame({"time": np.minimum(time, end), "died": time <= end, "x": x})
        data = data.assign(left=data["time"], right=data["time"].where(data["died"], np.inf))
        ours, cox = s.interval_cox(f"{VISITS} ~ x", data), s.cox("Surv(time, died) ~ x", data, ties="breslow")
        gaps.append(n * abs(ours.coefficients[0] - cox.coefficients[0]))
        # outer products of scores against the information: equal in large samples only
        np.testing.assert_allclose(ours.std_error, cox.std_error, rtol=0.1)
    assert max(gaps) < 2


def test_rows_of_weight_two_are_two_rows():
    data = visited(4, 150)
    twice = data.loc[data.index.repeat(data["w"])]
    for model in ("ph", "po"):
        one = s.interval_cox(f"{VISITS} ~ arm + x", data, weights="w", model=model)
        two = s.interval_cox(f"{VISITS} ~ arm + x", twice, model=model)
        np.testing.assert_allclose(one.coefficients, two.coefficients, rtol=1e-8)
        np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-5)


def test_scale_and_place_of_covariates():
    data = visited(5, 200)
    fit = s.interval_cox(f"{VISITS} ~ arm + x", data)
    other = s.interval_cox(f"{VISITS} ~ arm + x", data.assign(x=1e4 + 1e3 * data["x"]))
    np.testing.assert_allclose(other.coefficients * [1, 1e3], fit.coefficients, rtol=1e-7)
    np.testing.assert_allclose(other.std_error * [1, 1e3], fit.std_error, rtol=1e-5)
    new = data.head(3)
    a = fit.predict(new, type="survival", times=[2, 5])["estimate"]
    b = other.predict(new.assign(x=1e4 + 1e3 * new["x"]), type="survival", times=[2, 5])["estimate"]
    np.testing.assert_allclose(a, b, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ph", "po"])
def test_profile_errors_are_near_the_bootstrap(model):
    data = visited(9, 600, model=model)
    profile = s.interval_cox(f"{VISITS} ~ arm + x", data, model=model)
    drawn = s.interval_cox(f"{VISITS} ~ arm + x", data, model=model, std_error="bootstrap", n_resamples=300, seed=1)
    # 300 samples give an error to 4 %, and both are estimates of their own
    np.testing.assert_allclose(profile.std_error, drawn.std_error, rtol=0.15)


@pytest.mark.slow
def test_a_large_sample_converges():
    data = visited(10, 20_000, exact=0.3, digits=6)
    fit = s.interval_cox(f"{VISITS} ~ arm + x", data)
    assert fit.converged
    assert fit.gain < 1e-9
    assert abs(fit.coefficients[0] - 0.7) < 4 * fit.std_error[0]


# regression: results


def test_predictions():
    data = visited(2, 120)
    fit = s.interval_cox(f"{VISITS} ~ arm + x", data)
    new = pd.DataFrame({"arm": [0.0, 1.0], "x": [0.0, 0.3]}, index=["a", "b"])
    line = fit.predict(new)
    np.testing.assert_allclose(line["estimate"], [0, fit.coefficients @ [1, 0.3]])
    np.testing.assert_allclose(fit.predict(new, type="risk")["estimate"], np.exp(line["estimate"]))
    np.testing.assert_allclose(fit.linear_predictor, fit.predict()["estimate"])
    hazard = fit.predict(new, type="cumulative_hazard", times=[1, 4])
    survival = fit.predict(new, type="survival", times=[1, 4])
    assert list(survival.columns) == ["row", "time", "estimate"]
    np.testing.assert_allclose(survival["estimate"], np.exp(-hazard["estimate"]))
    ratio = hazard["estimate"].to_numpy()[2:] / hazard["estimate"].to_numpy()[:2]
    np.testing.assert_allclose(ratio, np.exp(line["estimate"][1]))
    odds = s.interval_cox(f"{VISITS} ~ arm + x", data, model="po").predict(new, type="survival", times=[1, 4])
    p = odds["estimate"].to_numpy().reshape(2, 2)
    step = np.log(p[1] / (1 - p[1])) - np.log(p[0] / (1 - p[0]))
    np.testing.assert_allclose(step[0], step[1])
    with pytest.raises(OptionError, match="times= belongs to"):
        fit.predict(new, type="lp", times=[1])
    with pytest.warns(HorizonWarning):
        fit.predict(new, type="survival", times=[1000])
    assert fit.plot_baseline().get_ylabel() == "Survival probability"
    assert len(fit.plot_prediction(new).get_lines()) == 2


def test_bootstrap_gives_limits_to_curves_and_does_not_depend_on_jobs():
    data = visited(2, 150)
    one, two = (
        s.interval_cox(f"{VISITS} ~ arm", data, std_error="bootstrap", n_resamples=40, seed=7, n_jobs=jobs)
        for jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.replicates, two.replicates)
    table = one.predict(data.head(2), type="survival", times=[2, 4])
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["conf_high"] > table["estimate"]).all()
    assert one.provenance.seed == 7


def test_no_errors_on_request():
    fit = s.interval_cox(f"{VISITS} ~ arm", visited(2, 80), std_error="none")
    assert not fit.wald_test.applicable
    assert "no standard errors were asked for" in str(fit.summary())
    assert list(fit.predict().columns) == ["row", "estimate"]


def test_tables_name_what_they_show():
    data = visited(2, 80)
    fit = s.interval_cox(f"{VISITS} ~ arm", data, model="po")
    assert fit.tidy()["effect_measure"].tolist() == ["log OR of survival"]
    assert fit.tidy(exponentiate=True)["effect_measure"].tolist() == ["OR of survival"]
    assert s.interval_cox(f"{VISITS} ~ arm", data).tidy()["effect_measure"].tolist() == ["log HR"]
    assert "longer survival" in str(fit.summary())


# refusals


def test_bad_bounds():
    data = visited(1, 30)
    formula = f"{VISITS} ~ arm"
    for fit in (s.turnbull, s.interval_cox):
        with pytest.raises(MissingDataError, match="np.inf where the event was never seen"):
            fit(formula, data.assign(right=data["right"].replace(np.inf, np.nan)))
        with pytest.raises(OutcomeError, match="left must not come after right"):
            fit(formula, data.assign(left=data["left"] + 100))
        with pytest.raises(OutcomeError, match="left bound must be finite"):
            fit(formula, data.assign(left=np.inf))
        with pytest.raises(OutcomeError, match="an interval has no width"):
            fit(formula, data.assign(right=data["left"] + 1e-12))
        with pytest.raises(OutcomeError, match="must come before the event"):
            fit(formula, data.assign(late=50.0), entry="late")
        with pytest.raises(PredictorError, match="must be positive"):
            fit(formula, data.assign(none=0.0), weights="none")
        with pytest.raises(OptionError, match="n_resamples=1"):
            fit(formula, data, n_resamples=1)
        with pytest.raises(FormulaError, match="type='interval'"):
            fit("Surv(left, arm) ~ x", data.assign(left=data["left"] + 1))
        with pytest.raises(OptionError, match="did you mean"):
            fit(formula, data, std_error="bootstap")


def test_nothing_to_learn():
    data = visited(1, 30)
    with pytest.raises(OutcomeError, match="never seen, all 30 rows are right-censored"):
        s.interval_cox(f"{VISITS} ~ arm", data.assign(right=np.inf))
    with pytest.raises(OutcomeError, match="one common time"):
        s.interval_cox(f"{VISITS} ~ arm", data.assign(left=0.0, right=3.0))
    with pytest.raises(CollinearityError, match="linear combination"):
        s.interval_cox(f"{VISITS} ~ arm + twice", data.assign(twice=2 * data["arm"]))


def test_separation_is_named():
    data = visited(1, 80)
    healthy = data["arm"] == 0
    data = data.assign(right=data["right"].mask(healthy, np.inf))
    for model in ("ph", "po"):
        with pytest.warns(SeparationWarning, match="'arm' runs to infinity"):
            fit = s.interval_cox(f"{VISITS} ~ arm + x", data, model=model)
        assert fit.likelihood_ratio_test.statistic > 5
