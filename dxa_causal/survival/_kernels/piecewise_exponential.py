"""A hazard that is constant between breaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.lifetime_likelihood import Curve, IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PiecewiseModel:
    """Parameters: a log rate per piece, then those of the covariates.

    Attributes
    ----------
    breaks : (k - 1,) ndarray
        A time equal to a break belongs to the piece before it.
    x : (n, p) ndarray
    offset : (n,) ndarray
    """

    breaks: FloatArray
    x: FloatArray
    offset: FloatArray

    def log_survival(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of S(time) for some rows."""
        k = self.breaks.size + 1
        x = self.x[rows]
        begin = np.concatenate([[0.0], self.breaks])
        end = np.concatenate([self.breaks, [np.inf]])
        exposure = np.clip(time[:, None], begin, end) - begin
        hazard = exposure * np.exp(theta[:k] + (x @ theta[k:] + self.offset[rows])[:, None])
        total = hazard.sum(axis=1)

        def curvature(c: FloatArray) -> FloatArray:
            weighted = c[:, None] * hazard
            cross = weighted.T @ x
            return -np.block([[np.diag(weighted.sum(axis=0)), cross], [cross.T, (x * (c * total)[:, None]).T @ x]])

        return Curve(-total, -np.hstack([hazard, total[:, None] * x]), curvature)

    def log_density(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of the density at time for some rows."""
        k = self.breaks.size + 1
        survival = self.log_survival(theta, rows, time)
        own = np.zeros((time.size, k))
        own[np.arange(time.size), np.searchsorted(self.breaks, time, side="left")] = 1.0
        columns = np.hstack([own, self.x[rows]])
        return Curve(
            survival.value + columns @ theta + self.offset[rows], survival.gradient + columns, survival.curvature
        )
