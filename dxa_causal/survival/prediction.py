"""Predictions from a Cox model, with standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, UnseenLevelError, column_not_found, shown
from dxa_causal._core.options import ConfType, check_conf_level, check_option
from dxa_causal._core.warnings import AllCensoredWarning, warn
from dxa_causal._design import to_pandas
from dxa_causal._design.rows import complete_rows
from dxa_causal.survival._kernels.cox import cumulate, increments
from dxa_causal.survival.step_curves import check_times, probability_limits, warn_beyond

if TYPE_CHECKING:
    from dxa_causal.survival.cox import CoxFit

FloatArray = npt.NDArray[np.float64]
_MOST = 50_000_000  # lines of a table of curves
_BLOCK = 4_000_000  # values of rows x times held at a time

PredictionType = Literal["lp", "risk", "survival", "cumulative_hazard", "rmst", "median"]


def predict_cox(
    fit: CoxFit,
    new: Any = None,
    *,
    type: str = "lp",
    times: npt.ArrayLike | None = None,
    conf_type: ConfType = "log",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""Linear predictor, relative risk, survival, cumulative hazard, restricted mean or median of given rows.

    Parameters
    ----------
    fit : CoxFit
    new : pandas or polars frame, optional
        The rows analysed when omitted. Needs the covariates and, for a
        stratified fit, the stratum.
    type : {"lp", "risk", "survival", "cumulative_hazard", "rmst", "median"}
    times : (k,) array_like, optional
        All event times of the row's stratum when omitted; for rmst the
        horizons, the last time observed when omitted.
    conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
        Scale of the limits of survival and median.
    conf_level : float

    Returns
    -------
    DataFrame
        row, time (of survival, cumulative hazard and rmst), estimate,
        std_error (not of the median, whose limits are those times at which
        the limits of the curve reach one half), conf_low, conf_high.

    Notes
    -----
    ``lp`` is relative to the (weighted) sample mean, within the stratum for a
    stratified fit; columns that hold only -1, 0 and 1 are not centred without
    strata. This is what R's ``predict.coxph`` does (which leaves the weights
    out of the means for start-stop data). ``risk`` is its
    exponential, with the delta-method standard error.

    For a row with covariates x,
    :math:`\hat H(t \mid x) = e^{x'\hat\beta} \sum_{s \le t} A_s` with Efron's
    (or Breslow's) increments, and

    .. math::

        \widehat{\mathrm{var}}\,\hat H = e^{2x'\hat\beta}\Big[\sum_{s \le t} a_s + d' \hat V d\Big], \quad
        d = \sum_{s \le t} A_s (x - \bar x_s),

    (Tsiatis 1981; Therneau & Grambsch 2000, section 10.2). The restricted mean is :math:`\int_0^\tau \hat S(t
    \mid x)\,dt`; its variance follows from that of the hazard, each increment
    weighing by the area :math:`\int_s^\tau \hat S` behind it.

    References
    ----------
    Tsiatis AA. Ann Stat 1981;9:93-108. doi:10.1214/aos/1176345335
    """
    check_option("type", type, PredictionType)
    check_option("conf_type", conf_type, ConfType)
    check_conf_level(conf_level)
    z = float(special.ndtri(0.5 + conf_level / 2))
    fit.refuse_time_varying("a prediction")
    if times is not None and type == "median":
        raise OptionError("times= has no meaning for type='median'")
    x, index, codes, offset = prediction_rows(fit, new)
    if type in ("lp", "risk"):
        if times is not None:
            raise OptionError(f"times= belongs to type='survival' or 'cumulative_hazard', not to type={type!r}")
        return _relative(fit, x, index, codes, offset, type=type, z=z)
    if type == "rmst":
        return _restricted_mean(fit, x, index, codes, offset, times=times, z=z)
    curves = _curves(fit, x, index, codes, offset, times=times, type=type, conf_type=conf_type, conf_level=conf_level)
    return _median(curves, index) if type == "median" else curves


