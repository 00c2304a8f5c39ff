"""Draws of a column of numbers: Bayesian linear regression, and matching on its predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RIDGE = 1e-5  # share of the diagonal added where columns are collinear within rounding, as R's mice does


def _draw_coefficients(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, float]:
    """Least-squares coefficients, a draw from their posterior under a flat prior, and the drawn residual sd."""
    n, p = x.shape
    cross = x.T @ x
    cross[np.diag_indices(p)] += 1e-12 * n  # columns have unit variance: below rounding unless they are collinear
    try:
        lower = np.linalg.cholesky(cross)
    except np.linalg.LinAlgError:
        cross[np.diag_indices(p)] *= 1.0 + RIDGE
        lower = np.linalg.cholesky(cross)
    coefficients = cho_solve((lower, True), x.T @ y)
    residual = y - x @ coefficients
    sd = float(np.sqrt(residual @ residual / rng.chisquare(max(n - p, 1))))
    drawn = coefficients + sd * solve_triangular(lower, rng.standard_normal(p), lower=True, trans="T")
    return coefficients, drawn, sd


def draw_normal(x: FloatArray, y: FloatArray, x_missing: FloatArray, rng: np.random.Generator) -> FloatArray:
    r"""Draw missing values from a Bayesian linear regression.

    Parameters
    ----------
    x : (n, p) ndarray
        Predictors where the column is observed, with a column of ones.
    y : (n,) ndarray
    x_missing : (k, p) ndarray
    rng : Generator

    Returns
    -------
    (k,) ndarray
        :math:`X\beta^* + \sigma^* z` with :math:`\sigma^{*2} = RSS / \chi^2_{n-p}` and :math:`\beta^*` drawn around
        the least-squares estimate.
    """
    _, drawn, sd = _draw_coefficients(x, y, rng)
    values: FloatArray = x_missing @ drawn + sd * rng.standard_normal(len(x_missing))
    return values


def draw_matched(
    x: FloatArray, y: FloatArray, x_missing: FloatArray, donors: int, rng: np.random.Generator
) -> FloatArray:
    """Predictive mean matching, type 1: each missing value takes the observed value of one of its nearest donors.

    Predictions of the observed rows use the estimate, those of the missing rows a draw from its posterior. The nearest
    `donors` of a prediction stand side by side among the sorted predictions, so one sort and one binary search find
    them: O(n log n). Observed rows come in random order, so that ties are broken anew each time.
    """
    estimate, drawn, _ = _draw_coefficients(x, y, rng)
    shuffled = rng.permutation(len(y))
    predicted = (x @ estimate)[shuffled]
    order = np.argsort(predicted, kind="stable")
    place = nearest_of(predicted[order], x_missing @ drawn, donors, rng)
    values: FloatArray = y[shuffled[order[place]]]
    return values


def nearest_of(sorted_values: FloatArray, targets: FloatArray, k: int, rng: np.random.Generator) -> IntArray:
    """Place of one of the `k` sorted values nearest to each target, drawn at random.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> set(nearest_of(np.arange(10.0), np.full(99, 6.1), 3, rng).tolist())
    {5, 6, 7}
    """
    n = len(sorted_values)
    k = min(k, n)
    width = min(2 * k, n)
    start = np.clip(np.searchsorted(sorted_values, targets) - k, 0, n - width)
    window = start[:, None] + np.arange(width)
    distance = np.abs(sorted_values[window] - targets[:, None])
    nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
    row = np.arange(len(targets))
    return window[row, nearest[row, rng.integers(0, k, len(targets))]]
