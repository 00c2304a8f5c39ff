"""Hazard ratios along an exposure, against a reference value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, column_not_found
from dxa_causal.results import Provenance, Result, read_only, wald_columns
from dxa_causal.survival.hazard_ratios import HazardRatios

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

RANGE = (0.025, 0.975)  # quantiles of the exposure between which the curve runs when no values are given
POINTS = 101


@dataclass(frozen=True, eq=False, repr=False)
class DoseResponse(Result):
    """Log hazard ratios at values of an exposure, all else equal.

    Attributes
    ----------
    fit : HazardRatios
    exposure : str
    reference : float
    values : (k,) ndarray
    estimates, std_errors : (k,) ndarray
        Log hazard ratios against the reference.
    """

    title: ClassVar[str] = "Dose-response"

    fit: HazardRatios
    exposure: str
    reference: float
    values: FloatArray
    estimates: FloatArray
    std_errors: FloatArray
    nobs: int
    provenance: Provenance
    estimand: str = "log hazard ratio against the reference"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per value: term (the exposure), value, log hazard ratio (ratio if `exponentiate`), limits."""
        columns = wald_columns(self.estimates, self.std_errors, conf_level=conf_level, exponentiate=exponentiate)
        kept = {k: columns[k] for k in ("estimate", "std_error", "conf_low", "conf_high")}
        return pd.DataFrame({"term": self.exposure, "value": self.values, **kept})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, reference."""
        return pd.DataFrame({"nobs": [self.nobs], "reference": [self.reference]})

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """The curve with its limits over the distribution of the exposure; `label` should name the unit."""
        from dxa_causal.plots.dose_response import dose_response_curve

        return dose_response_curve(
            self.tidy(exponentiate=True),
            self.fit.design.rows.frame[self.exposure].to_numpy(dtype=np.float64),
            reference=self.reference,
            label=label or self.exposure,
            effect_measure=self.fit.effect_measure,
            ax=ax,
        )


def dose_response(
    fit: HazardRatios, exposure: str, *, reference: float, values: npt.ArrayLike | None = None
) -> DoseResponse:
    r"""Hazard ratios of a fit along an exposure, whatever form it has in the formula.

    Parameters
    ----------
    fit : CoxFit, FineGrayFit, CaseCohortFit, NestedCaseControlFit or FrailtyFit
    exposure : str
        Column of numbers that the formula uses, plainly or in a spline.
    reference : float
        The value whose hazard is one.
    values : (k,) array_like, optional
        101 values between the 2.5 and 97.5 % quantiles when omitted.

    Returns
    -------
    DoseResponse

    Notes
    -----
    With x(v) the row of the design matrix at the value v, everything else equal, the log hazard ratio is
    :math:`(x(v) - x(v_0))'\hat\beta` with the variance of that contrast. In an interaction the rest of the row counts:
    it is that of the first row analysed.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50 and grip_kg > 0")
    >>> fit = dc.survival.cox("Surv(time, died) ~ age + C(sex) + rcs(grip_kg, 4)", cohort)
    >>> curve = dose_response(fit, "grip_kg", reference=35, values=[20, 35, 50])
    >>> curve.tidy(exponentiate=True)["estimate"].round(1).tolist()
    [3.6, 1.0, 0.2]
    """
    if not isinstance(fit, HazardRatios):
        raise OptionError(f"dose_response needs a fit of log hazard ratios, not {type(fit).__name__}")
    frame = fit.design.rows.frame
    if exposure not in frame.columns:
        raise column_not_found(exposure, frame.columns, argument="exposure (a column of the fit)")
    if not pd.api.types.is_numeric_dtype(frame[exposure].dtype):
        raise OptionError(f"exposure={exposure!r} must be numbers, but the column holds {frame[exposure].dtype} values")
    observed = frame[exposure].to_numpy(dtype=np.float64)
    first, last = (float(v) for v in np.quantile(observed, RANGE))
    at = np.linspace(first, last, POINTS) if values is None else np.atleast_1d(values)
    grid = np.concatenate([[reference], np.asarray(at, dtype=np.float64)])
    outside = grid[(grid < observed.min()) | (grid > observed.max())]
    if outside.size:
        raise OptionError(
            f"{exposure}={outside[0]:g} lies outside the values analysed, {observed.min():g} to {observed.max():g}"
        )
    x, _ = fit.design.new(frame.iloc[[0] * grid.size].assign(**{exposure: grid}))
    contrast = x[1:] - x[0]
    variance = np.einsum("ij,jk,ik->i", contrast, fit.covariance, contrast)
    if not contrast.any() and not np.all(grid == reference):
        raise OptionError(f"exposure={exposure!r} does not stand in the formula: {fit.design.parts.fixed}")
    return DoseResponse(
        fit=fit,
        exposure=exposure,
        reference=float(reference),
        values=read_only(grid[1:]),
        estimates=read_only(contrast @ fit.coefficients),
        std_errors=read_only(np.sqrt(np.maximum(variance, 0.0))),
        nobs=fit.nobs,
        provenance=fit.provenance,
    )
