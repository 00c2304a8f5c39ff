"""Whatever a fit hands out, read as estimates with standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ImputationError
from dxa_causal.results import Result

FloatArray = npt.NDArray[np.float64]

# Columns of a tidy table that are numbers of the fit; all others tell its rows apart.
_NUMBERS = {
    "estimate",
    "std_error",
    "statistic",
    "p_value",
    "conf_low",
    "conf_high",
    "df",
    "n",
    "n_risk",
    "n_event",
    "n_censor",
    "n_expected",
    "n_variants",
    "person_time",
    "log_likelihood",
    "reason",
}


@dataclass(frozen=True, eq=False, slots=True)
class Estimates:
    """Estimates of one completed data set.

    Attributes
    ----------
    keys : DataFrame
        What tells the estimates apart: term, and time, cause, model ... where there are.
    estimate, std_error : (p,) ndarray
    covariance : (p, p) ndarray or None
    df_complete : float
        Residual degrees of freedom; infinite where nothing tells.
    nobs : int
    estimand : str
    """

    keys: pd.DataFrame
    estimate: FloatArray
    std_error: FloatArray
    covariance: FloatArray | None
    df_complete: float
    nobs: int
    estimand: str


def read_estimates(fit: Any) -> Estimates:
    """Read a result of this package, one of statsmodels, a table, or a pair (estimate, covariance)."""
    if isinstance(fit, Result):
        return _of_result(fit)
    if isinstance(fit, pd.DataFrame):
        return _of_table(fit, None, np.inf, 0, "estimate")
    if isinstance(fit, tuple):
        return _of_pair(fit)
    if hasattr(fit, "params") and hasattr(fit, "bse"):
        return _of_statsmodels(fit)
    raise ImputationError(
        f"the function returned {type(fit).__name__}; pool takes results of this package or of statsmodels, a table "
        "with columns estimate and std_error, or a pair (estimate, covariance)"
    )


def _of_result(fit: Result) -> Estimates:
    table = fit.tidy()
    if not {"estimate", "std_error"} <= set(table.columns):
        raise ImputationError(
            f"{type(fit).__name__} has no estimates with standard errors to pool; its table has columns "
            f"{', '.join(table.columns)}"
        )
    covariance = getattr(fit, "covariance", None)
    if not isinstance(covariance, np.ndarray) or covariance.shape != (len(table), len(table)):
        covariance = None
    summary = fit.glance()
    # as R's mice: a survival model learns from its events
    size = summary["n_events"] if "n_events" in summary else summary["nobs"]
    n_coefficients = len(table) if covariance is not None or set(table.columns) - _NUMBERS == {"term"} else 1
    return _of_table(table, covariance, max(float(size.iloc[0]) - n_coefficients, 1.0), fit.nobs, fit.estimand)


def _of_table(
    table: pd.DataFrame, covariance: FloatArray | None, df_complete: float, nobs: int, estimand: str
) -> Estimates:
    for name in ("estimate", "std_error"):
        if name not in table.columns:
            raise ImputationError(
                f"the table that the function returned has no column {name!r}; it has "
                f"{', '.join(map(str, table.columns))}"
            )
    keys = table[[name for name in table.columns if name not in _NUMBERS]].reset_index(drop=True)
    if keys.shape[1] == 0:
        keys = pd.DataFrame({"term": [str(label) for label in table.index]})
    estimate, std_error = (np.asarray(table[name], dtype=np.float64) for name in ("estimate", "std_error"))
    return Estimates(keys, estimate, std_error, covariance, df_complete, nobs, estimand)


def _of_pair(fit: tuple[Any, ...]) -> Estimates:
    if len(fit) != 2:
        raise ImputationError(f"the function returned {len(fit)} values; a pair (estimate, covariance) is wanted")
    estimate = np.atleast_1d(np.asarray(fit[0], dtype=np.float64))
    spread = np.atleast_1d(np.asarray(fit[1], dtype=np.float64))
    if spread.shape == (estimate.size, estimate.size) and np.ndim(fit[1]) == 2:
        covariance, std_error = spread, np.sqrt(np.diag(spread))
    elif spread.shape == estimate.shape and estimate.ndim == 1:
        covariance, std_error = None, spread
    else:
        raise ImputationError(
            f"the function returned a pair of shapes {estimate.shape} and {spread.shape}; p estimates go with a p x p "
            "covariance or with p standard errors"
        )
    return Estimates(_names(fit[0], estimate.size), estimate, std_error, covariance, np.inf, 0, "estimate")


def _of_statsmodels(fit: Any) -> Estimates:
    estimate = np.asarray(fit.params, dtype=np.float64).ravel(order="F")
    names = getattr(getattr(fit, "model", None), "exog_names", None)
    keys = _names(fit.params, estimate.size, names)
    covariance = np.asarray(fit.cov_params(), dtype=np.float64)
    return Estimates(
        keys,
        estimate,
        np.asarray(fit.bse, dtype=np.float64).ravel(order="F"),
        covariance if covariance.shape == (estimate.size, estimate.size) else None,
        float(getattr(fit, "df_resid", np.inf)),
        int(getattr(fit, "nobs", 0)),
        "coefficient",
    )


def _names(values: Any, size: int, names: Sequence[str] | None = None) -> pd.DataFrame:
    if isinstance(values, pd.Series):
        names = [str(label) for label in values.index]
    if names is None or len(names) != size:
        names = [f"[{k}]" for k in range(size)]
    return pd.DataFrame({"term": list(names)})
