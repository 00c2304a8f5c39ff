"""The contract of scikit-learn, and forests, boosting, stacking and importance."""

import inspect
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import (
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

import dxa_causal as dc
from dxa_causal._core.errors import (
    ColumnNotFoundError,
    EmptyDataError,
    FormulaError,
    LeakageError,
    MissingDataError,
    OptionError,
    OutcomeError,
    PredictorError,
)
from dxa_causal._core.selected_rows import KEY, SelectedRows, row_signatures
from dxa_causal._core.warnings import HorizonWarning
from dxa_causal.survival.learners.stacking import convex_weights, ipcw_targets

s = dc.survival
TIMES = [100.0, 300.0, 600.0]


@pytest.fixture(scope="module")
def lung(frames):
    data = frames["lung"][["time", "status", "age", "sex", "ph.ecog", "wt.loss"]].dropna().reset_index(drop=True)
    return data.rename(columns={"ph.ecog": "ecog", "wt.loss": "loss"})


@pytest.fixture(scope="module")
def x(lung):
    return lung[["age", "sex", "ecog", "loss"]].astype(float)


@pytest.fixture(scope="module")
def y(lung):
    return s.survival_outcome(lung["time"], lung["status"])


LEARNERS = {
    "coxnet": s.CoxNet(cv=3, n_lambdas=10, seed=1),
    "forest": s.RandomSurvivalForest(10, min_samples_leaf=10, seed=1),
    "boosting": s.GradientBoostedSurvival(10, max_depth=2, seed=1),
    "stack": s.StackedSurvival(
        [("cox", s.CoxNet(lambdas=[0.01])), ("forest", s.RandomSurvivalForest(5, min_samples_leaf=20, seed=1))],
        cv=3,
        seed=1,
    ),
}


@pytest.fixture(scope="module")
def fitted(x, y):
    return {name: clone(learner).fit(x, y) for name, learner in LEARNERS.items()}


# -- outcome -----------------------------------------------------------------------------------------------------------


def test_outcome():
    frame = pd.DataFrame({"t": [2.0, 3.0], "state": [1, 2], "from": [0.0, 1.0]})
    y = s.survival_outcome("Surv(t, state == 2)", frame)
    assert y.dtype == np.dtype([("event", bool), ("time", float)])
    assert y.tolist() == [(False, 2.0), (True, 3.0)]
    assert s.survival_outcome("Surv(t, state == 2)", pl.from_pandas(frame)).tolist() == y.tolist()
    delayed = s.survival_outcome("Surv(`from`, t, state == 2)", frame)
    assert delayed["entry"].tolist() == [0.0, 1.0]
    from sksurv.util import check_y_survival

    check_y_survival(y)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0, 2.0], [1, 2]), OutcomeError, "R's coding"),
        (([1.0, 2.0, 3.0], [0, 1, 2]), OutcomeError, "name one event"),
        (([1.0, -2.0], [1, 0]), OutcomeError, "not negative"),
        (([1.0], [1, 0]), OutcomeError, "1 times and 2 events"),
        (([1.0, np.nan], [1, 0]), MissingDataError, "'time' is missing in 1 rows, first row 1"),
        (([1.0, 2.0], [1, np.nan]), MissingDataError, "'event' is missing in 1 rows, first row 1"),
        (("time", pd.DataFrame({"time": [1.0]})), FormulaError, "write 'Surv"),
        (([1.0],), OptionError, "takes the times and the events"),
    ],
)
def test_bad_outcome(arguments, error, message):
    with pytest.raises(error, match=message):
        s.survival_outcome(*arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda y: None, "but is missing"),
        (lambda y: y["time"], r"of shape \(213,\); make it with survival_outcome"),
        (lambda y: y[:5], "X has 213 rows and y has 5"),
        (lambda y: np.rec.fromarrays([y["event"] + 1, y["time"]], names="event,time"), "holds 1, 2"),
        (lambda y: np.rec.fromarrays([y["event"] * 2 + y["event"][::-1], y["time"]], names="e,t"), "several causes"),
        (lambda y: np.rec.fromarrays([y["event"], -y["time"]], names="e,t"), "finite and not negative"),
    ],
)
@pytest.mark.parametrize("name", ["coxnet", "forest"])
def test_wrong_y(name, make, message, x, y):
    with pytest.raises(OutcomeError, match=message):
        clone(LEARNERS[name]).fit(x, make(y))


