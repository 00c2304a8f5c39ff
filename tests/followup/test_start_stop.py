"""Start-stop rows: types, frames, properties, bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import (
    ColumnNotFoundError,
    EmptyDataError,
    MissingDataError,
    OptionError,
    OutcomeError,
    PredictorError,
)
from dxa_causal._core.warnings import TimeUnitWarning

f = dc.followup


@pytest.fixture
def people():
    return pd.DataFrame({"id": ["b", "a"], "days": [10, 8], "died": [1, 0]}, index=[7, 9])


@pytest.fixture
def visits():
    return pd.DataFrame({"id": ["a", "b", "b", "a"], "day": [3, 4, 0, 0], "bili": [0.9, 2.1, 1.4, 0.8]})


def _rows(people, changes, **options):
    return f.start_stop(people, changes, id="id", time="days", event="died", **options)[0]


def test_order_of_people_and_sorted_visits(people, visits):
    rows = _rows(people, {"bili": f.tdc(visits, "day", "bili")})
    assert rows["id"].tolist() == ["b", "b", "a", "a"]
    assert rows["tstart"].tolist() == [0, 4, 0, 3]
    assert rows["tstop"].tolist() == [4, 10, 3, 8]
    assert rows["bili"].tolist() == [1.4, 2.1, 0.8, 0.9]
    assert rows["died"].tolist() == [0, 1, 0, 0]
    assert rows.index.tolist() == [0, 1, 2, 3]


def test_polars_gives_the_same_and_nothing_is_changed(people, visits):
    before = people.copy(), visits.copy()
    want = _rows(people, {"bili": f.tdc(visits, "day", "bili")})
    pd.testing.assert_frame_equal(people, before[0])
    pd.testing.assert_frame_equal(visits, before[1])
    got = _rows(pl.from_pandas(people), {"bili": f.tdc(pl.from_pandas(visits), "day", "bili")})
    pd.testing.assert_frame_equal(got, want, check_dtype=False)


def test_without_changes(people):
    rows, counts = f.start_stop(people, id="id", time="days", entry=-1.5, start="a", stop="z")
    assert rows[["a", "z"]].to_numpy().tolist() == [[-1.5, 10], [-1.5, 8]]
    assert counts.empty


def test_types_of_values(people):
    log = pd.DataFrame({"id": ["b", "b"], "day": [2, 5], "stage": pd.Categorical(["II", "III"]), "ill": [True, False]})
    log["name"] = ["x", None]
    rows = _rows(
        people,
        {
            "stage": f.tdc(log, "day", "stage", initial="I"),
            "name": f.tdc(log, "day", "name", missing="keep"),
            "falls": f.cumtdc(log, "day"),
            "ill": f.event(log, "day", "ill"),
            "to": f.event(log, "day", "stage"),
        },
    )
    assert rows["stage"].tolist() == ["I", "II", "III", "I"]
    assert rows["name"].isna().tolist() == [True, False, True, True]
    assert rows["falls"].tolist() == [0, 1, 2, 0]
    assert rows["falls"].dtype == np.int64
    assert rows["ill"].tolist() == [True, False, False, False]
    assert rows["to"].tolist() == ["II", "III", "II", "II"]  # the first category is "no event"
    assert isinstance(rows["to"].dtype, pd.CategoricalDtype)


def test_event_of_several_kinds_keeps_its_categories(people):
    people["died"] = pd.Categorical(["cancer", "alive"], categories=["alive", "cancer", "other"])
    moves = pd.DataFrame({"id": ["b"], "day": [2]})
    rows = _rows(people, {"moved": f.tdc(moves, "day")})
    assert rows["died"].tolist() == ["alive", "cancer", "alive"]
    assert rows["moved"].tolist() == [0, 1, 0]


def test_an_event_renamed_leaves_its_column(people, visits):
    rows, _ = f.start_stop(
        people, {"bili": f.tdc(visits, "day", "bili")}, id="id", time="days", event={"death": "died"}
    )
    assert rows["died"].tolist() == [1, 1, 0, 0]
    assert rows["death"].tolist() == [0, 1, 0, 0]


def test_in_two_calls_as_in_one(people, visits):
    switch = f.tdc(pd.DataFrame({"id": ["b", "a"], "day": [6, np.nan]}), "day")
    bili = f.tdc(visits, "day", "bili")
    at_once = _rows(people, {"bili": bili, "drug": switch})
    first = _rows(people, {"bili": bili})
    second, _ = f.start_stop(first, {"drug": switch}, id="id", entry="tstart", time="tstop", event="died")
    pd.testing.assert_frame_equal(second, at_once)


def test_cox_does_not_see_the_cuts():
    """Start-stop rows without new information leave coefficients, likelihood and clustered errors."""
    rng = np.random.default_rng(3)
    n = 300
    people = pd.DataFrame({"id": np.arange(n), "x": rng.normal(size=n), "t": rng.integers(2, 60, n) / 2})
    people["d"] = rng.integers(0, 2, n)
    visits = pd.DataFrame({"id": rng.integers(0, n, 900), "t": rng.integers(0, 60, 900) / 2})
    rows, _ = f.start_stop(people, {"n": f.cumtdc(visits, "t")}, id="id", time="t", event="d")
    assert len(rows) > n
    whole = dc.survival.cox("Surv(t, d) ~ x", people, cluster="id")
    cut = dc.survival.cox("Surv(tstart, tstop, d) ~ x", rows, cluster="id")
    pieces = f.split(people, cuts=[5, 7.5, 20], time="t", event="d", id="id")
    split = dc.survival.cox("Surv(tstart, t, d) ~ x", pieces, cluster="id")
    for fit in (cut, split):
        np.testing.assert_allclose(fit.tidy().iloc[0, 1:3].astype(float), whole.tidy().iloc[0, 1:3].astype(float))
    assert (rows["tstop"] - rows["tstart"]).sum() == pytest.approx(people["t"].sum())
    f.check_start_stop(rows, id="id", entry="tstart", time="tstop")


def test_counts_of_every_kind():
    spans = pd.DataFrame({"id": [1, 1, 1], "a": [0, 3, 6], "b": [3, 5, 9]})
    log = pd.DataFrame({"id": [1] * 9 + [2], "t": [-1, 0, 3, 4, 4, 5, 5.5, 6, 10, 1]})
    _, counts = f.start_stop(spans, {"n": f.cumtdc(log, "t")}, id="id", entry="a", time="b")
    assert counts.drop(columns="term").iloc[0].to_dict() == {
        "early": 1, "late": 1, "gap": 1, "within": 2, "boundary": 1, "leading": 2, "trailing": 1, "tied": 1,
        "unknown_id": 1, "no_time": 0, "no_value": 0,
    }  # fmt: skip


def test_what_is_skipped_is_counted():
    spans = pd.DataFrame({"id": [1, 2], "t": [10, 10]})
    log = pd.DataFrame({"id": [1, 1, 1, 2, 2, 3], "t": [1, np.nan, 3, 4, np.nan, np.nan], "x": [5, 6, *[None] * 3, 1]})
    changes = {"x": f.tdc(log, "t", "x"), "kept": f.tdc(log, "t", "x", missing="keep"), "on": f.tdc(log, "t")}
    _, counts = f.start_stop(spans, changes, id="id", time="t")
    assert counts["no_time"].tolist() == [2, 2, 2]
    assert counts["no_value"].tolist() == [2, 0, 0]
    assert (counts.drop(columns=["term", "tied"]).sum(axis=1) == len(log)).all()


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        ({"days": [10, np.nan]}, OutcomeError, "time='days' must be known and finite: 1 values are not, first row 9"),
        ({"days": [10, 0]}, OutcomeError, "must come before exit.*row 9 with entry 0 and exit 0"),
        ({"days": ["x", "y"]}, OutcomeError, "time='days' must be numbers"),
        ({"days": pd.to_datetime(["2001-01-01", "2002-01-01"])}, OutcomeError, "holds dates; count time from"),
        ({"id": ["b", None]}, MissingDataError, "id='id' is missing in 1 rows, first row 9"),
        ({"id": ["b", "b"]}, OutcomeError, r"rows overlap.*'b' with rows 7 \(0, 10\] and 9 \(0, 8\]"),
        ({"died": [1, np.nan]}, MissingDataError, "event='died' is missing in 1 rows, first row 9"),
        ({"died": [2, 1]}, OutcomeError, "R's coding"),
        ({"tstart": 1}, OptionError, "start='tstart' is already a column"),
        ({"bili": 1}, OptionError, "changes='bili' is already a column"),
    ],
)
def test_bad_base(people, visits, edit, error, message):
    with pytest.raises(error, match=message):
        _rows(people.assign(**edit), {"bili": f.tdc(visits, "day", "bili")})


def test_bad_changes(people, visits):
    with pytest.raises(ColumnNotFoundError, match=r"changes\['bili'\], time: no column 'dya'; did you mean 'day'"):
        _rows(people, {"bili": f.tdc(visits, "dya", "bili")})
    with pytest.raises(ColumnNotFoundError, match=r"changes\['bili'\], value: no column 'bilo'"):
        _rows(people, {"bili": f.tdc(visits, "day", "bilo")})
    with pytest.raises(OutcomeError, match="none of the people in 'id' is known, for instance 0"):
        _rows(people, {"bili": f.tdc(visits.assign(id=range(4)), "day", "bili")})
    with pytest.raises(OutcomeError, match=r"changes\['bili'\], time='day' must be known and finite"):
        _rows(people, {"bili": f.tdc(visits.assign(day=np.inf), "day", "bili")})
    with pytest.raises(PredictorError, match=r"cumtdc adds up numbers, but 'id' holds object"):
        _rows(people, {"n": f.cumtdc(visits, "day", "id")})
    with pytest.raises(OptionError, match="made by tdc"):
        _rows(people, {"bili": visits})
    with pytest.raises(OptionError, match="also the name of start, stop or event"):
        _rows(people, {"died": f.tdc(visits, "day", "bili")})
    with pytest.raises(OptionError, match="missing='drop' is not allowed"):
        f.tdc(visits, "day", "bili", missing="drop")
    with pytest.raises(OptionError, match="delay=-1"):
        f.tdc(visits, "day", "bili", delay=-1)
    with pytest.raises(OptionError, match="needs value="):
        f.tdc(visits, "day", initial=1)
    with pytest.raises(EmptyDataError):
        _rows(people.head(0), {})


def test_units_that_differ(people, visits):
    with pytest.warns(TimeUnitWarning, match="all 4 records lie after the end of follow-up"):
        _rows(people, {"bili": f.tdc(visits.assign(day=visits["day"] * 365 + 365), "day", "bili")})


def test_check_start_stop():
    rows = pd.DataFrame({"id": [1, 2, 1], "a": [0.1 + 0.2, 0, 0], "b": [2, 3, 0.3]})
    f.check_start_stop(rows, id="id", entry="a", time="b")  # 0.1 + 0.2 and 0.3 are one time
    with pytest.raises(OutcomeError, match=r"first 1 with rows 2 \(0, 0.5\] and 0 \(0.3, 2\]"):
        f.check_start_stop(rows.assign(b=[2, 3, 0.5]), id="id", entry="a", time="b")
    with pytest.raises(OutcomeError, match=r"entry \(a\) must come before exit \(b\); 1 rows do not, first row 1"):
        f.check_start_stop(rows.assign(b=[2, 0, 0.3]), id="id", entry="a", time="b")


def test_split_by_hand():
    people = pd.DataFrame({"t": [5.0, 2.0], "e": [2, 0]}, index=["x", "y"])
    rows = f.split(pl.from_pandas(people), cuts=(5, 2, 2, 9), time="t", event="e", entry=-1)
    assert rows.to_numpy().tolist() == [[2, 0, -1, 1], [5, 2, 2, 2], [2, 0, -1, 1]]
    assert list(rows.columns) == ["t", "e", "tstart", "episode"]
    for wrong in ([np.nan], [], "a", ["a"]):
        with pytest.raises(OptionError, match="cuts=.* must be finite numbers"):
            f.split(people, cuts=wrong, time="t", event="e")
    with pytest.raises(OptionError, match="episode='t' is already"):
        f.split(people, cuts=[1], time="t", event="e", episode="t")
    with pytest.raises(OutcomeError, match="first row 'y' with entry 2 and exit 2"):
        f.split(people, cuts=[1], time="t", event="e", entry=2)


def test_events_cannot_double_unsaid(people):
    """Without a word about the event, a 0/1 column would be copied into every piece."""
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'event'"):
        f.split(people, cuts=[5], time="days")
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'event'"):
        f.lexis_split(people, exit="days", scales={"since": (None, [5])})
    assert f.split(people.drop(columns="died"), cuts=[5], time="days", event=None)["episode"].tolist() == [1, 2, 1, 2]


EVENTS = {
    "start_stop": lambda d: f.start_stop(d, id="id", time="days", event="died"),
    "landmark": lambda d: f.landmark(d, at=1, id="id", time="days", event="died"),
    "split": lambda d: f.split(d, cuts=[5], time="days", event="died"),
    "lexis_split": lambda d: f.lexis_split(d, exit="days", event="died", scales={"since": (None, [5])}),
    "visit_outcome": lambda d: f.visit_outcome(
        pd.DataFrame({"id": d["id"], "year": 1, "ill": 0}), d, id="id", time="year", status="ill", died="died"
    ),
}


@pytest.mark.parametrize("use", EVENTS)
def test_events_are_checked_alike(use, people):
    for fine in ([1, 0], [True, False], [2, 0], [1.0, 0.0], [1, 1], np.array([1, 0], dtype=object)):
        EVENTS[use](people.assign(died=fine))
    EVENTS[use](people.assign(died=pd.Categorical(["dead", "alive"], categories=["alive", "dead"])))
    with pytest.raises(OutcomeError, match=r"'died' holds text \('alive', 'dead'\).*== 'dead'\).*Categorical"):
        EVENTS[use](people.assign(died=["dead", "alive"]))
    with pytest.raises(OutcomeError, match="holds 1, 2: this looks like R's coding"):
        EVENTS[use](people.assign(died=[1, 2]))
    with pytest.raises(OutcomeError, match="must be 0/1 .*1 values are not, first row 9 with 0.5"):
        EVENTS[use](people.assign(died=[1, 0.5]))
    with pytest.raises(MissingDataError, match="'died' is missing in 1 rows"):
        EVENTS[use](people.assign(died=[1, None]))


def test_changes_must_be_named(people, visits):
    for wrong in ([f.tdc(visits, "day", "bili")], f.tdc(visits, "day", "bili")):
        with pytest.raises(OptionError, match="changes must be a mapping, new column -> tdc"):
            f.start_stop(people, wrong, id="id", time="days", event="died")
        with pytest.raises(OptionError, match="changes must be a mapping"):
            f.landmark(people, wrong, at=1, id="id", time="days", event="died")
