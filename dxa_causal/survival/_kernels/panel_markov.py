r"""Likelihood of a Markov process seen at visits only, with its gradient.

Notation inside this file: Q is the matrix of intensities of a covariate pattern, P(t) = exp(Qt) = A exp(dt) A^-1.
What is known at the two ends of an interval are vectors l and r, so that it contributes l P(t) r: unit vectors for
states seen, the intensities of going to D for a death at a known time, ones for the states somebody may be in. A
chain of intervals between which the state is not known contributes l P r1 * P r2 ..., with forward and backward
vectors in place of l and r. The derivative of l P r in the entry (f, j) of Q is the entry (f, j) of

    K = integral over u in (0, t) of (l exp(Qu))' (exp(Q(t - u)) r)' = A^-T W A^T,
    W_ab = (lA)_a (A^-1 r)_b (exp(d_a t) - exp(d_b t)) / (d_a - d_b),

which is summed over the intervals of a pattern before the multiplication (Kalbfleisch & Lawless 1985).

Kalbfleisch JD, Lawless JF. J Am Stat Assoc 1985;80:863-871. doi:10.1080/01621459.1985.10478195
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm
from scipy.optimize import minimize

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

SEEN, EXACT, ONE_OF = 0, 1, 2  # what is known at the end of an interval

_BLOCK = 50_000
_ILL_CONDITIONED = 1e8  # eigenvectors so close to one another that sums over them lose half of the digits


@dataclass(frozen=True, slots=True)
class Intervals:
    """Times between visits; equal ones may stand once, with their number.

    Attributes
    ----------
    pattern : (n,) ndarray of int64
        Covariate pattern.
    width : (n,) ndarray
    begin : (n,) ndarray of int64
        State at the beginning; -1 where it is only known up to a set: then the interval before in the order belongs
        to the same chain.
    kind : (n,) ndarray of int64
        SEEN, EXACT or ONE_OF.
    end : (n,) ndarray of int64
        State (SEEN, EXACT) or number of the set (ONE_OF).
    count : (n,) ndarray
    sets : (k, S) ndarray
        Ones for the states of each set.
    """

    pattern: IntArray
    width: FloatArray
    begin: IntArray
    kind: IntArray
    end: IntArray
    count: FloatArray
    sets: FloatArray


@dataclass(frozen=True, slots=True)
class PanelModel:
    """How intensities depend on parameters: log q = baseline of the transition + covariates times coefficients.

    Attributes
    ----------
    n_states : int
    origin, target : (T,) ndarray of int64
    covariates : (C, T, q) ndarray
        Of each pattern, in the place of the coefficients of each transition.
    """

    n_states: int
    origin: IntArray
    target: IntArray
    covariates: FloatArray

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.origin.size + self.covariates.shape[2]

    def rates(self, parameters: FloatArray, covariates: FloatArray | None = None) -> FloatArray:
        """Intensities of the transitions, (C, T)."""
        t = self.origin.size
        z = self.covariates if covariates is None else covariates
        return np.asarray(np.exp(parameters[:t] + z @ parameters[t:]))

    def matrices(self, rates: FloatArray) -> FloatArray:
        """Matrices of intensities, (C, S, S)."""
        q = np.zeros((len(rates), self.n_states, self.n_states))
        q[:, self.origin, self.target] = rates
        diagonal = np.arange(self.n_states)
        q[:, diagonal, diagonal] = -q.sum(axis=2)
        return q


def log_likelihood(model: PanelModel, data: Intervals, parameters: FloatArray) -> tuple[float, FloatArray]:
    """Log-likelihood and its gradient; -inf where it overflows or an interval is impossible."""
    gradient = np.zeros(model.size)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rates = model.rates(parameters)
        if not (np.isfinite(rates).all() and rates.max(initial=0.0) < 1e8):
            return -np.inf, gradient
        spectrum = _spectrum(model.matrices(rates))
        found = _ends(model, data, rates, spectrum)
        if found is None:
            return -np.inf, gradient
        left, right, likelihood = found
        weight = data.count / likelihood
        k = _derivative(spectrum, data, left, right, weight)
    f, j = model.origin, model.target
    slope = rates * (k[:, f, j] - k[:, f, f])
    exact = np.flatnonzero(data.kind == EXACT)
    if exact.size:  # the intensity of the exact transition is part of the vector at the end
        reach = _apply(spectrum, data, left, exact, transpose=True)
        for g in range(f.size):
            own = exact[data.end[exact] == j[g]]
            place = np.searchsorted(exact, own)
            part = weight[own] * reach[place, f[g]] * rates[data.pattern[own], g]
            slope[:, g] += np.bincount(data.pattern[own], part, len(rates))
    chains = np.ones(data.begin.size, dtype=bool)
    chains[:-1] = data.begin[1:] >= 0  # a chain counts once, at its last interval
    value = float(data.count[chains] @ np.log(likelihood[chains]))
    gradient[: f.size] = slope.sum(axis=0)
    gradient[f.size :] = np.einsum("cg,cgq->q", slope, model.covariates)
    return value, gradient


def approach(model: PanelModel, data: Intervals, start: FloatArray) -> FloatArray:
    """Parameters near the maximum, by a quasi-Newton iteration that needs no Hessian."""

    def negative(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = log_likelihood(model, data, parameters)
        return (-value, -gradient) if np.isfinite(value) else (1e100, gradient)

    n = float(data.count.sum())
    found = minimize(
        negative, start, jac=True, method="BFGS", options={"gtol": 1e-7 * n, "hess_inv0": np.eye(start.size) / n}
    )
    return np.asarray(found.x)


def derivatives(model: PanelModel, data: Intervals, parameters: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood, gradient and, by central differences of the gradient, Hessian."""
    value, gradient = log_likelihood(model, data, parameters)
    hessian = np.empty((parameters.size, parameters.size))
    for k in range(parameters.size):
        step = np.zeros(parameters.size)
        step[k] = 1e-5 * max(1.0, abs(parameters[k]))
        up, down = (log_likelihood(model, data, parameters + sign * step)[1] for sign in (1, -1))
        hessian[k] = (up - down) / (2 * step[k])
    return value, gradient, (hessian + hessian.T) / 2


