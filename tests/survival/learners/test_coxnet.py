"""CoxNet beside glmnet, against the conditions of optimality, and its properties."""

import itertools

import joblib
import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import MissingDataError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import ConvergenceWarning

s = dc.survival

# glmnet was asked for changes of the deviance below 1e-22 of the null deviance; standardised coefficients are then this
# close. The stored cases ended at 1e-14 and 1e-12; the conditions of optimality show that ours are the closer ones.
COEFFICIENT = 5e-9
# The lambdas of a path come from a step that glmnet keeps in single precision.
LAMBDA = 2e-7
STORED = 2e-7


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/coxnet/expected.json")


@pytest.fixture(scope="module")
def designs(frames):
    """Features, outcome (times / 1000, see generate.R) and weights of each case's data."""
    veteran = frames["veteran"]
    celltype = pd.get_dummies(veteran["celltype"])[["smallcell", "adeno", "large"]]
    vx = pd.concat([veteran[["trt"]], celltype, veteran[["karno", "diagtime", "age", "prior"]]], axis=1).astype(float)
    columns = ["age", "edema", "bili", "albumin", "protime", "stage", "platelet", "copper", "ast", "chol"]
    pbc = frames["pbc"].dropna(subset=[*columns, "time", "status"]).reset_index(drop=True)
    px = pbc[columns].astype(float)
    pairs = {f"{a}:{b}": px[a] * px[b] for a, b in itertools.combinations(columns, 2)}
    wide = pd.concat([px, pd.DataFrame(pairs)], axis=1).iloc[:45]
    py = s.survival_outcome(pbc["time"] / 1000, pbc["status"] == 2)
    heart = frames["heart"]
    hy = np.empty(len(heart), dtype=[("event", bool), ("time", float), ("entry", float)])
    hy["event"], hy["time"], hy["entry"] = heart["event"] == 1, heart["stop"] / 1000, heart["start"] / 1000
    return {
        "veteran": (vx, s.survival_outcome(veteran["time"] / 1000, veteran["status"])),
        "pbc": (px, py),
        "wide": (wide, py[:45]),
        "heart": (heart[["age", "year", "surgery", "transplant"]].astype(float), hy),
    }


def cycled(n):
    return 1 + np.arange(n) % 3 / 2


CASES = {
    **{f"veteran_{a:g}": ("veteran", {"l1_ratio": a}) for a in (0.0, 0.2, 0.5, 0.8, 1.0)},
    "veteran_weights": ("veteran", {"l1_ratio": 0.5, "weighted": True}),
    "veteran_factor": ("veteran", {"l1_ratio": 0.5, "penalty_factor": [0, 1, 1, 1, 2, 0.5, 1, 1]}),
    "veteran_exclude": ("veteran", {"l1_ratio": 0.5, "penalty_factor": [1, 1, 1, 1, np.inf, 2, 1, 1]}),
    "veteran_raw": ("veteran", {"l1_ratio": 0.5, "standardize": False}),
    "pbc_ridge": ("pbc", {"l1_ratio": 0.0}),
}
PATHS = {
    "pbc_path_1": ("pbc", {"l1_ratio": 1.0, "n_lambdas": 50}),
    "pbc_path_0.5": ("pbc", {"l1_ratio": 0.5}),
    "pbc_path_factor": ("pbc", {"l1_ratio": 0.7, "n_lambdas": 30, "penalty_factor": [0, 1, 1, 1, 1, 2, 1, 1, 1, 1]}),
    "pbc_path_ratio": ("pbc", {"l1_ratio": 0.9, "n_lambdas": 20, "lambda_ratio": 0.05}),
    "pbc_wide": ("wide", {"l1_ratio": 0.5, "n_lambdas": 40}),
}


def fit(design, lambdas=None, weighted=False, **options):
    x, y = design
    return s.CoxNet(lambdas=lambdas, cv=None, **options).fit(x, y, cycled(len(x)) if weighted else None)


