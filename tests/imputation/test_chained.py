"""Imputation by chained equations: distributions against R's mice, properties, bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import dxa_causal as dc
from dxa_causal._core.errors import (
    ColumnNotFoundError,
    FormulaError,
    ImputationError,
    MissingDataError,
    OptionError,
    PredictorError,
)
from dxa_causal._core.warnings import ImputationWarning
from dxa_causal.imputation.survival_outcome import cumulative_hazard

chained, pool = dc.imputation.chained, dc.imputation.pool
FORMULA = "Surv(time, died) ~ age + grip + sex + group + stage"


def cohort(n=200, seed=1, share=0.2):
    """Numbers, two categories, three unordered and three ordered ones, missing completely at random."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 5)) + 0.7 * rng.normal(size=(n, 1))
    x = pd.DataFrame({"age": 60 + 8 * z[:, 0], "grip": 30 + 6 * z[:, 1]})
    x["sex"] = np.where(z[:, 2] > 0, "male", "female")
    x["group"] = np.array(["a", "b", "c"])[np.digitize(z[:, 3], [-0.5, 0.7])]
    order = ["low", "middle", "high"]
    x["stage"] = pd.Categorical(np.array(order)[np.digitize(z[:, 4], [-0.5, 0.7])], order, ordered=True)
    event_time = rng.exponential(size=n) * np.exp(-0.5 * z[:, 1])
    end = rng.exponential(2.0, size=n)
    x = x.mask(rng.random(x.shape) < share)
    return x.assign(time=np.minimum(event_time, end), died=(event_time <= end) * 1, note="as it came")


@pytest.fixture(scope="module")
def data():
    return cohort()


@pytest.fixture(scope="module")
def imp(data):
    return chained(data, formula=FORMULA, m=4, seed=1, n_iterations=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "methods", "ordered"),
    [
        ("mixed_polr", {"platelet": "norm"}, True),
        ("mixed_polyreg", {"chol": "norm", "platelet": "norm", "ast": "norm"}, False),
    ],
)
def test_distribution_agrees_with_mice(frames, reference, case, methods, ordered):
    """Mean over 200 imputations, each way, of coefficients of a model of the completed data, and its variance."""
    wanted = reference("imputation/expected.json")[case]
    pbc = frames["pbc"].assign(died=lambda d: (d["status"] == 2) * 1)
    pbc["stage"] = pd.Categorical(pbc["stage"], [1, 2, 3, 4], ordered=ordered)
    formula = (
        "Surv(time, died) ~ age + np.log(bili) + I(chol / 100) + I(platelet / 100) + spiders + stage + I(ast / 100)"
    )
    imp = chained(pbc, formula, m=200, seed=3, methods=methods)
    found = pool(imp, lambda d: dc.survival.cox(formula, d.assign(stage=d["stage"].astype(float)))).pooled
    between = np.array(wanted["between"])
    z = (found.estimate - wanted["estimate"]) / np.sqrt((found.between + between) / 200)
    assert np.abs(z).max() < 3.5
    # a ratio of two variances of 200 draws; mice draws no parameters for polr and polyreg, so ours may be larger
    ratio = found.between / between
    low, high = stats.f.ppf([1e-3, 1 - 1e-3], 199, 199)
    assert ratio.min() > low
    assert ratio.max() < 1.05 * high
    # means of variances over 200 random imputations on either side
    np.testing.assert_allclose(found.within, wanted["within"], rtol=0.03)


def test_nelson_aalen_agrees_with_mice(frames, reference):
    pbc = frames["pbc"]
    found = cumulative_hazard(pbc["time"].to_numpy(float), (pbc["status"] == 2).to_numpy(float))
    wanted = np.array(reference("imputation/expected.json")["nelson_aalen"]["values"])
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_nelson_aalen_with_delayed_entry(frames):
    heart = frames["heart"]
    start, stop, event = (heart[c].to_numpy(float) for c in ("start", "stop", "event"))
    found = cumulative_hazard(stop, event, start)
    for i in range(0, len(heart), 17):
        steps = [
            event[stop == t].sum() / ((start < t) & (stop >= t)).sum()
            for t in np.unique(stop[event == 1])
            if start[i] < t <= stop[i]
        ]
        np.testing.assert_allclose(found[i], sum(steps), atol=1e-12)


