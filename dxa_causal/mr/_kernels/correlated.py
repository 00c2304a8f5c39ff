"""Generalised least squares and profile likelihood for variants in linkage disequilibrium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GlsEstimate:
    """Coefficients, their covariance with the given variances, residual chi-squared Q and its df."""

    coef: FloatArray
    cov: FloatArray
    q: float
    df: int

    @property
    def widen(self) -> float:
        """Residual standard error, at least 1."""
        return max(1.0, float(np.sqrt(self.q / self.df))) if self.df > 0 else 1.0


@dataclass(frozen=True, slots=True)
class ProfileEstimate:
    """Maximum of a profile likelihood, standard error from its curvature, and minus twice its logarithm Q."""

    estimate: float
    std_error: float
    q: float


def covariance(se: FloatArray, ld: FloatArray) -> FloatArray:
    """Covariance of effects with standard errors `se` and correlation `ld`."""
    found: FloatArray = np.outer(se, se) * ld
    return found


def gls(design: FloatArray, by: FloatArray, cov_y: FloatArray) -> GlsEstimate:
    """Regress `by` on the columns of `design` with error covariance `cov_y` (positive definite)."""
    root = np.linalg.cholesky(cov_y)
    x, y = np.linalg.solve(root, design), np.linalg.solve(root, by)
    cov = np.linalg.inv(x.T @ x)
    coef = cov @ (x.T @ y)
    residual = y - x @ coef
    return GlsEstimate(coef, cov, float(residual @ residual), by.size - design.shape[1])


def profile_q(theta: float, bx: FloatArray, by: FloatArray, v0: FloatArray, v1: FloatArray, v2: FloatArray) -> float:
    """Minus twice the profile log-likelihood: residual over its covariance v0 - theta v1 + theta^2 v2."""
    residual = by - theta * bx
    return float(residual @ np.linalg.solve(v0 - theta * v1 + theta**2 * v2, residual))


def maxlik(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, ld: FloatArray, psi: float
) -> ProfileEstimate:
    """Maximise the likelihood over the true effects and the causal effect; `psi` correlates the two samples."""
    from scipy.optimize import minimize_scalar

    v0, v2 = covariance(sy, ld), covariance(sx, ld)
    cross = psi * np.outer(sx, sy) * ld
    v1 = cross + cross.T
    start = gls(bx[:, None], by, v0)
    centre, width = float(start.coef[0]), float(np.sqrt(start.cov[0, 0])) * start.widen
    grid = centre + width * np.linspace(-10.0, 10.0, 81)
    values = np.array([profile_q(float(t), bx, by, v0, v1, v2) for t in grid])
    best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    found = minimize_scalar(
        profile_q, args=(bx, by, v0, v1, v2), bounds=(low, high), method="bounded", options={"xatol": 1e-10 * width}
    )
    theta, step = float(found.x), 1e-3 * width
    q = profile_q(theta, bx, by, v0, v1, v2)
    around = sum(profile_q(theta + s * step, bx, by, v0, v1, v2) for s in (-1.0, 1.0))
    curvature = (around - 2.0 * q) / step**2
    return ProfileEstimate(theta, float(np.sqrt(2.0 / curvature)) if curvature > 0 else float("nan"), q)
