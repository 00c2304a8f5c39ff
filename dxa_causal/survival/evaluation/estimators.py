"""Risks predicted by estimators with scikit-survival's ``predict_survival_function``, pipelines included."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal.survival.estimator_curves import survival_at

FloatArray = npt.NDArray[np.float64]


def estimator_risks(name: str, model: Any, frame: pd.DataFrame, times: FloatArray) -> FloatArray:
    """Risks by each time, (n, k)."""
    last_step = model.steps[-1][1] if hasattr(model, "steps") else model
    x = features(model, frame)
    if hasattr(last_step, "unique_times_"):
        last = float(last_step.unique_times_[-1])
    else:
        last = float(model.predict_survival_function(x.head(1))[0].x[-1])
    refuse_beyond(name, times, last)
    return np.asarray(1.0 - survival_at(model, x, times))


def takes_missing(model: Any) -> bool:
    """Whether an estimator takes missing values, itself or because its pipeline imputes before what does not."""
    if not (hasattr(model, "predict_survival_function") or hasattr(model, "predict_proba")):
        return False
    for _, step in getattr(model, "steps", [("", model)]):
        if _imputes(step):
            return True
        # what is no estimator of scikit-learn's says nothing of missing values
        if not hasattr(step, "__sklearn_tags__") or not step.__sklearn_tags__().input_tags.allow_nan:
            return False
    return True


def _imputes(step: Any) -> bool:
    if hasattr(step, "steps"):
        return any(_imputes(inner) for _, inner in step.steps)
    if hasattr(step, "transformers_"):
        return all(_imputes(inner) for _, inner, _ in step.transformers_)
    return type(step).__module__.startswith("sklearn.impute")


def features(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Columns the estimator was fitted on."""
    return frame[list(model.feature_names_in_)] if hasattr(model, "feature_names_in_") else frame


def refuse_beyond(name: str, times: FloatArray, last: float) -> None:
    """Refuse horizons after the follow-up a model was fitted on."""
    late = times[times > last]
    if late.size:
        raise OptionError(
            f"model {name!r} cannot predict up to {late.max():g}: the rows it was fitted on were followed to {last:g}, "
            f"and its baseline is not known beyond; the last usable horizon is {last:g}"
        )
