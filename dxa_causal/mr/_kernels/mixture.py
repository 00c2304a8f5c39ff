"""Contamination mixture likelihood of the variants' ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_BLOCK = 1 << 20  # numbers held at once


@dataclass(frozen=True, slots=True)
class MixtureProfile:
    """Profile log-likelihood on a grid, its highest point, its value at zero, valid variants, overdispersion."""

    grid: FloatArray
    log_likelihood: FloatArray
    estimate: float
    at_zero: float
    valid: BoolArray
    phi: float


def log_likelihood(theta: FloatArray, ratio: FloatArray, se: FloatArray, psi: float) -> FloatArray:
    """Sum over variants of the larger of valid N(theta, se^2) and invalid N(0, psi^2 + se^2), per `theta`."""
    wide = psi**2 + se**2
    invalid = -0.5 * ratio**2 / wide - 0.5 * np.log(2.0 * np.pi * wide)
    constant = -0.5 * np.log(2.0 * np.pi * se**2)
    found = np.empty(theta.size)
    block = max(1, _BLOCK // ratio.size)
    for start in range(0, theta.size, block):
        t = theta[start : start + block, None]
        found[start : start + block] = np.maximum(constant - 0.5 * ((t - ratio) / se) ** 2, invalid).sum(axis=1)
    return found


def mixture(grid: FloatArray, ratio: FloatArray, se: FloatArray, psi: float) -> MixtureProfile:
    """Profile over which variants are valid, on `grid`."""
    profile = log_likelihood(grid, ratio, se, psi)
    estimate = float(grid[int(np.argmax(profile))])
    wide = psi**2 + se**2
    valid = -0.5 * ((estimate - ratio) / se) ** 2 - np.log(se) > -0.5 * ratio**2 / wide - 0.5 * np.log(wide)
    phi = 1.0
    if valid.sum() > 1:
        w = 1.0 / se[valid] ** 2
        centre = np.sum(w * ratio[valid]) / np.sum(w)
        phi = max(1.0, float(np.sqrt(np.sum(w * (ratio[valid] - centre) ** 2) / (valid.sum() - 1))))
    at_zero = float(log_likelihood(np.zeros(1), ratio, se, psi)[0])
    return MixtureProfile(grid, profile, estimate, at_zero, valid, phi)


def pieces(grid: FloatArray, inside: BoolArray) -> FloatArray:
    """First and last grid point of every run of `inside`, (k, 2)."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    return np.column_stack([grid[change[::2]], grid[change[1::2] - 1]])


def subset_log_density(grid: FloatArray, bx: FloatArray, by: FloatArray, sy: FloatArray, prior: float) -> FloatArray:
    """Logarithm, up to a constant, of the heterogeneity-penalised average over all subsets of two or more variants.

    A subset k has weight prod(|bx| / sy) exp(-Q / 2) prior^size (1 - prior)^(n - size)
    and contributes a normal density at its IVW estimate with its
    random-effects standard error.
    """
    n = bx.size
    inside = ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    size = inside.sum(axis=1)
    inside, size = inside[size > 1], size[size > 1]
    w = 1.0 / sy**2
    xx, xy, yy = inside @ (w * bx**2), inside @ (w * bx * by), inside @ (w * by**2)
    theta = xy / xx
    q = np.maximum(yy - xy * theta, 0.0)
    se = np.sqrt(np.maximum(1.0, q / (size - 1)) / xx)
    weight = inside @ np.log(np.abs(bx) / sy) - 0.5 * q + size * np.log(prior) + (n - size) * np.log1p(-prior)
    weight -= np.log(se)
    top = float(weight.max())
    found = np.full(grid.size, -np.inf)
    block = max(1, _BLOCK // size.size)
    with np.errstate(divide="ignore"):
        for start in range(0, grid.size, block):
            t = grid[start : start + block, None]
            terms = np.exp(weight - top - 0.5 * ((t - theta) / se) ** 2)
            found[start : start + block] = top + np.log(terms.sum(axis=1))
    return found