def test_delayed_entry_is_for_coxnet_only(x, lung):
    delayed = s.survival_outcome("Surv(entry, time, status)", lung.assign(entry=lung["time"] / 2))
    s.CoxNet(lambdas=[0.1]).fit(x, delayed)
    for name in ("forest", "boosting", "stack"):
        with pytest.raises(OutcomeError, match="only CoxNet can"):
            clone(LEARNERS[name]).fit(x, delayed)


# -- the contract of scikit-learn --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coxnet", "forest", "boosting"])
def test_checks_of_scikit_learn(name):
    learner = LEARNERS[name]
    kind = type(learner).__name__
    check_parameters_default_constructible(kind, clone(learner))
    check_no_attributes_set_in_init(kind, clone(learner))
    check_get_params_invariance(kind, clone(learner))
    check_set_params(kind, clone(learner))


@pytest.mark.parametrize("name", LEARNERS)
def test_contract(name, fitted, x, y):
    learner, model = LEARNERS[name], fitted[name]
    before = pickle.dumps(clone(learner))
    assert model is not learner
    assert clone(model).get_params(deep=False).keys() == learner.get_params(deep=False).keys()
    assert pickle.dumps(clone(model)) == before  # fitting changed no parameter
    assert model.fit(x, y) is model
    assert model.n_features_in_ == 4
    assert model.feature_names_in_.tolist() == ["age", "sex", "ecog", "loss"]
    risk = model.predict(x)
    assert risk.shape == (213,)
    np.testing.assert_array_equal(clone(learner).fit(x, y).predict(x), risk)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), risk)
    assert 0.6 < model.score(x, y) < 0.9
    with pytest.raises(NotFittedError, match="has not been fitted"):
        clone(learner).predict(x)
    for parameter in inspect.signature(type(learner).__init__).parameters:
        assert parameter == "self" or parameter in type(learner).__doc__


@pytest.mark.parametrize("name", LEARNERS)
def test_higher_risk_means_an_earlier_event(name, fitted, x, y):
    from sksurv.metrics import concordance_index_censored

    risk = fitted[name].predict(x)
    assert fitted[name].score(x, y) == pytest.approx(concordance_index_censored(y["event"], y["time"], risk)[0])
    expected = fitted[name].predict_survival_function(x, [300.0])[:, 0]
    assert np.corrcoef(risk, expected)[0, 1] < -0.7


@pytest.mark.parametrize("name", LEARNERS)
def test_survival_functions(name, fitted, x, y):
    model = fitted[name]
    curves = model.predict_survival_function(x, TIMES)
    assert curves.shape == (213, 3)
    assert ((curves >= 0) & (curves <= 1)).all()
    assert (np.diff(curves, axis=1) <= 0).all()
    functions = model.predict_survival_function(x.head(5))
    np.testing.assert_allclose([f(TIMES) for f in functions], curves[:5], rtol=1e-12)
    assert functions[0](0.0) == 1.0
    table = model.predict_survival_function(x.head(5), return_array=True)
    assert table.shape == (5, model.unique_times_.size)
    assert model.unique_times_[-1] == y["time"].max()
    with pytest.warns(HorizonWarning, match="time 5000 lies beyond the last observation"):
        late = model.predict_survival_function(x.head(5), [5000.0])
    np.testing.assert_allclose(late[:, 0], table[:, -1])


@pytest.mark.parametrize("name", LEARNERS)
def test_frames_of_any_kind_and_order(name, fitted, x, y):
    model = fitted[name]
    risk = model.predict(x)
    np.testing.assert_allclose(model.predict(x[["loss", "age", "ecog", "sex"]].assign(other="text")), risk, rtol=1e-12)
    np.testing.assert_allclose(model.predict(pl.from_pandas(x)), risk, rtol=1e-12)
    np.testing.assert_allclose(clone(model).fit(pl.from_pandas(x), y).predict(x), risk, rtol=1e-12)
    array = clone(model).fit(x.to_numpy(), y)
    np.testing.assert_allclose(array.predict(x.to_numpy()), risk, rtol=1e-12)
    assert not hasattr(array, "feature_names_in_")
    with pytest.raises(ColumnNotFoundError, match=r"X: no column 'loss'.*age"):
        model.predict(x.drop(columns="loss"))
    with pytest.raises(PredictorError, match="X has 3 columns; at the fit it had 4"):
        array.predict(x.to_numpy()[:, :3])


