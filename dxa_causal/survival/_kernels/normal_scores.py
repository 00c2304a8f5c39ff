"""Normal scores of ranks, and the concordance that a proportional hazards model implies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft
from scipy.special import expit, ndtri

from dxa_causal._numerics.midranks import midranks

FloatArray = npt.NDArray[np.float64]

_BLOCK = 2_000_000  # pairs at once
_EXACT = 10_000  # distinct values of which all pairs are visited, in a second
_CELLS = 2**17  # of the grid that more are put on


def normal_scores(x: FloatArray, *, average_ties: bool) -> FloatArray:
    """Blom's expected normal order statistics; ties share the mean of their scores, or the score of their mean rank."""
    n = x.size
    if not average_ties:
        return np.asarray(ndtri((midranks(x) - 0.375) / (n + 0.25)))
    score = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    end = np.cumsum(count)
    total = np.concatenate([[0.0], np.cumsum(score)])
    return np.asarray(((total[end] - total[end - count]) / count)[place])


def implied_concordance(eta: FloatArray) -> float:
    r"""Gönen and Heller's :math:`\frac{2}{n(n-1)} \sum_{i<j} 1 / (1 + e^{-|\eta_i - \eta_j|})`, tied pairs one half.

    All pairs of distinct values are visited, O(m^2) time in blocks for m of them; of more than 10 000 the sum is that
    of a convolution on a fine grid, O(m).
    """
    value, count = np.unique(eta, return_counts=True)
    n, m = eta.size, value.size
    if m > _EXACT:
        return _on_a_grid(eta)
    total = float(np.sum(count * (count - 1.0))) / 4
    step = max(1, _BLOCK // m)
    for first in range(0, m, step):
        rows = np.arange(first, min(first + step, m))
        gap = value[None, first:] - value[rows, None]
        pair = np.where(gap > 0, expit(gap), 0.0)
        total += float(count[rows] @ pair @ count[first:])
    return 2 * total / (n * (n - 1.0))


def _on_a_grid(eta: FloatArray) -> float:
    """The same with each value shared out between the two nearest of equidistant points; off by less than 1e-7."""
    n, width = eta.size, float(np.ptp(eta)) / (_CELLS - 2)
    place = (eta - eta.min()) / width
    left = np.minimum(place.astype(np.int64), _CELLS - 2)
    upper = place - left
    mass = np.bincount(left, 1.0 - upper, minlength=_CELLS) + np.bincount(left + 1, upper, minlength=_CELLS)
    # mass at each distance, both ways; then what each value has with itself is taken off
    at_distance = irfft(np.abs(rfft(mass, 2 * _CELLS)) ** 2)[:_CELLS] * np.where(np.arange(_CELLS) > 0, 2.0, 1.0)
    chance = expit(width * np.arange(_CELLS))
    across = float(np.sum(upper * (1.0 - upper)))
    alone = (n - 2.0 * across) * chance[0] + 2.0 * across * chance[1]
    return (float(at_distance @ chance) - alone) / (n * (n - 1.0))
