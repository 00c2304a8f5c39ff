"""Mean survival over rows of a Cox model, and the influence of each row on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.cox import BRESLOW, CoxData, CoxIncrements, cumulate, increments

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Cumulative baseline hazard H of each stratum and what moves it.

    A unit of weight more on a row, of risk r, changes H(t) at fixed
    coefficients by its jump, once it had its event, less r times the increase of
    `slope` while it was at risk.

    Attributes
    ----------
    sums : CoxIncrements
    hazard, slope : (g,) ndarray
        Cumulative A and a (see the module on Cox's likelihood).
    drift : (g, p) ndarray
        Minus the derivative of H in the coefficients.
    risk, jump : (m,) ndarray
        Of the rows ``sets.order``.
    """

    sums: CoxIncrements
    hazard: FloatArray
    slope: FloatArray
    drift: FloatArray
    risk: FloatArray
    jump: FloatArray


def baseline(data: CoxData, beta: FloatArray) -> Baseline:
    """Gather the sums at `beta`, ties by Efron's method or Breslow's."""
    s, sums = data.sets, increments(data, beta)
    close, n = s.group_closes, s.group_closes.size
    risk = np.exp(data.offset + data.x @ beta - sums.centre[s.last])
    died = np.flatnonzero(s.event == 1)
    g = s.last[died]
    weight: FloatArray = np.bincount(g, data.weight[died], n).astype(np.float64)
    jump = np.zeros(risk.size)
    jump[died] = (sums.hazard / weight)[g]
    if data.ties != BRESLOW:
        jump[died] += risk[died] * _tie_slope(data, risk * data.weight, weight)[g]
    hazard, slope, drift = (cumulate(v, close) for v in (sums.hazard, sums.hazard_variance, sums.drift))
    return Baseline(sums, hazard, slope, drift, risk, jump)


def _tie_slope(data: CoxData, risk: FloatArray, weight: FloatArray) -> FloatArray:
    """By group, b of the module on Cox's likelihood: m times the sum over k of (k/d) / s_k^2."""
    s, n = data.sets, data.sets.group_closes.size
    late = s.entry_order
    gone = np.bincount(s.last, risk, n) - np.bincount(s.before[late], risk[late], n)
    behind = np.concatenate([gone[::-1].cumsum()[::-1], [0.0]])
    s0 = behind[:n] - behind[np.searchsorted(s.group_stratum, s.group_stratum, side="right")]
    died = s.event == 1
    d, d0 = np.bincount(s.last[died], minlength=n), np.bincount(s.last[died], risk[died], n)
    at = np.repeat(np.arange(n), d)
    share = (np.arange(at.size) - np.repeat(np.cumsum(d) - d, d)) / d[at]
    slope: FloatArray = weight / d * np.bincount(at, share / (s0[at] - share * d0[at]) ** 2, n)
    return slope


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to average over, those of the fit, covariates possibly set to other values.

    Attributes
    ----------
    x : (n, p) ndarray
        Standardised.
    offset, weight : (n,) ndarray
    stratum : (n,) ndarray of int64
    """

    x: FloatArray
    offset: FloatArray
    weight: FloatArray
    stratum: IntArray


def mean_survival(
    base: Baseline, data: CoxData, rows: Rows, beta: FloatArray, dfbeta: FloatArray, stop: IntArray
) -> tuple[float, FloatArray]:
    """Weighted mean over rows of the survival at one time, and its first-order change without each row.

    Parameters
    ----------
    base : Baseline
    data : CoxData
    rows : Rows
    beta : (p,) ndarray
    dfbeta : (n, p) ndarray
        The same changes of `beta`.
    stop : (strata,) ndarray of int64
        Last event group of each stratum at or before the time; -1 for none.
    """
    sets, some = data.sets, stop >= 0
    at = np.maximum(stop, 0)
    hazard = np.where(some, base.hazard[at], 0.0)[rows.stratum]
    drift = np.where(some[:, None], base.drift[at], 0.0)[rows.stratum]
    centre = np.where(some, base.sums.centre[at], 0.0)[rows.stratum]
    risk = np.exp(rows.x @ beta + rows.offset - centre)
    survival = np.exp(-risk * hazard)
    share = rows.weight / rows.weight.sum()
    mean = float(share @ survival)
    # derivatives of the mean in the coefficients and in the hazard of each stratum
    pull = share * survival * risk
    by_beta = pull @ (drift - rows.x * hazard[:, None])
    by_hazard = -np.bincount(rows.stratum, pull, stop.size)
    stratum = sets.group_stratum[sets.last]
    last = np.minimum(sets.last, stop[stratum])
    entered = np.where(sets.before >= 0, base.slope[np.maximum(sets.before, 0)], 0.0)
    exposed = np.where(last > sets.before, base.slope[np.maximum(last, 0)] - entered, 0.0)
    change = data.weight * (np.where(sets.last <= stop[stratum], base.jump, 0.0) - base.risk * exposed)
    influence = share * (survival - mean) + dfbeta @ by_beta
    influence[sets.order] += by_hazard[stratum] * change
    return mean, influence
