"""Brier score at horizons and its influence function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.ipcw import CensoringWeights, censoring_influence

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Brier:
    """Brier score at each horizon.

    Attributes
    ----------
    estimate : (h,) ndarray
    influence : (n, h) ndarray
        Sums to zero; the variance of the estimate is that of the influence over n.
    """

    estimate: FloatArray
    influence: FloatArray


def brier(risk: FloatArray, case: BoolArray, weights: CensoringWeights) -> Brier:
    r"""Weighted mean of :math:`(1\{\text{case}\} - \text{risk})^2`.

    Parameters
    ----------
    risk : (n, h) float64
    case : (n, h) bool
        Event of the cause by the horizon; all others whose status is known are none.
    weights : CensoringWeights
    """
    terms = weights.weight * (case - risk) ** 2
    estimate = terms.mean(axis=0)
    return Brier(estimate, terms - estimate + censoring_influence(weights, terms))
