r"""Elastic-net path of Cox's model (Breslow's ties), as glmnet defines it.

For each lambda of a decreasing sequence, the minimum over b of

    -(1/W) log PL(b) + lambda sum_j f_j (alpha |b_j| + (1 - alpha) b_j^2 / 2)

with W the sum of the weights and f the penalty factors. The partial likelihood is replaced by its quadratic
approximation, solved by coordinate descent and, where that crawls, conjugate gradients; then renewed. The Hessian in
eta = x'b is that of Breslow's likelihood, not its diagonal alone (the approximation glmnet uses, whose iterations may
cycle where few are at risk): H v takes O(n), and H x_j is kept for the features in play until eta has moved on.
Features outside the sequential strong rule are looked at only when the others have settled.

Simon N, Friedman J, Hastie T, Tibshirani R. J Stat Softw 2011;39(5):1-13. doi:10.18637/jss.v039.i05
Tibshirani R, et al. J R Stat Soc B 2012;74:245-266. doi:10.1111/j.1467-9868.2011.01004.x
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.risk_sets import RiskSets, build_risk_sets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# glmnet ends a path it has chosen itself when the deviance gains less than this share over so many steps, or when so
# much of it is explained.
_LEAST_GAIN, _STEPS, _MOST_EXPLAINED = 1e-3, 5, 0.999
# The Hessian is renewed when the linear predictor of some row has moved by more.
_STALE = 0.2
# A quadratic is solved to this share of the first cycle's change.
_INEXACT = 0.01
# Cycles of coordinate descent before conjugate gradients are tried, and their number.
_CYCLES, _CONJUGATE = 4, 50
# Coefficients that may be different from zero before `tolerance` gives way to `loose`.
_FEW = 100


@dataclass(frozen=True, slots=True)
class ElasticNetPath:
    """Coefficients along the path, for features divided by their scale.

    Attributes
    ----------
    lambdas : (l,) ndarray
    coefficients : (l, p) ndarray
    log_likelihood : (l,) ndarray
    log_likelihood_null, log_likelihood_saturated : float
    converged : (l,) ndarray of bool
    """

    lambdas: FloatArray
    coefficients: FloatArray
    log_likelihood: FloatArray
    log_likelihood_null: float
    log_likelihood_saturated: float
    converged: npt.NDArray[np.bool_]

    @property
    def deviance_null(self) -> float:
        """Twice the log-likelihood the null model lacks to the saturated one."""
        return 2.0 * (self.log_likelihood_saturated - self.log_likelihood_null)

    @property
    def deviance_ratio(self) -> FloatArray:
        """Share of the null deviance that is explained, (l,)."""
        return 2.0 * (self.log_likelihood - self.log_likelihood_null) / max(self.deviance_null, 1e-300)


@inner
def _working(eta, weight, event, last, before, closes, deaths, risk, expected, drop, big_a, residual):
    """Log partial likelihood and its gradient at `eta`, and what its Hessian is made of."""
    m = eta.shape[0]
    n_groups = drop.shape[0]
    centre = eta.mean()
    if not eta.max() - centre <= 500.0:
        return -np.inf
    drop[:] = 0.0
    value = 0.0
    for i in range(m):
        r = weight[i] * np.exp(eta[i] - centre)
        risk[i] = r
        drop[last[i]] += r
        if before[i] >= 0:
            drop[before[i]] -= r
        if event[i] == 1:
            value += weight[i] * (eta[i] - centre)
    for g in range(n_groups - 2, -1, -1):
        if closes[g] == 0:
            drop[g] += drop[g + 1]
    for g in range(n_groups):
        total = drop[g]
        a = 0.0
        drop[g] = 0.0
        if deaths[g] > 0.0:
            if not total > 0.0:
                return -np.inf
            value -= deaths[g] * np.log(total)
            a = deaths[g] / total
            drop[g] = a / total
        big_a[g] = a if g == 0 or closes[g - 1] == 1 else a + big_a[g - 1]
    for i in range(m):
        a = big_a[last[i]]
        if before[i] >= 0:
            a -= big_a[before[i]]
        expected[i] = risk[i] * a
        residual[i] = weight[i] * event[i] - expected[i]
    return value


@inner
def _curve(x, last, before, closes, risk, expected, drop, sums, out):
    """Multiply the Hessian (in eta) by `x`; returns x'Hx."""
    m = x.shape[0]
    n_groups = drop.shape[0]
    sums[:] = 0.0
    for i in range(m):
        s = risk[i] * x[i]
        sums[last[i]] += s
        if before[i] >= 0:
            sums[before[i]] -= s
    for g in range(n_groups - 2, -1, -1):
        if closes[g] == 0:
            sums[g] += sums[g + 1]
    for g in range(n_groups):
        sums[g] *= drop[g]
        if g > 0 and closes[g - 1] == 0:
            sums[g] += sums[g - 1]
    for i in range(m):
        mean = sums[last[i]]
        if before[i] >= 0:
            mean -= sums[before[i]]
        out[i] = expected[i] * x[i] - risk[i] * mean
    value = np.dot(x, out)
    whole = 0.0
    for i in range(m):
        whole += expected[i] * x[i] * x[i]
    return value if value > 1e-13 * whole else 0.0  # does not vary within risk sets


