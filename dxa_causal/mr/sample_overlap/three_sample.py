"""Three studies: variants from one, effects on the exposure from another, effects on the outcome from a third."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.selected_effects import null_correlation
from dxa_causal.mr.columns import read_side
from dxa_causal.mr.harmonise import Action, harmonise
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import NotApplicable, Provenance, Result, read_only, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_BOX = 1.0
_LEAST_NULL = 500
_LARGE = 0.02
_PAIRS = ("selection and exposure", "exposure and outcome", "selection and outcome")


@dataclass(frozen=True, eq=False, repr=False)
class ThreeSampleDesign(Result):
    """Variants of a three-sample design, and whether the samples look apart.

    Attributes
    ----------
    harmonised : Harmonised
        Selected variants with the effects of the exposure's and the outcome's study.
    selection : DataFrame
        variant, beta_selection, se_selection on the same alleles, and beta_exposure.
    correlations, std_errors, n_null : (3,) ndarray
        Correlation of the errors of each pair of studies, from variants
        that are null in both; nan where fewer than 500 are shared.
    n_selected : int
        Variants below `p1` in the study for selection.
    p1 : float
    nobs : int
        Variants kept.
    """

    title: ClassVar[str] = "Three-sample design"

    harmonised: Harmonised
    selection: pd.DataFrame
    correlations: FloatArray
    std_errors: FloatArray
    n_null: FloatArray
    n_selected: int
    p1: float
    nobs: int
    provenance: Provenance
    estimand: str = "correlation of the errors of two studies"

    @property
    def slope(self) -> float:
        """Of the effects in the exposure's study on those in the study for selection; 1 less the winner's curse."""
        x, y = self.selection["beta_selection"].to_numpy(), self.selection["beta_exposure"].to_numpy()
        return float((x * y).sum() / (x**2).sum())

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per pair of studies: correlation of errors with Wald test and limits, n_variants, reason.

        The test treats the variants as independent; with variants in linkage
        disequilibrium it is too sharp. Nothing is exponentiated.
        """
        columns = wald_columns(self.correlations, self.std_errors, conf_level=conf_level)
        few = np.isnan(self.correlations)
        reason = np.where(few, f"fewer than {_LEAST_NULL} shared variants that are null in both", "")
        table = pd.DataFrame({"term": _PAIRS, **columns})
        return table.assign(n_variants=self.n_null.astype(int), reason=reason)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_selected, replication_slope, sign_concordance."""
        same = np.sign(self.selection["beta_selection"]) == np.sign(self.selection["beta_exposure"])
        row = {"n_variants": self.nobs, "n_selected": self.n_selected}
        return pd.DataFrame([{**row, "replication_slope": self.slope, "sign_concordance": float(same.mean())}])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Effects in the exposure's study against those in the study for selection."""
        from dxa_causal.plots.mr_overlap import replication_plot

        return replication_plot(self.selection, self.slope, ax=ax)

    def _notes(self) -> list[str]:
        notes = []
        for pair, r, se in zip(_PAIRS, self.correlations, self.std_errors, strict=True):
            if abs(r) > max(_LARGE, 2.0 * se):
                notes.append(f"{pair} seem to share people: their errors correlate by {r:.3f}")
        return [*notes, *super()._notes()]


