"""Robust profile likelihood of several exposures whose errors correlate with each other's and the outcome's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.raps import Loss, psi, rho

FloatArray = npt.NDArray[np.float64]
_ROUNDS = 200
_TOLERANCE = 1e-10
_GRID = 401
_WIDEST = 12.0  # of the standard normal, for expectations
_MOST_POINTS = 2_000_000  # of a grid by variants


class Data(NamedTuple):
    """Effects on exposures (n, k) and outcome (n,), and covariance (n, k + 1, k + 1) of their errors, outcome last."""

    x: FloatArray
    y: FloatArray
    errors: FloatArray


class Fit(NamedTuple):
    """Effects (k,), covariance, overdispersion and its error, standardised residuals (n,), and whether it settled."""

    estimate: FloatArray
    covariance: FloatArray
    tau2: float
    tau2_std_error: float
    residuals: FloatArray
    converged: bool


class _Constants(NamedTuple):
    """E[rho], E[psi^2], Var[rho], E[t psi] at the standard normal."""

    mean: float
    psi2: float
    spread: float
    slope: float


def covariances(se: FloatArray, correlation: FloatArray) -> FloatArray:
    """Covariance of the errors of every variant (n, m, m) from standard errors (n, m)."""
    return se[:, :, None] * correlation * se[:, None, :]


def constants(loss: Loss) -> _Constants:
    """Expectations at the standard normal, by quadrature on either side of the kinks."""
    kink = {"l2": _WIDEST, "huber": 1.345, "tukey": 4.685}[loss]
    nodes, weights = np.polynomial.legendre.leggauss(80)
    ends = [(0.0, kink)] + ([(kink, _WIDEST)] if kink < _WIDEST else [])
    x = np.concatenate([low + (high - low) * (nodes + 1.0) / 2.0 for low, high in ends])
    w = np.concatenate([(high - low) * weights for low, high in ends]) * np.exp(-(x**2) / 2.0) / np.sqrt(2.0 * np.pi)
    r, p = rho(x, loss), psi(x, loss)
    mean = float((w * r).sum())
    return _Constants(mean, float((w * p**2).sum()), float((w * r**2).sum()) - mean**2, float((w * x * p).sum()))


def _parts(beta: FloatArray, tau2: float, d: Data) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Residuals, their variances, and half the slope of the variance along the effects (n, k)."""
    contrast = np.append(-beta, 1.0)
    along = d.errors @ contrast
    return d.y - d.x @ beta, along @ contrast + tau2, -along[:, :-1]


def standardised(beta: FloatArray, tau2: float, d: Data) -> FloatArray:
    """Residuals over their standard deviations."""
    r, v, _ = _parts(beta, tau2, d)
    return np.asarray(r / np.sqrt(v))


