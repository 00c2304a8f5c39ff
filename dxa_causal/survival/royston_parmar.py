"""Royston and Parmar's flexible parametric model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import Missing, WeightType, check_option
from dxa_causal._core.warnings import FallingHazardWarning, warn
from dxa_causal.results import read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.distributions import Located
from dxa_causal.survival._kernels.lifetime_likelihood import LifetimeModel, Maximum, maximise
from dxa_causal.survival._kernels.royston_parmar import SplineModel, basis_slope
from dxa_causal.survival.lifetimes import Lifetimes, choose_robust, finish, read_lifetimes
from dxa_causal.survival.parametric_maximum import maximise_located
from dxa_causal.survival.parametric_result import LifetimeFit

FloatArray = npt.NDArray[np.float64]
Scale = Literal["hazard", "odds", "normal"]
_ERROR = {"hazard": "extreme", "odds": "logistic", "normal": "normal"}
_MEASURE = {"hazard": "hazard ratio", "odds": "odds ratio", "normal": "probit difference"}


@dataclass(frozen=True, eq=False, repr=False)
class RoystonParmarFit(LifetimeFit):
    """A fitted Royston-Parmar model.

    Attributes
    ----------
    spline_scale : {"hazard", "odds", "normal"}
    knots : (k + 2,) ndarray
        In log time, the boundary knots first and last.
    terms : tuple of str
        gamma0, gamma1, ... of the spline, then the covariates.
    coefficients : (p,) ndarray
    covariance, covariance_model : (p, p) ndarray
        The first is the sandwich when `robust`, the second the inverse of the
        observed information.
    effects : tuple of int
        Places of the covariates among the parameters.
    measure : str
        What the coefficients of covariates are.
    log_likelihood, log_likelihood_null : float
        At the estimate, and without covariates (same knots).
    nobs, n_events, n_iter : int
    converged : bool
    """

    title: ClassVar[str] = "Royston-Parmar model"

    spline_scale: Scale
    knots: FloatArray

    @property
    def joints(self) -> FloatArray:
        """Times at which the hazard is not smooth: the knots."""
        return np.exp(self.knots)

    def lifetime_model(self, x: FloatArray, frame: pd.DataFrame, offset: FloatArray) -> LifetimeModel:
        """Distribution of the times of rows with covariates x, in the parameters `coefficients`."""
        return SplineModel(_ERROR[self.spline_scale], self.knots, x, offset)

    def _notes(self) -> list[str]:
        at = ", ".join(f"{t:.4g}" for t in np.exp(self.knots))
        return [f"spline on the {self.spline_scale} scale; knots at times {at}", *super()._notes()]


def royston_parmar(
    formula: str,
    data: Any,
    *,
    knots: int | Sequence[float] = 2,
    scale: Scale = "hazard",
    boundary_knots: tuple[float, float] | None = None,
    entry: str | None = None,
    weights: str | None = None,
    weight_type: WeightType = "case",
    offset: str | None = None,
    cluster: str | None = None,
    robust: bool | None = None,
    missing: Missing = "drop",
) -> RoystonParmarFit:
    r"""Fit a flexible parametric model: a spline of log time on the scale of hazard, odds or normal quantile.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates``, with delayed entry
        ``Surv(entry, time, event) ~ ...``, or for events between two visits
        ``Surv(left, right, type='interval') ~ ...``.
    data : pandas or polars frame
    knots : int or sequence of float
        Number of inner knots, put at quantiles of the logarithms of the event
        times, or the times themselves. With 0 the model is Weibull,
        log-logistic or log-normal.
    scale : {"hazard", "odds", "normal"}
        Covariates act on the log cumulative hazard (proportional hazards), the
        log odds of having had the event, or the normal quantile of that
        probability.
    boundary_knots : (float, float), optional
        Times beyond which the spline is linear; the first and last event time
        when omitted.
    entry : str, optional
        Column with the start of observation, for interval-censored times.
    weights, weight_type, offset, cluster, robust, missing
        As in :func:`parametric`.

    Returns
    -------
    RoystonParmarFit

    Raises
    ------
    OptionError
        Knots that are not inside the boundary knots.
    OutcomeError
        No event, or a time of zero.

    Warns
    -----
    FallingHazardWarning
        The fitted cumulative hazard falls somewhere over follow-up: too many
        knots for the events there are.

    Notes
    -----
    .. math::

        g\{S(t \mid x)\} = \gamma_0 + \gamma_1 \log t + \gamma_2 v_1(\log t) + \dots + x'\beta, \quad
        v_j(u) = (u - k_j)_+^3 - \lambda_j (u - k_{\min})_+^3 - (1 - \lambda_j)(u - k_{\max})_+^3

    with :math:`g = \log(-\log S)`, :math:`\log(1/S - 1)` or
    :math:`-\Phi^{-1}(S)`: the basis and the knots of flexsurv's
    ``flexsurvspline``. When knots are chosen for interval-censored times an
    interval counts as nine event times spread evenly over it.

    References
    ----------
    Royston P, Parmar MKB. Stat Med 2002;21:2175-2197. doi:10.1002/sim.1203

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 60 and time > 0")
    >>> fit = dc.survival.royston_parmar("Surv(time, died) ~ age + C(sex)", cohort, knots=1)
    >>> fit.tidy()["term"].tolist()
    ['gamma0', 'gamma1', 'gamma2', 'age', 'C(sex)[T.male]']
    """
    check_option("scale", scale, Scale)
    robust = choose_robust(robust, cluster, weights, weight_type)
    arguments = {"entry": entry, "weights": weights, "offset": offset, "cluster": cluster}
    read = read_lifetimes(formula, data, arguments=arguments, weight_type=weight_type, missing=missing)
    at = _knots(knots, boundary_knots, read)
    covariates = read.design.terms
    terms = (*(f"gamma{j}" for j in range(at.size)), *covariates)
    null = _maximise(at, scale, read, np.empty((len(read.x), 0)))
    found = _maximise(at, scale, read, read.x) if covariates else null
    own = list(range(at.size, len(terms)))
    back = np.eye(len(terms))
    back[own, own] = 1 / read.scale
    back[0, own] = -read.centre / read.scale
    unit = np.ones(len(terms))
    width = at[-1] - at[0]
    unit[1], unit[2 : at.size] = 1 / width, 1 / width**3  # of log t, and of the cubic pieces
    estimated = finish(found, back, read, terms, robust=robust, cluster=cluster, weight_type=weight_type, unit=unit)
    _warn_falling(estimated.theta[: at.size], at, read)
    call = format_call(
        "survival.royston_parmar",
        formula,
        knots=knots if isinstance(knots, int) else str(list(knots)),
        scale=scale,
        **arguments,
        boundary_knots=None if boundary_knots is None else str(boundary_knots),
        weight_type=None if weight_type == "case" else weight_type,
        robust=robust or None,
    )
    return RoystonParmarFit(
        spline_scale=scale,
        knots=read_only(at),
        terms=terms,
        coefficients=read_only(estimated.theta),
        covariance=read_only(estimated.covariance),
        covariance_model=read_only(estimated.covariance_model),
        robust=robust,
        weights=weights,
        weight_type=weight_type,
        offset=offset,
        cluster=cluster,
        effects=tuple(own),
        measure=_MEASURE[scale],
        log_likelihood=found.at.value,
        log_likelihood_null=null.at.value,
        nobs=int(read.counts.sum()),
        n_events=int(read.counts[read.events].sum()),
        n_iter=found.n_iter,
        converged=found.converged,
        provenance=read.design.provenance(call),
        data=read,
        estimand=_MEASURE[scale] if scale == "normal" else f"log {_MEASURE[scale]}",
    )


def _maximise(knots: FloatArray, scale: Scale, data: Lifetimes, x: FloatArray) -> Maximum:
    """From the Weibull, log-logistic or log-normal model, which is the spline without inner knots."""
    straight = maximise_located(Located(_ERROR[scale], sign=1), data, x).theta
    start = np.concatenate([[straight[0], np.exp(straight[-1])], np.zeros(knots.size - 2), straight[1:-1]])
    return maximise(SplineModel(_ERROR[scale], knots, x, data.offset), data.observed, start)


def _knots(given: int | Sequence[float], boundary: tuple[float, float] | None, data: Lifetimes) -> FloatArray:
    known = np.log(data.event_times())
    ends = (known.min(), known.max()) if boundary is None else _logarithms("boundary_knots", boundary)
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise OptionError(
            f"boundary_knots={boundary!r} must be two times, the first smaller"
            if boundary is not None
            else "all event times are equal: a spline of time cannot be fitted"
        )
    n_events = int(data.events.sum())
    n_inner = given if isinstance(given, int | np.integer) else np.size(given)
    if n_inner + 2 > max(n_events, 2):
        raise OptionError(f"knots={given!r}: {n_inner} inner knots are too many for {n_events} events")
    if isinstance(given, int | np.integer):
        if isinstance(given, bool) or given < 0:
            raise OptionError(f"knots={given!r} must be 0 or more")
        inner = np.quantile(known, np.linspace(0, 1, int(given) + 2)[1:-1])
        if np.unique(inner).size < inner.size or (inner.size and not ends[0] < inner[0] <= inner[-1] < ends[1]):
            raise OptionError(f"knots={given!r}: some knots fall on the same event time (many ties); use fewer")
    else:
        inner = _logarithms("knots", given)
        if (np.diff(inner) <= 0).any() or (inner.size and not ends[0] < inner[0] <= inner[-1] < ends[1]):
            raise OptionError(
                f"knots={list(given)!r} must be times in rising order between {np.exp(ends[0]):g} and "
                f"{np.exp(ends[1]):g}"
            )
    return np.concatenate([[ends[0]], inner, [ends[1]]])


def _logarithms(name: str, times: Any) -> FloatArray:
    try:
        values = np.asarray(times, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.ndim != 1 or not np.isfinite(values).all() or (values <= 0).any():
        raise OptionError(f"{name}={times!r} must be positive times")
    return np.log(values)


def _warn_falling(gamma: FloatArray, knots: FloatArray, data: Lifetimes) -> None:
    finite = np.where(data.events, data.upper, data.lower)
    y = np.linspace(min(knots[0], np.log(finite[finite > 0].min())), np.log(finite.max()), 500)
    falling = basis_slope(y, knots) @ gamma < 0
    if falling.any():
        warn(
            f"the fitted cumulative hazard falls around time {np.exp(y[np.argmax(falling)]):.4g}, which none can: "
            "use fewer knots, or none where there are few events",
            FallingHazardWarning,
        )
