"""Evaluation of predictions: agreement with R (tests/reference/survival/evaluation), the definitions, bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal.survival.evaluation.predictions import evaluation_rows, predicted_risks, risk_scores

s = dc.survival
# Sums in another order.
EXACT = 1e-10
# p-values carry the relative error of z times z^2.
P_VALUE = 1e-8
# R's fits stop within their own tolerance of the optimum, which p-values enlarge.
FITTED = 1e-6
# timeROC breaks tied times by the order of the rows in its influence functions.
TIME_ROC_ERRORS = 1e-5


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/evaluation/expected.json")


@pytest.fixture(scope="module")
def stored(reference):
    return reference("survival/evaluation/stored.json")


@pytest.fixture(scope="module")
def pbc(frames):
    return frames["pbc"].assign(died=lambda d: (d["status"] == 2) * 1, log_bili=lambda d: np.log(d["bili"]))


@pytest.fixture(scope="module")
def lung(frames):
    lung = frames["lung"].dropna(subset=["ph.ecog"]).reset_index(drop=True)
    return lung.assign(month=np.ceil(lung["time"] / 30))


@pytest.fixture(scope="module")
def mgus2(frames):
    return frames["mgus2_cr"].dropna(subset=["hgb"]).reset_index(drop=True)


def risk(score, times, scale):
    return -np.expm1(-np.outer(np.exp(score), np.array(times) / scale))


def three(d, times, scale):
    age, ecog = 0.0213 * (d["age"] - 62), 0.391 * d["ph.ecog"]
    return {
        name: risk(x, times, scale)
        for name, x in {"A": age - 0.507 * (d["sex"] - 1) + ecog, "B": age, "C": ecog}.items()
    }


def two(d, times, scale):
    lp = 0.0307 * (d["age"] - 70) - 0.1013 * (d["hgb"] - 13)
    return {"A": risk(lp, times, scale), "B": risk(0.5 * (d["sex"] == "M"), times, scale)}


def rows(columns):
    """Lines of a table that R wrote column by column."""
    return [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]


def check(found, want, tolerance=EXACT):
    """Every number of a Score object."""
    table = found.tidy().set_index(["model", "metric", "time"])
    change = found.differences().set_index(["model", "reference", "metric", "time"])
    for metric, name in (("auc", "AUC"), ("brier", "Brier")):
        for line in rows(want[metric]):
            ours = table.loc[(line["model"], metric, line["times"])]
            numbers = [line[name], line["se"], line["lower"], line["upper"]]
            np.testing.assert_allclose(ours.to_numpy(dtype=float), numbers, rtol=tolerance, atol=1e-14)
            if metric == "brier":
                ibs = table.loc[(line["model"], "ibs", line["times"]), "estimate"]
                np.testing.assert_allclose(ibs, line["IBS"], rtol=tolerance, atol=1e-14)
                if line["model"] != "Null model":
                    ipa = table.loc[(line["model"], "ipa", line["times"]), "estimate"]
                    np.testing.assert_allclose(ipa, line["IPA"], atol=tolerance)
        contrasts = want[f"{metric}_contrasts"]
        for line in rows(contrasts) if contrasts else []:
            ours = change.loc[(line["model"], line["reference"], metric, line["times"])]
            numbers = [line[f"delta.{name}"], line["se"], line["lower"], line["upper"]]
            found_numbers = ours[["estimate", "std_error", "conf_low", "conf_high"]].to_numpy(dtype=float)
            np.testing.assert_allclose(found_numbers, numbers, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(ours["p_value"], line["p"], rtol=max(P_VALUE, tolerance))


def by_column(cases):
    """The stored cases hold one entry per line."""
    lines = list(cases.values())
    return {key: [line[key] for line in lines] for key in lines[0]}


def test_stored_score(pbc, stored):
    want = {key: by_column(stored["score_pbc"][key]) for key in ("auc", "brier", "auc_contrasts", "brier_contrasts")}
    fits = {
        "full": s.cox("Surv(time, died) ~ age + log(bili) + edema", pbc),
        "age": s.cox("Surv(time, died) ~ age", pbc),
    }
    check(s.evaluate(fits, pbc, horizons=[1000, 2000, 3000]), want)


def test_stored_time_roc(pbc, stored):
    want, times = stored["timeroc_pbc"], [1000, 2000, 3000]
    options = {"metrics": ["auc"], "at_horizon": "neither"}
    table = s.evaluate("log_bili", pbc, times, outcome="Surv(time, died)", **options).tidy()
    np.testing.assert_allclose(table["estimate"], want["auc"], rtol=EXACT)
    np.testing.assert_allclose(table["std_error"], want["se"], rtol=TIME_ROC_ERRORS)
    for controls, name in (("event_free", "cr_auc_1"), ("all", "cr_auc_2")):
        found = s.evaluate("log_bili", pbc, times, outcome="Surv(time, status)", cause=2, controls=controls, **options)
        np.testing.assert_allclose(found.tidy()["estimate"], want[name], rtol=EXACT)


@pytest.mark.parametrize(
    ("case", "time", "times", "scale"),
    [
        ("score_lung", "time", [180, 365, 540], 500),
        ("score_lung_ties", "month", [6, 12, 18], 17),
        ("score_lung_uncensored", "time", [180, 365], 500),
    ],
)
def test_score(case, time, times, scale, lung, expected):
    data = lung[lung["status"] == 1] if case.endswith("uncensored") else lung
    found = s.evaluate(three(data, times, scale), data, times, outcome=f"Surv({time}, status)")
    check(found, expected[case])


def test_score_of_fits_in_other_rows(frames, expected):
    data = frames["veteran"]
    train, test = data.iloc[::2], data.iloc[1::2]
    fits = {
        "A": s.cox("Surv(time, status) ~ karno + age", train),
        "B": s.cox("Surv(time, status) ~ karno", train, strata="trt"),
    }
    check(s.evaluate(fits, test, [30, 90, 150]), expected["score_veteran_test"], 1e-9)


@pytest.mark.parametrize(("cause", "scale"), [(1, 2000), (2, 150)])
def test_score_with_other_causes(cause, scale, mgus2, expected):
    times = [60, 120, 240]
    found = s.evaluate(two(mgus2, times, scale), mgus2, times, outcome="Surv(etime, event)", cause=cause)
    check(found, expected["score_mgus2_pcm" if cause == 1 else "score_mgus2_death"])


def test_score_of_fits_with_other_causes(mgus2, expected):
    fits = {
        "fg": s.fine_gray("Surv(etime, event) ~ age + hgb", mgus2, cause=1),
        "cs": s.cause_specific("Surv(etime, event) ~ age + hgb", mgus2, cause=1),
    }
    check(s.evaluate(fits, mgus2, [60, 120]), expected["score_mgus2_fits"], FITTED)


@pytest.mark.parametrize("kind", ["harrell", "uno"])
@pytest.mark.parametrize("tau", [365, None])
def test_concordance(kind, tau, lung, expected):
    metric = f"concordance_{kind}"
    lung["A"] = 0.0213 * (lung["age"] - 62) - 0.507 * (lung["sex"] - 1) + 0.391 * lung["ph.ecog"]
    lung["B"] = 0.0213 * (lung["age"] - 62)
    until = 2000 if tau is None else tau
    models = {"A": "A", "B": "B"}
    found = s.evaluate(models, lung, [365], outcome="Surv(time, status)", metrics=[metric], tau=until)
    want = expected[f"concordance_{kind}_{tau or 'Inf'}"]
    ours = found.tidy().set_index("model").loc["A"]
    np.testing.assert_allclose([ours["estimate"], ours["std_error"]], [want["c"], want["se"]], rtol=EXACT)
    # the difference of two, beside concordance() of Cox fits with these linear predictors
    fits = {name: s.cox(f"Surv(time, status) ~ {name}", lung) for name in ("A", "B")}
    pair = s.concordance(fits, weighting={"harrell": "n", "uno": "uno"}[kind], tau=tau)
    change = found.differences().iloc[0]
    np.testing.assert_allclose(
        change[["estimate", "std_error"]].tolist(), [pair.difference[0], pair.difference_std_error[0]], rtol=1e-8
    )


@pytest.mark.parametrize(("weights", "kind"), [("marginal", "uno"), ("none", "harrell")])
@pytest.mark.parametrize("tau", [120, 240])
def test_concordance_with_other_causes(weights, kind, tau, mgus2, expected):
    marker = 0.0307 * (mgus2["age"] - 70) - 0.1013 * (mgus2["hgb"] - 13)
    data = mgus2.assign(untied=mgus2["etime"] + np.arange(1, len(mgus2) + 1) / 10000)
    options = {"outcome": "Surv(untied, event)", "cause": 1, "metrics": [f"concordance_{kind}"], "tau": tau}
    found = s.evaluate({"A": marker}, data, [120], **options).tidy()
    np.testing.assert_allclose(found["estimate"], expected[f"cindex_{weights}_{tau}"]["c"], rtol=1e-9)


def simulated(n=120, *, causes=1, seed=4, round_to=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).round(1)
    first, second = rng.exponential(size=n) * np.exp(-x), rng.exponential(2.0, size=n)
    censored = rng.exponential(2.0, size=n)
    time = np.minimum(first, censored) if causes == 1 else np.minimum(np.minimum(first, second), censored)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    if round_to is not None:
        time = (np.ceil(time / round_to) * round_to).round(6)
    return pd.DataFrame({"time": time, "event": event, "x": x, "site": rng.integers(0, 2, n)})


def by_definition(data, score, t, *, cause=1, strata=None, controls="all"):
    """AUC and Brier score with standard errors, from sums over all pairs of rows and times."""
    time, event, n = data["time"].to_numpy(), data["event"].to_numpy(), len(data)
    group = np.zeros(n) if strata is None else data[strata].to_numpy()
    lost = event == 0
    weight, moved = np.zeros(n), np.zeros((n, n))  # moved[j, i]: what row i does to the logarithm of row j's weight
    for j in range(n):
        if lost[j] and time[j] <= t:
            continue
        own = group == group[j]
        g = 1.0
        for u in np.unique(time[own & lost]):
            if not (u < time[j] if time[j] <= t else u <= t):
                continue
            at_risk = own & (time >= u)
            c = (own & lost & (time == u)).sum()
            g *= 1 - c / (at_risk.sum() - (own & ~lost & (time == u)).sum())
            moved[j] += n / at_risk.sum() * ((own & lost & (time == u)) - at_risk * c / at_risk.sum())
        weight[j] = 1 / g
    case = (time <= t) & (event == cause)
    control = (time > t) | ((time <= t) & ~case & ~lost & (controls == "all"))
    w, v = weight * case, weight * control
    larger = (score[:, None] > score) + 0.5 * (score[:, None] == score)
    value = w @ larger @ v / (w.sum() * v.sum())
    parts = w * (larger @ v) / n + v * (w @ larger) / n - value * (w * v.mean() + v * w.mean())
    auc = (parts + parts @ moved / n) / (w.mean() * v.mean())
    terms = weight * (case - score) ** 2
    brier = terms - terms.mean() + terms @ moved / n
    return value, auc.std(ddof=1) / np.sqrt(n), terms.mean(), brier.std(ddof=1) / np.sqrt(n)


@pytest.mark.parametrize("round_to", [None, 0.2])
@pytest.mark.parametrize(("causes", "controls"), [(1, "all"), (2, "all"), (2, "event_free")])
@pytest.mark.parametrize("strata", [None, "site"])
def test_definition(round_to, causes, controls, strata):
    data = simulated(causes=causes, round_to=round_to)
    data["risk"] = 1 / (1 + np.exp(-data["x"]))
    horizons = [0.2, 0.6, 1.0]
    options = {"cause": 1} if causes == 2 else {}
    found = s.evaluate(
        "risk", data, horizons, outcome="Surv(time, event)", controls=controls, censoring_strata=strata, **options
    )
    table = found.tidy().set_index(["model", "metric", "time"])
    for t in horizons:
        want = by_definition(data, data["risk"].to_numpy(), t, strata=strata, controls=controls)
        auc, brier = table.loc[("risk", "auc", t)], table.loc[("risk", "brier", t)]
        ours = [auc["estimate"], auc["std_error"], brier["estimate"], brier["std_error"]]
        np.testing.assert_allclose(ours, want, rtol=1e-9)


def test_influence_is_near_the_jackknife():
    data, t = simulated(200), 0.8
    data["risk"] = 1 / (1 + np.exp(-data["x"]))
    call = {"outcome": "Surv(time, event)", "horizons": [t], "metrics": ["auc", "brier", "ipa", "concordance_uno"]}
    table = s.evaluate("risk", data, **call).tidy()
    left_out = np.array([s.evaluate("risk", data.drop(index=i), **call).tidy()["estimate"] for i in data.index])
    jackknife = np.sqrt((len(data) - 1) * left_out.var(axis=0))
    known = table["model"] != "Null model"
    # the null model counts as given, and the weights of a concordance as known
    np.testing.assert_allclose(table["std_error"][known], jackknife[known], rtol=0.08)


def test_concordance_with_other_causes_by_definition():
    data = simulated(70, causes=2, round_to=0.1)
    time, event, x = data["time"].to_numpy(), data["event"].to_numpy(), data["x"].to_numpy()

    def value(weight):
        good = total = 0.0
        for i in np.flatnonzero(event == 1):
            later = (time > time[i]) | ((time == time[i]) & (event != 1))
            meets = later | ((event == 2) & (time < time[i]))
            total += weight[i] * weight[meets].sum()
            good += weight[i] * (weight * ((x[i] > x) + 0.5 * (x[i] == x)))[meets].sum()
        return good / total

    one, step = np.ones(70), 1e-5
    slopes = np.array([(value(one + step * e) - value(one - step * e)) / (2 * step) for e in np.eye(70)])
    found = s.evaluate("x", data, [0.5], outcome="Surv(time, event)", cause=1, metrics="concordance_harrell").tidy()
    np.testing.assert_allclose(found["estimate"], value(one), rtol=1e-12)
    np.testing.assert_allclose(found["std_error"], np.sqrt((slopes**2).sum()), rtol=1e-7)


def test_integral_over_all_times():
    data = simulated(150)
    fit = s.cox("Surv(time, event) ~ x", data)
    tau = 1.5
    found = s.evaluate(fit, data, [0.7, tau], metrics=["ibs"], integration="all_times").tidy()
    grid = np.sort(data["time"][data["time"] < tau].to_numpy())
    single = s.evaluate(fit, data, grid[grid >= data["time"][data["event"] == 1].min()], metrics=["brier"]).tidy()
    brier = single[single["model"] == "model"]
    # before the first event all risks are zero, and the score at tau is that at the last time before
    time, value = np.append(brier["time"], tau), np.append(brier["estimate"], brier["estimate"].iloc[-1])
    earlier = np.append(0.0, grid[grid < time[0]]).max()
    want = np.trapezoid(np.append(0.0, value), np.append(earlier, time)) / tau
    np.testing.assert_allclose(found[(found["model"] == "model") & (found["time"] == tau)]["estimate"], want, rtol=1e-9)


def test_all_times_beside_scikit_survival():
    from sksurv.metrics import brier_score, concordance_index_ipcw, cumulative_dynamic_auc
    from sksurv.util import Surv

    data = simulated(300)
    fit = s.cox("Surv(time, event) ~ x", data)
    y, times = Surv.from_arrays(data["event"] == 1, data["time"]), np.array([0.4, 0.8, 1.2])
    risk = predicted_risks(fit, data, times)["model"]
    table = s.evaluate(fit, data, times).tidy().set_index(["metric", "model", "time"])["estimate"].sort_index()
    auc, _ = cumulative_dynamic_auc(y, y, risk, times)
    np.testing.assert_allclose(table.loc[("auc", "model")], auc, rtol=1e-10)
    _, brier = brier_score(y, y, 1 - risk, times)
    np.testing.assert_allclose(table.loc[("brier", "model")], brier, rtol=1e-10)
    uno = concordance_index_ipcw(y, y, data["x"] * np.sign(fit.coefficients[0]), tau=1.2)[0]
    np.testing.assert_allclose(table.loc[("concordance_uno", "model")], uno, rtol=1e-10)


def test_rank_transform_and_unit_of_time():
    data = simulated(round_to=0.1)
    call = {"metrics": ["auc", "concordance_harrell", "concordance_uno"]}
    plain = s.evaluate("x", data, [0.5, 1.0], outcome="Surv(time, event)", **call).tidy()
    other = data.assign(x=np.exp(3 * data["x"]), time=data["time"] * 365.25).sample(frac=1.0, random_state=1)
    turned = s.evaluate("x", other, [0.5 * 365.25, 365.25], outcome="Surv(time, event)", **call).tidy()
    pd.testing.assert_frame_equal(plain.drop(columns="time"), turned.drop(columns="time"))


def test_repeated_rows_shrink_errors():
    data = simulated(round_to=0.1)
    once = s.evaluate("x", data, [0.5], outcome="Surv(time, event)", metrics="auc").tidy()
    twice = s.evaluate("x", pd.concat([data, data]), [0.5], outcome="Surv(time, event)", metrics="auc").tidy()
    np.testing.assert_allclose(once["estimate"], twice["estimate"], rtol=1e-12)
    n = len(data)
    np.testing.assert_allclose(once["std_error"] / twice["std_error"], np.sqrt((2 * n - 1) / (n - 1)), rtol=1e-9)


def test_kinds_of_models(pbc):
    """Formula fits, an estimator in a pipeline, columns and arrays; rows incomplete in any are left out of all."""
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    data = pbc.copy()
    known = data.dropna(subset=["albumin", "bili", "trig"])
    features = known[["albumin", "log_bili"]]
    estimator = make_pipeline(StandardScaler(), CoxPHSurvivalAnalysis(ties="efron", tol=1e-12))
    estimator.fit(features, Surv.from_arrays(known["died"] == 1, known["time"]))
    fit = s.cox("Surv(time, died) ~ albumin + log_bili", known)
    array = np.where(np.arange(len(data)) == 5, np.nan, 1 / (1 + np.exp(-data["log_bili"])))
    models = {"fit": fit, "pipeline": estimator, "column": "trig", "array": array}
    before = data.copy()
    found = s.evaluate(models, data, [1000, 2000], metrics=["auc", "concordance_uno"])
    pd.testing.assert_frame_equal(data, before)
    assert found.nobs == len(known) - 1
    assert found.provenance.missing == {"trig": 136, "predictions of array": 1}
    table = found.tidy().set_index(["metric", "model"])["estimate"].sort_index()
    # baseline hazards differ (Efron's, Breslow's), ranks do not
    for metric in ("auc", "concordance_uno"):
        np.testing.assert_allclose(table.loc[(metric, "fit")], table.loc[(metric, "pipeline")], rtol=1e-9)
    risks = predicted_risks({"fit": fit, "pipeline": estimator}, known, [1000, 2000])
    np.testing.assert_allclose(risks["fit"], risks["pipeline"], atol=2e-3)
    assert s.evaluate(models, pl.from_pandas(data), [1000, 2000], metrics=["auc"]).nobs == found.nobs


def test_a_pipeline_that_imputes_keeps_incomplete_rows(pbc):
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    features, y = pbc[["trig", "log_bili"]], Surv.from_arrays(pbc["died"] == 1, pbc["time"])
    pipeline = make_pipeline(SimpleImputer(), CoxPHSurvivalAnalysis()).fit(features, y)
    found = s.evaluate(pipeline, pbc, [1000], outcome="Surv(time, died)", metrics=["auc"])
    assert found.nobs == len(pbc)
    forest = RandomSurvivalForest(5, random_state=1).fit(features, y)
    curves = forest.predict_survival_function(features.head(9))
    want = [[1 - curve(t) for t in (500, 1000)] for curve in curves]
    np.testing.assert_allclose(predicted_risks(forest, pbc.head(9), [500, 1000])["model"], want, rtol=1e-12)
    with pytest.raises(errors.ColumnNotFoundError, match="trig"):
        s.evaluate(pipeline, pbc.drop(columns="trig"), [1000], outcome="Surv(time, died)")


def test_predictions_equal_those_of_the_fits(mgus2, pbc):
    times, new = [60.0, 120.0], mgus2.head(7)
    fg = s.fine_gray("Surv(etime, event) ~ age + hgb", mgus2, cause=2)
    cs = s.cause_specific("Surv(etime, event) ~ age + hgb", mgus2)
    found = predicted_risks({"fg": fg, "cs": cs}, new, times, cause=2)
    np.testing.assert_allclose(found["fg"].ravel(), fg.predict(new, times=times)["estimate"], rtol=1e-12)
    want = cs.predict(new, times=times, cause=2)["estimate"]
    np.testing.assert_allclose(found["cs"].ravel(), want, rtol=1e-12)
    cox = s.cox("Surv(time, died) ~ age + bili", pbc, strata="edema", offset="log_bili")
    found = predicted_risks(cox, pbc.head(7), [500, 2500])["model"].ravel()
    want = 1 - cox.predict(pbc.head(7), type="survival", times=[500, 2500])["estimate"]
    np.testing.assert_allclose(found, want, rtol=1e-10)
    np.testing.assert_allclose(risk_scores(cox, pbc.head(7), 2500)["model"], found[1::2], rtol=1e-12)


def test_differences_and_reference():
    data = simulated().assign(noise=lambda d: np.sin(50 * d["time"]), half=0.5, x=lambda d: 1 / (1 + np.exp(-d["x"])))
    models = {"x": "x", "half": "half", "noise": "noise"}
    found = s.evaluate(models, data, [0.5], outcome="Surv(time, event)", metrics=["auc"], reference="half")
    table = found.differences()
    assert table[["model", "reference"]].to_numpy().tolist() == [["x", "half"], ["noise", "half"]]
    assert len(found.differences("x")) == 2
    brier = s.evaluate({"x": "x", "half": "half"}, data, [0.5], outcome="Surv(time, event)", metrics=["brier"])
    assert len(brier.differences()) == 3
    assert brier.differences("Null model")["model"].tolist() == ["x", "half"]
    tied = found.tidy().set_index("model").loc["half"]
    assert tied["estimate"] == pytest.approx(0.5)
    assert tied["std_error"] == pytest.approx(0.0, abs=1e-12)


def test_figure(mgus2):
    cs = s.cause_specific("Surv(etime, event) ~ age + hgb", mgus2, cause=2)
    fg = s.fine_gray("Surv(etime, event) ~ hgb", mgus2, cause=2)
    found = s.evaluate({"all": cs, "hgb": fg}, mgus2, [60, 120])
    axes = [ax for ax in found.plot().figure.axes if ax.get_visible()]
    assert len(axes) == 5
    assert "AUC" in axes[0].get_ylabel()
    assert "Observed" in axes[4].get_ylabel()
    assert "Brier" in found.plot(metric="brier").get_ylabel()
    summary = str(found.summary())
    assert "differences" in summary.lower() or "reference" in summary


def test_refusals(pbc, mgus2):
    fit = s.cox("Surv(time, died) ~ age", pbc)
    short = pbc[pbc["time"] < 2000]
    last = short["time"].max()
    with pytest.raises(errors.OptionError, match=rf"horizon 3000: nobody is observed beyond it.*ends at {last}"):
        s.evaluate(fit, short, [1000, 3000])
    with pytest.raises(errors.OptionError, match=rf"'model' cannot predict up to 3000.*last usable horizon is {last}"):
        s.evaluate(s.cox("Surv(time, died) ~ age", short), pbc, [3000])
    with pytest.raises(errors.OutcomeError, match=r"horizon 10: no event by then.*first is at 41"):
        s.evaluate(fit, pbc, [10])
    with pytest.raises(errors.OptionError, match="must be positive"):
        s.evaluate(fit, pbc, [-1])
    with pytest.raises(
        errors.PredictorError, match="model 'age': a Brier score needs risks between 0 and 1, but row 0"
    ):
        s.evaluate("age", pbc, [1000], outcome="Surv(time, died)")
    with pytest.raises(errors.OptionError, match="no model carries a right-censored outcome"):
        s.evaluate("age", pbc, [1000])
    with pytest.raises(errors.OptionError, match="different outcomes"):
        s.evaluate({"a": fit, "b": s.cox("Surv(time, status == 1) ~ age", pbc)}, pbc, [1000])
    with pytest.raises(errors.OutcomeError, match="delayed entry"):
        s.evaluate(fit, pbc.assign(late=1.0), [1000], outcome="Surv(late, time, died)")
    with pytest.raises(errors.OptionError, match="several models need names"):
        s.evaluate([fit, fit], pbc, [1000])
    with pytest.raises(errors.OptionError, match="predicts survival, not the incidence of cause 2"):
        s.evaluate(s.cox("Surv(etime, event == 2) ~ age", mgus2), mgus2, [60], outcome="Surv(etime, event)", cause=2)
    with pytest.raises(errors.OutcomeError, match="2 causes"):
        s.evaluate(s.cause_specific("Surv(etime, event) ~ age", mgus2), mgus2, [60])
    with pytest.raises(errors.OptionError, match="has 3 columns, but there are 2 horizons"):
        s.evaluate(np.zeros((len(pbc), 3)), pbc, [500, 1000], outcome="Surv(time, died)")
    with pytest.raises(errors.OptionError, match=r"shape \(4,\) do not fit the 418 rows"):
        s.evaluate(np.zeros(4), pbc, [500], outcome="Surv(time, died)")
    with pytest.raises(errors.OptionError, match="the index of the predictions"):
        s.evaluate(pbc["age"].sample(frac=1.0, random_state=1), pbc, [500], outcome="Surv(time, died)")
    with pytest.raises(errors.ColumnNotFoundError, match="bilirubin"):
        s.evaluate("bilirubin", pbc, [500], outcome="Surv(time, died)")
    with pytest.raises(errors.OptionError, match="metrics='roc' is not allowed"):
        s.evaluate(fit, pbc, [500], metrics=["roc"])
    with pytest.raises(errors.OptionError, match="reference='x' is not allowed; use 'model' or 'Null model'"):
        s.evaluate(fit, pbc, [500], reference="x")
    with pytest.raises(errors.OptionError, match="Null model"):
        s.evaluate({"Null model": fit}, pbc, [500])
    with pytest.raises(errors.OptionError, match="is a int; give a fit"):
        evaluation_rows({"a": 3}, pbc, outcome="Surv(time, died)")
    frailty = s.cox_frailty("Surv(time, died) ~ age", pbc, frailty="stage")
    with pytest.raises(errors.OptionError, match="is a FrailtyFit; give a fit that predicts survival"):
        s.evaluate(frailty, pbc, [500])
    with pytest.raises(errors.OptionError, match="exponentiate"):
        s.evaluate(fit, pbc, [500]).tidy(exponentiate=True)


def test_an_estimator_that_is_none_of_scikit_learn():
    """Enough that it has predict_survival_function and the names of its features."""

    class Exponential:
        feature_names_in_ = np.array(["x"])

        def predict_survival_function(self, frame):
            from sksurv.functions import StepFunction

            at = np.linspace(0.01, 3, 100)
            return [StepFunction(at, np.exp(-at * np.exp(x))) for x in frame["x"]]

    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=80), "event": rng.integers(0, 2, 80)})
    data["time"] = rng.exponential(np.exp(-data["x"]))
    outcome = "Surv(time, event)"
    metrics = ["auc", "brier", "concordance_harrell"]
    found = s.evaluate({"m": Exponential()}, data, [0.5], outcome=outcome, metrics=metrics).tidy()
    at = np.linspace(0.01, 3, 100)
    risk = 1 - np.exp(-at[at <= 0.5][-1] * np.exp(data["x"].to_numpy()))
    want = s.evaluate({"m": risk}, data, [0.5], outcome=outcome, metrics=metrics).tidy()
    pd.testing.assert_frame_equal(found, want)


def test_tau_must_be_a_number():
    data = simulated()
    with pytest.raises(errors.OptionError, match="tau='3' must be a positive time"):
        s.evaluate({"m": data["x"].to_numpy()}, data, [0.5], outcome="Surv(time, event)", tau="3")
