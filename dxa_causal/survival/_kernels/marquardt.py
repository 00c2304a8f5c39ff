"""Newton's method with Marquardt's damping, for likelihoods that are not concave everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Value = Callable[[FloatArray], float]
Derivatives = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]

# A decrement g' (-H)^-1 g below this leaves an error of about 1e-6 standard errors before the last step, 1e-12 after.
DECREMENT = 1e-12
_MOST_DAMPING = 1e12


@dataclass(frozen=True, eq=False, slots=True)
class Maximum:
    """Where an iteration ended.

    Attributes
    ----------
    parameters : (q,) ndarray
    value : float
    gradient : (q,) ndarray
    hessian : (q, q) ndarray
    n_iter : int
    converged : bool
    """

    parameters: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray
    n_iter: int
    converged: bool


def maximise(
    value: Value, derivatives: Derivatives, start: FloatArray, *, decrement: float = DECREMENT, max_iter: int = 100
) -> Maximum:
    """Maximise a function from its value, gradient and Hessian.

    Parameters
    ----------
    value : callable
        parameters -> float; tried points where it is not finite are refused.
    derivatives : callable
        parameters -> (value, gradient, hessian)
    start : (q,) ndarray
    decrement : float
        Twice what a Newton step may still be expected to gain at the end.
    max_iter : int

    Notes
    -----
    A saddle point, where the gradient is zero and the Hessian not negative, is left along the direction that bends
    upwards most.
    """
    with np.errstate(all="ignore"):  # a step that leads to overflow is refused
        return _climb(value, derivatives, np.array(start, dtype=np.float64), decrement, max_iter)


def _climb(value: Value, derivatives: Derivatives, parameters: FloatArray, decrement: float, max_iter: int) -> Maximum:
    damping = 1e-2
    reached, gradient, hessian = derivatives(parameters)
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        step, gain = _newton_step(gradient, hessian)
        if step is not None and gain < decrement:
            parameters = parameters + step
            return Maximum(parameters, *derivatives(parameters), n_iter, True)
        if step is None and float(np.abs(gradient).max(initial=0.0)) < 1e-8:
            step = np.linalg.eigh(hessian)[1][:, -1] * 1e-2
        moved = step is not None and value(parameters + step) > reached
        if moved:
            damping = max(damping / 10, 1e-6)
        while not moved and damping < _MOST_DAMPING:
            step = _damped_step(gradient, hessian, damping)
            moved = step is not None and value(parameters + step) > reached
            damping = damping / 3 if moved else damping * 5
        if not moved or step is None:
            break
        parameters = parameters + step
        reached, gradient, hessian = derivatives(parameters)
    # at the limit of rounding no step goes up any more
    gain = _newton_step(gradient, hessian)[1]
    return Maximum(parameters, reached, gradient, hessian, n_iter, gain < max(decrement, 1e-6))


def _newton_step(gradient: FloatArray, hessian: FloatArray) -> tuple[FloatArray | None, float]:
    step = _damped_step(gradient, hessian, 0.0)
    return (None, np.inf) if step is None else (step, float(step @ gradient))


def _damped_step(gradient: FloatArray, hessian: FloatArray, damping: float) -> FloatArray | None:
    """Solve (-H + damping D) step = g with D the size of the diagonal; None where that is not positive definite."""
    diagonal = np.abs(np.diag(hessian))
    scale = 1 / np.sqrt(np.maximum(diagonal, 1e-10 * diagonal.max(initial=1e-300)))
    scaled = -hessian * np.outer(scale, scale) + damping * np.eye(gradient.size)
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        return None
    half = np.linalg.solve(factor, scale * gradient)
    return np.asarray(scale * np.linalg.solve(factor.T, half))
