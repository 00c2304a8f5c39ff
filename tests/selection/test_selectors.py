"""Selectors: what they keep, that they cannot leak, and what they say to bad input."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dxa_causal import selection
from dxa_causal import survival as s
from dxa_causal._core.errors import LeakageError, MissingDataError, OptionError, OutcomeError, PredictorError
from dxa_causal.selection.paths import first_to_enter
from dxa_causal.selection.stability import bound_on_false

NAMES = [f"protein_{k}" for k in range(12)]
SELECTORS = {
    "variance": selection.VarianceFilter(),
    "correlation": selection.CorrelationPruner(0.8),
    "mutual information": selection.MutualInformation(3),
    "lasso": selection.ElasticNetSelector(cv=3, rule="1se"),
    "forest": selection.ForestImportance(3, n_trees=20, cv=2, n_repeats=2),
    "stability": selection.StabilitySelection(n_pairs=4),
}


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(160, 12))
    values[:, 5] = values[:, 0] + 0.1 * rng.normal(size=160)  # says what the first says
    return pd.DataFrame(values, columns=NAMES, index=[f"id{i}" for i in range(160)])


@pytest.fixture(scope="module")
def outcomes(x):
    rng = np.random.default_rng(4)
    predictor = x["protein_0"] - 1.2 * x["protein_3"]
    event_time, censored = rng.exponential(np.exp(-predictor)), rng.exponential(2.0, 160)
    survival = np.array(
        list(zip(event_time <= censored, np.minimum(event_time, censored), strict=True)),
        dtype=[("event", bool), ("time", float)],
    )
    numbers = (predictor + rng.normal(size=160)).to_numpy()
    return {"linear": numbers, "logistic": (numbers > 0).astype(int), "cox": survival}


@pytest.mark.parametrize("kind", ["linear", "logistic", "cox"])
@pytest.mark.parametrize("name", SELECTORS)
def test_names_and_frames_are_kept(x, outcomes, name, kind):
    selector = clone(SELECTORS[name]).fit(x, outcomes[kind])
    kept = selector.get_feature_names_out().tolist()
    assert set(kept) <= set(NAMES)
    assert kept
    chosen = selector.transform(x)
    assert chosen.columns.tolist() == kept
    pd.testing.assert_frame_equal(chosen, x[kept])
    backwards = selector.transform(x[x.columns[::-1]])  # by name, not by place
    pd.testing.assert_frame_equal(backwards, x[kept])
    as_array = clone(SELECTORS[name]).fit(x.to_numpy(), outcomes[kind])
    np.testing.assert_array_equal(as_array.support_, selector.support_)
    np.testing.assert_array_equal(as_array.transform(x.to_numpy()), chosen)
    as_polars = clone(SELECTORS[name]).fit(pl.from_pandas(x), outcomes[kind])
    assert as_polars.transform(pl.from_pandas(x)).columns.tolist() == kept
    table = selector.table()
    assert set(table.loc[table["selected"], "feature"]) == set(table["feature"].head(len(kept))) == set(kept)


@pytest.mark.parametrize("kind", ["linear", "logistic", "cox"])
@pytest.mark.parametrize("name", ["mutual information", "lasso", "forest", "stability"])
def test_the_strongest_is_found(x, outcomes, name, kind):
    assert "protein_3" in SELECTORS[name].fit(x, outcomes[kind]).get_feature_names_out()


def test_variance_and_correlation(x, outcomes):
    constant = x.assign(site=0.1)
    assert "site" not in selection.VarianceFilter().fit(constant).get_feature_names_out()
    kept = selection.CorrelationPruner(0.8).fit(x).get_feature_names_out()
    assert set(NAMES) - set(kept) == {"protein_5"}
    with_outcome = selection.CorrelationPruner(0.8).fit(x, x["protein_5"] + 0.0)
    assert set(NAMES) - set(with_outcome.get_feature_names_out()) == {"protein_0"}


def test_correlation_in_blocks_is_that_one_by_one():
    rng = np.random.default_rng(1)
    common = rng.normal(size=(60, 40))
    values = common[:, rng.integers(0, 40, 1300)] + 0.5 * rng.normal(size=(60, 1300))
    fitted = selection.CorrelationPruner(0.7).fit(values)
    r = np.abs(np.corrcoef(values, rowvar=False))
    kept = []
    for k in range(1300):
        if not any(r[k, j] > 0.7 for j in kept):
            kept.append(k)
    np.testing.assert_array_equal(np.flatnonzero(fitted.support_), kept)


@pytest.mark.parametrize("kind", ["linear", "logistic"])
def test_lasso_solves_its_optimality_conditions(x, outcomes, kind):
    """The gradient is the penalty where a coefficient is not zero, and no more elsewhere."""
    z = ((x - x.mean()) / x.std(ddof=0)).to_numpy()
    fit = selection.ElasticNetSelector(cv=3).fit(x, outcomes[kind])
    predictor = z @ fit.coef_
    if kind == "linear":
        residual = outcomes[kind] - outcomes[kind].mean() - predictor
    else:
        residual = outcomes[kind] - expit(predictor + _intercept(predictor, outcomes[kind]))
    gradient, on = z.T @ residual / len(z), fit.coef_ != 0
    np.testing.assert_allclose(gradient[on], fit.penalty_ * np.sign(fit.coef_[on]), rtol=1e-6)
    assert (np.abs(gradient[~on]) <= fit.penalty_ * (1 + 1e-6)).all()


def _intercept(predictor, y):
    return brentq(lambda a: np.sum(y - expit(predictor + a)), -10, 10)


def test_first_to_enter_is_the_order_of_the_lasso(outcomes):
    """With uncorrelated columns features enter by the size of their correlation with the outcome."""
    rng = np.random.default_rng(2)
    q, _ = np.linalg.qr(rng.normal(size=(160, 12)) - 0.0)
    q = q - q.mean(axis=0)
    q, _ = np.linalg.qr(q)
    y = outcomes["linear"]
    size = np.abs(q.T @ (y - y.mean()))
    np.testing.assert_array_equal(first_to_enter(q, y, "linear", 4), np.sort(np.argsort(-size)[:4]))


def test_stability_bound(x, outcomes):
    # Shah and Samworth (2013): worked from their equation (8)
    assert bound_on_false(10, 1000, 0.6, 50) == pytest.approx(100 / 1000 / (2 * (1.2 - 1 - 0.01)))
    assert bound_on_false(10, 1000, 0.9, 50) == pytest.approx(100 / 1000 * 4 * (0.1 + 0.01) / 1.02)
    fit = selection.StabilitySelection(n_pairs=6).fit(x, outcomes["linear"])
    assert fit.bound_ <= 1.0 < bound_on_false(fit.n_picked_ + 1, 12, 0.75, 6)


@pytest.mark.slow
def test_stability_does_not_depend_on_jobs(x, outcomes):
    one = selection.StabilitySelection(n_pairs=6, seed=5).fit(x, outcomes["linear"])
    two = selection.StabilitySelection(n_pairs=6, seed=5, n_jobs=2).fit(x, outcomes["linear"])
    np.testing.assert_array_equal(one.scores_, two.scores_)


def test_stability_with_another_picker(x, outcomes):
    picker = selection.ElasticNetSelector(cv=3)
    fit = selection.StabilitySelection(n_pairs=4, estimator=picker).fit(x, outcomes["linear"])
    assert "protein_3" in fit.get_feature_names_out()


def test_compare(x, outcomes):
    result = selection.compare({k: SELECTORS[k] for k in ("lasso", "stability")}, x, outcomes["linear"], cv=3)
    wide = result.wide()
    assert wide.columns.tolist() == ["lasso", "stability"]
    assert wide.index[0] == "protein_3"
    assert (wide.loc["protein_3"] == 1).all()


# -- no leak ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda f: f, lambda f: f.to_numpy()], ids=["frame", "array"])
def test_selection_outside_the_fold_is_refused(x, outcomes, make):
    chosen = SELECTORS["lasso"].fit_transform(make(x), outcomes["cox"])
    model = s.CoxNet(cv=3)
    model.fit(chosen, outcomes["cox"])  # the rows of the selection: an honest fit to the training data
    for train, _ in KFold(3).split(chosen):
        part = chosen.iloc[train] if isinstance(chosen, pd.DataFrame) else chosen[train]
        with pytest.raises(LeakageError, match="selected by ElasticNetSelector on 160 rows.*Pipeline"):
            clone(model).fit(part, outcomes["cox"][train])
        with pytest.raises(LeakageError):
            clone(model).fit(pickle.loads(pickle.dumps(part)), outcomes["cox"][train])
    with pytest.raises(LeakageError):
        cross_val_score(model, chosen, outcomes["cox"], cv=3, error_score="raise")


@pytest.mark.parametrize("validate", ["cross_validate", "optimism", "nested_cross_validation", "internal_external"])
def test_frames_of_selected_features_are_not_validated(x, outcomes, validate):
    """Functions that hold rows out, or draw them anew, want the selection inside what they fit."""
    chosen = SELECTORS["lasso"].fit_transform(x, outcomes["cox"])
    data = chosen.assign(time=outcomes["cox"]["time"], died=outcomes["cox"]["event"], site=np.arange(160) % 4)
    formula = "Surv(time, died) ~ protein_3"
    calls = {
        "cross_validate": lambda: s.cross_validate({"a": formula}, data, seed=1),
        "optimism": lambda: s.optimism(lambda d: s.cox(formula, d), data, 1.0, n_resamples=5, seed=1),
        "nested_cross_validation": lambda: s.nested_cross_validation(
            {"a": lambda d: s.cox(formula, d)}, data, [1.0], outcome="Surv(time, died)"
        ),
        "internal_external": lambda: s.internal_external(lambda d: s.cox(formula, d), data, [1.0], site="site"),
    }
    with pytest.raises(LeakageError, match=f"{validate}: the features of this frame were selected by Elastic"):
        calls[validate]()


def test_selection_in_the_pipeline_is_refitted(x, outcomes):
    pipeline = make_pipeline(StandardScaler(), selection.MutualInformation(2), s.CoxNet(cv=3))
    scores = cross_val_score(pipeline, x, outcomes["cox"], cv=3, error_score="raise")
    assert (scores > 0.6).all()
    search = GridSearchCV(
        make_pipeline(selection.MutualInformation(2), LinearRegression()), {"mutualinformation__k": [1, 2]}
    )
    assert search.fit(x, outcomes["linear"]).best_params_["mutualinformation__k"] == 2


class TenBest(selection.Selector):
    """The ten features most correlated with the outcome."""

    def _select(self, x, y):
        scores = np.abs((x - x.mean(axis=0)).T @ (y - y.mean()))
        mask = np.zeros(scores.size, dtype=bool)
        mask[np.argsort(-scores)[:10]] = True
        return mask, scores


def test_noise_predicts_outside_the_pipeline_and_not_inside():
    """Selected outside, columns of noise predict an outcome they know nothing of: what the mark protects from."""
    rng = np.random.default_rng(1)
    noise, y = rng.normal(size=(80, 2000)), rng.normal(size=80)
    leaky = np.asarray(TenBest().fit_transform(noise, y))  # a plain array has lost the mark
    assert cross_val_score(LinearRegression(), leaky, y, cv=5).mean() > 0.3
    assert cross_val_score(make_pipeline(TenBest(), LinearRegression()), noise, y, cv=5).mean() < 0.1


def test_one_half_selects_and_the_other_is_fitted(x, outcomes):
    """Sample splitting is no leak."""
    chosen = SELECTORS["lasso"].fit(x.iloc[:80], outcomes["cox"][:80]).transform(x.iloc[80:])
    s.CoxNet(cv=3).fit(chosen, outcomes["cox"][80:])


# -- bad input --------------------------------------------------------------------------------------------------------


def test_bad_input(x, outcomes):
    y = outcomes["linear"]
    lasso = selection.ElasticNetSelector()
    with pytest.raises(
        MissingDataError, match="column 'protein_2' of X is missing or not finite in 1 rows, first row 'id7'"
    ):
        lasso.fit(x.assign(protein_2=x["protein_2"].where(x.index != "id7")), y)
    with pytest.raises(PredictorError, match="column 'sex' of X holds .* values; make (it|them) numbers"):
        lasso.fit(x.assign(sex="f"), y)
    with pytest.raises(OutcomeError, match="X has 160 rows and y has 3"):
        lasso.fit(x, y[:3])
    with pytest.raises(OutcomeError, match="y is missing; this selector"):
        lasso.fit(x)
    with pytest.raises(OutcomeError, match="y has one value"):
        lasso.fit(x, np.ones(160))
    with pytest.raises(OutcomeError, match="y is missing in 1 rows, first at position 4"):
        lasso.fit(x, np.where(np.arange(160) == 4, np.nan, y))
    with pytest.raises(OutcomeError, match="holds no event"):
        no_event = outcomes["cox"].copy()
        no_event["event"] = False
        lasso.fit(x, no_event)
    with pytest.raises(OutcomeError, match="kind='cox' needs a survival outcome"):
        selection.ElasticNetSelector(kind="cox").fit(x, y)
    with pytest.raises(OptionError, match="l1_ratio=0"):
        selection.ElasticNetSelector(0).fit(x, y)
    with pytest.raises(OptionError, match="k=99 must lie between 1 and the number of features, 12"):
        selection.MutualInformation(99).fit(x, y)
    with pytest.raises(OptionError, match="leaves no feature; the largest variance is"):
        selection.VarianceFilter(100.0).fit(x)
    with pytest.raises(OptionError, match="threshold=0.5 must lie in"):
        selection.StabilitySelection(threshold=0.5).fit(x, y)
    with pytest.raises(OptionError, match="n_picked=10 of 12 with threshold=0.75 only bounds the false selections by"):
        selection.StabilitySelection(n_picked=10).fit(x, y)
    with pytest.raises(OptionError, match="selectors is empty"):
        selection.compare({}, x, y)
    fitted = SELECTORS["lasso"].fit(x, y)
    with pytest.raises(PredictorError, match="X lacks the selected column 'protein_"):
        fitted.transform(x[["protein_1"]])
    with pytest.raises(OutcomeError, match="labels of X in another order"):
        lasso.fit(x, pd.Series(y, x.index).iloc[::-1])
    with pytest.raises(OutcomeError, match="y has 2 columns"):
        lasso.fit(x, np.column_stack([y, y]))
    with pytest.raises(OptionError, match="selectors is empty or no mapping"):
        selection.compare([lasso], x, y)
    with pytest.raises(OptionError, match="selectors\\['v'\\]='lasso' is no selector"):
        selection.compare({"v": "lasso"}, x, y)
    for selector, message in (
        (selection.ElasticNetSelector(cv=2.5), "cv=2.5"),
        (selection.ElasticNetSelector(seed="x"), "seed='x'"),
        (selection.ElasticNetSelector("a"), "l1_ratio='a'"),
        (selection.ForestImportance(cv=500), "cv=500"),
        (selection.ForestImportance(k=1.5), "k=1.5"),
        (selection.VarianceFilter("a"), "threshold='a'"),
        (selection.CorrelationPruner("a"), "threshold='a'"),
    ):
        with pytest.raises(OptionError, match=message):
            selector.fit(x, y)
