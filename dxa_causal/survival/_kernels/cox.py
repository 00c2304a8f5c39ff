"""Cox partial likelihood: value, gradient, information and the sums behind residuals.

Notation inside this file, for one event group g (one time of one stratum) with
d events, weights w and risks r = w exp(eta):

    S0 = sum over the risk set of r          S1 = the same of r x
    D0 = sum over the events of r            D1 = the same of r x
    s_k = S0 - (k/d) D0, k = 0 .. d-1        (Efron 1977; Breslow: s_k = S0)
    A = m sum 1/s_k        B = m sum (k/d)/s_k          m = mean weight of the events
    a = m sum 1/s_k^2      b = m sum (k/d)/s_k^2        q = m sum (k/d)^2/s_k^2

The information needs no outer product per row:

    I = X' diag(c) X - sum_g (a S1 S1' - b (S1 D1' + D1 S1') + q D1 D1')
    c_i = r_i (cumulative A while at risk - B at the own event)

and the gradient is X' (w event - c). Both matrix products are done in blocks by BLAS.

Efron B. J Am Stat Assoc 1977;72:557-565. doi:10.1080/01621459.1977.10480613
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.newton import CoxEstimate, newton
from dxa_causal.survival._kernels.risk_sets import IntArray, RiskSets, build_risk_sets

FloatArray = npt.NDArray[np.float64]

# How tied events share a risk set. With frequency weights a row stands for `weight` rows, each of them tied.
BRESLOW, EFRON, FREQUENCY = 0, 1, 2

_BLOCK = 256  # rows per matrix product: fits the cache for the usual number of covariates


@inner
def step_risk_set(g, i, j, s0, at_risk, x, risk, weight, event, last, before, entry_order, s1, d1):
    """Move the risk set from group g + 1 to g: rows that exit at g come in, rows that enter at g go.

    `d1` is the sum over the events where there are several; it means nothing for one.
    """
    p = x.shape[1]
    d = 0
    d0 = 0.0
    dw = 0.0
    top = i
    while i >= 0 and last[i] == g:
        r = risk[i]
        s0 += r
        at_risk += 1
        for k in range(p):
            s1[k] += r * x[i, k]
        if event[i] == 1:
            d += 1
            d0 += r
            dw += weight[i]
        i -= 1
    if d > 1 or dw != 1.0:
        d1[:] = 0.0
        for row in range(i + 1, top + 1):
            if event[row] == 1:
                for k in range(p):
                    d1[k] += risk[row] * x[row, k]
    while j >= 0 and before[entry_order[j]] == g:
        out = entry_order[j]
        r = risk[out]
        s0 -= r
        at_risk -= 1
        for k in range(p):
            s1[k] -= r * x[out, k]
        j -= 1
    return i, j, s0, at_risk, d, d0, dw


@inner
def efron_sums(s0, d, d0, dw, ties):
    """A, B, a, b, q and the log terms of one group."""
    if ties == FREQUENCY:
        d = int(np.rint(dw))
    if d == 0:  # resampling has left the group without events
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if d == 1 or ties == BRESLOW:
        inverse = 1.0 / s0
        return dw * inverse, 0.0, dw * inverse * inverse, 0.0, 0.0, dw * np.log(s0)
    m = dw / d
    big_a = big_b = a = b = q = log_sum = 0.0
    for k in range(d):
        f = k / d
        s = s0 - f * d0
        inverse = 1.0 / s
        big_a += inverse
        big_b += f * inverse
        a += inverse * inverse
        b += f * inverse * inverse
        q += f * f * inverse * inverse
        log_sum += np.log(s)
    return m * big_a, m * big_b, m * a, m * b, m * q, m * log_sum


@inner
def _risks(x, weight, offset, last, stratum, beta):
    """Centred eta, weighted risks, and the centre of each group's stratum.

    The likelihood does not change when the eta of a stratum is shifted; the range of its numbers does.
    """
    m, p = x.shape
    eta = offset.copy()
    risk = np.empty(m)
    centre = np.zeros(stratum.shape[0])
    for i in range(m):
        value = 0.0
        for k in range(p):
            value += x[i, k] * beta[k]
        eta[i] += value
    i = 0
    g = 0
    while i < m:
        code = stratum[last[i]]
        end = i
        total = 0.0
        while end < m and stratum[last[end]] == code:
            total += eta[end]
            end += 1
        mean = total / (end - i)
        while g < stratum.shape[0] and stratum[g] <= code:
            centre[g] = mean
            g += 1
        while i < end:
            eta[i] -= mean
            risk[i] = weight[i] * np.exp(eta[i])
            i += 1
    return eta, risk, centre


@kernel
def cox_derivatives(x, weight, offset, event, last, before, entry_order, stratum, group_closes, beta, ties):
    """Log partial likelihood, gradient and information at `beta`.

    Parameters
    ----------
    x : (m, p) float64, C order, rows sorted by `last`
    weight, offset : (m,) float64
    event, last, before : (m,) int64
    entry_order : (k,) int64
    stratum : (g,) int64
        Stratum of each group.
    group_closes : (g,) int64
        1 where a group is the last of its stratum.
    beta : (p,) float64
    ties : int
        BRESLOW, EFRON or FREQUENCY.

    Returns
    -------
    log_likelihood : float
        -inf when risks overflow or a whole risk set underflows.
    gradient : (p,) float64
    information : (p, p) float64
    expected : (m,) float64
        c_i of the module docstring: weighted expected events.
    """
    m, p = x.shape
    n_groups = group_closes.shape[0]
    gradient = np.zeros(p)
    information = np.zeros((p, p))
    expected = np.zeros(m)
    eta, risk, _ = _risks(x, weight, offset, last, stratum, beta)
    if not eta.max() <= 500.0:
        return -np.inf, gradient, information, expected

    log_likelihood = 0.0
    cumulative = np.empty(n_groups)  # A, summed below
    tie_share = np.empty(n_groups)  # B
    block = np.empty((_BLOCK, p))
    filled = 0
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    s0 = 0.0
    at_risk = 0
    i = m - 1
    j = entry_order.shape[0] - 1
    for g in range(n_groups - 1, -1, -1):
        if group_closes[g] == 1 or at_risk == 0:
            s0 = 0.0
            at_risk = 0
            s1[:] = 0.0
        top = i
        i, j, s0, at_risk, d, d0, dw = step_risk_set(
            g, i, j, s0, at_risk, x, risk, weight, event, last, before, entry_order, s1, d1
        )
        for row in range(i + 1, top + 1):
            if event[row] == 1:
                log_likelihood += weight[row] * eta[row]
        if not s0 > 0.0:
            if dw == 0.0:  # rows of weight zero only
                cumulative[g] = 0.0
                tie_share[g] = 0.0
                continue
            return -np.inf, gradient, information, expected  # every risk underflowed
        big_a, big_b, a, b, q, log_term = efron_sums(s0, d, d0, dw, ties)
        log_likelihood -= log_term
        cumulative[g] = big_a
        tie_share[g] = big_b
        # a S1 S1' - b (S1 D1' + D1 S1') + q D1 D1' = u u' + v v' by Cholesky of [[a, -b], [-b, q]]
        if filled > _BLOCK - 2:
            part = block[:filled]
            information -= np.dot(part.T, part)
            filled = 0
        if a == 0.0:
            continue
        root = np.sqrt(a)
        ratio = b / a
        for k in range(p):
            block[filled, k] = root * (s1[k] - ratio * d1[k])
        filled += 1
        rest = q - b * ratio
        if rest > 0.0:
            root = np.sqrt(rest)
            for k in range(p):
                block[filled, k] = root * d1[k]
            filled += 1
    if filled > 0:
        part = block[:filled]
        information -= np.dot(part.T, part)

    for g in range(1, n_groups):
        if group_closes[g - 1] == 0:
            cumulative[g] += cumulative[g - 1]
    for first in range(0, m, _BLOCK):
        end = min(first + _BLOCK, m)
        part = block[: end - first]
        for i in range(first, end):
            hazard = cumulative[last[i]]
            if before[i] >= 0:
                hazard -= cumulative[before[i]]
            if event[i] == 1:
                hazard -= tie_share[last[i]]
            c = risk[i] * hazard
            expected[i] = c
            difference = weight[i] * event[i] - c
            root = np.sqrt(max(c, 0.0))
            for k in range(p):
                gradient[k] += x[i, k] * difference
                part[i - first, k] = root * x[i, k]
        information += np.dot(part.T, part)
    return log_likelihood, gradient, information, expected


@kernel
def cox_increments(x, weight, offset, event, last, before, entry_order, stratum, group_closes, beta, ties):
    """Per-group sums behind the baseline hazard and all residuals.

    Parameters as in :func:`cox_derivatives`. Risks are relative to the mean
    of eta in the stratum: the sums belong to risks exp(eta - centre).

    Returns
    -------
    scalars : (6, g) float64
        A, B, a, b, q and the weight of the events.
    s1, d1 : (g, p) float64
    centre : (g,) float64
        Of the group's stratum.
    """
    m, p = x.shape
    n_groups = group_closes.shape[0]
    _, risk, centre = _risks(x, weight, offset, last, stratum, beta)
    scalars = np.zeros((6, n_groups))
    all_s1 = np.empty((n_groups, p))
    all_d1 = np.zeros((n_groups, p))
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    s0 = 0.0
    at_risk = 0
    i = m - 1
    j = entry_order.shape[0] - 1
    for g in range(n_groups - 1, -1, -1):
        if group_closes[g] == 1 or at_risk == 0:
            s0 = 0.0
            at_risk = 0
            s1[:] = 0.0
        i, j, s0, at_risk, d, d0, dw = step_risk_set(
            g, i, j, s0, at_risk, x, risk, weight, event, last, before, entry_order, s1, d1
        )
        if dw > 0.0:  # not so where all rows with the event have weight zero
            big_a, big_b, a, b, q, _ = efron_sums(s0, d, d0, dw, ties)
            scalars[0, g] = big_a
            scalars[1, g] = big_b
            scalars[2, g] = a
            scalars[3, g] = b
            scalars[4, g] = q
            scalars[5, g] = dw
        all_s1[g] = s1
        if d > 1 or dw != 1.0:
            all_d1[g] = d1
    return scalars, all_s1, all_d1, centre


@dataclass(frozen=True, slots=True)
class CoxData:
    """Arrays of a Cox model in the order the kernels want, covariates standardised.

    Attributes
    ----------
    x : (m, p) ndarray
        ``(original - centre) / scale`` for the rows ``sets.order``.
    centre, scale : (p,) ndarray
    weight, offset : (m,) ndarray
    sets : RiskSets
    ties : int
        BRESLOW, EFRON or FREQUENCY.
    """

    x: FloatArray
    centre: FloatArray
    scale: FloatArray
    weight: FloatArray
    offset: FloatArray
    sets: RiskSets
    ties: int

    def arguments(self, beta: FloatArray) -> tuple[Any, ...]:
        """Arguments of both kernels at `beta` (standardised scale)."""
        s = self.sets
        rows = (self.x, self.weight, self.offset, s.event, s.last, s.before)
        return (*rows, s.entry_order, s.group_stratum, s.group_closes, beta, self.ties)

    def select(self, columns: list[int]) -> CoxData:
        """The same rows with some of the covariates."""
        x = np.ascontiguousarray(self.x[:, columns])
        return replace(self, x=x, centre=self.centre[columns], scale=self.scale[columns])

    def rows(self, kept: npt.NDArray[np.bool_]) -> CoxData:
        """Some of the rows, on the same scale and with the same groups."""
        s = self.sets
        delayed = np.flatnonzero(s.before[kept] >= 0)
        before = np.ascontiguousarray(s.before[kept])
        sets = replace(
            s,
            order=s.order[kept],
            last=np.ascontiguousarray(s.last[kept]),
            before=before,
            entry_order=delayed[np.argsort(before[delayed], kind="stable")],
            event=np.ascontiguousarray(s.event[kept]),
        )
        x = np.ascontiguousarray(self.x[kept])
        return replace(self, x=x, weight=self.weight[kept], offset=self.offset[kept], sets=sets)


@kernel
def column_moments(x):
    """Mean and variance of each column."""
    n, p = x.shape
    mean = np.zeros(p)
    variance = np.zeros(p)
    for i in range(n):
        for k in range(p):
            mean[k] += x[i, k]
    mean /= n
    for i in range(n):
        for k in range(p):
            d = x[i, k] - mean[k]
            variance[k] += d * d
    return mean, variance / n


def prepare(
    x: FloatArray,
    sets: RiskSets,
    *,
    weight: FloatArray | None,
    offset: FloatArray | None,
    ties: int,
) -> CoxData:
    """Sort and standardise: the likelihood does not change, its conditioning does."""
    rows = sets.order
    centre, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if x.size:
        centre, variance = column_moments(np.ascontiguousarray(x))
        known = np.isfinite(variance) & (variance > 0)
        scale[known] = np.sqrt(variance[known])
    sorted_x = x.take(rows, axis=0)  # many times faster than x[rows]
    sorted_x -= centre
    sorted_x /= scale
    return CoxData(
        x=sorted_x,
        centre=centre,
        scale=scale,
        weight=np.ones(rows.size) if weight is None else weight[rows],
        offset=np.zeros(rows.size) if offset is None else offset[rows],
        sets=sets,
        ties=ties,
    )


def maximise(
    data: CoxData,
    *,
    penalty: FloatArray | None = None,
    start: FloatArray | None = None,
    max_iter: int = 50,
) -> CoxEstimate:
    """Newton-Raphson with step halving from beta = 0 (or `start`).

    Parameters
    ----------
    data : CoxData
    penalty : (p,) ndarray, optional
        Ridge: ``sum(penalty * beta**2) / 2`` is taken off the log-likelihood.
    start : (p,) ndarray, optional
        A start other than zero; what is reported at zero is then missing.
    max_iter : int
    """
    return newton(lambda beta: cox_derivatives(*data.arguments(beta)), data.x.shape[1], penalty, start, max_iter)


@dataclass(frozen=True, slots=True)
class CoxIncrements:
    """Sums at each event group, on the standardised scale, for risks exp(eta - centre).

    Attributes
    ----------
    hazard, tie_share, a, b, q : (g,) ndarray
        A, B, a, b and q of the module docstring; `hazard` holds the
        increments of the baseline cumulative hazard.
    weight : (g,) ndarray
        Sum of the weights of the events.
    s1, d1 : (g, p) ndarray
    centre : (g,) ndarray
    """

    hazard: FloatArray
    tie_share: FloatArray
    a: FloatArray
    b: FloatArray
    q: FloatArray
    weight: FloatArray
    s1: FloatArray
    d1: FloatArray
    centre: FloatArray

    @property
    def hazard_variance(self) -> FloatArray:
        """Increments of the variance of the cumulative hazard, (g,)."""
        return self.a

    @property
    def drift(self) -> FloatArray:
        """Increments of the integral of the mean covariate with respect to the hazard, (g, p)."""
        return self.a[:, None] * self.s1 - self.b[:, None] * self.d1

    @property
    def tie_drift(self) -> FloatArray:
        """What `drift` is too large by for a row with the event, (g, p)."""
        return self.b[:, None] * self.s1 - self.q[:, None] * self.d1

    @property
    def expected(self) -> FloatArray:
        """Sum of the covariates expected of the events, weighted, (g, p)."""
        return self.hazard[:, None] * self.s1 - self.tie_share[:, None] * self.d1

    @property
    def mean(self) -> FloatArray:
        """Mean covariate of the risk set at the events, (g, p); zero without weight."""
        weight = np.where(self.weight > 0, self.weight, 1.0)
        return self.expected / weight[:, None]


def increments(data: CoxData, beta: FloatArray) -> CoxIncrements:
    """Per-group sums at `beta`."""
    (hazard, tie_share, a, b, q, weight), s1, d1, centre = cox_increments(*data.arguments(beta))
    return CoxIncrements(hazard, tie_share, a, b, q, weight, s1, d1, centre)


def cumulate(values: FloatArray, closes: IntArray) -> FloatArray:
    """Cumulative sums over groups that start anew in each stratum."""
    total: FloatArray = np.ascontiguousarray(values.reshape(closes.size, -1)).copy()
    _cumulate_in_place(total, closes)
    return total.reshape(values.shape)


@kernel
def _cumulate_in_place(total, closes):
    # one running sum per stratum: a difference of running sums over all strata would lose the digits of the later ones
    for g in range(1, total.shape[0]):
        if closes[g - 1] == 0:
            for k in range(total.shape[1]):
                total[g, k] += total[g - 1, k]


def expected_events(data: CoxData, beta: FloatArray) -> FloatArray:
    """Weighted expected events of the rows ``sets.order``, (m,)."""
    return np.asarray(cox_derivatives(*data.arguments(beta))[3])


def _own(data: CoxData, beta: FloatArray, inc: CoxIncrements) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Risk of each row, and the hazard and drift summed over the groups at which it is at risk."""
    s = data.sets
    risk = np.exp(data.offset + data.x @ beta - inc.centre[s.last])
    late = s.before >= 0
    sums = []
    for values in (inc.hazard, inc.drift):
        total = cumulate(values, s.group_closes)
        own = total[s.last]
        own[late] -= total[s.before[late]]
        sums.append(own)
    return risk, sums[0], sums[1]