@pytest.mark.parametrize("name", ["coxnet", "forest", "boosting"])
def test_wrong_x(name, x, y):
    learner = LEARNERS[name]
    with pytest.raises(MissingDataError, match="column 'ecog' of X is missing or not finite in 2 rows, first row 'r3'"):
        bad = x.set_axis([f"r{i}" for i in range(len(x))])
        clone(learner).fit(bad.assign(ecog=bad["ecog"].drop(["r3", "r9"])), y)
    with pytest.raises(PredictorError, match="column 'sex' of X holds .* values; make them numbers"):
        clone(learner).fit(x.assign(sex="m"), y)
    with pytest.raises(PredictorError, match="rows and columns"):
        clone(learner).fit(x["age"].to_numpy(), y)
    with pytest.raises(PredictorError, match="two columns of X are named 'age'"):
        clone(learner).fit(pd.concat([x, x[["age"]]], axis=1), y)
    with pytest.raises(EmptyDataError, match="0 columns"):
        clone(learner).fit(x[[]], y)


def test_pipeline_cross_validate_and_grid_search(lung, y):
    people = lung.assign(sex=lung["sex"].map({1: "male", 2: "female"}))[["age", "sex", "ecog"]]
    prepare = ColumnTransformer([("sex", OneHotEncoder(drop="first"), ["sex"])], remainder="passthrough")
    pipeline = Pipeline([("prepare", prepare), ("scale", StandardScaler()), ("cox", s.CoxNet(cv=3, seed=1))])
    found = cross_validate(pipeline, people, y, cv=KFold(3, shuffle=True, random_state=1), return_train_score=True)
    assert (found["test_score"] > 0.5).all()
    pipeline.fit(people, y)
    assert pipeline.predict_survival_function(people.head(2), times=[300.0]).shape == (2, 1)
    assert pipeline.score(people, y) > 0.6
    grid = GridSearchCV(pipeline, {"cox__l1_ratio": [0.1, 1.0]}, cv=3).fit(people, y)
    assert grid.best_params_["cox__l1_ratio"] in (0.1, 1.0)


def test_evaluate_takes_learners(fitted, x, y, lung):
    models = {**fitted, "pipeline": make_pipeline(StandardScaler(), s.CoxNet(lambdas=[0.01])).fit(x, y)}
    table = s.evaluate(models, lung, horizons=[300.0], outcome="Surv(time, status)").tidy()
    assert set(models) <= set(table["model"])
    found = table[table["metric"] == "concordance_harrell"].set_index("model")["estimate"]
    for name, model in models.items():
        assert found[name] == pytest.approx(model.score(x, y), abs=1e-12)


def test_leak_is_refused(x, y):
    marked = x.copy()
    marked.attrs[KEY] = SelectedRows("Lasso", row_signatures(x.to_numpy(), x.index), tuple(x.columns))
    for name, learner in LEARNERS.items():
        with pytest.raises(LeakageError, match="selected by Lasso"):
            clone(learner).fit(marked.iloc[:100], y[:100])
        if name != "stack":
            clone(learner).fit(marked, y)
    with pytest.raises(LeakageError):
        s.permutation_importance(LEARNERS["coxnet"], marked, y)


# -- forest and boosting -----------------------------------------------------------------------------------------------


def test_forest_is_that_of_scikit_survival(x, y):
    from sksurv.ensemble import RandomSurvivalForest

    ours = s.RandomSurvivalForest(40, min_samples_leaf=10, oob_score=True, seed=3).fit(x, y)
    state = ours.model_.random_state
    other = RandomSurvivalForest(40, min_samples_leaf=10, oob_score=True, random_state=state).fit(x.to_numpy(), y)
    np.testing.assert_array_equal(ours.predict(x), other.predict(x.to_numpy()))
    assert ours.oob_score_ == other.oob_score_
    frugal = clone(ours).set_params(low_memory=True, oob_score=False).fit(x, y)
    np.testing.assert_allclose(frugal.predict(x), ours.predict(x), rtol=1e-9)
    with pytest.raises(OptionError, match="low_memory=True keeps no survival curves"):
        frugal.predict_survival_function(x, TIMES)


