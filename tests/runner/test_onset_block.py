"""The block of an onset seen at visits: what it writes is what the calls behind it give, and mistakes are named."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal import runner
from dxa_causal._core.errors import DxaCausalError

STUDY = """
[study]
title = "Onset"
seed = 3

[cohorts.people.simulate]
kind = "illness_death"
n = 400
visit_gap = 4.0

[[onset]]
name = "onset"
title = "Onset"
cohort = "people"
onset = "Surv(last_free_age, first_seen_age, type='interval')"
death = "Surv(age_entry, age_end, died)"
entry = "age_entry"
covariates = "C(sex) + grip_z"
group = "sex"
time_label = "Age (years)"
start = 70
at = [80, 90]
true_onset = "true_onset_age"
truth = { "C(sex)[T.male]" = "male", grip_z = "grip_z" }

[onset.people]
"weak woman" = { sex = "female", grip_z = -1 }
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onset")
    (folder / "study.toml").write_text(STUDY)
    return runner.run(folder, out=folder / "out").out


@pytest.fixture(scope="module")
def people(out):
    return pd.read_parquet(next((out / "steps").glob("cohort.people*")) / "cohort.parquet")


def table(out, name):
    return pd.read_csv(out / "tables" / f"onset_{name}.csv")


def test_effects(out, people):
    effects = table(out, "effects").set_index(["transition", "method", "term"])
    interval = "Surv(last_free_age, first_seen_age, type='interval')"
    free = dc.survival.interval_cox(f"{interval} ~ C(sex) + grip_z", people, entry="age_entry")
    joint = dc.survival.illness_death(
        ill=interval, death="Surv(age_entry, age_end, died)", covariates="C(sex) + grip_z", data=people
    )
    onset = effects.loc["healthy -> ill"]
    np.testing.assert_allclose(onset.loc["interval-censored Cox", "estimate"], np.exp(free.coefficients), rtol=1e-9)
    np.testing.assert_allclose(onset.loc["illness-death", "estimate"], np.exp(joint.coefficients[:2]), rtol=1e-9)
    np.testing.assert_allclose(onset.loc["illness-death", "truth"], np.exp([0.2, -0.5]), rtol=1e-9)
    found = np.isfinite(people["first_seen_age"])
    naive = people.assign(
        t=np.where(found, people["first_seen_age"], people["age_end"]), event=np.where(found, 0, people["died"])
    )
    cox = dc.survival.cox("Surv(age_entry, t, event) ~ C(sex) + grip_z", naive)
    dead = effects.loc["healthy -> dead"].loc["Cox, healthy until death unless found ill"]
    np.testing.assert_allclose(dead["estimate"], np.exp(cox.coefficients), rtol=1e-9)
    np.testing.assert_allclose(dead["truth"], np.exp([0.5, -0.2]), rtol=1e-9)


def test_risks(out, people):
    risks = table(out, "risks").set_index(["method", "time"])["estimate"]
    whole = dc.survival.illness_death(
        ill="Surv(last_free_age, first_seen_age, type='interval')", death="Surv(age_entry, age_end, died)", data=people
    )
    expected = whole.predict(pd.DataFrame(index=[0]), type="cumulative_incidence", start=70, times=[80, 90])
    np.testing.assert_allclose(risks["illness-death"], expected["estimate"], rtol=1e-9)
    # visits miss who dies before the next one
    assert (risks["Aalen-Johansen, onset at the visit that found it"] < risks["illness-death"]).all()
    assert (risks["Aalen-Johansen, onset known (simulation)"] - risks["illness-death"]).abs().max() < 0.1


def test_report(out):
    page = (out / "report.html").read_text("utf-8")
    for words in ("Turnbull", "illness-death", "weak woman", "healthy -&gt; ill", "visit only"):
        assert words in page


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('entry = "age_entry"', 'entry = "age_begin"', ("age_begin", "age_entry")),
        ("at = [80, 90]", "at = [60]", ("60", "start = 70")),
        ("at = [80, 90]\n", "", ("at", "missing")),
        ('grip_z = "grip_z" }', 'grip_z = "strength" }', ("strength",)),
        ("visit_gap = 4.0", "gap = 4.0", ("gap", "visit_gap")),
        ('kind = "illness_death"', 'kind = "forearm"', ("visit_gap and effects belong",)),
        ("last_free_age,", "last_age,", ("last_age",)),
    ],
)
def test_mistakes_are_named_before_any_step(tmp_path, old, new, words):
    assert old in STUDY
    (tmp_path / "study.toml").write_text(STUDY.replace(old, new))
    with pytest.raises(DxaCausalError) as caught:
        runner.run(tmp_path, out=tmp_path / "out")
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out" / "report.html").exists()
