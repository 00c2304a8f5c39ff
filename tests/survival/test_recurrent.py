"""Recurrent events: R's coxph and survfit on the same rows, mets for the mean function with death, the definitions."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import CollinearityError, MissingDataError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import AllCensoredWarning, HorizonWarning

s = dc.survival

# R iterates to a relative change of the log-likelihood of 1e-14, ours to a Newton decrement of 1e-10.
TIGHT = 1e-9
# Closed forms differ by rounding only.
EXACT = 1e-11


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/recurrent/expected.json")


BLADDER = "Surv(start, stop, event) ~ rx + size + number"
CGD = "Surv(tstart, tstop, status) ~ treat + age"
MODELS = {
    f"{case}_{ties}": ("bladder2", BLADDER, {"model": model, "ties": ties})
    for case, model in {"ag": "andersen-gill", "pwp_total": "pwp-total", "pwp_gap": "pwp-gap", "wlw": "wlw"}.items()
    for ties in ("efron", "breslow")
} | {
    "pwp_total_two": ("bladder2", "Surv(start, stop, event) ~ rx", {"model": "pwp-total", "max_events": 2}),
    "cgd_ag": ("cgd", CGD + " + sex", {}),
    "cgd_pwp_total": ("cgd", CGD, {"model": "pwp-total"}),
    "cgd_pwp_gap": ("cgd", CGD, {"model": "pwp-gap", "order": "enum"}),
    "cgd_strata": ("cgd", CGD, {"model": "pwp-total", "strata": "hos.cat"}),
}


@pytest.mark.parametrize("case", MODELS)
def test_cox_models(case, frames, expected):
    data, formula, options = MODELS[case]
    want = expected[case]
    fit = s.recurrent(formula, frames[data], id="id", **options)
    tidy = fit.tidy()
    np.testing.assert_allclose(tidy["estimate"], want["coef"], rtol=TIGHT)
    np.testing.assert_allclose(tidy["std_error"], want["se"], rtol=TIGHT)
    np.testing.assert_allclose(tidy["statistic"], want["statistic"], rtol=TIGHT)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cox.covariance_model)), want["naive_se"], rtol=TIGHT)
    glance = fit.glance().iloc[0]
    np.testing.assert_allclose(
        glance[["log_likelihood_null", "log_likelihood"]].astype(float), want["loglik"], rtol=EXACT
    )
    assert (fit.nobs, glance["n_events"]) == (want["n"], want["nevent"])
    assert fit.wald_test.statistic == pytest.approx(want["wald"], rel=TIGHT)
    assert glance["concordance"] == pytest.approx(want["concordance"], rel=EXACT)


@pytest.mark.parametrize(("case", "model"), [("wlw_by_event", "wlw"), ("pwp_gap_by_event", "pwp-gap")])
def test_effects_by_event(case, model, frames, expected):
    want = expected[case]
    fit = s.recurrent("Surv(start, stop, event) ~ rx + size", frames["bladder2"], id="id", model=model, by_event=True)
    tidy = fit.tidy()
    np.testing.assert_allclose(tidy["estimate"], want["coef"], rtol=TIGHT)
    np.testing.assert_allclose(tidy["std_error"], want["se"], rtol=TIGHT)
    assert tidy["term"].tolist() == ["rx"] * 4 + ["size"] * 4
    assert tidy["group"].tolist() == [1, 2, 3, 4] * 2
    assert fit.terms[5] == "size:event 2"


def test_counts_and_notes(frames):
    fit = s.recurrent(BLADDER, frames["bladder2"], id="id", model="pwp-total")
    assert fit.events.to_dict("list") == {
        "group": [1, 2, 3, 4],
        "n_risk": [85, 46, 27, 20],
        "n_event": [47, 29, 22, 14],
    }
    assert fit.n_persons == 85
    assert "Prentice-Williams-Peterson, total time" in str(fit)
    assert "recurrent('Surv(start, stop, event)" in fit.provenance.call
    everybody = s.recurrent(BLADDER, frames["bladder2"], id="id", model="wlw").events
    assert everybody["n_risk"].tolist() == [85] * 4


def test_numbers_do_not_depend_on_missing_covariates(frames):
    """A person's third event stays the third when a covariate of the second row is missing."""
    bladder = frames["bladder2"].assign(size=lambda d: d["size"].where(d["enum"] != 2))
    formula = "Surv(start, stop, event) ~ rx + size"
    counted = s.recurrent(formula, bladder, id="id", model="pwp-total")
    given = s.recurrent(formula, bladder, id="id", model="pwp-total", order="enum")
    np.testing.assert_array_equal(counted.coefficients, given.coefficients)
    assert counted.provenance.n_dropped == (bladder["enum"] == 2).sum()
    with pytest.raises(MissingDataError, match="'size'"):
        s.recurrent(formula, bladder, id="id", missing="raise")