def score_residuals(data: CoxData, beta: FloatArray) -> FloatArray:
    """Score residuals of the rows ``sets.order``, standardised scale, not weighted.

    U_i = integral of (x_i - mean x at t) dM_i(t), with Efron's split of tied events.
    """
    s, inc = data.sets, increments(data, beta)
    risk, hazard, drift = _own(data, beta, inc)
    score = -risk[:, None] * (data.x * hazard[:, None] - drift)
    died = s.event == 1
    g = s.last[died]
    x = data.x[died]
    score[died] += x - inc.mean[g] + risk[died, None] * (x * inc.tie_share[g][:, None] - inc.tie_drift[g])
    return score


def information_over_time(data: CoxData, beta: FloatArray, inc: CoxIncrements, factor: FloatArray) -> FloatArray:
    """Sum over event groups of `factor` (g,) times the group's part of the information, (p, p)."""
    s = data.sets
    cumulative = cumulate(factor * inc.hazard, s.group_closes)
    hazard = cumulative[s.last]
    late = s.before >= 0
    hazard[late] -= cumulative[s.before[late]]
    hazard -= np.where(s.event == 1, (factor * inc.tie_share)[s.last], 0.0)
    c = data.weight * np.exp(data.offset + data.x @ beta - inc.centre[s.last]) * hazard
    cross = (inc.s1 * (factor * inc.b)[:, None]).T @ inc.d1
    squares = (inc.s1 * (factor * inc.a)[:, None]).T @ inc.s1 + (inc.d1 * (factor * inc.q)[:, None]).T @ inc.d1
    return np.asarray((data.x * c[:, None]).T @ data.x - squares + cross + cross.T)


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    event = np.array([1, 1, 1, 0, 1], dtype=np.int64)
    sets = build_risk_sets(rank_times(time, time - 1.5), event, None)
    x = np.array([[0.0], [1.0], [0.5], [2.0], [0.3]])
    cumulate(np.zeros(sets.group_closes.size), sets.group_closes)
    score_residuals(prepare(x, sets, weight=None, offset=None, ties=EFRON), np.zeros(1))
    maximise(prepare(x, sets, weight=None, offset=None, ties=EFRON))