@inner
def _penalty(beta, members, n_members, l1, l2):
    value = 0.0
    for q in range(n_members):
        j = members[q]
        value += l1[j] * abs(beta[j]) + 0.5 * l2[j] * beta[j] * beta[j]
    return value


@inner
def _predict(xt, beta, members, n_members, offset, eta):
    eta[:] = offset
    for q in range(n_members):
        j = members[q]
        if beta[j] != 0.0:
            x = xt[j]
            for i in range(eta.shape[0]):
                eta[i] += beta[j] * x[i]


@inner
def _conjugate(xt, curved, residual, total, beta, active, n_active, weight_of, l1, l2, goal, step, image):
    """Solve for the active coefficients with their signs kept in mind: conjugate gradients, then a projected step.

    Coordinate descent alone crawls where features are correlated. Coefficients that would change sign stop at zero;
    a step that does not lower the quadratic is cut to a quarter, at last not taken.
    """
    m = residual.shape[0]
    slack = np.empty(n_active)  # of the stationarity condition
    begin = np.empty(n_active)
    direction = np.empty(n_active)
    step[:n_active] = 0.0
    size = 0.0
    for q in range(n_active):
        j = active[q]
        slack[q] = np.dot(xt[j], residual) / total - l2[j] * beta[j] - l1[j] * np.sign(beta[j])
        begin[q] = slack[q]
        direction[q] = slack[q] / (weight_of[j] + l2[j])
        size += slack[q] * direction[q]
    enough = max(1e-4 * size, 0.01 * goal)
    for _ in range(min(n_active + 1, _CONJUGATE)):
        if size <= enough:
            break
        image[:] = 0.0
        for q in range(n_active):
            hx = curved[active[q]]
            for i in range(m):
                image[i] += direction[q] * hx[i]
        bend = 0.0
        product = np.empty(n_active)
        for q in range(n_active):
            j = active[q]
            product[q] = np.dot(xt[j], image) / total + l2[j] * direction[q]
            bend += product[q] * direction[q]
        if not bend > 0.0:
            break
        length = size / bend
        new_size = 0.0
        for q in range(n_active):
            step[q] += length * direction[q]
            slack[q] -= length * product[q]
            new_size += slack[q] * slack[q] / (weight_of[active[q]] + l2[active[q]])
        for q in range(n_active):
            direction[q] = slack[q] / (weight_of[active[q]] + l2[active[q]]) + new_size / size * direction[q]
        size = new_size
    share = 1.0
    for _ in range(4):
        image[:] = 0.0
        for q in range(n_active):
            j = active[q]
            direction[q] = share * step[q]
            if (beta[j] + direction[q]) * beta[j] < 0.0:
                direction[q] = -beta[j]
            hx = curved[j]
            for i in range(m):
                image[i] += direction[q] * hx[i]
        gain = 0.0
        for q in range(n_active):
            j = active[q]
            bend = np.dot(xt[j], image) / total + l2[j] * direction[q]
            gain += direction[q] * (begin[q] - 0.5 * bend)
        if gain > 0.0:
            for q in range(n_active):
                beta[active[q]] += direction[q]
            residual -= image
            break
        share *= 0.25


