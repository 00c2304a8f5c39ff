"""Prentice's generalised gamma on the standardised log scale: log f and log S with derivatives in z and Q.

With phi_2(x) = (exp(x) - 1 - x) / x^2 and Stirling's remainder rho of log Gamma(1/Q^2),

    log f(z; Q) = -log(2 pi)/2 - rho - z^2 phi_2(Q z),

which is smooth through Q = 0 (normal); Q = 1 is the extreme value distribution of a Weibull time. A tail is the
integral of f beyond z, its derivatives in Q integrals of those of f: Gauss-Legendre to where f has fallen by exp(-45).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from dxa_causal.survival._kernels.lifetime_likelihood import log_one_minus_exp
from dxa_causal.survival._kernels.row_derivatives import Derivatives, phi

FloatArray = npt.NDArray[np.float64]

_FALL = 45.0
_FAR = 1e6
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(36)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
# B_2j / (2j (2j - 1)): Stirling's series of log Gamma(k) in odd powers of 1/k
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_BLOCK = 20_000  # rows integrated at a time


def log_density(z: FloatArray, q: FloatArray) -> Derivatives:
    """Log f(z; Q)."""
    v, dz, dq, dzz, dzq, dqq = _density(z, q)
    return Derivatives(v, np.column_stack([dz, dq]), _symmetric(dzz, dzq, dqq))


def log_survival(z: FloatArray, q: FloatArray) -> Derivatives:
    """Log of the integral of f beyond z."""
    flip = np.where(z >= 0, 1.0, -1.0)  # f(z; Q) = f(-z; -Q): the shorter tail is integrated
    parts = [_tail(z[i] * flip[i], q[i] * flip[i]) for i in np.array_split(np.arange(z.size), 1 + z.size // _BLOCK)]
    value, dz, dq, dzz, dzq, dqq = (np.concatenate(p) for p in zip(*parts, strict=True))
    dz, dq = dz * flip, dq * flip
    # where the lower tail was integrated, log(1 - F)
    log_s, first, second = log_one_minus_exp(np.where(flip > 0, -1.0, value))
    up = flip > 0
    return Derivatives(
        np.where(up, value, log_s),
        np.column_stack([np.where(up, d, first * d) for d in (dz, dq)]),
        _symmetric(
            *(
                np.where(up, dd, first * dd + second * a * b)
                for dd, a, b in ((dzz, dz, dz), (dzq, dz, dq), (dqq, dq, dq))
            )
        ),
    )


def _tail(z: FloatArray, q: FloatArray) -> tuple[FloatArray, ...]:
    """Log of the integral beyond z >= 0 and its derivatives z, q, zz, zq, qq."""
    v, dz, dq, dzz, dzq, dqq = _density(z, q)
    far = v < -_FAR  # there S = f / hazard, and differences of log f have no digits left
    at_z = v
    z = np.where(far, 0.0, z)
    v = np.where(far, _density(z, q)[0], v)
    reach = _reach(z, q)
    # two panels: for Q < 0 the density bends within a few 1/|Q| and then falls at the rate 1/|Q|
    near = np.minimum(reach / 2, 20 / np.maximum(np.abs(q), 1e-8))
    rest = reach - near
    u = np.hstack([near[:, None] * _NODES, near[:, None] + rest[:, None] * _NODES])
    width = np.hstack([near[:, None] * _WEIGHTS, rest[:, None] * _WEIGHTS])
    value, _, s, _, _, ss = _density(z[:, None] + u, np.broadcast_to(q[:, None], u.shape))
    mass = np.exp(value - v[:, None]) * width
    total = mass.sum(axis=1)
    mean = (mass * s).sum(axis=1) / total
    square = (mass * (ss + s**2)).sum(axis=1) / total
    hazard = 1 / total
    near_by = (
        v + np.log(total),
        -hazard,
        mean,
        -hazard * (dz + hazard),
        -hazard * (dq - mean),
        square - mean**2,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        far_off = (at_z - np.log(-dz), dz, dq, dzz, dzq, dqq)
    return tuple(np.where(far, b, a) for a, b in zip(near_by, far_off, strict=True))


def _reach(z: FloatArray, q: FloatArray) -> FloatArray:
    """How far beyond z >= 0 the density has surely fallen by exp(-45)."""
    _, f2, _, _ = phi(q * z)
    c = z**2 * f2 + _FALL  # z^2 phi_2(Q z) is to reach this
    size = np.maximum(np.abs(q), 1e-8)
    target = c * size**2
    root = np.sqrt(2 * target)
    # exp(x) - 1 - x >= x^2 / 2 for x > 0; x = log(1 + target + x) sharpens it where x is large
    above = np.minimum(root, np.log(1 + target + root))
    below = target + np.minimum(1.0, root)
    return np.asarray(np.where(q >= 0, above, below) / size - z)


def _density(z: FloatArray, q: FloatArray) -> tuple[FloatArray, ...]:
    x = q * z
    f1, f2, f3, f4 = phi(np.minimum(x, 600.0))
    rho, rho_q, rho_qq = _stirling_remainder(q[:, :1] if q.ndim == 2 else q)
    z2 = z * z
    return (
        -0.5 * np.log(2 * np.pi) - rho - z2 * f2,
        -z * f1,
        -rho_q - z2 * z * (f2 - 2 * f3),
        -np.exp(np.minimum(x, 600.0)),
        -z2 * (f1 - f2),
        -rho_qq - z2 * z2 * (f2 - 4 * f3 + 6 * f4),
    )


def _stirling_remainder(q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """rho = log Gamma(k) - (k - 1/2) log k + k - log(2 pi)/2 at k = 1/Q^2, with derivatives in Q."""  # noqa: D403
    r = q * q
    near = r < 0.1
    s = np.where(near, r, 0.0)
    value, first, second = np.zeros_like(s), np.zeros_like(s), np.zeros_like(s)
    for j, c in enumerate(_STIRLING):
        n = 2 * j + 1
        value, first = value + c * s**n, first + c * n * s ** (n - 1)
        second = second + (c * n * (n - 1) * s ** (n - 2) if j else 0.0)
    k = 1 / np.where(near, 1.0, r)
    by_k = special.psi(k) - np.log(k) + 0.5 / k
    by_kk = special.polygamma(1, k) - 1 / k - 0.5 / k**2
    value = np.where(near, value, special.gammaln(k) - (k - 0.5) * np.log(k) + k - 0.5 * np.log(2 * np.pi))
    first = np.where(near, first, -(k**2) * by_k)
    second = np.where(near, second, k**4 * by_kk + 2 * k**3 * by_k)
    return value, 2 * q * first, 2 * first + 4 * r * second


def _symmetric(aa: FloatArray, ab: FloatArray, bb: FloatArray) -> FloatArray:
    return np.stack([np.stack([aa, ab], axis=-1), np.stack([ab, bb], axis=-1)], axis=-2)
