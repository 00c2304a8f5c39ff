r"""Where people are over time: occupation of the states of a process, with the variance from what each person adds.

With Y_h the weight at risk in state h, dN_hj the moves from h to j and dA_hj = dN_hj / Y_h, the occupation is

    p(t) = p(t-) (I + dA(t))

and its derivative in the weight of person i, which is what the infinitesimal jackknife squares and sums,

    U_i(t) = U_i(t-) (I + dA(t)) + sum_{rows of i in h} w p_h(t-) / Y_h (dN_ihj - dA_hj) (e_j - e_h).

Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Occupation:
    """Steps of the occupation of S states at each of k times of a group.

    Attributes
    ----------
    place : (k,) ndarray of int64
        Index of each time among the distinct times of all groups.
    n_risk, n_event : (k, S) ndarray
        Weight in each state just before the time, and entering it.
    probability, variance : (k, S) ndarray
    area, area_variance : (S,) ndarray
        Of the occupation from `since` up to `tau`.
    start, start_variance : (S,) ndarray
        Before the first step.
    """

    place: IntArray
    n_risk: FloatArray
    n_event: FloatArray
    probability: FloatArray
    variance: FloatArray
    area: FloatArray
    area_variance: FloatArray
    start: FloatArray
    start_variance: FloatArray


def occupation(
    entry: IntArray,
    leave: IntArray,
    origin: IntArray,
    target: IntArray,
    weight: FloatArray,
    unit: IntArray,
    time: FloatArray,
    n_states: int,
    *,
    since: float = 0.0,
    tau: float = -np.inf,
) -> Occupation:
    """Follow one group from where those at risk at its first move are.

    Parameters
    ----------
    entry, leave : (n,) ndarray of int64
        Ranks of the times of each row; entry -1 for at risk from the start.
    origin, target : (n,) ndarray of int64
        State during the row, and the one entered at its end (-1 for none).
    weight : (n,) ndarray
    unit : (n,) ndarray of int64
        Codes of what is left out together.
    time : (m,) ndarray
        Distinct times.
    n_states : int
    since, tau : float
        Ends of the area.
    """
    place, step = np.unique(leave, return_inverse=True)
    moves = leave[target >= 0]
    first = moves.min() if moves.size else leave.max()
    here = (entry < first) & (leave >= first)
    total = weight[here].sum()
    start = np.bincount(origin[here], weight[here], n_states) / total
    _, units = np.unique(unit, return_inverse=True)
    influence = np.zeros((int(units.max()) + 1, n_states))
    if start.max() < 1.0:
        shares = (np.eye(n_states)[origin[here]] - start) * (weight[here] / total)[:, None]
        np.add.at(influence, units[here], shares)
    before = (influence**2).sum(axis=0)
    come = np.searchsorted(place, entry, side="right")
    n_risk, n_event, probability, variance, area, area_variance = occupation_steps(
        come,
        step.astype(np.int64, copy=False),
        origin,
        target,
        weight,
        units.astype(np.int64, copy=False),
        np.ascontiguousarray(time[place]),
        np.ascontiguousarray(start, dtype=np.float64),
        influence,
        since,
        tau,
        np.argsort(come, kind="stable"),
        np.argsort(step, kind="stable"),
    )
    return Occupation(place, n_risk, n_event, probability, variance, area, area_variance, start, before)


@kernel
def occupation_steps(come, leave, origin, target, weight, unit, time, start, influence, since, tau, by_come, by_leave):
    """Walk through the times of one group; a row is at risk at the steps come, come + 1, ..., leave.

    Returns
    -------
    n_risk, n_event, probability, variance : (k, S) float64
    area, area_variance : (S,) float64
    """
    n, k, n_states = leave.shape[0], time.shape[0], start.shape[0]
    n_units = influence.shape[0]
    n_risk, n_event = np.zeros((k, n_states)), np.zeros((k, n_states))
    probability, variance = np.zeros((k, n_states)), np.zeros((k, n_states))
    p, area = start.copy(), np.zeros(n_states)
    u, au = influence.copy(), np.zeros((n_units if tau > since else 1, n_states))
    spread = np.zeros(n_states)
    for i in range(n_units):
        for h in range(n_states):
            spread[h] += u[i, h] * u[i, h]
    at_risk, n_at_risk, slot = np.empty(n, dtype=np.int64), 0, np.full(n, -1)
    counts = np.zeros(n_states, dtype=np.int64)
    risk = np.zeros(n_states)
    moved = np.zeros((n_states, n_states))
    last = since
    a = b = 0
    for t in range(k):
        while a < n and come[by_come[a]] <= t:
            i = by_come[a]
            slot[i] = n_at_risk
            at_risk[n_at_risk] = i
            n_at_risk += 1
            counts[origin[i]] += 1
            risk[origin[i]] += weight[i]
            a += 1
        n_risk[t] = risk
        moved[:] = 0.0
        moves = 0
        first = b
        while b < n and leave[by_leave[b]] == t:
            i = by_leave[b]
            if target[i] >= 0:
                moved[origin[i], target[i]] += weight[i]
                moves += 1
            b += 1
        if time[t] > last and last < tau:
            width = min(time[t], tau) - last
            last = min(time[t], tau)
            for h in range(n_states):
                area[h] += width * p[h]
                for i in range(n_units):
                    au[i, h] += width * u[i, h]
        if moves > 0:
            gain = np.zeros(n_states)
            for h in range(n_states):
                out = moved[h].sum()
                if out == 0.0:
                    continue
                y = max(risk[h], out)  # sums of weights carry rounding noise
                gain[h] = p[h] / y
                for j in range(n_states):
                    n_event[t, j] += moved[h, j]
                    moved[h, j] /= y
            q = p.copy()
            for h in range(n_states):
                for j in range(n_states):
                    q[h] -= p[h] * moved[h, j]
                    q[j] += p[h] * moved[h, j]
            old = np.empty(n_states)
            for i in range(n_units):
                for h in range(n_states):
                    old[h] = u[i, h]
                for h in range(n_states):
                    if gain[h] > 0.0 or old[h] != 0.0:
                        for j in range(n_states):
                            step = old[h] * moved[h, j]
                            u[i, h] -= step
                            u[i, j] += step
            for r in range(n_at_risk):
                i = at_risk[r]
                h = origin[i]
                if gain[h] > 0.0:
                    share = weight[i] * gain[h]
                    for j in range(n_states):
                        u[unit[i], h] += share * moved[h, j]
                        u[unit[i], j] -= share * moved[h, j]
                    if leave[i] == t and target[i] >= 0:
                        u[unit[i], h] -= share
                        u[unit[i], target[i]] += share
            p = np.maximum(q, 0.0)
            spread[:] = 0.0
            for i in range(n_units):
                for h in range(n_states):
                    spread[h] += u[i, h] * u[i, h]
        probability[t] = p
        variance[t] = spread
        for r in range(first, b):
            i = by_leave[r]
            h = origin[i]
            n_at_risk -= 1
            other = at_risk[n_at_risk]
            at_risk[slot[i]] = other
            slot[other] = slot[i]
            counts[h] -= 1
            risk[h] = risk[h] - weight[i] if counts[h] > 0 else 0.0
    if last < tau:
        for h in range(n_states):
            area[h] += (tau - last) * p[h]
            for i in range(n_units):
                au[i, h] += (tau - last) * u[i, h]
    area_variance = np.zeros(n_states)
    for i in range(au.shape[0]):
        for h in range(n_states):
            area_variance[h] += au[i, h] * au[i, h]
    return n_risk, n_event, probability, variance, area, area_variance


@warms
def _warm() -> None:
    zero, one = np.zeros(2, dtype=np.int64), np.arange(2)
    occupation_steps(
        zero, one, zero, one, np.ones(2), one, np.ones(2), np.ones(2), np.zeros((2, 2)), 0.0, 1.0, one, one
    )
