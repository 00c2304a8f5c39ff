"""Robust adjusted profile score: loss, constants, estimating equations, sandwich."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Loss = Literal["l2", "huber", "tukey"]
_TUNING: dict[Loss, float] = {"l2": np.inf, "huber": 1.345, "tukey": 4.685}  # 95 % efficiency at the normal
_GRID = 401
_ZOOMS = 3
_ROUNDS = 500
_TOLERANCE = 1e-11


class Fit(NamedTuple):
    """Effect, its standard error, overdispersion, its standard error, and whether the iteration settled."""

    estimate: float
    std_error: float
    tau2: float
    tau2_std_error: float
    converged: bool


def rho(t: FloatArray, loss: Loss) -> FloatArray:
    """Loss, up to a constant factor."""
    k = _TUNING[loss]
    if loss == "l2":
        return t * t / 2
    if loss == "huber":
        a = np.abs(t)
        return np.where(a <= k, t * t / 2, k * (a - k / 2))
    return k * k / 6 * (1 - np.maximum(0.0, 1 - (t / k) ** 2) ** 3)


def psi(t: FloatArray, loss: Loss) -> FloatArray:
    """Derivative of the loss."""
    k = _TUNING[loss]
    if loss == "tukey":
        return t * np.maximum(0.0, 1 - (t / k) ** 2) ** 2
    return np.clip(t, -k, k)


def constants(loss: Loss) -> tuple[float, float, float, float]:
    """E[t psi], E[psi^2], Var[t psi], E[t^2 psi'] at the standard normal."""
    if loss == "l2":
        return 1.0, 1.0, 2.0, 1.0
    k = _TUNING[loss]
    nodes, weights = np.polynomial.legendre.leggauss(60)

    def mean(f: Callable[[FloatArray], FloatArray]) -> float:
        total = 0.0
        for low, high in ((0.0, k), (k, 12.0)):  # the functions are even and smooth on either side of k
            x = low + (high - low) * (nodes + 1) / 2
            total += float((weights * f(x) * np.exp(-x * x / 2)).sum()) * (high - low) / 2
        return 2 * total / np.sqrt(2 * np.pi)

    def slope(x: FloatArray) -> FloatArray:
        s = (x / k) ** 2
        return np.where(x < k, 1.0 if loss == "huber" else (1 - s) * (1 - 5 * s), 0.0)

    delta = mean(lambda x: x * psi(x, loss))
    return (
        delta,
        mean(lambda x: psi(x, loss) ** 2),
        mean(lambda x: (x * psi(x, loss)) ** 2) - delta**2,
        mean(lambda x: x**2 * slope(x)),
    )


def _standardised(
    beta: float | FloatArray, tau2: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray
) -> tuple[FloatArray, FloatArray]:
    b = np.asarray(beta, dtype=np.float64)[..., None]
    variance = tau2 + sy**2 + sx**2 * b**2
    return (by - b * bx) / np.sqrt(variance), variance


def _zoom(objective: Callable[[FloatArray], FloatArray], low: float, high: float) -> tuple[float, float]:
    """Narrow an interval round the least value of `objective` on a grid."""
    for _ in range(_ZOOMS):
        grid = np.linspace(low, high, _GRID)
        i = int(np.argmin(objective(grid)))
        low, high = float(grid[max(0, i - 1)]), float(grid[min(_GRID - 1, i + 1)])
    return low, high


def _settle(score: Callable[[float], float], low: float, high: float) -> float:
    """Root of `score` between, or the middle of an interval too narrow to matter."""
    from scipy.optimize import brentq

    if score(low) * score(high) >= 0:
        return (low + high) / 2
    return float(brentq(score, low, high, xtol=1e-15, rtol=1e-14))


def effect_given(
    tau2: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, loss: Loss, bound: float
) -> float:
    """Least robust profile loss over all effects within `bound`, widened while the optimum lies at its end."""

    def objective(grid: FloatArray) -> FloatArray:
        return rho(_standardised(grid, tau2, bx, by, sx, sy)[0], loss).sum(axis=-1)

    def score(beta: float) -> float:
        t, v = _standardised(beta, tau2, bx, by, sx, sy)
        slope = -bx / np.sqrt(v) - t * sx**2 * beta / v
        return float((psi(t, loss) * slope).sum())

    for _ in range(10):
        low, high = _zoom(objective, -bound, bound)
        if max(abs(low), abs(high)) < 0.95 * bound:
            break
        bound *= 2
    return _settle(score, low, high)


def overdispersion_given(
    beta: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, loss: Loss, delta: float
) -> float:
    """Root of sum sx^2 (t psi(t) - delta) / v in tau2; zero when there is none above zero."""
    from scipy.optimize import brentq

    def equation(tau2: float) -> float:
        t, v = _standardised(beta, tau2, bx, by, sx, sy)
        return float((sx**2 * (t * psi(t, loss) - delta) / v).sum())

    top = 10 * float(np.quantile(sy**2, 0.95))
    for _ in range(60):
        if equation(top) < 0:
            break
        top *= 2
    grid = np.concatenate(([0.0], np.geomspace(top * 1e-8, top, 200)))
    t2 = grid[:, None]
    variance = t2 + sy**2 + sx**2 * beta**2
    t = (by - beta * bx) / np.sqrt(variance)
    values = (sx**2 * (t * psi(t, loss) - delta) / variance).sum(axis=1)
    down = np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0))
    if not down.size:
        return 0.0
    i = int(down[-1])
    return float(brentq(equation, grid[i], grid[i + 1], xtol=1e-18, rtol=1e-13))


