"""The mean number of recurrent events per person over time, by group, with or without death."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OutcomeError, shown
from dxa_causal._core.options import Missing
from dxa_causal._design import Groups, read_groups
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Summary
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.mean_cumulative import mean_cumulative_of_group
from dxa_causal.survival.episodes import order_episodes
from dxa_causal.survival.step_curves import (
    StepCurves,
    given_weights,
    last_values,
    positive_limits,
    warn_without_events,
)

if TYPE_CHECKING:
    pass

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Histories:
    """Rows of all persons as the kernel takes them.

    Attributes
    ----------
    times : RankedTimes
    group, person, event, died : (n,) ndarray of int64
    weight : (n,) ndarray
    """

    times: RankedTimes
    group: IntArray
    person: IntArray
    event: IntArray
    died: IntArray
    weight: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class MeanCumulativeFit(StepCurves):
    """Mean cumulative functions by group.

    Attributes
    ----------
    groups : Groups
        Outcome and group of every row analysed.
    steps : DataFrame
        group, time, n_risk, n_event, estimate, std_error, one row per distinct
        exit time of a group; sums of weights for a weighted fit.
    id : str
        Column that names the person.
    death, weights : str or None
    nobs, n_events, n_persons : int
    """

    title: ClassVar[str] = "Mean cumulative number of events"
    start: ClassVar[float] = 0.0
    value_label: ClassVar[str] = "Mean number of events"

    groups: Groups
    steps: pd.DataFrame
    id: str
    death: str | None
    weights: str | None
    nobs: int
    n_events: int
    n_persons: int
    provenance: Provenance
    histories: Histories
    estimand: str = "mean number of events"

    def test(self) -> HypothesisTest | NotApplicable:
        r"""Test that the mean number of events is the same in all groups at all times.

        Compares :math:`\int L\, d\hat\mu_g` between groups, with
        :math:`L = (\sum_g 1 / Y_g)^{-1}` from the numbers at risk; robust to the dependence of a
        person's events. The pseudo-score test of Cook, Lawless & Nadeau; with
        death that of Ghosh & Lin.

        References
        ----------
        Cook RJ, Lawless JF, Nadeau C. Biometrics 1996;52:557-571. doi:10.2307/2532895
        Ghosh D, Lin DY. Biometrics 2000;56:554-562. doi:10.1111/j.0006-341X.2000.00554.x
        """
        method = "test of equal mean functions (chi-square)"
        if len(self.groups.labels) < 2:
            return NotApplicable("there is one group; a comparison needs two", method)
        with np.errstate(divide="ignore"):
            inverse = 1 / np.array([found[0] for found in _by_group(self.histories)])
        last = np.array([found[3:, -1] for found in _by_group(self.histories, 1 / inverse.sum(axis=0))])
        total, variance = last.T
        if not (variance > 0).all():
            return NotApplicable("a group has no event while all groups have persons at risk", method)
        weight = 1 / variance
        statistic = float(np.sum(weight * (total - np.average(total, weights=weight)) ** 2))
        df = total.size - 1
        return HypothesisTest(
            statistic, df, float(special.chdtrc(df, statistic)), method, "the mean number of events is equal"
        )

    def _limits(self, estimate: FloatArray, std_error: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
        return positive_limits(estimate, std_error, conf_level)

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Events and the mean number at the last time, per group."""
        return Summary(self.title, [last_values(self.tidy(conf_level), by=["group"])], self._notes())

    def _notes(self) -> list[str]:
        notes = [
            f"{self.n_persons} persons ({self.id})"
            + (f"; death: {self.death}, after which nothing more happens" if self.death is not None else "")
            + (f"; weights: {self.weights}" if self.weights else "")
            + "; limits on the log scale"
        ]
        if len(self.groups.labels) > 1:
            notes.append(str(self.test()))
        return notes + super()._notes()


