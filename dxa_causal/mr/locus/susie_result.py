"""What the sum of single effects found: credible sets and inclusion probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal.mr.locus.trait import LocusTrait
from dxa_causal.results import Provenance, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

NO_EFFECT = 1e-9  # prior variances below it count as none, as in susieR


@dataclass(frozen=True, eq=False, slots=True)
class CredibleSet:
    """Variants that hold one causal variant with the coverage asked for.

    Attributes
    ----------
    effect : int
        Of the model's single effects, from 0; its name is L1 for 0.
    rows : (k,) ndarray of int
        Variants, the likeliest first.
    coverage : float
        Probability they hold together.
    purity, mean_abs_r : float
        Smallest and mean absolute correlation between them.
    log_bf : float
        Of the single effect.
    """

    effect: int
    rows: IntArray
    coverage: float
    purity: float
    mean_abs_r: float
    log_bf: float

    @property
    def name(self) -> str:
        """Return L1, L2 ..., the number of the single effect."""
        return f"L{self.effect + 1}"


@dataclass(frozen=True, eq=False, repr=False)
class SusieResult(Result):
    """Posterior of the sum of single effects.

    Attributes
    ----------
    trait : LocusTrait
    variant : (p,) ndarray of str
        Variants of the trait that the linkage has.
    z : (p,) ndarray
    pip : (p,) ndarray
        Posterior inclusion probabilities.
    alpha, mu : (L, p) ndarray
        Of each single effect: probability of each variant, and the posterior
        mean effect if it is the one (standardised genotype and trait).
    log_bf_variable : (L, p) ndarray
        Log Bayes factors.
    prior_variance, log_bf : (L,) ndarray
        0 prior variance: the effect was switched off.
    elbo : (i,) ndarray
        Lower bound of the evidence after each iteration.
    residual_variance : float
    converged : bool
    sets : tuple of CredibleSet
    n_impure : int
        Sets left out because their variants are less correlated than `min_abs_r`.
    coverage : float
    nobs : int
    linkage : str
        What speaks against the linkage, where the fit is suspicious; empty otherwise.
    """

    title: ClassVar[str] = "Fine-mapping by the sum of single effects (SuSiE)"

    trait: LocusTrait
    variant: npt.NDArray[np.object_]
    z: FloatArray
    position: FloatArray
    pip: FloatArray
    alpha: FloatArray
    mu: FloatArray
    log_bf_variable: FloatArray
    prior_variance: FloatArray
    log_bf: FloatArray
    elbo: FloatArray
    residual_variance: float
    converged: bool
    sets: tuple[CredibleSet, ...]
    n_impure: int
    coverage: float
    nobs: int
    provenance: Provenance
    estimand: str = "which variants are causal"
    linkage: str = ""

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per credible set: set, variant (the likeliest), pip, n_variants, coverage, purity, log_bf.

        The coverage is that of the fit: the arguments change nothing.
        """
        columns = ["set", "variant", "pip", "n_variants", "coverage", "purity", "mean_abs_r", "log_bf"]
        rows = [
            (
                *(s.name, self.variant[s.rows[0]], self.pip[s.rows[0]], s.rows.size),
                *(s.coverage, s.purity, s.mean_abs_r, s.log_bf),
            )
            for s in self.sets
        ]
        return pd.DataFrame(rows, columns=columns)

    def variants(self) -> pd.DataFrame:
        """One row per variant: variant, position, statistic (z), pip, set ("" outside), mean (posterior effect)."""
        label = np.full(self.nobs, "", dtype=object)
        for s in reversed(self.sets):
            label[s.rows] = s.name
        columns = {"variant": self.variant, "position": self.position, "statistic": self.z, "pip": self.pip}
        return pd.DataFrame({**columns, "set": label, "mean": np.sum(self.alpha * self.mu, axis=0)})

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_sets, n_iterations, converged, elbo."""
        row = {"n_variants": self.nobs, "n_sets": len(self.sets), "n_iterations": self.elbo.size}
        return pd.DataFrame([{**row, "converged": self.converged, "elbo": self.elbo[-1]}])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Posterior inclusion probabilities by position, credible sets in colour."""
        from dxa_causal.plots.finemapping import inclusion_plot

        position = self.position if np.isfinite(self.position).all() else None
        sets = {s.name: s.rows for s in self.sets}
        return inclusion_plot(self.pip, position, sets=sets, ax=ax, trait=self.trait.name, names=list(self.variant))

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """Which single effects are not switched off."""
        return self.prior_variance > NO_EFFECT

    def _notes(self) -> list[str]:
        lines = [] if self.sets else ["no credible set: no effect stands out, or none is pure"]
        if self.n_impure:
            lines.append(f"{self.n_impure} sets left out: their variants are hardly correlated (min_abs_r)")
        if self.active.all():
            lines.append("every single effect is in use: a larger n_effects may find more")
        if not self.converged:
            lines.append("not converged")
        if self.linkage:
            lines.append(self.linkage)
        return [*lines, *super()._notes()]
