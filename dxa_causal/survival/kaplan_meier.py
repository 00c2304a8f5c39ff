"""The Kaplan-Meier estimate of survival, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, shown
from dxa_causal._core.options import ConfType, Missing, check_conf_level, check_option
from dxa_causal._core.warnings import AllCensoredWarning, HorizonWarning, warn
from dxa_causal._design import Groups, read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.product_limit import product_limit
from dxa_causal.survival.prediction import check_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class KaplanMeierFit(Result):
    """Survival curves by group.

    Attributes
    ----------
    groups : Groups
        Outcome and group of every row analysed.
    steps : DataFrame
        group, time, n_risk, n_event, n_censor, estimate, std_error, one row
        per distinct exit time of a group; sums of weights for a weighted fit.
        `std_error` is missing once a curve has reached zero.
    conf_type : str
        Scale of the limits.
    weights : str or None
    robust : bool
    """

    title: ClassVar[str] = "Kaplan-Meier survival"

    groups: Groups
    steps: pd.DataFrame
    conf_type: ConfType
    weights: str | None
    robust: bool
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "survival probability"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group and exit time: n_risk, n_event, n_censor, estimate, std_error, limits."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for survival probabilities")
        return self._with_limits(self.steps, conf_level)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "n_groups": [len(self.groups.labels)]})

    def predict(self, times: npt.ArrayLike, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Survival at given times, right-continuous.

        Parameters
        ----------
        times : (k,) array_like
        conf_level : float

        Returns
        -------
        DataFrame
            group, time, estimate, std_error, conf_low, conf_high, n_risk (at
            risk just before the time).
        """
        times = check_times(times)
        frames = []
        for code, label in enumerate(self.groups.labels):
            step = self.steps[self.steps["group"] == label]
            last = step["time"].iloc[-1]
            if (times > last).any():
                warn(
                    f"group {shown(label)}: time {times.max():g} lies beyond the last observation ({last:g}); the "
                    "last value is carried forward",
                    HorizonWarning,
                )
            place = np.searchsorted(step["time"].to_numpy(), times, side="right")
            frames.append(
                pd.DataFrame(
                    {
                        "group": [label] * times.size,
                        "time": times,
                        "estimate": np.concatenate([[1.0], step["estimate"]])[place],
                        "std_error": np.concatenate([[0.0], step["std_error"]])[place],
                        "n_risk": self._at_risk(code, times),
                    }
                )
            )
        table = self._with_limits(pd.concat(frames, ignore_index=True), conf_level)
        return table[["group", "time", "estimate", "std_error", "conf_low", "conf_high", "n_risk"]]

    def median(self, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Median survival time per group with limits; missing where a curve does not come down to one half."""
        table = self.tidy(conf_level)
        rows = []
        for label in self.groups.labels:
            curve = table[table["group"] == label]
            time = curve["time"].to_numpy()
            rows.append(
                {
                    "group": label,
                    "estimate": _crossing(time, curve["estimate"].to_numpy()),
                    "conf_low": _crossing(time, curve["conf_low"].to_numpy()),
                    "conf_high": _crossing(time, curve["conf_high"].to_numpy()),
                }
            )
        return pd.DataFrame(rows)

    def plot(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """Curves with pointwise limits and the numbers at risk below; `time_label` should name the unit."""
        from dxa_causal.plots.survival import survival_curves

        last = float(self.steps["time"].max())
        ticks = nice_ticks(last)
        at_risk = pd.DataFrame(
            {str(label): self._at_risk(code, ticks) for code, label in enumerate(self.groups.labels)}, index=ticks
        )
        return survival_curves(
            self.tidy(), at_risk=at_risk.T, time_label=time_label or self.groups.outcome.time_name, ax=ax
        )

    def summary(self, conf_level: float = 0.95) -> Any:
        """Events and median per group."""
        from dxa_causal.results import Summary

        counts = self.steps.groupby("group", sort=False)[["n_event", "n_censor"]].sum().reset_index()
        table = counts.merge(self.median(conf_level=conf_level), on="group").rename(columns={"estimate": "median"})
        return Summary(self.title, [table], [f"limits on the {self.conf_type} scale", *self._notes()])

    def _at_risk(self, code: int, times: FloatArray) -> FloatArray:
        own = self.groups.codes == code
        weight = np.ones(int(own.sum())) if self.weights is None else self._weight()[own]
        exit_time = self.groups.outcome.time[own]
        order = np.argsort(exit_time, kind="stable")
        gone = np.concatenate([[0.0], np.cumsum(weight[order])])
        count = gone[-1] - gone[np.searchsorted(exit_time[order], times, side="left")]
        if self.groups.outcome.entry is not None:
            entry = self.groups.outcome.entry[own]
            order = np.argsort(entry, kind="stable")
            come = np.concatenate([[0.0], np.cumsum(weight[order])])
            count -= come[-1] - come[np.searchsorted(entry[order], times, side="left")]
        return count

    def _weight(self) -> FloatArray:
        return np.asarray(self.groups.rows.frame[self.weights], dtype=np.float64)

    def _with_limits(self, table: pd.DataFrame, conf_level: float) -> pd.DataFrame:
        check_conf_level(conf_level)
        low, high = _limits(table["estimate"].to_numpy(), table["std_error"].to_numpy(), self.conf_type, conf_level)
        return table.assign(conf_low=low, conf_high=high)


def kaplan_meier(
    formula: str,
    data: Any,
    *,
    weights: str | None = None,
    robust: bool | None = None,
    conf_type: ConfType = "log",
    missing: Missing = "drop",
) -> KaplanMeierFit:
    r"""Estimate survival by the product-limit method.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group``, ``~ 1`` for one curve, or
        ``Surv(entry, time, event) ~ ...`` with delayed entry.
    data : pandas or polars frame
    weights : str, optional
        Column of positive weights.
    robust : bool, optional
        Infinitesimal-jackknife standard errors in place of Greenwood's. None:
        when weights are not whole numbers, as in R.
    conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
        Scale on which the limits are symmetric.
    missing : {"drop", "raise"}

    Returns
    -------
    KaplanMeierFit

    Notes
    -----
    :math:`\hat S(t) = \prod_{s \le t} (1 - d_s / n_s)`; Greenwood's variance is
    :math:`\hat S^2 \sum_{s \le t} d_s / (n_s (n_s - d_s))`. Times closer than
    ``sqrt(eps)`` are one time.

    References
    ----------
    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4], "died": [1, 0, 1, 1]})
    >>> kaplan_meier("Surv(time, died) ~ 1", data).tidy()["estimate"].tolist()
    [0.75, 0.75, 0.375, 0.0]
    """
    check_option("conf_type", conf_type, ConfType)
    groups = read_groups(formula, data, arguments={"weights": weights}, missing=missing)
    outcome = groups.outcome
    given = groups.rows.number(weights, argument="weights", positive=True)
    weight = np.ones(outcome.time.size) if given is None else given
    if robust is None:
        robust = bool(np.any(weight != np.floor(weight)))
    times = rank_times(outcome.time, outcome.entry)
    frames = []
    for code, label in enumerate(groups.labels):
        own = groups.codes == code
        if not outcome.event[own].any():
            warn(f"group {shown(label)} has no event: its curve stays at 1", AllCensoredWarning)
        entry_rank = None if times.entry_rank is None else times.entry_rank[own]
        curve = product_limit(times.rank[own], entry_rank, outcome.event[own], weight[own], robust=robust)
        frames.append(
            pd.DataFrame(
                {
                    "group": [label] * curve.place.size,
                    "time": times.distinct[curve.place],
                    "n_risk": curve.n_risk,
                    "n_event": curve.n_event,
                    "n_censor": curve.n_censor,
                    "estimate": curve.survival,
                    "std_error": curve.std_error,
                }
            )
        )
    call = format_call("survival.kaplan_meier", formula, weights=weights, robust=robust or None, conf_type=conf_type)
    return KaplanMeierFit(
        groups=groups,
        steps=pd.concat(frames, ignore_index=True),
        conf_type=conf_type,
        weights=weights,
        robust=robust,
        nobs=outcome.time.size,
        n_events=int(outcome.event.sum()),
        provenance=groups.provenance(call),
    )


def nice_ticks(last: float) -> FloatArray:
    """About six round times from zero to `last`, for a table of numbers at risk."""
    raw = last / 5
    power = 10.0 ** np.floor(np.log10(raw)) if raw > 0 else 1.0
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.8)
    ticks: FloatArray = np.arange(0.0, last * (1 + 1e-9), step)
    return ticks


def _crossing(time: FloatArray, curve: FloatArray) -> float:
    """First time the curve is at most one half; the middle of the step where it equals one half."""
    tolerance = np.sqrt(np.finfo(np.float64).eps)
    below = np.flatnonzero(curve <= 0.5 + tolerance)
    if below.size == 0:
        return float("nan")
    i = below[0]
    if abs(curve[i] - 0.5) < tolerance:
        lower = np.flatnonzero(curve < 0.5 - tolerance)
        if lower.size:
            return float(0.5 * (time[i] + time[lower[0]]))
    return float(time[i])


def _limits(s: FloatArray, se: FloatArray, conf_type: ConfType, conf_level: float) -> tuple[FloatArray, FloatArray]:
    z = float(special.ndtri(0.5 + conf_level / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_se = se / s
        if conf_type == "plain":
            low, high = s - z * se, s + z * se
        elif conf_type == "log":
            low, high = np.exp(np.log(s) - z * log_se), np.exp(np.log(s) + z * log_se)
        elif conf_type == "log-log":
            centre, half = np.log(-np.log(s)), z * log_se / np.log(s)
            low, high = np.exp(-np.exp(centre - half)), np.exp(-np.exp(centre + half))
        elif conf_type == "logit":
            centre, half = np.log(s / (1 - s)), z * log_se / (1 - s)
            low, high = special.expit(centre - half), special.expit(centre + half)
        else:
            centre, half = np.arcsin(np.sqrt(s)), 0.5 * z * log_se * np.sqrt(s / (1 - s))
            low = np.sin(np.maximum(0.0, centre - half)) ** 2
            high = np.sin(np.minimum(np.pi / 2, centre + half)) ** 2
    certain = s == 1.0
    low, high = np.where(certain, 1.0, low), np.where(certain, 1.0, high)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
