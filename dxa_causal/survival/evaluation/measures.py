"""Measures of predictive performance with what each row adds to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, shown
from dxa_causal._design import SurvivalOutcome
from dxa_causal._numerics.times import TIME_TOLERANCE, RankedTimes, rank_times
from dxa_causal.results import read_only
from dxa_causal.survival._kernels.auc import auc
from dxa_causal.survival._kernels.brier import brier
from dxa_causal.survival._kernels.cumulative_incidence import cumulative_incidence
from dxa_causal.survival._kernels.ipcw import CensoringCurve, CensoringWeights, censoring_curves, censoring_weights
from dxa_causal.survival._kernels.ranked_pairs import ranked_pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
RisksAt = Callable[[FloatArray], dict[str, FloatArray]]

NULL = "Null model"
MOST_TIMES = 250  # of the integral of a Brier score
_BLOCK = 500_000  # rows x times held at a time


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """One metric at one time for all models.

    Attributes
    ----------
    metric : str
    time : float
        Missing where the metric uses all follow-up.
    models : tuple of str
    estimates : (m,) ndarray
    covariance : (m, m) ndarray
        Of the estimates, which share their rows.
    """

    metric: str
    time: float
    models: tuple[str, ...]
    estimates: FloatArray
    covariance: FloatArray

    def difference(self, model: int, reference: int) -> tuple[float, float]:
        """Estimate of a model less that of another, with its standard error."""
        v = self.covariance
        variance = v[model, model] + v[reference, reference] - 2 * v[model, reference]
        return float(self.estimates[model] - self.estimates[reference]), float(np.sqrt(max(variance, 0.0)))


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """An outcome with its censoring weights.

    Attributes
    ----------
    outcome : SurvivalOutcome
    code : int
        The cause that counts.
    times : RankedTimes
    curves : tuple of CensoringCurve
    """

    outcome: SurvivalOutcome
    code: int
    times: RankedTimes
    curves: tuple[CensoringCurve, ...]

    @property
    def of_cause(self) -> BoolArray:
        """Rows that fail from the cause, at any time."""
        return np.asarray(self.outcome.event == self.code)

    @property
    def near(self) -> float:
        """Times this close are one time."""
        return TIME_TOLERANCE * max(1.0, float(np.mean(self.times.distinct)))

    def reached(self, horizons: FloatArray) -> IntArray:
        """Number of distinct times at or before each horizon."""
        return np.searchsorted(self.times.distinct, horizons + self.near, side="right").astype(np.int64)

    def weights(self, horizons: FloatArray) -> CensoringWeights:
        """Inverse-probability-of-censoring weights."""
        return censoring_weights(self.curves, self.reached(horizons))

    def null_risks(self, horizons: FloatArray) -> FloatArray:
        """The same risk for everyone: the Kaplan-Meier or Aalen-Johansen estimate in these rows, (h,)."""
        event = self.outcome.event
        curve = cumulative_incidence(
            self.times.rank, None, event, np.ones(event.size), n_causes=int(event.max()), jackknife=True
        )
        return np.concatenate([[0.0], curve.incidence[self.code - 1]])[self.reached(horizons)]


def judged(outcome: SurvivalOutcome, code: int, strata: IntArray | None) -> Judged:
    """Rank the times and estimate the censoring distribution, within `strata` where given."""
    times = rank_times(outcome.time)
    codes = np.zeros(outcome.time.size, dtype=np.int64) if strata is None else strata
    curves = censoring_curves(times.rank, times.distinct.size, outcome.event == 0, codes)
    return Judged(outcome, code, times, curves)


def check_horizons(horizons: FloatArray, rows: Judged) -> None:
    """Refuse horizons at which censoring weights are infinite or nothing has happened yet."""
    last = min(float(rows.times.distinct[curve.place.max()]) for curve in rows.curves)
    late = horizons[horizons >= last]
    if late.size:
        group = "" if len(rows.curves) == 1 else " in one of the censoring strata"
        raise OptionError(
            f"horizon {late[0]:g}: nobody is observed beyond it{group}, so that censoring weights are infinite; "
            f"follow-up ends at {last:g}, and the last usable horizon is just before that"
        )
    first = float(rows.outcome.time[rows.of_cause].min()) if rows.of_cause.any() else np.inf
    if horizons[0] < first:
        raise OutcomeError(
            f"horizon {horizons[0]:g}: no event by then in the {rows.outcome.time.size} rows judged"
            + (f"; the first is at {first:g}" if np.isfinite(first) else "")
        )


def auc_blocks(
    scores: Mapping[str, FloatArray], horizons: FloatArray, rows: Judged, *, controls: str, at_horizon: str
) -> list[Block]:
    """Cumulative/dynamic AUC at each horizon."""
    weights = rows.weights(horizons)
    case = weights.by & rows.of_cause[:, None]
    control = weights.beyond if controls == "event_free" else weights.beyond | (weights.by & ~case)
    if at_horizon == "neither":
        elsewhere = np.abs(rows.outcome.time[:, None] - horizons) > rows.near
        case, control = case & elsewhere, control & elsewhere
    found = {name: auc(score, case, control, weights) for name, score in scores.items()}
    return _blocks("auc", horizons, {k: (v.estimate, _scaled(v.influence)) for k, v in found.items()})


def brier_blocks(
    risks_at: RisksAt, horizons: FloatArray, rows: Judged, *, metrics: Sequence[str], integration: str
) -> list[Block]:
    """Brier score, its share explained (IPA) and its integral, with the null model beside."""
    weights = rows.weights(horizons)
    case = weights.by & rows.of_cause[:, None]
    found = {}
    for name, risk in _with_null(risks_at, horizons, rows).items():
        value = brier(risk, case, weights)
        found[name] = (value.estimate, _scaled(value.influence))
    blocks = _blocks("brier", horizons, found) if "brier" in metrics else []
    if "ipa" in metrics:
        base, base_influence = found[NULL]
        ipa = {
            name: (1.0 - value / base, (value / base * base_influence - influence) / base)
            for name, (value, influence) in found.items()
            if name != NULL
        }
        blocks += _blocks("ipa", horizons, ipa)
    if "ibs" in metrics:
        whole = (
            {name: _integrate(value, influence, horizons) for name, (value, influence) in found.items()}
            if integration == "horizons"
            else _over_all_times(risks_at, horizons, rows)
        )
        blocks += _blocks("ibs", horizons, whole)
    return blocks


def concordance_block(
    scores: Mapping[str, FloatArray], rows: Judged, *, weighting: str, tau: float | None
) -> list[Block]:
    """Harrell's or Uno's concordance; with other causes, that of Wolbers et al."""
    case, time = rows.of_cause, np.nan if tau is None else tau
    if tau is not None:
        case = case & (rows.times.rank < rows.reached(np.array([tau]))[0])
    other = (rows.outcome.event > 0) & ~rows.of_cause
    free = None
    if weighting == "uno":
        free = np.empty(case.size)
        for curve in rows.curves:
            free[curve.rows] = curve.survival[curve.place]
    found = {}
    for name, score in scores.items():
        pairs = ranked_pairs(rows.times.rank, case, other, score, free)
        if np.isnan(pairs.estimate):
            raise OutcomeError("no pair of rows can be compared: concordance is not defined (too few events?)")
        found[name] = (np.array([pairs.estimate]), pairs.influence[:, None])
    return _blocks(f"concordance_{weighting}", np.array([time]), found)


def refuse_outside(risks: Mapping[str, FloatArray], index: Iterable[object]) -> None:
    """Predictions that are to be probabilities must be."""
    for name, risk in risks.items():
        wrong = np.argwhere(~((risk >= 0.0) & (risk <= 1.0)))
        if wrong.size:
            i, j = wrong[0]
            raise PredictorError(
                f"model {name!r}: a Brier score needs risks between 0 and 1, but row {shown(list(index)[i])} has "
                f"{risk[i, j]:g}; for scores that only rank rows use metrics=('auc', 'concordance_harrell')"
            )


def _with_null(risks_at: RisksAt, times: FloatArray, rows: Judged) -> dict[str, FloatArray]:
    n = rows.outcome.time.size
    return {NULL: np.broadcast_to(rows.null_risks(times), (n, times.size)), **risks_at(times)}


def _over_all_times(risks_at: RisksAt, horizons: FloatArray, rows: Judged) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Integrals over (0, horizon] by the trapezoidal rule, from 0 at time 0."""
    distinct = rows.times.distinct[rows.times.distinct < horizons[-1]]
    if distinct.size > MOST_TIMES:
        distinct = distinct[np.linspace(0, distinct.size - 1, MOST_TIMES).round().astype(np.int64)]
    grid = np.union1d(distinct, horizons)
    width = np.zeros((grid.size, horizons.size))
    for j, horizon in enumerate(horizons):
        own = np.isin(grid, np.append(distinct, horizon)) & (grid <= horizon)
        ends = np.concatenate([[0.0], grid[own], [horizon]])
        width[own, j] = (ends[2:] - ends[:-2]) / (2.0 * horizon)
    n = rows.outcome.time.size
    found: dict[str, tuple[FloatArray, FloatArray]] = {}
    for part in np.array_split(np.arange(grid.size), 1 + n * grid.size // _BLOCK):
        weights = rows.weights(grid[part])
        case = weights.by & rows.of_cause[:, None]
        for name, risk in _with_null(risks_at, grid[part], rows).items():
            score = brier(risk, case, weights)
            value, influence = found.get(name, (np.zeros(horizons.size), np.zeros((n, horizons.size))))
            found[name] = (value + score.estimate @ width[part], influence + score.influence @ width[part])
    return {name: (value, _scaled(influence)) for name, (value, influence) in found.items()}


def _integrate(value: FloatArray, influence: FloatArray, horizons: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over (0, horizon] of a step function, 0 before the first horizon, that keeps its value until the next."""
    ends = np.append(horizons[1:], np.inf)[:, None]
    width = np.maximum(np.minimum(ends, horizons) - horizons[:, None], 0.0) / horizons
    return value @ width, influence @ width


def _scaled(influence: FloatArray) -> FloatArray:
    """Influence whose sum of squares is the variance of the estimate, with n - 1 in the variance as riskRegression."""
    n = len(influence)
    return (influence - influence.mean(axis=0)) / np.sqrt(n * (n - 1.0))


def _blocks(metric: str, times: FloatArray, found: Mapping[str, tuple[FloatArray, FloatArray]]) -> list[Block]:
    blocks = []
    for j, time in enumerate(times):
        influence = np.column_stack([part[:, j] for _, part in found.values()])
        estimates = read_only([value[j] for value, _ in found.values()])
        blocks.append(Block(metric, float(time), tuple(found), estimates, read_only(influence.T @ influence)))
    return blocks
