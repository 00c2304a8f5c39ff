"""Propensity score weights and the balance they give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import BinaryDifference, Estimand, Missing, check_option
from dxa_causal._core.warnings import ConvergenceWarning, SeparationWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear, to_pandas
from dxa_causal._numerics.balance import (
    Balance,
    Denominator,
    effective_sample_size,
    measure_balance,
    standardise,
)
from dxa_causal._numerics.logistic import LogisticFit, fit_logistic
from dxa_causal.propensity._kernels.weights import BalancingWeights, balancing_weights, capped, stabilised
from dxa_causal.propensity.covariates import covariates
from dxa_causal.propensity.positivity import check_positivity
from dxa_causal.propensity.treatment import read_treatment
from dxa_causal.results import Provenance, Result, Summary, read_only, wald_columns
from dxa_causal.results.provenance import format_call

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

_DENOMINATOR: dict[Estimand, Denominator] = {
    "ATE": "pooled",
    "ATT": "treated",
    "ATC": "control",
    "ATO": "weighted",
    "ATM": "weighted",
}


@dataclass(frozen=True, eq=False, repr=False)
class PropensityWeights(Result):
    """Weights that make treated and controls comparable in their measured covariates.

    Attributes
    ----------
    estimand : {"ATE", "ATT", "ATC", "ATO", "ATM"}
    treated : (nobs,) ndarray of bool
    sampling : (nobs,) ndarray
        Sampling weights; ones without them.
    fit : LogisticFit
        The propensity model, intercept first.
    balancing : BalancingWeights
        Weights before they are multiplied by the sampling weights.
    index : Index
        Labels of all rows of the frame that was given.
    nobs : int
        Rows weighted.
    """

    title: ClassVar[str] = "Propensity score weights"

    estimand: Estimand
    treated: npt.NDArray[np.bool_]
    sampling: FloatArray
    fit: LogisticFit
    balancing: BalancingWeights
    design: Design
    index: pd.Index
    nobs: int
    provenance: Provenance

    @property
    def weights(self) -> pd.Series:
        """Weight of every row of the frame that was given, (n_rows,); missing where a row was dropped.

        The labels are those of the frame: ``data.assign(w=ps.weights)``.
        Sampling weights are multiplied in.
        """
        return self._on_all_rows(self._analysis_weight, "weights")

    @property
    def propensity_score(self) -> pd.Series:
        """Probability of treatment given the covariates, (n_rows,); missing where a row was dropped."""
        return self._on_all_rows(self.fit.fitted, "propensity_score")

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms of the propensity model, intercept first."""
        return ("Intercept", *self.design.terms)

    @property
    def coefficients(self) -> FloatArray:
        """Log odds ratios of the propensity model, (p,), in the order of `terms`."""
        return read_only(self.fit.coefficients)

    @cached_property
    def _analysis_weight(self) -> FloatArray:
        return read_only(self.balancing.weight * self.sampling)

    @cached_property
    def _measured(self) -> tuple[list[str], list[str], Balance]:
        found = covariates(self.design)
        measured = measure_balance(
            np.column_stack([self.fit.fitted, found.x]),
            self.treated,
            self._analysis_weight,
            base=self.sampling,
            denominator=_DENOMINATOR[self.estimand],
        )
        return ["propensity_score", *found.terms], ["", *found.levels], measured

    def _on_all_rows(self, values: FloatArray, name: str) -> pd.Series:
        full = np.full(len(self.index), np.nan)
        full[self.design.rows.keep] = values
        return pd.Series(full, index=self.index, name=name)

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per coefficient of the propensity model: log odds ratio (odds ratio if `exponentiate`)."""
        std_error = np.sqrt(np.diag(self.fit.covariance))
        columns = wald_columns(self.coefficients, std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, arm sizes, effective sample sizes, estimand, largest weight, largest absolute SMD.

        `max_smd` is over the covariates (binary ones standardised too), not the score itself.
        """
        arms = {"treated": self._analysis_weight[self.treated], "control": self._analysis_weight[~self.treated]}
        smd = np.abs(self.balance()["smd"].to_numpy()[1:])
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "estimand": [self.estimand],
                **{f"n_{arm}": [w.size] for arm, w in arms.items()},
                **{f"ess_{arm}": [effective_sample_size(w)] for arm, w in arms.items()},
                "max_weight": [self._analysis_weight.max()],
                "max_smd": [smd.max() if smd.size else np.nan],
            }
        )

    def balance(self, *, binary: BinaryDifference = "std") -> pd.DataFrame:
        """Compare the arms covariate by covariate, before and after weighting.

        Parameters
        ----------
        binary : {"std", "raw"}
            Binary covariates and factor levels standardised like the others,
            or as plain differences in proportion (the default of R's cobalt).

        Returns
        -------
        DataFrame
            Rows: the propensity score, then the covariates of the formula,
            each level of a factor (of two levels the second), products by
            what they are made of. Columns: term,
            level, mean_treated, mean_control (weighted), smd_unadjusted, smd,
            variance_ratio_unadjusted, variance_ratio (missing if binary),
            ks_unadjusted, ks.

        Notes
        -----
        The standard deviation that divides a difference is the same before
        and after weighting: ATT of the treated, ATC of the controls, ATE the
        root of the mean of both variances (all unweighted); ATO and ATM of
        the whole weighted sample. These are cobalt's conventions.
        """
        check_option("binary", binary, BinaryDifference)
        terms, levels, measured = self._measured
        unadjusted, adjusted = standardise(measured, raw_binary=binary == "raw")
        return pd.DataFrame(
            {
                "term": terms,
                "level": levels,
                "mean_treated": measured.mean_treated,
                "mean_control": measured.mean_control,
                "smd_unadjusted": unadjusted,
                "smd": adjusted,
                "variance_ratio_unadjusted": measured.variance_ratio_unadjusted,
                "variance_ratio": measured.variance_ratio,
                "ks_unadjusted": measured.ks_unadjusted,
                "ks": measured.ks,
            }
        )

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Balance, one line on the weights, and the propensity model."""
        return Summary(self.title, [self.balance(), self.glance(), self.tidy(conf_level=conf_level)], self._notes())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Love plot: absolute standardised mean differences before and after weighting."""
        from dxa_causal.plots.balance import love

        return love(self.balance(), ax=ax)


