"""Nested (and any matched) case-control studies: conditional logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import Missing
from dxa_causal._design import Design, build_design, refuse_collinear, to_pandas
from dxa_causal._numerics.times import RankedTimes
from dxa_causal.results import HypothesisTest, Provenance, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cox import BRESLOW, maximise, prepare
from dxa_causal.survival._kernels.exact import maximise_exact
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival._kernels.risk_sets import build_risk_sets
from dxa_causal.survival.checks import chi_square_test, report_convergence
from dxa_causal.survival.hazard_ratios import HazardRatios

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class NestedCaseControlFit(HazardRatios):
    """A conditional logistic regression.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log odds ratios within sets: log hazard ratios when controls were
        drawn from the risk sets.
    covariance : (p, p) ndarray
    matched_set : str
        Column.
    log_likelihood, log_likelihood_null : float
    n_sets : int
        Sets with a case and a control.
    n_events, nobs : int
        Cases and rows.
    n_iter : int
    converged : bool
    """

    title: ClassVar[str] = "Nested case-control study (conditional logistic regression)"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    matched_set: str
    log_likelihood: float
    log_likelihood_null: float
    n_sets: int
    n_events: int
    nobs: int
    n_iter: int
    converged: bool
    provenance: Provenance
    design: Design
    estimate: CoxEstimate
    estimand: str = "log hazard ratio"

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups (sets), log_likelihood, log_likelihood_null, aic, bic."""
        p = len(self.terms)
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "n_groups": [self.n_sets],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "aic": [-2 * self.log_likelihood + 2 * p],
                "bic": [-2 * self.log_likelihood + np.log(self.n_events) * p],
            }
        )

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """All coefficients zero."""
        statistic = 2 * (self.log_likelihood - self.log_likelihood_null)
        return chi_square_test(statistic, len(self.terms), "likelihood ratio test")

    @cached_property
    def score_test(self) -> HypothesisTest:
        """All coefficients zero (the Mantel-Haenszel test for one binary exposure)."""
        g = self.estimate.gradient_null
        statistic = float(g @ np.linalg.solve(self.estimate.information_null, g)) if g.size else 0.0
        return chi_square_test(statistic, g.size, "score test")

    def _notes(self) -> list[str]:
        tests = [str(t) for t in (self.likelihood_ratio_test, self.wald_test, self.score_test)] if self.terms else []
        return [f"{self.n_sets} sets {self.matched_set!r}", *tests, *super()._notes()]


