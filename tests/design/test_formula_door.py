"""Formulas that users type, and what the door makes of them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal._core import errors
from dxa_causal._design import build_design, read_groups
from dxa_causal._numerics.rank import dependent_columns
from dxa_causal._numerics.times import rank_times


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "time": [5.0, 3.0, 8.0, 2.0, 6.0, 7.0],
            "status": [1, 2, 1, 2, 2, 1],
            "age": [60.0, 71.0, 65.0, 80.0, 77.0, 62.0],
            "ph.ecog": [0.0, 1.0, 2.0, 1.0, 0.0, 2.0],
            "grip strength": [30.0, 20.0, 25.0, 18.0, 22.0, 35.0],
            "sex": pd.Categorical(["f", "m", "f", "m", "m", "f"], categories=["f", "m", "x"]),
            "smoker": [True, False, True, False, False, True],
            "arm": ["a", "b", "c", "a", "b", "c"],
        },
        index=list("pqrstu"),
    )


def terms(right, frame, **options):
    return build_design(f"Surv(time, status == 2) ~ {right}", frame, **options).terms


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("age", ["age"]),
        ("1", []),
        ("age - 1", ["age"]),
        ("0 + arm", ["arm[T.b]", "arm[T.c]"]),
        ("sex", ["sex[T.m]"]),
        ("C(arm)", ["C(arm)[T.b]", "C(arm)[T.c]"]),
        ("smoker + age", ["smoker", "age"]),
        ("ph.ecog", ["ph.ecog"]),
        ("log(ph.ecog + 1)", ["log(ph.ecog + 1)"]),
        ("`grip strength`", ["grip strength"]),
        ("Q('grip strength')", ["Q('grip strength')"]),
        ("I(age^2)", ["I(age ** 2)"]),
        ("age:sex", ["age:sex[f]", "age:sex[m]"]),
        ("age * smoker", ["age", "smoker", "age:smoker"]),
        ("np.log(age)", ["np.log(age)"]),
        ("C(arm, contr.treatment('b'))", ["C(arm, contr.treatment('b'))[T.a]", "C(arm, contr.treatment('b'))[T.c]"]),
    ],
)
def test_terms(right, expected, frame):
    assert terms(right, frame) == expected


def test_values_and_rows(frame):
    holed = frame.assign(age=frame["age"].where(frame.index != "q"))
    design = build_design("Surv(time, status == 2) ~ I(age^2) + sex", holed)
    assert list(design.index) == list("prstu")
    np.testing.assert_allclose(design.x[:, 0], holed["age"].dropna() ** 2)
    np.testing.assert_array_equal(design.survival.event, [0, 0, 1, 1, 0])
    assert design.rows.missing == {"age": 1}
    assert design.x.flags.c_contiguous
    assert design.x.dtype == np.float64


def test_outcomes_by_arithmetic(frame):
    design = build_design("Surv(age, age + time / 12, status == 2) ~ 1", frame)
    np.testing.assert_allclose(design.survival.entry, frame["age"])
    np.testing.assert_allclose(design.survival.time, frame["age"] + frame["time"] / 12)
    other = build_design("Surv(`grip strength`, ph.ecog < 1) ~ 1", frame)
    np.testing.assert_allclose(other.survival.time, frame["grip strength"])
    np.testing.assert_array_equal(other.survival.event, [1, 0, 0, 0, 1, 0])


def test_code_cannot_hide_in_the_outcome(frame):
    for left in ("Surv(time, __import__('os'))", "Surv(time.max(), status == 2)", "Surv(time, [1, 2])"):
        with pytest.raises(errors.DxaCausalError):
            build_design(f"{left} ~ age", frame)


def test_new_data_are_coded_as_at_the_fit(frame):
    design = build_design("Surv(time, status == 2) ~ bs(age, df=4) + arm + sex", frame)
    again, index = design.new(frame)
    np.testing.assert_allclose(again, design.x, atol=1e-14)
    one, _ = design.new(frame.loc[["r"]].assign(sex="f", arm="c"))
    np.testing.assert_allclose(one[0], design.x[2], atol=1e-14)
    assert list(index) == list(frame.index)


def test_plain_left_sides(frame):
    assert build_design("age ~ sex", frame).outcome.tolist() == frame["age"].tolist()
    np.testing.assert_allclose(build_design("np.log(age) ~ sex", frame).outcome, np.log(frame["age"]))
    np.testing.assert_array_equal(build_design("~ age", frame, intercept=True).x[:, 0], 1.0)
    with pytest.raises(errors.FormulaError, match="must be Surv"):
        _ = build_design("age ~ sex", frame).survival


def test_groups(frame):
    assert read_groups("Surv(time, status == 2) ~ 1", frame).labels == ("all",)
    assert read_groups("Surv(time, status == 2) ~ C(sex)", frame).labels == ("f", "m")
    both = read_groups("Surv(time, status == 2) ~ sex + smoker", frame)
    assert both.labels == ("sex=f, smoker=True", "sex=m, smoker=False")
    assert read_groups("Surv(time, status == 2) ~ ph.ecog", frame).labels == (0.0, 1.0, 2.0)
    with pytest.raises(errors.FormulaError, match="make 'age > 65' a column first"):
        read_groups("Surv(time, status == 2) ~ age > 65", frame)
    with pytest.raises(errors.ColumnNotFoundError, match="did you mean 'sex'"):
        read_groups("Surv(time, status == 2) ~ sx", frame)


def test_an_infinite_value_is_named(frame):
    wrong = frame.assign(age=frame["age"].where(frame.index != "s", np.inf))
    with pytest.raises(errors.PredictorError, match="term 'age' is not finite in 1 rows, first row 's' with inf"):
        terms("age", wrong)


def test_dependent_columns():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 50))
    group = np.repeat([0, 1], 25)
    assert dependent_columns(np.column_stack([a, b])) == {}
    assert dependent_columns(np.column_stack([a, 1e6 + b, a - 2 * b])) == {2: [0, 1]}
    assert dependent_columns(np.column_stack([a, np.full(50, 0.1)])) == {1: []}
    assert dependent_columns(np.column_stack([a, group * 1.0]), group) == {1: []}
    assert dependent_columns(np.column_stack([a, a + 1e-4 * b])) == {}
    assert dependent_columns(np.empty((5, 0))) == {}


def test_close_times_are_one_time():
    exact = rank_times(np.array([1.0, 1.0 + 1e-9, 2.0, 2.0 + 1e-6]))
    assert exact.rank.tolist() == [0, 0, 1, 2]
    # relative to the mean time, so that a change of unit does not matter
    assert rank_times(np.array([1e6, 1e6 + 1e-3, 2e6])).rank.tolist() == [0, 0, 1]
    both = rank_times(np.array([2.0, 3.0]), np.array([0.0, 2.0 + 1e-10]))
    assert both.entry_rank.tolist() == [0, 1]
    assert both.rank.tolist() == [1, 2]


def test_a_sum_of_columns_takes_no_detour(frame):
    """The quick way and formulaic's give the same matrix, names, errors and predictions."""
    quick = build_design("Surv(time, status == 2) ~ age + `grip strength` + ph.ecog + age", frame)
    slow = build_design("Surv(time, status == 2) ~ I(age) + I(`grip strength`) + I(`ph.ecog`)", frame)
    assert quick.coding is None
    assert quick.terms == ["age", "grip strength", "ph.ecog"]
    np.testing.assert_array_equal(quick.x, slow.x)
    assert list(quick.spec.column_names) == ["Intercept", *quick.terms]
    new, index = quick.new(frame.head(2).assign(age=[1, 2]))
    np.testing.assert_array_equal(new[:, 0], [1.0, 2.0])
    assert list(index) == ["p", "q"]
    with pytest.raises(errors.PredictorError, match="new data: column 'age' must be numbers as at the fit"):
        quick.new(frame.head(1).assign(age="old"))
    with pytest.raises(errors.ColumnNotFoundError, match="no column 'age'"):
        quick.new(frame.drop(columns="age"))
    assert build_design("Surv(time, status == 2) ~ age + smoker", frame).coding is not None


