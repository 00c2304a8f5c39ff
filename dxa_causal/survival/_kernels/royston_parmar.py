"""Royston and Parmar's model: a transformed survival function as a natural cubic spline of log time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.distributions import STANDARD_DENSITY, STANDARD_SURVIVAL
from dxa_causal.survival._kernels.lifetime_likelihood import Curve, IntArray

FloatArray = npt.NDArray[np.float64]
Power = Callable[[FloatArray], FloatArray]


def basis(y: FloatArray, knots: FloatArray) -> FloatArray:
    """Natural cubic spline basis of log time, (m, knots): 1, y, v_1(y), ..., linear beyond the outer knots."""
    return _columns(y, knots, np.ones_like(y), y, lambda d: np.maximum(d, 0.0) ** 3)


def basis_slope(y: FloatArray, knots: FloatArray) -> FloatArray:
    """Derivative of `basis` in y."""
    return _columns(y, knots, np.zeros_like(y), np.ones_like(y), lambda d: 3 * np.maximum(d, 0.0) ** 2)


def _columns(y: FloatArray, knots: FloatArray, first: FloatArray, second: FloatArray, power: Power) -> FloatArray:
    low, high = knots[0], knots[-1]
    share = (high - knots[1:-1]) / (high - low)
    inner = power(y[:, None] - knots[1:-1]) - share * power(y - low)[:, None] - (1 - share) * power(y - high)[:, None]
    return np.column_stack([first, second, inner])


@dataclass(frozen=True, slots=True)
class SplineModel:
    """Parameters gamma_0, gamma_1, ... of the spline, then those of the covariates.

    Attributes
    ----------
    error : {"extreme", "logistic", "normal"}
        The spline is log cumulative hazard, log odds of failure, or the normal quantile of failure.
    knots : (k,) ndarray
        In log time, outer ones first and last.
    x : (n, p) ndarray
    offset : (n,) ndarray
    """

    error: str
    knots: FloatArray
    x: FloatArray
    offset: FloatArray

    def log_survival(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of S(time) for some rows."""
        columns = np.hstack([basis(np.log(time), self.knots), self.x[rows]])
        outer = STANDARD_SURVIVAL[self.error](columns @ theta + self.offset[rows])
        first, second = outer.first[:, 0], outer.second[:, 0, 0]
        return Curve(outer.value, first[:, None] * columns, lambda c: _gram(columns, c * second))

    def log_density(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of the density at time for some rows; not a number where the spline falls."""
        y = np.log(time)
        columns = np.hstack([basis(y, self.knots), self.x[rows]])
        slopes = np.hstack([basis_slope(y, self.knots), np.zeros((y.size, self.x.shape[1]))])
        outer = STANDARD_DENSITY[self.error](columns @ theta + self.offset[rows])
        first, second = outer.first[:, 0], outer.second[:, 0, 0]
        rise = slopes @ theta
        return Curve(
            outer.value + np.log(rise) - y,
            first[:, None] * columns + slopes / rise[:, None],
            lambda c: _gram(columns, c * second) - _gram(slopes, c / rise**2),
        )


def _gram(columns: FloatArray, weight: FloatArray) -> FloatArray:
    return np.asarray((columns * weight[:, None]).T @ columns)
