"""Upper tail of a quadratic form in normal variables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_STEPS = np.linspace(0.0, 9.0, 1801)  # of the trapezoidal rule
_NODES, _WEIGHTS = np.sinh(_STEPS), np.cosh(_STEPS)  # points of the contour in units of its own scale
_NEWTON = 100


def upper_tail(x: float, weights: FloatArray) -> float:
    r"""P(sum of weights times chi-square variables of one degree of freedom > x), to ten digits, tails included.

    With the cumulant generating function K(s) it is the integral of exp(K(s) - s x) / s over 2 pi i along any path
    from below to above that crosses the real axis between 0 and the first pole. The path taken crosses at the saddle
    point and bends to the right, where the integrand dies like exp(-s x); the trapezoidal rule then converges fast.
    """
    weights = weights[weights > 1e-12 * weights.max(initial=0.0)]
    if x <= 0.0:
        return 1.0
    if not weights.size:
        return 0.0
    lam, x = weights / weights.max(), x / float(weights.max())
    c = _saddle(x, lam)
    curvature = float(2.0 * np.sum((lam / (1.0 - 2.0 * c * lam)) ** 2) + 1.0 / c**2)
    h = 1.0 / np.sqrt(curvature)
    bend = min(0.5, 1.0 / (h * x))
    s = c + h * (1j * _NODES + bend * _NODES**2)
    direction = h * (1j + 2.0 * bend * _NODES) * _WEIGHTS
    exponent = -0.5 * np.sum(np.log(1.0 - 2.0 * s[:, None] * lam), axis=1) - s * x - np.log(s)
    top = float(exponent[0].real)
    values = (np.exp(exponent - top) * direction).imag
    integral = np.sum(values) - 0.5 * (values[0] + values[-1])
    return float(min(np.exp(top) * integral * _STEPS[1] / np.pi, 1.0))


def _saddle(x: float, lam: FloatArray) -> float:
    """Root in (0, 1/2) of sum lam / (1 - 2 s lam) - x - 1 / s; the largest weight is 1; safeguarded Newton."""
    low, high = 0.0, 0.5
    s = 0.25
    for _ in range(_NEWTON):
        left = 1.0 - 2.0 * s * lam
        gap = float(np.sum(lam / left)) - x - 1.0 / s
        low, high = (low, s) if gap > 0.0 else (s, high)
        step = s - gap / float(2.0 * np.sum((lam / left) ** 2) + 1.0 / s**2)
        new = step if low < step < high else 0.5 * (low + high)
        if abs(new - s) <= 1e-12 * s:
            return new
        s = new
    return s
