"""Distances of a calibration curve from the diagonal, and what they are in bootstrap samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import DxaCausalError, OptionError
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal.survival.evaluation.calibration_curve import CurveMethod, smooth_curve
from dxa_causal.survival.evaluation.forecasts import Forecasts

FloatArray = npt.NDArray[np.float64]

DISTANCES = ("ICI", "E50", "E90", "Emax")
_BLOCK = 10  # resamples per piece of work


def distances(observed: FloatArray, predicted: FloatArray) -> tuple[float, float, float, float]:
    """ICI, E50, E90 and Emax."""
    gap = np.abs(observed - predicted)
    return float(gap.mean()), float(np.median(gap)), float(np.quantile(gap, 0.9)), float(gap.max())


def resampled_distances(
    forecasts: Forecasts,
    model: int,
    method: CurveMethod,
    n_knots: int,
    n_resamples: int,
    *,
    seed: Seed,
    n_jobs: int | None,
    progress: bool,
) -> FloatArray:
    """Distances of one model in bootstrap samples of the rows, (n_resamples, 4); missing where there is no curve."""
    draws = spawn(seed, n_resamples)
    blocks = [draws[i : i + _BLOCK] for i in range(0, n_resamples, _BLOCK)]
    work = _Draws(replace(forecasts, risk=forecasts.risk[:, [model]]), method, n_knots)
    done = parallel_map(work, blocks, n_jobs=n_jobs, progress=progress, description="calibration")
    values = np.concatenate(list(done))
    failed = int(np.isnan(values).any(axis=1).sum())
    if failed > n_resamples // 2:
        raise OptionError(f"{failed} of {n_resamples} bootstrap samples give no calibration curve; take fewer knots")
    if failed:
        warn(f"{failed} of {n_resamples} bootstrap samples give no calibration curve", ConvergenceWarning)
    return values


@dataclass(frozen=True, slots=True)
class _Draws:
    """Distances of the curves of resampled rows; picklable."""

    forecasts: Forecasts
    method: CurveMethod
    n_knots: int

    def __call__(self, generators: list[np.random.Generator]) -> FloatArray:
        return np.array([self._one(rng) for rng in generators])

    def _one(self, rng: np.random.Generator) -> tuple[float, ...]:
        n = self.forecasts.n
        drawn = self.forecasts.take(rng.integers(n, size=n))
        risk = drawn.risk[:, 0]
        try:
            curve = smooth_curve(drawn, risk, method=self.method, n_knots=self.n_knots, points=False)
        except DxaCausalError:
            return (np.nan,) * len(DISTANCES)
        return distances(curve.observed, risk)
