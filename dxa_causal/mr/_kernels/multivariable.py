"""Regressions of the outcome's effects on those of several exposures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_MOST_PIVOTS = 200


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


def least_absolute_many(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """Minimise sum w |y - x b| for each of m problems: x (m, n, k), y (m, n), w (n,); answers (m, k).

    From corner to corner (k residuals zero), the residual that leaves being the
    one whose release lowers the sum most, until none does.
    """
    m, _, k = x.shape
    corner = _first_corner(x, y, w)
    answer = np.empty((m, k))
    active = np.arange(m)
    for _ in range(_MOST_PIVOTS):
        at, xs, ys = corner[active], x[active], y[active]
        within = np.take_along_axis(xs, at[:, :, None], axis=1)
        singular = ~(np.linalg.cond(within) < 1e12)
        within[singular] = np.eye(k)
        theta = np.linalg.solve(within, np.take_along_axis(ys, at, axis=1)[..., None])[..., 0]
        answer[active] = np.where(singular[:, None], np.nan, theta)
        e = ys - np.einsum("mnk,mk->mn", xs, theta)
        np.put_along_axis(e, at, 0.0, axis=1)
        pull = np.einsum("mn,mnk->mk", w * np.sign(e), xs)
        price = np.linalg.solve(within.transpose(0, 2, 1), pull[..., None])[..., 0]
        excess = np.abs(price) / w[at] - 1.0
        leaves = excess.argmax(axis=1)
        rows = np.arange(active.size)
        arrived = singular | (excess[rows, leaves] <= 1e-9)
        unit = np.zeros((active.size, k))
        unit[rows, leaves] = np.sign(price[rows, leaves])
        z = np.einsum("mnk,mk->mn", xs, np.linalg.solve(within, unit[..., None])[..., 0])
        np.put_along_axis(z, at, 0.0, axis=1)
        enters = _median_place(e, z, w, w[at[rows, leaves]])
        corner[active[~arrived], leaves[~arrived]] = enters[~arrived]
        active = active[~arrived]
        if not active.size:
            break
    for i in np.flatnonzero(np.isnan(answer).any(axis=1) | np.isin(np.arange(m), active)):  # ties and singular corners
        answer[i] = least_absolute(x[i], y[i], w)
    return answer


def _first_corner(x: FloatArray, y: FloatArray, w: FloatArray) -> npt.NDArray[np.intp]:
    """Variants of the smallest residuals after a few reweighted least-squares fits."""
    k = x.shape[2]
    u = np.broadcast_to(w, y.shape)
    for _ in range(8):
        xx, xy = np.einsum("mn,mnk,mnl->mkl", u, x, x), np.einsum("mn,mnk,mn->mk", u, x, y)
        e = np.abs(y - np.einsum("mnk,mk->mn", x, np.linalg.solve(xx, xy[..., None])[..., 0]))
        u = w / np.maximum(e, 1e-3 * np.median(e, axis=1, keepdims=True) + 1e-300)
    found: npt.NDArray[np.intp] = np.argsort(e, axis=1)[:, :k]
    return found


def _median_place(e: FloatArray, z: FloatArray, w: FloatArray, own: FloatArray) -> npt.NDArray[np.intp]:
    """Which variant's residual e - t z is zero where sum w |e - t z| + own |t| is least; t is positive there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(z != 0, e / z, np.inf)
    t = np.where(t > 0, t, np.inf)
    order = np.argsort(t, axis=1, kind="stable")
    weight = w * np.abs(z)
    passed = np.cumsum(np.take_along_axis(np.where(np.isfinite(t), weight, 0.0), order, axis=1), axis=1)
    # slope just after 0, then rising by twice the weight of each variant passed
    slope = -np.einsum("mn,mn,mn->m", np.broadcast_to(w, e.shape), np.sign(e), z) + own
    at = np.minimum((slope[:, None] + 2.0 * passed < 0).sum(axis=1), e.shape[1] - 1)
    found: npt.NDArray[np.intp] = order[np.arange(len(e)), at]
    return found


def contrast_variance(se: FloatArray, direction: FloatArray, correlation: FloatArray) -> FloatArray:
    """Variance of ``direction @ estimate`` for every variant, given the correlation of the exposures' errors."""
    scaled = se * direction
    variance: FloatArray = np.einsum("ni,ij,nj->n", scaled, correlation, scaled)
    return variance
