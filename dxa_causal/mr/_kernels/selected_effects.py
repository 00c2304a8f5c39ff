"""Effects selected for their size: conditional likelihood, false discovery rates; correlation among null effects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_HALVINGS = 70
_NODES = 40
_ROWS = 5000


def _log_selected(mu: FloatArray, cut: float) -> FloatArray:
    """Log probability that |z| exceeds the cut."""
    from scipy.special import log_ndtr

    return np.asarray(np.logaddexp(log_ndtr(mu - cut), log_ndtr(-mu - cut)))


def conditional_mean(mu: FloatArray, cut: float) -> FloatArray:
    """E[z; |z| > cut] for z ~ N(mu, 1)."""
    log_p = _log_selected(mu, cut)
    up, down = (np.exp(-0.5 * (cut - s * mu) ** 2 - log_p) / np.sqrt(2.0 * np.pi) for s in (1.0, -1.0))
    return np.asarray(mu + up - down)


def conditional_variance(mu: FloatArray, cut: float) -> FloatArray:
    """Variance of z given |z| > cut: the information about mu."""
    log_p = _log_selected(mu, cut)
    up, down = (np.exp(-0.5 * (cut - s * mu) ** 2 - log_p) / np.sqrt(2.0 * np.pi) for s in (1.0, -1.0))
    return np.asarray(1.0 + (cut - mu) * up + (cut + mu) * down - (up - down) ** 2)


def most_likely(size: FloatArray, cut: float) -> FloatArray:
    """Maximum of the conditional likelihood for |z| (n,) above the cut: where the conditional mean is |z|."""
    return _solve(lambda mu: conditional_mean(mu, cut) - size, np.zeros_like(size), size)


def mean_likelihood(size: FloatArray, cut: float) -> FloatArray:
    """Mean of the normalised conditional likelihood over mu."""
    return np.concatenate([_mean_likelihood(size[i : i + _ROWS], cut) for i in range(0, size.size, _ROWS)])


def _mean_likelihood(size: FloatArray, cut: float) -> FloatArray:
    nodes, weights = np.polynomial.legendre.leggauss(2 * _NODES)
    ends = np.column_stack([*np.broadcast_arrays(-4.0, 0.0, 4.0 / cut, np.maximum(4.0 / cut, size - 9.0)), size + 9.0])
    width = np.diff(ends, axis=1)[:, :, None]  # the likelihood has a narrow peak beside zero and a wide one at |z|
    mu = ends[:, :-1, None] + width * (nodes + 1.0) / 2.0
    log_l = -0.5 * (size[:, None, None] - mu) ** 2 - _log_selected(mu, cut)
    likelihood = (width * weights * np.exp(log_l - log_l.max(axis=(1, 2), keepdims=True))).reshape(size.size, -1)
    mu = mu.reshape(size.size, -1)
    return np.asarray((likelihood * mu).sum(axis=1) / likelihood.sum(axis=1))


def limit(size: FloatArray, cut: float, tail: float) -> FloatArray:
    """Mean (n,) at which |z| or more has this probability among selected statistics of either sign."""
    from scipy.special import log_ndtr

    target = np.log(tail)
    return _solve(
        lambda mu: np.asarray(log_ndtr(mu - size) - _log_selected(mu, cut) - target), -size - 5.0, size + 12.0
    )


def _solve(rising: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = rising(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(0.5 * (low + high))


def inverse_quantile(z: FloatArray) -> FloatArray:
    """Put false discovery rates in place of p-values and turn them back into z statistics; in logarithms throughout."""
    from scipy.special import log_ndtr, ndtri_exp

    log_p = np.log(2.0) + log_ndtr(-np.abs(z))
    order = np.argsort(log_p, kind="stable")
    rate = log_p[order] + np.log(z.size) - np.log(np.arange(1, z.size + 1))
    rate = np.minimum(np.minimum.accumulate(rate[::-1])[::-1], 0.0)
    log_q = np.empty_like(z)
    log_q[order] = rate
    return np.asarray(np.sign(z) * np.maximum(0.0, -ndtri_exp(log_q - np.log(2.0))))


def null_correlation(a: FloatArray, b: FloatArray, box: float) -> tuple[float, float]:
    """Correlation of two z statistics and its error, from pairs within the box |z| < box, cut off there."""
    from scipy.optimize import minimize_scalar
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x = box * nodes
    density = box * weights * np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)
    squares, products = float((a**2 + b**2).mean()), float((a * b).mean())

    def minus(r: float) -> float:
        rest = 1.0 - r**2
        root = np.sqrt(rest)
        inside = float((density * (ndtr((box - r * x) / root) - ndtr((-box - r * x) / root))).sum())
        return float(0.5 * np.log(rest) + 0.5 * (squares - 2.0 * r * products) / rest + np.log(inside))

    r = float(minimize_scalar(minus, bounds=(-0.999, 0.999), method="bounded", options={"xatol": 1e-10}).x)
    step = min(1e-3, 0.4 * (1.0 - abs(r)))
    curvature = (minus(r + step) - 2.0 * minus(r) + minus(r - step)) / step**2
    return r, float(1.0 / np.sqrt(a.size * curvature)) if curvature > 0 else np.nan
