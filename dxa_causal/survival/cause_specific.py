"""Cox models of every cause, and the cumulative incidences they imply together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, shown
from dxa_causal._core.options import Missing, TiesApproximation, check_conf_level, check_option
from dxa_causal._core.warnings import DxaCausalWarning, HorizonWarning, warn
from dxa_causal._design import Design, SurvivalOutcome, build_design
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.absolute_risk import Hazard, hazard_on_grid, incidence
from dxa_causal.survival.cox import CoxFit, cox
from dxa_causal.survival.predicted_curves import PredictedCurves
from dxa_causal.survival.prediction import prediction_rows
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PredictionType = Literal["cumulative_incidence", "survival"]


@dataclass(frozen=True, eq=False, repr=False)
class CauseSpecificFit(PredictedCurves, Result):
    """One Cox model per cause.

    Attributes
    ----------
    fits : mapping of cause to CoxFit
    failed : mapping of cause to str
        Other causes than `cause` that could not be fitted, and why; there is no prediction then.
    cause : object
        The cause that `tidy`, `coefficients` and the like speak of; None: all.
    ties : {"efron", "breslow"}
    strata, cluster, weights : str or None
        Columns used.
    nobs, n_events : int
        Rows; events of the cause, or of all.
    design : Design
        Rows and outcome, with all causes.
    """

    title: ClassVar[str] = "Cause-specific Cox models"
    curve: ClassVar[str] = "cumulative_incidence"

    fits: Mapping[Any, CoxFit]
    failed: Mapping[Any, str]
    cause: Any
    ties: TiesApproximation
    strata: str | None
    cluster: str | None
    weights: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    design: Design
    estimand: str = "log cause-specific hazard ratio"

    @property
    def fit(self) -> CoxFit:
        """The Cox model of `cause`."""
        if self.cause is None and len(self.fits) > 1:
            raise OptionError(
                f"the fit holds {len(self.fits)} causes; take one: .fits[{shown(next(iter(self.fits)))}], or name it "
                "when fitting: cause_specific(..., cause=...)"
            )
        return next(iter(self._told.values()))

    @property
    def _told(self) -> dict[Any, CoxFit]:
        return {cause: fit for cause, fit in self.fits.items() if self.cause is None or cause == self.cause}

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients, the same for every cause."""
        return next(iter(self.fits.values())).terms

    @property
    def coefficients(self) -> FloatArray:
        """Log hazard ratios of `cause`, (p,)."""
        return self.fit.coefficients

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients of `cause`, (p, p)."""
        return self.fit.covariance

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients of `cause`, (p,)."""
        return self.fit.std_error

    @property
    def log_likelihood(self) -> float:
        """Log partial likelihood of `cause`; the sum over causes where none was named."""
        return float(sum(fit.log_likelihood for fit in self._told.values()))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per cause and term: log hazard ratio (hazard ratio if `exponentiate`), Wald test, limits."""
        tables = []
        for cause, fit in self._told.items():
            table = fit.tidy(conf_level=conf_level, exponentiate=exponentiate)
            table.insert(0, "cause", [cause] * len(table))
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, log_likelihood, log_likelihood_null, aic (sums over the causes told)."""
        fits = self._told.values()
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [float(sum(fit.log_likelihood_null for fit in fits))],
                "aic": [-2 * self.log_likelihood + 2 * sum(fit.df for fit in fits)],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the cause-specific hazard ratios."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy(exponentiate=True)
        if len(self._told) > 1:
            table["term"] = [f"{t} (cause {c})" for t, c in zip(table["term"], table["cause"], strict=True)]
        return forest(table, effect_measure="Cause-specific hazard ratio", ax=ax)

    def _outcome(self) -> SurvivalOutcome:
        return next(iter(self.fits.values())).design.survival

    def _notes(self) -> list[str]:
        events = ", ".join(f"{shown(c)} ({fit.n_events})" for c, fit in self.fits.items())
        told = [f"causes (events): {events}", f"ties: {self.ties}"]
        told += [f"{name}: {getattr(self, name)}" for name in ("strata", "weights", "cluster") if getattr(self, name)]
        return ["; ".join(told), *super()._notes()]

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "cumulative_incidence",
        cause: Any = None,
        times: npt.ArrayLike | None = None,
        product_limit: bool = True,
        conf_level: float | None = 0.95,
    ) -> pd.DataFrame:
        r"""Cumulative incidence of each cause, or event-free survival, of given rows.

        Parameters
        ----------
        new : pandas or polars frame, optional
            The rows analysed when omitted. Needs the covariates and, for a
            stratified fit, the stratum.
        type : {"cumulative_incidence", "survival"}
        cause : object, optional
            None: the cause of the fit, or all of them.
        times : (k,) array_like, optional
            All event times of the row's stratum when omitted.
        product_limit : bool
            How hazards become probabilities, see Notes. With the product limit
            the incidences of all causes and the survival add up to one.
        conf_level : float or None
            None leaves standard errors and limits out, which is much faster
            for many rows.

        Returns
        -------
        DataFrame
            row, cause (of incidences), time, estimate, std_error, conf_low, conf_high.

        Notes
        -----
        With :math:`d\hat\Lambda_k(s \mid x)` the increments of the Cox models
        (Efron's or Breslow's, as fitted) at the event times of any cause,

        .. math::

            \hat F_k(t \mid x) = \sum_{s \le t} \hat S(s- \mid x)\, d\hat\Lambda_k(s \mid x), \quad
            \hat S(s- \mid x) = \prod_{u < s} \Big\{1 - \sum_j d\hat\Lambda_j(u \mid x)\Big\},

        or, without the product limit, :math:`\hat S(s-) = \exp\{-\sum_{u < s} \sum_j d\hat\Lambda_j(u)\}`, as R's
        riskRegression does by default. Increments that add up to more than one are scaled down to one.

        Standard errors are roots of the sum (over rows or clusters) of squared influence functions, Efron's ties and
        weights included. riskRegression's differ from them where event times are tied: it counts the
        events at one time as one in the influence on the coefficients. Limits are symmetric on the scale of
        :math:`\log(-\log F)`, for survival of :math:`\log(-\log S)`.

        References
        ----------
        Ozenne B, Sorensen AL, Scheike T, Torp-Pedersen C, Gerds TA. R J 2017;9:440-460. doi:10.32614/RJ-2017-062
        """
        check_option("type", type, PredictionType)
        if conf_level is not None:
            check_conf_level(conf_level)
        if type == "survival":
            if cause is not None:
                raise OptionError("cause= has no meaning for type='survival', which is free of events of all causes")
            wanted = [-1]
        else:
            wanted = self._positions(self.cause if cause is None else cause)
        x, index, codes, _ = prediction_rows(next(iter(self.fits.values())), new)
        at = None if times is None else check_times(times)
        last = float(self.design.survival.time.max())
        if at is not None and (at > last).any():
            warn(
                f"time {at.max():g} lies beyond the last observation ({last:g}); the last value is carried forward",
                HorizonWarning,
            )
        frames = []
        for code in np.unique(codes):
            grid, hazards = self._hazards(int(code))
            rows = np.flatnonzero(codes == code)
            chosen = grid if at is None else at
            upto = np.searchsorted(grid, chosen, side="right")
            for position in wanted:
                estimate, std_error = incidence(
                    hazards, x[rows], position, upto, product_limit=product_limit, errors=conf_level is not None
                )
                frames.append(
                    pd.DataFrame(
                        {
                            "place": np.repeat(rows, chosen.size),
                            "row": np.repeat(index[rows], chosen.size),
                            "cause": [None if position < 0 else list(self.fits)[position]] * estimate.size,
                            "time": np.tile(chosen, rows.size),
                            "estimate": estimate.ravel(),
                            "std_error": std_error.ravel(),
                        }
                    )
                )
        table = pd.concat(frames).sort_values("place", kind="stable", ignore_index=True).drop(columns="place")
        if type == "survival":
            table = table.drop(columns="cause")
        if conf_level is None:
            return table.drop(columns="std_error")
        low, high = _log_log_limits(table["estimate"].to_numpy(), table["std_error"].to_numpy(), conf_level)
        return table.assign(conf_low=low, conf_high=high)

    def _hazards(self, code: int) -> tuple[FloatArray, list[Hazard]]:
        """Event times of a stratum, and the hazard of each cause on them."""
        for cause, why in self.failed.items():
            raise OptionError(f"a prediction needs the hazards of all causes, but cause {shown(cause)} has none: {why}")
        fits = self.fits.values()
        ranks = [f.data.sets.group_rank[f.data.sets.group_stratum == code] for f in fits]
        grid = np.unique(np.concatenate(ranks))
        column = self.design.column(self.cluster)
        unit = np.arange(self.nobs) if column is None else pd.factorize(column)[0].astype(np.int64)
        hazards = []
        for f in fits:
            scale = f.data.scale
            score = f.score_residuals[f.data.sets.order] / scale
            inverse = f.covariance_model * np.outer(scale, scale)
            hazards.append(hazard_on_grid(f.data, f.estimate.beta, score @ inverse, code, grid, unit))
        return next(iter(fits)).times.distinct[grid], hazards

    def _positions(self, cause: Any) -> list[int]:
        causes = list(self.fits)
        if cause is None:
            return list(range(len(causes)))
        if cause not in causes:
            raise OptionError(f"cause={shown(cause)} was not fitted; use {', '.join(shown(c) for c in causes)}")
        return [causes.index(cause)]


