"""LD score regression: iterated weights, one or two steps, and a jackknife over blocks of the genome."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

# total (heritability or covariance), intercept, LD scores and the rows they belong to -> weights
Weights = Callable[[float, float, FloatArray, BoolArray | None], FloatArray]


class Regression(NamedTuple):
    """Total over all variants (heritability or covariance), intercept, their errors, and both without each block."""

    total: float
    total_se: float
    intercept: float
    intercept_se: float
    deleted_total: FloatArray
    deleted_intercept: FloatArray


class Ratio(NamedTuple):
    """Genetic correlation and its jackknife error."""

    estimate: float
    std_error: float


class _Fit(NamedTuple):
    """Coefficients (k,), without each block (b, k), and where the blocks begin and end (b + 1,)."""

    coefficients: FloatArray
    deleted: FloatArray
    separators: IntArray


def heritability(
    chi2: FloatArray, ld: FloatArray, weight_ld: FloatArray, n: FloatArray, m: float, *, blocks: int,
    two_step: float | None = None, intercept: float | None = None,
) -> Regression:  # fmt: skip
    """Regress chi-square statistics on LD scores; the intercept may be held fixed."""

    def weights(total: float, constant: float, scores: FloatArray, rows: BoolArray | None) -> FloatArray:
        size, other = _of(rows, n), _of(rows, weight_ld)
        slope = min(max(total, 0.0), 1.0) * size / m
        expected = constant + slope * np.maximum(scores, 1.0)
        return np.asarray(1.0 / (2.0 * expected**2 * np.maximum(other, 1.0)))

    first = None if two_step is None or intercept is not None else chi2 < two_step
    return _regress(chi2, ld, n, m, weights, null=1.0, first=first, blocks=blocks, intercept=intercept)


def covariance(
    z1: FloatArray, z2: FloatArray, ld: FloatArray, weight_ld: FloatArray, n1: FloatArray, n2: FloatArray, m: float,
    one: Regression, two: Regression, *, blocks: int, two_step: float | None = None, intercept: float | None = None,
) -> Regression:  # fmt: skip
    """Regress products of z statistics on LD scores, weighted by the heritabilities of both traits."""

    def weights(total: float, constant: float, scores: FloatArray, rows: BoolArray | None) -> FloatArray:
        a, b, other = _of(rows, n1), _of(rows, n2), _of(rows, weight_ld)
        scores = np.maximum(scores, 1.0)
        own = a * min(max(one.total, 0.0), 1.0) * scores / m + one.intercept
        others = b * min(max(two.total, 0.0), 1.0) * scores / m + two.intercept
        shared = np.sqrt(a * b) * min(max(total, -1.0), 1.0) * scores / m + constant
        return np.asarray(1.0 / ((own * others + shared**2) * np.maximum(other, 1.0)))

    first = None if two_step is None or intercept is not None else (z1**2 < two_step) & (z2**2 < two_step)
    size = np.sqrt(n1 * n2)
    return _regress(z1 * z2, ld, size, m, weights, null=0.0, first=first, blocks=blocks, intercept=intercept)


def correlation(shared: Regression, one: Regression, two: Regression) -> Ratio:
    """Covariance over the root of both heritabilities; nan where one of them is not positive."""
    if one.total <= 0 or two.total <= 0:
        return Ratio(np.nan, np.nan)
    estimate = shared.total / np.sqrt(one.total * two.total)
    product = one.deleted_total * two.deleted_total
    if (product <= 0).any():
        return Ratio(float(estimate), np.nan)
    return Ratio(float(estimate), float(_jackknife_se(estimate, shared.deleted_total / np.sqrt(product))))


def _of(rows: BoolArray | None, values: FloatArray) -> FloatArray:
    return values if rows is None else values[rows]


def _regress(
    y: FloatArray, ld: FloatArray, n: FloatArray, m: float, weights: Weights, *, null: float, first: BoolArray | None,
    blocks: int, intercept: float | None,
) -> Regression:  # fmt: skip
    """One regression with free or fixed intercept, or the intercept from the rows in `first` and the slope from all."""
    mean_n = float(n.mean())
    guess = m * (float(y.mean()) - (null if intercept is None else intercept)) / float((ld * n).mean())
    start = weights(guess, null if intercept is None else intercept, ld, None)
    x = n * ld / mean_n
    if first is None:
        free = intercept is None
        design = np.column_stack([x, np.ones_like(x)]) if free else x[:, None]

        def update(b: FloatArray) -> FloatArray:
            return weights(m * b[0] / mean_n, float(b[1]) if intercept is None else intercept, ld, None)

        fit = _reweighted(design, y if intercept is None else y - intercept, update, start, _separators(y.size, blocks))
        if intercept is None:
            return _summary(fit.coefficients, fit.deleted, m / mean_n)
        fixed = np.full((fit.deleted.shape[0], 1), intercept)
        return _summary(np.append(fit.coefficients, intercept), np.hstack([fit.deleted, fixed]), m / mean_n)
    own = x[first]
    one = _reweighted(
        np.column_stack([own, np.ones_like(own)]), y[first],
        lambda b: weights(m * b[0] / mean_n, float(b[1]), own, first), start[first], _separators(own.size, blocks),
    )  # fmt: skip
    constant = float(one.coefficients[1])
    inner = np.flatnonzero(first)[one.separators[1:-1]]
    two = _reweighted(
        x[:, None], y - constant, lambda b: weights(m * b[0] / mean_n, constant, ld, None), start,
        np.concatenate([[0], inner, [y.size]]),
    )  # fmt: skip
    follow = (start * x).sum() / (start * x**2).sum()  # how the slope answers to the intercept
    slopes = two.deleted[:, 0] - follow * (one.deleted[:, 1] - constant)
    deleted = np.column_stack([slopes, one.deleted[:, 1]])
    return _summary(np.array([two.coefficients[0], constant]), deleted, m / mean_n)


def _summary(estimate: FloatArray, deleted: FloatArray, scale: float) -> Regression:
    errors = _jackknife_se(estimate, deleted)
    return Regression(
        float(scale * estimate[0]), float(scale * errors[0]), float(estimate[1]), float(errors[1]),
        scale * deleted[:, 0], deleted[:, 1].copy(),
    )  # fmt: skip


def _jackknife_se(estimate: float | FloatArray, deleted: FloatArray) -> FloatArray:
    b = deleted.shape[0]
    pseudo = b * np.asarray(estimate) - (b - 1.0) * deleted
    return np.asarray(np.sqrt(pseudo.var(axis=0, ddof=1) / b))


def _separators(size: int, blocks: int) -> IntArray:
    return np.floor(np.linspace(0, size, blocks + 1)).astype(np.int64)


def _reweighted(
    x: FloatArray, y: FloatArray, update: Callable[[FloatArray], FloatArray], start: FloatArray, separators: IntArray
) -> _Fit:
    """Weighted least squares, weights twice renewed; then all estimates without one block."""
    w = start
    for _ in range(2):
        w = update(_solve(*_block_sums(x, y, w, np.array([0, y.size])))[0])
    xx, xy = _block_sums(x, y, w, separators)
    total_xx, total_xy = xx.sum(axis=0), xy.sum(axis=0)
    return _Fit(_solve(total_xx, total_xy), _solve(total_xx - xx, total_xy - xy), separators)


def _block_sums(x: FloatArray, y: FloatArray, w: FloatArray, separators: IntArray) -> tuple[FloatArray, FloatArray]:
    """Cross-products (b, k, k) and (b, k) of blocks of rows; the weights are scaled to sum to one."""
    w = w / w.sum()
    k, starts = x.shape[1], separators[:-1]
    xx = np.empty((starts.size, k, k))
    xy = np.empty((starts.size, k))
    for i in range(k):
        weighted = w * x[:, i]
        xy[:, i] = np.add.reduceat(weighted * y, starts)
        for j in range(i, k):
            xx[:, i, j] = xx[:, j, i] = np.add.reduceat(weighted * x[:, j], starts)
    return xx, xy


def _solve(xx: FloatArray, xy: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(xx, xy[..., None])[..., 0])
