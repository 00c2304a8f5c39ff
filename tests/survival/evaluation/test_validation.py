"""Optimism, nested cross-validation, sites and subgroups against slow twins; random effects by their likelihood."""

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, DxaCausalError, OptionError, PredictorError
from dxa_causal._core.warnings import ConvergenceWarning
from dxa_causal.survival._kernels.random_effects import random_effects

s = dc.survival

OUTCOME = "Surv(time, died)"
METRICS = ["concordance_harrell", "auc", "brier", "calibration_slope"]


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(11)
    n = 400
    x, z = rng.normal(size=n), rng.normal(size=n)
    event_time, end = rng.exponential(np.exp(-0.8 * x)), rng.uniform(0.5, 4, n)
    died = (event_time <= end).astype(int)
    columns = {"x": x, "z": z, "time": np.minimum(event_time, end), "died": died}
    return pd.DataFrame(columns).assign(site=np.repeat(list("abcd"), 100), sex=np.tile(["f", "m"], 200))


def make(frame):
    return s.cox("Surv(time, died) ~ x + z", frame)


def one_model(fit, frame, metrics=METRICS):
    """The metrics of a model by the functions for users."""
    chosen = [m for m in metrics if m != "calibration_slope"]
    found = s.evaluate({"model": fit}, frame, [1.0], metrics=chosen).tidy().query("model == 'model'")
    slope = s.calibration({"model": fit}, frame, horizon=1.0).tidy().query("metric == 'slope'")
    both = pd.concat([found, slope.assign(metric="calibration_slope")])
    return both.set_index("metric")[["estimate", "std_error"]].loc[metrics]


# random effects ---------------------------------------------------------------------------------------------------


def test_random_effects_maximise_the_restricted_likelihood():
    y, v = np.array([0.1, 0.6, -0.2, 0.9, 0.4]), np.array([0.02, 0.05, 0.04, 0.1, 0.01])

    def minus(tau2):
        w = 1 / (v + tau2)
        mean = w @ y / w.sum()
        return 0.5 * (np.log(v + tau2).sum() + np.log(w.sum()) + w @ (y - mean) ** 2)

    found = random_effects(y, v, reml=True)
    best = minimize_scalar(minus, bounds=(0, 2), method="bounded", options={"xatol": 1e-12}).x
    np.testing.assert_allclose(found.tau2, best, rtol=1e-5)
    w = 1 / (v + found.tau2)
    np.testing.assert_allclose(found.estimate, w @ y / w.sum())
    scale = w @ (y - found.estimate) ** 2 / 4
    np.testing.assert_allclose(found.std_error**2, max(1, scale) / w.sum())
    np.testing.assert_allclose(found.prediction_error**2, found.tau2 + max(1, scale) / w.sum())
    moments = random_effects(y, v, reml=False)
    w = 1 / v
    q = w @ (y - w @ y / w.sum()) ** 2
    np.testing.assert_allclose([moments.q, moments.tau2], [q, (q - 4) / (w.sum() - w @ w / w.sum())])
    assert random_effects(np.array([1.0, 1.001]), np.ones(2), reml=True).tau2 == 0.0


# optimism -----------------------------------------------------------------------------------------------------------


def test_optimism_equals_a_twin_on_the_same_samples(cohort):
    found = s.optimism(make, cohort, 1.0, metrics=METRICS, n_resamples=4, seed=2)
    apparent = one_model(make(cohort), cohort)["estimate"]
    flattery = []
    for rng in np.random.default_rng(2).spawn(5)[:4]:
        sample = cohort.iloc[rng.integers(400, size=400)].reset_index(drop=True)
        fit = make(sample)
        flattery.append(one_model(fit, sample)["estimate"] - one_model(fit, cohort)["estimate"])
    twin = apparent - np.mean(flattery, axis=0)
    table = found.tidy().set_index("metric")
    np.testing.assert_allclose(table.loc[METRICS, "estimate"], twin[METRICS], rtol=1e-9)
    np.testing.assert_allclose(table.loc[METRICS, "apparent"], apparent[METRICS], rtol=1e-9)
    np.testing.assert_allclose(table["apparent"] - table["optimism"], table["estimate"])
    assert (table["conf_low"] < table["conf_high"]).all()
    found.plot()


