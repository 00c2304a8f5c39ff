"""Summary-data Mendelian randomisation of expression on a trait, and the test of heterogeneity around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_whole_number
from dxa_causal.mr.locus.heidi import heidi_test
from dxa_causal.mr.locus.matching import aligned_variants
from dxa_causal.mr.locus.trait import locus_data
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
TextArray = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False, repr=False)
class SmrResult(Result):
    """Effect of expression on the trait from one variant, and whether its neighbours agree.

    Attributes
    ----------
    variant : str
        The top variant.
    estimate, std_error : float
    heidi : HypothesisTest or NotApplicable
        Of one causal variant for both (pleiotropy) against linkage of two.
    weights : (k - 1,) ndarray
        Of the chi-square variables that the statistic of HEIDI is a sum of.
    effects : DataFrame
        variant, beta_exposure, se_exposure, beta_outcome, se_outcome, r (with
        the top variant), top: the variants of HEIDI.
    nobs : int
    """

    title: ClassVar[str] = "SMR and HEIDI"

    variant: str
    estimate: float
    std_error: float
    heidi: HypothesisTest | NotApplicable
    weights: FloatArray
    effects: pd.DataFrame
    nobs: int
    provenance: Provenance
    estimand: str = "effect of expression on the trait, per unit of expression"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Rows "SMR" and "HEIDI": method, variant, estimate ... conf_high, n_variants, reason.

        The statistic of SMR is z, that of HEIDI the sum of squared differences.
        """
        first = wald_columns([self.estimate], [self.std_error], conf_level=conf_level, exponentiate=exponentiate)
        smr_row = {"method": "SMR", "variant": self.variant, **{k: float(v[0]) for k, v in first.items()}}
        test = self.heidi
        found = isinstance(test, HypothesisTest)
        heidi_row = {"method": "HEIDI", "variant": self.variant, **dict.fromkeys(first, np.nan)}
        if isinstance(test, HypothesisTest):
            heidi_row |= {"statistic": test.statistic, "p_value": test.p_value}
        table = pd.DataFrame([smr_row, heidi_row]).assign(n_variants=[1, len(self.effects)])
        return table.assign(reason=["", "" if found else getattr(test, "reason", "")])

    def glance(self) -> pd.DataFrame:
        """One row: n_variants (common to both), f_statistic of the top variant."""
        top = self.effects[self.effects["top"]].iloc[0]
        return pd.DataFrame(
            [{"n_variants": self.nobs, "f_statistic": float((top["beta_exposure"] / top["se_exposure"]) ** 2)}]
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Effects on the trait against effects on expression, with the top variant's line."""
        from dxa_causal.plots.finemapping import ratio_plot

        return ratio_plot(self.effects, self.estimate, ax)

    def _notes(self) -> list[str]:
        lines = [f"HEIDI: {self.heidi.reason}"] if isinstance(self.heidi, NotApplicable) else []
        if isinstance(self.heidi, HypothesisTest) and self.heidi.p_value < 0.01:
            lines.append(
                "HEIDI rejects one causal variant for both (p < 0.01): linkage of two is likelier, or the "
                "correlations are not those of the studies"
            )
        return [*lines, *super()._notes()]


def smr(
    eqtl: Any,
    gwas: Any,
    *,
    ld: Any = None,
    ld_alleles: Any = None,
    top: str | None = None,
    p_top: float = 5e-8,
    p_heidi: float = 1.57e-3,
    r2_min: float = 0.05,
    r2_max: float = 0.9,
    min_variants: int = 3,
    max_variants: int = 20,
) -> SmrResult | NotApplicable:
    r"""Estimate the effect of a gene's expression on a trait from its top variant, and test heterogeneity.

    Parameters
    ----------
    eqtl, gwas : frame, dict of columns or LocusTrait
        variant, beta, se; effect_allele and other_allele to bring both
        onto one coding (without them the codings are taken as equal, and it is noted).
    ld : array_like or DataFrame, optional
        Correlations r (with sign) of the effect alleles of `eqtl`, matched by name. No HEIDI test without.
    ld_alleles : mapping or Series of str, optional
        Allele that `ld` counts, by variant; by default it counts the effect alleles of `eqtl`.
    top : str, optional
        Variant to use; otherwise the one most strongly associated with expression.
    p_top : float
        p-value for expression that the top variant must reach.
    p_heidi : float
        The same for the other variants of HEIDI.
    r2_min, r2_max : float
        Squared correlation with the top variant between which they must lie;
        of two variants above `r2_max` the one more strongly associated with expression stays.
    min_variants, max_variants : int
        Variants for HEIDI with the top one; of more the strongest are used.

    Returns
    -------
    SmrResult or NotApplicable
        The latter where no variant reaches `p_top`.

    Raises
    ------
    SummaryStatisticsError
        Columns are missing, or the files have no variant in common.
    OptionError
        `top` is not among the common variants, or limits are impossible.

    Notes
    -----
    :math:`b = b_{zy} / b_{zx}` with :math:`b^2 / \mathrm{se}^2 = z_x^2 z_y^2 / (z_x^2 + z_y^2)`.
    HEIDI compares the ratios :math:`b_i` of neighbours with that of the top variant,
    :math:`T = \sum_i d_i^2 / \mathrm{var}(d_i)`, where
    :math:`\mathrm{cov}(b_i, b_j) = r_{ij} s_{yi} s_{yj} / (b_{xi} b_{xj})
    + b_i b_j (r_{ij} / (z_i z_j) - 1 / (z_i z_j)^2)`.
    T is distributed as a sum of chi-square variables weighted by the eigenvalues of the
    correlations of d; its tail is integrated numerically along a contour through the saddle point
    to about ten digits (the program SMR takes the saddlepoint approximation of the
    same tail, a few percent off). Choice of variants follows SMR, save for the order of pruning. SMR adds 1e-8 to
    each variance in whatever units the ratio has; here it is never more than a ten-thousandth of the top
    variant's, so that units do not matter.

    Estimates must come from different people. A small HEIDI p speaks against one causal variant
    for both; a large one does not prove it.

    References
    ----------
    Zhu Z et al. Nat Genet 2016;48:481-487. doi:10.1038/ng.3538

    Examples
    --------
    >>> eqtl = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.5, 0.4, 0.3], "se": [0.03] * 3}
    >>> gwas = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.1, 0.08, 0.07], "se": [0.01] * 3}
    >>> r = pd.DataFrame([[1.0, 0.8, 0.6], [0.8, 1.0, 0.5], [0.6, 0.5, 1.0]], gwas["variant"], gwas["variant"])
    >>> smr(eqtl, gwas, ld=r).tidy()[["method", "estimate", "p_value"]].round(3).to_dict("list")
    {'method': ['SMR', 'HEIDI'], 'estimate': [0.2, nan], 'p_value': [0.0, 0.592]}
    """
    _check_limits(p_top, p_heidi, r2_min, r2_max)
    check_whole_number("min_variants", min_variants, 2)
    check_whole_number("max_variants", max_variants, min_variants)
    first, second = locus_data(eqtl, name="eqtl"), locus_data(gwas, name="gwas")
    for trait in (first, second):
        if not trait.signed:
            raise SummaryStatisticsError(f"{trait.name}: p-values have no sign; give beta and se")
    rows, sign, notes = aligned_variants(first, second)
    variant = first.variant[rows[0]]
    zx = first.z[rows[0]]
    sx, sy = (np.sqrt(trait.variance[r]) for trait, r in zip((first, second), rows, strict=True))
    bx, by = zx * sx, sign * second.z[rows[1]] * sy
    from scipy.special import ndtri

    where = _top(top, variant, zx)
    needed = float(-ndtri(p_top / 2.0))
    if top is None and abs(zx[where]) < needed:
        return NotApplicable(
            f"no common variant reaches p = {p_top:g} for expression; the strongest is {variant[where]} with "
            f"|z| = {abs(zx[where]):.3g}",
            method="SMR",
        )
    test, chosen, r_top, weights = heidi_test(
        ld,
        ld_alleles,
        (_picked(first.effect_allele, rows[0]), _picked(first.other_allele, rows[0])),
        variant,
        (bx, sx, by, sy),
        where,
        float(-ndtri(p_heidi / 2.0)),
        (r2_min, r2_max),
        min_variants,
        max_variants,
    )
    b = by[where] / bx[where]
    se = np.sqrt((sy[where] ** 2 * bx[where] ** 2 + sx[where] ** 2 * by[where] ** 2) / bx[where] ** 4)
    effects = pd.DataFrame(
        {
            **{"variant": variant[chosen], "beta_exposure": bx[chosen], "se_exposure": sx[chosen]},
            **{"beta_outcome": by[chosen], "se_outcome": sy[chosen], "r": r_top, "top": chosen == where},
        }
    )
    return SmrResult(
        variant=str(variant[where]),
        estimate=float(b),
        std_error=float(se),
        heidi=test,
        weights=read_only(weights),
        effects=effects,
        nobs=variant.size,
        provenance=Provenance(
            call=f"mr.smr(eqtl, gwas, ld=ld, top={top!r}, p_top={p_top!r}, p_heidi={p_heidi!r})",
            n_rows=first.n_rows,
            n_used=variant.size,
            missing=first.missing,
            notes=(*notes, *first.notes, *second.notes),
        ),
    )


def _check_limits(p_top: float, p_heidi: float, r2_min: float, r2_max: float) -> None:
    for name, value in (("p_top", p_top), ("p_heidi", p_heidi)):
        if not 0.0 < value <= 1.0:
            raise OptionError(f"{name}={value!r} must lie in (0, 1]")
    if not 0.0 <= r2_min < r2_max <= 1.0:
        raise OptionError(f"r2_min={r2_min!r} and r2_max={r2_max!r}: 0 <= r2_min < r2_max <= 1 is needed")


def _top(top: str | None, variant: npt.NDArray[np.object_], z: FloatArray) -> int:
    if top is None:
        return int(np.argmax(np.abs(z)))
    where = np.flatnonzero(variant == top)
    if not where.size:
        raise OptionError(f"top={top!r} is not among the {variant.size} common variants, first {variant[0]!r}")
    return int(where[0])


def _picked(column: TextArray | None, rows: IntArray) -> TextArray | None:
    return None if column is None else column[rows]
