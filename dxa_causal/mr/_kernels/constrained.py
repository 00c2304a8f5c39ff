"""Constrained maximum likelihood: K invalid variants, many K, starts and data sets at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels import profile_errors

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
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
    """Profile over the true effects; bx, by (m, n), n_invalid and start (m,): one problem per row."""
    none = np.zeros((sx.size, 1))
    data = profile_errors.Data(bx[..., None], by, (sx**2)[:, None, None], none, sy**2)
    theta, loss, invalid = profile_errors.constrained(data, n_invalid, start[:, None])
    information = profile_errors.curvature(data, theta, (~invalid).astype(float))[1][:, 0, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(information > 0, 1 / np.sqrt(information), np.nan)
    return Fits(theta[:, 0], error, loss, invalid)


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
