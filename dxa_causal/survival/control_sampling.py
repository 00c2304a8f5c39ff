"""Nested case-control sampling: controls for each case from its risk set, and the weights to undo it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, OptionError, OutcomeError, shown
from dxa_causal._core.options import Missing
from dxa_causal._core.rng import Seed, generator
from dxa_causal._core.warnings import FewControlsWarning, warn
from dxa_causal._design import read_groups, to_pandas
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.control_sampling import draw_controls, inclusion_probability
from dxa_causal.survival.episodes import order_episodes

IntArray = npt.NDArray[np.int64]
_ADDED = ("matched_set", "case", "set_time", "n_eligible", "row", "weight")


def sample_controls(
    outcome: str,
    data: Any,
    *,
    m: int = 1,
    match_on: Sequence[str] = (),
    id: str | None = None,
    seed: Seed = None,
    missing: Missing = "drop",
) -> pd.DataFrame:
    r"""Draw controls for every case of a cohort by incidence-density sampling.

    Parameters
    ----------
    outcome : str
        ``Surv(time, event)`` or ``Surv(entry, time, event)``, without a right
        side: covariates are chosen when the sample is analysed.
    data : pandas or polars frame
        The cohort, one row per person, or start-stop rows with `id`.
    m : int
        Controls per case.
    match_on : sequence of str
        Columns; controls have the case's values there.
    id : str, optional
        Column naming the person: rows of one person that overlap are then an
        error, so that nobody is their own control or in a set twice. Weights
        stay those of the row.
    seed : int, Generator or None
    missing : {"drop", "raise"}
        Rows without outcome or matching factors.

    Returns
    -------
    DataFrame
        The case and its controls, set by set, with all columns of `data` and

        - matched_set: number of the set, in the order of the cases in `data`
        - case: 1 for the case, 0 for a control: the outcome of
          :func:`nested_case_control`, whereas the event carried along from
          `data` is also that of controls who have it later
        - set_time: the case's time, at which controls were at risk
        - n_eligible: how many could have been drawn
        - row: index label in `data`
        - weight: one over the probability of being in the sample; 1 for
          everyone who has the event

    Warns
    -----
    FewControlsWarning
        Some cases have fewer than m eligible controls; all of those are taken.

    Notes
    -----
    Eligible is whoever entered before the case's time t and leaves after it,
    or at t without the event. A control may be drawn for several cases and may
    become a case later. For someone without the event the weight is
    :math:`1/p`, :math:`p = 1 - \prod_c (1 - m_c / e_c)` over the cases c the
    person was eligible for, with :math:`e_c` eligible and :math:`m_c` drawn. Weighted
    models take each person once: ``sample.drop_duplicates("row")``.

    References
    ----------
    Samuelsen SO. Biometrika 1997;84:379-394. doi:10.1093/biomet/84.2.379

    Examples
    --------
    >>> cohort = pd.DataFrame({"time": [1, 2, 3, 4, 5, 6], "died": [0, 1, 0, 1, 0, 0]})
    >>> sample = sample_controls("Surv(time, died)", cohort, m=2, seed=1)
    >>> sample[["matched_set", "case", "set_time", "n_eligible"]].iloc[:3]
       matched_set  case  set_time  n_eligible
    0            0     1       2.0           4
    1            0     0       2.0           4
    2            0     0       2.0           4
    """
    if m < 1 or m != int(m):
        raise OptionError(f"m={m!r} must be a whole number of controls, at least 1")
    if isinstance(match_on, str):
        raise OptionError(f"match_on={match_on!r} must be a list of columns: match_on=[{match_on!r}]")
    if "~" in outcome:
        raise FormulaError(
            f"{outcome!r}: sample_controls takes the outcome alone, {outcome.split('~')[0].strip()!r}; a right side "
            "has no meaning here. Columns to match on are match_on=[...], covariates belong to nested_case_control"
        )
    frame = to_pandas(data)
    taken = [name for name in _ADDED if name in frame.columns]
    if taken:
        raise OptionError(f"the frame already has a column {taken[0]!r}, which the sample adds; rename it")
    arguments = {f"match_on ({name})": name for name in match_on} | {"id": id}
    groups = read_groups(f"{outcome} ~ 1", frame, arguments=arguments, missing=missing)
    event = groups.outcome.event
    if not event.any():
        raise OutcomeError(f"no event: all {event.size} rows are censored, so there is no case to match")
    times = rank_times(groups.outcome.time, groups.outcome.entry)
    if id is not None:
        order_episodes(groups.outcome, times, groups.rows.frame[id])
    entry = np.full(event.size, -1) if times.entry_rank is None else times.entry_rank
    stratum = np.zeros(event.size, dtype=np.int64)
    if match_on:
        stratum = groups.rows.frame.groupby(list(match_on), observed=True).ngroup().to_numpy(dtype=np.int64)
    cases, controls, eligible = draw_controls(times.rank, entry, event, stratum, m=m, rng=generator(seed))
    _report_few(eligible, cases, groups.rows.frame.index, m)
    key = stratum * times.distinct.size
    probability = inclusion_probability(
        key + times.rank, key + entry, (key + times.rank)[cases], eligible, np.minimum(eligible, m)
    )
    order = np.argsort(cases, kind="stable")
    member = np.column_stack([cases, controls])[order]
    drawn = member >= 0
    row = member[drawn]
    sample = frame.loc[groups.rows.keep].iloc[row].reset_index(drop=True)
    is_case = np.zeros(member.shape, dtype=np.int64)
    is_case[:, 0] = 1
    added = {
        "matched_set": np.repeat(np.arange(cases.size), drawn.sum(axis=1)),
        "case": is_case[drawn],
        "set_time": np.repeat(groups.outcome.time[cases[order]], drawn.sum(axis=1)),
        "n_eligible": np.repeat(eligible[order], drawn.sum(axis=1)),
        "row": groups.rows.frame.index.to_numpy()[row],
        "weight": np.divide(1.0, probability[row], out=np.ones(row.size), where=event[row] == 0),
    }
    return pd.concat([pd.DataFrame(added), sample], axis=1)


def _report_few(eligible: IntArray, cases: IntArray, index: pd.Index, m: int) -> None:
    few = np.flatnonzero(eligible < m)
    if not few.size:
        return
    first = few[np.argmin(eligible[few])]
    none = int((eligible == 0).sum())
    warn(
        f"{few.size} of {cases.size} cases have fewer than {m} eligible controls"
        + (f", {none} of them none" if none else "")
        + f": the fewest, {int(eligible[first])}, for the case in row {shown(index[cases[first]])}; match on less, or "
        "on wider bands",
        FewControlsWarning,
    )
