"""Aalen's additive hazards model: least squares at each event time, and what each row adds to it.

Notation inside this file, for one event group g (one event time):

    A = sum over the risk set of w z z'      z = (1, x - shift): the intercept and centred covariates
    u = T A^-1 w z of an event               T takes coefficients of z to those of (1, x)

The cumulative coefficients are the running sum of u. Risk sets are built backwards in time.

Aalen OO. Stat Med 1989;8:907-925. doi:10.1002/sim.4780080803
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal._numerics.times import RankedTimes
from dxa_causal.survival._kernels.risk_sets import RiskSets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A pivot below this share of its diagonal is rounding noise: the risk set does not determine the coefficients.
SINGULAR = 1e-10


@dataclass(frozen=True, slots=True)
class AalenData:
    """What the kernels need: rows in the order of the risk sets, covariates centred.

    Attributes
    ----------
    z : (m, p) ndarray
        Intercept and centred covariates.
    weight : (m,) ndarray
    sets : RiskSets
    shift : (p,) ndarray
        What was subtracted from each column; 0 for the intercept.
    """

    z: FloatArray
    weight: FloatArray
    sets: RiskSets
    shift: FloatArray


@dataclass(frozen=True, slots=True)
class AalenSteps:
    """Increments of the cumulative coefficients, one per event, in order of time.

    Attributes
    ----------
    increments : (e, p) ndarray
        Zero where the risk set does not determine the coefficients.
    group : (e,) ndarray of int64
        Event group of each event.
    variance_factor : (g, p) ndarray
        Diagonal of the inverse of the weighted X'X of each risk set; zero where it is singular.
    n_risk : (g,) ndarray
        Sum of weights at risk.
    """

    increments: FloatArray
    group: IntArray
    variance_factor: FloatArray
    n_risk: FloatArray

    @property
    def determined(self) -> npt.NDArray[np.bool_]:
        """Groups whose risk set determines the coefficients, (g,)."""
        return self.variance_factor[:, 0] > 0


def prepare(x: FloatArray, sets: RiskSets, weight: FloatArray | None) -> AalenData:
    """Sort and centre; the first column of `x` is the intercept."""
    shift = x.mean(axis=0)
    shift[0] = 0.0
    ones = np.ones(sets.order.size)
    return AalenData(x[sets.order] - shift, ones if weight is None else weight[sets.order], sets, shift)


def steps(data: AalenData) -> AalenSteps:
    """Least squares at each event."""
    sets = data.sets
    increments, factor, n_risk = aalen_increments(
        data.z, data.weight, sets.event, sets.last, sets.before, sets.entry_order, sets.group_rank.size, data.shift
    )
    events = np.flatnonzero(sets.event == 1)
    return AalenSteps(increments[events], sets.last[events], factor, n_risk)


def influence(data: AalenData, factor: FloatArray) -> FloatArray:
    """What each row of `data.z` adds to the sum over groups of `factor`, (g, p), times the increments."""
    sets = data.sets
    return np.asarray(
        aalen_influence(
            data.z, data.weight, sets.event, sets.last, sets.before, sets.entry_order, np.ascontiguousarray(factor),
            data.shift,
        )
    )  # fmt: skip


def break_ties(times: RankedTimes, event: IntArray) -> RankedTimes:
    """Put tied events one after the other, in the order of the rows; whoever leaves at the time leaves with the first.

    Examples
    --------
    >>> from dxa_causal._numerics.times import rank_times
    >>> times = rank_times(np.array([3.0, 3.0, 3.0, 5.0]))
    >>> break_ties(times, np.array([1, 0, 1, 1])).rank.tolist()
    [0, 0, 1, 2]
    """
    events = np.flatnonzero(event == 1)
    events = events[np.argsort(times.rank[events], kind="stable")]
    rank = times.rank[events]
    position = np.arange(rank.size) - np.searchsorted(rank, rank)
    room = np.maximum(np.bincount(rank, minlength=times.distinct.size), 1)
    base = np.cumsum(room) - room
    new = base[times.rank]
    new[events] += position
    entry = None if times.entry_rank is None else base[times.entry_rank]
    return RankedTimes(np.repeat(times.distinct, room), new, entry)


@inner
def _invert(a, inverse, lower):
    """Inverse of a symmetric positive matrix by Cholesky's factor; False when it is singular."""
    p = a.shape[0]
    for j in range(p):
        pivot = a[j, j]
        for k in range(j):
            pivot -= lower[j, k] ** 2
        if not pivot > SINGULAR * a[j, j]:
            return False
        lower[j, j] = np.sqrt(pivot)
        for i in range(j + 1, p):
            value = a[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            lower[i, j] = value / lower[j, j]
    for c in range(p):
        for i in range(c, p):
            value = 1.0 if i == c else 0.0
            for k in range(c, i):
                value -= lower[i, k] * inverse[k, c]
            inverse[i, c] = value / lower[i, i]
        for i in range(p - 1, -1, -1):
            value = inverse[i, c] if i >= c else 0.0
            for k in range(i + 1, p):
                value -= lower[k, i] * inverse[k, c]
            inverse[i, c] = value / lower[i, i]
    return True


@inner
def _uncentre(inverse, shift):
    """Turn A^-1 into T A^-1: only the intercept's row changes."""
    p = inverse.shape[0]
    for c in range(p):
        for k in range(1, p):
            inverse[0, c] -= shift[k] * inverse[k, c]


@inner
def _add(a, lost, z, weight, i, sign):
    """Add (or take out) w z z'; what rounding loses is kept apart, or small risk sets would drown in it."""
    p = a.shape[0]
    for j in range(p):
        value = sign * weight[i] * z[i, j]
        for k in range(j + 1):
            term = value * z[i, k]
            total = a[j, k] + term
            if abs(a[j, k]) >= abs(term):
                lost[j, k] += (a[j, k] - total) + term
            else:
                lost[j, k] += (term - total) + a[j, k]
            a[j, k] = total


@kernel
def aalen_increments(z, weight, event, last, before, entry_order, n_groups, shift):
    """Increment of the cumulative coefficients at each event.

    Parameters
    ----------
    z : (m, p) ndarray
        Intercept and centred covariates, rows sorted by `last`.
    weight : (m,) ndarray
    event, last, before, entry_order : ndarray of int64
        As in `RiskSets`.
    n_groups : int
    shift : (p,) ndarray
        What was subtracted from each column; 0 for the intercept.

    Returns
    -------
    increments : (m, p) ndarray
        u of the rows that are events, for the columns as they were before centring; zero elsewhere and where A is
        singular.
    variance_factor : (g, p) ndarray
        Diagonal of the inverse of the uncentred A; zero where A is singular.
    n_risk : (g,) ndarray
        Sum of weights at risk.
    """
    m, p = z.shape
    increments = np.zeros((m, p))
    factor = np.zeros((n_groups, p))
    n_risk = np.zeros(n_groups)
    a, lost, inverse, lower = np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p))
    i, j, at_risk = m - 1, entry_order.shape[0] - 1, 0
    for g in range(n_groups - 1, -1, -1):
        end = i
        while i >= 0 and last[i] == g:
            _add(a, lost, z, weight, i, 1.0)
            at_risk += 1
            i -= 1
        while j >= 0 and before[entry_order[j]] == g:
            _add(a, lost, z, weight, entry_order[j], -1.0)
            at_risk -= 1
            j -= 1
        n_risk[g] = a[0, 0] + lost[0, 0]
        if at_risk < p or not _invert(a + lost, inverse, lower):
            continue
        _uncentre(inverse, shift)
        for k in range(p):
            factor[g, k] = inverse[k, k]
        for k in range(1, p):
            factor[g, 0] -= shift[k] * inverse[0, k]
        for row in range(i + 1, end + 1):
            if event[row] == 1:
                for k in range(p):
                    value = 0.0
                    for c in range(p):
                        value += inverse[k, c] * z[row, c]
                    increments[row, k] = weight[row] * value
    return increments, factor, n_risk


