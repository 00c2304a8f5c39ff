"""LD score regression of two traits: heritabilities, genetic correlation, and what shared samples leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_whole_number
from dxa_causal.mr._kernels.ldsc import Ratio, Regression, correlation, covariance, heritability
from dxa_causal.mr.harmonise import harmonise
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.reading.gwas import GWAS
from dxa_causal.mr.sample_overlap.ldscores import LDScores, read_ldscores
from dxa_causal.results import NotApplicable, Provenance, Result, read_only, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_MEDIAN = 0.4549  # of chi-square with one degree of freedom, as ldsc rounds it
_ENOUGH = 200_000
_NULL = {"intercept_exposure": 1.0, "intercept_outcome": 1.0}
_BANDS = 50


@dataclass(frozen=True, eq=False, repr=False)
class OverlapResult(Result):
    """LD score regression of exposure and outcome.

    Attributes
    ----------
    h2_exposure, h2_outcome, covariance : Regression
        Heritabilities (observed scale) and genetic covariance: total,
        intercept, their jackknife errors, and both without each block. The
        intercept of `covariance` is the correlation of the two studies' errors.
    correlation : Ratio
        Genetic correlation and its error.
    bands : DataFrame
        Mean LD score, chi-squares and product of z statistics in bands of
        variants with like LD scores, for the figure.
    n_exposure, n_outcome : float
        Mean sample sizes.
    n_reference : float
    mean_chi2, lambda_gc : (2,) ndarray
        Of exposure and outcome.
    exposure, outcome : str
    nobs : int
        Variants in the regression.
    """

    title: ClassVar[str] = "LD score regression"

    h2_exposure: Regression
    h2_outcome: Regression
    covariance: Regression
    correlation: Ratio
    bands: pd.DataFrame
    n_exposure: float
    n_outcome: float
    n_reference: float
    mean_chi2: FloatArray
    lambda_gc: FloatArray
    exposure: str
    outcome: str
    nobs: int
    provenance: Provenance
    estimand: str = "heritabilities, genetic correlation, and correlation of the errors of the two studies"

    @property
    def error_correlation(self) -> float:
        """Correlation of the errors of a variant's two effects (`psi` of other methods): the cross-trait intercept."""
        return self.covariance.intercept

    def shared_sample(self, phenotypic_correlation: float) -> float:
        r"""People in both studies, :math:`\sqrt{n_1 n_2}` times the cross-trait intercept over the traits' correlation.

        Parameters
        ----------
        phenotypic_correlation : float
            Between the traits, in the people of both studies.
        """
        if not 0 < abs(phenotypic_correlation) <= 1:
            raise OptionError(
                f"phenotypic_correlation={phenotypic_correlation!r} must lie between -1 and 1 and not be 0"
            )
        return float(self.error_correlation * np.sqrt(self.n_exposure * self.n_outcome) / phenotypic_correlation)

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: h2, intercept of both traits, genetic covariance, its intercept, genetic correlation.

        The tests of the two traits' intercepts are against 1, all others
        against 0; a cross-trait intercept other than 0 means that samples are
        shared (or stratified alike). Nothing is exponentiated.
        """
        a, b, c = self.h2_exposure, self.h2_outcome, self.covariance
        rows = {
            "h2_exposure": (a.total, a.total_se), "intercept_exposure": (a.intercept, a.intercept_se),
            "h2_outcome": (b.total, b.total_se), "intercept_outcome": (b.intercept, b.intercept_se),
            "genetic_covariance": (c.total, c.total_se), "intercept_cross": (c.intercept, c.intercept_se),
            "genetic_correlation": tuple(self.correlation),
        }  # fmt: skip
        null = np.array([_NULL.get(term, 0.0) for term in rows])
        estimate, error = np.array(list(rows.values())).T
        columns = wald_columns(estimate - null, error, conf_level=conf_level)
        for name in ("estimate", "conf_low", "conf_high"):
            columns[name] = columns[name] + null
        reason = np.where(np.isnan(estimate), "a heritability is not positive", "")
        return pd.DataFrame({"term": list(rows), **columns, "n_variants": self.nobs, "reason": reason})

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, mean_chi2 and lambda_gc of both traits."""
        row: dict[str, float] = {"n_variants": self.nobs}
        for k, side in enumerate(("exposure", "outcome")):
            row |= {f"mean_chi2_{side}": self.mean_chi2[k], f"lambda_gc_{side}": self.lambda_gc[k]}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Mean product of z statistics by LD score, with the line fitted: its height at zero is the overlap."""
        from dxa_causal.plots.mr_overlap import ld_score_plot

        slope = self.covariance.total * np.sqrt(self.n_exposure * self.n_outcome) / self.n_reference
        return ld_score_plot(self.bands, self.covariance.intercept, slope, ax=ax)

    def _notes(self) -> list[str]:
        notes = [
            f"correlation of the errors of both studies: {self.error_correlation:.3f} "
            f"(standard error {self.covariance.intercept_se:.3f}); 0 means no person is in both"
        ]
        if self.nobs < _ENOUGH:
            notes.append(f"{self.nobs} variants are few; LD score regression is meant for {_ENOUGH} and more")
        return [*notes, *super()._notes()]


def overlap(
    exposure: Any,
    outcome: Any = None,
    *,
    ldscores: Any,
    n_reference: float | None = None,
    n_exposure: float | None = None,
    n_outcome: float | None = None,
    two_step: float | None = 30.0,
    chi2_max: float | None = None,
    n_blocks: int = 200,
) -> OverlapResult | NotApplicable:
    r"""Heritabilities, genetic correlation and the sign of shared samples, by LD score regression.

    Parameters
    ----------
    exposure, outcome : frame, or what `read_gwas` returns; or one Harmonised
        Genome-wide statistics: beta and se, or z; alleles; n unless given
        below. Palindromic variants are left out, as ldsc's munging does.
    ldscores : frame, or path of an ``.l2.ldscore`` file or a folder of them
        Columns SNP, L2 and, for the order of the jackknife's blocks, CHR, BP.
    n_reference : float, optional
        How many variants the scores sum over (``.l2.M_5_50``); needed with a
        frame.
    n_exposure, n_outcome : float, optional
        Sample sizes where the frames have none (case-control: cases plus
        controls).
    two_step : float or None
        The intercepts come from variants with chi-squares below this, the
        slopes from all; None: one regression.
    chi2_max : float, optional
        Leave out variants with a larger chi-square for either trait.
    n_blocks : int
        Of the jackknife.

    Returns
    -------
    OverlapResult or NotApplicable
        The latter with fewer than two variants per block, in the first step too, or LD scores that are all alike.

    Raises
    ------
    SummaryStatisticsError
        No sample sizes, no shared variants, or impossible values.

    Notes
    -----
    With LD score :math:`\ell_j`, sample sizes :math:`N_1, N_2`, of whom :math:`N_s` are shared,
    and M variants in the reference,

    .. math::
        E[z_{1j} z_{2j}] = \frac{\sqrt{N_1 N_2}\, \rho_g}{M} \ell_j + \frac{N_s \rho}{\sqrt{N_1 N_2}},

    and with one trait twice :math:`E[\chi^2_j] = N h^2 \ell_j / M + 1 + N a`.
    Weights are the inverse of the variance under the
    model times :math:`1 / \ell_j`, renewed twice; errors come from a jackknife
    over contiguous blocks. Defaults are those of ``ldsc.py --rg``; GenomicSEM,
    which MRlap calls, has ``two_step=None`` and ``chi2_max=max(80, 0.001 N)``.

    References
    ----------
    Bulik-Sullivan BK et al. Nat Genet 2015;47:291-295. doi:10.1038/ng.3211
    Bulik-Sullivan B et al. Nat Genet 2015;47:1236-1241. doi:10.1038/ng.3406

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> score = rng.gamma(2.0, 20.0, 4000)
    >>> shared, a, b, errors = *rng.standard_normal((3, 4000)) * np.sqrt(score / 400), rng.standard_normal((2, 4000))
    >>> gwas = [
    ...     pd.DataFrame({"variant": [f"rs{j}" for j in range(4000)], "effect_allele": "A", "other_allele": "C",
    ...                   "z": shared + own + error, "n": 50_000})
    ...     for own, error in ((a, errors[0]), (b, 0.3 * errors[0] + 0.95 * errors[1]))
    ... ]
    >>> table = pd.DataFrame({"SNP": gwas[0]["variant"], "L2": score})
    >>> fit = overlap(*gwas, ldscores=table, n_reference=1_000_000)
    >>> fit.tidy().set_index("term")["estimate"].round(1)[["genetic_correlation", "intercept_cross"]].to_dict()
    {'genetic_correlation': 0.6, 'intercept_cross': 0.3}
    """
    check_whole_number("n_blocks", n_blocks, 2)
    for name, value in (("two_step", two_step), ("chi2_max", chi2_max)):
        if value is not None and not value > 0:
            raise OptionError(f"{name}={value!r} must be a positive chi-square, or None")
    scores = read_ldscores(ldscores, n_reference)
    h = _harmonised(exposure, outcome)
    table, dropped = _joined(h, scores, n_exposure, n_outcome, chi2_max)
    if (reason := _degenerate(table, n_blocks, two_step)) is not None:
        return NotApplicable(reason, method="LD score regression")
    z1, z2, n1, n2, ld, weight = (
        np.ascontiguousarray(table[c].to_numpy(), dtype=np.float64)
        for c in ("z1", "z2", "n_exposure", "n_outcome", "ld_score", "weight")
    )
    m = scores.n_reference
    one = heritability(z1**2, ld, weight, n1, m, blocks=n_blocks, two_step=two_step)
    two = heritability(z2**2, ld, weight, n2, m, blocks=n_blocks, two_step=two_step)
    shared = covariance(z1, z2, ld, weight, n1, n2, m, one, two, blocks=n_blocks, two_step=two_step)
    notes = [f"{count} variants left out: {why}" for why, count in dropped.items() if count]
    if not scores.ordered:
        notes.append("LD scores without chromosome and position: the blocks of the jackknife follow the order of rows")
    return OverlapResult(
        h2_exposure=one, h2_outcome=two, covariance=shared, correlation=correlation(shared, one, two),
        bands=_bands(ld, z1, z2), n_exposure=float(n1.mean()), n_outcome=float(n2.mean()), n_reference=m,
        mean_chi2=read_only([np.mean(z1**2), np.mean(z2**2)]),
        lambda_gc=read_only([np.median(z1**2) / _MEDIAN, np.median(z2**2) / _MEDIAN]),
        exposure=h.exposure, outcome=h.outcome, nobs=table.height,
        provenance=Provenance(
            call=f"mr.overlap(exposure, outcome, ldscores, n_reference={m:g}, two_step={two_step!r}, "
            f"chi2_max={chi2_max!r}, n_blocks={n_blocks})",
            n_rows=h.counts["n_both"], n_used=table.height, notes=tuple(notes),
        ),
    )  # fmt: skip


def _degenerate(table: pl.DataFrame, n_blocks: int, two_step: float | None) -> str | None:
    """Why the regressions cannot be done."""
    if table.height < 2 * n_blocks:
        return f"{table.height} variants with LD scores; {n_blocks} jackknife blocks need {2 * n_blocks}"
    if table["ld_score"].n_unique() < 2:
        return f"the LD scores are all {table['ld_score'][0]:g}: no slope"
    if two_step is None:
        return None
    small = [pl.col(z) ** 2 < two_step for z in ("z1", "z2")]
    fewest = min(table.filter(s).height for s in (*small, small[0] & small[1]))
    if fewest < 2 * n_blocks:
        return (
            f"{fewest} variants with chi-squares below two_step={two_step:g}; {n_blocks} jackknife blocks need "
            f"{2 * n_blocks}"
        )
    return None


def _harmonised(exposure: Any, outcome: Any) -> Harmonised:
    if isinstance(exposure, Harmonised):
        if outcome is not None:
            raise SummaryStatisticsError("outcome: the exposure given is harmonised already and holds the outcome")
        return exposure
    if outcome is None:
        raise SummaryStatisticsError("outcome: give the outcome's statistics, or what mr.harmonise returned")
    return harmonise(_with_effects(exposure), _with_effects(outcome), action=3)


def _with_effects(data: Any) -> Any:
    """Let a z statistic stand for beta with standard error 1 where a frame has no effects."""
    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if isinstance(data, GWAS) or not hasattr(data, "columns"):
        return data
    spelled = {str(c).lower(): c for c in data.columns}
    z = next((spelled[s] for s in ("z", "zscore", "z_score") if s in spelled), None)
    if z is None or {"beta", "odds_ratio"} & set(spelled):
        return data
    if isinstance(data, pd.DataFrame):
        return data.assign(beta=data[z], se=1.0)
    return pl.DataFrame(data).with_columns(pl.col(z).alias("beta"), pl.lit(1.0).alias("se"))


def _joined(
    h: Harmonised, scores: LDScores, n_exposure: float | None, n_outcome: float | None, chi2_max: float | None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Variants of both traits with LD scores, in the order of the genome; and what was left out."""
    columns: dict[str, Any] = {
        "variant": h.table["variant"].astype(str), "z1": h.beta_exposure / h.se_exposure,
        "z2": h.beta_outcome / h.se_outcome,
    }  # fmt: skip
    for name, given in (("n_exposure", n_exposure), ("n_outcome", n_outcome)):
        if given is not None and not 0 < given < np.inf:
            raise OptionError(f"{name}={given!r} must be a positive number")
        values = h.table[name].to_numpy(dtype=np.float64, na_value=np.nan)
        columns[name] = values if given is None else np.where(np.isfinite(values), values, given)
    if not h.n_variants:
        lost = "; ".join(f"{n} {name.replace('_', ' ')}" for name, n in h.counts.items() if n and "drop" in name)
        raise SummaryStatisticsError(f"no variant is left of {h.counts['n_both']} in both files: {lost}")
    frame = pl.DataFrame(columns)
    sized = frame.filter(pl.all_horizontal(pl.col("n_exposure", "n_outcome").is_finite()))
    if not sized.height and frame.height:
        side = "exposure" if not np.isfinite(columns["n_exposure"]).any() else "outcome"
        raise SummaryStatisticsError(f"{side}: no sample sizes; add a column n or give n_{side}=")
    found = scores.table.join(sized, on="variant", how="inner", maintain_order="left")
    if not found.height:
        raise SummaryStatisticsError(
            f"ldscores: none of the {sized.height} variants is among the {scores.table.height} with LD scores; are the "
            f"names of the same kind (first {columns['variant'].iloc[0]!r} and {scores.table['variant'][0]!r})?"
        )
    kept = (
        found if chi2_max is None else found.filter((pl.col("z1") ** 2 <= chi2_max) & (pl.col("z2") ** 2 <= chi2_max))
    )
    return kept, {
        "not harmonised": h.counts["n_both"] - h.n_variants,
        "no sample size": frame.height - sized.height,
        "no LD score": sized.height - found.height,
        "chi-square above chi2_max": found.height - kept.height,
    }


def _bands(ld: FloatArray, z1: FloatArray, z2: FloatArray) -> pd.DataFrame:
    order = np.argsort(ld, kind="stable")
    starts = np.unique(np.linspace(0, ld.size, min(_BANDS, ld.size) + 1).astype(int)[:-1])
    size = np.diff(np.append(starts, ld.size))
    values = {"ld_score": ld, "chi2_exposure": z1**2, "chi2_outcome": z2**2, "product": z1 * z2}
    return pd.DataFrame({name: np.add.reduceat(v[order], starts) / size for name, v in values.items()})
