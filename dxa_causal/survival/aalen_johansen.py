"""The Aalen-Johansen estimate of cumulative incidence with competing risks, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, shown
from dxa_causal._core.options import ConfType, Missing, check_option
from dxa_causal._design import Groups, read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import Provenance, Summary
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cumulative_incidence import cumulative_incidence
from dxa_causal.survival.step_curves import (
    StepCurves,
    given_weights,
    last_values,
    probability_limits,
    robust_choice,
    warn_when_spent,
    warn_without_events,
)

if TYPE_CHECKING:
    pass

IncidenceVariance = Literal["survival", "cmprsk"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class AalenJohansenFit(StepCurves):
    """Cumulative incidences by group and cause.

    Attributes
    ----------
    groups : Groups
        Outcome and group of every row analysed.
    steps : DataFrame
        group, time, cause, n_risk, n_event, estimate, std_error, one row per
        cause and distinct exit time of a group; sums of weights for a weighted fit.
    variance : str
        Kind of standard error.
    conf_type : str
        Scale of the limits.
    weights, cluster : str or None
    """

    title: ClassVar[str] = "Aalen-Johansen cumulative incidence"
    start: ClassVar[float] = 0.0
    value_label: ClassVar[str] = "Cumulative incidence"
    by: ClassVar[list[str]] = ["group", "cause"]

    groups: Groups
    steps: pd.DataFrame
    variance: IncidenceVariance
    conf_type: ConfType
    weights: str | None
    cluster: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "cumulative incidence"

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Events and the incidence at the last time, per group and cause."""
        table = last_values(self.tidy(conf_level), by=["group", "cause"])
        return Summary(self.title, [table], [f"limits on the {self.conf_type} scale", *self._notes()])

    def _limits(self, estimate: FloatArray, std_error: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
        return probability_limits(estimate, std_error, self.conf_type, conf_level)


def aalen_johansen(
    formula: str,
    data: Any,
    *,
    weights: str | None = None,
    cluster: str | None = None,
    variance: IncidenceVariance = "survival",
    conf_type: ConfType = "log",
    missing: Missing = "drop",
) -> AalenJohansenFit:
    r"""Estimate the cumulative incidence of every cause when each prevents the others.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group``, ``~ 1`` for one curve per cause, or
        ``Surv(entry, time, event) ~ ...`` with delayed entry. The event is 0 =
        censored and 1, 2, ... = causes, or a categorical whose first category
        is censoring.
    data : pandas or polars frame
    weights : str, optional
        Column of positive weights.
    cluster : str, optional
        Column; rows with the same value are dependent.
    variance : {"survival", "cmprsk"}
        "survival": the infinitesimal jackknife, as R's ``survfit`` for several
        states. "cmprsk": from the martingales of the cause-specific hazards,
        as R's ``cuminc``; not with weights, clusters or delayed entry, which
        that function does not know.
    conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
        Scale on which the limits are symmetric. On all but "plain" they are
        missing while the estimate is zero.
    missing : {"drop", "raise"}

    Returns
    -------
    AalenJohansenFit

    Warns
    -----
    RiskSetWarning
        With delayed entry, everybody at risk early has an event before others
        enter: the incidences add up to 1 there and stay, as in R.

    Notes
    -----
    :math:`\hat F_c(t) = \sum_{s \le t} \hat S(s-) \, d_{cs} / n_s`, with the Kaplan-Meier
    estimate of being free of all events; the incidences and that survival sum
    to one. One minus the Kaplan-Meier estimate that censors other causes is
    larger, and estimates the risk in nobody's world. Times closer than
    ``sqrt(eps)`` are one time.

    References
    ----------
    Aalen OO, Johansen S. Scand J Stat 1978;5:141-150. https://www.jstor.org/stable/4615704
    Gray RJ. Ann Stat 1988;16:1141-1154. doi:10.1214/aos/1176350951

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4], "event": [1, 2, 0, 1]})
    >>> aalen_johansen("Surv(time, event) ~ 1", data).predict([2])[["cause", "estimate"]].values.tolist()
    [[1.0, 0.25], [2.0, 0.25]]
    """
    check_option("variance", variance, IncidenceVariance)
    check_option("conf_type", conf_type, ConfType)
    columns = {"weights": weights, "cluster": cluster}
    groups = read_groups(formula, data, arguments=columns, missing=missing, causes=True)
    outcome = groups.outcome
    if variance == "cmprsk":
        delayed = {"delayed entry": outcome.entry is not None}
        given = [name for name, use in ({k: v is not None for k, v in columns.items()} | delayed).items() if use]
        if given:
            raise OptionError(f"variance='cmprsk' takes no {' or '.join(given)}; use variance='survival'")
    weight = given_weights(groups, weights)
    _, units = robust_choice(groups, weight, robust=None, cluster=cluster)
    warn_without_events(groups)
    times = rank_times(outcome.time, outcome.entry)
    frames = []
    for code, label in enumerate(groups.labels):
        own = groups.codes == code
        entry_rank = None if times.entry_rank is None else times.entry_rank[own]
        curves = cumulative_incidence(
            times.rank[own],
            entry_rank,
            outcome.event[own],
            weight[own],
            n_causes=len(outcome.causes),
            jackknife=variance == "survival",
            cluster=None if units is None else units[own],
        )
        if entry_rank is not None:
            where = f"group {shown(label)}: " if groups.names else ""
            n_event = curves.n_event.sum(axis=0)
            warn_when_spent(where, times.distinct, curves.place, curves.n_risk, n_event, entry_rank)
        for c, cause in enumerate(outcome.causes):
            frames.append(
                pd.DataFrame(
                    {
                        "group": [label] * curves.place.size,
                        "time": times.distinct[curves.place],
                        "cause": [cause] * curves.place.size,
                        "n_risk": curves.n_risk,
                        "n_event": curves.n_event[c],
                        "estimate": curves.incidence[c],
                        "std_error": curves.std_error[c],
                    }
                )
            )
    call = format_call("survival.aalen_johansen", formula, **columns, variance=variance, conf_type=conf_type)
    return AalenJohansenFit(
        groups=groups,
        steps=pd.concat(frames, ignore_index=True),
        variance=variance,
        conf_type=conf_type,
        weights=weights,
        cluster=cluster,
        nobs=outcome.time.size,
        n_events=int((outcome.event > 0).sum()),
        provenance=groups.provenance(call),
    )
