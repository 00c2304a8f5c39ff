"""Risks that fitted models, estimators or columns of numbers predict for the rows of a test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, column_not_found, shown
from dxa_causal._design import Design, SurvivalOutcome, build_design, to_pandas
from dxa_causal._design.rows import Rows, columns_used
from dxa_causal.survival.cause_specific import CauseSpecificFit
from dxa_causal.survival.cox import CoxFit
from dxa_causal.survival.evaluation.estimators import estimator_risks, features, refuse_beyond, takes_missing
from dxa_causal.survival.fine_gray import FineGrayFit
from dxa_causal.survival.prediction import prediction_rows
from dxa_causal.survival.step_curves import check_times

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Columns of a fit that its predictions need beside the covariates.
_BESIDE = ("strata", "offset")


@dataclass(frozen=True, eq=False, slots=True)
class EvaluationRows:
    """Rows of a test set on which every model can be judged.

    Attributes
    ----------
    models : dict of str to object
        Arrays among them are cut to the rows.
    rows : Rows
        Complete in the outcome and in what every model needs (but not where an estimator takes missing values).
    outcome : SurvivalOutcome
    code : int
        The cause that counts, as coded in `outcome`.
    cause : object
        As the data name it; None where there is one kind of event.
    formula : str
        The left side read.
    design : Design
    """

    models: dict[str, Any]
    rows: Rows
    outcome: SurvivalOutcome
    code: int
    cause: Any
    formula: str
    design: Design

    @property
    def frame(self) -> pd.DataFrame:
        """The rows, with the columns used."""
        return self.rows.frame

    @property
    def competing(self) -> bool:
        """Whether something else can happen instead."""
        return bool(((self.outcome.event > 0) & (self.outcome.event != self.code)).any())

    def risks(self, horizons: npt.ArrayLike) -> dict[str, FloatArray]:
        """As :func:`predicted_risks`."""
        return predicted_risks(self.models, self.frame, horizons, cause=self.cause)


def evaluation_rows(
    models: Any,
    data: Any,
    *,
    outcome: str | None = None,
    cause: Any = None,
    columns: Sequence[str] = (),
) -> EvaluationRows:
    """Rows of `data` complete in the outcome and in what all models need, so that models are compared on the same rows.

    Parameters
    ----------
    models : model or mapping of str to model
    data : pandas or polars frame
    outcome : str, optional
        ``Surv(time, event)``; that of the fits when omitted.
    cause : object, optional
        Cause that the models predict; that of the fits when omitted.
    columns : sequence of str
        Further columns to keep.

    Raises
    ------
    OptionError
        No outcome can be found, fits have different ones, or a model cannot predict.
    """
    named = name_models(models)
    frame = to_pandas(data)
    text = _common_outcome(named) if outcome is None else outcome
    cause = _common_cause(named) if cause is None else cause
    causes = cause is not None or any(isinstance(m, FineGrayFit | CauseSpecificFit) for m in named.values())
    arguments: dict[str, str] = {f"column {name}": name for name in columns}
    arrays: dict[str, FloatArray] = {}
    may_miss: list[str] = []
    for name, model in named.items():
        needed = _columns_needed(name, model, frame)
        if takes_missing(model):
            may_miss += [column_or_refuse(column, frame, name) for column in needed]
        else:
            arguments |= {f"model {name!r}: {column}": column for column in needed}
        if not isinstance(model, str) and isinstance(model, np.ndarray | Sequence | pd.Series | pd.DataFrame):
            if isinstance(model, pd.Series | pd.DataFrame) and not model.index.equals(frame.index):
                raise OptionError(f"model {name!r}: the index of the predictions is not that of data; give an array")
            arrays[name] = _numbers(model, len(frame), name)
            hidden = f"predictions of {name}"
            frame = frame.assign(**{hidden: arrays[name].sum(axis=1)})
            arguments[f"model {name!r}"] = hidden
    design = build_design(f"{text} ~ 1", frame, arguments=arguments, causes=causes)
    found = design.survival
    if found.entry is not None:
        raise OutcomeError(
            f"{text}: predictions cannot be judged on rows with delayed entry, as the censoring weights count everyone "
            "from the origin; give rows seen from the origin, with outcome='Surv(time, event)'"
        )
    code = found.cause_code(cause)
    if causes and len(found.causes) > 1:
        for name, model in named.items():
            if isinstance(model, CoxFit) or hasattr(model, "predict_survival_function"):
                raise OptionError(
                    f"model {name!r} predicts survival, not the incidence of cause {shown(found.causes[code - 1])} "
                    "beside others; use fine_gray or cause_specific, or give its risks as an array"
                )
    kept = {name: arrays[name][design.rows.keep] if name in arrays else model for name, model in named.items()}
    rows = design.rows
    further = [column for column in dict.fromkeys(may_miss) if column not in rows.frame.columns]
    if further:
        rows = replace(rows, frame=pd.concat([rows.frame, frame.loc[rows.keep, further]], axis=1))
    return EvaluationRows(kept, rows, found, code, found.causes[code - 1] if causes else None, text, design)


def column_or_refuse(column: str, frame: pd.DataFrame, name: str) -> str:
    """Name of a column that a model needs, known to be there."""
    if column not in frame.columns:
        raise column_not_found(column, frame.columns, argument=f"model {name!r}")
    return column


def name_models(models: Any) -> dict[str, Any]:
    """Models by name; a single one is called after its column, or "model"."""
    if isinstance(models, Mapping):
        if not models:
            raise OptionError("models is empty; give {'name': fit}")
        named = {str(name): model for name, model in models.items()}
        if len(named) < len(models):
            raise OptionError(f"two models have one name: {', '.join(map(repr, models))}")
        return named
    if isinstance(models, str):
        return {models: models}
    if isinstance(models, Sequence) and any(not np.isscalar(m) for m in models):
        raise OptionError("several models need names: {'clinical': fit1, 'with scan': fit2}")
    return {"model": models}


def read_horizons(horizons: npt.ArrayLike) -> FloatArray:
    """Times by which the event is predicted, in order, each once."""
    times = np.unique(check_times(horizons))
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise OptionError(f"horizons={[float(t) for t in times]} must be positive, finite times")
    return times


def read_horizon(horizon: Any) -> float:
    """The one time by which the event is predicted."""
    times = read_horizons(horizon)
    if times.size > 1:
        raise OptionError(f"horizon={horizon!r} must be one time; ask for each by itself")
    return float(times[0])


def predicted_risks(models: Any, data: Any, horizons: npt.ArrayLike, *, cause: Any = None) -> dict[str, FloatArray]:
    """Probability of the event by each horizon that each model predicts.

    Parameters
    ----------
    models : model or mapping of str to model
        A fit of this package with ``predict(new, type="survival" or "cumulative_incidence", times=...)``, an estimator
        with scikit-survival's ``predict_survival_function``, a column of `data`, or an array of risks, (n,) or (n, k).
    data : pandas or polars frame
        Complete rows.
    horizons : (k,) array_like
    cause : object, optional
        For fits of several causes.

    Returns
    -------
    dict of str to (n, k) ndarray

    Raises
    ------
    OptionError
        A horizon beyond the follow-up of the rows a semi-parametric model was fitted on.
    """
    frame, times = to_pandas(data), check_times(horizons)
    return {name: _risks(name, model, frame, times, cause) for name, model in name_models(models).items()}


def risk_scores(models: Any, data: Any, horizon: float, *, cause: Any = None) -> dict[str, FloatArray]:
    """One number per row by which each model ranks rows, larger for a higher risk.

    The linear predictor of a Cox (without strata) or Fine-Gray fit; the prediction of an estimator; the values of a
    column, or the last column of an array; for other models the risk by `horizon`.
    """
    frame = to_pandas(data)
    scores = {}
    for name, model in name_models(models).items():
        if isinstance(model, CoxFit) and model.strata is None:
            x, _, _, offset = prediction_rows(model, frame)
            scores[name] = _sum_by_term(x, model.coefficients) + offset
        elif isinstance(model, FineGrayFit):
            scores[name] = _sum_by_term(model.design.new(frame)[0], model.coefficients)
        elif hasattr(model, "predict_survival_function") and hasattr(model, "predict"):
            scores[name] = np.asarray(model.predict(features(model, frame)), dtype=np.float64)
        elif isinstance(model, str):
            scores[name] = _numbers(frame[model], len(frame), name)[:, 0]
        elif hasattr(model, "predict") or hasattr(model, "predict_survival_function"):
            scores[name] = _risks(name, model, frame, np.array([horizon]), cause)[:, 0]
        else:
            scores[name] = _numbers(model, len(frame), name)[:, -1]
    return scores


def _risks(name: str, model: Any, frame: pd.DataFrame, times: FloatArray, cause: Any) -> FloatArray:
    if isinstance(model, str):
        return np.repeat(_numbers(frame[column_or_refuse(model, frame, name)], len(frame), name), times.size, axis=1)
    if isinstance(model, CoxFit | FineGrayFit | CauseSpecificFit):
        refuse_beyond(name, times, float(model.design.survival.time.max()))
    if isinstance(model, CoxFit):
        return _cox(model, frame, times)
    if isinstance(model, FineGrayFit):
        return _fine_gray(model, frame, times)
    if isinstance(model, CauseSpecificFit):
        table = model.predict(frame, cause=model.cause if cause is None else cause, times=times, conf_level=None)
        return np.asarray(table["estimate"], dtype=np.float64).reshape(len(frame), times.size)
    if hasattr(model, "predict_survival_function"):
        return estimator_risks(name, model, frame, times)
    if hasattr(model, "predict"):
        kind = getattr(model, "curve", "survival")
        value = np.asarray(model.predict(frame, type=kind, times=times)["estimate"], dtype=np.float64)
        if value.size != len(frame) * times.size:
            raise OptionError(f"model {name!r}: {type(model).__name__} does not predict one {kind} per row and time")
        value = value.reshape(len(frame), times.size)
        return 1.0 - value if kind == "survival" else value
    value = _numbers(model, len(frame), name)
    if value.shape[1] not in (1, times.size):
        raise OptionError(
            f"model {name!r}: the array has {value.shape[1]} columns, but there are {times.size} horizons; give one "
            "column, or one per horizon"
        )
    return np.broadcast_to(value, (len(frame), times.size)).copy()


def _cox(fit: CoxFit, frame: pd.DataFrame, times: FloatArray) -> FloatArray:
    x, _, codes, offset = prediction_rows(fit, frame)
    relative = np.exp(_sum_by_term(x - fit.data.centre, fit.coefficients) + offset)
    base = fit.baseline_cumulative_hazard(centered=True)
    hazard = np.zeros((max(len(fit.stratum_labels), 1), times.size))
    for code, label in enumerate(fit.stratum_labels or ("all",)):
        own = base[base["group"] == label]
        upto = np.searchsorted(own["time"].to_numpy(), times, side="right")
        hazard[code] = np.concatenate([[0.0], own["estimate"].to_numpy()])[upto]
    return np.asarray(-np.expm1(-relative[:, None] * hazard[codes]))


def _fine_gray(fit: FineGrayFit, frame: pd.DataFrame, times: FloatArray) -> FloatArray:
    x, _ = fit.design.new(frame)
    relative = np.exp(_sum_by_term(x - fit.data.centre, fit.coefficients))
    base = fit.baseline_cumulative_hazard(centered=True)
    upto = np.searchsorted(base["time"].to_numpy(), times, side="right")
    hazard = np.concatenate([[0.0], base["estimate"].to_numpy()])[upto]
    return np.asarray(-np.expm1(-np.outer(relative, hazard)))


def _sum_by_term(x: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Rows in one order of summation: equal rows get equal scores, whatever BLAS does."""
    value = np.zeros(len(x))
    for k, beta in enumerate(coefficients):
        value += x[:, k] * beta
    return value