def test_boosting_curves_follow_breslow(x, y, fitted):
    """The score of a boosted model as the only covariate, coefficient one."""
    model = fitted["boosting"]
    score = model.predict(x)
    hazard = [
        sum(1.0 / np.exp(score[y["time"] >= t]).sum() for t in y["time"][y["event"]] if t <= horizon)
        for horizon in TIMES
    ]
    expected = np.exp(-np.outer(np.exp(score), hazard))
    np.testing.assert_allclose(model.predict_survival_function(x, TIMES), expected, rtol=1e-10)
    patient = clone(model).set_params(n_estimators=300, patience=5).fit(x, y)
    assert patient.n_estimators_ < 300
    with pytest.raises(OptionError, match="patience=0"):
        clone(model).set_params(patience=0).fit(x, y)


# -- stacking ----------------------------------------------------------------------------------------------------------


def test_convex_weights_by_brute_force():
    rng = np.random.default_rng(5)
    for _ in range(5):
        root = rng.normal(size=(4, 3))
        cross = root.T @ root
        grid = np.array([(a, b, 1 - a - b) for a in np.linspace(0, 1, 201) for b in np.linspace(0, 1 - a, 201)])
        least = np.einsum("gi,ij,gj->g", grid, cross, grid).min()
        found = convex_weights(cross)
        assert found.sum() == pytest.approx(1)
        assert (found >= 0).all()
        assert found @ cross @ found <= least + 1e-12
    same = convex_weights(np.ones((2, 2)))  # two learners that say the same
    assert same.sum() == pytest.approx(1)


def test_weights_against_censoring_by_brute_force(y):
    class Outcome:
        time, event, entry = y["time"], y["event"].astype(np.int64), None

    weight, alive = ipcw_targets(Outcome, np.array(TIMES))

    def g(t, including):
        value = 1.0
        for u in np.unique(y["time"][~y["event"]]):
            if u < t or (including and u == t):
                at_risk = ((y["time"] > u) | ((y["time"] == u) & ~y["event"])).sum()
                value *= 1 - ((y["time"] == u) & ~y["event"]).sum() / at_risk
        return value

    for j, t in enumerate(TIMES):
        for i in range(0, len(y), 7):
            beyond, by = y["time"][i] > t, y["event"][i] and y["time"][i] <= t
            expected = 1 / g(t, True) if beyond else 1 / g(y["time"][i], False) if by else 0.0
            assert weight[i, j] == pytest.approx(expected)
            assert alive[i, j] == beyond