@kernel
def fit_path(
    xt, weight, offset, event, last, before, closes, deaths, factor, alpha, lambdas, start, total, tolerance, loose,
    max_iter, null_value, null_deviance,
):  # fmt: skip
    """Solutions for decreasing lambdas, each from the one before.

    Parameters
    ----------
    xt : (p, m) float64, C order
        Features in rows, on one scale; subjects sorted by `last`.
    weight, offset : (m,) float64
    event, last, before : (m,) int64
    closes : (g,) int64
    deaths : (g,) float64
        Weight of the events of each group.
    factor : (p,) float64
        Penalty factors; infinite: the feature stays out.
    alpha : float
    lambdas : (l,) float64
    start : (p,) float64
    total : float
        Sum of the weights of all subjects.
    tolerance, loose : float
        Change of a coefficient, in units of the root of the objective, that ends the iteration while few
        coefficients are not zero, and beyond.
    max_iter : int
        Quadratic approximations per lambda.
    null_value, null_deviance : float
        Log-likelihood and deviance at zero; a deviance that is positive ends the path where glmnet does.

    Returns
    -------
    coefficients : (l, p) float64
    log_likelihood : (l,) float64
    converged : (l,) int64
    n_done : int
    gradient : (p,) float64
        Of the log-likelihood / total at the last solution.
    """
    p, m = xt.shape
    n_lambdas = lambdas.shape[0]
    n_groups = closes.shape[0]
    coefficients = np.zeros((n_lambdas, p))
    log_likelihood = np.zeros(n_lambdas)
    converged = np.zeros(n_lambdas, dtype=np.int64)
    drop, big_a, sums, ref_drop = np.empty(n_groups), np.empty(n_groups), np.empty(n_groups), np.empty(n_groups)
    residual, risk, expected, eta = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    ref_risk, ref_expected, ref_eta = np.empty(m), np.empty(m), np.full(m, np.inf)
    active, step, image = np.empty(p, dtype=np.int64), np.empty(p), np.empty(m)
    curved = np.empty((p, m))  # H x_j of the members, filled when needed
    weight_of = np.full(p, -1.0)
    beta, previous, l1, l2 = start.copy(), np.empty(p), np.empty(p), np.empty(p)
    members, is_member = np.empty(p, dtype=np.int64), np.zeros(p, dtype=np.int64)
    n_members = 0
    for j in range(p):
        if beta[j] != 0.0 or factor[j] == 0.0 or (alpha == 0.0 and np.isfinite(factor[j])):
            is_member[j] = 1
            members[n_members] = j
            n_members += 1
    _predict(xt, beta, members, n_members, offset, eta)
    value = _working(eta, weight, event, last, before, closes, deaths, risk, expected, drop, big_a, residual)

    gradient = np.dot(xt, residual) / total
    n_done = 0
    for k in range(n_lambdas):
        lam = lambdas[k]
        strong = 2.0 * lam - (lambdas[k - 1] if k > 0 else lam)
        for j in range(p):
            l1[j] = np.inf
            l2[j] = 0.0
            if np.isfinite(factor[j]):
                l1[j] = lam * alpha * factor[j]
                l2[j] = lam * (1.0 - alpha) * factor[j]
                if is_member[j] == 0 and k > 0 and abs(gradient[j]) >= alpha * factor[j] * strong:
                    is_member[j] = 1
                    members[n_members] = j
                    n_members += 1
        settled = 0
        while True:
            settled = 0
            target = value / total - _penalty(beta, members, n_members, l1, l2)
            for _ in range(max_iter):
                moved = 0.0
                for i in range(m):
                    moved = max(moved, abs(eta[i] - ref_eta[i]))
                if moved > _STALE:
                    ref_eta[:] = eta
                    ref_risk[:] = risk
                    ref_expected[:] = expected
                    ref_drop[:] = drop
                    weight_of[:] = -1.0
                previous[:] = beta
                few = 0
                for q in range(n_members):
                    few += beta[members[q]] != 0.0
                limit = tolerance**2 if few <= _FEW else max(tolerance, loose) ** 2
                goal = 0.0
                only_active = False
                for sweep in range(1000):
                    largest = 0.0
                    for q in range(n_members):
                        j = members[q]
                        old = beta[j]
                        if only_active and old == 0.0:
                            continue
                        slope = np.dot(xt[j], residual) / total
                        if old == 0.0 and abs(slope) <= l1[j]:
                            continue
                        if weight_of[j] < 0.0:
                            weight_of[j] = (
                                _curve(xt[j], last, before, closes, ref_risk, ref_expected, ref_drop, sums, curved[j])
                                / total
                            )
                        v = weight_of[j]
                        if not v + l2[j] > 0.0:
                            continue
                        u = slope + v * old
                        new = 0.0
                        if u > l1[j]:
                            new = (u - l1[j]) / (v + l2[j])
                        elif u < -l1[j]:
                            new = (u + l1[j]) / (v + l2[j])
                        change = new - old
                        if change != 0.0:
                            beta[j] = new
                            hx = curved[j]
                            for i in range(m):
                                residual[i] -= change * hx[i]
                            largest = max(largest, (v + l2[j]) * change * change)
                    if sweep == 0:
                        goal = max(limit, _INEXACT * largest)
                    if only_active and largest > goal and sweep % _CYCLES == 0:
                        n_active = 0
                        for q in range(n_members):
                            if beta[members[q]] != 0.0:
                                active[n_active] = members[q]
                                n_active += 1
                        _conjugate(
                            xt, curved, residual, total, beta, active, n_active, weight_of, l1, l2, goal, step, image
                        )
                    if largest <= goal:
                        if not only_active:
                            break
                        only_active = False
                    else:
                        only_active = True
                change = 0.0
                for q in range(n_members):
                    j = members[q]
                    if beta[j] != previous[j]:
                        change = max(change, (weight_of[j] + l2[j]) * (beta[j] - previous[j]) ** 2)
                for _ in range(20):  # a step that leads down is halved
                    _predict(xt, beta, members, n_members, offset, eta)
                    value = _working(
                        eta, weight, event, last, before, closes, deaths, risk, expected, drop, big_a, residual
                    )
                    reached = value / total - _penalty(beta, members, n_members, l1, l2)
                    if reached >= target - 1e-13 * abs(target):
                        break
                    for q in range(n_members):
                        j = members[q]
                        beta[j] = 0.5 * (beta[j] + previous[j])
                target = reached
                if change <= limit:
                    settled = 1
                    break
            gradient = np.dot(xt, residual) / total
            added = 0
            for j in range(p):
                if is_member[j] == 0 and abs(gradient[j]) > l1[j]:
                    is_member[j] = 1
                    members[n_members] = j
                    n_members += 1
                    added += 1
            if added == 0 or settled == 0:
                break
        coefficients[k] = beta
        log_likelihood[k] = value
        converged[k] = settled
        n_done = k + 1
        if null_deviance > 0.0 and n_done >= _STEPS:
            explained = 2.0 * (value - null_value)
            gain = 2.0 * (value - log_likelihood[n_done - _STEPS])
            if gain < _LEAST_GAIN * explained or explained > _MOST_EXPLAINED * null_deviance:
                break
    return coefficients, log_likelihood, converged, n_done, gradient