def test_632_and_632_plus(cohort):
    plain = s.optimism(make, cohort, 1.0, metrics=["auc", "brier"], correction="632", n_resamples=4, seed=2)
    outside = plain.outside.mean(axis=0)
    apparent = plain.apparent["estimate"].to_numpy()
    np.testing.assert_allclose(plain.corrected, 0.368 * apparent + 0.632 * outside)
    plus = s.optimism(make, cohort, 1.0, metrics=["auc"], correction="632+", n_resamples=4, seed=2)
    low = min(outside[0], apparent[0])
    overfit = (low - apparent[0]) / (0.5 - apparent[0])
    weight = 0.632 / (1 - 0.368 * overfit)
    np.testing.assert_allclose(plus.corrected, (1 - weight) * apparent[:1] + weight * low)
    brier = s.optimism(make, cohort, 1.0, metrics=["brier"], correction="632+", n_resamples=4, seed=2)
    assert brier.corrected[0] >= brier.apparent["estimate"].iloc[0]
    with pytest.raises(OptionError, match="does not know what 'calibration_slope'"):
        s.optimism(make, cohort, 1.0, metrics=["calibration_slope"], correction="632+", n_resamples=4)


def test_optimism_of_noise_is_large_and_jobs_do_not_matter(cohort):
    rng = np.random.default_rng(1)
    noise = cohort.assign(**{f"n{k}": rng.normal(size=400) for k in range(20)}).head(120)
    formula = "Surv(time, died) ~ " + " + ".join(f"n{k}" for k in range(20))

    def fit(frame):
        return s.cox(formula, frame)

    one = s.optimism(fit, noise, 1.0, metrics=["concordance_harrell"], n_resamples=12, seed=5)
    with joblib.parallel_config("threading"):
        two = s.optimism(fit, noise, 1.0, metrics=["concordance_harrell"], n_resamples=12, seed=5, n_jobs=2)
    np.testing.assert_array_equal(one.training, two.training)
    assert one.optimism[0] > 0.08
    assert one.corrected[0] < 0.58


def test_scores_of_the_user_and_failed_samples(cohort):
    def fit(frame):
        if frame["x"].iloc[0] > 0.5:  # a sample that cannot be fitted
            raise PredictorError("no")
        return make(frame)

    start = cohort.sort_values("x")
    with pytest.warns(ConvergenceWarning, match="bootstrap samples give no model"):
        found = s.optimism(
            fit, start, 1.0, metrics={"coefficient": lambda m, frame: m.coefficients[0]}, n_resamples=12, seed=3
        )
    assert found.n_failed == found.glance()["n_failed"].iloc[0] > 0
    assert found.tidy()["metric"].tolist() == ["coefficient"]
    assert found.optimism[0] == 0.0


# sites ----------------------------------------------------------------------------------------------------------------


def test_sites_equal_models_made_without_them(cohort):
    found = s.internal_external(make, cohort, 1.0, site="site", metrics=METRICS)
    table = found.tidy()
    for label in "abcd":
        here = cohort["site"] == label
        twin = one_model(make(cohort[~here]), cohort[here])
        own = table[table["group"] == label].set_index("metric").loc[METRICS]
        np.testing.assert_allclose(own[["estimate", "std_error"]], twin, rtol=1e-9)
        assert (own["n"] == 100).all()
        assert (own["conf_low"] < own["estimate"]).all()
    own = found.sites.query("metric == 'auc'")
    logit, error = (
        np.log(own["estimate"] / (1 - own["estimate"])),
        own["std_error"] / (own["estimate"] * (1 - own["estimate"])),
    )
    twin = random_effects(logit.to_numpy(), error.to_numpy() ** 2, reml=True)
    pooled = table[(table["group"] == "pooled") & (table["metric"] == "auc")].iloc[0]
    np.testing.assert_allclose(pooled["estimate"], 1 / (1 + np.exp(-twin.estimate)), rtol=1e-12)
    new = table[(table["group"] == "a new site") & (table["metric"] == "auc")].iloc[0]
    assert new["conf_low"] < pooled["conf_low"]
    assert new["conf_high"] > pooled["conf_high"]
    assert found.heterogeneity("auc").df == 3
    found.plot()
    assert "variance between sites" in str(found)


def test_a_site_that_cannot_be_judged_says_why(cohort):
    early = cohort.assign(died=np.where(cohort["site"] == "d", 0, cohort["died"]))
    found = s.internal_external(make, early, 1.0, site="site", metrics=["auc"]).tidy()
    row = found[found["group"] == "d"].iloc[0]
    assert np.isnan(row["estimate"])
    assert "no event" in row["reason"]
    two = s.internal_external(make, cohort, 1.0, site="sex", metrics=["auc"]).tidy().set_index("group")
    assert "needs 3 sites" in two.loc["a new site", "reason"]
    with pytest.raises(PredictorError, match="two or more"):
        s.internal_external(make, cohort.assign(one=1), 1.0, site="one")
    with pytest.raises(ColumnNotFoundError, match="no column 'sit'"):
        s.internal_external(make, cohort, 1.0, site="sit")


