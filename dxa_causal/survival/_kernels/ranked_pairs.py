"""Concordance of a score with one cause of failure, and its influence function, in O(n log n)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.concordance import concordance_later, concordance_totals, dense_ranks

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RankedPairs:
    """Weighted share of concordant pairs.

    Attributes
    ----------
    estimate : float
        NaN where no pair can be compared.
    influence : (n,) ndarray
        Infinitesimal jackknife: the variance of the estimate is its sum of squares.
    """

    estimate: float
    influence: FloatArray


def ranked_pairs(
    rank: IntArray, case: BoolArray, other: BoolArray, score: FloatArray, free: FloatArray | None
) -> RankedPairs:
    r"""Share of pairs in which the row that fails from the cause has the larger score; tied scores count one half.

    A case at t is paired with those who go on beyond t, or are censored at t, and with those who failed from another
    cause before t and so never fail from this one (Wolbers et al. 2014).

    Parameters
    ----------
    rank : (n,) int64
        Ranks of the exit times.
    case, other : (n,) bool
        Events of the cause (those that count) and of other causes.
    score : (n,) float64
    free : (n,) float64, optional
        Probability :math:`G(T-)` of being uncensored just before exit. Pairs then weigh :math:`G(T_i-)^{-2}`, with
        those who failed from another cause :math:`\{G(T_i-) G(T_j-)\}^{-1}`; without it each counts once.
    """
    scores, n_scores = dense_ranks(score, np.argsort(score))
    one = np.ones(rank.size)
    inverse = one if free is None else 1.0 / np.maximum(free, np.finfo(np.float64).tiny)
    event = case.astype(np.int64)
    agree, pairs = _sums(rank, event, scores, n_scores, one, inverse**2)
    if other.any():
        # backwards in time, a case meets the earlier failures of other causes, but also earlier cases: those go out
        both, turned = case | other, np.where(case, -2 * rank, -2 * rank - 1)
        turned = turned - turned.min()
        weight = np.where(other, inverse, 1.0)
        for rows, sign in ((np.flatnonzero(both), 1.0), (np.flatnonzero(case), -1.0)):
            part = _sums(turned[rows], event[rows], scores[rows], n_scores, weight[rows], inverse[rows])
            agree[rows] += sign * part[0]
            pairs[rows] += sign * part[1]
    total = pairs.sum() / 2.0  # every pair stands at both its rows
    if total <= 0.0:
        return RankedPairs(float("nan"), np.full(rank.size, np.nan))
    estimate = float(agree.sum() / 2.0 / total)
    return RankedPairs(estimate, (agree - estimate * pairs) / total)


def _sums(
    rank: IntArray, event: IntArray, scores: IntArray, n_scores: int, weight: FloatArray, event_weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights of the concordant pairs of each row and of all its pairs."""
    order = np.argsort(rank, kind="stable")
    n = rank.size
    arguments = (
        scores[order],
        n_scores,
        np.full(n, -1, dtype=np.int64),
        rank[order],
        event[order],
        weight[order],
        event_weight[order],
        np.empty(0, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
    )
    _, agree, pairs = concordance_totals(*arguments)
    later_agree, later_pairs = concordance_later(*arguments)
    out_agree, out_pairs = np.empty(n), np.empty(n)
    out_agree[order] = weight[order] * (agree + later_agree)
    out_pairs[order] = weight[order] * (pairs + later_pairs)
    return out_agree, out_pairs