@dataclass(frozen=True, slots=True)
class _Spectrum:
    q: FloatArray
    values: Array
    vectors: Array
    inverse: Array
    bad: npt.NDArray[np.bool_]


def _spectrum(q: FloatArray) -> _Spectrum:
    values, vectors = np.linalg.eig(q)
    lost = np.abs(np.linalg.det(vectors)) < 1e-200
    safe = np.where(lost[:, None, None], np.eye(q.shape[1]), vectors)
    inverse = np.linalg.inv(safe)
    bad = lost | ~(np.abs(inverse).max(axis=(1, 2)) < _ILL_CONDITIONED)  # eigenvectors have length one
    return _Spectrum(q, values, safe, inverse, bad)


def _apply(s: _Spectrum, data: Intervals, vector: FloatArray, rows: IntArray, *, transpose: bool) -> FloatArray:
    """P(t) r of some intervals, or l P(t) where `transpose`."""
    out = np.empty((rows.size, vector.shape[1]))
    for first in range(0, rows.size, _BLOCK):
        own = rows[first : first + _BLOCK]
        c = data.pattern[own]
        inner, outer = (s.vectors.swapaxes(1, 2), s.inverse.swapaxes(1, 2)) if transpose else (s.inverse, s.vectors)
        middle = np.einsum("nab,nb->na", inner[c], vector[own]) * np.exp(s.values[c] * data.width[own, None])
        found = np.einsum("nab,nb->na", outer[c], middle).real
        if s.bad[c].any():
            other = np.flatnonzero(s.bad[c])
            p = expm(s.q[c[other]] * data.width[own[other], None, None])
            p = p.swapaxes(1, 2) if transpose else p
            found[other] = np.einsum("nab,nb->na", p, vector[own[other]])
        out[first : first + _BLOCK] = found
    return out