# subgroups ------------------------------------------------------------------------------------------------------------


def test_subgroups_equal_their_rows(cohort):
    fit = make(cohort.iloc[::2])
    test = cohort.iloc[1::2].assign(sex=lambda d: np.where(d["site"].isin(["a", "c"]), "f", "m"))
    found = s.evaluate_subgroups({"model": fit}, test, 1.0, by=["sex", "site"], metrics=METRICS)
    table = found.tidy()
    for level in "fm":
        twin = one_model(fit, test[test["sex"] == level])
        own = table[table["level"] == level].set_index("metric").loc[METRICS]
        np.testing.assert_allclose(own[["estimate", "std_error"]], twin, rtol=1e-9)
    whole = table[table["group"] == "all"].set_index("metric").loc[METRICS]
    np.testing.assert_allclose(whole["estimate"], one_model(fit, test)["estimate"], rtol=1e-9)
    tests = found.heterogeneity().query("group == 'sex' and metric == 'brier'").iloc[0]
    a, b = (table[(table["level"] == g) & (table["metric"] == "brier")].iloc[0] for g in "fm")
    q = (a["estimate"] - b["estimate"]) ** 2 / (a["std_error"] ** 2 + b["std_error"] ** 2)
    np.testing.assert_allclose(tests["statistic"], q)
    found.plot()


def test_small_subgroups_say_why_and_missing_levels_are_noted(cohort):
    fit = make(cohort.iloc[::2])
    test = cohort.iloc[1::2].reset_index(drop=True)
    test["rare"] = np.where(test.index < 6, "few", np.where(test.index < 20, None, "many"))
    risk = 1 - fit.predict(test, type="survival", times=[1.0])["estimate"].to_numpy()
    found = s.evaluate_subgroups({"risk": risk}, test, 1.0, by=["rare"], outcome=OUTCOME, metrics=["auc", "brier"])
    table = found.tidy()
    assert table[table["level"] == "few"]["reason"].str.contains("fewer than min_events=10").all()
    assert "14 rows without 'rare'" in str(found)
    many = s.evaluate({"risk": risk[20:]}, test.iloc[20:], [1.0], outcome=OUTCOME, metrics=["auc"]).tidy()
    own = table[(table["level"] == "many") & (table["metric"] == "auc")]
    np.testing.assert_allclose(own["estimate"], many["estimate"])
    with pytest.raises(PredictorError, match="cut them into bands"):
        s.evaluate_subgroups(fit, test, 1.0, by=["x"])
    with pytest.raises(OptionError, match="no subgroup can be judged"):
        s.evaluate_subgroups(fit, test, 1.0, by=["sex"], min_events=1000)


# nested cross-validation ------------------------------------------------------------------------------------------


def test_nested_cross_validation_equals_a_twin(cohort):
    seen = []

    def fit(frame):
        seen.append(frame.index)
        return make(frame)

    found = s.nested_cross_validation({"cox": fit}, cohort, 1.0, outcome=OUTCOME, folds=3, metrics=METRICS, seed=4)
    values = []
    for k in (1, 2, 3):
        out = found.fold == k
        assert set(seen[k - 1]) == set(cohort.index[~out])  # nothing left out was seen
        values.append(one_model(make(cohort[~out]), cohort[out])["estimate"])
    table = found.tidy().set_index("metric").loc[METRICS]
    np.testing.assert_allclose(table["estimate"], np.mean(values, axis=0), rtol=1e-9)
    np.testing.assert_allclose(table["std_error"], np.std(values, axis=0, ddof=1) / np.sqrt(3), rtol=1e-7)
    events = [cohort["died"][found.fold == k].sum() for k in (1, 2, 3)]
    assert max(events) - min(events) <= 1
    found.plot()


def test_estimators_are_tuned_inside_every_fold(cohort):
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    options = {"outcome": OUTCOME, "features": ["x", "z"], "folds": 2, "inner_folds": 2, "metrics": ["auc"], "seed": 1}
    found = s.nested_cross_validation(
        {"ridge": CoxPHSurvivalAnalysis()}, cohort, 1.0, grids={"ridge": {"alpha": [0.01, 1e6]}}, **options
    )
    assert found.chosen["parameter"].tolist() == ["alpha", "alpha"]
    assert set(found.chosen["fold"]) == {1, 2}
    with joblib.parallel_config("threading"):
        other = s.nested_cross_validation(
            {"ridge": CoxPHSurvivalAnalysis()},
            cohort,
            1.0,
            grids={"ridge": {"alpha": [0.01, 1e6]}},
            n_jobs=2,
            **options,
        )
    pd.testing.assert_frame_equal(found.folds, other.folds)


