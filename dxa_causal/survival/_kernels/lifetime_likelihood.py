"""Likelihood of times that are exact, censored, between two visits or seen from an entry on; its maximum.

A model says what log S(t) and log f(t) are for any parameters; this says what they add up to:

    exact f(t), right-censored S(t), left-censored 1 - S(t), interval-censored S(l) - S(r), each over S(entry).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Error of the estimate in standard errors, squared, at which one more Newton step is the last.
_DECREMENT = 1e-14
_RISE = 0.05  # of log survival after an entry; a little is warned of only, as splines may fall where nobody dies
_MAX_ITER = 100


@dataclass(frozen=True, slots=True)
class Curve:
    """A function of the parameters on m rows.

    Attributes
    ----------
    value : (m,) ndarray
    gradient : (m, p) ndarray
    curvature : callable
        (m,) weights c -> (p, p) sum of c times the Hessians.
    """

    value: FloatArray
    gradient: FloatArray
    curvature: Callable[[FloatArray], FloatArray]


class LifetimeModel(Protocol):
    """Distribution of the times of rows, given all parameters."""

    def log_survival(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of S(time) for some rows."""

    def log_density(self, theta: FloatArray, rows: IntArray, time: FloatArray) -> Curve:
        """Log of the density at time for some rows."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of each row's time: (m,) row numbers and the times that belong to them.

    Attributes
    ----------
    weight : (n,) ndarray
    exact, right, left, between, entry : (m,) ndarray of int64
        Rows known exactly, free of the event until a time, with the event
        before a time, with the event between two times, observed from a time on.
    exact_time, right_time, left_time, lower, upper, entry_time : (m,) ndarray
    """

    weight: FloatArray
    exact: IntArray
    exact_time: FloatArray
    right: IntArray
    right_time: FloatArray
    left: IntArray
    left_time: FloatArray
    between: IntArray
    lower: FloatArray
    upper: FloatArray
    entry: IntArray
    entry_time: FloatArray


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Log-likelihood at a point.

    Attributes
    ----------
    value : float
    score : (n, p) ndarray
        Gradients of the rows, not weighted.
    gradient : (p,) ndarray
    information : (p, p) ndarray
        Minus the Hessian.
    """

    value: float
    score: FloatArray
    gradient: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where the log-likelihood is highest.

    Attributes
    ----------
    theta : (p,) ndarray
    at : Evaluation
    n_iter : int
    converged : bool
    """

    theta: FloatArray
    at: Evaluation
    n_iter: int
    converged: bool


def observe(
    *,
    lower: FloatArray,
    upper: FloatArray,
    entry: FloatArray | None,
    weight: FloatArray,
    origin: float = 0.0,
) -> Observed:
    """Sort rows by what is known: event in (lower, upper], exact where equal, lower <= `origin` where nothing is."""
    exact = lower == upper
    open_left, open_right = lower <= origin, np.isinf(upper)
    kinds = (exact, open_right & ~open_left, open_left & ~open_right & ~exact, ~(exact | open_left | open_right))
    exact_rows, right, left, between = (np.flatnonzero(k).astype(np.int64) for k in kinds)
    late = np.flatnonzero(np.zeros(lower.size, bool) if entry is None else entry > origin).astype(np.int64)
    return Observed(
        weight,
        exact_rows,
        lower[exact_rows],
        right,
        lower[right],
        left,
        upper[left],
        between,
        lower[between],
        upper[between],
        late,
        np.empty(0) if entry is None else entry[late],
    )


