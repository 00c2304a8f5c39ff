"""The difference of weighted means (Hajek) and its influence function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WeightedMeans:
    """Weighted means of two arms.

    Attributes
    ----------
    mean_treated, mean_control : float
    residual : (n,) ndarray
        (y - mean) / (sum of weights) of the row's own arm, negative sign for
        controls: times the weight it is the row's influence on the difference.
    """

    mean_treated: float
    mean_control: float
    residual: FloatArray

    @property
    def difference(self) -> float:
        """Treated minus control."""
        return self.mean_treated - self.mean_control


def weighted_means(y: FloatArray, treated: BoolArray, weight: FloatArray) -> WeightedMeans:
    """Weighted mean of `y` in each arm.

    Examples
    --------
    >>> import numpy as np
    >>> arm = np.array([True, True, False, False])
    >>> weighted_means(np.array([1.0, 4, 0, 1]), arm, np.array([1.0, 2, 1, 1])).difference
    2.5
    """
    means, totals = [], []
    for arm in (treated, ~treated):
        totals.append(float(weight[arm].sum()))
        means.append(float(weight[arm] @ y[arm]) / totals[-1])
    residual = np.where(treated, (y - means[0]) / totals[0], -(y - means[1]) / totals[1])
    return WeightedMeans(means[0], means[1], residual)


def influence(
    means: WeightedMeans,
    weight: FloatArray,
    *,
    observed: BoolArray,
    slope: FloatArray,
    x: FloatArray,
    score: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    r"""Influence of each row on the difference when the weights are estimated.

    Parameters
    ----------
    means : WeightedMeans
        Of the m rows with an outcome.
    weight : (m,) ndarray
    observed : (n,) ndarray of bool
        Rows of the propensity model that have an outcome.
    slope : (m,) ndarray
        Derivative of the weight with respect to the linear predictor.
    x : (n, p) ndarray
        Design matrix of the propensity model.
    score : (n,) ndarray
        Its score with respect to the linear predictor, (treatment - p) times
        the sampling weight.
    covariance : (p, p) ndarray
        Its inverse information.

    Returns
    -------
    (n,) ndarray
        The variance of the difference is the sum of squares.

    Notes
    -----
    Stacking the score equations of the propensity model on those of the two
    means and inverting the block triangular bread gives

    .. math:: \varphi_i = w_i r_i + u_i\, x_i' I^{-1} \sum_j \dot w_j r_j x_j

    with :math:`r` the `residual`, :math:`\dot w` the slope and :math:`u` the score.
    """
    moved = x[observed].T @ (slope * means.residual)
    phi: FloatArray = score * (x @ (covariance @ moved))
    phi[observed] += weight * means.residual
    return phi
