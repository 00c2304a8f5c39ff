r"""Cox model with Firth's correction: log-likelihood plus half the log determinant of the information.

The penalty adds to the gradient, for covariate r, half the trace of I^-1 dI/db_r. With V = I^-1 and weights of a
risk set that sum to one that trace is a sum over events of a contracted third central moment,

    E[h x] - m E[h] - 2 S V m + 2 (m' V m) m,     h = x' V x,  m = E[x],  S = E[x x'],

so one pass with running sums of (1, x, x x', h, h x) over the risk set serves; O(n p^2).

Heinze G, Schemper M. Biometrics 2001;57:114-119. doi:10.1111/j.0006-341X.2001.00114.x
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.cox import BRESLOW, EFRON, CoxData, cox_derivatives, prepare
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

FloatArray = npt.NDArray[np.float64]


@inner
def _take(sign, r, h, row, x, s, s1, s2, h1):
    """Add (or take off) a row with risk r; s holds the sums of r and r h."""
    p = x.shape[1]
    r *= sign
    s[0] += r
    s[1] += r * h
    for a in range(p):
        rx = r * x[row, a]
        s1[a] += rx
        h1[a] += rx * h
        for b in range(p):
            s2[a, b] += rx * x[row, b]


@kernel
def firth_gradient(x, weight, offset, event, last, before, entry_order, group_closes, beta, inverse, ties):
    """Gradient of half the log determinant of the information.

    Parameters
    ----------
    x : (m, p) float64, C order, rows sorted by `last`
    weight, offset : (m,) float64
    event, last, before : (m,) int64
    entry_order : (k,) int64
    group_closes : (g,) int64
    beta : (p,) float64
    inverse : (p, p) float64
        Inverse of the information at `beta`.
    ties : int
        BRESLOW or EFRON.

    Returns
    -------
    (p,) float64
    """
    m, p = x.shape
    gradient = np.zeros(p)
    eta = offset + np.dot(x, beta)
    risk = weight * np.exp(eta - eta.max())
    h = np.zeros(m)
    for i in range(m):
        for a in range(p):
            for b in range(p):
                h[i] += x[i, a] * inverse[a, b] * x[i, b]
    s, d = np.zeros(2), np.zeros(2)
    s1, h1, d1, dh1 = np.zeros(p), np.zeros(p), np.zeros(p), np.zeros(p)
    s2, d2 = np.zeros((p, p)), np.zeros((p, p))
    mean = np.zeros(p)
    at_risk = 0
    i = m - 1
    j = entry_order.shape[0] - 1
    for g in range(group_closes.shape[0] - 1, -1, -1):
        if group_closes[g] == 1 or at_risk == 0:
            at_risk = 0
            s[:] = 0.0
            s1[:] = 0.0
            h1[:] = 0.0
            s2[:] = 0.0
        d[:] = 0.0
        d1[:] = 0.0
        dh1[:] = 0.0
        d2[:] = 0.0
        n_events = 0
        event_weight = 0.0
        while i >= 0 and last[i] == g:
            _take(1.0, risk[i], h[i], i, x, s, s1, s2, h1)
            at_risk += 1
            if event[i] == 1:
                n_events += 1
                event_weight += weight[i]
                _take(1.0, risk[i], h[i], i, x, d, d1, d2, dh1)
            i -= 1
        while j >= 0 and before[entry_order[j]] == g:
            row = entry_order[j]
            _take(-1.0, risk[row], h[row], row, x, s, s1, s2, h1)
            at_risk -= 1
            j -= 1
        for k in range(n_events):
            f = k / n_events if ties == EFRON else 0.0
            s0 = s[0] - f * d[0]
            mean_h = (s[1] - f * d[1]) / s0
            for a in range(p):
                mean[a] = (s1[a] - f * d1[a]) / s0
            spread = 0.0  # m' V m
            for a in range(p):
                for b in range(p):
                    spread += mean[a] * inverse[a, b] * mean[b]
            for a in range(p):
                third = (h1[a] - f * dh1[a]) / s0 - mean[a] * mean_h + 2.0 * spread * mean[a]
                for b in range(p):
                    vm = 0.0
                    for c in range(p):
                        vm += inverse[b, c] * mean[c]
                    third -= 2.0 * (s2[a, b] - f * d2[a, b]) / s0 * vm
                gradient[a] += 0.5 * event_weight / n_events * third
    return gradient


def maximise_firth(data: CoxData, *, max_iter: int = 500) -> CoxEstimate:
    """Fisher scoring with step halving; the log-likelihoods of the record hold the penalty.

    The scoring step leaves out the derivative of the penalty, so convergence is linear: iterations go on until
    a step is 1e-8 of a standard error.
    """
    p = data.x.shape[1]
    s = data.sets
    rows = (data.x, data.weight, data.offset, s.event, s.last, s.before, s.entry_order, s.group_closes)

    def evaluate(beta: FloatArray) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        value, gradient, information, expected = cox_derivatives(*data.arguments(beta))
        sign, log_determinant = np.linalg.slogdet(information) if p else (1.0, 0.0)
        if not np.isfinite(value) or sign <= 0:
            return -np.inf, gradient, information, expected
        if p:
            gradient = gradient + firth_gradient(*rows, beta, np.linalg.inv(information), data.ties)
        return float(value + 0.5 * log_determinant), gradient, information, expected

    beta = np.zeros(p)
    value, gradient, information, expected = evaluate(beta)
    singular = not np.isfinite(value)
    estimate = CoxEstimate(
        beta=beta,
        information=information,
        information_null=information,
        gradient_null=gradient,
        log_likelihood=value,
        log_likelihood_null=value,
        expected=expected,
        n_iter=0,
        converged=p == 0,
        diverging=np.zeros(p, dtype=bool),
        singular=singular,
    )
    n_iter = 0
    converged = p == 0
    while not (converged or singular) and n_iter < max_iter:
        n_iter += 1
        step = np.linalg.solve(information, gradient)
        converged = bool(gradient @ step < 1e-16)
        for _ in range(30):
            trial = evaluate(beta + step)
            if trial[0] >= value - 1e-12 * abs(value):
                break
            step = step / 2
        else:
            break
        beta = beta + step
        value, gradient, information, expected = trial
    # the penalty depends on the scale of the covariates by a constant: take it back to the user's units
    shift = float(np.log(data.scale).sum())
    return replace(
        estimate,
        beta=beta,
        information=information,
        log_likelihood=value + shift,
        log_likelihood_null=estimate.log_likelihood_null + shift,
        expected=expected,
        n_iter=n_iter,
        converged=converged,
    )


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    sets = build_risk_sets(rank_times(time), np.array([1, 1, 1, 0, 1], dtype=np.int64), None)
    maximise_firth(prepare(np.array([[0.0], [1.0], [0.5], [2.0], [0.3]]), sets, weight=None, offset=None, ties=BRESLOW))