@kernel
def aalen_influence(z, weight, event, last, before, entry_order, factor, shift):
    """What each row adds to the sum of factor x increment over all groups.

    Row i adds w_i times the sum over groups of ``factor * T A^-1 z_i (dN_i - z_i' dB)``. The second part is a
    quadratic form in z_i with the tensor K = sum of ``factor * T A^-1 (x) dB`` over the groups it is at risk, so
    that no row is visited at each event.

    Parameters
    ----------
    factor : (g, p) ndarray
        Groups where it is zero are not looked at. Other arguments as in `aalen_increments`.

    Returns
    -------
    (m, p) ndarray
    """
    m, p = z.shape
    influence = np.zeros((m, p))
    a, lost, inverse, lower = np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p))
    tensor, jump = np.zeros((p, p, p)), np.zeros(p)
    i, j, at_risk = m - 1, entry_order.shape[0] - 1, 0
    for g in range(factor.shape[0] - 1, -1, -1):
        end = i
        while i >= 0 and last[i] == g:
            _add(a, lost, z, weight, i, 1.0)
            _add_form(influence, tensor, z, weight, i, 1.0)
            at_risk += 1
            i -= 1
        while j >= 0 and before[entry_order[j]] == g:
            row = entry_order[j]
            _add(a, lost, z, weight, row, -1.0)
            _add_form(influence, tensor, z, weight, row, -1.0)
            at_risk -= 1
            j -= 1
        if not factor[g].any() or at_risk < p or not _invert(a + lost, inverse, lower):
            continue
        jump[:] = 0.0
        for row in range(i + 1, end + 1):
            if event[row] == 1:
                for k in range(p):
                    for c in range(p):
                        jump[k] += weight[row] * inverse[k, c] * z[row, c]
        _uncentre(inverse, shift)
        for k in range(p):
            for c in range(p):
                value = factor[g, k] * inverse[k, c]
                for q in range(p):
                    tensor[k, c, q] += value * jump[q]
        for row in range(i + 1, end + 1):
            if event[row] == 1:
                for k in range(p):
                    value = 0.0
                    for c in range(p):
                        value += inverse[k, c] * z[row, c]
                    influence[row, k] += weight[row] * factor[g, k] * value
    for row in range(m):
        if before[row] < 0:
            _add_form(influence, tensor, z, weight, row, -1.0)
    return influence


@inner
def _add_form(influence, tensor, z, weight, i, sign):
    p = tensor.shape[0]
    for k in range(p):
        total = 0.0
        for c in range(p):
            value = 0.0
            for q in range(p):
                value += tensor[k, c, q] * z[i, q]
            total += z[i, c] * value
        influence[i, k] += sign * weight[i] * total


@warms
def _warm() -> None:
    z = np.array([[1.0, 0.5], [1.0, -0.5], [1.0, 0.2]])
    one, event, last = np.ones(3), np.array([1, 0, 1]), np.array([0, 1, 1])
    before, order, shift = np.full(3, -1), np.empty(0, dtype=np.int64), np.zeros(2)
    aalen_increments(z, one, event, last, before, order, 2, shift)
    aalen_influence(z, one, event, last, before, order, np.ones((2, 2)), shift)
