"""Sums over the rows and levels of a Cox model with a shared frailty.

Notation as in `_kernels/cox.py`. For a direction u (one number per row: a
covariate, an indicator of a level, or x'd + e[level]) with sums S1u, D1u the
information of the partial likelihood times the direction has, per row,

    c_i u_i - r_i (integral of a S1u - b D1u while at risk) [+ r_i (b S1u - q D1u) at the own event]

in O(n). Summed against x and over levels that gives every block of the
Hessian, and Hessian times vector for conjugate gradients. The diagonal of the
levels' block needs the risks each level has under observation, which change
only where one of its rows comes or goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel
from dxa_causal.survival._kernels.cox import CoxData, efron_sums, step_risk_set

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@kernel
def group_sums(risk, weight, event, last, before, entry_order, group_closes, ties):
    """Rows A, B, a, b, q of the groups, and the sum of the log terms (infinite where no risk is left).

    Parameters
    ----------
    risk, weight : (m,) float64, rows sorted by `last`
    event, last, before : (m,) int64
    entry_order : (k,) int64
    group_closes : (g,) int64
    ties : int

    Returns
    -------
    sums : (5, g) float64
    log_sum : float
    """
    n_groups = group_closes.shape[0]
    sums = np.zeros((5, n_groups))
    no_columns = np.empty((risk.shape[0], 0))
    none = np.empty(0)
    log_sum = 0.0
    s0 = 0.0
    at_risk = 0
    i = risk.shape[0] - 1
    j = entry_order.shape[0] - 1
    for g in range(n_groups - 1, -1, -1):
        if group_closes[g] == 1 or at_risk == 0:
            s0 = 0.0
            at_risk = 0
        i, j, s0, at_risk, d, d0, dw = step_risk_set(
            g, i, j, s0, at_risk, no_columns, risk, weight, event, last, before, entry_order, none, none
        )
        if not s0 > 0.0:
            return sums, np.inf
        big_a, big_b, a, b, q, log_term = efron_sums(s0, d, d0, dw, ties)
        sums[0, g] = big_a
        sums[1, g] = big_b
        sums[2, g] = a
        sums[3, g] = b
        sums[4, g] = q
        log_sum += log_term
    return sums, log_sum


@kernel
def curvature(u, risk, weight, event, last, before, entry_order, group_closes, sums, expected):
    """Information times the directions `u`, by row.

    Parameters
    ----------
    u : (m, k) float64, C order
    risk, weight, event, last, before, entry_order, group_closes
        As in :func:`group_sums`.
    sums : (5, g) float64
    expected : (m,) float64
        c.

    Returns
    -------
    (m, k) float64
    """
    m, p = u.shape
    n_groups = group_closes.shape[0]
    drift = np.zeros((n_groups, p))
    tie_drift = np.zeros((n_groups, p))
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    s0 = 0.0
    at_risk = 0
    i = m - 1
    j = entry_order.shape[0] - 1
    for g in range(n_groups - 1, -1, -1):
        if group_closes[g] == 1 or at_risk == 0:
            at_risk = 0
            s1[:] = 0.0
        i, j, s0, at_risk, _, _, _ = step_risk_set(
            g, i, j, s0, at_risk, u, risk, weight, event, last, before, entry_order, s1, d1
        )
        a, b, q = sums[2, g], sums[3, g], sums[4, g]
        for k in range(p):
            drift[g, k] = a * s1[k] - b * d1[k]
            tie_drift[g, k] = b * s1[k] - q * d1[k]
    for g in range(1, n_groups):
        if group_closes[g - 1] == 0:
            for k in range(p):
                drift[g, k] += drift[g - 1, k]
    product = np.empty((m, p))
    for i in range(m):
        for k in range(p):
            change = drift[last[i], k]
            if before[i] >= 0:
                change -= drift[before[i], k]
            if event[i] == 1:
                change -= tie_drift[last[i], k]
            product[i, k] = expected[i] * u[i, k] - risk[i] * change
    return product


@kernel
def level_squares(start, row, group, comes, risk, event, stratum, cumulative, sums):
    """Sum over the groups of a S^2 - 2 b S D + q D^2, with S and D the risks of one level, for every level.

    Parameters
    ----------
    start : (levels + 1,) int64
        Where the points of each level begin.
    row, group, comes : (k,) int64
        Points of a level by falling group: `row` is at risk at `group` and
        earlier groups (`comes` = 1), or no longer is (0: it had not entered).
    risk : (m,) float64
    event : (m,) int64
    stratum : (g,) int64
    cumulative : (g,) float64
        a, summed within strata.
    sums : (5, g) float64
    """
    value = np.zeros(start.shape[0] - 1)
    for level in range(value.shape[0]):
        k = start[level]
        end = start[level + 1]
        held = 0.0
        count = 0
        while k < end:
            g = group[k]
            dead = 0.0
            while k < end and group[k] == g:
                r = risk[row[k]]
                if comes[k] == 1:
                    held += r
                    count += 1
                    if event[row[k]] == 1:
                        dead += r
                else:
                    held -= r
                    count -= 1
                k += 1
            if count == 0:
                held = 0.0
            # nothing changes down to the next point, or to the first group of the stratum
            same = k < end and stratum[group[k]] == stratum[g]
            below = cumulative[group[k]] if same else 0.0
            value[level] += held * held * (cumulative[g] - below)
            value[level] -= dead * (2.0 * sums[3, g] * held - sums[4, g] * dead)
            if not same:
                held = 0.0
                count = 0
    return value


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of the frailty, for the rows of a `CoxData`.

    Attributes
    ----------
    code : (m,) ndarray of int64
    size : int
        Number of levels, those without a row at risk included.
    start, row, group, comes : ndarrays of int64
        Points of :func:`level_squares`.
    events : (size,) ndarray
        Weighted events.
    stratum : (m,) ndarray of int64
        Stratum of the rows.
    """

    code: IntArray
    size: int
    start: IntArray
    row: IntArray
    group: IntArray
    comes: IntArray
    events: FloatArray
    stratum: IntArray


def build_levels(data: CoxData, code: IntArray, size: int) -> Levels:
    """Sort the rows of each level by the groups at which they come and go.

    Parameters
    ----------
    data : CoxData
    code : (n,) ndarray of int64
        Level of each row, in the order of the frame.
    size : int
    """
    s = data.sets
    code = code[s.order]
    row = np.concatenate([np.arange(code.size), s.entry_order])
    group = np.concatenate([s.last, s.before[s.entry_order]])
    comes = np.repeat(np.array([1, 0]), [code.size, s.entry_order.size])
    order = np.lexsort((-group, code[row]))
    return Levels(
        code=code,
        size=size,
        start=np.searchsorted(code[row][order], np.arange(size + 1)),
        row=row[order],
        group=group[order],
        comes=comes[order],
        events=np.bincount(code, data.weight * s.event, size).astype(np.float64),
        stratum=s.group_stratum[s.last],
    )
