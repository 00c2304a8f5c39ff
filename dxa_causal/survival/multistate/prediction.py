"""What a multi-state Cox model says of a person: probabilities of the states, times in them, cumulative hazards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, shown
from dxa_causal._core.options import ConfType, check_conf_level, check_option
from dxa_causal.survival._kernels.cox import increments
from dxa_causal.survival._kernels.transition_probabilities import DELTA, MSTATE, TransitionHazards, follow
from dxa_causal.survival.multistate.occupation_result import chance_limits, plain_limits
from dxa_causal.survival.step_curves import check_times, warn_beyond

if TYPE_CHECKING:
    from dxa_causal.survival.multistate.multi_state_result import MultiStateFit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PredictionType = Literal["state_probability", "length_of_stay", "cumulative_hazard"]
PredictionVariance = Literal["delta", "mstate"]

_MOST = 5_000_000  # lines of a table


def predict_multi_state(
    fit: MultiStateFit,
    new: Any,
    *,
    type: str,
    start: float,
    state: Any,
    times: npt.ArrayLike | None,
    variance: str,
    conf_type: ConfType,
    conf_level: float,
) -> pd.DataFrame:
    """Predict from a fit; see :meth:`MultiStateFit.predict`."""
    check_option("type", type, PredictionType)
    check_option("variance", variance, PredictionVariance)
    check_option("conf_type", conf_type, ConfType)
    check_conf_level(conf_level)
    if variance == "mstate" and type != "state_probability":
        raise OptionError("variance='mstate' is of type='state_probability'; use variance='delta'")
    if not isinstance(start, int | float | np.number) or not np.isfinite(start):
        raise OptionError(f"start={start!r} must be a number, a time")
    x, index = (fit.design.x, fit.design.index) if new is None else fit.design.new(new)
    hazards = baseline_hazards(fit)
    if times is None and type == "length_of_stay":
        raise OptionError("type='length_of_stay' needs a horizon: times=[tau]")
    at = hazards.after(start).time if times is None else check_times(times)
    if not at.size:
        raise OptionError(f"start={start:g}: nobody changes state after it, so that there is nothing to predict")
    if (at < start).any():
        raise OptionError(f"times: {at.min():g} lies before start={start:g}")
    warn_beyond(at, float(fit.design.survival.time.max()))
    if len(index) * at.size * len(fit.states) > _MOST:
        raise OptionError(
            f"{len(index)} rows at {at.size} times make a table of more than {_MOST:,} lines; give times=[...] or "
            "fewer rows"
        )
    z, risk = persons(fit, x)
    if type == "cumulative_hazard":
        return plain_limits(_cumulative(fit, hazards.after(start), at, z, risk, index), conf_level)
    order = np.argsort(at, kind="stable")
    back = np.argsort(order, kind="stable")
    first = np.eye(len(fit.states))[_starting_state(fit, state)]
    found = follow(hazards, first, float(start), at[order], z, risk, method=MSTATE if variance == "mstate" else DELTA)
    chances = type == "state_probability"
    value = (found.probability if chances else found.stay)[:, back]
    error = np.sqrt((found.variance if chances else found.stay_variance)[:, back])
    table = _table(index, list(fit.states), "state", at, np.swapaxes(value, 1, 2), np.swapaxes(error, 1, 2))
    if not chances:
        return plain_limits(table, conf_level)
    estimate, errors = table["estimate"].to_numpy(), table["std_error"].to_numpy()
    low, high = chance_limits(estimate, errors, conf_type, conf_level)
    return table.assign(conf_low=low, conf_high=high)


def _table(
    index: pd.Index, names: list[Any], kind: str, at: FloatArray, value: FloatArray, error: FloatArray
) -> pd.DataFrame:
    """Lines of (r, names, times) arrays."""
    r, n, k = value.shape
    return pd.DataFrame(
        {
            "row": np.repeat(index, n * k),
            kind: np.tile(np.repeat(np.array(names, dtype=object), k), r),
            "time": np.tile(at, r * n),
            "estimate": value.ravel(),
            "std_error": error.ravel(),
        }
    )


def _starting_state(fit: MultiStateFit, state: Any) -> int:
    h = fit.histories
    if state is not None:
        return h.code(state)
    order = np.lexsort((h.leave, h.person))
    first = np.concatenate([[True], h.person[order[1:]] != h.person[order[:-1]]])
    begin = np.unique(h.origin[order[first]])
    if begin.size > 1:
        listed = ", ".join(shown(fit.states[c]) for c in begin)
        raise OptionError(f"persons begin in several states ({listed}); say which one is meant: state=...")
    return int(begin[0])


def baseline_hazards(fit: MultiStateFit) -> TransitionHazards:
    """Increments of the baselines on the times of all transitions, for the coding of :func:`persons`."""
    n_moves, q = len(fit.moves), len(fit.terms)
    grid = np.unique(np.concatenate([part.data.sets.group_rank for part in fit.components]))
    increment, noise = np.zeros((grid.size, n_moves)), np.zeros((grid.size, n_moves, n_moves))
    drift, scale = np.zeros((grid.size, n_moves, q)), np.ones(q)
    for part in fit.components:
        sets, inc, own = part.data.sets, increments(part.data, part.estimate.beta), list(part.own)
        scale[own] = part.data.scale
        for s, g in enumerate(part.members):
            groups = np.flatnonzero(sets.group_stratum == s)
            place = np.searchsorted(grid, sets.group_rank[groups])
            increment[place, g], noise[place, g, g] = inc.hazard[groups], inc.hazard_variance[groups]
            drift[place[:, None], g, own] = inc.drift[groups]
    origin, target = (np.array([move[side] for move in fit.moves], dtype=np.int64) for side in (0, 1))
    covariance = fit.covariance * np.outer(scale, scale)
    return TransitionHazards(
        fit.histories.times.distinct[grid], origin, target, increment, noise, drift, np.ascontiguousarray(covariance)
    )


def persons(fit: MultiStateFit, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Standardised covariates of every transition's coefficients, (r, T, q), and hazards relative to the baselines'."""
    z, risk = np.zeros((len(x), len(fit.moves), len(fit.terms))), np.ones((len(x), len(fit.moves)))
    for part in fit.components:
        own, data = list(part.own), part.data
        inc = increments(data, part.estimate.beta)
        for s, g in enumerate(part.members):
            raw = np.zeros((len(x), len(own)))
            for column, k in fit.columns[g]:
                raw[:, own.index(k)] = x[:, column]
            standard = (raw - data.centre) / data.scale
            z[:, g, own] = standard
            centre = inc.centre[data.sets.group_stratum == s][0]
            risk[:, g] = np.exp(standard @ part.estimate.beta - centre)
    return z, risk


def _cumulative(
    fit: MultiStateFit, h: TransitionHazards, at: FloatArray, z: FloatArray, risk: FloatArray, index: pd.Index
) -> pd.DataFrame:
    place = np.searchsorted(h.time, at, side="right")

    def upto(values: FloatArray) -> FloatArray:
        return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])[place]

    hazard, drift = upto(h.increment), upto(h.drift)
    own = upto(np.einsum("kgg->kg", h.noise))
    value, error = np.empty((len(index), len(fit.moves), at.size)), np.empty((len(index), len(fit.moves), at.size))
    for g in range(len(fit.moves)):
        # (z A - D)' V (z A - D), expanded so that no rows x times x coefficients array is needed
        zv, d = z[:, g] @ h.covariance, drift[:, g]
        spread = (zv * z[:, g]).sum(axis=1)[:, None] * hazard[:, g] ** 2
        spread += ((d @ h.covariance) * d).sum(axis=1) - 2 * (zv @ d.T) * hazard[:, g]
        value[:, g] = risk[:, [g]] * hazard[:, g]
        error[:, g] = risk[:, [g]] * np.sqrt(np.maximum(own[:, g] + spread, 0.0))
    return _table(index, list(fit.transitions), "transition", at, value, error)
