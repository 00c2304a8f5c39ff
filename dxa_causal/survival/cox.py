"""Cox's proportional hazards model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import CollinearityError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import Missing, Ties, check_option
from dxa_causal._core.warnings import ConvergenceWarning, SeparationWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cox import CoxData, CoxEstimate, maximise, prepare, score_residuals
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class CoxFit(Result):
    """A fitted Cox model.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log hazard ratios.
    covariance : (p, p) ndarray
        Of the coefficients; the sandwich when `robust`.
    covariance_model : (p, p) ndarray
        Inverse information.
    robust : bool
    ties : {"efron", "breslow"}
    strata, cluster, weights, offset : str or None
        Columns used.
    log_likelihood, log_likelihood_null : float
        Log partial likelihood at the estimate and at zero.
    nobs, n_events : int
        Rows and events used (not weighted).
    n_iter : int
    converged : bool
    """

    title: ClassVar[str] = "Cox proportional hazards model"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray
    robust: bool
    ties: Ties
    strata: str | None
    cluster: str | None
    weights: str | None
    offset: str | None
    log_likelihood: float
    log_likelihood_null: float
    nobs: int
    n_events: int
    n_iter: int
    converged: bool
    provenance: Provenance
    design: Design
    times: RankedTimes
    stratum_labels: tuple[Any, ...]
    data: CoxData
    estimate: CoxEstimate
    estimand: str = "log hazard ratio"

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: log hazard ratio (hazard ratio if `exponentiate`), Wald test, limits."""
        columns = wald_columns(self.coefficients, self.std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, log_likelihood, log_likelihood_null, aic, bic, concordance.

        `bic` counts events, not rows, as R does.
        """
        p = len(self.terms)
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "aic": [-2 * self.log_likelihood + 2 * p],
                "bic": [-2 * self.log_likelihood + np.log(self.n_events) * p],
                "concordance": [self.concordance],
            }
        )

    @cached_property
    def concordance(self) -> float:
        """Harrell's concordance of the linear predictor, within strata."""
        from dxa_causal.survival.concordance import concordance

        return float(concordance(self).tidy()["estimate"].iloc[0])

    @cached_property
    def linear_predictor(self) -> FloatArray:
        """The sum x'beta + offset of the rows analysed, (nobs,)."""
        # Row by row in one order of summation: equal rows get equal values, whatever BLAS does.
        value = np.zeros(self.nobs)
        for k, beta in enumerate(self.coefficients):
            value += self.design.x[:, k] * beta
        extra = self.design.number(self.offset, argument="offset")
        return read_only(value if extra is None else value + extra)

    @cached_property
    def score_residuals(self) -> FloatArray:
        """Score residuals of the rows analysed, not weighted, (nobs, p)."""
        full = np.zeros_like(self.design.x)
        # a covariate divided by its scale has its score divided by it too
        full[self.data.sets.order] = score_residuals(self.data, self.estimate.beta) * self.data.scale
        return read_only(full)

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """All coefficients zero; the model-based test, also for a robust fit."""
        return _chi_square(2 * (self.log_likelihood - self.log_likelihood_null), len(self.terms), "likelihood ratio")

    @cached_property
    def wald_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients zero, with the covariance of the fit (robust when it is)."""
        b = self.coefficients
        column = self.design.column(self.cluster) if self.robust else None
        if column is not None and column.nunique() <= b.size:
            return NotApplicable(
                f"{column.nunique()} clusters cannot give a covariance of {b.size} coefficients", "Wald test"
            )
        return _chi_square(float(b @ np.linalg.solve(self.covariance, b)) if b.size else 0.0, b.size, "Wald")

    @cached_property
    def score_test(self) -> HypothesisTest:
        """All coefficients zero, from gradient and information at zero (the log-rank test for one factor)."""
        g = self.estimate.gradient_null
        value = float(g @ np.linalg.solve(self.estimate.information_null, g)) if g.size else 0.0
        return _chi_square(value, g.size, "score")

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "lp",
        times: npt.ArrayLike | None = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Predict for the rows analysed or for new ones; see :func:`dxa_causal.survival.predict_cox`.

        Parameters
        ----------
        new : pandas or polars frame, optional
        type : {"lp", "risk", "survival", "cumulative_hazard"}
        times : (k,) array_like, optional
            For the last two; all event times when omitted.
        conf_level : float

        Returns
        -------
        DataFrame
            row, time (where it applies), estimate, std_error, conf_low, conf_high.
        """
        from dxa_causal.survival.prediction import predict_cox

        return predict_cox(self, new, type=type, times=times, conf_level=conf_level)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(exponentiate=True), effect_measure="Hazard ratio", ax=ax)

    def _notes(self) -> list[str]:
        notes = [
            f"ties: {self.ties}"
            + (f"; strata: {self.strata}" if self.strata else "")
            + (f"; weights: {self.weights}" if self.weights else "")
            + (f"; offset: {self.offset}" if self.offset else "")
            + ("; robust standard errors" if self.robust else "")
            + (f", clustered on {self.cluster}" if self.cluster else "")
        ]
        if self.terms:
            notes += [str(t) for t in (self.likelihood_ratio_test, self.wald_test, self.score_test)]
        return notes + super()._notes()


