"""MRMix: the effect at which most instruments are valid, under a mixture of valid and invalid ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels.mrmix import profile, responsibilities, std_error
from dxa_causal.mr.estimator import Estimator, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import NotApplicable, Provenance, Result, read_only, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Scale = Literal["as_given", "continuous", "binary"]
_NEEDS = Estimator("MRMix", lambda h, settings: [], least=4, ratio=False)
_GRID: FloatArray = -1.0 + 0.01 * np.arange(201, dtype=np.float64)
_LARGEST_VARIANCE = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class MixResult(Result):
    """The effect that makes the share of valid instruments largest.

    Attributes
    ----------
    harmonised : Harmonised
    theta, std_error : float
        Per standard deviation of the exposure where it was standardised. The
        error is nan where the mixture's information is singular (a share of
        valid instruments of nearly 0 or 1).
    pi0 : float
        Share of valid instruments at `theta`.
    sigma2 : float
        Variance of the other instruments' effects around the line.
    grid, shares, variances : (k,) ndarray
        The effects tried, and share and variance at each.
    probabilities : (n,) ndarray
        That a variant is a valid instrument.
    standardise : tuple of str
        Scales that exposure and outcome were brought to.
    nobs : int
    """

    title: ClassVar[str] = "MRMix"

    harmonised: Harmonised
    theta: float
    std_error: float
    pi0: float
    sigma2: float
    grid: FloatArray
    shares: FloatArray
    variances: FloatArray
    probabilities: FloatArray
    standardise: tuple[Scale, Scale]
    nobs: int
    provenance: Provenance
    estimand: str = "effect of the exposure on the outcome that the largest share of variants agrees on"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row: the effect with Wald test and limits, n_variants."""
        columns = wald_columns([self.theta], [self.std_error], conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"method": ["mix"], "term": ["effect"], **columns}).assign(n_variants=self.nobs)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, pi0 (share of valid instruments), sigma2."""
        return pd.DataFrame({"n_variants": [self.nobs], "pi0": [self.pi0], "sigma2": [self.sigma2]})

    def profile(self) -> pd.DataFrame:
        """One row per effect on the grid: theta, pi0, sigma2; a clear single peak of pi0 is what one hopes for."""
        return pd.DataFrame({"theta": self.grid, "pi0": self.shares, "sigma2": self.variances})

    def assignments(self) -> pd.DataFrame:
        """One row per variant: variant, probability that it is a valid instrument."""
        return pd.DataFrame({"variant": self.harmonised.table["variant"].to_numpy(), "probability": self.probabilities})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Share of valid instruments by effect, with the estimate."""
        from dxa_causal.plots.mr_models import profile_plot

        return profile_plot(self.grid, self.shares, self.theta, ax=ax, exposure=self.harmonised.exposure)

    def _notes(self) -> list[str]:
        notes = []
        if np.sum(self.shares == self.shares.max()) > 1:
            notes.append(
                "the share of valid instruments is at its bound for several effects, and their mean is the estimate: "
                "not to be relied on (are the effects standardised?)"
            )
        elif self.shares.argmax() in (0, self.grid.size - 1):
            notes.append("the largest share lies at the end of the grid: a wider grid= may find a larger one")
        if self.sigma2 >= _LARGEST_VARIANCE:
            notes.append(f"sigma2 is at its bound of {_LARGEST_VARIANCE:g}: standardise the effects")
        spread = np.median(self.harmonised.se_outcome) ** 2 + self.grid**2 * np.median(self.harmonised.se_exposure) ** 2
        if ((self.shares > 0.99) & (self.variances < spread)).any():
            notes.append(
                "nearly all instruments count as valid for some effects: the mixture is hardly identified there"
            )
        if not np.isfinite(self.std_error):
            notes.append("no standard error: the information of the mixture is singular at the estimate")
        return [*notes, *super()._notes()]