def log_one_minus_exp(s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value and two derivatives of log(1 - exp(s)), s < 0."""
    with np.errstate(divide="ignore", over="ignore"):  # s far below or at zero: the derivatives vanish, or do not exist
        first = -1.0 / np.expm1(-s)
        value = np.where(s > -0.7, np.log(-np.expm1(s)), np.log1p(-np.exp(s)))
        return value, first, first - first**2


def evaluate(model: LifetimeModel, observed: Observed, theta: FloatArray) -> Evaluation:
    """Log-likelihood, scores of the rows and information; without a value where survival rises after an entry."""
    o, p = observed, theta.size
    free = np.full(o.weight.size, -np.inf)  # log survival at the last time known to be free of the event
    score, hessian, value = np.zeros((o.weight.size, p)), np.zeros((p, p)), 0.0
    with np.errstate(all="ignore"):  # a step too far gives infinities, which the iteration takes back
        simple = (
            (1.0, o.exact, o.exact_time, model.log_density),
            (1.0, o.right, o.right_time, model.log_survival),
            (-1.0, o.entry, o.entry_time, model.log_survival),
        )
        for sign, rows, time, function in simple:
            if rows.size:
                curve, w = function(theta, rows, time), sign * o.weight[rows]
                value += float(w @ curve.value)
                if rows is o.right:
                    free[rows] = curve.value
                score[rows] += sign * curve.gradient
                hessian += curve.curvature(w)
        if o.left.size:
            curve, w = model.log_survival(theta, o.left, o.left_time), o.weight[o.left]
            log_f, first, second = log_one_minus_exp(curve.value)
            value += float(w @ log_f)
            score[o.left] += first[:, None] * curve.gradient
            hessian += curve.curvature(w * first) + _outer(w * second, curve.gradient)
        if o.between.size:
            w = o.weight[o.between]
            low = model.log_survival(theta, o.between, o.lower)
            high = model.log_survival(theta, o.between, o.upper)
            free[o.between] = low.value
            share, first, second = log_one_minus_exp(high.value - low.value)
            step = high.gradient - low.gradient
            value += float(w @ (low.value + share))
            score[o.between] += low.gradient + first[:, None] * step
            hessian += low.curvature(w * (1 - first)) + high.curvature(w * first) + _outer(w * second, step)
        if o.entry.size:
            begin = model.log_survival(theta, o.entry, o.entry_time).value
            if (free[o.entry] > begin + _RISE).any():
                value = -np.inf  # a spline that falls would gain without end
        gradient = o.weight @ score
    return Evaluation(value, score, gradient, -hessian)


def maximise(model: LifetimeModel, observed: Observed, start: FloatArray) -> Maximum:
    """Newton's method with step halving; where the surface is not concave the step leans towards the gradient."""
    theta, at = start, evaluate(model, observed, start)
    n_iter, last = 0, False
    while n_iter < _MAX_ITER and np.isfinite(at.gradient).all() and np.isfinite(at.information).all():
        n_iter += 1
        step = _step(at)
        decrement = float(at.gradient @ step)
        last = last or decrement < _DECREMENT
        new, length = at, 1.0
        noise = 1e-12 * (1.0 + abs(at.value))
        for _ in range(40):
            new = evaluate(model, observed, theta + length * step)
            if np.isfinite(new.value) and new.value >= at.value - (noise if decrement < 1e-6 else 0.0):
                break
            length /= 2
        else:
            return Maximum(theta, at, n_iter, last)
        theta, at = theta + length * step, new
        if last:
            return Maximum(theta, at, n_iter, True)
    return Maximum(theta, at, n_iter, False)


def _outer(weight: FloatArray, rows: FloatArray) -> FloatArray:
    # a weight of zero stands for a term that vanishes, however large its gradient
    return np.asarray((rows * weight[:, None]).T @ rows)


def _step(at: Evaluation) -> FloatArray:
    scale = np.sqrt(np.maximum(np.abs(np.diag(at.information)), 1e-300))
    scaled = at.information / np.outer(scale, scale)
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    # directions of negative or no curvature are taken as curved by their size
    values = np.maximum(np.abs(values), 1e-12)
    return np.asarray(vectors @ ((vectors.T @ (at.gradient / scale)) / values) / scale)
