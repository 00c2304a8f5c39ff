r"""The variance of a frailty: what is maximised, or solved, over theta.

em (gamma)
    The marginal likelihood, which is the penalised one plus a function of
    theta and of the events of the levels. Its derivative in theta is that at
    fixed coefficients and frailties: a root is sought, exact to rounding.
reml (gaussian)
    theta = f'f / (levels - trace(V) / theta), with V the levels' block of the
    inverse Hessian (Ripatti & Palmgren 2000; McGilchrist 1993).
ml (gaussian)
    Laplace's approximation: penalised log-likelihood less half of
    log det(I + theta H), H the levels' block of the information.

Ripatti S, Palmgren J. Biometrics 2000;56:1016-1022. doi:10.1111/j.0006-341X.2000.01016.x
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from dxa_causal.survival._kernels.cox import CoxData
from dxa_causal.survival._kernels.frailty import PenalisedEstimate, Penalty, invert, maximise_penalised
from dxa_causal.survival._kernels.frailty_sums import Levels

FloatArray = npt.NDArray[np.float64]

# A variance below the first (a standard deviation of 0.001 on the log scale) is none; one above the second
# is on its way to infinity.
SMALLEST, LARGEST = 1e-6, 1e4
_FACTOR = 4.0  # from one theta to the next while a bracket is sought
_STEP = 1e-3  # of log theta, in difference quotients


class Profile:
    """Penalised fits at any theta, each started from the one before.

    Parameters
    ----------
    data : CoxData
    levels : Levels
    gamma : bool
    beta : (p,) ndarray
        First start.
    """

    def __init__(self, data: CoxData, levels: Levels, *, gamma: bool, beta: FloatArray) -> None:
        self.data, self.levels, self.gamma = data, levels, gamma
        self._beta, self._f = beta, np.zeros(levels.size)
        self.n_iter = 0

    def at(self, theta: float, *, whole: bool) -> PenalisedEstimate:
        """Fit at `theta`."""
        penalty = Penalty(self.gamma, theta)
        fit = maximise_penalised(self.data, self.levels, penalty, beta=self._beta, f=self._f, whole=whole)
        if not fit.diverging.any():  # else each fit would run further than the one before
            self._beta, self._f = fit.beta, fit.f
        self.n_iter += fit.n_iter
        return fit


def gamma_marginal(levels: Levels, fit: PenalisedEstimate) -> float:
    """Marginal log-likelihood of a gamma frailty, on the scale where theta = 0 gives the partial likelihood.

    Penalised log-likelihood + sum over the levels, with d weighted events, of
    d - log(1 + theta d) / theta - d log(1 + theta d) + log(theta^d Gamma(1/theta + d) / Gamma(1/theta)).
    """
    d, theta = levels.events, fit.penalty.theta
    steps, rest = _steps(d)
    part = rest[rest > 0]
    rising = np.log1p(theta * steps).sum() + np.sum(
        special.gammaln(1 / theta + part) - special.gammaln(1 / theta) + part * np.log(theta)
    )
    return fit.objective + float(np.sum(d - (1 / theta + d) * np.log1p(theta * d)) + rising)


def gamma_score(levels: Levels, fit: PenalisedEstimate) -> float:
    """Derivative in theta of :func:`gamma_marginal`."""
    d, theta = levels.events, fit.penalty.theta
    steps, rest = _steps(d)
    part = rest[rest > 0]
    x = theta * d
    value = np.sum((np.log1p(x) - x / (1 + x)) / theta**2 - d * d / (1 + x)) + np.sum(steps / (1 + theta * steps))
    value += np.sum(part / theta - (special.digamma(1 / theta + part) - special.digamma(1 / theta)) / theta**2)
    return float(value) + fit.penalty.value(fit.f) / theta


def _steps(events: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The numbers r, r + 1, ..., d - 1 of every level with d events, r being the fraction of d; and the r."""
    whole = np.floor(events).astype(np.int64)
    first = np.repeat(np.cumsum(whole) - whole, whole)
    rest = events - whole
    steps: FloatArray = np.arange(float(first.size)) - first + np.repeat(rest, whole)
    return steps, rest


def laplace_marginal(fit: PenalisedEstimate) -> float:
    """Laplace's approximation to the marginal log-likelihood of a gaussian frailty, on the same scale.

    With the diagonal of the levels' block where the whole is not there.
    """
    return fit.objective - _log_determinant(fit) / 2


def _log_determinant(fit: PenalisedEstimate) -> float:
    theta, blocks = fit.penalty.theta, fit.blocks
    if blocks.whole is None:
        return float(np.log1p(theta * blocks.diagonal).sum())
    return float(np.linalg.slogdet(np.eye(fit.f.size) + theta * blocks.whole)[1])


def ml_score(profile: Profile, theta: float, *, whole: bool) -> float:
    """Derivative of :func:`laplace_marginal` in log theta.

    That of the determinant, through the estimates at theta too, is a
    difference quotient, whose error moves the root by about 1e-7 of itself.
    """
    low, high = (_log_determinant(profile.at(theta * np.exp(h), whole=whole)) for h in (-_STEP, _STEP))
    fit = profile.at(theta, whole=False)
    return fit.penalty.value(fit.f) - (high - low) / (4 * _STEP)


def reml_score(fit: PenalisedEstimate, *, sparse: bool) -> float:
    """Positive where theta is below the solution of the equation of Ripatti and Palmgren."""
    theta = fit.penalty.theta
    second = fit.penalty.second(fit.f)
    df = float(np.sum(1 - invert(fit.blocks, second, sparse=sparse).frailty * second))
    return float(fit.f @ fit.f) / (theta * df) - 1


@dataclass(frozen=True, slots=True)
class VarianceEstimate:
    """Estimate of theta.

    Attributes
    ----------
    theta : float
        0 where no positive one was found, `LARGEST` where it ran away.
    bounded : bool
        Found between those.
    """

    theta: float
    bounded: bool


def solve(score: Callable[[float], float]) -> VarianceEstimate:
    """Find theta with score(theta) = 0, going uphill from theta = 1."""
    theta = 1.0
    up = score(theta) > 0
    while True:
        following = theta * _FACTOR if up else theta / _FACTOR
        if not SMALLEST <= following <= LARGEST:
            return VarianceEstimate(LARGEST if up else 0.0, bounded=False)
        if (score(following) > 0) != up:
            break
        theta = following
    ends = sorted((np.log(theta), np.log(following)))
    root = optimize.brentq(lambda t: score(float(np.exp(t))), *ends, xtol=1e-12, rtol=1e-14)
    return VarianceEstimate(float(np.exp(root)), bounded=True)