def mix(
    harmonised: Harmonised,
    *,
    grid: npt.ArrayLike | None = None,
    standardise: tuple[Scale, Scale] = ("as_given", "as_given"),
    pi_start: float = 0.6,
    sigma2_start: float = 1e-5,
) -> MixResult | NotApplicable:
    r"""Estimate the effect at which most instruments are valid (MRMix).

    Parameters
    ----------
    harmonised : Harmonised
    grid : (k,) array_like, optional
        Effects to try; -1 to 1 in steps of 0.01 when omitted. The estimate is
        one of them.
    standardise : tuple of {"as_given", "continuous", "binary"}
        For exposure and outcome. "continuous": z over the root of the sample
        size (needs n_exposure or n_outcome in the table); "binary": log odds
        times :math:`\sqrt{2f(1-f)}` (needs allele frequencies; the exposure's
        where known). The starting value and the bounds of the variance are meant for such effects.
    pi_start, sigma2_start : float
        Where expectation-maximisation starts at every effect.

    Returns
    -------
    MixResult or NotApplicable
        The latter with fewer than four variants.

    Raises
    ------
    SummaryStatisticsError
        Correlated variants (`ld` given), or what `standardise` needs is missing.

    Notes
    -----
    At each :math:`\theta` of the grid the residuals :math:`r_j = y_j - \theta x_j` get the density
    :math:`\pi_0 N(0, \sigma_{yj}^2 + \theta^2 \sigma_{xj}^2) + (1 - \pi_0) N(0, \sigma^2)`, and
    :math:`\hat\theta` has the largest :math:`\hat\pi_0(\theta)`. The standard error
    follows from the three estimating equations by the delta method over all
    :math:`x_j, y_j`. Bounds and stopping rule are those of the R package (share
    from 0.0001 to 0.9999, variance from 1e-7 to 0.01); its published example
    is met to all digits printed.

    The estimate is a point of the grid: with a step of 0.01 and a standard
    error of that size, use a finer grid.

    References
    ----------
    Qi G, Chatterjee N. Nat Commun 2019;10:1941. doi:10.1038/s41467-019-09432-2

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(0, 0.02, 100)
    >>> direct = np.where(np.arange(100) < 60, 0.0, rng.normal(0.01, 0.01, 100))
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=x, se_exposure=np.full(100, 0.002),
    ...     beta_outcome=0.3 * x + direct + rng.normal(0, 0.003, 100), se_outcome=np.full(100, 0.003),
    ... )
    >>> fit = mix(h, grid=np.linspace(0, 0.6, 61))
    >>> fit.tidy()[["estimate", "std_error"]].round(2).to_dict("list"), round(fit.pi0, 2)
    ({'estimate': [0.31], 'std_error': [0.03]}, 0.58)
    """
    refuse_correlated(harmonised)
    effects = _checked_grid(grid)
    if not 0.0 < pi_start < 1.0:
        raise OptionError(f"pi_start={pi_start!r} must lie between 0 and 1")
    if not sigma2_start > 0.0:
        raise OptionError(f"sigma2_start={sigma2_start!r} must be positive")
    scales = _checked_scales(standardise)
    reason = _NEEDS.reason(harmonised)
    if reason:
        return NotApplicable(reason, method="MRMix")
    bx, sx = _standardised(harmonised, "exposure", scales[0])
    by, sy = _standardised(harmonised, "outcome", scales[1])
    data = (bx, by, sx, sy)
    fitted = profile(effects, *data, share=pi_start, variance=sigma2_start)
    best = fitted.share == fitted.share.max()
    theta, pi0, sigma2 = float(effects[best].mean()), float(fitted.share.max()), float(fitted.variance[best].mean())
    with np.errstate(all="ignore"):
        error = std_error(theta, pi0, sigma2, *data)
    n = harmonised.n_variants
    return MixResult(
        harmonised=harmonised, theta=theta, std_error=error if np.isfinite(error) else np.nan, pi0=pi0, sigma2=sigma2,
        grid=read_only(effects), shares=read_only(fitted.share), variances=read_only(fitted.variance),
        probabilities=read_only(responsibilities(theta, pi0, sigma2, *data)), standardise=scales, nobs=n,
        provenance=Provenance(
            call=f"mr.mix(harmonised, grid=<{effects.size} from {effects[0]:g} to {effects[-1]:g}>, "
            f"standardise={scales!r}, pi_start={pi_start!r}, sigma2_start={sigma2_start!r})",
            n_rows=n, n_used=n,
        ),
    )  # fmt: skip


def _checked_grid(grid: npt.ArrayLike | None) -> FloatArray:
    if grid is None:
        return _GRID
    effects = np.array(grid, dtype=np.float64)
    if effects.ndim != 1 or not effects.size or not np.isfinite(effects).all():
        raise OptionError(f"grid must be a vector of finite effects; its shape is {effects.shape}")
    return np.asarray(np.unique(effects), dtype=np.float64)


def _checked_scales(standardise: Any) -> tuple[Scale, Scale]:
    if not isinstance(standardise, tuple | list) or len(standardise) != 2:
        raise OptionError(
            f"standardise={standardise!r} must be two scales, of exposure and outcome, such as ('continuous', 'binary')"
        )
    for scale in standardise:
        check_option("standardise", scale, Scale)
    return (standardise[0], standardise[1])


def _standardised(h: Harmonised, side: Literal["exposure", "outcome"], scale: Scale) -> tuple[FloatArray, FloatArray]:
    """Effects and standard errors on the scale asked for."""
    beta, se = (h.beta_exposure, h.se_exposure) if side == "exposure" else (h.beta_outcome, h.se_outcome)
    if scale == "as_given":
        return beta, se
    if scale == "continuous":
        n = _needed(h, side, f"n_{side}", "sample size")
        return np.asarray(beta / se / np.sqrt(n)), np.asarray(1.0 / np.sqrt(n))
    f, other = (h.table[f"eaf_{s}"].to_numpy(dtype=np.float64, na_value=np.nan) for s in ("exposure", "outcome"))
    f = np.where(np.isnan(f), other, f)
    _refuse_missing(h, side, np.isfinite(f) & (f > 0) & (f < 1), "binary", "an allele frequency between 0 and 1")
    spread = np.sqrt(2.0 * f * (1.0 - f))
    return np.asarray(beta * spread), np.asarray(se * spread)


def _needed(h: Harmonised, side: str, column: str, what: str) -> FloatArray:
    values: FloatArray = h.table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse_missing(h, side, np.isfinite(values) & (values > 0), "continuous", f"a {what} (column {column})")
    return values


def _refuse_missing(h: Harmonised, side: str, known: npt.NDArray[np.bool_], scale: str, what: str) -> None:
    if not known.all():
        variant = h.table["variant"].iloc[int(np.flatnonzero(~known)[0])]
        raise SummaryStatisticsError(
            f"standardise: {scale!r} for the {side} needs {what}; {int((~known).sum())} of {known.size} variants have "
            f"none, first {variant!r}"
        )
