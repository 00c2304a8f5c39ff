"""Cumulative incidence of each of several causes in one group (Aalen-Johansen)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.counts import RiskCounts, count_at_risk
from dxa_causal.survival._kernels.influence import jackknife_variance

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CumulativeIncidence:
    """Steps of the incidences at each distinct exit time.

    Attributes
    ----------
    place : (k,) ndarray of int64
        Index of each time among the distinct times of all groups.
    n_risk : (k,) ndarray
        Sums of weights.
    n_event, incidence, std_error : (causes, k) ndarray
    """

    place: IntArray
    n_risk: FloatArray
    n_event: FloatArray
    incidence: FloatArray
    std_error: FloatArray


def cumulative_incidence(
    rank: IntArray,
    entry_rank: IntArray | None,
    event: IntArray,
    weight: FloatArray,
    *,
    n_causes: int,
    jackknife: bool,
    cluster: IntArray | None = None,
) -> CumulativeIncidence:
    r""":math:`F_c(t) = \sum_{s \le t} S(s-) d_c / n` from ranked times; `event` holds the cause, 0 = censored."""
    counts = count_at_risk(rank, entry_rank, event, weight, n_causes=n_causes)
    n = counts.n_risk
    survival = np.cumprod(counts.n_left / n, dtype=np.float64)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence = np.cumsum(before * counts.n_event / n, axis=1)
    if jackknife:
        variance = _jackknife(counts, event, weight, cluster, before, incidence)
    else:
        variance = _martingale(counts, survival, before, incidence)
    return CumulativeIncidence(counts.place, n, counts.n_event, incidence, np.sqrt(np.maximum(variance, 0.0)))


def _jackknife(
    counts: RiskCounts,
    event: IntArray,
    weight: FloatArray,
    cluster: IntArray | None,
    before: FloatArray,
    incidence: FloatArray,
) -> FloatArray:
    r"""Sum of squared influences.

    With :math:`\ell_i(t) = \sum_{s \le t} (dN_i - Y_i d/n) / (n - d)`, minus the influence on log S,

    .. math:: U_i(t) = \sum_{s \le t} S(s-) (dN_{ic} - Y_i d_c / n) / n - \ell_i(s-) dF_c(s).

    While row i is at risk, :math:`\ell_i = A(e) - A(s)` for its entry e and
    :math:`A = \sum d / (n (n - d))`, so that :math:`U_i(t) = G(t) - A(e) F_c(t)` plus a
    constant, with :math:`G = \sum A(s-) dF_c - S(s-) d_c / n^2`; after its exit only F moves on.
    """
    n, d, left = counts.n_risk, counts.n_event.sum(axis=0), counts.n_left
    with np.errstate(divide="ignore"):
        jump = np.where(left > 0, 1.0 / left, 0.0)
    total = np.concatenate([[0.0], np.cumsum(d / n * jump)])
    at_entry, leave = total[counts.entered], counts.exit
    log_survival = (event > 0) * jump[leave] - (total[leave + 1] - at_entry)
    one, none = np.ones(event.size), np.zeros(event.size)
    variance = np.zeros_like(incidence)
    for c, curve in enumerate(incidence):
        step = before * counts.n_event[c] / n
        drift = np.cumsum(total[:-1] * step - step / n)
        f0, g0 = (np.concatenate([[0.0], path])[counts.entered] for path in (curve, drift))
        final = drift[leave] - g0 - at_entry * (curve[leave] - f0) + (event == c + 1) * before[leave] / n[leave]
        variance[c] = jackknife_variance(
            counts,
            weight,
            cluster,
            np.column_stack([drift, curve, np.ones(n.size)]),
            np.column_stack([one, -at_entry, at_entry * f0 - g0]),
            np.column_stack([none, -log_survival, final + log_survival * curve[leave]]),
        )
    return variance


def _martingale(counts: RiskCounts, survival: FloatArray, before: FloatArray, incidence: FloatArray) -> FloatArray:
    r"""Variance from the martingales of the cause-specific hazards, as cmprsk's.

    An event of the cause c at s moves :math:`F_c(t)` by :math:`1 - (F_c(t) - F_c(s)) / S(s)`, another event by
    :math:`-(F_c(t) - F_c(s)) / S(s)`, each times :math:`S(s-) / n`; the variance of a number of events d is
    :math:`d (n - d) / (n - 1)`, that of drawing without replacement.
    """
    n = counts.n_risk
    with np.errstate(divide="ignore", invalid="ignore"):
        alive = np.where(survival > 0, 1.0 / survival, 0.0)
        spread = [
            (before / n) ** 2 * d * np.where(n > 1, (n - d) / (n - 1), 1.0)
            for d in (counts.n_event, counts.n_event.sum(axis=0) - counts.n_event)
        ]
    spread[1] = np.where(survival > 0, spread[1], 0.0)
    own, other = 1.0 + incidence * alive, incidence * alive
    # sums of (p - F(t) q)^2 v over the events up to t
    constant = np.cumsum(own**2 * spread[0] + other**2 * spread[1], axis=1)
    linear = np.cumsum(alive * (own * spread[0] + other * spread[1]), axis=1)
    square = np.cumsum(alive**2 * (spread[0] + spread[1]), axis=1)
    variance: FloatArray = constant - 2.0 * incidence * linear + incidence**2 * square
    return variance
