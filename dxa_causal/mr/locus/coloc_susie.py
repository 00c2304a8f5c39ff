"""Colocalisation with several causal variants per trait: every pair of credible sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr._kernels.bayes_factors import hypotheses, log_sum, sums
from dxa_causal.mr.locus.coloc import HYPOTHESES, pair_notes
from dxa_causal.mr.locus.linkage import named_ld
from dxa_causal.mr.locus.matching import NO_ALLELES, check_prior, turned_to
from dxa_causal.mr.locus.susie import susie
from dxa_causal.mr.locus.susie_result import SusieResult
from dxa_causal.mr.locus.trait import locus_data
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

_LEAST_OVERLAP = 0.5  # of a signal's posterior probability that the common variants must hold


@dataclass(frozen=True, eq=False, repr=False)
class ColocSusieResult(Result):
    """Posterior probabilities of the five hypotheses for every pair of credible sets.

    Attributes
    ----------
    first, second : SusieResult
    variant : (m,) ndarray of str
        Common variants.
    pairs : tuple of (str, str)
        Names of the sets of each pair.
    log_bf : (k, 2, m) ndarray
        Bayes factors of the two signals of each pair, as natural logarithms.
    posterior : (k, 5) ndarray
    p1, p2, p12 : float
    nobs : int
    """

    title: ClassVar[str] = "Colocalisation of pairs of signals (SuSiE)"

    first: SusieResult
    second: SusieResult
    variant: npt.NDArray[np.object_]
    pairs: tuple[tuple[str, str], ...]
    log_bf: FloatArray
    posterior: FloatArray
    p1: float
    p2: float
    p12: float
    nobs: int
    provenance: Provenance
    estimand: str = "which causal variants the traits share"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per pair: set_1, set_2, hit_1, hit_2 (likeliest variants), n_variants, PP.H0 ... PP.H4, variant.

        `variant` is the likeliest shared one, SNP.PP.H4 its probability under
        H4. Posterior probabilities have no limits: the arguments change nothing.
        """
        hits = self.variant[self.log_bf.argmax(axis=2)]
        shared = self._shared()
        best = shared.argmax(axis=1)
        table = pd.DataFrame(self.pairs, columns=["set_1", "set_2"])
        table = table.assign(hit_1=hits[:, 0], hit_2=hits[:, 1], n_variants=self.nobs)
        for k, name in enumerate(HYPOTHESES):
            table[name] = self.posterior[:, k]
        return table.assign(**{"variant": self.variant[best], "SNP.PP.H4": shared[np.arange(best.size), best]})

    def variants(self) -> pd.DataFrame:
        """One row per variant and pair: set_1, set_2, variant, SNP.PP.H4 (its probability to be shared, given H4)."""
        k, m = len(self.pairs), self.nobs
        names = np.repeat(np.array(self.pairs, dtype=object), m, axis=0)
        columns = {"set_1": names[:, 0], "set_2": names[:, 1], "variant": np.tile(self.variant, k)}
        return pd.DataFrame({**columns, "SNP.PP.H4": self._shared().ravel()})

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_pairs, p1, p2, p12."""
        row = {"n_variants": self.nobs, "n_pairs": len(self.pairs), "p1": self.p1, "p2": self.p2, "p12": self.p12}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Stacked bars of the five posterior probabilities, one per pair."""
        from dxa_causal.plots.finemapping import hypotheses_plot

        table = self.tidy()
        labels = [f"{a} ({x}), {b} ({y})" for a, b, x, y in table.iloc[:, :4].itertuples(index=False)]
        return hypotheses_plot(labels, self.posterior, ax)

    def _shared(self) -> FloatArray:
        both = self.log_bf.sum(axis=1)
        return np.asarray(np.exp(both - log_sum(both)[:, None]))