def test_nested_bad_input(cohort):
    with pytest.raises(OptionError, match="folds=1"):
        s.nested_cross_validation({"cox": make}, cohort, 1.0, outcome=OUTCOME, folds=1)
    with pytest.raises(OptionError, match="not the name of an estimator"):
        s.nested_cross_validation({"cox": make}, cohort, 1.0, outcome=OUTCOME, grids={"cox": {}})
    with pytest.raises(OptionError, match="must name each procedure"):
        s.nested_cross_validation(make, cohort, 1.0, outcome=OUTCOME)
    with pytest.raises(OptionError, match="metrics='aucc'.*did you mean 'auc'"):
        s.nested_cross_validation({"cox": make}, cohort, 1.0, outcome=OUTCOME, metrics=["aucc"])
    with pytest.raises(OptionError, match="model 'cox' is a CoxFit; give a function"):
        s.nested_cross_validation({"cox": make(cohort)}, cohort, 1.0, outcome=OUTCOME)
    net = {"net": s.CoxNet()}
    with pytest.raises(OptionError, match="features='x' must be a list"):
        s.nested_cross_validation(net, cohort, 1.0, outcome=OUTCOME, features="x")
    with pytest.raises(OptionError, match=r"grids\['net'\]: parameter='alpha'"):
        s.nested_cross_validation(net, cohort, 1.0, outcome=OUTCOME, features=["x"], grids={"net": {"alpha": [1]}})
    with pytest.raises(OptionError, match="must be a list of values"):
        s.nested_cross_validation(net, cohort, 1.0, outcome=OUTCOME, features=["x"], grids={"net": {"l1_ratio": 0.5}})


def test_folds_without_a_value_are_told():
    rng = np.random.default_rng(5)
    x = rng.integers(0, 3, 200) * 1.0
    data = pd.DataFrame({"x": x, "time": rng.exponential(size=200), "died": 1})

    def scores(model, frame):
        return np.nan if frame["x"].iloc[0] == data["x"].iloc[frame.index].max() else 0.5

    found = s.nested_cross_validation(
        {"cox": lambda frame: s.cox("Surv(time, died) ~ x", frame)},
        data,
        1.0,
        outcome=OUTCOME,
        metrics={"half": scores},
        seed=1,
    )
    lost = int(found.folds["estimate"].isna().sum())
    assert 0 < lost < 5
    assert found.tidy()["reason"].tolist() == [f"no value in {lost} of 5 folds"]
    assert found.tidy()["estimate"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("horizon", "options", "message"),
    [
        ([1.0, 2.0], {}, "must be one time"),
        ("four", {}, "must be numbers"),
        (-1.0, {"metrics": ["calibration_slope"]}, "positive, finite"),
        (1.0, {"metrics": {}}, "metrics is empty"),
        (1.0, {"metrics": {"k": 3}}, "must be a function"),
        (1.0, {"metrics": {"k": lambda model, frame: "a"}}, "returned str, not a number"),
        (1.0, {"metrics": {"k": lambda model, frame: np.nan}}, "'k' has no value on the data themselves"),
    ],
)
def test_what_optimism_cannot_measure(horizon, options, message, cohort):
    with pytest.raises(DxaCausalError, match=message):
        s.optimism(make, cohort, horizon, n_resamples=2, seed=1, **options)


def test_optimism_counts_the_rows_it_judges(cohort):
    found = s.optimism(make, cohort.assign(x=cohort["x"].where(cohort.index > 9)), 1.0, n_resamples=2, seed=1)
    assert (found.nobs, found.provenance.n_rows, found.provenance.n_dropped) == (390, 400, 10)


def test_columns_of_sites_and_groups(cohort):
    with pytest.raises(OptionError, match="must name one column"):
        s.internal_external(make, cohort, 1.0, site=["site"])
    twice = s.evaluate_subgroups(make(cohort), cohort, 1.0, by=["sex", "sex"], metrics=["auc"]).tidy()
    assert twice["level"].tolist() == ["all", "f", "m"]
    with pytest.raises(OptionError, match="min_events='10'"):
        s.evaluate_subgroups(make(cohort), cohort, 1.0, by="sex", min_events="10")


@pytest.mark.parametrize(
    ("metrics", "at"),
    [(["auc", "concordance_harrell"], 0.5), (["brier"], 0.0), (["calibration_slope"], 1.0), (["auc", "brier"], 0.0)],
)
def test_the_line_in_a_figure_fits_the_metric(metrics, at, cohort):
    found = s.optimism(make, cohort, 1.0, metrics=metrics, n_resamples=2, seed=1)
    assert at in [line.get_xdata()[0] for line in found.plot().lines]
