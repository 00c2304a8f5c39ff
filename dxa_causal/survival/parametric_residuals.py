"""Residuals of a fitted distribution of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal.survival._kernels.distributions import Located

if TYPE_CHECKING:
    from dxa_causal.survival.parametric_result import LifetimeFit

FloatArray = npt.NDArray[np.float64]
# log f at the highest point of the standard distribution
_PEAK = {"extreme": -1.0, "normal": -0.5 * np.log(2 * np.pi), "logistic": -np.log(4.0)}


def lifetime_residuals(fit: LifetimeFit, type: str) -> pd.Series:
    """Cox-Snell, martingale or deviance residuals of exact and right-censored rows."""
    data, o = fit.data, fit.data.observed
    if o.left.size or o.between.size:
        raise OptionError(
            f"residuals are not defined for the {o.left.size + o.between.size} rows known up to an interval"
        )
    n = data.lower.size
    rows = np.arange(n)
    model = fit.lifetime_model(fit.design.x, fit.design.rows.frame, data.offset)
    event = data.events
    family = getattr(fit, "family", None) if getattr(fit, "distribution", "") != "piecewise_exponential" else None
    if type == "deviance" and isinstance(family, Located) and not family.sign and family.error in _PEAK:
        log_s = model.log_survival(fit.coefficients, rows, data.lower).value
        log_f = model.log_density(fit.coefficients, rows, data.lower).value
        scale = fit.log_scales()
        # of the (log) time: the density of the time itself has a Jacobian more, in both terms
        jacobian = np.log(data.lower) if fit.positive else 0.0
        lost = np.where(event, _PEAK[family.error] - scale - jacobian - log_f, -log_s)
        y = np.log(data.lower) if fit.positive else data.lower
        early = event & (y < fit.linear_predictor)
        values = np.where(early, -1.0, 1.0) * np.sqrt(2 * np.maximum(lost, 0.0))
        return pd.Series(values, index=fit.design.index, name=type)
    hazard = -model.log_survival(fit.coefficients, rows, data.lower).value
    hazard[o.entry] += model.log_survival(fit.coefficients, o.entry, o.entry_time).value
    martingale = event - hazard
    values = {"cox-snell": hazard, "martingale": martingale}.get(type)
    if values is None:
        with np.errstate(divide="ignore"):
            part = np.where(event, np.log(np.where(event, hazard, 1.0)), 0.0)
        values = np.sign(martingale) * np.sqrt(np.maximum(-2 * (martingale + part), 0.0))
    return pd.Series(values, index=fit.design.index, name=type)