def _ends(
    model: PanelModel, data: Intervals, rates: FloatArray, s: _Spectrum
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Vectors at both ends of every interval, and the likelihood of its chain."""
    n, rows = data.begin.size, np.arange(data.begin.size)
    right = np.zeros((n, model.n_states))
    seen = data.kind == SEEN
    right[seen, data.end[seen]] = 1.0
    several = data.kind == ONE_OF
    right[several] = data.sets[data.end[several]]
    for g, (f, j) in enumerate(zip(model.origin, model.target, strict=True)):
        own = np.flatnonzero((data.kind == EXACT) & (data.end == j))
        right[own, f] = rates[data.pattern[own], g]
    known = data.begin >= 0
    left = np.zeros((n, model.n_states))
    left[rows[known], data.begin[known]] = 1.0
    at_end = right.copy()
    depth = rows - np.maximum.accumulate(np.where(known, rows, 0))  # place in the chain
    for k in range(1, int(depth.max(initial=0)) + 1):
        own = rows[depth == k]
        left[own] = _apply(s, data, left, own - 1, transpose=True) * at_end[own - 1]
    for k in range(int(depth.max(initial=0)), 0, -1):
        own = rows[depth == k]
        right[own - 1] = at_end[own - 1] * _apply(s, data, right, own, transpose=False)
    likelihood = np.einsum("na,na->n", left, _apply(s, data, right, rows, transpose=False))
    return (left, right, likelihood) if (likelihood > 0).all() else None


def _derivative(s: _Spectrum, data: Intervals, left: FloatArray, right: FloatArray, weight: FloatArray) -> FloatArray:
    """Sum of weight times K over the intervals of each pattern, (C, S, S)."""
    n_patterns, n_states = s.values.shape
    total = np.zeros((n_patterns, n_states, n_states), dtype=s.values.dtype)
    extra = np.zeros((n_patterns, n_states, n_states))
    for first in range(0, weight.size, _BLOCK):
        own = np.arange(first, min(first + _BLOCK, weight.size))
        c, t = data.pattern[own], data.width[own]
        good = ~s.bad[c]
        if not good.all():
            other = own[~good]
            block = np.zeros((other.size, 2 * n_states, 2 * n_states))
            block[:, :n_states, :n_states] = block[:, n_states:, n_states:] = s.q[data.pattern[other]].swapaxes(1, 2)
            block[:, :n_states, n_states:] = left[other][:, :, None] * right[other][:, None, :]
            integral = expm(block * data.width[other, None, None])[:, :n_states, n_states:]
            np.add.at(extra, data.pattern[other], weight[other, None, None] * integral)
            own, c, t = own[good], c[good], t[good]
        a = np.einsum("na,nab->nb", left[own], s.vectors[c])
        b = np.einsum("nab,nb->na", s.inverse[c], right[own]) * weight[own, None]
        d = s.values[c]
        gap = (d[:, :, None] - d[:, None, :]) * t[:, None, None]
        # with the larger of the two exponents outside, so that nothing overflows
        larger = np.where(gap.real > 0, d[:, :, None], d[:, None, :])
        gap = np.where(gap.real > 0, gap, -gap)
        ratio = np.where(np.abs(gap) > 1e-8, -np.expm1(-gap) / np.where(gap == 0, 1.0, gap), 1.0 - gap / 2)
        v = t[:, None, None] * np.exp(larger * t[:, None, None]) * ratio
        w = a[:, :, None] * b[:, None, :] * v
        order = np.argsort(c, kind="stable")
        starts = np.flatnonzero(np.concatenate([[True], np.diff(c[order]) > 0])) if c.size else order
        if c.size:
            total[c[order][starts]] += np.add.reduceat(w[order], starts, axis=0)
    k = s.inverse.swapaxes(1, 2) @ total @ s.vectors.swapaxes(1, 2)
    return np.asarray(k.real + extra)