def cox(
    formula: str,
    data: Any,
    *,
    ties: Ties = "efron",
    strata: str | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    offset: str | None = None,
    robust: bool | None = None,
    missing: Missing = "drop",
) -> CoxFit:
    r"""Fit Cox's proportional hazards model by maximum partial likelihood.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or, with delayed entry or
        time-varying covariates, ``Surv(entry, time, event) ~ covariates``. The
        event is 0/1, boolean or an expression such as ``status == 2``.
    data : pandas or polars frame
        One row per subject or, for start-stop data, per interval.
    ties : {"efron", "breslow"}
    strata : str, optional
        Column; each value has its own baseline hazard.
    cluster : str, optional
        Column naming the unit whose rows belong together; implies `robust`.
    weights : str, optional
        Column of case weights (positive). Weights that are not whole numbers
        imply `robust`, as in R.
    offset : str, optional
        Column added to the linear predictor.
    robust : bool, optional
        Sandwich standard errors. None decides as above.
    missing : {"drop", "raise"}
        Complete cases, counted in ``provenance``, or an error.

    Returns
    -------
    CoxFit

    Raises
    ------
    OutcomeError
        No event, or times or events that are not what they should be.
    CollinearityError
        A column is a linear combination of others; it is named.
    PredictorError
        Weights that are not positive, a factor with one level, ...

    Warns
    -----
    SeparationWarning
        A coefficient runs to infinity; the term is named.

    Notes
    -----
    With :math:`\eta_i = x_i'\beta + o_i` and weights :math:`w_i`, Efron's
    log partial likelihood is

    .. math::

        \sum_{t} \Big[ \sum_{i \in D_t} w_i \eta_i - \bar w_t \sum_{k=0}^{d_t - 1}
        \log\Big( \sum_{i \in R_t} w_i e^{\eta_i} - \frac{k}{d_t} \sum_{i \in D_t} w_i e^{\eta_i} \Big) \Big],

    Breslow's has no subtraction. Times closer than ``sqrt(eps)`` count as
    tied. The robust covariance is the sum over clusters of outer products of
    the weighted dfbeta residuals.

    References
    ----------
    Cox DR. J R Stat Soc B 1972;34:187-220. doi:10.1111/j.2517-6161.1972.tb00899.x
    Efron B. J Am Stat Assoc 1977;72:557-565. doi:10.1080/01621459.1977.10480613
    Lin DY, Wei LJ. J Am Stat Assoc 1989;84:1074-1078. doi:10.1080/01621459.1989.10478874

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50")
    >>> fit = dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", cohort)
    >>> fit.tidy(exponentiate=True)["term"].tolist()
    ['age', 'C(sex)[T.male]', 'grip_kg']
    """
    check_option("ties", ties, Ties)
    arguments = {"strata": strata, "cluster": cluster, "weights": weights, "offset": offset}
    design = build_design(formula, data, arguments=arguments, missing=missing)
    outcome = design.survival
    n_events = int(outcome.event.sum())
    if n_events == 0:
        raise OutcomeError(
            f"no event: all {outcome.event.size} rows analysed are censored, so no hazard ratio can be estimated; "
            f"is the event coded as meant in {design.parts.outcome!r}?"
        )
    weight = design.number(weights, argument="weights", positive=True)
    codes, labels = stratum_codes(design, strata)
    if cluster is not None and design.rows.frame[cluster].nunique() < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    times = rank_times(outcome.time, outcome.entry)
    _refuse_empty_intervals(design, times)
    refuse_collinear(design, codes)
    data_sorted = prepare(
        design.x,
        build_risk_sets(times, outcome.event, codes),
        weight=weight,
        offset=design.number(offset, argument="offset"),
        efron=ties == "efron",
    )
    estimate = maximise(data_sorted)
    _report_convergence(estimate, design.terms, strata)
    inverse = np.asarray(np.linalg.inv(estimate.information), dtype=np.float64)
    if robust is None:
        robust = cluster is not None or (weight is not None and bool(np.any(weight != np.floor(weight))))
    covariance = _sandwich(data_sorted, estimate, inverse, design, cluster) if robust else inverse
    rescale = np.outer(data_sorted.scale, data_sorted.scale)
    call = format_call("survival.cox", formula, ties=ties, **arguments, robust=robust or None)
    return CoxFit(
        terms=tuple(design.terms),
        coefficients=read_only(estimate.beta / data_sorted.scale),
        covariance=read_only(covariance / rescale),
        covariance_model=read_only(inverse / rescale),
        robust=robust,
        ties=ties,
        strata=strata,
        cluster=cluster,
        weights=weights,
        offset=offset,
        log_likelihood=estimate.log_likelihood,
        log_likelihood_null=estimate.log_likelihood_null,
        nobs=outcome.event.size,
        n_events=n_events,
        n_iter=estimate.n_iter,
        converged=estimate.converged,
        provenance=design.provenance(call),
        design=design,
        times=times,
        stratum_labels=labels,
        data=data_sorted,
        estimate=estimate,
    )


