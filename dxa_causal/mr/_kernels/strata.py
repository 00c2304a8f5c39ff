"""Strata of an exposure that the instrument does not move people between, and its association in each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Association(NamedTuple):
    """Slope on the instrument and its standard error; nan where it is not identified."""

    estimate: float
    std_error: float


class Power(NamedTuple):
    """Fractional polynomial of degree one: power, coefficient, its standard error, and deviance."""

    power: float
    coefficient: float
    std_error: float
    deviance: float


POWERS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)


def doubly_ranked(z: FloatArray, x: FloatArray, k: int) -> IntArray:
    """Stratum (n,) from 0 to k - 1: rank by z, cut into sets of k people, rank by x within each set.

    Ties go by the order of rows. The last set may hold fewer than k people, who fill the lowest strata.
    """
    by_z = np.argsort(z, kind="stable")
    group = np.arange(z.size) // k
    within = np.lexsort((x[by_z], group))  # stable: by set, then by exposure, then by instrument
    stratum = np.empty(z.size, dtype=np.int64)
    stratum[by_z[within]] = np.arange(z.size) % k
    return stratum


def by_residual(z: FloatArray, x: FloatArray, k: int) -> IntArray:
    """Stratum (n,) by quantiles of the residual of x on z."""
    centred = z - z.mean()
    residual = x - x.mean() - centred * (centred @ x) / (centred @ centred)
    order = np.lexsort((z, residual))
    size = np.full(k, z.size // k)
    size[: z.size % k] += 1
    stratum = np.empty(z.size, dtype=np.int64)
    stratum[order] = np.repeat(np.arange(k), size)
    return stratum


def linear(design: FloatArray, y: FloatArray) -> Association:
    """Least squares; the instrument is the second column of the design."""
    n, p = design.shape
    if n <= p or np.linalg.matrix_rank(design) < p:
        return Association(np.nan, np.nan)
    q, r = np.linalg.qr(design)
    beta = np.linalg.solve(r, q.T @ y)
    residual = y - design @ beta
    inverse = np.linalg.inv(r)
    variance = float(residual @ residual) / (n - p) * float(inverse[1] @ inverse[1])
    return Association(float(beta[1]), float(np.sqrt(variance)))


def fractional_polynomial(mean: FloatArray, slope: FloatArray, weight: FloatArray) -> list[Power]:
    """Fit the derivative of b x^p (b log x for p = 0) to slopes at positive means, for every power."""
    fits = []
    for power in POWERS:
        basis = 1.0 / mean if power == 0 else power * mean ** (power - 1.0)
        information = float((weight * basis**2).sum())
        b = float((weight * basis * slope).sum()) / information
        deviance = float((weight * (slope - b * basis) ** 2).sum())
        fits.append(Power(power, b, float(1.0 / np.sqrt(information)), deviance))
    return fits