def nested_case_control(
    formula: str, data: Any, *, matched_set: str, missing: Missing = "drop"
) -> NestedCaseControlFit:
    r"""Fit a conditional logistic regression to matched sets of cases and controls.

    Parameters
    ----------
    formula : str
        ``case ~ covariates``; the case is 0/1, boolean, or an expression such
        as ``status == 2``. It says who is the case of the set: in a frame made
        by :func:`sample_controls` the column "case", not the event of the
        cohort, as a control may fall ill later.
    data : pandas or polars frame
        One row per case or control, as :func:`sample_controls` returns them.
    matched_set : str
        Column naming the set a row belongs to.
    missing : {"drop", "raise"}

    Returns
    -------
    NestedCaseControlFit

    Raises
    ------
    OutcomeError
        No set has a case and a control, or the outcome is not the column
        "case" of a frame made by :func:`sample_controls`.

    Notes
    -----
    The likelihood of a set is the probability that of its members exactly the
    cases are the cases, :math:`\prod_{i \in D} e^{x_i'\beta} / \sum_{|J| = |D|} \prod_{j \in J}
    e^{x_j'\beta}`; numbers are those of R's ``clogit``. When each case's controls were
    drawn from its risk set, :math:`\beta` is the log hazard ratio of Cox's model,
    whatever the disease's frequency. Sets without a case or without a control add
    nothing; covariates the sets were matched on drop out.

    References
    ----------
    Gail MH, Lubin JH, Rubinstein LV. Biometrika 1981;68:703-707. doi:10.1093/biomet/68.3.703
    Goldstein L, Langholz B. Ann Stat 1992;20:1903-1928. doi:10.1214/aos/1176348895

    Examples
    --------
    >>> sets = pd.DataFrame({"set": [1, 1, 2, 2, 3, 3], "case": [1, 0, 1, 0, 1, 0], "smoker": [1, 0, 1, 0, 0, 1]})
    >>> fit = nested_case_control("case ~ smoker", sets, matched_set="set")
    >>> float(fit.tidy(exponentiate=True)["estimate"].iloc[0].round(6))
    2.0
    """
    design = build_design(formula, data, arguments={"matched_set": matched_set}, missing=missing)
    case = _case_indicator(design)
    _refuse_event_of_cohort(design, case, to_pandas(data))
    codes = pd.factorize(design.rows.frame[matched_set])[0].astype(np.int64)
    cases, rows = np.bincount(codes, case), np.bincount(codes)
    n_sets = int(((cases > 0) & (cases < rows)).sum())
    if n_sets == 0:
        raise OutcomeError(f"no set of {matched_set!r} has both a case and a control")
    refuse_collinear(design, codes)
    one_time = RankedTimes(np.ones(1), np.zeros(case.size, dtype=np.int64), None)
    sets = prepare(design.x, build_risk_sets(one_time, case, codes), weight=None, offset=None, ties=BRESLOW)
    # with one case per set Breslow's likelihood is the exact one
    estimate = maximise(sets) if cases.max() == 1 else maximise_exact(sets)
    report_convergence(estimate, tuple(design.terms), matched_set)
    covariance = np.linalg.inv(estimate.information) / np.outer(sets.scale, sets.scale)
    idle = rows.size - n_sets
    notes = (f"{idle} of {rows.size} sets have no case or no control and add nothing",) if idle else ()
    return NestedCaseControlFit(
        terms=tuple(design.terms),
        coefficients=read_only(estimate.beta / sets.scale),
        covariance=read_only(covariance),
        matched_set=matched_set,
        log_likelihood=estimate.log_likelihood,
        log_likelihood_null=estimate.log_likelihood_null,
        n_sets=n_sets,
        n_events=int(case.sum()),
        nobs=case.size,
        n_iter=estimate.n_iter,
        converged=estimate.converged,
        provenance=design.provenance(
            format_call("survival.nested_case_control", formula, matched_set=matched_set), notes=notes
        ),
        design=design,
        estimate=estimate,
    )


def _refuse_event_of_cohort(design: Design, case: IntArray, frame: pd.DataFrame) -> None:
    """In a sample, who is a case of a set is known; the cohort's event is that of later times too."""
    if not {"case", "set_time", "n_eligible"} <= set(frame.columns):
        return
    sampled = frame["case"].to_numpy()[design.rows.keep]
    if (case != sampled).any():
        i = int(np.flatnonzero(case != sampled)[0])
        raise OutcomeError(
            f"the frame comes from sample_controls, whose column 'case' marks {int((sampled == 1).sum())} cases, but "
            f"{design.parts.outcome!r} marks {int(case.sum())}: it is the event of the cohort, which controls may have "
            f"later (first row {shown(design.index[i])}). Write 'case ~ ...'"
        )


def _case_indicator(design: Design) -> IntArray:
    left = design.parts.outcome
    if not isinstance(design.outcome, pd.Series):
        raise FormulaError(
            f"the left side {left!r} must be the indicator of a case, as in 'case ~ x'; "
            "a cohort with times is sampled first, by sample_controls"
        )
    values = design.outcome
    if not pd.api.types.is_bool_dtype(values.dtype) and not values.isin([0, 1]).all():
        wrong = values[~values.isin([0, 1])]
        raise PredictorError(
            f"the case indicator {left!r} must be 0/1 or True/False, but row {shown(wrong.index[0])} holds "
            f"{shown(wrong.iloc[0])}"
        )
    return np.asarray(values, dtype=np.int64)
