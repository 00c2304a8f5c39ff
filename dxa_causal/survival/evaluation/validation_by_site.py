"""Internal-external validation: the model is made without one site and judged there, for every site in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import DxaCausalError, OptionError, PredictorError, column_not_found
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.selected_rows import refuse_selected
from dxa_causal._design import to_pandas
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result
from dxa_causal.survival._kernels.random_effects import RandomEffects, random_effects
from dxa_causal.survival.evaluation.performance import (
    USUAL,
    Measured,
    Performance,
    Score,
    from_pooling_scale,
    measured,
    neutral,
    poolable,
    to_pooling_scale,
    why_missing,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Pooling = Literal["reml", "dl"]

POOLED, NEW = "pooled", "a new site"


@dataclass(frozen=True, eq=False, repr=False)
class InternalExternal(Result):
    """Performance at each site of the model made without it, and its random-effects summary.

    Attributes
    ----------
    sites : DataFrame
        group (site), n, n_event, metric, time, estimate, std_error, reason.
    pooled : dict of (metric, time) to RandomEffects or NotApplicable
        On the scale of pooling: log odds (auc, concordances), logarithm (observed_expected), as it is (others).
    pooling : {"reml", "dl"}
    """

    title: ClassVar[str] = "Internal-external validation"

    sites: pd.DataFrame
    pooled: Mapping[tuple[str, float], RandomEffects | NotApplicable]
    n_sites: int
    pooling: Pooling
    nobs: int
    provenance: Provenance
    estimand: str = "performance at a site that was not used"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Per metric and time: a row per site, the pooled mean, and the interval for a new site.

        Limits of the mean use the t distribution on k - 1 degrees of freedom (Hartung and Knapp), those of a new site
        on k - 2.
        """
        check_conf_level(conf_level)
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for measures of performance")
        frames = []
        for (metric, time), summary in self.pooled.items():
            at = self.sites["time"].isna() if np.isnan(time) else self.sites["time"] == time
            own = self.sites[(self.sites["metric"] == metric) & at]
            centre, error = to_pooling_scale(metric, own["estimate"].to_numpy(), own["std_error"].to_numpy())
            z = float(special.ndtri(0.5 + conf_level / 2))
            low, high = (from_pooling_scale(metric, centre + sign * z * error) for sign in (-1, 1))
            frames += [own.assign(conf_low=low, conf_high=high), self._summary(metric, time, summary, conf_level)]
        return pd.concat(frames, ignore_index=True)[
            ["group", "n", "n_event", "metric", "time", "estimate", "std_error", "conf_low", "conf_high", "reason"]
        ]

    def heterogeneity(self, metric: str, time: float | None = None) -> HypothesisTest | NotApplicable:
        """Cochran's test that a metric is the same at all sites."""
        found = {m: s for (m, t), s in self.pooled.items() if m == metric and (time is None or t == time)}
        check_option("metric", metric, tuple(dict.fromkeys(m for m, _ in self.pooled)))
        if metric not in found:
            raise OptionError(f"time={time!r} is not among the horizons")
        summary = found[metric]
        if isinstance(summary, NotApplicable):
            return summary
        null = f"{metric} is alike at all sites"
        return HypothesisTest(summary.q, summary.k - 1, summary.p_value, "Cochran's Q", null)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_groups (sites), method."""
        return pd.DataFrame({"nobs": [self.nobs], "n_groups": [self.n_sites], "method": [self.pooling]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the first metric: sites, their mean, and a new site."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        first = table.iloc[0]
        at = table["time"].isna() if np.isnan(first["time"]) else table["time"] == first["time"]
        own = table[(table["metric"] == first["metric"]) & at & table["estimate"].notna()]
        names = own["group"].astype(str)
        middle = neutral([first["metric"]])
        return forest(own.assign(term=names), effect_measure=first["metric"], reference=middle, log=False, ax=ax)

    def _summary(
        self, metric: str, time: float, summary: RandomEffects | NotApplicable, conf_level: float
    ) -> pd.DataFrame:
        rows = []
        for name, df in ((POOLED, 1), (NEW, 2)):
            row: dict[str, Any] = {"group": name, "n": np.nan, "n_event": np.nan, "metric": metric, "time": time}
            estimate = std_error = low = high = np.nan
            reason = summary.reason if isinstance(summary, NotApplicable) else ""
            if not isinstance(summary, NotApplicable):
                mean = np.array(summary.estimate)
                error = summary.std_error if name == POOLED else summary.prediction_error
                estimate = float(from_pooling_scale(metric, mean))
                slope = (from_pooling_scale(metric, mean + 1e-6) - from_pooling_scale(metric, mean - 1e-6)) / 2e-6
                std_error = float(slope) * error
                free = summary.k - df
                if free < 1:
                    reason = f"an interval for {name} needs {df + 1} sites"
                else:
                    t = float(special.stdtrit(free, 0.5 + conf_level / 2))
                    low, high = (float(from_pooling_scale(metric, mean + s * t * error)) for s in (-1, 1))
            rows.append(
                {
                    **row,
                    "estimate": estimate,
                    "std_error": std_error,
                    "conf_low": low,
                    "conf_high": high,
                    "reason": reason,
                }
            )
        return pd.DataFrame(rows)

    def _notes(self) -> list[str]:
        lines = []
        for (metric, time), summary in self.pooled.items():
            at = "" if np.isnan(time) else f" at {time:g}"
            if isinstance(summary, RandomEffects):
                lines.append(
                    f"{metric}{at}: variance between sites {summary.tau2:.3g}, I2 {100 * summary.i2:.0f} %, p of "
                    f"Cochran's Q {summary.p_value:.3g}"
                )
        return [*lines, *super()._notes()]


def internal_external(
    fit: Callable[[pd.DataFrame], Any],
    data: Any,
    horizons: npt.ArrayLike,
    *,
    site: str,
    metrics: Sequence[Performance] | Mapping[str, Score] = USUAL,
    outcome: str | None = None,
    cause: Any = None,
    pooling: Pooling = "reml",
    n_jobs: int | None = None,
    progress: bool = False,
) -> InternalExternal:
    """Leave out one site at a time: make the model on the others, judge it there, pool over sites.

    Parameters
    ----------
    fit : callable
        (frame) -> model: everything that looked at the outcome, selection and tuning too.
    data : pandas or polars frame
    horizons : (k,) array_like
        Times by which the event is predicted, unit of the data.
    site : str
        Column: centre, cohort, calendar period.
    metrics, outcome, cause
        As of `optimism`. Functions have no standard error and are not pooled.
    pooling : {"reml", "dl"}
        Estimate of the variance between sites: restricted maximum likelihood or DerSimonian and Laird.
    n_jobs : int or None
        With processes `fit` must be picklable.
    progress : bool

    Returns
    -------
    InternalExternal

    Notes
    -----
    AUC and concordance are pooled as log odds, the ratio of observed to expected on the logarithmic scale. The
    standard error of the mean is Hartung and Knapp's, never below the model's. A site where the model cannot be
    judged keeps its row with the reason.

    References
    ----------
    Royston P, Parmar MKB, Sylvester R. Stat Med 2004;23:907-926. doi:10.1002/sim.1691
    Debray TPA, et al. BMJ 2017;356:i6460. doi:10.1136/bmj.i6460

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 65").dropna(subset=["grip_kg"])
    >>> found = internal_external(lambda frame: dc.survival.cox("Surv(time, died) ~ age + grip_kg", frame), cohort, 4,
    ...                           site="sex", metrics=["concordance_harrell"])
    >>> found.tidy()["group"].tolist()
    ['female', 'male', 'pooled', 'a new site']
    """
    check_option("pooling", pooling, Pooling)
    if not callable(fit):
        raise OptionError("fit must be a function of a frame that returns a model: lambda frame: cox('...', frame)")
    refuse_selected(data, "internal_external")
    frame = to_pandas(data)
    if not isinstance(site, str):
        raise OptionError(f"site={site!r} must name one column")
    if site not in frame.columns:
        raise column_not_found(site, frame.columns, argument="site")
    what = measured(metrics, horizons, outcome=outcome, cause=cause)
    known = frame[frame[site].notna()]
    sites = list(pd.factorize(known[site], sort=True)[1])
    if len(sites) < 2:
        raise PredictorError(f"site={site!r} has {len(sites)} value in the data; leaving one out needs two or more")
    work = _LeftOut(fit, known, site, what)
    tables = list(parallel_map(work, sites, n_jobs=n_jobs, progress=progress, description="sites"))
    # a site that fails has no rows of its own: it gets those of another
    shape = next((t[["metric", "time"]] for t in tables if "metric" in t), None)
    if shape is None:
        raise PredictorError(f"the model can be judged at no site: {tables[0]['reason'].iloc[0]}")
    filled = [t if "metric" in t else shape.merge(t, how="cross") for t in tables]
    columns = ["group", "n", "n_event", "metric", "time", "estimate", "std_error", "reason"]
    table = pd.concat(filled, ignore_index=True)[columns]
    pooled = {
        (metric, float(time)): _pool(metric, own, pooling)
        for (metric, time), own in table.groupby(["metric", "time"], sort=False, dropna=False)
    }
    call = f"survival.internal_external(fit, data, {list(what.horizons)}, site={site!r}, pooling={pooling!r})"
    missing = {site: int(frame[site].isna().sum())} if frame[site].isna().any() else {}
    return InternalExternal(
        sites=table,
        pooled=pooled,
        n_sites=len(sites),
        pooling=pooling,
        nobs=len(known),
        provenance=Provenance(call=call, n_rows=len(frame), n_used=len(known), missing=missing),
    )


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Performance at one site of the model made on the others; picklable where `fit` is."""

    fit: Callable[[pd.DataFrame], Any]
    frame: pd.DataFrame
    site: str
    what: Measured

    def __call__(self, label: Any) -> pd.DataFrame:
        here = (self.frame[self.site] == label).to_numpy()
        own = self.frame[here]
        row = {"group": label, "n": len(own), "n_event": np.nan, "estimate": np.nan, "std_error": np.nan}
        try:
            model = self.fit(self.frame[~here])
            table = self.what.table({"model": model}, own).drop(columns="model")
            row["n_event"] = n_events(model, own, self.what)
        except DxaCausalError as error:
            return pd.DataFrame([{**row, "reason": str(error)}])
        return table.assign(group=label, n=len(own), n_event=row["n_event"], reason=why_missing(table))


def n_events(model: Any, frame: pd.DataFrame, what: Measured) -> int:
    """Events of the cause by the last horizon."""
    from dxa_causal.survival.evaluation.predictions import evaluation_rows

    rows = evaluation_rows({"model": model}, frame, outcome=what.outcome, cause=what.cause)
    return int(((rows.outcome.event == rows.code) & (rows.outcome.time <= max(what.horizons))).sum())


def _pool(metric: str, own: pd.DataFrame, pooling: Pooling) -> RandomEffects | NotApplicable:
    usable = own[poolable(metric, own)]
    if len(usable) < 2:
        return NotApplicable(f"{len(usable)} sites have an estimate with a standard error", "random effects")
    value, error = to_pooling_scale(metric, usable["estimate"].to_numpy(), usable["std_error"].to_numpy())
    return random_effects(value, error**2, reml=pooling == "reml")
