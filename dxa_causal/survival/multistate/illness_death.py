"""Illness-death model: onset seen only between visits, and people who die in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, PredictorError, shown
from dxa_causal._core.options import Missing, check_option
from dxa_causal._core.warnings import ConvergenceWarning, SeparationWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal.results import read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.illness_death import places_of
from dxa_causal.survival._kernels.illness_death_estimate import IllnessDeathEstimate
from dxa_causal.survival._kernels.transition_hazards import Baseline, SplineHazard, WeibullHazard
from dxa_causal.survival.multistate.illness_death_result import (
    TRANSITIONS,
    Designs,
    Hazards,
    IllnessDeathFit,
    fit_lives,
)
from dxa_causal.survival.multistate.visits import VisitedLives, visited_lives

FloatArray = npt.NDArray[np.float64]

_FEWEST_KNOTS = 3
_RUNAWAY = 20.0  # standard error of a standardised log hazard ratio


def illness_death(
    *,
    ill: str,
    death: str,
    covariates: str | Mapping[str, str] = "1",
    data: Any,
    hazards: Hazards = "weibull",
    knots: int | Sequence[float] | Mapping[str, int | Sequence[float]] = 7,
    penalty: float | Sequence[float] | Mapping[str, float] | None = None,
    missing: Missing = "drop",
) -> IllnessDeathFit:
    r"""Fit an illness-death model to onset seen between visits and death seen exactly.

    Parameters
    ----------
    ill : str
        ``Surv(left, right, type='interval')``: last time seen healthy and first
        time seen ill; right is infinite for those never seen ill, left then
        their last visit; equal for an exact time.
    death : str
        ``Surv(time, died)`` or ``Surv(entry, time, died)``: end of follow-up;
        who enters late was healthy at entry. All on one clock, such as age.
    covariates : str or mapping of str to str
        Right side of a formula, the same for all transitions, or one per
        transition: ``{"healthy -> ill": "age + sex", "ill -> dead": "age"}``;
        a transition left out has none.
    data : pandas or polars frame
        One row per person.
    hazards : {"weibull", "exponential", "splines"}
        "splines": cubic M-splines, the likelihood penalised for roughness.
    knots : int, sequence of float, or mapping of either by transition
        Of splines: how many, evenly from the first entry to the last time, or
        where.
    penalty : float, sequence of three float, or mapping by transition, optional
        Of splines: weight of the integrated squared second derivative of each
        hazard (SmoothHazard's kappa). None: chosen by approximate
        leave-one-out cross-validation, which takes seconds to minutes.
    missing : {"drop", "raise"}

    Returns
    -------
    IllnessDeathFit

    Raises
    ------
    OutcomeError
        Visits that contradict the follow-up, naming column and row; a
        transition nobody was seen to make.
    CollinearityError
        A column is a linear combination of others; it is named.

    Warns
    -----
    ConvergenceWarning, SeparationWarning

    Notes
    -----
    Hazards :math:`a_{01}, a_{02}, a_{12}` on the same clock are proportional
    for covariates, each transition with coefficients of its own. A person
    healthy at e, last seen healthy at l and dead (:math:`\delta = 1`) or
    censored at t, never seen ill, adds

    .. math::

        \frac{S(t)\, a_{02}(t)^\delta + \int_l^t S(u)\, a_{01}(u)\, e^{-A_{12}(u, t)}\, du\; a_{12}(t)^\delta}{S(e)},
        \quad S(u) = e^{-A_{01}(u) - A_{02}(u)};

    one seen ill at r the integral from l to r alone. Integrals are by
    Gauss-Legendre quadrature, with nodes doubled until the log-likelihood no
    longer changes.

    For splines :math:`\sum_k \kappa_k \int a_k''(t)^2 dt` is subtracted from
    the log-likelihood, with the coefficients of the splines squares. The
    covariance is the inverse of minus the Hessian of that, as in SmoothHazard
    (the Bayesian one); the penalties maximise
    :math:`\ell - \mathrm{tr}(H_{pen}^{-1} H)`, the trace being the effective
    number of parameters.

    Onset taken for the visit that found it, with death as censoring at the
    last visit, is biased: those who die soon after onset are not seen ill.

    References
    ----------
    Joly P, Commenges D, Helmer C, Letenneur L. Biostatistics 2002;3:433-443. doi:10.1093/biostatistics/3.3.433
    Touraine C, Gerds TA, Joly P. J Stat Softw 2017;79(7). doi:10.18637/jss.v079.i07

    Examples
    --------
    >>> import dxa_causal as dc
    >>> people = dc.simulate.illness_death_cohort(300, seed=1)
    >>> fit = dc.survival.illness_death(
    ...     ill="Surv(last_free_age, first_seen_age, type='interval')",
    ...     death="Surv(age_entry, age_end, died)",
    ...     covariates="C(sex)",
    ...     data=people,
    ... )
    >>> fit.tidy()[["transition", "term"]].to_numpy().tolist()[0]
    ['healthy -> ill', 'C(sex)[T.male]']
    """
    check_option("hazards", hazards, Hazards)
    if hazards != "splines" and penalty is not None:
        raise OptionError(f"penalty={penalty!r} belongs to hazards='splines', not to {hazards!r}")
    designs, by_transition = _designs(ill, death, covariates, data, missing)
    lives = visited_lives(designs[0], ill)
    for name, design in zip(TRANSITIONS, designs, strict=True):
        try:
            refuse_collinear(design)
        except PredictorError as error:
            raise type(error)(f"{name}: {error}" if by_transition else str(error)) from None
    baselines = _baselines(hazards, knots, lives)
    kappa = None if penalty is None else _three("penalty", penalty)
    if kappa is not None and not (np.isfinite(kappa) & (kappa > 0)).all():
        raise OptionError(f"penalty={penalty!r} must be positive numbers")
    x1, x2, x3 = (d.x for d in designs)
    found = fit_lives(lives, (x1, x2, x3), baselines, penalised=hazards == "splines", kappa=kappa)
    places = places_of(baselines, [d.x.shape[1] for d in designs])
    own = np.concatenate([np.arange(found.parameters.size)[beta] for _, beta in places])
    terms = tuple(term for d in designs for term in d.terms)
    transitions = tuple(name for name, d in zip(TRANSITIONS, designs, strict=True) for _ in d.terms)
    _report(found, places, designs, penalised=hazards == "splines")
    seen = np.isfinite(lives.right)
    call = format_call(
        "survival.illness_death",
        ill=ill,
        death=death,
        covariates=covariates if isinstance(covariates, str) else str(dict(covariates)),
        hazards=hazards,
        knots=str(knots) if hazards == "splines" else None,
        penalty=None if penalty is None else str(penalty),
    )
    return IllnessDeathFit(
        terms=terms,
        transitions=transitions,
        coefficients=read_only(found.parameters[own]),
        covariance=read_only(found.covariance[np.ix_(own, own)]),
        parameters=read_only(found.parameters),
        parameter_covariance=read_only(found.covariance),
        hazards=hazards,
        baselines=baselines,
        penalty=None if found.kappa is None else read_only(found.kappa),
        log_likelihood=found.log_likelihood,
        df=found.df,
        nobs=lives.time.size,
        n_events=int(seen.sum() + lives.died.sum()),
        n_ill=int(seen.sum()),
        n_died_healthy=int(lives.died[~seen].sum()),
        n_died_ill=int(lives.died[seen].sum()),
        n_nodes=found.nodes,
        n_iter=found.n_iter,
        converged=found.converged,
        provenance=designs[0].provenance(call),
        designs=designs,
        lives=lives,
    )


def _designs(
    ill: str, death: str, covariates: str | Mapping[str, str], data: Any, missing: Missing
) -> tuple[Designs, bool]:
    """Design of each transition, all on the rows complete for all of them."""
    if isinstance(covariates, str):
        one = build_design(f"{death} ~ {covariates}", data, beside=ill, missing=missing)
        return (one, one, one), False
    for name in covariates:
        check_option("covariates: transition", name, TRANSITIONS)
    every = build_design(f"{death} ~ {' + '.join(covariates.values()) or '1'}", data, beside=ill, missing=missing)
    sides = [covariates.get(name, "1") for name in TRANSITIONS]
    first, second, third = (
        build_design(f"{death} ~ {side}", every.rows.frame, beside=ill, missing="raise") for side in sides
    )
    return (_with_rows(first, every), _with_rows(second, every), _with_rows(third, every)), True


def _with_rows(design: Design, every: Design) -> Design:
    """Count the rows left out for the whole."""
    return replace(design, rows=replace(design.rows, keep=every.rows.keep, missing=every.rows.missing))


def _baselines(
    hazards: Hazards, knots: int | Sequence[float] | Mapping[str, int | Sequence[float]], lives: VisitedLives
) -> tuple[Baseline, Baseline, Baseline]:
    if hazards != "splines":
        weibull = WeibullHazard(float(np.exp(np.log(lives.time).mean())), fixed=hazards == "exponential")
        return weibull, weibull, weibull
    low, high = float(lives.entry.min()), float(lives.time.max())
    if isinstance(knots, Mapping):
        for name in knots:
            check_option("knots: transition", name, TRANSITIONS)
        first, second, third = (SplineHazard(_knots(knots.get(name, 7), low, high)) for name in TRANSITIONS)
        return first, second, third
    one = SplineHazard(_knots(knots, low, high))
    return one, one, one


def _knots(knots: int | Sequence[float], low: float, high: float) -> FloatArray:
    if isinstance(knots, int | np.integer):
        if knots < _FEWEST_KNOTS:
            raise OptionError(f"knots={knots} must be at least {_FEWEST_KNOTS}")
        return np.linspace(low, high, int(knots))
    try:
        given = np.sort(np.atleast_1d(np.asarray(knots, dtype=np.float64)))
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.ndim != 1 or given.size < _FEWEST_KNOTS or not np.isfinite(given).all() or (np.diff(given) <= 0).any():
        raise OptionError(f"knots={knots!r} must be a whole number, or at least {_FEWEST_KNOTS} different times")
    if given[0] > low or given[-1] < high:
        raise OptionError(
            f"knots from {given[0]:g} to {given[-1]:g} do not span the follow-up, which is from {low:g} to {high:g}; "
            "outside them the hazard would be zero"
        )
    return given


def _three(argument: str, value: float | Sequence[float] | Mapping[str, float]) -> FloatArray:
    """One number per transition."""
    if isinstance(value, Mapping):
        for name in value:
            check_option(f"{argument}: transition", name, TRANSITIONS)
        lacking = [name for name in TRANSITIONS if name not in value]
        if lacking:
            raise OptionError(f"{argument} lacks {', '.join(map(shown, lacking))}; give one for each transition")
        value = [value[name] for name in TRANSITIONS]
    try:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (3,)).copy()
    except (TypeError, ValueError):
        raise OptionError(f"{argument}={value!r} must be one number or three, in the order {TRANSITIONS}") from None


def _report(
    found: IllnessDeathEstimate, places: list[tuple[slice, slice]], designs: Designs, *, penalised: bool
) -> None:
    """Say what went wrong with the iteration."""
    error = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))
    said = False
    for name, design, (base, beta) in zip(TRANSITIONS, designs, places, strict=True):
        away = np.flatnonzero(error[beta] * design.x.std(axis=0) > _RUNAWAY)
        named = ", ".join(repr(design.terms[k]) for k in away)
        level, *shape = [False, False] if penalised else error[base] > _RUNAWAY  # both are logarithms
        if level and away.size == len(design.terms):
            warn(
                f"the hazard of {name!r} runs to zero: onsets between the last visit and the end may explain all such "
                "events, or a covariate separates them. Its estimates and standard errors mean nothing; they need "
                "visits closer to the end of follow-up, or fewer covariates",
                ConvergenceWarning,
            )
        elif away.size:
            warn(
                f"the coefficient of {named} on {name!r} runs to infinity: the term separates those who make the "
                "transition from those who do not. Its estimate and standard error mean nothing; leave it out there",
                SeparationWarning,
            )
        elif any(shape):
            warn(
                f"the shape of the hazard of {name!r} runs to zero: it falls with time as fast as a Weibull hazard "
                "can, or faster. Effects are given for a hazard that falls as 1 / time; look at hazards='splines'",
                ConvergenceWarning,
            )
        said = said or level or bool(away.size) or any(shape)
    if not said and (not found.converged or found.singular):
        warn(
            f"the iteration did not reach a maximum in {found.n_iter} steps: a transition may have too few events for "
            "its hazard or its covariates; try fewer covariates there, or hazards='weibull'",
            ConvergenceWarning,
        )
