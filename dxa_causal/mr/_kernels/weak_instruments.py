"""Tests that hold however weak the instruments are: Anderson-Rubin, Kleibergen's K, conditional likelihood ratio."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.joint_effects import Joint

FloatArray = npt.NDArray[np.float64]
_BLOCK = 1 << 20  # numbers in one array at a time
_GRID = 1001  # places at which a test is looked at before its limits are found
_LEAST_GRID = 101
_WORK = 40_000_000  # places times the cube of the number of variants
_NODES = 200


class Statistics(NamedTuple):
    """At each hypothesised effect: how far the outcome is from it (s), how strong the instruments are (r), both."""

    ss: FloatArray
    rr: FloatArray
    sr: FloatArray


def statistics(x: Joint, y: Joint, theta: FloatArray) -> Statistics:
    """Squares and product of the two independent vectors that hold all the data say about `theta` (m,)."""
    if _diagonal(x.cov) and _diagonal(y.cov):
        vx, vy, t = np.diag(x.cov), np.diag(y.cov), theta[:, None]
        s = (y.effect - t * x.effect) / np.sqrt(vy + t**2 * vx)
        r = (x.effect / vx + t * y.effect / vy) / np.sqrt(1 / vx + t**2 / vy)
        return _squares(s, r)
    precision_x, precision_y = (np.asarray(np.linalg.inv(j.cov), dtype=np.float64) for j in (x, y))
    block = max(1, _BLOCK // x.cov.size)
    parts = []
    for start in range(0, theta.size, block):
        t = theta[start : start + block, None]
        s = _whitened(y.cov + t[..., None] ** 2 * x.cov, y.effect - t * x.effect)
        score = precision_x @ x.effect + t * (precision_y @ y.effect)
        parts.append(_squares(s, _whitened(precision_x + t[..., None] ** 2 * precision_y, score)))
    return Statistics(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _squares(s: FloatArray, r: FloatArray) -> Statistics:
    return Statistics(*(np.einsum("mk,mk->m", a, b) for a, b in ((s, s), (r, r), (s, r))))


def _diagonal(matrix: FloatArray) -> bool:
    return bool(np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0)


def _whitened(cov: FloatArray, vector: FloatArray) -> FloatArray:
    """Inverse symmetric square root of each covariance times its vector."""
    value, axes = np.linalg.eigh(cov)
    along = np.einsum("mab,ma->mb", axes, vector) / np.sqrt(value)
    found: FloatArray = np.einsum("mab,mb->ma", axes, along)
    return found


def anderson_rubin(f: Statistics, k: int) -> FloatArray:
    """p-values: chi-square with k df."""
    from scipy.special import chdtrc

    found: FloatArray = chdtrc(k, f.ss)
    return found


def kleibergen(f: Statistics, k: int) -> FloatArray:
    """p-values: chi-square with 1 df."""
    from scipy.special import chdtrc

    found: FloatArray = chdtrc(1, f.sr**2 / f.rr)
    return found


@cache
def _nodes() -> tuple[FloatArray, FloatArray]:
    return np.polynomial.legendre.leggauss(_NODES)


def likelihood_ratio(f: Statistics, k: int) -> FloatArray:
    r"""p-values given r'r, by Andrews, Moreira and Stock's integral over the angle between s and r.

    P(LR > m) = 2 K int_0^1 S_k((r + m) / (1 + r u^2 / m)) (1 - u^2)^((k - 3) / 2) du, u = sin(angle), S_k = 1 - F_k.
    """
    from scipy.special import chdtrc, gammaln

    m = (f.ss - f.rr + np.sqrt(np.maximum((f.ss + f.rr) ** 2 - 4 * (f.ss * f.rr - f.sr**2), 0.0))) / 2
    m = np.maximum(m, 1e-300)
    if k == 1:
        one: FloatArray = chdtrc(1, m)
        return one
    node, weight = _nodes()
    angle, weight = (node + 1) * np.pi / 4, weight * np.pi / 4
    total = (f.rr + m)[:, None] / (1 + (f.rr / m)[:, None] * np.sin(angle) ** 2)
    constant = np.exp(gammaln(k / 2) - gammaln((k - 1) / 2)) / np.sqrt(np.pi)
    # the same integral over one is one, so the upper tail is that of the chi-square's upper tail
    found: FloatArray = 2 * constant * (chdtrc(k, total) * np.cos(angle) ** (k - 2)) @ weight
    return np.clip(found, 0.0, 1.0)


def grid(x: Joint, y: Joint, centre: float, width: float) -> FloatArray:
    """Effects over the whole line, dense within a few `width` of `centre`, and those at which K is zero.

    Fewer where each costs two roots of a matrix.
    """
    from scipy.optimize import brentq

    size = _GRID
    if not (_diagonal(x.cov) and _diagonal(y.cov)):
        size = int(np.clip(_WORK // x.effect.size**3, _LEAST_GRID, _GRID))
    angle = np.linspace(-np.pi / 2, np.pi / 2, size + 2)[1:-1]
    places = centre + width * np.tan(angle)

    def product(theta: float) -> float:
        return float(statistics(x, y, np.array([theta])).sr[0])

    turns = np.flatnonzero(np.diff(np.sign(statistics(x, y, places).sr)) != 0)
    roots = [float(brentq(product, places[i], places[i + 1], rtol=1e-12)) for i in turns]
    return np.unique(np.concatenate([places, roots]))


def confidence_set(
    p_value: Callable[[FloatArray], FloatArray], places: FloatArray, at_places: FloatArray, level: float
) -> FloatArray:
    """Effects that the test does not reject: (pieces, 2), infinite ends where it does not reject far away.

    `at_places` are p-values on a `grid`; a piece or gap narrower than its step can be missed.
    """
    from scipy.optimize import brentq

    inside = at_places >= 1 - level
    change = np.flatnonzero(inside[1:] != inside[:-1])
    ends = [
        float(brentq(lambda t: float(p_value(np.array([t]))[0]) - (1 - level), places[i], places[i + 1], rtol=1e-12))
        for i in change
    ]
    whole = [-np.inf] * bool(inside[0]) + ends + [np.inf] * bool(inside[-1])
    return np.array(whole, dtype=np.float64).reshape(-1, 2)
