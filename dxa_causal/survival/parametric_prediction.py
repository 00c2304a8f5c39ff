"""Predictions from a fitted distribution, with delta-method limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, column_not_found
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal._design import to_pandas
from dxa_causal._design.rows import complete_rows
from dxa_causal.survival._kernels.lifetime_likelihood import LifetimeModel
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from dxa_causal.survival.parametric_result import LifetimeFit

FloatArray = npt.NDArray[np.float64]
LifetimePrediction = Literal["survival", "cumulative_hazard", "hazard", "rmst", "lp", "median", "quantile", "mean"]
_BLOCK = 200_000  # rows x times at once
_GRID = 100
# double exponential rule on (0, 1), which bears a hazard that is infinite at 0
_U = np.linspace(-3.2, 3.2, 81)
_ABSCISSA = special.expit(np.pi * np.sinh(_U))
_SHARE = np.pi * np.cosh(_U) * _ABSCISSA * special.expit(-np.pi * np.sinh(_U)) * (_U[1] - _U[0])


def predict_lifetime(
    fit: LifetimeFit,
    new: Any = None,
    *,
    type: str = "survival",
    times: npt.ArrayLike | None = None,
    p: npt.ArrayLike = 0.5,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""Survival, hazards, quantiles, means or the linear predictor of given rows.

    Parameters
    ----------
    fit : ParametricFit or RoystonParmarFit
    new : pandas or polars frame, optional
        The rows analysed when omitted. Needs the covariates and the columns of
        strata and offset.
    type : str
        "survival", "cumulative_hazard", "hazard"; "rmst", the mean of time up
        to a horizon; "lp", the linear predictor with its intercept, as in
        survreg (relative to the mean covariates where the intercept belongs to
        the baseline);
        "median", "quantile"; "mean", the mean time of an "aft" model, of a
        Weibull or exponential in hazards.
    times : (k,) array_like, optional
        For curves, a hundred times over follow-up when omitted; for rmst the
        horizons, the last time observed when omitted.
    p : float or (k,) array_like
        Shares that have had the event, for "quantile".
    conf_level : float

    Returns
    -------
    DataFrame
        row, time or p (where they apply), estimate, std_error, conf_low,
        conf_high. A quantile that is never reached is infinite; the hazard of
        a positive time is missing at time zero, where it may be 0 or infinite.

    Notes
    -----
    Standard errors by the delta method from the covariance of the fit.
    Limits are symmetric for the logarithm of a hazard or a positive time, for
    log(-log S) of survival, and for the linear predictor and the restricted
    mean themselves. The error of a quantile is that of
    :math:`\log S` at it, divided by the hazard there.
    """
    check_option("type", type, LifetimePrediction)
    check_conf_level(conf_level)
    z = float(special.ndtri(0.5 + conf_level / 2))
    if times is not None and type in ("lp", "median", "quantile", "mean"):
        raise OptionError(f"times= has no meaning for type={type!r}")
    x, frame, offset = _rows(fit, new)
    index = frame.index
    if type == "lp":
        columns = fit.linear_columns(x)
        estimate = columns @ fit.coefficients + offset
        return _table({"row": index}, estimate, _spread(columns, fit.covariance), z, log=False)
    model = fit.lifetime_model(x, frame, offset)
    if type == "mean":
        estimate, gradient = fit.mean_time(fit.linear_columns(x), offset, frame)
        se = _spread(gradient, fit.covariance)
        return _table({"row": index}, estimate, se, z, log=fit.positive)
    if type in ("median", "quantile"):
        shares = np.array([0.5]) if type == "median" else _shares(p)
        estimate, se = _quantiles(fit, model, len(index), shares)
        keys: dict[str, Any] = {"row": np.repeat(index, shares.size)}
        if type == "quantile":
            keys["p"] = np.tile(shares, len(index))
        return _table(keys, estimate, se, z, log=fit.positive)
    at = _times(fit, times, rmst=type == "rmst")
    keys = {"row": np.repeat(index, at.size), "time": np.tile(at, len(index))}
    if type == "rmst":
        estimate, se = _restricted_means(fit, model, len(index), at)
        return _table(keys, estimate, se, z, log=False)
    estimate, se = np.zeros(len(index) * at.size), np.zeros(len(index) * at.size)
    rows, time = np.repeat(np.arange(len(index)), at.size), np.tile(at, len(index))
    begun = (time > 0) | (not fit.positive)
    started = np.flatnonzero(begun)
    for part in np.array_split(started, 1 + started.size // _BLOCK):
        survival = model.log_survival(fit.coefficients, rows[part], time[part])
        if type == "hazard":
            density = model.log_density(fit.coefficients, rows[part], time[part])
            estimate[part] = np.exp(density.value - survival.value)
            se[part] = estimate[part] * _spread(density.gradient - survival.gradient, fit.covariance)
        else:
            estimate[part] = -survival.value
            se[part] = _spread(survival.gradient, fit.covariance)
    if type == "hazard":
        estimate[~begun] = se[~begun] = np.nan
    table = _table(keys, estimate, se, z, log=True)
    if type != "survival":
        return table
    s = np.exp(-estimate)
    return table.assign(
        estimate=s, std_error=s * se, conf_low=np.exp(-table["conf_high"]), conf_high=np.exp(-table["conf_low"])
    )


def _rows(fit: LifetimeFit, new: Any) -> tuple[FloatArray, pd.DataFrame, FloatArray]:
    if new is None:
        x, frame = fit.design.x, fit.design.rows.frame
    else:
        frame = to_pandas(new)
        x, _ = fit.design.new(frame)
    if fit.offset is None or not len(frame):
        return x, frame, np.zeros(len(frame))
    if fit.offset not in frame.columns:
        raise column_not_found(fit.offset, frame.columns, argument="new data (offset)")
    return (
        x,
        frame,
        np.asarray(complete_rows(frame[[fit.offset]], missing="raise").number(fit.offset, argument="offset")),
    )


def _times(fit: LifetimeFit, times: npt.ArrayLike | None, *, rmst: bool) -> FloatArray:
    outcome = fit.data.outcome()
    last = float(outcome.time.max())
    if times is None:
        first = 0.0 if outcome.entry is None else float(outcome.entry.min())
        return np.array([last]) if rmst else np.linspace(first, last, _GRID + 1)[1:]
    given = check_times(times)
    if not np.isfinite(given).all():
        raise OptionError("times must be finite; type='mean' is the mean without a horizon")
    if rmst and (given <= 0).any():
        raise OptionError(f"times={given.min():g}: the horizon of a restricted mean must be positive")
    if fit.positive and (given < 0).any():
        raise OptionError(f"times={given.min():g} must not be negative")
    return given


def _shares(p: npt.ArrayLike) -> FloatArray:
    try:
        given: FloatArray = np.atleast_1d(np.asarray(p, dtype=np.float64))
    except (TypeError, ValueError):
        raise OptionError(f"p={p!r} must be numbers between 0 and 1") from None
    if not given.size or not ((given > 0) & (given < 1)).all():
        raise OptionError(f"p={p!r} must lie strictly between 0 and 1")
    return given


def _spread(gradient: FloatArray, covariance: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gradient, covariance, gradient), 0.0))


