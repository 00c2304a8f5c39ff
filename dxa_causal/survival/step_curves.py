"""What step curves by group have in common: limits, values at given times, numbers at risk."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, PredictorError, shown
from dxa_causal._core.options import ConfType, check_conf_level
from dxa_causal._core.warnings import AllCensoredWarning, HorizonWarning, RiskSetWarning, warn
from dxa_causal._design import Groups
from dxa_causal.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class StepCurves(Result):
    """Base of estimates that are a step curve per group."""

    start: ClassVar[float]  # value before the first step
    value_label: ClassVar[str]
    by: ClassVar[list[str]] = ["group"]  # columns that name a curve

    groups: Groups
    steps: pd.DataFrame
    weights: str | None
    n_events: int

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group (and cause) and exit time: n_risk, n_event, estimate, std_error, limits."""
        if exponentiate:
            raise OptionError(f"exponentiate=True has no meaning for a {self.estimand}")
        return self._with_limits(self.steps, conf_level)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "n_groups": [len(self.groups.labels)]})

    def predict(self, times: npt.ArrayLike, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Value of every curve at given times, right-continuous.

        Parameters
        ----------
        times : (k,) array_like
        conf_level : float

        Returns
        -------
        DataFrame
            group, time, (cause,) estimate, std_error, conf_low, conf_high,
            n_risk (at risk just before the time).
        """
        start = {"estimate": self.start, "std_error": 0.0}
        table = at_times(self.steps, times, self.groups, self.weights, by=self.by, start=start)
        table = self._with_limits(table, conf_level)
        return table[["group", "time", *self.by[1:], "estimate", "std_error", "conf_low", "conf_high", "n_risk"]]

    def plot(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """Curves with pointwise limits and the numbers at risk below; `time_label` should name the unit."""
        from dxa_causal.plots.survival import step_curves

        return step_curves(
            self.tidy(),
            at_risk=risk_table(self.groups, self.weights),
            time_label=time_label or self.groups.outcome.time_name,
            value_label=self.value_label,
            start=self.start,
            ax=ax,
        )

    def _with_limits(self, table: pd.DataFrame, conf_level: float) -> pd.DataFrame:
        check_conf_level(conf_level)
        low, high = self._limits(table["estimate"].to_numpy(), table["std_error"].to_numpy(), conf_level)
        return table.assign(conf_low=low, conf_high=high)

    @abc.abstractmethod
    def _limits(self, estimate: FloatArray, std_error: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
        """Pointwise limits."""


def check_times(times: npt.ArrayLike) -> FloatArray:
    """Times to predict at, as an array; at least one, none missing."""
    try:
        given: FloatArray = np.atleast_1d(np.asarray(times, dtype=np.float64))
    except (TypeError, ValueError):
        raise OptionError(f"times={times!r} must be numbers") from None
    if given.size == 0:
        raise OptionError("times is empty; give at least one time")
    if np.isnan(given).any():
        raise OptionError(f"times must be numbers, but {int(np.isnan(given).sum())} of {given.size} are missing")
    return given


def warn_beyond(times: FloatArray, last: float) -> None:
    """Say that a time lies beyond follow-up."""
    beyond = times[times > last]
    if beyond.size:
        warn(
            f"time {beyond.max():g} lies beyond the last observation ({last:g}); the last value is carried forward",
            HorizonWarning,
        )


def robust_choice(
    groups: Groups, weight: FloatArray, *, robust: bool | None, cluster: str | None
) -> tuple[bool, IntArray | None]:
    """Whether standard errors are robust, as R chooses when `robust` is None, and the codes of the clusters."""
    if cluster is None:
        return bool(np.any(weight != np.floor(weight))) if robust is None else robust, None
    if robust is False:
        raise OptionError(f"cluster={cluster!r} asks for robust standard errors; leave robust=False out")
    codes, values = pd.factorize(groups.rows.frame[cluster])
    if len(values) < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    return True, codes.astype(np.int64)


def warn_without_events(groups: Groups) -> None:
    """Say which groups have no event at all."""
    events = np.bincount(groups.codes, groups.outcome.event > 0, len(groups.labels))
    for label, n in zip(groups.labels, events, strict=True):
        if n == 0:
            warn(f"group {shown(label)} has no event: its curve is flat", AllCensoredWarning)


def warn_when_spent(
    where: str, distinct: FloatArray, place: IntArray, n_risk: FloatArray, n_event: FloatArray, entry_rank: IntArray
) -> None:
    """Say that everybody at risk has an event while others enter only then or later: survival stays at 0.

    Parameters
    ----------
    where : str
        Beginning of the message: which group, if there are several.
    distinct : (k,) ndarray
        Times of the ranks.
    place : (m,) ndarray of int64
        Rank of each step of the curve.
    n_risk, n_event : (m,) ndarray
        At risk and with an event of any cause (sums of weights).
    entry_rank : (n,) ndarray of int64
    """
    spent = np.flatnonzero((n_event > 0) & (n_event >= n_risk * (1 - 1e-12)))
    later = int((entry_rank >= place[spent[0]]).sum()) if spent.size else 0
    if later:
        time = distinct[place[spent[0]]]
        warn(
            f"{where}at time {time:g} all at risk ({n_risk[spent[0]]:g}) have the event, so survival is 0 from there "
            f"on; {later} of {entry_rank.size} rows enter only later and count neither in the curve nor in its median "
            "and mean. If that is early, start later, at a time s when enough are at risk: keep rows with exit > s and "
            "set their entry to max(entry, s). If it is late, read the curve up to there",
            RiskSetWarning,
        )


def given_weights(groups: Groups, weights: str | None) -> FloatArray:
    """Weights of the rows analysed; ones when there is no column."""
    given = groups.rows.number(weights, argument="weights", positive=True)
    return np.ones(groups.outcome.time.size) if given is None else given


def numbers_at_risk(groups: Groups, weights: str | None, times: FloatArray) -> FloatArray:
    """Sum of weights at risk just before each time: (groups, times)."""
    weight, outcome = given_weights(groups, weights), groups.outcome
    table = np.zeros((len(groups.labels), times.size))
    for code in range(len(groups.labels)):
        own = groups.codes == code
        for sign, moments in ((1.0, outcome.time), (-1.0, outcome.entry)):
            if moments is not None:
                order = np.argsort(moments[own], kind="stable")
                passed = np.concatenate([[0.0], np.cumsum(weight[own][order])])
                still = passed[-1] - passed[np.searchsorted(moments[own][order], times, side="left")]
                table[code] += sign * still
    table[np.abs(table) < 1e-12 * weight.sum()] = 0.0  # what differences of sums leave
    return table


def at_times(
    steps: pd.DataFrame,
    times: npt.ArrayLike,
    groups: Groups,
    weights: str | None,
    *,
    by: list[str],
    start: Mapping[str, float],
) -> pd.DataFrame:
    """Values of right-continuous curves at given times, `start` before the first step; n_risk just before."""
    times = check_times(times)
    at_risk = dict(zip(groups.labels, numbers_at_risk(groups, weights, times), strict=True))
    for label, last in steps.groupby("group", sort=False)["time"].max().items():
        if (times > last).any():
            warn(
                f"group {shown(label)}: time {times.max():g} lies beyond the last observation ({last:g}); the last "
                "value is carried forward",
                HorizonWarning,
            )
    frames = []
    for key, step in steps.groupby(by, sort=False):
        place = np.searchsorted(step["time"].to_numpy(), times, side="right")
        frame = pd.DataFrame({"time": times, "n_risk": at_risk[step["group"].iloc[0]]})
        for name, value in zip(by, key, strict=True):
            frame[name] = [value] * times.size
        for name, value in start.items():
            frame[name] = np.concatenate([[value], step[name]])[place]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def last_values(table: pd.DataFrame, *, by: list[str]) -> pd.DataFrame:
    """Events of each curve, and its estimate at its last time."""
    rows = table.groupby(by, sort=False)
    columns = [*by, "time", "estimate", "std_error", "conf_low", "conf_high"]
    events = rows["n_event"].sum().reset_index()
    return events.merge(rows.tail(1)[columns], on=by)


def nice_ticks(last: float, first: float = 0.0) -> FloatArray:
    """About six round times from `first` to `last`, for a table of numbers at risk."""
    raw = (last - first) / (7 if first else 5)  # a range that begins anywhere loses a part of a step at either end
    power = 10.0 ** np.floor(np.log10(raw)) if raw > 0 else 1.0
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.8)
    ticks: FloatArray = np.arange(int(np.ceil(first / step - 1e-9)), int(np.floor(last / step + 1e-9)) + 1) * step
    return ticks


def risk_table(groups: Groups, weights: str | None) -> pd.DataFrame:
    """Numbers at risk at round times, one row per group, for below a plot; ``attrs["origin"]``: where time begins."""
    outcome = groups.outcome
    first = 0.0 if outcome.entry is None else float(outcome.entry.min())
    ticks = nice_ticks(float(outcome.time.max()), first)
    if not ticks.size:
        ticks = np.array([first])
    # entry is exclusive: those who enter at the first tick are at risk from there on
    at = ticks if outcome.entry is None else np.where(ticks <= first, np.nextafter(first, np.inf), ticks)
    table = pd.DataFrame(numbers_at_risk(groups, weights, at), index=_curve_names(groups), columns=ticks)
    table.attrs["origin"] = first
    return table


def _curve_names(groups: Groups) -> list[str]:
    """Names of the groups in a figure: of a number, which alone says nothing, with its column."""
    texts = [str(label).removesuffix(".0") for label in groups.labels]
    if len(groups.names) == 1 and all(_is_number(label) for label in groups.labels):
        return [f"{groups.names[0]} = {text}" for text in texts]
    return texts


def _is_number(label: Any) -> bool:
    try:
        float(label)
    except (TypeError, ValueError):
        return False
    return True


def positive_limits(h: FloatArray, se: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
    """Limits of a positive number, symmetric on the scale of its logarithm; zero where it is zero."""
    z = float(special.ndtri(0.5 + conf_level / 2))
    factor = np.exp(z * np.divide(se, h, out=np.zeros_like(h), where=h > 0))
    return h / factor, h * factor


def probability_limits(
    p: FloatArray, se: FloatArray, conf_type: ConfType, conf_level: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of a probability, symmetric on the scale `conf_type`, within [0, 1]; missing where p = 0 there."""
    z = float(special.ndtri(0.5 + conf_level / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_se = se / p
        if conf_type == "plain":
            low, high = p - z * se, p + z * se
        elif conf_type == "log":
            low, high = np.exp(np.log(p) - z * log_se), np.exp(np.log(p) + z * log_se)
        elif conf_type == "log-log":
            centre, half = np.log(-np.log(p)), z * log_se / np.log(p)
            low, high = np.exp(-np.exp(centre - half)), np.exp(-np.exp(centre + half))
        elif conf_type == "logit":
            centre, half = np.log(p / (1 - p)), z * log_se / (1 - p)
            low, high = special.expit(centre - half), special.expit(centre + half)
        else:
            centre, half = np.arcsin(np.sqrt(p)), 0.5 * z * log_se * np.sqrt(p / (1 - p))
            low = np.sin(np.maximum(0.0, centre - half)) ** 2
            high = np.sin(np.minimum(np.pi / 2, centre + half)) ** 2
    certain = (p == 1.0) & (se == 0.0)
    low, high = np.where(certain, 1.0, low), np.where(certain, 1.0, high)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
