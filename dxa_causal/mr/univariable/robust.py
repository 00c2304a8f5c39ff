"""Penalised and robust (MM) regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.mm_regression import MMEstimate, mm_regression
from dxa_causal.mr._kernels.weighted import weighted_regression
from dxa_causal.mr.estimator import Estimator, Model, Row, Settings, has_random_effects
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.wider import WiderLimits

FloatArray = npt.NDArray[np.float64]
Weights = Literal["simple", "delta"]
Distribution = Literal["normal", "t"]
_PENALTY = {"simple": 100.0, "delta": 20.0}


def _precision(h: Harmonised, weights: Weights, psi: float) -> FloatArray:
    if weights == "simple":
        return h.se_outcome**-2.0
    ratio = h.beta_outcome / h.beta_exposure
    sx, sy = h.se_exposure, h.se_outcome
    return 1 / (sy**2 - 2 * psi * ratio * sx * sy + (ratio * sx) ** 2)


def _design(h: Harmonised, intercept: bool) -> tuple[FloatArray, FloatArray]:
    bx, by = h.beta_exposure, h.beta_outcome
    if not intercept:
        return bx[:, None], by
    return np.column_stack([np.ones(bx.size), np.abs(bx)]), np.where(bx < 0, -by, by)


def regression_rows(
    *,
    intercept: bool,
    model: Model = "default",
    weights: Weights = "simple",
    psi: float = 0.0,
    distribution: Distribution = "normal",
    robust: bool = False,
    penalised: bool = False,
) -> Callable[[Harmonised, Settings], list[Row]]:
    """Rows of IVW (no intercept) or MR-Egger as MendelianRandomization has them."""

    def rows(h: Harmonised, settings: Settings) -> list[Row]:
        from scipy.special import chdtrc

        design, y = _design(h, intercept)
        w = _precision(h, weights, psi)
        n, p = design.shape
        if penalised:
            centre = float(np.median(h.beta_outcome / h.beta_exposure))
            fitted = design @ weighted_regression(design, y, w).coefficients if intercept else design[:, 0] * centre
            w = w * np.minimum(1.0, _PENALTY[weights] * chdtrc(1, w * (y - fitted) ** 2))
        fit = _fit(design, y, w, robust=robust)
        if fit is None:  # why_not has said so
            return []
        random = intercept or has_random_effects(h, model)
        std_errors = fit.std_errors / (min(1.0, fit.scale) if random else fit.scale)
        df = n - p
        # the robust scale stands for the residuals in IVW, not in MR-Egger: as MendelianRandomization
        q = float(np.sum(w * (y - design @ fit.coefficients) ** 2)) if intercept else fit.scale**2 * df
        details = {"sigma": fit.scale}
        if not penalised:
            details |= {"q": q, "q_df": float(df), "q_p_value": float(chdtrc(df, q))}
        names = ("intercept", "effect") if intercept else ("effect",)
        found = []
        for term, b, se in zip(names, fit.coefficients.tolist(), std_errors.tolist(), strict=True):
            row = Row(term, b, se, df if distribution == "t" else None, details=details if term == "effect" else {})
            if distribution == "t" and intercept and fit.scale < 1:
                wider = WiderLimits(b, se, se * fit.scale, df)
                row = row._replace(p_value=wider.p_value(), interval=wider)
            found.append(row)
        return found[::-1]

    return rows


def _fit(design: FloatArray, y: FloatArray, w: FloatArray, *, robust: bool) -> MMEstimate | None:
    if not robust:
        return weighted_regression(design, y, w)
    root = np.sqrt(w)
    return mm_regression(design * root[:, None], y * root)


def _why_not(*, intercept: bool, robust: bool) -> Callable[[Harmonised], str]:
    def why_not(h: Harmonised) -> str:
        size = np.abs(h.beta_exposure)
        if intercept and np.ptp(size) <= 1e-10 * size.max():
            return "all effects on the exposure have the same size: slope and intercept cannot be told apart"
        if robust and _fit(*_design(h, intercept), h.se_outcome**-2.0, robust=True) is None:
            return "more than half of the variants lie exactly on one line: no robust scale"
        return ""

    return why_not


def regression_estimator(
    label: str,
    *,
    intercept: bool,
    model: Model = "default",
    weights: Weights = "simple",
    psi: float = 0.0,
    distribution: Distribution = "normal",
    robust: bool = False,
    penalised: bool = False,
) -> Estimator:
    """IVW (no intercept) or MR-Egger with options."""
    rows = regression_rows(
        intercept=intercept, model=model, weights=weights, psi=psi, distribution=distribution, robust=robust,
        penalised=penalised,
    )  # fmt: skip
    return Estimator(
        label,
        rows,
        least=3 if intercept or robust or penalised else 2,
        ratio=penalised or weights == "delta",
        why_not=_why_not(intercept=intercept, robust=robust),
    )


def _estimator(label: str, intercept: bool, robust: bool, penalised: bool) -> Estimator:
    return regression_estimator(label, intercept=intercept, robust=robust, penalised=penalised)


FAMILY: dict[str, Estimator] = {
    "ivw_penalised": _estimator("IVW (penalised)", False, False, True),
    "ivw_robust": _estimator("IVW (robust)", False, True, False),
    "ivw_robust_penalised": _estimator("IVW (robust, penalised)", False, True, True),
    "egger_penalised": _estimator("MR-Egger (penalised)", True, False, True),
    "egger_robust": _estimator("MR-Egger (robust)", True, True, False),
    "egger_robust_penalised": _estimator("MR-Egger (robust, penalised)", True, True, True),
}