def mean_cumulative(
    formula: str,
    data: Any,
    *,
    id: str,
    death: str | int | None = None,
    weights: str | None = None,
    missing: Missing = "drop",
) -> MeanCumulativeFit:
    r"""Estimate the mean number of recurrent events per person over time.

    Parameters
    ----------
    formula : str
        ``Surv(start, stop, event) ~ group``, or ``~ 1`` for one curve.
    data : pandas or polars frame
        One row per stretch of observation of a person, ending with an event
        or not; gaps are allowed, overlaps are not.
    id : str
        Column that names the person.
    death : str or int, optional
        Column that is 1 (or true) where a row ends with death; or, where the
        event has the codes 0, 1, 2, the code that means death. Without it,
        those who leave are taken to have gone on as the others.
    weights : str, optional
        Column of positive weights.
    missing : {"drop", "raise"}

    Returns
    -------
    MeanCumulativeFit

    Raises
    ------
    OutcomeError
        Rows of a person overlap, go on after death, or lie in two groups.

    Notes
    -----
    With :math:`Y` at risk, :math:`d\hat R = dN / Y` and, with death, the
    Kaplan-Meier estimate :math:`\hat S` of survival,

    .. math::

        \hat\mu(t) = \int_0^t \hat S(u-)\, d\hat R(u).

    The variance is the sum over persons of squares of

    .. math::

        \int_0^t \frac{\hat S(u-)}{Y}\, d\hat M_i(u) - \int_0^t \frac{\hat\mu(t) -
        \hat\mu(u)}{Y}\, d\hat M_i^D(u),

    with martingale residuals of event and death; without death it is Lawless
    and Nadeau's (and R's ``std.chaz``). Cost: O(n log n).

    References
    ----------
    Lawless JF, Nadeau C. Technometrics 1995;37:158-168. doi:10.1080/00401706.1995.10484300
    Ghosh D, Lin DY. Biometrics 2000;56:554-562. doi:10.1111/j.0006-341X.2000.00554.x

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({
    ...     "id": [1, 1, 2, 2, 3], "start": [0, 3, 0, 5, 0], "stop": [3, 9, 5, 8, 7],
    ...     "fall": [1, 0, 1, 0, 0], "died": [0, 0, 0, 1, 0],
    ... })
    >>> fit = mean_cumulative("Surv(start, stop, fall) ~ 1", visits, id="id", death="died")
    >>> fit.predict([6])["estimate"].round(3).tolist()
    [0.667]
    """
    arguments = {"id": id, "death": death if isinstance(death, str) else None, "weights": weights}
    coded = death is not None and not isinstance(death, str)
    groups = read_groups(formula, data, arguments=arguments, missing=missing, causes=coded)
    died = np.zeros(groups.codes.size, dtype=np.int64)
    if coded:
        groups, died = _split_codes(groups, death)
    elif isinstance(death, str):
        died = _zero_one(groups.rows.frame[death], death)
    outcome = groups.outcome
    times = rank_times(outcome.time, outcome.entry)
    persons = groups.rows.frame[id]
    person, order = order_episodes(outcome, times, persons)
    _refuse_after_death(died, person, order, persons)
    _refuse_two_groups(groups, person, persons)
    warn_without_events(groups)
    histories = Histories(times, groups.codes, person, outcome.event, died, given_weights(groups, weights))
    frames = []
    for code, found in enumerate(_by_group(histories)):
        place = np.unique(times.rank[groups.codes == code])
        n_risk, n_event, mean, variance = found[[0, 1, 3, 4]][:, place]
        frames.append(
            pd.DataFrame(
                {
                    "group": [groups.labels[code]] * place.size,
                    "time": times.distinct[place],
                    "n_risk": n_risk,
                    "n_event": n_event,
                    "estimate": mean,
                    "std_error": np.sqrt(variance),
                }
            )
        )
    call = format_call("survival.mean_cumulative", formula, id=id, death=death, weights=weights)
    return MeanCumulativeFit(
        groups=groups,
        steps=pd.concat(frames, ignore_index=True),
        id=id,
        death=None if death is None else str(death),
        weights=weights,
        nobs=person.size,
        n_events=int(outcome.event.sum()),
        n_persons=int(person.max()) + 1,
        provenance=groups.provenance(call),
        histories=histories,
    )


def _by_group(rows: Histories, factor: FloatArray | None = None) -> list[FloatArray]:
    """At risk, events, deaths, mean and variance at each distinct time, (5, k) per group."""
    times = rows.times
    factor = np.ones(times.distinct.size) if factor is None else factor
    found = []
    for code in range(int(rows.group.max()) + 1):
        own = rows.group == code
        entry_rank = None if times.entry_rank is None else times.entry_rank[own]
        found.append(
            mean_cumulative_of_group(
                rows.person[own],
                rows.weight[own],
                rows.event[own],
                rows.died[own],
                entry_rank,
                times.rank[own],
                factor,
            )
        )
    return found


def _split_codes(groups: Groups, death: Any) -> tuple[Groups, IntArray]:
    """Recurrent events and deaths of an event column that codes both."""
    outcome = groups.outcome
    code = outcome.cause_code(death)
    if len(outcome.causes) != 2:
        raise OutcomeError(
            f"{outcome.event_name!r} must hold the recurrent event and death={shown(death)}, but its codes are "
            f"{', '.join(shown(c) for c in outcome.causes)}"
        )
    return replace(groups, outcome=outcome.of_cause(3 - code)), (outcome.event == code).astype(np.int64)


def _zero_one(column: pd.Series, name: str) -> IntArray:
    known = column.isin([0, 1])
    if not known.all():
        i = int(np.flatnonzero(~known)[0])
        raise OutcomeError(
            f"death={name!r} must be 0/1 or True/False: {int((~known).sum())} values are not, first row "
            f"{shown(column.index[i])} with {shown(column.iloc[i])}"
        )
    return column.to_numpy().astype(np.int64)


def _refuse_after_death(died: IntArray, person: IntArray, order: IntArray, persons: pd.Series) -> None:
    before, after = order[:-1], order[1:]
    late = np.flatnonzero((person[before] == person[after]) & (died[before] == 1))
    if late.size:
        a, b = before[late[0]], after[late[0]]
        raise OutcomeError(
            f"{late.size} rows come after the death of the same {persons.name!r}: first {shown(persons.iloc[a])}, who "
            f"dies in row {shown(persons.index[a])} and goes on in row {shown(persons.index[b])}"
        )


def _refuse_two_groups(groups: Groups, person: IntArray, persons: pd.Series) -> None:
    first = np.unique(person, return_index=True)[1]
    moved = np.flatnonzero(groups.codes != groups.codes[first][person])
    if moved.size:
        i = int(moved[0])
        raise OutcomeError(
            f"{persons.name}={shown(persons.iloc[i])} lies in two groups, {shown(groups.labels[groups.codes[i]])} (row "
            f"{shown(persons.index[i])}) and {shown(groups.labels[groups.codes[first[person[i]]]])}; a person has one"
        )