@pytest.mark.parametrize("model", ["andersen-gill", "pwp-total", "pwp-gap", "wlw"])
def test_rows_may_be_split_and_shuffled(model, frames):
    """A row cut in two where nothing happens, a change of unit and another order of the rows change nothing."""
    cgd = frames["cgd"]
    cut = (cgd["tstart"] + cgd["tstop"]) / 2
    halves = pd.concat([cgd.assign(tstop=cut, status=0), cgd.assign(tstart=cut)])
    fit = s.recurrent(CGD, cgd, id="id", model=model)
    for other in (halves.sample(frac=1, random_state=3), halves.reset_index(drop=True)):
        again = s.recurrent(CGD, other, id="id", model=model)
        np.testing.assert_allclose(again.tidy().iloc[:, 1:], fit.tidy().iloc[:, 1:], rtol=1e-9)
    years = s.recurrent("Surv(tstart / 365.25, tstop / 365.25, status) ~ treat + age", cgd, id="id", model=model)
    np.testing.assert_allclose(years.tidy().iloc[:, 1:], fit.tidy().iloc[:, 1:], rtol=1e-9)
    if model == "wlw":
        assert s.recurrent(CGD, halves, id="id", model=model).nobs == fit.nobs


def test_wlw_takes_covariates_that_change(frames):
    """Rows that differ are not joined: the fit is coxph's on the rows up to each event, stacked."""
    cgd = frames["cgd"].assign(late=lambda d: (d["tstart"] > 200).astype(int))
    fit = s.recurrent("Surv(tstart, tstop, status) ~ age + late", cgd, id="id", model="wlw", max_events=2)
    stacked = pd.concat([
        cgd[cgd["enum"] <= k].assign(k=k, status=lambda d, k=k: d["status"] * (d["enum"] == k)) for k in (1, 2)
    ])  # fmt: skip
    stacked = stacked.assign(one=stacked["id"].astype(str) + "," + stacked["k"].astype(str))
    want = s.cox("Surv(tstart, tstop, status) ~ age + late", stacked, strata="k", cluster="id")
    np.testing.assert_allclose(fit.tidy().iloc[:, 1:], want.tidy().iloc[:, 1:], rtol=1e-9)


def test_gap_time_starts_again_after_a_break():
    """Observation that resumes after an event and a break sets the clock to zero; so does R's Surv(stop - start)."""
    rows = pd.DataFrame({
        "id": [1, 1, 2, 2, 3, 4, 4], "start": [0, 5, 0, 3, 0, 0, 2], "stop": [3, 9, 2, 7, 6, 1, 8],
        "event": [1, 1, 1, 0, 1, 1, 1], "x": [0.1, 0.1, 1.2, 1.2, 0.7, 0.4, 0.4],
    })  # fmt: skip
    fit = s.recurrent("Surv(start, stop, event) ~ x", rows, id="id", model="pwp-gap")
    number = rows.assign(n=[1, 2, 1, 2, 1, 1, 2])
    want = s.cox("Surv(stop - start, event) ~ x", number, strata="n", cluster="id")
    np.testing.assert_allclose(fit.coefficients, want.coefficients, rtol=1e-12)


