"""What every result must do, over all of them."""

import copy
import dataclasses
import pickle
import sys
from pathlib import Path

import matplotlib.axes
import numpy as np
import pandas as pd
import pytest

from dxa_causal.results import GLANCE, TIDY, Provenance, Result, Summary

sys.path.insert(0, str(Path(__file__).parent))
from registry import COEFFICIENTS, RESULTS, covariance


@pytest.fixture(scope="module", params=RESULTS)
def fit(request):
    return RESULTS[request.param]()


def test_is_a_frozen_result(fit):
    assert isinstance(fit, Result)
    field = dataclasses.fields(fit)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(fit, field, None)
    assert (fit == fit) is True
    assert hash(fit) == hash(fit)


def test_arrays_are_read_only(fit):
    for field in dataclasses.fields(fit):
        value = getattr(fit, field.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, field.name


def test_tables_use_the_vocabulary(fit):
    assert set(fit.tidy().columns) <= set(TIDY)
    assert set(fit.glance().columns) <= set(GLANCE)
    assert len(fit.glance()) == 1


def test_tables_are_new_each_time(fit):
    before = fit.tidy()
    first = fit.tidy()
    first.iloc[:, :] = first.iloc[::-1].to_numpy()
    pd.testing.assert_frame_equal(fit.tidy(), before)


def test_limits_widen_with_the_level(fit):
    narrow, wide = fit.tidy(conf_level=0.5), fit.tidy(conf_level=0.99)
    if "conf_low" not in narrow:  # a table of tests has none
        return
    known = narrow["estimate"].notna() & narrow["conf_low"].notna()
    assert (wide["conf_low"][known] <= narrow["conf_low"][known]).all()
    assert (wide["conf_high"][known] >= narrow["conf_high"][known]).all()


def test_can_be_saved_and_copied(fit):
    for again in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit)):
        pd.testing.assert_frame_equal(again.tidy(), fit.tidy())
        assert dict(again.provenance.versions) == dict(fit.provenance.versions)


def test_prints(fit):
    summary = fit.summary()
    assert isinstance(summary, Summary)
    assert fit.title in str(summary)
    assert "<table" in summary._repr_html_()
    assert "rows used" in str(summary) or "variants" in str(summary)


def test_says_where_it_comes_from(fit):
    assert isinstance(fit.provenance, Provenance)
    assert fit.provenance.n_used + fit.provenance.n_dropped == fit.provenance.n_rows
    assert fit.provenance.call
    assert fit.nobs > 0
    assert fit.estimand


def test_plots(fit):
    assert isinstance(fit.plot(), matplotlib.axes.Axes)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_covariance_is_symmetric_and_positive(name):
    matrix = covariance(RESULTS[name]())
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-15)
    assert np.linalg.eigvalsh(matrix).min() > 0
