"""What selection, weak instruments and shared samples do to inverse-variance weighting of a spike-and-slab exposure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_LOW, _HIGH = 1e-7, 0.3  # shares of effective variants that are searched
_GRID = 241
_HALVINGS = 60


class Architecture(NamedTuple):
    """Share of variants with an effect, variance of their effects, and whether the observed sum could be met."""

    pi: FloatArray
    sigma2: FloatArray
    met: npt.NDArray[np.bool_]


def _parts(
    pi: FloatArray, sigma2: FloatArray, n: float, threshold: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean squared observed effect of a selected variant times its share of all: signal, its cross term, spike, total.

    For effects g ~ N(0, sigma2), estimates x = g + e with e ~ N(0, 1/n), selected when |x| sqrt(n) > t:
    E[x g; selected], E[x e; selected] among effective variants, E[x e; selected] among the others.
    """
    from scipy.special import ndtr

    spread = 1.0 + n * sigma2  # variance of the z statistic of an effective variant
    cut = threshold / np.sqrt(spread)
    density = np.exp(-0.5 * cut**2) / np.sqrt(2.0 * np.pi)
    second = 2.0 * (ndtr(-cut) + cut * density)  # E[z^2; |z| > t] over the variance of z
    null = 2.0 * (ndtr(-threshold) + threshold * np.exp(-0.5 * threshold**2) / np.sqrt(2.0 * np.pi))
    signal = pi * sigma2 * second
    error = pi * second / n
    spike = (1.0 - pi) * null / n
    return signal, error, spike, signal + error + spike


def expected_sum(pi: FloatArray, h2: FloatArray, n: float, threshold: float, m: float) -> FloatArray:
    """Sum of the squared standardised effects of selected variants that an architecture leads one to expect."""
    return m * _parts(pi, h2 / (m * pi), n, threshold)[3]


def architecture(total: FloatArray, h2: FloatArray, n: float, threshold: float, m: float) -> Architecture:
    """Share of effective variants (k,) at which the expected sum of squares is `total`; the nearest where none is."""
    grid = np.geomspace(_LOW, _HIGH, _GRID)
    gap = expected_sum(grid, h2[:, None], n, threshold, m) - total[:, None]
    falling = (gap[:, :-1] > 0) & (gap[:, 1:] <= 0)
    met = falling.any(axis=1)
    last = falling.shape[1] - 1 - falling[:, ::-1].argmax(axis=1)
    low, high = np.log(grid[last]), np.log(grid[last + 1])
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = expected_sum(np.exp(middle), h2, n, threshold, m) > total
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    pi = np.where(met, np.exp(0.5 * (low + high)), grid[np.abs(gap).argmin(axis=1)])
    return Architecture(pi, h2 / (m * pi), np.asarray(met, dtype=np.bool_))


def corrected(
    observed: FloatArray, cross: FloatArray, pi: FloatArray, sigma2: FloatArray, n: float, n_outcome: float,
    threshold: float,
) -> FloatArray:  # fmt: skip
    """Effect (k,) whose expected inverse-variance weighted estimate is the observed one.

    With error correlation `cross`, E[y e; selected] = cross sqrt(n / n_outcome) E[x e; selected].
    """
    signal, error, spike, total = _parts(pi, sigma2, n, threshold)
    return np.asarray((observed * total - cross * np.sqrt(n / n_outcome) * (error + spike)) / signal)
