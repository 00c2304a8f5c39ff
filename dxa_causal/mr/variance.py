"""How much of a trait's variance each variant explains, by what is known of the trait."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels import variance_explained as kernel
from dxa_causal.mr.harmonised import Harmonised

FloatArray = npt.NDArray[np.float64]
Side = Literal["exposure", "outcome"]
Quantitative = Literal["auto", "p", "beta", "sd"]

_P_FLOOR = 1e-300
_RESIDUAL = {"logit": math.pi**2 / 3.0, "probit": 1.0}


@dataclass(frozen=True, slots=True)
class CaseControl:
    """A binary trait whose effects are log odds ratios: what takes them to the liability scale.

    Attributes
    ----------
    n_cases, n_controls : float or (n,) array_like
        Of the GWAS, for all variants or one by one.
    prevalence : float
        Share of cases in the population.
    model : {"logit", "probit"}
        Residual variance of the liability: pi^2 / 3 or 1.

    Examples
    --------
    >>> CaseControl(60801, 123504, prevalence=0.1).model
    'logit'
    """

    n_cases: npt.ArrayLike
    n_controls: npt.ArrayLike
    prevalence: float
    model: Literal["logit", "probit"] = "logit"

    def __post_init__(self) -> None:
        check_option("model", self.model, ("logit", "probit"))
        if not 0.0 < self.prevalence < 1.0:
            raise OptionError(f"prevalence={self.prevalence!r} must lie between 0 and 1 (a share, not per cent)")
        for name, n in (("n_cases", self.n_cases), ("n_controls", self.n_controls)):
            values = np.asarray(n, dtype=np.float64)
            if values.ndim > 1 or not (np.isfinite(values) & (values > 0)).all():
                raise OptionError(f"{name} must be positive: a number, or one per variant; got {n!r}")

    @property
    def effective_n(self) -> FloatArray:
        """2 / (1 / n_cases + 1 / n_controls), as TwoSampleMR has it."""
        cases, controls = (np.asarray(n, dtype=np.float64) for n in (self.n_cases, self.n_controls))
        return np.asarray(2.0 / (1.0 / cases + 1.0 / controls))


Scale = Quantitative | CaseControl


class Explained(NamedTuple):
    """R2 and sample size variant by variant; nan where unknown, and then what is missing in words."""

    r2: FloatArray
    n: FloatArray
    missing: str


def explained(h: Harmonised, side: Side, scale: Scale) -> Explained:
    """Variance of the exposure or the outcome explained by each variant."""
    beta, se, p, n, eaf = (h.table[f"{what}_{side}"].to_numpy(np.float64) for what in ("beta", "se", "p", "n", "eaf"))
    if isinstance(scale, CaseControl):
        for name in ("n_cases", "n_controls"):
            size = np.size(getattr(scale, name))
            if size not in (1, beta.size):
                raise OptionError(f"{side}: {name} holds {size} values for {beta.size} variants")
        cases, controls = (np.broadcast_to(np.asarray(x, float), beta.shape) for x in (scale.n_cases, scale.n_controls))
        r2 = kernel.r2_on_liability(beta, eaf, cases, controls, scale.prevalence, _RESIDUAL[scale.model])
        size_used = np.broadcast_to(scale.effective_n, beta.shape)
        needed = {f"eaf_{side}": eaf}
    else:
        check_option(side, scale, Quantitative)
        size_used, needed = n, {f"n_{side}": n}
        if scale == "sd":
            r2 = kernel.r2_in_sd(beta, eaf)
            needed[f"eaf_{side}"] = eaf
        elif scale == "beta":
            r2 = kernel.r2_from_beta(beta, se, n)
        else:
            r2 = kernel.r2_from_p(p, n)
            if scale == "auto":
                r2 = np.where(p >= _P_FLOOR, r2, kernel.r2_from_beta(beta, se, n))
            else:
                needed[f"p_{side}"] = p
    unknown = [f"{name} ({int(np.isnan(x).sum())} of {x.size} variants)" for name, x in needed.items() if _gaps(x)]
    few = int(np.sum(size_used <= 3.0))
    if few:
        unknown.append(f"more than 3 people ({few} of {size_used.size} variants have 3 or fewer) of the {side}")
    return Explained(r2, np.asarray(size_used), " and ".join(unknown))


def _gaps(x: FloatArray) -> bool:
    return bool(np.isnan(x).any())
