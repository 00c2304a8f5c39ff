"""The door and the exit that parametric models share: outcomes of all kinds in, estimate and covariance out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import Missing, WeightType, check_option
from dxa_causal._core.warnings import ConvergenceWarning, SeparationWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal._design.interval import IntervalOutcome
from dxa_causal._design.outcome import SurvivalOutcome
from dxa_causal.survival._kernels.lifetime_likelihood import Maximum, Observed, observe

FloatArray = npt.NDArray[np.float64]
_UNINFORMED = 1e3  # standard error, per standard deviation of the covariate, of a coefficient that has run off


@dataclass(frozen=True, eq=False, slots=True)
class Lifetimes:
    """Times of the rows analysed, each in (lower, upper], exact where the two are equal.

    Attributes
    ----------
    design : Design
    lower, upper : (n,) ndarray
    entry : (n,) ndarray or None
    observed : Observed
    x : (n, p) ndarray
        Covariates, centred and scaled.
    centre, scale : (p,) ndarray
    offset : (n,) ndarray
    counts : (n,) ndarray
        How many people a row stands for.
    """

    design: Design
    lower: FloatArray
    upper: FloatArray
    entry: FloatArray | None
    observed: Observed
    x: FloatArray
    centre: FloatArray
    scale: FloatArray
    offset: FloatArray
    counts: FloatArray

    @property
    def events(self) -> npt.NDArray[np.bool_]:
        """Rows in which the event has happened, whenever."""
        return np.isfinite(self.upper)

    def guess(self, *, log_time: bool) -> FloatArray:
        """One (log) time per row: the exact one, the middle of an interval, half of a left-censored one."""
        time = np.where(self.events, (np.maximum(self.lower, 0.0) + self.upper) / 2, self.lower)
        time = np.where(self.lower == self.upper, self.lower, time)
        return np.log(np.maximum(time, np.finfo(float).tiny)) if log_time else time

    def event_times(self) -> FloatArray:
        """Times of the events, for quantiles; an interval counts as nine times spread evenly over it."""
        lower, upper = np.maximum(self.lower[self.events], 0.0), self.upper[self.events]
        if (lower == upper).all():
            return upper
        share = (np.arange(9) + 0.5) / 9
        return np.asarray((lower[:, None] + (upper - lower)[:, None] * share).ravel())

    def outcome(self) -> SurvivalOutcome:
        """Right-censored times for a figure: intervals end at their right bound."""
        given = self.design.outcome
        if isinstance(given, SurvivalOutcome):
            return given
        time = np.where(self.events, self.upper, self.lower)
        return SurvivalOutcome(time, self.events.astype(np.int64), self.entry, "time", "event")


def read_lifetimes(
    formula: str,
    data: Any,
    *,
    arguments: Mapping[str, str | None],
    weight_type: WeightType,
    missing: Missing,
    positive: bool = True,
) -> Lifetimes:
    """Read exact, right-censored, delayed-entry or interval-censored times and the columns beside them.

    Parameters
    ----------
    formula, data, missing
        As in the model functions.
    arguments : mapping
        Columns passed by name: weights, entry, offset, strata, cluster.
    positive : bool
        Whether the distribution is one of positive times.
    """
    check_option("weight_type", weight_type, WeightType)
    design = build_design(formula, data, arguments=arguments, missing=missing, interval=True)
    entry_name = arguments.get("entry")
    outcome = design.outcome
    origin = 0.0
    if isinstance(outcome, IntervalOutcome):
        outcome = outcome.observed_from(design.number(entry_name, argument="entry"), entry_name, design.index)
        lower, upper, entry = outcome.left, outcome.right, outcome.entry
        name = outcome.right_name
    else:
        survival = design.survival
        if entry_name is not None:
            raise OptionError(
                f"entry={entry_name!r} belongs to Surv(left, right, type='interval'); for other times write "
                f"Surv({entry_name}, {survival.time_name}, {survival.event_name})"
            )
        lower, entry, name = survival.time, survival.entry, survival.time_name
        upper = np.where(survival.event == 1, lower, np.inf)
        origin = 0.0 if positive else -np.inf
    if entry is not None and not positive:
        raise OptionError("delayed entry needs a distribution of positive times, such as 'weibull' or 'lognormal'")
    if positive:
        _refuse_zero(design, upper, lower, name)
    if not np.isfinite(upper).any():
        raise OutcomeError(
            f"no event: all {lower.size} rows analysed are right-censored, so no distribution of times can be "
            f"estimated; is the event coded as meant in {design.parts.outcome!r}?"
        )
    weight = design.number(arguments.get("weights"), argument="weights", positive=True)
    if weight_type == "frequency" and weight is not None and not np.all(weight == np.floor(weight)):
        raise PredictorError(f"weights={arguments['weights']!r} must be whole numbers when weight_type='frequency'")
    refuse_collinear(design)
    if len(design.terms) > 1 and len(design.terms) >= lower.size - 1:
        raise PredictorError(
            f"{len(design.terms)} coefficients cannot be told from {lower.size} rows, first {design.terms[0]!r}; is "
            "a column of numbers stored as text?"
        )
    w = np.ones(lower.size) if weight is None else weight
    x = design.x
    centre = np.average(x, axis=0, weights=w) if x.size else np.zeros(x.shape[1])
    scale = np.sqrt(np.mean((x - x.mean(axis=0)) ** 2, axis=0))
    offset = design.number(arguments.get("offset"), argument="offset")
    return Lifetimes(
        design=design,
        lower=lower,
        upper=upper,
        entry=entry,
        observed=observe(lower=lower, upper=upper, entry=entry, weight=w, origin=origin),
        x=(x - centre) / scale,
        centre=centre,
        scale=scale,
        offset=np.zeros(lower.size) if offset is None else offset,
        counts=w if weight_type == "frequency" else np.ones(lower.size),
    )


def choose_robust(robust: bool | None, cluster: str | None, weights: str | None, weight_type: WeightType) -> bool:
    """Whether standard errors are robust when `robust` is None: with clusters, or with sampling weights."""
    if robust is not None and not isinstance(robust, bool | np.bool_):
        raise OptionError(f"robust={robust!r} must be True or False")
    if robust is False and cluster is not None:
        raise OptionError(f"cluster={cluster!r} asks for robust standard errors; leave robust=False out")
    if robust is None:
        return cluster is not None or (weights is not None and weight_type == "probability")
    return bool(robust)


@dataclass(frozen=True, eq=False, slots=True)
class Estimated:
    """Estimate and covariances on the scale of the covariates as given."""

    theta: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray


def finish(
    found: Maximum,
    back: FloatArray,
    data: Lifetimes,
    terms: tuple[str, ...],
    *,
    robust: bool,
    cluster: str | None,
    weight_type: WeightType,
    unit: FloatArray,
    exact: bool = False,
) -> Estimated:
    """Covariance of the estimate, carried from standardised covariates to those given by the matrix `back`.

    `unit` says how large each parameter is by its scale; `exact`, that the model meets the times without error.
    """
    scale = np.sqrt(np.abs(np.diag(found.at.information)))
    scale[scale == 0] = 1.0
    scaled = found.at.information / np.outer(scale, scale)
    inverse = np.linalg.pinv(scaled, hermitian=True) / np.outer(scale, scale)
    if exact or (not found.converged and (np.diag(inverse) <= 0).any()):  # no maximum, no errors; the warning says so
        inverse = np.full_like(inverse, np.nan)
    _report(found, inverse, terms, unit, exact)
    model = back @ inverse @ back.T
    covariance = model
    if robust:
        score, weight = found.at.score, data.observed.weight
        column = data.design.column(cluster)
        if column is None:
            # a row that stands for w rows is w independent units, each with its own score
            score = score * (np.sqrt(weight) if weight_type == "frequency" else weight)[:, None]
        else:
            codes, labels = pd.factorize(column)
            if len(labels) < 2:
                raise PredictorError(
                    f"cluster={cluster!r} has one value in the rows analysed; robust errors need several"
                )
            units = np.zeros((len(labels), score.shape[1]))
            np.add.at(units, codes, score * weight[:, None])
            score = units
        spread = score @ inverse @ back.T
        covariance = spread.T @ spread
    return Estimated(back @ found.theta, covariance, model)


def _report(found: Maximum, inverse: FloatArray, terms: tuple[str, ...], unit: FloatArray, exact: bool) -> None:
    if exact:
        warn(
            "the scale runs to zero: the model meets the times without error, so that there is no estimate (all event "
            "times equal, a stratum without events, or hardly more events than terms?). Use 'exponential', or fewer "
            "terms",
            ConvergenceWarning,
        )
        return
    uninformed = np.diag(inverse) > (_UNINFORMED * unit) ** 2
    own = [t for t, u in zip(terms, uninformed, strict=True) if u and t not in ("Intercept", "gamma0")]
    if own:
        warn(
            f"the coefficient of {', '.join(repr(t) for t in own)} runs to infinity: nothing in the data bounds it (no "
            "event on one side?). Its estimate, standard error and p-value mean nothing. Leave the term out or join "
            "levels",
            SeparationWarning,
        )
    elif not found.converged:
        why = (
            "the likelihood rises without end as Q grows: too few events, or too many censored, to tell the "
            "generalised gamma from its limits; use one of those ('weibull', 'lognormal')"
            if "Q" in terms
            else f"look at {terms[int(np.argmax(np.abs(found.at.gradient)))]!r} first; a simpler distribution may help"
        )
        warn(f"Newton's iteration did not converge in {found.n_iter} steps: {why}", ConvergenceWarning)


def _refuse_zero(design: Design, upper: FloatArray, lower: FloatArray, name: str) -> None:
    exact_or_right = (lower == upper) | (np.isinf(upper) & isinstance(design.outcome, SurvivalOutcome))
    zero = np.flatnonzero(exact_or_right & (lower <= 0))
    if zero.size:
        i = zero[0]
        raise OutcomeError(
            f"{design.parts.outcome}: times must be positive for this distribution, but {name!r} is not in "
            f"{zero.size} rows, first row {shown(design.index[i])} with {lower[i]:g}; leave such rows out, or count "
            "them as half the smallest unit of time"
        )
