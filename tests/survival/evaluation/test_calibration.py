"""Calibration: R's loess, rms, coxph, crr and geepack; brute force; properties; bad input."""

import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit, logit

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, OptionError, OutcomeError, PredictorError
from dxa_causal.survival._kernels.calibration import survival_bins
from dxa_causal.survival._kernels.loess import loess

s = dc.survival

EXACT = 1e-10
TIGHT = 1e-8  # two iterations one after the other
DISTANCES = ["ICI", "E50", "E90", "Emax"]


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/calibration/expected.json")


@pytest.fixture(scope="module")
def known(frames):
    """Rows of pbc whose status at day 2000 is known, with logistic predictions."""
    pbc = frames["pbc"]
    data = pbc[(pbc["time"] >= 2000) | (pbc["status"] == 2)].reset_index(drop=True)
    y = ((data["status"] == 2) & (data["time"] <= 2000)).astype(int)
    from dxa_causal._numerics.logistic import fit_logistic

    def fitted(*columns):
        return fit_logistic(np.column_stack([np.ones(len(data)), *columns]), y.to_numpy(float)).fitted

    p2 = fitted(data["age"], np.log(data["bili"]))
    p1 = fitted(data["age"])
    shrunk = expit(0.3 + 0.6 * logit(p2))
    return data.assign(y=y, p1=p1, p2=p2, shrunk=shrunk, tied=p1.round(1))


@pytest.fixture(scope="module")
def fits(frames):
    pbc = frames["pbc"]
    return {
        "age": s.cox("Surv(time, status == 2) ~ age", pbc),
        "full": s.cox("Surv(time, status == 2) ~ age + log(bili)", pbc),
    }


def measures(fit, model=None):
    table = fit.tidy()
    return table[table["model"] == (model or table["model"].iloc[0])].set_index("metric")


@pytest.mark.parametrize("column", ["p1", "p2", "shrunk", "tied"])
def test_loess_and_weak_calibration_equal_r(known, expected, column):
    case = expected[f"binary_{column}"]
    table = measures(s.calibration(column, known, outcome="y"))
    np.testing.assert_allclose(table.loc[DISTANCES, "estimate"], case["distances"], rtol=EXACT)
    for metric in ("intercept", "slope"):
        found = table.loc[metric, ["estimate", "std_error"]].astype(float)
        np.testing.assert_allclose(found, case["weak"][metric], rtol=TIGHT, atol=1e-9)
    np.testing.assert_allclose(table.loc["brier", "estimate"], case["weak"]["brier"], rtol=EXACT)


def test_rms(known, expected):
    table = measures(s.calibration("shrunk", known, outcome="y", method="rcs", n_knots=4))
    np.testing.assert_allclose(table.loc[DISTANCES, "estimate"], expected["binary_rcs"]["distances"], rtol=1e-7)
    # lrm() stops early
    np.testing.assert_allclose(table.loc["slope", "estimate"], expected["val_prob"]["slope"], rtol=1e-6)
    np.testing.assert_allclose(table.loc["brier", "estimate"], expected["val_prob"]["brier"], rtol=EXACT)


@pytest.mark.parametrize("model", ["age", "full"])
def test_survival_equals_r(frames, fits, expected, model):
    case, pbc = expected[f"survival_{model}"], frames["pbc"]
    for n_knots in (3, 5):
        table = measures(s.calibration(fits[model], pbc, horizon=2000, n_knots=n_knots))
        np.testing.assert_allclose(table.loc[DISTANCES, "estimate"], case[f"hazard{n_knots}"], rtol=1e-7)
    for metric, name in (("intercept", "intercept"), ("slope", "slope"), ("O/E", "oe")):
        found = table.loc[metric, ["estimate", "std_error"]].astype(float)
        want = case["oe"] if name == "oe" else case["weak"][name]
        np.testing.assert_allclose(found, want, rtol=1e-6)
    pseudo = measures(s.calibration(fits[model], pbc, horizon=2000, method="pseudo"))
    np.testing.assert_allclose(pseudo.loc[DISTANCES, "estimate"], case["pseudo3"], rtol=1e-6)


def test_straight_line_on_the_rows_of_the_fit_is_the_fit(frames, fits):
    table = measures(s.calibration(fits["full"], frames["pbc"], horizon=2000, n_knots=2))
    np.testing.assert_allclose(table.loc[DISTANCES, "estimate"].astype(float), 0.0, atol=1e-12)