def elastic_net_path(
    x: FloatArray,
    sets: RiskSets,
    *,
    alpha: float,
    weight: FloatArray,
    factor: FloatArray,
    lambdas: FloatArray | None,
    n_lambdas: int = 100,
    smallest: float = 1e-4,
    tolerance: float = 1e-10,
    loose: float = 5e-4,
    max_iter: int = 100,
) -> ElasticNetPath:
    """Path for given lambdas, or for glmnet's own: from where all coefficients are zero down to `smallest` times it.

    Parameters
    ----------
    x : (n, p) ndarray
        Features divided by their scale.
    sets : RiskSets
    alpha : float
        0 ridge, 1 lasso.
    weight : (n,) ndarray
    factor : (p,) ndarray
        Penalty factors, mean one; infinite: the feature stays out.
    lambdas : (l,) ndarray, optional
        Decreasing.
    n_lambdas, smallest : int, float
        Of glmnet's own path.
    tolerance, loose, max_iter
        As for :func:`fit_path`.
    """
    total = float(weight.sum())
    own = weight[sets.order]
    xt = np.ascontiguousarray(x[sets.order].T)
    deaths = np.bincount(sets.last, sets.event * own, minlength=sets.group_closes.size)
    rows = (own, np.zeros(own.size), sets.event, sets.last, sets.before, sets.group_closes, deaths)
    zero = np.zeros(x.shape[1])
    limits = (total, tolerance, loose, max_iter)
    # no penalised feature can enter at such a lambda
    null, value, _, _, slope = fit_path(xt, *rows, factor, alpha, np.array([1e30]), zero, *limits, 0.0, -1.0)
    if (factor == 0.0).any():  # the null model holds them, the null deviance does not
        value_null = float(
            fit_path(xt[:0], *rows, factor[:0], alpha, np.array([1.0]), zero[:0], *limits, 0.0, -1.0)[1][0]
        )
    else:
        value_null = float(value[0])
    counted = deaths[deaths > 0]
    saturated = -float(counted @ np.log(counted))
    stop = -1.0
    if lambdas is None:
        free = (factor > 0.0) & np.isfinite(factor)
        largest = float(np.max(np.abs(slope[free]) / factor[free], initial=0.0)) / max(alpha, 1e-3)
        lambdas = largest * smallest ** (np.arange(n_lambdas) / max(n_lambdas - 1, 1))
        stop = 2.0 * (saturated - value_null)
    found, values, settled, n_done, _ = fit_path(xt, *rows, factor, alpha, lambdas, null[0], *limits, value_null, stop)
    return ElasticNetPath(
        lambdas=lambdas[:n_done],
        coefficients=found[:n_done],
        log_likelihood=values[:n_done],
        log_likelihood_null=value_null,
        log_likelihood_saturated=saturated,
        converged=settled[:n_done] == 1,
    )


