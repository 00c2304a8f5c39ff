"""Colocalisation of many traits: which of them share one causal variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels.many_traits import Shared, all_together
from dxa_causal.mr.locus.matching import check_prior, common_variants
from dxa_causal.mr.locus.trait import LocusTrait, locus_data
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
DropBy = Literal["regional", "alignment"]


@dataclass(frozen=True, eq=False, slots=True)
class TraitCluster:
    """Traits that share a causal variant.

    Attributes
    ----------
    traits : tuple of str
    regional, alignment : float
        Probabilities; their product is that of colocalisation.
    probability : (m,) ndarray
        Of each variant to be the shared one.
    """

    traits: tuple[str, ...]
    regional: float
    alignment: float
    probability: FloatArray

    @property
    def posterior(self) -> float:
        """Posterior probability of full colocalisation."""
        return self.regional * self.alignment


@dataclass(frozen=True, eq=False, repr=False)
class HyprColocResult(Result):
    """Clusters of traits that share a causal variant.

    Attributes
    ----------
    traits : tuple of LocusTrait
    variant : (m,) ndarray of str
    clusters : tuple of TraitCluster
    single : tuple of str
        Traits in no cluster.
    nobs : int
    """

    title: ClassVar[str] = "Colocalisation of many traits (HyPrColoc)"

    traits: tuple[LocusTrait, ...]
    variant: npt.NDArray[np.object_]
    clusters: tuple[TraitCluster, ...]
    single: tuple[str, ...]
    nobs: int
    provenance: Provenance
    estimand: str = "which traits share a causal variant"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per cluster: group, traits, posterior, regional, alignment, variant, variant_probability.

        Posterior probabilities have no limits: the arguments change nothing.
        """
        columns = ["group", "traits", "posterior", "regional", "alignment", "variant", "variant_probability"]
        rows = []
        for k, c in enumerate(self.clusters):
            best = int(np.argmax(c.probability))
            row = (str(k + 1), ", ".join(c.traits), c.posterior, c.regional, c.alignment)
            rows.append((*row, self.variant[best], c.probability[best]))
        return pd.DataFrame(rows, columns=columns)

    def variants(self) -> pd.DataFrame:
        """One row per variant and cluster: group, variant, variant_probability (to be the shared one)."""
        k = len(self.clusters)
        columns = {
            "group": np.repeat([str(i + 1) for i in range(k)], self.nobs),
            "variant": np.tile(self.variant, k),
            "variant_probability": np.concatenate([c.probability for c in self.clusters]) if k else np.empty(0),
        }
        return pd.DataFrame(columns)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_traits, n_clusters."""
        row = {"n_variants": self.nobs, "n_traits": len(self.traits), "n_clusters": len(self.clusters)}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Probability of each variant to be the shared one, a colour per cluster."""
        from dxa_causal.plots.finemapping import inclusion_plot

        position = self.traits[0].position[common_variants(self.traits)[0]]
        places = position if np.isfinite(position).all() else None
        highest = np.max([c.probability for c in self.clusters], axis=0) if self.clusters else np.zeros(self.nobs)
        sets = {", ".join(c.traits): np.array([np.argmax(c.probability)]) for c in self.clusters}
        return inclusion_plot(highest, places, sets=sets, ax=ax, trait="a cluster", legend="Likeliest shared")

    def _notes(self) -> list[str]:
        lines = [f"in no cluster: {', '.join(self.single)}"] if self.single else []
        return [*lines, *super()._notes()]


