"""Whether z statistics fit the linkage they are analysed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.kriging import kriging
from dxa_causal.mr._kernels.susie_rss import adjusted
from dxa_causal.mr.locus.linkage import matched_ld
from dxa_causal.mr.locus.trait import LocusTrait, locus_data
from dxa_causal.results import NotApplicable, Provenance, Result, Summary, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

_LOG_RATIO, _LEAST_Z = 2.0, 2.0  # susieR's rule for a variant whose sign looks turned
# s from which one speaks up: panels of 500 people give 0.03 without a signal and up to 0.15 with strong ones; alleles
# coded otherwise, other people's linkage or r squared give 0.3 and more
_SUSPECT, _WRONG = 0.05, 0.2
_ENOUGH = 20  # variants from which on correlations without a single negative one are strange


@dataclass(frozen=True, eq=False, repr=False)
class LDCheck(Result):
    """How well z statistics fit correlations, in all and variant by variant.

    Attributes
    ----------
    variant : (p,) ndarray of str
    z : (p,) ndarray
        Adjusted for n where it is known.
    expected, sd : (p,) ndarray
        Mean and standard deviation of each z given the others.
    log_ratio : (p,) ndarray
        Log likelihood of the turned sign over that of the sign given.
    inconsistency : float
        s between 0 (fits) and 1 (as good as unrelated).
    smallest_eigenvalue, smallest_correlation : float
        Of the linkage as given.
    nobs : int
    """

    title: ClassVar[str] = "Fit of z statistics and linkage"

    variant: npt.NDArray[np.object_]
    z: FloatArray
    expected: FloatArray
    sd: FloatArray
    log_ratio: FloatArray
    inconsistency: float
    smallest_eigenvalue: float
    smallest_correlation: float
    nobs: int
    provenance: Provenance
    estimand: str = "agreement of z statistics with the correlations of the variants"

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        """Variants likelier with their sign turned: log ratio above 2 and z beyond 2 either way."""
        return np.asarray((self.log_ratio > _LOG_RATIO) & (np.abs(self.z) > _LEAST_Z))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per variant: variant, statistic (z), expected, std_error, z_difference, log_ratio, flagged.

        `z_difference` is the distance from the expected z in standard deviations. The arguments change nothing.
        """
        columns = {"variant": self.variant, "statistic": self.z, "expected": self.expected, "std_error": self.sd}
        difference = (self.z - self.expected) / self.sd
        return pd.DataFrame(
            {**columns, "z_difference": difference, "log_ratio": self.log_ratio, "flagged": self.flagged}
        )

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, inconsistency, n_flagged, smallest_eigenvalue."""
        row = {"n_variants": self.nobs, "inconsistency": self.inconsistency, "n_flagged": int(self.flagged.sum())}
        return pd.DataFrame([{**row, "smallest_eigenvalue": self.smallest_eigenvalue}])

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Variants that stand out (or the five furthest from what is expected), and the row of `glance`."""
        table = self.tidy()
        furthest = table["z_difference"].abs().sort_values(ascending=False).index[:5]
        shown = table[table["flagged"]].head(20) if self.flagged.any() else table.loc[furthest]
        return Summary(self.title, [shown, self.glance()], self._notes())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Observed against expected z statistics, flagged variants in colour."""
        from dxa_causal.plots.finemapping import expected_plot

        return expected_plot(self.z, self.expected, self.flagged, ax)

    def _notes(self) -> list[str]:
        lines = []
        if said := verdict(self.inconsistency):
            lines.append(said)
        if self.smallest_correlation >= 0.0 and self.nobs >= _ENOUGH:
            lines.append("no correlation is negative: is this r squared? r with its sign is needed")
        if self.flagged.any():
            lines.append(f"{int(self.flagged.sum())} variants look as if their alleles were exchanged")
        if self.smallest_eigenvalue < -1e-6:
            lines.append(f"the linkage has negative eigenvalues (smallest {self.smallest_eigenvalue:.2g}), taken as 0")
        return [*lines, *super()._notes()]


def verdict(inconsistency: float) -> str:
    """What an inconsistency means, in words; empty where it is small."""
    if inconsistency <= _SUSPECT:
        return ""
    found = f"inconsistency of z statistics and linkage {inconsistency:.2g}"
    if inconsistency <= _WRONG:
        return (
            f"{found}: a panel of a few hundred people gives that where signals are strong, and so does another "
            f"ancestry; expect false or shifted credible sets"
        )
    return (
        f"{found}: the linkage is not that of the study (alleles or order exchanged, another ancestry, r squared in "
        f"place of r); do not fine-map with it"
    )


def ld_check(z: Any, ld: Any, n: float | None = None, *, ld_alleles: Any = None) -> LDCheck | NotApplicable:
    r"""Check z statistics against the correlations of their variants.

    Parameters
    ----------
    z : (p,) array_like, frame, dict of columns or LocusTrait
        z statistics, or the columns variant, beta, se, n as for :func:`dxa_causal.mr.locus_data`.
    ld : (p, p) array_like or DataFrame
        Correlations r (with sign) of the effect alleles. A frame is matched by names where `z` has names.
    n : float, optional
        People; that of the frame where omitted.
    ld_alleles : mapping or Series of str, optional
        Allele that `ld` counts, by variant; by default it counts the effect alleles of `z`.

    Returns
    -------
    LDCheck or NotApplicable
        The latter with fewer than three variants.

    Raises
    ------
    SummaryStatisticsError
        z is not finite, names do not match, or `ld` holds no correlations.

    Notes
    -----
    Under the null :math:`z \sim N(0, (1 - s) R + s I)`; the inconsistency s maximises this likelihood, negative
    eigenvalues taken as 0. With :math:`\Omega = ((1 - s) R + s I)^{-1}` each :math:`z_j` has, given the others, mean
    :math:`z_j - (\Omega z)_j / \Omega_{jj}` and variance :math:`1 / \Omega_{jj}`. Its density is a mixture of normals
    with these times a grid of standard deviations, weights fitted over all variants; `log_ratio` compares -z with z.
    As in susieR (estimate_s_rss with "null-mle", kriging_rss), with n the z statistics are shrunk first by
    :math:`\sqrt{(n-1)/(z^2+n-2)}`. With the linkage of a panel strong true signals raise s: of 500 people it is about
    0.03 without a signal, 0.04 to 0.15 with z of 10 to 40; exchanged alleles, strangers or r squared give 0.3 and more.

    References
    ----------
    Zou Y et al. PLoS Genet 2022;18:e1010299. doi:10.1371/journal.pgen.1010299

    Examples
    --------
    >>> r = 0.95 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    >>> z = 5 * r[10]
    >>> z[12] *= -1  # alleles exchanged
    >>> check = ld_check(z, r, n=5000)
    >>> np.flatnonzero(check.flagged).tolist()
    [12]
    """
    trait = z if isinstance(z, LocusTrait) else None
    if trait is None and (isinstance(z, dict) or hasattr(z, "columns") or hasattr(z, "collect_schema")):
        trait = locus_data(z, name="z")
    if trait is not None and not trait.signed:
        raise SummaryStatisticsError(f"{trait.name}: p-values have no sign, which linkage needs; give beta and se")
    given = np.asarray(z, dtype=np.float64) if trait is None else trait.z
    if given.ndim != 1 or not np.isfinite(given).all():
        raise SummaryStatisticsError(f"z must be finite numbers, one per variant; its shape is {given.shape}")
    if trait is not None:
        variant = trait.variant
    elif isinstance(ld, pd.DataFrame) and len(ld.columns) == given.size:
        variant = np.array([str(c) for c in ld.columns], dtype=object)
    else:
        variant = np.array([str(i) for i in range(given.size)], dtype=object)
    alleles = (None, None) if trait is None else (trait.effect_allele, trait.other_allele)
    r, kept = matched_ld(ld, variant, "z", counted=ld_alleles, alleles=alleles)
    if kept.size < 3:
        return NotApplicable(f"{kept.size} variants; each is compared with the others", method="LD check")
    people = trait.n if n is None and trait is not None else n
    known = people is not None and np.isfinite(people)
    if known and not float(people or 0.0) > 2.0:
        raise OptionError(f"n={people!r} must be greater than 2")
    used = adjusted(given[kept], float(people)) if known and people is not None else given[kept]
    found = kriging(used, r)
    names = variant[kept]
    names.flags.writeable = False
    n_rows = trait.n_rows if trait is not None else given.size
    return LDCheck(
        variant=names,
        z=read_only(used),
        expected=read_only(found.expected),
        sd=read_only(found.sd),
        log_ratio=read_only(found.log_lr),
        inconsistency=found.s,
        smallest_eigenvalue=found.smallest,
        smallest_correlation=float(r.min()),
        nobs=kept.size,
        provenance=Provenance(
            call=f"mr.ld_check(z, ld, n={people!r})",
            n_rows=n_rows,
            n_used=kept.size,
            missing={} if trait is None else trait.missing,
            notes=(
                *(() if known else ("n unknown: z statistics are taken as they are",)),
                *((f"{given.size - kept.size} variants are not in ld",) if kept.size < given.size else ()),
            ),
        ),
    )