def partial_log_likelihood(eta: FloatArray, sets: RiskSets, weight: FloatArray) -> FloatArray:
    """Breslow's log partial likelihood of each column of `eta` (n, k)."""
    own = weight[sets.order]
    deaths = np.bincount(sets.last, sets.event * own, minlength=sets.group_closes.size)
    values = np.empty(eta.shape[1])
    for k in range(values.size):
        values[k] = breslow_log_likelihood(
            np.ascontiguousarray(eta[sets.order, k]), own, sets.event, sets.last, sets.before, sets.group_closes, deaths
        )
    return values


@kernel
def breslow_log_likelihood(eta, weight, event, last, before, closes, deaths):
    """Log partial likelihood; arguments as for :func:`fit_path`."""
    m = eta.shape[0]
    g = closes.shape[0]
    scratch = np.empty((3, m))
    return _working(
        eta, weight, event, last, before, closes, deaths, scratch[0], scratch[1], np.empty(g), np.empty(g), scratch[2]
    )


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    sets = build_risk_sets(rank_times(time, time - 1.5), np.array([1, 1, 1, 0, 1], dtype=np.int64), None)
    x = np.array([[0.0, 1.0], [1.0, 0.5], [0.5, -1.0], [2.0, 0.0], [0.3, 0.2]])
    elastic_net_path(x, sets, alpha=0.5, weight=np.ones(5), factor=np.ones(2), lambdas=None, n_lambdas=3)
    partial_log_likelihood(x, sets, np.ones(5))
