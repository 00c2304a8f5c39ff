"""Cumulative hazard of one group: Nelson-Aalen, or Fleming and Harrington's way with ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.counts import count_at_risk
from dxa_causal.survival._kernels.influence import hazard_variance

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CumulativeHazard:
    """Steps of a cumulative hazard at each distinct exit time.

    Attributes
    ----------
    place : (k,) ndarray of int64
        Index of each time among the distinct times of all groups.
    n_risk, n_event, n_censor : (k,) ndarray
        Sums of weights.
    hazard, std_error : (k,) ndarray
    """

    place: IntArray
    n_risk: FloatArray
    n_event: FloatArray
    n_censor: FloatArray
    hazard: FloatArray
    std_error: FloatArray


def cumulative_hazard(
    rank: IntArray,
    entry_rank: IntArray | None,
    event: IntArray,
    weight: FloatArray,
    *,
    one_by_one: bool,
    robust: bool,
    cluster: IntArray | None = None,
) -> CumulativeHazard:
    r"""Sum of :math:`d / n` from ranked times.

    `one_by_one`: the m deaths of weight d tied at one time leave one after the
    other, :math:`\sum_{j < m} (d / m) / (n - j d / m)`. The model-based variance
    sums each term divided by its denominator.
    """
    counts = count_at_risk(rank, entry_rank, event, weight)
    d, n, m = counts.n_event[0], counts.n_risk, counts.n_death
    if one_by_one:
        at = np.repeat(np.arange(n.size), m)
        gone = (np.arange(at.size) - np.repeat(np.cumsum(m) - m, m)) / m[at]
        part = d[at] / m[at]
        left = n[at] - gone * d[at]
        terms = (part / left, part / left**2, (1.0 / left + gone * d[at] / left**2) / m[at])
        step, slope, jump = (np.bincount(at, term, n.size).astype(np.float64) for term in terms)
    else:
        step, slope, jump = d / n, d / n**2, 1.0 / n
    variance = hazard_variance(counts, event, weight, cluster, slope, jump) if robust else np.cumsum(slope)
    return CumulativeHazard(counts.place, n, d, counts.n_censor, np.cumsum(step), np.sqrt(variance))
