r"""Likelihood of intervals under proportional hazards or odds, and its derivatives, in the jumps of the baseline.

The baseline is a sum :math:`\Lambda(t)` of jumps :math:`h_k \ge 0`, one for each region that can hold mass. With
:math:`\theta_i = \exp(\eta_i)`,

    ph   S(t | x) = exp(-theta Lambda(t))          Lambda is the cumulative hazard
    po   S(t | x) = 1 / (1 + theta Lambda(t))      Lambda is the odds of an event

A row has :math:`V`, :math:`L` and :math:`R`, the values of :math:`\Lambda` at entry and at its bounds, and contributes
:math:`\log\{S(L) - S(R)\} - \log S(V)`. Under ph this is :math:`-\theta (L - V) + \log(1 - e^{-\theta (R - L)})`,
concave in the jumps; entry only shortens the first sum. An exact time is an interval around one jump.

Every jump k enters V, L and R of the rows whose bound lies beyond it, so sums over jumps are running sums over
rows sorted by bound: O(n + m) for the gradient and O(n + k^2) for the second derivatives in k jumps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Link = Literal["ph", "po"]


@dataclass(frozen=True, slots=True)
class IntervalData:
    """Rows of an interval-censored sample on the regions in which survival stays positive.

    Attributes
    ----------
    entry, low, high : (n,) ndarray of int64
        As of `Support`, over the m regions kept.
    open : (n,) ndarray of bool
        Survival after the interval is zero: right-censored, or the interval holds a spent region.
    weight : (n,) ndarray
    kept : (m,) ndarray of int64
        Which regions of the support these are.
    link : {"ph", "po"}
    """

    entry: IntArray
    low: IntArray
    high: IntArray
    open: BoolArray
    weight: FloatArray
    kept: IntArray
    link: Link

    @property
    def m(self) -> int:
        """Number of regions."""
        return self.kept.size


@dataclass(frozen=True, slots=True)
class RowTerms:
    """Log-likelihood of each row and its derivatives in eta and in V, L, R (all with the weight), each (n,).

    `width` is minus the second derivative in R - L; `bend_*` are the further second derivatives in V, L, R.
    `eta_*` are derivatives by eta and the other.
    """

    value: FloatArray
    by_v: FloatArray
    by_l: FloatArray
    by_r: FloatArray
    by_eta: FloatArray
    width: FloatArray
    bend_v: FloatArray
    bend_l: FloatArray
    bend_r: FloatArray
    eta_eta: FloatArray
    eta_v: FloatArray
    eta_l: FloatArray
    eta_r: FloatArray


def bounds(data: IntervalData, active: IntArray, jumps: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """V, L and R of every row."""
    at = np.zeros(data.m + 1)
    at[active + 1] = jumps
    at = np.cumsum(at)
    return at[data.entry], at[data.low], at[data.high]


def widths(data: IntervalData, active: IntArray, jumps: FloatArray) -> FloatArray:
    """R - L without the loss of a difference where one jump is all there is."""
    count = counted(active, data.m)
    first, last = count[data.low], count[data.high]
    single = last - first == 1
    at = np.concatenate([[0.0], np.cumsum(jumps)])
    width = at[last] - at[first]
    width[single] = jumps[first[single]]
    return width


def counted(active: IntArray, m: int) -> IntArray:
    """Active jumps before each region, (m + 1,)."""
    mask = np.zeros(m + 1, dtype=np.int64)
    mask[active + 1] = 1
    return np.cumsum(mask)


def log_likelihood(data: IntervalData, eta: FloatArray, active: IntArray, jumps: FloatArray) -> FloatArray:
    """Log-likelihood of every row, without its weight; minus infinity where an interval holds no jump."""
    v, low, high = bounds(data, active, jumps)
    s = widths(data, active, jumps)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        theta = np.exp(eta)
        if data.link == "ph":
            return -theta * (low - v) + np.where(data.open, 0.0, np.log(-np.expm1(-theta * s)))
        value = np.log1p(theta * v) - np.log1p(theta * low)
        return value + np.where(data.open, 0.0, eta + np.log(s) - np.log1p(theta * high))


def row_terms(data: IntervalData, eta: FloatArray, active: IntArray, jumps: FloatArray) -> RowTerms:
    """Value and derivatives, times the weight."""
    v, low, high = bounds(data, active, jumps)
    s = widths(data, active, jumps)
    theta, w, closed = np.exp(eta), data.weight, ~data.open
    value = w * log_likelihood(data, eta, active, jumps)
    zero = np.zeros_like(w)
    if data.link == "ph":
        u = np.where(closed, theta * s, 1.0)
        with np.errstate(over="ignore"):
            r = closed / np.expm1(u)
        slope = r * (1.0 - u * (1.0 + r)) * theta  # derivative by eta of theta r
        wide = w * theta
        return RowTerms(
            value=value,
            by_v=wide,
            by_l=-wide * (1.0 + r),
            by_r=wide * r,
            by_eta=w * (u * r - theta * (low - v)),
            width=wide * theta * r * (1.0 + r),
            bend_v=zero,
            bend_l=zero,
            bend_r=zero,
            eta_eta=w * (s * slope - theta * (low - v)),
            eta_v=wide,
            eta_l=-wide - w * slope,
            eta_r=w * slope,
        )
    near = np.where(closed, 1.0 / np.where(closed, s, 1.0), 0.0)
    share_v, share_l, share_r = (theta / (1.0 + theta * at) for at in (v, low, high))
    share_r = share_r * closed
    own = w / (1.0 + theta * v), w / (1.0 + theta * low), w / (1.0 + theta * high)
    return RowTerms(
        value=value,
        by_v=w * share_v,
        by_l=-w * (share_l + near),
        by_r=w * (near - share_r),
        by_eta=w * (closed + share_v * v - share_l * low - share_r * high),
        width=w * near**2,
        bend_v=-w * share_v**2,
        bend_l=w * share_l**2,
        bend_r=w * share_r**2,
        eta_eta=own[0] * share_v * v - own[1] * share_l * low - own[2] * share_r * high,
        eta_v=own[0] * share_v,
        eta_l=-own[1] * share_l,
        eta_r=-own[2] * share_r,
    )


def by_jump(data: IntervalData, of_v: FloatArray, of_l: FloatArray, of_r: FloatArray) -> FloatArray:
    """Derivatives in V, L, R of the rows as derivatives in the jumps of all regions, (m,)."""
    size = data.m + 1
    total = np.bincount(data.entry, of_v, size) + np.bincount(data.low, of_l, size) + np.bincount(data.high, of_r, size)
    behind = np.cumsum(total[::-1])[::-1]
    return behind[1:]


def at_risk(data: IntervalData, eta: FloatArray) -> FloatArray:
    """Sum of weight times theta over those known to survive each region, (m,): the scale of the gradient under ph."""
    risk = data.weight * np.exp(eta)
    size = data.m + 1
    passing = np.bincount(data.low, risk, size) - np.bincount(data.entry, risk, size)
    surviving: FloatArray = np.cumsum(passing[::-1])[::-1][1:]
    return surviving


@dataclass(frozen=True, slots=True)
class Curvature:
    """Minus the second derivatives in the active jumps, (k, k); positive semi-definite with `bend` zero (po: without).

    Jumps i and j share the `width` of every row that covers both, and `bend` at the later of the two.
    """

    first: IntArray
    last: IntArray
    width: FloatArray
    bend: FloatArray

    def diagonal(self) -> FloatArray:
        """Diagonal, (k,)."""
        k = self.bend.size
        begun = np.bincount(self.first, self.width, k + 1) - np.bincount(self.last, self.width, k + 1)
        return np.cumsum(begun)[:k] - self.bend

    def dense(self) -> FloatArray:
        """Return the whole matrix; O(n + k^2)."""
        k = self.bend.size
        # rows that cover jumps i <= j begin at i or before and end after j
        rows = np.bincount(self.first * (k + 1) + self.last, self.width, (k + 1) ** 2)
        table = np.cumsum(rows.reshape(k + 1, k + 1), axis=0)[:k]
        upper = np.triu(np.cumsum(table[:, ::-1], axis=1)[:, ::-1][:, 1:])
        matrix = (upper + np.triu(upper, 1).T).astype(np.float64, copy=False)
        if self.bend.any():
            matrix -= self.bend[np.maximum.outer(np.arange(k), np.arange(k))]
        return matrix

    def multiply(self, y: FloatArray) -> FloatArray:
        """Product with a vector; O(n + k)."""
        k = self.bend.size
        before = np.concatenate([[0.0], np.cumsum(y)])
        covered = self.width * (before[self.last] - before[self.first])
        begun = np.bincount(self.first, covered, k + 1) - np.bincount(self.last, covered, k + 1)
        product: FloatArray = np.cumsum(begun.astype(np.float64))[:k]
        if self.bend.any():
            later = self.bend * y
            product -= self.bend * before[1:] + np.cumsum(later[::-1])[::-1] - later
        return product


def curvature(data: IntervalData, terms: RowTerms, active: IntArray, *, all_terms: bool) -> Curvature:
    """Second derivatives in the active jumps; without `all_terms` those of a lower bound that is concave."""
    k = active.size
    count = counted(active, data.m)
    low, high = count[data.low], count[data.high]
    bend: FloatArray = np.bincount(count[data.entry], terms.bend_v, k + 1).astype(np.float64)
    if all_terms:
        bend = bend + np.bincount(low, terms.bend_l, k + 1) + np.bincount(high, terms.bend_r, k + 1)
    some = (high > low) & ~data.open
    return Curvature(low[some], high[some], terms.width[some], np.cumsum(bend[::-1])[::-1][1:])
