"""Models of restricted means, each of which answers for either quantity on either scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, shown
from dxa_causal._core.warnings import HorizonWarning, warn
from dxa_causal._design import Design, refuse_collinear
from dxa_causal._numerics.times import TIME_TOLERANCE, rank_times
from dxa_causal.survival._kernels.counts import count_at_risk
from dxa_causal.survival._kernels.pseudo_regression import regress_pseudo_values
from dxa_causal.survival._kernels.restricted_mean import MeanEstimate, regress_restricted_time, restricted_mean
from dxa_causal.survival._kernels.row_curves import derivatives
from dxa_causal.survival.kaplan_meier import KaplanMeierFit
from dxa_causal.survival.pseudo import pseudo_values

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
RmstLink = Literal["identity", "log"]
RmstQuantity = Literal["rmst", "rmtl"]


class MeanModel(Protocol):
    """A model of means: coefficients of arms, covariates and intercept for a quantity on a scale."""

    def estimate(self, quantity: RmstQuantity, link: RmstLink) -> MeanEstimate:
        """Fit."""


@dataclass(frozen=True, slots=True)
class ArmMeans:
    """Independent means of the arms: the first is the intercept, the others differ from it."""

    mean: FloatArray
    variance: FloatArray
    tau: float

    def estimate(self, quantity: RmstQuantity, link: RmstLink) -> MeanEstimate:
        """Contrasts with the first arm; missing where a mean has no logarithm."""
        value = self.mean if quantity == "rmst" else self.tau - self.mean
        variance = self.variance
        if link == "log":
            positive = np.where(value > 0, value, np.nan)
            value, variance = np.log(positive), variance / positive**2
        compare = np.eye(value.size)[np.r_[1 : value.size, 0]]
        compare[:-1, 0] = -1.0
        # an arm without a logarithm spoils its own comparisons only
        lost = ((compare != 0) & np.isnan(value)).any(axis=1)
        coefficients = compare @ np.nan_to_num(value)
        covariance = (compare * np.nan_to_num(variance)) @ compare.T
        coefficients[lost] = covariance[lost] = covariance[:, lost] = np.nan
        return MeanEstimate(coefficients, covariance, converged=not lost.any())


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Rows followed to their event or to tau, which stand for those that were not.

    Attributes are those of `regress_restricted_time`.
    """

    x: FloatArray
    restricted: FloatArray
    rank: IntArray
    known: IntArray
    arm: IntArray
    weight: FloatArray
    tau: float

    def estimate(self, quantity: RmstQuantity, link: RmstLink) -> MeanEstimate:
        """Regression by inverse-censoring weights."""
        y = self.restricted if quantity == "rmst" else self.tau - self.restricted
        return regress_restricted_time(self.x, y, self.rank, self.known, self.arm, self.weight, log=link == "log")


@dataclass(frozen=True, slots=True)
class PseudoMeans:
    """Pseudo-observations (n, 1) of the restricted mean and covariates without a column of ones."""

    x: FloatArray
    values: FloatArray
    tau: float

    def estimate(self, quantity: RmstQuantity, link: RmstLink) -> MeanEstimate:
        """Least squares on the scale of the link."""
        values = self.values if quantity == "rmst" else self.tau - self.values
        return regress_pseudo_values(self.x, values, link, None)


def known_rows(design: Design, arm: IntArray, tau: float, weight: FloatArray | None) -> KnownRows:
    """Restrict the times of a design whose first columns are the arms."""
    outcome = design.survival
    restricted = np.minimum(outcome.time, tau)
    rank = rank_times(np.append(restricted, tau)).rank
    known = np.where(rank[:-1] == rank[-1], 1, outcome.event)
    try:
        refuse_collinear(replace(design, x=design.x[known == 1]))
    except CollinearityError as error:
        raise CollinearityError(
            f"among the {known.sum()} rows followed to their event or to tau={tau:g}: {error}"
        ) from None
    x = np.column_stack([design.x, np.ones(len(design.x))])
    return KnownRows(x, restricted, rank[:-1], known, arm, np.ones(arm.size) if weight is None else weight, tau)


def pseudo_means(design: Design, tau: float) -> PseudoMeans:
    """Pseudo-observations of all rows of a design together."""
    together = np.zeros(len(design.x), dtype=np.int64)
    at = np.array([tau])
    values = pseudo_values(design.survival, together, at, type="rmst", cause=1, method="infinitesimal")
    return PseudoMeans(design.x, values, tau)


def arm_means(curves: KaplanMeierFit, tau: float, weight: FloatArray | None) -> pd.DataFrame:
    """Area under each arm's curve with its standard error: Greenwood's, or robust with weights."""
    groups = curves.groups
    times = rank_times(groups.outcome.time)
    rows = []
    for code, label in enumerate(groups.labels):
        step = curves.steps[curves.steps["group"] == label]
        time, survival, n_risk, n_event = step[["time", "estimate", "n_risk", "n_event"]].to_numpy(dtype=np.float64).T
        mean, variance = restricted_mean(time, survival, n_risk, n_event, tau)
        if weight is not None:
            own = groups.codes == code
            event = groups.outcome.event[own]
            counts = count_at_risk(times.rank[own], None, event, weight[own])
            slopes = derivatives("survival", counts, event, 1).area(times.distinct[counts.place], np.array([tau]))
            variance = float(np.sum((weight[own] * slopes[:, 0]) ** 2))
        rows.append({"group": label, "estimate": mean, "std_error": np.sqrt(variance)})
    return pd.DataFrame(rows)


def horizon(curves: KaplanMeierFit, tau: float | None) -> float:
    """The horizon asked for, if every arm's mean up to it is known; else the last one for which that holds."""
    last = curves.steps.groupby("group", sort=False)[["time", "estimate"]].last()
    censored = last.loc[last["estimate"] > 0, "time"]
    limit = float(censored.min() if len(censored) else last["time"].max())
    if tau is not None and (not isinstance(tau, int | float | np.number) or not 0 < tau < np.inf):
        raise OptionError(f"tau={tau!r} must be a positive number, the horizon in the unit of the times")
    asked = tau is not None
    tau = limit if tau is None else float(tau)
    if len(censored) and tau > limit + TIME_TOLERANCE * max(1.0, limit):
        where = f"group {shown(censored.idxmin())}" if len(last) > 1 else "the curve"
        warn(
            f"tau={tau:g} lies beyond follow-up: {where} ends in censoring at {limit:g}, and its mean up to tau is not "
            f"known; means are taken up to {limit:g}",
            HorizonWarning,
        )
        tau = limit
    for label, end in last.loc[last["estimate"] == 0, "time"].items():
        if asked and tau > end + TIME_TOLERANCE * max(1.0, end):
            where = f"group {shown(label)}: " if len(last) > 1 else ""
            warn(
                f"{where}tau={tau:g} lies beyond the last observation ({end:g}), an event; survival is 0 from there on",
                HorizonWarning,
            )
    events = curves.steps.loc[curves.steps["n_event"] > 0, "time"]
    if not (events < tau).any():
        raise OutcomeError(f"no event happens before tau={tau:g}: every restricted mean is {tau:g}")
    return tau