def agree(model, case, scale, tolerance=COEFFICIENT):
    wanted = np.array(case["coef"])
    np.testing.assert_allclose(model.coef_path_ * scale, wanted * scale, rtol=0, atol=tolerance)
    # a feature that enters at just this lambda may or may not be there
    seen = np.abs(np.array([model.coef_path_, wanted]) * scale) > tolerance
    np.testing.assert_array_equal(*seen)
    np.testing.assert_array_equal(model.n_nonzero_[1:], case["df"][1:])
    np.testing.assert_allclose(model.deviance_ratio_, case["dev_ratio"], rtol=0, atol=1e-8)
    assert model.null_deviance_ == pytest.approx(case["nulldev"], rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_glmnet_at_given_lambdas(name, expected, designs):
    case, (data, options) = expected[name], CASES[name]
    model = fit(designs[data], case["lambda"], **options)
    np.testing.assert_array_equal(model.lambdas_, case["lambda"])
    agree(model, case, designs[data][0].std(ddof=0).to_numpy())


@pytest.mark.parametrize("name", PATHS)
def test_glmnet_path(name, expected, designs):
    """The same lambdas, as many of them, and the same coefficients."""
    case, (data, options) = expected[name], PATHS[name]
    own = fit(designs[data], **options)
    np.testing.assert_allclose(own.lambdas_, case["lambda"], rtol=LAMBDA)
    agree(fit(designs[data], case["lambda"], **options), case, designs[data][0].std(ddof=0).to_numpy())


@pytest.mark.parametrize("name", ["stored_glmnet_cox_alpha0", "stored_glmnet_cox_alpha1"])
def test_stored_cases(name, expected, designs):
    case, (x, y) = expected[name], designs["veteran"]
    model = fit((x, y), case["options"]["lambda"], l1_ratio=float(case["options"]["alpha"]))
    scale = x.std(ddof=0).to_numpy()
    agree(model, case, scale, STORED)
    # glmnet stopped first: the slope at its coefficients is further from what the penalty asks
    for k, lam in enumerate(model.lambdas_):
        ours = violation(x, y, model.coef_path_[k] * scale, lam, model.l1_ratio)
        assert ours < 1e-10
        assert ours < violation(x, y, np.array(case["coef"][k]) * scale, lam, model.l1_ratio)


def test_stored_path(expected, frames, designs):
    """glmnet left two rows, censored at the time of an event, out of the risk set there; without them we agree."""
    case = expected["stored_glmnet_cox_path"]
    x, y = designs["pbc"]
    place = np.array(case["index"]) - 1
    days = np.round(y["time"] * 1000)
    moved = np.where(np.isin(days, [2224, 3445]) & ~y["event"], days - 0.5, days)
    model = fit((x, s.survival_outcome(moved, y["event"])), l1_ratio=1.0, n_lambdas=50)
    np.testing.assert_allclose(model.lambdas_[place], case["lambda"], rtol=LAMBDA)
    scale = x.std(ddof=0).to_numpy()
    # this run of glmnet ended at a change of 1e-12
    np.testing.assert_allclose(model.coef_path_[place] * scale, np.array(case["coef"]) * scale, atol=5e-6)
    assert (model.coef_path_[place] != 0).sum(axis=1).tolist() == case["df"]
    untouched = fit((x, s.survival_outcome(days, y["event"])), l1_ratio=1.0, n_lambdas=50)
    np.testing.assert_allclose(untouched.lambdas_[place], case["lambda"], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("cv_deviance", {"l1_ratio": 0.5}, 1e-7),
        ("cv_concordance", {"l1_ratio": 0.5, "criterion": "concordance"}, 1e-12),
    ],
)
def test_cross_validation_as_glmnet(name, options, tolerance, expected, designs):
    case, (x, y) = expected[name], designs["pbc"]
    fold = np.arange(len(x)) % 6
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(6)]
    model = s.CoxNet(lambdas=case["lambda"], cv=folds, **options).fit(x, y)
    table = model.cv_results_
    np.testing.assert_allclose(table["estimate"], case["cvm"], rtol=tolerance)
    np.testing.assert_allclose(table["std_error"], case["cvsd"], rtol=10 * tolerance)
    np.testing.assert_array_equal(table["n_nonzero"], case["nzero"])
    assert model.lambda_min_ == pytest.approx(case["lambda_min"], rel=1e-12)
    assert model.lambda_1se_ == pytest.approx(case["lambda_1se"], rel=1e-12)
    assert model.lambda_ == model.lambda_min_
    assert model.set_params(selection="1se").fit(x, y).lambda_ == model.lambda_1se_


