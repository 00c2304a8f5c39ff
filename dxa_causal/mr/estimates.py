"""Causal effects from summary statistics: the estimators of two-sample Mendelian randomisation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.mr.estimator import Convention, Interval, Row, Settings, check_harmonised, refuse_correlated
from dxa_causal.mr.estimators import ESTIMATORS, LABELS, METHODS, USUAL, Method
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.single import single_variant
from dxa_causal.results import Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class MREstimates(Result):
    """Estimates of one causal effect by several methods.

    Attributes
    ----------
    harmonised : Harmonised
        The variants used.
    method, term : tuple of str
        One entry per row: the method, and "effect" or "intercept".
    estimates, std_errors : (k,) ndarray
        Per unit of the exposure, on the scale of the outcome effects (log
        odds for a binary outcome); nan where the method does not apply.
    df : (k,) ndarray
        Degrees of freedom of the t distribution; nan for the normal.
    reason : tuple of str
        Why a method does not apply; empty where it does.
    p_values : (k,) ndarray
        Of tests that are not Wald tests; nan where the Wald test holds.
    intervals : tuple
        Per row, confidence limits that are not Wald limits, or None.
    details : tuple of mapping
        Per row, further numbers of the method by name.
    valid : tuple
        Per row, (n,) booleans of the variants the method holds to be valid
        instruments, or None.
    nobs : int
        Variants used.
    """

    title: ClassVar[str] = "Two-sample Mendelian randomisation"

    harmonised: Harmonised
    method: tuple[Method, ...]
    term: tuple[str, ...]
    estimates: FloatArray
    std_errors: FloatArray
    df: FloatArray
    reason: tuple[str, ...]
    p_values: FloatArray
    intervals: tuple[Interval | None, ...]
    details: tuple[Mapping[str, float], ...]
    valid: tuple[BoolArray | None, ...]
    nobs: int
    provenance: Provenance
    estimand: str = "effect of the exposure on the outcome per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per method and term: Wald test and limits, normal or (MR-Egger) t.

        `exponentiate` turns log odds into odds ratios, the intercept included.
        """
        table = method_table(
            self.method, self.term, self.estimates, self.std_errors, self.df, conf_level=conf_level,
            exponentiate=exponentiate,
        )  # fmt: skip
        own = ~np.isnan(self.p_values)
        table.loc[own, "p_value"] = self.p_values[own]
        for i, interval in enumerate(self.intervals):
            if interval is not None:
                pieces = interval(conf_level)
                limits = np.array([pieces[0, 0], pieces[-1, 1]]) if len(pieces) else np.full(2, math.nan)
                table.loc[i, ["conf_low", "conf_high"]] = np.exp(limits) if exponentiate else limits
        return table.assign(n_variants=self.nobs, reason=list(self.reason))

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, f_statistic (mean over variants)."""
        h = self.harmonised
        f = float(np.mean((h.beta_exposure / h.se_exposure) ** 2)) if self.nobs else math.nan
        return pd.DataFrame({"n_variants": [self.nobs], "f_statistic": [f]})

    def confidence_sets(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Every piece of the confidence sets that are not Wald intervals; `tidy` gives their outer ends.

        Columns method, term, conf_low, conf_high; an empty set has no line.
        """
        lines = [
            (method, term, low, high)
            for method, term, interval in zip(self.method, self.term, self.intervals, strict=True)
            if interval is not None
            for low, high in interval(conf_level)
        ]
        return pd.DataFrame(lines, columns=["method", "term", "conf_low", "conf_high"])

    def further(self) -> pd.DataFrame:
        """Further numbers of the methods (overdispersion, heterogeneity ...): method, term, what, value."""
        lines = [
            (method, term, name, float(value))
            for method, term, found in zip(self.method, self.term, self.details, strict=True)
            for name, value in found.items()
        ]
        return pd.DataFrame(lines, columns=["method", "term", "what", "value"])

    def valid_variants(self) -> pd.DataFrame:
        """One row per variant: variant, and for each method that chooses, whether it holds it to be valid."""
        table = self.harmonised.table[["variant"]].copy()
        for method, valid in zip(self.method, self.valid, strict=True):
            if valid is not None:
                table[method] = valid
        return table

    def plot(
        self, ax: Axes | None = None, *, kind: Literal["scatter", "forest", "funnel", "density"] = "scatter"
    ) -> Axes:
        """Scatter of the variants with a line per method; or forest, funnel or density of the variants' ratios."""
        check_option("kind", kind, ("scatter", "forest", "funnel", "density"))
        from dxa_causal.plots import mr as pictures

        h = self.harmonised
        table = self.tidy().assign(method=[LABELS[m] for m in self.method])
        if kind == "scatter":
            return pictures.mr_scatter(h.table, table, ax=ax, exposure=h.exposure, outcome=h.outcome)
        draw = {"forest": pictures.mr_forest, "funnel": pictures.mr_funnel, "density": pictures.mr_density}[kind]
        return draw(single_variant(h), table, ax=ax, exposure=h.exposure, outcome=h.outcome)

    def _notes(self) -> list[str]:
        h = self.harmonised
        return [f"effect of {h.exposure} on {h.outcome}, per unit of {h.exposure}", *super()._notes()]


