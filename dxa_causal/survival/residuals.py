"""Residuals of a Cox model."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, column_not_found, shown
from dxa_causal._core.options import check_option
from dxa_causal.survival._kernels.cox import expected_events, increments
from dxa_causal.survival.cox import CoxFit

FloatArray = npt.NDArray[np.float64]
ResidualType = Literal[
    "martingale", "deviance", "score", "schoenfeld", "scaled_schoenfeld", "dfbeta", "dfbetas"
]  # fmt: skip


def residuals(
    fit: CoxFit, *, type: ResidualType = "martingale", weighted: bool | None = None, collapse: str | None = None
) -> pd.Series | pd.DataFrame:
    r"""Residuals of a Cox model, as R's ``residuals.coxph``.

    Parameters
    ----------
    fit : CoxFit
    type : {"martingale", "deviance", "score", "schoenfeld", "scaled_schoenfeld", "dfbeta", "dfbetas"}
    weighted : bool, optional
        Multiply by the case weights. None: dfbeta and dfbetas only, as in R.
    collapse : str, optional
        Column of the fit (`cluster`, `id`, `strata` ...) over whose values
        the residuals are summed: one per person from start-stop rows.

    Returns
    -------
    Series or DataFrame
        Martingale and deviance: a Series over the rows analysed. Score, dfbeta
        and dfbetas: a frame with a column per term. Schoenfeld: a frame with
        a column per term and a row per event, sorted by (stratum and) time
        and indexed by row and time.

    Notes
    -----
    Martingale: event less expected events, :math:`M_i = \delta_i - \int Y_i e^{\eta_i} d\hat\Lambda`. Deviance:
    :math:`\mathrm{sign}(M_i) \sqrt{-2 (M_i + \delta_i \log(\delta_i - M_i))}`. Score:
    :math:`\int (x_i - \bar x(t))\, dM_i(t)`; times the model's covariance it is the dfbeta, the approximate change
    of the coefficients when the row is left out, and divided by their standard errors the dfbetas. Schoenfeld:
    :math:`x_i - \bar x(t)` at each event; scaled by the number of events times the covariance and added to the
    coefficient it follows :math:`\beta(t)`. Tied events share Efron's average in an Efron fit. The residuals of an
    exact fit take Breslow's hazard; score and Schoenfeld residuals are not defined there.

    References
    ----------
    Therneau TM, Grambsch PM, Fleming TR. Biometrika 1990;77:147-160. doi:10.1093/biomet/77.1.147
    Grambsch PM, Therneau TM. Biometrika 1994;81:515-526. doi:10.1093/biomet/81.3.515

    Examples
    --------
    >>> import pandas as pd
    >>> from dxa_causal.survival import cox
    >>> data = pd.DataFrame({"t": [1, 2, 3, 4], "d": [1, 1, 0, 1], "x": [0, 1, 0, 1]})
    >>> residuals(cox("Surv(t, d) ~ x", data)).round(3).tolist()
    [0.707, 0.5, -0.707, -0.5]
    """
    check_option("type", type, ResidualType)
    if not isinstance(fit, CoxFit):
        raise OptionError(f"residuals needs a fit of survival.cox, not {fit.__class__.__name__}")
    fit.refuse_time_varying(f"a {type} residual")
    schoenfeld = type in ("schoenfeld", "scaled_schoenfeld")
    if schoenfeld and collapse is not None:
        raise OptionError(f"collapse={collapse!r} has no meaning for type={type!r}: there is one residual per event")
    if fit.ties == "exact" and type not in ("martingale", "deviance"):
        raise OptionError(f"{type} residuals are not defined for ties='exact'; use ties='efron' or 'breslow'")
    if weighted is None:
        weighted = type in ("dfbeta", "dfbetas")
    if schoenfeld:
        return _schoenfeld(fit, scaled=type == "scaled_schoenfeld", weighted=weighted)
    if type in ("martingale", "deviance"):
        values = martingale(fit)[:, None]
    else:
        values = fit.score_residuals
        if type in ("dfbeta", "dfbetas"):
            model = _model_covariance(fit)
            values = values @ model
            if type == "dfbetas":
                values = values / np.sqrt(np.diag(model))
    if weighted and fit.weights is not None:
        values = values * np.asarray(fit.design.number(fit.weights, argument="weights"))[:, None]
    event = fit.design.survival.event.astype(np.float64)
    index = fit.design.index
    if collapse is not None:
        if collapse not in fit.design.rows.frame:
            raise column_not_found(collapse, fit.design.rows.frame.columns, argument="collapse (a column of the fit)")
        keys = fit.design.rows.frame[collapse]
        codes, labels = pd.factorize(keys, sort=True)
        values = np.column_stack([np.bincount(codes, values[:, j], len(labels)) for j in range(values.shape[1])])
        event = np.bincount(codes, event, len(labels)).astype(np.float64)
        index = pd.Index(labels, name=collapse)
    if type == "martingale":
        return pd.Series(values[:, 0], index=index, name=type)
    if type == "deviance":
        impossible = np.flatnonzero((event > 0) & (event <= values[:, 0]))
        if impossible.size:  # only weights can make it so
            raise OptionError(
                f"weighted=True: the deviance residual of {impossible.size} rows is not defined, first row "
                f"{shown(index[impossible[0]])}: its weighted martingale residual exceeds its events"
            )
        return pd.Series(_deviance(values[:, 0], event), index=index, name=type)
    return pd.DataFrame(values, index=index, columns=list(fit.terms))


def martingale(fit: CoxFit) -> FloatArray:
    """Event less expected events of the rows analysed, (n,)."""
    data = fit.data
    expected = fit.estimate.expected
    if fit.ties == "exact":  # the conditional likelihood has no hazard of its own: Breslow's, as in R
        expected = expected_events(data, fit.estimate.beta)
    value = fit.design.survival.event.astype(np.float64)
    value[data.sets.order] -= expected / data.weight
    return value


def _deviance(martingale: FloatArray, event: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(event == 0, 0.0, event * np.log(event - martingale))
    return np.asarray(np.sign(martingale) * np.sqrt(np.maximum(-2 * (martingale + inner), 0.0)))


def _model_covariance(fit: CoxFit) -> FloatArray:
    """Inverse (penalised) information, also of a robust fit."""
    return fit.covariance if fit.ridge is not None and not fit.robust else fit.covariance_model


def _schoenfeld(fit: CoxFit, *, scaled: bool, weighted: bool) -> pd.DataFrame:
    data = fit.data
    s = data.sets
    died = np.flatnonzero(s.event == 1)  # sorted by stratum and time
    inc = increments(data, fit.estimate.beta)
    values = (data.x[died] - inc.mean[s.last[died]]) * data.scale
    if weighted:
        values = values * data.weight[died, None]
    if scaled:
        values = values @ _model_covariance(fit) * died.size + fit.coefficients
    rows = s.order[died]
    times = fit.times.distinct[fit.times.rank[rows]]
    index = pd.MultiIndex.from_arrays([fit.design.index[rows], times], names=["row", "time"])
    return pd.DataFrame(values, index=index, columns=list(fit.terms))
