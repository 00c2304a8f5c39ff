"""Constrained maximum likelihood: K invalid variants, many K, starts and data sets at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_MOST_ROUNDS = 200
_TOLERANCE = 1e-8
_CHUNK = 1_000_000  # numbers in one array at a time


class Fits(NamedTuple):
    """Per problem: effect, its standard error (nan without curvature), negative log likelihood, invalid variants."""

    theta: FloatArray
    std_error: FloatArray
    loss: FloatArray
    invalid: BoolArray


class Averaged(NamedTuple):
    """Estimate and standard error."""

    estimate: float
    std_error: float


def constrained(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, n_invalid: npt.NDArray[np.int64], start: FloatArray
) -> Fits:
    """Blockwise descent; bx, by (m, n), n_invalid and start (m,): one problem per row."""
    px, py = sx**-2.0, sy**-2.0
    m = start.size
    theta = start.copy()
    mu = np.broadcast_to(bx, (m, sx.size)).copy()
    invalid = np.zeros(mu.shape, dtype=bool)
    active = np.arange(m)
    for _ in range(_MOST_ROUNDS):
        x, y, old = bx[active], by[active], theta[active, None]
        residual = y - old * mu[active]
        chosen = _largest(residual**2 * py, n_invalid[active])
        target = np.where(chosen, old * mu[active], y)
        mean = (x * px + old * target * py) / (px + old**2 * py)
        new = (target * mean * py).sum(axis=1) / (mean**2 * py).sum(axis=1)
        mu[active], invalid[active], theta[active] = mean, chosen, new
        moved = np.abs(new - old[:, 0]) > _TOLERANCE * np.maximum(1.0, np.abs(new))
        active = active[moved]
        if not active.size:
            break
    t = theta[:, None]
    mu = np.where(invalid, bx, (bx * px + t * by * py) / (px + t**2 * py))
    fit = (bx - mu) ** 2 * px + np.where(invalid, 0.0, (by - t * mu) ** 2 * py)
    curvature = mu**2 * py - (2 * mu * t - by) ** 2 * py**2 / (px + t**2 * py)
    information = np.where(invalid, 0.0, curvature).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(information > 0, 1 / np.sqrt(information), np.nan)
    return Fits(theta, error, fit.sum(axis=1) / 2, invalid)


def _largest(values: FloatArray, count: npt.NDArray[np.int64]) -> BoolArray:
    """Mark the `count` largest of each row."""
    order = np.argsort(-values, axis=1)
    chosen = np.empty(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(values.shape[1]) < count[:, None], axis=1)
    return chosen


def best_of_starts(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, counts: npt.NDArray[np.int64], starts: FloatArray
) -> Fits:
    """Least loss over the starts; bx, by (d, n), starts (s, k) for the k counts; results (d, k)."""
    d, n = bx.shape
    s, k = starts.shape
    step = max(1, _CHUNK // (s * k * n))
    parts: list[Fits] = []
    for first in range(0, d, step):
        x, y = bx[first : first + step], by[first : first + step]
        size = len(x)
        fits = constrained(
            np.repeat(x, s * k, axis=0), np.repeat(y, s * k, axis=0), sx, sy,
            np.tile(counts, size * s), np.tile(starts.ravel(), size),
        )  # fmt: skip
        loss = fits.loss.reshape(size, s, k)
        best = np.argmin(loss, axis=1)
        place = (np.arange(size)[:, None] * s + best) * k + np.arange(k)
        parts.append(Fits(*(values[place] for values in fits)))
    return Fits(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def bic(loss: FloatArray, counts: npt.NDArray[np.int64], sample_size: float) -> FloatArray:
    """2 loss + K log(sample size)."""
    return 2 * loss + np.log(sample_size) * counts


def average(theta: FloatArray, std_error: FloatArray, criterion: FloatArray) -> Averaged:
    """Average over K with weights exp(-BIC / 2); the spread between K goes into the standard error."""
    weight = np.exp(-(criterion - criterion.min()) / 2)
    weight = weight / weight.sum()
    estimate = float((weight * theta).sum())
    return Averaged(estimate, float(np.nansum(weight * np.sqrt(std_error**2 + (theta - estimate) ** 2))))


def goodness_of_fit(std_error: float, theta: FloatArray, std_errors: FloatArray) -> tuple[float, float]:
    """P-values of model-based against perturbation variance: fourth moment, and normal theory."""
    from scipy.special import ndtr

    b = theta.size
    variance = float(theta.var(ddof=1))
    spread = float(np.nanvar(std_errors**2, ddof=1))
    fourth = float(np.mean((theta - theta.mean()) ** 4))
    difference = std_error**2 - variance
    first = max(0.0, (fourth - (b - 3) / (b - 1) * variance**2) / b) + spread
    second = 2 / (b - 1) * variance**2 + spread
    z = abs(difference) / np.sqrt([first, second])
    by_moments, by_normal = (2 * ndtr(-z)).tolist()
    return by_moments, by_normal
