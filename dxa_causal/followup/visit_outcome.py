"""Visits with a yes or no, such as sarcopenia, to the interval in which it began."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OutcomeError, shown
from dxa_causal._core.options import check_option
from dxa_causal.followup.columns import (
    FloatArray,
    IntArray,
    find_people,
    read_column,
    read_events,
    read_frame,
    read_people,
    read_times,
    refuse_names,
)

BoolArray = npt.NDArray[np.bool_]
Onset = Literal["first_positive", "confirmed"]
Prevalent = Literal["keep", "exclude"]

_NEW = ("left", "right", "found", "n_visits", "reversals")


def visit_outcome(
    visits: Any,
    people: Any = None,
    *,
    id: str,
    time: str,
    status: str,
    entry: str | None = None,
    death_time: str | None = None,
    died: str | None = None,
    onset: Onset = "first_positive",
    prevalent: Prevalent = "keep",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Interval-censored time of onset of a condition that is only seen at visits.

    Parameters
    ----------
    visits : pandas or polars DataFrame
        One row per visit, in any order.
    people : pandas or polars DataFrame, optional
        One row per person: what else is known, such as death.
    id : str
        Column of the person, in both frames.
    time : str
        Column of the time of the visit.
    status : str
        Column of the condition: 0/1 or boolean. A visit where it is missing
        says nothing.
    entry, death_time, died : str, optional
        Columns of `people`, checked against the visits: begin of follow-up;
        time of death or last contact, same unit and origin as `time`; whether
        the person died then. They allow an illness-death model: after the last
        visit the condition may have begun unseen.
    onset : {"first_positive", "confirmed"}
        Which visit finds the condition, should later ones contradict it.
        "first_positive": the first with it. "confirmed": the first of two in a
        row with it; one without confirmation counts as if the visit had not
        been.
    prevalent : {"keep", "exclude"}
        People who have the condition before any visit without it: left-censored,
        or left out.

    Returns
    -------
    outcome : DataFrame
        A row per person with an outcome, in the order of `people` (else of
        appearance): columns of `people` (else `id`); left, the last visit
        without the condition, before it was found, -inf if there is none;
        right, the visit that found it, inf if none did; found (0/1); n_visits
        (with a status); reversals, how often a visit without the condition
        follows one with it.
    counts : DataFrame
        step and n: people; those without a visit, without information
        (unconfirmed only), prevalent (and whether they were left out), found,
        not found, with reversals; visits without status; visits of people not
        in `people`.

    Raises
    ------
    OutcomeError
        Two visits of a person at one time, a visit before entry or after death
        or last contact, or a status that is not 0 or 1.

    Notes
    -----
    ``Surv(left, right, type='interval')`` is (left, right]; it takes -inf and
    inf. R's ``SmoothHazard::idm`` wants ``Hist(list(left, right), found)`` and
    ``Hist(death_time, died)`` of people free of the condition at entry:
    ``prevalent="exclude"``.

    References
    ----------
    Touraine, Gerds, Joly 2017, SmoothHazard: an R package for fitting
    regression models to interval-censored observations of illness-death
    models, Journal of Statistical Software 79(7). doi:10.18637/jss.v079.i07

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> visits = pd.DataFrame(
    ...     {"id": [1, 1, 1, 2, 2, 3], "year": [0, 1, 2, 0, 1, 0], "sarcopenia": [0, 0, 1, 0, 0, 1]}
    ... )
    >>> people = pd.DataFrame({"id": [1, 2, 3], "years": [4.0, 3.5, 2.0], "died": [0, 1, 1]})
    >>> outcome, counts = dc.followup.visit_outcome(
    ...     visits, people, id="id", time="year", status="sarcopenia", death_time="years", died="died"
    ... )
    >>> outcome
       id  years  died  left  right  found  n_visits  reversals
    0   1    4.0     0   1.0    2.0      1         3          0
    1   2    3.5     1   1.0    inf      0         2          0
    2   3    2.0     1  -inf    0.0      1         1          0
    """
    check_option("onset", onset, Onset)
    check_option("prevalent", prevalent, Prevalent)
    frame = read_frame(visits, {"id": id, "time": time, "status": status})
    if people is None:
        for argument, name in (("entry", entry), ("death_time", death_time), ("died", died)):
            if name is not None:
                raise OutcomeError(f"{argument}={name!r} is a column of people=, which is missing")
        _, known_people = read_people(frame, id)
        persons = pd.DataFrame({id: known_people})
    else:
        persons = read_frame(people, {"id": id, "entry": entry, "death_time": death_time, "died": died})
        refuse_names(persons, {"people": next((n for n in _NEW if n in persons.columns), None)})
        codes, known_people = read_people(persons, id)
        if known_people.size < codes.size:
            twice = persons.loc[persons[id].duplicated(), id].iloc[0]
            raise OutcomeError(f"people must hold one row per person, but {id}={shown(twice)} has several")
    person = find_people(frame, id, known_people, argument="visits")
    when = read_times(frame, time, argument="time")
    ill, seen = _status(frame, status)
    order = np.lexsort((when, person))
    _refuse_duplicates(frame, person, when, order, names=(id, time))
    _refuse_outside(persons, frame, person, when, names=(id, time), entry=entry, death_time=death_time, died=died)

    used = order[(person[order] >= 0) & seen[order]]
    n = len(persons)
    left, right, n_visits, reversals = _onset(person[used], when[used], ill[used], n, onset)
    outcome = persons.reset_index(drop=True).assign(
        left=left, right=right, found=np.isfinite(right).astype(np.int64), n_visits=n_visits, reversals=reversals
    )
    unvisited = n_visits == 0
    silent = ~unvisited & np.isinf(left) & np.isinf(right)
    first_positive = np.isfinite(right) & np.isinf(left)
    out = unvisited | silent | (first_positive if prevalent == "exclude" else False)
    kept = outcome.loc[~out].reset_index(drop=True)
    steps = {
        "people": n,
        "without a visit, left out": int(unvisited.sum()),
        "without information, left out": int(silent.sum()),
        f"prevalent, {'left out' if prevalent == 'exclude' else 'kept'}": int(first_positive.sum()),
        "found": int(kept["found"].sum()),
        "not found": int((kept["found"] == 0).sum()),
        "with reversals": int((kept["reversals"] > 0).sum()),
        "visits without status": int((~seen & (person >= 0)).sum()),
        "visits of people not in people": int((person < 0).sum()),
    }
    return kept, pd.DataFrame({"step": list(steps), "n": list(steps.values())})


