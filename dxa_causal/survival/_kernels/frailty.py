"""Cox model with a log frailty per level, at a given variance: penalised partial likelihood.

With eta = x'beta + f[level] + offset, what is maximised over beta and f is

    partial log-likelihood - sum over the levels of penalty(f)

    gamma, variance theta:    penalty(f) = (exp(f) - 1 - f) / theta
    gaussian:                 penalty(f) = f^2 / (2 theta)

by Newton's method, each step solved by conjugate gradients from products of
the whole Hessian with vectors: no levels x levels matrix is needed.

Therneau TM, Grambsch PM, Pankratz VS. J Comput Graph Stat 2003;12:156-175. doi:10.1198/1061860031365
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import warms
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.cox import EFRON, CoxData, cumulate, prepare
from dxa_causal.survival._kernels.frailty_sums import Levels, build_levels, curvature, group_sums, level_squares
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Penalty:
    """Minus the log density of a log frailty, up to a constant.

    Attributes
    ----------
    gamma : bool
        Else gaussian.
    theta : float
        Variance: of the frailty itself (gamma, mean 1) or of its logarithm.
    """

    gamma: bool
    theta: float

    def value(self, f: FloatArray) -> float:
        """Sum over the levels, zero at f = 0."""
        return float(np.sum(np.expm1(f) - f) if self.gamma else np.sum(f * f) / 2) / self.theta

    def first(self, f: FloatArray) -> FloatArray:
        """First derivative."""
        return (np.expm1(f) if self.gamma else f) / self.theta

    def second(self, f: FloatArray) -> FloatArray:
        """Second derivative."""
        return (np.exp(f) if self.gamma else np.ones_like(f)) / self.theta


@dataclass(frozen=True, slots=True)
class _Point:
    """Value and gradient at one (beta, f), and what their evaluation leaves for the Hessian."""

    beta: FloatArray
    f: FloatArray
    log_likelihood: float
    objective: float
    gradient: FloatArray
    risk: FloatArray
    expected: FloatArray
    sums: FloatArray


def _linear(x: FloatArray, beta: FloatArray) -> FloatArray:
    # not by BLAS: its threads cost more than they save on a narrow matrix; so for sums of products below
    value: FloatArray = np.einsum("ij,j->i", x, beta)
    return value


def _totals(x: FloatArray, rows: FloatArray) -> FloatArray:
    value: FloatArray = np.einsum("ij,i->j", x, rows)
    return value


def _evaluate(data: CoxData, levels: Levels, penalty: Penalty, beta: FloatArray, f: FloatArray) -> _Point:
    s = data.sets
    eta = data.offset + _linear(data.x, beta) + f[levels.code]
    # the likelihood does not change when the eta of a stratum is shifted; the range of its numbers does
    count = np.maximum(np.bincount(levels.stratum), 1)
    eta -= (np.bincount(levels.stratum, eta) / count)[levels.stratum]
    with np.errstate(over="ignore", invalid="ignore"):
        risk = data.weight * np.exp(eta)
        sums, log_sum = group_sums(
            risk, data.weight, s.event, s.last, s.before, s.entry_order, s.group_closes, data.ties
        )
        hazard = cumulate(sums[0], s.group_closes)
        own = hazard[s.last] - np.where(s.before >= 0, hazard[s.before], 0.0) - s.event * sums[1][s.last]
        expected = risk * own
        died = data.weight * s.event
        log_likelihood = float(np.sum(died * eta) - log_sum)
        residual = died - expected
        gradient = np.concatenate([_totals(data.x, residual), np.bincount(levels.code, residual, levels.size)])
        gradient[beta.size :] -= penalty.first(f)
        objective = log_likelihood - penalty.value(f)
    return _Point(beta, f, log_likelihood, objective, gradient, risk, expected, sums)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Information of the partial likelihood, without the penalty.

    Attributes
    ----------
    fixed : (p, p) ndarray
        Of the coefficients.
    cross : (levels, p) ndarray
    diagonal : (levels,) ndarray
        Of the block of the levels.
    whole : (levels, levels) ndarray or None
        That block, where asked for.
    """

    fixed: FloatArray
    cross: FloatArray
    diagonal: FloatArray
    whole: FloatArray | None = None


