"""Cox models of events that can happen again: Andersen-Gill, Prentice-Williams-Peterson, Wei-Lin-Weissfeld."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import Missing, RecurrentModel, Ties, check_option
from dxa_causal._core.warnings import AllCensoredWarning
from dxa_causal._design import Design, build_design, refuse_collinear, to_pandas
from dxa_causal._design.parse import parse
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.cox import CoxFit, cox
from dxa_causal.survival.episodes import number_events, order_episodes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NUMBER = "event number"
_NAMES = {
    "andersen-gill": "Andersen-Gill",
    "pwp-total": "Prentice-Williams-Peterson, total time",
    "pwp-gap": "Prentice-Williams-Peterson, gap time",
    "wlw": "Wei-Lin-Weissfeld",
}


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentFit(Result):
    """A Cox model fitted to recurrent events, with standard errors robust to the dependence within persons.

    Attributes
    ----------
    cox : CoxFit
        The Cox model behind it; `ph_test`, residuals and predictions take it.
    model : {"andersen-gill", "pwp-total", "pwp-gap", "wlw"}
    id : str
        Column that names the person.
    strata : str or None
    by_event : bool
        Whether each event number has its own coefficients.
    numbers : tuple of int
        Event number each coefficient belongs to; empty unless `by_event`.
    events : DataFrame
        group (event number), n_risk (persons who ever wait for that event), n_event.
    n_persons : int
    """

    title: ClassVar[str] = "Cox model of recurrent events"

    cox: CoxFit
    model: RecurrentModel
    id: str
    strata: str | None
    by_event: bool
    numbers: tuple[int, ...]
    events: pd.DataFrame
    n_persons: int
    nobs: int
    provenance: Provenance
    estimand: str = "log hazard ratio"

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.cox.terms

    @property
    def coefficients(self) -> FloatArray:
        """Log hazard ratios, (p,)."""
        return self.cox.coefficients

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients, robust to dependence within persons, (p, p)."""
        return self.cox.covariance

    @property
    def wald_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients zero, with the robust covariance."""
        return self.cox.wald_test

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term (and event number, in group): log hazard ratio, robust Wald test, limits."""
        table = self.cox.tidy(conf_level=conf_level, exponentiate=exponentiate)
        if self.by_event:
            plain = [term.rpartition(":event ")[0] for term in table["term"]]
            table = table.assign(term=plain)
            table.insert(1, "group", list(self.numbers))
        return table

    def glance(self) -> pd.DataFrame:
        """One row: that of the Cox model."""
        return self.cox.glance()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios."""
        return self.cox.plot(ax)

    def _notes(self) -> list[str]:
        counts = ", ".join(f"event {k}: {n}" for k, n in zip(self.events["group"], self.events["n_event"], strict=True))
        return [
            f"{_NAMES[self.model]}; ties: {self.cox.ties}; standard errors clustered on {self.id}"
            + (f"; strata: {self.strata}" if self.strata else ""),
            f"{self.n_persons} persons; how often each number happened: {counts}",
            str(self.wald_test),
        ] + super()._notes()


def recurrent(
    formula: str,
    data: Any,
    *,
    id: str,
    model: RecurrentModel = "andersen-gill",
    order: str | None = None,
    by_event: bool = False,
    max_events: int | None = None,
    ties: Ties = "efron",
    strata: str | None = None,
    missing: Missing = "drop",
) -> RecurrentFit:
    r"""Fit a Cox model to events that can happen again.

    Parameters
    ----------
    formula : str
        ``Surv(start, stop, event) ~ covariates``.
    data : pandas or polars frame
        One row per stretch between events of a person (more where covariates
        change); gaps in observation are allowed, overlaps are not.
    id : str
        Column that names the person.
    model : {"andersen-gill", "pwp-total", "pwp-gap", "wlw"}
        "andersen-gill": all events alike, on the time since the origin.
        "pwp-total": the k-th event has its own baseline hazard, at risk are
        those with k - 1 events; "pwp-gap": the same with the clock set back at
        each event. "wlw": as "pwp-total", but everybody is at risk for every
        event from the start.
    order : str, optional
        Column with the number 1, 2, ... of the event a row waits for; counted
        from `id` and time when omitted. It goes up by one after each event and
        not otherwise (but for gaps in observation); a person may start above 1,
        after events before entry.
    by_event : bool
        Coefficients of each event number instead of common ones (not for
        "andersen-gill").
    max_events : int, optional
        Events up to this number are used; later strata hold few persons (not
        for "andersen-gill").
    ties : {"efron", "breslow"}
    strata : str, optional
        Column; each value has its own baseline hazard(s).
    missing : {"drop", "raise"}

    Returns
    -------
    RecurrentFit

    Raises
    ------
    OutcomeError
        Rows of a person overlap, or no event.
    PredictorError
        `order` does not count a person's events.
    CollinearityError
        With `by_event`, a covariate is constant among those who wait for some
        late event; the message says which `max_events` avoids it.

    Notes
    -----
    All four are partial likelihoods of one stacked data set; the covariance is
    the sandwich with scores summed within persons. For "wlw" the rows of a
    person up to the k-th event are stacked once for each k, joined where
    nothing changes (as R's ``bladder``); `nobs` counts stacked rows.

    References
    ----------
    Andersen PK, Gill RD. Ann Stat 1982;10:1100-1120. doi:10.1214/aos/1176345976
    Prentice RL, Williams BJ, Peterson AV. Biometrika 1981;68:373-379. doi:10.1093/biomet/68.2.373
    Wei LJ, Lin DY, Weissfeld L. J Am Stat Assoc 1989;84:1065-1073. doi:10.1080/01621459.1989.10478873

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({
    ...     "id": [1, 1, 2, 2, 3, 4], "start": [0, 3, 0, 5, 0, 0], "stop": [3, 9, 5, 8, 7, 6],
    ...     "fall": [1, 0, 1, 1, 0, 1], "age": [71, 71, 75, 75, 64, 69],
    ... })
    >>> recurrent("Surv(start, stop, fall) ~ age", visits, id="id").events["n_event"].tolist()
    [3, 1]
    """
    check_option("model", model, RecurrentModel)
    check_option("ties", ties, ("efron", "breslow"))
    if model == "andersen-gill" and (by_event or max_events is not None):
        raise OptionError("by_event and max_events belong to models that number events, not to 'andersen-gill'")
    if max_events is not None and max_events < 1:
        raise OptionError(f"max_events={max_events!r} must be 1 or more")
    design, number, by_time = _numbered(formula, data, id=id, order=order, strata=strata, missing=missing)
    outcome, person = design.survival, design.rows.frame[id]
    if not outcome.event.any():
        raise OutcomeError(f"no event: all {outcome.event.size} rows analysed are censored")
    last = int(number[outcome.event == 1].max())
    events = _count(number, outcome.event, person, last, everybody=model == "wlw")
    if max_events is not None:
        last = min(last, max_events)
    numbered = model == "wlw" or max_events is not None or by_event
    idle = int((number > last).sum()) if numbered else 0
    notes = (f"of these, {idle} rows wait for event {last + 1} or later and take no part",) if idle else ()
    entry = np.zeros(number.size) if outcome.entry is None else outcome.entry
    rows = design.rows.frame.assign(__start=entry, __stop=outcome.time, __event=outcome.event)
    if model == "wlw":
        run = _unchanged_runs(design, by_time, id=id, strata=strata)
        parts = [_until_event(k, number, run, by_time, entry, outcome.event) for k in range(1, last + 1)]
        row, start, event, number = (np.concatenate(column) for column in zip(*parts, strict=True))
        stacked = rows.iloc[row].assign(__start=start, __event=event)
    else:
        row = np.flatnonzero(number <= last) if numbered else np.arange(number.size)
        stacked, number = rows.iloc[row], number[row]
    stacked = stacked.assign(**{_NUMBER: number})
    if model == "pwp-gap":
        origin = stacked.groupby([id, _NUMBER], observed=True, sort=False)["__start"].transform("min")
        stacked = stacked.assign(__start=stacked["__start"] - origin, __stop=stacked["__stop"] - origin)
    right, numbers = design.parts.fixed, np.array([], dtype=np.int64)
    if by_event:
        _refuse_collinear_events(design, row, number, last, strata)
        stacked, right, numbers = _by_event(stacked, design, row, last, id=id, strata=strata)
    stratum = strata
    if model != "andersen-gill":
        stratum = _NUMBER if strata is None else f"{strata}, {_NUMBER}"
        if strata is not None:
            stacked = stacked.assign(**{stratum: stacked[strata].astype(str) + ", " + stacked[_NUMBER].astype(str)})
    times = "Surv(__start, __stop, __event)" if (stacked["__start"] > 0).any() else "Surv(__stop, __event)"
    with warnings.catch_warnings():
        # those who wait for an event that nobody had
        warnings.simplefilter("ignore", AllCensoredWarning)
        fit = cox(f"{times} ~ {right}", stacked, ties=ties, strata=stratum, cluster=id)
    call = format_call(
        "survival.recurrent",
        formula,
        id=id,
        model=model,
        order=order,
        by_event=by_event or None,
        max_events=max_events,
        ties=ties,
        strata=strata,
    )
    provenance = design.provenance(call, notes=notes)
    return RecurrentFit(
        cox=replace(fit, provenance=provenance),
        model=model,
        id=id,
        strata=strata,
        by_event=by_event,
        numbers=tuple(int(k) for k in numbers),
        events=events,
        n_persons=int(person.nunique()),
        nobs=fit.nobs,
        provenance=provenance,
    )


def _numbered(
    formula: str, data: Any, *, id: str, order: str | None, strata: str | None, missing: Missing
) -> tuple[Design, IntArray, IntArray]:
    """The design, the number of the event each row waits for, and the rows by person and time."""
    frame = to_pandas(data)
    # events count also where a covariate is missing
    known = build_design(f"{parse(formula).outcome} ~ 1", frame, arguments={"id": id, "order": order})
    times = rank_times(known.survival.time, known.survival.entry)
    person, by_time = order_episodes(known.survival, times, known.rows.frame[id])
    number = np.zeros(len(frame), dtype=np.int64)
    if order is None:
        number[known.rows.keep] = number_events(person, by_time, known.survival.event)
    else:
        number[known.rows.keep] = _given_numbers(known, times, by_time, id=id, order=order)
    design = build_design(formula, frame, arguments={"id": id, "strata": strata, "order": order}, missing=missing)
    place = np.cumsum(design.rows.keep) - 1
    before = np.flatnonzero(known.rows.keep)[by_time]
    return design, number[design.rows.keep], place[before[design.rows.keep[before]]]


def _given_numbers(known: Design, times: RankedTimes, by_time: IntArray, *, id: str, order: str) -> IntArray:
    """The column `order`, which must count each person's events."""
    given = np.asarray(known.number(order, argument="order", positive=True))
    person, event = known.rows.frame[id], known.survival.event

    def where(i: int) -> str:
        return f"row {shown(known.index[i])} ({id}={shown(person.iloc[i])}) holds {given[i]:g}"

    wrong = np.flatnonzero(given != np.floor(given))
    if wrong.size:
        raise PredictorError(f"order={order!r} must be whole numbers; {where(int(wrong[0]))}")
    if given.min() > 1:
        raise PredictorError(
            f"order={order!r} must be the number 1, 2, ... of the event a row waits for; no row waits for the first, "
            f"{where(int(given.argmin()))}"
        )
    before, after = by_time[:-1], by_time[1:]
    # without entry each person has one row
    touch = np.zeros(before.size) if times.entry_rank is None else times.entry_rank[after] == times.rank[before]
    due = given[before] + event[before]
    same = person.to_numpy()[before] == person.to_numpy()[after]
    wrong = np.flatnonzero(same & ((given[after] < due) | (given[after] > due) & (touch == 1)))
    if wrong.size:
        k = int(wrong[0])
        happened = "an event" if event[before[k]] else "no event"
        raise PredictorError(
            f"order={order!r} must go up by one after each event of a person, and not otherwise; {wrong.size} rows do "
            f"not, first {where(int(after[k]))}, but {due[k]:g} is due: row {shown(known.index[before[k]])} holds "
            f"{given[before[k]]:g} and ends with {happened}"
        )
    return given.astype(np.int64)


def _unchanged_runs(design: Design, by_time: IntArray, *, id: str, strata: str | None) -> IntArray:
    """Number the runs of rows, in the order `by_time`, that follow one another with the same covariates."""
    before, after = by_time[:-1], by_time[1:]
    outcome = design.survival
    same = np.zeros(before.size, dtype=bool)
    if outcome.entry is not None:
        times = rank_times(outcome.time, outcome.entry)
        assert times.entry_rank is not None
        same = times.entry_rank[after] == times.rank[before]
    same &= (design.x[after] == design.x[before]).all(axis=1)
    for column in (id, strata):
        if column is not None:
            codes = pd.factorize(design.rows.frame[column])[0]
            same &= codes[after] == codes[before]
    return np.concatenate([[0], np.cumsum(~same)])


def _until_event(
    k: int, number: IntArray, run: IntArray, by_time: IntArray, entry: FloatArray, event: IntArray
) -> tuple[IntArray, FloatArray, IntArray, IntArray]:
    """Rows up to the k-th event, one per run: the row it ends with, its start, whether it ends with the event, k."""
    waiting = number[by_time] <= k
    kept, runs = by_time[waiting], run[waiting]
    first = np.flatnonzero(np.diff(runs, prepend=-1))
    final = np.concatenate([first[1:], [kept.size]]) - 1
    row = kept[final]
    return row, entry[kept[first]], event[row] * (number[row] == k), np.full(row.size, k)


def _count(number: IntArray, event: IntArray, person: pd.Series, last: int, *, everybody: bool) -> pd.DataFrame:
    table = pd.DataFrame({"group": number, "event": event, "person": person.to_numpy()})
    n_event = table.groupby("group")["event"].sum().reindex(range(1, last + 1), fill_value=0)
    waiting = table.groupby("group")["person"].nunique().reindex(range(1, last + 1), fill_value=0)
    n_risk = np.full(last, person.nunique()) if everybody else waiting.to_numpy()
    return pd.DataFrame({"group": range(1, last + 1), "n_risk": n_risk, "n_event": n_event.to_numpy()})


def _refuse_collinear_events(design: Design, row: IntArray, number: IntArray, last: int, strata: str | None) -> None:
    """Refuse covariates that others determine among the rows of one event number, and say how many events will do."""
    codes = None if strata is None else pd.factorize(design.rows.frame[strata])[0].astype(np.int64)
    for k in range(1, last + 1):
        own = row[number == k]
        try:
            refuse_collinear(replace(design, x=design.x[own]), None if codes is None else codes[own])
        except CollinearityError as error:
            cure = f", or take the events up to {k - 1}: max_events={k - 1}" if k > 1 else ""
            raise CollinearityError(
                f"by_event=True needs covariates that vary among those who wait for each event. Event {k} ({own.size} "
                f"rows): {error}{cure}"
            ) from None


def _by_event(
    stacked: pd.DataFrame, design: Design, row: IntArray, last: int, *, id: str, strata: str | None
) -> tuple[pd.DataFrame, str, IntArray]:
    """Each column of the design once per event number, zero elsewhere, and the formula of their sum."""
    number = stacked[_NUMBER].to_numpy()
    kept = ["__start", "__stop", "__event", _NUMBER, id] + ([strata] if strata else [])
    columns = {
        re.sub("[+`]", "_", f"{term}:event {k}"): design.x[row, j] * (number == k)
        for j, term in enumerate(design.terms)
        for k in range(1, last + 1)
    }
    wide = pd.concat([stacked[kept], pd.DataFrame(columns, index=stacked.index)], axis=1)
    return wide, " + ".join(f"`{name}`" for name in columns), np.tile(np.arange(1, last + 1), len(design.terms))
