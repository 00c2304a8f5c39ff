"""Proportional hazards or odds with interval-censored times, the baseline left free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, OutcomeError
from dxa_causal._core.options import Missing, check_conf_level, check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import ConvergenceWarning, HorizonWarning, RiskSetWarning, SeparationWarning, warn
from dxa_causal._design import Design, IntervalOutcome, SurvivalOutcome, build_design, refuse_collinear
from dxa_causal.results import HypothesisTest, Provenance, read_only
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
from dxa_causal.survival.checks import chi_square_test
from dxa_causal.survival.hazard_ratios import HazardRatios
from dxa_causal.survival.predicted_curves import PredictedCurves
from dxa_causal.survival.step_curves import check_times
from dxa_causal.survival.turnbull import check_resamples, kind_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntervalError = Literal["profile", "bootstrap", "none"]
IntervalPrediction = Literal["lp", "risk", "survival", "cumulative_hazard"]
_BLOCK = 10  # samples per piece of work
_MANY = 0.02  # share of rows that tell nothing from which that is worth a warning
_MOST = 5_000_000  # lines of a table of predictions
_MEASURES = {
    "ph": ("log HR", "HR", "Hazard ratio"),
    "po": ("log OR of survival", "OR of survival", "Odds ratio of survival"),
}
_ESTIMANDS = {"ph": "log hazard ratio", "po": "log odds ratio of survival"}


@dataclass(frozen=True, eq=False, repr=False)
class IntervalCoxFit(PredictedCurves, HazardRatios):
    """A model of proportional hazards or odds fitted to intervals.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log hazard ratios; for ``model="po"`` log odds ratios of survival.
    covariance : (p, p) ndarray
        Missing values with ``std_error="none"``.
    model : {"ph", "po"}
    error_method : {"profile", "bootstrap", "none"}
        Where the standard errors come from.
    replicates : (n_resamples, p) ndarray
        Coefficients in bootstrap samples, missing where one ran away; empty
        without a bootstrap.
    n_failed : int
        Such samples.
    regions : DataFrame
        time_left, time_right, probability, estimate: the regions that can hold
        probability, what each holds at the mean covariates, survival after it.
    log_likelihood, log_likelihood_null : float
        At the maximum, and without covariates (Turnbull's estimate).
    gain : float
        Largest gradient of a region relative to the number at risk there; zero at the maximum.
    n_iter : int
    converged : bool
    n_alone : int
        With `entry`: rows whose event may lie at a time at which nobody is
        known to be free of it though others enter later. They tell nothing.
    """

    title: ClassVar[str] = "Interval-censored regression, baseline left free"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    model: Link
    error_method: IntervalError
    replicates: FloatArray
    n_failed: int
    regions: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    gain: float
    nobs: int
    n_events: int
    n_iter: int
    converged: bool
    entry: str | None
    weights: str | None
    provenance: Provenance
    design: Design
    outcome: IntervalOutcome
    centre: FloatArray
    n_alone: int
    baseline: FloatArray
    baseline_replicates: FloatArray
    estimand: str = "log hazard ratio"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: estimate, Wald test, limits; `effect_measure` says what the estimate is."""
        measure = _MEASURES[self.model][int(exponentiate)]
        return super().tidy(conf_level, exponentiate).assign(effect_measure=measure)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events (rows in which the event was seen), log_likelihood, log_likelihood_null, aic.

        `aic` counts the coefficients only; it compares models of the same rows.
        """
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "aic": [-2 * self.log_likelihood + 2 * len(self.terms)],
            }
        )

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """All coefficients zero; the baseline is maximised with and without them."""
        gain = max(0.0, 2 * (self.log_likelihood - self.log_likelihood_null))
        return chi_square_test(gain, len(self.terms), "likelihood ratio test")

    @cached_property
    def linear_predictor(self) -> FloatArray:
        """The sum x'beta of the rows analysed, (nobs,)."""
        return read_only(self.design.x @ self.coefficients)

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "lp",
        times: npt.ArrayLike | None = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Predict for the rows analysed or for new ones.

        Parameters
        ----------
        new : pandas or polars frame, optional
        type : {"lp", "risk", "survival", "cumulative_hazard"}
            "lp" is x'beta, "risk" its exponential (for "po" the odds ratio of
            survival), both against a row of zeros.
        times : (k,) array_like, optional
            For the curves; the ends of the regions with probability when
            omitted. Within a region the curve falls in its middle.
        conf_level : float

        Returns
        -------
        DataFrame
            row, time (for curves), estimate, std_error, conf_low, conf_high.
            Curves have limits (percentiles) only after a bootstrap; without
            one these columns are left out: no formula for them is known.
        """
        check_option("type", type, IntervalPrediction)
        check_conf_level(conf_level)
        x, index = (self.design.x, self.design.index) if new is None else self.design.new(new)
        if type in ("lp", "risk"):
            if times is not None:
                raise OptionError(f"times= belongs to type='survival' or 'cumulative_hazard', not {type!r}")
            return self._linear(x, index, type == "risk", conf_level)
        places, at = self._places(times)
        if len(index) * at.size > _MOST:
            raise OptionError(
                f"{len(index)} rows at {at.size} times make a table of {len(index) * at.size:,} lines, more than "
                f"{_MOST:,}; give times=[...] or fewer rows"
            )
        table = pd.DataFrame({"row": np.repeat(index, at.size), "time": np.tile(at, len(index))})
        curve = self._curve((x - self.centre) @ self.coefficients, self.baseline, places, type)
        table["estimate"] = curve.ravel()
        if not self.replicates.size:
            return table
        good = np.flatnonzero(~np.isnan(self.replicates).any(axis=1))
        tail, spread = (1 - conf_level) / 2, []
        for row in x - self.centre:  # rows x samples x times at once would not fit
            lines = self.replicates[good] @ row
            drawn = np.stack(
                [
                    self._curve(np.array([line]), hazard, places, type)[0]
                    for line, hazard in zip(lines, self.baseline_replicates[good], strict=True)
                ]
            )
            with np.errstate(invalid="ignore"):
                spread.append(np.stack([drawn.std(axis=0, ddof=1), *np.quantile(drawn, [tail, 1 - tail], axis=0)]))
        columns = np.concatenate(spread, axis=1) if spread else np.empty((3, 0))
        return table.assign(std_error=columns[0], conf_low=columns[1], conf_high=columns[2])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios (odds ratios of survival)."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(exponentiate=True), effect_measure=_MEASURES[self.model][2], ax=ax)

    def plot_baseline(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """Survival at the mean covariates, shaded where the data do not say how it falls."""
        from dxa_causal.plots.interval_curves import interval_curves

        shown = self.regions[self.regions["probability"] > 0].assign(group="mean covariates")
        return interval_curves(shown, origin=self._origin(), time_label=time_label or "time", ax=ax)

    def _origin(self) -> float:
        return 0.0 if self.outcome.entry is None else float(self.outcome.entry.min())

    def _outcome(self) -> SurvivalOutcome:
        seen = np.isfinite(self.outcome.right)
        time = np.where(seen, self.outcome.right, self.outcome.left)
        return SurvivalOutcome(time, seen.astype(np.int64), self.outcome.entry, "time", "event")

    def _places(self, times: npt.ArrayLike | None) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Number of regions passed at each time."""
        left, right = self.regions["time_left"].to_numpy(), self.regions["time_right"].to_numpy()
        held = self.regions["probability"].to_numpy() > 0
        middle = np.where(np.isinf(right), np.inf, (left + right) / 2)
        at = right[held & np.isfinite(right)] if times is None else check_times(times)
        last = float(self._outcome().time.max())
        if at.size and at.max() > last:
            warn(
                f"time {at.max():g} lies beyond the last bound ({last:g}); the last value is carried forward",
                HorizonWarning,
            )
        return np.searchsorted(middle, at, side="right"), at

    def _curve(self, line: FloatArray, baseline: FloatArray, places: npt.NDArray[np.int64], type: str) -> FloatArray:
        """Rows x times."""
        value = np.concatenate([[0.0], baseline])[places]
        with np.errstate(over="ignore", divide="ignore"):
            ratio = np.exp(line if self.model == "ph" else -line)[:, None]
            hazard = ratio * value if self.model == "ph" else np.log1p(ratio * value)
            curve: FloatArray = np.exp(-hazard) if type == "survival" else hazard
        return curve

    def _linear(self, x: FloatArray, index: pd.Index, risk: bool, conf_level: float) -> pd.DataFrame:
        estimate = x @ self.coefficients
        std_error = np.sqrt(np.einsum("ij,jk,ik->i", x, self.covariance, x))
        z = float(special.ndtri(0.5 + conf_level / 2))
        low, high = estimate - z * std_error, estimate + z * std_error
        if risk:
            estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
            std_error = estimate * std_error
        table = pd.DataFrame({"row": index, "estimate": estimate})
        if self.error_method == "none":
            return table
        return table.assign(std_error=std_error, conf_low=low, conf_high=high)

    def _notes(self) -> list[str]:
        said = {
            "ph": "model: proportional hazards",
            "po": "model: proportional odds; a coefficient above zero means longer survival",
        }
        errors = {
            "profile": "standard errors from the profile likelihood",
            "bootstrap": f"standard errors from {len(self.replicates)} bootstrap samples ({self.n_failed} failed)",
            "none": "no standard errors were asked for (std_error='none')",
        }
        notes = [
            said[self.model],
            kind_counts(self.outcome) + (f"; case weights: {self.weights}" if self.weights else ""),
            errors[self.error_method],
            str(self.likelihood_ratio_test),
        ]
        if self.n_alone:
            notes.append(
                f"{self.n_alone} rows tell nothing: their intervals hold times at which nobody is known to survive, "
                "though others enter later"
            )
        if self.error_method != "none":
            notes.append(str(self.wald_test))
        return notes + super()._notes()


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
