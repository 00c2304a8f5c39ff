"""Mixture of valid and invalid instruments at a given effect, and the error of the effect that makes most valid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_LEAST_DENSITY = 1e-300
_MOST_CERTAIN = 0.9999999
_SHARE = (1e-4, 0.9999)
_VARIANCE = (1e-7, 0.01)
_CHECK_EVERY = 1000
_CHECKED_CHANGE = 1e-4
_MAX_ITERATIONS = 50_000
_AT_REST = 1e-14  # change of one step after which the rest of a thousand steps changes nothing
_LOOK_EVERY = 20
_CELLS = 200_000  # of effects by variants, worked on at once


class Profile(NamedTuple):
    """Share of valid instruments and variance of the others' direct effects, for every effect on the grid."""

    share: FloatArray
    variance: FloatArray


def profile(
    grid: FloatArray, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, share: float, variance: float
) -> Profile:
    """Fit the mixture at every effect of the grid by expectation-maximisation from one start."""
    size = max(1, _CELLS // bx.size)
    parts = [
        _climb(grid[i : i + size], bx, by, sx, sy, share=share, variance=variance) for i in range(0, grid.size, size)
    ]
    return Profile(np.concatenate([p.share for p in parts]), np.concatenate([p.variance for p in parts]))


def _climb(
    grid: FloatArray, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, *, share: float, variance: float
) -> Profile:
    r2 = (by - grid[:, None] * bx) ** 2
    own = sy**2 + grid[:, None] ** 2 * sx**2
    valid = np.maximum(np.exp(-0.5 * r2 / own) / np.sqrt(2.0 * np.pi * own), _LEAST_DENSITY)
    p, s = np.full(grid.size, share), np.full(grid.size, variance)
    final = np.empty((2, grid.size))
    at = np.arange(grid.size)
    checked = np.array([p, s])
    for step in range(1, _MAX_ITERATIONS + 1):
        new_p, new_s = _step(p, s, r2, valid)
        stop = np.zeros(at.size, dtype=bool)
        if step % _LOOK_EVERY == 0:
            stop = (np.abs(new_p - p) <= _AT_REST * new_p) & (np.abs(new_s - s) <= _AT_REST * new_s)
        p, s = new_p, new_s
        if step % _CHECK_EVERY == 0:
            stop |= (np.abs(p - checked[0]) < _CHECKED_CHANGE * p) & (np.abs(s - checked[1]) < _CHECKED_CHANGE * s)
            checked = np.array([p, s])
        if stop.any():
            final[:, at[stop]] = p[stop], s[stop]
            go = ~stop
            at, p, s, r2, valid, checked = at[go], p[go], s[go], r2[go], valid[go], checked[:, go]
            if not at.size:
                break
    final[:, at] = p, s
    return Profile(final[0], final[1])


def _step(p: FloatArray, s: FloatArray, r2: FloatArray, valid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One iteration for all effects still moving."""
    other = np.exp(r2 * (-0.5 / s)[:, None])
    other *= (1.0 / np.sqrt(2.0 * np.pi * s))[:, None]
    np.maximum(other, _LEAST_DENSITY, out=other)
    other *= (1.0 - p)[:, None]
    weight = valid * p[:, None]
    other += weight
    weight /= other
    np.minimum(weight, _MOST_CERTAIN, out=weight)
    total = weight.sum(axis=1)
    spread = (r2.sum(axis=1) - np.einsum("ij,ij->i", weight, r2)) / (r2.shape[1] - total)
    return np.clip(total / r2.shape[1], *_SHARE), np.clip(spread, *_VARIANCE)


def responsibilities(
    theta: float, share: float, variance: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray
) -> FloatArray:
    """Probability (n,) that each variant is a valid instrument."""
    r2 = (by - theta * bx) ** 2
    own = sy**2 + theta**2 * sx**2
    log_ratio = np.log1p(-share) - np.log(share) + 0.5 * (np.log(own) - np.log(variance) + r2 / own - r2 / variance)
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(log_ratio, 700.0))))


def std_error(
    theta: float, share: float, variance: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray
) -> float:
    r"""Error of the effect by the delta method over all summary statistics.

    The share p and the variance s solve l_p = l_s = 0 at a given effect t; the
    effect makes p largest, so S = l_ss l_pt - l_ps l_st = 0. Three equations that
    define (t, p, s) implicitly as functions of every x_k and y_k.
    """
    d = _derivatives(theta, share, variance, bx, by, sx, sy)
    total = {name: float(value.sum()) for name, value in d.items()}
    ss, pt, ps, st, pp = (total[name] for name in ("ss", "pt", "ps", "st", "pp"))

    def slope(extra: str, of: dict[str, float] | dict[str, FloatArray]) -> FloatArray:
        """Derivative of S along one more variable."""
        parts = (of["".join(sorted(name + extra))] for name in ("ss", "pt", "ps", "st"))
        a, b, c, e = parts
        return np.asarray(a * pt + ss * b - c * st - ps * e)

    determinant = pp * ss - ps**2
    s_t = (ps * pt - pp * st) / determinant  # how the variance follows the effect; the share does not at its maximum
    along_p, along_s = float(slope("p", total)), float(slope("s", total))
    bottom = float(slope("t", total)) + along_s * s_t
    top = 0.0
    for variable, se in (("x", sx), ("y", sy)):
        p_v = (ps * d["s" + variable] - ss * d["p" + variable]) / determinant
        s_v = (ps * d["p" + variable] - pp * d["s" + variable]) / determinant
        top += float(((slope(variable, d) + along_p * p_v + along_s * s_v) ** 2 * se**2).sum())
    return float(np.sqrt(top) / abs(bottom))


def _derivatives(
    t: float, p: float, s: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray
) -> dict[str, FloatArray]:
    """Derivatives (n,) of log density in p, s, t (effect), x, y; letters of a name in alphabetical order.

    A normal density N(r; v) obeys dN/dv = N''/2, so all follow from its derivatives in r.
    """
    r = by - t * bx
    v, v1, v2 = sy**2 + t**2 * sx**2, 2.0 * t * sx**2, 2.0 * sx**2
    m, n = _normal(r, v), _normal(r, np.full_like(r, s))
    x, q = bx, 1.0 - p
    one = {  # of the valid component
        "": m[0], "t": -x * m[1] + v1 * m[2] / 2, "x": -t * m[1], "y": m[1],
        "tt": x**2 * m[2] - x * v1 * m[3] + v1**2 * m[4] / 4 + v2 * m[2] / 2,
        "tx": -m[1] + t * x * m[2] - t * v1 * m[3] / 2, "ty": -x * m[2] + v1 * m[3] / 2,
    }  # fmt: skip
    two = {  # of the other one
        "": n[0], "s": n[2] / 2, "t": -x * n[1], "x": -t * n[1], "y": n[1],
        "ss": n[4] / 4, "st": -x * n[3] / 2, "sx": -t * n[3] / 2, "sy": n[3] / 2,
        "tt": x**2 * n[2], "tx": -n[1] + t * x * n[2], "ty": -x * n[2],
        "sss": n[6] / 8, "sst": -x * n[5] / 4, "ssx": -t * n[5] / 4, "ssy": n[5] / 4,
        "stt": x**2 * n[4] / 2, "stx": -n[3] / 2 + t * x * n[4] / 2, "sty": -x * n[4] / 2,
    }  # fmt: skip
    zero = np.zeros_like(r)
    density = p * m[0] + q * n[0]

    def f(name: str) -> FloatArray:
        """Derivative of the mixture's density over the density."""
        if name.count("p") > 1:
            return zero
        rest = name.replace("p", "")
        a, b = one.get(rest, zero), two.get(rest, zero)
        return np.asarray((a - b if "p" in name else p * a + q * b) / density)

    def log(name: str) -> FloatArray:
        if len(name) == 2:
            return f(name) - f(name[0]) * f(name[1])
        a, b, c = name[0], name[1], name[2]
        pairs = f(a + b) * f(c) + f(a + c) * f(b) + f(b + c) * f(a)
        return f(name) - pairs + 2.0 * f(a) * f(b) * f(c)

    names = ["pp", "ps", "pt", "ss", "st", "px", "py", "sx", "sy"]
    names += ["".join(sorted(pair + extra)) for pair in ("ss", "pt", "ps", "st") for extra in "pstxy"]
    return {name: log(name) for name in dict.fromkeys(names)}


def _normal(r: FloatArray, v: FloatArray) -> list[FloatArray]:
    """Density N(r; 0, v) and its first six derivatives in r."""
    derivatives = [np.exp(-0.5 * r**2 / v) / np.sqrt(2.0 * np.pi * v)]
    derivatives.append(-r / v * derivatives[0])
    for k in range(1, 6):
        derivatives.append(-(r * derivatives[k] + k * derivatives[k - 1]) / v)
    return derivatives