def hyprcoloc(
    traits: Mapping[str, Any] | Sequence[Any],
    *,
    p1: float = 1e-4,
    shared: float = 0.02,
    regional_threshold: float = 0.5,
    alignment_threshold: float = 0.5,
    drop_by: DropBy = "regional",
) -> HyprColocResult | NotApplicable:
    r"""Find the groups of traits that share one causal variant in a region.

    Parameters
    ----------
    traits : dict of str to frame, or sequence of frames
        Two or more, each as for :func:`dxa_causal.mr.locus_data`, from
        different people. A sequence is named T1, T2 ...
    p1 : float
        Prior probability that a variant is causal for one given trait.
    shared : float
        Prior probability that a variant causal for one trait is so for a second.
    regional_threshold, alignment_threshold : float
        A group stands when the product of its probabilities reaches the product of these.
    drop_by : {"regional", "alignment"}
        What decides which trait leaves a group that does not stand.

    Returns
    -------
    HyprColocResult or NotApplicable
        The latter with fewer than two common variants.

    Raises
    ------
    SummaryStatisticsError
        A trait is not usable, or no variant is in all of them.
    OptionError
        Fewer than two traits, or options outside their range.

    Notes
    -----
    With Bayes factors :math:`B_{ij}` of variant i for trait j of k, the full hypothesis weighs
    :math:`\pi_k \sum_i \prod_j B_{ij}`, :math:`\pi_k = p_1 \prod_{l=1}^{k-1} (1 - (1 - c)^l)`, c = `shared`.
    The regional probability compares it with none and with all traits but one; the alignment probability with all but
    one whose causal variant is another, prior :math:`p_1 \pi_{k-1}` (for two traits a quarter of it, as in the R
    package). A group whose product of both is too small loses one trait, and is tried again; the traits left out form
    the next group. Only the hypotheses nearest to the full one are counted, as in the R package (variant-specific
    priors, reg.steps = 1): the product approximates the posterior probability. One causal variant per
    trait is assumed. Effects enter squared, so alleles need no alignment.

    References
    ----------
    Foley CN et al. Nat Commun 2021;12:764. doi:10.1038/s41467-020-20885-8

    Examples
    --------
    >>> def trait(*z):
    ...     names = [f"rs{i}" for i in range(4)]
    ...     return {"variant": names, "beta": 0.05 * np.array(z), "se": 0.05, "type": "quant", "sdY": 1}
    >>> found = hyprcoloc({"bmd": trait(0, 7, 1, 0), "grip": trait(1, -8, 0, 1), "height": trait(1, 0, 0, 9)})
    >>> found.tidy()[["traits", "variant"]].to_dict("list"), found.single
    ({'traits': ['bmd, grip'], 'variant': ['rs1']}, ('height',))
    """
    check_option("drop_by", drop_by, DropBy)
    for name, value in (("shared", shared), ("regional_threshold", regional_threshold)):
        if not 0.0 < value < 1.0:
            raise OptionError(f"{name}={value!r} must lie strictly between 0 and 1")
    if not 0.0 < alignment_threshold < 1.0:
        raise OptionError(f"alignment_threshold={alignment_threshold!r} must lie strictly between 0 and 1")
    named = dict(traits) if isinstance(traits, Mapping) else {f"T{k + 1}": t for k, t in enumerate(traits)}
    if len(named) < 2:
        raise OptionError(f"traits: {len(named)} given; at least two are needed")
    data = tuple(locus_data(frame, name=str(name)) for name, frame in named.items())
    rows = common_variants(data)
    m = rows[0].size
    check_prior("p1", p1, m)
    if m < 2:
        return NotApplicable(f"the traits have {m} variant in common; a region is needed", method="HyPrColoc")
    log_bf = np.column_stack([t.log_bayes_factors()[r] for t, r in zip(data, rows, strict=True)])
    names = tuple(str(name) for name in named)
    clusters, single = _divide(log_bf, names, p1, shared, regional_threshold * alignment_threshold, drop_by)
    variant = data[0].variant[rows[0]]
    variant.flags.writeable = False
    sizes = ", ".join(f"{name} {t.n_variants}" for name, t in zip(names, data, strict=True))
    return HyprColocResult(
        traits=data,
        variant=variant,
        clusters=clusters,
        single=single,
        nobs=m,
        provenance=Provenance(
            call=f"mr.hyprcoloc(traits, p1={p1!r}, shared={shared!r}, drop_by={drop_by!r})",
            n_rows=data[0].n_rows,
            n_used=m,
            missing=data[0].missing,
            notes=(f"{m} variants in common of {sizes}", *(note for t in data for note in t.notes)),
        ),
    )


def _divide(
    log_bf: FloatArray, names: tuple[str, ...], p1: float, shared: float, threshold: float, drop_by: DropBy
) -> tuple[tuple[TraitCluster, ...], tuple[str, ...]]:
    """Clusters and the traits outside of any, by dropping traits one by one."""
    left = list(range(len(names)))
    clusters: list[TraitCluster] = []
    single: list[int] = []
    while len(left) > 1:
        group = list(left)
        found = all_together(log_bf[:, group], p1, shared)
        while len(group) > 1 and found.regional * found.alignment < threshold:
            group.pop(_leaving(found, drop_by))
            if len(group) > 1:
                found = all_together(log_bf[:, group], p1, shared)
        if len(group) > 1:
            members = tuple(names[j] for j in group)
            clusters.append(TraitCluster(members, found.regional, found.alignment, read_only(found.variant)))
        else:
            single += group
        left = [j for j in left if j not in group]
    return tuple(clusters), tuple(names[j] for j in sorted(single + left))


def _leaving(found: Shared, drop_by: DropBy) -> int:
    return found.drop_regional if drop_by == "regional" else found.drop_alignment