def _table(keys: dict[str, Any], estimate: FloatArray, se: FloatArray, z: float, *, log: bool) -> pd.DataFrame:
    if log:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factor = np.where(estimate > 0, np.exp(z * se / estimate), 1.0)
        low, high = estimate / factor, estimate * factor
    else:
        low, high = estimate - z * se, estimate + z * se
    return pd.DataFrame({**keys, "estimate": estimate, "std_error": se, "conf_low": low, "conf_high": high})


def _quantiles(fit: LifetimeFit, model: LifetimeModel, n: int, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Times at which S = 1 - p, by Newton's method for log H in log time kept within a bracket."""
    rows, target = np.repeat(np.arange(n), shares.size), np.tile(np.log(-np.log1p(-shares)), n)
    reach = 60.0 if fit.positive else 50.0 * float(np.ptp(fit.data.guess(log_time=False)) or 1.0)
    centre = float(np.median(fit.data.guess(log_time=fit.positive)))
    low, high = np.full(rows.size, centre - reach), np.full(rows.size, centre + reach)
    y = np.full(rows.size, centre)
    for _ in range(200):
        time = np.exp(y) if fit.positive else y
        with np.errstate(all="ignore"):
            s = model.log_survival(fit.coefficients, rows, time).value
            f = model.log_density(fit.coefficients, rows, time).value
            gap = np.log(-s) - target
            slope = np.exp(f - s) / -s * (time if fit.positive else 1.0)
            step = gap / slope
        low, high = np.where(gap < 0, y, low), np.where(gap >= 0, y, high)
        new = y - step
        inside = np.isfinite(new) & (new > low) & (new < high)
        new = np.where(inside, new, (low + high) / 2)
        done = np.abs(new - y) <= 1e-14 * np.maximum(1.0, np.abs(y))
        y = new
        if done.all():
            break
    time = np.exp(y) if fit.positive else y
    with np.errstate(all="ignore"):
        survival = model.log_survival(fit.coefficients, rows, time)
        hazard = np.exp(model.log_density(fit.coefficients, rows, time).value - survival.value)
        se = _spread(survival.gradient, fit.covariance) / hazard
    never = np.abs(np.log(-survival.value) - target) > 1e-6
    return np.where(never, np.inf, time), np.where(never, np.nan, se)


def _restricted_means(fit: LifetimeFit, model: LifetimeModel, n: int, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    if not fit.positive:
        raise OptionError("a restricted mean needs a distribution of positive times; use type='mean'")
    estimate, gradient = np.zeros((n, at.size)), np.zeros((n, at.size, fit.df))
    for j, tau in enumerate(at):
        ends = np.concatenate([[0.0], fit.joints[fit.joints < tau], [tau]])
        width = np.diff(ends)
        nodes = (ends[:-1, None] + width[:, None] * _ABSCISSA).ravel()
        share = (width[:, None] * _SHARE).ravel()
        for own in np.array_split(np.arange(n), 1 + n * nodes.size // _BLOCK):
            rows = np.repeat(own, nodes.size)
            curve = model.log_survival(fit.coefficients, rows, np.tile(nodes, own.size))
            area = np.exp(curve.value).reshape(own.size, -1) * share
            estimate[own, j] = area.sum(axis=1)
            gradient[own, j] = np.einsum("ij,ijk->ik", area, curve.gradient.reshape(own.size, nodes.size, -1))
    return estimate.ravel(), _spread(gradient.reshape(-1, fit.df), fit.covariance)