def test_bad_input(frames):
    bladder = frames["bladder2"]
    overlap = bladder.copy()
    overlap.loc[overlap.index[5], "start"] = 5
    with pytest.raises(
        OutcomeError, match=r"1 rows overlap .* of the same 'id': first 5 with rows 4 \(0, 6\] and 5 \(5"
    ):
        s.recurrent(BLADDER, overlap, id="id")
    with pytest.raises(OutcomeError, match=r"write Surv\(start, stop, event\)"):
        s.recurrent("Surv(stop, event) ~ rx", bladder, id="id")
    with pytest.raises(OptionError, match="did you mean 'pwp-gap'"):
        s.recurrent(BLADDER, bladder, id="id", model="pwp_gap")
    with pytest.raises(OptionError, match="not to 'andersen-gill'"):
        s.recurrent(BLADDER, bladder, id="id", by_event=True)
    with pytest.raises(OptionError, match="max_events=0"):
        s.recurrent(BLADDER, bladder, id="id", model="wlw", max_events=0)
    with pytest.raises(OptionError, match="ties='exact'"):
        s.recurrent(BLADDER, bladder, id="id", ties="exact")
    with pytest.raises(PredictorError, match="order='half' must be whole numbers"):
        s.recurrent(BLADDER, bladder.assign(half=bladder["enum"] / 2), id="id", model="pwp-gap", order="half")
    with pytest.raises(OutcomeError, match="no event"):
        s.recurrent(BLADDER, bladder.assign(event=0), id="id")
    only_first = bladder.assign(rx=bladder["rx"] * (bladder["enum"] == 1))
    with pytest.raises(CollinearityError, match="Event 2 .*: 'rx' is constant .* Leave it out .*max_events=1"):
        s.recurrent("Surv(start, stop, event) ~ rx", only_first, id="id", model="pwp-total", by_event=True)


@pytest.mark.parametrize("model", ["andersen-gill", "pwp-total", "pwp-gap", "wlw"])
def test_the_order_must_count_events(model, frames):
    cgd = frames["cgd"].reset_index(drop=True)

    def fit(order, data=cgd, **options):
        return s.recurrent(CGD, data, id="id", model=model, order=order, **options)

    plain = s.recurrent(CGD, cgd, id="id", model=model)
    np.testing.assert_array_equal(fit("enum").coefficients, plain.coefficients)
    i = int(np.flatnonzero((cgd["enum"] == 2) & (cgd["tstart"] > 0))[0])
    wrong = cgd.assign(enum=cgd["enum"].where(cgd.index != i, 4))
    message = rf"row {i} \(id={cgd['id'][i]}\) holds 4, but 2 is due: row {i - 1} holds 1 and ends with an event"
    with pytest.raises(PredictorError, match="order='enum' must go up by one after each event.*" + message):
        fit("enum", wrong)
    with pytest.raises(PredictorError, match="order='weight' must be"):
        fit("weight", cgd.assign(weight=cgd["weight"].round() + 1))
    with pytest.raises(PredictorError, match=r"number 1, 2, .*no row waits for the first, row 0 \(id=1\) holds 2"):
        fit("enum", cgd.assign(enum=cgd["enum"] + 1))
    # events before entry, and a gap in which one was missed
    fit("enum", cgd[cgd["enum"] != 2])
    fit("enum", cgd[(cgd["enum"] > 1) | (cgd["id"] > 5)])


def test_rows_that_take_no_part_are_counted(frames):
    cgd = frames["cgd"]
    fit = s.recurrent(CGD, cgd, id="id", model="pwp-total", max_events=2)
    idle = int((cgd["enum"] > 2).sum())
    assert f"203 of 203 rows used\nof these, {idle} rows wait for event 3 or later and take no part" in str(fit)
    assert fit.nobs == len(cgd) - idle
    assert "take no part" not in str(s.recurrent(CGD, cgd, id="id", model="pwp-total"))
    assert "event 1: 44, event 2: 17, event 3: 8" in str(fit)