def test_fills_in_and_leaves_the_rest(data, imp):
    before = data.copy(deep=True)
    for frame in imp.frames:
        assert list(frame.columns) == list(data.columns)
        assert frame.notna().all(axis=None)
        for name in data.columns:
            known = data[name].notna()
            pd.testing.assert_series_equal(frame[name][known], data[name][known])
            assert frame[name].dtype == data[name].dtype
            assert set(frame[name]) <= set(data[name].dropna())  # donors and levels are observed values
    pd.testing.assert_frame_equal(data, before)
    pd.testing.assert_frame_equal(imp.complete(0), data)
    assert imp.missing.set_index("column")["method"].to_dict() == {
        "age": "pmm", "grip": "pmm", "sex": "logreg", "group": "polyreg", "stage": "polr"
    }  # fmt: skip


def assert_same(one, other):
    pd.testing.assert_frame_equal(one.to_long(), other.to_long())
    np.testing.assert_array_equal(one.trace_mean, other.trace_mean)
    np.testing.assert_array_equal(one.trace_sd, other.trace_sd)


@pytest.mark.slow
def test_same_for_any_number_of_jobs(data, imp):
    assert_same(chained(data, formula=FORMULA, m=4, seed=1, n_iterations=5, n_jobs=2), imp)


def test_same_when_extended(data, imp):
    assert_same(chained(data, formula=FORMULA, m=2, seed=1, n_iterations=5).extend(m=4), imp)
    assert not chained(data, formula=FORMULA, m=4, seed=2, n_iterations=5).to_long().equals(imp.to_long())
    with pytest.raises(OptionError, match="4 imputations already"):
        imp.extend(m=3)


def test_a_generator_moves_on(data):
    rng = np.random.default_rng(5)
    first, second = (chained(data, "age ~ grip", m=1, seed=rng, n_iterations=1) for _ in range(2))
    assert not first.complete(1).equals(second.complete(1))


def test_order_and_kind_of_frame_do_not_matter(data, imp):
    polars = pl.from_pandas(data.assign(stage=data["stage"].astype(object)))
    text = data.assign(stage=data["stage"].astype(object))
    first, from_polars = (chained(f, formula=FORMULA, m=1, seed=1, n_iterations=5) for f in (text, polars))
    for name in ("age", "grip", "sex", "group", "stage"):
        assert list(from_polars.complete(1)[name]) == list(first.complete(1)[name])
    labelled = data.set_index(pd.Index([f"p{i}" for i in range(len(data))]))
    other = chained(labelled, formula=FORMULA, m=1, seed=1, n_iterations=5)
    assert list(other.complete(1).index) == list(labelled.index)
    assert list(other.complete(1)["age"]) == list(imp.complete(1)["age"])


def test_units_of_time_do_not_matter(data, imp):
    days = chained(data.assign(time=data["time"] * 365.25), formula=FORMULA, m=1, seed=1, n_iterations=5)
    assert list(days.complete(1)["grip"]) == list(imp.complete(1)["grip"])


@pytest.mark.parametrize("kind", ["Int64", "boolean", "object", "float32"])
def test_types_of_columns_stay(data, kind):
    rng = np.random.default_rng(3)
    values = {"Int64": rng.integers(0, 9, 200), "boolean": rng.random(200) < 0.5, "float32": rng.normal(size=200)}
    column = pd.Series(values.get(kind, values["boolean"])).astype(kind)
    column = column.mask(rng.random(200) < 0.2)
    frame = data.assign(column=column)
    done = chained(frame, "age ~ grip + column", m=2, seed=1, n_iterations=2).complete(1)["column"]
    assert done.notna().all()
    assert done.dtype == (bool if kind == "object" else np.float64 if kind == "float32" else column.dtype)


