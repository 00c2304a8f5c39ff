"""Colocalisation of two traits under one causal variant each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_whole_number
from dxa_causal.mr._kernels.bayes_factors import hypotheses, log_sum, sums
from dxa_causal.mr.locus.matching import check_prior, common_variants
from dxa_causal.mr.locus.trait import LocusTrait, locus_data
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

HYPOTHESES = ("PP.H0", "PP.H1", "PP.H2", "PP.H3", "PP.H4")


@dataclass(frozen=True, eq=False, repr=False)
class ColocResult(Result):
    """Posterior probabilities of the five hypotheses of colocalisation.

    Attributes
    ----------
    first, second : LocusTrait
    variant : (m,) ndarray of str
        Those that both traits have.
    log_bf : (2, m) ndarray
        Bayes factors of each trait, as natural logarithms.
    posterior : (5,) ndarray
        H0 no causal variant, H1 only for the first trait, H2 only for the
        second, H3 two different ones, H4 one for both.
    p1, p2, p12 : float
        Prior probabilities that a variant is causal for the first trait only, the second only, both.
    nobs : int
    """

    title: ClassVar[str] = "Colocalisation, one causal variant per trait"

    first: LocusTrait
    second: LocusTrait
    variant: npt.NDArray[np.object_]
    log_bf: FloatArray
    posterior: FloatArray
    p1: float
    p2: float
    p12: float
    nobs: int
    provenance: Provenance
    estimand: str = "whether one variant is causal for both traits"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row: n_variants, PP.H0 ... PP.H4, and the likeliest shared variant with its probability under H4.

        Posterior probabilities have no limits: the arguments change nothing.
        """
        shared = self._shared()
        best = int(np.argmax(shared))
        row = {"n_variants": self.nobs, **dict(zip(HYPOTHESES, self.posterior, strict=True))}
        return pd.DataFrame([{**row, "variant": self.variant[best], "SNP.PP.H4": shared[best]}])

    def variants(self) -> pd.DataFrame:
        """One row per variant: variant, position, z and log Bayes factor of each trait, SNP.PP.H4.

        SNP.PP.H4 is the probability that the variant is the shared one, given
        that there is one (H4); it means little where PP.H4 is small.
        """
        rows = common_variants([self.first, self.second])
        columns: dict[str, Any] = {"variant": self.variant, "position": self.first.position[rows[0]]}
        for k, trait in enumerate((self.first, self.second)):
            columns[f"z_{k + 1}"], columns[f"log_bf_{k + 1}"] = trait.z[rows[k]], self.log_bf[k]
        return pd.DataFrame({**columns, "SNP.PP.H4": self._shared()})

    def credible_set(self, coverage: float = 0.95) -> pd.DataFrame:
        """Fewest variants that hold the shared one with this probability, given H4: variant, SNP.PP.H4."""
        from dxa_causal.mr._kernels.susie_rss import smallest_set
        from dxa_causal.mr.locus.finemap import check_coverage

        check_coverage(coverage)
        shared = self._shared()
        rows = smallest_set(shared, coverage)
        return pd.DataFrame({"variant": self.variant[rows], "SNP.PP.H4": shared[rows]})

    def sensitivity(self, rule: str = "H4 > 0.5", *, n_points: int = 100) -> pd.DataFrame:
        """Posterior probabilities over prior probabilities p12 from p1 p2 to the smaller of p1 and p2.

        Parameters
        ----------
        rule : str
            A condition on H0 ... H4, for instance "H4 > 3 * H3 and H0 < 0.1".
        n_points : int

        Returns
        -------
        DataFrame
            p12, prior.H0 ... prior.H4 (of the hypotheses), PP.H0 ... PP.H4, passes (whether the rule holds).
        """
        check_whole_number("n_points", n_points, 2)
        low, high = np.log10(self.p1 * self.p2), np.log10(min(self.p1, self.p2))
        p12 = np.logspace(low, high, n_points)
        posterior = hypotheses(sums(self.log_bf[0], self.log_bf[1]), self.p1, self.p2, p12)
        prior = self._prior(p12)
        table = pd.DataFrame({"p12": p12})
        for k in range(5):
            table[f"prior.H{k}"] = prior[:, k]
        for k in range(5):
            table[f"PP.H{k}"] = posterior[:, k]
        return table.assign(passes=_holds(rule, posterior))

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, hypothesis (the likeliest), p1, p2, p12."""
        likeliest = f"H{int(np.argmax(self.posterior))}"
        row = {"n_variants": self.nobs, "hypothesis": likeliest, "p1": self.p1, "p2": self.p2, "p12": self.p12}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Posterior probabilities by the prior probability that a variant is shared."""
        from dxa_causal.plots.finemapping import sensitivity_plot

        return sensitivity_plot(self.sensitivity(), self.p12, ax)

    def _shared(self) -> FloatArray:
        both = self.log_bf.sum(axis=0)
        return np.asarray(np.exp(both - log_sum(both)))

    def _prior(self, p12: FloatArray) -> FloatArray:
        """Prior probabilities (k, 5) of the hypotheses."""
        n = float(self.nobs)
        same = np.ones_like(p12)
        parts = [n * self.p1 * same, n * self.p2 * same, n * (n - 1.0) * self.p1 * self.p2 * same, n * p12]
        return np.stack([1.0 - sum(parts), *parts], axis=-1)

    def _notes(self) -> list[str]:
        lines = []
        smallest = min(float(np.max(np.abs(t.z))) for t in (self.first, self.second))
        if smallest < 4.0:
            lines.append(
                f"one trait has no |z| above {smallest:.2g}: little power; H0 to H2 are likely whatever is true"
            )
        table = self.sensitivity("H4 > 0.5")
        if 0 < table["passes"].sum() < len(table):
            first = table.loc[table["passes"], "p12"].iloc[0]
            lines.append(f"PP.H4 is above one half only from p12 = {first:.2g} on")
        return [*lines, *super()._notes()]


