"""The Nelson-Aalen estimate of the cumulative hazard, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import Missing, check_option
from dxa_causal._design import Groups, read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import Provenance, Summary
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cumulative_hazard import cumulative_hazard
from dxa_causal.survival.step_curves import (
    StepCurves,
    given_weights,
    last_values,
    positive_limits,
    robust_choice,
    warn_without_events,
)

if TYPE_CHECKING:
    pass

HazardTies = Literal["nelson-aalen", "fleming-harrington"]
HazardConfType = Literal["plain", "log"]
HazardPrediction = Literal["cumulative_hazard", "survival"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class NelsonAalenFit(StepCurves):
    """Cumulative hazards by group.

    Attributes
    ----------
    groups : Groups
        Outcome and group of every row analysed.
    steps : DataFrame
        group, time, n_risk, n_event, n_censor, estimate, std_error, one row
        per distinct exit time of a group; sums of weights for a weighted fit.
    ties : str
    conf_type : str
        Scale of the limits.
    weights : str or None
    robust : bool
    cluster : str or None
    """

    title: ClassVar[str] = "Nelson-Aalen cumulative hazard"
    start: ClassVar[float] = 0.0
    value_label: ClassVar[str] = "Cumulative hazard"

    groups: Groups
    steps: pd.DataFrame
    ties: HazardTies
    conf_type: HazardConfType
    weights: str | None
    robust: bool
    cluster: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "cumulative hazard"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group and exit time: n_risk, n_event, n_censor, estimate, std_error, limits."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning here; predict(times, type='survival') gives exp(-H)")
        return super().tidy(conf_level)

    def predict(
        self, times: npt.ArrayLike, *, type: HazardPrediction = "cumulative_hazard", conf_level: float = 0.95
    ) -> pd.DataFrame:
        r"""Cumulative hazard H, or survival, at given times, right-continuous.

        Parameters
        ----------
        times : (k,) array_like
        type : {"cumulative_hazard", "survival"}
            "survival" is :math:`e^{-H}` with standard error :math:`e^{-H}` times that of H.
        conf_level : float

        Returns
        -------
        DataFrame
            group, time, estimate, std_error, conf_low, conf_high, n_risk (at
            risk just before the time).
        """
        check_option("type", type, HazardPrediction)
        table = super().predict(times, conf_level=conf_level)
        if type == "survival":
            survival = np.exp(-table["estimate"])
            return table.assign(
                estimate=survival,
                std_error=survival * table["std_error"],
                conf_low=np.exp(-table["conf_high"]),
                conf_high=np.exp(-table["conf_low"]),
            )
        return table

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Events and the cumulative hazard at the last time, per group."""
        table = last_values(self.tidy(conf_level), by=["group"])
        return Summary(self.title, [table], [f"limits on the {self.conf_type} scale", *self._notes()])

    def _limits(self, estimate: FloatArray, std_error: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
        if self.conf_type == "log":
            return positive_limits(estimate, std_error, conf_level)
        half = float(special.ndtri(0.5 + conf_level / 2)) * std_error
        return np.maximum(estimate - half, 0.0), estimate + half


def nelson_aalen(
    formula: str,
    data: Any,
    *,
    weights: str | None = None,
    cluster: str | None = None,
    robust: bool | None = None,
    ties: HazardTies = "nelson-aalen",
    conf_type: HazardConfType = "plain",
    missing: Missing = "drop",
) -> NelsonAalenFit:
    r"""Estimate the cumulative hazard.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group``, ``~ 1`` for one curve, or
        ``Surv(entry, time, event) ~ ...`` with delayed entry.
    data : pandas or polars frame
    weights : str, optional
        Column of positive weights.
    cluster : str, optional
        Column; rows with the same value are dependent. Implies robust.
    robust : bool, optional
        Infinitesimal-jackknife standard errors. None: with clusters and when
        weights are not whole numbers, as in R.
    ties : {"nelson-aalen", "fleming-harrington"}
        "fleming-harrington" lets tied deaths leave the risk set one after the
        other, 1/10 + 1/9 for two among ten, as Efron's Cox model does. These
        are ``ctype = 1`` and ``2`` of R's ``survfit``.
    conf_type : {"plain", "log"}
        Scale on which the limits of the cumulative hazard are symmetric; for
        the survival they are R's "log" and "log-log".
    missing : {"drop", "raise"}

    Returns
    -------
    NelsonAalenFit

    Notes
    -----
    :math:`\hat H(t) = \sum_{s \le t} d_s / n_s` with variance
    :math:`\sum_{s \le t} d_s / n_s^2`. Times closer than ``sqrt(eps)`` are one time.

    References
    ----------
    Aalen O. Ann Stat 1978;6:701-726. doi:10.1214/aos/1176344247
    Fleming TR, Harrington DP. Commun Stat Theory Methods 1984;13:2469-2486. doi:10.1080/03610928408828837

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4], "died": [1, 0, 1, 1]})
    >>> nelson_aalen("Surv(time, died) ~ 1", data).tidy()["estimate"].tolist()
    [0.25, 0.25, 0.75, 1.75]
    """
    check_option("ties", ties, HazardTies)
    check_option("conf_type", conf_type, HazardConfType)
    groups = read_groups(formula, data, arguments={"weights": weights, "cluster": cluster}, missing=missing)
    outcome = groups.outcome
    weight = given_weights(groups, weights)
    robust, units = robust_choice(groups, weight, robust=robust, cluster=cluster)
    warn_without_events(groups)
    times = rank_times(outcome.time, outcome.entry)
    frames = []
    for code, label in enumerate(groups.labels):
        own = groups.codes == code
        curve = cumulative_hazard(
            times.rank[own],
            None if times.entry_rank is None else times.entry_rank[own],
            outcome.event[own],
            weight[own],
            one_by_one=ties == "fleming-harrington",
            robust=robust,
            cluster=None if units is None else units[own],
        )
        frames.append(
            pd.DataFrame(
                {
                    "group": [label] * curve.place.size,
                    "time": times.distinct[curve.place],
                    "n_risk": curve.n_risk,
                    "n_event": curve.n_event,
                    "n_censor": curve.n_censor,
                    "estimate": curve.hazard,
                    "std_error": curve.std_error,
                }
            )
        )
    options = {"weights": weights, "cluster": cluster, "robust": robust or None, "ties": ties, "conf_type": conf_type}
    return NelsonAalenFit(
        groups=groups,
        steps=pd.concat(frames, ignore_index=True),
        ties=ties,
        conf_type=conf_type,
        weights=weights,
        robust=robust,
        cluster=cluster,
        nobs=outcome.time.size,
        n_events=int(outcome.event.sum()),
        provenance=groups.provenance(format_call("survival.nelson_aalen", formula, **options)),
    )
