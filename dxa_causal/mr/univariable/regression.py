"""Wald ratio, inverse-variance weighting and MR-Egger."""

from __future__ import annotations

from collections.abc import Callable

from dxa_causal.mr._kernels.regression import egger, ivw
from dxa_causal.mr.estimator import Estimator, Row, Settings, has_random_effects
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.correlated import correlated_egger, correlated_ivw


def _not_one(h: Harmonised) -> str:
    return "" if h.n_variants == 1 else f"the Wald ratio is for one variant; there are {h.n_variants}"


def _wald_ratio(h: Harmonised, settings: Settings) -> list[Row]:
    bx, by, sy = h.beta_exposure[0], h.beta_outcome[0], h.se_outcome[0]
    return [Row("effect", by / bx, sy / abs(bx))]


def _ivw(widen: Callable[[float], float]) -> Callable[[Harmonised, Settings], list[Row]]:
    def rows(h: Harmonised, settings: Settings) -> list[Row]:
        fit = ivw(h.beta_exposure, h.beta_outcome, h.se_outcome)
        return [Row("effect", fit.estimate, fit.std_error_fixed * widen(fit.sigma))]

    return rows


def _ivw_or_correlated(h: Harmonised, settings: Settings) -> list[Row]:
    by_convention = settings.convention == "mendelianrandomization"
    if h.correlated:
        return correlated_ivw(h, "default" if by_convention else "random")
    fixed = by_convention and not has_random_effects(h, "default")
    return _ivw(lambda sigma: 1.0 if fixed else max(1.0, sigma))(h, settings)


def _all_of_one_size(h: Harmonised) -> str:
    if egger(h.beta_exposure, h.beta_outcome, h.se_outcome) is None:
        return "all effects on the exposure have the same size: slope and intercept cannot be told apart"
    return ""


def _egger(h: Harmonised, settings: Settings) -> list[Row]:
    if h.correlated:
        return correlated_egger(h)
    fit = egger(h.beta_exposure, h.beta_outcome, h.se_outcome)
    if fit is None:  # why_not has said so
        return []
    df = None if settings.convention == "mendelianrandomization" else fit.df
    return [
        Row("effect", fit.slope, fit.slope_std_error, df),
        Row("intercept", fit.intercept, fit.intercept_std_error, df),
    ]


FAMILY: dict[str, Estimator] = {
    "wald_ratio": Estimator("Wald ratio", _wald_ratio, least=1, why_not=_not_one),
    "ivw": Estimator("IVW", _ivw_or_correlated, least=2, ratio=False, correlated=True),
    "ivw_fe": Estimator("IVW (fixed)", _ivw(lambda sigma: 1.0), least=2, ratio=False),
    "ivw_mre": Estimator("IVW (random)", _ivw(lambda sigma: sigma), least=2, ratio=False),
    "egger": Estimator("MR-Egger", _egger, ratio=False, correlated=True, why_not=_all_of_one_size),
}
