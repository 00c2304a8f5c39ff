"""The estimators by name: what each needs, and its rows of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr._kernels.median import bootstrap_std_error, second_order_weights, weighted_medians
from dxa_causal.mr._kernels.regression import egger, ivw
from dxa_causal.mr.harmonised import Harmonised

Method = Literal[
    "wald_ratio",
    "ivw",
    "ivw_fe",
    "ivw_mre",
    "egger",
    "simple_median",
    "weighted_median",
    "penalised_weighted_median",
]
METHODS: tuple[Method, ...] = get_args(Method)
LABELS: dict[str, str] = {
    "wald_ratio": "Wald ratio",
    "ivw": "IVW",
    "ivw_fe": "IVW (fixed)",
    "ivw_mre": "IVW (random)",
    "egger": "MR-Egger",
    "simple_median": "Simple median",
    "weighted_median": "Weighted median",
    "penalised_weighted_median": "Penalised weighted median",
}
_PENALTY = 20.0  # Bowden et al. 2016; a variant beyond p = 1/20 loses weight


class Row(NamedTuple):
    """One line of numbers; `df` is None for the normal distribution."""

    term: str
    estimate: float = np.nan
    std_error: float = np.nan
    df: int | None = None


class Draws(NamedTuple):
    """What the bootstrap needs."""

    rng: np.random.Generator
    n: int


def why_not(method: Method, h: Harmonised) -> str:
    """Why `method` does not apply to these variants; empty if it does."""
    n = h.n_variants
    if method == "wald_ratio" and n != 1:
        return f"the Wald ratio is for one variant; there are {n}"
    least = 1 if method == "wald_ratio" else 2 if method.startswith("ivw") else 3
    if n < least:
        return f"needs at least {least} variants; there {'is' if n == 1 else 'are'} {n}"
    null = h.beta_exposure == 0
    if null.all() if method.startswith("ivw") else null.any() and method != "egger":
        variant = h.table["variant"].iloc[int(np.flatnonzero(null)[0])]
        return f"the effect on the exposure is zero for {int(null.sum())} of {n} variants, first {variant!r}: no ratio"
    if method == "egger" and egger(h.beta_exposure, h.beta_outcome, h.se_outcome) is None:
        return "all effects on the exposure have the same size: slope and intercept cannot be told apart"
    return ""


def refuse_correlated(h: Harmonised) -> None:
    """Raise rather than treat variants in linkage disequilibrium as independent."""
    if not isinstance(h, Harmonised):
        raise SummaryStatisticsError(
            f"this needs what mr.harmonise or Harmonised.from_arrays returns, not {type(h).__name__}"
        )
    if h.correlated:
        raise SummaryStatisticsError(
            "ld holds correlations between the variants, and no estimator here allows for them yet; "
            "keep one variant per region (clumping) and leave ld out"
        )


def _wald_ratio(h: Harmonised, draws: Draws) -> list[Row]:
    bx, by, sy = h.beta_exposure[0], h.beta_outcome[0], h.se_outcome[0]
    return [Row("effect", by / bx, sy / abs(bx))]


def _ivw(widen: Callable[[float], float]) -> Callable[[Harmonised, Draws], list[Row]]:
    def rows(h: Harmonised, draws: Draws) -> list[Row]:
        fit = ivw(h.beta_exposure, h.beta_outcome, h.se_outcome)
        return [Row("effect", fit.estimate, fit.std_error_fixed * widen(fit.sigma))]

    return rows


def _egger(h: Harmonised, draws: Draws) -> list[Row]:
    fit = egger(h.beta_exposure, h.beta_outcome, h.se_outcome)
    if fit is None:  # why_not has said so
        return []
    return [
        Row("effect", fit.slope, fit.slope_std_error, fit.df),
        Row("intercept", fit.intercept, fit.intercept_std_error, fit.df),
    ]


def _median(*, weighted: bool, penalised: bool = False) -> Callable[[Harmonised, Draws], list[Row]]:
    def rows(h: Harmonised, draws: Draws) -> list[Row]:
        from scipy.special import chdtrc

        arrays = (h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome)
        ratios = h.beta_outcome / h.beta_exposure
        weights = second_order_weights(*arrays) if weighted else np.ones(ratios.size)
        estimate = float(weighted_medians(ratios[None, :], weights)[0])
        if penalised:
            weights = weights * np.minimum(1.0, _PENALTY * chdtrc(1, weights * (ratios - estimate) ** 2))
            estimate = float(weighted_medians(ratios[None, :], weights)[0])
        return [Row("effect", estimate, bootstrap_std_error(*arrays, weights, draws.rng, draws.n))]

    return rows


ESTIMATORS: dict[Method, Callable[[Harmonised, Draws], list[Row]]] = {
    "wald_ratio": _wald_ratio,
    "ivw": _ivw(lambda sigma: max(1.0, sigma)),
    "ivw_fe": _ivw(lambda sigma: 1.0),
    "ivw_mre": _ivw(lambda sigma: sigma),
    "egger": _egger,
    "simple_median": _median(weighted=False),
    "weighted_median": _median(weighted=True),
    "penalised_weighted_median": _median(weighted=True, penalised=True),
}
