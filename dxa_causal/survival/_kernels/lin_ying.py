"""Lin and Ying's additive hazards model: closed form from sums over the risk set.

Notation inside this file. The distinct (entry and exit) times of a stratum are its places; step k is the stretch
from place k - 1 to place k, whose risk set does not change, with events at its end:

    S0, m    sum of weights at risk, their weighted mean of x
    dt       its length; 0 where nobody is at risk

    A = sum_i w_i (time at risk)_i x_i x_i' - sum_k dt S0 m m'
    b = sum over events of w (x - m)        beta = A^-1 b

What a row meets while at risk is a running sum over steps at its exit less that at its entry, so everything costs
O(n p) and two matrix products.

Lin DY, Ying Z. Biometrika 1994;81:61-71. doi:10.1093/biomet/81.1.61
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._numerics.times import RankedTimes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AdditiveSums:
    """Steps of all strata, by stratum, then time, and what each row brings.

    Attributes
    ----------
    z : (n, p) ndarray
        Covariates less `centre`.
    centre : (p,) ndarray
    weight, event : (n,) ndarray
    entered, left : (n,) ndarray of int64
        Places of entry and exit: row i is at risk in the steps ``entered < k <= left``.
    time : (s,) ndarray
        Of each place.
    stratum : (s,) ndarray of int64
    length : (s,) ndarray
        dt.
    at_risk : (s,) ndarray
        S0; 1 where nobody is at risk.
    mean : (s, p) ndarray
        m of z.
    information : (p, p) ndarray
        A.
    score : (p,) ndarray
        b.
    deviation : (n, p) ndarray
        w (z - m) of the events, zero for other rows.
    """

    z: FloatArray
    centre: FloatArray
    weight: FloatArray
    event: IntArray
    entered: IntArray
    left: IntArray
    time: FloatArray
    stratum: IntArray
    length: FloatArray
    at_risk: FloatArray
    mean: FloatArray
    information: FloatArray
    score: FloatArray
    deviation: FloatArray


@dataclass(frozen=True, slots=True)
class BaselineHazard:
    """Cumulative hazard at the mean covariates at given times, in one stratum, and how it varies.

    For covariates z the cumulative hazard is ``hazard + exposed * z'beta``; its derivative in beta is
    ``exposed * z - exposed_mean``.

    Attributes
    ----------
    hazard : (k,) ndarray
    exposed : (k,) ndarray
        Time with anybody at risk.
    exposed_mean : (k, p) ndarray
        Integral of m over that time.
    variance : (k,) ndarray
        Of the hazard were beta known.
    covariance : (k, p) ndarray
        Of that with b.
    """

    hazard: FloatArray
    exposed: FloatArray
    exposed_mean: FloatArray
    variance: FloatArray
    covariance: FloatArray


def additive_sums(
    x: FloatArray, times: RankedTimes, event: IntArray, weight: FloatArray, stratum: IntArray
) -> AdditiveSums:
    """Sums over risk sets; `stratum` codes 0, 1, ..."""
    n = event.size
    n_places = times.distinct.size + 1  # one before the first time: where rows without delayed entry come in
    base = stratum * n_places
    enter = base if times.entry_rank is None else base + 1 + times.entry_rank
    places, at = np.unique(np.concatenate([enter, base + 1 + times.rank]), return_inverse=True)
    entered, left = at[:n], at[n:]
    rank = places % n_places - 1
    time = np.where(rank < 0, 0.0, times.distinct[rank])
    occupied = _present(np.ones(n), entered, left, places.size) > 0.5
    length = np.where(occupied, np.diff(time, prepend=0.0), 0.0)
    at_risk = np.where(occupied, _present(weight, entered, left, places.size), 1.0)
    centre = x.mean(axis=0)
    z = x - centre
    mean = np.zeros((places.size, x.shape[1]))
    for k in range(x.shape[1]):
        mean[:, k] = np.where(occupied, _present(weight * z[:, k], entered, left, places.size) / at_risk, 0.0)
    exposed = np.cumsum(length)
    exposure = weight * (exposed[left] - exposed[entered])
    deviation = np.where(event == 1, weight, 0.0)[:, None] * (z - mean[left])
    return AdditiveSums(
        z=z,
        centre=centre,
        weight=weight,
        event=event,
        entered=entered,
        left=left,
        time=time,
        stratum=places // n_places,
        length=length,
        at_risk=at_risk,
        mean=mean,
        information=(z * exposure[:, None]).T @ z - (mean * (length * at_risk)[:, None]).T @ mean,
        score=deviation.sum(axis=0),
        deviation=deviation,
    )


def hazard_steps(sums: AdditiveSums, beta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Baseline hazard of each step: the jump at its end and what it gains over its length, (s,) each."""
    jump = np.bincount(sums.left, sums.weight * sums.event, sums.time.size) / sums.at_risk
    return jump, -sums.length * (sums.mean @ beta)


