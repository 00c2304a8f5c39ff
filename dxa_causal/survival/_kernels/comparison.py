"""Comparing groups: who is at risk and who fails at each event time, and the score tests built on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import kernel, warms
from dxa_causal._numerics.times import RankedTimes
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """Counts of g groups at the m event times, which are ordered by stratum, then time.

    Attributes
    ----------
    n_risk : (g, m) ndarray
    n_event : (causes, g, m) ndarray
    closes : (m,) ndarray of int64
        1 where the time is the last of its stratum.
    """

    n_risk: FloatArray
    n_event: FloatArray
    closes: IntArray


def count_groups(
    times: RankedTimes,
    event: IntArray,
    group: IntArray,
    stratum: IntArray | None,
    *,
    n_groups: int,
    n_causes: int = 1,
) -> GroupCounts:
    """Count from ranked times; `event` is 0 = censored, 1 .. `n_causes` = the cause."""
    sets = build_risk_sets(times, (event > 0).astype(np.int64), stratum)
    m = sets.group_rank.size
    opened = np.flatnonzero(np.concatenate([[1], sets.group_closes])[:-1])
    opening = np.repeat(opened, np.diff(np.concatenate([opened, [m]])))
    first = np.where(sets.before >= 0, sets.before + 1, opening[sets.last])
    event, group = event[sets.order], group[sets.order]
    come = np.bincount(group * (m + 1) + first, minlength=n_groups * (m + 1))
    gone = np.bincount(group * (m + 1) + sets.last + 1, minlength=n_groups * (m + 1))
    n_risk = np.cumsum((come - gone).reshape(n_groups, m + 1), axis=1)[:, :m]
    died = event > 0
    cell = ((event[died] - 1) * n_groups + group[died]) * m + sets.last[died]
    n_event = np.bincount(cell, minlength=n_causes * n_groups * m).reshape(n_causes, n_groups, m)
    return GroupCounts(n_risk.astype(np.float64), n_event.astype(np.float64), sets.group_closes)


def lagged(values: FloatArray, closes: IntArray, first: float) -> FloatArray:
    """Values at the event time before, `first` where a stratum begins; along the last axis."""
    moved = np.roll(values, 1, axis=-1)
    moved[..., np.roll(closes, 1) == 1] = first
    return moved


def product_within(factors: FloatArray, closes: IntArray) -> FloatArray:
    """Cumulative products along the last axis that start anew in each stratum."""
    rows: FloatArray = np.ascontiguousarray(factors.reshape(-1, closes.size)).copy()
    _multiply_in_place(rows, closes)
    return rows.reshape(factors.shape)


def sum_within(terms: FloatArray, closes: IntArray) -> FloatArray:
    """Cumulative sums along the last axis that start anew in each stratum."""
    rows: FloatArray = np.ascontiguousarray(terms.reshape(-1, closes.size)).copy()
    _add_in_place(rows, closes)
    return rows.reshape(terms.shape)


def quadratic_form(score: FloatArray, variance: FloatArray) -> tuple[float, int]:
    """Chi-square of a score vector and its degrees of freedom, the rank of the covariance.

    Groups that never meet (in different strata, or one gone before the other
    came) leave that rank smaller than their number less one.
    """
    scale = np.sqrt(np.diag(variance))
    seen = scale > 0
    scale = scale[seen]
    values, vectors = np.linalg.eigh(variance[np.ix_(seen, seen)] / np.outer(scale, scale))
    real = values > 1e-9 * max(1.0, values.max(initial=0.0))
    projected = vectors[:, real].T @ (score[seen] / scale)
    return float(np.sum(projected**2 / values[real])), int(real.sum())


@kernel
def _multiply_in_place(rows, closes):
    for g in range(rows.shape[0]):
        for j in range(1, rows.shape[1]):
            if closes[j - 1] == 0:
                rows[g, j] *= rows[g, j - 1]


@kernel
def _add_in_place(rows, closes):
    for g in range(rows.shape[0]):
        for j in range(1, rows.shape[1]):
            if closes[j - 1] == 0:
                rows[g, j] += rows[g, j - 1]


@warms
def _warm() -> None:
    one = np.ones(1, dtype=np.int64)
    _multiply_in_place(np.ones((1, 1)), one)
    _add_in_place(np.ones((1, 1)), one)
