"""Median: least absolute deviations."""

from __future__ import annotations

import numpy as np

from dxa_causal.mr._kernels.multivariable import least_absolute_many
from dxa_causal.mr.multivariable.estimator import Estimator, Row, Settings, rows_of
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised

_BLOCK = 1 << 20  # numbers drawn at once: bounds memory


def _median(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    w = h.se_outcome**-2.0
    n, k = h.beta_exposures.shape
    coef = least_absolute_many(h.beta_exposures[None], h.beta_outcome[None], w)[0]
    draws = np.empty((settings.n_draws, k))
    block = max(1, _BLOCK // (n * k))
    for start in range(0, settings.n_draws, block):
        m = min(block, settings.n_draws - start)
        x = h.beta_exposures + h.se_exposures * settings.rng.standard_normal((m, n, k))
        y = h.beta_outcome + h.se_outcome * settings.rng.standard_normal((m, n))
        draws[start : start + m] = least_absolute_many(x, y, w)
    return rows_of(h, coef, draws.std(axis=0, ddof=1))


FAMILY: dict[str, Estimator] = {"median": Estimator("Median", _median)}