def _product(data: CoxData, point: _Point, u: FloatArray) -> FloatArray:
    s = data.sets
    rows = (point.risk, data.weight, s.event, s.last, s.before, s.entry_order, s.group_closes)
    product: FloatArray = curvature(np.ascontiguousarray(u), *rows, point.sums, point.expected)
    return product


def _by_level(levels: Levels, rows: FloatArray) -> FloatArray:
    sums = [np.bincount(levels.code, column, levels.size) for column in rows.T]
    return np.stack(sums, axis=1) if sums else np.empty((levels.size, 0))


def _blocks(data: CoxData, levels: Levels, point: _Point) -> Blocks:
    product = _product(data, point, data.x)
    s = data.sets
    squares = level_squares(
        levels.start,
        levels.row,
        levels.group,
        levels.comes,
        point.risk,
        s.event,
        s.group_stratum,
        cumulate(point.sums[2], s.group_closes),
        point.sums,
    )
    diagonal = np.bincount(levels.code, point.expected, levels.size) - squares
    # a level that is alone at risk has no information; rounding must not make it negative
    return Blocks(data.x.T @ product, _by_level(levels, product), np.maximum(diagonal, 0.0))


_CHUNK = 64  # indicators of levels multiplied at a time


def _whole_block(data: CoxData, levels: Levels, point: _Point) -> FloatArray:
    whole = np.empty((levels.size, levels.size))
    for first in range(0, levels.size, _CHUNK):
        width = min(_CHUNK, levels.size - first)
        indicator = (levels.code[:, None] == np.arange(first, first + width)).astype(np.float64)
        whole[:, first : first + width] = _by_level(levels, _product(data, point, indicator))
    return (whole + whole.T) / 2


@dataclass(frozen=True, slots=True)
class Inverse:
    """Inverse of information plus penalty, by blocks.

    Attributes
    ----------
    fixed : (p, p) ndarray
    cross : (levels, p) ndarray
    frailty : (levels,) ndarray
        Diagonal of the levels' block.
    """

    fixed: FloatArray
    cross: FloatArray
    frailty: FloatArray


def invert(blocks: Blocks, second: FloatArray, *, sparse: bool) -> Inverse:
    """Invert by the Schur complement of the levels' block.

    Parameters
    ----------
    blocks : Blocks
    second : (levels,) ndarray
        Second derivative of the penalty.
    sparse : bool
        Take the levels' block for diagonal.
    """
    if sparse or blocks.whole is None:
        own = 1.0 / (blocks.diagonal + second)
        solved = blocks.cross * own[:, None]
    else:
        inverse = np.linalg.inv(blocks.whole + np.diag(second))
        own, solved = np.diag(inverse), inverse @ blocks.cross
    fixed: FloatArray = np.linalg.inv(blocks.fixed - blocks.cross.T @ solved).astype(np.float64)
    cross = -solved @ fixed
    return Inverse(fixed, cross, own - np.einsum("jk,jk->j", cross, solved))


def _newton_step(data: CoxData, levels: Levels, point: _Point, blocks: Blocks, second: FloatArray) -> FloatArray:
    """Solve Hessian x step = gradient by conjugate gradients; the block-diagonal Hessian is the preconditioner."""
    p = point.beta.size
    own = 1.0 / (blocks.diagonal + second)
    solved = blocks.cross * own[:, None]
    schur = np.linalg.inv(blocks.fixed - blocks.cross.T @ solved)

    def precondition(v: FloatArray) -> FloatArray:
        beta = schur @ (v[:p] - _totals(solved, v[p:]))
        return np.concatenate([beta, own * v[p:] - _linear(solved, beta)])

    step = np.zeros(p + levels.size)
    residual = point.gradient.copy()
    direction = z = precondition(residual)
    size = start = float(np.sum(residual * z))
    # the closer to the maximum the better the system is solved: convergence stays faster than linear
    for _ in range(200):
        if size <= start * min(1e-2, max(start, 1e-12)):
            break
        u = _linear(data.x, direction[:p]) + direction[p:][levels.code]
        product = _product(data, point, u[:, None])[:, 0]
        image = np.concatenate(
            [_totals(data.x, product), np.bincount(levels.code, product, levels.size) + second * direction[p:]]
        )
        length = size / float(np.sum(direction * image))
        step += length * direction
        residual -= length * image
        z = precondition(residual)
        size, previous = float(np.sum(residual * z)), size
        direction = z + size / previous * direction
    return step


