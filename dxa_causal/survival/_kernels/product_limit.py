"""Product-limit estimate of one group, with Greenwood's or the infinitesimal-jackknife variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.counts import count_at_risk
from dxa_causal.survival._kernels.influence import hazard_variance

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ProductLimit:
    """Steps of a survival curve at each distinct exit time.

    Attributes
    ----------
    place : (k,) ndarray of int64
        Index of each time among the distinct times of all groups.
    n_risk, n_event, n_censor : (k,) ndarray
        Sums of weights.
    survival : (k,) ndarray
    std_error : (k,) ndarray
        Of the survival; NaN once the curve has reached zero (Greenwood).
    """

    place: IntArray
    n_risk: FloatArray
    n_event: FloatArray
    n_censor: FloatArray
    survival: FloatArray
    std_error: FloatArray


def product_limit(
    rank: IntArray,
    entry_rank: IntArray | None,
    event: IntArray,
    weight: FloatArray,
    *,
    robust: bool,
    cluster: IntArray | None = None,
) -> ProductLimit:
    r"""Kaplan-Meier from ranked times.

    Greenwood: :math:`S^2 \sum d / (n (n - d))`. Robust: the sum of squares,
    over rows or over the codes in `cluster`, of :math:`w_i` times
    :math:`\partial S(t) / \partial w_i = -S(t) \sum_{s \le t} (dN_i - Y_i d/n) / (n - d)`.
    """
    counts = count_at_risk(rank, entry_rank, event, weight)
    d, n, left = counts.n_event[0], counts.n_risk, counts.n_left
    survival = np.cumprod(left / n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if robust:
            # a curve at zero stays there, whatever the weights
            jump = np.where(left > 0, 1.0 / left, 0.0)
            variance = hazard_variance(counts, event, weight, cluster, d / n * jump, jump)
        else:
            variance = np.cumsum(d / (n * left))
        std_error: FloatArray = survival * np.sqrt(variance)
    return ProductLimit(counts.place, n, d, counts.n_censor, survival, std_error)
