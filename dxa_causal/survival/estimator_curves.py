"""Survival at given times from any estimator that predicts curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError

FloatArray = npt.NDArray[np.float64]


def survival_at(estimator: Any, x: Any, times: FloatArray) -> FloatArray:
    """Survival (n, k) of a learner, a Pipeline that ends in one, or an estimator of scikit-survival.

    Beyond the last step of a curve its last value is carried forward.
    """
    if not hasattr(estimator, "predict_survival_function"):
        raise OptionError(f"{type(estimator).__name__} has no predict_survival_function, so it cannot be combined")
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    if hasattr(last, "unique_times_"):
        grid: FloatArray = np.asarray(last.unique_times_, dtype=np.float64)
        curves = np.asarray(estimator.predict_survival_function(x, return_array=True))
        return np.column_stack([np.ones(len(curves)), curves])[:, np.searchsorted(grid, times, side="right")]
    functions = estimator.predict_survival_function(x)
    survival = np.empty((len(functions), times.size))
    for i, f in enumerate(functions):
        value = np.concatenate([[1.0], f.a * np.asarray(f.y) + f.b])
        survival[i] = value[np.searchsorted(f.x, times, side="right")]
    return survival
