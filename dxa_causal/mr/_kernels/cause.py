"""Bivariate mixture of variants' effects, of whom a share acts through something that causes both traits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_ITERATIONS = 2000
_TOLERANCE = 1e-8
_CELLS = 4_000_000


class Components(NamedTuple):
    """Variances of effects on the exposure and of direct effects (k,), and shares (k,)."""

    exposure: FloatArray
    direct: FloatArray
    share: FloatArray


class Effects(NamedTuple):
    """Estimates (n,), standard errors, and the correlation of the errors."""

    x: FloatArray
    y: FloatArray
    sx: FloatArray
    sy: FloatArray
    cross: float


def log_density(e: Effects, slope: FloatArray, c: Components) -> FloatArray:
    """Log density (s, n, k) of both estimates of every variant at each slope (s,) in each component."""
    b = np.asarray(slope, dtype=np.float64)[:, None, None]
    xx = e.sx[:, None] ** 2 + c.exposure
    xy = e.cross * (e.sx * e.sy)[:, None] + b * c.exposure
    yy = e.sy[:, None] ** 2 + b**2 * c.exposure + c.direct
    x, y = e.x[:, None], e.y[:, None]
    determinant = xx * yy - xy**2
    square = (yy * x**2 - 2.0 * xy * x * y + xx * y**2) / determinant
    return np.asarray(-np.log(2.0 * np.pi) - 0.5 * np.log(determinant) - 0.5 * square)


def mixed(log_parts: FloatArray, share: FloatArray) -> FloatArray:
    """Log of the weighted sum over the last axis."""
    top = log_parts.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(log_parts - top) @ share) + top[..., 0])


def components(e: Effects, scales_x: FloatArray, scales_y: FloatArray, prior: float) -> Components:
    """Shares of every pair of scales by expectation-maximisation without any causal or shared effect.

    The component without any effect has a Dirichlet weight of `prior`, the others 1.
    """
    exposure, direct = (v.ravel() ** 2 for v in np.meshgrid(scales_x, scales_y, indexing="ij"))
    c = Components(exposure, direct, np.full(exposure.size, 1.0 / exposure.size))
    parts = log_density(e, np.zeros(1), c)[0]
    parts = np.exp(parts - parts.max(axis=1, keepdims=True))
    extra = np.where((exposure == exposure.min()) & (direct == direct.min()), prior - 1.0, 0.0)
    share = c.share
    for _ in range(_ITERATIONS):
        weight = parts * share
        new = (weight / weight.sum(axis=1, keepdims=True)).sum(axis=0) + extra
        new /= new.sum()
        moved, share = float(np.abs(new - share).max()), new
        if moved < _TOLERANCE:
            break
    used = share > 1e-5
    return Components(exposure[used], direct[used], share[used] / share[used].sum())


def pointwise(e: Effects, c: Components, gamma: FloatArray, eta: FloatArray, q: FloatArray) -> FloatArray:
    """Log likelihood (s, n) of every variant at each draw of causal effect, shared effect and share."""
    size = max(1, _CELLS // (e.x.size * c.share.size))
    values = np.empty((gamma.size, e.x.size))
    for i in range(0, gamma.size, size):
        part = slice(i, i + size)
        apart = mixed(log_density(e, gamma[part], c), c.share)
        shared = mixed(log_density(e, gamma[part] + eta[part], c), c.share)
        values[part] = np.logaddexp(np.log1p(-q[part])[:, None] + apart, np.log(q[part])[:, None] + shared)
    return values


def expected_density(values: FloatArray) -> FloatArray:
    """Expected log predictive density of every variant (n,): widely applicable information criterion from draws."""
    top = values.max(axis=0)
    return np.asarray(np.log(np.exp(values - top).mean(axis=0)) + top - values.var(axis=0, ddof=1))


def r_hat(draws: FloatArray) -> float:
    """Gelman and Rubin's ratio of chains (c, d), each cut in half."""
    half = draws.shape[1] // 2
    split = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    within = float(split.var(axis=1, ddof=1).mean())
    between = half * float(split.mean(axis=1).var(ddof=1))
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))
