"""Newton-Raphson for a partial likelihood, with step halving and coefficients that run to infinity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CoxEstimate:
    """Maximum of the partial likelihood, on the standardised scale.

    Attributes
    ----------
    beta : (p,) ndarray
    information, information_null : (p, p) ndarray
        At the maximum and at beta = 0.
    gradient_null : (p,) ndarray
        Gradient at beta = 0.
    log_likelihood, log_likelihood_null : float
    expected : (m,) ndarray
        Weighted expected events of the rows in ``sets.order``.
    n_iter : int
    converged : bool
    diverging : (p,) ndarray of bool
        Coefficients that still moved when the likelihood no longer did.
    singular : bool
        The information is not positive definite.
    """

    beta: FloatArray
    information: FloatArray
    information_null: FloatArray
    gradient_null: FloatArray
    log_likelihood: float
    log_likelihood_null: float
    expected: FloatArray
    n_iter: int
    converged: bool
    diverging: npt.NDArray[np.bool_]
    singular: bool


# One Newton step from a point whose decrement g' I^-1 g is below this leaves
# an error of about 1e-10 standard errors.
_DECREMENT = 1e-10
# A coefficient (per standard deviation) that still moves this much when the
# likelihood has stopped is on its way to infinity.
_STILL_MOVING = 0.05
_FLAT = 1e-9
# A coefficient whose information has fallen to this share of that at zero has run to infinity.
_GONE = 1e-10


Derivatives = Callable[[FloatArray], tuple[float, FloatArray, FloatArray, FloatArray]]


def newton(
    derivatives: Derivatives,
    p: int,
    penalty: FloatArray | None = None,
    start: FloatArray | None = None,
    max_iter: int = 50,
) -> CoxEstimate:
    """Maximise a log-likelihood given its value, gradient, information and expected events at any beta.

    The record holds the likelihood and the information without the penalty.
    """
    ridge = np.zeros(p) if penalty is None else penalty
    beta = np.zeros(p) if start is None else start
    value, gradient, information, expected = derivatives(beta)
    null = (value, gradient, information)
    floor = _GONE * np.diag(information)
    diverging = np.zeros(p, dtype=bool)
    converged = p == 0
    singular = False
    n_iter = 0
    while not converged and n_iter < max_iter:
        score = gradient - ridge * beta
        try:
            factor = np.linalg.cholesky(information + np.diag(ridge))
        except np.linalg.LinAlgError:
            if n_iter == 0:  # the columns cannot be told apart
                singular = True
                break
            # A coefficient has run so far that its information is gone: it stays where it is, the others go on.
            information, gone = _without_gone(information, floor)
            diverging |= gone
            score = np.where(diverging, 0.0, score)
            try:
                factor = np.linalg.cholesky(information + np.diag(ridge))
            except np.linalg.LinAlgError:
                break
        half = np.linalg.solve(factor, score)
        step = np.linalg.solve(factor.T, half)
        small = float(half @ half) < _DECREMENT
        n_iter += 1
        target = value - float(ridge @ beta**2) / 2
        for _ in range(30):
            trial = derivatives(beta + step)
            reached = trial[0] - float(ridge @ (beta + step) ** 2) / 2
            if np.isfinite(trial[0]) and reached >= target - 1e-11 * abs(target) - 1e-12:
                break
            step *= 0.5
        else:
            break  # no way up: reported as not converged
        flat = abs(reached - target) <= _FLAT * max(1.0, abs(reached))
        beta = beta + step
        value, gradient, information, expected = trial
        moving = np.abs(step) > _STILL_MOVING
        if (small or (flat and n_iter > 5)) and moving.any():
            diverging |= moving
            converged = True
        converged = converged or small
    if diverging.any():
        information = _without_gone(information, floor)[0]
    return CoxEstimate(
        beta=beta,
        information=information,
        information_null=null[2],
        gradient_null=null[1],
        log_likelihood=float(value),
        log_likelihood_null=float(null[0]),
        expected=expected,
        n_iter=n_iter,
        converged=bool(converged),
        diverging=diverging,
        singular=singular,
    )


def _without_gone(information: FloatArray, floor: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Information in which coefficients that have none left stand alone with a little, and which they are."""
    gone = np.diag(information) <= floor
    if not gone.any():
        # all have some, but not all combinations: the weakest of the worst one is taken for gone
        scale = np.sqrt(np.diag(information))
        values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
        if values[0] > _GONE:
            return information, gone
        suspects = np.abs(vectors[:, 0]) > 0.1
        gone = suspects & (np.diag(information) == np.diag(information)[suspects].min())
    kept = np.where(np.outer(~gone, ~gone), information, 0.0)
    kept[gone, gone] = np.maximum(floor[gone], np.finfo(np.float64).tiny)
    return kept, gone