@pytest.mark.filterwarnings("ignore::dxa_causal._core.warnings.SeparationWarning")
def test_too_few_for_effects_by_event(frames):
    def fit(**options):
        return s.recurrent(CGD, frames["cgd"], id="id", model="pwp-total", by_event=True, **options)

    with pytest.raises(CollinearityError, match=r"Event 5 \(3 rows\): 'treat.*' is constant.*max_events=4$"):
        fit()
    assert fit(max_events=4).numbers == (1, 2, 3, 4) * 2
    with pytest.raises(
        CollinearityError, match=r"Event 1 \(\d+ rows\): 'one' is constant up to rounding. Leave it out"
    ):
        s.recurrent(
            "Surv(tstart, tstop, status) ~ one", frames["cgd"].assign(one=1), id="id", model="wlw", by_event=True
        )


def _bladder1(frames):
    data = frames["bladder1"].query("stop > start")
    return data.assign(again=(data["status"] == 1).astype(int), died=(data["status"] >= 2).astype(int))


MEANS = {
    "mcf_bladder": (_bladder1, "Surv(start, stop, again) ~ treatment", {}),
    "mcf_cgd": (lambda f: f["cgd"], "Surv(tstart, tstop, status) ~ treat", {}),
    "mcf_stays_weights": (lambda f: f["stays"], "Surv(start, stop, stay) ~ 1", {"weights": "w"}),
    "mcf_stays_gaps": (
        lambda f: f["stays"][np.arange(1, len(f["stays"]) + 1) % 7 != 0],
        "Surv(start, stop, stay) ~ arm",
        {},
    ),
}


@pytest.mark.parametrize("case", MEANS)
def test_mean_function_without_death(case, frames, expected):
    load, formula, options = MEANS[case]
    want = expected[case]
    data = load(frames)
    got = s.mean_cumulative(formula, data, id="id", **options).predict(want["times"])
    np.testing.assert_allclose(got["estimate"], want["cumhaz"], rtol=EXACT)
    np.testing.assert_allclose(got["std_error"], want["se"], rtol=EXACT)
    np.testing.assert_allclose(got["n_risk"], want["n_risk"], rtol=EXACT)


@pytest.mark.parametrize(("case", "right"), [("death_stays", "1"), ("death_stays_arm", "arm")])
def test_mean_function_with_death(case, right, frames, expected):
    want = expected[case]
    fit = s.mean_cumulative(f"Surv(start, stop, stay) ~ {right}", frames["stays"], id="id", death="died")
    got = fit.predict(want["times"])
    np.testing.assert_allclose(got["estimate"], want["mean"], rtol=EXACT)
    np.testing.assert_allclose(got["std_error"], want["se"], rtol=EXACT)
    coded = frames["stays"].assign(what=lambda d: d["stay"] + 2 * d["died"])
    again = s.mean_cumulative(f"Surv(start, stop, what) ~ {right}", coded, id="id", death=2)
    pd.testing.assert_frame_equal(again.predict(want["times"]), got)


def _by_definition(rows, at, factor=lambda t: 1.0):
    """Mean and standard error with ties, visiting every row at every time; columns id start stop event died w."""
    times = np.unique(rows["stop"][rows["stop"] <= at])
    people = rows["id"].unique()
    risk = {t: (rows["start"] < t) & (rows["stop"] >= t) for t in times}
    total = {t: rows["w"][risk[t]].sum() for t in times}
    happened = {c: {t: rows["w"] * rows[c] * (rows["stop"] == t) for t in times} for c in ("event", "died")}
    survival, mean, means, before = 1.0, 0.0, {}, {}
    for t in times:
        before[t] = survival * factor(t)
        mean += before[t] * happened["event"][t].sum() / total[t]
        survival *= 1 - happened["died"][t].sum() / total[t]
        means[t] = mean
    added = pd.Series(0.0, index=people)
    for t in times:
        for column, size in (("event", before[t]), ("died", -(mean - means[t]))):
            residual = happened[column][t] - rows["w"] * risk[t] * happened[column][t].sum() / total[t]
            added += (residual * size / total[t]).groupby(rows["id"]).sum()
    return mean, np.sqrt((added**2).sum())


