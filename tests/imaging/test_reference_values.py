"""Scores against registered reference values; whatever does not match is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import imaging
from dxa_causal._core.errors import ColumnNotFoundError, MeasurementError, ReferenceValueError

KEY = {"device": "d1", "site": "radius_third", "sex": "F", "ancestry": "white"}


@pytest.fixture(autouse=True)
def _empty_registry():
    imaging.forget_references()
    yield
    imaging.forget_references()


@pytest.fixture
def bands():
    table = pd.DataFrame(
        {
            "age_low": [20, 30, 50, 20], "age_high": [30, 50, 70, 40], "mean": [0.68, 0.69, 0.62, 0.70],
            "sd": [0.05, 0.05, 0.06, 0.04], "young_adult": [False, False, False, True],
        }
    )  # fmt: skip
    return table.assign(**KEY, source="simulated")


def test_empty_by_default():
    assert imaging.registered_references().empty
    with pytest.raises(ReferenceValueError, match="no reference values for device 'd1' .row 0.; none is registered"):
        imaging.t_score(0.6, **KEY)


def test_scores(bands):
    imaging.register_reference(bands)
    assert imaging.t_score(0.60, **KEY) == pytest.approx(-2.5)
    np.testing.assert_allclose(imaging.t_score([0.70, np.nan], **KEY), [0.0, np.nan])
    # the marked row overlaps and gives way; bands are closed below and open above
    found = imaging.z_score([0.73, 0.69, 0.56, 0.6], [25, 30, 50, np.nan], **KEY)
    np.testing.assert_allclose(found, [1.0, 0.0, -1.0, np.nan], atol=1e-12)
    assert imaging.z_score(0.56, 69.9, **KEY) == pytest.approx(-1.0)


def test_young_adults_stand_in_where_no_band_holds_the_age(bands):
    imaging.register_reference(bands.iloc[[2, 3]])
    assert imaging.z_score(0.74, 35, **KEY) == pytest.approx(1.0)


def test_people_of_both_sexes(bands):
    men = bands.assign(sex="M", mean=bands["mean"] + 0.1)
    imaging.register_reference(pl.from_pandas(pd.concat([bands, men])))
    found = imaging.z_score([0.69, 0.69], 40, **(KEY | {"sex": ["F", "M"]}))
    np.testing.assert_allclose(found, [0.0, -2.0], atol=1e-12)
    assert len(imaging.registered_references()) == 8


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"device": "d2"}, "no reference values for device 'd2' .row 0.*registered: 'd1'.*not put in their place"),
        ({"site": "radius_thrid"}, "site 'radius_thrid' of device 'd1' .*did you mean 'radius_third'"),
        ({"sex": "M"}, "sex 'M' of device 'd1', site 'radius_third' .*registered: 'F'"),
        ({"ancestry": "asian"}, "ancestry 'asian'"),
        ({"device": None}, "device is missing in row 0"),
    ],
)
def test_mismatches_are_refused(bands, part, message):
    imaging.register_reference(bands)
    with pytest.raises(ReferenceValueError, match=message):
        imaging.t_score(0.6, **(KEY | part))
    with pytest.raises(ReferenceValueError, match=message):
        imaging.z_score(0.6, 40, **(KEY | part))


def test_one_row_of_another_device(bands):
    imaging.register_reference(bands)
    with pytest.raises(ReferenceValueError, match="device 'd9' .row 1."):
        imaging.t_score([0.6, 0.6], **(KEY | {"device": ["d1", "d9"]}))


def test_ages_beyond_the_bands(bands):
    imaging.register_reference(bands)
    with pytest.raises(ReferenceValueError, match="age 85 in row 1 lies in no band .*50-70"):
        imaging.z_score([0.6, 0.6], [60, 85], **KEY)


def test_no_young_adults_no_t_score(bands):
    imaging.register_reference(bands.drop(columns="young_adult").iloc[:3])
    assert imaging.z_score(0.69, 40, **KEY) == 0
    with pytest.raises(ReferenceValueError, match="marks no row as young_adult"):
        imaging.t_score(0.6, **KEY)


def test_replacing_is_asked_for(bands):
    imaging.register_reference(bands)
    with pytest.raises(ReferenceValueError, match="are registered, source 'simulated'; replace=True"):
        imaging.register_reference(bands)
    imaging.register_reference(bands.assign(mean=0.5), replace=True)
    assert imaging.t_score(0.5, **KEY) == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.drop(columns="source"), ColumnNotFoundError, "table: no column 'source'"),
        (lambda d: d.assign(source=""), ReferenceValueError, "column 'source' is missing in row 0"),
        (lambda d: d.assign(sd=0.0), ReferenceValueError, "row 0: sd is not positive"),
        (lambda d: d.assign(age_high=10), ReferenceValueError, "row 0: age_low is not below age_high"),
        (lambda d: d.assign(young_adult=False), ReferenceValueError, "age bands of rows .* overlap"),
        (lambda d: d.assign(young_adult=True), ReferenceValueError, "all marked young_adult; allowed is one"),
        (lambda d: d.assign(young_adult="x"), ReferenceValueError, "allowed are true and false"),
        (lambda d: d.assign(mean="high"), MeasurementError, "column 'mean' must hold numbers"),
        (lambda d: d.iloc[:0], ReferenceValueError, "no rows"),
    ],
)
def test_tables_refused(bands, change, error, message):
    with pytest.raises(error, match=message):
        imaging.register_reference(change(bands))
    assert imaging.registered_references().empty


def test_lengths_must_agree(bands):
    imaging.register_reference(bands)
    with pytest.raises(MeasurementError, match="age has 3 values for 2 measured"):
        imaging.z_score([0.6, 0.6], [1, 2, 3], **KEY)
    with pytest.raises(MeasurementError, match="device has 3 values for 2 measured"):
        imaging.t_score([0.6, 0.6], **(KEY | {"device": ["d1"] * 3}))