def _log_log_limits(p: FloatArray, se: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
    z = float(special.ndtri(0.5 + conf_level / 2))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        centre = np.log(-np.log(p))
        half = z * se / (p * -np.log(p))
        low, high = np.exp(-np.exp(centre + half)), np.exp(-np.exp(centre - half))
    certain = (p <= 0.0) | (p >= 1.0)
    return np.where(certain, p, low), np.where(certain, p, high)


def cause_specific(
    formula: str,
    data: Any,
    *,
    cause: Any = None,
    ties: TiesApproximation = "efron",
    strata: str | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    robust: bool | None = None,
    missing: Missing = "drop",
) -> CauseSpecificFit:
    """Fit a Cox model to every cause, the other causes counting as censoring.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or, with delayed entry, ``Surv(entry, time, event) ~ covariates``; the
        event is a column with 0 = censored, 1, 2, ... = causes, or a categorical whose first category is censoring.
    data : pandas or polars frame
    cause : object, optional
        Cause that the tables show. All causes are fitted: incidences need them.
    ties : {"efron", "breslow"}
    strata, cluster, weights : str, optional
        Columns, as for :func:`cox`.
    robust : bool, optional
        As for :func:`cox`.
    missing : {"drop", "raise"}

    Returns
    -------
    CauseSpecificFit

    References
    ----------
    Prentice RL et al. Biometrics 1978;34:541-554. doi:10.2307/2530374

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [3, 5, 6, 8, 9, 11, 12, 14], "event": [1, 2, 1, 0, 1, 2, 1, 0],
    ...                      "age": [71, 66, 68, 59, 70, 75, 55, 64]})
    >>> fit = cause_specific("Surv(time, event) ~ age", data)
    >>> fit.predict(data.head(1), times=[10])[["cause", "estimate"]].round(3).to_dict("list")
    {'cause': [1, 2], 'estimate': [0.449, 0.186]}
    """
    check_option("ties", ties, TiesApproximation)
    arguments = {"strata": strata, "cluster": cluster, "weights": weights}
    design = build_design(formula, data, arguments=arguments, missing=missing, causes=True)
    outcome = design.survival
    chosen = None if cause is None else outcome.cause_code(cause)
    if not outcome.event.any():
        raise OutcomeError(f"no event: all {outcome.event.size} rows analysed are censored in {design.parts.outcome!r}")
    frame, column = design.rows.frame, outcome.event_name
    if column not in frame.columns:
        raise OutcomeError(
            f"{design.parts.outcome}: the event must be a column that names the causes, not the expression {column!r}; "
            "make it one first: data.assign(cause=...)"
        )
    options = {"ties": ties, "robust": robust, **arguments}
    call = format_call("survival.cause_specific", formula, cause=cause, **options)
    provenance = design.provenance(call)
    fits, failed = {}, {}
    for code, label in enumerate(outcome.causes, start=1):
        event = (outcome.event == code).astype(np.int64)
        if not event.any():
            continue
        try:
            fits[label] = replace(_fit(formula, frame.assign(**{column: event}), label, options), provenance=provenance)
        except CollinearityError as error:
            if chosen is None or code == chosen:
                raise CollinearityError(f"cause {shown(label)}: {error}") from None
            failed[label] = str(error)  # only a prediction needs it
    return CauseSpecificFit(
        fits=MappingProxyType(fits),
        failed=MappingProxyType(failed),
        cause=None if chosen is None else outcome.causes[chosen - 1],
        ties=ties,
        strata=strata,
        cluster=cluster,
        weights=weights,
        nobs=outcome.event.size,
        n_events=int((outcome.event > 0).sum() if chosen is None else (outcome.event == chosen).sum()),
        provenance=provenance,
        design=design,
    )


def _fit(formula: str, frame: pd.DataFrame, cause: Any, options: Mapping[str, Any]) -> CoxFit:
    """Fit one cause; its warnings say which."""
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        fit = cox(formula, frame, **options)
    for one in issued:
        if issubclass(one.category, DxaCausalWarning):
            warn(f"cause {shown(cause)}: {one.message}", one.category)
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return fit
