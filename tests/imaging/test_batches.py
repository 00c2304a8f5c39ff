"""ComBat on frames: what it removes, what it keeps, what it refuses."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import imaging
from dxa_causal._core.errors import (
    CollinearityError,
    ColumnNotFoundError,
    MeasurementError,
    MissingDataError,
    OptionError,
    UnseenLevelError,
)
from dxa_causal._numerics.combat import apply_combat, fit_combat

FEATURES = [f"f{i}" for i in range(12)]


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    site = np.arange(90) % 3
    age, sex = rng.normal(60, 8, 90), rng.integers(0, 2, 90)
    values = 0.05 * age[:, None] + 0.5 * sex[:, None] + rng.standard_normal((90, 12)) * (1 + site[:, None] / 2)
    frame = pd.DataFrame(values + 1.5 * site[:, None], columns=FEATURES, index=range(500, 590))
    return frame.assign(site=np.array(["a", "b", "c"])[site], age=age, sex=np.array(["F", "M"])[sex])


def test_is_the_kernel(table):
    found = imaging.combat(table, FEATURES, "site", covariates=["age", "sex"])
    codes = pd.factorize(table["site"], sort=True)[0]
    design = np.column_stack([table["age"], table["sex"] == "M"]).astype(float)
    values = table[FEATURES].to_numpy()
    expected = apply_combat(fit_combat(values, codes, design), values, codes, design)
    np.testing.assert_allclose(found.frame[FEATURES].to_numpy(), expected, rtol=1e-12)
    assert list(found.frame.columns) == list(table.columns)
    assert list(found.frame.index) == list(table.index)
    pd.testing.assert_frame_equal(found.frame[["site", "age", "sex"]], table[["site", "age", "sex"]])


def test_sites_come_together_and_age_stays(table):
    found = imaging.combat(table, FEATURES, "site", covariates=["age", "sex"])
    spread = found.frame.groupby("site")[FEATURES].mean().mean(axis=1)
    assert np.ptp(table.groupby("site")[FEATURES].mean().mean(axis=1)) > 2.5
    assert np.ptp(spread) < 0.3
    slope = np.polynomial.polynomial.polyfit(found.frame["age"], found.frame[FEATURES], 1)[1]
    assert slope.mean() == pytest.approx(0.05, abs=0.02)
    scale = found.tidy().query("metric == 'scale'").groupby("group")["estimate"].mean()
    assert scale["a"] < scale["b"] < scale["c"]


def test_new_rows_of_known_sites(table):
    found = imaging.combat(table, FEATURES, "site", covariates=["age", "sex"])
    pd.testing.assert_frame_equal(found.apply(table), found.frame)
    pd.testing.assert_frame_equal(found.apply(table.iloc[[5]]), found.frame.iloc[[5]])
    pd.testing.assert_frame_equal(
        found.apply(pl.from_pandas(table)), found.frame.reset_index(drop=True), check_dtype=False
    )
    with pytest.raises(UnseenLevelError, match="batch='site' holds 'z' in row 500; known .*'a', 'b', 'c'"):
        found.apply(table.assign(site="z"))
    with pytest.raises(UnseenLevelError, match="column 'sex' holds 'X' in row 500"):
        found.apply(table.assign(sex="X"))
    with pytest.raises(ColumnNotFoundError, match="no column 'age'"):
        found.apply(table.drop(columns="age"))


def test_reference_and_shifts_only(table):
    found = imaging.combat(table, FEATURES, "site", reference="b", mean_only=True, prior="nonparametric")
    own = table["site"] == "b"
    pd.testing.assert_frame_equal(found.frame[own], table[own])
    assert (found.tidy().query("metric == 'scale'")["estimate"] == 1).all()
    assert found.glance()["reference"][0] == "b"
    with pytest.raises(OptionError, match="reference='q' is not allowed; use 'a', 'b' or 'c'"):
        imaging.combat(table, FEATURES, "site", reference="q")


def test_numbers_as_batches_and_order_of_rows(table):
    numbered = table.assign(site=table["site"].map({"a": 10, "b": 9, "c": 11}))
    found = imaging.combat(numbered, FEATURES, "site", reference=9)
    assert found.batches == ("9", "10", "11")
    shuffled = imaging.combat(numbered.iloc[::-1], FEATURES, "site", reference=9)
    np.testing.assert_allclose(shuffled.frame.loc[table.index, FEATURES], found.frame[FEATURES], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda d: d.assign(sex=d["site"]), {"covariates": "sex"}, CollinearityError, "Cramér's V 1.00"),
        (
            lambda d: d.assign(age=d["site"].map({"a": 40.0, "b": 60.0, "c": 80.0}) + d["f0"] / 9),
            {"covariates": "age"}, CollinearityError, "'age' is confounded with batch='site' .correlation ratio 1.00",
        ),
        (
            lambda d: d.assign(old=d["age"] * 2), {"covariates": ["age", "old"]}, CollinearityError, "are collinear",
        ),
        (lambda d: d.assign(site="a"), {}, MeasurementError, "all rows are of batch 'a'"),
        (lambda d: d.iloc[[0, 1, 3]], {}, MeasurementError, "batch 'b' has one row"),
        (lambda d: d.assign(f3=d["f3"].where(d["site"] != "b", 1.0)), {}, MeasurementError, "'f3' is 1 in all 30 rows"),
        (lambda d: d.assign(f3=d["f3"].where(d.index != 507)), {}, MissingDataError, "'f3' is missing in 1 rows.* 507"),
        (lambda d: d.assign(sex="F"), {"covariates": "sex"}, MeasurementError, "covariate 'sex' has one value"),
        (lambda d: d.assign(age=d["age"].where(d.index != 500)), {"covariates": "age"}, MissingDataError, "'age'"),
        (lambda d: d, {"covariates": "f1"}, OptionError, "column 'f1' is named twice"),
        (lambda d: d.assign(f2=1.0), {"mean_only": True}, MeasurementError, "'f2' does not vary"),
    ],
)  # fmt: skip
def test_refusals(table, change, options, error, message):
    with pytest.raises(error, match=message):
        imaging.combat(change(table), FEATURES, "site", **options)


def test_one_feature_has_no_prior(table):
    with pytest.raises(MeasurementError, match="use prior='none'"):
        imaging.combat(table, ["f0"], "site")
    found = imaging.combat(table, ["f0"], "site", prior="none")
    assert found.frame.groupby("site")["f0"].mean().std() < 1e-12
    few = imaging.combat(table, FEATURES[:3], "site")
    assert few.provenance.notes == ("the prior of the batches' effects rests on 3 features",)
