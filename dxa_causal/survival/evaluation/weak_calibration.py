"""Weak calibration: observed over expected, intercept and slope."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from dxa_causal._numerics.logistic import fit_logistic
from dxa_causal.survival._kernels.calibration import cloglog, offset_intercept
from dxa_causal.survival._kernels.pseudo_regression import regress_pseudo_values
from dxa_causal.survival.evaluation.forecasts import Forecasts

FloatArray = npt.NDArray[np.float64]

RATIO, INTERCEPT, SLOPE, BRIER = "O/E", "intercept", "slope", "brier"


def weak_calibration(forecasts: Forecasts, risk: FloatArray) -> list[tuple[str, float, float]]:
    """O/E, intercept, slope and, for a binary outcome, Brier's score: each with its standard error."""
    share = forecasts.shares()
    n, expected = share.size, risk.mean()
    ratio = float(share.mean() / expected)
    # rows that are expected to have more events have them: part of the spread of the shares is not error
    found = [(RATIO, ratio, float(np.sqrt(np.mean((share - ratio * risk) ** 2) / n) / expected))]
    if forecasts.happened is None:
        x = cloglog(risk)
        found.append((INTERCEPT, *offset_intercept(x, share)))
        slope = regress_pseudo_values(x[:, None], share[:, None], "cloglog", None)
        value, variance = (slope.coefficients[0], slope.covariance[0, 0]) if slope.converged else (np.nan, np.nan)
        found.append((SLOPE, float(value), float(np.sqrt(variance))))
        return found
    x, one = special.logit(risk), np.ones((n, 1))
    large = fit_logistic(one, share, offset=x)
    both = fit_logistic(np.column_stack([one, x]), share)
    for name, fit in ((INTERCEPT, large), (SLOPE, both)):  # the last coefficient of each
        runs_off = not fit.converged or fit.diverging.any()
        value, variance = (np.nan, np.nan) if runs_off else (fit.coefficients[-1], fit.covariance[-1, -1])
        found.append((name, float(value), float(np.sqrt(variance))))
    square = (share - risk) ** 2
    found.append((BRIER, float(square.mean()), float(square.std() / np.sqrt(n))))
    return found
