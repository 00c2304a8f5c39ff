"""Fine-Gray partial likelihood without expanding rows.

A row that failed from another cause at T stays at risk with the weight
W(t) / W(T), where W(t) = G(t-) H(t-): G is the product-limit estimate of
censoring, H that of entry in reversed time. With risks r = weight exp(eta)
and one W per censoring stratum k, the sums over the risk set of an event time are

    S0(t) = sum of r over rows at risk + sum_k W_k(t) sum of r / W_k(T) over rows that failed before t

so one pass forward and one backward give all of them. Names of the sums
(A, B, a, b, q, S1, D1) as in `_kernels/cox.py`.

Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144
Geskus RB. Biometrics 2011;67:39-49. doi:10.1111/j.1541-0420.2010.01420.x
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.survival._kernels.cox import BRESLOW, CoxIncrements, efron_sums
from dxa_causal.survival._kernels.newton import CoxEstimate, newton

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_BLOCK = 65_536  # rows per matrix product: no copy of the whole design


@kernel
def fine_gray_sums(x, risk, weight, event, last, before, entry_order, late, after, curve, level, ties):
    """Sums over the risk set of every event group; groups are distinct times of the cause.

    Parameters
    ----------
    x : (n, p) float64, C order, rows sorted by `last`
    risk, weight : (n,) float64
    event : (n,) int64
        1 = the cause.
    last, before : (n,) int64
        Last group at or before exit and entry, -1 for none.
    entry_order : (k,) int64
        Rows with ``before >= 0``, sorted by it.
    late : (l,) int64
        Rows that failed from another cause, in order.
    after : (n,) float64
        1 / W(T) of those rows.
    curve : (n,) int64
        Censoring stratum.
    level : (s, g) float64
        W of each stratum at each group.
    ties : int
        BRESLOW or EFRON.

    Returns
    -------
    sums : (7, g) float64
        A, B, a, b, q, weight of the events, log terms.
    s1, d1 : (g, p) float64
    """
    n, p = x.shape
    n_curves, n_groups = level.shape
    sums = np.zeros((7, n_groups))
    s1 = np.zeros((n_groups, p))
    d1 = np.zeros((n_groups, p))
    late0 = np.zeros(n_groups)
    gone0 = np.zeros(n_curves)
    gone1 = np.zeros((n_curves, p))
    place = 0
    for g in range(n_groups):
        while place < late.shape[0] and last[late[place]] < g:
            i = late[place]
            r = risk[i] * after[i]
            gone0[curve[i]] += r
            for k in range(p):
                gone1[curve[i], k] += r * x[i, k]
            place += 1
        for c in range(n_curves):
            late0[g] += level[c, g] * gone0[c]
            for k in range(p):
                s1[g, k] += level[c, g] * gone1[c, k]
    at1 = np.zeros(p)
    s0 = 0.0
    at_risk = 0
    i = n - 1
    j = entry_order.shape[0] - 1
    for g in range(n_groups - 1, -1, -1):
        if at_risk == 0:
            s0 = 0.0
            at1[:] = 0.0
        d = 0
        d0 = 0.0
        dw = 0.0
        while i >= 0 and last[i] == g:
            r = risk[i]
            s0 += r
            at_risk += 1
            for k in range(p):
                at1[k] += r * x[i, k]
            if event[i] == 1:
                d += 1
                d0 += r
                dw += weight[i]
                for k in range(p):
                    d1[g, k] += r * x[i, k]
            i -= 1
        while j >= 0 and before[entry_order[j]] == g:
            out = entry_order[j]
            s0 -= risk[out]
            at_risk -= 1
            for k in range(p):
                at1[k] -= risk[out] * x[out, k]
            j -= 1
        for k in range(p):
            s1[g, k] += at1[k]
        big_a, big_b, a, b, q, log_term = efron_sums(s0 + late0[g], d, d0, dw, ties)
        sums[0, g] = big_a
        sums[1, g] = big_b
        sums[2, g] = a
        sums[3, g] = b
        sums[4, g] = q
        sums[5, g] = dw
        sums[6, g] = log_term
    return sums, s1, d1


@dataclass(frozen=True, slots=True)
class Leaving:
    """How one censoring stratum loses rows to censoring (or, in reversed time, to entry).

    Attributes
    ----------
    kind : {"censoring", "entry"}
    at : (u,) ndarray of int64
        Ranks at which someone leaves.
    n_risk, n_leave : (u,) ndarray
        Sums of weights.
    rows : (m,) ndarray of int64
        Positions of the stratum's rows, in order of exit.
    leavers : (l,) ndarray of int64
        Positions of the rows that leave.
    """

    kind: Literal["censoring", "entry"]
    at: IntArray
    n_risk: FloatArray
    n_leave: FloatArray
    rows: IntArray
    leavers: IntArray

    def before(self, rank: IntArray) -> FloatArray:
        """G(t-) or H(t-) at times given by rank."""
        steps = 1.0 - self.n_leave / self.n_risk
        if self.kind == "censoring":
            curve = np.concatenate([[1.0], np.cumprod(steps)])
        else:
            curve = np.concatenate([np.cumprod(steps[::-1])[::-1], [1.0]])
        return curve[np.searchsorted(self.at, rank)]


@dataclass(frozen=True, slots=True)
class FineGrayData:
    """Arrays of a Fine-Gray model, rows in order of exit, covariates standardised.

    Attributes
    ----------
    x : (n, p) ndarray
        ``(original - centre) / scale`` for the rows `order`.
    centre, scale : (p,) ndarray
    order, rank, entry_rank : (n,) ndarray of int64
        Rows of the data, and their exit and entry times (-1: from the origin).
    weight, event, last, before, entry_order, late, after, curve, level, ties
        As in :func:`fine_gray_sums`.
    group_rank : (g,) ndarray of int64
        Times of the groups.
    leaving : tuple of Leaving
        What W is made of.
    known : bool
        W is taken as known in the variance.
    """

    x: FloatArray
    centre: FloatArray
    scale: FloatArray
    order: IntArray
    rank: IntArray
    entry_rank: IntArray
    weight: FloatArray
    event: IntArray
    last: IntArray
    before: IntArray
    entry_order: IntArray
    late: IntArray
    after: FloatArray
    curve: IntArray
    level: FloatArray
    ties: int
    group_rank: IntArray
    leaving: tuple[Leaving, ...]
    known: bool


def prepare(
    x: FloatArray,
    times: RankedTimes,
    status: IntArray,
    *,
    weight: FloatArray,
    curve: IntArray,
    first: BoolArray,
    final: BoolArray,
    finegray: bool,
    ties: int,
) -> FineGrayData:
    """Sort, standardise and estimate the weights.

    Parameters
    ----------
    x : (n, p) ndarray
    times : RankedTimes
    status : (n,) ndarray of int64
        0 = censored, 1 = the cause, 2 = another cause.
    weight : (n,) ndarray
    curve : (n,) ndarray of int64
        Censoring stratum.
    first, final : (n,) ndarray of bool
        First and last row of a person.
    finegray : bool
        R's survival::finegray: rows that fail at t are not at risk of being censored at t, the weights of
        the rows do not count for W, and W is taken as known. Else as cmprsk::crr.
    ties : int
        BRESLOW or EFRON.
    """
    order = np.argsort(times.rank, kind="stable")
    rank, status, curve = times.rank[order], status[order], curve[order]
    entry = np.full(rank.size, -1, dtype=np.int64) if times.entry_rank is None else times.entry_rank[order]
    weight, first, final = weight[order], first[order], final[order]
    group_rank = np.unique(rank[status == 1])
    last = np.searchsorted(group_rank, rank, side="right") - 1
    before = np.searchsorted(group_rank, entry, side="right") - 1
    delayed = np.flatnonzero(before >= 0)
    late = np.flatnonzero(status == 2)
    counts = np.ones(rank.size) if finegray else weight
    n_curves = int(curve.max()) + 1
    level = np.zeros((n_curves, group_rank.size))
    after = np.zeros(rank.size)
    leaving: list[Leaving] = []
    delay = bool(entry[first].max() > rank.min())
    for k in range(n_curves):
        rows = np.flatnonzero(curve == k)
        held = [_censoring(rows, rank, entry, (status == 0) & final, counts, stays=(status == 0) | (not finegray))]
        if delay:
            held.append(_entry(rows, rank, entry, first, counts))
        reached = group_rank <= rank[rows].max()
        level[k, reached] = np.prod([part.before(group_rank[reached]) for part in held], axis=0)
        own = rows[status[rows] == 2]
        with np.errstate(divide="ignore"):
            after[own] = 1.0 / np.prod([part.before(rank[own]) for part in held], axis=0)
        leaving += held
    centre = x.mean(axis=0)
    scale = x.std(axis=0)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    sorted_x = x[order]
    sorted_x -= centre
    sorted_x /= scale
    return FineGrayData(
        x=sorted_x,
        centre=centre,
        scale=scale,
        order=order,
        rank=rank,
        entry_rank=entry,
        weight=weight,
        event=(status == 1).astype(np.int64),
        last=last,
        before=before,
        entry_order=delayed[np.argsort(before[delayed], kind="stable")],
        late=late,
        after=after,
        curve=curve,
        level=level,
        ties=ties,
        group_rank=group_rank,
        leaving=tuple(leaving),
        known=finegray,
    )


def _censoring(
    rows: IntArray, rank: IntArray, entry: IntArray, censored: BoolArray, weight: FloatArray, *, stays: BoolArray
) -> Leaving:
    """G: at risk in (entry, exit], without the exit itself where `stays` is false."""
    size = int(rank[rows[-1]]) + 1
    leavers = rows[censored[rows]]
    come = rows[entry[rows] >= 0]
    until = rank[rows] - ~stays[rows]
    there = until >= 0
    change = _count(until[there], weight[rows[there]], size) - _count(entry[come], weight[come], size)
    at_risk = change[::-1].cumsum()[::-1]
    at = np.unique(rank[leavers])
    return Leaving("censoring", at, at_risk[at], _count(rank[leavers], weight[leavers], size)[at], rows, leavers)


def _entry(rows: IntArray, rank: IntArray, entry: IntArray, first: BoolArray, weight: FloatArray) -> Leaving:
    """H: in reversed time a row is at risk from its exit (not included) down to its entry."""
    size = int(rank[rows[-1]]) + 1
    leavers = rows[first[rows]]
    at_risk = np.cumsum(_count(entry[rows], weight[rows], size) - _count(rank[rows], weight[rows], size))
    at = np.unique(entry[leavers])
    return Leaving("entry", at, at_risk[at], _count(entry[leavers], weight[leavers], size)[at], rows, leavers)


def _count(place: IntArray, weight: FloatArray, size: int) -> FloatArray:
    # bincount of nothing gives integers whatever its weights
    return np.bincount(place, weight, size).astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True)
class EventSums:
    """Sums over the risk sets at one beta, and the risks of the rows behind them.

    Attributes
    ----------
    groups : CoxIncrements
        Of the weighted risk sets; the hazard belongs to eta = `centre`.
    log_terms : float
        What the log-likelihood loses to the risk sets.
    eta, risk : (n,) ndarray
        Centred linear predictor; weight exp(eta).
    centre : float
    """

    groups: CoxIncrements
    log_terms: float
    eta: FloatArray
    risk: FloatArray
    centre: float


def event_sums(data: FineGrayData, beta: FloatArray) -> EventSums:
    """Sums at `beta` (standardised scale)."""
    eta = data.x @ beta
    centre = float(eta.mean())
    eta -= centre
    risk = data.weight * np.exp(eta)
    rows = (data.x, risk, data.weight, data.event, data.last, data.before, data.entry_order)
    (hazard, tie_share, a, b, q, died, log_terms), s1, d1 = fine_gray_sums(
        *rows, data.late, data.after, data.curve, data.level, data.ties
    )
    everywhere = np.full(data.group_rank.size, centre)
    groups = CoxIncrements(hazard, tie_share, a, b, q, died, s1, d1, everywhere)
    return EventSums(groups, float(log_terms.sum()), eta, risk, centre)


def prefix(values: FloatArray) -> FloatArray:
    """Running sums along the first axis, with a leading zero."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


