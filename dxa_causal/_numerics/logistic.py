"""Logistic regression by maximum likelihood, to machine precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, qr, solve_triangular
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]

# Newton stops when the linear predictor moves by less than this share (root
# mean square). Convergence is quadratic: the last step leaves rounding only.
STEP_TOLERANCE = 1e-9
# Under separation each step moves the linear predictor by about one, so thirty
# steps bring the separated rows within 1e-13 of 0 or 1; regular fits need ten.
MAX_ITER = 30


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """A maximum of the likelihood, or the place where the search for one ended.

    Attributes
    ----------
    coefficients : (p,) ndarray
    covariance : (p, p) ndarray
        Inverse information at the coefficients; NaN where it is singular.
    linear_predictor, fitted : (n,) ndarray
        Log odds with the offset, and probabilities.
    log_likelihood : float
    n_iter : int
    converged : bool
    diverging : (p,) ndarray of bool
        Coefficients that still ran to infinity at the end, with some fitted
        probabilities numerically 0 or 1: the covariates separate the outcome.
    """

    coefficients: FloatArray
    covariance: FloatArray
    linear_predictor: FloatArray
    fitted: FloatArray
    log_likelihood: float
    n_iter: int
    converged: bool
    diverging: npt.NDArray[np.bool_]


def fit_logistic(
    x: FloatArray, y: FloatArray, *, weight: FloatArray | None = None, offset: FloatArray | None = None
) -> LogisticFit:
    r"""Maximise the logistic likelihood by Newton's method.

    Parameters
    ----------
    x : (n, p) ndarray
        Design matrix of full column rank, with the column of ones if one is wanted.
    y : (n,) ndarray
        Outcome in [0, 1].
    weight : (n,) ndarray, optional
        Positive weight of each row in the likelihood.
    offset : (n,) ndarray, optional
        Added to the linear predictor.

    Returns
    -------
    LogisticFit

    Notes
    -----
    Maximises :math:`\sum_i w_i [y_i \eta_i - \log(1 + e^{\eta_i})]`,
    :math:`\eta = X\beta + o`. The steps are taken in the coordinates of an
    orthonormal basis Q of the columns of X (X = QR), so neither the scale nor
    the correlation of covariates costs digits; a step that lowers the
    likelihood is halved.

    Examples
    --------
    >>> import numpy as np
    >>> group = np.array([0.0, 0, 0, 0, 1, 1, 1, 1])
    >>> fit = fit_logistic(np.column_stack([np.ones(8), group]), np.array([0.0, 0, 0, 1, 0, 1, 1, 1]))
    >>> np.exp(fit.coefficients).round(12)  # odds 1/3, odds ratio 9
    array([0.33333333, 9.        ])
    """
    n, p = x.shape
    weight = np.ones(n) if weight is None else weight
    offset = np.zeros(n) if offset is None else offset
    q, r = qr(x, mode="economic")
    gamma, step = np.zeros(p), np.zeros(p)
    eta = offset.copy()
    value = _log_likelihood(eta, y, weight)
    converged = False
    n_iter = 0
    while n_iter < MAX_ITER and not converged:
        n_iter += 1
        # y expit(-eta) - (1 - y) expit(eta) is y - p without cancellation near 0 and 1
        gradient = q.T @ (weight * (y * expit(-eta) - (1.0 - y) * expit(eta)))
        try:
            step = cho_solve(cho_factor(_information(q, eta, weight)), gradient)
        except np.linalg.LinAlgError:
            break
        for _ in range(30):
            moved = offset + q @ (gamma + step)
            moved_value = _log_likelihood(moved, y, weight)
            if moved_value >= value - 1e-12 * abs(value):
                break
            step *= 0.5
        gamma, eta, value = gamma + step, moved, moved_value
        # Q is orthonormal: the length of a step is the length of the change of eta
        converged = bool(np.linalg.norm(step) <= STEP_TOLERANCE * (np.sqrt(n) + np.linalg.norm(gamma)))
    inverse_r = solve_triangular(r, np.eye(p))
    try:
        covariance = inverse_r @ cho_solve(cho_factor(_information(q, eta, weight)), inverse_r.T)
    except np.linalg.LinAlgError:
        covariance = np.full((p, p), np.nan)
    separated = not converged and bool(np.max(np.abs(eta)) > 18.0)  # a probability within 1.5e-8 of 0 or 1
    reach = np.abs(inverse_r @ step) * np.ptp(x, axis=0)
    return LogisticFit(
        coefficients=inverse_r @ gamma,
        covariance=covariance,
        linear_predictor=eta,
        fitted=expit(eta),
        log_likelihood=value,
        n_iter=n_iter,
        converged=converged,
        diverging=(reach > 0.1 * reach.max()) if separated and p else np.zeros(p, dtype=np.bool_),
    )


def _log_likelihood(eta: FloatArray, y: FloatArray, weight: FloatArray) -> float:
    return float(weight @ (y * eta - np.logaddexp(0.0, eta)))


def _information(q: FloatArray, eta: FloatArray, weight: FloatArray) -> FloatArray:
    information: FloatArray = q.T @ (q * (weight * expit(eta) * expit(-eta))[:, None])
    return information
