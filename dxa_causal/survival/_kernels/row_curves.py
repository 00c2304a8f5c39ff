r"""What one row does to a Kaplan-Meier, Nelson-Aalen or Aalen-Johansen curve.

Both the derivative of a curve in the weight of a row (infinitesimal
jackknife) and the curve without the row (jackknife) have one shape: up to the
row's exit at r all rows share one function `base`; from r on the value is
``at_exit + ratio * (curve(t) - curve(r))``. One pass over the distinct times
and two numbers per row therefore stand for all n curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.counts import RiskCounts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Curve = Literal["survival", "hazard", "incidence"]


@dataclass(frozen=True, slots=True)
class RowCurves:
    """One function of time per row, and the curve of all rows.

    Attributes
    ----------
    curve, base : (k + 1,) ndarray
        Values before the first and from each of the k distinct times on.
    exit : (n,) ndarray of int64
        Exit of each row among the distinct times.
    at_exit, ratio : (n,) ndarray
    """

    curve: FloatArray
    base: FloatArray
    exit: IntArray
    at_exit: FloatArray
    ratio: FloatArray

    def at(self, place: IntArray) -> FloatArray:
        """Values of every row's function, (n, m), after the first `place` of the distinct times."""
        after = self.at_exit[:, None] + self.ratio[:, None] * (self.curve[place] - self.curve[self.exit + 1][:, None])
        return np.where(place <= self.exit[:, None], self.base[place], after)

    def area(self, time: FloatArray, horizon: FloatArray) -> FloatArray:
        """Integrals of every row's function, (n, m), from 0 to each horizon; `time` holds the k distinct times."""
        left = np.minimum(time[self.exit][:, None], horizon)
        beyond = horizon - left
        whole = integral(self.curve, time, horizon) - integral(self.curve, time, left)
        gain = whole - self.curve[self.exit + 1][:, None] * beyond
        return integral(self.base, time, left) + self.at_exit[:, None] * beyond + self.ratio[:, None] * gain


def integral(step: FloatArray, time: FloatArray, upper: FloatArray) -> FloatArray:
    """Integral from 0 to `upper` of a step function with values `step` before the first and from each time on."""
    start = np.concatenate([[0.0], time])
    total = np.concatenate([[0.0], np.cumsum(step[:-1] * np.diff(start))])
    place = np.searchsorted(time, upper, side="right")
    area: FloatArray = total[place] + step[place] * (upper - start[place])
    return area


def derivatives(kind: Curve, counts: RiskCounts, event: IntArray, cause: int) -> RowCurves:
    r"""Derivative of the curve in the weight of each row.

    Parameters
    ----------
    kind : {"survival", "hazard", "incidence"}
    counts : RiskCounts
    event : (n,) ndarray of int64
        0 = censored, otherwise the cause.
    cause : int
        The cause whose hazard or incidence is meant.

    Notes
    -----
    With :math:`g(t) = \sum_{s \le t} d / (n (n - d))`, the derivative of
    log S(t) is :math:`g(t)` before the exit of the row and
    :math:`g(r) - 1\{\text{event}\} / (n_r - d_r)` from it on.
    """
    n, left, c, out = counts.n_risk, counts.n_left, counts.n_event[cause - 1], counts.exit
    of_cause = event == cause
    if kind == "hazard":
        base = np.concatenate([[0.0], -np.cumsum(c / n**2)])
        at_exit = base[out + 1] + of_cause / n[out]
        return RowCurves(_from(0.0, np.cumsum(c / n)), base, out, at_exit, np.zeros(event.size))
    survival = _from(1.0, np.cumprod(left / n))
    jump = np.where(left > 0, 1.0 / np.where(left > 0, left, 1.0), 0.0)
    g = _from(0.0, np.cumsum((1.0 - left / n) * jump))
    ratio = g[out + 1] - (event > 0) * jump[out]
    if kind == "survival":
        return RowCurves(survival, survival * g, out, survival[out + 1] * ratio, ratio)
    incidence = _from(0.0, np.cumsum(survival[:-1] * c / n))
    base = _from(0.0, np.cumsum(survival[:-1] * c / n * (g[:-1] - 1.0 / n)))
    return RowCurves(incidence, base, out, base[out + 1] + of_cause * survival[out] / n[out], ratio)


def without_row(kind: Curve, counts: RiskCounts, event: IntArray, cause: int) -> RowCurves:
    """The curve that the other n - 1 rows give, for each row; arguments as in `derivatives`, weights all one.

    A curve whose last row is gone keeps its last value.
    """
    n, left, c, out = counts.n_risk, counts.n_left, counts.n_event[cause - 1], counts.exit
    others = np.maximum(n - 1.0, 1.0)  # n = 1 only at the last time, where no row stays
    own = (c[out] - (event == cause)) / others[out]
    if kind == "hazard":
        base = _from(0.0, np.cumsum(c / others))
        return RowCurves(_from(0.0, np.cumsum(c / n)), base, out, base[out] + own, np.ones(event.size))
    survival = _from(1.0, np.cumprod(left / n))
    # at the last time nobody stays, and the value there stands for no row
    stays = _from(1.0, np.cumprod(np.maximum(left - 1.0, 0.0) / others))
    gone = n[out] - left[out] - (event > 0)
    after = stays[out] * (1.0 - gone / others[out])
    ended = survival[out + 1] == 0.0
    ratio = np.where(ended, 0.0, after / np.where(ended, 1.0, survival[out + 1]))
    if kind == "survival":
        return RowCurves(survival, stays, out, after, ratio)
    base = _from(0.0, np.cumsum(stays[:-1] * c / others))
    return RowCurves(_from(0.0, np.cumsum(survival[:-1] * c / n)), base, out, base[out] + stays[out] * own, ratio)


def _from(start: float, values: npt.NDArray[np.floating]) -> FloatArray:
    return np.concatenate([[start], values])