def test_cross_validation_with_weights(expected, designs):
    """cv.glmnet divides weights by their mean for the deviance, not for the events; whole weights are rows here."""
    case, (x, y) = expected["cv_weights"], designs["pbc"]
    fold = np.arange(len(x)) % 6
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(6)]
    model = s.CoxNet(1.0, lambdas=case["lambda"], cv=folds).fit(x, y, cycled(len(x)))
    assert model.lambda_min_ == pytest.approx(case["lambda_min"], rel=1e-12)
    np.testing.assert_array_equal(model.n_nonzero_, case["nzero"])
    times = 1 + np.arange(len(x)) % 2
    again = np.repeat(np.arange(len(x)), times)
    repeated = [(np.flatnonzero(fold[again] != k), np.flatnonzero(fold[again] == k)) for k in range(6)]
    one = s.CoxNet(lambdas=case["lambda"], cv=folds).fit(x, y, times).cv_results_
    two = s.CoxNet(lambdas=case["lambda"], cv=repeated).fit(x.iloc[again], y[again]).cv_results_
    pd.testing.assert_frame_equal(one, two, rtol=1e-8)


# -- conditions of optimality, by a slow twin --------------------------------------------------------------------------


def slope(x, y, b, weight=None):
    """Gradient of Breslow's log partial likelihood / sum of weights, for features divided by their scale."""
    z = (x / x.std(ddof=0)).to_numpy()
    weight = np.ones(len(z)) if weight is None else weight
    risk, g = weight * np.exp(z @ b), np.zeros(z.shape[1])
    entry = y["entry"] if "entry" in y.dtype.names else np.full(len(y), -1.0)
    for t in np.unique(y["time"][y["event"]]):
        died = (y["time"] == t) & y["event"]
        there = (y["time"] >= t) & (entry < t)
        mean = risk[there] @ z[there] / risk[there].sum()
        g += weight[died] @ (z[died] - mean)
    return g / weight.sum()


def violation(x, y, b, lam, l1_ratio, weight=None):
    g = slope(x, y, b, weight) - lam * (1 - l1_ratio) * b
    away = np.where(b != 0, np.abs(g - lam * l1_ratio * np.sign(b)), np.maximum(np.abs(g) - lam * l1_ratio, 0))
    return away.max()


