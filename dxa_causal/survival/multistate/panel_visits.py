"""Visits at which the state of a person is seen: which states there are, what may follow what, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, column_not_found, shown
from dxa_causal._design import Design, to_pandas
from dxa_causal.survival._kernels.panel_markov import EXACT, ONE_OF, SEEN, Intervals

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class PanelVisits:
    """Intervals between visits of one person.

    Attributes
    ----------
    begins : (n,) ndarray of int64
        Row of the visit at the beginning of each interval.
    begin, kind, end, width, sets : ndarray
        As in `Intervals`.
    counts : DataFrame
    n_persons, n_single, n_changes : int
    time_name : str
    notes : tuple of str
    """

    begins: IntArray
    begin: IntArray
    kind: IntArray
    end: IntArray
    width: FloatArray
    sets: FloatArray
    counts: pd.DataFrame
    n_persons: int
    n_single: int
    n_changes: int
    time_name: str
    notes: tuple[str, ...]

    def intervals(self, pattern: IntArray) -> Intervals:
        """Intervals with the codes of their covariate patterns; equal ones stand once, chains come last."""
        chained = self.begin < 0
        chained[:-1] |= self.begin[1:] < 0
        alone = np.flatnonzero(~chained)
        keys = (self.width[alone], self.end[alone], self.kind[alone], self.begin[alone], pattern[alone])
        order = alone[np.lexsort(keys)]
        new = np.zeros(order.size, dtype=bool)
        new[:1] = True
        for values in (self.width, self.end, self.kind, self.begin, pattern):
            new[1:] |= values[order[1:]] != values[order[:-1]]
        first = np.flatnonzero(new)
        rows = np.concatenate([order[first], np.flatnonzero(chained)])
        count = np.concatenate([np.diff(np.append(first, order.size)), np.ones(int(chained.sum()))])
        columns = (self.width[rows], self.begin[rows], self.kind[rows], self.end[rows])
        return Intervals(pattern[rows].astype(np.int64), *columns, count.astype(np.float64), self.sets)

    def crude_rates(self, origin: IntArray) -> FloatArray:
        """Moves seen per time in the state at the beginning, for the transitions of `StateGraph` in their order."""
        table = self.counts.to_numpy(dtype=np.float64)
        known = self.begin >= 0
        spent = np.bincount(self.begin[known], self.width[known], len(table))
        targets = self.counts.attrs["target"]
        return np.asarray(table[origin, targets] / np.maximum(spent[origin], 1e-300))


@dataclass(frozen=True, eq=False, slots=True)
class StateGraph:
    """States and the moves between them.

    Attributes
    ----------
    states : tuple
    origin, target : (T,) ndarray of int64
    exact : frozenset of int
    censored : tuple of (code, tuple of int)
    """

    states: tuple[Any, ...]
    origin: IntArray
    target: IntArray
    exact: frozenset[int]
    censored: tuple[tuple[Any, tuple[int, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the transitions."""
        pairs = zip(self.origin, self.target, strict=True)
        return tuple(f"{self.states[h]} -> {self.states[j]}" for h, j in pairs)

    @property
    def reachable(self) -> npt.NDArray[np.bool_]:
        """Whether a path leads from a state to another, (S, S); a state reaches itself."""
        n = len(self.states)
        step = np.eye(n, dtype=bool)
        step[self.origin, self.target] = True
        for _ in range(n):
            step = step @ step
        return step

    def intervals(self, design: Design, *, state: str, time: str, id: str) -> PanelVisits:
        """Pair the visits of each person, having checked that they can be."""
        rows = design.rows.frame
        n = len(self.states)
        codes = pd.Index([*self.states, *(code for code, _ in self.censored)], dtype=object)
        found = codes.get_indexer(np.array(rows[state], dtype=object))
        unknown = np.flatnonzero(found < 0)
        if unknown.size:
            i = unknown[0]
            listed = ", ".join(shown(v) for v in self.states)
            raise OutcomeError(
                f"state={state!r}: {unknown.size} rows hold a state that is not among the transitions, first row "
                f"{shown(rows.index[i])} with {shown(rows[state].iloc[i])}; the states are {listed}. A code for an "
                "unknown state goes into censored={code: [states]}"
            )
        never = [k for k in range(n) if not (found == k).any()]
        if never:
            raise OutcomeError(
                f"nobody is ever seen in state {shown(self.states[never[0]])}: its intensities cannot be estimated; "
                "leave it out of the transitions"
            )
        number = design.number(time, argument="time")
        assert number is not None
        person = pd.factorize(rows[id])[0]
        order = np.lexsort((number, person))
        a, b = order[:-1], order[1:]
        same = person[a] == person[b]
        a, b = a[same], b[same]
        if not a.size:
            raise OutcomeError(f"no person ({id!r}) is seen twice: there is no change of state to learn from")
        width = number[b] - number[a]

        def said(k: int) -> str:
            return (
                f"person {shown(rows[id].iloc[a[k]])}, rows {shown(rows.index[a[k]])} and {shown(rows.index[b[k]])} "
                f"(times {number[a[k]]:g} and {number[b[k]]:g})"
            )

        tied = np.flatnonzero(width <= 1e-12 * np.maximum(1.0, np.abs(number[b])))
        if tied.size:
            raise OutcomeError(f"{tied.size} pairs of visits of one person are at the same time: first {said(tied[0])}")
        self._refuse_impossible(found[a], found[b], state, said)
        first = order[np.concatenate([[True], person[order[1:]] != person[order[:-1]]])]
        hidden = first[found[first] >= n]
        if hidden.size:
            i = hidden[0]
            raise OutcomeError(
                f"the first visit of {hidden.size} persons is in an unknown state ({shown(rows[state].iloc[i])}), "
                f"first person {shown(rows[id].iloc[i])}; leave those rows out: nothing comes before them"
            )
        kind = np.where(found[b] >= n, ONE_OF, np.where(np.isin(found[b], sorted(self.exact)), EXACT, SEEN))
        sets = np.zeros((len(self.censored), n))
        for row, (_, members) in zip(sets, self.censored, strict=True):
            row[list(members)] = 1.0
        table = np.zeros((n, n + len(self.censored)), dtype=np.int64)
        known = found[a] < n
        np.add.at(table, (found[a][known], found[b][known]), 1)
        counts = pd.DataFrame(table, index=pd.Index(self.states, name="from"), columns=list(codes))
        counts.attrs["target"] = self.target
        n_persons = int(person.max()) + 1
        named = ", ".join(shown(self.states[k]) for k in sorted(self.exact))
        return PanelVisits(
            begins=a,
            begin=np.where(known, found[a], -1).astype(np.int64),
            kind=kind.astype(np.int64),
            end=np.where(found[b] >= n, found[b] - n, found[b]).astype(np.int64),
            width=width,
            sets=sets,
            counts=counts,
            n_persons=n_persons,
            n_single=n_persons - np.unique(person[a]).size,
            n_changes=int((found[a] != found[b])[known & (found[b] < n)].sum()),
            time_name=time,
            notes=(f"time of entry known exactly: {named}",) if named else (),
        )

    def _refuse_impossible(self, before: IntArray, after: IntArray, state: str, said: Any) -> None:
        n = len(self.states)
        absorbing = np.setdiff1d(np.arange(n), self.origin)
        stuck = np.flatnonzero(np.isin(before, absorbing) & ((after != before) | np.isin(before, sorted(self.exact))))
        if stuck.size:
            name = shown(self.states[before[stuck[0]]])
            raise OutcomeError(
                f"{stuck.size} rows follow a state that cannot be left: first {said(stuck[0])}, state {name}; leave "
                f"rows after it out, or allow moves out of it in transitions"
            )
        both = np.flatnonzero((before < n) & (after < n))
        allowed = self.reachable.copy()
        for d in self.exact:  # there must be somebody to enter it from
            into = self.origin[self.target == d]
            allowed[:, d] = self.reachable[:, into].any(axis=1)
        wrong = both[~allowed[before[both], after[both]]]
        if wrong.size:
            k = wrong[0]
            raise OutcomeError(
                f"state={state!r}: {wrong.size} changes are seen that the transitions do not allow, first from "
                f"{shown(self.states[before[k]])} to {shown(self.states[after[k]])}: {said(k)}. Correct the states, or "
                "allow a path"
            )


