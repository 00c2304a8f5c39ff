"""Least squares on the effects of all exposures: IVW, MR-Egger, robust IVW, and one residual at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.correlated import covariance, gls
from dxa_causal.mr._kernels.mm_regression import mm_regression
from dxa_causal.mr._kernels.multivariable import weighted
from dxa_causal.mr.multivariable.estimator import Estimator, Row, Settings, by_scale, rows_of
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised

FloatArray = npt.NDArray[np.float64]
SIGNIFICANT = 5e-8
_One = Callable[[FloatArray, FloatArray, FloatArray, int, bool], tuple[float, float, float, int]]


def _ivw(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    return _correlated(h, settings, egger=False) if h.correlated else _each(h, settings, _joint)


def _egger(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    if h.correlated:
        return _correlated(h, settings, egger=True)
    sign = h.coding(settings.orientate)
    design = np.column_stack([h.beta_exposures * sign[:, None], np.ones(sign.size)])
    fit = weighted(design, h.beta_outcome * sign, h.se_outcome**-2.0)
    se = by_scale(fit.std_error, fit.sigma if settings.model == "fixed" else min(1.0, fit.sigma))
    return rows_of(h, fit.coef, se, df=fit.df if settings.convention == "mvmr" else None, details={"q": fit.q})


def _correlated(h: MultivariableHarmonised, settings: Settings, *, egger: bool) -> list[Row]:
    """Generalised least squares with the LD matrix."""
    sign = h.coding(settings.orientate) if egger else np.ones(h.n_variants)
    design = h.beta_exposures * sign[:, None]
    if egger:
        design = np.column_stack([design, np.ones(sign.size)])
    fit = gls(design, h.beta_outcome * sign, covariance(h.se_outcome * sign, h.correlations))
    se = np.sqrt(np.diag(fit.cov)) * (fit.widen if settings.model != "fixed" and (egger or settings.random(h)) else 1.0)
    return rows_of(h, fit.coef, se, df=fit.df if settings.convention == "mvmr" else None, details={"q": fit.q})


def _residuals(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    return _each(h, settings, _residual)


def _each(h: MultivariableHarmonised, settings: Settings, fit: _One) -> list[Row]:
    """One exposure at a time: the variants that count for it, and its coefficient."""
    rows = []
    for j, name in enumerate(h.exposures):
        use = h.p_exposures[:, j] < SIGNIFICANT if settings.instrument_specific else np.ones(h.n_variants, dtype=bool)
        if use.sum() <= len(h.exposures) + settings.intercept:
            rows.append(Row(name, n_variants=int(use.sum())))
            continue
        b, se, sigma, df = fit(
            h.beta_exposures[use], h.beta_outcome[use], h.se_outcome[use] ** -2.0, j, settings.intercept
        )
        if fit is _residual:  # unweighted: its scale is no dispersion
            rows.append(Row(name, b, se, df if settings.convention == "mvmr" else None, int(use.sum())))
            continue
        if settings.model == "fixed" or (settings.convention == "mendelianrandomization" and not settings.random(h)):
            se = float(by_scale(se, sigma))
        elif settings.convention == "mendelianrandomization":
            se = float(by_scale(se, min(1.0, sigma)))
        rows.append(
            Row(name, b, se, df if settings.convention == "mvmr" else None, int(use.sum()), {"q": sigma**2 * df})
        )
    return rows


def _joint(x: FloatArray, y: FloatArray, w: FloatArray, j: int, intercept: bool) -> tuple[float, float, float, int]:
    design = np.column_stack([x, np.ones(y.size)]) if intercept else x
    fit = weighted(design, y, w)
    return float(fit.coef[j]), float(fit.std_error[j]), fit.sigma, fit.df


def _residual(x: FloatArray, y: FloatArray, w: FloatArray, j: int, intercept: bool) -> tuple[float, float, float, int]:
    one = np.ones((y.size, int(intercept)))
    others = np.column_stack([np.delete(x, j, axis=1), one])
    left = y - others @ np.linalg.lstsq(others, y, rcond=None)[0] if others.shape[1] else y
    fit = weighted(np.column_stack([x[:, j], one]), left, np.ones(y.size))
    return float(fit.coef[0]), float(fit.std_error[0]), fit.sigma, fit.df


def _robust(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    root = 1.0 / h.se_outcome
    fit = mm_regression(h.beta_exposures * root[:, None], h.beta_outcome * root)
    if fit is None:  # more than half of the variants fit exactly
        return [Row(name, n_variants=h.n_variants) for name in h.exposures]
    se = by_scale(fit.std_errors, min(1.0, fit.scale) if settings.random(h) else fit.scale)
    return rows_of(h, fit.coefficients, se, details={"scale": fit.scale})


FAMILY: dict[str, Estimator] = {
    "ivw": Estimator("Inverse-variance weighted", _ivw, correlated=True),
    "ivw_robust": Estimator("Inverse-variance weighted, robust", _robust),
    "egger": Estimator("MR-Egger", _egger, spare=2, correlated=True),
    "residual": Estimator("Residual", _residuals),
}
