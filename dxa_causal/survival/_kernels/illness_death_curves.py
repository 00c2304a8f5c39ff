"""Probabilities and expected times in the states of an illness-death model, with gradients in the parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.illness_death import (
    Paths,
    Persons,
    Quadrature,
    interval_nodes,
    likelihood,
    onset_paths,
    places_of,
)
from dxa_causal.survival._kernels.transition_hazards import Baseline, WeibullHazard

FloatArray = npt.NDArray[np.float64]
Three = tuple[FloatArray, FloatArray, FloatArray]

_NODES = 16  # per piece
_PIECES = 4  # besides knots
_GONE = 36.0  # cumulative hazard beyond which nobody is left
_BLOCK = 400_000  # paths at a time


class Quantity(NamedTuple):
    """Estimates (n,) and their gradients (n, P)."""

    estimate: FloatArray
    gradient: FloatArray


class Curves(NamedTuple):
    """A fitted model for some rows, all starting at `start`."""

    baselines: tuple[Baseline, Baseline, Baseline]
    parameters: FloatArray
    x: Three
    start: float

    def still_healthy(self, row: npt.NDArray[np.int64], time: FloatArray) -> Quantity:
        """Probability of being alive and never ill at `time`, from health at the start; row by row."""
        paths = Paths(np.arange(row.size), time, np.zeros(row.size), np.zeros(row.size))
        return self._probability(row, time, paths, followed=True)

    def fell_ill(self, row: npt.NDArray[np.int64], time: FloatArray, *, alive: bool) -> Quantity:
        """Probability of having fallen ill by `time`, from health at the start; and of being alive then."""
        parts = []
        size = max(1, _BLOCK // (_NODES * (_PIECES + self.baselines[0].breaks.size)))
        for low in range(0, row.size, size):
            own, at = row[low : low + size], time[low : low + size]
            begin = np.full(at.size, self.start)
            later = at > self.start
            paths = onset_paths(begin[later], at[later], at[later], self._rule(at))
            found = self._probability(own[later], at[later], paths, followed=alive)
            value, gradient = np.zeros(at.size), np.zeros((at.size, self.parameters.size))
            value[later], gradient[later] = found
            parts.append(Quantity(value, gradient))
        return Quantity(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))

    def survives_ill(self, row: npt.NDArray[np.int64], time: FloatArray) -> Quantity:
        """Probability of being alive at `time`, from illness at the start."""
        (base, beta), x, baseline = self._places()[2], self.x[2][row], self.baselines[2]
        until, slope = baseline.at(time).cumulative(self.parameters[base])
        before, before_slope = baseline.at(np.array([self.start])).cumulative(self.parameters[base])
        risk = np.exp(x @ self.parameters[beta])
        passed = risk * (until - before)
        value = np.exp(-passed)
        lost = value * risk
        gradient = self._spread(2, lost[:, None] * (slope - before_slope), (value * passed)[:, None] * x)
        return Quantity(value, -gradient)

    def hazard(self, k: int, row: npt.NDArray[np.int64], time: FloatArray) -> Quantity:
        """Hazard of transition k at each time."""
        (base, beta), x = self._places()[k], self.x[k][row]
        log, slope = self.baselines[k].at(time).log_hazard(self.parameters[base])
        value = np.exp(log + x @ self.parameters[beta])
        return Quantity(value, self._spread(k, value[:, None] * slope, value[:, None] * x))

    def cumulative(self, k: int, row: npt.NDArray[np.int64], time: FloatArray) -> Quantity:
        """Cumulative hazard of transition k from the origin."""
        (base, beta), x, baseline = self._places()[k], self.x[k][row], self.baselines[k]
        until, slope = baseline.at(time).cumulative(self.parameters[base])
        before, before_slope = baseline.at(np.array([baseline.origin])).cumulative(self.parameters[base])
        risk = np.exp(x @ self.parameters[beta])
        value = risk * (until - before)
        return Quantity(value, self._spread(k, risk[:, None] * (slope - before_slope), value[:, None] * x))

    def time_in(self, state: str, row: npt.NDArray[np.int64], until: FloatArray, *, origin: str) -> Quantity:
        """Expected time in `state` from the start to `until`, from the state `origin` at the start."""
        node = interval_nodes(np.full(until.size, self.start), until, self._rule(until))
        at = row[node.row]
        if origin == "ill":
            found = self.survives_ill(at, node.time)
        elif state == "healthy":
            found = self.still_healthy(at, node.time)
        else:
            found = self.fell_ill(at, node.time, alive=True)
        weight = np.exp(node.log_weight)
        value = np.zeros(until.size)
        np.add.at(value, node.row, weight * found.estimate)
        gradient = np.zeros((until.size, self.parameters.size))
        np.add.at(gradient, node.row, weight[:, None] * found.gradient)
        return Quantity(value, gradient)

    def end(self, row: npt.NDArray[np.int64]) -> FloatArray:
        """Time by which nobody of a row is left alive: of Weibull hazards; else the last knot."""
        ends = []
        for k in (1, 2):
            baseline, (base, beta) = self.baselines[k], self._places()[k]
            if not isinstance(baseline, WeibullHazard):
                return np.full(row.size, self.last())
            risk = np.exp(self.x[k][row] @ self.parameters[beta])
            begun = baseline.at(np.array([self.start])).cumulative(self.parameters[base])[0]
            ends.append(baseline.reached(self.parameters[base], begun + _GONE / risk))
        return np.maximum(*ends)

    def last(self) -> float:
        """Time to which the hazards are known."""
        return min(float(getattr(b, "knots", np.array([np.inf]))[-1]) for b in self.baselines)

    def _probability(self, row: npt.NDArray[np.int64], time: FloatArray, paths: Paths, *, followed: bool) -> Quantity:
        if not row.size:
            return Quantity(np.zeros(0), np.zeros((0, self.parameters.size)))
        nobody = np.zeros(row.size)
        x1, x2, x3 = (x[row] for x in self.x)
        persons = Persons(time, nobody, np.full(row.size, self.start), (x1, x2, x3), followed)
        log, score = likelihood(persons, paths, self.baselines).contributions(self.parameters)
        value = np.exp(log)
        return Quantity(value, value[:, None] * score)

    def _places(self) -> list[tuple[slice, slice]]:
        return places_of(self.baselines, tuple(x.shape[1] for x in self.x))

    def _rule(self, until: FloatArray) -> Quadrature:
        """Nodes between the knots, and between cuts of what may be a long interval."""
        power, end = self.baselines[0].power, float(until.max(initial=self.start))
        cuts = np.linspace(self.start ** (1 / power), end ** (1 / power), _PIECES + 1)[1:-1] ** power
        breaks = np.unique(np.concatenate([cuts, *(b.breaks for b in self.baselines)]))
        return Quadrature(breaks, power, _NODES)

    def _spread(self, k: int, base: FloatArray, beta: FloatArray) -> FloatArray:
        """Gradient in all parameters from that of transition k."""
        full = np.zeros((base.shape[0], self.parameters.size))
        own = self._places()[k]
        full[:, own[0]], full[:, own[1]] = base, beta
        return full
