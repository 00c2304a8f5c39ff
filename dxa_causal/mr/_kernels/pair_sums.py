"""Closed-form estimators for many pairs of exposure and outcome at once; pair p has the rows start[p] to start[p + 1].

Every pair has at least one row. The formulas are those of `regression`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """Effects (r,) on exposure and outcome, standard errors, and where the pairs begin (p + 1,)."""

    bx: FloatArray
    by: FloatArray
    sx: FloatArray
    sy: FloatArray
    start: IntArray

    @property
    def size(self) -> IntArray:
        """Rows of each pair."""
        return np.diff(self.start)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum within each pair."""
        found: FloatArray = np.add.reduceat(values, self.start[:-1])
        return found

    def spread(self, values: FloatArray) -> FloatArray:
        """One value per pair, repeated over its rows."""
        return np.repeat(values, self.size)

    def take(self, pairs: IntArray) -> Rows:
        """Some of the pairs."""
        size = self.size[pairs]
        start = np.concatenate(([0], np.cumsum(size)))
        rows = np.repeat(self.start[pairs] - start[:-1], size) + np.arange(start[-1])
        return Rows(self.bx[rows], self.by[rows], self.sx[rows], self.sy[rows], start)


class Slope(NamedTuple):
    """Per pair: slope, its standard error at a dispersion of one, Q."""

    estimate: FloatArray
    std_error: FloatArray
    q: FloatArray


class Line(NamedTuple):
    """Per pair: slope and intercept, standard errors at a dispersion of one, Q; nan where all |bx| are equal."""

    slope: FloatArray
    slope_std_error: FloatArray
    intercept: FloatArray
    intercept_std_error: FloatArray
    q: FloatArray


def ivw(r: Rows) -> Slope:
    """Slope through the origin, weights 1 / sy^2."""
    w = r.sy**-2.0
    information = r.sums(w * r.bx**2)
    estimate = r.sums(w * r.bx * r.by) / information
    q = r.sums(w * (r.by - r.spread(estimate) * r.bx) ** 2)
    return Slope(estimate, information**-0.5, q)


def egger(r: Rows) -> Line:
    """Slope and intercept after every variant is coded to raise the exposure."""
    y, x, w = np.where(r.bx < 0, -r.by, r.by), np.abs(r.bx), r.sy**-2.0
    total = r.sums(w)
    mean_x, mean_y = r.sums(w * x) / total, r.sums(w * y) / total
    dx, dy = x - r.spread(mean_x), y - r.spread(mean_y)
    sxx = r.sums(w * dx**2)
    sxx = np.where(sxx > 1e-20 * total * mean_x**2, sxx, np.nan)
    slope = r.sums(w * dx * dy) / sxx
    q = r.sums(w * (dy - r.spread(slope) * dx) ** 2)
    return Line(slope, sxx**-0.5, mean_y - slope * mean_x, np.sqrt(1.0 / total + mean_x**2 / sxx), q)
