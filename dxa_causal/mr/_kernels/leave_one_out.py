"""Weighted regression without each variant in turn, from one fit (deletion formulas)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Deletion:
    """Slope, its standard error for a dispersion of one, Q and df without each variant; leverage; Cook's distance."""

    slope: FloatArray
    std_error_fixed: FloatArray
    q: FloatArray
    df: int
    leverage: FloatArray
    cooks: FloatArray


def deletions(bx: FloatArray, by: FloatArray, sy: FloatArray, *, intercept: bool) -> Deletion:
    """Delete each variant from IVW (no intercept) or, with all effects on the exposure made positive, MR-Egger."""
    if intercept:
        by, bx = np.where(bx < 0, -by, by), np.abs(bx)
    w = 1.0 / sy**2
    n, k = bx.size, 2 if intercept else 1
    z = np.sqrt(w)[:, None] * (np.column_stack([np.ones(n), bx]) if intercept else bx[:, None])
    y = np.sqrt(w) * by
    inverse = np.linalg.inv(z.T @ z)
    coef = inverse @ (z.T @ y)
    r = y - z @ coef
    direction = z @ inverse
    leverage = np.einsum("ij,ij->i", direction, z)
    rest = 1.0 - leverage
    rest = np.where(rest > 1e-10, rest, np.nan)  # without this variant there is no slope
    q = float(r @ r)
    slope = coef[-1] - direction[:, -1] * r / rest
    variance = inverse[-1, -1] + direction[:, -1] ** 2 / rest
    with np.errstate(invalid="ignore"):  # every variant on the line: nothing pulls, and the distance is 0 / 0
        cooks = r**2 * leverage / (k * q / (n - k) * rest**2)
    return Deletion(slope, np.sqrt(variance), np.maximum(q - r**2 / rest, 0.0), n - 1 - k, leverage, cooks)