@pytest.mark.parametrize("data", ["veteran", "pbc", "wide", "heart"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_conditions_of_optimality(data, l1_ratio, designs):
    x, y = designs[data]
    lambdas = [0.2, 0.05] if data == "wide" else [0.2, 0.05, 0.01]
    model = fit((x, y), lambdas, l1_ratio=l1_ratio)
    for lam, b in zip(model.lambdas_, model.coef_path_ * x.std(ddof=0).to_numpy(), strict=True):
        assert violation(x, y, b, lam, l1_ratio) < 1e-9


def many(n=150, p=300, seed=3):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(rng.normal(size=(n, p)) + rng.normal(size=(n, 1)), columns=[f"protein {k}" for k in range(p)])
    time = rng.exponential(size=n) * np.exp(-(x.iloc[:, :5].sum(axis=1) / 3))
    censoring = rng.exponential(2.0, size=n)
    return x, s.survival_outcome(np.minimum(time, censoring), time <= censoring)


def test_more_features_than_rows():
    """Also beyond a hundred coefficients, where the iteration ends earlier."""
    x, y = many()
    model = fit((x, y), l1_ratio=0.2, n_lambdas=40, lambda_ratio=0.05)
    assert model.n_nonzero_[0] == 0
    assert model.n_nonzero_.max() > 100
    for lam, b, n in zip(model.lambdas_, model.coef_path_ * x.std(ddof=0).to_numpy(), model.n_nonzero_, strict=True):
        assert violation(x, y, b, lam, 0.2) < (1e-9 if n <= 95 else 1e-3)


def test_no_penalty_is_cox(designs, frames):
    x, y = designs["veteran"]
    model = fit((x, y), [0.0])
    frame = x.assign(time=y["time"], died=y["event"])
    cox = s.cox("Surv(time, died) ~ " + " + ".join(x.columns), frame, ties="breslow")
    np.testing.assert_allclose(model.coef_, cox.coefficients, rtol=1e-7)
    times = [0.05, 0.1, 0.3]
    curves = cox.predict(frame.head(4), type="survival", times=times)["estimate"].to_numpy().reshape(4, 3)
    np.testing.assert_allclose(model.predict_survival_function(x.head(4), times), curves, rtol=1e-8)
    assert model.score(x, y) == pytest.approx(s.concordance(cox).estimate, abs=1e-12)


def test_delayed_entry_is_cox(designs):
    x, y = designs["heart"]
    model = fit((x, y), [0.0])
    frame = x.assign(entry=y["entry"], time=y["time"], died=y["event"])
    cox = s.cox("Surv(entry, time, died) ~ age + year + surgery + transplant", frame, ties="breslow")
    np.testing.assert_allclose(model.coef_, cox.coefficients, rtol=1e-7)
    curves = cox.predict(frame.head(3), type="survival", times=[0.1, 0.5])["estimate"].to_numpy().reshape(3, 2)
    np.testing.assert_allclose(model.predict_survival_function(x.head(3), [0.1, 0.5]), curves, rtol=1e-8)
    assert model.score(x, y) == pytest.approx(s.concordance(cox).estimate, abs=1e-12)


def test_ridge_is_cox_with_ridge(designs):
    x, y = designs["veteran"]
    z = (x - x.mean()) / x.std(ddof=0)
    model = fit((z, y), [0.1], l1_ratio=0.0)
    frame = z.assign(time=y["time"], died=y["event"])
    ridge = s.cox("Surv(time, died) ~ " + " + ".join(x.columns), frame, ties="breslow", ridge=0.1 * len(x))
    np.testing.assert_allclose(model.coef_, ridge.coefficients, rtol=1e-7)


# -- properties --------------------------------------------------------------------------------------------------------


def test_row_order_weights_and_units(designs):
    x, y = designs["pbc"]
    whole = fit((x, y), [0.1, 0.02])
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_allclose(fit((x.iloc[order], y[order]), [0.1, 0.02]).coef_path_, whole.coef_path_, atol=1e-10)
    one = s.CoxNet(lambdas=[0.1, 0.02], cv=None).fit(x, y, np.ones(len(x)))
    np.testing.assert_array_equal(one.coef_path_, whole.coef_path_)
    times = 1 + np.arange(len(x)) % 2
    weighted = s.CoxNet(lambdas=[0.02]).fit(x, y, times)
    again = np.repeat(np.arange(len(x)), times)
    repeated = s.CoxNet(lambdas=[0.02]).fit(x.iloc[again], y[again])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(
        weighted.predict_survival_function(x.head(3), [1.0, 2.0]),
        repeated.predict_survival_function(x.head(3), [1.0, 2.0]),
        rtol=1e-9,
    )
    other_unit = s.CoxNet(lambdas=[0.02]).fit(x.assign(bili=x["bili"] * 17.1), y)
    np.testing.assert_allclose(other_unit.coef_[2] * 17.1, s.CoxNet(lambdas=[0.02]).fit(x, y).coef_[2], rtol=1e-8)


def test_constant_columns_stay_out(designs):
    x, y = designs["veteran"]
    model = fit((x.assign(site=3.7), y), [0.05])
    assert model.coef_[-1] == 0
    # the constant counts in the number of features, not in the fit
    np.testing.assert_allclose(model.coef_[:-1], fit((x, y), [0.05]).coef_, atol=1e-10)


def test_a_feature_that_never_varies_at_risk_stays_out(designs):
    """Known only of people censored before the first event: the likelihood does not depend on its coefficient."""
    x, y = designs["pbc"]
    first = y["time"][y["event"]].min()
    early = pd.DataFrame({"age": [50.0, 60.0], "seen": [1.0, 0.5]}).reindex(
        columns=[*x.columns, "seen"], fill_value=0.0
    )
    more = s.survival_outcome([first / 2, first / 3], [0, 0])
    model = fit((pd.concat([x.assign(seen=0.0), early], ignore_index=True), np.concatenate([y, more])), [0.0])
    assert model.coef_[-1] == 0
    assert np.isfinite(model.coef_).all()


def test_centred_or_not_the_curves_are_the_same(designs):
    x, y = designs["veteran"]
    a = s.CoxNet(lambdas=[0.02]).fit(x, y)
    b = s.CoxNet(lambdas=[0.02]).fit(x + 1000.0, y)
    np.testing.assert_allclose(
        a.predict_survival_function(x, [0.1]), b.predict_survival_function(x + 1000.0, [0.1]), rtol=1e-7
    )


def test_folds_do_not_depend_on_jobs(designs):
    x, y = designs["veteran"]
    with joblib.parallel_config("threading"):
        one, two = (s.CoxNet(cv=3, n_lambdas=10, seed=4, n_jobs=n).fit(x, y) for n in (1, 2))
    pd.testing.assert_frame_equal(one.cv_results_, two.cv_results_)
    assert one.lambda_1se_ >= one.lambda_min_


def test_tidy_and_figures(designs):
    x, y = designs["pbc"]
    model = s.CoxNet(cv=4, n_lambdas=20, seed=1, selection="1se").fit(x, y)
    table = model.tidy()
    assert set(table["term"]) <= set(x.columns)
    assert (table["estimate"] != 0).all()
    assert table["estimate"].abs().is_monotonic_decreasing
    path = model.plot_path()
    assert "standard deviation" in path.get_ylabel()
    assert 0 < len(path.get_legend().get_texts()) <= 8
    curve = model.plot_cv()
    assert [t.get_text().split(":")[0] for t in curve.get_legend().get_texts()] == ["min", "1se"]
    with pytest.raises(OptionError, match="no cross-validation to draw"):
        fit((x, y), [0.1]).plot_cv()


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_nothing_is_chosen_in_silence(designs):
    x, y = designs["veteran"]
    model = fit((x, y), [0.1, 0.05])
    with pytest.raises(OptionError, match="no lambda has been chosen: cv=None leaves 2 of them"):
        model.predict(x)


def test_bad_options(designs):
    x, y = designs["veteran"]
    for options, message in [
        ({"l1_ratio": 1.5}, "l1_ratio=1.5 must lie between 0"),
        ({"lambdas": [-1.0]}, "must be finite numbers that are not negative"),
        ({"cv": 1}, "cv=1 must be a number of folds from 2"),
        ({"cv": 10_000}, "to the number of events \\(128\\)"),
        ({"selection": "best"}, "selection='best' is not allowed"),
        ({"penalty_factor": [1.0]}, "penalty_factor must hold 8 numbers"),
        ({"penalty_factor": [0.0] * 8}, "leaves no feature to penalise"),
        ({"lambda_ratio": 2.0}, "lambda_ratio=2.0 must lie between"),
        ({"l1_ratio": "lasso"}, "l1_ratio='lasso' must be a number"),
        ({"lambdas": ["few"]}, "must be numbers"),
        ({"penalty_factor": "all"}, "penalty_factor='all' must be numbers"),
    ]:
        with pytest.raises(OptionError, match=message):
            s.CoxNet(**options).fit(x, y)
    with pytest.raises(PredictorError, match="sample_weight must hold 137"):
        s.CoxNet().fit(x, y, [1.0])
    with pytest.raises(OutcomeError, match="none of the 137 rows of y has the event"):
        s.CoxNet().fit(x, s.survival_outcome(y["time"], np.zeros(137)))
    with pytest.raises(MissingDataError, match="column 'karno' of X is missing or not finite in 1 rows, first row 4"):
        s.CoxNet().fit(x.assign(karno=x["karno"].where(x.index != 4)), y)


def test_iterations_that_end_early_are_said(designs):
    x, y = designs["pbc"]
    with pytest.warns(ConvergenceWarning, match="lambdas did not converge in 1 iterations, the largest"):
        s.CoxNet(lambdas=[0.1, 0.001], cv=None, max_iter=1).fit(x, y)
