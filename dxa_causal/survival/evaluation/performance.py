"""One number per metric for a model on some rows: what validation schemes repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.survival.evaluation.evaluate import evaluate
from dxa_causal.survival.evaluation.forecasts import read_forecasts
from dxa_causal.survival.evaluation.predictions import read_horizons
from dxa_causal.survival.evaluation.weak_calibration import weak_calibration

FloatArray = npt.NDArray[np.float64]
Performance = Literal[
    "auc",
    "brier",
    "ipa",
    "ibs",
    "concordance_harrell",
    "concordance_uno",
    "calibration_slope",
    "calibration_intercept",
    "observed_expected",
]
Score = Callable[[Any, pd.DataFrame], float]

CALIBRATION = {"calibration_slope": "slope", "calibration_intercept": "intercept", "observed_expected": "O/E"}
_NEUTRAL = {"auc": 0.5, "concordance_harrell": 0.5, "concordance_uno": 0.5, "calibration_slope": 1.0}
_NEUTRAL |= {"observed_expected": 1.0}
USUAL: tuple[Performance, ...] = ("concordance_harrell", "auc", "brier", "calibration_slope")


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """What is measured and how; picklable where `scores` are.

    Attributes
    ----------
    metrics : tuple of str
    scores : mapping of str to callable
        Further metrics: (model, frame) -> number.
    horizons : tuple of float
    outcome, cause
        As of `evaluate`.
    """

    metrics: tuple[str, ...]
    scores: Mapping[str, Score]
    horizons: tuple[float, ...]
    outcome: str | None
    cause: Any

    def table(self, models: Mapping[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
        """Columns model, metric, time, estimate, std_error: a row per model, metric and horizon."""
        tables = []
        chosen = [m for m in self.metrics if m not in CALIBRATION]
        if chosen:
            options = {"outcome": self.outcome, "cause": self.cause}
            found = evaluate(models, frame, list(self.horizons), metrics=chosen, **options).tidy()
            tables.append(found[found["model"].isin(models)])
        weak = [m for m in self.metrics if m in CALIBRATION]
        for horizon in self.horizons if weak else ():
            forecasts = read_forecasts(
                models, frame, horizon=horizon, outcome=self.outcome, cause=self.cause, inside=True
            )
            for name, risk in zip(forecasts.models, forecasts.risk.T, strict=True):
                values = {metric: (value, se) for metric, value, se in weak_calibration(forecasts, risk)}
                lines = [(name, m, horizon, *values[CALIBRATION[m]]) for m in weak]
                tables.append(pd.DataFrame(lines, columns=["model", "metric", "time", "estimate", "std_error"]))
        for metric, score in self.scores.items():
            lines = [
                (name, metric, np.nan, _number(metric, score(model, frame)), np.nan) for name, model in models.items()
            ]
            tables.append(pd.DataFrame(lines, columns=["model", "metric", "time", "estimate", "std_error"]))
        columns = ["model", "metric", "time", "estimate", "std_error"]
        return pd.concat([t[columns] for t in tables], ignore_index=True)


def measured(
    metrics: Sequence[Performance] | Mapping[str, Score], horizons: Any, *, outcome: str | None, cause: Any
) -> Measured:
    """Check what is asked for; a mapping of names to functions (model, frame) -> number measures that."""
    at = tuple(read_horizons(horizons).tolist())
    if len(metrics) == 0:
        raise OptionError("metrics is empty; name at least one, for instance metrics=['auc', 'brier']")
    if isinstance(metrics, Mapping):
        given: Mapping[str, Any] = metrics
        for name, score in given.items():
            if score is None:
                check_option("metrics", name, Performance)
            elif not callable(score):
                raise OptionError(f"metrics[{name!r}]={score!r} must be a function (model, frame) -> number")
        chosen = tuple(name for name, score in metrics.items() if score is None)
        return Measured(chosen, {k: v for k, v in metrics.items() if v is not None}, at, outcome, cause)
    chosen = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for metric in chosen:
        check_option("metrics", metric, Performance)
    return Measured(tuple(dict.fromkeys(chosen)), {}, at, outcome, cause)


def _number(metric: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise OptionError(f"metrics[{metric!r}] returned {type(value).__name__}, not a number") from None


def neutral(metrics: Iterable[str]) -> float:
    """Where a line helps to read a figure: no discrimination, perfect calibration, else zero."""
    found = {_NEUTRAL.get(metric, 0.0) for metric in metrics}
    return found.pop() if len(found) == 1 else 0.0


def why_missing(table: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Why an estimate, or its standard error, is missing; empty where none is."""
    lost = table["estimate"].isna().to_numpy(), table["std_error"].isna().to_numpy()
    return np.select(lost, ["the regression did not converge", "no standard error"], "")


def to_pooling_scale(metric: str, estimate: FloatArray, std_error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log odds of what lies between 0 and 1, logarithm of a ratio, other measures as they are."""
    if metric.startswith(("auc", "concordance")):
        inside = np.clip(estimate, 1e-6, 1 - 1e-6)
        return logit(inside), std_error / (inside * (1 - inside))
    if metric == "observed_expected":
        with np.errstate(divide="ignore", invalid="ignore"):  # no event observed
            return np.log(estimate), std_error / estimate
    return estimate, std_error


def poolable(metric: str, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Rows that can be pooled: with a standard error above rounding, and not at the end of their range."""
    estimate, std_error = table["estimate"].to_numpy(), table["std_error"].to_numpy()
    usable = std_error > 1e-8 * np.maximum(1.0, np.abs(estimate))
    if metric.startswith(("auc", "concordance")):
        usable &= (estimate > 0) & (estimate < 1)
    return np.asarray(usable & (estimate > 0) if metric == "observed_expected" else usable)


def from_pooling_scale(metric: str, value: FloatArray) -> FloatArray:
    """Back to the scale of the metric."""
    if metric.startswith(("auc", "concordance")):
        return np.asarray(expit(value))
    return np.asarray(np.exp(value)) if metric == "observed_expected" else value
