"""Lasso on the direct effects of the variants."""

from __future__ import annotations

import numpy as np

from dxa_causal.mr._kernels.lasso import chosen, default_path, paths, residual_design
from dxa_causal.mr._kernels.multivariable import weighted
from dxa_causal.mr.multivariable.estimator import Estimator, Row, Settings, by_scale, rows_of
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised


def _lasso(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    from scipy.stats import chi2

    sign = h.coding(settings.orientate)
    x, y, sy = h.beta_exposures * sign[:, None], h.beta_outcome * sign, h.se_outcome
    design, left = residual_design(x, y, sy)
    path = default_path(design, left) if settings.lambda_ is None else np.array([settings.lambda_])
    valid = paths(design, left, path) == 0.0
    k = len(h.exposures)
    if valid.sum(axis=1).max() <= k:
        return [Row(name, n_variants=h.n_variants) for name in h.exposures]
    place = chosen(valid, x, y, sy, float(chi2.ppf(0.95, 1)))
    keep = valid[place]
    fit = weighted(x[keep], y[keep], sy[keep] ** -2.0)
    details = {"lambda": float(path[place]), "n_valid": float(keep.sum())}
    return rows_of(h, fit.coef, by_scale(fit.std_error, min(1.0, fit.sigma)), details=details, valid=keep)


FAMILY: dict[str, Estimator] = {"lasso": Estimator("Lasso", _lasso)}
