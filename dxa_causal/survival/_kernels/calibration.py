"""Weak calibration of predicted risks at a time, and the counts behind D-calibration."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.pseudo_regression import STEP_TOLERANCE, link_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_MAX_ITER = 200


def cloglog(risk: FloatArray) -> FloatArray:
    """log(-log(1 - risk))."""
    return link_of(risk, "cloglog")


def offset_intercept(offset: FloatArray, y: FloatArray) -> tuple[float, float]:
    r"""Intercept a of the mean :math:`1 - \exp(-e^{a + o_i})` of pseudo-values, and its sandwich standard error.

    Gauss-Newton on :math:`\sum_i \mu_i' (y_i - \mu_i) = 0`; (missing, missing) where a runs off.
    """
    a = 0.0
    for _ in range(_MAX_ITER):
        eta = a + offset
        with np.errstate(over="ignore"):
            mean, slope = -np.expm1(-np.exp(eta)), np.exp(eta - np.exp(eta))
        score, information = slope * (y - mean), float(slope @ slope)
        if information == 0:
            break
        step = float(score.sum()) / information
        a += float(np.clip(step, -2.0, 2.0))
        if abs(step) <= STEP_TOLERANCE * (1.0 + abs(a)):
            return a, float(np.sqrt(score @ score)) / information
    return np.nan, np.nan


def survival_bins(survival: FloatArray, event: BoolArray, n_bins: int) -> FloatArray:
    r"""Share of each row in bins of the predicted survival at its own time, (n, bins).

    An event counts in the bin of its survival s. A row censored at s would have had its event at a survival uniform
    on (0, s): the bin that holds s gets what lies below s, each lower bin its width, divided by s.
    """
    own = np.minimum((survival * n_bins).astype(np.int64), n_bins - 1)
    low = np.arange(n_bins) / n_bins
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.clip(survival[:, None] - low, 0.0, 1.0 / n_bins) / survival[:, None]
    exact = np.arange(n_bins) == own[:, None]
    return np.where((event | (survival <= 0))[:, None], exact.astype(np.float64), spread)