def _numbers(values: Any, n: int, name: str) -> FloatArray:
    """Values as (n, k) numbers."""
    try:
        array: FloatArray = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PredictorError(f"model {name!r}: predictions must be numbers") from None
    if array.ndim not in (1, 2) or len(array) != n:
        raise OptionError(f"model {name!r}: predictions of shape {array.shape} do not fit the {n} rows of data")
    return array.reshape(n, -1)


def _columns_needed(name: str, model: Any, frame: pd.DataFrame) -> list[str]:
    """Columns of `frame` in which a row must be complete for a model to predict."""
    if isinstance(model, str):
        return [model]
    design = getattr(model, "design", None)
    if isinstance(design, Design) and hasattr(model, "predict") and "times" in signature(model.predict).parameters:
        beside = [str(getattr(model, which)) for which in _BESIDE if getattr(model, which, None) is not None]
        return columns_used(design.parts.fixed, design.rows.frame.columns) + beside
    if hasattr(model, "predict_survival_function"):
        if not hasattr(model, "feature_names_in_"):
            raise OptionError(
                f"model {name!r} does not know the names of its features: fit it on a frame, or give its predictions "
                "as an array"
            )
        return [str(column) for column in model.feature_names_in_]
    if isinstance(model, np.ndarray | Sequence | pd.Series | pd.DataFrame):
        return []
    raise OptionError(
        f"model {name!r} is a {type(model).__name__}; give a fit that predicts survival, an estimator with "
        "predict_survival_function, a column of data or an array of risks"
    )


def _common_outcome(named: Mapping[str, Any]) -> str:
    designs = [m.design for m in named.values() if isinstance(getattr(m, "design", None), Design)]
    texts = {d.parts.outcome for d in designs if isinstance(d.outcome, SurvivalOutcome)}
    if len(texts) == 1:
        return str(texts.pop())
    if not texts:
        raise OptionError("no model carries a right-censored outcome; say what happened: outcome='Surv(time, event)'")
    listed = " and ".join(sorted(texts))
    raise OptionError(f"the models were fitted to different outcomes ({listed}); say which one counts: outcome=...")


def _common_cause(named: Mapping[str, Any]) -> Any:
    found = [m.cause for m in named.values() if getattr(m, "cause", None) is not None]
    if any(c != found[0] for c in found[1:]):
        listed = ", ".join(shown(c) for c in dict.fromkeys(found))
        raise OptionError(f"the models predict different causes ({listed}); compare models of one")
    return found[0] if found else None
