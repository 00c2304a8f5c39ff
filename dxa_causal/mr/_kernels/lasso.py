"""L1-penalised direct effects: which variants have none, along a path of penalties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_ROUNDING = 1e-12


def residual_design(bx: FloatArray, by: FloatArray, sy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Design and outcome with the causal effects projected out: (I - P) S^(-1/2) and (I - P) S^(-1/2) by.

    bx (n, k). The columns' standard deviations, by which the penalty is scaled,
    depend on how the variants are coded: all have to raise one exposure.
    """
    basis = np.linalg.qr(bx / sy[:, None])[0]
    project = np.eye(by.size) - basis @ basis.T
    return project / sy, project @ (by / sy)


def default_path(x: FloatArray, y: FloatArray, size: int = 100, ratio: float = 1e-4) -> FloatArray:
    """Rising penalties, evenly spaced in logarithm, up to the smallest that sets every coefficient to zero."""
    top = float(np.max(np.abs(x.T @ y) / x.std(axis=0)) / y.size)
    return top * np.geomspace(ratio, 1.0, size)


def paths(x: FloatArray, y: FloatArray, penalties: FloatArray) -> FloatArray:
    """Minimise |y - x b|^2 / 2n + penalty * sum(sd(x_j) |b_j|): coefficients (m, p) at each penalty.

    Least-angle regression gives the corners of the path; between them it is straight.
    """
    from sklearn.linear_model import lars_path_gram

    n = y.size
    scale = x.std(axis=0)
    z = x / scale
    corners, _, coef = lars_path_gram(z.T @ y, z.T @ z, n_samples=n, method="lasso", max_iter=10 * n)
    found = np.array([np.interp(penalties, corners[::-1], c[::-1]) for c in coef]).T
    found[np.abs(found) <= _ROUNDING * np.max(np.abs(coef), initial=0.0)] = 0.0  # at a corner, by rounding
    return found / scale


def chosen(valid: BoolArray, bx: FloatArray, by: FloatArray, sy: FloatArray, jump: float) -> int:
    """Place on the rising path where heterogeneity of the valid variants jumps; the last place if it never does.

    `valid` (m, n), bx (n, k). Stops before the first step that lifts the residual
    standard error above 1 and by more than `jump` over the number of valid variants.
    """
    k = bx.shape[1]
    size = valid.sum(axis=1)
    usable = np.flatnonzero(size > k)
    w = valid[usable] / sy**2
    xx, xy, yy = np.einsum("mn,nk,nl->mkl", w, bx, bx), np.einsum("mn,nk,n->mk", w, bx, by), w @ by**2
    explained = np.einsum("mk,mk->m", xy, np.linalg.solve(xx, xy[..., None])[..., 0])
    rse = np.sqrt(np.maximum(yy - explained, 0.0) / (size[usable] - k))
    jumps = np.flatnonzero((rse[1:] > 1.0) & (np.diff(rse) > jump / size[usable][1:]))
    return int(usable[jumps[0]] if jumps.size else usable[-1])