def raps(bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, loss: Loss, overdispersed: bool) -> Fit:
    """Solve the two estimating equations in turn."""
    some = bx != 0
    ratio = float(np.quantile(np.abs(by[some] / bx[some]), 0.95))
    bound = 2 * ratio if ratio > 0 else 1.0
    data = (bx, by, sx, sy)
    constant = constants(loss)
    if not overdispersed:
        beta = effect_given(0.0, *data, loss=loss, bound=bound)
        return _with_error(beta, 0.0, data, constant, overdispersed=False, converged=True)
    starts: tuple[Loss, ...] = ("l2",) if loss == "l2" else ("l2", loss)
    beta, tau2, converged = effect_given(0.0, *data, loss="l2", bound=bound), 0.0, False
    for stage in starts:
        delta = constants(stage)[0]
        converged = False
        for _ in range(_ROUNDS):
            old = beta, tau2
            tau2 = overdispersion_given(beta, *data, loss=stage, delta=delta)
            beta = effect_given(tau2, *data, loss=stage, bound=5 * bound)
            change = abs(old[0] - beta) / abs(beta + 1e-10) + abs(old[1] - tau2) / abs(tau2 + 1e-10)
            if change <= _TOLERANCE:
                converged = True
                break
    return _with_error(beta, tau2, data, constant, overdispersed=True, converged=converged)


def _with_error(
    beta: float, tau2: float, data: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    constant: tuple[float, float, float, float], *, overdispersed: bool, converged: bool,
) -> Fit:  # fmt: skip
    bx, by, sx, sy = data
    delta, c1, c2, c3 = constant
    own = tau2 + sy**2
    v2 = (own + sx**2 * beta**2) ** 2
    signal = (bx**2 - sx**2) * own + (by**2 - own) * sx**2
    meat = c1 * float(((signal + sx**2 * own) / v2).sum())
    a = delta * float((signal / v2).sum())
    if not overdispersed:
        return Fit(beta, float(np.sqrt(meat)) / abs(a), tau2, np.nan, converged)
    meat_tau = c2 * float((sx**4 / v2).sum())
    b = delta * beta * float((sx**2 / v2).sum())
    d = (delta + c3) / 2 * float((sx**2 / v2).sum())
    error = np.sqrt(meat / a**2 + (b / (a * d)) ** 2 * meat_tau)
    return Fit(beta, float(error), tau2, float(np.sqrt(meat_tau)) / d, converged)
