"""Straight lines between two devices that both err: Deming, Passing-Bablok."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """Intercept and slope with standard errors (nan where the method has none).

    Attributes
    ----------
    intercept, slope : float
    intercept_se, slope_se : float
    """

    intercept: float
    slope: float
    intercept_se: float
    slope_se: float


def deming(x: FloatArray, y: FloatArray, error_ratio: float) -> Line:
    """Line through the points when both coordinates err, with jackknife standard errors.

    `error_ratio` is the variance of the errors of y over that of x.

    Examples
    --------
    >>> import numpy as np
    >>> line = deming(np.array([1.0, 2, 3, 4]), np.array([3.0, 5, 7, 9]), 1.0)
    >>> round(line.intercept, 9), round(line.slope, 9)
    (1.0, 2.0)
    """
    n = x.size
    mx, my = x.mean(), y.mean()
    dx, dy = x - mx, y - my
    sxx, syy, sxy = dx @ dx, dy @ dy, dx @ dy
    slope = float(_deming_slope(sxx, syy, sxy, error_ratio))
    # moments without one point at a time, by downdating
    share = n / (n - 1.0)
    slopes = _deming_slope(sxx - share * dx**2, syy - share * dy**2, sxy - share * dx * dy, error_ratio)
    intercepts = (my - dy / (n - 1.0)) - slopes * (mx - dx / (n - 1.0))
    return Line(float(my - slope * mx), slope, _jackknife_se(intercepts), _jackknife_se(slopes))


def _deming_slope(sxx: FloatArray, syy: FloatArray, sxy: FloatArray, ratio: float) -> FloatArray:
    difference = syy - ratio * sxx
    root = np.sqrt(difference**2 + 4.0 * ratio * sxy**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        # two forms of one root: the sum that does not cancel
        return np.asarray(
            np.where(difference > 0, (difference + root) / (2.0 * sxy), 2.0 * ratio * sxy / (root - difference))
        )


def _jackknife_se(left_out: FloatArray) -> float:
    n = left_out.size
    return float(np.sqrt((n - 1.0) / n * np.sum((left_out - left_out.mean()) ** 2)))


@dataclass(frozen=True, slots=True)
class PairSlopes:
    """Slopes of all pairs of points, sorted, and how many lie below -1.

    Attributes
    ----------
    slopes : (m,) ndarray
    below : int
        The median is moved by so many places.
    """

    slopes: FloatArray
    below: int

    def centre(self) -> float:
        """Shifted median."""
        return float(self._at((self.slopes.size + 1) / 2.0 + self.below))

    def limits(self, n: int, conf_level: float) -> tuple[float, float]:
        """Slopes between which the true one lies, by the variance of Kendall's statistic of `n` points."""
        reach = special.ndtri(0.5 + conf_level / 2.0) * np.sqrt(n * (n - 1.0) * (2.0 * n + 5.0) / 18.0)
        first = round((self.slopes.size - reach) / 2.0)
        return self._at(first + self.below), self._at(self.slopes.size - first + 1 + self.below)

    def _at(self, place: float) -> float:
        """Order statistic, counted from 1; of two where the place lies between."""
        i = int(place)
        if not (i >= 1 and place <= self.slopes.size):
            return float("-inf" if i < 1 else "inf")
        return float(self.slopes[i - 1] if place == i else 0.5 * (self.slopes[i - 1] + self.slopes[i]))


def pair_slopes(x: FloatArray, y: FloatArray) -> PairSlopes:
    """Slopes of all pairs; equal points have none, and a slope of -1 stands on neither side.

    Examples
    --------
    >>> import numpy as np
    >>> pair_slopes(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])).slopes
    array([0.5, 2. ])
    """
    i, j = np.triu_indices(x.size, 1)
    dx, dy = x[j] - x[i], y[j] - y[i]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = dy / dx
    # points one above the other: upright, whichever comes first; slopes below -1 follow on beyond it
    slope = np.where(dx == 0, np.where(dy == 0, np.nan, np.inf), slope)
    slope = np.sort(slope[~np.isnan(slope) & (slope != -1.0)])
    return PairSlopes(slope, int(np.sum(slope < -1.0)))


def centred_intercept(x: FloatArray, y: FloatArray, slope: float) -> float:
    """Median of what the slope leaves."""
    return float(np.median(y - slope * x)) if np.isfinite(slope) else float("-inf" if slope > 0 else "inf")