def estimate(
    harmonised: Harmonised,
    methods: Sequence[Method] | Method | Literal["all"] | None = None,
    *,
    convention: Convention = "twosamplemr",
    seed: Seed = None,
    n_draws: int = 1000,
) -> MREstimates:
    r"""Estimate the causal effect of the exposure on the outcome.

    Parameters
    ----------
    harmonised : Harmonised
    methods : str or sequence of str, optional
        Among "wald_ratio", "ivw", "ivw_fe", "ivw_mre", "uwr", "maxlik",
        "egger", "egger_bootstrap", "grip", "simple_median",
        "weighted_median", "penalised_weighted_median", "simple_mode",
        "weighted_mode", "simple_mode_nome", "weighted_mode_nome",
        "penalised_mode", "sign", "ivw_penalised", "ivw_robust",
        "ivw_robust_penalised", "egger_penalised", "egger_robust",
        "egger_robust_penalised", "raps", "conmix", "lasso", "hetpen", "divw",
        "adivw", "pivw", "cml_ma", "cml_bic", "cml_ma_dp", "clr", "ar", "k",
        "pc_gmm". When omitted, Wald
        ratio, IVW, Egger and medians as far as they apply; "all" for every one. A method named
        here that does not apply gives a row of nan with its reason.
        :func:`dxa_causal.mr.assumptions` says what each assumes.
    convention : {"twosamplemr", "mendelianrandomization"}
        Whose conventions hold where the two R packages differ.
    seed : int, Generator or None
        For standard errors by resampling. Each method draws from its own
        stream: its numbers do not depend on which others are asked for.
    n_draws : int
        Bootstrap draws for them; the standard error carries a relative
        Monte-Carlo error of about ``1 / sqrt(2 n_draws)``, 2 % with 1000.

    Returns
    -------
    MREstimates

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given) and a method does not allow
        for it.
    OptionError
        An unknown method, or fewer than two draws.

    Notes
    -----
    Conventions of TwoSampleMR 0.7. With effects :math:`x_j, y_j`, standard
    errors :math:`\sigma_{xj}, \sigma_{yj}`, :math:`w_j = \sigma_{yj}^{-2}` and
    :math:`\hat\sigma` the residual standard error of the regression:

    - wald_ratio: :math:`y/x`, standard error :math:`\sigma_y / |x|`.
    - ivw: :math:`\hat\beta = \sum w x y / \sum w x^2`, standard error
      :math:`\max(1, \hat\sigma) (\sum w x^2)^{-1/2}`; ivw_fe without the
      factor; ivw_mre with :math:`\hat\sigma` even below 1.
    - egger: regression with intercept after coding all :math:`x_j \ge 0`,
      standard errors with the factor :math:`\max(1, \hat\sigma)`, t with n - 2 df
      for tests and limits (TwoSampleMR prints normal limits).
    - medians of :math:`y_j / x_j`: equal weights, inverse second-order
      variances, or these times :math:`\min(1, 20 p_j)` with :math:`p_j` the
      p-value of the distance from the weighted median; standard errors by
      parametric bootstrap with the weights held.

    References
    ----------
    Burgess S et al. Genet Epidemiol 2013;37:658-665. doi:10.1002/gepi.21758
    Bowden J et al. Int J Epidemiol 2015;44:512-525. doi:10.1093/ije/dyv080
    Bowden J et al. Genet Epidemiol 2016;40:304-314. doi:10.1002/gepi.21965

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01, 0.01, 0.01],
    ...     beta_outcome=[0.05, 0.10, 0.08], se_outcome=[0.02, 0.02, 0.02],
    ... )
    >>> estimate(h, ["ivw", "wald_ratio"]).tidy()[["method", "estimate", "reason"]].round(3).to_dict("list")
    {'method': ['ivw', 'wald_ratio'], 'estimate': [0.496, nan],
     'reason': ['', 'the Wald ratio is for one variant; there are 3']}
    """
    check_harmonised(harmonised)
    check_option("convention", convention, Convention)
    if n_draws < 2:
        raise OptionError(f"n_draws={n_draws!r} must be at least 2; 1000 is usual")
    asked: list[Method] = list(_asked(methods) or _that_apply(harmonised))
    if not all(ESTIMATORS[method].correlated for method in asked):
        refuse_correlated(harmonised)
    streams = dict(zip(METHODS, spawn(seed, len(METHODS)), strict=True))
    rows: list[tuple[Method, str, Row]] = []
    for method in asked:
        reason = ESTIMATORS[method].reason(harmonised)
        if reason:
            rows.append((method, reason, Row("effect")))
        else:
            settings = Settings(streams[method], n_draws, convention)
            rows += [(method, "", row) for row in ESTIMATORS[method].rows(harmonised, settings)]
    call = f"mr.estimate(harmonised, methods={asked!r}, convention={convention!r}, seed={seed_shown(seed)!r}, "
    return collect(harmonised, rows, call=f"{call}n_draws={n_draws})", seed=seed)