def exposure(data: FineGrayData, risk: FloatArray, increments: FloatArray) -> FloatArray:
    """Integral of `increments`, (g, c), over the time each row is at risk, times its risk."""
    total = prefix(increments)
    out: FloatArray = total[data.last + 1]
    if data.entry_order.size:
        out -= total[data.before + 1]
    out *= risk[:, None]
    for k, level in enumerate(data.level):
        own = data.late[data.curve[data.late] == k]
        weighted = prefix(level[:, None] * increments)
        out[own] += (risk[own] * data.after[own])[:, None] * (weighted[-1] - weighted[data.last[own] + 1])
    return out


def maximise(data: FineGrayData) -> CoxEstimate:
    """Newton-Raphson from zero; see `newton` of `_kernels/cox.py`."""
    p = data.x.shape[1]
    died = data.event == 1

    def derivatives(beta: FloatArray) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        with np.errstate(all="ignore"):  # risks that overflow or vanish make the value infinite: the step is halved
            s = event_sums(data, beta)
            value = float(data.weight[died] @ s.eta[died] - s.log_terms)
        if not (np.isfinite(value) and np.isfinite(s.risk).all()):
            return -np.inf, np.zeros(p), np.zeros((p, p)), np.zeros(died.size)
        groups = s.groups
        expected = exposure(data, s.risk, groups.hazard[:, None])[:, 0]
        expected[died] -= s.risk[died] * groups.tie_share[data.last[died]]
        information = np.zeros((p, p))
        for start in range(0, died.size, _BLOCK):
            part = data.x[start : start + _BLOCK]
            information += (part * expected[start : start + _BLOCK, None]).T @ part
        cross = (groups.s1 * groups.b[:, None]).T @ groups.d1
        information += cross + cross.T - (groups.s1 * groups.a[:, None]).T @ groups.s1
        information -= (groups.d1 * groups.q[:, None]).T @ groups.d1
        return value, data.x.T @ (data.weight * data.event - expected), information, expected

    return newton(derivatives, p)


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    status = np.array([1, 2, 1, 0, 1], dtype=np.int64)
    x = np.array([[0.0], [1.0], [0.5], [2.0], [0.3]])
    every = np.ones(5, dtype=bool)
    data = prepare(
        x,
        rank_times(time),
        status,
        weight=np.ones(5),
        curve=np.zeros(5, dtype=np.int64),
        first=every,
        final=every,
        finegray=False,
        ties=BRESLOW,
    )
    event_sums(data, np.zeros(1))
