"""What an illness-death model says of a person: probabilities of the states, times in them, hazards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from threadpoolctl import threadpool_limits

from dxa_causal._core.errors import EmptyDataError, OptionError
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal.survival._kernels.illness_death_curves import Curves, Quantity
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from dxa_causal.survival.multistate.illness_death_result import IllnessDeathFit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PredictionType = Literal[
    "state_probability", "cumulative_incidence", "lifetime_risk", "life_expectancy", "hazard", "cumulative_hazard"
]
Start = Literal["healthy", "ill"]

_GRID = 50
_FAR = 1e4
_ALWAYS = ("lifetime_risk", "life_expectancy")  # without times, for ever


def predict_illness_death(
    fit: IllnessDeathFit,
    new: Any,
    *,
    type: str,
    start: float | None,
    state: str,
    times: npt.ArrayLike | None,
    conf_level: float,
) -> pd.DataFrame:
    """Predict from a fit; see :meth:`IllnessDeathFit.predict`."""
    check_option("type", type, PredictionType)
    check_option("state", state, Start)
    check_conf_level(conf_level)
    if state == "ill" and type in ("cumulative_incidence", "lifetime_risk"):
        raise OptionError(f"type={type!r} is of people who are healthy at the start; leave state='ill' out")
    if type == "lifetime_risk" and times is not None:
        raise OptionError("type='lifetime_risk' takes no times; use type='cumulative_incidence'")
    x1, x2, x3 = (d.x if new is None else d.new(new)[0] for d in fit.designs)
    index = fit.designs[0].index if new is None else fit.designs[0].new(new)[1]
    begin = _start(fit, start)
    curves = fit.curves((x1, x2, x3), begin)
    if len(index) == 0:
        raise EmptyDataError("new data: the frame has no rows")
    people = np.arange(len(index))
    at = None
    if times is not None or type not in _ALWAYS:
        at = _times(fit, curves, times, begin, from_origin="hazard" in type)
        row, time = np.repeat(people, at.size), np.tile(at, people.size)
    else:
        with np.errstate(over="ignore"):
            row, time = people, curves.end(people)
        last = float(fit.lives.time.max())
        if (time > _FAR * last).any():
            raise OptionError(
                f"type={type!r} for ever: a fitted hazard of death falls so fast that somebody outlives {_FAR:g} times "
                f"the last time observed ({last:g}); give times, or type='cumulative_incidence'"
            )
    with threadpool_limits(1):
        found = _quantities(curves, type, state, row, time)
    # what holds for ever is told as such, whatever time quadrature stopped at
    shown_time = np.full(time.size, curves.last()) if at is None else time
    table = _table(fit, found, row, index, shown_time, type=type, conf_level=conf_level)
    return table.sort_values(["place", "time"], kind="stable", ignore_index=True).drop(columns="place")


def mean_hazards(fit: IllnessDeathFit) -> pd.DataFrame:
    """Hazards at the means of the covariates over the follow-up: columns transition, time, estimate and limits."""
    x1, x2, x3 = (d.x.mean(axis=0, keepdims=True) for d in fit.designs)
    begin = _start(fit, None)
    curves = fit.curves((x1, x2, x3), begin)
    time = np.linspace(begin, fit.lives.time.max(), 2 * _GRID + 1)[1:]
    row = np.zeros(time.size, dtype=np.int64)
    found = _quantities(curves, "hazard", "healthy", row, time)
    return _table(fit, found, row, pd.Index(["mean"]), time, type="hazard", conf_level=0.95).drop(
        columns=["place", "row"]
    )


def _start(fit: IllnessDeathFit, start: float | None) -> float:
    if start is None:
        return float(fit.lives.entry.min())
    if not (isinstance(start, int | float | np.number) and np.isfinite(start) and start >= 0):
        raise OptionError(f"start={start!r} must be a time, zero or later")
    return float(start)


def _times(
    fit: IllnessDeathFit, curves: Curves, times: npt.ArrayLike | None, begin: float, *, from_origin: bool
) -> FloatArray:
    last = float(fit.lives.time.max())
    if times is None:
        return np.linspace(begin, max(last, begin), _GRID + 1)[1:]
    given = check_times(times)
    first = float(fit.lives.entry.min()) if from_origin and fit.hazards == "splines" else 0.0
    low = first if from_origin else begin
    if (given < low).any():
        what = "the first knot" if from_origin else f"start={begin:g}"
        raise OptionError(
            f"times must not come before {what} ({low:g}): the first that does is {given[given < low][0]:g}"
        )
    if (given > curves.last()).any() or np.isinf(given).any():
        raise OptionError(
            f"times must not come after {curves.last():g}, the end of what the hazards are known for: "
            f"{given.max():g} does"
        )
    return given


def _quantities(curves: Curves, type: str, state: str, row: IntArray, time: FloatArray) -> dict[str, Quantity]:
    """Estimates and gradients by state or transition; one without a name where there is neither."""
    from dxa_causal.survival.multistate.illness_death_result import TRANSITIONS

    if type in ("hazard", "cumulative_hazard"):
        of = curves.hazard if type == "hazard" else curves.cumulative
        return {name: of(k, row, time) for k, name in enumerate(TRANSITIONS)}
    if type in ("cumulative_incidence", "lifetime_risk"):
        return {"": curves.fell_ill(row, time, alive=False)}
    if type == "life_expectancy":
        ill = curves.time_in("ill", row, time, origin=state)
        healthy = curves.time_in("healthy", row, time, origin=state) if state == "healthy" else _none(ill)
        return {"healthy": healthy, "ill": ill, "alive": _sum(healthy, ill)}
    if state == "ill":
        ill = curves.survives_ill(row, time)
        healthy = _none(ill)
    else:
        healthy, ill = curves.still_healthy(row, time), curves.fell_ill(row, time, alive=True)
    alive = _sum(healthy, ill)
    return {"healthy": healthy, "ill": ill, "dead": Quantity(1 - alive.estimate, -alive.gradient)}


def _none(other: Quantity) -> Quantity:
    return Quantity(np.zeros_like(other.estimate), np.zeros_like(other.gradient))


def _sum(one: Quantity, other: Quantity) -> Quantity:
    return Quantity(one.estimate + other.estimate, one.gradient + other.gradient)


def _table(
    fit: IllnessDeathFit,
    found: dict[str, Quantity],
    row: IntArray,
    index: pd.Index,
    time: FloatArray,
    *,
    type: str,
    conf_level: float,
) -> pd.DataFrame:
    """One frame of all quantities; `place` keeps the order of the rows."""
    bounded = type in ("state_probability", "cumulative_incidence", "lifetime_risk")
    z = float(special.ndtri(0.5 + conf_level / 2))
    key = "transition" if "hazard" in type else "state"
    parts = []
    for name, (value, gradient) in found.items():
        error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gradient, fit.parameter_covariance, gradient), 0.0))
        low, high = _limits(value, error, z, bounded=bounded)
        part = pd.DataFrame({"row": index[row], "time": time})
        if name:
            part.insert(1, key, name)
        parts.append(part.assign(estimate=value, std_error=error, conf_low=low, conf_high=high, place=row))
    return pd.concat(parts, ignore_index=True)


def _limits(value: FloatArray, error: FloatArray, z: float, *, bounded: bool) -> tuple[FloatArray, FloatArray]:
    """Limits symmetric on the logit scale of probabilities, else on that of the logarithm."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if bounded:
            centre, half = special.logit(value), z * error / (value * (1 - value))
            low, high = special.expit(centre - half), special.expit(centre + half)
        else:
            low, high = value * np.exp(-z * error / value), value * np.exp(z * error / value)
    certain = ~np.isfinite(low) | ~np.isfinite(high) | (error == 0)
    return np.where(certain, value, low), np.where(certain, value, high)
