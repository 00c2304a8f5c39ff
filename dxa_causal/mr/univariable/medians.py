"""Medians of the variants' ratios."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dxa_causal.mr._kernels.median import bootstrap_std_error, second_order_weights, weighted_medians
from dxa_causal.mr.estimator import Estimator, Row, Settings
from dxa_causal.mr.harmonised import Harmonised

_PENALTY = 20.0  # Bowden et al. 2016; a variant beyond p = 1/20 loses weight


def _median(*, weighted: bool, penalised: bool = False) -> Callable[[Harmonised, Settings], list[Row]]:
    def rows(h: Harmonised, settings: Settings) -> list[Row]:
        from scipy.special import chdtrc

        arrays = (h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome)
        ratios = h.beta_outcome / h.beta_exposure
        if not weighted:
            weights = np.ones(ratios.size)
        elif settings.convention == "mendelianrandomization":
            weights = (h.beta_exposure / h.se_outcome) ** 2
        else:
            weights = second_order_weights(*arrays)
        estimate = float(weighted_medians(ratios[None, :], weights)[0])
        if penalised:
            weights = weights * np.minimum(1.0, _PENALTY * chdtrc(1, weights * (ratios - estimate) ** 2))
            estimate = float(weighted_medians(ratios[None, :], weights)[0])
        return [Row("effect", estimate, bootstrap_std_error(*arrays, weights, settings.rng, settings.n_draws))]

    return rows


FAMILY: dict[str, Estimator] = {
    "simple_median": Estimator("Simple median", _median(weighted=False)),
    "weighted_median": Estimator("Weighted median", _median(weighted=True)),
    "penalised_weighted_median": Estimator("Penalised weighted median", _median(weighted=True, penalised=True)),
}
