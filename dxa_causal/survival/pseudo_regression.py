"""Regression on pseudo-observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError
from dxa_causal._core.options import Missing, check_option
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal.results import Provenance, Result, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.pseudo_regression import Link, regress_pseudo_values
from dxa_causal.survival.pseudo import COMPETING, PseudoMethod, PseudoType, check_request, pseudo_values, warn_beyond

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ESTIMANDS = {
    "survival": "survival probability",
    "cumulative_hazard": "cumulative hazard",
    "cumulative_incidence": "cumulative incidence",
    "rmst": "restricted mean survival time",
    "rmtl": "restricted mean time lost",
}
_PROBABILITIES = ("survival", "cumulative_incidence")


@dataclass(frozen=True, eq=False, repr=False)
class PseudoFit(Result):
    """Regression on pseudo-observations.

    Attributes
    ----------
    design : Design
    terms : tuple of str
        Covariates, then the intercept; one intercept per time where there are several.
    coefficients : (p,) ndarray
    covariance : (p, p) ndarray
        Sandwich estimate.
    pseudo_values : (n, times) ndarray
    times : (m,) ndarray
        Unit of the data.
    type, link : str
    effect_measure : str
        What a coefficient is.
    """

    title: ClassVar[str] = "Regression on pseudo-observations"

    design: Design
    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    pseudo_values: FloatArray
    times: FloatArray
    type: PseudoType
    link: Link
    effect_measure: str
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: estimate on the scale of the link (exponentiated on request), Wald test, limits."""
        if exponentiate and self.link == "identity":
            raise OptionError("exponentiate=True has no meaning for differences (link='identity')")
        std_error = np.sqrt(np.diag(self.covariance))
        columns = wald_columns(self.coefficients, std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, method."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "method": [f"{self.link} link"]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Coefficients of the covariates with their limits; the intercepts where there are none."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        shown_terms = table[: len(self.design.terms)] if self.design.terms else table
        return forest(shown_terms, effect_measure=self.effect_measure, reference=0.0, log=False, ax=ax)

    def _notes(self) -> list[str]:
        at = ", ".join(f"{t:g}" for t in self.times)
        return [f"{self.estimand}; a coefficient is a {self.effect_measure}", f"times: {at}", *super()._notes()]


def pseudo_regression(
    formula: str,
    data: Any,
    *,
    times: npt.ArrayLike,
    type: PseudoType = "survival",
    cause: Any = None,
    link: Link = "identity",
    method: PseudoMethod = "infinitesimal",
    strata: str | None = None,
    cluster: str | None = None,
    missing: Missing = "drop",
) -> PseudoFit:
    r"""Regress survival, incidence or a restricted mean at given times on covariates.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates``.
    data : pandas or polars frame
    times, type, cause, method
        As in `pseudo_observations`. With several times each has its own
        intercept and the covariates act alike at all of them.
    link : {"identity", "log", "logit", "cloglog"}
        Scale on which covariates act. "cloglog" is log(-log S) for survival and
        log(-log(1 - F)) for an incidence: coefficients are log hazard ratios
        of a proportional (subdistribution) hazards model. Hazards and
        restricted means take "identity" and "log".
    strata : str, optional
        Column; pseudo-observations are computed within its values, for
        censoring that depends on it.
    cluster : str, optional
        Column; rows with one value are dependent. Each row stands alone otherwise.
    missing : {"drop", "raise"}

    Returns
    -------
    PseudoFit

    Raises
    ------
    OutcomeError
        No event, or a time at which all pseudo-observations are equal: before
        the first event, or once everybody has had one.

    Notes
    -----
    Generalised estimating equations with constant variance and independence as
    working correlation, :math:`\sum_i D_i^T (\hat\theta_i - \mu_i) = 0`; the
    standard errors are those of the sandwich, clustered by row or `cluster`, as
    R's ``geepack::geese(family = gaussian, mean.link = link)`` gives (for
    survival with "cloglog": of one minus the pseudo-observations).

    References
    ----------
    Klein JP, Andersen PK. Biometrics 2005;61:223-229. doi:10.1111/j.0006-341X.2005.031209.x
    Andersen PK, Klein JP, Rosthoj S. Biometrika 2003;90:15-27. doi:10.1093/biomet/90.1.15

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4, 5, 6], "died": [1, 1, 0, 1, 1, 0], "arm": list("ababab")})
    >>> pseudo_regression("Surv(time, died) ~ arm", data, times=4.5, type="rmst").terms
    ('arm[T.b]', 'Intercept')
    """
    check_option("type", type, PseudoType)
    check_option("link", link, Link if type in _PROBABILITIES else ("identity", "log"))
    arguments = {"strata": strata, "cluster": cluster}
    design = build_design(formula, data, arguments=arguments, missing=missing, causes=type in COMPETING)
    refuse_collinear(design)
    outcome = design.survival
    if not outcome.event.any():
        raise OutcomeError(f"no event: all {outcome.event.size} rows analysed are censored")
    at, code = check_request(outcome, times, type, cause, method)
    stratum, levels = (np.zeros(outcome.time.size, dtype=np.int64), [""]) if strata is None else _codes(design, strata)
    for k, level in enumerate(levels):
        warn_beyond(at, outcome.time[stratum == k], f"{strata}={level}: " if strata else "")
    unit = None
    if cluster is not None:
        unit, names = _codes(design, cluster)
        if len(names) < 2:
            raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    values = pseudo_values(outcome, stratum, at, type=type, cause=code, method=method)
    _refuse_constant(values, at, outcome.time[outcome.event == code])
    response = 1.0 - values if (type, link) == ("survival", "cloglog") else values
    _check_means(response.mean(axis=0), at, link)
    estimate = regress_pseudo_values(design.x, response, link, unit)
    if not estimate.converged:
        warn("the fit did not converge: some fitted mean runs to the end of its range", ConvergenceWarning)
    intercepts = ["Intercept"] if at.size == 1 else [f"Intercept[{t:g}]" for t in at]
    call = format_call(
        "survival.pseudo_regression",
        formula,
        times=at.tolist(),
        type=type,
        cause=cause,
        link=link,
        method=method,
        strata=strata,
        cluster=cluster,
    )
    return PseudoFit(
        design=design,
        terms=(*design.terms, *intercepts),
        coefficients=read_only(estimate.coefficients),
        covariance=read_only(estimate.covariance),
        pseudo_values=read_only(values),
        times=read_only(at),
        type=type,
        link=link,
        effect_measure=_effect_measure(type, link),
        nobs=outcome.time.size,
        n_events=int((outcome.event == code).sum()),
        provenance=design.provenance(call),
        estimand=_ESTIMANDS[type],
    )


def _codes(design: Design, column: str) -> tuple[IntArray, list[Any]]:
    codes, levels = pd.factorize(design.rows.frame[column], sort=True)
    return codes.astype(np.int64), list(levels)


def _refuse_constant(values: FloatArray, times: FloatArray, event_times: FloatArray) -> None:
    """Where all rows have one value there is nothing to regress."""
    same = np.flatnonzero(np.ptp(values, axis=0) <= 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0)))
    if same.size:
        raise OutcomeError(
            f"at time {times[same[0]]:g} all pseudo-observations are {values[0, same[0]]:g}, which nothing can "
            f"explain; events happen from {event_times.min():g} to {event_times.max():g}: choose times between"
        )


def _check_means(mean: FloatArray, times: FloatArray, link: Link) -> None:
    if link == "identity":
        return
    wrong = np.flatnonzero((mean <= 0.0) | ((mean >= 1.0) & (link != "log")))
    if wrong.size:
        need = "above 0" if link == "log" else "strictly between 0 and 1"
        raise OutcomeError(
            f"at time {times[wrong[0]]:g} the mean of the pseudo-observations is {mean[wrong[0]]:g}, but link={link!r} "
            f"needs it {need}; choose times between the first and the last event"
        )


def _effect_measure(type: PseudoType, link: Link) -> str:
    if link == "cloglog":
        return "log HR" if type == "survival" else "log subdistribution HR"
    return {"identity": "difference", "log": "log ratio", "logit": "log odds ratio"}[link]