def _tied_histories(n=60, seed=11):
    """Whole-number times with many ties, gaps, a late start for some, death and event at the same time for some."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(n):
        moments = np.cumsum(rng.integers(1, 4, size=rng.integers(2, 6))) + rng.integers(0, 3)
        for k, (start, stop) in enumerate(zip(moments[:-1], moments[1:], strict=True)):
            if rng.uniform() < 0.85:
                last = k == moments.size - 2
                rows.append((person, person % 2, start, stop, rng.integers(0, 2), rng.integers(0, 2) * last))
    frame = pd.DataFrame(rows, columns=["id", "arm", "start", "stop", "event", "died"])
    return frame.assign(w=1.0 + frame["id"] % 4 / 2)


def test_mean_function_is_its_definition():
    rows = _tied_histories()
    fit = s.mean_cumulative("Surv(start, stop, event) ~ 1", rows, id="id", death="died", weights="w")
    for at in (3.0, 6.0, 9.0, 12.0):
        mean, std_error = _by_definition(rows, at)
        got = fit.predict([at]).iloc[0]
        np.testing.assert_allclose([got["estimate"], got["std_error"]], [mean, std_error], rtol=1e-12)


def test_comparison_is_its_definition():
    rows = _tied_histories()
    fit = s.mean_cumulative("Surv(start, stop, event) ~ arm", rows, id="id", death="died", weights="w")
    groups = [rows[rows["arm"] == g] for g in (0, 1)]

    def harmonic(t):
        at_risk = [g["w"][(g["start"] < t) & (g["stop"] >= t)].sum() for g in groups]
        return 0.0 if min(at_risk) == 0 else 1 / (1 / at_risk[0] + 1 / at_risk[1])

    parts = [_by_definition(g, np.inf, harmonic) for g in groups]
    z = (parts[0][0] - parts[1][0]) / np.hypot(parts[0][1], parts[1][1])
    assert fit.test().statistic == pytest.approx(z**2, rel=1e-10)
    assert fit.test().df == 1
    assert "mean number of events is equal" in str(fit)
    one = s.mean_cumulative("Surv(start, stop, event) ~ 1", rows, id="id")
    assert not one.test().applicable


def test_mean_function_properties(frames):
    stays = frames["stays"]
    fit = s.mean_cumulative("Surv(start, stop, stay) ~ arm", stays, id="id", death="died")
    tidy = fit.tidy()
    assert (tidy.groupby("group")["estimate"].diff().dropna() >= 0).all()
    shuffled = s.mean_cumulative(
        "Surv(start, stop, stay) ~ arm", stays.sample(frac=1, random_state=1), id="id", death="died"
    )
    np.testing.assert_allclose(shuffled.tidy().iloc[:, 1:], tidy.iloc[:, 1:], rtol=1e-10)
    ones = s.mean_cumulative("Surv(start, stop, stay) ~ arm", stays.assign(u=1.0), id="id", death="died", weights="u")
    pd.testing.assert_frame_equal(ones.tidy(), tidy)
    twice = pd.concat([stays, stays.assign(id=stays["id"] + 1000)])
    doubled = s.mean_cumulative("Surv(start, stop, stay) ~ arm", twice, id="id", death="died").predict([3])
    np.testing.assert_allclose(doubled["estimate"], fit.predict([3])["estimate"], rtol=1e-12)
    np.testing.assert_allclose(doubled["std_error"] * np.sqrt(2), fit.predict([3])["std_error"], rtol=1e-12)
    # an event at most once per person and no other end: one minus Kaplan-Meier of the rest
    first = stays.drop_duplicates("id").assign(died=lambda d: d["stay"])
    once = s.mean_cumulative("Surv(start, stop, stay) ~ 1", first, id="id", death="died").predict([2])
    km = s.kaplan_meier("Surv(stop, stay) ~ 1", first).predict([2])
    assert once["estimate"].item() == pytest.approx(1 - km["estimate"].item())
    limits = fit.predict([3]).iloc[0]
    assert np.sqrt(limits["conf_low"] * limits["conf_high"]) == pytest.approx(limits["estimate"])


def test_mean_function_bad_input(frames):
    stays = frames["stays"]
    formula = "Surv(start, stop, stay) ~ arm"
    with pytest.raises(OutcomeError, match="come after the death of the same 'id': first 0, who dies in row 0"):
        s.mean_cumulative(formula, stays.assign(died=1), id="id", death="died")
    with pytest.raises(OutcomeError, match="death='w' must be 0/1"):
        s.mean_cumulative(formula, stays, id="id", death="w")
    with pytest.raises(OutcomeError, match="id=0 lies in two groups, 1 .* and 0"):
        s.mean_cumulative(formula, stays.assign(arm=np.arange(len(stays)) % 2), id="id")
    with pytest.raises(OutcomeError, match="rows overlap"):
        s.mean_cumulative(formula, stays.assign(start=0.0), id="id")
    three = stays.assign(what=1 + np.arange(len(stays)) % 3)
    with pytest.raises(OutcomeError, match="its codes are 1, 2, 3"):
        s.mean_cumulative("Surv(start, stop, what) ~ 1", three, id="id", death=2)
    with pytest.raises(OptionError, match="exponentiate"):
        s.mean_cumulative(formula, stays, id="id").tidy(exponentiate=True)
    with pytest.warns(HorizonWarning, match="beyond the last observation"):
        s.mean_cumulative(formula, stays, id="id").predict([100])
    with pytest.warns(AllCensoredWarning, match="group 1 has no event"):
        fit = s.mean_cumulative(formula, stays.assign(stay=stays["stay"] * (stays["arm"] == 0)), id="id")
    assert not fit.test().applicable
    assert (fit.predict([2])[["estimate", "conf_low", "conf_high"]].iloc[1] == 0).all()


@pytest.mark.slow
def test_coverage_and_size():
    """Simulated frailty, death and censoring: limits cover the true mean, the comparison keeps its level."""
    rng = np.random.default_rng(5)
    n, runs, covered, rejected = 150, 400, 0, 0
    for _ in range(runs):
        rate = rng.gamma(2.0, 0.5, n)  # mean 1
        end = np.minimum(death := rng.exponential(2.0, n), rng.uniform(0.5, 4.0, n))
        count = rng.poisson(rate * end)
        person = np.repeat(np.arange(n), count)
        moment = np.concatenate([rng.uniform(0, end[person]), end])
        rows = pd.DataFrame({"id": np.concatenate([person, np.arange(n)]), "stop": moment}).sort_values(["id", "stop"])
        rows["start"] = rows.groupby("id")["stop"].shift(fill_value=0.0)
        final = ~rows["id"].duplicated(keep="last")
        rows = rows.assign(event=(~final).astype(int), died=(final & (death <= end)[rows["id"]]).astype(int))
        fit = s.mean_cumulative("Surv(start, stop, event) ~ 1", rows, id="id", death="died").predict([1.5]).iloc[0]
        covered += fit["conf_low"] <= 2 * (1 - np.exp(-0.75)) <= fit["conf_high"]
        halves = rows.assign(arm=rows["id"] % 2)
        rejected += (
            s.mean_cumulative("Surv(start, stop, event) ~ arm", halves, id="id", death="died").test().p_value < 0.05
        )
    assert abs(covered / runs - 0.95) < 0.035  # three standard errors
    assert abs(rejected / runs - 0.05) < 0.035
