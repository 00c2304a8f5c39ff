"""Maximum likelihood in the illness-death model: start, quadrature fine enough, covariance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.illness_death import Likelihood, Persons, Quadrature, likelihood, onset_paths
from dxa_causal.survival._kernels.illness_death_penalised import (
    choose_penalties,
    first_penalties,
    fit_penalised,
    off_zero,
)
from dxa_causal.survival._kernels.marquardt import maximise
from dxa_causal.survival._kernels.transition_hazards import Baseline

FloatArray = npt.NDArray[np.float64]

_SMOOTH, _PIECEWISE = 10, 6  # nodes per interval of a hazard without, and between knots of one with knots
_MOST_NODES = 160
_ACCURACY = 1e-8  # of the log-likelihood
_NO_INFORMATION = 1e-12
_SCAN = tuple(np.arange(-4.0, 3.0))


@dataclass(frozen=True, eq=False, slots=True)
class IllnessDeathEstimate:
    """Estimates of the three transitions.

    Attributes
    ----------
    parameters : (P,) ndarray
        Baseline parameters and coefficients of each transition in turn.
    covariance : (P, P) ndarray
    log_likelihood : float
        Without the penalty.
    df : float
        Number of parameters, effective where penalised.
    kappa : (3,) ndarray or None
    criterion : float or None
        Approximate leave-one-out log-likelihood.
    nodes : int
        Quadrature nodes per interval, or between knots.
    n_iter : int
    converged : bool
    singular : bool
        The information is not positive definite.
    """

    parameters: FloatArray
    covariance: FloatArray
    log_likelihood: float
    df: float
    kappa: FloatArray | None
    criterion: float | None
    nodes: int
    n_iter: int
    converged: bool
    singular: bool


def estimate(
    persons: Persons,
    left: FloatArray,
    right: FloatArray,
    baselines: tuple[Baseline, Baseline, Baseline],
    *,
    penalised: bool,
    kappa: FloatArray | None = None,
) -> IllnessDeathEstimate:
    """Maximise the (penalised) likelihood; the penalties are chosen where `kappa` is None.

    The start is the fit that takes onset for known, in the middle of its interval, and those not seen ill for healthy
    to the end. Quadrature nodes are doubled until the log-likelihood no longer changes.
    """
    unseen = np.isinf(right)
    middle = np.where(unseen, persons.time, (left + np.where(unseen, left, right)) / 2)
    plain = likelihood(
        persons,
        onset_paths(middle, np.where(unseen, np.inf, middle), persons.time, Quadrature(np.empty(0), 1, 1)),
        baselines,
    )
    constant = _constant(persons, middle, ~unseen, baselines, plain.sizes)
    breaks = np.unique(np.concatenate([b.breaks for b in baselines]))
    nodes = _PIECEWISE if breaks.size else _SMOOTH

    def build(nodes: int) -> Likelihood:
        rule = Quadrature(breaks, baselines[0].power, nodes)
        return likelihood(persons, onset_paths(left, right, persons.time, rule), baselines)

    if penalised:
        return _penalised(plain, build, constant, kappa, nodes)
    start = maximise(plain.value, plain.derivatives, constant).parameters
    while True:
        fine = build(nodes)
        found = maximise(fine.value, fine.derivatives, start)
        if _fine_enough(build, found.parameters, found.value, nodes):
            break
        start, nodes = found.parameters, 2 * nodes
    covariance, singular = _inverse(-found.hessian)
    return IllnessDeathEstimate(
        found.parameters,
        covariance,
        found.value,
        float(found.parameters.size),
        None,
        None,
        nodes,
        found.n_iter,
        found.converged,
        singular,
    )


def _fine_enough(build: Callable[[int], Likelihood], parameters: FloatArray, value: float, nodes: int) -> bool:
    """Whether twice as many nodes leave the log-likelihood where it is."""
    return nodes >= _MOST_NODES or abs(build(2 * nodes).value(parameters) - value) < _ACCURACY


def _penalised(
    plain: Likelihood,
    build: Callable[[int], Likelihood],
    constant: FloatArray,
    kappa: FloatArray | None,
    nodes: int,
) -> IllnessDeathEstimate:
    if kappa is None:
        near = choose_penalties(plain, constant, first_penalties(plain, constant), scan=_SCAN, step=1.0)
        fit = choose_penalties(build(nodes), off_zero(plain, near.maximum.parameters), near.kappa)
    else:
        near = fit_penalised(plain, kappa, constant)
        fit = fit_penalised(build(nodes), kappa, off_zero(plain, near.maximum.parameters))
    while not _fine_enough(build, fit.maximum.parameters, fit.log_likelihood, nodes):
        nodes *= 2
        fit = fit_penalised(build(nodes), fit.kappa, off_zero(plain, fit.maximum.parameters))
    return IllnessDeathEstimate(
        fit.maximum.parameters,
        fit.covariance,
        fit.log_likelihood,
        fit.df,
        fit.kappa,
        fit.criterion,
        nodes,
        fit.maximum.n_iter,
        fit.maximum.converged,
        not np.isfinite(fit.df),
    )


def _constant(
    persons: Persons,
    middle: FloatArray,
    seen: npt.NDArray[np.bool_],
    baselines: tuple[Baseline, Baseline, Baseline],
    sizes: tuple[int, int, int],
) -> FloatArray:
    """Constant hazards without effects: events by person-time."""
    healthy = float((np.maximum(middle, persons.entry) - persons.entry).sum())
    ill = max(float((persons.time - middle)[seen].sum()), 1e-3 * healthy)
    rates = (seen.sum() / healthy, persons.died[~seen].sum() / healthy, persons.died[seen].sum() / ill)
    parts = [[b.constant(float(r)), np.zeros(p)] for b, r, p in zip(baselines, rates, sizes, strict=True)]
    return np.concatenate([part for pair in parts for part in pair])


def _inverse(information: FloatArray) -> tuple[FloatArray, bool]:
    """Inverse, and whether there is none; directions without information then have a huge variance."""
    diagonal = np.abs(np.diag(information))
    scale = np.sqrt(np.maximum(diagonal, _NO_INFORMATION * diagonal.max(initial=1e-300)))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    inverse = (vectors / np.maximum(values, _NO_INFORMATION)) @ vectors.T
    return np.asarray(inverse / np.outer(scale, scale)), bool(values.min(initial=1.0) <= _NO_INFORMATION)
