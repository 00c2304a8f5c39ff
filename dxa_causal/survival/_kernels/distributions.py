"""Distributions of a time: log S and log f with derivatives in a few parameters per row.

Parameters of a row are eta (location, log rate, ...), then the ancillary ones: the log of a scale or shape, Q of the
generalised gamma, and last the linear predictor of a transformed baseline. Time: O(m) a call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import special

from dxa_causal.survival._kernels.generalised_gamma import log_density as gengamma_density
from dxa_causal.survival._kernels.generalised_gamma import log_survival as gengamma_survival
from dxa_causal.survival._kernels.lifetime_likelihood import Curve, IntArray, log_one_minus_exp
from dxa_causal.survival._kernels.row_derivatives import Derivatives, phi

FloatArray = npt.NDArray[np.float64]

_LARGEST = 650.0  # exp of more than this has no square
_SMALLEST = 1e-150  # nor has 1 over less than this


class Family(Protocol):
    """Log S and log f of times (m,) given parameters (m, d)."""

    def log_survival(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of S(time)."""

    def log_density(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of the density at time."""


@dataclass(frozen=True, slots=True)
class Located:
    """A standard distribution of z, a linear function of log time (or of time).

    Attributes
    ----------
    error : {"extreme", "normal", "logistic", "gengamma"}
    log_time : bool
    scaled : bool
        Whether the second parameter is a log scale (or shape); it is 0 otherwise.
    sign : {0, 1, -1}
        0: z = (y - eta) / exp(tau). 1, -1: z = sign * eta + exp(tau) y, which makes eta a log hazard (extreme) or log
        odds of failure (1) or survival (-1).
    """

    error: str
    log_time: bool = True
    scaled: bool = True
    sign: int = 0

    def log_survival(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of S(time)."""
        z, _ = self._coordinate(time, u)
        return self._chain(STANDARD_SURVIVAL[self.error](z.value, *self._shape(u)), z)

    def log_density(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of the density at time."""
        z, slope = self._coordinate(time, u)
        out = self._chain(STANDARD_DENSITY[self.error](z.value, *self._shape(u)), z)
        first = out.first.copy()
        if self.scaled:
            first[:, 1] += np.sign(slope)
        value = out.value - (np.log(time) if self.log_time else 0.0)
        return Derivatives(value + (slope * u[:, 1] if self.scaled else 0.0), first, out.second)

    def _shape(self, u: FloatArray) -> tuple[FloatArray, ...]:
        return (u[:, 2],) if self.error == "gengamma" else ()

    def _coordinate(self, time: FloatArray, u: FloatArray) -> tuple[Derivatives, float]:
        y = np.log(time) if self.log_time else time
        m, d = y.size, 2 if self.scaled else 1
        first, second = np.zeros((m, d)), np.zeros((m, d, d))
        if self.sign == 0:
            inverse = np.exp(-u[:, 1]) if self.scaled else np.ones(m)
            value = (y - u[:, 0]) * inverse
            first[:, 0] = -inverse
            if self.scaled:
                first[:, 1] = -value
                second[:, 0, 1] = second[:, 1, 0] = inverse
                second[:, 1, 1] = value
            return Derivatives(value, first, second), -1.0
        rise = np.exp(u[:, 1]) * y if self.scaled else y
        first[:, 0] = self.sign
        if self.scaled:
            first[:, 1] = second[:, 1, 1] = rise
        return Derivatives(self.sign * u[:, 0] + rise, first, second), 1.0

    def _chain(self, outer: Derivatives, z: Derivatives) -> Derivatives:
        """Derivatives of outer(z, Q) in (eta, tau, Q)."""
        d, k = z.first.shape[1], outer.first.shape[1]
        m = z.value.size
        first, second = np.empty((m, d + k - 1)), np.zeros((m, d + k - 1, d + k - 1))
        first[:, :d] = outer.first[:, :1] * z.first
        second[:, :d, :d] = (
            outer.second[:, 0, 0, None, None] * z.first[:, :, None] * z.first[:, None, :]
            + outer.first[:, 0, None, None] * z.second
        )
        if k == 2:
            first[:, d] = outer.first[:, 1]
            second[:, d, d] = outer.second[:, 1, 1]
            second[:, :d, d] = second[:, d, :d] = outer.second[:, 0, 1, None] * z.first
        return Derivatives(outer.value, first, second)


@dataclass(frozen=True, slots=True)
class Gompertz:
    """Hazard exp(eta + shape t)."""

    def log_survival(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of S(time)."""
        eta, shape = u.T
        f1, f2, f3, _ = phi(np.minimum(shape * time, _LARGEST))
        # exp(eta) t phi_1(shape t); phi_k' = phi_k - k phi_(k+1)
        slope = f1 - f2
        bend = slope - f2 + 2 * f3
        rate = -np.exp(np.minimum(eta, _LARGEST)) * time
        first = np.column_stack([rate * f1, rate * time * slope])
        second = np.empty((time.size, 2, 2))
        second[:, 0, 0] = rate * f1
        second[:, 0, 1] = second[:, 1, 0] = rate * time * slope
        second[:, 1, 1] = rate * time**2 * bend
        return Derivatives(rate * f1, first, second)

    def log_density(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of the density at time."""
        s = self.log_survival(time, u)
        first = s.first + np.column_stack([np.ones(time.size), time])
        return Derivatives(s.value + u[:, 0] + u[:, 1] * time, first, s.second)


@dataclass(frozen=True, slots=True)
class Transformed:
    """A baseline whose hazard ("ph") or odds of survival ("po") are multiplied by exp of the last parameter."""

    baseline: Family
    link: str

    def log_survival(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of S(time)."""
        s, xi = self.baseline.log_survival(time, u[:, :-1]), u[:, -1]
        if self.link == "ph":
            ratio = np.exp(xi)
            return _compose(s, None, ratio * s.value, ratio, 0.0 * xi, ratio * s.value, ratio * s.value, ratio)
        odds, odds_s, odds_ss = _failure_odds(s.value, xi)
        failed = special.expit(odds)
        bend = failed * (1 - failed)
        return _compose(
            s,
            None,
            -np.logaddexp(0.0, odds),
            -failed * odds_s,
            -bend * odds_s**2 - failed * odds_ss,
            failed,
            -bend,
            bend * odds_s,
        )

    def log_density(self, time: FloatArray, u: FloatArray) -> Derivatives:
        """Log of the density at time."""
        s, f, xi = self.baseline.log_survival(time, u[:, :-1]), self.baseline.log_density(time, u[:, :-1]), u[:, -1]
        if self.link == "ph":
            ratio = np.exp(xi)
            value = f.value + xi + (ratio - 1) * s.value
            return _compose(s, f, value, ratio - 1, 0.0 * xi, 1 + ratio * s.value, ratio * s.value, ratio)
        # log f = log S + log F + log f0 - log S0 - log F0
        odds, odds_s, odds_ss = _failure_odds(s.value, xi)
        failed = special.expit(odds)
        slope, bend = 1 - 2 * failed, -2 * failed * (1 - failed)
        log_failed, first, second = log_one_minus_exp(s.value)
        return _compose(
            s,
            f,
            odds - 2 * np.logaddexp(0.0, odds) + f.value - s.value - log_failed,
            slope * odds_s - 1 - first,
            bend * odds_s**2 + slope * odds_ss - second,
            -slope,
            bend,
            -bend * odds_s,
        )


def _failure_odds(s: FloatArray, xi: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log odds of failure from the baseline's log S, and its derivatives in that."""
    log_failed, first, second = log_one_minus_exp(np.minimum(s, -_SMALLEST))
    return log_failed - s - xi, first - 1, second


def _compose(
    s: Derivatives,
    f: Derivatives | None,
    value: FloatArray,
    in_s: FloatArray,
    in_ss: FloatArray,
    in_xi: FloatArray,
    in_xixi: FloatArray,
    in_sxi: FloatArray,
) -> Derivatives:
    """Derivatives of value(s, f, xi) = ... + f, the last parameter being xi."""
    m, d = s.first.shape
    first, second = np.empty((m, d + 1)), np.empty((m, d + 1, d + 1))
    first[:, :d] = in_s[:, None] * s.first + (0.0 if f is None else f.first)
    first[:, d] = in_xi
    second[:, :d, :d] = (
        in_s[:, None, None] * s.second
        + in_ss[:, None, None] * s.first[:, :, None] * s.first[:, None, :]
        + (0.0 if f is None else f.second)
    )
    second[:, :d, d] = second[:, d, :d] = in_sxi[:, None] * s.first
    second[:, d, d] = in_xixi
    return Derivatives(value, first, second)


def _one(value: FloatArray, first: FloatArray, second: FloatArray) -> Derivatives:
    return Derivatives(value, first[:, None], second[:, None, None])


def _extreme_survival(z: FloatArray) -> Derivatives:
    hazard = -np.exp(np.minimum(z, _LARGEST))
    return _one(hazard, hazard, hazard)


def _extreme_density(z: FloatArray) -> Derivatives:
    hazard = np.exp(np.minimum(z, _LARGEST))
    return _one(z - hazard, 1 - hazard, -hazard)


def _normal_survival(z: FloatArray) -> Derivatives:
    log_survival = special.log_ndtr(-z)
    mills = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_survival)
    return _one(log_survival, -mills, -mills * (mills - z))


def _normal_density(z: FloatArray) -> Derivatives:
    return _one(-0.5 * z**2 - 0.5 * np.log(2 * np.pi), -z, -np.ones_like(z))


def _logistic_survival(z: FloatArray) -> Derivatives:
    p = special.expit(z)
    return _one(-np.logaddexp(0.0, z), -p, -p * (1 - p))


def _logistic_density(z: FloatArray) -> Derivatives:
    p = special.expit(z)
    return _one(z - 2 * np.logaddexp(0.0, z), 1 - 2 * p, -2 * p * (1 - p))


STANDARD_SURVIVAL: dict[str, Callable[..., Derivatives]] = {
    "extreme": _extreme_survival,
    "normal": _normal_survival,
    "logistic": _logistic_survival,
    "gengamma": gengamma_survival,
}
STANDARD_DENSITY: dict[str, Callable[..., Derivatives]] = {
    "extreme": _extreme_density,
    "normal": _normal_density,
    "logistic": _logistic_density,
    "gengamma": gengamma_density,
}


@dataclass(frozen=True, slots=True)
class RowModel:
    """A family whose parameters are linear in theta.

    Attributes
    ----------
    family : Family
    blocks : tuple of (n, q) ndarray
        Design matrix of each parameter of a row; theta holds their coefficients one after the other.
    offset : (n,) ndarray
        Added to the parameter `shifted`.
    shifted : int
    """

    family: Family
    blocks: tuple[FloatArray, ...]
    offset: FloatArray
    shifted: int = 0

    def log_survival(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of S(time) for some rows."""
        return self._curve(self.family.log_survival(time, self._parameters(theta, rows)), rows)

    def log_density(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of the density at time for some rows."""
        return self._curve(self.family.log_density(time, self._parameters(theta, rows)), rows)

    def _parameters(self, theta: FloatArray, rows: IntArray) -> FloatArray:
        ends = np.cumsum([b.shape[1] for b in self.blocks])[:-1]
        u = np.column_stack([b[rows] @ part for b, part in zip(self.blocks, np.split(theta, ends), strict=True)])
        u[:, self.shifted] += self.offset[rows]
        return u

    def _curve(self, d: Derivatives, rows: IntArray) -> Curve:
        own = [b[rows] for b in self.blocks]

        def curvature(c: FloatArray) -> FloatArray:
            # a weight of zero stands for a term that vanishes, even where a derivative overflows
            second = np.where(c[:, None, None] == 0, 0.0, c[:, None, None] * d.second)
            return np.block([[(a * second[:, j, k, None]).T @ b for k, b in enumerate(own)] for j, a in enumerate(own)])

        return Curve(d.value, np.hstack([d.first[:, j, None] * b for j, b in enumerate(own)]), curvature)
