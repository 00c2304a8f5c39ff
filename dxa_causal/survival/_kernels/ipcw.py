r"""Inverse-probability-of-censoring weights at horizons, and what estimating the censoring curve adds to an influence.

A row whose event came by the horizon t weighs :math:`1 / \hat G(T-)`, one observed beyond it :math:`1 / \hat G(t)`, one
censored before it nothing; G is the Kaplan-Meier estimate of the censoring times, of which events at the same time
come first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CensoringCurve:
    """Censoring distribution of some rows.

    Attributes
    ----------
    rows : (m,) ndarray of int64
        Rows it is estimated from and serves.
    place : (m,) ndarray of int64
        Place of each row's exit among the distinct times.
    censored : (m,) ndarray of bool
    n_risk, n_stay, n_censor : (k,) ndarray
        At each distinct time: at risk, of these without an event, and censored.
    survival : (k + 1,) ndarray
        G after 0, 1, ... of the distinct times.
    """

    rows: IntArray
    place: IntArray
    censored: BoolArray
    n_risk: FloatArray
    n_stay: FloatArray
    n_censor: FloatArray
    survival: FloatArray


@dataclass(frozen=True, slots=True)
class CensoringWeights:
    """Weights of all rows at horizons.

    Attributes
    ----------
    curves : tuple of CensoringCurve
    reached : (h,) ndarray of int64
        Number of distinct times at or before each horizon.
    by : (n, h) ndarray of bool
        Event (of any cause) by the horizon.
    beyond : (n, h) ndarray of bool
        Observed beyond it.
    weight : (n, h) ndarray
    """

    curves: tuple[CensoringCurve, ...]
    reached: IntArray
    by: BoolArray
    beyond: BoolArray
    weight: FloatArray


def censoring_curves(rank: IntArray, n_times: int, censored: BoolArray, codes: IntArray) -> tuple[CensoringCurve, ...]:
    """Kaplan-Meier of the censoring times within each value of `codes`, from ranked times."""
    curves = []
    for code in range(int(codes.max()) + 1):
        rows = np.flatnonzero(codes == code)
        place, lost = rank[rows], censored[rows]
        left = np.bincount(place, minlength=n_times).astype(np.float64)
        n_censor = np.bincount(place[lost], minlength=n_times).astype(np.float64)
        n_risk = left[::-1].cumsum()[::-1]
        stay = n_risk - (left - n_censor)
        hazard = n_censor / np.maximum(stay, 1.0)
        survival = np.concatenate([[1.0], np.cumprod(1.0 - hazard)])
        curves.append(CensoringCurve(rows, place, lost, n_risk, stay, n_censor, survival))
    return tuple(curves)


def censoring_weights(curves: tuple[CensoringCurve, ...], reached: IntArray) -> CensoringWeights:
    """Weights at horizons that come after `reached` of the distinct times.

    Someone must be observed beyond each horizon within every curve, or its weight is infinite.
    """
    n = sum(curve.rows.size for curve in curves)
    by, beyond = np.zeros((n, reached.size), dtype=bool), np.zeros((n, reached.size), dtype=bool)
    weight = np.zeros((n, reached.size))
    for curve in curves:
        later = curve.place[:, None] >= reached
        known = ~later & ~curve.censored[:, None]
        by[curve.rows], beyond[curve.rows] = known, later
        with np.errstate(divide="ignore"):
            own, end = 1.0 / curve.survival[curve.place], 1.0 / curve.survival[reached]
        weight[curve.rows] = np.where(later, end, np.where(known, own[:, None], 0.0))
    return CensoringWeights(curves, reached, by, beyond, weight)


def censoring_influence(weights: CensoringWeights, terms: FloatArray, *, exact: bool = False) -> FloatArray:
    r"""Influence of each row on the mean of `terms` through the estimated censoring curves, (n, h).

    Parameters
    ----------
    weights : CensoringWeights
    terms : (n, h) float64
        Terms of each row that are proportional to its weight at the horizon; any number of columns for one horizon.
    exact : bool
        The derivative of the mean in the weight of each row, rather than its limit in large samples below.

    Notes
    -----
    With :math:`Q(u)` the sum of the terms of rows whose weight takes in time u (exit after u), the influence is

    .. math:: \int_0^t \frac{Q(u)}{Y(u)} \Big\{ dN^c_i(u) - 1(T_i \ge u) \frac{dN^c(u)}{Y(u)} \Big\},

    which costs O(n) for each horizon. The derivative in finite samples takes for Y those without an event at u (who
    are at risk of being censored), in the first denominator without those censored then.
    """
    value = np.zeros_like(terms)
    for curve in weights.curves:
        k = curve.n_risk.size
        by_place = np.zeros((k, terms.shape[1]))
        for j in range(terms.shape[1]):
            by_place[:, j] = np.bincount(curve.place, terms[curve.rows, j], minlength=k)
        later = by_place[::-1].cumsum(axis=0)[::-1] - by_place
        later = np.where(np.arange(k)[:, None] < weights.reached, later, 0.0)
        at_risk = curve.n_stay if exact else curve.n_risk
        own = later / np.maximum(at_risk - curve.n_censor if exact else at_risk, 1.0)[:, None]
        drift = np.cumsum(own * (curve.n_censor / np.maximum(at_risk, 1.0))[:, None], axis=0)
        # a row with an event is not at risk of being censored at its own time
        before = np.concatenate([np.zeros((1, terms.shape[1])), drift])[curve.place + (curve.censored | (not exact))]
        value[curve.rows] = np.where(curve.censored[:, None], own[curve.place], 0.0) - before
    return value
