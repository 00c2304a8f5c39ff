"""Infinitesimal-jackknife variances in one pass through time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms
from dxa_causal.survival._kernels.counts import RiskCounts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def jackknife_variance(
    counts: RiskCounts,
    weight: FloatArray,
    unit: IntArray | None,
    path: FloatArray,
    during: FloatArray,
    after: FloatArray,
) -> FloatArray:
    r"""Sum over units of the squared influence on an estimate at each place.

    All rows at risk share what happens around them: the influence of row i is
    :math:`\sum_j c_{ij} P_j(t)` with paths P common to all and coefficients
    that change only when the row comes and when it leaves. Cost: O(n log n),
    with no array of rows x times.

    Parameters
    ----------
    counts : RiskCounts
        Of n rows and k places.
    weight : (n,) ndarray
    unit : (n,) ndarray of int64 or None
        Codes of what is left out together; None: each row on its own.
    path : (k, m) ndarray
    during, after : (n, m) ndarray
        Coefficients while at risk, and from the place of exit on.

    Returns
    -------
    (k,) ndarray
    """
    place = np.concatenate([counts.entered, counts.exit])
    change = np.concatenate([during, after - during]) * np.tile(weight, 2)[:, None]
    units = np.arange(weight.size) if unit is None else np.unique(unit, return_inverse=True)[1]
    order = np.argsort(place, kind="stable")
    total: FloatArray = sum_of_squares(
        np.ascontiguousarray(path),
        place[order],
        np.tile(units, 2)[order].astype(np.int64, copy=False),
        np.ascontiguousarray(change[order]),
        int(units.max()) + 1,
    )
    return total


def hazard_variance(
    counts: RiskCounts, event: IntArray, weight: FloatArray, unit: IntArray | None, slope: FloatArray, jump: FloatArray
) -> FloatArray:
    r"""Jackknife variance of a sum over event times, such as a cumulative hazard or the log of a survival curve.

    A row at risk lowers the sum by `slope` (per unit of its weight) at each
    place; having its event there adds `jump`.
    """
    total = np.cumsum(slope)
    at_entry = np.concatenate([[0.0], total])[counts.entered]
    one, none = np.ones(event.size), np.zeros(event.size)
    final = (event > 0) * jump[counts.exit] - (total[counts.exit] - at_entry)
    path = np.column_stack([total, np.ones(total.size)])
    return jackknife_variance(
        counts, weight, unit, path, np.column_stack([-one, at_entry]), np.column_stack([none, final])
    )


@kernel
def sum_of_squares(path, place, unit, change, n_units):
    """Per place, the sum over units of (coefficients . path)^2, changes being sorted by place."""
    k, m = path.shape
    coefficient = np.zeros((n_units, m))
    square = np.zeros((m, m))
    total = np.zeros(k)
    j = 0
    for t in range(k):
        while j < place.shape[0] and place[j] <= t:
            own = coefficient[unit[j]]
            for a in range(m):
                for b in range(m):
                    square[a, b] -= own[a] * own[b]
            for a in range(m):
                own[a] += change[j, a]
            for a in range(m):
                for b in range(m):
                    square[a, b] += own[a] * own[b]
            j += 1
        for a in range(m):
            for b in range(m):
                total[t] += path[t, a] * square[a, b] * path[t, b]
        total[t] = max(total[t], 0.0)
    return total


@warms
def _warm() -> None:
    zero = np.zeros(1, dtype=np.int64)
    sum_of_squares(np.ones((1, 2)), zero, zero, np.ones((1, 2)), 1)
