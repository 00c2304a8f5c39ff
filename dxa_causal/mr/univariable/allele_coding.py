"""Sign test, bootstrap of MR-Egger and MR-GRIP."""

from __future__ import annotations

import numpy as np

from dxa_causal.mr._kernels.allele_coding import egger_draws, grip
from dxa_causal.mr.estimator import Estimator, Row, Settings
from dxa_causal.mr.harmonised import Harmonised

_LEAST_SIGNS = 6


def _both(h: Harmonised) -> int:
    return int(np.count_nonzero((h.beta_exposure != 0) & (h.beta_outcome != 0)))


def _too_few_signs(h: Harmonised) -> str:
    n = _both(h)
    return (
        "" if n >= _LEAST_SIGNS else f"needs at least {_LEAST_SIGNS} variants with both effects not zero; there are {n}"
    )


def _sign(h: Harmonised, settings: Settings) -> list[Row]:
    """Share of equal signs minus the share of opposite signs (not an effect size), with the exact binomial test."""
    from scipy.special import bdtr

    n = _both(h)
    same = int(np.count_nonzero(h.beta_exposure * h.beta_outcome > 0))
    p_value = min(1.0, 2 * float(bdtr(min(same, n - same), n, 0.5)))
    return [Row("effect", 2 * same / n - 1, p_value=p_value, details={"same_sign": same, "n_signs": n})]


def _egger_bootstrap(h: Harmonised, settings: Settings) -> list[Row]:
    draws = egger_draws(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome, settings.rng, settings.n_draws)
    mean, sd = draws.mean(axis=0), draws.std(axis=0, ddof=1)
    opposite = (np.sign(mean) * draws < 0).mean(axis=0)  # one-sided, as TwoSampleMR
    return [
        Row(term, float(mean[i]), float(sd[i]), p_value=float(opposite[i]))
        for i, term in enumerate(("effect", "intercept"))
    ]


def _all_of_one_size(h: Harmonised) -> str:
    if grip(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome) is None:
        return "all effects on the exposure have the same size: slope and intercept cannot be told apart"
    return ""


def _grip(h: Harmonised, settings: Settings) -> list[Row]:
    from scipy.special import stdtr

    fit = grip(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome)
    if fit is None:  # why_not has said so
        return []
    df = h.n_variants - 2
    adjusted = {
        "adjusted_estimate": fit.adjusted,
        "adjusted_std_error": fit.adjusted_std_error,
        "adjusted_p_value": float(2 * stdtr(df, -abs(fit.adjusted / fit.adjusted_std_error)))
        if fit.adjusted_std_error > 0
        else np.nan,
    }
    return [
        Row("effect", fit.slope, fit.slope_std_error, df, details=adjusted),
        Row("intercept", fit.intercept, fit.intercept_std_error, df),
    ]


FAMILY: dict[str, Estimator] = {
    "sign": Estimator("Sign test", _sign, ratio=False, why_not=_too_few_signs),
    "egger_bootstrap": Estimator("MR-Egger (bootstrap)", _egger_bootstrap, ratio=False),
    "grip": Estimator("MR-GRIP", _grip, why_not=_all_of_one_size),
}
