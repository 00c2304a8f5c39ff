"""Smooth calibration curves: the observed risk as a function of the predicted one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from dxa_causal._core.errors import FormulaError, OptionError, PredictorError
from dxa_causal._design.splines import rcs
from dxa_causal._numerics.logistic import fit_logistic
from dxa_causal.survival._kernels.calibration import cloglog
from dxa_causal.survival._kernels.loess import loess
from dxa_causal.survival._kernels.pseudo_regression import regress_pseudo_values
from dxa_causal.survival.cox import cox
from dxa_causal.survival.evaluation.forecasts import Forecasts
from dxa_causal.survival.fine_gray import fine_gray

FloatArray = npt.NDArray[np.float64]
CurveMethod = Literal["hazard", "pseudo", "loess", "rcs"]

_POINTS = 101  # of a curve that is drawn


@dataclass(frozen=True, eq=False, slots=True)
class SmoothCurve:
    """Observed risks of a calibration curve.

    Attributes
    ----------
    observed : (n,) ndarray
        At the risk predicted for each row.
    predicted, estimate, std_error : (m,) ndarray
        Points of the curve; empty when not asked for.
    """

    observed: FloatArray
    predicted: FloatArray
    estimate: FloatArray
    std_error: FloatArray


def smooth_curve(
    forecasts: Forecasts, risk: FloatArray, *, method: CurveMethod, n_knots: int, points: bool = True
) -> SmoothCurve:
    """Regress the outcome on a flexible function of the risk."""
    if np.ptp(risk) == 0:
        raise PredictorError(f"the model predicts {risk[0]:g} for all {risk.size} rows: there is no curve to fit")
    grid = np.linspace(risk.min(), risk.max(), _POINTS) if points else np.empty(0)
    at = np.concatenate([risk, grid])
    fit = {"hazard": _hazard, "pseudo": _pseudo, "loess": _loess, "rcs": _logistic}[method]
    estimate, std_error = fit(forecasts, risk, at, n_knots)
    n = risk.size
    return SmoothCurve(estimate[:n], grid, estimate[n:], std_error[n:])


def _loess(forecasts: Forecasts, risk: FloatArray, at: FloatArray, n_knots: int) -> tuple[FloatArray, FloatArray]:
    assert forecasts.happened is not None
    if np.unique(risk).size < 3:
        raise OptionError("a loess curve needs at least three different predicted risks")
    fit = loess(risk)
    y = forecasts.happened.astype(np.float64)
    estimate = fit.fitted(at, y)
    chance = np.clip(estimate[: risk.size], 0.0, 1.0)
    std_error = np.full(at.size, np.nan)
    std_error[risk.size :] = fit.std_error(at[risk.size :], chance * (1.0 - chance))
    return estimate, std_error


def _logistic(forecasts: Forecasts, risk: FloatArray, at: FloatArray, n_knots: int) -> tuple[FloatArray, FloatArray]:
    assert forecasts.happened is not None
    own, new = _spline(logit(risk), logit(at), n_knots)
    own, new = (np.column_stack([np.ones(len(x)), x]) for x in (own, new))
    fit = fit_logistic(own, forecasts.happened.astype(np.float64))
    chance = expit(new @ fit.coefficients)
    spread = np.sqrt(np.einsum("ij,jk,ik->i", new, fit.covariance, new))
    return chance, chance * (1 - chance) * spread


def _pseudo(forecasts: Forecasts, risk: FloatArray, at: FloatArray, n_knots: int) -> tuple[FloatArray, FloatArray]:
    own, new = _spline(cloglog(risk), cloglog(at), n_knots)
    fit = regress_pseudo_values(own, forecasts.shares()[:, None], "cloglog", None)
    new = np.column_stack([new, np.ones(len(new))])
    hazard = np.exp(new @ fit.coefficients)
    spread = np.sqrt(np.einsum("ij,jk,ik->i", new, fit.covariance, new))
    return -np.expm1(-hazard), np.exp(-hazard) * hazard * spread


def _hazard(forecasts: Forecasts, risk: FloatArray, at: FloatArray, n_knots: int) -> tuple[FloatArray, FloatArray]:
    """Cox's model, with competing causes Fine and Gray's, of a spline of the complementary log-log risk."""
    own, new = _spline(cloglog(risk), cloglog(at), n_knots)
    names = [f"predicted_risk_{k + 1}" for k in range(own.shape[1])]
    outcome, code = forecasts.survival, forecasts.code
    status = np.where(outcome.event == code, 1, 2 * (outcome.event > 0))
    data = pd.DataFrame(own, columns=names).assign(time=outcome.time, status=status)
    formula = f"Surv(time, status) ~ {' + '.join(names)}"
    frame = pd.DataFrame(new, columns=names)
    if forecasts.competing:
        held = data.assign(status=pd.Categorical(status, categories=[0, 1, 2]))
        table = fine_gray(formula, held, cause=1).predict(frame, times=[forecasts.until])
        return table["estimate"].to_numpy(), table["std_error"].to_numpy()
    table = cox(formula, data).predict(frame, type="survival", times=[forecasts.until])
    return 1.0 - table["estimate"].to_numpy(), table["std_error"].to_numpy()


def _spline(x: FloatArray, at: FloatArray, n_knots: int) -> tuple[FloatArray, FloatArray]:
    """Columns of a restricted cubic spline at the data and elsewhere; x itself for two knots."""
    if n_knots == 2:
        return x[:, None], at[:, None]
    state: dict[str, object] = {}
    try:
        own, new = (rcs(values, n_knots, _state=state) for values in (x, at))
    except FormulaError:
        raise OptionError(
            f"n_knots={n_knots}: the predicted risks have {np.unique(x).size} different values, too few for a curve "
            "with as many knots; give n_knots=2 for a straight line"
        ) from None
    return np.column_stack([own[k] for k in sorted(own)]), np.column_stack([new[k] for k in sorted(new)])


METHODS: dict[bool, tuple[CurveMethod, ...]] = {True: ("loess", "rcs"), False: ("hazard", "pseudo")}
