"""Direct effects of several exposures on one outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.estimator import Model
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.multivariable import lasso, measurement_error, median, moments, regression
from dxa_causal.mr.multivariable.estimator import Convention as MultivariableConvention
from dxa_causal.mr.multivariable.estimator import Estimator, Row, Settings
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.mr.multivariable.regression import SIGNIFICANT
from dxa_causal.mr.multivariable.strength import with_outcome
from dxa_causal.results import Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
# Each method draws from the stream of its place here: new ones are added at the end.
MultivariableMethod = Literal[
    "ivw", "ivw_robust", "egger", "median", "residual", "ivw_me", "lasso", "cml", "gmm", "pc_gmm", "q_het", "cml_dp"
]
_METHODS: tuple[MultivariableMethod, ...] = get_args(MultivariableMethod)
ESTIMATORS: dict[str, Estimator] = {
    name: estimator
    for family in (regression, median, measurement_error, lasso, moments)
    for name, estimator in family.FAMILY.items()
}
_COLLINEAR = 1e7  # condition number of the effects, each exposure's scaled to length one
_NO_ESTIMATE = {
    "ivw_robust": "more than half of the variants fit exactly: no robust scale",
    "lasso": "the penalty leaves no more valid variants than exposures; raise lambda_",
}


@dataclass(frozen=True, eq=False, repr=False)
class MVMREstimates(Result):
    """Direct effects by several methods.

    Attributes
    ----------
    harmonised : MultivariableHarmonised
    method, term : tuple of str
        Per row, the method, and the exposure or "intercept".
    estimates, std_errors, df : (r,) ndarray
        `df` is nan for the normal distribution.
    n_variants : (r,) ndarray
    reason : tuple of str
        Why a method does not apply; empty where it does.
    details : tuple of mapping
        Per row, further numbers of the method by name.
    valid : tuple
        Per row, (n,) booleans of the variants the method holds to be valid
        instruments, or None.
    nobs : int
    """

    title: ClassVar[str] = "Multivariable Mendelian randomisation"

    harmonised: MultivariableHarmonised
    method: tuple[str, ...]
    term: tuple[str, ...]
    estimates: FloatArray
    std_errors: FloatArray
    df: FloatArray
    n_variants: FloatArray
    reason: tuple[str, ...]
    details: tuple[Mapping[str, float], ...]
    valid: tuple[BoolArray | None, ...]
    nobs: int
    provenance: Provenance
    estimand: str = "effect of each exposure on the outcome, the other exposures held fixed"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per method and exposure (or "intercept"): Wald test and limits, normal or t."""
        table = method_table(
            self.method, self.term, self.estimates, self.std_errors, self.df, conf_level=conf_level,
            exponentiate=exponentiate,
        )  # fmt: skip
        return table.assign(n_variants=self.n_variants.astype(int), reason=list(self.reason))

    def glance(self) -> pd.DataFrame:
        """One row: n_variants."""
        return pd.DataFrame({"n_variants": [self.nobs]})

    def further(self) -> pd.DataFrame:
        """Further numbers of the methods (Q, overdispersion, penalty ...): method, what, value."""
        found = {m: d for m, d in zip(self.method, self.details, strict=True) if d}
        lines = [(method, name, float(value)) for method, d in found.items() for name, value in d.items()]
        return pd.DataFrame(lines, columns=["method", "what", "value"])

    def valid_variants(self) -> pd.DataFrame:
        """One row per variant: variant, and for each method that chooses, whether it holds it to be valid."""
        table = pd.DataFrame({"variant": self.harmonised.variant})
        for method, valid in zip(self.method, self.valid, strict=True):
            if valid is not None:
                table[method] = valid
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest of the direct effects."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        named = table.assign(term=table["method"] + ": " + table["term"])
        return forest(named, effect_measure=f"Effect on {self.harmonised.outcome}", reference=0.0, log=False, ax=ax)


