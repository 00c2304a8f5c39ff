"""Weighted least squares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.mm_regression import MMEstimate

FloatArray = npt.NDArray[np.float64]


def weighted_regression(design: FloatArray, y: FloatArray, w: FloatArray) -> MMEstimate:
    """Regress y (n,) on design (n, p) with weights w (n,); standard errors carry the residual scale."""
    n, p = design.shape
    inverse = np.linalg.inv(design.T @ (w[:, None] * design))
    beta = inverse @ (design.T @ (w * y))
    scale = float(np.sqrt(np.sum(w * (y - design @ beta) ** 2) / (n - p)))
    return MMEstimate(beta, scale * np.sqrt(np.diag(inverse)), scale)
