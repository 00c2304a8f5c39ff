"""Surv(left, right, type='interval'): bounds read, checked, and never dropped in silence."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal._core.errors import FormulaError, MissingDataError, OutcomeError
from dxa_causal._design import build_design, read_groups


@pytest.fixture
def data():
    return pd.DataFrame(
        {
            "left": [0.0, 1, 2, -np.inf, 3],
            "last visit": [1.0, np.inf, 2, 5, 4],
            "x": [1.0, 2, 3, 4, np.nan],
            "time": [1.0, 2, 3, 4, 5],
            "died": [0, 1, 1, 0, 1],
        }
    )


FORMULA = "Surv(left, `last visit`, type='interval') ~ x"


def read(data, formula=FORMULA):
    return build_design(formula, data, interval=True)


def test_kinds_of_rows(data):
    design = read(data)
    outcome = design.interval
    assert design.rows.missing == {"x": 1}
    np.testing.assert_array_equal(outcome.left, [0, 1, 2, 0])
    np.testing.assert_array_equal(outcome.right, [1, np.inf, 2, 5])
    np.testing.assert_array_equal(outcome.exact, [False, False, True, False])
    np.testing.assert_array_equal(outcome.right_censored, [False, True, False, False])
    np.testing.assert_array_equal(outcome.left_censored, [True, False, False, True])
    assert (outcome.left_name, outcome.right_name, outcome.n_events) == ("left", "last visit", 3)


def test_polars_groups_and_expressions(data):
    groups = read_groups("Surv(left / 2, `last visit` / 2, type='interval') ~ 1", pl.from_pandas(data), interval=True)
    np.testing.assert_array_equal(groups.outcome.right, [0.5, np.inf, 1, 2.5, 2])


def test_beside_another_outcome(data):
    design = build_design("Surv(time, died) ~ x", data, beside="Surv(left, `last visit`, type='interval')")
    assert design.survival.event.tolist() == [0, 1, 1, 0]
    assert design.beside.right.tolist() == [1, np.inf, 2, 5]


def test_left_truncation(data):
    outcome = read(data).interval
    index = pd.RangeIndex(4)
    late = outcome.observed_from(np.array([0.5, 0.5, 0.0, 3.0]), "entry", index)
    np.testing.assert_array_equal(late.left, [0.5, 1, 2, 3])
    with pytest.raises(OutcomeError, match="must come before the event.*first row 3 with entry 5 and last visit 5"):
        outcome.observed_from(np.array([0.5, 0.5, 0.0, 5.0]), "entry", index)


def test_missing_bounds(data):
    data.loc[1, "last visit"] = np.nan
    with pytest.raises(MissingDataError, match="'last visit' is missing in 1 rows, first row 1; write np.inf"):
        read(data)
    np.testing.assert_array_equal(read(data, FORMULA.replace("'interval'", "'interval2'")).interval.right[1], np.inf)
    data.loc[1, "left"] = np.nan
    with pytest.raises(MissingDataError, match="both bounds are missing in 1 rows, first row 1"):
        read(data, FORMULA.replace("'interval'", "'interval2'"))


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("left", 1, np.inf, "left bound must be finite.*first row 1"),
        ("left", 0, 7.0, r"left must not come after right.*first row 0 with \(7, 1\)"),
        ("left", 0, 1 - 1e-12, "has no width.*write the same number twice"),
        ("left", 0, -2.0, "must not be negative"),
    ],
)
def test_impossible_bounds(data, column, row, value, message):
    data.loc[row, column] = value
    with pytest.raises(OutcomeError, match=message):
        read(data)


def test_wrong_use(data):
    with pytest.raises(OutcomeError, match="interval_cox, turnbull and parametric"):
        build_design(FORMULA, data)
    with pytest.raises(FormulaError, match="write Surv"):
        read(data, "Surv(left, type='interval') ~ x")
    with pytest.raises(OutcomeError, match="must be numbers, but the column holds object"):
        read(data.assign(left=list("abcde")))
