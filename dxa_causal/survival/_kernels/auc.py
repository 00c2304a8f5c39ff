"""Area under the time-dependent ROC curve and its influence function, in O(n log n)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.ipcw import CensoringWeights, censoring_influence

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Auc:
    """AUC at each horizon.

    Attributes
    ----------
    estimate : (h,) ndarray
    influence : (n, h) ndarray
        Sums to zero; the variance of the estimate is that of the influence over n.
    """

    estimate: FloatArray
    influence: FloatArray


def auc(score: FloatArray, case: BoolArray, control: BoolArray, weights: CensoringWeights) -> Auc:
    r"""Weighted share of pairs of a case and a control in which the case has the larger score; ties count one half.

    Parameters
    ----------
    score : (n, h) float64
    case, control : (n, h) bool
        At each horizon; rows may be neither.
    weights : CensoringWeights

    Notes
    -----
    With the weights :math:`w_i` of cases and :math:`v_j` of controls,
    :math:`\theta = \sum_{ij} w_i v_j c_{ij} / (\sum w_i \sum v_j)` where c is 1, 1/2 or 0. Sums over the other side of
    every pair come from one sort of the scores and cumulative sums.
    """
    n, h = score.shape
    w, v = np.where(case, weights.weight, 0.0), np.where(control, weights.weight, 0.0)
    mean_w, mean_v = w.mean(axis=0), v.mean(axis=0)
    below, above = np.empty((n, h)), np.empty((n, h))
    for j in range(h):
        if j == 0 or not np.array_equal(score[:, j], score[:, j - 1]):
            ranks = np.unique(score[:, j], return_inverse=True)[1]
        controls, cases = np.bincount(ranks, v[:, j]), np.bincount(ranks, w[:, j])
        below[:, j] = (np.cumsum(controls) - 0.5 * controls)[ranks]
        above[:, j] = (np.cumsum(cases[::-1])[::-1] - 0.5 * cases)[ranks]
    pairs = w * below / n
    estimate = pairs.mean(axis=0) / (mean_w * mean_v)
    # terms proportional to a row's weight, as case or control; their sum has mean zero
    terms = pairs + v * above / n - estimate * (w * mean_v + v * mean_w)
    influence = (terms + censoring_influence(weights, terms)) / (mean_w * mean_v)
    return Auc(estimate, influence)
