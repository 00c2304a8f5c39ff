"""Direct effects of several exposures on one outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.mr._kernels.mm_regression import mm_regression
from dxa_causal.mr._kernels.multivariable import least_absolute, weighted
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.results import Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
MultivariableMethod = Literal["ivw", "ivw_robust", "egger", "median", "residual"]
MultivariableConvention = Literal["twosamplemr", "mendelianrandomization", "mvmr"]
_METHODS: tuple[MultivariableMethod, ...] = get_args(MultivariableMethod)
_SIGNIFICANT = 5e-8
_MOST_ROBUST = 2  # the kernel starts from exact fits to pairs of variants


class _Row(NamedTuple):
    term: str
    estimate: float = math.nan
    std_error: float = math.nan
    df: float | None = None
    n_variants: int = 0


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
    instrument_specific: bool = False,
    intercept: bool = False,
    orientate: int = 1,
    seed: Seed = None,
    n_draws: int = 1000,
) -> MVMREstimates:
    r"""Estimate the direct effect of each exposure, the others held fixed.

    Parameters
    ----------
    harmonised : MultivariableHarmonised
    methods : str or sequence of str
        Among "ivw", "ivw_robust", "egger", "median", "residual".
    convention : {"twosamplemr", "mendelianrandomization", "mvmr"}
        Standard errors of "ivw" are those of least squares and the test is
        normal (TwoSampleMR's ``mv_multiple``), never narrowed by a dispersion
        below one (MendelianRandomization), or tested by t with n - k degrees
        of freedom (MVMR). "egger" is never narrowed, and tested by t under
        "mvmr"; "median" and "ivw_robust" are the same in all three.
    instrument_specific : bool
        "ivw", "residual": estimate each effect from the variants with
        p < 5e-8 for that exposure only.
    intercept : bool
        "ivw", "residual": fit an intercept, as TwoSampleMR can.
    orientate : int
        "egger": code all variants to raise this exposure (1 is the first).
    seed : int, Generator or None
        For the standard errors of "median".
    n_draws : int

    Returns
    -------
    MVMREstimates

    Raises
    ------
    OptionError
        An unknown option.
    SummaryStatisticsError
        The effects on the exposures are collinear.

    Notes
    -----
    "ivw" regresses :math:`y_j` on :math:`x_{j1}, \dots, x_{jk}` with weights
    :math:`\sigma_{yj}^{-2}` and no intercept; "egger" adds one after coding;
    "median" minimises :math:`\sum \sigma_{yj}^{-2} |y_j - x_j' \theta|`, standard
    errors by parametric bootstrap; "residual" regresses, unweighted, what the
    other exposures leave of y on each exposure.

    References
    ----------
    Burgess S, Thompson SG. Am J Epidemiol 2015;181:251-260. doi:10.1093/aje/kwu283
    Sanderson E et al. Int J Epidemiol 2019;48:713-727. doi:10.1093/ije/dyy262

    Examples
    --------
    >>> mh = MultivariableHarmonised.from_arrays(
    ...     beta_exposures=[[0.1, 0.0], [0.2, 0.1], [0.0, 0.1], [0.1, 0.1]], se_exposures=[[0.01, 0.01]] * 4,
    ...     beta_outcome=[0.05, 0.08, -0.01, 0.04], se_outcome=[0.02] * 4, exposures=["LDL", "HDL"],
    ... )
    >>> mvmr(mh, "ivw").tidy()["estimate"].round(2).tolist()
    [0.47, -0.1]
    """
    if not isinstance(harmonised, MultivariableHarmonised):
        raise SummaryStatisticsError(
            f"this needs what MultivariableHarmonised.from_arrays returns, not {type(harmonised).__name__}"
        )
    check_option("convention", convention, MultivariableConvention)
    asked = [methods] if isinstance(methods, str) else list(methods)
    if not asked:
        raise OptionError("methods is empty; name at least one")
    for method in asked:
        check_option("methods", method, MultivariableMethod)
    k, n = len(harmonised.exposures), harmonised.n_variants
    check_whole_number("orientate", orientate, 1, k)
    check_whole_number("n_draws", n_draws, 2)
    if n > k and np.linalg.matrix_rank(harmonised.beta_exposures) < k:
        raise SummaryStatisticsError(
            f"the effects on {', '.join(harmonised.exposures)} are collinear: their direct effects cannot be told apart"
        )
    streams = dict(zip(_METHODS, spawn(seed, len(_METHODS)), strict=True))
    rows: list[tuple[str, str, _Row]] = []
    for method in dict.fromkeys(asked):
        least = k + 1 + (method == "egger")
        if n < least:
            reason = f"needs at least {least} variants for {k} exposures; there are {n}"
            rows += [(method, reason, _Row(name, n_variants=n)) for name in harmonised.exposures]
            continue
        if method == "ivw_robust" and k > _MOST_ROBUST:
            reason = f"robust regression is for at most {_MOST_ROBUST} exposures here; there are {k}"
            rows += [(method, reason, _Row(name, n_variants=n)) for name in harmonised.exposures]
            continue
        none = f"too few variants with p < {_SIGNIFICANT:g} for this exposure"
        if method == "egger":
            found = _egger(harmonised, orientate - 1, convention)
        elif method == "median":
            found = _median(harmonised, streams[method], n_draws)
        elif method == "ivw_robust":
            found = _robust(harmonised)
            none = "more than half of the variants fit exactly: no robust scale"
        else:
            fit = _joint if method == "ivw" else _residual
            found = _each(harmonised, fit, convention, instrument_specific, intercept)
        rows += [(method, "" if math.isfinite(row.estimate) else none, row) for row in found]
    call = f"mr.mvmr(harmonised, methods={asked!r}, convention={convention!r}, seed={seed_shown(seed)!r})"
    return MVMREstimates(
        harmonised=harmonised,
        method=tuple(m for m, _, _ in rows),
        term=tuple(row.term for _, _, row in rows),
        estimates=read_only([row.estimate for _, _, row in rows]),
        std_errors=read_only([row.std_error for _, _, row in rows]),
        df=read_only([math.nan if row.df is None else row.df for _, _, row in rows]),
        n_variants=read_only([row.n_variants for _, _, row in rows]),
        reason=tuple(reason for _, reason, _ in rows),
        nobs=n,
        provenance=Provenance(call=call, n_rows=n, n_used=n, seed=seed_shown(seed), notes=()),
    )


_One = Callable[[FloatArray, FloatArray, FloatArray, int, bool], tuple[float, float, float, int]]


def _each(
    h: MultivariableHarmonised, fit: _One, convention: MultivariableConvention, specific: bool, intercept: bool
) -> list[_Row]:
    """One exposure at a time: the variants that count for it, and its coefficient."""
    rows = []
    for j, name in enumerate(h.exposures):
        own = h.p_exposures[:, j] < _SIGNIFICANT
        use = own if specific else np.ones(h.n_variants, dtype=bool)
        if use.sum() <= len(h.exposures) + intercept:
            rows.append(_Row(name, n_variants=int(use.sum())))
            continue
        b, se, sigma, df = fit(h.beta_exposures[use], h.beta_outcome[use], h.se_outcome[use] ** -2.0, j, intercept)
        if convention == "mendelianrandomization":
            se /= min(1.0, sigma)
        rows.append(_Row(name, b, se, df if convention == "mvmr" else None, int(use.sum())))
    return rows


def _joint(x: FloatArray, y: FloatArray, w: FloatArray, j: int, intercept: bool) -> tuple[float, float, float, int]:
    design = np.column_stack([x, np.ones(y.size)]) if intercept else x
    fit = weighted(design, y, w)
    return float(fit.coef[j]), float(fit.std_error[j]), fit.sigma, fit.df


def _residual(x: FloatArray, y: FloatArray, w: FloatArray, j: int, intercept: bool) -> tuple[float, float, float, int]:
    one = np.ones((y.size, int(intercept)))
    others = np.column_stack([np.delete(x, j, axis=1), one])
    left = y - others @ np.linalg.lstsq(others, y, rcond=None)[0] if others.shape[1] else y
    fit = weighted(np.column_stack([x[:, j], one]), left, np.ones(y.size))
    return float(fit.coef[0]), float(fit.std_error[0]), fit.sigma, fit.df


def _egger(h: MultivariableHarmonised, by: int, convention: MultivariableConvention) -> list[_Row]:
    sign = np.where(h.beta_exposures[:, by] < 0, -1.0, 1.0)
    design = np.column_stack([h.beta_exposures * sign[:, None], np.ones(sign.size)])
    fit = weighted(design, h.beta_outcome * sign, h.se_outcome**-2.0)
    se = fit.std_error / min(1.0, fit.sigma)
    df = fit.df if convention == "mvmr" else None
    return [
        _Row(name, float(b), float(s), df, h.n_variants)
        for name, b, s in zip((*h.exposures, "intercept"), fit.coef, se, strict=True)
    ]


def _median(h: MultivariableHarmonised, rng: np.random.Generator, n_draws: int) -> list[_Row]:
    w = h.se_outcome**-2.0
    coef = least_absolute(h.beta_exposures, h.beta_outcome, w)
    draws = np.empty((n_draws, coef.size))
    for i in range(n_draws):  # one linear programme each
        x = h.beta_exposures + h.se_exposures * rng.standard_normal(h.se_exposures.shape)
        y = h.beta_outcome + h.se_outcome * rng.standard_normal(w.size)
        draws[i] = least_absolute(x, y, w)
    se = draws.std(axis=0, ddof=1)
    return [_Row(name, float(b), float(s), None, w.size) for name, b, s in zip(h.exposures, coef, se, strict=True)]


def _robust(h: MultivariableHarmonised) -> list[_Row]:
    root = 1.0 / h.se_outcome
    fit = mm_regression(h.beta_exposures * root[:, None], h.beta_outcome * root)
    if fit is None:  # more than half of the variants fit exactly
        return [_Row(name, n_variants=h.n_variants) for name in h.exposures]
    return [
        _Row(name, float(b), float(s), None, h.n_variants)
        for name, b, s in zip(h.exposures, fit.coefficients, fit.std_errors, strict=True)
    ]
