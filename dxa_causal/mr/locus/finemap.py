"""Fine-mapping of one trait under at most one causal variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal.mr._kernels.bayes_factors import log_sum
from dxa_causal.mr._kernels.susie_rss import smallest_set
from dxa_causal.mr.locus.matching import check_prior
from dxa_causal.mr.locus.trait import LocusTrait, locus_data
from dxa_causal.results import Provenance, Result, Summary, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


def check_coverage(coverage: float) -> None:
    """Refuse a coverage outside (0, 1)."""
    if not 0.0 < coverage < 1.0:
        raise OptionError(f"coverage={coverage!r} must lie strictly between 0 and 1; 0.95 is usual")


@dataclass(frozen=True, eq=False, repr=False)
class FinemapResult(Result):
    """Posterior probability of each variant to be the causal one.

    Attributes
    ----------
    trait : LocusTrait
    pip : (m,) ndarray
        Posterior probability to be causal, per variant.
    null : float
        Posterior probability that no variant is.
    p1 : float
    nobs : int
    """

    title: ClassVar[str] = "Fine-mapping, at most one causal variant"

    trait: LocusTrait
    pip: FloatArray
    null: float
    p1: float
    nobs: int
    provenance: Provenance
    estimand: str = "which variant is causal"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per variant, the likeliest first, and the row "null": variant, statistic (z), log_bf, pip.

        Posterior probabilities have no limits: the arguments change nothing.
        """
        table = self.trait.table()[["variant", "statistic", "log_bf"]].assign(pip=self.pip)
        null = pd.DataFrame({"variant": ["null"], "statistic": [0.0], "log_bf": [0.0], "pip": [self.null]})
        order = np.argsort(-self.pip, kind="stable")
        return pd.concat([table.iloc[order], null], ignore_index=True)

    def credible_set(self, coverage: float = 0.95) -> pd.DataFrame:
        """Fewest variants that hold the causal one with this probability, given that there is one: variant, pip.

        The probabilities shown are not conditional.
        """
        check_coverage(coverage)
        rows = smallest_set(self.pip / self.pip.sum(), coverage)
        return pd.DataFrame({"variant": self.trait.variant[rows], "pip": self.pip[rows]})

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_credible (variants in the 95% set), null_probability, p1."""
        row = {"n_variants": self.nobs, "n_credible": len(self.credible_set()), "null_probability": self.null}
        return pd.DataFrame([{**row, "p1": self.p1}])

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Ten likeliest variants and the row "null", the row of `glance`, and notes."""
        table = self.tidy()
        shown = pd.concat([table.iloc[: min(10, self.nobs)], table.iloc[-1:]])
        return Summary(self.title, [shown, self.glance()], self._notes())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Posterior probabilities by position, the 95% credible set in colour."""
        from dxa_causal.plots.finemapping import inclusion_plot

        position = self.trait.position if np.isfinite(self.trait.position).all() else None
        rows = smallest_set(self.pip / self.pip.sum(), 0.95)
        return inclusion_plot(
            self.pip, position, sets={"95%": rows}, ax=ax, trait=self.trait.name, names=list(self.trait.variant)
        )

    def _notes(self) -> list[str]:
        lines = [f"{t}" for t in self.trait.notes]
        if self.null > 0.5:
            lines.append(f"no causal variant is likelier than one (probability {self.null:.3g})")
        return [*lines, *super()._notes()]


def finemap_abf(d: Any, *, p1: float = 1e-4) -> FinemapResult:
    r"""Ask which variant of a region is causal, if at most one is.

    Parameters
    ----------
    d : frame, dict of columns or LocusTrait
        As for :func:`dxa_causal.mr.locus_data`.
    p1 : float
        Prior probability that a variant is causal.

    Returns
    -------
    FinemapResult

    Raises
    ------
    SummaryStatisticsError
        Columns are missing or hold impossible values.
    OptionError
        A prior of 1 or more over all variants.

    Notes
    -----
    The posterior of variant i is :math:`p_1 B_i / (1 - m p_1 + p_1 \sum_j B_j)`,
    with Wakefield's Bayes factors and m variants. Needs no linkage; where several variants are
    causal use :func:`dxa_causal.mr.susie`.

    References
    ----------
    Wakefield J. Genet Epidemiol 2009;33:79-86. doi:10.1002/gepi.20359

    Examples
    --------
    >>> d = {"variant": ["rs1", "rs2", "rs3"], "beta": [0.02, 0.35, 0.31], "se": [0.05] * 3, "type": "quant", "sdY": 1}
    >>> finemap_abf(d).tidy()["pip"].round(3).tolist()
    [0.991, 0.009, 0.0, 0.0]
    """
    trait = locus_data(d, name="d")
    check_prior("p1", p1, trait.n_variants)
    joint = np.append(trait.log_bayes_factors() + np.log(p1), np.log1p(-trait.n_variants * p1))
    probability = np.exp(joint - log_sum(joint))
    return FinemapResult(
        trait=trait,
        pip=read_only(probability[:-1]),
        null=float(probability[-1]),
        p1=p1,
        nobs=trait.n_variants,
        provenance=Provenance(
            call=f"mr.finemap_abf(d, p1={p1!r})", n_rows=trait.n_rows, n_used=trait.n_variants, missing=trait.missing
        ),
    )
