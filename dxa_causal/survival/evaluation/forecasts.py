"""Predicted risks beside what happened: what calibration, decision curves and reclassification start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, column_not_found, shown
from dxa_causal._design import SurvivalOutcome, to_pandas
from dxa_causal._design.matrix import plain_types
from dxa_causal._design.rows import complete_rows
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import Provenance, read_only
from dxa_causal.survival._kernels.shares import risk_shares
from dxa_causal.survival.evaluation.estimators import features, takes_missing
from dxa_causal.survival.evaluation.predictions import column_or_refuse, evaluation_rows, name_models, read_horizon

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

EDGE = 1e-6  # risks of exactly 0 and 1 have no log odds


@dataclass(frozen=True, eq=False, slots=True)
class Forecasts:
    """Risks that models predict for the same rows, and the outcome of these.

    Attributes
    ----------
    models : tuple of str
    risk : (n, k) ndarray
        Predicted probability of the event (by the horizon).
    happened : (n,) ndarray of bool or None
        A binary outcome; None for a survival outcome.
    outcome : SurvivalOutcome or None
    code : int
        The cause that counts, as coded in `outcome`.
    horizon : float or None
    times : RankedTimes or None
    provenance : Provenance
        The call is filled in by the function that asked.
    """

    models: tuple[str, ...]
    risk: FloatArray
    happened: BoolArray | None
    outcome: SurvivalOutcome | None
    code: int
    horizon: float | None
    times: RankedTimes | None
    provenance: Provenance

    @property
    def ranks(self) -> tuple[IntArray, int]:
        """Ranks of the times, and how many distinct ones lie within the horizon."""
        assert self.times is not None
        return self.times.rank, int(np.searchsorted(self.times.distinct, self.until, side="right"))

    @property
    def until(self) -> float:
        """The horizon of a survival outcome."""
        assert self.horizon is not None
        return self.horizon

    @property
    def survival(self) -> SurvivalOutcome:
        """The survival outcome."""
        assert self.outcome is not None
        return self.outcome

    @property
    def n(self) -> int:
        """Rows judged."""
        return len(self.risk)

    @property
    def n_events(self) -> int:
        """Events among them, for a survival outcome those by the horizon."""
        if self.happened is not None:
            return int(self.happened.sum())
        return int(((self.survival.event == self.code) & (self.survival.time <= self.until)).sum())

    @property
    def competing(self) -> bool:
        """Whether something else can happen instead."""
        return self.outcome is not None and bool(((self.outcome.event > 0) & (self.outcome.event != self.code)).any())

    def take(self, rows: IntArray) -> Forecasts:
        """The same forecasts for some rows, as often as they are named."""
        if self.happened is not None:
            return replace(self, risk=self.risk[rows], happened=self.happened[rows])
        outcome = replace(self.survival, time=self.survival.time[rows], event=self.survival.event[rows])
        return replace(self, risk=self.risk[rows], outcome=outcome, times=rank_times(outcome.time))

    def shares(self, rows: BoolArray | None = None) -> FloatArray:
        """Share of each of some rows in the risk observed among them, (m,): see `risk_shares`; 0/1 if binary."""
        rows = np.ones(self.n, dtype=bool) if rows is None else rows
        if self.happened is not None:
            return self.happened[rows].astype(np.float64)
        rank, place = self.ranks
        outcome = self.survival
        return risk_shares(rank[rows], outcome.event[rows], place, n_causes=len(outcome.causes), cause=self.code)

    def unknown(self, rows: BoolArray) -> str:
        """Why the risk observed among some rows is not known; empty where it is."""
        if not rows.any():
            return "no row"
        if self.outcome is None or self.horizon is None:
            return ""
        time, event = self.outcome.time[rows], self.outcome.event[rows]
        last = time.max()
        if last >= self.horizon or (event[time == last] > 0).all():
            return ""
        return f"follow-up of the {time.size} rows ends at {last:g}, before the horizon"


def read_forecasts(
    models: Any,
    data: Any = None,
    *,
    horizon: float | None = None,
    outcome: Any = None,
    cause: Any = None,
    inside: bool = False,
) -> Forecasts:
    """Predict and check; `inside` moves risks of exactly 0 and 1 a millionth inwards.

    Without a horizon the outcome is binary: a column of `data` or an array of 0 and 1.
    """
    if horizon is None:
        found = read_binary(models, data, outcome)
    else:
        found = _by_horizon(models, data, horizon, outcome, cause)
    for name, risk in zip(found.models, found.risk.T, strict=True):
        wrong = np.flatnonzero(~((risk >= 0) & (risk <= 1)))
        if wrong.size:
            raise PredictorError(
                f"model {name!r}: predicted risks must lie between 0 and 1, but {wrong.size} do not, first "
                f"{risk[wrong[0]]:g} (row {wrong[0] + 1} of those judged); is it a linear predictor?"
            )
    if not inside:
        return found
    moved = int(((found.risk == 0) | (found.risk == 1)).sum())
    if not moved:
        return found
    note = f"{moved} predicted risks of exactly 0 or 1 were moved {EDGE:g} inwards"
    provenance = replace(found.provenance, notes=(*found.provenance.notes, note))
    return replace(found, risk=np.clip(found.risk, EDGE, 1 - EDGE), provenance=provenance)


def _by_horizon(models: Any, data: Any, horizon: float, outcome: Any, cause: Any) -> Forecasts:
    horizon = read_horizon(horizon)
    if data is None:
        raise OptionError("a horizon needs data: the frame that holds the times and events")
    if outcome is not None and not isinstance(outcome, str):
        raise OptionError("with a horizon the outcome is text, 'Surv(time, event)', that names columns of data")
    rows = evaluation_rows(models, data, outcome=outcome, cause=cause)
    risk = np.column_stack([value[:, 0] for value in rows.risks([horizon]).values()])
    found = Forecasts(
        models=tuple(rows.models),
        risk=read_only(risk),
        happened=None,
        outcome=rows.outcome,
        code=rows.code,
        horizon=horizon,
        times=rank_times(rows.outcome.time),
        provenance=rows.design.provenance(""),
    )
    if not found.n_events:
        first = rows.outcome.time[rows.outcome.event == rows.code]
        begin = f"; the first is at {first.min():g}" if first.size else ""
        raise OutcomeError(f"no event by horizon={horizon:g} among the {found.n} rows judged{begin}")
    unknown = found.unknown(np.ones(found.n, dtype=bool))
    if unknown:
        raise OptionError(f"horizon={horizon:g}: {unknown}; the last usable horizon is {rows.outcome.time.max():g}")
    return found


def read_binary(models: Any, data: Any, outcome: Any) -> Forecasts:
    """Scores and a binary outcome, complete rows only; scores need not be probabilities."""
    named = name_models(models)
    if outcome is None:
        raise OptionError("say what is predicted: outcome='died' for a binary outcome, or horizon= for survival")
    if isinstance(outcome, str) and outcome.strip().startswith("Surv"):
        raise OptionError(f"outcome={outcome!r} needs a horizon, for instance horizon=5")
    frame = None if data is None else to_pandas(data)
    _refuse_other_order({"outcome": outcome, **named}, frame)
    columns = {"outcome": _column(outcome, frame, "outcome")}
    columns |= {f"model {name}": _score(model, frame, name) for name, model in named.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise OptionError(f"outcome and predictions must have one length, found {listed}")
    rows = complete_rows(plain_types(pd.DataFrame({k: np.asarray(v) for k, v in columns.items()})), missing="drop")
    happened = _zero_one(rows.frame["outcome"], outcome if isinstance(outcome, str) else "outcome")
    risk = np.column_stack([np.asarray(rows.number(f"model {name}", argument="models")) for name in named])
    provenance = Provenance(call="", n_rows=rows.n_rows, n_used=len(rows.frame), missing=dict(rows.missing))
    return Forecasts(tuple(named), read_only(risk), happened, None, 1, None, None, provenance)


def _column(given: Any, frame: pd.DataFrame | None, argument: str) -> Any:
    if not isinstance(given, str):
        values = np.asarray(given)
        if values.ndim != 1:
            raise OptionError(f"{argument} must be a column of data or have one dimension, not {values.ndim}")
        return values
    if frame is None:
        raise OptionError(f"{argument}={given!r} names a column; give the frame as data")
    if given not in frame.columns:
        raise column_not_found(given, frame.columns, argument=argument)
    return frame[given]


def _score(model: Any, frame: pd.DataFrame | None, name: str) -> Any:
    if hasattr(model, "predict_proba"):
        if frame is None:
            raise OptionError(f"model {name!r} predicts from a frame; give it as data")
        return _chances(model, frame, name)
    if not isinstance(model, str) and np.ndim(model) == 0:
        raise OptionError(
            f"model {name!r} is a {type(model).__name__}; for a binary outcome give an estimator with predict_proba, a "
            "column of data or an array of risks, for a fit that predicts survival give a horizon"
        )
    return _column(model, frame, f"model {name!r}")


def _chances(model: Any, frame: pd.DataFrame, name: str) -> FloatArray:
    """Probability of the second class; missing where a column is that the estimator needs."""
    from sklearn.exceptions import NotFittedError

    for column in getattr(model, "feature_names_in_", ()):
        column_or_refuse(str(column), frame, name)
    x = features(model, frame)
    known = np.ones(len(x), dtype=bool) if takes_missing(model) else x.notna().all(axis=1).to_numpy()
    chance = np.full(len(x), np.nan)
    try:
        found = np.asarray(model.predict_proba(x[known])) if known.any() else np.empty((0, 2))
    except NotFittedError:
        raise OptionError(f"model {name!r} is not fitted yet; call its fit(X, y) first") from None
    if found.ndim != 2 or found.shape[1] != 2:
        raise OptionError(f"model {name!r} predicts {found.shape[-1]} classes; a binary outcome has two")
    chance[known] = found[:, 1]
    return chance


def _refuse_other_order(given: Mapping[str, Any], frame: pd.DataFrame | None) -> None:
    """Series that stand in another order than the frame, or than each other."""
    index = None if frame is None else frame.index
    for name, values in given.items():
        if not isinstance(values, pd.Series):
            continue
        index = values.index if index is None else index
        if len(index) == len(values) and not values.index.equals(index):
            other = "data" if frame is not None else "the others"
            raise OptionError(f"{name!r}: the index is not that of {other}; give an array if the order is the same")


def read_cuts(argument: str, values: Any) -> FloatArray:
    """Risks strictly between 0 and 1, in order, each once."""
    try:
        cuts = np.unique(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise OptionError(f"{argument}={values!r} must be numbers between 0 and 1") from None
    if not ((cuts > 0) & (cuts < 1)).all():
        raise OptionError(f"{argument}={values!r} must lie strictly between 0 and 1")
    return cuts


def _zero_one(values: pd.Series, name: str) -> BoolArray:
    found = pd.unique(values)
    try:
        levels = {float(v) for v in found}
    except (TypeError, ValueError):
        levels = {np.nan}
    if not levels <= {0.0, 1.0}:
        listed = ", ".join(shown(v) for v in sorted(found, key=str)[:6])
        raise OutcomeError(f"{name!r} must be 0/1 or True/False, but holds {listed}")
    if len(levels) < 2:
        raise OutcomeError(f"{name!r} is {found[0]} in all {len(values)} rows; both events and non-events are needed")
    return np.asarray(values, dtype=np.float64) == 1.0
