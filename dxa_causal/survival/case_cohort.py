"""Case-cohort studies: covariates known for a random subcohort and for every case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import Missing, check_option
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import Provenance, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.case_cohort import against_subcohort, weighted
from dxa_causal.survival.checks import refuse_empty_intervals, report_convergence, stratum_codes
from dxa_causal.survival.hazard_ratios import HazardRatios

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
CaseCohortMethod = Literal["prentice", "self-prentice", "lin-ying", "borgan-ii"]


@dataclass(frozen=True, eq=False, repr=False)
class CaseCohortFit(HazardRatios):
    """A Cox model fitted to a case-cohort sample.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Log hazard ratios.
    covariance : (p, p) ndarray
    covariance_sampling : (p, p) ndarray
        What sampling the subcohort adds; part of `covariance`, unless that is
        the robust one of Prentice's methods, which does not split.
    method : {"prentice", "self-prentice", "lin-ying", "borgan-ii"}
    robust : bool
    subcohort, strata : str or None
        Columns.
    n_cohort, n_subcohort, n_events, nobs : int
    """

    title: ClassVar[str] = "Case-cohort Cox model"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    covariance_sampling: FloatArray
    method: CaseCohortMethod
    robust: bool
    subcohort: str
    strata: str | None
    n_cohort: int
    n_subcohort: int
    n_events: int
    nobs: int
    provenance: Provenance
    design: Design
    estimand: str = "log hazard ratio"

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_subcohort, n_cohort, method."""
        columns = ("nobs", "n_events", "n_subcohort", "n_cohort", "method")
        return pd.DataFrame({c: [getattr(self, c)] for c in columns})

    def _notes(self) -> list[str]:
        sampled = f"{self.n_subcohort} of a cohort of {self.n_cohort} in the subcohort {self.subcohort!r}"
        return [
            f"{self.method}; {sampled}"
            + (f", sampled within {self.strata}" if self.strata else "")
            + ("; robust standard errors" if self.robust else ""),
            *super()._notes(),
        ]


def case_cohort(
    formula: str,
    data: Any,
    *,
    subcohort: str,
    cohort_size: int | Mapping[Any, int],
    method: CaseCohortMethod = "prentice",
    strata: str | None = None,
    id: str | None = None,
    robust: bool = False,
    missing: Missing = "drop",
) -> CaseCohortFit:
    r"""Fit Cox's model to a case-cohort sample.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or ``Surv(entry, time, event) ~ covariates``.
    data : pandas or polars frame
        The sample, one row per person: the subcohort and all cases.
    subcohort : str
        Column 0/1 or boolean: sampled into the subcohort.
    cohort_size : int or mapping of stratum to int
        Persons in the cohort sampled from; for "borgan-ii" of each stratum.
        Where rows are dropped for missing values, the size of the cohort
        without such persons is meant.
    method : {"prentice", "self-prentice", "lin-ying", "borgan-ii"}
        Who stands for the cohort in a risk set. "prentice": the subcohort and
        the case itself; "self-prentice": the subcohort; "lin-ying": everyone
        sampled, non-cases weighted by one over their sampled fraction;
        "borgan-ii": the same for a subcohort sampled within `strata`.
    strata : str, optional
        Column of sampling strata, for "borgan-ii". The baseline hazard is one.
    id : str, optional
        Column naming the person; a person with two rows is then an error.
    robust : bool
        Standard errors that do not rely on the hazards being proportional.
    missing : {"drop", "raise"}

    Returns
    -------
    CaseCohortFit

    Raises
    ------
    OutcomeError
        A row that is neither a case nor in the subcohort, no event, ...

    Notes
    -----
    Numbers are those of R's ``survival::cch`` (methods Prentice,
    SelfPrentice, LinYing and II.Borgan), ties by Efron's method as there. The
    variance is :math:`I^{-1} + V_2` with the information I of the
    pseudo-likelihood and the variance :math:`V_2` of sampling the subcohort, from
    its members' (or non-cases') score residuals; for "prentice" both are
    taken from the self-prentice fit. ``robust=True`` puts the sum of squared
    dfbeta residuals, weighted, in place of :math:`I^{-1}`; for Prentice's methods a
    person's residuals as case and as member of the subcohort add up, and the
    sum of their squares is the whole variance.

    References
    ----------
    Prentice RL. Biometrika 1986;73:1-11. doi:10.1093/biomet/73.1.1
    Self SG, Prentice RL. Ann Stat 1988;16:64-81. doi:10.1214/aos/1176350691
    Lin DY, Ying Z. J Am Stat Assoc 1993;88:1341-1349. doi:10.1080/01621459.1993.10476416
    Therneau TM, Li H. Lifetime Data Anal 1999;5:99-112. doi:10.1023/A:1009691327335
    Borgan O, et al. Lifetime Data Anal 2000;6:39-58. doi:10.1023/A:1009661900674

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cohort = pd.DataFrame({"x": rng.normal(size=2000)})
    >>> cohort["time"] = rng.exponential(10 * np.exp(-0.5 * cohort["x"])).clip(max=1)
    >>> cohort["died"] = cohort["time"] < 1
    >>> cohort["sampled"] = rng.random(2000) < 0.2
    >>> sample = cohort.query("sampled or died")
    >>> fit = case_cohort("Surv(time, died) ~ x", sample, subcohort="sampled", cohort_size=2000)
    >>> fit.tidy()[["term", "estimate"]].round(1)
      term  estimate
    0    x       0.5
    """
    check_option("method", method, CaseCohortMethod)
    if (strata is not None) != (method == "borgan-ii"):
        raise OptionError(
            "method='borgan-ii' needs strata=, the column of sampling strata"
            if strata is None
            else f"strata={strata!r} names sampling strata, which only method='borgan-ii' has"
        )
    arguments = {"subcohort": subcohort, "strata": strata, "id": id}
    design = build_design(formula, data, arguments=arguments, missing=missing)
    case = design.survival.event == 1
    if not case.any():
        raise OutcomeError(f"no event: all {case.size} rows analysed are censored")
    member = _indicator(design, subcohort)
    _refuse_unsampled(design, case, member, subcohort)
    _refuse_repeated(design, id)
    codes, labels = stratum_codes(design, strata)
    stratum = np.zeros(case.size, dtype=np.int64) if codes is None else codes
    size = _cohort_sizes(cohort_size, stratum, labels, strata)
    times = rank_times(design.survival.time, design.survival.entry)
    refuse_empty_intervals(design, times)
    refuse_collinear(design)
    if method in ("prentice", "self-prentice"):
        estimate = against_subcohort(
            design.x, times, case, member, size=int(size[0]), self_prentice=method == "self-prentice", robust=robust
        )
    else:
        bare = np.flatnonzero((np.bincount(stratum[~case], minlength=size.size) == 0) & (size > np.bincount(stratum)))
        if bare.size:
            where = f" in stratum {shown(labels[bare[0]])} of {strata!r}" if strata else ""
            raise OutcomeError(f"no row{where} is censored: nobody stands for those without the event")
        lost = 1 if method == "borgan-ii" else 0
        estimate = weighted(design.x, times, case, stratum, size=size, lost=lost, robust=robust)
    report_convergence(estimate.maximum, tuple(design.terms), None)
    call = format_call(
        "survival.case_cohort",
        formula,
        subcohort=subcohort,
        cohort_size=str(dict(cohort_size)) if isinstance(cohort_size, Mapping) else int(cohort_size),
        method=method,
        strata=strata,
        id=id,
        robust=robust or None,
    )
    return CaseCohortFit(
        terms=tuple(design.terms),
        coefficients=read_only(estimate.coefficients),
        covariance=read_only(estimate.covariance),
        covariance_sampling=read_only(estimate.sampling),
        method=method,
        robust=robust,
        subcohort=subcohort,
        strata=strata,
        n_cohort=int(size.sum()),
        n_subcohort=int(member.sum()),
        n_events=int(case.sum()),
        nobs=case.size,
        provenance=design.provenance(call),
        design=design,
    )


