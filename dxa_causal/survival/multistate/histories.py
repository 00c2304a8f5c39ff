"""Who is in which state when: start-stop rows read as histories of persons."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, nearest, shown
from dxa_causal._core.options import Missing
from dxa_causal._core.warnings import DxaCausalWarning, GapWarning, warn
from dxa_causal._design import Groups, read_groups, to_pandas
from dxa_causal._design.parse import parse
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.survival.episodes import order_episodes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Moves = tuple[tuple[int, int], ...]

FIRST = "(s0)"
# Columns added to a copy of the frame, so that rows dropped later take their states along.
ORIGIN, TARGET = "(state)", "(next state)"


@dataclass(frozen=True, eq=False, slots=True)
class Histories:
    """Rows of all persons, ranked and coded.

    Attributes
    ----------
    states : tuple
        Names of the states.
    times : RankedTimes
    entry : (n,) ndarray of int64
        Rank of the entry; -1 for at risk from the start.
    leave : (n,) ndarray of int64
    origin, target : (n,) ndarray of int64
        State during a row, and the state entered at its end; -1 for none.
    person : (n,) ndarray of int64
    """

    states: tuple[Any, ...]
    times: RankedTimes
    entry: IntArray
    leave: IntArray
    origin: IntArray
    target: IntArray
    person: IntArray

    @property
    def moves(self) -> Moves:
        """Pairs of states between which somebody moves."""
        seen = self.target >= 0
        pairs = np.unique(np.column_stack([self.origin[seen], self.target[seen]]), axis=0)
        return tuple((int(h), int(j)) for h, j in pairs)

    def name(self, move: tuple[int, int]) -> str:
        """Name of a transition."""
        return f"{self.states[move[0]]} -> {self.states[move[1]]}"

    def code(self, state: Any) -> int:
        """Code of a state by its name."""
        for code, known in enumerate(self.states):
            if known == state or str(known) == str(state):
                return code
        near = nearest(str(state), self.states, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise OptionError(
            f"state={shown(state)} is unknown; the states are {', '.join(shown(v) for v in self.states)}{hint}"
        )

    def counts(self) -> pd.DataFrame:
        """Rows that lead from a state (index) to a state or to the end of observation (columns)."""
        last = np.ones(self.person.size, dtype=bool)
        order = np.lexsort((self.leave, self.person))
        last[order[:-1]] = self.person[order[:-1]] != self.person[order[1:]]
        kept = (self.target >= 0) | last
        n = len(self.states)
        to = np.where(self.target >= 0, self.target, n)[kept]
        table = np.zeros((n, n + 1), dtype=np.int64)
        np.add.at(table, (self.origin[kept], to), 1)
        return pd.DataFrame(table, index=pd.Index(self.states, name="from"), columns=[*self.states, "(censored)"])


def read_states(
    formula: str, data: Any, *, id: str, initial: str | None, missing: Missing
) -> tuple[pd.DataFrame, tuple[Any, ...]]:
    """Return a copy of the frame with the codes of the state of every row and of the next one, and the states' names.

    A row's state is what the person's row before it led to, whatever else is missing in either; rows without a
    complete outcome or person get the codes 0 and -1, and drop out when the formula is read.
    """
    if not isinstance(id, str):
        raise OptionError(f"id={id!r} must be the name of the column that names the person")
    frame = to_pandas(data)
    outcome = parse(formula).outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DxaCausalWarning)  # said when the formula is read
        arguments = {"id": id, "initial": initial}
        groups = read_groups(f"{outcome} ~ 1", frame, arguments=arguments, missing="drop", causes=True)
    survival = groups.outcome
    if not survival.event.any():
        raise OutcomeError(f"nobody changes state: all {survival.event.size} rows are censored in {outcome!r}")
    person = groups.rows.frame[id]
    times = rank_times(survival.time, survival.entry)
    codes, order = order_episodes(survival, times, person)
    if survival.entry is None and (codes[order[:-1]] == codes[order[1:]]).any():
        raise OutcomeError(
            f"{outcome}: {id!r} has several rows per person; write Surv(start, stop, state) so that they follow one "
            "another"
        )
    given = None if initial is None else groups.rows.frame[initial]
    ahead = [] if initial is not None else [FIRST]
    if given is not None:
        found = given.cat.categories if isinstance(given.dtype, pd.CategoricalDtype) else np.unique(given)
        present = set(pd.unique(given))
        ahead = [_plain(v) for v in found if v in present and _plain(v) not in survival.causes]
        if survival.censored in ahead:
            raise OutcomeError(
                f"initial={initial!r} holds {shown(survival.censored)}, which stands for censoring in "
                f"{survival.event_name!r}; every row must start in a state"
            )
    elif FIRST in survival.causes:
        raise OutcomeError(f"{survival.event_name!r} may not hold {FIRST!r}, the name of the unnamed first state")
    states = (*ahead, *survival.causes)
    names = pd.Index(states)
    target = np.where(
        survival.event > 0, names.get_indexer(np.array(survival.causes, dtype=object))[survival.event - 1], -1
    )
    origin = _origins(order, codes, target, None if given is None else names.get_indexer(given), groups, times, states)
    target = np.where(target == origin, -1, target)  # seen again in the same state: nothing happened
    all_origin, all_target = np.zeros(len(frame), dtype=np.int64), np.full(len(frame), -1)
    all_origin[groups.rows.keep], all_target[groups.rows.keep] = origin, target
    return frame.assign(**{ORIGIN: all_origin, TARGET: all_target}), states


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _origins(
    order: IntArray,
    codes: IntArray,
    target: IntArray,
    given: IntArray | None,
    groups: Groups,
    times: RankedTimes,
    states: tuple[Any, ...],
) -> IntArray:
    """State of each row: given, and then checked against the row before, or what the rows before lead to."""
    rows = groups.rows.frame
    same = np.concatenate([[False], codes[order[1:]] == codes[order[:-1]]])
    # place of the last row before with a move, or of the person's first row
    moved = np.concatenate([[-1], target[order[:-1]]])
    known = ~same | (moved >= 0)
    at = np.maximum.accumulate(np.where(known, np.arange(order.size), 0))
    begin = 0 if given is None else given[order]
    origin = np.empty(order.size, dtype=np.int64)
    origin[order] = np.where(same, moved, begin)[at]
    if times.entry_rank is not None:
        gap = same[1:] & (times.entry_rank[order[1:]] > times.rank[order[:-1]])
        if gap.any():
            k = int(np.flatnonzero(gap)[0])
            a, b = order[k], order[k + 1]
            warn(
                f"{int(gap.sum())} rows begin after the person's row before has ended: first {_where(rows, a, b)}. "
                "Nobody is at risk in a gap, and the state is taken to be the same at both ends; if it may have "
                "changed unseen, a panel model (panel_markov) is the honest one",
                GapWarning,
            )
    if given is not None:
        wrong = np.flatnonzero(given != origin)
        if wrong.size:
            b = wrong[np.lexsort((times.rank[wrong], codes[wrong]))[0]]
            a = order[int(np.flatnonzero(order == b)[0]) - 1]
            raise OutcomeError(
                f"{wrong.size} rows start in another state than the person's row before ended in: first "
                f"{_where(rows, a, b)}, which leads to {shown(states[origin[b]])} and starts in "
                f"{shown(states[given[b]])}; a change of state must be the event of a row"
            )
    return origin


def _where(rows: pd.DataFrame, a: Any, b: Any) -> str:
    return f"rows {shown(rows.index[a])} and {shown(rows.index[b])}"


def ranked(outcome: Any, origin: IntArray, target: IntArray, person: IntArray, states: tuple[Any, ...]) -> Histories:
    """Histories of the rows analysed."""
    times = rank_times(outcome.time, outcome.entry)
    entry = np.full(origin.size, -1, dtype=np.int64) if times.entry_rank is None else times.entry_rank
    return Histories(states, times, entry, times.rank, origin, target, person)
