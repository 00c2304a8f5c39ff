"""Landmark sets: against a loop, delayed entry, bad input; people counted beside rows in a flow."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, EmptyDataError, OptionError, OutcomeError

f = dc.followup
NAMES = {"id": "id", "time": "t", "event": "e"}


@pytest.fixture
def data():
    rng = np.random.default_rng(8)
    people = pd.DataFrame({"id": rng.permutation(40), "a": rng.integers(0, 4, 40)})
    people["t"] = people["a"] + rng.integers(1, 8, 40)
    people["e"] = rng.integers(0, 3, 40)
    visits = pd.DataFrame({"id": rng.integers(0, 45, 150), "t": rng.permutation(150) / 15, "x": rng.normal(size=150)})
    visits.loc[::7, "x"] = np.nan
    return people, visits


def test_against_a_loop(data):
    people, visits = data
    rows, counts = f.landmark(
        pl.from_pandas(people),
        {"x": f.tdc(pl.from_pandas(visits), "t", "x"), "n": f.cumtdc(visits, "t")},
        at=[4, 2],
        entry="a",
        horizon=3,
        max_gap=1.5,
        **NAMES,
    )
    want = []
    for s in (2.0, 4.0):
        for p in people.itertuples():
            if not p.a <= s < p.t:
                continue
            own = visits[(visits["id"] == p.id) & (visits["t"] <= s)].sort_values("t")
            known = own.dropna()
            x = known["x"].iloc[-1] if len(known) and s - known["t"].iloc[-1] <= 1.5 else np.nan
            want.append((p.id, s, min(p.t, s + 3), p.e if p.t <= s + 3 else 0, x, len(own), s))
    want = pd.DataFrame(want, columns=["id", "a", "t", "e", "x", "n", "landmark"])
    pd.testing.assert_frame_equal(rows, want, check_dtype=False)
    assert counts["n_at_risk"].tolist() == rows.groupby("landmark").size().tolist()
    assert counts[["n_at_risk", "n_not_entered", "n_ended"]].sum(axis=1).tolist() == [40, 40]
    assert counts["n_event"].tolist() == (rows["e"] > 0).groupby(rows["landmark"]).sum().tolist()


def test_without_horizon(data):
    people, _ = data
    rows, _ = f.landmark(people, at=2, **NAMES)
    later = people[people["t"] > 2]
    assert rows["t"].tolist() == later["t"].tolist()
    assert rows["e"].tolist() == later["e"].tolist()
    assert (rows["entry"] == 2).all()


def test_bad_input(data):
    people, visits = data
    with pytest.raises(EmptyDataError, match="nobody is at risk at landmark 99"):
        f.landmark(people, at=[1, 99], **NAMES)
    with pytest.raises(OptionError, match="horizon=0 must be a positive number"):
        f.landmark(people, at=1, horizon=0, **NAMES)
    for wrong in ([], "a", [1, np.inf]):
        with pytest.raises(OptionError, match="at=.* must be finite numbers"):
            f.landmark(people, at=wrong, **NAMES)
    with pytest.raises(OptionError, match="must be a tdc or cumtdc"):
        f.landmark(people, {"x": f.event(visits, "t")}, at=1, **NAMES)
    with pytest.raises(OptionError, match="changes='a' is already a column"):
        f.landmark(people, {"a": f.tdc(visits, "t")}, at=1, **NAMES)
    twice = pd.DataFrame({"id": [1, 1], "a": [0, 2], "t": [2, 3], "e": [0, 1]})
    with pytest.raises(OutcomeError, match="one row per person, but id=1 has several"):
        f.landmark(twice, at=1, entry="a", **NAMES)


def test_flow_counts_people():
    rows = pd.DataFrame({"id": [1, 1, 2, 3], "age": [40, 60, 70, 50]})
    kept, counts = f.exclude(rows, {"under 50": "age < 50", "over 60": "age > 60"}, id="id")
    assert kept["id"].tolist() == [1, 3]
    assert counts["n_remaining"].tolist() == [4, 3, 2]
    assert counts["n_persons"].tolist() == [3, 3, 2]
    assert dc.cohort.flow is f.flow
    with pytest.raises(ColumnNotFoundError, match="id: no column 'ID'; did you mean 'id'"):
        f.flow(rows, {}, id="ID")
