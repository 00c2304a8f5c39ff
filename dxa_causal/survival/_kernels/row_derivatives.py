"""Value, gradient and Hessian of a function of a few parameters per row, and the functions phi_k."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Derivatives:
    """A function of d parameters on m rows.

    Attributes
    ----------
    value : (m,) ndarray
    first : (m, d) ndarray
    second : (m, d, d) ndarray
    """

    value: FloatArray
    first: FloatArray
    second: FloatArray


def phi(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """phi_k(x) = (exp(x) - sum_{j<k} x^j / j!) / x^k for k = 1, ..., 4: smooth through zero.

    Their derivatives are phi_k - k phi_(k+1).
    """
    small = np.abs(x) < 1.0
    inside, outside = np.where(small, x, 0.0), np.where(small, 1.0, x)
    f4 = np.ones_like(inside)
    for j in range(18, 4, -1):  # 4! phi_4 = 1 + x/5 (1 + x/6 (...)); phi_(k-1) = x phi_k + 1/(k-1)!
        f4 = 1.0 + f4 * inside / j
    f4 = f4 / 24
    f3 = inside * f4 + 1 / 6
    f2 = inside * f3 + 0.5
    f1 = inside * f2 + 1.0
    g1 = np.expm1(outside) / outside
    g2 = (g1 - 1.0) / outside
    g3 = (g2 - 0.5) / outside
    g4 = (g3 - 1 / 6) / outside
    return np.where(small, f1, g1), np.where(small, f2, g2), np.where(small, f3, g3), np.where(small, f4, g4)