def state_graph(
    transitions: Mapping[Any, Sequence[Any]], exact: Any, censored: Mapping[Any, Sequence[Any]] | None
) -> StateGraph:
    """Read the arguments of a panel model."""
    example = "transitions={1: [2, 3], 2: [3]}"
    if not isinstance(transitions, Mapping) or not transitions:
        raise OptionError(f"transitions={transitions!r} must map each state to those it may lead to: {example}")
    targets = {}
    for key, values in transitions.items():
        listed = _listed(values)
        if not listed or key in listed or len(set(listed)) < len(listed):
            raise OptionError(
                f"transitions[{shown(key)}]={values!r} must list other states, each once; leave a state that cannot be "
                f"left out of the keys: {example}"
            )
        targets[key] = listed
    states = tuple(dict.fromkeys([*targets, *(v for listed in targets.values() for v in listed)]))
    pairs = [(states.index(h), states.index(j)) for h, listed in targets.items() for j in listed]
    origin, target = (np.array([p[side] for p in pairs], dtype=np.int64) for side in (0, 1))
    order = np.lexsort((target, origin))

    def code(value: Any, argument: str) -> int:
        if value not in states:
            known = ", ".join(shown(v) for v in states)
            raise OptionError(f"{argument}: {shown(value)} is not a state of the transitions, which are {known}")
        return states.index(value)

    exactly = frozenset(code(v, "exact") for v in ([] if exact is None else _listed(exact)))
    for k in exactly:
        if k in origin or k not in target:
            raise OptionError(
                f"exact={shown(states[k])} must be a state that can be reached and not left, such as death"
            )
    unknown = []
    for value, members in (censored or {}).items():
        if value in states:
            raise OptionError(f"censored: {shown(value)} is a state of the transitions; use a code of its own")
        if not _listed(members):
            raise OptionError(f"censored[{shown(value)}] is empty; list the states the person may be in")
        unknown.append((value, tuple(code(v, f"censored[{shown(value)}]") for v in _listed(members))))
    return StateGraph(states, origin[order], target[order], exactly, tuple(unknown))


def _listed(values: Any) -> list[Any]:
    """States given as a sequence or set, or one by itself."""
    several = isinstance(values, Sequence | Set | np.ndarray) and not isinstance(values, str)
    return list(values) if several else [values]


def read_visits(data: Any, *, state: str, time: str, id: str) -> pd.DataFrame:
    """Return a copy of the frame with nothing missing among the covariates of a person's last visit: none is used."""
    frame = to_pandas(data)
    for argument, name in (("state", state), ("time", time), ("id", id)):
        if not isinstance(name, str) or name not in frame.columns:
            raise column_not_found(str(name), frame.columns, argument=argument)
    last = frame[time] == frame.groupby(id)[time].transform("max")
    absent = [c for c in frame.columns if c not in (state, time, id) and frame.loc[last, c].isna().any()]
    if not absent:
        return frame
    before = frame.sort_values(time, kind="stable").groupby(id)[absent].ffill().reindex(frame.index)
    return frame.assign(**{c: frame[c].where(~last, before[c]) for c in absent})