def score_residuals(sums: AdditiveSums, beta: FloatArray) -> FloatArray:
    """w_i times the integral of (x_i - m) dM_i over the time row i is at risk, (n, p)."""
    jump, drift = hazard_steps(sums, beta)
    hazard = jump + drift
    linear = sums.z @ beta
    lived = _passed(sums.length, sums) * linear + _passed(hazard, sums)
    residual = sums.deviation - (sums.weight * lived)[:, None] * sums.z
    for k in range(beta.size):
        m = sums.mean[:, k]
        residual[:, k] += sums.weight * (_passed(m * sums.length, sums) * linear + _passed(m * hazard, sums))
    return residual


def baseline_hazard(
    sums: AdditiveSums, beta: FloatArray, code: int, at: FloatArray, unit: IntArray | None = None
) -> BaselineHazard:
    """Cumulative baseline hazard of stratum `code` at times `at`.

    Without `unit` the variances are the martingale ones. With it, the unit 0, 1, ... each row belongs to, they are
    sums over units of squares and products of what the units add to hazard and b.
    """
    jump, drift = hazard_steps(sums, beta)
    own = np.flatnonzero(sums.stratum == code)
    time = sums.time[own]

    def gained(step: FloatArray) -> FloatArray:
        """Running sum, linear within a step."""
        return np.asarray(np.interp(at, time, np.cumsum(step[own])))

    def jumped(step: FloatArray) -> FloatArray:
        """Running sum, all at the end of a step."""
        total = np.concatenate([[0.0], np.cumsum(step[own])])
        return np.asarray(total[np.searchsorted(time, at, side="right")])

    hazard, exposed = gained(drift) + jumped(jump), gained(sums.length)
    p = beta.size
    exposed_mean = np.empty((at.size, p))
    for k in range(p):
        exposed_mean[:, k] = gained(sums.length * sums.mean[:, k])
    variance, covariance = np.empty(at.size), np.empty((at.size, p))
    if unit is None:
        size = sums.time.size
        variance[:] = jumped(np.bincount(sums.left, sums.weight**2 * sums.event, size) / sums.at_risk**2)
        for k in range(p):
            covariance[:, k] = jumped(np.bincount(sums.left, sums.weight * sums.deviation[:, k], size) / sums.at_risk)
        return BaselineHazard(hazard, exposed, exposed_mean, variance, covariance)
    n_units = int(unit.max()) + 1
    score = sum_by_unit(score_residuals(sums, beta), unit)
    rows = np.flatnonzero(sums.stratum[sums.left] == code)
    entered, left = sums.entered[rows], sums.left[rows]
    linear = sums.z[rows] @ beta
    running = [np.cumsum(step) for step in ((jump + drift) / sums.at_risk, sums.length / sums.at_risk)]
    here = [gained(drift / sums.at_risk) + jumped(jump / sums.at_risk), gained(sums.length / sums.at_risk)]
    origin = own[0]
    for j, t in enumerate(at):
        by_hazard, by_time = (
            np.where(sums.time[left] <= t, total[left] - total[origin], now[j])
            - np.where(sums.time[entered] <= t, total[entered] - total[origin], now[j])
            for total, now in zip(running, here, strict=True)
        )
        event = sums.event[rows] * (sums.time[left] <= t) / sums.at_risk[left]
        added = np.bincount(unit[rows], sums.weight[rows] * (event - by_hazard - linear * by_time), n_units)
        variance[j] = added @ added
        covariance[j] = added @ score
    return BaselineHazard(hazard, exposed, exposed_mean, variance, covariance)


def sum_by_unit(values: FloatArray, unit: IntArray) -> FloatArray:
    """Sum rows of `values` that belong to one unit."""
    total = np.zeros((int(unit.max()) + 1, values.shape[1]))
    np.add.at(total, unit, values)
    return total


def _present(value: FloatArray, entered: IntArray, left: IntArray, size: int) -> FloatArray:
    """Sum over the rows at risk in each step; those of other strata have left or not yet come."""
    come = np.bincount(entered + 1, value, size + 1)
    gone = np.bincount(left + 1, value, size + 1)
    return np.asarray(np.cumsum(come - gone)[:size])


def _passed(step: FloatArray, sums: AdditiveSums) -> FloatArray:
    """Sum over the steps a row is at risk in, (n,)."""
    total = np.cumsum(step)
    return np.asarray(total[sums.left] - total[sums.entered])
