"""Area under a survival curve, and regression of restricted times by inverse-censoring weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr, solve_triangular

from dxa_causal.survival._kernels.counts import count_at_risk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Newton's last step moves the linear predictor by less than this share (root mean square).
STEP_TOLERANCE = 1e-11
MAX_ITER = 50


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """Coefficients and their covariance; not converged where a mean runs to zero or infinity."""

    coefficients: FloatArray
    covariance: FloatArray
    converged: bool = True


def restricted_mean(
    time: FloatArray, survival: FloatArray, n_risk: FloatArray, n_event: FloatArray, tau: float
) -> tuple[float, float]:
    r"""Area under a survival curve up to `tau` and its variance.

    Notes
    -----
    The variance is :math:`\sum_{t_k \le \tau} A_k^2 \, d_k / (n_k (n_k - d_k))`,
    :math:`A_k` being the area from :math:`t_k` to :math:`\tau`.
    """
    before = time <= tau
    survival, n, d = survival[before], n_risk[before], n_event[before]
    area = np.diff(np.concatenate([[0.0], time[before], [tau]])) * np.concatenate([[1.0], survival])
    rest = area[::-1].cumsum()[::-1]
    alive = survival > 0  # no area is left where nobody is
    greenwood = d[alive] / (n[alive] * (n[alive] - d[alive]))
    return float(rest[0]), float(np.sum(rest[1:][alive] ** 2 * greenwood))


def regress_restricted_time(
    x: FloatArray, y: FloatArray, rank: IntArray, known: IntArray, arm: IntArray, weight: FloatArray, *, log: bool
) -> MeanEstimate:
    r"""Regress a function of the restricted time on covariates, weighting known times by 1 / G.

    Parameters
    ----------
    x : (n, p) ndarray
        Design, with its column of ones.
    y : (n,) ndarray
        What the mean is wanted of; used only where `known`.
    rank : (n,) ndarray of int64
        Rank of min(time, tau).
    known : (n,) ndarray of int64
        0 = censored before tau.
    arm : (n,) ndarray of int64
        Codes 0, 1, ...: G is the Kaplan-Meier of censoring within each.
    weight : (n,) ndarray
        Case weights.
    log : bool
        Model the logarithm of the mean.

    Notes
    -----
    Solves :math:`\sum_i v_i w_i x_i (y_i - \mu_i) = 0`,
    :math:`w_i = \Delta_i / \hat G(y_i)`. For the estimation of G, a row's score
    gains :math:`(1 - \Delta_i) q(y_i) / n(y_i) - \sum_{u \le y_i} c(u) q(u) / n(u)^2`,
    where c(u) of n(u) at risk are censored and q(u) is the sum of the scores
    of those at risk. Cost: O(n p^2) after the sort.
    """
    # in the coordinates of an orthonormal basis neither scale nor correlation of covariates costs digits
    basis, r = qr(x, mode="economic")
    inverse = np.zeros(y.size)
    groups = []
    for code in range(int(arm.max()) + 1):
        own = np.flatnonzero(arm == code)
        counts = count_at_risk(rank[own], None, 1 - known[own], weight[own])
        uncensored = np.cumprod(counts.n_left / counts.n_risk)[counts.exit]
        inverse[own] = known[own] / np.where(known[own] == 1, uncensored, 1.0)
        groups.append((own, counts))
    gamma, mean, converged = _solve(basis, y, weight * inverse, log=log)
    coefficients = solve_triangular(r, gamma)
    if not converged:
        return MeanEstimate(coefficients, np.full((gamma.size, gamma.size), np.nan), converged=False)
    score = basis * (weight * inverse * (y - mean))[:, None]
    for own, counts in groups:
        n = counts.n_risk[:, None]
        at_place = np.column_stack([np.bincount(counts.exit, column, len(n)) for column in score[own].T])
        share = at_place[::-1].cumsum(axis=0)[::-1] / n
        drift = np.cumsum(counts.n_event[0][:, None] / n * share, axis=0)
        martingale = (1 - known[own])[:, None] * share[counts.exit] - drift[counts.exit]
        score[own] += weight[own][:, None] * martingale
    bread = basis.T @ (basis * (weight * (mean if log else 1.0))[:, None])
    half = solve_triangular(r, np.linalg.solve(bread, score.T))
    return MeanEstimate(coefficients, half @ half.T)


def _solve(basis: FloatArray, y: FloatArray, weight: FloatArray, *, log: bool) -> tuple[FloatArray, FloatArray, bool]:
    """Root of the weighted score: its coordinates in the basis, the means, and whether the search ended at one."""
    if not log:
        gamma = np.asarray(
            np.linalg.solve(basis.T @ (basis * weight[:, None]), basis.T @ (weight * y)), dtype=np.float64
        )
        return gamma, basis @ gamma, True
    gamma = basis.T @ np.full(y.size, np.log(weight @ y / weight.sum()))
    eta = basis @ gamma
    value = weight @ (y * eta - np.exp(eta))
    for _ in range(MAX_ITER):
        mean = np.exp(eta)
        try:
            step = np.linalg.solve(basis.T @ (basis * (weight * mean)[:, None]), basis.T @ (weight * (y - mean)))
        except np.linalg.LinAlgError:
            break
        for _ in range(30):
            moved = basis @ (gamma + step)
            with np.errstate(over="ignore"):
                moved_value = weight @ (y * moved - np.exp(moved))
            if moved_value >= value - 1e-12 * abs(value):
                break
            step *= 0.5
        gamma, eta, value = gamma + step, moved, moved_value
        if np.linalg.norm(step) <= STEP_TOLERANCE * (np.sqrt(y.size) + np.linalg.norm(gamma)):
            return gamma, np.exp(eta), True
    return gamma, np.exp(eta), False
