"""Effects measured with error on both sides: minimise sum w e^2 / v(theta), many problems at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_MOST_STEPS = 100
_TOLERANCE = 1e-12
_HALVINGS = 30


class Data(NamedTuple):
    """m problems: x (m, n, k), y (m, n); error covariances shared by all: xx (n, k, k), xy (n, k), yy (n,)."""

    x: FloatArray
    y: FloatArray
    xx: FloatArray
    xy: FloatArray
    yy: FloatArray

    def take(self, rows: npt.NDArray[np.intp] | BoolArray) -> Data:
        """Some of the problems."""
        return self._replace(x=self.x[rows], y=self.y[rows])


class Pieces(NamedTuple):
    """At theta (m, k): residual e and its variance v (m, n), half the slope s (m, n, k) of the variance."""

    e: FloatArray
    v: FloatArray
    s: FloatArray

    @property
    def contribution(self) -> FloatArray:
        """e^2 / v, (m, n)."""
        found: FloatArray = self.e**2 / self.v
        return found


def pieces(d: Data, theta: FloatArray) -> Pieces:
    """Residuals, their variances and the half slopes of these."""
    e = d.y - np.einsum("mnk,mk->mn", d.x, theta)
    along = np.einsum("nkl,ml->mnk", d.xx, theta)
    s = along - d.xy
    v = d.yy + np.einsum("mnk,mk->mn", along - 2.0 * d.xy, theta)
    return Pieces(e, v, s)


def curvature(d: Data, theta: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Half gradient (m, k), half Hessian (m, k, k) of the objective, and the sum of squared slopes of e / sqrt v."""
    e, v, s = pieces(d, theta)
    first = -(d.x / np.sqrt(v)[..., None]) - (e / v**1.5)[..., None] * s
    t = e / np.sqrt(v)
    gradient = np.einsum("mn,mn,mnk->mk", w, t, first)
    squares = np.einsum("mn,mnk,mnl->mkl", w, first, first)
    mixed = np.einsum("mn,mnk,mnl->mkl", w * t / v**1.5, d.x, s)
    own = np.einsum("mn,nkl->mkl", w * t * e / v**1.5, d.xx)
    twice = 3.0 * np.einsum("mn,mnk,mnl->mkl", w * t * e / v**2.5, s, s)
    return gradient, squares + mixed + mixed.transpose(0, 2, 1) - own + twice, squares


def objective(d: Data, theta: FloatArray, w: FloatArray) -> FloatArray:
    """Sum of w e^2 / v, (m,)."""
    found: FloatArray = np.einsum("mn,mn->m", w, pieces(d, theta).contribution)
    return found


def newton_step(d: Data, theta: FloatArray, w: FloatArray) -> tuple[FloatArray, BoolArray]:
    """One step downhill for every problem, and which of them have arrived."""
    gradient, hessian, squares = curvature(d, theta, w)
    value, vector = np.linalg.eigh(hessian)
    least = 1e-8 * np.maximum(np.trace(squares, axis1=1, axis2=2), 1e-300)
    value = np.maximum(np.abs(value), least[:, None])  # downhill where the surface bends the other way
    step = -np.einsum("mkl,ml,mjl,mj->mk", vector, 1.0 / value, vector, gradient)
    reach = _length(d, theta, w) + np.sqrt(np.einsum("mn,mn->m", w / d.yy, d.y**2))
    reach = np.maximum(reach, 1e-300)
    size = reach / np.maximum(_length(d, step, w), reach)  # at infinity the surface is flat, not low
    now = objective(d, theta, w)
    new = theta + size[:, None] * step
    for _ in range(_HALVINGS):
        worse = ~(objective(d, new, w) <= now * (1 + 1e-14))
        if not worse.any():
            break
        size[worse] /= 2
        new = np.where(worse[:, None], theta + size[:, None] * step, new)
    else:
        new = np.where(worse[:, None], theta, new)
    arrived = np.abs(new - theta).max(axis=1) <= _TOLERANCE * np.maximum(np.abs(new).max(axis=1), 1e-12)
    return new, arrived


def _length(d: Data, direction: FloatArray, w: FloatArray) -> FloatArray:
    """How much of the outcome's effects a difference in theta (m, k) makes, in standard errors."""
    moved = np.einsum("mnk,mk->mn", d.x, direction)
    found: FloatArray = np.sqrt(np.einsum("mn,mn->m", w / d.yy, moved**2))
    return found


def minimise(d: Data, w: FloatArray, start: FloatArray) -> FloatArray:
    """Minimise for every problem from `start` (m, k); w (m, n)."""
    theta = start.copy()
    active = np.arange(len(theta))
    for _ in range(_MOST_STEPS):
        theta[active], arrived = newton_step(d.take(active), theta[active], w[active])
        active = active[~arrived]
        if not active.size:
            break
    return theta


def constrained(
    d: Data, n_invalid: npt.NDArray[np.int64], start: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Leave out the `n_invalid` (m,) variants that fit worst, whichever they are: theta, loss, which are left out.

    Choosing the worst and stepping downhill in turn: the loss never rises.
    """
    theta = start.copy()
    m, n = d.y.shape
    left_out = np.zeros((m, n), dtype=bool)
    active = np.arange(m)
    for _ in range(_MOST_STEPS):
        part = d.take(active)
        worst = _largest(pieces(part, theta[active]).contribution, n_invalid[active])
        same = (worst == left_out[active]).all(axis=1)
        new, arrived = newton_step(part, theta[active], (~worst).astype(float))
        theta[active], left_out[active] = new, worst
        active = active[~(arrived & same)]
        if not active.size:
            break
    loss = objective(d, theta, (~left_out).astype(float)) / 2.0
    return theta, loss, left_out


def _largest(values: FloatArray, count: npt.NDArray[np.int64]) -> BoolArray:
    """Mark the `count` largest of each row."""
    order = np.argsort(-values, axis=1, kind="stable")
    chosen = np.empty(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(values.shape[1]) < count[:, None], axis=1)
    return chosen
