"""Cox models with a shared frailty: a random effect per family, hospital or person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, UnseenLevelError, column_not_found, shown
from dxa_causal._core.options import FrailtyDistribution, FrailtyMethod, Missing, Ties, check_conf_level, check_option
from dxa_causal._core.warnings import CodingWarning, ConvergenceWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear, to_pandas
from dxa_causal._design.rows import complete_rows
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cox import BRESLOW, EFRON, maximise, prepare
from dxa_causal.survival._kernels.frailty import PenalisedEstimate, invert
from dxa_causal.survival._kernels.frailty_sums import Levels, build_levels
from dxa_causal.survival._kernels.frailty_variance import (
    SMALLEST,
    Profile,
    VarianceEstimate,
    gamma_marginal,
    gamma_score,
    laplace_marginal,
    ml_score,
    reml_score,
    solve,
)
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival._kernels.risk_sets import build_risk_sets
from dxa_causal.survival.checks import refuse_empty_intervals, report_convergence, stratum_codes, warn_empty_strata
from dxa_causal.survival.hazard_ratios import HazardRatios

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Up to so many levels R's frailty() keeps their whole block of the Hessian, and we that of a Laplace approximation.
_R_DENSE = 5
_LAPLACE_DENSE = 500


@dataclass(frozen=True, eq=False, repr=False)
class FrailtyFit(HazardRatios):
    """A Cox model with a shared frailty.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log hazard ratios at equal frailty.
    covariance : (p, p) ndarray
        From the inverse of the penalised information (R's ``var``).
    covariance_model : (p, p) ndarray
        H^-1 I H^-1 with the penalised information H and the plain I (R's
        ``var2``).
    frailty : str
        Column of the levels.
    distribution : {"gamma", "gaussian"}
    method : {"em", "reml", "ml", "fixed"}
    theta : float
        Variance of the frailty (gamma) or of its logarithm (gaussian).
    levels : tuple
        Values of the column, sorted.
    frailties : (levels,) ndarray
        Log frailties.
    frailty_variance : (levels,) ndarray
        Their variances (R's ``fvar``).
    frailty_covariance : (levels, p) ndarray
        Their covariances with the coefficients.
    ties : {"efron", "breslow"}
    strata, weights, offset : str or None
        Columns used.
    log_likelihood : float
        Log partial likelihood at the estimates, frailties as given (R's
        ``loglik[2]``).
    log_likelihood_null : float
        At zero, without frailty.
    log_likelihood_marginal : float
        With the frailty integrated out: exact for gamma (R's I-likelihood),
        by Laplace's approximation for gaussian (coxme's integrated one).
    log_likelihood_cox : float
        Maximum without frailty.
    frailty_test : HypothesisTest or NotApplicable
        Variance zero, by the ratio of marginal likelihoods (of restricted
        ones for "reml"). Zero is at the edge of what a variance can be: the
        statistic is half chi-square(0) and half chi-square(1).
    df_terms : mapping of str to float
        Effective degrees of freedom of each term of the formula and of the
        frailty (R's ``df``).
    nobs, n_events : int
    n_iter : int
        Newton steps, over all values of theta tried.
    converged : bool
    """

    title: ClassVar[str] = "Cox model with shared frailty"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray
    frailty: str
    distribution: FrailtyDistribution
    method: Literal["em", "reml", "ml", "fixed"]
    theta: float
    levels: tuple[Any, ...]
    frailties: FloatArray
    frailty_variance: FloatArray
    frailty_covariance: FloatArray
    ties: Ties
    strata: str | None
    weights: str | None
    offset: str | None
    log_likelihood: float
    log_likelihood_null: float
    log_likelihood_marginal: float
    log_likelihood_cox: float
    frailty_test: HypothesisTest | NotApplicable
    df_terms: Mapping[str, float]
    nobs: int
    n_events: int
    n_iter: int
    converged: bool
    provenance: Provenance
    design: Design
    estimand: str = "log hazard ratio at equal frailty"

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients, (p,); infinite where separation left no information."""
        variance = np.diag(self.covariance)
        return np.sqrt(np.where(variance > 0, variance, np.inf))

    @property
    def df(self) -> float:
        """Effective degrees of freedom, summed over terms and frailty."""
        return float(sum(self.df_terms.values()))

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups, theta, the log-likelihoods, aic, bic (with the effective df, as R)."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "n_groups": [len(self.levels)],
                "theta": [self.theta],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "log_likelihood_marginal": [self.log_likelihood_marginal],
                "aic": [-2 * self.log_likelihood + 2 * self.df],
                "bic": [-2 * self.log_likelihood + np.log(self.n_events) * self.df],
            }
        )

    def random_effects(self) -> pd.DataFrame:
        """One row per level: level, estimate (log frailty), std_error."""
        return pd.DataFrame(
            {
                "level": list(self.levels),
                "estimate": self.frailties.copy(),
                "std_error": np.sqrt(self.frailty_variance),
            }
        )

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """All coefficients and frailties zero, on the effective degrees of freedom, as R prints it."""
        from scipy import special

        statistic = 2 * (self.log_likelihood - self.log_likelihood_null)
        p_value = float(special.chdtrc(self.df, statistic)) if self.df > 0 else float("nan")
        null = "all coefficients and frailties are zero"
        return HypothesisTest(statistic, self.df, p_value, "likelihood ratio test (chi-square)", null)

    @cached_property
    def linear_predictor(self) -> FloatArray:
        """The sum x'beta + log frailty + offset of the rows analysed, (nobs,)."""
        code = pd.Index(self.levels).get_indexer(self.design.rows.frame[self.frailty])
        value = self.design.x @ self.coefficients + self.frailties[code]
        extra = self.design.number(self.offset, argument="offset")
        return read_only(value if extra is None else value + extra)

    def predict(
        self,
        new: Any = None,
        *,
        type: Literal["lp", "risk"] = "lp",
        frailties: bool = False,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Linear predictor or relative risk of the rows analysed or of new ones.

        Parameters
        ----------
        new : pandas or polars frame, optional
        type : {"lp", "risk"}
            "lp" is relative to the (weighted) sample mean, within the stratum
            for a stratified fit; columns of -1, 0 and 1 are not centred
            without strata, as in R. "risk" is its exponential.
        frailties : bool
            Add the log frailty of the row's level, which must be one of the
            fit's. Otherwise a level of log frailty zero, as R does for new
            data.
        conf_level : float

        Returns
        -------
        DataFrame
            row, estimate, std_error, conf_low, conf_high.
        """
        from scipy import special

        check_option("type", type, ("lp", "risk"))
        check_conf_level(conf_level)
        frame = self.design.rows.frame if new is None else to_pandas(new)
        x, index = (self.design.x, self.design.index) if new is None else self.design.new(frame)
        extra = np.zeros(len(index))
        if self.offset is not None:
            own = np.asarray(self.design.number(self.offset, argument="offset"))
            given = complete_rows(_columns(frame, self.offset, "offset"), missing="raise")
            extra += np.asarray(given.number(self.offset, argument="offset")) - own.mean()
        centred = x - self._centre(frame)
        estimate = centred @ self.coefficients + extra
        variance = np.einsum("ij,jk,ik->i", centred, self.covariance, centred)
        if frailties:
            code = _known(_columns(frame, self.frailty, "frailty")[self.frailty], self.levels, "level")
            estimate = estimate + self.frailties[code]
            both = np.einsum("ij,ij->i", centred, self.frailty_covariance[code])
            variance = variance + self.frailty_variance[code] + 2 * both
        std_error = np.sqrt(variance)
        half = float(special.ndtri(0.5 + conf_level / 2)) * std_error
        low, high = estimate - half, estimate + half
        if type == "risk":
            estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
            std_error = estimate * std_error
        return pd.DataFrame(
            {"row": index, "estimate": estimate, "std_error": std_error, "conf_low": low, "conf_high": high}
        )

    def _centre(self, frame: pd.DataFrame) -> FloatArray:
        x = self.design.x
        weight = self.design.number(self.weights, argument="weights")
        weight = np.ones(len(x)) if weight is None else weight
        codes, labels = stratum_codes(self.design, self.strata)
        if self.strata is None or codes is None:
            binary = np.isin(x, (-1.0, 0.0, 1.0)).all(axis=0)
            return np.where(binary, 0.0, weight @ x / weight.sum())
        means = np.zeros((len(labels), x.shape[1]))
        np.add.at(means, codes, weight[:, None] * x)
        means /= np.bincount(codes, weight)[:, None]
        return means[_known(_columns(frame, self.strata, "strata")[self.strata], labels, "stratum")]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios; of the frailties where there are no terms."""
        if self.terms:
            return super().plot(ax)
        from dxa_causal.plots.coefficients import forest

        table = self.random_effects()
        columns = wald_columns(table["estimate"], table["std_error"], exponentiate=True)
        return forest(table.assign(**columns), effect_measure="Frailty", label="level", ax=ax)

    def _notes(self) -> list[str]:
        source = "given" if self.method == "fixed" else self.method
        notes = [
            f"ties: {self.ties}"
            + (f"; strata: {self.strata}" if self.strata else "")
            + (f"; weights: {self.weights}" if self.weights else "")
            + (f"; offset: {self.offset}" if self.offset else ""),
            f"{self.distribution} frailty of {len(self.levels)} levels of {self.frailty}: "
            f"variance {self.theta:.4g} ({source}), effective df {self.df_terms[f'frailty({self.frailty})']:.4g}",
            str(self.frailty_test),
            str(self.likelihood_ratio_test),
        ]
        return notes + super()._notes()


def cox_frailty(
    formula: str,
    data: Any,
    *,
    frailty: str,
    distribution: FrailtyDistribution = "gamma",
    method: FrailtyMethod | None = None,
    theta: float | None = None,
    sparse: bool | None = None,
    ties: Ties = "efron",
    strata: str | None = None,
    weights: str | None = None,
    offset: str | None = None,
    missing: Missing = "drop",
) -> FrailtyFit:
    r"""Fit Cox's model with a frailty shared by the rows of a level.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or ``Surv(entry, time, event) ~
        covariates``; ``~ 1`` for the frailty alone.
    data : pandas or polars frame
    frailty : str
        Column of the levels: family, hospital, or person with several events.
    distribution : {"gamma", "gaussian"}
        Of the frailty (mean 1, variance theta), or of its logarithm (mean 0,
        variance theta).
    method : {"em", "reml", "ml"}, optional
        How theta is estimated. "em" for gamma: the marginal likelihood is
        maximised. "reml" (default) and "ml" for gaussian: as R's coxph, or
        Laplace's approximation to the marginal likelihood is maximised, as
        R's coxme.
    theta : float, optional
        A variance to use instead of an estimate.
    sparse : bool, optional
        Take the frailties' block of the Hessian for diagonal. Coefficients at
        a given theta do not depend on it; standard errors, effective degrees
        of freedom and the "reml" and "ml" estimates of theta do. None: with
        more than 5 levels, as R's ``frailty()``; for "ml" with more than 500.
    ties : {"efron", "breslow"}
    strata : str, optional
        Column; each value has its own baseline hazard. Levels may cross strata.
    weights : str, optional
        Column of positive weights of the rows; standard errors are model-based.
    offset : str, optional
        Column added to the linear predictor.
    missing : {"drop", "raise"}

    Returns
    -------
    FrailtyFit
        A variance that comes out as zero is reported so, with the plain Cox
        fit, and said in the notes.

    Raises
    ------
    PredictorError
        The frailty has one level, or cannot be told from the strata.

    Warns
    -----
    CodingWarning
        Every level has one row: theta is hardly identified.
    ConvergenceWarning
        The variance runs to infinity.

    Notes
    -----
    With :math:`\eta_i = x_i'\beta + f_{j(i)}`, the penalised partial likelihood

    .. math::

        \ell(\beta, f) - \frac{1}{\theta} \sum_j (e^{f_j} - 1 - f_j)
        \quad\text{or}\quad \ell(\beta, f) - \frac{1}{2 \theta} \sum_j f_j^2

    is maximised for each theta. For gamma frailties its maximum plus a
    function of theta and the events :math:`d_j` of the levels is the marginal
    log-likelihood (exactly so with Breslow's ties):

    .. math::

        \sum_j \Big[ d_j - (\nu + d_j) \log(1 + d_j / \nu)
        + \log \frac{\Gamma(\nu + d_j)}{\nu^{d_j}\,\Gamma(\nu)} \Big], \quad \nu = 1 / \theta.

    For gaussian ones "reml" solves :math:`\theta = \sum f_j^2 / (J - \mathrm{tr}(V) / \theta)`,
    V being the frailties' block of the inverse penalised information, and
    "ml" maximises the penalised likelihood less
    :math:`\tfrac12 \log\det(I + \theta H)`.

    R's coxph stops its search for theta early (``eps``), after at most 10
    values (``outer.max``), and drops, as here by default, the off-diagonal of
    the frailties' block: its standard errors are approximate, and its "reml"
    theta is a little low (``sparse=False`` has neither). Standard errors take
    theta as known, here as in R. With weights :math:`d_j` is the weighted
    number of events, so that whole weights equal repeated rows; R counts the
    rows. coxme takes levels beyond 50 for independent where "ml" does so
    beyond 500. Both gaussian methods understate theta when levels are small:
    by 5 to 10 % at theta = 1 with four rows a level.

    References
    ----------
    Therneau TM, Grambsch PM, Pankratz VS. J Comput Graph Stat 2003;12:156-175. doi:10.1198/1061860031365
    Ripatti S, Palmgren J. Biometrics 2000;56:1016-1022. doi:10.1111/j.0006-341X.2000.01016.x
    Self SG, Liang KY. J Am Stat Assoc 1987;82:605-610. doi:10.1080/01621459.1987.10478472

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> family = np.repeat(np.arange(100), 3)
    >>> treated = rng.integers(0, 2, 300)
    >>> hazard = rng.gamma(2, 0.5, 100)[family] * np.exp(-0.7 * treated)
    >>> time = rng.exponential(1 / hazard)
    >>> data = pd.DataFrame(
    ...     {"time": np.minimum(time, 2), "died": time < 2, "treated": treated, "family": family}
    ... )
    >>> fit = cox_frailty("Surv(time, died) ~ treated", data, frailty="family")
    >>> fit.tidy()["term"].tolist(), bool(0.2 < fit.theta < 1)
    (['treated'], True)
    """
    check_option("ties", ties, Ties)
    check_option("distribution", distribution, FrailtyDistribution)
    chosen = _method(distribution, method, theta, ties)
    arguments = {"frailty": frailty, "strata": strata, "weights": weights, "offset": offset}
    design = build_design(formula, data, arguments=arguments, missing=missing)
    outcome = design.survival
    if not outcome.event.any():
        raise OutcomeError(
            f"no event: all {outcome.event.size} rows analysed are censored, so no hazard ratio can be estimated; "
            f"is the event coded as meant in {design.parts.outcome!r}?"
        )
    codes, labels = stratum_codes(design, strata)
    level, names = stratum_codes(design, frailty)
    assert level is not None
    _check_levels(design, level, codes, frailty=frailty, strata=strata)
    warn_empty_strata(outcome.event, codes, labels, strata)
    times = rank_times(outcome.time, outcome.entry)
    refuse_empty_intervals(design, times)
    refuse_collinear(design, codes)
    sets = build_risk_sets(times, outcome.event, codes)
    data_sorted = prepare(
        design.x,
        sets,
        weight=design.number(weights, argument="weights", positive=True),
        offset=design.number(offset, argument="offset"),
        ties=EFRON if ties == "efron" else BRESLOW,
    )
    plain = maximise(data_sorted)
    terms = tuple(design.terms)
    report_convergence(plain, terms, strata)
    levels = build_levels(data_sorted, level, len(names))
    few = levels.size <= (_LAPLACE_DENSE if chosen == "ml" else _R_DENSE)
    dense = few if sparse is None else not sparse
    profile = Profile(data_sorted, levels, gamma=distribution == "gamma", beta=plain.beta)
    notes: tuple[str, ...] = ()
    if theta is None:
        variance = _estimate(profile, plain, chosen, dense=dense)
        if variance.theta == 0:
            notes = (f"no variation between levels of {frailty} beyond chance: theta is 0, its lower bound",)
        elif not variance.bounded:
            warn(f"the variance of the frailty {frailty!r} runs to infinity", ConvergenceWarning)
        theta = variance.theta
    fitted = _fit(profile, plain, theta, restricted=chosen == "reml", dense=dense)
    if not fitted.converged and not plain.diverging.any():
        warn(f"Newton's iteration did not converge at theta = {theta:g}", ConvergenceWarning)
    scale = data_sorted.scale
    df_terms = {
        term: float(np.trace(np.linalg.solve(fitted.covariance[np.ix_(k, k)], fitted.covariance_model[np.ix_(k, k)])))
        for term, k in design.term_columns.items()
    }
    call = format_call(
        "survival.cox_frailty",
        formula,
        distribution=distribution,
        method=method,
        theta=theta if chosen == "fixed" else None,
        sparse=sparse,
        ties=ties,
        **arguments,
    )
    return FrailtyFit(
        terms=terms,
        coefficients=read_only(fitted.beta / scale),
        covariance=read_only(fitted.covariance / np.outer(scale, scale)),
        covariance_model=read_only(fitted.covariance_model / np.outer(scale, scale)),
        frailty=frailty,
        distribution=distribution,
        method=chosen,
        theta=theta,
        levels=tuple(v.item() if hasattr(v, "item") else v for v in names),
        frailties=read_only(fitted.f),
        frailty_variance=read_only(fitted.f_variance),
        frailty_covariance=read_only(fitted.f_covariance / scale),
        ties=ties,
        strata=strata,
        weights=weights,
        offset=offset,
        log_likelihood=fitted.log_likelihood,
        log_likelihood_null=plain.log_likelihood_null,
        log_likelihood_marginal=fitted.marginal,
        log_likelihood_cox=plain.log_likelihood,
        frailty_test=_variance_test(chosen, fitted.statistic),
        df_terms={**df_terms, f"frailty({frailty})": fitted.df},
        nobs=outcome.event.size,
        n_events=int(outcome.event.sum()),
        n_iter=plain.n_iter + profile.n_iter,
        converged=fitted.converged,
        provenance=design.provenance(call, notes=notes),
        design=design,
    )


def _method(
    distribution: FrailtyDistribution, method: FrailtyMethod | None, theta: float | None, ties: Ties
) -> Literal["em", "reml", "ml", "fixed"]:
    if ties == "exact":
        raise OptionError("ties='exact' takes no frailty; use ties='efron' or 'breslow'")
    if theta is not None:
        if method is not None:
            raise OptionError(f"theta={theta!r} fixes the variance, so that method={method!r} has nothing to estimate")
        if not (theta == 0 or SMALLEST <= theta < np.inf):
            raise OptionError(f"theta={theta!r} must be zero or a positive number not below {SMALLEST:g}")
        return "fixed"
    if method is None:
        return "em" if distribution == "gamma" else "reml"
    check_option("method", method, ("em",) if distribution == "gamma" else ("reml", "ml"))
    return method


def _check_levels(design: Design, level: IntArray, codes: IntArray | None, *, frailty: str, strata: str | None) -> None:
    rows = np.bincount(level)
    if rows.size == 1:
        only = design.rows.frame[frailty].iloc[0]
        raise PredictorError(
            f"frailty={frailty!r} has one level in the rows analysed ({shown(only)}); a variance between levels needs "
            "several"
        )
    if codes is not None:
        pairs = len(np.unique(codes * rows.size + level))
        if pairs == codes.max() + 1:
            raise PredictorError(
                f"every stratum of {strata!r} lies within one level of frailty={frailty!r}: the frailty cannot be told "
                "from the baseline hazards; leave one of them out"
            )
    if rows.max() == 1:
        warn(
            f"every level of frailty={frailty!r} has one row, so theta is hardly identified: it rests on the shape of "
            "the hazards alone. Name the column of families, or of persons with several rows",
            CodingWarning,
        )


def _estimate(profile: Profile, plain: CoxEstimate, method: str, *, dense: bool) -> VarianceEstimate:
    levels = profile.levels
    if method == "reml":
        return solve(lambda t: reml_score(profile.at(t, whole=dense), sparse=not dense))
    if method == "em":
        found = solve(lambda t: gamma_score(levels, profile.at(t, whole=False)))
    else:
        found = solve(lambda t: ml_score(profile, t, whole=dense))
    # a likelihood with a second maximum at zero
    if found.theta > 0 and _marginal(levels, profile.at(found.theta, whole=dense)) < plain.log_likelihood:
        return VarianceEstimate(0.0, bounded=False)
    return found


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Estimates at the final theta, covariates standardised; `statistic` is that of the test of theta = 0."""

    beta: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray
    f: FloatArray
    f_variance: FloatArray
    f_covariance: FloatArray
    log_likelihood: float
    marginal: float
    statistic: float
    df: float
    converged: bool


def _fit(profile: Profile, plain: CoxEstimate, theta: float, *, restricted: bool, dense: bool) -> _Fitted:
    levels = profile.levels
    if theta == 0:
        plain_covariance: FloatArray = np.linalg.inv(plain.information).astype(np.float64)
        none = np.zeros(levels.size)
        return _Fitted(
            beta=plain.beta,
            covariance=plain_covariance,
            covariance_model=plain_covariance,
            f=none,
            f_variance=none,
            f_covariance=np.zeros((levels.size, plain.beta.size)),
            log_likelihood=plain.log_likelihood,
            marginal=plain.log_likelihood,
            statistic=0.0,
            df=0.0,
            converged=plain.converged,
        )
    fit = profile.at(theta, whole=dense or (not profile.gamma and levels.size <= _LAPLACE_DENSE))
    second = fit.penalty.second(fit.f)
    inverse = invert(fit.blocks, second, sparse=not dense)
    marginal = _marginal(levels, fit)
    statistic = 2 * (marginal - plain.log_likelihood)
    if restricted:
        best = invert(fit.blocks, second, sparse=fit.blocks.whole is None)
        statistic += float(np.linalg.slogdet(best.fixed)[1] + np.linalg.slogdet(plain.information)[1])
    return _Fitted(
        beta=fit.beta,
        covariance=inverse.fixed,
        covariance_model=inverse.fixed - inverse.cross.T @ (second[:, None] * inverse.cross),
        f=fit.f,
        f_variance=inverse.frailty,
        f_covariance=inverse.cross,
        log_likelihood=fit.log_likelihood,
        marginal=marginal,
        statistic=statistic,
        df=float(np.sum(1 - inverse.frailty * second)),
        converged=fit.converged,
    )


def _variance_test(method: str, statistic: float) -> HypothesisTest | NotApplicable:
    from scipy import special

    name = "likelihood ratio test of the variance (half chi-square with 0 df, half with 1)"
    if method == "fixed":
        return NotApplicable("theta was given, not estimated", name)
    statistic = max(0.0, statistic)
    p_value = float(special.chdtrc(1, statistic)) / 2 if statistic > 0 else 1.0
    return HypothesisTest(statistic, None, p_value, name, "the variance of the frailty is zero")


def _marginal(levels: Levels, fit: PenalisedEstimate) -> float:
    return gamma_marginal(levels, fit) if fit.penalty.gamma else laplace_marginal(fit)


def _columns(frame: pd.DataFrame, name: str, argument: str) -> pd.DataFrame:
    if name not in frame.columns:
        raise column_not_found(name, frame.columns, argument=f"new data ({argument})")
    return frame[[name]]


def _known(values: pd.Series, labels: tuple[Any, ...], what: str) -> IntArray:
    """Position of each value among the labels of the fit."""
    code = pd.Index(labels).get_indexer(values).astype(np.int64)
    if (code < 0).any():
        i = int(np.flatnonzero(code < 0)[0])
        raise UnseenLevelError(
            f"new data: {what} {values.name}={shown(values.iloc[i])} (row {shown(values.index[i])}) was not in the fit"
        )
    return code