def _that_apply(harmonised: Harmonised) -> Sequence[Method]:
    usual: Sequence[Method] = ("ivw", "egger") if harmonised.correlated else USUAL
    return [m for m in usual if not ESTIMATORS[m].reason(harmonised)] or usual


def collect(
    harmonised: Harmonised, rows: Sequence[tuple[Method, str, Row]], *, call: str, seed: Seed = None
) -> MREstimates:
    """Put rows (method, reason, numbers) of one or several methods into a result."""
    used, shared = harmonised.n_variants, harmonised.counts["n_both"]
    return MREstimates(
        harmonised=harmonised,
        method=tuple(method for method, _, _ in rows),
        term=tuple(row.term for _, _, row in rows),
        estimates=read_only([row.estimate for _, _, row in rows]),
        std_errors=read_only([row.std_error for _, _, row in rows]),
        df=read_only([math.nan if row.df is None else row.df for _, _, row in rows]),
        reason=tuple(reason for _, reason, _ in rows),
        p_values=read_only([math.nan if row.p_value is None else row.p_value for _, _, row in rows]),
        intervals=tuple(row.interval for _, _, row in rows),
        details=tuple(dict(row.details) for _, _, row in rows),
        valid=tuple(None if row.valid is None else read_only(row.valid) for _, _, row in rows),
        nobs=used,
        provenance=Provenance(
            call=call,
            n_rows=used,
            n_used=used,
            seed=seed_shown(seed),
            notes=(f"{used} of {shared} variants in both files kept when harmonised",),
        ),
    )


def seed_shown(seed: Seed) -> int | None:
    """Return the seed as provenance shows it."""
    return None if seed is None or isinstance(seed, np.random.Generator) else int(seed)


def _asked(methods: Sequence[Method] | Method | Literal["all"] | None) -> list[Method]:
    if methods is None:
        return []
    if isinstance(methods, str):
        return list(METHODS) if methods == "all" else _checked([methods])
    return _checked(list(methods))


def _checked(listed: list[Method]) -> list[Method]:
    if not listed:
        raise OptionError("methods is empty; name at least one, or leave it out for all that apply")
    for method in listed:
        check_option("methods", method, Method)
    return list(dict.fromkeys(listed))
