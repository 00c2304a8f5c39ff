"""Participant flow: counts reconcile, unclear steps are refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, MissingDataError, OptionError


@pytest.fixture
def people():
    frame = pd.DataFrame(
        {"age": [45, 60, 48, 80, 70], "grip": [np.nan, np.nan, 30.0, 20.0, 25.0], "sex": list("fmfmf")}
    )
    return frame.set_axis([10, 20, 30, 40, 50])


def test_by_hand(people):
    table = dc.cohort.flow(people, {"under 50": "age < 50", "no grip": people["grip"].isna(), "men": "sex == 'm'"})
    assert table["step"].tolist() == ["assessed", "under 50", "no grip", "men"]
    assert table["n_met"].tolist() == [5, 2, 2, 2]
    assert table["n_excluded"].tolist() == [0, 2, 1, 1]  # row 10 went with the first step, row 20 with the second
    assert table["n_remaining"].tolist() == [5, 3, 2, 1]


def test_counts_reconcile_on_real_data():
    cohort = dc.datasets.load("nhanes_mortality")
    steps = {"younger than 50": "age < 50", "no grip": "grip_kg.isna()", "no BMI": "bmi.isna()", "none": "age > 200"}
    table = dc.cohort.flow(cohort, steps)
    remaining = table["n_remaining"].to_numpy()
    np.testing.assert_array_equal(remaining[1:], remaining[:-1] - table["n_excluded"].to_numpy()[1:])
    assert remaining[-1] == len(cohort.query("age >= 50 and grip_kg.notna() and bmi.notna()"))
    assert table["n_excluded"].sum() + remaining[-1] == len(cohort)


def test_masks_of_every_kind(people):
    expected = dc.cohort.flow(people, {"a": "age < 50"})
    young = people["age"] < 50
    for mask in (young, young.to_numpy(), young.tolist(), young.astype("boolean"), pl.Series(young.tolist())):
        pd.testing.assert_frame_equal(dc.cohort.flow(people, {"a": mask}), expected)
    pd.testing.assert_frame_equal(dc.cohort.flow(pl.from_pandas(people), {"a": "age < 50"}), expected)


def test_a_missing_value_meets_no_comparison(people):
    assert dc.cohort.flow(people, {"weak": "grip < 27"})["n_remaining"].tolist() == [5, 3]


def test_no_steps_and_no_rows(people):
    assert dc.cohort.flow(people, {})["n_remaining"].tolist() == [5]
    assert dc.cohort.flow(people.head(0), {"young": "age < 50"})["n_remaining"].tolist() == [0, 0]


def test_input_is_not_changed(people):
    before = people.copy()
    dc.cohort.flow(people, {"under 50": "age < 50"})
    pd.testing.assert_frame_equal(people, before)


def test_errors_say_what_to_do(people):
    with pytest.raises(ColumnNotFoundError, match=r"step 'x': no column 'agee'; did you mean 'age'"):
        dc.cohort.flow(people, {"x": "agee < 50"})
    with pytest.raises(ColumnNotFoundError, match="step 'x'"):
        dc.cohort.flow(people, {"x": "age < @limit"})
    for expression in ("age <", "sex < 3", "age.nonsense()"):
        with pytest.raises(OptionError, match=r"step 'x': .* cannot be evaluated"):
            dc.cohort.flow(people, {"x": expression})
    for step in ("age", [1, 0, 1, 0, 1]):
        with pytest.raises(OptionError, match="must be true or false per row, but holds int64"):
            dc.cohort.flow(people, {"x": step})
    with pytest.raises(OptionError, match="write == for 'equals'"):
        dc.cohort.flow(people, {"x": "age = 50"})
    for step in ("1 < 2", [True]):
        with pytest.raises(OptionError, match="the mask has shape"):
            dc.cohort.flow(people, {"x": step})
    with pytest.raises(OptionError, match="another index"):
        dc.cohort.flow(people, {"x": (people["age"] < 50).reset_index(drop=True)})
    unknown = pd.Series([True, None, False, False, False], index=people.index, dtype="boolean")
    with pytest.raises(MissingDataError, match="1 values of the mask are missing, first row 20"):
        dc.cohort.flow(people, {"x": unknown})
