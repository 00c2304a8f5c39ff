"""Aalen's and Lin-Ying's additive hazards: R's timereg and aareg, and the definitions written out."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, PredictorError, UnseenLevelError
from dxa_causal._core.warnings import HorizonWarning

s = dc.survival

# Closed forms; what is left is the condition of X'X in timereg, which does not centre.
EXACT = 1e-9


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/additive/expected.json")


@pytest.fixture(scope="module")
def data(frames):
    """The frames with the columns generate.R adds."""
    lung = frames["lung"].dropna(subset=["ph.ecog", "inst"])
    row = np.arange(1, len(lung) + 1)
    lung = lung.assign(w=1 + lung["age"] % 3 / 2, t=lung["time"] + row / 1000)
    entry = np.concatenate([[0.0], np.sort(lung["t"])[[9, 39, 79]]])[row % 4]
    lung["late"] = np.where(entry < lung["t"], entry, 0.0)
    veteran, heart = frames["veteran"], frames["heart"]
    return {
        "pbc": frames["pbc"],
        "lung": lung,
        "veteran": veteran.assign(t=veteran["time"] + np.arange(1, len(veteran) + 1) / 1000),
        "heart": heart.assign(begin=heart["start"] + heart["id"] / 1000, end=heart["stop"] + heart["id"] / 1000),
    }


AALEN = {
    "aalen_pbc": ("pbc", "Surv(time / 365.25, status == 2) ~ age + edema", {"max_time": 7}),
    "aalen_lung": ("lung", "Surv(t, status) ~ age + sex + ph.ecog", {}),
    "aalen_lung_weights": ("lung", "Surv(t, status) ~ age + sex", {"weights": "w"}),
    "aalen_lung_cluster": ("lung", "Surv(t, status) ~ age + sex", {"cluster": "inst"}),
    "aalen_veteran": ("veteran", "Surv(t, status) ~ karno + celltype", {"max_time": 150}),
    "aalen_heart": ("heart", "Surv(begin, end, event) ~ age + transplant", {"cluster": "id"}),
}


@pytest.mark.parametrize("case", AALEN)
def test_cumulative_coefficients(case, data, expected):
    name, formula, options = AALEN[case]
    want = expected[case]
    for robust, variance in ((False, "var"), (True, "robvar")):
        fit = s.aalen_additive(formula, data[name], robust=robust, **options)
        got = fit.predict(want["times"])
        shape = (len(fit.terms), len(want["times"]))
        scale = np.sqrt(np.transpose(want["var"]))
        error = (np.reshape(got["estimate"], shape) - np.transpose(want["cum"])) / scale
        assert np.abs(error).max() < EXACT
        np.testing.assert_allclose(np.reshape(got["std_error"], shape) ** 2, np.transpose(want[variance]), rtol=EXACT)


def test_survival_of_new_rows(data, expected):
    want = expected["aalen_survival"]
    fit = s.aalen_additive("Surv(t, status) ~ age + sex", data["lung"], robust=True)
    got = fit.predict(pd.DataFrame({"age": [60, 70], "sex": [1, 2]}), type="survival", times=[100, 300])
    np.testing.assert_allclose(got["estimate"], np.ravel(want["surv"]), rtol=EXACT)
    np.testing.assert_allclose(got["std_error"], np.ravel(want["se"]), rtol=EXACT)


TESTS = {
    "aareg_lung": ("lung", "Surv(time, status) ~ age + sex + ph.ecog", {}, {}),
    "aareg_lung_nrisk": ("lung", "Surv(time, status) ~ age + sex + ph.ecog", {}, {"weight": "n_risk"}),
    "aareg_lung_max_time": ("lung", "Surv(time, status) ~ age + sex + ph.ecog", {"max_time": 365}, {}),
    "aareg_lung_one": ("lung", "Surv(time, status) ~ age", {}, {}),
    "aareg_lung_weights": ("lung", "Surv(time, status) ~ age + sex", {"weights": "w", "robust": False}, {}),
    "aareg_lung_robust": ("lung", "Surv(time, status) ~ age + sex", {"robust": True}, {}),
    "aareg_lung_cluster": ("lung", "Surv(time, status) ~ age + sex", {"cluster": "inst"}, {}),
    "aareg_heart": ("heart", "Surv(begin, end, event) ~ age + transplant", {}, {}),
}


@pytest.mark.parametrize("ties", ["break", "joint"])
@pytest.mark.parametrize("case", TESTS)
def test_tests_of_no_effect(case, ties, data, expected):
    name, formula, options, how = TESTS[case]
    want = expected[case]
    fit = s.aalen_additive(formula, data[name], ties=ties, **options)
    got = fit.tests(**how)
    np.testing.assert_allclose(got["estimate"], want["statistic"], rtol=EXACT)
    np.testing.assert_allclose(got["std_error"] ** 2, np.diag(want["var"]), rtol=EXACT)
    np.testing.assert_allclose(got["statistic"], want["z"], rtol=EXACT)
    assert fit.global_test(**how).statistic == pytest.approx(want["chisq"], rel=EXACT)
    if not how:
        np.testing.assert_allclose(fit.tidy()["statistic"], want["z"], rtol=EXACT)


def test_tests_of_a_factor(data, expected):
    """R orders the cell types as text; the last one has fewer than the others at the end."""
    want = expected["aareg_veteran"]
    fit = s.aalen_additive("Surv(time, status) ~ karno + celltype", data["veteran"])
    np.testing.assert_allclose(fit.tests()["estimate"], want["statistic"], rtol=EXACT)
    assert fit.global_test().statistic == pytest.approx(want["chisq"], rel=EXACT)
    assert fit.global_test().df == 4


def test_without_covariates_it_is_nelson_aalen(data):
    lung = data["lung"]
    fit = s.aalen_additive("Surv(time, status) ~ 1", lung, ties="joint")
    at_risk = np.array([(lung["time"] >= t).sum() for t in np.sort(lung["time"][lung["status"] == 1])])
    assert fit.predict([600])["estimate"].item() == pytest.approx((1 / at_risk)[fit.event_times <= 600].sum())


def _aalen_by_definition(entry, time, event, x, weight, unit, until):
    """B(until), its martingale variance and the sums over units, visiting every row at every event time."""
    p = x.shape[1]
    total, variance, influence = np.zeros(p), np.zeros(p), np.zeros((unit.max() + 1, p))
    for t in np.unique(time[(event == 1) & (time <= until)]):
        at_risk = (entry < t) & (time >= t)
        inverse = np.linalg.inv((x[at_risk] * weight[at_risk, None]).T @ x[at_risk])
        happened = at_risk & (time == t) & (event == 1)
        parts = (x[happened] * weight[happened, None]) @ inverse
        total += parts.sum(axis=0)
        variance += (parts**2).sum(axis=0)
        residual = happened[at_risk] - x[at_risk] @ parts.sum(axis=0)
        np.add.at(influence, unit[at_risk], (x[at_risk] * (weight[at_risk] * residual)[:, None]) @ inverse)
    return total, np.sqrt(variance), np.sqrt((influence**2).sum(axis=0))


def _simulated(n=120, seed=4):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(2000.0, 5.0, n), "z": rng.integers(0, 2, n), "g": rng.integers(0, 25, n)})
    frame["entry"] = np.round(rng.uniform(0, 1, n), 1)
    frame["time"] = np.round(frame["entry"] + rng.exponential(2.0, n) + 0.1, 1)
    frame["event"], frame["w"], frame["s"] = rng.integers(0, 2, n), rng.uniform(0.5, 2.0, n), rng.integers(0, 3, n)
    return frame


@pytest.mark.parametrize("entry", [False, True])
def test_aalen_is_its_definition(entry):
    """Heavy ties, a covariate far from zero, weights, clusters, delayed entry."""
    frame = _simulated()
    left = "Surv(entry, time, event)" if entry else "Surv(time, event)"
    options = {"weights": "w", "cluster": "g", "ties": "joint"}
    fit = s.aalen_additive(f"{left} ~ x + z", frame, **options)
    x = np.column_stack([np.ones(len(frame)), frame["x"], frame["z"]])
    start = frame["entry"].to_numpy() if entry else np.full(len(frame), -1.0)
    arguments = (start, *(frame[c].to_numpy() for c in ("time", "event")), x, frame["w"].to_numpy())
    total, martingale, robust = _aalen_by_definition(*arguments, pd.factorize(frame["g"])[0], 3.0)
    got = fit.predict([3.0])
    np.testing.assert_allclose(got["estimate"], total, rtol=1e-6)  # inverting without centring costs digits
    np.testing.assert_allclose(got["std_error"], robust, rtol=1e-6)
    plain = s.aalen_additive(f"{left} ~ x + z", frame, weights="w", robust=False, ties="joint")
    np.testing.assert_allclose(plain.predict([3.0])["std_error"], martingale, rtol=1e-6)
    np.testing.assert_allclose(plain.predict([3.0])["std_error"] ** 2, np.diag(plain.covariance_at(3.0)), rtol=1e-12)


def test_aalen_where_estimation_stops(data):
    lung = data["lung"].sort_values("time").head(60).assign(status=1)
    fit = s.aalen_additive("Surv(time, status) ~ age + sex", lung)
    assert fit.horizon < lung["time"].max()
    assert "at the 2 later event times" in str(fit)
    with pytest.warns(HorizonWarning, match="up to which the model is estimated"):
        late = fit.predict([lung["time"].max()])
    np.testing.assert_array_equal(late["estimate"], fit.predict([fit.horizon])["estimate"])
    with pytest.warns(HorizonWarning, match="estimated up to"):
        s.aalen_additive("Surv(time, status) ~ age + sex", lung, max_time=lung["time"].max())
    few = lung.assign(status=lung["time"].rank(method="first") > 58)
    with pytest.raises(OutcomeError, match="determine the 3 coefficients"):
        s.aalen_additive("Surv(time, status) ~ age + sex", few)


def test_early_risk_sets_too_small():
    """With delayed entry the first events may find too few at risk."""
    frame = _simulated().sort_values("entry").assign(entry=lambda d: np.arange(len(d)) / 10)
    frame["time"] = frame["entry"] + 3.0 + frame["w"]
    frame.iloc[0, frame.columns.get_indexer(["time", "event"])] = [0.05, 1]
    fit = s.aalen_additive("Surv(entry, time, event) ~ x + z", frame)
    assert "1 event times before" in str(fit)


def test_aalen_properties(data):
    lung = data["lung"]
    formula = "Surv(time, status) ~ age + sex"
    joint = s.aalen_additive(formula, lung, ties="joint", max_time=600)
    other = s.aalen_additive(formula, lung.sample(frac=1, random_state=1), ties="joint", max_time=600)
    pd.testing.assert_frame_equal(joint.predict([200, 500]), other.predict([200, 500]))
    ones = s.aalen_additive(formula, lung.assign(one=1.0), weights="one", robust=False, ties="joint", max_time=600)
    pd.testing.assert_frame_equal(joint.predict([200, 500]), ones.predict([200, 500]))
    thrice = lung.assign(k=1 + np.arange(len(lung)) % 3)
    weighted = s.aalen_additive(formula, thrice, weights="k", ties="joint", max_time=600).predict([500])
    repeated = s.aalen_additive(formula, lung.loc[lung.index.repeat(thrice["k"])], ties="joint", max_time=600)
    np.testing.assert_allclose(weighted["estimate"], repeated.predict([500])["estimate"], rtol=1e-9)
    years = s.aalen_additive("Surv(time / 365.25, status) ~ age + sex", lung, max_time=600 / 365.25, ties="joint")
    np.testing.assert_allclose(years.tidy()["estimate"] / 365.25, joint.tidy()["estimate"], rtol=1e-9)
    np.testing.assert_allclose(years.tests()["statistic"], joint.tests()["statistic"], rtol=1e-9)
    split = s.aalen_additive("Surv(start, stop, event) ~ age + sex", _split(lung), ties="joint", cluster="id")
    whole = s.aalen_additive(formula, lung, ties="joint", robust=True)
    pd.testing.assert_frame_equal(split.predict([200, 500]), whole.predict([200, 500]))


def _split(lung, at=150.0):
    """The same follow-up in two rows for those who pass `at`."""
    base = lung.assign(id=np.arange(len(lung)), start=0.0, stop=lung["time"], event=lung["status"])
    early = base.assign(stop=np.minimum(base["stop"], at), event=np.where(base["stop"] <= at, base["event"], 0))
    return pd.concat([early, base[base["stop"] > at].assign(start=at)], ignore_index=True)


def test_aalen_bad_input(data):
    lung = data["lung"]
    with pytest.raises(OutcomeError, match="no event up to max_time=4"):
        s.aalen_additive("Surv(time, status) ~ age", lung, max_time=4)
    with pytest.raises(CollinearityError, match="twice"):
        s.aalen_additive("Surv(time, status) ~ age + twice", lung.assign(twice=2 * lung["age"]))
    with pytest.raises(OptionError, match=r"ties='efron' is not allowed; use 'break' or 'joint'"):
        s.aalen_additive("Surv(time, status) ~ age", lung, ties="efron")
    with pytest.raises(PredictorError, match="has one value"):
        s.aalen_additive("Surv(time, status) ~ age", lung.assign(one=1), cluster="one")
    fit = s.aalen_additive("Surv(time, status) ~ age", lung)
    with pytest.raises(OptionError, match="exponentiate"):
        fit.tidy(exponentiate=True)
    with pytest.raises(OptionError, match="no coefficients"):
        fit.predict(lung)
    with pytest.raises(OptionError, match="term='sex' is not allowed"):
        fit.plot(term="sex")
    one = s.aalen_additive("Surv(time, status) ~ 1", lung).global_test()
    assert not one.applicable


LIN_YING = {
    "lin_ying_lung": ("lung", "Surv(t, status) ~ age + sex + ph.ecog", {}),
    "lin_ying_lung_weights": ("lung", "Surv(t, status) ~ age + sex + ph.ecog", {"weights": "w"}),
    "lin_ying_lung_cluster": ("lung", "Surv(t, status) ~ age + sex + ph.ecog", {"cluster": "inst"}),
    "lin_ying_lung_entry": ("lung", "Surv(late, t, status) ~ age + sex", {}),
    "lin_ying_veteran": ("veteran", "Surv(t, status) ~ karno + celltype", {}),
}


@pytest.mark.parametrize("case", LIN_YING)
def test_lin_ying(case, data, expected):
    name, formula, options = LIN_YING[case]
    want = expected[case]
    for robust, variance in ((False, "var"), (True, "robvar")):
        given = {k: v for k, v in options.items() if robust or k != "cluster"}
        fit = s.lin_ying(formula, data[name], robust=robust, **given)
        scale = np.sqrt(np.diag(want[variance]))
        assert np.abs((fit.coefficients - want["coef"]) / scale).max() < EXACT
        assert np.abs((fit.covariance - np.array(want[variance])) / np.outer(scale, scale)).max() < EXACT


def test_lin_ying_baseline(data, expected):
    want = expected["lin_ying_baseline"]
    zero = pd.DataFrame({"age": [0.0], "sex": [0.0]})
    for robust, variance in ((False, "var"), (True, "robvar")):
        fit = s.lin_ying("Surv(t, status) ~ age + sex", data["lung"], robust=robust)
        got = fit.predict(zero, type="cumulative_hazard", times=want["times"])
        np.testing.assert_allclose(got["estimate"], want["cum"], rtol=EXACT)
        np.testing.assert_allclose(got["std_error"] ** 2, want[variance], rtol=EXACT)


def _lin_ying_by_definition(entry, time, event, x, weight, unit, stratum, until, new):
    """Estimate, sandwich, and hazard of `new` in stratum 0 with its robust error, visiting every row at every step."""
    n, p = x.shape
    grid = np.unique(np.concatenate([[0.0], entry, time, [until]]))
    steps = []
    for code in np.unique(stratum):
        for a, b in zip(grid[:-1], grid[1:], strict=True):
            at_risk = (entry <= a) & (time >= b) & (stratum == code)
            if at_risk.any():
                mean = np.average(x[at_risk], axis=0, weights=weight[at_risk])
                steps.append((code, a, b, at_risk, mean, at_risk & (time == b) & (event == 1)))
    a_matrix = sum(
        (x[r] - m).T @ ((x[r] - m) * weight[r, None]) * (b - a) for _, a, b, r, m, _ in steps
    )  # fmt: skip
    score = sum(((x[d] - m) * weight[d, None]).sum(axis=0) for *_, m, d in steps)
    beta = np.linalg.solve(a_matrix, score)
    influence, hazard, derivative, own = np.zeros((n, p)), 0.0, np.zeros(p), np.zeros(n)
    for code, a, b, r, m, d in steps:
        jump = weight[d].sum() / weight[r].sum() - (b - a) * m @ beta
        martingale = d[r] - jump - (b - a) * x[r] @ beta
        influence[r] += (x[r] - m) * (weight[r] * martingale)[:, None]
        if code == 0 and b <= until:
            hazard += jump + (b - a) * new @ beta
            derivative += (b - a) * (new - m)
            own[r] += weight[r] * martingale / weight[r].sum()
    scores = influence @ np.linalg.inv(a_matrix)
    by_unit = pd.DataFrame(np.column_stack([scores, own + scores @ derivative])).groupby(unit).sum()
    return beta, np.sqrt((by_unit**2).sum().to_numpy()), hazard


def test_lin_ying_is_its_definition():
    """Ties, weights, clusters, strata and delayed entry; the prediction lies within a step."""
    frame = _simulated().assign(x=lambda d: d["x"] - 2000)
    fit = s.lin_ying("Surv(entry, time, event) ~ x + z", frame, weights="w", strata="s", cluster="g")
    columns = (frame[c].to_numpy() for c in ("entry", "time", "event"))
    x, new = frame[["x", "z"]].to_numpy(dtype=float), np.array([1.0, 1.0])
    rest = (frame["w"].to_numpy(), frame["g"].to_numpy(), frame["s"].to_numpy())
    beta, std_error, hazard = _lin_ying_by_definition(*columns, x, *rest, 2.345, new)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-10)
    np.testing.assert_allclose(fit.std_error, std_error[:2], rtol=1e-10)
    row = pd.DataFrame({"x": [1.0], "z": [1], "s": [0]})
    got = fit.predict(row, type="cumulative_hazard", times=[2.345]).iloc[0]
    np.testing.assert_allclose([got["estimate"], got["std_error"]], [hazard, std_error[2]], rtol=1e-10)
    survival = fit.predict(row, times=[2.345]).iloc[0]
    assert survival["estimate"] == pytest.approx(np.exp(-hazard))
    assert survival["conf_low"] == pytest.approx(np.exp(-got["conf_high"]))


def test_lin_ying_properties(data):
    lung = data["lung"]
    fit = s.lin_ying("Surv(time, status) ~ age + sex", lung)
    shuffled = s.lin_ying("Surv(time, status) ~ age + sex", lung.sample(frac=1, random_state=1))
    np.testing.assert_allclose(shuffled.tidy().iloc[:, 1:], fit.tidy().iloc[:, 1:], rtol=1e-9)
    years = s.lin_ying("Surv(time / 365.25, status) ~ age + sex", lung).tidy()
    np.testing.assert_allclose(
        years[["estimate", "std_error"]] / 365.25, fit.tidy()[["estimate", "std_error"]], rtol=1e-9
    )
    whole = s.lin_ying("Surv(time, status) ~ age + sex", lung, robust=True)
    split = s.lin_ying("Surv(start, stop, event) ~ age + sex", _split(lung), cluster="id")
    np.testing.assert_allclose(split.tidy().iloc[:, 1:], whole.tidy().iloc[:, 1:], rtol=1e-9)
    thrice = lung.assign(k=1 + np.arange(len(lung)) % 3)
    repeated = s.lin_ying("Surv(time, status) ~ age + sex", lung.loc[lung.index.repeat(thrice["k"])])
    weighted = s.lin_ying("Surv(time, status) ~ age + sex", thrice, weights="k")
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-9)
    new = pd.DataFrame({"age": [60.0, 70.0], "sex": [1, 2]})
    at_events = fit.predict(new)
    assert len(at_events) == 2 * lung.loc[lung["status"] == 1, "time"].nunique()
    # the sandwich and the martingale variance estimate the same thing when the model holds
    assert np.abs(whole.predict(new)["std_error"] / at_events["std_error"] - 1).median() < 0.2
    assert fit.wald_test.applicable


@pytest.mark.parametrize("fit", [s.aalen_additive, s.lin_ying])
def test_rows_empty_up_to_rounding(fit, data):
    lung = data["lung"].assign(entry=0.0)
    lung.loc[lung.index[3], "entry"] = np.nextafter(lung["time"].iloc[3], 0.0)
    with pytest.raises(OutcomeError, match="1 rows do not, first row .*the same up to rounding"):
        fit("Surv(entry, time, status) ~ age", lung)


def test_lin_ying_bad_input(data):
    lung = data["lung"]
    with pytest.raises(PredictorError, match="at least one covariate"):
        s.lin_ying("Surv(time, status) ~ 1", lung)
    with pytest.raises(OutcomeError, match="no event"):
        s.lin_ying("Surv(time, status) ~ age", lung.assign(status=0))
    never_together = pd.DataFrame({"a": [0, 0, 5, 5], "b": [4, 3, 9, 8], "d": [1, 1, 1, 1], "x": [0, 0, 1, 1]})
    with pytest.raises(CollinearityError, match="'x' first"):
        s.lin_ying("Surv(a, b, d) ~ x", never_together)
    fit = s.lin_ying("Surv(time, status) ~ age", lung, strata="sex")
    with pytest.raises(UnseenLevelError, match="its strata are 1, 2"):
        fit.predict(pd.DataFrame({"age": [60], "sex": [3]}))
    with pytest.raises(UnseenLevelError, match="stratified by 'sex'"):
        fit.predict(pd.DataFrame({"age": [60]}))
    with pytest.warns(HorizonWarning, match="carried forward"):
        late = fit.predict(pd.DataFrame({"age": [60], "sex": [1]}), times=[1022, 5000])
    assert late["estimate"].nunique() == 1


@pytest.mark.slow
def test_coverage():
    """Simulated additive hazard: limits of both models cover the truth."""
    rng = np.random.default_rng(20)
    n, runs, covered = 300, 400, np.zeros(4)
    for _ in range(runs):
        x = rng.uniform(0, 1, n)
        z = rng.integers(0, 2, n)
        died = rng.exponential(1 / (0.5 + 0.5 * x + 0.3 * z))
        end = rng.uniform(0.5, 2.0, n)
        frame = pd.DataFrame({"x": x, "z": z, "time": np.minimum(died, end), "event": (died <= end).astype(int)})
        constant = s.lin_ying("Surv(time, event) ~ x + z", frame).tidy()
        free = s.aalen_additive("Surv(time, event) ~ x + z", frame, max_time=1.0).predict([0.9]).iloc[1:]
        for k, (table, scale) in enumerate(((constant, 1.0), (free, 0.9))):
            truth = scale * np.array([0.5, 0.3])
            covered[2 * k : 2 * k + 2] += (table["conf_low"] <= truth) & (truth <= table["conf_high"])
    assert np.all(np.abs(covered / runs - 0.95) < 0.035)  # three standard errors