def prediction_rows(fit: CoxFit, new: Any) -> tuple[FloatArray, pd.Index, npt.NDArray[np.int64], FloatArray]:
    """Design matrix, labels, stratum codes and offset of the rows to predict for."""
    if new is None:
        x, index, frame = fit.design.x, fit.design.index, fit.design.rows.frame
    else:
        frame = to_pandas(new)
        x, index = fit.design.new(frame)
    for argument, name in (("strata", fit.strata), ("offset", fit.offset)):
        if name is not None and name not in frame.columns:
            raise column_not_found(name, frame.columns, argument=f"new data ({argument})")
    codes = np.zeros(len(index), dtype=np.int64)
    if fit.strata is not None:
        codes = pd.Index(fit.stratum_labels).get_indexer(frame[fit.strata]).astype(np.int64)
        if (codes < 0).any():
            i = int(np.flatnonzero(codes < 0)[0])
            raise UnseenLevelError(
                f"new data: stratum {fit.strata}={shown(frame[fit.strata].iloc[i])} (row {shown(index[i])}) was not in "
                f"the fit; its strata are {', '.join(shown(s) for s in fit.stratum_labels)}"
            )
    if fit.offset is None or not len(index):
        return x, index, codes, np.zeros(len(index))
    given = complete_rows(frame[[fit.offset]], missing="raise").number(fit.offset, argument="offset")
    return x, index, codes, np.asarray(given)


def _relative(
    fit: CoxFit,
    x: FloatArray,
    index: pd.Index,
    codes: npt.NDArray[np.int64],
    offset: FloatArray,
    *,
    type: str,
    z: float,
) -> pd.DataFrame:
    own = fit.design.x
    weight = fit.design.number(fit.weights, argument="weights")
    own_offset = fit.design.number(fit.offset, argument="offset")
    offset = offset if own_offset is None else offset - own_offset.mean()
    if fit.strata is None:
        centre = np.average(own, axis=0, weights=weight) if own.size else np.zeros(own.shape[1])
        centre = np.where(np.isin(own, (-1.0, 0.0, 1.0)).all(axis=0), 0.0, centre)
        centred = x - centre
    else:
        own_codes = pd.Index(fit.stratum_labels).get_indexer(fit.design.rows.frame[fit.strata])
        w = np.ones(len(own)) if weight is None else weight
        total = np.bincount(own_codes, w)
        means = np.column_stack([np.bincount(own_codes, w * own[:, j]) / total for j in range(own.shape[1])])
        centred = x - means[codes]
    estimate = centred @ fit.coefficients + offset
    std_error = np.sqrt(np.einsum("ij,jk,ik->i", centred, fit.covariance, centred))
    low, high = estimate - z * std_error, estimate + z * std_error
    if type == "risk":
        estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
        std_error = estimate * std_error
    return pd.DataFrame(
        {"row": index, "estimate": estimate, "std_error": std_error, "conf_low": low, "conf_high": high}
    )


def _curves(
    fit: CoxFit,
    x: FloatArray,
    index: pd.Index,
    codes: npt.NDArray[np.int64],
    offset: FloatArray,
    *,
    times: npt.ArrayLike | None,
    type: str,
    conf_type: ConfType,
    conf_level: float,
) -> pd.DataFrame:
    sets, scale = fit.data.sets, fit.data.scale
    inc = increments(fit.data, fit.estimate.beta)
    hazard = cumulate(inc.hazard, sets.group_closes)
    variance = cumulate(inc.hazard_variance, sets.group_closes)
    drift = cumulate(inc.drift, sets.group_closes)
    group_time = fit.times.distinct[sets.group_rank]
    covariance = fit.covariance * np.outer(scale, scale)
    standard = (x - fit.data.centre) / scale
    linear = standard @ fit.estimate.beta + offset
    if times is not None:
        times = check_times(times)
        warn_beyond(times, float(fit.design.survival.time.max()))
    size = len(index) * (group_time.size if times is None else len(times))
    if size > _MOST:
        raise OptionError(
            f"{len(index)} rows at {group_time.size if times is None else len(times)} times make a table of {size:,} "
            f"lines, more than {_MOST:,}; give times=[...] or fewer rows"
        )
    frames = [pd.DataFrame({"place": [], "row": index[:0], "time": [], "hazard": [], "std_error": []})]
    for code in np.unique(codes):
        groups = np.flatnonzero(sets.group_stratum == code)
        if not groups.size and len(index):
            label = fit.stratum_labels[code]
            warn(f"stratum {shown(label)} has no event in the fit: its survival stays at 1", AllCensoredWarning)
        at = group_time[groups] if times is None else times
        # position of the last event time at or before each time; 0 stands for none
        place = np.searchsorted(group_time[groups], at, side="right")
        h = np.concatenate([[0.0], hazard[groups]])[place]
        v = np.concatenate([[0.0], variance[groups]])[place]
        d = np.concatenate([np.zeros((1, x.shape[1])), drift[groups]])[place]
        rows = np.flatnonzero(codes == code)
        # a stratum without events has no hazard to scale
        risk = np.exp(linear[rows] - (inc.centre[groups[0]] if groups.size else 0.0))
        s = standard[rows]
        sv = s @ covariance
        # (x h - d)' V (x h - d), expanded so that no rows x times x terms array is needed
        spread = (
            np.einsum("ij,ij->i", sv, s)[:, None] * h**2
            - 2 * (sv @ d.T) * h
            + np.einsum("ij,jk,ik->i", d, covariance, d)
        )
        cumulative = risk[:, None] * h
        std_error = risk[:, None] * np.sqrt(np.maximum(v + spread, 0.0))
        frames.append(
            pd.DataFrame(
                {
                    "place": np.repeat(rows, at.size),
                    "row": np.repeat(index[rows], at.size),
                    "time": np.tile(at, rows.size),
                    "hazard": cumulative.ravel(),
                    "std_error": std_error.ravel(),
                }
            )
        )
    table = pd.concat(frames[1:] or frames).sort_values("place", kind="stable", ignore_index=True)
    h, se = table.pop("hazard").to_numpy(), table.pop("std_error").to_numpy()
    if type != "median":
        table = table.drop(columns="place")
    if type == "cumulative_hazard":
        z = float(special.ndtri(0.5 + conf_level / 2))
        return table.assign(estimate=h, std_error=se, conf_low=np.maximum(h - z * se, 0.0), conf_high=h + z * se)
    survival = np.exp(-h)
    low, high = probability_limits(survival, survival * se, conf_type, conf_level)
    return table.assign(estimate=survival, std_error=survival * se, conf_low=low, conf_high=high)