@dataclass(frozen=True, slots=True)
class PenalisedEstimate:
    """Maximum of the penalised partial likelihood at one variance, covariates standardised.

    Attributes
    ----------
    beta : (p,) ndarray
    f : (levels,) ndarray
        Log frailties.
    penalty : Penalty
    log_likelihood : float
        Partial, without the penalty.
    objective : float
        With it.
    blocks : Blocks
    n_iter : int
    converged : bool
    diverging : (p,) ndarray of bool
    """

    beta: FloatArray
    f: FloatArray
    penalty: Penalty
    log_likelihood: float
    objective: float
    blocks: Blocks
    n_iter: int
    converged: bool
    diverging: npt.NDArray[np.bool_]


# As for Cox models without frailty, see `_kernels/cox.py`.
_DECREMENT = 1e-10
_STILL_MOVING = 0.05


def maximise_penalised(
    data: CoxData,
    levels: Levels,
    penalty: Penalty,
    *,
    beta: FloatArray,
    f: FloatArray,
    whole: bool,
    max_iter: int = 60,
) -> PenalisedEstimate:
    """Newton-Raphson with step halving.

    Parameters
    ----------
    data : CoxData
    levels : Levels
    penalty : Penalty
    beta, f : (p,), (levels,) ndarray
        Start.
    whole : bool
        Return the whole block of the levels too.
    max_iter : int
    """
    point = _evaluate(data, levels, penalty, beta, f)
    p = beta.size
    diverging = np.zeros(p, dtype=bool)
    converged = False
    n_iter = 0
    blocks = _blocks(data, levels, point)
    while not converged and n_iter < max_iter:
        try:
            with np.errstate(all="ignore"):
                step = _newton_step(data, levels, point, blocks, penalty.second(point.f))
        except np.linalg.LinAlgError:
            break  # a coefficient has run so far that its information is gone
        small = float(np.sum(step * point.gradient)) < _DECREMENT
        n_iter += 1
        for _ in range(30):
            trial = _evaluate(data, levels, penalty, point.beta + step[:p], point.f + step[p:])
            slack = 1e-11 * abs(point.objective) + 1e-12
            if np.isfinite(trial.objective) and trial.objective >= point.objective - slack:
                break
            step = step / 2
        else:
            break  # no way up: reported as not converged
        flat = abs(trial.objective - point.objective) <= 1e-9 * max(1.0, abs(trial.objective))
        moving = np.abs(step[:p]) > _STILL_MOVING
        if (small or (flat and n_iter > 5)) and moving.any():
            diverging, converged = moving, True
        with np.errstate(all="ignore"):
            following = _blocks(data, levels, trial)
        if not (np.isfinite(following.fixed).all() and np.isfinite(following.diagonal).all()):
            break  # as above
        converged = converged or small
        point, blocks = trial, following
    if whole:
        blocks = replace(blocks, whole=_whole_block(data, levels, point))
    return PenalisedEstimate(
        beta=point.beta,
        f=point.f,
        penalty=penalty,
        log_likelihood=point.log_likelihood,
        objective=point.objective,
        blocks=blocks,
        n_iter=n_iter,
        converged=converged,
        diverging=diverging,
    )


@warms
def _warm() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    event = np.array([1, 1, 1, 0, 1], dtype=np.int64)
    sets = build_risk_sets(rank_times(time, time - 1.5), event, None)
    data = prepare(np.array([[0.0], [1.0], [0.5], [2.0], [0.3]]), sets, weight=None, offset=None, ties=EFRON)
    levels = build_levels(data, np.array([0, 0, 1, 1, 1]), 2)
    maximise_penalised(data, levels, Penalty(False, 1.0), beta=np.zeros(1), f=np.zeros(2), whole=False)
