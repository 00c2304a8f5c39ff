"""What a tired user sees: each mistake gets an error or a warning that names it."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal._core import warnings as named

s = dc.survival


@pytest.fixture
def data():
    rng = np.random.default_rng(20)
    n = 60
    return pd.DataFrame(
        {
            "time": rng.exponential(5, n) + 0.01,
            "died": rng.integers(0, 2, n),
            "age": rng.normal(70, 8, n),
            "grip_kg": rng.normal(30, 6, n),
            "sex": rng.choice(["female", "male"], n),
            "site": rng.choice([1, 2, 3], n),
        }
    )


def fails(error, text, formula, frame, **options):
    with pytest.raises(error, match=text):
        s.cox(formula, frame, **options)


def test_missing_column(data):
    fails(errors.ColumnNotFoundError, "no column 'grip'; did you mean 'grip_kg'", "Surv(time, died) ~ grip", data)
    fails(errors.ColumnNotFoundError, "no column 'tme'; did you mean 'time'", "Surv(tme, died) ~ age", data)
    fails(errors.ColumnNotFoundError, "strata: no column 'sit'; did", "Surv(time, died) ~ age", data, strata="sit")


def test_time_not_numeric(data):
    wrong = data.assign(time=data["time"].round(1).astype(str) + " y")
    fails(
        errors.OutcomeError,
        "time 'time' must be numbers: 60 values are not, first row 0",
        "Surv(time, died) ~ age",
        wrong,
    )


def test_negative_time(data):
    wrong = data.assign(time=data["time"].where(data.index != 7, -1.5))
    fails(errors.OutcomeError, "not negative: 1 values are not, first row 7 with -1.5", "Surv(time, died) ~ age", wrong)


def test_event_coded_as_in_r(data):
    wrong = data.assign(status=data["died"] + 1)
    fails(errors.OutcomeError, r"write Surv\(..., status == 2\)", "Surv(time, status) ~ age", wrong)
    cured = s.cox("Surv(time, status == 2) ~ age", wrong)
    np.testing.assert_array_equal(cured.coefficients, s.cox("Surv(time, died) ~ age", data).coefficients)


def test_event_with_several_causes(data):
    wrong = data.assign(cause=data.index % 3)
    fails(errors.OutcomeError, "holds 0, 1, 2; name one event", "Surv(time, cause) ~ age", wrong)


def test_all_censored(data):
    fails(errors.OutcomeError, "no event: all 60 rows", "Surv(time, died) ~ age", data.assign(died=0))
    with pytest.warns(named.AllCensoredWarning, match="no event"):
        curve = s.kaplan_meier("Surv(time, died) ~ 1", data.assign(died=0))
    assert (curve.tidy()["estimate"] == 1).all()
    test = s.logrank("Surv(time, died) ~ sex", data.assign(died=0))
    assert not test.applicable
    assert "no event" in test.reason


def test_one_level(data):
    women = data[data["sex"] == "female"]
    fails(errors.PredictorError, "column 'sex' has one level", "Surv(time, died) ~ age + sex", women)
    fails(errors.PredictorError, r"C\(site\)' has one level", "Surv(time, died) ~ C(site)", data[data["site"] == 1])
    assert "one group" in s.logrank("Surv(time, died) ~ sex", women).reason


def test_unseen_level_at_prediction(data):
    fit = s.cox("Surv(time, died) ~ age + sex + C(site)", data)
    new = data.head(3).assign(sex=["male", "other", "female"])
    with pytest.raises(errors.UnseenLevelError, match="'other' \\(first row 1\\).*levels are 'female', 'male'"):
        fit.predict(new)
    with pytest.raises(errors.UnseenLevelError, match="'site' holds 9"):
        fit.predict(data.head(2).assign(site=9))
    with pytest.raises(errors.ColumnNotFoundError, match="new data: no column 'age'"):
        fit.predict(data.drop(columns="age"))
    with pytest.raises(errors.MissingDataError, match="'age' is missing in 1 rows, first row 0"):
        fit.predict(data.head(1).assign(age=np.nan))
    stratified = s.cox("Surv(time, died) ~ age", data, strata="site")
    with pytest.raises(errors.UnseenLevelError, match="stratum site=9"):
        stratified.predict(data.head(1).assign(site=9), type="survival")


def test_separation(data):
    split = data.assign(marker=data["died"] * 1.0)
    with pytest.warns(named.SeparationWarning, match="'marker' runs to infinity"):
        s.cox("Surv(time, died) ~ age + marker", split)


def test_collinear(data):
    twice = data.assign(months=data["age"] * 12, one=1.0)
    fails(
        errors.CollinearityError, "'months' is a linear combination of 'age'", "Surv(time, died) ~ age + months", twice
    )
    fails(errors.CollinearityError, "'one' is constant up to rounding", "Surv(time, died) ~ age + one", twice)
    within = data.assign(big=(data["site"] == 2) * 1.0)
    fails(errors.CollinearityError, "within strata", "Surv(time, died) ~ age + big", within, strata="site")


def test_empty_and_incomplete(data):
    fails(errors.EmptyDataError, "no rows", "Surv(time, died) ~ age", data.head(0))
    fails(errors.EmptyDataError, "column 'age' alone lacks 60", "Surv(time, died) ~ age", data.assign(age=np.nan))
    holed = data.assign(age=data["age"].where(data.index > 4), grip_kg=data["grip_kg"].where(data.index != 10))
    fails(
        errors.MissingDataError,
        r"'age' \(5\), 'grip_kg' \(1\)",
        "Surv(time, died) ~ age + grip_kg",
        holed,
        missing="raise",
    )
    kept = s.cox("Surv(time, died) ~ age + grip_kg", holed)
    assert kept.provenance.missing == {"age": 5, "grip_kg": 1}
    assert (kept.nobs, kept.provenance.n_dropped) == (54, 6)
    assert "6 dropped for missing values (age 5, grip_kg 1)" in str(kept.summary())


@pytest.mark.parametrize("special", ["strata", "cluster", "offset", "weights"])
def test_special_terms_in_the_formula(special, data):
    fails(errors.FormulaError, f"{special}='site'", f"Surv(time, died) ~ age + {special}(site)", data)


def test_other_formula_mistakes(data):
    fails(errors.FormulaError, "exactly one '~'", "Surv(time, died)", data)
    fails(errors.FormulaError, r"must be Surv\(time, event\)", "time ~ age", data)
    fails(errors.FormulaError, r"write C\(site\)", "Surv(time, died) ~ factor(site)", data)
    fails(errors.FormulaError, "cannot be evaluated", "Surv(time, died) ~ nonsense(age)", data)
    fails(
        errors.PredictorError,
        r"'log\(zero\)' is not finite in 60 rows",
        "Surv(time, died) ~ log(zero)",
        data.assign(zero=0.0),
    )


def test_start_stop(data):
    wrong = data.assign(start=data["time"].where(data.index == 3, 0.0))
    fails(
        errors.OutcomeError,
        "entry must come before exit; 1 rows do not, first row 3",
        "Surv(start, time, died) ~ age",
        wrong,
    )
    near = data.assign(start=(data["time"] - 1e-12).where(data.index == 3, 0.0))
    fails(errors.OutcomeError, "the same up to rounding in 1 rows, first row 3", "Surv(start, time, died) ~ age", near)


def test_weights(data):
    fails(
        errors.PredictorError,
        "must be positive: 1 values are not, first row 2",
        "Surv(time, died) ~ age",
        data.assign(w=np.where(data.index == 2, 0.0, 1.0)),
        weights="w",
    )
    fails(errors.PredictorError, "must be numbers", "Surv(time, died) ~ age", data, weights="sex")
    fails(errors.PredictorError, "must be the name of a column", "Surv(time, died) ~ age", data, weights=data["age"])


def test_options(data):
    fails(errors.OptionError, "did you mean 'efron'", "Surv(time, died) ~ age", data, ties="effron")
    fit = s.cox("Surv(time, died) ~ age", data)
    with pytest.raises(errors.OptionError, match="conf_level"):
        fit.tidy(conf_level=95)
    with pytest.raises(errors.OptionError, match="type='surv'"):
        fit.predict(type="surv")


def test_horizon_beyond_follow_up(data):
    fit = s.cox("Surv(time, died) ~ age", data)
    with pytest.warns(named.HorizonWarning, match="beyond the last observation"):
        fit.predict(data.head(1), type="survival", times=[1e4])
    with pytest.warns(named.HorizonWarning, match="group 'all'"):
        s.kaplan_meier("Surv(time, died) ~ 1", data).predict([1e4])


def test_the_frame_is_left_alone(data):
    before = data.copy(deep=True)
    s.cox("Surv(time, died) ~ age + sex + C(site)", data, weights="grip_kg")
    pd.testing.assert_frame_equal(data, before)


def test_duplicated_column(data):
    wrong = pd.concat([data, data[["age"]]], axis=1)
    fails(errors.DxaCausalError, "two columns named 'age'", "Surv(time, died) ~ age", wrong)
