"""Simulation-extrapolation of a weighted regression line whose covariate is measured with error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_BLOCK = 1 << 20  # numbers held at once


@dataclass(frozen=True, slots=True)
class SimulatedLines:
    """Slope and intercept (columns) by amount of added error (rows; the first is none).

    `variances` is the mean of the draws' own variances less the variance
    between draws; `errors` the Monte-Carlo standard error of `estimates`.
    """

    estimates: FloatArray
    variances: FloatArray
    errors: FloatArray


def lines(x: FloatArray, y: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope and intercept, (m, 2), of y (n,) on every row of x (m, n) with weights w, and their variances."""
    total = float(w.sum())
    mean_x, mean_y = x @ w / total, float(w @ y) / total
    dx, dy = x - mean_x[:, None], y - mean_y
    sxx = (dx * dx) @ w
    slope = dx @ (w * dy) / sxx
    scale = ((dy - slope[:, None] * dx) ** 2 @ w) / (y.size - 2)
    estimates = np.column_stack([slope, mean_y - slope * mean_x])
    return estimates, scale[:, None] * np.column_stack([1.0 / sxx, 1.0 / total + mean_x**2 / sxx])


def add_error(
    x: FloatArray, y: FloatArray, sx: FloatArray, w: FloatArray, lambdas: FloatArray, n_draws: int,
    rng: np.random.Generator,
) -> SimulatedLines:  # fmt: skip
    """Refit the line with normal errors of variance lambda sx^2 added to x, `n_draws` times for each lambda."""
    naive, variance = lines(x[None], y, w)
    found, own, errors = [naive[0]], [variance[0]], [np.zeros(2)]
    block = max(1, _BLOCK // x.size)
    for amount in lambdas:
        pieces = [
            lines(x + np.sqrt(amount) * sx * rng.standard_normal((min(block, n_draws - start), x.size)), y, w)
            for start in range(0, n_draws, block)
        ]
        estimates = np.concatenate([piece[0] for piece in pieces])
        between = estimates.var(axis=0, ddof=1)
        found.append(estimates.mean(axis=0))
        own.append(np.concatenate([piece[1] for piece in pieces]).mean(axis=0) - between)
        errors.append(np.sqrt(between / n_draws))
    return SimulatedLines(np.array(found), np.array(own), np.array(errors))


def extrapolating_weights(lambdas: FloatArray, degree: int) -> FloatArray:
    """Weights with which values at 0 and at `lambdas` add up to their least-squares polynomial at -1."""
    design = np.vander(np.concatenate([[0.0], lambdas]), degree + 1)
    at: FloatArray = np.vander([-1.0], degree + 1)[0] @ np.linalg.pinv(design)
    return at