def mvmr(
    harmonised: MultivariableHarmonised,
    methods: Sequence[MultivariableMethod] | MultivariableMethod = ("ivw", "egger", "median"),
    *,
    convention: MultivariableConvention = "twosamplemr",
    model: Model = "default",
    instrument_specific: bool = False,
    intercept: bool = False,
    orientate: int = 1,
    correlation: npt.ArrayLike | None = None,
    lambda_: float | None = None,
    n: float | None = None,
    overdispersion: bool = True,
    seed: Seed = None,
    n_draws: int = 1000,
    perturbations: int = 200,
) -> MVMREstimates:
    r"""Estimate the direct effect of each exposure, the others held fixed.

    Parameters
    ----------
    harmonised : MultivariableHarmonised
    methods : str or sequence of str
        Among "ivw", "ivw_robust", "ivw_me", "egger", "median", "lasso",
        "cml", "cml_dp", "gmm", "pc_gmm", "q_het", "residual". "ivw", "egger"
        and the two "gmm" use the variants' correlations where there are any.
    convention : {"twosamplemr", "mendelianrandomization", "mvmr"}
        Standard errors of "ivw" are those of least squares and the test is
        normal (TwoSampleMR's ``mv_multiple``), never narrowed by a dispersion
        below one (MendelianRandomization), or tested by t with n - k degrees
        of freedom (MVMR). "egger" is never narrowed, and tested by t under
        "mvmr", as is "ivw_me". "q_het" leaves out :math:`\tau^2` under "mvmr".
        The others are the same in all three.
    model : {"default", "fixed", "random"}
        "ivw", "ivw_robust", "egger", "ivw_me": "fixed" takes the dispersion of the variants
        to be one; "default" does so below four variants
        (MendelianRandomization).
    instrument_specific : bool
        "ivw", "residual": estimate each effect from the variants with
        p < 5e-8 for that exposure only.
    intercept : bool
        "ivw", "residual": fit an intercept, as TwoSampleMR can.
    orientate : int
        "egger", "lasso": code all variants to raise this exposure (1 is the
        first).
    correlation : (k, k) or (k + 1, k + 1) array_like, optional
        "ivw_me", "q_het", "cml", "gmm": correlation of the errors of the
        exposures' effects, as overlapping samples give, the outcome last
        ("gmm" does without the outcome's). Zero when omitted.
    lambda_ : float, optional
        "lasso": penalty; by the heterogeneity of the valid variants when omitted.
    n : float, optional
        "cml": sample size in BIC; the smallest known one when omitted.
    overdispersion : bool
        "gmm", "pc_gmm": widen the variances until the variants agree.
    seed : int, Generator or None
        For "median" and "cml_dp". Each method draws from its own stream.
    n_draws : int
        "median": bootstrap draws of its standard errors.
    perturbations : int
        "cml_dp": data sets drawn anew.

    Returns
    -------
    MVMREstimates

    Raises
    ------
    OptionError
        An unknown option.
    SummaryStatisticsError
        The effects on the exposures are collinear, or the variants are
        correlated and a method does not allow for it.

    Notes
    -----
    With effects :math:`x_j` (k,) and :math:`y_j`, error variances
    :math:`\sigma_{yj}^2` and :math:`\Sigma_j` (of :math:`x_j`), and
    :math:`v_j(\theta) = \sigma_{yj}^2 + \theta' \Sigma_j \theta - 2 \theta' \sigma_{xyj}`:

    - ivw regresses :math:`y_j` on :math:`x_j` with weights
      :math:`\sigma_{yj}^{-2}` and no intercept; egger adds one after coding;
      ivw_robust fits by MM-regression.
    - ivw_me minimises :math:`Q(\theta) = \sum_j (y_j - x_j' \theta)^2 / v_j(\theta)`,
      which removes the bias of weak instruments; sandwich standard errors times
      the residual standard error of ivw where that is above one.
    - q_het adds to every :math:`v_j` the :math:`\tau^2` with which the minimum
      of Q equals its degrees of freedom n - k.
    - median minimises :math:`\sum \sigma_{yj}^{-2} |y_j - x_j' \theta|`, standard
      errors by parametric bootstrap.
    - lasso is ivw on the variants whose direct effect an L1 penalty sets to
      zero.
    - cml minimises Q over :math:`\theta` and over which K variants are left out,
      K by BIC; standard errors from the curvature. cml_dp repeats it on
      perturbed data: mean and standard deviation.
    - gmm takes the variants' joint effects :math:`\hat\gamma = A^{-1} b`,
      :math:`a_j = 1 / (n \sigma_j^2 + \beta_j^2)`, :math:`b_j = a_j \beta_j`,
      :math:`A = (a a')^{1/2} \circ R`, with covariance
      :math:`A^{-1} (1 - b' A^{-1} b) / (n - p + 1)`, and minimises
      :math:`e' \Omega(\theta)^{-1} e`, :math:`e = \hat\gamma_y - \hat\gamma_x \theta`
      (limited-information maximum likelihood); pc_gmm does so with the
      principal components that hold 99 % of :math:`(s s') \circ R`,
      :math:`s_j = \sum_k |x_{jk}| / \sigma_{yj}`.
    - residual regresses, unweighted, what the other exposures leave of y on
      each exposure.

    R's ``mr_mvgmm`` hands its optimiser a gradient that leaves out the
    derivative of :math:`\Omega` and stops early; ours is the minimum.

    References
    ----------
    Burgess S, Thompson SG. Am J Epidemiol 2015;181:251-260. doi:10.1093/aje/kwu283
    Sanderson E et al. Int J Epidemiol 2019;48:713-727. doi:10.1093/ije/dyy262
    Sanderson E et al. Stat Med 2021;40:5434-5452. doi:10.1002/sim.9133
    Grant AJ, Burgess S. Stat Med 2021;40:5813-5830. doi:10.1002/sim.9156
    Lin Z et al. Am J Hum Genet 2023;110:592-605. doi:10.1016/j.ajhg.2023.02.014

    Examples
    --------
    >>> mh = MultivariableHarmonised.from_arrays(
    ...     beta_exposures=[[0.1, 0.0], [0.2, 0.1], [0.0, 0.1], [0.1, 0.1]], se_exposures=[[0.01, 0.01]] * 4,
    ...     beta_outcome=[0.05, 0.08, -0.01, 0.04], se_outcome=[0.02] * 4, exposures=["LDL", "HDL"],
    ... )
    >>> mvmr(mh, ["ivw", "ivw_me"]).tidy()["estimate"].round(2).tolist()
    [0.47, -0.1, 0.47, -0.1]
    """
    h = harmonised
    if not isinstance(h, MultivariableHarmonised):
        raise SummaryStatisticsError(
            f"this needs what harmonise_exposures or MultivariableHarmonised.from_arrays returns, not "
            f"{type(h).__name__}"
        )
    check_option("convention", convention, MultivariableConvention)
    check_option("model", model, Model)
    asked = list(dict.fromkeys([methods] if isinstance(methods, str) else methods))
    if not asked:
        raise OptionError("methods is empty; name at least one")
    for method in asked:
        check_option("methods", method, MultivariableMethod)
    k = len(h.exposures)
    check_whole_number("orientate", orientate, 1, k)
    check_whole_number("n_draws", n_draws, 2)
    check_whole_number("perturbations", perturbations, 2)
    for name, value in (("lambda_", lambda_), ("n", n)):
        if value is not None and not 0 < value < math.inf:
            raise OptionError(f"{name}={value!r} must be positive, or None")
    _refuse_collinear(h)
    _refuse_correlated(h, asked, plain=not (instrument_specific or intercept))
    sizes = np.append(h.n_exposures, h.n_outcome)
    known = float(np.nanmin(sizes)) if np.isfinite(sizes).any() else math.nan
    streams = dict(zip(_METHODS, spawn(seed, len(_METHODS)), strict=True))
    rows: list[tuple[str, str, Row]] = []
    for method in asked:
        settings = Settings(
            streams[method], convention, model, with_outcome(correlation, k), orientate - 1, instrument_specific,
            intercept, lambda_, known if n is None else float(n), overdispersion, n_draws, perturbations,
        )  # fmt: skip
        reason = ESTIMATORS[method].reason(h, settings)
        if reason:
            rows += [(method, reason, Row(name, n_variants=h.n_variants)) for name in h.exposures]
        else:
            none = _NO_ESTIMATE.get(method, f"too few variants with p < {SIGNIFICANT:g} for this exposure")
            found = ESTIMATORS[method].rows(h, settings)
            rows += [(method, _reason(row, none), row) for row in found]
    call = f"mr.mvmr(harmonised, methods={asked!r}, convention={convention!r}, seed={seed_shown(seed)!r})"
    return MVMREstimates(
        harmonised=h,
        method=tuple(m for m, _, _ in rows),
        term=tuple(row.term for _, _, row in rows),
        estimates=read_only([row.estimate for _, _, row in rows]),
        std_errors=read_only([row.std_error for _, _, row in rows]),
        df=read_only([math.nan if row.df is None else row.df for _, _, row in rows]),
        n_variants=read_only([row.n_variants for _, _, row in rows]),
        reason=tuple(reason for _, reason, _ in rows),
        details=tuple(dict(row.details) for _, _, row in rows),
        valid=tuple(None if row.valid is None else read_only(row.valid) for _, _, row in rows),
        nobs=h.n_variants,
        provenance=Provenance(call=call, n_rows=h.n_variants, n_used=h.n_variants, seed=seed_shown(seed), notes=()),
    )


