"""Cox's proportional hazards model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError
from dxa_causal._core.options import ConfType, Missing, Ties, WeightType, check_option
from dxa_causal._design import Design, SurvivalOutcome, build_design, refuse_collinear
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cox import (
    BRESLOW,
    EFRON,
    FREQUENCY,
    CoxData,
    cumulate,
    increments,
    maximise,
    prepare,
    score_residuals,
)
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival._kernels.risk_sets import build_risk_sets
from dxa_causal.survival._kernels.time_varying import maximise_time_varying
from dxa_causal.survival.checks import (
    chi_square_test,
    refuse_empty_intervals,
    refuse_overlap,
    report_convergence,
    stratum_codes,
    warn_empty_strata,
    well_conditioned,
)
from dxa_causal.survival.hazard_ratios import HazardRatios
from dxa_causal.survival.predicted_curves import PredictedCurves
from dxa_causal.survival.time_functions import time_function

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_FEW_CLUSTERS = 30


@dataclass(frozen=True, eq=False, repr=False)
class CoxFit(PredictedCurves, HazardRatios):
    """A fitted Cox model.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log hazard ratios.
    covariance : (p, p) ndarray
        Of the coefficients; the sandwich when `robust`.
    covariance_model : (p, p) ndarray
        Inverse information. With a ridge `covariance` is the inverse of the
        penalised information (R's ``var``) and this the variance of the
        penalised estimate, H^-1 I H^-1 (R's ``var2``).
    robust : bool
    ties : {"efron", "breslow", "exact"}
    strata, cluster, id, weights, offset : str or None
        Columns used.
    weight_type : {"case", "frequency", "probability"}
    ridge : float or None
    firth : bool
    time_varying : tuple of (str, str)
        Columns multiplied by a function of time; their coefficients stand last.
    log_likelihood, log_likelihood_null : float
        Log partial likelihood at the estimate and at zero; without the ridge,
        with Firth's penalty.
    nobs, n_events : int
        Rows and events used (not weighted, unless the weights are frequencies).
    df : float
        Number of coefficients; with a ridge, what is effectively left of them.
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
    id: str | None
    weights: str | None
    offset: str | None
    weight_type: WeightType
    ridge: float | None
    firth: bool
    time_varying: tuple[tuple[str, str], ...]
    log_likelihood: float
    log_likelihood_null: float
    nobs: int
    n_events: int
    df: float
    n_iter: int
    converged: bool
    provenance: Provenance
    design: Design
    times: RankedTimes
    stratum_labels: tuple[Any, ...]
    data: CoxData
    estimate: CoxEstimate
    estimand: str = "log hazard ratio"

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, log_likelihood, log_likelihood_null, aic, bic, concordance.

        `bic` counts events, not rows, as R does. The concordance is missing
        where no two rows can be compared.
        """
        table = pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "aic": [-2 * self.log_likelihood + 2 * self.df],
                "bic": [-2 * self.log_likelihood + np.log(self.n_events) * self.df],
            }
        )
        if self.time_varying:  # one linear predictor per row is what a concordance compares
            return table
        try:
            return table.assign(concordance=self.concordance)
        except OutcomeError:  # no pair can be compared
            return table.assign(concordance=np.nan)

    @cached_property
    def concordance(self) -> float:
        """Harrell's concordance of the linear predictor, within strata."""
        from dxa_causal.survival.concordance import concordance

        return float(concordance(self).tidy()["estimate"].iloc[0])

    @cached_property
    def linear_predictor(self) -> FloatArray:
        """The sum x'beta + offset of the rows analysed, (nobs,)."""
        self.refuse_time_varying("a linear predictor")
        # Row by row in one order of summation: equal rows get equal values, whatever BLAS does.
        value = np.zeros(len(self.design.x))
        for k, beta in enumerate(self.coefficients):
            value += self.design.x[:, k] * beta
        extra = self.design.number(self.offset, argument="offset")
        return read_only(value if extra is None else value + extra)

    @cached_property
    def score_residuals(self) -> FloatArray:
        """Score residuals of the rows analysed, not weighted, (nobs, p)."""
        self.refuse_time_varying("score residuals of the rows")
        if self.ties == "exact":
            raise OptionError("score residuals are not defined for ties='exact'; use ties='efron' or 'breslow'")
        full = np.zeros_like(self.design.x)
        # a covariate divided by its scale has its score divided by it too
        full[self.data.sets.order] = score_residuals(self.data, self.estimate.beta) * self.data.scale
        return read_only(full)

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """All coefficients zero; the model-based test, also for a robust fit."""
        return chi_square_test(2 * (self.log_likelihood - self.log_likelihood_null), self.df, "likelihood ratio test")

    @property
    def wald_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients zero, with the covariance of the fit (robust when it is)."""
        column = self.design.column(self.cluster) if self.robust else None
        if column is not None and column.nunique() <= len(self.terms):
            return NotApplicable(
                f"{column.nunique()} clusters cannot give a covariance of {len(self.terms)} coefficients", "Wald test"
            )
        return super().wald_test

    @cached_property
    def score_test(self) -> HypothesisTest:
        """All coefficients zero, from gradient and information at zero (the log-rank test for one factor)."""
        g = self.estimate.gradient_null
        value = float(g @ np.linalg.solve(self.estimate.information_null, g)) if g.size else 0.0
        return chi_square_test(value, g.size, "score test")

    def baseline_cumulative_hazard(self, *, centered: bool = False) -> pd.DataFrame:
        """Cumulative baseline hazard at each event time, by stratum.

        Parameters
        ----------
        centered : bool
            At the mean of every covariate instead of at zero (and offset zero).

        Returns
        -------
        DataFrame
            group (the stratum), time, estimate. Efron's increments for an
            Efron fit, Breslow's for others.
        """
        self.refuse_time_varying("a baseline hazard")
        sets = self.data.sets
        inc = increments(self.data, self.estimate.beta)
        zero = np.zeros(len(self.terms)) if centered else self.data.centre
        shift = -float((zero / self.data.scale) @ self.estimate.beta) if not centered else 0.0
        labels = np.array(self.stratum_labels or ("all",), dtype=object)
        return pd.DataFrame(
            {
                "group": labels[sets.group_stratum],
                "time": self.times.distinct[sets.group_rank],
                "estimate": cumulate(inc.hazard, sets.group_closes) * np.exp(shift - inc.centre),
            }
        )

    def refuse_time_varying(self, what: str) -> None:
        """Raise `OptionError` where effects that change with time leave `what` undefined."""
        if self.time_varying:
            named = ", ".join(f"{column}: {function}" for column, function in self.time_varying)
            raise OptionError(
                f"{what} is not defined for a fit with time_varying={{{named}}}: the covariates of a row change with "
                "time. Split the follow-up (followup.split) and fit start-stop rows"
            )

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "lp",
        times: npt.ArrayLike | None = None,
        conf_type: ConfType = "log",
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Predict for the rows analysed or for new ones; see :func:`dxa_causal.survival.predict_cox`.

        Parameters
        ----------
        new : pandas or polars frame, optional
        type : {"lp", "risk", "survival", "cumulative_hazard", "rmst", "median"}
        times : (k,) array_like, optional
            For survival and cumulative hazard, all event times when omitted;
            for rmst the horizon.
        conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
            Scale of the limits of survival and median.
        conf_level : float

        Returns
        -------
        DataFrame
            row, time (where it applies), estimate, std_error, conf_low, conf_high.
        """
        from dxa_causal.survival.prediction import predict_cox

        return predict_cox(self, new, type=type, times=times, conf_type=conf_type, conf_level=conf_level)

    def _outcome(self) -> SurvivalOutcome:
        return self.design.survival

    def _notes(self) -> list[str]:
        notes = [
            f"ties: {self.ties}"
            + (f"; strata: {self.strata}" if self.strata else "")
            + (f"; {self.weight_type} weights: {self.weights}" if self.weights else "")
            + (f"; ridge {self.ridge:g}, effective df {self.df:.3g}" if self.ridge else "")
            + ("; Firth's correction" if self.firth else "")
            + (f"; offset: {self.offset}" if self.offset else "")
            + ("; robust standard errors" if self.robust else "")
            + (f", clustered on {self.cluster}" if self.cluster else "")
        ]
        column = self.design.column(self.cluster) if self.robust else None
        if column is not None and column.nunique() < _FEW_CLUSTERS:
            notes.append(f"only {column.nunique()} clusters: robust standard errors are too small with so few")
        if self.terms:
            notes += [str(t) for t in (self.likelihood_ratio_test, self.wald_test, self.score_test)]
            if self.robust:
                notes.append("the likelihood ratio and score tests assume independent rows and a right model")
        return notes + super()._notes()


def cox(
    formula: str,
    data: Any,
    *,
    ties: Ties = "efron",
    strata: str | None = None,
    cluster: str | None = None,
    id: str | None = None,
    weights: str | None = None,
    weight_type: WeightType = "case",
    offset: str | None = None,
    robust: bool | None = None,
    ridge: float | None = None,
    firth: bool = False,
    time_varying: Mapping[str, str] | None = None,
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
    ties : {"efron", "breslow", "exact"}
        "exact" is the conditional likelihood of truly discrete times, as in R;
        it takes neither weights nor robust errors.
    strata : str, optional
        Column; each value has its own baseline hazard.
    cluster : str, optional
        Column naming the unit whose rows belong together; implies `robust`.
    id : str, optional
        Column naming the person in start-stop data: rows of one person that
        overlap are then an error, robust errors are by person, and they are
        the default where a person has several events, as in R.
    weights : str, optional
        Column of weights (positive).
    weight_type : {"case", "frequency", "probability"}
        "case" as R's coxph: weights that are not whole numbers imply `robust`.
        "frequency": a row stands for so many rows, also among its ties.
        "probability": sampling weights; implies `robust`.
    offset : str, optional
        Column added to the linear predictor.
    robust : bool, optional
        Sandwich standard errors. None decides as above.
    ridge : float, optional
        Penalty ``ridge / 2 * sum(beta**2)`` on the coefficients as they stand
        (scale the covariates first where their units differ).
    firth : bool
        Firth's correction: half the log determinant of the information is
        added, which keeps estimates finite under separation.
    time_varying : mapping of str to str, optional
        Column and function of time, ``{"karno": "log(t + 20)"}``: adds the
        term ``tt(karno)`` with the value karno times the function.
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

    See Also
    --------
    cox_frailty : shared gamma or Gaussian frailty.
    recurrent, fine_gray, cause_specific, case_cohort, nested_case_control

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
    check_option("weight_type", weight_type, WeightType)
    _refuse_combinations(ties, weights, cluster, robust, ridge, firth, time_varying)
    arguments = {"strata": strata, "cluster": cluster, "id": id, "weights": weights, "offset": offset}
    effects = dict(time_varying or {})
    arguments |= {f"time_varying {name}": name for name in effects}
    design = build_design(formula, data, arguments=arguments, missing=missing)
    outcome = design.survival
    if not outcome.event.any():
        raise OutcomeError(
            f"no event: all {outcome.event.size} rows analysed are censored, so no hazard ratio can be estimated; "
            f"is the event coded as meant in {design.parts.outcome!r}?"
        )
    weight = design.number(weights, argument="weights", positive=True)
    whole = weight is None or bool(np.all(weight == np.floor(weight)))
    if weight_type == "frequency" and not whole:
        raise PredictorError(f"weights={weights!r} must be whole numbers when weight_type='frequency'")
    codes, labels = stratum_codes(design, strata)
    warn_empty_strata(outcome.event, codes, labels, strata)
    if robust is None:
        robust = weights is not None and (weight_type == "probability" or (weight_type == "case" and not whole))
        again = ties != "exact" and not firth and _happens_again(outcome.event, design.column(id))
        robust = robust or cluster is not None or again
    if robust and cluster is None and id is not None:
        cluster = id
    if cluster is not None and design.rows.frame[cluster].nunique() < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    times = rank_times(outcome.time, outcome.entry)
    refuse_empty_intervals(design, times)
    refuse_overlap(design, times, codes, id=id, cluster=cluster)
    changing = [np.asarray(design.number(name, argument="time_varying")) for name in effects]
    terms = (*design.terms, *(f"tt({name})" for name in effects))
    data_sorted = prepare(
        np.column_stack([design.x, *changing]) if changing else design.x,
        build_risk_sets(times, outcome.event, codes),
        weight=weight,
        offset=design.number(offset, argument="offset"),
        ties=FREQUENCY if weight_type == "frequency" and ties == "efron" else EFRON if ties == "efron" else BRESLOW,
    )
    penalty = None if ridge is None else ridge / data_sorted.scale**2
    score = None
    if effects:
        at = times.distinct[data_sorted.sets.group_rank]
        functions = np.column_stack([time_function(text, at) for text in effects.values()])
        changed = maximise_time_varying(data_sorted, functions, penalty=penalty)
        data_sorted, estimate, score = changed.data, changed.estimate, changed.score
        penalty = None if ridge is None else ridge / data_sorted.scale**2
    elif firth:
        from dxa_causal.survival._kernels.firth import maximise_firth

        estimate = maximise_firth(data_sorted)
    elif ties == "exact":
        from dxa_causal.survival._kernels.exact import MAX_TIED, maximise_exact

        tied = np.bincount(data_sorted.sets.last[data_sorted.sets.event == 1])
        if tied.max() > MAX_TIED:
            at = times.distinct[data_sorted.sets.group_rank[int(tied.argmax())]]
            raise OptionError(
                f"ties='exact': {tied.max()} events are tied at time {at:g}, more than the {MAX_TIED} that can be "
                "handled; use ties='efron'"
            )
        estimate = maximise_exact(data_sorted)
    else:
        estimate = maximise(data_sorted, penalty=penalty)
    if not well_conditioned(estimate.information_null):
        refuse_collinear(design, codes)
    report_convergence(estimate, terms, strata)
    if penalty is None:
        inverse = np.asarray(np.linalg.inv(estimate.information), dtype=np.float64)
        model, df = inverse, float(len(terms))
    else:
        inverse = np.asarray(np.linalg.inv(estimate.information + np.diag(penalty)), dtype=np.float64)
        model = inverse @ estimate.information @ inverse
        df = float(np.trace(inverse @ estimate.information))
    if robust and score is None:
        score = score_residuals(data_sorted, estimate.beta)
    covariance = (
        inverse
        if score is None or not robust
        else _sandwich(score, data_sorted, inverse, design.column(cluster), frequency=weight_type == "frequency")
    )
    rescale = np.outer(data_sorted.scale, data_sorted.scale)
    count = np.ones(outcome.event.size) if weight is None or weight_type != "frequency" else weight
    call = format_call(
        "survival.cox",
        formula,
        ties=ties,
        **{k: v for k, v in arguments.items() if k.isidentifier()},
        weight_type=None if weight_type == "case" else weight_type,
        robust=robust or None,
        ridge=ridge,
        firth=firth or None,
        time_varying=str(effects) if effects else None,
    )
    return CoxFit(
        terms=terms,
        coefficients=read_only(estimate.beta / data_sorted.scale),
        covariance=read_only(covariance / rescale),
        covariance_model=read_only(model / rescale),
        robust=robust,
        ties=ties,
        strata=strata,
        cluster=cluster,
        id=id,
        weights=weights,
        offset=offset,
        weight_type=weight_type,
        ridge=ridge,
        firth=firth,
        time_varying=tuple(effects.items()),
        log_likelihood=estimate.log_likelihood,
        log_likelihood_null=estimate.log_likelihood_null,
        nobs=int(count.sum()),
        n_events=int((count * outcome.event).sum()),
        df=df,
        n_iter=estimate.n_iter,
        converged=estimate.converged,
        provenance=design.provenance(call),
        design=design,
        times=times,
        stratum_labels=labels,
        data=data_sorted,
        estimate=estimate,
    )


def _refuse_combinations(
    ties: Ties,
    weights: str | None,
    cluster: str | None,
    robust: bool | None,
    ridge: float | None,
    firth: bool,
    time_varying: Mapping[str, str] | None,
) -> None:
    for name, value, kinds in (("robust", robust, bool), ("firth", firth, bool), ("ridge", ridge, int | float)):
        if value is not None and not isinstance(value, kinds | np.bool_ | np.number):
            raise OptionError(f"{name}={value!r} must be {'True or False' if kinds is bool else 'a number'}")
    if time_varying is not None and not isinstance(time_varying, Mapping):
        raise OptionError(f"time_varying={time_varying!r} must map a column to a function: {{'age': 'log(t)'}}")
    if ties == "exact":
        for name, given in (("weights", weights), ("cluster", cluster), ("robust", robust or None)):
            if given is not None:
                raise OptionError(f"{name}={given!r} cannot be combined with ties='exact'; use 'efron' or 'breslow'")
        if ridge is not None or firth or time_varying:
            raise OptionError("ties='exact' takes no ridge, firth or time_varying; use 'efron' or 'breslow'")
    if ridge is not None and not ridge >= 0:
        raise OptionError(f"ridge={ridge!r} must be zero or positive")
    if firth and (ridge is not None or time_varying or robust or cluster is not None):
        raise OptionError("firth=True takes no ridge, time_varying, robust or cluster: its errors are model-based")


def _happens_again(event: IntArray, person: pd.Series | None) -> bool:
    """Whether a person has more than one event."""
    return person is not None and bool(person[event == 1].duplicated().any())


def _sandwich(
    score: FloatArray, data: CoxData, inverse: FloatArray, cluster: pd.Series | None, *, frequency: bool
) -> FloatArray:
    if cluster is None:
        # a row that stands for w rows is w independent units, each with its own score
        scores = score * (np.sqrt(data.weight) if frequency else data.weight)[:, None]
    else:
        codes = pd.factorize(cluster)[0][data.sets.order]
        scores = np.zeros((int(codes.max()) + 1, score.shape[1]))
        np.add.at(scores, codes, score * data.weight[:, None])
    dfbeta = scores @ inverse
    return np.asarray(dfbeta.T @ dfbeta)
