"""Penalised likelihood of the illness-death model with M-spline hazards, and the choice of its penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from dxa_causal.survival._kernels.illness_death import Likelihood, places_of
from dxa_causal.survival._kernels.marquardt import DECREMENT, Maximum, maximise
from dxa_causal.survival._kernels.transition_hazards import SplineHazard

FloatArray = npt.NDArray[np.float64]

_AT_ZERO = 1e-5  # a coefficient psi^2 this small beside the largest lies on the edge of what is allowed
_ROUGH = 1e-6  # decrement that will do while penalties are tried
_DECADES = 7.0  # how far from the first guess a penalty is looked for


@dataclass(frozen=True, eq=False, slots=True)
class PenalisedFit:
    """Maximum of the penalised likelihood.

    Attributes
    ----------
    maximum : Maximum
        Of the penalised log-likelihood.
    log_likelihood : float
        Without the penalty.
    covariance : (P, P) ndarray
        Inverse of minus the penalised Hessian; zero where a coefficient of a spline is zero.
    df : float
        Effective number of parameters, coefficients included.
    criterion : float
        Approximate leave-one-out log-likelihood, log-likelihood minus `df`.
    kappa : (3,) ndarray
    """

    maximum: Maximum
    log_likelihood: float
    covariance: FloatArray
    df: float
    criterion: float
    kappa: FloatArray


def fit_penalised(
    likelihood: Likelihood, kappa: FloatArray, start: FloatArray, *, decrement: float = DECREMENT
) -> PenalisedFit:
    r"""Maximise the log-likelihood minus :math:`\sum_k \kappa_k \int h_k''^2`.

    Parameters
    ----------
    likelihood : Likelihood
        All its baselines are `SplineHazard`.
    kappa : (3,) ndarray
    start : (P,) ndarray
    decrement : float
        See :func:`maximise`.
    """
    matrices = [k * m for k, m in zip(kappa, _matrices(likelihood), strict=True)]
    places = [base for base, _ in places_of(likelihood.baselines, likelihood.sizes)]

    def value(parameters: FloatArray) -> float:
        lost = sum(parameters[at] ** 2 @ m @ parameters[at] ** 2 for at, m in zip(places, matrices, strict=True))
        return likelihood.value(parameters) - float(lost)

    def derivatives(parameters: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        reached, gradient, hessian = likelihood.derivatives(parameters)
        for at, matrix in zip(places, matrices, strict=True):
            psi = parameters[at]
            slope = 2 * matrix @ psi**2
            reached -= float(psi**2 @ slope) / 2
            gradient[at] -= 2 * psi * slope
            hessian[at, at] -= 8 * matrix * np.outer(psi, psi) + np.diag(2 * slope)
        return reached, gradient, hessian

    found = maximise(value, derivatives, start, decrement=decrement)
    return _summarise(likelihood, found, places, kappa)


def _summarise(likelihood: Likelihood, found: Maximum, places: list[slice], kappa: FloatArray) -> PenalisedFit:
    log_likelihood, gradient, hessian = likelihood.derivatives(found.parameters)
    free = np.ones(gradient.size, dtype=bool)
    for at in places:
        psi = found.parameters[at]
        free[at] = psi**2 > _AT_ZERO * (psi**2).max()
        # curvature of the likelihood in the coefficients themselves: that of the square is taken out
        own = np.divide(gradient[at], psi, out=np.zeros_like(psi), where=free[at])
        hessian[at, at] -= np.diag(own)
    kept = np.ix_(free, free)
    covariance = np.zeros_like(hessian)
    try:
        covariance[kept] = np.linalg.inv(-found.hessian[kept])
        df = float(np.trace(covariance[kept] @ -hessian[kept]))
    except np.linalg.LinAlgError:
        df = np.inf
    return PenalisedFit(found, log_likelihood, covariance, df, log_likelihood - df, kappa)


def first_penalties(likelihood: Likelihood, parameters: FloatArray) -> FloatArray:
    """Penalties that weigh about as much as the data do at these parameters."""
    hessian = likelihood.derivatives(parameters)[2]
    found = []
    for (at, _), matrix in zip(places_of(likelihood.baselines, likelihood.sizes), _matrices(likelihood), strict=True):
        data = np.abs(np.diag(hessian)[at]) / (4 * parameters[at] ** 2)
        found.append(np.median(data) / np.median(np.diag(matrix)))
    return np.array(found)


def choose_penalties(
    likelihood: Likelihood, start: FloatArray, guess: FloatArray, *, scan: tuple[float, ...] = (), step: float = 0.4
) -> PenalisedFit:
    """Penalties of the largest approximate leave-one-out log-likelihood, and the fit with them.

    Parameters
    ----------
    likelihood : Likelihood
    start : (P,) ndarray
    guess : (3,) ndarray
        Where to begin.
    scan : tuple of float
        Powers of ten by which all three are multiplied first.
    step : float
        First change of log10 of one of them.
    """
    tried: dict[tuple[float, ...], PenalisedFit] = {}
    best: PenalisedFit | None = None

    def lost(shift: FloatArray) -> float:
        nonlocal best
        key = tuple(float(v) for v in np.round(np.clip(shift, -_DECADES, _DECADES), 4))
        if key not in tried:
            near = start if best is None else off_zero(likelihood, best.maximum.parameters)
            found = fit_penalised(likelihood, guess * 10.0 ** np.array(key), near, decrement=_ROUGH)
            tried[key] = found
            if found.maximum.converged and (best is None or found.criterion > best.criterion):
                best = found
        return -tried[key].criterion if tried[key].maximum.converged else np.inf

    common = scan[int(np.argmin([lost(np.full(3, d)) for d in scan]))] if scan else 0.0
    corners = common + np.vstack([np.zeros(3), step * np.eye(3)])
    options = {"initial_simplex": corners, "xatol": 0.1, "fatol": 0.01, "maxfev": 60}
    minimize(lost, corners[0], method="Nelder-Mead", options=options)
    if best is None:
        return next(iter(tried.values()))
    return fit_penalised(likelihood, best.kappa, off_zero(likelihood, best.maximum.parameters))


def off_zero(likelihood: Likelihood, parameters: FloatArray) -> FloatArray:
    """Parameters with no spline coefficient so close to zero that it could not leave it."""
    moved = np.abs(parameters)
    for base, beta in places_of(likelihood.baselines, likelihood.sizes):
        moved[base] = np.maximum(moved[base], 0.05 * moved[base].max())
        moved[beta] = parameters[beta]
    return moved


def _matrices(likelihood: Likelihood) -> list[FloatArray]:
    return [b.penalty() for b in likelihood.baselines if isinstance(b, SplineHazard)]
