"""A convex quadratic function minimised over numbers that are not negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_PATIENCE = 5  # exchanges of whole blocks without progress before variables are exchanged one by one
_RESIDUAL = 1e-12
_MOST_STEPS = 500


class Quadratic(Protocol):
    """A symmetric matrix A with ones on its diagonal."""

    def multiply(self, y: FloatArray) -> FloatArray:
        """Return A y."""

    def solve(self, own: IntArray, target: FloatArray) -> FloatArray | None:
        """Solve with the rows and columns `own` of A; None where these are not positive definite."""


@dataclass(frozen=True, slots=True)
class Dense:
    """A as an array."""

    matrix: FloatArray

    def multiply(self, y: FloatArray) -> FloatArray:
        """Return A y."""
        product: FloatArray = self.matrix @ y
        return product

    def solve(self, own: IntArray, target: FloatArray) -> FloatArray | None:
        """By Cholesky's factors."""
        try:
            factor = cho_factor(self.matrix[np.ix_(own, own)], lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            return None
        solution: FloatArray = cho_solve(factor, target, check_finite=False)
        return solution


def conjugate_gradients(a: Quadratic, size: int, own: IntArray, target: FloatArray) -> FloatArray | None:
    """Solve with the rows and columns `own` of a matrix (size, size) of which only products are known."""
    y, direction = np.zeros(own.size), target.copy()
    residual = target.copy()
    norm = float(residual @ residual)
    enough = norm * _RESIDUAL**2
    full = np.zeros(size)
    for _ in range(_MOST_STEPS):
        if norm <= enough:
            break
        full[own] = direction
        image = a.multiply(full)[own]
        bend = float(direction @ image)
        if bend <= 0.0:
            return None
        y += norm / bend * direction
        residual -= norm / bend * image
        before, norm = norm, float(residual @ residual)
        direction = residual + norm / before * direction
    return y


def minimise_bounded(a: Quadratic, target: FloatArray, free: BoolArray) -> FloatArray | None:
    r"""Minimise :math:`y'Ay/2 - c'y` over :math:`y \ge 0` by block principal pivoting.

    Parameters
    ----------
    a : Quadratic
        A, (k, k).
    target : (k,) ndarray
        c.
    free : (k,) ndarray of bool
        Variables thought to be positive; the start.

    Returns
    -------
    (k,) ndarray or None
        None where A is not positive definite.

    References
    ----------
    Portugal LF, Judice JJ, Vicente LN. Math Comput 1994;63:625-643.
    """
    free = free.copy()
    k = target.size
    y = np.zeros(k)
    fewest, patience = k + 1, _PATIENCE
    tolerance = 1e-12 * max(1.0, float(np.abs(target).max(initial=0.0)))
    for _ in range(20 + 3 * k):
        y[:] = 0.0
        own = np.flatnonzero(free)
        if own.size:
            solution = a.solve(own, target[own])
            if solution is None:
                return None
            y[own] = solution
        wrong = np.where(free, y < 0.0, a.multiply(y) - target < -tolerance)
        n_wrong = int(wrong.sum())
        if n_wrong == 0:
            break
        if n_wrong < fewest:
            fewest, patience = n_wrong, _PATIENCE
            free ^= wrong
        elif patience > 0:
            patience -= 1
            free ^= wrong
        else:  # exchanging the last one only always comes to an end
            last = int(np.flatnonzero(wrong)[-1])
            free[last] = not free[last]
    return np.maximum(y, 0.0)
