"""Table 1 against numbers worked out by hand and against a printed table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, EmptyDataError, MissingDataError, OptionError

EXACT = 1e-12  # closed forms: only rounding differs


@pytest.fixture
def people():
    return pd.DataFrame(
        {
            "age": [40.0, 50.0, 60.0, np.nan, 70.0, 80.0],
            "sex": pd.Categorical(["m", "f", "f", "m", "m", "f"], categories=["m", "f", "x"]),
            "stage": ["I", "II", "III", "I", None, "II"],
            "smoker": [0, 1, 1, 0, 1, 1],
            "arm": ["control", "control", "control", "treated", "treated", "treated"],
        }
    )


def line(table, term, group, level=""):
    tidy = table.tidy()
    found = tidy[(tidy["term"] == term) & (tidy["group"] == group) & (tidy["level"] == level)]
    assert len(found) == 1
    return found.iloc[0]


def test_continuous_by_hand(people):
    table = dc.cohort.table_one(people, by="arm")
    control, treated, whole = (line(table, "age", g) for g in ("control", "treated", "overall"))
    assert (control["n"], control["mean"], control["sd"], control["median"]) == (3, 50.0, 10.0, 50.0)
    assert (control["q1"], control["q3"]) == (45.0, 55.0)
    assert (treated["n"], treated["n_missing"], treated["mean"]) == (2, 1, 75.0)
    assert treated["sd"] == pytest.approx(np.sqrt(50), rel=EXACT)
    assert (whole["n"], whole["n_missing"], whole["mean"]) == (5, 1, 60.0)
    assert control["smd"] == whole["smd"] == pytest.approx(25 / np.sqrt((100 + 50) / 2), rel=EXACT)


def test_categorical_by_hand(people):
    table = dc.cohort.table_one(people, by="arm")
    female = line(table, "sex", "control", "f")
    assert (female["count"], female["n"]) == (2, 3)
    assert female["proportion"] == pytest.approx(2 / 3, rel=EXACT)
    assert female["smd"] == pytest.approx((1 / 3 - 2 / 3) / np.sqrt(2 / 9), rel=EXACT)
    assert set(table.tidy().query("term == 'sex'")["level"]) == {"m", "f"}  # nobody is x
    first = line(table, "stage", "treated", "I")
    assert (first["count"], first["n"], first["n_missing"], first["proportion"]) == (1, 2, 1, 0.5)
    assert first["smd"] == pytest.approx((1 / 2 - 1 / 3) / np.sqrt((1 / 4 + 2 / 9) / 2), rel=EXACT)
    smoker = line(table, "smoker", "control", "1")
    assert smoker["smd"] == pytest.approx(0.0, abs=EXACT)


def test_counts_of_a_variable_add_up(people):
    tidy = dc.cohort.table_one(people, by="arm", categorical=["smoker"]).tidy()
    shares = tidy.dropna(subset="count")
    for _, lines in shares.groupby(["term", "group"]):
        assert lines["count"].sum() == lines["n"].iloc[0]
    for (_, _), lines in tidy.groupby(["term", "level"]):
        parts = lines.set_index("group")
        for column in ("n", "n_missing"):
            assert parts.loc[["control", "treated"], column].sum() == parts.loc["overall", column]


def test_display(people):
    shown = dc.cohort.table_one(people, by="arm", columns=["age", "smoker", "stage"]).display(digits=0)
    assert shown.columns.tolist() == [
        *("characteristic", "level", "arm = control", "arm = treated", "overall", "missing", "SMD")
    ]
    assert shown.iloc[0].tolist() == ["n", "", "3", "3", "6", "", ""]
    assert shown.iloc[1].tolist() == ["age, mean (SD)", "", "50 (10)", "75 (7)", "60 (16)", "1", "2.887"]
    assert shown.iloc[2].tolist() == ["smoker, n (%)", "1", "2 (67)", "2 (67)", "4 (67)", "0", "0.000"]
    assert shown["level"].tolist()[3:] == ["I", "II", "III"]
    median = dc.cohort.table_one(people, columns=["age"]).display(median=["age"])
    assert median.iloc[1].tolist() == ["age, median [Q1, Q3]", "", "60.0 [50.0, 70.0]", "1"]


def test_no_grouping_has_no_smd(people):
    table = dc.cohort.table_one(people)
    assert table.tidy()["smd"].isna().all()
    assert table.sizes == (6,)
    assert "SMD" not in table.display()
    assert "Characteristics" in table._repr_html_()


def test_three_groups_have_no_smd(people):
    table = dc.cohort.table_one(people.assign(site=["a", "b", "c"] * 2), by="site", columns=["age"])
    assert table.groups == ("a", "b", "c")
    assert "SMD" not in table.display()


def test_constants_and_empty_variables():
    frame = pd.DataFrame({"g": [0, 0, 1, 1], "same": 3.0, "apart": [1.5, 1.5, 2.5, 2.5], "none": [None] * 4})
    table = dc.cohort.table_one(frame, by="g")
    assert line(table, "same", "overall")["smd"] == 0.0
    assert line(table, "apart", "overall")["smd"] == 2.0  # both variances zero: sample SD, 0.5
    assert line(table, "none", "overall")["n_missing"] == 4
    assert table.display().iloc[-1, 2:].tolist() == ["-", "-", "-", "4", "-"]
    alone = dc.cohort.table_one(frame.assign(x=[1.0, 2.0, np.nan, np.nan]), by="g", columns=["x"])
    assert np.isnan(line(alone, "x", "overall")["smd"])


def test_polars_nullable_and_boolean_columns(people):
    expected = dc.cohort.table_one(people.drop(columns="sex"), by="arm").tidy()
    pd.testing.assert_frame_equal(
        dc.cohort.table_one(pl.from_pandas(people.drop(columns="sex")), by="arm").tidy(), expected
    )
    nullable = people.drop(columns="sex").astype({"age": "Float64", "smoker": "Int64", "stage": "string"})
    pd.testing.assert_frame_equal(dc.cohort.table_one(nullable, by="arm").tidy(), expected)
    boolean = dc.cohort.table_one(people.assign(smoker=people["smoker"] == 1), by="arm", columns=["smoker"])
    assert boolean.tidy()["level"].unique().tolist() == ["True"]


def test_input_is_not_changed_and_result_is_a_copy(people):
    before = people.copy()
    table = dc.cohort.table_one(people, by="arm")
    table.tidy()["mean"] = 0.0
    pd.testing.assert_frame_equal(people, before)
    assert line(table, "age", "control")["mean"] == 50.0


def test_table_12_1_of_what_if():
    # Hernan and Robins, table 12.1: quitters, then the others
    known = dc.datasets.load("nhefs").dropna(subset="wt82_71")
    coded = ["sex", "race", "education", "exercise", "active"]
    table = dc.cohort.table_one(
        known, by="qsmk", columns=["age", "wt71", "smokeintensity", "smokeyrs", *coded], categorical=coded
    )
    assert dict(zip(table.groups, table.sizes)) == {"0": 1163, "1": 403}
    means = {"age": (46.2, 42.8), "wt71": (72.4, 70.3), "smokeintensity": (18.6, 21.2), "smokeyrs": (26.0, 24.1)}
    for term, printed in means.items():
        assert tuple(round(line(table, term, g)["mean"], 1) for g in "10") == printed
    percentages = {("sex", "0"): (54.6, 46.6), ("race", "0"): (91.1, 85.4), ("education", "5"): (15.4, 9.9)}
    percentages |= {("exercise", "2"): (40.7, 37.9), ("active", "2"): (11.2, 8.9)}
    for (term, level), printed in percentages.items():
        assert tuple(round(100 * line(table, term, g, level)["proportion"], 1) for g in "10") == printed


def test_nhanes_counts_by_death():
    cohort = dc.datasets.load("nhanes_mortality")
    table = dc.cohort.table_one(cohort, by="died", columns=["sex", "grip_kg"])
    assert dict(zip(table.groups, table.sizes)) == {"0": 36078, "1": 5519}
    for group, died in (("0", 0), ("1", 1)):
        subset = cohort[cohort["died"] == died]
        assert line(table, "sex", group, "male")["count"] == (subset["sex"] == "male").sum()
        assert line(table, "grip_kg", group)["n_missing"] == subset["grip_kg"].isna().sum()


def test_errors_say_what_to_do(people):
    with pytest.raises(ColumnNotFoundError, match=r"by: no column 'amr'; did you mean 'arm'"):
        dc.cohort.table_one(people, by="amr")
    with pytest.raises(ColumnNotFoundError, match="columns: no column 'agee'"):
        dc.cohort.table_one(people, columns=["agee"])
    with pytest.raises(MissingDataError, match=r"by='stage': 1 rows have no group, first row 4"):
        dc.cohort.table_one(people, by="stage")
    with pytest.raises(OptionError, match="25 distinct values; group them first"):
        dc.cohort.table_one(pd.DataFrame({"x": range(25), "y": 1.0}), by="x")
    with pytest.raises(OptionError, match="25 different texts, such as 'a'"):
        dc.cohort.table_one(pd.DataFrame({"x": [chr(97 + i) for i in range(25)]}))
    with pytest.raises(OptionError, match="a group 'overall'"):
        dc.cohort.table_one(people.replace("treated", "overall"), by="arm")
    with pytest.raises(OptionError, match=r"median: 'sex' is not a continuous variable.*\['age'\]"):
        dc.cohort.table_one(people, columns=["age", "sex"]).display(median=["sex"])
    with pytest.raises(EmptyDataError, match="no rows"):
        dc.cohort.table_one(people.head(0))
