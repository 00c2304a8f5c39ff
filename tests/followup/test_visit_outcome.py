"""Interval-censored outcomes from visits: by hand, against a loop, bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import OptionError, OutcomeError

f = dc.followup
NAMES = {"id": "id", "time": "year", "status": "ill"}


def _visits(*sequences):
    """Person k with these statuses in years 0, 1, ...; None for unknown."""
    rows = [(k, float(year), ill) for k, s in enumerate(sequences, start=1) for year, ill in enumerate(s)]
    return pd.DataFrame(rows, columns=["id", "year", "ill"])


def _intervals(outcome):
    return outcome[["left", "right"]].to_numpy().tolist()


def test_by_hand():
    visits = _visits([0, 0, 1], [0, 0], [1, 1], [0, 1, 0, 1, 1], [0, None, 1])
    outcome, counts = f.visit_outcome(visits.sample(frac=1, random_state=2), **NAMES)
    outcome = outcome.sort_values("id")
    assert _intervals(outcome) == [[1, 2], [1, np.inf], [-np.inf, 0], [0, 1], [0, 2]]
    assert outcome["found"].tolist() == [1, 0, 1, 1, 1]
    assert outcome["n_visits"].tolist() == [3, 2, 2, 5, 2]
    assert outcome["reversals"].tolist() == [0, 0, 0, 1, 0]
    assert counts.set_index("step")["n"].to_dict() == {
        "people": 5,
        "without a visit, left out": 0,
        "without information, left out": 0,
        "prevalent, kept": 1,
        "found": 4,
        "not found": 1,
        "with reversals": 1,
        "visits without status": 1,
        "visits of people not in people": 0,
    }


def test_confirmed():
    visits = _visits([0, 1, 0, 1, 1], [0, 0, 1], [1], [1, 0, 1, 1], [1, 1])
    outcome, counts = f.visit_outcome(visits, **NAMES, onset="confirmed", prevalent="exclude")
    assert outcome["id"].tolist() == [1, 2, 4]
    assert _intervals(outcome) == [[2, 3], [1, np.inf], [1, 2]]
    n = counts.set_index("step")["n"]
    assert (n["without information, left out"], n["prevalent, left out"]) == (1, 1)


def test_people_and_death():
    visits = _visits([0, 1], [0, 0], [0])
    people = pd.DataFrame(
        {"id": [3, 4, 2, 1], "died_at": [5.0, 2.0, 1.5, 3.0], "died": [1, 1, 0, 1], "sex": list("fmfm")}
    )
    outcome, counts = f.visit_outcome(
        pl.from_pandas(visits), pl.from_pandas(people), **NAMES, death_time="died_at", died="died"
    )
    assert outcome["id"].tolist() == [3, 2, 1]
    assert _intervals(outcome) == [[0, np.inf], [1, np.inf], [0, 1]]
    assert list(outcome.columns) == ["id", "died_at", "died", "sex", "left", "right", "found", "n_visits", "reversals"]
    assert counts.set_index("step")["n"]["without a visit, left out"] == 1
    strangers, counts = f.visit_outcome(visits, people.query("id != 1"), **NAMES)
    assert strangers["id"].tolist() == [3, 2]
    assert counts.set_index("step")["n"]["visits of people not in people"] == 2


@pytest.mark.parametrize("onset", ["first_positive", "confirmed"])
def test_against_a_loop(onset):
    rng = np.random.default_rng(5)
    visits = pd.DataFrame({"id": rng.integers(0, 60, 300), "year": rng.permutation(300) / 10})
    visits["ill"] = rng.choice([0.0, 1.0, np.nan], 300, p=[0.6, 0.3, 0.1])
    outcome, _ = f.visit_outcome(visits, **NAMES, onset=onset)
    got = outcome.set_index("id")
    for person, own in visits.dropna().sort_values("year").groupby("id"):
        ill, year = own["ill"].to_list(), own["year"].to_list()
        wanted = [1, 1] if onset == "confirmed" else [1]
        hits = [k for k in range(len(ill)) if ill[k : k + len(wanted)] == wanted]
        until = hits[0] if hits else len(ill)
        left = max((year[k] for k in range(until) if ill[k] == 0), default=-np.inf)
        right = year[until] if hits else np.inf
        if np.isinf(left) and np.isinf(right):
            assert person not in got.index
        else:
            assert got.loc[person, ["left", "right"]].tolist() == [left, right]


def test_bad_input():
    visits = _visits([0, 1], [0, 0])
    people = pd.DataFrame({"id": [1, 2], "end": [3.0, 0.5], "begin": [0.0, 0.5], "died": [0, 1]})
    with pytest.raises(OutcomeError, match="first id=2 at year=1, rows 3 and 9; keep one"):
        f.visit_outcome(pd.concat([visits, visits.iloc[[3]].set_axis([9])]), **NAMES)
    with pytest.raises(OutcomeError, match=r"after the person died.*id=2 with year=1 and death_time end=0.5.*same"):
        f.visit_outcome(visits, people, **NAMES, death_time="end", died="died")
    with pytest.raises(OutcomeError, match=r"before the person enters: first id=2 with year=0 and entry begin=0.5"):
        f.visit_outcome(visits, people, **NAMES, entry="begin")
    with pytest.raises(OutcomeError, match="status='ill' must be 0/1.*first row 1 with 2"):
        f.visit_outcome(visits.assign(ill=[0, 2, 0, 0]), **NAMES)
    with pytest.raises(OutcomeError, match="id=1 has several"):
        f.visit_outcome(visits, people.assign(id=1), **NAMES)
    with pytest.raises(OutcomeError, match="is a column of people="):
        f.visit_outcome(visits, **NAMES, died="died")
    with pytest.raises(OptionError, match="'left' is already"):
        f.visit_outcome(visits, people.assign(left=1), **NAMES)
    with pytest.raises(OptionError, match="onset='first' is not allowed"):
        f.visit_outcome(visits, **NAMES, onset="first")
    with pytest.raises(OutcomeError, match="time='year' must be known"):
        f.visit_outcome(visits.assign(year=np.nan), **NAMES)
