"""Linear models of every subset of predictors: Bayes factors and coefficients in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_CELLS = 4_000_000  # doubles held at once


class Moments(NamedTuple):
    """Cross-products of predictors (k, k), with the outcome (k, r) for r outcomes, its squares (r,), and rows."""

    xx: FloatArray
    xy: FloatArray
    yy: FloatArray
    n: int


class Models(NamedTuple):
    """Models as a boolean matrix (m, k), log Bayes factors against the empty model (m,), and coefficients (m, k)."""

    members: npt.NDArray[np.bool_]
    log_bayes: FloatArray
    coefficients: FloatArray


def subsets(k: int, size: int) -> IntArray:
    """All subsets of this size, one a row, in lexicographic order."""
    flat = np.fromiter(chain.from_iterable(combinations(range(k), size)), dtype=np.int64)
    return flat.reshape(-1, size) if size else np.zeros((1, 0), dtype=np.int64)


def _evaluated(
    m: Moments, sizes: range, sigma: float, g: float | None
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Subsets (a, s), coefficients (a, s, r) and log Bayes factors (a, r), a part of one size at a time.

    Prior of the coefficients, in units of the residual variance: N(0, sigma^2 I), or N(0, g (X'X)^-1).
    """
    k, r = m.xx.shape[0], m.yy.size
    for size in sizes:
        every = subsets(k, size)
        step = max(1, _CELLS // (max(1, size) * (size + 2 * r + 1)))
        for i in range(0, len(every), step):
            rows = every[i : i + step]
            if not size:
                yield rows, np.zeros((len(rows), 0, r)), np.zeros((len(rows), r))
                continue
            xx = m.xx[rows[:, :, None], rows[:, None, :]]
            xy = m.xy[rows]
            if g is None:
                inner = xx + np.eye(size) / sigma**2
                half = 0.5 * np.linalg.slogdet(inner)[1] + size * np.log(sigma)
                beta = np.asarray(np.linalg.solve(inner, xy), dtype=np.float64)
            else:
                half = np.full(len(rows), 0.5 * size * np.log1p(g))
                beta = np.asarray(np.linalg.solve(xx, xy), dtype=np.float64) * (g / (1.0 + g))
            explained = np.einsum("asr,asr->ar", xy, beta)
            yield rows, beta, -half[:, None] - 0.5 * m.n * np.log1p(-explained / m.yy)


def all_models(m: Moments, sizes: range, sigma: float, g: float | None) -> Models:
    """Every model of these sizes for one outcome."""
    k = m.xx.shape[0]
    members, factors, effects = [], [], []
    for rows, beta, log_bayes in _evaluated(m, sizes, sigma, g):
        member, effect = np.zeros((len(rows), k), dtype=bool), np.zeros((len(rows), k))
        np.put_along_axis(member, rows, True, axis=1)
        np.put_along_axis(effect, rows, beta[:, :, 0], axis=1)
        members.append(member)
        factors.append(log_bayes[:, 0])
        effects.append(effect)
    return Models(np.concatenate(members), np.concatenate(factors), np.concatenate(effects))


def log_prior(size: FloatArray, k: int, probability: float) -> FloatArray:
    """Each predictor belongs to the model with this probability, independently."""
    return np.asarray(size * np.log(probability) + (k - size) * np.log1p(-probability))


def inclusion(m: Moments, sizes: range, sigma: float, g: float | None, probability: float) -> FloatArray:
    """Marginal inclusion probabilities (r, k) for many outcomes at once (permutations of one)."""
    k, r = m.xx.shape[0], m.yy.size
    top = np.full(r, -np.inf)
    total, each = np.zeros(r), np.zeros((r, k))
    for rows, _, log_bayes in _evaluated(m, sizes, sigma, g):
        weight = log_bayes + log_prior(np.array(float(rows.shape[1])), k, probability)
        new = np.maximum(top, weight.max(axis=0))
        shrink = np.exp(top - new)
        weight = np.exp(weight - new)
        member = np.zeros((len(rows), k))
        np.put_along_axis(member, rows, 1.0, axis=1)
        total = total * shrink + weight.sum(axis=0)
        each = each * shrink[:, None] + weight.T @ member
        top = new
    return np.asarray(each / total[:, None])