def _reason(row: Row, none: str) -> str:
    if not math.isfinite(row.estimate):
        return none
    return "" if row.std_error > 0 else "the variants fit exactly: no standard error"


def _refuse_collinear(h: MultivariableHarmonised) -> None:
    """Raise where the effects on one exposure are zero or follow from those on the others."""
    if h.n_variants <= len(h.exposures):
        return
    size = np.linalg.norm(h.beta_exposures, axis=0)
    if not size.all():
        zero = ", ".join(name for name, norm in zip(h.exposures, size, strict=True) if not norm)
        raise SummaryStatisticsError(f"no variant has an effect on {zero}: leave it out")
    if not np.linalg.cond(h.beta_exposures / size) < _COLLINEAR:
        raise SummaryStatisticsError(
            f"the effects on {', '.join(h.exposures)} are collinear: their direct effects cannot be told apart"
        )


def _refuse_correlated(h: MultivariableHarmonised, asked: Sequence[str], *, plain: bool) -> None:
    """Raise rather than treat variants in linkage disequilibrium as independent."""
    if not h.correlated:
        return
    wrong = [m for m in asked if not ESTIMATORS[m].correlated]
    if wrong:
        able = ", ".join(name for name, estimator in ESTIMATORS.items() if estimator.correlated)
        raise SummaryStatisticsError(
            f"ld holds correlations between the variants, and {', '.join(wrong)} do not allow for them; use {able}, or "
            f"keep one variant per region (clumping) and leave ld out"
        )
    if "ivw" in asked and not plain:
        raise OptionError("instrument_specific and intercept are for independent variants; leave them out, or ld")
