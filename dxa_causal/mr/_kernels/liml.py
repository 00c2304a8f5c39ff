"""Limited-information maximum likelihood: moments whose covariance depends on the effects looked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Liml(NamedTuple):
    """Effects (k,), their covariance (k, k) and the minimised Q."""

    coef: FloatArray
    cov: FloatArray
    q: float


class Moments(NamedTuple):
    """Outcome effects y (r,) = x (r, k) @ theta + error with covariance cov_y + sum theta_i theta_j cov_x[i, j]."""

    x: FloatArray
    y: FloatArray
    cov_x: FloatArray
    cov_y: FloatArray

    def error_cov(self, theta: FloatArray) -> FloatArray:
        """Covariance (r, r) of y - x theta."""
        found: FloatArray = self.cov_y + np.einsum("i,j,ijab->ab", theta, theta, self.cov_x)
        return found

    def q(self, theta: FloatArray) -> float:
        """Residual over its covariance."""
        e = self.y - self.x @ theta
        return float(e @ np.linalg.solve(self.error_cov(theta), e))

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Derivative of `q`, that of the covariance included."""
        e = self.y - self.x @ theta
        u = np.linalg.solve(self.error_cov(theta), e)
        slope: FloatArray = -2.0 * (self.x.T @ u) - 2.0 * np.einsum("j,a,ijab,b->i", theta, u, self.cov_x, u)
        return slope

    def cov(self, theta: FloatArray) -> FloatArray:
        """Covariance of the estimate."""
        found: FloatArray = np.linalg.inv(self.x.T @ np.linalg.solve(self.error_cov(theta), self.x))
        return found


def liml(m: Moments) -> Liml:
    """Least `q`, from the least-squares fit and from weighted fits iterated; the better of the two."""
    from scipy.optimize import minimize

    first = np.asarray(np.linalg.lstsq(m.x, m.y, rcond=None)[0], dtype=np.float64)
    second = first
    for _ in range(20):
        weighted = np.linalg.solve(m.error_cov(second), m.x).T
        second = np.asarray(np.linalg.solve(weighted @ m.x, weighted @ m.y), dtype=np.float64)
    best, least = first, np.inf
    for start in (first, second):
        scale = np.sqrt(np.diag(m.cov(start)))
        found = minimize(
            lambda t, s=scale: m.q(t * s), start / scale, jac=lambda t, s=scale: m.gradient(t * s) * s, method="BFGS",
            options={"gtol": 1e-9},
        )  # fmt: skip
        if found.fun < least:
            best, least = _polished(m, found.x * scale, scale), float(found.fun)
    return Liml(best, m.cov(best), m.q(best))


def _polished(m: Moments, theta: FloatArray, scale: FloatArray) -> FloatArray:
    """Newton steps with differenced second derivatives, as long as the gradient shrinks."""
    for _ in range(5):
        slope = m.gradient(theta)
        step = 1e-4 * scale
        curvature = np.array(
            [(m.gradient(theta + d) - m.gradient(theta - d)) / (2 * d[j]) for j, d in enumerate(np.diag(step))]
        )
        moved = theta - np.linalg.solve((curvature + curvature.T) / 2, slope)
        if not np.linalg.norm(m.gradient(moved) * scale) < np.linalg.norm(slope * scale):
            break
        theta = moved
    return theta


def liml_widened(m: Moments) -> tuple[Liml, float]:
    """Fit anew with the variance added to every moment that brings `q` to its df; the fit, and that variance."""
    fit = liml(m)
    extra = overdispersion(m, fit.coef, m.y.size - m.x.shape[1])
    return (liml(m._replace(cov_y=m.cov_y + extra * np.eye(m.y.size))) if extra > 0 else fit), extra


def overdispersion(m: Moments, theta: FloatArray, target: float) -> float:
    """Variance to add to every moment (may be below zero) that brings `q` at `theta` down, or up, to `target`.

    The largest root: the last crossing before the covariance stops being positive definite.
    """
    from scipy.optimize import brentq

    value, vector = np.linalg.eigh(m.error_cov(theta))
    part = (vector.T @ (m.y - m.x @ theta)) ** 2

    def excess(kappa: float) -> float:
        return float(np.sum(part / (value + kappa))) - target

    low = -float(value[0])
    high = float(np.sum(part)) / target + abs(low)
    near = low + (high - low) * 1e-12
    return float(brentq(excess, near, high, xtol=1e-16 * max(1.0, high), rtol=1e-13)) if excess(near) > 0 else 0.0
