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
    fails(
        errors.OutcomeError,
        "1 rows do not, first row 3 .*the same up to rounding",
        "Surv(start, time, died) ~ age",
        near,
    )


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


def test_numbers_in_a_column_of_objects(data):
    objects = data.astype({"age": object, "died": object, "time": object})
    assert list(s.cox("Surv(time, died) ~ age", objects).terms) == ["age"]


def test_predicting_wrongly_leaves_the_fit_alone(data):
    fit = s.cox("Surv(time, died) ~ log(age) + sex", data)
    before = fit.predict(data.head(2))
    for wrong, match in (
        (data.head(2).astype({"age": str}), "'age' must be numbers as at the fit"),
        (data.head(2).assign(age=0.0), r"new data: term 'log\(age\)' is not finite"),
        (data.head(2).assign(age=pd.Timestamp("2020-01-01")), "'age' must be numbers"),
    ):
        with pytest.raises(errors.PredictorError, match=match):
            fit.predict(wrong)
    pd.testing.assert_frame_equal(fit.predict(data.head(2)), before)


@pytest.mark.parametrize(
    ("right", "error", "match"),
    [
        ("log(age - 60)", errors.PredictorError, "not finite"),
        ("age > 60", errors.FormulaError, r"put a comparison into I\(\)"),
        ("C(sex, Treatment('x'))", errors.FormulaError, "not among the provided levels"),
        ("age +", errors.FormulaError, "cannot be evaluated"),
    ],
)
def test_right_sides_that_cannot_be(right, error, match, data):
    with pytest.raises(error, match=match):
        s.cox(f"Surv(time, died) ~ {right}", data)


def test_left_side_that_does_not_close(data):
    with pytest.raises(errors.FormulaError, match="cannot be read"):
        s.cox("Surv(time, died ~ age", data)


def test_first_category_that_never_occurs(data):
    events = np.array(["cens", "cvd", "cancer"])[np.arange(len(data)) % 3]
    named_events = data.assign(e=pd.Categorical(events, categories=["none", "cens", "cvd", "cancer"]))
    with pytest.warns(named.CodingWarning, match="never holds 'none', its first category"):
        s.aalen_johansen("Surv(time, e) ~ 1", named_events)
    alphabetical = data.assign(e=pd.Categorical(events))
    fit = s.aalen_johansen("Surv(time, e) ~ 1", alphabetical)
    assert "censored: e == 'cancer'; causes: 'cens', 'cvd'" in fit.provenance.describe()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda d: s.cox("Surv(time, died) ~ age", d, time_varying="age"), "must map a column to a function"),
        (lambda d: s.cox("Surv(time, died) ~ age", d, ridge="1"), "ridge='1' must be a number"),
        (lambda d: s.cox("Surv(time, died) ~ age", d, robust="yes"), "robust='yes' must be True or False"),
        (lambda d: s.cox("Surv(time, died) ~ age", d).predict(type="survival", times="x"), "times='x' must be numbers"),
        (lambda d: s.cox("Surv(time, died) ~ age", d).wald(0), "terms are named by text"),
        (lambda d: s.cox("Surv(time, died) ~ age", d).wald("agee"), "did you mean one of 'age'"),
        (lambda d: s.bootstrap(s.cox("Surv(time, died) ~ 1", d)), "no coefficients"),
        (lambda d: s.bootstrap(s.cox("Surv(time, died) ~ age", d), seed="x"), "seed='x'"),
        (lambda d: s.residuals(s.kaplan_meier("Surv(time, died) ~ 1", d)), "not KaplanMeierFit"),
        (lambda d: s.concordance(s.kaplan_meier("Surv(time, died) ~ 1", d)), "not KaplanMeierFit"),
        (lambda d: s.anova(s.cox("Surv(time, died) ~ age", d, robust=True)), "no likelihood-ratio test"),
        (
            lambda d: s.anova(s.cox("Surv(time, died) ~ age", d), s.cox("Surv(time, died) ~ age + sex", d.head(50))),
            "different rows",
        ),
        (
            lambda d: s.anova(s.cox("Surv(time, died) ~ sex", d), s.cox("Surv(time, died) ~ age + I(age**2)", d)),
            "not nested",
        ),
    ],
)
def test_options_of_the_wrong_kind(call, match, data):
    with pytest.raises(errors.OptionError, match=match):
        call(data)


def test_concordance_in_a_subgroup(data):
    fit = s.cox("Surv(time, died) ~ age + sex", data)
    women = data[data["sex"] == data["sex"].iloc[0]]
    assert 0 < s.concordance(fit, women).estimate < 1


def test_person_with_several_events_has_robust_errors(frames):
    again = s.cox("Surv(start, stop, event) ~ rx", frames["bladder2"], id="id")
    by_hand = s.cox("Surv(start, stop, event) ~ rx", frames["bladder2"], cluster="id")
    assert again.robust
    np.testing.assert_array_equal(again.covariance, by_hand.covariance)
    assert not s.cox("Surv(start, stop, event) ~ age", frames["heart"], id="id").robust


def test_proportional_hazards_with_two_events():
    data = pd.DataFrame({"t": [1.0, 2, 3, 4], "e": [1, 1, 0, 0], "x": [0.0, 1, 1, 0], "z": [1.0, 0, 2, 5]})
    with pytest.warns(named.ConvergenceWarning):
        fit = s.cox("Surv(t, e) ~ x + z", data)
    with pytest.raises(errors.OptionError, match="cannot be told apart"):
        s.ph_test(fit)


def test_gray_weight_that_is_not_finite(frames):
    transplant = frames["transplant"].query("abo == 'AB'")
    events = pd.Categorical(transplant["event"], categories=["censored", "death", "ltx", "withdraw"])
    test = s.gray_test("Surv(futime, event) ~ year", transplant.assign(event=events), cause="ltx", rho=-1)
    assert "no finite weight" in test.reason
