"""Mode of a weighted kernel density of the variants' ratios, exact or on a grid, and its bootstrap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_BLOCK = 1 << 20
_GRID = 512  # points of R's density()
_MAD = 1.4826
_CLIMB = 200
_MOST_POINTS = 400  # where to look for the mode of a draw: more variants than half of it are thinned evenly


def bandwidths(values: FloatArray, phi: float) -> FloatArray:
    """Bickel's rule for each row of values (m, n): 0.9 min(sd, MAD) n^(-1/5) phi, at least 1e-8."""
    spread = np.minimum(values.std(axis=1, ddof=1), mads(values))
    return np.maximum(1e-8, 0.9 * spread * values.shape[1] ** -0.2 * phi)


def mads(values: FloatArray) -> FloatArray:
    """Median absolute deviation of each row, times 1.4826."""
    found: FloatArray = _MAD * np.median(np.abs(values - np.median(values, axis=1, keepdims=True)), axis=1)
    return found


def grid_step(values: FloatArray, h: float) -> float:
    """Distance between the points of the grid."""
    return float(np.ptp(values) + 6 * h) / (_GRID - 1)


def modes(values: FloatArray, weights: FloatArray, h: FloatArray, *, exact: bool) -> FloatArray:
    """Mode of each row of values (m, n) with weights (n,) or (m, n) and bandwidths (m,)."""
    m, n = values.shape
    weights = np.broadcast_to(weights, values.shape)
    found = np.empty(m)
    block = max(1, _BLOCK // ((min(2 * n, _MOST_POINTS) if exact else _GRID) * n))
    for start in range(0, m, block):
        part = slice(start, start + block)
        v, w, hs = values[part], weights[part], h[part]
        if exact:
            ordered = np.sort(v, axis=1)
            if m > 1:
                ordered = ordered[:, :: -(-2 * n // _MOST_POINTS)]
            points = np.concatenate([ordered, (ordered[:, 1:] + ordered[:, :-1]) / 2], axis=1)
        else:
            low, high = v.min(axis=1) - 3 * hs, v.max(axis=1) + 3 * hs
            points = np.linspace(low, high, _GRID, axis=1)
        height = _density(points, v, w, hs)
        best = points[np.arange(v.shape[0]), np.argmax(height, axis=1)]
        found[part] = _climb(best, v, w, hs) if exact else best
    return found


def _density(points: FloatArray, values: FloatArray, weights: FloatArray, h: FloatArray) -> FloatArray:
    u = points[:, :, None] - values[:, None, :]
    u /= h[:, None, None]
    np.square(u, out=u)
    u *= -0.5
    np.exp(u, out=u)
    found: FloatArray = np.matmul(u, weights[:, :, None])[:, :, 0]
    return found


def _climb(start: FloatArray, values: FloatArray, weights: FloatArray, h: FloatArray) -> FloatArray:
    """Go up to the top of the density from start (m,): Newton where it is concave and rises, else mean shift."""
    x = start.copy()
    for step in range(_CLIMB):
        u = (values - x[:, None]) / h[:, None]
        k = weights * np.exp(-0.5 * u**2)
        total = k.sum(axis=1)
        first, second = (k * u).sum(axis=1) / total, (k * (u**2 - 1)).sum(axis=1) / total
        newton = np.where(second < -1e-3, -first / np.minimum(second, -1e-3), first)
        # mean shift (u by `first`) never goes down; Newton only for a short last stretch
        move = np.where((step >= 3) & (np.abs(newton) < 0.25), newton, first)
        x += h * move
        if float(np.max(np.abs(move))) < 1e-11:
            break
    return x


def penalised(weights: FloatArray, values: FloatArray, centre: FloatArray, penalty: float) -> FloatArray:
    """Weights (n,) times min(1, penalty p), p of the distance of values (m, n) from centre (m,)."""
    from scipy.special import chdtrc

    return weights * np.minimum(1.0, penalty * chdtrc(1, weights * (values - centre[:, None]) ** 2))