def stratum_codes(design: Design, strata: str | None) -> tuple[IntArray | None, tuple[Any, ...]]:
    """Codes 0, 1, ... of the stratum column and the labels they stand for, sorted."""
    column = design.column(strata)
    if column is None:
        return None, ()
    codes, labels = pd.factorize(column, sort=True)
    return codes.astype(np.int64), tuple(labels)


def _refuse_empty_intervals(design: Design, times: RankedTimes) -> None:
    if times.entry_rank is None:
        return
    empty = np.flatnonzero(times.entry_rank >= times.rank)
    if empty.size:
        i = int(empty[0])
        raise OutcomeError(
            f"{design.parts.outcome}: entry and exit are the same up to rounding in {empty.size} rows, first row "
            f"{shown(design.index[i])} at {design.survival.time[i]:g}"
        )


def _report_convergence(estimate: CoxEstimate, terms: list[str], strata: str | None) -> None:
    if estimate.singular:
        within = " within strata" if strata else ""
        weakest = int(np.argmin(np.diag(estimate.information)))
        raise CollinearityError(
            f"the data cannot tell the coefficients apart: among those at risk when events happen some terms do "
            f"not vary{within}, or only together; look at {terms[weakest]!r} first"
        )
    if estimate.diverging.any():
        named = ", ".join(repr(t) for t, moving in zip(terms, estimate.diverging, strict=True) if moving)
        warn(
            f"the coefficient of {named} runs to infinity: the term separates events from non-events "
            "(no event on one side?). Its estimate and standard error mean nothing; the likelihood ratio test holds",
            SeparationWarning,
        )
    elif not estimate.converged:
        warn(f"Newton's iteration did not converge in {estimate.n_iter} steps", ConvergenceWarning)


def _sandwich(
    data: CoxData, estimate: CoxEstimate, inverse: FloatArray, design: Design, cluster: str | None
) -> FloatArray:
    scores = score_residuals(data, estimate.beta) * data.weight[:, None]
    column = design.column(cluster)
    if column is not None:
        codes = pd.factorize(column)[0][data.sets.order]
        summed = np.zeros((int(codes.max()) + 1, scores.shape[1]))
        np.add.at(summed, codes, scores)
        scores = summed
    dfbeta = scores @ inverse
    return dfbeta.T @ dfbeta


def _chi_square(statistic: float, df: int, name: str) -> HypothesisTest:
    from scipy import special

    p_value = float(special.chdtrc(df, statistic)) if df else float("nan")
    return HypothesisTest(statistic, df, p_value, f"{name} test (chi-square)", "all coefficients are zero")
