"""Effects that were chosen for being large, brought back to size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal.mr._kernels import selected_effects as kernel
from dxa_causal.mr.columns import read_side
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
ShrinkMethod = Literal["conditional", "fiqt"]
Estimate = Literal["mle", "mean", "average"]


@dataclass(frozen=True, eq=False, repr=False)
class ShrunkEffects(Result):
    """Effects with the selection allowed for.

    Attributes
    ----------
    variant : tuple of str
    observed, observed_se : (n,) ndarray
        As given.
    estimates, std_errors : (n,) ndarray
        Allowing for the selection. With "fiqt" the errors are those observed.
    method : str
    p1 : float or None
        None with "fiqt".
    source : Harmonised or None
        What was given, restricted to the variants here.
    nobs : int
    """

    title: ClassVar[str] = "Effects allowing for selection (winner's curse)"

    variant: tuple[str, ...]
    observed: FloatArray
    observed_se: FloatArray
    estimates: FloatArray
    std_errors: FloatArray
    method: ShrinkMethod
    p1: float | None
    source: Harmonised | None
    nobs: int
    provenance: Provenance
    estimand: str = "effect of each variant on the exposure"

    @property
    def harmonised(self) -> Harmonised:
        """The harmonised variants given, with the effects on the exposure replaced."""
        if self.source is None:
            raise OptionError("a frame was shrunk, not harmonised variants: harmonise `frame()` with the outcome")
        table = self.source.table.assign(beta_exposure=self.estimates, se_exposure=self.std_errors)
        return replace(self.source, table=table)

    def frame(self) -> pd.DataFrame:
        """One row per variant: variant, beta, se, beta_observed, se_observed."""
        columns = {"beta": self.estimates, "se": self.std_errors}
        columns |= {"beta_observed": self.observed, "se_observed": self.observed_se}
        return pd.DataFrame({"variant": list(self.variant), **columns})

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per variant: variant, estimate, std_error, limits.

        "conditional": limits of the conditional distribution (equal tails), which are not
        symmetric about the estimate. "fiqt" has none.
        """
        check_conf_level(conf_level)
        low, high = np.full((2, self.nobs), np.nan)
        if self.method == "conditional" and self.p1 is not None:
            size, sign = np.abs(self.observed / self.observed_se), np.sign(self.observed)
            cut, tail = _cut(self.p1), 0.5 - conf_level / 2.0
            ends = np.sort(
                sign * np.array([kernel.limit(size, cut, tail), kernel.limit(size, cut, 1.0 - tail)]), axis=0
            )
            low, high = ends * self.observed_se
        columns = {"estimate": self.estimates, "conf_low": low, "conf_high": high}
        if exponentiate:
            columns = {name: np.exp(value) for name, value in columns.items()}
        table = pd.DataFrame({"variant": list(self.variant), **columns})
        table.insert(2, "std_error", self.std_errors)
        return table

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, method, mean_shrinkage (mean of shrunken over observed size)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = float(np.nanmean(self.estimates / self.observed)) if self.nobs else np.nan
        return pd.DataFrame({"n_variants": [self.nobs], "method": [self.method], "mean_shrinkage": [share]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Shrunken against observed z statistics."""
        from dxa_causal.plots.mr_overlap import shrinkage_plot

        cut = None if self.p1 is None else _cut(self.p1)
        return shrinkage_plot(self.observed / self.observed_se, self.estimates / self.observed_se, cut, ax=ax)


def shrink(
    data: Any, p1: float = 5e-8, *, method: ShrinkMethod = "conditional", estimate: Estimate = "mle"
) -> ShrunkEffects | NotApplicable:
    r"""Bring effects that were selected for their size back to size.

    Parameters
    ----------
    data : frame, what `read_gwas` returns, or Harmonised
        Of harmonised variants the effects on the exposure are shrunk.
    p1 : float
        Two-sided p-value below which variants were selected ("conditional").
        Others are left out and counted.
    method : {"conditional", "fiqt"}
        Conditional likelihood, variant by variant; or the inverse-quantile
        transformation of false discovery rates, which needs all
        variants of the genome-wide study, not the selected ones.
    estimate : {"mle", "mean", "average"}
        Of the conditional likelihood: its maximum, the mean of the normalised
        likelihood, or the average of the two.

    Returns
    -------
    ShrunkEffects or NotApplicable
        The latter where no variant is left.

    Notes
    -----
    With :math:`z \sim N(\mu, 1)` selected when :math:`|z| > c` the likelihood is
    :math:`\phi(z - \mu) / [\Phi(\mu - c) + \Phi(-\mu - c)]`. The standard error of
    the maximum comes from the information :math:`\mathrm{Var}_\mu(z \mid |z| > c)`;
    it is kept for the other two estimates. FIQT puts the false discovery rate
    (Benjamini-Hochberg) in place of p and turns it back into :math:`z`.

    With ``p1=5e-8`` and a true mean of z of 3, 5 or 7 the selected z are too
    large by 2.8, 1.1 and 0.1 on average; the maximum then is too small by 0.7, 1.1 and
    0.4, the mean by -0.2, 0.9 and 0.6. So both over-correct true effects beyond the
    threshold, and serve as a bound rather than as the truth.
    Neither allows for clumping (the largest of several correlated
    statistics). A third study does: see :func:`dxa_causal.mr.three_sample`.

    References
    ----------
    Zhong H, Prentice RL. Biostatistics 2008;9:621-634. doi:10.1093/biostatistics/kxn001
    Ghosh A et al. Am J Hum Genet 2008;82:1064-1074. doi:10.1016/j.ajhg.2008.03.002
    Bigdeli TB et al. Bioinformatics 2016;32:2598-2603. doi:10.1093/bioinformatics/btw303

    Examples
    --------
    >>> gwas = pd.DataFrame({"variant": ["rs1", "rs2", "rs3"], "effect_allele": "A",
    ...                      "beta": [0.056, -0.07, 0.15], "se": 0.01})
    >>> shrink(gwas, p1=5e-8).tidy()[["variant", "estimate", "conf_low"]].round(3).values.tolist()
    [['rs1', 0.005, -0.002], ['rs2', -0.068, -0.09], ['rs3', 0.15, 0.13]]
    """
    check_option("method", method, ShrinkMethod)
    check_option("estimate", estimate, Estimate)
    if not 0.0 < p1 < 1.0:
        raise OptionError(f"p1={p1!r} must lie between 0 and 1: the p-value below which variants were selected")
    source = data if isinstance(data, Harmonised) else None
    names, beta, se, lost = _effects(data)
    n_rows = names.size + lost
    missing = {"beta or se": lost}
    used = np.ones(names.size, dtype=bool)
    if method == "conditional":
        used = np.abs(beta / se) > _cut(p1)
        missing["p not below p1"] = int((~used).sum())
    if not used.any():
        return NotApplicable(f"none of {n_rows} variants has a p-value below {p1:g}", method="shrink")
    beta, se = beta[used], se[used]
    notes = tuple(f"{count} variants left out: {why}" for why, count in missing.items() if count)
    z = beta / se
    if method == "fiqt":
        shrunk, error = kernel.inverse_quantile(z), np.ones_like(z)
        if np.mean(np.abs(z) > 3.0) > 0.5:
            notes = (*notes, "most variants are significant: FIQT needs the whole genome-wide study, not the selected")
    else:
        shrunk, error = _conditional(z, _cut(p1), estimate)
    if source is not None:
        source = replace(source, table=source.table[used].reset_index(drop=True), ld=_part(source.ld, used))
    return ShrunkEffects(
        variant=tuple(names[used]), observed=read_only(beta), observed_se=read_only(se),
        estimates=read_only(shrunk * se), std_errors=read_only(error * se), method=method,
        p1=p1 if method == "conditional" else None, source=source, nobs=int(used.sum()),
        provenance=Provenance(
            call=f"mr.shrink(data, p1={p1!r}, method={method!r}, estimate={estimate!r})", n_rows=n_rows,
            n_used=int(used.sum()), notes=notes,
        ),
    )  # fmt: skip


def _cut(p1: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(p1 / 2.0))


def _part(ld: FloatArray | None, used: npt.NDArray[np.bool_]) -> FloatArray | None:
    return None if ld is None else read_only(ld[np.ix_(used, used)])


def _effects(data: Any) -> tuple[npt.NDArray[np.object_], FloatArray, FloatArray, int]:
    """Names, effects, standard errors; and how many rows had none."""
    if isinstance(data, Harmonised):
        return data.table["variant"].to_numpy(dtype=object), data.beta_exposure, data.se_exposure, 0
    frame, _ = read_side(data, "exposure")
    beta, se = (frame[c].cast(float).fill_null(np.nan).to_numpy() for c in ("beta", "se"))
    fine = np.isfinite(beta) & np.isfinite(se) & (se > 0)
    names = np.array(frame["variant"].cast(str).to_list(), dtype=object)
    return names[fine], beta[fine], se[fine], int((~fine).sum())


def _conditional(z: FloatArray, cut: float, estimate: Estimate) -> tuple[FloatArray, FloatArray]:
    size, sign = np.abs(z), np.sign(z)
    top = kernel.most_likely(size, cut)
    error = 1.0 / np.sqrt(kernel.conditional_variance(top, cut))
    if estimate == "mle":
        return sign * top, error
    mean = kernel.mean_likelihood(size, cut)
    return sign * (mean if estimate == "mean" else 0.5 * (mean + top)), error
