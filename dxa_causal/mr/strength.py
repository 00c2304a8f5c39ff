"""How strongly the variants are tied to the exposure, and how far weak ties would bias MR-Egger."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dxa_causal.mr._kernels.variance_explained import i_squared
from dxa_causal.mr.estimator import check_harmonised
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.variance import Scale, explained


@dataclass(frozen=True, eq=False, slots=True)
class InstrumentStrength:
    """Strength of the instruments.

    Attributes
    ----------
    variants : DataFrame
        One row per variant: variant, f_statistic, r2 (nan without n).
    f_mean, f_min : float
        Mean and smallest F.
    n_weak : int
        Variants with F below 10.
    r2 : float
        Variance of the exposure explained by all of them.
    f_total : float
        F of the regression of the exposure on all of them.
    i2_gx, i2_gx_weighted : float
        I-squared of the effects on the exposure; below 0.9 MR-Egger is
        biased towards zero by more than about a tenth. Weighted: as MR-Egger
        weights.
    reason : str
        Why r2 and f_total are missing, empty where they are not.
    """

    variants: pd.DataFrame
    f_mean: float
    f_min: float
    n_weak: int
    r2: float
    f_total: float
    i2_gx: float
    i2_gx_weighted: float
    reason: str

    def tidy(self) -> pd.DataFrame:
        """One row per variant: variant, f_statistic, r2."""
        return self.variants.copy()

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, f_statistic (mean), f_min, n_weak, r2, f_total, i2_gx, i2_gx_weighted, reason."""
        return pd.DataFrame(
            {
                "n_variants": [len(self.variants)],
                "f_statistic": [self.f_mean],
                "f_min": [self.f_min],
                "n_weak": [self.n_weak],
                "r2": [self.r2],
                "f_total": [self.f_total],
                "i2_gx": [self.i2_gx],
                "i2_gx_weighted": [self.i2_gx_weighted],
                "reason": [self.reason],
            }
        )

    def __str__(self) -> str:
        together = (
            f"together R2 = {self.r2:.4g}, F = {self.f_total:.4g}"
            if not self.reason
            else f"R2 and F of all together not applicable: {self.reason}"
        )
        return (
            f"{len(self.variants)} variants: F mean {self.f_mean:.4g}, smallest {self.f_min:.4g}, {self.n_weak} below "
            f"10; {together}; I2_GX {self.i2_gx:.4g} ({self.i2_gx_weighted:.4g} weighted)"
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self))}</p>"


def strength(harmonised: Harmonised, *, exposure: Scale = "beta") -> InstrumentStrength:
    r"""Measure how strong the variants are as instruments.

    Parameters
    ----------
    harmonised : Harmonised
        With `n_exposure` for the variance explained.
    exposure : {"beta", "p", "sd", "auto"} or CaseControl
        Where the variance explained comes from, as in :func:`dxa_causal.mr.steiger`.

    Returns
    -------
    InstrumentStrength

    Notes
    -----
    :math:`F_j = (x_j / \sigma_{xj})^2`. Together, with k independent variants: :math:`R^2 = \sum R_j^2` and
    :math:`F = \frac{n - k - 1}{k} \frac{R^2}{1 - R^2}` at the mean n. Correlated variants (`ld`): with their
    correlation matrix :math:`\rho` and scores z, :math:`F = z' \rho^{-1} z / k`,
    :math:`R^2 = kF / (n - k - 1 + kF)`.
    :math:`I^2_{GX} = \max(0, (Q - (k - 1)) / Q)` with Q Cochran's of the :math:`|x_j|`; weighted: of
    :math:`|x_j| / \sigma_{yj}` with errors :math:`\sigma_{xj} / \sigma_{yj}`.

    References
    ----------
    Burgess S, Thompson SG. Int J Epidemiol 2011;40:755-764. doi:10.1093/ije/dyr036
    Bowden J et al. Int J Epidemiol 2016;45:1961-1974. doi:10.1093/ije/dyw220

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21], se_exposure=[0.01, 0.01], beta_outcome=[0.05, 0.10], se_outcome=[0.02, 0.02],
    ...     n_exposure=20000,
    ... )
    >>> strength(h).glance()[["f_statistic", "f_total", "i2_gx"]].round(3).to_dict("list")
    {'f_statistic': [270.5], 'f_total': [272.722], 'i2_gx': [0.983]}
    """
    check_harmonised(harmonised)
    x, sx, sy = np.abs(harmonised.beta_exposure), harmonised.se_exposure, harmonised.se_outcome
    f = (x / sx) ** 2
    k = f.size
    side = explained(harmonised, "exposure", exposure)
    reason = f"needs {side.missing}" if side.missing else ""
    r2, f_total = math.nan, math.nan
    n = float(np.mean(side.n)) if k else math.nan
    if not k:
        reason = "needs at least 1 variant; there are 0"
    elif harmonised.correlated:
        z = harmonised.beta_exposure / sx
        f_total = float(z @ np.linalg.solve(np.asarray(harmonised.ld), z)) / k
        r2 = k * f_total / (n - k - 1.0 + k * f_total) if not reason else math.nan
    elif not reason:
        r2 = float(side.r2.sum())
        if r2 < 1.0 and n > k + 1.0:
            f_total = (n - k - 1.0) / k * r2 / (1.0 - r2)
        else:
            reason = (
                f"needs a share of variance below 1 and more people than variants; it is {r2:.4g}, with n = {n:.6g}"
            )
    return InstrumentStrength(
        variants=pd.DataFrame({"variant": harmonised.table["variant"].to_numpy(), "f_statistic": f, "r2": side.r2}),
        f_mean=float(f.mean()) if k else math.nan,
        f_min=float(f.min()) if k else math.nan,
        n_weak=int((f < 10.0).sum()),
        r2=r2,
        f_total=f_total,
        i2_gx=i_squared(x, sx),
        i2_gx_weighted=i_squared(x / sy, sx / sy),
        reason=reason,
    )