def _median(curves: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """First times at which a row's survival and its limits have come down to one half; missing if never."""
    half = 0.5 + np.sqrt(np.finfo(np.float64).eps)
    columns = {}
    for name in ("estimate", "conf_low", "conf_high"):
        below = curves[curves[name] <= half]
        columns[name] = below.groupby("place", sort=False)["time"].first().reindex(range(len(index))).to_numpy()
    return pd.DataFrame({"row": index, **columns})


def _restricted_mean(
    fit: CoxFit,
    x: FloatArray,
    index: pd.Index,
    codes: npt.NDArray[np.int64],
    offset: FloatArray,
    *,
    times: npt.ArrayLike | None,
    z: float,
) -> pd.DataFrame:
    sets, scale = fit.data.sets, fit.data.scale
    inc = increments(fit.data, fit.estimate.beta)
    group_time = fit.times.distinct[sets.group_rank]
    covariance = fit.covariance * np.outer(scale, scale)
    standard = (x - fit.data.centre) / scale
    linear = standard @ fit.estimate.beta + offset
    last = float(fit.design.survival.time.max())
    horizons = np.array([last]) if times is None else check_times(times)
    if (horizons <= 0).any():
        raise OptionError(f"times={horizons.min():g}: the horizon of a restricted mean must be positive")
    warn_beyond(horizons, last)
    estimate, variance = np.zeros((len(x), horizons.size)), np.zeros((len(x), horizons.size))
    for code in np.unique(codes):
        for j, tau in enumerate(horizons):
            groups = np.flatnonzero((sets.group_stratum == code) & (group_time < tau))
            width = np.diff(np.concatenate([[0.0], group_time[groups], [tau]]))
            hazard = np.concatenate([[0.0], np.cumsum(inc.hazard[groups])])
            own = np.flatnonzero(codes == code)
            for rows in np.array_split(own, 1 + own.size * width.size // _BLOCK):  # rows x times at once would not fit
                risk = np.exp(linear[rows] - (inc.centre[groups[0]] if groups.size else 0.0))
                area = np.exp(-risk[:, None] * hazard) * width
                estimate[rows, j] = area.sum(axis=1)
                behind = area[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
                d = standard[rows] * (behind @ inc.hazard[groups])[:, None] - behind @ inc.drift[groups]
                model = np.einsum("ij,jk,ik->i", d, covariance, d)
                variance[rows, j] = risk**2 * (behind**2 @ inc.hazard_variance[groups] + model)
    std_error = np.sqrt(variance).ravel()
    value = estimate.ravel()
    return pd.DataFrame(
        {
            "row": np.repeat(index, horizons.size),
            "time": np.tile(horizons, len(x)),
            "estimate": value,
            "std_error": std_error,
            "conf_low": value - z * std_error,
            "conf_high": value + z * std_error,
        }
    )