def coloc_susie(
    d1: Any,
    d2: Any,
    *,
    ld: Any = None,
    ld2: Any = None,
    ld_alleles: Any = None,
    p1: float = 1e-4,
    p2: float = 1e-4,
    p12: float = 5e-6,
    n_effects: int = 10,
    coverage: float = 0.95,
    ridge: float = 0.0,
) -> ColocSusieResult | NotApplicable:
    """Ask which causal variants two traits share, where a trait may have several.

    Parameters
    ----------
    d1, d2 : frame, dict of columns, LocusTrait or SusieResult
        variant, beta, se, n; or what :func:`dxa_causal.mr.susie` returned.
    ld : array_like or DataFrame
        Correlations, as for :func:`dxa_causal.mr.susie`; not needed for a SusieResult. An array without names is in
        the order of `d1`, whatever the order of `d2`.
    ld2 : array_like or DataFrame, optional
        Those of the second trait where they differ (another ancestry).
    ld_alleles : mapping or Series of str, optional
        Allele that `ld` and `ld2` count, by variant; by default the effect alleles of `d1`. The second trait is
        turned to the alleles of the first where both frames have effect_allele and other_allele.
    p1, p2, p12 : float
        Prior probability that a variant is causal for the first trait, the second, both.
    n_effects : int
    coverage : float
    ridge : float
        As for :func:`dxa_causal.mr.susie`.

    Returns
    -------
    ColocSusieResult or NotApplicable
        The latter where a trait has no credible set, or the common variants
        hold less than half of every signal; :func:`dxa_causal.mr.coloc_abf` may still apply.

    Raises
    ------
    SummaryStatisticsError
        As for :func:`dxa_causal.mr.susie`, or the traits have no variant in common.

    Notes
    -----
    For each pair of credible sets the Bayes factors of the two single effects
    take the place of those of the traits in :func:`dxa_causal.mr.coloc_abf`.
    As in the R package coloc, a pair is left out, and counted, where the
    common variants hold less than half of the posterior of a signal; the
    default p12 is half that of `coloc_abf`.

    References
    ----------
    Wallace C. PLoS Genet 2021;17:e1009440. doi:10.1371/journal.pgen.1009440

    Examples
    --------
    >>> d = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.4, 0.02, -0.35], "se": [0.05] * 3, "n": [400] * 3}
    >>> r = [[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0]]
    >>> fit = coloc_susie(d, d, ld=r)
    >>> fit.tidy()["PP.H4"].round(2).tolist()  # first with first, third with first ...
    [1.0, 0.0, 0.0, 1.0]
    """
    for name, value in (("p1", p1), ("p2", p2), ("p12", p12)):
        check_prior(name, value)
    fits: list[SusieResult] = []
    for name, d, r in (("d1", d1, ld), ("d2", d2, ld if ld2 is None else ld2)):
        if isinstance(d, SusieResult):
            fits.append(d)
            continue
        if r is None:
            raise SummaryStatisticsError(f"{name}: ld is missing; give correlations, or a result of mr.susie")
        trait = locus_data(d, name=name)
        r = named_ld(r, fits[0].trait.variant if fits and ld2 is None else trait.variant)
        trait = turned_to(fits[0].trait, trait) if fits else trait
        one = susie(trait, ld=r, ld_alleles=ld_alleles, n_effects=n_effects, coverage=coverage, ridge=ridge)
        if isinstance(one, NotApplicable):
            return NotApplicable(one.reason, method="coloc with SuSiE")
        fits.append(one)
    first, second = fits
    for name, one in (("d1", first), ("d2", second)):
        if not one.sets:
            return NotApplicable(f"{name} has no credible set; coloc_abf needs none", method="coloc with SuSiE")
    return _every_pair(first, second, p1, p2, p12)


def _every_pair(
    first: SusieResult, second: SusieResult, p1: float, p2: float, p12: float
) -> ColocSusieResult | NotApplicable:
    place = pd.Index(second.variant).get_indexer(first.variant)
    rows = np.flatnonzero(place >= 0), place[place >= 0]
    m = rows[0].size
    if not m:
        raise SummaryStatisticsError(
            f"d1 and d2 have no variant in common: d1 has {', '.join(map(repr, first.variant[:2]))}, d2 "
            f"{', '.join(map(repr, second.variant[:2]))}"
        )
    for name, value in (("p1", p1), ("p2", p2), ("p12", p12)):
        check_prior(name, value, m)
    held = [
        [log_sum(bf[r]) - log_sum(bf) >= np.log(_LEAST_OVERLAP) for bf in _signals(one)]
        for one, r in zip((first, second), rows, strict=True)
    ]
    factors = [_signals(one)[:, r] for one, r in zip((first, second), rows, strict=True)]
    chosen = [(i, j) for j in range(len(second.sets)) for i in range(len(first.sets)) if held[0][i] and held[1][j]]
    if not chosen:
        return NotApplicable(
            f"the {m} common variants hold less than half of each signal's posterior probability",
            method="coloc with SuSiE",
        )
    log_bf = np.stack([np.stack([factors[0][i], factors[1][j]]) for i, j in chosen])
    left_out = len(first.sets) * len(second.sets) - len(chosen)
    variant = first.variant[rows[0]]
    variant.flags.writeable = False
    notes = list(pair_notes(first.trait, second.trait, m))
    if first.trait.effect_allele is None or second.trait.effect_allele is None:
        notes.append(NO_ALLELES)
    notes += [f"{fit.trait.name}: {fit.linkage}" for fit in (first, second) if fit.linkage]
    for fit in (first, second):
        if fit.nobs < fit.trait.n_variants:
            notes.append(f"{fit.trait.n_variants - fit.nobs} variants of {fit.trait.name} are not in ld")
    if left_out:
        notes.append(f"{left_out} pairs left out: the common variants hold less than half of a signal")
    return ColocSusieResult(
        first=first,
        second=second,
        variant=variant,
        pairs=tuple((first.sets[i].name, second.sets[j].name) for i, j in chosen),
        log_bf=read_only(log_bf),
        posterior=read_only(hypotheses(sums(log_bf[:, 0], log_bf[:, 1]), p1, p2, p12)),
        p1=p1,
        p2=p2,
        p12=p12,
        nobs=m,
        provenance=Provenance(
            call=f"mr.coloc_susie(d1, d2, ld=ld, p1={p1!r}, p2={p2!r}, p12={p12!r})",
            n_rows=first.trait.n_rows,
            n_used=m,
            missing=first.trait.missing,
            notes=tuple(notes),
        ),
    )


def _signals(one: SusieResult) -> FloatArray:
    """Log Bayes factors (k, p) of the single effects that have a credible set."""
    return np.asarray(one.log_bf_variable[[s.effect for s in one.sets]])