def losses(grid: FloatArray, tau2: float, d: Data, loss: Loss) -> FloatArray:
    """Sum of losses at each row of the grid (m, k)."""
    size = max(1, _MOST_POINTS // d.y.size)
    values = np.empty(len(grid))
    for i in range(0, len(grid), size):
        b = grid[i : i + size]
        contrast = np.column_stack([-b, np.ones(len(b))])
        v = np.einsum("gi,nij,gj->gn", contrast, d.errors, contrast, optimize=True) + tau2
        values[i : i + size] = rho((d.y - b @ d.x.T) / np.sqrt(v), loss).sum(axis=1)
    return values


def _objective(beta: FloatArray, tau2: float, d: Data, loss: Loss) -> tuple[float, FloatArray]:
    r, v, half = _parts(beta, tau2, d)
    t = r / np.sqrt(v)
    slope = -d.x / np.sqrt(v)[:, None] - (t / v)[:, None] * half
    return float(rho(t, loss).sum()), psi(t, loss) @ slope


def _minimise(start: FloatArray, tau2: float, d: Data, loss: Loss, scale: FloatArray) -> tuple[FloatArray, float]:
    from scipy.optimize import minimize

    def scaled(u: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = _objective(u * scale, tau2, d, loss)
        return value, gradient * scale

    found = minimize(scaled, start / scale, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 500})
    return np.asarray(found.x * scale), float(found.fun)


def _sweep(beta: FloatArray, tau2: float, d: Data, loss: Loss, bound: FloatArray) -> FloatArray:
    """Best point of a grid along each effect in turn, from where the one before led."""
    best, value = beta.copy(), float(losses(beta[None], tau2, d, loss)[0])
    for j in range(beta.size):
        grid = np.tile(best, (_GRID, 1))
        grid[:, j] = np.linspace(-bound[j], bound[j], _GRID)
        at = losses(grid, tau2, d, loss)
        if at.min() < value:
            best, value = grid[int(at.argmin())], float(at.min())
    return best


def effects_given(
    tau2: float, d: Data, loss: Loss, starts: list[FloatArray], bound: FloatArray, *, far: bool = True
) -> FloatArray:
    """Effects of least loss, searched from every start and, if `far`, along grids through the best of them."""
    scale = np.maximum(bound, 1e-300) / 10.0
    found = [_minimise(start, tau2, d, loss, scale) for start in starts]
    best, value = min(found, key=lambda f: f[1])
    for _ in range(5 if far else 0):
        other, lower = _minimise(_sweep(best, tau2, d, loss, bound), tau2, d, loss, scale)
        if lower >= value - 1e-10 * max(1.0, abs(value)):
            break
        best, value = other, lower
    return best


def overdispersion_given(beta: FloatArray, d: Data, loss: Loss, mean: float) -> float:
    """Solve sum rho(t) = (n - 1) E[rho] for tau2; zero where the losses are small enough without."""
    from scipy.optimize import brentq

    def excess(tau2: float) -> float:
        return float(rho(standardised(beta, tau2, d), loss).sum() - (d.y.size - 1) * mean)

    if excess(0.0) <= 0.0:
        return 0.0
    top = 2.0 * float(np.median(d.y**2)) + float(np.median(d.errors[:, -1, -1]))
    for _ in range(100):
        if excess(top) < 0.0:
            break
        top *= 2.0
    return float(brentq(excess, 0.0, top, xtol=1e-300, rtol=1e-13))


def fit(d: Data, *, loss: Loss, overdispersed: bool) -> Fit:
    """Effects and overdispersion in turn until neither moves."""
    c = constants(loss)
    weight = 1.0 / d.errors[:, -1, -1]
    usual = np.asarray(
        np.linalg.solve((d.x * weight[:, None]).T @ d.x, (d.x * weight[:, None]).T @ d.y), dtype=np.float64
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(d.y[:, None] / d.x)
    bound = np.array([2.0 * np.quantile(column[np.isfinite(column)], 0.95) for column in ratio.T])
    bound = np.maximum(np.where(bound > 0, bound, 1.0), 2.0 * np.abs(usual))

    starts = [usual, np.zeros(usual.shape)]
    if loss != "l2":
        starts.append(effects_given(0.0, d, "huber", starts, bound))
    beta, tau2, converged = effects_given(0.0, d, loss, starts, bound), 0.0, not overdispersed
    at_rest = False
    for _ in range(_ROUNDS if overdispersed else 0):
        old, old_tau2 = beta, tau2
        tau2 = overdispersion_given(beta, d, loss, c.mean)
        beta = effects_given(tau2, d, loss, [beta, usual], bound, far=at_rest)
        moved = float(np.max(np.abs(beta - old) / (np.abs(beta) + 1e-10))) + abs(tau2 - old_tau2) / (tau2 + 1e-10)
        if moved <= _TOLERANCE and at_rest:
            converged = True
            break
        at_rest = moved <= _TOLERANCE  # then look further away once more
    return _with_errors(beta, tau2, d, loss, c, overdispersed=overdispersed, converged=converged)


def _with_errors(
    beta: FloatArray, tau2: float, d: Data, loss: Loss, c: _Constants, *, overdispersed: bool, converged: bool
) -> Fit:
    """Sandwich of the two estimating equations."""
    n, k = d.x.shape
    r, v, half = _parts(beta, tau2, d)
    t = r / np.sqrt(v)
    u = -d.x / np.sqrt(v)[:, None] - (t / v)[:, None] * half
    s = u.T @ u
    scored = psi(t, loss) / v**1.5
    cross = (scored[:, None] * d.x).T @ half
    own = np.einsum("n,nij->ij", scored * r, d.errors[:, :k, :k])
    bread, meat = np.zeros((k + 1, k + 1)), np.zeros((k + 1, k + 1))
    bread[:k, :k] = c.slope * s - (2.0 * cross - cross.T + own)
    bread[:k, k] = c.slope * (half / v[:, None] ** 2).sum(axis=0)
    bread[k, k] = -0.5 * c.slope * float((1.0 / v).sum())
    meat[:k, :k], meat[k, k] = c.psi2 * s, n * c.spread
    if not overdispersed:
        inverse = np.linalg.inv(bread[:k, :k])
        return Fit(beta, inverse @ meat[:k, :k] @ inverse.T, tau2, np.nan, t, converged)
    inverse = np.linalg.inv(bread)
    both = inverse @ meat @ inverse.T
    return Fit(beta, both[:k, :k], tau2, float(np.sqrt(both[k, k])), t, converged)
