"""Pseudo-observations and regression on them: R's survival and geepack, leaving rows out, properties, bad input."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import FormulaError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import ConvergenceWarning, HorizonWarning

s = dc.survival

EXACT = 1e-11  # closed forms; R's numbers have 15 digits
TIGHT = 1e-9  # links other than the identity are iterated in both programs

LUNG, MGUS = [100, 365, 700], [60, 120, 240]
CASES = {
    "pseudo_survival": ("lung", "Surv(time, status) ~ 1", LUNG, {}),
    "pseudo_rmst": ("lung", "Surv(time, status) ~ 1", LUNG, {"type": "rmst"}),
    "pseudo_hazard": ("lung", "Surv(time, status) ~ 1", LUNG, {"type": "cumulative_hazard"}),
    "pseudo_survival_sex": ("lung", "Surv(time, status) ~ sex", LUNG, {}),
    "pseudo_rmst_sex": ("lung", "Surv(time, status) ~ sex", LUNG, {"type": "rmst"}),
} | {
    f"pseudo_{short}_{cause}": ("mgus2_cr", "Surv(etime, event) ~ 1", MGUS, {"type": type, "cause": cause})
    for cause in (1, 2)
    for short, type in (("incidence", "cumulative_incidence"), ("rmtl", "rmtl"))
}


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/rmst/expected.json")


@pytest.mark.parametrize("case", CASES)
def test_survival_pseudo(case, frames, expected):
    data, formula, times, options = CASES[case]
    want = expected[case]
    table = s.pseudo_observations(formula, frames[data], times=times, **options)
    columns = ["row", "time", "cause", "estimate"] if "cause" in options else ["row", "time", "estimate"]
    assert list(table.columns) == columns
    values = table["estimate"].to_numpy().reshape(-1, 3)
    scale = np.abs(want["rows"]).max()
    np.testing.assert_allclose(values[::40], want["rows"], rtol=EXACT, atol=EXACT * scale)
    np.testing.assert_allclose(values.sum(axis=0), want["sum"], rtol=EXACT)
    np.testing.assert_allclose((values**2).sum(axis=0), want["square"], rtol=EXACT)


def _sample(seed, n=14):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"time": rng.integers(1, 8, n).astype(float), "event": rng.integers(0, 3, n)})
    data.loc[[0, 1], "event"] = [1, 2]
    return data


def _estimate(data, type, times):
    """Each estimate from its definition, one time at a time; the last value stays."""
    t, e = data["time"].to_numpy(), data["event"].to_numpy()
    distinct = np.unique(t)
    survival, hazard, incidence = 1.0, 0.0, 0.0
    steps = [(0.0, survival, hazard, incidence)]
    for u in distinct:
        n, d, c = (t >= u).sum(), ((t == u) & (e > 0)).sum(), ((t == u) & (e == 1)).sum()
        incidence += survival * c / n
        hazard += d / n
        survival *= 1 - d / n
        steps.append((u, survival, hazard, incidence))
    steps = np.array(steps)
    column = {"survival": 1, "rmst": 1, "cumulative_hazard": 2, "cumulative_incidence": 3, "rmtl": 3}[type]
    if type in ("rmst", "rmtl"):
        ends = np.append(steps[1:, 0], np.inf)
        return [
            sum(v * max(0.0, min(b, h) - a) for a, b, v in zip(steps[:, 0], ends, steps[:, column], strict=True))
            for h in times
        ]
    return [steps[np.searchsorted(steps[:, 0], h, side="right") - 1, column] for h in times]


@pytest.mark.filterwarnings("ignore::dxa_causal._core.warnings.HorizonWarning")
@pytest.mark.parametrize("type", ["survival", "cumulative_hazard", "cumulative_incidence", "rmst", "rmtl"])
@pytest.mark.parametrize("seed", range(6))
def test_jackknife_leaves_each_row_out(type, seed):
    data = _sample(seed)
    n, times = len(data), [0.5, 2.0, 3.7, 6.0, 9.0]
    competing = type in ("cumulative_incidence", "rmtl")
    formula = "Surv(time, event) ~ 1" if competing else "Surv(time, any) ~ 1"
    table = s.pseudo_observations(
        formula,
        data.assign(any=data["event"] > 0),
        times=times,
        type=type,
        cause=1 if competing else None,
        method="jackknife",
    )
    whole = np.array(_estimate(data, type, times))
    want = [n * whole - (n - 1) * np.array(_estimate(data.drop(i), type, times)) for i in data.index]
    np.testing.assert_allclose(table["estimate"].to_numpy().reshape(n, -1), want, atol=1e-12)


@pytest.mark.parametrize("method", ["infinitesimal", "jackknife"])
def test_properties(method, frames):
    lung = frames["lung"]

    def values(data, times=(365,), **options):
        return s.pseudo_observations("Surv(time, status) ~ 1", data, times=times, method=method, **options)

    table = values(lung)
    shuffled = values(lung.sample(frac=1, random_state=2)).sort_values("row", ignore_index=True)
    pd.testing.assert_frame_equal(shuffled, table)
    # the infinitesimal influences sum to zero; without censoring the jackknife returns the indicator
    curve = s.kaplan_meier("Surv(time, status) ~ 1", lung).predict([365])["estimate"][0]
    assert table["estimate"].mean() == pytest.approx(curve, abs=1e-12 if method == "infinitesimal" else 1e-2)
    events = lung.assign(status=1)
    np.testing.assert_allclose(values(events)["estimate"], lung["time"] > 365, atol=1e-11)
    np.testing.assert_allclose(values(events, type="rmst")["estimate"], np.minimum(lung["time"], 365), atol=1e-9)
    weeks = values(lung.assign(time=lung["time"] / 7), times=[365 / 7], type="rmst")
    np.testing.assert_allclose(weeks["estimate"] * 7, values(lung, type="rmst")["estimate"], rtol=1e-9)
    lost = values(lung.assign(event=lung["status"]), type="rmtl")["estimate"]
    np.testing.assert_allclose(365 - lost, values(lung, type="rmst")["estimate"], atol=1e-9)


REGRESSIONS = {
    f"gee_survival_{link}": ("lung", "Surv(time, status) ~ sex + age", {"times": [180, 365, 545], "link": link})
    for link in ("identity", "log", "logit", "cloglog")
} | {
    "lm_rmst": ("lung", "Surv(time, status) ~ sex + age", {"times": 500, "type": "rmst"}),
    "gee_rmst_log": ("lung", "Surv(time, status) ~ sex + age", {"times": 500, "type": "rmst", "link": "log"}),
    "gee_rmst_cluster": ("lung", "Surv(time, status) ~ sex + age", {"times": 500, "type": "rmst", "cluster": "inst"}),
    "gee_incidence_cloglog": (
        "mgus2_cr",
        "Surv(etime, event) ~ age + male",
        {"times": MGUS, "type": "cumulative_incidence", "cause": 1, "link": "cloglog"},
    ),
}


@pytest.mark.parametrize("case", REGRESSIONS)
def test_geepack(case, frames, expected):
    data, formula, options = REGRESSIONS[case]
    frame = frames[data]
    if data == "mgus2_cr":
        frame = frame.assign(male=frame["sex"] == "M")
    fit = s.pseudo_regression(formula, frame, **options)
    want = expected[case]
    first = len(want["coef"]) - 2  # R lists the intercepts first
    order = [*range(first, len(want["coef"])), *range(first)]
    tidy = fit.tidy()
    np.testing.assert_allclose(tidy["estimate"], np.array(want["coef"])[order], rtol=TIGHT)
    np.testing.assert_allclose(tidy["std_error"], np.array(want["se"])[order], rtol=TIGHT)


def test_pseudo_values_within_strata(frames):
    lung = frames["lung"]
    fit = s.pseudo_regression("Surv(time, status) ~ age", lung, times=LUNG, strata="sex")
    by_sex = s.pseudo_observations("Surv(time, status) ~ sex", lung, times=LUNG)
    np.testing.assert_allclose(fit.pseudo_values.ravel(), by_sex["estimate"])
    assert fit.terms == ("age", "Intercept[100]", "Intercept[365]", "Intercept[700]")


def test_two_groups_are_their_own_estimates(frames):
    fit = s.pseudo_regression("Surv(time, status) ~ C(sex)", frames["lung"], times=365, strata="sex")
    curve = s.kaplan_meier("Surv(time, status) ~ sex", frames["lung"]).predict([365])["estimate"]
    np.testing.assert_allclose(fit.coefficients, [curve[1] - curve[0], curve[0]], rtol=1e-11)
    log = s.pseudo_regression("Surv(time, status) ~ C(sex)", frames["lung"], times=365, strata="sex", link="cloglog")
    assert log.coefficients[0] == pytest.approx(np.log(np.log(curve[1]) / np.log(curve[0])), rel=1e-9)
    assert log.tidy(exponentiate=True)["estimate"][0] == pytest.approx(np.log(curve[1]) / np.log(curve[0]), rel=1e-9)


def test_scale_of_covariates_costs_no_digits(frames):
    lung = frames["lung"]
    plain = s.pseudo_regression("Surv(time, status) ~ age", lung, times=365, link="logit")
    moved = s.pseudo_regression(
        "Surv(time, status) ~ age", lung.assign(age=lung["age"] * 1e6 + 1e9), times=365, link="logit"
    )
    assert moved.coefficients[0] * 1e6 == pytest.approx(plain.coefficients[0], rel=1e-9)
    assert moved.tidy()["std_error"][0] * 1e6 == pytest.approx(plain.tidy()["std_error"][0], rel=1e-9)


def test_bad_input(frames):
    lung, mgus = frames["lung"], frames["mgus2_cr"]
    with pytest.warns(HorizonWarning, match=r"time 2000 lies beyond the last observation \(1022\)"):
        s.pseudo_observations("Surv(time, status) ~ 1", lung, times=2000)
    with pytest.warns(HorizonWarning, match="group 2: time 1000 lies beyond"):
        s.pseudo_observations("Surv(time, status) ~ sex", lung, times=1000)
    with pytest.raises(OutcomeError, match="not delayed entry or start-stop rows"):
        s.pseudo_observations("Surv(start, stop, event) ~ 1", frames["heart"], times=100)
    with pytest.raises(OutcomeError, match="holds 2 causes"):
        s.pseudo_observations("Surv(etime, event) ~ 1", mgus, times=100, type="cumulative_incidence")
    with pytest.raises(OptionError, match="cause=1 has no meaning for type='survival'"):
        s.pseudo_observations("Surv(time, status) ~ 1", lung, times=100, cause=1)
    with pytest.raises(OptionError, match="horizon of a restricted mean must be positive"):
        s.pseudo_observations("Surv(time, status) ~ 1", lung, times=[0, 10], type="rmst")
    with pytest.raises(FormulaError, match="must name grouping columns"):
        s.pseudo_observations("Surv(time, status) ~ log(age)", lung, times=100)
    with pytest.raises(OptionError, match="link='cloglog' is not allowed; use 'identity' or 'log'"):
        s.pseudo_regression("Surv(time, status) ~ age", lung, times=100, type="rmst", link="cloglog")
    with pytest.raises(OptionError, match="method='exact' is not allowed"):
        s.pseudo_regression("Surv(time, status) ~ age", lung, times=100, method="exact")
    with pytest.raises(OutcomeError, match="at time 1 all pseudo-observations are 1.*events happen from 5 to 883"):
        s.pseudo_regression("Surv(time, status) ~ age", lung, times=[1, 100], link="logit")
    with pytest.raises(OutcomeError, match="at time 3 all pseudo-observations are 3"):
        s.pseudo_regression("Surv(time, status) ~ age", lung, times=3, type="rmst")
    with pytest.raises(OutcomeError, match="at time 1022 all pseudo-observations are 0"):
        s.pseudo_regression("Surv(time, status) ~ age", lung.assign(status=1), times=1022)
    with pytest.raises(OutcomeError, match="no event: all 228 rows analysed are censored"):
        s.pseudo_regression("Surv(time, status) ~ age", lung.assign(status=0), times=100)
    for estimate in (s.pseudo_regression, s.pseudo_observations):
        for times, message in (
            ([], "times is empty"),
            ([-5], "times=-5: times count from 0"),
            ("a", "must be numbers"),
        ):
            with pytest.raises(OptionError, match=message):
                estimate("Surv(time, status) ~ 1", lung, times=times)
    with pytest.raises(OptionError, match="must be positive and finite"):
        s.pseudo_observations("Surv(time, status) ~ 1", lung, times=np.inf, type="rmst")
    with pytest.raises(PredictorError, match="cluster='one' has one value"):
        s.pseudo_regression("Surv(time, status) ~ age", lung.assign(one=1), times=100, cluster="one")
    with pytest.raises(OptionError, match="exponentiate=True has no meaning for differences"):
        s.pseudo_regression("Surv(time, status) ~ age", lung, times=100).tidy(exponentiate=True)


def test_a_group_without_events_does_not_converge():
    data = pd.DataFrame(
        {"time": [1, 2, 3, 4, 5, 6, 7, 8], "died": [1, 1, 1, 0, 0, 0, 0, 0], "g": [0, 0, 0, 0, 1, 1, 1, 1]}
    )
    with pytest.warns(ConvergenceWarning, match="runs to the end of its range"):
        s.pseudo_regression("Surv(time, died) ~ g", data, times=3.5, link="cloglog", strata="g")
