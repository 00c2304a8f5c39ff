"""Draws of a column of categories: Bayesian logistic and multinomial regression, and proportional odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import expit, log_expit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_ITER = 50
# Newton stops at a maximum of a quadratic nearer than this to the log-likelihood: about a five-hundredth of a standard
# error, which the posterior draw that follows drowns.
DECREMENT = 4e-6


@dataclass(frozen=True, slots=True)
class Draw:
    """Codes drawn for the missing rows, and the estimate, from which the next search may start.

    Attributes
    ----------
    codes : (k,) ndarray of int64
    estimate : (q,) ndarray
    """

    codes: IntArray
    estimate: FloatArray


def augmented(x: FloatArray, codes: IntArray, n_levels: int) -> tuple[FloatArray, IntArray, FloatArray]:
    """Add a few rows of small weight, so that no category can be predicted perfectly.

    For each predictor (the first column, of ones, is none) and level, two rows half a standard deviation on either
    side of the mean; together they weigh as much as one row per column.

    Parameters
    ----------
    x : (n, p) ndarray
    codes : (n,) ndarray of int64
    n_levels : int

    Returns
    -------
    x, codes, weight

    References
    ----------
    White IR, Daniel R, Royston P. Comput Stat Data Anal 2010;54:2267-2275. doi:10.1016/j.csda.2010.04.005
    """
    n, p = x.shape
    predictors = p - 1
    if predictors == 0:
        return x, codes, np.ones(n)
    mean, sd, low, high = x.mean(axis=0), x.std(axis=0, ddof=1), x.min(axis=0), x.max(axis=0)
    rows = np.tile(mean, (2 * predictors * n_levels, 1))
    column = 1 + np.repeat(np.arange(predictors), 2 * n_levels)
    side = np.tile([0.5, -0.5], predictors * n_levels)
    at = np.arange(len(rows))
    rows[at, column] = np.clip(mean[column] + side * sd[column], low[column], high[column])
    added = np.tile(np.repeat(np.arange(n_levels), 2), predictors)
    weight = np.concatenate([np.ones(n), np.full(len(rows), p / len(rows))])
    return np.vstack([x, rows]), np.concatenate([codes, added]), weight


def draw_multinomial(
    x: FloatArray,
    codes: IntArray,
    x_missing: FloatArray,
    n_levels: int,
    start: FloatArray | None,
    rng: np.random.Generator,
) -> Draw:
    r"""Draw categories from a Bayesian multinomial logit model; with two levels, a logistic regression.

    Parameters
    ----------
    x : (n, p) ndarray
        Predictors where the column is observed, with a first column of ones.
    codes : (n,) ndarray of int64
        0, ..., K - 1.
    x_missing : (k, p) ndarray
    n_levels : int
        K.
    start : ((K - 1) p,) ndarray or None
        Where the search begins.
    rng : Generator

    Notes
    -----
    The parameters are drawn from the normal approximation of their posterior, :math:`N(\hat\beta, I^{-1})`, of the
    augmented data.
    """
    p = x.shape[1]
    x, codes, weight = augmented(x, codes, n_levels)
    indicator = (codes[:, None] == np.arange(1, n_levels)).astype(np.float64)
    beta = np.zeros((n_levels - 1) * p) if start is None else start
    value, probability = _multinomial_value(x, indicator, weight, beta)
    for _ in range(MAX_ITER):
        gradient = (x.T @ (weight[:, None] * (indicator - probability))).T.ravel()
        factor = _factor(_multinomial_information(x, probability, weight))
        step = cho_solve(factor, gradient)
        decrement = gradient @ step
        for _ in range(30):
            moved, moved_probability = _multinomial_value(x, indicator, weight, beta + step)
            if moved >= value - 1e-9 * abs(value):
                break
            step *= 0.5
        beta, value, probability = beta + step, moved, moved_probability
        if decrement < DECREMENT:
            break
    drawn = _around(beta, factor, rng)
    share = _softmax(x_missing @ drawn.reshape(n_levels - 1, p).T)
    return Draw(_pick(np.cumsum(share[:, :-1], axis=1), rng), beta)


def draw_ordered(
    x: FloatArray,
    codes: IntArray,
    x_missing: FloatArray,
    n_levels: int,
    start: FloatArray | None,
    rng: np.random.Generator,
) -> Draw:
    r"""Draw ordered categories from a Bayesian proportional-odds model.

    Parameters and result as those of `draw_multinomial`; the K - 1 cut-points come before the slopes, and the column of
    ones is left out.

    Notes
    -----
    :math:`P(Y \le k) = \operatorname{expit}(\alpha_k - x\beta)`. The log-likelihood is concave, so that Newton's method
    with halved steps finds its maximum.
    """
    x, codes, weight = augmented(x, codes, n_levels)
    x, x_missing = x[:, 1:], x_missing[:, 1:]
    cuts = n_levels - 1
    if start is None:
        below = np.cumsum(np.bincount(codes, weight, n_levels))[:-1] / weight.sum()
        start = np.concatenate([np.log(below / (1.0 - below)), np.zeros(x.shape[1])])
    theta = start
    value = _ordered_value(x, codes, weight, theta, cuts)
    for _ in range(MAX_ITER):
        gradient, information = _ordered_slope(x, codes, weight, theta, cuts)
        factor = _factor(information)
        step = cho_solve(factor, gradient)
        decrement = gradient @ step
        for _ in range(30):
            moved = _ordered_value(x, codes, weight, theta + step, cuts)
            if moved >= value - 1e-9 * abs(value):
                break
            step *= 0.5
        theta, value = theta + step, moved
        if decrement < DECREMENT:
            break
    drawn = _around(theta, factor, rng)
    # a draw of nearly equal cut-points may cross: such a category then has no room
    alpha = np.maximum.accumulate(drawn[:cuts])
    return Draw(_pick(expit(alpha - (x_missing @ drawn[cuts:])[:, None]), rng), theta)


def _factor(information: FloatArray) -> tuple[FloatArray, bool]:
    try:
        factor: tuple[FloatArray, bool] = cho_factor(information, lower=True)
    except np.linalg.LinAlgError:
        diagonal = np.diag_indices(len(information))
        information[diagonal] += 1e-6 * information[diagonal].max()
        factor = cho_factor(information, lower=True)
    return factor


def _around(estimate: FloatArray, factor: tuple[FloatArray, bool], rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal(estimate.size)
    drawn: FloatArray = estimate + solve_triangular(factor[0], noise, lower=True, trans="T")
    return drawn


def _pick(cumulative: FloatArray, rng: np.random.Generator) -> IntArray:
    """Category whose share of (0, 1) a uniform number falls into; the last bound, 1, is left out."""
    return (rng.random(len(cumulative))[:, None] > cumulative).sum(axis=1).astype(np.int64)


def _softmax(eta: FloatArray) -> FloatArray:
    """Probabilities of all levels from the linear predictors of all but the first."""
    eta = np.concatenate([np.zeros((len(eta), 1)), eta], axis=1)
    eta -= eta.max(axis=1, keepdims=True)
    np.exp(eta, out=eta)
    eta /= eta.sum(axis=1, keepdims=True)
    return eta


def _multinomial_value(
    x: FloatArray, indicator: FloatArray, weight: FloatArray, beta: FloatArray
) -> tuple[float, FloatArray]:
    """Log-likelihood, and the probabilities of all levels but the first."""
    eta = x @ beta.reshape(indicator.shape[1], -1).T
    if eta.shape[1] == 1:
        probability = expit(eta)
        return float(weight @ log_expit(np.where(indicator > 0, eta, -eta))[:, 0]), probability
    top = np.maximum(eta.max(axis=1), 0.0)
    total = np.exp(eta - top[:, None]).sum(axis=1) + np.exp(-top)
    log_total = top + np.log(total)
    value = float(weight @ (np.einsum("ij,ij->i", indicator, eta) - log_total))
    return value, np.exp(eta - log_total[:, None])


def _multinomial_information(x: FloatArray, probability: FloatArray, weight: FloatArray) -> FloatArray:
    n, p = x.shape
    k = probability.shape[1]
    information = np.empty((k, p, k, p))
    for a in range(k):
        for b in range(a + 1):
            share = weight * probability[:, a] * ((a == b) - probability[:, b])
            block = x.T @ (x * share[:, None])
            information[a, :, b, :] = block
            information[b, :, a, :] = block.T
    return information.reshape(k * p, k * p)


def _ends(x: FloatArray, codes: IntArray, theta: FloatArray, cuts: int) -> tuple[FloatArray, FloatArray]:
    """Upper and lower end, on the logit scale, of the interval each row fell into."""
    alpha = np.concatenate([[-np.inf], theta[:cuts], [np.inf]])
    eta = x @ theta[cuts:]
    return alpha[codes + 1] - eta, alpha[codes] - eta


def _width(upper: FloatArray, lower: FloatArray) -> FloatArray:
    """Probability of the interval, without cancellation in the right tail."""
    flip = lower > 0
    return np.where(flip, expit(-lower) - expit(-upper), expit(upper) - expit(lower))


def _ordered_value(x: FloatArray, codes: IntArray, weight: FloatArray, theta: FloatArray, cuts: int) -> float:
    if (np.diff(theta[:cuts]) <= 0).any():
        return -np.inf
    with np.errstate(divide="ignore"):
        value = float(weight @ np.log(_width(*_ends(x, codes, theta, cuts))))
    return value


def _ordered_slope(
    x: FloatArray, codes: IntArray, weight: FloatArray, theta: FloatArray, cuts: int
) -> tuple[FloatArray, FloatArray]:
    """Gradient and information of the proportional-odds log-likelihood."""
    upper, lower = _ends(x, codes, theta, cuts)
    width = np.maximum(_width(upper, lower), 1e-300)
    f_upper, f_lower = expit(upper) * expit(-upper), expit(lower) * expit(-lower)
    a, b = f_upper / width, f_lower / width
    h_upper = weight * (a * a - a * (expit(-upper) - expit(upper)))  # minus the second derivatives
    h_lower = weight * (b * b + b * (expit(-lower) - expit(lower)))
    h_both = -weight * a * b
    n_levels = cuts + 1
    gradient = np.concatenate(
        [
            np.bincount(codes, weight * a, n_levels)[:-1] - np.bincount(codes, weight * b, n_levels)[1:],
            -(x.T @ (weight * (a - b))),
        ]
    )
    size = len(theta)
    information = np.zeros((size, size))
    at = np.arange(cuts)
    information[at, at] = np.bincount(codes, h_upper, n_levels)[:-1] + np.bincount(codes, h_lower, n_levels)[1:]
    middle = np.bincount(codes, h_both, n_levels)[1:-1]
    information[at[1:], at[:-1]] = middle
    information[at[:-1], at[1:]] = middle
    information[cuts:, cuts:] = x.T @ (x * (h_upper + h_lower + 2.0 * h_both)[:, None])
    member = (codes[:, None] == np.arange(n_levels)).astype(np.float64)
    across = member[:, :-1].T @ (x * (h_upper + h_both)[:, None]) + member[:, 1:].T @ (x * (h_lower + h_both)[:, None])
    information[:cuts, cuts:] = -across
    information[cuts:, :cuts] = -across.T
    return gradient, information