def test_stack(x, y, fitted):
    stack = fitted["stack"]
    table = stack.cv_results_
    assert table["term"].tolist() == ["cox", "forest", "stack"]
    assert table["brier"].iloc[-1] <= table["brier"].min() + 1e-12
    assert stack.weights_.sum() == pytest.approx(1)
    assert stack.tidy()["term"].tolist() == ["cox", "forest"]
    parts = [learner.predict_survival_function(x, TIMES) for _, learner in stack.estimators_]
    mixed = stack.weights_[0] * parts[0] + stack.weights_[1] * parts[1]
    np.testing.assert_allclose(stack.predict_survival_function(x, TIMES), mixed)
    deciles = np.quantile(y["time"][y["event"]], np.arange(1, 10) / 10)
    np.testing.assert_array_equal(stack.times_, np.unique(deciles))
    with joblib.parallel_config("threading"):
        jobs = clone(stack).set_params(n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(jobs.weights_, stack.weights_)
    assert stack.get_params()["cox__l1_ratio"] == 0.5
    assert clone(stack).set_params(cox__l1_ratio=0.1).estimators[0][1].l1_ratio == 0.1


def test_stack_prefers_what_predicts(x, y):
    noise = pd.DataFrame(np.random.default_rng(1).normal(size=(len(x), 1)), columns=["noise"])
    both = pd.concat([x, noise], axis=1)
    choose = ColumnTransformer([("noise", "passthrough", ["noise"])])
    stack = s.StackedSurvival(
        [("cox", s.CoxNet(lambdas=[0.01])), ("noise", make_pipeline(choose, s.CoxNet(lambdas=[0.0])))], seed=2
    ).fit(both, y)
    assert stack.weights_[0] > 0.7
    # the learners' own Pipelines take text
    text = ColumnTransformer([("sex", OneHotEncoder(), ["sex"])], remainder="passthrough")
    coded = x.assign(sex=np.where(x["sex"] == 1, "m", "f"))
    pair = [("a", make_pipeline(text, s.CoxNet(lambdas=[0.1]))), ("b", make_pipeline(text, s.CoxNet(lambdas=[0.01])))]
    assert s.StackedSurvival(pair, seed=2).fit(coded, y).score(coded, y) > 0.6


def test_stack_takes_scikit_survival(x, y):
    from sksurv.linear_model import CoxPHSurvivalAnalysis, IPCRidge

    pair = [("theirs", CoxPHSurvivalAnalysis()), ("ours", s.CoxNet(lambdas=[0.3]))]
    stack = s.StackedSurvival(pair, seed=1, cv=3).fit(x, y)
    assert stack.weights_[0] > 0.5
    with pytest.raises(OptionError, match="IPCRidge has no predict_survival_function"):
        s.StackedSurvival([("a", IPCRidge()), ("b", s.CoxNet(lambdas=[0.1]))], cv=3).fit(x, y)


def test_bad_stack(x, y):
    pair = LEARNERS["stack"].estimators
    for options, message in [
        ({"estimators": pair[:1]}, "at least two pairs"),
        ({"estimators": None}, "at least two pairs"),
        ({"estimators": [pair[0], ("b", s.CoxNet)]}, "CoxNet is not an estimator; give an instance"),
        ({"estimators": [pair[0], pair[0]]}, "different names"),
        ({"estimators": pair, "times": [1e6]}, r"times must lie in \(0, 1022\]"),
        ({"estimators": pair, "cv": [(np.arange(100), np.arange(100, 150))]}, "leave each row out once"),
        ({"estimators": pair, "cv": "many"}, "cv='many' must be a number of folds"),
    ]:
        with pytest.raises(OptionError, match=message):
            s.StackedSurvival(**options).fit(x, y)


@pytest.mark.parametrize("learner", [s.CoxNet(lambdas=[0.1]), s.RandomSurvivalForest(2), s.GradientBoostedSurvival(2)])
def test_too_few_rows(learner, x, y):
    with pytest.raises(EmptyDataError, match="X has 1 row; there is nothing to learn from"):
        clone(learner).fit(x.head(1), y[y["event"]][:1])
    with pytest.raises(EmptyDataError, match="X has no rows; there is nothing to predict"):
        clone(learner).fit(x, y).predict(x.head(0))


def test_no_estimators(x, y):
    with pytest.raises(PredictorError, match="must have rows and columns"):
        clone(LEARNERS["stack"]).fit(x["age"].to_numpy(), y)
    with pytest.raises(OptionError, match="None is not an estimator"):
        s.permutation_importance(None, x, y)
    with pytest.raises(OptionError, match="patience='soon'"):
        s.GradientBoostedSurvival(patience="soon").fit(x, y)


# -- importance --------------------------------------------------------------------------------------------------------


def test_permutation_importance(x, y):
    noisy = x.assign(noise=np.random.default_rng(2).normal(size=len(x)))
    learner = s.CoxNet(lambdas=[0.01])
    found = s.permutation_importance(learner, noisy, y, cv=4, n_repeats=3, seed=1)
    table = found.tidy().set_index("term")
    assert table["estimate"].idxmax() == "ecog"
    assert abs(table.loc["noise", "estimate"]) < 0.02
    assert found.folds["row"].nunique() == 4
    with joblib.parallel_config("threading"):
        jobs = s.permutation_importance(learner, noisy, y, cv=4, n_repeats=3, seed=1, n_jobs=2)
    pd.testing.assert_frame_equal(jobs.folds, found.folds)
    array = s.permutation_importance(learner, noisy.to_numpy(), y, cv=4, n_repeats=3, seed=1)
    np.testing.assert_allclose(array.folds["estimate"], found.folds["estimate"])
    # a categorical column goes through the Pipeline whole
    text = ColumnTransformer([("sex", OneHotEncoder(), ["sex"])], remainder="passthrough")
    coded = x.assign(sex=np.where(x["sex"] == 1, "m", "f"))
    piped = s.permutation_importance(make_pipeline(text, learner), coded, y, cv=3, n_repeats=1, seed=1)
    assert set(piped.tidy()["term"]) == set(x.columns)
    with pytest.raises(OptionError, match="n_repeats=0"):
        s.permutation_importance(learner, x, y, n_repeats=0)
