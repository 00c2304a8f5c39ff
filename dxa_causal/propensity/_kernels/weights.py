"""Balancing weights as functions of the log odds of treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from dxa_causal._core.options import Estimand

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BalancingWeights:
    """Weights and how they move with the propensity model.

    Attributes
    ----------
    weight : (n,) ndarray
    slope : (n,) ndarray
        Derivative of the weight, before any cap, with respect to the log odds
        of treatment.
    """

    weight: FloatArray
    slope: FloatArray


def balancing_weights(log_odds: FloatArray, treated: BoolArray, estimand: Estimand) -> BalancingWeights:
    r"""Weights that balance the arms in the population of the estimand.

    Notes
    -----
    Let :math:`\pi` be the probability of the arm a row is *not* in and
    :math:`e^{s} = \pi / (1 - \pi)` its odds. ATE: :math:`1 + e^{s}`; ATO:
    :math:`\pi`; ATM: :math:`\min(1, e^{s})`; ATT and ATC: :math:`e^{s}` in
    the arm that is moved, 1 in the other. In terms of :math:`s`
    nothing cancels, however extreme the score.

    Examples
    --------
    >>> import numpy as np
    >>> arm = np.array([True, False])
    >>> balancing_weights(np.log([1 / 3, 1 / 3]), arm, "ATE").weight.round(12)  # scores of 1/4
    array([4.        , 1.33333333])
    """
    sign = np.where(treated, -1.0, 1.0)
    s = sign * log_odds
    if estimand == "ATO":
        weight = expit(s)
        return BalancingWeights(weight, sign * weight * expit(-s))
    with np.errstate(over="ignore"):
        odds = np.exp(s)
    if estimand == "ATE":
        return BalancingWeights(1.0 + odds, sign * odds)
    if estimand == "ATM":
        return BalancingWeights(np.minimum(1.0, odds), np.where(s < 0, sign * odds, 0.0))
    fixed = treated if estimand == "ATT" else ~treated
    return BalancingWeights(np.where(fixed, 1.0, odds), np.where(fixed, 0.0, sign * odds))


def stabilised(weights: BalancingWeights, treated: BoolArray, base: FloatArray) -> BalancingWeights:
    """Multiply by the (weighted) share of rows in the row's own arm."""
    share = float(base[treated].sum() / base.sum())
    factor = np.where(treated, share, 1.0 - share)
    return BalancingWeights(weights.weight * factor, weights.slope * factor)


def capped(
    weights: BalancingWeights, treated: BoolArray, quantile: float, estimand: Estimand
) -> tuple[BalancingWeights, float]:
    """Lower weights above their `quantile` to it; the arm with weights 1 (ATT, ATC) stays out.

    The slopes stay those of the uncapped weights, as in WeightIt.

    Returns
    -------
    weights : BalancingWeights
    cap : float
    """
    eligible = {"ATT": ~treated, "ATC": treated}.get(estimand, np.ones_like(treated))
    # R's quantile type 3, as in WeightIt: the cap is one of the weights
    cap = float(np.quantile(weights.weight[eligible], quantile, method="closest_observation"))
    return BalancingWeights(np.where(eligible, np.minimum(weights.weight, cap), weights.weight), weights.slope), cap