def coloc_abf(
    d1: Any, d2: Any, *, p1: float = 1e-4, p2: float = 1e-4, p12: float = 1e-5
) -> ColocResult | NotApplicable:
    r"""Ask whether two traits share a causal variant in a region.

    Parameters
    ----------
    d1, d2 : frame, dict of columns or LocusTrait
        variant; beta and se, or p_value, n and eaf; type ("quant" or "cc");
        sdY, or n and eaf to estimate it. See :func:`dxa_causal.mr.locus_data`.
    p1, p2 : float
        Prior probability that a variant is causal for the first trait, for the second.
    p12 : float
        Prior probability that a variant is causal for both.

    Returns
    -------
    ColocResult or NotApplicable
        The latter with fewer than two common variants.

    Raises
    ------
    SummaryStatisticsError
        Columns are missing or hold impossible values, or the traits have no variant in common.

    Notes
    -----
    With Bayes factors :math:`B_{1i}, B_{2i}` of Wakefield the posterior odds against H0 are
    :math:`p_1 \sum_i B_{1i}` (H1), :math:`p_2 \sum_i B_{2i}` (H2),
    :math:`p_1 p_2 \sum_{i \ne j} B_{1i} B_{2j}` (H3) and :math:`p_{12} \sum_i B_{1i} B_{2i}` (H4).
    Sums are taken on the log scale. Each trait is assumed to have at most one
    causal variant, which both studies measured; where a trait has several,
    :func:`dxa_causal.mr.coloc_susie` separates them. The result depends on
    p12: see `sensitivity`. Effects enter squared, so alleles need no alignment.

    References
    ----------
    Giambartolomei C et al. PLoS Genet 2014;10:e1004383. doi:10.1371/journal.pgen.1004383

    Wallace C. PLoS Genet 2020;16:e1008720. doi:10.1371/journal.pgen.1008720

    Examples
    --------
    >>> d1 = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.02, 0.2, 0.05], "se": [0.05] * 3, "type": "quant", "sdY": 1}
    >>> d2 = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.01, -0.3, 0.1], "se": [0.06] * 3, "type": "cc"}
    >>> coloc_abf(d1, d2).tidy()[["PP.H3", "PP.H4", "variant"]].round(3).to_dict("list")
    {'PP.H3': [0.0], 'PP.H4': [0.968], 'variant': ['rs2']}
    """
    first, second = locus_data(d1, name="d1"), locus_data(d2, name="d2")
    rows = common_variants([first, second])
    m = rows[0].size
    for name, value in (("p1", p1), ("p2", p2), ("p12", p12)):
        check_prior(name, value, m)
    if m < 2:
        return NotApplicable(f"the traits have {m} variant in common; colocalisation needs a region", method="coloc")
    log_bf = np.stack([first.log_bayes_factors()[rows[0]], second.log_bayes_factors()[rows[1]]])
    variant = first.variant[rows[0]]
    variant.flags.writeable = False
    return ColocResult(
        first=first,
        second=second,
        variant=variant,
        log_bf=read_only(log_bf),
        posterior=read_only(hypotheses(sums(log_bf[0], log_bf[1]), p1, p2, p12)),
        p1=p1,
        p2=p2,
        p12=p12,
        nobs=m,
        provenance=Provenance(
            call=f"mr.coloc_abf(d1, d2, p1={p1!r}, p2={p2!r}, p12={p12!r})",
            n_rows=first.n_rows,
            n_used=m,
            missing=first.missing,
            notes=pair_notes(first, second, m),
        ),
    )


def pair_notes(first: LocusTrait, second: LocusTrait, m: int) -> tuple[str, ...]:
    """Say what was left out of each trait and what was estimated."""
    lines = [f"{m} variants in common; {first.name} has {first.n_variants}, {second.name} {second.n_variants}"]
    for trait in (first, second):
        empty = ", ".join(f"{column} {count}" for column, count in trait.missing.items())
        lines += [f"{trait.name}: rows left out for missing values ({empty})"] if empty else []
        lines += list(trait.notes)
    return tuple(lines)


def _holds(rule: str, posterior: FloatArray) -> npt.NDArray[np.bool_]:
    table = pd.DataFrame(posterior, columns=[f"H{k}" for k in range(5)])
    try:
        answer = np.asarray(table.eval(rule, engine="python"))
    except (SyntaxError, NameError, KeyError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise OptionError(
            f"rule={rule!r} cannot be read ({error}); write a condition on H0 ... H4, for instance 'H4 > 0.9'"
        ) from None
    if answer.shape != (len(table),) or answer.dtype != bool:
        raise OptionError(f"rule={rule!r} is no condition; write for instance 'H4 > 0.9'")
    return answer