def weight(
    formula: str,
    data: Any,
    *,
    estimand: Estimand = "ATE",
    stabilize: bool = False,
    trim: float | None = None,
    weights: str | None = None,
    missing: Missing = "drop",
) -> PropensityWeights:
    r"""Weight treated and controls by their propensity score, from unpenalised logistic regression.

    Parameters
    ----------
    formula : str
        ``treatment ~ covariates``. The treatment is 0/1, boolean, a
        categorical with two levels (the second is treated) or an expression
        such as ``arm == 2``.
    data : pandas or polars frame
    estimand : {"ATE", "ATT", "ATC", "ATO", "ATM"}
        Whose effect: all, the treated, the controls, those in equipoise
        (overlap weights), or a pair-matched sample (matching weights).
    stabilize : bool
        Multiply each weight by the share of rows in its arm. Differences in
        means do not change; hazard ratios of a weighted Cox model do.
    trim : float, optional
        Quantile in [0.5, 1) above which weights are lowered to it (0.99, say);
        R's type 3, as in WeightIt. For ATT and ATC only the arm whose weights
        vary counts.
    weights : str, optional
        Column of sampling weights (positive); they weight the propensity
        model and the balance, and are multiplied into the result.
    missing : {"drop", "raise"}
        Complete cases, counted in ``provenance``, or an error.

    Returns
    -------
    PropensityWeights

    Raises
    ------
    OutcomeError
        A treatment that is not coded as above, or only one arm.
    CollinearityError
        A column is a linear combination of others; it is named.

    Warns
    -----
    SeparationWarning
        A covariate determines the treatment for some rows; the term is named.
    PositivityWarning
        Scores next to 0 or 1, or one row that carries an arm.

    Notes
    -----
    With score :math:`p`, treated and control weights are: ATE
    :math:`1/p, 1/(1-p)`; ATT :math:`1, p/(1-p)`; ATC :math:`(1-p)/p, 1`; ATO
    :math:`1-p, p`; ATM :math:`\min(p, 1-p)` over the probability of the arm
    received. They are R's WeightIt's (``method = "glm"``).

    Rows without the later outcome get weights too. To fit on the rows with an
    outcome, as textbook examples often do, subset the frame first.

    A weighted Cox model needs its robust standard errors::

        ps = dc.propensity.weight("treated ~ age + C(sex) + bmd_z", cohort)
        dc.survival.cox("Surv(time, died) ~ treated", cohort.assign(w=ps.weights), weights="w", robust=True)

    References
    ----------
    Rosenbaum PR, Rubin DB. Biometrika 1983;70:41-55. doi:10.1093/biomet/70.1.41
    Robins JM, Hernan MA, Brumback B. Epidemiology 2000;11:550-560. doi:10.1097/00001648-200009000-00011
    Li F, Morgan KL, Zaslavsky AM. J Am Stat Assoc 2018;113:390-400. doi:10.1080/01621459.2016.1260466
    Li L, Greene T. Int J Biostat 2013;9:215-234. doi:10.1515/ijb-2012-0030

    Examples
    --------
    >>> import pandas as pd
    >>> from dxa_causal import propensity
    >>> frail = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    >>> data = pd.DataFrame({"treated": [1, 0, 0, 0, 1, 1, 1, 0, 0, 1], "frail": frail})
    >>> ps = propensity.weight("treated ~ frail", data, estimand="ATT")
    >>> ps.weights.round(6).tolist()
    [1.0, 0.333333, 0.333333, 0.333333, 1.0, 1.0, 1.0, 2.0, 2.0, 1.0]
    >>> ps.balance().set_index("term")["smd_unadjusted"].round(3).to_dict()
    {'propensity_score': 1.0, 'frail': 1.0}
    """
    check_option("estimand", estimand, Estimand)
    if trim is not None and not 0.5 <= trim < 1.0:
        raise OptionError(f"trim={trim!r} must be a quantile in [0.5, 1), for instance 0.99 for the highest 1 %")
    frame = to_pandas(data)
    design = build_design(formula, frame, arguments={"weights": weights}, missing=missing)
    treated, meaning = read_treatment(design)
    sampling = _sampling_weights(design, weights)
    refuse_collinear(design)
    x = np.column_stack([np.ones(treated.size), design.x])
    fit = fit_logistic(x, treated.astype(np.float64), weight=sampling)
    balancing = balancing_weights(fit.linear_predictor, treated, estimand)
    if stabilize:
        balancing = stabilised(balancing, treated, sampling)
    notes = [f"{meaning}: {int(treated.sum())} of {treated.size} rows"]
    if trim is not None:
        uncapped = balancing.weight
        balancing, cap = capped(balancing, treated, trim, estimand)
        lowered = int((balancing.weight < uncapped).sum())
        notes.append(f"{lowered} weights above {cap:.6g} (quantile {trim:g}) lowered to it")
    if not _report_separation(fit, ["Intercept", *design.terms]):
        check_positivity(fit.fitted, balancing.weight * sampling, treated, estimand=estimand, index=design.index)
    options = {"estimand": estimand, "stabilize": stabilize or None, "trim": trim, "weights": weights}
    return PropensityWeights(
        estimand=estimand,
        treated=read_only(treated),
        sampling=read_only(sampling),
        fit=fit,
        balancing=balancing,
        design=design,
        index=frame.index,
        nobs=treated.size,
        provenance=design.provenance(format_call("propensity.weight", formula, **options), notes=tuple(notes)),
    )


def _sampling_weights(design: Design, name: str | None) -> FloatArray:
    given = design.number(name, argument="weights", positive=True)
    return np.ones(len(design.index)) if given is None else given


def _report_separation(fit: LogisticFit, terms: list[str]) -> bool:
    if fit.diverging.any():
        named = ", ".join(repr(term) for term, moving in zip(terms, fit.diverging, strict=True) if moving)
        extreme = int((np.abs(fit.linear_predictor) > 18.0).sum())  # a score within 1.5e-8 of 0 or 1
        warn(
            f"the coefficient of {named} runs to infinity: for some values all rows are in one arm, so {extreme} of "
            f"{fit.fitted.size} propensity scores are 0 or 1, and these rows have nobody to be compared with. Leave "
            "them out, or merge levels",
            SeparationWarning,
        )
    elif not fit.converged:
        warn(f"the propensity model did not converge in {fit.n_iter} steps", ConvergenceWarning)
    return bool(fit.diverging.any())
