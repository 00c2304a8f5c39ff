"""What fits of a whole distribution of times share: table, tests, residuals, figures."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import WeightType, check_option
from dxa_causal._design import Design, SurvivalOutcome
from dxa_causal.results import HypothesisTest, Provenance, Result, read_only, wald_columns
from dxa_causal.survival._kernels.lifetime_likelihood import LifetimeModel
from dxa_causal.survival.checks import chi_square_test
from dxa_causal.survival.lifetimes import Lifetimes
from dxa_causal.survival.predicted_curves import PredictedCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Residual = Literal["cox-snell", "martingale", "deviance"]
# What the coefficients of covariates are: short name, short name of the exponential, label of an axis.
MEASURES = {
    "time ratio": ("log TR", "TR", "Time ratio"),
    "hazard ratio": ("log HR", "HR", "Hazard ratio"),
    "survival odds ratio": ("log OR of survival", "OR of survival", "Odds ratio of survival"),
    "odds ratio": ("log OR", "OR", "Odds ratio"),
    "mean difference": ("difference of time", "", "Difference of time"),
    "probit difference": ("probit difference", "", "Difference of normal quantiles"),
}


@dataclass(frozen=True, eq=False, repr=False)
class LifetimeFit(PredictedCurves, Result):
    """Base of fits that give log S(t) and log f(t) for any covariates."""

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray
    robust: bool
    weights: str | None
    weight_type: WeightType
    offset: str | None
    cluster: str | None
    log_likelihood: float
    log_likelihood_null: float
    nobs: int
    n_events: int
    n_iter: int
    converged: bool
    provenance: Provenance
    data: Lifetimes
    measure: str
    effects: tuple[int, ...]
    estimand: str

    log_scale: ClassVar[tuple[str, ...]] = ("Intercept", "log(")  # beginnings of terms that are logarithms

    @abc.abstractmethod
    def lifetime_model(self, x: FloatArray, frame: pd.DataFrame, offset: FloatArray) -> LifetimeModel:
        """Distribution of the times of rows with covariates x, in the parameters `coefficients`."""

    def mean_time(self, columns: FloatArray, offset: FloatArray, frame: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Mean time of rows and its gradient in the coefficients."""
        raise OptionError("type='mean' has no closed form for this model; use type='rmst' with a horizon")

    def log_scales(self) -> FloatArray:
        """Log scale of each row analysed."""
        return np.zeros(len(self.design.index))

    @property
    @abc.abstractmethod
    def joints(self) -> FloatArray:
        """Times at which the hazard is not smooth."""

    @property
    def design(self) -> Design:
        """Rows and coding of the covariates."""
        return self.data.design

    @property
    def located(self) -> bool:
        """Whether the first parameter is the intercept of the linear predictor."""
        return True

    @property
    def positive(self) -> bool:
        """Whether times are positive by the model."""
        return True

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def df(self) -> int:
        """Number of parameters."""
        return len(self.terms)

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per parameter: estimate, Wald test, limits; `effect_measure` says what the estimate is.

        With `exponentiate` effects of covariates become ratios, and parameters
        that are logarithms what they are the logarithm of; others stay.
        """
        log, ratio, _ = MEASURES[self.measure]
        if exponentiate and not ratio:
            raise OptionError(f"exponentiate=True has no meaning: the coefficients are not logarithms ({log})")
        plain = wald_columns(self.coefficients, self.std_error, conf_level=conf_level)
        kinds = [log if k in self._places else "parameter" for k in range(self.df)]
        table = pd.DataFrame({"term": list(self.terms), **plain, "effect_measure": kinds})
        if exponentiate:
            own = [k in self._places or t.startswith(self.log_scale) for k, t in enumerate(self.terms)]
            columns = ["estimate", "conf_low", "conf_high"]
            with np.errstate(over="ignore"):
                table.loc[own, columns] = np.exp(table.loc[own, columns])
            table["effect_measure"] = table["effect_measure"].replace(log, ratio)
        return table

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, log_likelihood, log_likelihood_null, aic, bic (with the number of rows)."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "aic": [-2 * self.log_likelihood + 2 * self.df],
                "bic": [-2 * self.log_likelihood + np.log(self.nobs) * self.df],
            }
        )

    @property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """No effect of any covariate; the model-based test, also for a robust fit."""
        gain = max(0.0, 2 * (self.log_likelihood - self.log_likelihood_null))
        return chi_square_test(gain, len(self._places), "likelihood ratio test", "no covariate has an effect")

    @property
    def wald_test(self) -> HypothesisTest:
        """No effect of any covariate, with the covariance of the fit."""
        own = self._places
        b, v = self.coefficients[own], self.covariance[np.ix_(own, own)]
        statistic = float(b @ np.linalg.pinv(v, hermitian=True) @ b) if own else 0.0
        return chi_square_test(statistic, len(own), "Wald test", "no covariate has an effect")

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "survival",
        times: npt.ArrayLike | None = None,
        p: npt.ArrayLike = 0.5,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Predict for the rows analysed or for new ones; see :func:`dxa_causal.survival.predict_lifetime`.

        Parameters
        ----------
        new : pandas or polars frame, optional
        type : {"survival", "cumulative_hazard", "hazard", "rmst", "lp", "median", "quantile", "mean"}
        times : (k,) array_like, optional
            For the curves, a hundred times over follow-up when omitted; for rmst the horizon.
        p : float or (k,) array_like
            Share that has had the event, for type="quantile".
        conf_level : float

        Returns
        -------
        DataFrame
            row, time or p (where they apply), estimate, std_error, conf_low, conf_high.
        """
        from dxa_causal.survival.parametric_prediction import predict_lifetime

        return predict_lifetime(self, new, type=type, times=times, p=p, conf_level=conf_level)

    def residuals(self, type: Residual = "cox-snell") -> pd.Series:
        """Residuals of the rows analysed.

        Parameters
        ----------
        type : {"cox-snell", "martingale", "deviance"}
            Cox-Snell: cumulative hazard over the time at risk, a censored
            standard exponential under the model. Martingale: event minus
            that. Deviance: its symmetrised form for a fit in hazards; for an
            accelerated failure time model with a weibull, exponential,
            lognormal, loglogistic, gaussian or logistic distribution that of
            R's survreg. Only for times that are exact or right-censored.
        """
        from dxa_causal.survival.parametric_residuals import lifetime_residuals

        check_option("type", type, Residual)
        return lifetime_residuals(self, type)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the effects of the covariates; without any, the fitted curve over the data."""
        from dxa_causal.plots.coefficients import forest

        if not self._places:
            return self.plot_fit(ax=ax)
        _, ratio, label = MEASURES[self.measure]
        table = self.tidy(exponentiate=bool(ratio)).iloc[self._places]
        return forest(table, effect_measure=label, reference=float(bool(ratio)), log=bool(ratio), ax=ax)

    def plot_fit(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """Mean of the fitted survival of all rows over the Kaplan-Meier (Turnbull, for intervals) curve."""
        from dxa_causal.survival.parametric_figures import fitted_and_observed

        return fitted_and_observed(self, ax=ax, time_label=time_label)

    @cached_property
    def linear_predictor(self) -> FloatArray:
        """Location (or log hazard, ...) of the rows analysed as `predict(type="lp")` gives it, (nobs,)."""
        return read_only(self.predict(type="lp")["estimate"].to_numpy())

    def linear_columns(self, x: FloatArray) -> FloatArray:
        """Matrix that makes the linear predictor of rows from all coefficients, (n, p)."""
        columns = np.zeros((len(x), self.df))
        columns[:, self._places] = x
        if self.located:
            columns[:, 0] = 1.0
        return columns

    @property
    def _places(self) -> list[int]:
        return list(self.effects)

    def _outcome(self) -> SurvivalOutcome:
        return self.data.outcome()

    def _kind_counts(self) -> str:
        o = self.data.observed
        kinds = (("exact", o.exact), ("right-censored", o.right), ("left-censored", o.left), ("interval", o.between))
        told = ", ".join(f"{rows.size} {name}" for name, rows in kinds if rows.size)
        return told + (f"; {o.entry.size} enter late" if o.entry.size else "")

    def _notes(self) -> list[str]:
        options = [
            f"{self.weight_type} weights: {self.weights}" if self.weights else "",
            f"offset: {self.offset}" if self.offset else "",
            "robust standard errors" + (f", clustered on {self.cluster}" if self.cluster else "")
            if self.robust
            else "",
        ]
        notes = [self._kind_counts(), "; ".join(o for o in options if o)]
        if self._places:
            notes += [str(self.likelihood_ratio_test), str(self.wald_test)]
        return [n for n in notes if n] + super()._notes()
