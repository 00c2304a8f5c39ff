"""Regression of pseudo-observations: least squares on the scale of the mean, sandwich covariance."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr, solve_triangular
from scipy.special import expit

from dxa_causal.survival._kernels.restricted_mean import MeanEstimate

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Link = Literal["identity", "log", "logit", "cloglog"]

STEP_TOLERANCE = 1e-11
# Gauss-Newton converges linearly, by a factor of about ten a step.
MAX_ITER = 200


def regress_pseudo_values(x: FloatArray, y: FloatArray, link: Link, unit: IntArray | None) -> MeanEstimate:
    r"""Regress the pseudo-values of each row on its covariates, with independence as working correlation.

    Parameters
    ----------
    x : (n, p) ndarray
        Covariates, without a column of ones.
    y : (n, m) ndarray
        Pseudo-values; each column has an intercept of its own.
    link : {"identity", "log", "logit", "cloglog"}
    unit : (n,) ndarray of int64 or None
        Codes of the clusters; None: each row is one.

    Returns
    -------
    MeanEstimate
        Of the coefficients of x, then the m intercepts.

    Notes
    -----
    Solves :math:`\sum_i D_i^T (y_i - \mu_i) = 0` with D the derivative of the
    mean in the coefficients; the covariance is
    :math:`H^{-1} \sum_i U_i U_i^T H^{-1}`, :math:`H = \sum_i D_i^T D_i`.
    """
    (n, m), p = y.shape, x.shape[1]
    # an orthogonal basis of the length of the column of ones: a step is as long as the linear predictor moves
    basis, r = qr(x - x.mean(axis=0), mode="economic")
    basis, r = basis * np.sqrt(n), r / np.sqrt(n)
    gamma = np.concatenate([np.zeros(p), link_of(y.mean(axis=0), link)])
    mean, slope = _mean(basis, gamma, link)
    converged = False
    for _ in range(MAX_ITER):
        score = np.column_stack([basis * np.sum(slope * (y - mean), axis=1)[:, None], slope * (y - mean)])
        cross = basis.T @ slope**2
        within = basis.T @ (basis * np.sum(slope**2, axis=1)[:, None])
        bread = np.block([[within, cross], [cross.T, np.diag(np.sum(slope**2, axis=0))]])
        try:
            step = np.linalg.solve(bread, score.sum(axis=0))
        except np.linalg.LinAlgError:
            break
        converged = bool(np.linalg.norm(step) <= STEP_TOLERANCE * (1.0 + np.linalg.norm(gamma)))
        if converged:
            break
        loss = float(np.sum((y - mean) ** 2))
        for _ in range(30):
            mean, slope = _mean(basis, gamma + step, link)
            if np.sum((y - mean) ** 2) <= loss * (1.0 + 1e-12):
                break
            step *= 0.5
        gamma = gamma + step
    back = np.eye(p + m)
    back[:p, :p] = solve_triangular(r, np.eye(p))
    back[p:, :p] = -(x.mean(axis=0) @ back[:p, :p])
    if not converged:
        return MeanEstimate(back @ gamma, np.full(back.shape, np.nan), converged=False)
    if unit is not None:
        score = np.column_stack([np.bincount(unit, column) for column in score.T])
    half = back @ np.linalg.solve(bread, score.T)
    return MeanEstimate(back @ gamma, half @ half.T)


def link_of(mean: FloatArray, link: Link) -> FloatArray:
    """The linear predictor of a mean."""
    if link == "identity":
        return mean
    if link == "log":
        return np.log(mean)
    return np.log(mean / (1.0 - mean)) if link == "logit" else np.log(-np.log1p(-mean))


def _mean(basis: FloatArray, gamma: FloatArray, link: Link) -> tuple[FloatArray, FloatArray]:
    """Means (n, m) and their derivatives in the linear predictor."""
    p = basis.shape[1]
    eta = (basis @ gamma[:p])[:, None] + gamma[p:]
    if link == "identity":
        return eta, np.ones_like(eta)
    with np.errstate(over="ignore", invalid="ignore"):
        if link == "log":
            return np.exp(eta), np.exp(eta)
        if link == "logit":
            return expit(eta), expit(eta) * expit(-eta)
        return -np.expm1(-np.exp(eta)), np.exp(eta - np.exp(eta))
