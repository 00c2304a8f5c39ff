"""Likelihood of the illness-death model when the onset of illness is known up to an interval.

Each person may have taken several paths: never ill, or ill from one of the quadrature nodes of the interval on. The
likelihood of a person is the sum over paths; score and information are those of a mixture. Symbols: 1, 2, 3 are the
transitions healthy -> ill, healthy -> dead, ill -> dead; H a baseline cumulative hazard, E = exp(x'beta).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.transition_hazards import Baseline, HazardAt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BLOCK = 8_000  # paths whose derivatives are held at once


class Quadrature(NamedTuple):
    """How intervals are integrated over.

    Attributes
    ----------
    breaks : (k,) ndarray
        Times between which the hazards are smooth.
    power : int
        Nodes are those of the scale t^(1 / power).
    nodes : int
        Gauss-Legendre nodes between breaks.
    """

    breaks: FloatArray
    power: int
    nodes: int


@dataclass(frozen=True, eq=False, slots=True)
class Paths:
    """What may have happened to each person.

    Attributes
    ----------
    row : (m,) ndarray of int64
        Person of the path, not decreasing; every person has a path.
    leave : (m,) ndarray
        Time at which the healthy state is left, or healthy follow-up ends.
    ill : (m,) ndarray
        1 where it is left for illness, else 0.
    log_weight : (m,) ndarray
        Of the quadrature node.
    """

    row: IntArray
    leave: FloatArray
    ill: FloatArray
    log_weight: FloatArray


def onset_paths(left: FloatArray, right: FloatArray, time: FloatArray, rule: Quadrature) -> Paths:
    """Paths of persons last seen healthy at `left` and first seen ill at `right` (infinite: never) until `time`.

    Parameters
    ----------
    left, right, time : (n,) ndarray
    rule : Quadrature
    """
    unseen, exact = np.isinf(right), left == right
    node = interval_nodes(left, np.where(unseen, time, right), rule)
    known = np.zeros(unseen.sum() + exact.sum())
    row = np.concatenate([np.flatnonzero(unseen), np.flatnonzero(exact), node.row])
    order = np.argsort(row, kind="stable")
    return Paths(
        row[order],
        np.concatenate([time[unseen], left[exact], node.time])[order],
        np.concatenate([np.zeros(unseen.sum()), np.ones(exact.sum() + node.row.size)])[order],
        np.concatenate([known, node.log_weight])[order],
    )


class Nodes(NamedTuple):
    """Quadrature nodes of intervals, one after the other: interval, time and log weight of each."""

    row: IntArray
    time: FloatArray
    log_weight: FloatArray


def interval_nodes(low: FloatArray, high: FloatArray, rule: Quadrature) -> Nodes:
    """Gauss-Legendre nodes of each interval; none where an interval is empty."""
    power = rule.power
    start, end = low ** (1 / power), high ** (1 / power)
    edges = np.concatenate([[-np.inf], rule.breaks ** (1 / power), [np.inf]])
    begin = np.maximum(start[:, None], edges[:-1])
    width = np.minimum(end[:, None], edges[1:]) - begin
    row, piece = np.nonzero(width > 0)
    at, weight = np.polynomial.legendre.leggauss(rule.nodes)
    half = width[row, piece, None] / 2
    s = begin[row, piece, None] + half * (1 + at)
    return Nodes(
        np.repeat(row, rule.nodes), (s**power).ravel(), np.log(half * weight * power * s ** (power - 1)).ravel()
    )


@dataclass(frozen=True, eq=False, slots=True)
class Persons:
    """Follow-up and covariates of persons, beside their paths.

    Attributes
    ----------
    time : (n,) ndarray
        End of follow-up.
    died : (n,) ndarray
        1 or 0.
    entry : (n,) ndarray
        Time at which they were known to be healthy and alive.
    x : three (n, p_k) ndarray
        Covariates of each transition.
    followed : bool
        Whether what happens after onset counts; else the likelihood is that of onset alone.
    """

    time: FloatArray
    died: FloatArray
    entry: FloatArray
    x: tuple[FloatArray, FloatArray, FloatArray]
    followed: bool = True


class _Block(NamedTuple):
    """Some persons, their paths, and the hazards at the times these need."""

    row: IntArray
    first: IntArray
    ill: FloatArray
    log_weight: FloatArray
    died: FloatArray
    x: tuple[FloatArray, FloatArray, FloatArray]
    followed: bool
    leave: tuple[HazardAt, HazardAt, HazardAt]
    entry: tuple[HazardAt, HazardAt]
    end: HazardAt


class _Term(NamedTuple):
    """What a transition adds to the log of each path, its derivatives, and the weights of second derivatives.

    `slope` (m, q) is the derivative in the baseline parameters, `level` (m,) that in the linear predictor, `bend` and
    `bend_slope` second derivatives that hold the latter; `pieces` lists hazards, how often their logarithm and their
    cumulative hazard count on each path, and whether they are at a time of the person.
    """

    value: FloatArray
    slope: FloatArray
    level: FloatArray
    bend: FloatArray
    bend_slope: FloatArray
    pieces: tuple[tuple[HazardAt, FloatArray | None, FloatArray, bool], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Likelihood:
    """Log-likelihood of persons and paths as a function of all parameters.

    The parameters are, for each transition in turn, those of the baseline and the coefficients.
    """

    blocks: tuple[_Block, ...]
    baselines: tuple[Baseline, Baseline, Baseline]
    sizes: tuple[int, int, int]

    def split(self, parameters: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """Baseline parameters and coefficients of each transition."""
        places = places_of(self.baselines, self.sizes)
        return [(parameters[base], parameters[beta]) for base, beta in places]

    def contributions(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood of each person, (n,), and its gradient, (n, P)."""
        parts = [_gradient(block, self.split(parameters))[:2] for block in self.blocks]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def value(self, parameters: FloatArray) -> float:
        """Log-likelihood."""
        split = self.split(parameters)
        return float(sum(_log_sum(block, [t.value for t in _terms(block, split)])[0].sum() for block in self.blocks))

    def derivatives(self, parameters: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood, gradient and Hessian."""
        split = self.split(parameters)
        places = places_of(self.baselines, self.sizes)
        size = parameters.size
        value, gradient, hessian = 0.0, np.zeros(size), np.zeros((size, size))
        for block in self.blocks:
            log_sum, score, d, share, terms = _gradient(block, split)
            value += float(log_sum.sum())
            gradient += score.sum(axis=0)
            hessian += (d * share[:, None]).T @ d - score.T @ score
            for term, x, (base, beta), (theta, _) in zip(terms, block.x, places, split, strict=True):
                by_path = x[block.row]
                hessian[beta, beta] += (by_path * (share * term.bend)[:, None]).T @ by_path
                cross = (term.bend_slope * share[:, None]).T @ by_path
                hessian[base, beta] += cross
                hessian[beta, base] += cross.T
                for hazard, of_log, of_cumulative, of_person in term.pieces:
                    weights = [None if w is None else share * w for w in (of_log, of_cumulative)]
                    if of_person:  # the same for all its paths
                        weights = [None if w is None else np.add.reduceat(w, block.first) for w in weights]
                    log_weight, weight = weights
                    assert weight is not None
                    hessian[base, base] += hazard.curvature(theta, log_weight, weight)
        return value, gradient, hessian


def places_of(baselines: Sequence[Baseline], sizes: Sequence[int]) -> list[tuple[slice, slice]]:
    """Where each transition has its baseline parameters and its coefficients."""
    found, at = [], 0
    for baseline, p in zip(baselines, sizes, strict=True):
        middle, end = at + baseline.size, at + baseline.size + p
        found.append((slice(at, middle), slice(middle, end)))
        at = end
    return found


def likelihood(persons: Persons, paths: Paths, baselines: tuple[Baseline, Baseline, Baseline]) -> Likelihood:
    """Log-likelihood of these persons, with all that does not depend on the parameters worked out."""
    x1, x2, x3 = persons.x
    return Likelihood(tuple(_blocks(persons, paths, baselines)), baselines, (x1.shape[1], x2.shape[1], x3.shape[1]))


def _blocks(persons: Persons, paths: Paths, baselines: tuple[Baseline, Baseline, Baseline]) -> Iterator[_Block]:
    n = persons.time.size
    start = np.searchsorted(paths.row, np.arange(n + 1))
    cuts = np.flatnonzero(np.diff(start[:-1] // BLOCK, prepend=-1))
    for low, high in zip(cuts, [*cuts[1:], n], strict=True):
        own, rows = slice(start[low], start[high]), slice(low, high)
        hazards: dict[tuple[int, str], HazardAt] = {}

        def at(k: int, name: str, time: FloatArray, kept: dict[tuple[int, str], HazardAt] = hazards) -> HazardAt:
            first = next(j for j in range(k + 1) if baselines[j] is baselines[k])  # families often share their times
            if (first, name) not in kept:
                kept[first, name] = baselines[k].at(time)
            return kept[first, name]

        leave, entry = paths.leave[own], persons.entry[rows]
        yield _Block(
            row=paths.row[own] - low,
            first=start[low:high] - start[low],
            ill=paths.ill[own],
            log_weight=paths.log_weight[own],
            died=persons.died[rows],
            x=(persons.x[0][rows], persons.x[1][rows], persons.x[2][rows]),
            followed=persons.followed,
            leave=(at(0, "leave", leave), at(1, "leave", leave), at(2, "leave", leave)),
            entry=(at(0, "entry", entry), at(1, "entry", entry)),
            end=at(2, "end", persons.time[rows]),
        )


def _terms(block: _Block, split: list[tuple[FloatArray, FloatArray]]) -> list[_Term]:
    ill, row = block.ill, block.row
    dead = (1.0 - ill) * block.died[row]  # without illness
    terms = []
    for k, happened in enumerate((ill, dead)):
        (theta, beta), at = split[k], block.leave[k]
        log_hazard, log_slope = at.log_hazard(theta)
        until, until_slope = at.cumulative(theta)
        before, before_slope = block.entry[k].cumulative(theta)
        linear = (block.x[k] @ beta)[row]
        risk = np.exp(linear)
        passed = risk * (until - before[row])
        slope = risk[:, None] * (until_slope - before_slope[row])
        terms.append(
            _Term(
                value=happened * (log_hazard + linear) - passed,
                slope=happened[:, None] * log_slope - slope,
                level=happened - passed,
                bend=-passed,
                bend_slope=-slope,
                pieces=((at, happened, -risk, False), (block.entry[k], None, risk, True)),
            )
        )
    (theta, beta), counts = split[2], ill * float(block.followed)
    log_end, log_slope = block.end.log_hazard(theta)
    until, until_slope = block.end.cumulative(theta)
    since, since_slope = block.leave[2].cumulative(theta)
    linear = (block.x[2] @ beta)[row]
    risk, died = counts * np.exp(linear), counts * block.died[row]
    passed = risk * (until[row] - since)
    slope = risk[:, None] * (until_slope[row] - since_slope)
    terms.append(
        _Term(
            value=died * (log_end[row] + linear) - passed,
            slope=died[:, None] * log_slope[row] - slope,
            level=died - passed,
            bend=-passed,
            bend_slope=-slope,
            pieces=((block.leave[2], None, risk, False), (block.end, died, -risk, True)),
        )
    )
    return terms


def _log_sum(block: _Block, values: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Log of the sum over paths of each person, and the share of each path."""
    total = values[0] + values[1] + values[2] + block.log_weight
    peak = np.maximum.reduceat(total, block.first)
    part = np.exp(total - peak[block.row])
    whole = np.add.reduceat(part, block.first)
    return peak + np.log(whole), part / whole[block.row]


def _gradient(
    block: _Block, split: list[tuple[FloatArray, FloatArray]]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, list[_Term]]:
    """Log-likelihood and score of each person; derivatives and share of each path."""
    terms = _terms(block, split)
    log_sum, share = _log_sum(block, [t.value for t in terms])
    columns = []
    for term, x in zip(terms, block.x, strict=True):
        columns += [term.slope, term.level[:, None] * x[block.row]]
    d = np.concatenate(columns, axis=1)
    return log_sum, np.add.reduceat(d * share[:, None], block.first, axis=0), d, share, terms
