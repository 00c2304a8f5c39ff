"""Calibration: whether predicted risks are the risks observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_conf_level, check_option, check_whole_number
from dxa_causal._core.rng import Seed
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.evaluation.calibration_curve import METHODS, CurveMethod, smooth_curve
from dxa_causal.survival.evaluation.calibration_distances import DISTANCES, distances, resampled_distances
from dxa_causal.survival.evaluation.d_calibration import d_calibration
from dxa_causal.survival.evaluation.forecasts import Forecasts, read_forecasts
from dxa_causal.survival.evaluation.weak_calibration import INTERCEPT, RATIO, SLOPE, weak_calibration
from dxa_causal.survival.step_curves import probability_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

D_CALIBRATION = "D-calibration"
_NULLS = {RATIO: 1.0, INTERCEPT: 0.0, SLOPE: 1.0}
_NO_RESAMPLES = "no standard error without resampling: give n_resamples"


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Result):
    """Calibration of predicted risks, weak and flexible.

    Attributes
    ----------
    models : tuple of str
    measures : DataFrame
        model, metric, estimate, std_error, reason.
    replicates : dict of str to (n_resamples, 4) ndarray
        ICI, E50, E90 and Emax of bootstrap samples, by model; empty without.
    curves : DataFrame
        model, predicted, estimate, std_error: the smooth curve at 101 risks.
    groups : DataFrame
        model, group, n, predicted (mean), estimate (observed risk), std_error, reason.
    tests : dict of str to HypothesisTest or NotApplicable
        D-calibration; empty for a binary outcome.
    risk : (n, k) ndarray
    horizon : float or None
    method : {"hazard", "pseudo", "loess", "rcs"}
    """

    title: ClassVar[str] = "Calibration"

    models: tuple[str, ...]
    measures: pd.DataFrame
    replicates: Mapping[str, FloatArray]
    curves: pd.DataFrame
    groups: pd.DataFrame
    tests: Mapping[str, HypothesisTest | NotApplicable]
    risk: FloatArray
    horizon: float | None
    method: CurveMethod
    nobs: int
    n_events: int
    n_resamples: int
    provenance: Provenance
    estimand: str = "agreement of predicted and observed risk"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model and metric.

        Tests: O/E and slope against one, intercept against zero. Limits: of O/E on the log scale, of the distances
        (ICI, E50, E90, Emax) percentiles of bootstrap samples. The estimate of the D-calibration is its chi-square.
        """
        check_conf_level(conf_level)
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for measures of calibration")
        z = float(special.ndtri(0.5 + conf_level / 2))
        table = self.measures.copy()
        if self.horizon is not None:
            table.insert(2, "time", self.horizon)
        estimate, se = table["estimate"].to_numpy(), table["std_error"].to_numpy()
        null = table["metric"].map(_NULLS).to_numpy(dtype=np.float64)
        ratio = (table["metric"] == RATIO).to_numpy()
        low, high = estimate - z * se, estimate + z * se
        log, log_error = np.log(estimate[ratio]), se[ratio] / estimate[ratio]
        low[ratio], high[ratio] = np.exp(log - z * log_error), np.exp(log + z * log_error)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = (estimate - null) / se
        statistic[ratio] = log / log_error
        p_value = 2 * special.ndtr(-np.abs(statistic))
        for model, draws in self.replicates.items():
            for k, metric in enumerate(DISTANCES):
                here = ((table["model"] == model) & (table["metric"] == metric)).to_numpy()
                tail = (1 - conf_level) / 2
                low[here], high[here] = np.nanquantile(draws[:, k], [tail, 1 - tail])
        for model, test in self.tests.items():
            here = ((table["model"] == model) & (table["metric"] == D_CALIBRATION)).to_numpy()
            if isinstance(test, HypothesisTest):
                statistic[here], p_value[here] = test.statistic, test.p_value
        table = table.assign(statistic=statistic, p_value=p_value, conf_low=low, conf_high=high)
        return table[[c for c in table if c != "reason"] + ["reason"]]

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, method, n_resamples."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "method": [self.method],
                "n_resamples": [self.n_resamples],
            }
        )

    def curve(self, conf_level: float = 0.95) -> pd.DataFrame:
        """The smooth curves: model, predicted, estimate, std_error, conf_low, conf_high."""
        return _with_limits(self.curves, conf_level)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Observed against predicted risk: smooth curves with bands, groups with limits, and where the risks lie."""
        from dxa_causal.plots.calibration import calibration as draw

        by = "" if self.horizon is None else f" by {self.horizon:g}"
        risks = dict(zip(self.models, self.risk.T, strict=True))
        return draw(self.curve(), _with_limits(self.groups, 0.95), risks, label=f"risk{by}", ax=ax)

    def _notes(self) -> list[str]:
        words = {
            "hazard": "Cox's model (competing causes: Fine and Gray's) of a spline of log(-log(1 - risk))",
            "pseudo": "pseudo-values on a spline of log(-log(1 - risk))",
            "loess": "loess",
            "rcs": "logistic regression on a spline of the log odds",
        }
        by = [] if self.horizon is None else [f"horizon: {self.horizon:g}"]
        return [*by, f"curve: {words[self.method]}", *super()._notes()]


def calibration(
    models: Any,
    data: Any = None,
    *,
    horizon: float | None = None,
    outcome: Any = None,
    cause: Any = None,
    method: CurveMethod | None = None,
    n_knots: int = 3,
    n_groups: int = 10,
    n_resamples: int = 0,
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Calibration:
    r"""Compare predicted with observed risks.

    Parameters
    ----------
    models : mapping of str to model, or one model
        Fits of this package, scikit-learn estimators, columns of `data` or arrays of risks.
    data : pandas or polars frame
        Rows to judge on; not needed where risks and a binary outcome are arrays.
    horizon : float, optional
        Time by which the event counts, unit of the data. None: the outcome is binary.
    outcome : str or (n,) array_like, optional
        ``"Surv(time, event)"`` (that of the fits when omitted), or the column or array of a binary outcome.
    cause : optional
        The cause that counts, where there are several.
    method : {"hazard", "pseudo", "loess", "rcs"}, optional
        How the smooth curve is fitted. With a horizon "hazard" (the default): Cox's model, with competing causes Fine
        and Gray's, of a restricted cubic spline of :math:`\log(-\log(1 - p))`; or "pseudo": regression of
        pseudo-values on it. For a binary outcome "loess" (the default), as R's ``loess(y ~ p)``, or "rcs": logistic
        regression on a spline of the log odds.
    n_knots : int
        Of the spline, 3 to 7; 2 for a straight line.
    n_groups : int
        Groups of predicted risk, equally many rows each, whose observed risk is shown.
    n_resamples : int
        Bootstrap samples for the limits of ICI, E50, E90 and Emax; the predictions count as given.
    seed : int, Generator or None
        The same seed gives the same samples for any `n_jobs`.
    n_jobs : int or None
    progress : bool

    Returns
    -------
    Calibration

    Notes
    -----
    O/E is the observed risk (proportion, Kaplan-Meier, Aalen-Johansen) over the mean prediction, with the error of
    this ratio over samples in which both vary. The intercept is that of a model with the transformed prediction as
    offset (calibration in the large), the slope that of a model with it as covariate: log odds of a logistic
    regression for a binary outcome; at a horizon :math:`\log(-\log(1 - p))` in a regression of pseudo-values with
    that link and sandwich errors. With the curve :math:`c(p)`, ICI is the mean of :math:`|c(p_i) - p_i|`, E50 and E90
    its median and 90th percentile, Emax its maximum. They are above zero by chance even for a perfect model.

    References
    ----------
    Austin PC, Steyerberg EW. Stat Med 2019;38:4051-4065. doi:10.1002/sim.8281
    Austin PC, Harrell FE, van Klaveren D. Stat Med 2020;39:2714-2742. doi:10.1002/sim.8570
    Austin PC, et al. Diagn Progn Res 2022;6:2. doi:10.1186/s41512-021-00114-6
    van Geloven N, et al. BMJ 2022;377:e069249. doi:10.1136/bmj-2021-069249

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhefs")
    >>> fit = dc.survival.cox("Surv(survtime, death) ~ age + C(sex)", cohort.iloc[::2])
    >>> found = calibration(fit, cohort.iloc[1::2], horizon=100).tidy().set_index("metric")
    >>> found.loc[["O/E", "slope"], "estimate"].round(1).tolist()
    [0.9, 1.0]
    """
    forecasts = read_forecasts(models, data, horizon=horizon, outcome=outcome, cause=cause, inside=True)
    binary = forecasts.happened is not None
    method = METHODS[binary][0] if method is None else method
    check_option("method", method, METHODS[binary])
    for argument, number, least in (
        ("n_groups", n_groups, 1),
        ("n_knots", n_knots, 2),
        ("n_resamples", n_resamples, 0),
    ):
        check_whole_number(argument, number, least)
    if n_resamples == 1:
        raise OptionError("n_resamples=1: one sample has no spread; 200 or more are usual")
    tests = {} if binary else d_calibration(models, data, outcome=outcome, cause=cause).tests
    measures: list[tuple[str, str, float, float, str]] = []
    curves, groups, replicates = [], [], {}
    for j, name in enumerate(forecasts.models):
        risk = forecasts.risk[:, j]
        curve = smooth_curve(forecasts, risk, method=method, n_knots=n_knots)
        draws = np.empty((0, len(DISTANCES)))
        if n_resamples:
            draws = resampled_distances(
                forecasts, j, method, n_knots, n_resamples, seed=seed, n_jobs=n_jobs, progress=progress
            )
            replicates[name] = draws
        for metric, estimate, se in weak_calibration(forecasts, risk):
            measures.append((name, metric, estimate, se, "" if np.isfinite(se) else "the regression did not converge"))
        spread = np.nanstd(draws, axis=0, ddof=1) if n_resamples else np.full(len(DISTANCES), np.nan)
        for metric, value, se in zip(DISTANCES, distances(curve.observed, risk), spread, strict=True):
            measures.append((name, metric, value, float(se), "" if n_resamples else _NO_RESAMPLES))
        if name in tests:
            test = tests[name]
            statistic = test.statistic if isinstance(test, HypothesisTest) else np.nan
            reason = "a chi-square has no standard error" if isinstance(test, HypothesisTest) else test.reason
            measures.append((name, D_CALIBRATION, statistic, np.nan, reason))
        columns = {"predicted": curve.predicted, "estimate": curve.estimate, "std_error": curve.std_error}
        curves.append(pd.DataFrame({"model": name, **columns}))
        groups.append(_groups(forecasts, name, risk, n_groups))
    call = format_call(
        "survival.calibration",
        list(forecasts.models),
        horizon=horizon,
        outcome=outcome if isinstance(outcome, str) else None,
        cause=cause,
        method=method,
        n_knots=n_knots,
        n_groups=n_groups,
        n_resamples=n_resamples or None,
    )
    return Calibration(
        models=forecasts.models,
        measures=pd.DataFrame(measures, columns=["model", "metric", "estimate", "std_error", "reason"]),
        replicates=replicates,
        curves=pd.concat(curves, ignore_index=True),
        groups=pd.concat(groups, ignore_index=True),
        tests=tests,
        risk=forecasts.risk,
        horizon=forecasts.horizon,
        method=method,
        nobs=forecasts.n,
        n_events=forecasts.n_events,
        n_resamples=n_resamples,
        provenance=replace(forecasts.provenance, call=call, seed=seed if isinstance(seed, int) else None),
    )


def _groups(forecasts: Forecasts, name: str, risk: FloatArray, n_groups: int) -> pd.DataFrame:
    edges = np.unique(np.quantile(risk, np.arange(1, n_groups) / n_groups))
    code = np.searchsorted(edges, risk, side="left")
    rows = []
    for k, group in enumerate(np.unique(code)):
        here = code == group
        reason = forecasts.unknown(here)
        share = np.full(2, np.nan) if reason else forecasts.shares(here)
        rows.append(
            {
                "model": name,
                "group": k + 1,
                "n": int(here.sum()),
                "predicted": float(risk[here].mean()),
                "estimate": float(share.mean()),
                "std_error": float(share.std() / np.sqrt(share.size)),
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


def _with_limits(table: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    estimate = np.clip(table["estimate"].to_numpy(), 1e-12, 1 - 1e-12)  # loess may leave the range
    low, high = probability_limits(estimate, table["std_error"].to_numpy(), "logit", conf_level)
    return table.assign(conf_low=low, conf_high=high)
