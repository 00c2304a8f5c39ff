"""Heterogeneity of ratio estimates of linked variants (HEIDI)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.quadratic_form import upper_tail

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Added to the variance of a difference, which linkage near 1 drives to 0: 1e-8 as in the program SMR, but never more
# than a ten-thousandth of the variance of the top variant's ratio, so that the test does not depend on units.
_FLOOR, _SHARE = 1e-8, 1e-4


@dataclass(frozen=True, slots=True)
class Heidi:
    """Sum of squared standardised differences, eigenvalues of their correlations, p-value."""

    statistic: float
    weights: FloatArray
    p_value: float


def ratio_covariance(bx: FloatArray, sx: FloatArray, by: FloatArray, sy: FloatArray, r: FloatArray) -> FloatArray:
    """Covariance (m, m) of the ratios by / bx of variants with correlations r, estimates in independent samples."""
    ratio, z = by / bx, bx / sx
    noise, products, zz = sy / bx, np.outer(ratio, ratio), np.outer(z, z)
    return np.asarray(r * np.outer(noise, noise) + products * (r / zz - 1.0 / zz**2))


def heidi(bx: FloatArray, sx: FloatArray, by: FloatArray, sy: FloatArray, r: FloatArray, top: int) -> Heidi | None:
    """Test whether all ratios equal that of the variant `top`; None where a difference has no positive variance."""
    ratio = by / bx
    cov = ratio_covariance(bx, sx, by, sy, r)
    others = np.delete(np.arange(bx.size), top)
    difference = ratio[others] - ratio[top]
    c = cov[others, top]
    spread = cov[np.ix_(others, others)] + cov[top, top] - c[:, None] - c[None, :]
    spread = 0.5 * (spread + spread.T) + min(_FLOOR, _SHARE * cov[top, top]) * np.eye(others.size)
    if not (np.diag(spread) > 0.0).all():
        return None
    sd = np.sqrt(np.diag(spread))
    statistic = float(np.sum((difference / sd) ** 2))
    weights = np.linalg.eigvalsh(spread / np.outer(sd, sd))
    return Heidi(statistic, weights, upper_tail(statistic, np.maximum(weights, 0.0)))


def pruned(strength: FloatArray, r: FloatArray, limit: float, first: int) -> IntArray:
    """Variants kept when, from `first` and then the strongest on, those with r squared above `limit` to one kept go."""
    squared = r**2
    free = np.ones(strength.size, dtype=bool)
    kept: list[int] = []
    for i in np.concatenate([[first], np.argsort(-strength, kind="stable")]):
        if free[i]:
            kept.append(int(i))
            free &= squared[i] <= limit
            free[i] = False
    return np.array(kept, dtype=np.intp)