def _onset(
    person: IntArray, when: FloatArray, ill: BoolArray, n: int, onset: Onset
) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Left, right, visits and reversals of each person, from visits sorted by person and time."""
    place = np.arange(person.size)
    together = person[1:] == person[:-1]
    follows = np.append(together & ill[1:], False)  # the next visit of the same person has it too
    finds = ill & follows if onset == "confirmed" else ill
    found = np.full(n, person.size)
    np.minimum.at(found, person[finds], place[finds])
    before = ~ill & (place < found[person])
    last = np.full(n, -1)
    np.maximum.at(last, person[before], place[before])
    left = np.append(when, -np.inf)[last]
    right = np.append(when, np.inf)[found]
    reversals = np.bincount(person[1:][together & ill[:-1] & ~ill[1:]], minlength=n)
    return left, right, np.bincount(person, minlength=n), reversals


def _status(frame: pd.DataFrame, status: str) -> tuple[BoolArray, BoolArray]:
    """Whether each visit shows the condition, and whether it says anything."""
    column = read_column(frame, status)
    seen = column.notna().to_numpy()
    wrong = np.flatnonzero(seen & ~column.isin([0, 1]).to_numpy())
    if wrong.size:
        raise OutcomeError(
            f"status={status!r} must be 0/1 or True/False: {wrong.size} values are not, first row "
            f"{shown(frame.index[wrong[0]])} with {shown(column.iloc[wrong[0]])}"
        )
    return (column == 1).to_numpy(dtype=bool, na_value=False), seen


def _refuse_duplicates(
    frame: pd.DataFrame, person: IntArray, when: FloatArray, order: IntArray, *, names: tuple[str, str]
) -> None:
    a, b = order[:-1], order[1:]
    twice = np.flatnonzero((person[a] >= 0) & (person[a] == person[b]) & (when[a] == when[b]))
    if twice.size:
        i, j = a[twice[0]], b[twice[0]]
        id, time = names
        raise OutcomeError(
            f"{twice.size} visits are at the same time as another visit of the person: first {id}="
            f"{shown(frame[id].iloc[i])} at {time}={when[i]:g}, rows {shown(frame.index[i])} and "
            f"{shown(frame.index[j])}; keep one of them"
        )


def _refuse_outside(
    persons: pd.DataFrame,
    frame: pd.DataFrame,
    person: IntArray,
    when: FloatArray,
    *,
    names: tuple[str, str],
    entry: str | None,
    death_time: str | None,
    died: str | None,
) -> None:
    """Refuse visits before entry, or after death or last contact."""
    if died is not None:
        read_events(persons, died, argument="died")
    for argument, name, sign in (("entry", entry, -1.0), ("death_time", death_time, 1.0)):
        if name is None:
            continue
        limit = read_times(persons, name, argument=argument)[person]
        outside = np.flatnonzero((person >= 0) & (sign * when > sign * limit))
        if outside.size:
            i = outside[0]
            side = "before the person enters" if sign < 0 else "after the person died or was last known"
            raise OutcomeError(
                f"{outside.size} visits are {side}: first {names[0]}={shown(frame[names[0]].iloc[i])} with "
                f"{names[1]}={when[i]:g} and {argument} {name}={limit[i]:g}. Are both in the same unit, from the same "
                "origin?"
            )
