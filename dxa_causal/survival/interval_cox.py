"""Proportional hazards or odds with interval-censored times, the baseline left free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OutcomeError
from dxa_causal._core.options import Missing, check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import ConvergenceWarning, RiskSetWarning, SeparationWarning, warn
from dxa_causal._design import Design, IntervalOutcome, build_design, refuse_collinear
from dxa_causal.results import read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.interval_cox import (
    IntervalEstimate,
    baseline,
    maximise,
    prepare,
    profile_covariance,
    resample,
)
from dxa_causal.survival._kernels.interval_likelihood import IntervalData, Link
from dxa_causal.survival._kernels.turnbull import Support, innermost, spent
from dxa_causal.survival.interval_cox_result import IntervalCoxFit, IntervalError
from dxa_causal.survival.turnbull import check_resamples

if TYPE_CHECKING:
    pass

FloatArray = npt.NDArray[np.float64]
_BLOCK = 10  # samples per piece of work
_MANY = 0.02  # share of rows that tell nothing from which that is worth a warning
_ESTIMANDS = {"ph": "log hazard ratio", "po": "log odds ratio of survival"}


def interval_cox(
    formula: str,
    data: Any,
    *,
    model: Link = "ph",
    entry: str | None = None,
    weights: str | None = None,
    std_error: IntervalError = "profile",
    n_resamples: int = 200,
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
    missing: Missing = "drop",
) -> IntervalCoxFit:
    r"""Fit proportional hazards or odds to times known up to an interval, without a shape for the baseline.

    Parameters
    ----------
    formula : str
        ``Surv(left, right, type='interval') ~ covariates``. The event lies in
        (left, right]; equal bounds are an exact time; left 0 (or -inf) is
        left-censored, right inf right-censored.
    data : pandas or polars frame
        One row per person.
    model : {"ph", "po"}
        Proportional hazards, or proportional odds of survival.
    entry : str, optional
        Column: start of observation of people who were free of the event then
        (left truncation).
    weights : str, optional
        Column of positive case weights.
    std_error : {"profile", "bootstrap", "none"}
        From the profile likelihood, or from rows drawn anew.
    n_resamples : int
        Bootstrap samples.
    seed : int, Generator or None
        The same seed gives the same samples for any `n_jobs`.
    n_jobs : int or None
    progress : bool
    missing : {"drop", "raise"}

    Returns
    -------
    IntervalCoxFit

    Raises
    ------
    OutcomeError
        The event was never seen, or one common time would fit every row.
    CollinearityError
        A column is a linear combination of others; it is named.

    Warns
    -----
    SeparationWarning
        A coefficient runs to infinity; the term is named.
    RiskSetWarning
        With `entry`, the intervals of many rows hold times at which nobody is
        known to be free of the event though others enter later.

    See Also
    --------
    turnbull : the same without covariates.
    parametric : the same with a shape for the baseline.
    cox : exact times.

    Notes
    -----
    With :math:`\theta = e^{x'\beta}`,

    .. math::

        \text{ph: } S(t \mid x) = S_0(t)^{\theta}, \qquad
        \text{po: } \frac{S(t \mid x)}{1 - S(t \mid x)} = \theta \frac{S_0(t)}{1 - S_0(t)},

    as R's icenReg: under "po" a positive coefficient means longer survival.
    With `entry`, survival counts as 1 at the first entry; under "ph" that
    changes no coefficient, under "po" it says from when odds are counted.
    Where nobody under observation is known to survive while others enter
    later, survival would be zero by maximum likelihood (Turnbull's estimate
    says so); here curves pass over such times, which only thin beginnings have.
    Maximised is :math:`\sum_i w_i [\log\{S(L_i \mid x_i) - S(R_i \mid x_i)\} - \log S(V_i \mid x_i)]` over
    :math:`\beta` and all curves :math:`S_0`, to the Kuhn-Tucker conditions. An
    exact time contributes the fall of survival there, as in icenReg; where all
    are exact and distinct, this likelihood of grouped times differs from
    Cox's partial likelihood by terms of order 1/n.

    Profile standard errors are those of the sum of outer products of the
    rows' profile scores, taken as differences over
    :math:`\pm n^{-1/2}` standard deviations of a covariate: always positive and, in small
    samples, nearer the truth than second differences, which are too small.

    References
    ----------
    Zeng D, Mao L, Lin DY. Biometrika 2016;103:253-271. doi:10.1093/biomet/asw013
    Murphy SA, van der Vaart AW. J Am Stat Assoc 2000;95:449-465. doi:10.1080/01621459.2000.10474219
    Finkelstein DM. Biometrics 1986;42:845-854. doi:10.2307/2530698

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> x, visit = rng.integers(0, 2, 200), np.arange(6)
    >>> onset = rng.exponential(size=200) * 4 / 2**x
    >>> left = np.minimum(np.floor(onset), 5)
    >>> data = pd.DataFrame({"left": left, "right": np.where(onset < 5, left + 1, np.inf), "x": x})
    >>> fit = interval_cox("Surv(left, right, type='interval') ~ x", data)
    >>> bool(abs(fit.tidy()["estimate"][0] - np.log(2)) < 2 * fit.tidy()["std_error"][0])
    True
    """
    check_option("model", model, Link)
    check_option("std_error", std_error, IntervalError)
    check_resamples(n_resamples)
    design = build_design(formula, data, arguments={"entry": entry, "weights": weights}, missing=missing, interval=True)
    outcome = design.interval.observed_from(design.number(entry, argument="entry"), entry, design.index)
    if not outcome.n_events:
        raise OutcomeError(
            f"{design.parts.outcome}: the event was never seen, all {outcome.left.size} rows are right-censored; "
            "nothing can be said about covariates"
        )
    refuse_collinear(design)
    given = design.number(weights, argument="weights", positive=True)
    weight = np.ones(outcome.left.size) if given is None else given
    centre = np.average(design.x, axis=0, weights=weight) if design.terms else np.zeros(0)
    scale = np.sqrt(np.average((design.x - centre) ** 2, axis=0, weights=weight)) if design.terms else np.ones(0)
    sign = 1.0 if model == "ph" else -1.0  # the kernel counts towards the event
    x = np.ascontiguousarray((design.x - centre) / scale)
    support = innermost(outcome.left, outcome.right, outcome.entry)
    sample = prepare(support, weight, model)
    n_alone = _rows_alone(support, outcome)
    if not sample.m:
        raise OutcomeError(
            f"{design.parts.outcome}: nobody is known to be free of the event after {support.right[0]:g}, so that one "
            "common time before it fits every row; nothing can be said about covariates"
        )
    null = maximise(sample, x[:, :0])
    found = maximise(sample, x)
    _report(found, design)
    covariance, replicates, curves = _errors(
        std_error, support, sample, x, found, n_resamples=n_resamples, seed=seed, n_jobs=n_jobs, progress=progress
    )
    hazard = baseline(support, sample, found, pass_over=True)
    drawn = std_error == "bootstrap"
    call = format_call(
        "survival.interval_cox",
        formula,
        model=model,
        entry=entry,
        weights=weights,
        std_error=std_error,
        n_resamples=n_resamples if drawn else None,
        seed=seed if drawn else None,
    )
    return IntervalCoxFit(
        terms=tuple(design.terms),
        coefficients=read_only(sign * found.beta / scale),
        covariance=read_only(covariance / np.outer(scale, scale)),
        model=model,
        error_method=std_error,
        replicates=read_only(sign * replicates / scale),
        n_failed=int(np.isnan(replicates).any(axis=1).sum()),
        regions=_regions(support, hazard, model),
        log_likelihood=found.log_likelihood,
        log_likelihood_null=null.log_likelihood,
        gain=found.gain,
        nobs=outcome.left.size,
        n_events=outcome.n_events,
        n_iter=found.n_iter,
        converged=found.converged,
        entry=entry,
        weights=weights,
        provenance=design.provenance(call, seed=seed if drawn and isinstance(seed, int) else None),
        design=design,
        outcome=outcome,
        centre=read_only(centre),
        n_alone=n_alone,
        baseline=read_only(hazard),
        baseline_replicates=read_only(curves),
        estimand=_ESTIMANDS[model],
    )


def _rows_alone(support: Support, outcome: IntervalOutcome) -> int:
    """Rows whose event may lie where nobody is known to survive though others enter later: they tell nothing."""
    early = spent(support) & (np.arange(support.left.size) < support.entry.max())
    passed = np.concatenate([[0], np.cumsum(early)])
    alone = int((passed[support.high] > passed[support.low]).sum())
    if alone > _MANY * outcome.left.size:
        last = support.right[np.flatnonzero(early)[-1]]
        warn(
            f"the intervals of {alone} of {outcome.left.size} rows hold a time, up to {last:g}, at which nobody under "
            "observation is known to be free of the event though others enter later; such rows tell nothing. Start "
            "later, at a time s when enough are at risk: keep rows with right > s and set their entry and left to "
            "max(., s)",
            RiskSetWarning,
        )
    return alone


def _report(found: IntervalEstimate, design: Design) -> None:
    if found.diverging.any():
        named = ", ".join(repr(t) for t, moving in zip(design.terms, found.diverging, strict=True) if moving)
        warn(
            f"the coefficient of {named} runs to infinity: the term separates those with the event from those without. "
            "Its estimate, standard error and p-value mean nothing; the likelihood ratio test still holds. Leave it "
            "out or join levels",
            SeparationWarning,
        )
    elif not found.converged:
        warn(
            f"the maximisation stopped after {found.n_iter} steps short of the maximum: the gradient of a region is "
            f"{found.gain:.2g} of the number at risk",
            ConvergenceWarning,
        )


def _errors(
    method: IntervalError,
    support: Support,
    sample: IntervalData,
    x: FloatArray,
    found: IntervalEstimate,
    *,
    n_resamples: int,
    seed: Seed,
    n_jobs: int | None,
    progress: bool,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Covariance of the standardised coefficients, and coefficients and baselines of bootstrap samples."""
    p = x.shape[1]
    nothing = np.empty((0, p)), np.empty((0, support.left.size))
    if method == "none" or found.diverging.any():
        return np.full((p, p), np.nan), *nothing
    if method == "profile":
        return profile_covariance(sample, x, found), *nothing
    draws = spawn(seed, n_resamples)
    blocks = [draws[i : i + _BLOCK] for i in range(0, n_resamples, _BLOCK)]
    work = _Draws(support, sample.weight, x, sample.link)
    done = list(parallel_map(work, blocks, n_jobs=n_jobs, progress=progress, description="bootstrap"))
    replicates = np.concatenate([beta for beta, _ in done])
    good = ~np.isnan(replicates).any(axis=1)
    if good.sum() < 2:
        raise OutcomeError(
            f"{int((~good).sum())} of {n_resamples} bootstrap samples have no finite estimate: too few events"
        )
    if not good.all():
        warn(
            f"{int((~good).sum())} of {n_resamples} bootstrap samples have no finite estimate and are left out",
            ConvergenceWarning,
        )
    covariance = np.atleast_2d(np.cov(replicates[good], rowvar=False)) if p else np.zeros((0, 0))
    return covariance, replicates, np.concatenate([curve for _, curve in done])


@dataclass(frozen=True, slots=True)
class _Draws:
    """Refits for a block of generators; picklable."""

    support: Support
    weight: FloatArray
    x: FloatArray
    link: Link

    def __call__(self, draws: list[np.random.Generator]) -> tuple[FloatArray, FloatArray]:
        found = [resample(self.support, self.weight, self.x, self.link, rng) for rng in draws]
        return np.stack([beta for beta, _ in found]), np.stack([curve for _, curve in found])


def _regions(support: Support, hazard: FloatArray, model: Link) -> pd.DataFrame:
    survival = np.exp(-hazard) if model == "ph" else 1.0 / (1.0 + hazard)
    before = np.concatenate([[1.0], survival[:-1]])
    return pd.DataFrame(
        {
            "time_left": support.left,
            "time_right": support.right,
            "probability": before - survival,
            "estimate": survival,
        }
    )
