"""Product-limit estimate of one group, with Greenwood's or the infinitesimal-jackknife variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    rank: IntArray, entry_rank: IntArray | None, event: IntArray, weight: FloatArray, *, robust: bool
) -> ProductLimit:
    r"""Kaplan-Meier from ranked times.

    Greenwood: :math:`S^2 \sum d / (n (n - d))`. Robust: with
    :math:`\partial \log S(t) / \partial w_i = -\sum_{s \le t} (dN_i - Y_i d/n) / (n - d)`, the
    sum of squares of :math:`w_i` times that, in one pass because all rows at
    risk share their running sum up to the value at entry.
    """
    n_ranks = int(rank.max()) + 1
    died = event == 1
    d_all: FloatArray = np.bincount(rank[died], weight[died], n_ranks).astype(np.float64)
    out_all: FloatArray = np.bincount(rank, weight, n_ranks).astype(np.float64)
    n_all = out_all[::-1].cumsum()[::-1]
    if entry_rank is not None:
        # at risk just before t: entered before t
        late = np.bincount(entry_rank, weight, n_ranks)
        n_all = n_all - late[::-1].cumsum()[::-1]
    place = np.unique(rank)
    d, n = d_all[place], n_all[place]
    censored = out_all[place] - d
    left = n - d
    # a sum of weights leaves rounding noise where the last subject dies
    left[np.abs(left) <= 1e-12 * n] = 0.0
    survival = np.cumprod(left / n)
    if robust:
        std_error = survival * _jackknife(place, rank, entry_rank, died, weight, d, n, left)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            std_error = survival * np.sqrt(np.cumsum(d / (n * left)))
    return ProductLimit(place, n, d, censored, survival, std_error)


def _jackknife(
    place: IntArray,
    rank: IntArray,
    entry_rank: IntArray | None,
    died: npt.NDArray[np.bool_],
    weight: FloatArray,
    d: FloatArray,
    n: FloatArray,
    left: FloatArray,
) -> FloatArray:
    k = place.size
    with np.errstate(divide="ignore", invalid="ignore"):
        jump = np.where(left > 0, 1.0 / left, 0.0)
    running = np.cumsum(d / n * jump)
    position = np.searchsorted(place, rank)
    at_entry = np.zeros(rank.size)
    entered_at = np.zeros(rank.size, dtype=np.int64)
    if entry_rank is not None:
        entered_at = np.searchsorted(place, entry_rank, side="right")
        at_entry = np.concatenate([[0.0], running])[entered_at]
    final = running[position] - at_entry - died * jump[position]
    w2 = weight**2
    gone = np.cumsum(np.bincount(position, w2 * final**2, k))
    present = np.zeros((3, k + 1))
    for row, value in enumerate((w2, w2 * at_entry, w2 * at_entry**2)):
        present[row] = np.bincount(entered_at, value, k + 1) - np.bincount(position, value, k + 1)
    # rows whose exit is at t have their final value at t; those that exit later still share the running sum
    count, first, second = np.cumsum(present, axis=1)[:, :k]
    alive: FloatArray = running**2 * count - 2 * running * first + second
    return np.sqrt(np.maximum(gone + alive, 0.0))
