"""Blocks of the follow-up analyses: what they write is what the calls behind them give, and mistakes are named."""

import json

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal import runner
from dxa_causal._core.errors import DxaCausalError
from dxa_causal.runner.blocks import Cohort
from dxa_causal.runner.derive import derive

EXACT = 1e-9  # tables hold ten digits

STUDY = """
[study]
title = "Gait"

[cohorts.walkers]
dataset = "nhanes_mortality"
exclude = [
  { because = "younger than 65", where = "age < 65" },
  { because = "85 or older", where = "age >= 85" },
  { because = "no walk", where = "gait_speed_m_s.isna()" },
  { because = "no body mass index", where = "bmi.isna()" },
  { because = "died at once", where = "time == 0" },
]
derive = { age_end = "age + time", slow = "(gait_speed_m_s < 0.8) * 1" }

[cohorts.walkers.cut]
age_band = { column = "age", at = [70, 75], unit = "years" }
third = { column = "gait_speed_m_s", parts = 3, within = "sex" }

[cohorts.walkers.regroup.cause]
column = "cause_of_death"
[cohorts.walkers.regroup.cause.levels]
alive = ["alive"]
"heart disease" = ["heart disease"]
other = ["cancer", "stroke", "chronic lower respiratory disease", "Alzheimer disease", "diabetes", "kidney disease",
  "influenza or pneumonia", "accident", "other", "not released"]

[[cox]]
name = "late"
title = "After two years"
cohort = "walkers"
where = "time > 2"
formula = "Surv(age + 2, age_end, died) ~ gait_speed_m_s + C(sex)"
ph_test = true
time_label = "Age (years)"

[[dose_response]]
name = "dose"
title = "Dose"
cohort = "walkers"
formula = "Surv(age, age_end, died) ~ C(sex) + rcs(gait_speed_m_s, 4) + bmi"
exposure = "gait_speed_m_s"
reference = 1
at = [0.6, 1.0]

[[subgroups]]
name = "groups"
title = "Groups"
cohort = "walkers"
formula = "Surv(age, age_end, died) ~ slow + C(sex) + bmi"
term = "slow"
by = ["sex", "age_band"]

[[competing_risks]]
name = "causes"
title = "Causes"
cohort = "walkers"
curves = "Surv(time, cause) ~ slow"
formula = "Surv(time, cause) ~ slow + age"
fine_gray = ["heart disease"]
time_label = "Years"

[[rmst]]
name = "years"
title = "Years"
cohort = "walkers"
formula = "Surv(time, died) ~ slow"
tau = 10
covariates = ["age", "C(sex)"]
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gait")
    (folder / "study.toml").write_text(STUDY)
    return runner.run(folder, out=folder / "out").out


@pytest.fixture(scope="module")
def walkers(out):
    return pd.read_parquet(next(out.glob("steps/cohort.walkers-*/cohort.parquet")))


def table(out, name):
    return pd.read_csv(out / "tables" / f"{name}.csv")


def close(got, wanted):
    np.testing.assert_allclose(np.asarray(got, float), np.asarray(wanted, float), rtol=EXACT, atol=1e-12)


def test_derived_columns(walkers):
    close(walkers["age_end"], walkers["age"] + walkers["time"])
    assert walkers["age_band"].cat.categories.tolist() == ["<70 years", "70 to <75 years", ">=75 years"]
    assert walkers.groupby("age_band", observed=True)["age"].agg(["min", "max"]).values.tolist() == [
        [65, 69],
        [70, 74],
        [75, 84],
    ]
    shares = walkers.groupby("sex", observed=True)["third"].value_counts(normalize=True)
    assert shares.between(0.31, 0.36).all()
    assert (walkers["cause"] == "alive").sum() == (walkers["died"] == 0).sum()
    assert walkers["cause"].cat.categories.tolist() == ["alive", "heart disease", "other"]


def test_where_and_proportional_hazards(out, walkers):
    late = walkers.query("time > 2")
    fit = dc.survival.cox("Surv(age + 2, age_end, died) ~ gait_speed_m_s + C(sex)", late)
    close(table(out, "late_hazard_ratios")["estimate"], np.exp(fit.coefficients))
    test = table(out, "late_ph_test")
    assert test["term"].tolist() == ["gait_speed_m_s", "C(sex)", "GLOBAL"]
    close(test["statistic"], dc.survival.ph_test(fit).statistic)
    assert f"{len(late)} of {len(walkers)} people" in (out / "report.html").read_text("utf-8")


def test_dose_response(out, walkers):
    fit = dc.survival.cox("Surv(age, age_end, died) ~ C(sex) + rcs(gait_speed_m_s, 4) + bmi", walkers)
    two = walkers.head(2).assign(sex="male", bmi=30.0, gait_speed_m_s=[0.6, 1.0])
    risk = fit.predict(two, type="risk")["estimate"]
    ratios = table(out, "dose_ratios")
    close(ratios["estimate"], [risk.iloc[0] / risk.iloc[1], 1.0])
    assert ratios.loc[1, "std_error"] == 0
    straight = dc.survival.cox("Surv(age, age_end, died) ~ C(sex) + gait_speed_m_s + bmi", walkers)
    tests = table(out, "dose_tests")
    assert tests["df"].tolist() == [3, 2]
    close(tests.loc[1, "statistic"], 2 * (fit.log_likelihood - straight.log_likelihood))


def test_standard_error_of_a_dose_response_does_not_depend_on_the_basis(out, walkers):
    # another basis of the same curves: the first column is a column of the model, its square and cube are not
    knots = np.quantile(walkers["gait_speed_m_s"], [0.05, 0.35, 0.65, 0.95]).tolist()
    formula = f"Surv(age, age_end, died) ~ C(sex) + rcs(I(1 - gait_speed_m_s), knots={[1 - k for k in knots]}) + bmi"
    fit = dc.survival.cox(formula, walkers)
    x, _ = fit.design.new(walkers.head(2).assign(sex="male", bmi=30.0, gait_speed_m_s=[0.6, 1.0]))
    contrast = x[0] - x[1]
    close(table(out, "dose_ratios").loc[0, "std_error"], np.sqrt(contrast @ fit.covariance @ contrast))


def test_subgroups(out, walkers):
    found = table(out, "groups_hazard_ratios")
    assert found["level"].fillna("").tolist() == ["", "female", "male", "<70 years", "70 to <75 years", ">=75 years"]
    men = dc.survival.cox("Surv(age, age_end, died) ~ slow + bmi", walkers.query("sex == 'male'"))
    close(found.loc[2, ["estimate", "std_error"]], [np.exp(men.coefficients[0]), men.std_error[0]])
    assert found.loc[1:2, "n_events"].sum() == found.loc[0, "n_events"]
    # Cochran's Q of two groups is the Wald test of the interaction when everything interacts
    both = dc.survival.cox("Surv(age, age_end, died) ~ slow + bmi + slow:C(sex) + bmi:C(sex)", walkers, strata="sex")
    wald = both.tidy().set_index("term").loc["slow:C(sex)[T.male]", "statistic"]
    close(table(out, "groups_interactions").loc[0, "statistic"], wald**2)
    assert table(out, "groups_interactions")["df"].tolist() == [1, 2]


def test_a_subgroup_without_deaths_is_named(tmp_path):
    text = STUDY.replace('where = "time == 0" }', "where = \"time == 0 or (sex == 'female' and died == 1)\" }")
    blocks = text[: text.index("[[cox]]")] + text[text.index("[[subgroups]]") : text.index("[[competing_risks]]")]
    (tmp_path / "study.toml").write_text(blocks)
    found = table(runner.run(tmp_path, out=tmp_path / "out").out, "groups_hazard_ratios").set_index("level")
    assert found.loc["female", "reason"] == "fewer than 10 events"
    assert np.isnan(found.loc["female", "estimate"])
    assert found.loc["male", "n_events"] > 100


def test_competing_risks(out, walkers):
    wanted = dc.survival.aalen_johansen("Surv(time, cause) ~ slow", walkers).predict([10])
    got = table(out, "causes_incidence").query("time == 10")
    close(got["estimate"], wanted["estimate"])
    close(got["conf_low"], wanted["conf_low"])
    gray = dc.survival.gray_test("Surv(time, cause) ~ slow", walkers, cause="other")
    close(table(out, "causes_gray").set_index("cause").loc["other", "statistic"], gray.statistic)
    assert (out / "figures" / "causes_incidence_heart_disease.png").exists()
    specific = table(out, "causes_cause_specific").query("cause == 'heart disease' and term == 'slow'")
    heart = walkers.assign(heart=walkers["cause"] == "heart disease")
    fit = dc.survival.cox("Surv(time, heart) ~ slow + age", heart)
    close(specific["estimate"], np.exp(fit.coefficients[0]))
    subdistribution = table(out, "causes_fine_gray")
    assert subdistribution["cause"].unique().tolist() == ["heart disease"]
    fine_gray = dc.survival.fine_gray("Surv(time, cause) ~ slow + age", walkers, cause="heart disease")
    close(subdistribution["estimate"], fine_gray.tidy(exponentiate=True)["estimate"])


def test_restricted_mean(out, walkers):
    fit = dc.survival.rmst("Surv(time, died) ~ slow", walkers, tau=10, covariates=["age", "C(sex)"])
    contrasts = table(out, "years_contrasts")
    assert contrasts["method"].unique().tolist() == ["unadjusted", "adjusted for age, C(sex)"]
    close(contrasts.tail(3)["estimate"], fit.contrasts()["estimate"])
    assert table(out, "years_means")["estimate"].between(0, 10).all()


def test_no_step_warns(out):
    steps = json.loads((out / "manifest.json").read_text())["steps"]
    assert not [w for step in steps for w in step["warnings"]]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("age + time", "age + tme", ("derive.age_end", "did you mean 'time'")),
        ('age_end = "age', 'bmi = "age', ("'bmi' is a column already",)),
        ('column = "age", at', 'column = "agee", at', ("cut.age_band", "did you mean 'age'")),
        ('column = "age", at', 'column = "sex", at', ("cut.age_band", "must hold numbers")),
        ("at = [70, 75]", "at = [75, 70]", ("must increase",)),
        ("at = [70, 75]", "at = [70], parts = 2", ("one of them",)),
        ("parts = 3", "at = [1]", ("within belongs to parts",)),
        ('alive = ["alive"]\n', "", ("regroup.cause", "does not say where ['alive']")),
        ('"cancer", "stroke"', '"cancer", "cancer"', ("lists ['cancer'] twice",)),
        ('where = "time > 2"', 'where = "time > 200"', ("cox 'late'", "holds for nobody")),
        ('exposure = "gait_speed_m_s"', 'exposure = "age"', ("dose_response 'dose'", "found none")),
        ('rcs(gait_speed_m_s, 4) + bmi"', 'rcs(gait_speed_m_s, 4) + gait_speed_m_s"', ("exactly one term",)),
        ('term = "slow"', 'term = "slo"', ("no term of the formula", "['slow', 'C(sex)', 'bmi']")),
        ('by = ["sex", "age_band"]', 'by = ["sex", "age_bnd"]', ("did you mean 'age_band'",)),
        ('["heart disease"]\ntime_label', '["stroke"]\ntime_label', ("competing_risks 'causes'", "'stroke'")),
        ('curves = "Surv(time, cause) ~ slow"\nformula = "Surv(time, cause) ~ slow + age"\n', "", ("give curves",)),
        ('formula = "Surv(time, cause) ~ slow + age"\n', "", ("fine_gray lists causes",)),
        ("tau = 10", "tau = 0", ("rmst[0].tau", "greater than 0")),
        ('covariates = ["age"', 'covariates = ["agee"', ("rmst 'years'", "did you mean 'age'")),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, parts):
    assert old in STUDY
    (tmp_path / "study.toml").write_text(STUDY.replace(old, new, 1))
    with pytest.raises(DxaCausalError) as caught:
        runner.check(tmp_path)
    for part in parts:
        assert part in str(caught.value)


def test_a_reference_beyond_the_data(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY.replace("reference = 1", "reference = 9"))
    with pytest.raises(DxaCausalError, match=r"dose_response.dose: reference = 9 lies outside the values"):
        runner.run(tmp_path, out=tmp_path / "out")


def test_cut_leaves_missing_values_missing():
    spec = Cohort(dataset="x", cut={"third": {"column": "a", "parts": 3}, "band": {"column": "a", "at": [2.0]}})
    made = derive(pd.DataFrame({"a": [1.0, 2.0, np.nan, 3.0]}), spec)
    assert made["third"].tolist() == ["1 (lowest)", "2", np.nan, "3 (highest)"]
    assert made["band"].tolist() == ["<2", ">=2", np.nan, ">=2"]