def _indicator(design: Design, name: str) -> BoolArray:
    values = np.asarray(design.rows.frame[name])
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        bad = pd.unique(design.rows.frame[name][~np.isin(values, (0, 1))])[0]
        raise PredictorError(f"subcohort={name!r} must be 0/1 or True/False, but holds {shown(bad)}")
    return values.astype(bool)


def _refuse_unsampled(design: Design, case: BoolArray, member: BoolArray, subcohort: str) -> None:
    outside = np.flatnonzero(~case & ~member)
    if outside.size:
        raise OutcomeError(
            f"{outside.size} rows are neither cases nor in the subcohort {subcohort!r}, first row "
            f"{shown(design.index[outside[0]])}; keep the subcohort and all cases, and give the size "
            "of the cohort as cohort_size="
        )


def _refuse_repeated(design: Design, id: str | None) -> None:
    if id is None:
        return
    person = design.rows.frame[id]
    twice = np.flatnonzero(person.duplicated())
    if twice.size:
        i = twice[0]
        raise OutcomeError(
            f"id={id!r}: {twice.size} rows repeat a person, first row {shown(design.index[i])} with "
            f"{shown(person.iloc[i])}; a case-cohort analysis takes one row per person"
        )


def _cohort_sizes(
    given: int | Mapping[Any, int], stratum: IntArray, labels: tuple[Any, ...], strata: str | None
) -> IntArray:
    """Persons in the cohort, per stratum."""
    if strata is None:
        if isinstance(given, Mapping):
            raise OptionError("cohort_size must be one number unless method='borgan-ii'")
        given_sizes, named = [given], ["the cohort"]
    else:
        if not isinstance(given, Mapping) or set(given) != set(labels):
            known = ", ".join(shown(v) for v in labels)
            raise OptionError(f"cohort_size must give the size of each stratum of {strata!r}: {known}; not {given!r}")
        given_sizes, named = [given[v] for v in labels], [f"stratum {shown(v)}" for v in labels]
    for name, v in zip(named, given_sizes, strict=True):
        if not (isinstance(v, int | float | np.number) and float(v).is_integer()):
            raise OptionError(f"cohort_size: the size of {name}, {shown(v)}, must be a whole number of persons")
    sizes = np.array(given_sizes)
    sampled = np.bincount(stratum)
    small = np.flatnonzero(sizes < sampled)
    if small.size:
        k = small[0]
        raise OptionError(f"cohort_size: {named[k]} has {sampled[k]} rows, more than its size of {sizes[k]}")
    return sizes.astype(np.int64)