def test_recovers_a_regression():
    """Half the values of x missing by y: complete cases are biased, imputations are not."""
    rng = np.random.default_rng(7)
    n = 4000
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    frame = pd.DataFrame({"x": np.where(rng.random(n) < 1 / (1 + np.exp(-2 * y)), np.nan, x), "y": y})

    def slope(d):
        return float(np.cov(d["y"], d["x"])[0, 1] / d["x"].var()), 0.02

    for method in ("pmm", "norm"):
        imp = chained(frame, "y ~ x", m=10, seed=1, methods={"x": method}, n_iterations=1)
        assert abs(pool(imp, slope).tidy()["estimate"].item() - 1) < 0.06
    assert abs(slope(frame.dropna())[0] - 1) > 0.1


def test_draws_are_proper():
    """Without predictors the mean of a normal draw varies by its own error and that of the parameters."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": rng.normal(size=60)})
    frame.loc[:29, "x"] = np.nan
    imp = chained(frame, "y ~ x", m=2000, seed=1, methods={"x": "norm"}, predictors={"x": []}, n_iterations=1)
    known = frame["x"].dropna().to_numpy()
    means = imp.columns[0].values.mean(axis=1)
    # E sigma^2 (1/30 + 1/30), sigma^2 = RSS / chi2(29), of mean RSS / 27
    wanted = ((known - known.mean()) ** 2).sum() / 27 * (2 / 30)
    assert abs(means.mean() - known.mean()) < 4 * np.sqrt(wanted / 2000)
    assert abs(means.var() / wanted - 1) < 0.15


def test_categories_are_drawn_at_their_odds():
    rng = np.random.default_rng(9)
    n = 6000
    x = rng.integers(0, 2, n)
    level = np.where(rng.random(n) < np.where(x == 1, 0.6, 0.2), "b", np.where(rng.random(n) < 0.5, "a", "c"))
    truth = pd.DataFrame({"x": x, "level": level})
    frame = truth.assign(level=truth["level"].where(np.arange(n) % 2 == 0))
    wanted = truth[::2].groupby("x")["level"].value_counts(normalize=True)
    ordered = frame.assign(level=pd.Categorical(frame["level"], ["a", "b", "c"], ordered=True))
    for given, tolerance in ((frame, 0.03), (ordered, 0.25)):  # odds are not proportional here
        imp = chained(given, "x ~ level", m=4, seed=1, n_iterations=1)
        filled = pd.concat([f.iloc[1::2] for f in imp.frames])
        found = filled.groupby("x")["level"].value_counts(normalize=True)
        assert max(abs(found[k] - wanted[k]) for k in wanted.index) < tolerance


def test_computed_columns_stay_true(data):
    frame = data.assign(height=np.where(np.arange(200) % 7 == 0, np.nan, 1.5 + np.arange(200) % 13 / 30))
    imp = chained(
        frame,
        "Surv(time, died) ~ age + ratio",
        auxiliary=["sex"],
        derived={"ratio": "grip / height**2", "log_ratio": "log(ratio)", "male": "sex == 'male'"},
        m=2,
        seed=1,
        n_iterations=3,
    )
    for d in imp.frames:
        np.testing.assert_allclose(d["ratio"], d["grip"] / d["height"] ** 2)
        np.testing.assert_allclose(d["log_ratio"], np.log(d["ratio"]))
        np.testing.assert_array_equal(d["male"], d["sex"] == "male")
    place = imp.plan.place
    for target in imp.plan.targets:
        own = {"grip": ("ratio", "log_ratio"), "height": ("ratio", "log_ratio"), "sex": ("male",)}.get(target.name, ())
        assert not {place[name].start for name in own} & set(target.predictors)
    with pytest.warns(ImputationWarning, match="known in .* rows where 'grip' or 'height' is missing"):
        chained(frame.assign(ratio=15.0), "age ~ ratio", derived={"ratio": "grip / height**2"}, m=1, n_iterations=1)


def test_time_itself_predicts_nothing(data, imp):
    """A survival outcome stands in the models as event and cumulative hazard: two columns after the ones."""
    assert min(v.start for v in imp.plan.place.values()) == 3
    assert "time" not in imp.plan.variables
    hazard = cumulative_hazard(data["time"].to_numpy(), data["died"].to_numpy(float))
    np.testing.assert_allclose(imp.plan.design[:, 2], (hazard - hazard.mean()) / hazard.std())
    causes = chained(data.assign(cause=data["died"] * (1 + np.arange(200) % 2)), "Surv(time, cause) ~ age", m=1)
    assert causes.plan.place["age"].start == 5
    visits = data.assign(right=np.where(data["died"] == 1, data["time"] + 1, np.inf))
    interval = chained(visits, "Surv(time, right, type='interval') ~ age + grip", m=1, n_iterations=1)
    assert interval.plan.place["age"].start == 3


def test_predictors_are_chosen(data):
    imp = chained(data, FORMULA, m=1, seed=1, predictors={"grip": ["sex"]}, n_iterations=1)
    grip = next(t for t in imp.plan.targets if t.name == "grip")
    place = imp.plan.place
    assert set(grip.predictors) == {0, 1, 2, place["sex"].start}


def test_nothing_missing(data):
    whole = data.dropna()
    imp = chained(whole, FORMULA, m=3, seed=1)
    assert imp.m == 3
    assert all(frame.equals(whole) for frame in imp.frames)
    assert "nothing is missing" in str(imp)
    assert len(imp.tidy()) == 0
    imp.plot_missing()


def test_perfect_prediction_of_a_category_is_harmless():
    rng = np.random.default_rng(4)
    x = rng.normal(size=300)
    frame = pd.DataFrame({"x": x, "sign": np.where(x > 0, "plus", "minus"), "y": rng.normal(size=300)})
    frame.loc[rng.random(300) < 0.3, "sign"] = np.nan
    imp = chained(frame, "y ~ x + sign", m=3, seed=1, n_iterations=2)
    right = (imp.complete(1)["sign"] == np.where(x > 0, "plus", "minus")).mean()
    assert right > 0.95


def test_determined_columns_are_named(data):
    pounds = data.assign(pounds=2.2046 * data["grip"])
    pounds.loc[::5, "pounds"] = np.nan
    with pytest.warns(ImputationWarning, match="'pounds' is determined by 'grip'"):
        imp = chained(pounds, "Surv(time, died) ~ age + grip + pounds", m=2, seed=1, n_iterations=3)
    assert imp.complete(1).notna().all(axis=None) is not None
    with pytest.warns(ImputationWarning, match="'total' is determined by 'grip', 'age'"):
        chained(data.assign(total=data["age"] + data["grip"]), "sex ~ age + grip + total", m=1, n_iterations=1)
    with pytest.warns(ImputationWarning, match="holds one value in all 150 rows"):
        filled = chained(
            data.assign(site=np.where(np.arange(200) < 50, np.nan, 3.0)), "age ~ site + grip", m=1, n_iterations=1
        )
    assert (filled.complete(1)["site"] == 3).all()


def test_bad_columns_are_refused(data):
    def fails(error, message, **columns):
        with pytest.raises(error, match=message):
            chained(data.assign(**columns), "age ~ grip + extra", m=1)

    fails(ImputationError, "'extra' has no value in any of the 200 rows", extra=np.nan)
    fails(PredictorError, "'extra' is infinite in 1 rows, first row 0", extra=[np.inf, *range(199)])
    fails(PredictorError, "holds dates", extra=pd.Timestamp("2020-01-01"))
    fails(PredictorError, "numbers the rows one by one", extra=range(200))
    fails(PredictorError, "another text in every row", extra=[f"id{i}" for i in range(200)])
    fails(PredictorError, "holds numbers, but text in 1", extra=["1.5?", *[f"{i}" for i in range(199)]])
    few = np.where(np.arange(200) < 3, [*range(200)], np.nan)
    fails(ImputationError, "known in 3 rows, too few", extra=few)
    many = pd.Series([f"v{i % 60}" for i in range(200)]).where(np.arange(200) != 7)
    fails(ImputationError, "60 categories", extra=many)


def test_missing_outcome_is_refused(data):
    frame = data.assign(died=data["died"].where(data.index != 11))
    with pytest.raises(MissingDataError, match=r"missing in 1 rows, 'died' in 1 of them, first row 11.*dropna"):
        chained(frame, FORMULA, m=1)


def test_options_are_checked(data):
    with pytest.raises(OptionError, match="m=0"):
        chained(data, FORMULA, m=0)
    with pytest.raises(OptionError, match="does not suit categories; use 'polyreg'"):
        chained(data, FORMULA, methods={"group": "norm"})
    with pytest.raises(OptionError, match="did you mean 'pmm'"):
        chained(data, FORMULA, methods={"age": "pm"})
    with pytest.raises(OptionError, match="'note' takes no part"):
        chained(data, FORMULA, methods={"note": "pmm"})
    with pytest.raises(OptionError, match=r"predictors\['age'\]='sex' must be a list"):
        chained(data, FORMULA, predictors={"age": "sex"})
    with pytest.raises(ColumnNotFoundError, match="no column 'grib'"):
        chained(data, FORMULA, auxiliary=["grib"])
    with pytest.raises(ColumnNotFoundError, match="derived"):
        chained(data, FORMULA, derived={"bmi": "weight / 2"})
    with pytest.raises(FormulaError, match="cannot be read"):
        chained(data, FORMULA, derived={"bmi": "weight /"})
    with pytest.raises(ImputationError, match="not finite"):
        chained(data, "age ~ grip", derived={"bad": "log(grip - grip)"}, m=1)
    with pytest.raises(OptionError, match="numbered 1 to 1"):
        chained(data, "age ~ grip", m=1, n_iterations=1).complete(2)


def test_a_whole_frame_without_formula(data):
    imp = chained(data.drop(columns=["time", "died"]), m=1, seed=1, exclude=["note"], n_iterations=1)
    assert set(imp.plan.variables) == {"age", "grip", "sex", "group", "stage"}


def test_figures(imp):
    assert imp.plot(column="grip").get_ylabel() == "Mean of imputed grip"
    assert imp.plot_density("grip").get_xlabel() == "grip"
    assert [t.get_text() for t in imp.plot_density("stage").get_xticklabels()] == ["low", "middle", "high"]
    imp.plot_strip("grip")
    imp.plot_strip("sex")
    assert imp.missing_patterns["n"].sum() == 200
    imp.plot_missing()
    with pytest.raises(OptionError, match="nothing was filled in"):
        imp.plot_density("time")


def test_chains_that_disagree_are_seen():
    """Two copies of one unknown never mix where both are missing; one is left out of the other's model."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    frame = pd.DataFrame({"a": x, "b": x + rng.normal(scale=0.06, size=400), "y": x + rng.normal(size=400)})
    frame.loc[:199, ["a", "b"]] = np.nan
    stuck = chained(frame, "y ~ a + b", m=5, seed=1, methods="norm", n_iterations=10)
    mixed = chained(frame, "y ~ a + b", m=5, seed=1, methods="norm", predictors={"a": ["y"]}, n_iterations=10)
    assert stuck.r_hat["a"] > 1.5 > mixed.r_hat["a"]
