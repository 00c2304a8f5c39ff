"""Cox model with discrete times: the exact conditional likelihood of which rows of a risk set have the events.

For one event group with d events among the rows at risk, each with risk r = exp(eta),

    L = prod over the events of r / e_d(r)

with e_d the elementary symmetric polynomial: the sum over all sets of d rows of the product of their risks
(Gail, Lubin & Rubinstein 1981). Adding one row to the risk set updates all orders at once,
``e_k <- e_k + r e_(k-1)``, and its derivatives follow the same recursion. Without delayed entry a risk set only
grows backwards in time, so one pass serves all event times: O(n d p^2) for at most d tied events.

Gail MH, Lubin JH, Rubinstein LV. Biometrika 1981;68:703-707. doi:10.1093/biomet/68.3.703
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.cox import BRESLOW, CoxData, prepare
from dxa_causal.survival._kernels.newton import CoxEstimate, newton
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

FloatArray = npt.NDArray[np.float64]

# More tied events than this overflow the scaled polynomials.
MAX_TIED = 600


@inner
def _add(r, row, x, top, e0, e1, e2):
    """Take a row with scaled risk r into the polynomials of order 1 .. top and their derivatives in beta."""
    p = x.shape[1]
    for k in range(top, 0, -1):
        for a in range(p):
            xa = x[row, a]
            for b in range(a + 1):
                xb = x[row, b]
                e2[k, a, b] += r * (e2[k - 1, a, b] + xa * e1[k - 1, b] + xb * e1[k - 1, a] + xa * xb * e0[k - 1])
        for a in range(p):
            e1[k, a] += r * (e1[k - 1, a] + x[row, a] * e0[k - 1])
        e0[k] += r * e0[k - 1]


@inner
def _rescale(factor, top, e0, e1, e2):
    """Multiply every risk in the polynomials by `factor`."""
    power = 1.0
    for k in range(1, top + 1):
        power *= factor
        e0[k] *= power
        e1[k] *= power
        e2[k] *= power


@kernel
def exact_derivatives(x, offset, event, last, before, stratum, group_closes, beta):
    """Log conditional likelihood, gradient and information at `beta`.

    Parameters
    ----------
    x : (m, p) float64, C order, rows sorted by `last`
    offset : (m,) float64
    event, last, before : (m,) int64
    stratum, group_closes : (g,) int64
    beta : (p,) float64

    Returns
    -------
    log_likelihood : float
    gradient : (p,) float64
    information : (p, p) float64
    """
    m, p = x.shape
    n_groups = group_closes.shape[0]
    gradient = np.zeros(p)
    information = np.zeros((p, p))
    events = np.zeros(n_groups, dtype=np.int64)
    delayed = False
    for i in range(m):
        if event[i] == 1:
            events[last[i]] += 1
        delayed = delayed or before[i] >= 0
    most = events.max() if n_groups else 0
    e0 = np.zeros(most + 1)
    e1 = np.zeros((most + 1, p))
    e2 = np.zeros((most + 1, p, p))
    eta = offset + np.dot(x, beta)
    log_likelihood = 0.0
    top = 0
    scale = 1.0  # log of what a risk is multiplied by, so that e_top neither over- nor underflows
    total = 0.0
    end = m
    i = m
    for g in range(n_groups - 1, -1, -1):
        if group_closes[g] == 1:
            while end > 0 and stratum[last[end - 1]] > stratum[g]:
                end -= 1
            i = end
            top = events[g]
            h = g - 1
            while h >= 0 and group_closes[h] == 0:
                top = max(top, events[h])
                h -= 1
        fresh = group_closes[g] == 1 or delayed
        if delayed:
            i = end
            top = events[g]
        if fresh:
            e0[:] = 0.0
            e1[:] = 0.0
            e2[:] = 0.0
            e0[0] = 1.0
            total = 0.0
        while i > 0 and last[i - 1] >= g:
            i -= 1
            if before[i] >= g:
                continue
            value = eta[i]
            if total == 0.0:
                scale = -value
                total = 1.0
            else:
                total += np.exp(value + scale)
                if total > 1.05 * top:  # e_top stays below (1.05 e)^top
                    shrink = min(1.0, top / total)
                    _rescale(shrink, top, e0, e1, e2)
                    total *= shrink
                    scale += np.log(shrink)
            _add(np.exp(value + scale), i, x, top, e0, e1, e2)
        d = events[g]
        if not (e0[d] > 0.0 and np.isfinite(e0[d])):
            return -np.inf, gradient, information
        log_likelihood -= np.log(e0[d]) - d * scale
        for a in range(p):
            mean = e1[d, a] / e0[d]
            gradient[a] -= mean
            for b in range(a + 1):
                information[a, b] += e2[d, a, b] / e0[d] - mean * (e1[d, b] / e0[d])
    for i in range(m):
        if event[i] == 1:
            log_likelihood += eta[i]
            for a in range(p):
                gradient[a] += x[i, a]
    for a in range(p):
        for b in range(a):
            information[b, a] = information[a, b]
    return log_likelihood, gradient, information


def maximise_exact(data: CoxData, *, max_iter: int = 50) -> CoxEstimate:
    """Newton-Raphson on the exact conditional likelihood; `data.weight` plays no part."""
    s = data.sets
    fixed = (data.x, data.offset, s.event, s.last, s.before, s.group_stratum, s.group_closes)
    unknown = np.full(s.order.size, np.nan)  # expected events have no simple form here

    def derivatives(beta: FloatArray) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        value, gradient, information = exact_derivatives(*fixed, beta)
        return float(value), gradient, information, unknown

    return newton(derivatives, data.x.shape[1], max_iter=max_iter)


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    sets = build_risk_sets(rank_times(time), np.array([1, 1, 1, 0, 1], dtype=np.int64), None)
    x = np.array([[0.0], [1.0], [0.5], [2.0], [0.3]])
    maximise_exact(prepare(x, sets, weight=None, offset=None, ties=BRESLOW))
