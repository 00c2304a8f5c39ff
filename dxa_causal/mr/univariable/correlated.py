"""Instruments in linkage disequilibrium: IVW, MR-Egger and maximum likelihood with the LD matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.correlated import covariance, gls, maxlik
from dxa_causal.mr.estimator import Model, Row, has_random_effects
from dxa_causal.mr.harmonised import Harmonised

FloatArray = npt.NDArray[np.float64]


def correlated_ivw(h: Harmonised, model: Model = "default") -> list[Row]:
    """Generalised least squares through the origin; `model` "default" widens from four variants on."""
    fit = gls(h.beta_exposure[:, None], h.beta_outcome, covariance(h.se_outcome, h.correlations))
    widen = fit.widen if has_random_effects(h, model) else 1.0
    return [Row("effect", float(fit.coef[0]), float(fit.cov[0, 0] ** 0.5) * widen, details={"q": fit.q})]


def correlated_egger(h: Harmonised) -> list[Row]:
    """Generalised least squares with intercept, every variant and its correlations coded to raise the exposure."""
    sign = np.where(h.beta_exposure < 0, -1.0, 1.0)
    design = np.column_stack([np.abs(h.beta_exposure), np.ones(h.n_variants)])
    fit = gls(design, h.beta_outcome * sign, covariance(h.se_outcome * sign, h.correlations))
    se = np.sqrt(np.diag(fit.cov)) * fit.widen
    return [
        Row("effect", float(fit.coef[0]), float(se[0]), details={"q": fit.q}),
        Row("intercept", float(fit.coef[1]), float(se[1])),
    ]


def correlated_maxlik(h: Harmonised, psi: float = 0.0, model: Model = "default") -> list[Row]:
    """Optimum of the profile likelihood; `psi` is the correlation of the two samples' errors."""
    fit = maxlik(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome, h.correlations, psi)
    widen = max(1.0, (fit.q / (h.n_variants - 1)) ** 0.5) if has_random_effects(h, model) and h.n_variants > 1 else 1.0
    return [Row("effect", fit.estimate, fit.std_error * widen, details={"q": fit.q})]
