"""Cox model with covariates x f(t): the partial likelihood where risks change from one event time to the next.

Nothing is expanded: at each event group the rows at risk are visited once,
O(sum of the risk sets' sizes) time and O(n) memory. Notation as in `_kernels/cox.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.cox import EFRON, CoxData, efron_sums, prepare
from dxa_causal.survival._kernels.newton import CoxEstimate, newton
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

FloatArray = npt.NDArray[np.float64]


@inner
def _group(g, end, x, factor, weight, offset, event, last, before, beta, eta, s1, s2, d1, d2):
    """Sums over the risk set of group g, rows `first` to `end`; eta is left at the values of this group."""
    p = x.shape[1]
    s1[:] = 0.0
    s2[:] = 0.0
    d1[:] = 0.0
    d2[:] = 0.0
    scaled = np.empty(p)
    for k in range(p):
        scaled[k] = factor[g, k] * beta[k]
    top = -np.inf
    first = end
    while first > 0 and last[first - 1] >= g:
        first -= 1
        value = offset[first]
        for k in range(p):
            value += x[first, k] * scaled[k]
        eta[first] = value
        if before[first] < g and value > top:
            top = value
    s0 = d0 = dw = own = 0.0
    d = 0
    for i in range(first, end):
        if before[i] >= g:
            continue
        r = weight[i] * np.exp(eta[i] - top)
        s0 += r
        for k in range(p):
            s1[k] += r * x[i, k]
            for m in range(k + 1):
                s2[k, m] += r * x[i, k] * x[i, m]
        if event[i] == 1 and last[i] == g:
            d += 1
            d0 += r
            dw += weight[i]
            own += weight[i] * (eta[i] - top)
            for k in range(p):
                d1[k] += r * x[i, k]
                for m in range(k + 1):
                    d2[k, m] += r * x[i, k] * x[i, m]
    for k in range(p):
        s1[k] *= factor[g, k]
        d1[k] *= factor[g, k]
        for m in range(k + 1):
            both = factor[g, k] * factor[g, m]
            s2[k, m] *= both
            d2[k, m] *= both
    return first, top, s0, d, d0, dw, own


@kernel
def time_varying_derivatives(x, factor, weight, offset, event, last, before, stratum, group_closes, beta, ties):
    """Log partial likelihood, gradient, information and score residuals with ``x[i] * factor[g]`` at group g.

    Parameters
    ----------
    x : (m, p) float64, C order, rows sorted by `last`
    factor : (g, p) float64
    weight, offset : (m,) float64
    event, last, before : (m,) int64
    stratum, group_closes : (g,) int64
    beta : (p,) float64
    ties : int

    Returns
    -------
    log_likelihood : float
    gradient : (p,) float64
    information : (p, p) float64
    expected : (m,) float64
        Weighted expected events.
    score : (m, p) float64
        Score residuals, not weighted.
    """
    m, p = x.shape
    n_groups = group_closes.shape[0]
    gradient = np.zeros(p)
    information = np.zeros((p, p))
    expected = np.zeros(m)
    score = np.zeros((m, p))
    eta = np.zeros(m)
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    s2 = np.zeros((p, p))
    d2 = np.zeros((p, p))
    log_likelihood = 0.0
    end = m
    for g in range(n_groups - 1, -1, -1):
        if g < n_groups - 1 and group_closes[g] == 1:
            while end > 0 and stratum[last[end - 1]] > stratum[g]:
                end -= 1
        first, top, s0, d, d0, dw, own = _group(
            g, end, x, factor, weight, offset, event, last, before, beta, eta, s1, s2, d1, d2
        )
        if not (s0 > 0.0 and np.isfinite(s0)):
            return -np.inf, gradient, information, expected, score
        big_a, big_b, a, b, q, log_term = efron_sums(s0, d, d0, dw, ties)
        log_likelihood += own - log_term
        for k in range(p):
            gradient[k] -= big_a * s1[k] - big_b * d1[k]
            for j in range(k + 1):
                information[k, j] += (
                    big_a * s2[k, j]
                    - big_b * d2[k, j]
                    - a * s1[k] * s1[j]
                    + b * (s1[k] * d1[j] + d1[k] * s1[j])
                    - q * d1[k] * d1[j]
                )
        for i in range(first, end):
            if before[i] >= g:
                continue
            dead = event[i] == 1 and last[i] == g
            risk = np.exp(eta[i] - top)
            hazard = big_a - big_b if dead else big_a
            expected[i] += weight[i] * risk * hazard
            for k in range(p):
                value = x[i, k] * factor[g, k]
                drift = a * s1[k] - b * d1[k]
                if dead:
                    gradient[k] += weight[i] * value
                    drift -= b * s1[k] - q * d1[k]
                    score[i, k] += value - (big_a * s1[k] - big_b * d1[k]) / dw
                score[i, k] -= risk * (value * hazard - drift)
    for k in range(p):
        for j in range(k):
            information[j, k] = information[k, j]
    return log_likelihood, gradient, information, expected, score


@dataclass(frozen=True, slots=True)
class TimeVaryingEstimate:
    """A fit with time-varying effects.

    Attributes
    ----------
    data : CoxData
        Columns of x, then the columns that are multiplied by a function of time.
    estimate : CoxEstimate
    score : (m, p) ndarray
        Score residuals of the rows ``data.sets.order``, standardised scale, not weighted.
    """

    data: CoxData
    estimate: CoxEstimate
    score: FloatArray


def maximise_time_varying(data: CoxData, functions: FloatArray, *, penalty: FloatArray | None) -> TimeVaryingEstimate:
    """Fit with the last columns of x multiplied by `functions`.

    Parameters
    ----------
    data : CoxData
        The last k columns of x belong to the functions; they are put back on
        their own origin, because x f(t) centred is not (x centred) f(t).
    functions : (g, k) ndarray
        Value of each function at each event group.
    penalty : (p,) ndarray, optional
    """
    p, k = data.x.shape[1], functions.shape[1]
    x = data.x.copy()
    x[:, p - k :] += data.centre[p - k :] / data.scale[p - k :]
    # a function as large as log t or t itself would leave the information badly scaled
    size = np.sqrt(np.mean(functions**2, axis=0)) if len(functions) else np.ones(k)
    size = np.where(size > 0, size, 1.0)
    factor = np.ones((functions.shape[0], p))
    factor[:, p - k :] = functions / size
    scale = data.scale.copy()
    scale[p - k :] *= size
    if penalty is not None:
        penalty = penalty * data.scale**2 / scale**2
    data = replace(data, x=x, scale=scale)
    s = data.sets
    fixed = (x, factor, data.weight, data.offset, s.event, s.last, s.before, s.group_stratum, s.group_closes)

    def derivatives(beta: FloatArray) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        value: tuple[float, FloatArray, FloatArray, FloatArray] = time_varying_derivatives(*fixed, beta, data.ties)[:4]
        return value

    estimate = newton(derivatives, p, penalty)
    score = time_varying_derivatives(*fixed, estimate.beta, data.ties)[4]
    return TimeVaryingEstimate(data, estimate, score)


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    sets = build_risk_sets(rank_times(time), np.array([1, 1, 1, 0, 1], dtype=np.int64), None)
    data = prepare(np.array([[0.0], [1.0], [0.5], [2.0], [0.3]]), sets, weight=None, offset=None, ties=EFRON)
    maximise_time_varying(data, np.ones((sets.group_closes.size, 1)), penalty=None)