def three_sample(
    selection: Any, exposure: Any, outcome: Any, *, p1: float = 5e-8, variants: Any = None, action: Action = 2
) -> ThreeSampleDesign | NotApplicable:
    r"""Take variants from one study and their effects from two others.

    Parameters
    ----------
    selection, exposure, outcome : frame, or what `read_gwas` returns
        Studies of the exposure, of the exposure again in other people, and of
        the outcome.
    p1 : float
        Variants below this p-value in `selection` are taken.
    variants : array_like of str, optional
        Only these (the index variants of a clumping of `selection`). Without it
        every variant below `p1` is taken, correlated ones included.
    action : {1, 2, 3}
        As in :func:`dxa_causal.mr.harmonise`.

    Returns
    -------
    ThreeSampleDesign or NotApplicable
        The latter where no selected variant is in both other studies.

    Notes
    -----
    Effects that were not selected on are free of winner's curse, and errors
    that are independent of each other bias towards the null only. Whether
    the studies share people is judged by the correlation of
    their z statistics over variants with :math:`|z| < 1` in both, by maximum
    likelihood of the bivariate normal distribution cut off there (a plain
    correlation of such variants would be several times too small).

    References
    ----------
    Zhao Q et al. Int J Epidemiol 2019;48:1478-1492.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> effect = np.where(np.arange(5000) < 50, rng.normal(0, 0.1, 5000), 0.0)
    >>> def study(effect):
    ...     return pd.DataFrame({"variant": [f"rs{j}" for j in range(5000)], "effect_allele": "A", "other_allele": "C",
    ...                          "beta": effect + rng.normal(0, 0.01, 5000), "se": 0.01})
    >>> design = three_sample(study(effect), study(effect), study(0.5 * effect))
    >>> design.nobs, design.harmonised.n_variants, round(design.slope, 1)
    (25, 25, 1.0)
    """
    from scipy.special import ndtri

    if not 0.0 < p1 < 1.0:
        raise OptionError(f"p1={p1!r} must lie between 0 and 1")
    try:
        frame, _ = read_side(selection, "exposure")
    except SummaryStatisticsError as error:
        raise SummaryStatisticsError(f"selection, read as an exposure: {error}") from None
    cut = float(-ndtri(p1 / 2.0))
    chosen = frame.filter((pl.col("se") > 0) & ((pl.col("beta") / pl.col("se")).abs() > cut))["variant"].drop_nulls()
    n_selected = chosen.len()
    if variants is not None:
        wanted = [variants] if isinstance(variants, str) else [str(v) for v in variants]
        chosen = chosen.filter(chosen.is_in(wanted))
    both, chosen_set = harmonise(selection, exposure, action=action), set(chosen)
    pairs = [both, harmonise(exposure, outcome, action=action), harmonise(selection, outcome, action=action)]
    kept = pairs[1].table["variant"].isin(chosen_set & set(both.table["variant"]))
    n = int(kept.sum())
    if not n:
        return NotApplicable(
            f"{chosen.len()} variants selected (p below {p1:g}), none of them in both other studies",
            method="three-sample design",
        )
    harmonised = replace(pairs[1], table=pairs[1].table[kept].reset_index(drop=True))
    found = [_null(h) for h in pairs]
    lost = {"not in both other studies, or not harmonised": chosen.len() - n}
    notes = tuple(f"{count} selected variants left out: {why}" for why, count in lost.items() if count)
    return ThreeSampleDesign(
        harmonised=harmonised, selection=_aligned(both, harmonised), correlations=read_only([f[0] for f in found]),
        std_errors=read_only([f[1] for f in found]), n_null=read_only([f[2] for f in found]), n_selected=n_selected,
        p1=p1, nobs=n,
        provenance=Provenance(
            call=f"mr.three_sample(selection, exposure, outcome, p1={p1!r}, action={action!r})", n_rows=chosen.len(),
            n_used=n, notes=notes,
        ),
    )  # fmt: skip


def _aligned(both: Harmonised, harmonised: Harmonised) -> pd.DataFrame:
    """Effects in the study for selection beside those in the exposure's, on the alleles of the former."""
    table = both.table.set_index("variant").loc[harmonised.table["variant"]].reset_index()
    names = {"beta_exposure": "beta_selection", "se_exposure": "se_selection", "beta_outcome": "beta_exposure"}
    return table[["variant", *names]].rename(columns=names)


def _null(h: Harmonised) -> tuple[float, float, int]:
    """Correlation of the errors of two studies, its error, and from how many variants."""
    a, b = h.beta_exposure / h.se_exposure, h.beta_outcome / h.se_outcome
    null = (np.abs(a) < _BOX) & (np.abs(b) < _BOX)
    count = int(null.sum())
    return (*null_correlation(a[null], b[null], _BOX), count) if count >= _LEAST_NULL else (np.nan, np.nan, count)
