"""What a regression of interval-censored times gives: tables, tests, predictions, figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal._core.warnings import HorizonWarning, warn
from dxa_causal._design import Design, IntervalOutcome, SurvivalOutcome
from dxa_causal.results import HypothesisTest, Provenance, read_only
from dxa_causal.survival._kernels.interval_likelihood import Link
from dxa_causal.survival.checks import chi_square_test
from dxa_causal.survival.hazard_ratios import HazardRatios
from dxa_causal.survival.predicted_curves import PredictedCurves
from dxa_causal.survival.step_curves import check_times
from dxa_causal.survival.turnbull import kind_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntervalError = Literal["profile", "bootstrap", "none"]
IntervalPrediction = Literal["lp", "risk", "survival", "cumulative_hazard"]
_MOST = 5_000_000  # lines of a table of predictions
_MEASURES = {
    "ph": ("log HR", "HR", "Hazard ratio"),
    "po": ("log OR of survival", "OR of survival", "Odds ratio of survival"),
}


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
