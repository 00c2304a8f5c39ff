"""Regressions of the outcome's effects on those of several exposures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients, plain standard errors (dispersion above or below one included), Q and its df."""

    coef: FloatArray
    std_error: FloatArray
    q: float
    df: int

    @property
    def sigma(self) -> float:
        """Residual standard error."""
        return float(np.sqrt(self.q / self.df))


def weighted(x: FloatArray, y: FloatArray, w: FloatArray) -> Fit:
    """Weighted least squares through the origin; x (n, p) of full rank."""
    root = np.sqrt(w)
    basis, r = np.linalg.qr(x * root[:, None])
    coef = np.linalg.solve(r, basis.T @ (y * root))
    q, df = float(np.sum(w * (y - x @ coef) ** 2)), y.size - x.shape[1]
    inverse = np.linalg.inv(r)
    return Fit(coef, np.sqrt(q / df * (inverse**2).sum(axis=1)), q, df)


def least_absolute(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """Minimise sum w |y - x b| exactly, as a linear programme."""
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, hstack

    n, p = x.shape
    scale = w / w.max()
    answer = linprog(
        np.concatenate([np.zeros(p), scale, scale]),
        A_eq=hstack([x, eye_array(n), -eye_array(n)], format="csc"),
        b_eq=y,
        bounds=[(None, None)] * p + [(0, None)] * (2 * n),
        method="highs",
    )
    found: FloatArray = answer.x[:p]
    return found


def contrast_variance(se: FloatArray, direction: FloatArray, correlation: FloatArray) -> FloatArray:
    """Variance of ``direction @ estimate`` for every variant, given the correlation of the exposures' errors."""
    scaled = se * direction
    variance: FloatArray = np.einsum("ni,ij,nj->n", scaled, correlation, scaled)
    return variance
