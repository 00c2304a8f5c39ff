"""Approximate Bayes factors of single variants, and the hypotheses of colocalisation built from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def log_abf(z: FloatArray, variance: FloatArray, prior_variance: FloatArray | float) -> FloatArray:
    """Wakefield's log Bayes factor of an effect N(0, prior_variance) against none, per variant."""
    shrinkage = prior_variance / (prior_variance + variance)
    return np.asarray(0.5 * (shrinkage * z**2 - np.log1p(prior_variance / variance)))


def log_sum(x: FloatArray) -> FloatArray:
    """Log of the sum of exponentials over the last axis; -inf where all are -inf."""
    top = np.max(x, axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.sum(np.exp(x - top), axis=-1)) + top[..., 0])


def log_difference(larger: FloatArray, smaller: FloatArray) -> FloatArray:
    """Log of exp(larger) - exp(smaller); -inf where they are equal up to rounding."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.minimum(np.asarray(smaller) - larger, 0.0)
        return np.asarray(np.where(gap < 0.0, larger + np.log(-np.expm1(gap)), -np.inf))


def sums(first: FloatArray, second: FloatArray) -> FloatArray:
    """Log sums (..., 4) over the last axis of two arrays of log Bayes factors.

    Of the first, the second, pairs of distinct variants and common variants.
    """
    one, two, both = log_sum(first), log_sum(second), log_sum(first + second)
    return np.stack([one, two, _distinct(first, second, one + two, both), both], axis=-1)


def _distinct(first: FloatArray, second: FloatArray, all_pairs: FloatArray, same: FloatArray) -> FloatArray:
    """Log sum over pairs of two different variants.

    The difference of all pairs and equal pairs loses all digits where one pair
    dominates; there it is summed variant by variant instead.
    """
    difference = log_difference(all_pairs, same)
    if np.all(difference > all_pairs - 12.0):  # at most five digits lost
        return difference
    pieces = first + log_others(second)
    return log_sum(pieces)


def log_others(x: FloatArray) -> FloatArray:
    """Log of the sum of exponentials of all other entries of the last axis, for each entry, without subtraction."""
    before = np.logaddexp.accumulate(x, axis=-1)
    after = np.flip(np.logaddexp.accumulate(np.flip(x, axis=-1), axis=-1), axis=-1)
    nothing = np.full((*x.shape[:-1], 1), -np.inf)
    left = np.concatenate([nothing, before[..., :-1]], axis=-1)
    right = np.concatenate([after[..., 1:], nothing], axis=-1)
    return np.asarray(np.logaddexp(left, right))


def hypotheses(
    totals: FloatArray, p1: FloatArray | float, p2: FloatArray | float, p12: FloatArray | float
) -> FloatArray:
    """Posterior probabilities (..., 5) of H0 to H4 from the `sums` and the prior probabilities per variant."""
    one, two, distinct, both = np.moveaxis(np.asarray(totals), -1, 0)
    terms = np.broadcast_arrays(
        0.0, np.log(p1) + one, np.log(p2) + two, np.log(p1) + np.log(p2) + distinct, np.log(p12) + both
    )
    stacked = np.stack(terms, axis=-1)
    return np.asarray(np.exp(stacked - log_sum(stacked)[..., None]))


def standard_deviation(variance: FloatArray, eaf: FloatArray, n: FloatArray) -> float:
    """Standard deviation of a trait from the variances of its effects.

    2 n f (1 - f) = sd^2 / variance, by least squares through the origin.
    """
    precision, alleles = 1.0 / variance, 2.0 * n * eaf * (1.0 - eaf)
    return float(np.sqrt(np.sum(alleles * precision) / np.sum(precision**2)))
