"""A wrong study.toml is refused before any work, with the key, the value and what is allowed."""

from pathlib import Path

import pytest

from dxa_causal import runner
from dxa_causal._core.errors import ColumnNotFoundError, DxaCausalError, FormulaError, StudyFileError
from dxa_causal.runner.study import KINDS

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


def test_the_example_of_the_documentation_is_a_study_file(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "study_file.md").read_text("utf-8")
    spec = runner.read_study(write(tmp_path, page.split("```toml")[1].split("```")[0]))
    assert {kind for kind, _ in spec.blocks()} == set(KINDS)


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
        "did you mean 'efron'? Allowed: efron, breslow",
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
    with pytest.raises(StudyFileError, match=r"cox 'death': .*'effect'.*knows no such truth"):
        runner.check(write(tmp_path, text))


WEIGHTING = """
[[weighting]]
name = "gain"
title = "Quitting"
cohort = "people"
formula = "qsmk ~ age"
outcome = "wt82_71"
"""


def refuses(tmp_path, text, *parts):
    with pytest.raises(DxaCausalError) as caught:
        runner.check(write(tmp_path, text))
    for part in parts:
        assert part in str(caught.value)


def test_everything_a_block_names_is_looked_at(tmp_path):
    refuses(tmp_path, GOOD + WEIGHTING.replace('"wt82_71"', '"wt82_17"'), "weighting 'gain'", "outcome", "'wt82_71'")
    refuses(tmp_path, GOOD + WEIGHTING.replace("qsmk ~ age", "qsmk ~ age + qsmk"), "cannot predict itself")
    refuses(tmp_path, GOOD + WEIGHTING.replace("qsmk ~ age", "education ~ age"), "treatment 'education'")
    refuses(tmp_path, GOOD + WEIGHTING + 'survival = "Surv(death, survtime)"', "are time and event exchanged")
    refuses(tmp_path, GOOD.replace("age > 70", "agee > 70"), "cohorts.people.exclude", "did you mean 'age'")
    refuses(tmp_path, GOOD.replace("age > 70", "age > 0"), "the exclusions leave nobody of 1629 people")
    refuses(tmp_path, GOOD.replace("Surv(survtime, death)", "survtime"), "cox 'death'", "must be Surv")
    twice = '{ because = "older than 70", where = "age < 30" }, { because = "older than 70"'
    refuses(tmp_path, GOOD.replace('{ because = "older than 70"', twice), "is used twice")
    refuses(tmp_path, GOOD.replace('"age", "sex"]', '"age", "age"]'), "columns lists ['age'] twice")


def test_names_of_a_simulated_cohort_are_looked_at(tmp_path):
    text = GOOD.replace('dataset = "nhefs"', "simulate = { n = 400 }").replace("qsmk", "training")
    text = text.replace("survtime, death", "time, died")
    runner.check(write(tmp_path, text))
    refuses(tmp_path, text.replace("training + age", "radius_third_bdm"), "did you mean 'radius_third_bmd'")
    named = text.replace('formula = "Surv', 'truth = { training = "log_hazard_ratio" }\nformula = "Surv')
    refuses(tmp_path, named, "did you mean 'log_hazard_ratio_training'")


def test_words_of_a_toml_file(tmp_path):
    refuses(tmp_path, GOOD.replace("[[cox]]", "[cox]"), "write [[cox]] with double brackets")
    refuses(tmp_path, GOOD.replace('["age", "sex"]', '"age"'), "a list is needed")
    refuses(tmp_path, GOOD.replace('name = "death"', 'name = "Death!"'), "small letters, digits and _")
    refuses(tmp_path, GOOD.replace('formula = "Surv', 'robust = "yes"\nformula = "Surv'), "cox[0].robust = 'yes'")


@pytest.mark.parametrize(
    ("content", "message", "as_gwas"),
    [
        (b"", "the file is empty", "people.csv is empty"),
        ("name,age\nM\u00fcller,3\n".encode("latin-1"), "not UTF-8 text", "has only 2 columns"),
        (b"a,b\n1,2\n1,2,3\n", "rows of unequal length", "has only 2 columns"),
        (b"id;age;sex\n1;2;3\n", "another separator?", "no column for effect allele"),
    ],
)
def test_files_that_are_not_tables(tmp_path, content, message, as_gwas):
    (tmp_path / "people.csv").write_bytes(content)
    refuses(tmp_path, GOOD.replace('dataset = "nhefs"', 'file = "people.csv"'), message, "people.csv")
    gwas = '[study]\ntitle = "x"\n[[mr]]\nname = "g"\ntitle = "g"\nexposure = "people.csv"\noutcome = "chd_gwas"\n'
    refuses(tmp_path, gwas, as_gwas)


def test_a_gwas_without_standard_errors(tmp_path):
    from dxa_causal import datasets

    datasets.load("bmi_gwas").drop(columns="se").to_csv(tmp_path / "g.csv", index=False)
    text = '[study]\ntitle = "x"\n[[mr]]\nname = "g"\ntitle = "g"\nexposure = "g.csv"\noutcome = "chd_gwas"\n'
    refuses(tmp_path, text, "mr 'g'", "standard error")
