"""The Kaplan-Meier estimate of survival, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import shown
from dxa_causal._core.options import ConfType, Missing, check_option
from dxa_causal._design import Groups, read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import Provenance
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.product_limit import product_limit
from dxa_causal.survival.step_curves import (
    StepCurves,
    given_weights,
    probability_limits,
    robust_choice,
    warn_when_spent,
    warn_without_events,
)

if TYPE_CHECKING:
    pass

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class KaplanMeierFit(StepCurves):
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
    cluster : str or None
    """

    title: ClassVar[str] = "Kaplan-Meier survival"
    start: ClassVar[float] = 1.0
    value_label: ClassVar[str] = "Survival probability"

    groups: Groups
    steps: pd.DataFrame
    conf_type: ConfType
    weights: str | None
    robust: bool
    cluster: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "survival probability"

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

    def summary(self, conf_level: float = 0.95) -> Any:
        """Events and median per group."""
        from dxa_causal.results import Summary

        counts = self.steps.groupby("group", sort=False)[["n_event", "n_censor"]].sum().reset_index()
        table = counts.merge(self.median(conf_level=conf_level), on="group").rename(columns={"estimate": "median"})
        return Summary(self.title, [table], [f"limits on the {self.conf_type} scale", *self._notes()])

    def _limits(self, estimate: FloatArray, std_error: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
        return probability_limits(estimate, std_error, self.conf_type, conf_level)


def kaplan_meier(
    formula: str,
    data: Any,
    *,
    weights: str | None = None,
    cluster: str | None = None,
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
    cluster : str, optional
        Column; rows with the same value (the rows of one person, a household,
        a hospital) are dependent. Implies robust.
    robust : bool, optional
        Infinitesimal-jackknife standard errors in place of Greenwood's. None:
        with clusters and when weights are not whole numbers, as in R.
    conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
        Scale on which the limits are symmetric.
    missing : {"drop", "raise"}

    Returns
    -------
    KaplanMeierFit

    Warns
    -----
    RiskSetWarning
        With delayed entry, everybody at risk early has the event before others
        enter: the curve is 0 from there on, as in R.

    Notes
    -----
    :math:`\hat S(t) = \prod_{s \le t} (1 - d_s / n_s)`; Greenwood's variance is
    :math:`\hat S^2 \sum_{s \le t} d_s / (n_s (n_s - d_s))`; the infinitesimal
    jackknife sums over rows (or clusters) the square of :math:`w_i \, \partial \hat S(t) / \partial w_i`.
    Times closer than ``sqrt(eps)`` are one time.

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
    groups = read_groups(formula, data, arguments={"weights": weights, "cluster": cluster}, missing=missing)
    outcome = groups.outcome
    weight = given_weights(groups, weights)
    robust, units = robust_choice(groups, weight, robust=robust, cluster=cluster)
    warn_without_events(groups)
    times = rank_times(outcome.time, outcome.entry)
    frames = []
    for code, label in enumerate(groups.labels):
        own = groups.codes == code
        entry_rank = None if times.entry_rank is None else times.entry_rank[own]
        unit = None if units is None else units[own]
        curve = product_limit(times.rank[own], entry_rank, outcome.event[own], weight[own], robust=robust, cluster=unit)
        if entry_rank is not None:
            where = f"group {shown(label)}: " if groups.names else ""
            warn_when_spent(where, times.distinct, curve.place, curve.n_risk, curve.n_event, entry_rank)
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
    call = format_call(
        "survival.kaplan_meier", formula, weights=weights, cluster=cluster, robust=robust or None, conf_type=conf_type
    )
    return KaplanMeierFit(
        groups=groups,
        steps=pd.concat(frames, ignore_index=True),
        conf_type=conf_type,
        weights=weights,
        robust=robust,
        cluster=cluster,
        nobs=outcome.time.size,
        n_events=int(outcome.event.sum()),
        provenance=groups.provenance(call),
    )


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
