"""A wrong study.toml is refused before any work, with the key, the value and what is allowed."""

import pytest

from dxa_causal import runner
from dxa_causal._core.errors import ColumnNotFoundError, FormulaError, StudyFileError

GOOD = """
[study]
title = "A study"
seed = 7

[cohorts.people]
dataset = "nhefs"
exclude = [{ because = "older than 70", where = "age > 70" }]

[[table_one]]
name = "who"
title = "Who took part"
cohort = "people"
by = "qsmk"
columns = ["age", "sex"]

[[cox]]
name = "death"
title = "Smoking and death"
cohort = "people"
formula = "Surv(survtime, death) ~ qsmk + age"
"""


def write(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def refused(tmp_path, old, new, *parts, error=StudyFileError):
    assert old in GOOD
    with pytest.raises(error) as caught:
        runner.check(write(tmp_path, GOOD.replace(old, new)))
    for part in parts:
        assert part in str(caught.value)


def test_a_good_study_passes(tmp_path):
    spec = runner.check(write(tmp_path, GOOD))
    assert [kind for kind, _ in spec.blocks()] == ["table_one", "cox"]


def test_misspelt_keys(tmp_path):
    refused(tmp_path, "seed = 7", "sede = 7", "study.sede = 7: no such key", "did you mean 'seed'", "title")
    refused(
        tmp_path, "formula =", "ties = 'efron'\nfromula =", "cox[0].formula: missing", "cox[0].fromula", "'formula'"
    )
    refused(tmp_path, "[[cox]]", "[[coxx]]", "coxx", "did you mean 'cox'")
    refused(tmp_path, "where =", "were =", "cohorts.people.exclude[0].were", "'where'")


def test_values_that_are_not_allowed(tmp_path):
    refused(tmp_path, "seed = 7", "seed = 'x'", "study.seed = 'x'", "integer")
    refused(
        tmp_path,
        'formula = "Surv',
        'ties = "effron"\nformula = "Surv',
        "cox[0].ties = 'effron'",
        "'efron' or 'breslow'",
    )
    refused(tmp_path, 'name = "death"', 'name = "Death by/age"', "cox[0].name")
    refused(tmp_path, 'name = "death"', 'name = "who"', "'who' is used twice")


def test_things_that_are_not_there(tmp_path):
    refused(tmp_path, 'cohort = "people"\nby', 'cohort = "poeple"\nby', "did you mean 'people'")
    refused(tmp_path, 'dataset = "nhefs"', 'file = "none.csv"', "cohorts.people.file = 'none.csv': no such file")
    refused(
        tmp_path, 'dataset = "nhefs"', 'dataset = "nhefs"\nfile = "a.csv"', "exactly one of dataset, file, simulate"
    )
    refused(tmp_path, "~ qsmk + age", "~ qsmk + agee", "cox 'death'", "did you mean 'age'", error=ColumnNotFoundError)
    refused(
        tmp_path, '"age", "sex"', '"age", "sexx"', "table_one 'who'", "did you mean 'sex'", error=ColumnNotFoundError
    )
    refused(tmp_path, "~ qsmk + age", "~ qsmk + strata(sex)", "strata='sex'", error=FormulaError)
    with pytest.raises(StudyFileError, match="no study file"):
        runner.check(tmp_path / "elsewhere.toml")


def test_not_toml(tmp_path):
    with pytest.raises(StudyFileError, match="not valid TOML.*line 2"):
        runner.check(write(tmp_path, "[study]\ntitle = \n"))


def test_nothing_to_do(tmp_path):
    with pytest.raises(StudyFileError, match="nothing to do"):
        runner.check(write(tmp_path, '[study]\ntitle = "x"\n'))


def test_known_values_must_exist(tmp_path):
    text = GOOD.replace('formula = "Surv', 'truth = { qsmk = "effect" }\nformula = "Surv')
    with pytest.raises(StudyFileError, match=r"step cox\.death: .*'effect'.*knows no such truth"):
        runner.run(write(tmp_path, text), out=tmp_path / "out")
