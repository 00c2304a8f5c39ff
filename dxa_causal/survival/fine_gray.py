"""Fine and Gray's model of the cumulative incidence: proportional hazards of the subdistribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import CensoringWeights, Missing, TiesApproximation, check_conf_level, check_option
from dxa_causal._core.warnings import HorizonWarning, IncidenceSumWarning, OverlapWarning, warn
from dxa_causal._design import Design, SurvivalOutcome, build_design, refuse_collinear
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import Provenance, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cox import BRESLOW, EFRON
from dxa_causal.survival._kernels.fine_gray import EventSums, FineGrayData, event_sums, maximise, prepare
from dxa_causal.survival._kernels.fine_gray_influence import hazard_moments, score_influence
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival.checks import refuse_empty_intervals, report_convergence, stratum_codes
from dxa_causal.survival.hazard_ratios import HazardRatios
from dxa_causal.survival.predicted_curves import PredictedCurves
from dxa_causal.survival.step_curves import check_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PredictionType = Literal["cumulative_incidence", "lp", "risk"]

MAX_CURVES = 30  # censoring strata: each has its own curve, which takes many rows to estimate
_BLOCK = 4_000_000  # values of rows x times held at a time


@dataclass(frozen=True, eq=False, repr=False)
class FineGrayFit(PredictedCurves, HazardRatios):
    """A fitted Fine-Gray model of one cause.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log subdistribution hazard ratios.
    covariance : (p, p) ndarray
        Sandwich; by person or cluster where given.
    covariance_model : (p, p) ndarray
        Inverse information.
    influence : (nobs, p) ndarray
        Of each row on the coefficients: `covariance` is the sum of their
        outer products (of sums within clusters).
    cause : object
        Cause modelled, as the data name it.
    ties : {"breslow", "efron"}
    censoring : {"crr", "finegray"}
    censoring_strata, weights, cluster, id : str or None
        Columns used.
    log_likelihood, log_likelihood_null : float
        Log pseudo-likelihood at the estimate and at zero.
    nobs, n_events : int
        Rows and events of the cause.
    n_iter : int
    converged : bool
    """

    title: ClassVar[str] = "Fine-Gray model of the subdistribution hazard"
    effect_measure: ClassVar[str] = "Subdistribution hazard ratio"
    curve: ClassVar[str] = "cumulative_incidence"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray
    influence: FloatArray
    cause: Any
    ties: TiesApproximation
    censoring: CensoringWeights
    censoring_strata: str | None
    weights: str | None
    cluster: str | None
    id: str | None
    log_likelihood: float
    log_likelihood_null: float
    nobs: int
    n_events: int
    n_iter: int
    converged: bool
    provenance: Provenance
    design: Design
    times: RankedTimes
    data: FineGrayData
    estimate: CoxEstimate
    estimand: str = "log subdistribution hazard ratio"

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, log_likelihood, log_likelihood_null (of the pseudo-likelihood)."""
        names = ("nobs", "n_events", "log_likelihood", "log_likelihood_null")
        return pd.DataFrame({name: [getattr(self, name)] for name in names})

    @cached_property
    def _sums(self) -> EventSums:
        return event_sums(self.data, self.estimate.beta)

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        unit = _units(self.design, self.cluster or self.id)
        beta = _sum_by(unit, int(unit.max()) + 1, self.influence * self.data.scale)
        return hazard_moments(self.data, self._sums, unit[self.data.order], beta)

    @property
    def _event_times(self) -> FloatArray:
        return self.times.distinct[self.data.group_rank]

    def baseline_cumulative_hazard(self, *, centered: bool = False) -> pd.DataFrame:
        """Cumulative baseline subdistribution hazard at each time of the cause.

        Parameters
        ----------
        centered : bool
            At the mean of every covariate instead of at zero.

        Returns
        -------
        DataFrame
            time, estimate; Efron's increments for an Efron fit, else Breslow's.
        """
        data, beta = self.data, self.estimate.beta
        shift = 0.0 if centered else -float((data.centre / data.scale) @ beta)
        hazard = np.cumsum(self._sums.groups.hazard) * np.exp(shift - self._sums.centre)
        return pd.DataFrame({"time": self._event_times, "estimate": hazard})

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "cumulative_incidence",
        times: npt.ArrayLike | None = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        r"""Cumulative incidence, linear predictor or relative risk of given rows.

        Parameters
        ----------
        new : pandas or polars frame, optional
            The rows analysed when omitted.
        type : {"cumulative_incidence", "lp", "risk"}
            "lp" and "risk" are relative to the sample mean; columns that hold
            only -1, 0 and 1 are not centred (as for :func:`cox`).
        times : (k,) array_like, optional
            For the incidence; all times of the cause when omitted.
        conf_level : float

        Returns
        -------
        DataFrame
            row, time (of the incidence), estimate, std_error, conf_low, conf_high.

        Notes
        -----
        :math:`\hat F(t \mid x) = 1 - \exp(-e^{x'\hat\beta} \hat\Lambda_0(t))`. The standard error is the root of the
        sum (over rows or clusters) of squared influence functions; with ``censoring="crr"`` they hold
        the estimation of the censoring distribution. Limits are symmetric on the scale of
        :math:`\log(-\log(1 - F))`.
        """
        check_option("type", type, PredictionType)
        check_conf_level(conf_level)
        z = float(special.ndtri(0.5 + conf_level / 2))
        x, index = (self.design.x, self.design.index) if new is None else self.design.new(new)
        if type == "cumulative_incidence":
            return self._incidence(x, index, times, z)
        if times is not None:
            raise OptionError(f"times= belongs to type='cumulative_incidence', not to type={type!r}")
        own = self.design.x
        binary = np.isin(own, (-1.0, 0.0, 1.0)).all(axis=0)
        weight = self.design.number(self.weights, argument="weights")
        x = x - np.where(binary, 0.0, np.average(own, axis=0, weights=weight))
        estimate = x @ self.coefficients
        std_error = np.sqrt(np.einsum("ij,jk,ik->i", x, self.covariance, x))
        low, high = estimate - z * std_error, estimate + z * std_error
        if type == "risk":
            estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
            std_error = estimate * std_error
        return pd.DataFrame(
            {"row": index, "estimate": estimate, "std_error": std_error, "conf_low": low, "conf_high": high}
        )

    def _incidence(self, x: FloatArray, index: pd.Index, times: npt.ArrayLike | None, z: float) -> pd.DataFrame:
        event_times = self._event_times
        at = event_times if times is None else check_times(times)
        last = float(self.design.survival.time.max())
        if (at > last).any():
            warn(
                f"time {at.max():g} lies beyond the last observation ({last:g}); the last value is carried forward",
                HorizonWarning,
            )
        upto = np.searchsorted(event_times, at, side="right")
        groups = self._sums.groups
        hazard = np.concatenate([[0.0], np.cumsum(groups.hazard)])[upto]
        drift = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(groups.drift, axis=0)])[upto]
        variance, shared = (moments[upto] for moments in self._moments)
        covariance = self.covariance * np.outer(self.data.scale, self.data.scale)
        standard = (x - self.data.centre) / self.data.scale
        cumulative = np.empty((len(x), at.size))
        error = np.empty_like(cumulative)
        for rows in np.array_split(np.arange(len(x)), 1 + cumulative.size // _BLOCK):
            s = standard[rows]
            risk = np.exp(s @ self.estimate.beta - self._sums.centre)[:, None]
            sv = s @ covariance
            # with d = x hazard - drift the variance is that of (influence on the baseline) + d'(influence on beta)
            spread = (
                np.einsum("ij,ij->i", sv, s)[:, None] * hazard**2
                - 2 * (sv @ drift.T) * hazard
                + np.einsum("ij,jk,ik->i", drift, covariance, drift)
                + 2 * ((s @ shared.T) * hazard - np.einsum("ij,ij->i", shared, drift))
            )
            cumulative[rows] = risk * hazard
            error[rows] = risk * np.sqrt(np.maximum(variance + spread, 0.0))
        h, se = cumulative.ravel(), error.ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(h > 0, np.exp(z * se / h), 1.0)
        return pd.DataFrame(
            {
                "row": np.repeat(index, at.size),
                "time": np.tile(at, len(x)),
                "estimate": -np.expm1(-h),
                "std_error": np.exp(-h) * se,
                "conf_low": -np.expm1(-h / factor),
                "conf_high": -np.expm1(-h * factor),
            }
        )

    def _outcome(self) -> SurvivalOutcome:
        return self.design.survival

    def _notes(self) -> list[str]:
        told = [f"cause {shown(self.cause)}", f"ties: {self.ties}", f"censoring weights: {self.censoring}"]
        for name in ("censoring_strata", "weights", "id", "cluster"):
            if getattr(self, name):
                told.append(f"{name.replace('_', ' ')}: {getattr(self, name)}")
        notes = ["; ".join(told)]
        if self.terms:
            notes.append(str(self.wald_test))
        return notes + super()._notes()


def fine_gray(
    formula: str,
    data: Any,
    *,
    cause: Any = None,
    ties: TiesApproximation = "breslow",
    censoring: CensoringWeights = "crr",
    censoring_strata: str | None = None,
    weights: str | None = None,
    cluster: str | None = None,
    id: str | None = None,
    missing: Missing = "drop",
) -> FineGrayFit:
    r"""Fit Fine and Gray's proportional subdistribution hazards model.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or, with delayed entry, ``Surv(entry, time, event) ~ covariates``; the
        event is 0 = censored, 1, 2, ... = causes, or a categorical whose first category is censoring.
    data : pandas or polars frame
        One row per person, or several start-stop rows with `id`.
    cause : object
        Cause to model; needed when there are several.
    ties : {"breslow", "efron"}
    censoring : {"crr", "finegray"}
        How the weights of rows that failed from another cause are estimated. "crr": as R's cmprsk, rows that fail at
        t are still at risk of being censored at t, and the standard errors hold the estimation. "finegray": as R's
        survival, they are not, the weights count as known, and the errors are those of a weighted Cox fit clustered
        on the person. The two differ where times are tied.
    censoring_strata : str, optional
        Column; the censoring (and entry) distribution is estimated within its values.
    weights : str, optional
        Column of case weights (positive). With "crr" they count for the censoring distribution too.
    cluster : str, optional
        Column naming the unit whose rows belong together in the sandwich.
    id : str, optional
        Column naming the person where one has several rows; rows must follow one another without a gap and only the
        last may hold an event. After another cause the covariates stay as they were.
    missing : {"drop", "raise"}

    Returns
    -------
    FineGrayFit

    Raises
    ------
    OutcomeError
        A cause never seen, no cause named where there are several, times that are not what they should be, or nobody
        at risk early in delayed entry, so that the weights cannot be formed.
    CollinearityError, PredictorError

    Warns
    -----
    SeparationWarning
        A coefficient runs to infinity; the term is named.

    Notes
    -----
    The score is that of a Cox model whose risk set keeps rows that failed from another cause, with weights:

    .. math::

        U(\beta) = \sum_{t} \sum_{i \in D_t} w_i \Big\{ x_i - \frac{S_1(t)}{S_0(t)} \Big\}, \quad
        S_r(t) = \sum_{T_i \ge t} w_i x_i^r e^{x_i'\beta}
        + \sum_{T_i < t,\ \text{other cause}} \frac{G(t-) H(t-)}{G(T_i-) H(T_i-)} w_i x_i^r e^{x_i'\beta},

    :math:`G` being the product-limit estimate of censoring and, with delayed entry, :math:`H` that of entry in
    reversed time. The covariance is :math:`I^{-1} \{\sum_i (\eta_i + \psi_i)(\eta_i + \psi_i)'\} I^{-1}` where
    :math:`\psi_i` comes from estimating :math:`G` and :math:`H`. With `censoring_strata` the sum behind
    :math:`\psi_i` runs over all events of the cause (that of cmprsk's ``cengroup`` over those of the stratum alone).

    References
    ----------
    Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144
    Geskus RB. Biometrics 2011;67:39-49. doi:10.1111/j.1541-0420.2010.01420.x

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [3, 5, 6, 8, 9, 11, 12, 14], "event": [1, 2, 1, 0, 1, 2, 1, 0],
    ...                      "age": [71, 66, 68, 59, 70, 75, 55, 64]})
    >>> fit = fine_gray("Surv(time, event) ~ age", data, cause=1)
    >>> fit.predict(data.head(1), times=[10])[["row", "time", "estimate"]].round(3).to_dict("records")
    [{'row': 0, 'time': 10.0, 'estimate': 0.394}]
    """
    check_option("ties", ties, TiesApproximation)
    check_option("censoring", censoring, CensoringWeights)
    arguments = {"censoring_strata": censoring_strata, "weights": weights, "cluster": cluster, "id": id}
    design = build_design(formula, data, arguments=arguments, missing=missing, causes=True)
    outcome = design.survival
    code = outcome.cause_code(cause)
    status = np.where(outcome.event == code, 1, 2 * (outcome.event > 0)).astype(np.int64)
    if not (status == 1).any():
        raise OutcomeError(f"no event: all {status.size} rows analysed are censored in {design.parts.outcome!r}")
    times = rank_times(outcome.time, outcome.entry)
    refuse_empty_intervals(design, times)
    if cluster is not None and design.rows.frame[cluster].nunique() < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    first, final = _person_ends(design, times, status, id=id, cluster=cluster)
    curve, labels = stratum_codes(design, censoring_strata)
    if len(labels) > MAX_CURVES:
        raise PredictorError(
            f"censoring_strata={censoring_strata!r} has {len(labels)} values, more than {MAX_CURVES}: each needs a "
            "censoring distribution of its own; cut them into fewer first"
        )
    refuse_collinear(design)
    weight = design.number(weights, argument="weights", positive=True)
    prepared = prepare(
        design.x,
        times,
        status,
        weight=np.ones(status.size) if weight is None else weight,
        curve=np.zeros(status.size, dtype=np.int64) if curve is None else curve,
        first=first,
        final=final,
        finegray=censoring == "finegray",
        ties=EFRON if ties == "efron" else BRESLOW,
    )
    _refuse_empty_start(design, prepared)
    estimate = maximise(prepared)
    report_convergence(estimate, tuple(design.terms), None)
    inverse = np.linalg.inv(estimate.information)
    influence = np.empty_like(prepared.x)
    influence[prepared.order] = score_influence(prepared, estimate.beta) @ inverse / prepared.scale
    unit = _units(design, cluster or id)
    summed = _sum_by(unit, int(unit.max()) + 1, influence)
    call = format_call(
        "survival.fine_gray", formula, cause=outcome.causes[code - 1], ties=ties, censoring=censoring, **arguments
    )
    return FineGrayFit(
        terms=tuple(design.terms),
        coefficients=read_only(estimate.beta / prepared.scale),
        covariance=read_only(summed.T @ summed),
        covariance_model=read_only(inverse / np.outer(prepared.scale, prepared.scale)),
        influence=read_only(influence),
        cause=outcome.causes[code - 1],
        ties=ties,
        censoring=censoring,
        censoring_strata=censoring_strata,
        weights=weights,
        cluster=cluster,
        id=id,
        log_likelihood=estimate.log_likelihood,
        log_likelihood_null=estimate.log_likelihood_null,
        nobs=status.size,
        n_events=int((status == 1).sum()),
        n_iter=estimate.n_iter,
        converged=estimate.converged,
        provenance=design.provenance(call),
        design=design,
        times=times,
        data=prepared,
        estimate=estimate,
    )


def total_incidence(fits: Sequence[FineGrayFit], new: Any, *, times: npt.ArrayLike) -> pd.DataFrame:
    """Sum of the cumulative incidences that models of several causes predict.

    Each Fine-Gray model stands on its own: nothing keeps their sum below one.

    Parameters
    ----------
    fits : sequence of FineGrayFit
        One fit per cause.
    new : pandas or polars frame
    times : (k,) array_like

    Returns
    -------
    DataFrame
        row, time, estimate.

    Warns
    -----
    IncidenceSumWarning
        A sum exceeds one.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [3, 5, 6, 8, 9, 11, 12, 14], "event": [1, 2, 1, 0, 1, 2, 1, 0],
    ...                      "age": [71, 66, 68, 59, 70, 75, 55, 64]})
    >>> fits = [fine_gray("Surv(time, event) ~ age", data, cause=k) for k in (1, 2)]
    >>> total_incidence(fits, data.head(1), times=[10])["estimate"].round(3).tolist()
    [0.561]
    """
    causes = [fit.cause for fit in fits]
    if not fits or len(set(causes)) < len(causes):
        raise OptionError(f"fits must hold one fit per cause, but their causes are {[shown(c) for c in causes]}")
    tables = [fit.predict(new, times=times) for fit in fits]
    total = tables[0][["row", "time"]].assign(estimate=sum(t["estimate"].to_numpy() for t in tables))
    above = total[total["estimate"] > 1.0]
    if len(above):
        worst = above.loc[above["estimate"].idxmax()]
        warn(
            f"the incidences of {len(causes)} causes add up to more than one in {len(above)} of {len(total)} lines, at "
            f"most {worst['estimate']:.3f} in row {shown(worst['row'])} at time {worst['time']:g}: the models "
            "contradict each other there; survival.cause_specific gives incidences that add up",
            IncidenceSumWarning,
        )
    return total


def _units(design: Design, name: str | None) -> IntArray:
    column = design.column(name)
    return np.arange(len(design.index)) if column is None else pd.factorize(column)[0].astype(np.int64)


def _sum_by(unit: IntArray, n_units: int, values: FloatArray) -> FloatArray:
    if n_units == unit.size:
        out = np.empty_like(values)
        out[unit] = values
        return out
    out = np.zeros((n_units, values.shape[1]))
    np.add.at(out, unit, values)
    return out


def _person_ends(
    design: Design, times: RankedTimes, status: IntArray, *, id: str | None, cluster: str | None
) -> tuple[BoolArray, BoolArray]:
    """First and last row of every person; every row is both without `id`."""
    every = np.ones(status.size, dtype=bool)
    name = id or cluster
    if name is None or (times.entry_rank is None and id is None):
        return every, every
    person = _units(design, name)
    entry = np.full(person.size, -1) if times.entry_rank is None else times.entry_rank
    order = np.lexsort((times.rank, entry, person))
    before, after = order[:-1], order[1:]
    same = person[before] == person[after]
    chained = same & (entry[after] == times.rank[before])
    frame, index, said = design.rows.frame, design.index, design.parts.outcome
    if id is None:
        if chained.any():
            i = before[np.flatnonzero(chained)[0]]
            warn(
                f"{said}: {int(chained.sum())} rows go on where another row of the same {cluster!r} ends, first "
                f"{shown(frame[cluster].iloc[i])} after row {shown(index[i])}. If these are one person's start-stop "
                f"rows, say id={cluster!r}: now a person counts as censored at the end of each row",
                OverlapWarning,
            )
        return every, every
    for wrong, what in (
        (same & ~chained, "neither overlap nor leave a gap"),
        (same & (status[before] > 0), "hold an event in the last one only"),
    ):
        if wrong.any():
            i = before[np.flatnonzero(wrong)[0]]
            raise OutcomeError(
                f"{said}: the rows of one {id!r} must {what}; {int(wrong.sum())} do not, first "
                f"{shown(frame[id].iloc[i])} at row {shown(index[i])}"
            )
    first, final = every.copy(), every.copy()
    first[after[same]] = False
    final[before[same]] = False
    return first, final


def _refuse_empty_start(design: Design, data: FineGrayData) -> None:
    lost = np.flatnonzero(~np.isfinite(data.after))
    if lost.size:
        i = data.order[lost[0]]
        raise OutcomeError(
            f"{design.parts.outcome}: {lost.size} rows that fail from another cause cannot be weighted, first row "
            f"{shown(design.index[i])} at {design.survival.time[i]:g}: everyone at risk around that time had just "
            "entered or was censored, so the distribution of entry or censoring is not identified there. Start "
            "later, where more people are under observation"
        )
