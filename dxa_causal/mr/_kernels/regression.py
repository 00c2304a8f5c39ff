"""Weighted regressions of the variants' outcome effects on their exposure effects, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IvwEstimate:
    """Slope through the origin: estimate, fixed-effect standard error, Cochran's Q on n - 1 df."""

    estimate: float
    std_error_fixed: float
    q: float
    df: int

    @property
    def sigma(self) -> float:
        """Residual standard error; above 1 under heterogeneity."""
        return float(np.sqrt(self.q / self.df))


@dataclass(frozen=True, slots=True)
class EggerEstimate:
    """Slope and intercept with standard errors widened under heterogeneity, Rucker's Q on n - 2 df."""

    slope: float
    slope_std_error: float
    intercept: float
    intercept_std_error: float
    q: float
    df: int


def ivw(bx: FloatArray, by: FloatArray, sy: FloatArray) -> IvwEstimate:
    """Inverse-variance weighted slope through the origin, weights 1 / sy^2; bx must not be all zero."""
    w = 1.0 / sy**2
    information = float(np.sum(w * bx**2))
    estimate = float(np.sum(w * bx * by)) / information
    q = float(np.sum(w * (by - estimate * bx) ** 2))
    return IvwEstimate(estimate, information**-0.5, q, bx.size - 1)


def egger(bx: FloatArray, by: FloatArray, sy: FloatArray) -> EggerEstimate | None:
    """Slope and intercept after every variant is coded to raise the exposure; None if all |bx| are equal."""
    by = np.where(bx < 0, -by, by)  # a zero effect counts as positive
    bx = np.abs(bx)
    w = 1.0 / sy**2
    total = float(np.sum(w))
    mean_x, mean_y = float(np.sum(w * bx)) / total, float(np.sum(w * by)) / total
    dx, dy = bx - mean_x, by - mean_y
    sxx = float(np.sum(w * dx**2))
    if sxx <= 1e-20 * total * mean_x**2:
        return None
    slope = float(np.sum(w * dx * dy)) / sxx
    q = float(np.sum(w * (dy - slope * dx) ** 2))
    df = bx.size - 2
    widen = max(1.0, float(np.sqrt(q / df)))
    return EggerEstimate(
        slope=slope,
        slope_std_error=widen / sxx**0.5,
        intercept=mean_y - slope * mean_x,
        intercept_std_error=widen * (1.0 / total + mean_x**2 / sxx) ** 0.5,
        q=q,
        df=df,
    )
