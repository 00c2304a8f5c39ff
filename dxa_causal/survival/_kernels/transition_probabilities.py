r"""Probabilities of the states of a Markov process, from the increments of its transition hazards.

Notation inside this file: transition g leads from f_g to j_g; at a time, dA is the matrix of the increments of the
cumulative hazards and M = I + dA. The row vector p follows a start through

    p(t) = p(t-) M(t),      e(t) = integral of p.

The increment of transition g for a person is r_g dA0_g with r_g = exp(z_g b): with what is estimated of it, p moves by
p_f(t-) (e_j - e_f) times

    r_g dA0_g's own noise, whose covariance W is given, independent of that at other times, and
    u_g db,  u_g = r_g (z_g dA0_g - drift_g), the coefficients' noise, which is the same at all times.

Hence G = dp/db and C, the covariance of the first part of (p, e), by recursion (Andersen et al. 1993, 4.4.19).
What R's mstate does instead is to take differences of the variances of cumulative hazards for variances of
increments, coefficients' noise included, as if that were independent at different times.

Andersen PK, Borgan O, Gill RD, Keiding N. Statistical models based on counting processes. Springer, 1993.
de Wreede LC, Fiocco M, Putter H. Comput Methods Programs Biomed 2010;99:261-274. doi:10.1016/j.cmpb.2010.01.001
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DELTA, MSTATE = 0, 1


@dataclass(frozen=True, slots=True)
class TransitionHazards:
    """Increments of T cumulative transition hazards at k times and what is known of their errors.

    Attributes
    ----------
    time : (k,) ndarray
    origin, target : (T,) ndarray of int64
    increment : (k, T) ndarray
        Of the baseline.
    noise : (k, T, T) ndarray
        Covariance of the increments when the coefficients are known.
    drift : (k, T, q) ndarray
    covariance : (q, q) ndarray
        Of the coefficients.
    """

    time: FloatArray
    origin: IntArray
    target: IntArray
    increment: FloatArray
    noise: FloatArray
    drift: FloatArray
    covariance: FloatArray

    def after(self, since: float) -> TransitionHazards:
        """What happens after a time."""
        k = int(np.searchsorted(self.time, since, side="right"))
        arrays = (self.increment[k:], self.noise[k:], self.drift[k:])
        return TransitionHazards(self.time[k:], self.origin, self.target, *arrays, self.covariance)


def without_covariates(
    time: FloatArray, origin: IntArray, target: IntArray, n_event: FloatArray, n_risk: FloatArray, *, greenwood: bool
) -> TransitionHazards:
    """Nelson-Aalen increments: Poisson ("Aalen") or multinomial ("Greenwood") errors.

    Parameters
    ----------
    time : (k,) ndarray
    origin, target : (T,) ndarray of int64
    n_event : (k, T) ndarray
    n_risk : (k, S) ndarray
    greenwood : bool
    """
    at_risk = np.maximum(n_risk[:, origin], 1e-300)
    increment = n_event / at_risk
    noise = np.einsum("kg,gh->kgh", increment / at_risk, np.eye(origin.size))
    if greenwood:
        same = origin[:, None] == origin
        noise = noise - np.einsum("kg,kh,gh->kgh", increment, increment / at_risk, same)
    empty = np.zeros((time.size, origin.size, 0))
    return TransitionHazards(time, origin, target, increment, noise, empty, np.zeros((0, 0)))


@dataclass(frozen=True, slots=True)
class Followed:
    """Probabilities of the states and lengths of stay of r persons at m times.

    Attributes
    ----------
    probability, variance, stay, stay_variance : (r, m, S) ndarray
    """

    probability: FloatArray
    variance: FloatArray
    stay: FloatArray
    stay_variance: FloatArray


def follow(
    hazards: TransitionHazards,
    start: FloatArray,
    since: float,
    at: FloatArray,
    z: FloatArray,
    risk: FloatArray,
    *,
    method: int = DELTA,
) -> Followed:
    """Follow persons from `since` on.

    Parameters
    ----------
    hazards : TransitionHazards
    start : (S,) ndarray
        Distribution over the states at `since`.
    since : float
    at : (m,) ndarray
        Increasing times, none before `since`.
    z : (r, T, q) ndarray
        Covariates, in the place of the coefficient of each transition.
    risk : (r, T) ndarray
    method : int
        DELTA or MSTATE.
    """
    h = hazards.after(since)
    found = follow_persons(
        h.time,
        h.origin,
        h.target,
        np.ascontiguousarray(h.increment),
        np.ascontiguousarray(h.noise),
        np.ascontiguousarray(h.drift),
        h.covariance,
        start,
        since,
        at,
        np.ascontiguousarray(z),
        np.ascontiguousarray(risk),
        method,
    )
    return Followed(*found)


@inner
def _add_noise(total, p, w, origin, target):
    """Add B w B' with column g of B equal to p_f (e_j - e_f)."""
    for g in range(origin.shape[0]):
        for h in range(origin.shape[0]):
            value = w[g, h] * p[origin[g]] * p[origin[h]]
            if value != 0.0:
                total[target[g], target[h]] += value
                total[origin[g], origin[h]] += value
                total[target[g], origin[h]] -= value
                total[origin[g], target[h]] -= value


