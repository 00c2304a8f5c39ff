"""Baseline hazards of transitions, Weibull or M-splines, with derivatives in their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

FloatArray = npt.NDArray[np.float64]

_TINY = 1e-300
_DEGREE = 3


class HazardAt(Protocol):
    """A baseline hazard at fixed times, as a function of its parameters; cumulative hazards up to a constant.

    `log_hazard` and `cumulative` give values (m,) and first derivatives (m, q); `curvature` the (q, q) sum of second
    derivatives of both, weighted by (m,) weights.
    """

    def log_hazard(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]: ...

    def cumulative(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]: ...

    def curvature(
        self, parameters: FloatArray, of_log_hazard: FloatArray | None, of_cumulative: FloatArray
    ) -> FloatArray: ...


class Baseline(Protocol):
    """A family of baseline hazards."""

    @property
    def size(self) -> int: ...

    @property
    def origin(self) -> float: ...

    @property
    def breaks(self) -> FloatArray: ...

    @property
    def power(self) -> int: ...

    def at(self, time: FloatArray) -> HazardAt: ...

    def constant(self, rate: float) -> FloatArray: ...


@dataclass(frozen=True, eq=False, slots=True)
class WeibullHazard:
    """Hazard exp(b) (t / unit)^a / t, parameters (b, log a); a is 1 where the shape is fixed.

    `unit` is a typical time, at which the hazard is exp(b) / unit. The cumulative hazard is counted from there,
    exp(b) ((t / unit)^a - 1) / a, which stays exact where the shape runs to zero.
    """

    unit: float
    fixed: bool = False

    @property
    def size(self) -> int:
        """Number of parameters."""
        return 1 if self.fixed else 2

    @property
    def origin(self) -> float:
        """Time at which the hazard begins."""
        return 0.0

    @property
    def breaks(self) -> FloatArray:
        """Times at which the hazard is not smooth: none."""
        return np.empty(0)

    @property
    def power(self) -> int:
        """Scale t^(1/4), on which t^(a - 1) is smooth at zero too."""
        return 4

    def at(self, time: FloatArray) -> WeibullAt:
        """Return the hazard at these times."""
        log_time = np.log(np.maximum(time, _TINY))
        return WeibullAt(log_time, log_time - np.log(self.unit), self.fixed)

    def constant(self, rate: float) -> FloatArray:
        """Parameters of a constant hazard."""
        return np.array([np.log(rate * self.unit), 0.0][: self.size])

    def reached(self, parameters: FloatArray, level: FloatArray) -> FloatArray:
        """Times at which the cumulative hazard reaches these levels."""
        shape = 1.0 if self.fixed else np.exp(parameters[1])
        return np.asarray(self.unit * np.exp(np.log1p(shape * level / np.exp(parameters[0])) / shape))


@dataclass(frozen=True, eq=False, slots=True)
class WeibullAt:
    """A Weibull hazard at fixed times."""

    log_time: FloatArray
    relative: FloatArray
    fixed: bool

    def log_hazard(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and first derivatives."""
        power = self._shape(parameters) * self.relative
        return parameters[0] + power - self.log_time, self._columns(np.ones_like(power), power)

    def cumulative(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and first derivatives."""
        value, slope, _ = self._cumulative(parameters)
        return value, self._columns(value, slope)

    def curvature(
        self, parameters: FloatArray, of_log_hazard: FloatArray | None, of_cumulative: FloatArray
    ) -> FloatArray:
        """Weighted sum of second derivatives."""
        value, slope, bend = self._cumulative(parameters)
        first = (of_cumulative * value).sum()
        if self.fixed:
            return np.array([[first]])
        cross, last = (of_cumulative * slope).sum(), (of_cumulative * bend).sum()
        if of_log_hazard is not None:
            last += (of_log_hazard * self.relative).sum() * self._shape(parameters)
        return np.array([[first, cross], [cross, last]])

    def _cumulative(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cumulative hazard with its first and second derivative in the log shape."""
        shape, level = self._shape(parameters), np.exp(parameters[0])
        power = shape * self.relative
        risen = np.exp(power) * self.relative
        value = np.expm1(power) / shape
        slope = risen - value
        return level * value, level * slope, level * (power * risen - slope)

    def _shape(self, parameters: FloatArray) -> float:
        return 1.0 if self.fixed else float(np.exp(parameters[1]))

    def _columns(self, level: FloatArray, shape: FloatArray) -> FloatArray:
        return level[:, None] if self.fixed else np.column_stack([level, shape])


@dataclass(frozen=True, eq=False, slots=True)
class SplineHazard:
    """Sum of cubic M-splines with coefficients psi^2; the parameters are psi.

    Attributes
    ----------
    knots : (k,) ndarray
        Increasing, from before the first to after the last time.
    """

    knots: FloatArray

    @property
    def size(self) -> int:
        """Number of parameters, k + 2."""
        return self.knots.size + _DEGREE - 1

    @property
    def origin(self) -> float:
        """Time at which the hazard begins."""
        return float(self.knots[0])

    @property
    def breaks(self) -> FloatArray:
        """Inner knots."""
        return self.knots[1:-1]

    @property
    def power(self) -> int:
        """Scale t, on which the hazard is a polynomial between knots."""
        return 1

    def at(self, time: FloatArray) -> SplineAt:
        """Return the hazard at these times."""
        return SplineAt(self._basis(0)(time), self._basis(-1)(time))

    def constant(self, rate: float) -> FloatArray:
        """Parameters of a constant hazard."""
        return np.sqrt(rate / self._height())

    def penalty(self) -> FloatArray:
        """Integrals of products of second derivatives of the M-splines, (k + 2, k + 2)."""
        second, half = self._basis(2), np.diff(self.knots) / 2
        middle = self.knots[:-1] + half
        # second derivatives are linear between knots: two Gauss points integrate their products exactly
        parts = [second(middle + sign * half / np.sqrt(3.0)) for sign in (-1.0, 1.0)]
        return np.asarray(sum((p * half[:, None]).T @ p for p in parts))

    def _full(self) -> FloatArray:
        return np.concatenate([[self.knots[0]] * _DEGREE, self.knots, [self.knots[-1]] * _DEGREE])

    def _height(self) -> FloatArray:
        full, order = self._full(), _DEGREE + 1
        return np.asarray(order / (full[order:] - full[:-order]))

    def _basis(self, derivative: int) -> BSpline:
        spline = BSpline(self._full(), np.diag(self._height()), _DEGREE)
        if derivative == 0:
            return spline
        return spline.antiderivative() if derivative < 0 else spline.derivative(derivative)


@dataclass(frozen=True, eq=False, slots=True)
class SplineAt:
    """A hazard of M-splines at fixed times: the splines and their integrals, (m, q) each."""

    m: FloatArray
    i: FloatArray

    def log_hazard(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and first derivatives."""
        hazard = np.maximum(self.m @ parameters**2, _TINY)
        return np.log(hazard), self.m * (2.0 * parameters) / hazard[:, None]

    def cumulative(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and first derivatives."""
        return self.i @ parameters**2, self.i * (2.0 * parameters)

    def curvature(
        self, parameters: FloatArray, of_log_hazard: FloatArray | None, of_cumulative: FloatArray
    ) -> FloatArray:
        """Weighted sum of second derivatives."""
        total = np.diag(2.0 * (of_cumulative @ self.i))
        if of_log_hazard is not None:
            hazard = np.maximum(self.m @ parameters**2, _TINY)
            slope = self.m * (2.0 * parameters) / hazard[:, None]
            total += np.diag(2.0 * ((of_log_hazard / hazard) @ self.m)) - (slope * of_log_hazard[:, None]).T @ slope
        return np.asarray(total)