def test_an_offset_that_is_an_expression(frame):
    with pytest.raises(errors.FormulaError, match=r"with -0.03 \* age as a column, and offset='offset_'"):
        build_design("Surv(time, status == 2) ~ age + offset(-0.03 * age)", frame)


def test_a_column_named_like_a_keyword(frame):
    with pytest.raises(errors.FormulaError, match="cannot be evaluated"):
        build_design("Surv(time, status == 2) ~ log(`lambda`)", frame.assign(**{"lambda": 2.0 + frame["age"]}))


def test_a_cause_called_censored_is_censoring():
    data = pd.DataFrame({"t": [1.0, 2, 3, 4], "state": ["ill", "censored", "dead", "censored"]})
    outcome = build_design("Surv(t, state) ~ 1", data, causes=True).survival
    assert (outcome.causes, outcome.censored) == (("dead", "ill"), "censored")
    assert outcome.event.tolist() == [2, 0, 1, 0]
    with pytest.raises(errors.OutcomeError, match="make it a categorical whose first category is censoring"):
        build_design("Surv(t, state) ~ 1", data.replace("censored", "alive"), causes=True)


def test_categories_of_polars_have_no_order_but_enums_do():
    data = pl.DataFrame({"t": [1.0, 2, 3], "state": ["ill", "alive", "dead"]})
    enum = data.with_columns(pl.col("state").cast(pl.Enum(["alive", "ill", "dead"])))
    assert build_design("Surv(t, state) ~ 1", enum, causes=True).survival.event.tolist() == [1, 0, 2]
    unordered = data.with_columns(pl.col("state").cast(pl.Categorical))
    with pytest.raises(errors.OutcomeError, match="make it a categorical whose first category is censoring"):
        build_design("Surv(t, state) ~ 1", unordered, causes=True)
