"""Fine-mapping with several causal variants: the sum of single effects, from summary statistics and linkage."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.warnings import ConvergenceWarning, SummaryStatisticsWarning, warn
from dxa_causal.mr._kernels.kriging import kriging
from dxa_causal.mr._kernels.susie_rss import Fit, adjusted, fit, inclusion, smallest_set
from dxa_causal.mr.locus.finemap import check_coverage
from dxa_causal.mr.locus.ld_check import verdict
from dxa_causal.mr.locus.linkage import matched_ld, require_semidefinite
from dxa_causal.mr.locus.susie_result import NO_EFFECT, CredibleSet, SusieResult
from dxa_causal.mr.locus.trait import LocusTrait, locus_data
from dxa_causal.results import NotApplicable, Provenance, read_only

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_MANY = 20  # variants
_BEYOND = 10.0  # log Bayes factor of an effect over that of the strongest variant by itself


def susie(
    d: Any,
    *,
    ld: Any,
    n_effects: int = 10,
    coverage: float = 0.95,
    min_abs_r: float = 0.5,
    prior_variance: float = 0.2,
    estimate_prior_variance: bool = True,
    estimate_residual_variance: bool = False,
    prior_weights: npt.ArrayLike | None = None,
    ld_alleles: Any = None,
    ridge: float = 0.0,
    max_iterations: int = 100,
    tolerance: float = 1e-3,
) -> SusieResult | NotApplicable:
    r"""Find which variants of a region are causal, by the sum of single effects.

    Parameters
    ----------
    d : frame, dict of columns or LocusTrait
        variant, beta, se, n. See :func:`dxa_causal.mr.locus_data`.
    ld : (p, p) array_like or DataFrame
        Correlations r (with sign) of the effect alleles of `d`, best those of
        the study itself. A frame is matched by names, an array must be in the order of `d`.
    n_effects : int
        Single effects, the most causal variants that can be found.
    coverage : float
        Of credible sets.
    min_abs_r : float
        Sets with a pair of variants less correlated are left out.
    prior_variance : float
        Of an effect as a share of the trait's variance; a start where it is estimated.
    estimate_prior_variance : bool
    estimate_residual_variance : bool
        Only with linkage of the study itself.
    prior_weights : (p,) array_like, optional
        Prior probabilities of the variants of `d`, up to a factor; equal where omitted.
    ld_alleles : mapping or Series of str, optional
        Allele that `ld` counts, by variant; by default it counts the effect alleles of `d`.
    ridge : float
        The linkage becomes (R + ridge I) / (1 + ridge).
    max_iterations : int
    tolerance : float
        The fit rests when the lower bound of the evidence rises by less.

    Returns
    -------
    SusieResult or NotApplicable
        The latter with fewer than two variants.

    Raises
    ------
    SummaryStatisticsError
        No n, effects without sign, names that do not match, or a matrix that
        no correlations can form.

    Notes
    -----
    Standardised effects are :math:`b = \sum_l \gamma_l b_l` with one variant each, :math:`b_l \sim N(0, V_l)`;
    the statistics give :math:`X'X = (n-1) R` and :math:`X'y = \sqrt{n-1}\,\tilde z`, where
    :math:`\tilde z_j = z_j \sqrt{(n-1)/(z_j^2 + n - 2)}`. Effects are updated in turn, given the others,
    until the lower bound of the evidence rests; :math:`V_l` maximises the likelihood of its effect and is set to 0
    where no effect is as likely. Conventions and defaults are those of susieR::susie_rss with n; all pairs of
    variants enter the purity of a set (susieR samples 100 variants of larger sets).

    The posterior is an approximation: each effect is updated as if the others were known. Linkage that does not fit
    the study makes false sets: look at :func:`dxa_causal.mr.ld_check` first.

    References
    ----------
    Wang G et al. J R Stat Soc B 2020;82:1273-1300. doi:10.1111/rssb.12388

    Zou Y et al. PLoS Genet 2022;18:e1010299. doi:10.1371/journal.pgen.1010299

    Examples
    --------
    >>> d = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.02, 0.35, 0.31], "se": [0.05] * 3, "n": [400] * 3}
    >>> r = [[1.0, 0.1, 0.1], [0.1, 1.0, 0.9], [0.1, 0.9, 1.0]]
    >>> fit = susie(d, ld=r)
    >>> fit.tidy()[["set", "variant", "n_variants"]].to_dict("list")
    {'set': ['L1'], 'variant': ['rs2'], 'n_variants': [1]}
    """
    trait = locus_data(d, name="d")
    _check_options(n_effects, coverage, min_abs_r, prior_variance, max_iterations, tolerance)
    if not trait.signed:
        raise SummaryStatisticsError(f"{trait.name}: p-values have no sign, which linkage needs; give beta and se")
    if np.isnan(trait.n):
        raise SummaryStatisticsError(f"{trait.name}: n is missing; give the number of people as a column n or n=")
    alleles = trait.effect_allele, trait.other_allele
    r, kept = matched_ld(ld, trait.variant, trait.name, ridge=ridge, counted=ld_alleles, alleles=alleles)
    if kept.size < 2:
        return NotApplicable(f"{trait.name} has {kept.size} variant with linkage", method="SuSiE")
    require_semidefinite(r)
    z = trait.z[kept]
    found = fit(
        adjusted(z, trait.n),
        r,
        trait.n,
        n_effects=min(n_effects, kept.size),
        log_prior=_log_prior(prior_weights, trait.n_variants, kept),
        prior_variance=prior_variance,
        estimate_prior_variance=estimate_prior_variance,
        estimate_residual_variance=estimate_residual_variance,
        max_iterations=max_iterations,
        tolerance=tolerance,
    )
    if not found.converged:
        warn(f"{trait.name}: SuSiE did not converge in {max_iterations} iterations", ConvergenceWarning)
    linkage = "" if estimate_residual_variance else _doubts(found, z, r, trait)
    sets, n_impure = _credible_sets(found, r, coverage, min_abs_r)
    active = found.prior_variance > NO_EFFECT
    variant = trait.variant[kept]
    variant.flags.writeable = False
    lost = trait.n_variants - kept.size
    return SusieResult(
        trait=trait,
        variant=variant,
        z=read_only(z),
        position=read_only(trait.position[kept]),
        pip=read_only(inclusion(found.alpha[active]) if active.any() else np.zeros(kept.size)),
        alpha=read_only(found.alpha),
        mu=read_only(found.mu),
        log_bf_variable=read_only(found.log_bf_variable),
        prior_variance=read_only(found.prior_variance),
        log_bf=read_only(found.log_bf),
        elbo=read_only(found.elbo),
        residual_variance=found.residual_variance,
        converged=found.converged,
        sets=sets,
        n_impure=n_impure,
        coverage=coverage,
        nobs=kept.size,
        linkage=linkage,
        provenance=Provenance(
            call=f"mr.susie(d, ld=ld, n_effects={n_effects}, coverage={coverage!r}, min_abs_r={min_abs_r!r})",
            n_rows=trait.n_rows,
            n_used=kept.size,
            missing=trait.missing,
            notes=(*((f"{lost} variants are not in ld",) if lost else ()), *trait.notes),
        ),
    )


def _doubts(found: Fit, z: FloatArray, r: FloatArray, trait: LocusTrait) -> str:
    """Check the linkage where a single effect is likelier than any variant alone could be, or nothing settles.

    Of a few variants with strong effects the check says nothing: it takes the effects for inconsistency.
    """
    alone = 0.5 * float(np.max(adjusted(z, trait.n) ** 2))
    if z.size < _MANY or (found.converged and float(found.log_bf.max()) <= alone + _BEYOND):
        return ""
    said = verdict(kriging(adjusted(z, trait.n), r).s)
    if said:
        warn(f"{trait.name}: {said} (mr.ld_check)", SummaryStatisticsWarning)
    return said


def _check_options(
    n_effects: int, coverage: float, min_abs_r: float, prior_variance: float, max_iterations: int, tolerance: float
) -> None:
    check_whole_number("n_effects", n_effects, 1)
    check_whole_number("max_iterations", max_iterations, 1)
    check_coverage(coverage)
    if not 0.0 <= min_abs_r <= 1.0:
        raise OptionError(f"min_abs_r={min_abs_r!r} must lie between 0 and 1; 0.5 is usual")
    for name, value in (("prior_variance", prior_variance), ("tolerance", tolerance)):
        if not 0.0 < value < np.inf:
            raise OptionError(f"{name}={value!r} must be a positive number")


def _log_prior(weights: npt.ArrayLike | None, m: int, kept: IntArray) -> FloatArray:
    if weights is None:
        return np.full(kept.size, -np.log(kept.size))
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (m,) or not np.isfinite(given).all() or (given < 0.0).any() or given[kept].sum() <= 0.0:
        raise OptionError(f"prior_weights must be {m} numbers that are not negative and not all zero, one per variant")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(given[kept] / given[kept].sum()))


def _credible_sets(found: Fit, r: FloatArray, coverage: float, min_abs_r: float) -> tuple[tuple[CredibleSet, ...], int]:
    """Pure sets, the purest first, and how many were not pure; of equal sets the first counts."""
    sets: list[CredibleSet] = []
    seen: set[frozenset[int]] = set()
    n_impure = 0
    for effect in np.flatnonzero(found.prior_variance > NO_EFFECT):
        rows = smallest_set(found.alpha[effect], coverage)
        if frozenset(rows.tolist()) in seen:
            continue
        seen.add(frozenset(rows.tolist()))
        within = np.abs(r[np.ix_(rows, rows)])
        purity = float(within.min())
        if purity < min_abs_r:
            n_impure += 1
            continue
        pairs = within[np.triu_indices(rows.size, 1)]
        rows.flags.writeable = False
        sets.append(
            CredibleSet(
                effect=int(effect),
                rows=rows,
                coverage=float(found.alpha[effect, rows].sum()),
                purity=purity,
                mean_abs_r=float(pairs.mean()) if pairs.size else 1.0,
                log_bf=float(found.log_bf[effect]),
            )
        )
    return tuple(sorted(sets, key=lambda s: -s.purity)), n_impure