@kernel
def follow_persons(time, origin, target, increment, noise, drift, covariance, start, since, at, z, risk, method):
    """Arguments and results as in `follow`."""
    k, n_moves = increment.shape
    n_persons, n_at, n_states, q = risk.shape[0], at.shape[0], start.shape[0], covariance.shape[0]
    shape = (n_persons, n_at, n_states)
    probability, variance = np.zeros(shape), np.zeros(shape)
    stay, stay_variance = np.zeros(shape), np.zeros(shape)
    for person in range(n_persons):
        p, e = start.copy(), np.zeros(n_states)
        gp, ge = np.zeros((n_states, q)), np.zeros((n_states, q))
        pp, pe = np.zeros((n_states, n_states)), np.zeros((n_states, n_states))
        ee = np.zeros((n_states, n_states))
        u = np.zeros((n_moves, q))
        w, w_old = np.zeros((n_moves, n_moves)), np.zeros((n_moves, n_moves))
        own = np.zeros((n_moves, n_moves))
        last = since
        t = 0
        for m in range(n_at):
            while t < k and time[t] <= at[m]:
                width = time[t] - last
                last = time[t]
                e += width * p
                ge += width * gp
                ee += width * (pe + pe.T) + width * width * pp
                pe += width * pp
                # the matrix M, and how much of an increment was kept where they add up to more than one
                matrix = np.eye(n_states)
                out = np.zeros(n_states)
                for g in range(n_moves):
                    out[origin[g]] += risk[person, g] * increment[t, g]
                for g in range(n_moves):
                    f = origin[g]
                    step = risk[person, g] * increment[t, g] / max(out[f], 1.0)
                    matrix[f, target[g]] += step
                    matrix[f, f] -= step
                if method == MSTATE:
                    w_old[:] = w
                    for g in range(n_moves):
                        for c in range(q):
                            u[g, c] += risk[person, g] * (z[person, g, c] * increment[t, g] - drift[t, g, c])
                        for h in range(n_moves):
                            own[g, h] += risk[person, g] * risk[person, h] * noise[t, g, h]
                    w = own + u @ covariance @ u.T
                    after = p @ matrix
                    pp = matrix.T @ pp @ matrix
                    _add_noise(pp, after, w - w_old, origin, target)
                    p = after
                else:
                    gp = matrix.T @ gp
                    for g in range(n_moves):
                        f, j = origin[g], target[g]
                        for c in range(q):
                            value = z[person, g, c] * increment[t, g] - drift[t, g, c]
                            value *= risk[person, g] * p[f]
                            gp[j, c] += value
                            gp[f, c] -= value
                        for h in range(n_moves):
                            w[g, h] = risk[person, g] * risk[person, h] * noise[t, g, h]
                    pp = matrix.T @ pp @ matrix
                    pe = matrix.T @ pe
                    _add_noise(pp, p, w, origin, target)
                    p = p @ matrix
                t += 1
            width = at[m] - last
            probability[person, m] = p
            stay[person, m] = e + width * p
            for h in range(n_states):
                variance[person, m, h] = pp[h, h] + gp[h] @ (covariance @ gp[h])
                slope = ge[h] + width * gp[h]
                own_part = ee[h, h] + 2.0 * width * pe[h, h] + width * width * pp[h, h]
                stay_variance[person, m, h] = own_part + slope @ (covariance @ slope)
    return probability, np.maximum(variance, 0.0), stay, np.maximum(stay_variance, 0.0)


@warms
def _warm() -> None:
    one = np.ones((1, 1))
    place = np.zeros(1, dtype=np.int64)
    hazards = TransitionHazards(one[0], place, place + 1, one / 2, one[None], one[None], one)
    follow(hazards, np.array([1.0, 0.0]), 0.0, np.ones(1), one[None], one)
