"""MR-Clust: groups of variants with one ratio estimate, apart from those without effect and those like no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.options import check_whole_number
from dxa_causal._core.rng import Seed, generator
from dxa_causal.mr._kernels.clusters import Mixture, Ratios, fit, prepare, shrink
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.estimator import Estimator, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_NEEDS = Estimator("MR-Clust", lambda h, settings: [], least=4)
_ALWAYS, _RISES = 10, 5  # clusters that are always tried; then the search ends after so many rises of BIC in a row


@dataclass(frozen=True, eq=False, repr=False)
class ClustersResult(Result):
    """Clusters of ratio estimates.

    Attributes
    ----------
    harmonised : Harmonised
    means : (k,) ndarray
        Of the clusters, in rising order.
    weights : (k + 2,) ndarray
        Shares of the clusters, of the null cluster and of the junk cluster.
    probabilities : (n, k + 2) ndarray
        That a variant belongs to each of them.
    ratios, std_errors : (n,) ndarray
    log_likelihoods, bics : (m,) ndarray
        For 0, 1 ... clusters, as far as was searched.
    junk_scale : float
        Of the junk cluster's t distribution.
    nobs : int
    """

    title: ClassVar[str] = "MR-Clust"

    harmonised: Harmonised
    means: FloatArray
    weights: FloatArray
    probabilities: FloatArray
    ratios: FloatArray
    std_errors: FloatArray
    log_likelihoods: FloatArray
    bics: FloatArray
    junk_scale: float
    nobs: int
    provenance: Provenance
    estimand: str = "effects of the exposure on the outcome per unit of the exposure, one per cluster of variants"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clusters: "1", "2" ..., "null", "junk"."""
        return (*(str(k + 1) for k in range(self.means.size)), "null", "junk")

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per cluster: term, estimate (its mean), n_variants (for which it is the likeliest), weight (share).

        The mean of "null" is zero; "junk" has none. There are no standard
        errors: `conf_level` changes nothing.
        """
        estimate = np.concatenate([self.means, [0.0, np.nan]])
        count = np.bincount(self.probabilities.argmax(axis=1), minlength=estimate.size)
        columns = {"term": self.names, "estimate": np.exp(estimate) if exponentiate else estimate, "n_variants": count}
        return pd.DataFrame(columns).assign(weight=self.weights)

    def assignments(self, *, min_probability: float = 0.0, min_variants: int = 1) -> pd.DataFrame:
        """One row per variant: variant, estimate and std_error of its ratio, likeliest cluster, probabilities.

        Left out are variants below `min_probability` and then clusters of
        fewer than `min_variants`; 0.8 and 4 are the paper's choice for
        clusters that are to be interpreted.
        """
        best = self.probabilities.argmax(axis=1)
        table = pd.DataFrame(
            {
                "variant": self.harmonised.table["variant"].to_numpy(),
                "estimate": self.ratios,
                "std_error": self.std_errors,
                "cluster": np.array(self.names, dtype=object)[best],
                "probability": self.probabilities.max(axis=1),
            }
        )
        for k, name in enumerate(self.names):
            table[f"probability_{name}"] = self.probabilities[:, k]
        table = table[table["probability"] >= min_probability]
        return table[table.groupby("cluster")["variant"].transform("size") >= min_variants].reset_index(drop=True)

    def numbers(self) -> pd.DataFrame:
        """One row per number of clusters tried: n_clusters, log_likelihood, bic."""
        columns = {"log_likelihood": self.log_likelihoods, "bic": self.bics}
        return pd.DataFrame({"n_clusters": np.arange(self.bics.size), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_clusters (null and junk not counted), log_likelihood, bic."""
        k = self.means.size
        row = {"n_variants": self.nobs, "n_clusters": k, "log_likelihood": self.log_likelihoods[k], "bic": self.bics[k]}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Scatter of the variants coloured by cluster, with a line through the origin for each cluster."""
        from dxa_causal.plots.mr_clusters import cluster_scatter

        h = self.harmonised
        cluster = self.assignments()["cluster"].to_numpy()
        return cluster_scatter(h.table, cluster, self.means, ax=ax, exposure=h.exposure, outcome=h.outcome)

    def _notes(self) -> list[str]:
        table = self.tidy().iloc[: self.means.size]
        small = table.loc[table["n_variants"] < 4, "term"]
        lines = [f"clusters of fewer than 4 variants, not to be interpreted: {', '.join(small)}"] if len(small) else []
        if self.means.size == self.bics.size - 1:
            lines.append("the largest number of clusters tried was chosen: a larger max_clusters may find more")
        return [*lines, *super()._notes()]


def clusters(harmonised: Harmonised, *, max_clusters: int = 10, seed: Seed = None) -> ClustersResult | NotApplicable:
    r"""Find groups of variants whose ratio estimates agree.

    Parameters
    ----------
    harmonised : Harmonised
    max_clusters : int
        Largest number of clusters tried, at most as many as variants. From
        10 on the search ends where BIC has risen five times in a row.
    seed : int, Generator or None
        For the starts of the search.

    Returns
    -------
    ClustersResult or NotApplicable
        The latter with fewer than four variants or a variant without effect
        on the exposure.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    Ratios :math:`r_j = y_j / x_j` with :math:`s_j = \sigma_{yj} / |x_j|` have the density
    :math:`\sum_k \pi_k N(r_j; \mu_k, s_j^2) + \pi_0 N(r_j; 0, s_j^2) + \pi_J\, t_4(r_j / \sigma) / \sigma`, where
    :math:`\sigma` is the range of the ratios plus the standard error of the
    most extreme one. The likelihood is maximised by expectation-maximisation from several
    starts (k-means, random, one cluster more where the smaller mixture fits
    worst, one cluster less than the larger mixture), and the number K of clusters minimises
    :math:`-2 \log L + (2K + 1) \log n`.

    Conventions of the R package mrclust. It takes fewer starts and so misses
    likelihoods that are found here; its BIC then may choose another K.
    A few outliers that are known precisely often end up as clusters of one or
    two variants rather than as junk: these should not be interpreted. Nor does a
    cluster tell why its variants agree. Simulated 100 times each with 50 variants in
    one or two clusters and a null cluster, at least 98 had the right K.

    References
    ----------
    Foley CN et al. Bioinformatics 2021;37:531-541. doi:10.1093/bioinformatics/btaa778

    Examples
    --------
    >>> x, wave = np.linspace(0.1, 0.3, 20), 0.005 * np.cos(3 * np.arange(20))
    >>> effect = np.repeat([0.5, -0.3], 10)
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=x, se_exposure=[0.01] * 20, beta_outcome=effect * x + wave, se_outcome=[0.005] * 20
    ... )
    >>> clusters(h, seed=1).tidy()[["term", "estimate", "n_variants"]].round(1).to_dict("list")
    {'term': ['1', '2', 'null', 'junk'], 'estimate': [-0.3, 0.5, 0.0, nan], 'n_variants': [10, 10, 0, 0]}
    """
    refuse_correlated(harmonised)
    check_whole_number("max_clusters", max_clusters, 1)
    h, n = harmonised, harmonised.n_variants
    reason = _NEEDS.reason(h)
    if reason:
        return NotApplicable(reason, method="MR-Clust")
    data = prepare(h.beta_outcome / h.beta_exposure, h.se_outcome / np.abs(h.beta_exposure))
    tried = _search(data, min(max_clusters, n), generator(seed))
    bics = np.array([mixture.bic() for mixture in tried])
    best = tried[int(np.argmin(bics))]
    return ClustersResult(
        harmonised=h,
        means=read_only(best.means),
        weights=read_only(best.weights),
        probabilities=read_only(best.probabilities),
        ratios=read_only(data.ratio),
        std_errors=read_only(data.se),
        log_likelihoods=read_only([mixture.log_likelihood for mixture in tried]),
        bics=read_only(bics),
        junk_scale=data.junk_scale,
        nobs=n,
        provenance=Provenance(
            call=f"mr.clusters(harmonised, max_clusters={max_clusters}, seed={seed_shown(seed)!r})",
            n_rows=n,
            n_used=n,
            seed=seed_shown(seed),
            notes=(),
        ),
    )


def _search(data: Ratios, most: int, rng: np.random.Generator) -> list[Mixture]:
    """Mixtures of 0, 1 ... clusters."""
    tried = [fit(data, 0, None, rng)]
    for k in range(1, most + 1):
        tried.append(fit(data, k, tried[-1], rng))
        if k >= _ALWAYS and all(np.diff([mixture.bic() for mixture in tried[-_RISES - 1 :]]) > 0):
            break
    for k in range(len(tried) - 2, 0, -1):
        tried[k] = shrink(data, tried[k + 1], tried[k])
    return tried
