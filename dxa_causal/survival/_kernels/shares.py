"""What each row adds to the risk observed in a group, and how certain the risk is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.counts import count_at_risk
from dxa_causal.survival._kernels.row_curves import derivatives

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def risk_shares(rank: IntArray, event: IntArray, place: int, *, n_causes: int, cause: int) -> FloatArray:
    r"""Infinitesimal-jackknife pseudo-observations of the risk of `cause`, (n,).

    Their mean is the Aalen-Johansen estimate (one cause: one minus Kaplan-Meier) after the times of rank below
    `place`, and their deviations from it are the influences of the rows: the variance of the estimate is
    :math:`\sum_i (\theta_i - \bar\theta)^2 / n^2`.
    """
    n = rank.size
    counts = count_at_risk(rank, None, event, np.ones(n), n_causes=n_causes)
    slopes = derivatives("incidence", counts, event, cause)
    at = np.array([np.searchsorted(counts.place, place)])
    return np.asarray(slopes.curve[at] + n * slopes.at(at)[:, 0])