def test_competing_causes_equal_r(frames, expected):
    case = expected["competing"]
    data = frames["mgus2_cr"].dropna(subset=["age", "sex", "mspike"])
    fit = s.fine_gray("Surv(etime, event) ~ age + mspike", data, cause=1)
    found = s.calibration(fit, data, horizon=120, n_knots=4)
    table = measures(found)
    np.testing.assert_allclose(table.loc[DISTANCES, "estimate"], case["hazard4"], rtol=1e-6)
    for metric, want in (
        ("intercept", case["weak"]["intercept"]),
        ("slope", case["weak"]["slope"]),
        ("O/E", case["oe"]),
    ):
        np.testing.assert_allclose(table.loc[metric, ["estimate", "std_error"]].astype(float), want, rtol=1e-6)
    pseudo = measures(s.calibration(fit, data, horizon=120, n_knots=4, method="pseudo"))
    np.testing.assert_allclose(pseudo.loc[DISTANCES, "estimate"], case["pseudo4"], rtol=1e-6)
    assert "competing" in found.tests["model"].reason
    assert table.loc["D-calibration", "reason"]


def test_loess_equals_its_definition_at_the_vertices():
    """At a vertex the value is that of weighted least squares on the nearest rows."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(size=80), rng.normal(size=80)
    fit = loess(x)
    for at in fit.vertices[1:-1]:
        distance = np.abs(x - at)
        weight = np.clip(1 - (distance / np.sort(distance)[59]) ** 3, 0, None) ** 3
        basis = np.vander(x - at, 3, increasing=True)
        value = np.linalg.solve(basis.T @ (basis * weight[:, None]), basis.T @ (weight * y))[0]
        np.testing.assert_allclose(fit.fitted(np.array([at]), y), value, rtol=1e-10)
    # linear in the response, so that its variance is a sum of squares
    grid = np.array([0.2, 0.7])
    rows = np.column_stack([fit.fitted(grid, e) for e in np.eye(80)])
    np.testing.assert_allclose(rows @ y, fit.fitted(grid, y), rtol=1e-10)
    np.testing.assert_allclose(fit.std_error(grid, np.full(80, 2.0)), np.sqrt(2 * (rows**2).sum(axis=1)), rtol=1e-10)


def test_groups_hold_the_observed_risk(frames, fits):
    pbc = frames["pbc"]
    found = s.calibration(fits["full"], pbc, horizon=2000, n_groups=4)
    risk = 1 - fits["full"].predict(pbc, type="survival", times=[2000])["estimate"].to_numpy()
    assert found.groups["n"].sum() == len(pbc)
    edges = np.quantile(risk, [0.25, 0.5, 0.75])
    for k, row in found.groups.iterrows():
        here = pbc[np.searchsorted(edges, risk) == k]
        curve = s.kaplan_meier("Surv(time, status == 2) ~ 1", here, robust=True).steps.query("time <= 2000").iloc[-1]
        np.testing.assert_allclose(
            row[["estimate", "std_error"]].astype(float), [1 - curve["estimate"], curve["std_error"]]
        )


def test_bootstrap_draws_rows_and_does_not_depend_on_jobs(known):
    one = s.calibration("p1", known, outcome="y", n_resamples=12, seed=3)
    with joblib.parallel_config("threading"):
        two = s.calibration("p1", known, outcome="y", n_resamples=12, seed=3, n_jobs=2)
    np.testing.assert_array_equal(one.replicates["p1"], two.replicates["p1"])
    rng = np.random.default_rng(3).spawn(12)[0]
    rows = known.iloc[rng.integers(len(known), size=len(known))]
    twin = measures(s.calibration("p1", rows, outcome="y"))
    np.testing.assert_allclose(one.replicates["p1"][0], twin.loc[DISTANCES, "estimate"].astype(float), rtol=1e-9)
    table = measures(one)
    np.testing.assert_allclose(table.loc["ICI", "conf_low"], np.quantile(one.replicates["p1"][:, 0], 0.025))
    assert (table["reason"] == "").all()
    assert one.glance()["n_resamples"].iloc[0] == 12


def test_arrays_columns_and_polars_agree(known):
    by_column = s.calibration({"a": "p1", "b": "p2"}, known, outcome="y").tidy()
    arrays = {"a": known["p1"].to_numpy(), "b": known["p2"].tolist()}
    by_array = s.calibration(arrays, outcome=known["y"].to_numpy()).tidy()
    pd.testing.assert_frame_equal(by_column, by_array)
    frame = pl.from_pandas(known[["p1", "p2", "y"]])
    pd.testing.assert_frame_equal(by_column, s.calibration({"a": "p1", "b": "p2"}, frame, outcome="y").tidy())


def test_row_order_and_unit_of_time(frames, fits):
    pbc = frames["pbc"]
    risk = 1 - fits["full"].predict(pbc, type="survival", times=[2000])["estimate"].to_numpy()
    data = pbc.assign(risk=risk, years=pbc["time"] / 365.25)
    one = s.calibration("risk", data, outcome="Surv(time, status == 2)", horizon=2000).tidy()
    mixed = data.sample(frac=1, random_state=1)
    two = s.calibration("risk", mixed, outcome="Surv(time, status == 2)", horizon=2000).tidy()
    three = s.calibration("risk", data, outcome="Surv(years, status == 2)", horizon=2000 / 365.25).tidy()
    for other in (two, three):
        np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=1e-8)
        np.testing.assert_allclose(other["std_error"], one["std_error"], rtol=1e-8)


def test_plots_and_summary(frames, fits):
    found = s.calibration(fits, frames["pbc"], horizon=2000)
    axes = found.plot()
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["perfect", "age", "full"]
    assert "horizon: 2000" in str(found)
    curve = found.curve()
    assert (curve["conf_low"] <= curve["estimate"]).all()
    assert (curve["estimate"] <= curve["conf_high"]).all()


# D-calibration ----------------------------------------------------------------------------------------------------


def test_d_calibration_by_hand():
    survival = np.array([0.95, 0.42, 0.42, 0.07, 1.0, 0.0])
    event = np.array([True, True, False, False, True, False])
    shares = survival_bins(survival, event, 10)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert shares[0, 9] == shares[1, 4] == shares[4, 9] == shares[5, 0] == shares[3, 0] == 1.0
    np.testing.assert_allclose(shares[2], [0.1 / 0.42] * 4 + [0.02 / 0.42] + [0] * 5)


def test_d_calibration_equals_brute_force(frames):
    pbc = frames["pbc"]
    fit = s.cox("Surv(time, status == 2) ~ age + log(bili)", pbc.iloc[::2])
    test = pbc.iloc[1::2]
    test = test[test["time"] <= fit.design.survival.time.max()]
    found = s.d_calibration(fit, test)
    curves = fit.predict(test, type="survival", times=np.unique(test["time"])).set_index(["row", "time"])["estimate"]
    counts = np.zeros(10)
    for i, row in test.iterrows():
        p = curves[i, row["time"]]
        own = min(int(p * 10), 9)
        if row["status"] == 2:
            counts[own] += 1
        else:
            counts[own] += (p - own / 10) / p
            counts[:own] += 0.1 / p
    np.testing.assert_allclose(found.bins["n"], counts, rtol=1e-9)
    n = len(test)
    np.testing.assert_allclose(found.tests["model"].statistic, ((counts - n / 10) ** 2).sum() / (n / 10))
    assert found.tidy()["df"].iloc[0] == 9
    found.plot()
    empirical = s.d_calibration(fit, test, variance="empirical").tests["model"]
    assert empirical.statistic > found.tests["model"].statistic  # censored rows vary less than events


def test_d_calibration_says_why_not(frames, fits):
    pbc = frames["pbc"]
    risks = np.full(len(pbc), 0.3)
    reason = s.d_calibration({"risk": risks}, pbc, outcome="Surv(time, status == 2)").tidy()["reason"].iloc[0]
    assert "fixed horizons" in reason
    short = s.cox("Surv(time, status == 2) ~ age", pbc[pbc["time"] < 1000])
    assert "cannot predict" in s.d_calibration(short, pbc).tidy()["reason"].iloc[0]


# bad input ----------------------------------------------------------------------------------------------------------


def test_bad_input(known, frames, fits):
    pbc = frames["pbc"]
    with pytest.raises(OptionError, match="say what is predicted"):
        s.calibration("p1", known)
    with pytest.raises(OptionError, match="needs a horizon"):
        s.calibration("p1", known, outcome="Surv(time, status == 2)")
    with pytest.raises(PredictorError, match=r"between 0 and 1.*linear predictor"):
        s.calibration("age", known, outcome="y")
    with pytest.raises(OutcomeError, match="0/1 or True/False"):
        s.calibration("p1", known, outcome="status")
    with pytest.raises(OutcomeError, match="both events and non-events"):
        s.calibration("p1", known[known["y"] == 1], outcome="y")
    with pytest.raises(OptionError, match="one length"):
        s.calibration({"a": known["p1"].to_numpy()[:5]}, known, outcome="y")
    with pytest.raises(OptionError, match="method='loess' is not allowed"):
        s.calibration(fits["age"], pbc, horizon=2000, method="loess")
    with pytest.raises(OptionError, match="last usable horizon is 4795"):
        s.calibration(fits["age"], pbc, horizon=6000)
    with pytest.raises(OutcomeError, match="no event by horizon=10"):
        s.calibration(fits["age"], pbc, horizon=10)
    with pytest.raises(PredictorError, match="predicts 0.3 for all 418 rows: there is no curve"):
        s.calibration("flat", pbc.assign(flat=0.3), outcome="Surv(time, status == 2)", horizon=2000)
    with pytest.raises(OptionError, match="different values, too few"):
        s.calibration(
            "two", pbc.assign(two=0.3 + 0.1 * (pbc["age"] > 50)), outcome="Surv(time, status == 2)", horizon=2000
        )
    with pytest.raises(OptionError, match="n_groups=0"):
        s.calibration("p1", known, outcome="y", n_groups=0)


def test_risks_of_zero_and_one_are_moved_and_counted(known):
    risk = known["p1"].to_numpy().copy()
    risk[:3] = 0.0, 1.0, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = s.calibration({"m": risk}, outcome=known["y"].to_numpy())
    assert "3 predicted risks of exactly 0 or 1" in str(found)


def test_missing_rows_are_dropped_and_counted(known):
    data = known.assign(p1=known["p1"].where(known.index % 10 > 0))
    found = s.calibration({"a": "p1", "b": "p2"}, data, outcome="y")
    assert found.nobs == data["p1"].notna().sum()
    assert found.provenance.n_dropped == data["p1"].isna().sum()


def test_a_slope_that_runs_off_is_no_number():
    rng = np.random.default_rng(2)
    died = np.repeat([0, 1], 50)
    found = s.calibration({"p": 0.2 + 0.5 * died + 0.01 * rng.random(100)}, outcome=died, method="rcs").tidy()
    slope = found.set_index("metric").loc["slope"]
    assert np.isnan(slope["estimate"])
    assert slope["reason"] == "the regression did not converge"
    # who lives through half of the follow-up does not die: the least squares of the pseudo-values have no minimum
    data = pd.DataFrame({"time": np.where(died, rng.uniform(1, 2, 100), 3.0), "died": died})
    risk = np.where(died, 0.6, 0.1) + 0.01 * rng.random(100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the curve is that of separated rows too
        found = s.calibration({"p": risk}, data, horizon=2.5, outcome="Surv(time, died)").tidy()
    slope = found.set_index("metric").loc["slope"]
    assert np.isnan(slope["estimate"])
    assert slope["reason"] == "the regression did not converge"


def test_classifiers_get_their_columns_and_complete_rows(known):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = LogisticRegression().fit(known[["age", "bili"]], known["y"])
    risk = model.predict_proba(known[["age", "bili"]])[:, 1]
    found = s.calibration(model, known, outcome="y").tidy()
    pd.testing.assert_frame_equal(found, s.calibration({"model": risk}, known, outcome="y").tidy())
    holes = known.assign(bili=known["bili"].where(known.index > 4))
    fewer = s.calibration(model, holes, outcome="y")
    assert (fewer.nobs, fewer.provenance.n_dropped) == (len(known) - 5, 5)
    filled = make_pipeline(SimpleImputer(), LogisticRegression()).fit(holes[["age", "bili"]], holes["y"])
    assert s.calibration(filled, holes, outcome="y").nobs == len(known)
    with pytest.raises(OptionError, match="'model' is not fitted yet"):
        s.calibration(LogisticRegression(), known, outcome="y")
    with pytest.raises(ColumnNotFoundError, match="model 'model': no column 'bili'"):
        s.calibration(model, known.drop(columns="bili"), outcome="y")
    three = LogisticRegression().fit(known[["age"]], known.index % 3)
    with pytest.raises(OptionError, match="predicts 3 classes"):
        s.calibration(three, known, outcome="y")


def test_horizons_and_orders_that_cannot_be(known, fits, frames):
    pbc = frames["pbc"]
    for horizon, message in (([1000, 2000], "must be one time"), ("late", "must be numbers"), (0, "positive, finite")):
        with pytest.raises(OptionError, match=message):
            s.calibration(fits["age"], pbc, horizon=horizon)
    with pytest.raises(OptionError, match="'age' is a CoxFit; .* give a horizon"):
        s.calibration(fits, known, outcome="y")
    with pytest.raises(OptionError, match="'p': the index is not that of data"):
        s.calibration({"p": known["p1"].sample(frac=1, random_state=1)}, known, outcome="y")
    with pytest.raises(OptionError, match="the index is not that of the others"):
        s.delong(known["y"], known["p1"].sample(frac=1, random_state=1))
    with pytest.raises(OptionError, match="one sample has no spread"):
        s.calibration(fits["age"], pbc, horizon=2000, n_resamples=1)
