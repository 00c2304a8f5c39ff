"""Limits and p-values of a Poisson mean and of a binomial share: exact, mid-p and approximate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.optimize import elementwise

FloatArray = npt.NDArray[np.float64]
# Probabilities this close count as equal when tails of equal probability are summed.
_EQUAL = 1 + 1e-7


def poisson_limits(count: FloatArray, conf_level: float, method: str) -> tuple[FloatArray, FloatArray]:
    r"""Limits of the mean of each Poisson count.

    "exact" (Garwood) has probability alpha/2 of a count as extreme in each
    tail, "mid-p" counts half of the probability of the count itself, "byar"
    is :math:`c (1 - 1/(9c) \mp z / (3\sqrt c))^3` with c the count (plus one
    above), "log" is :math:`c \exp(\mp z / \sqrt c)`.
    """
    alpha = 1 - conf_level
    z = float(special.ndtri(1 - alpha / 2))
    some = count > 0
    safe = np.where(some, count, 1.0)
    if method == "exact":
        low, high = special.gammaincinv(safe, alpha / 2), special.gammainccinv(count + 1, alpha / 2)
    elif method == "byar":
        above = count + 1
        low = safe * np.maximum(1 - 1 / (9 * safe) - z / (3 * np.sqrt(safe)), 0.0) ** 3
        high = above * (1 - 1 / (9 * above) + z / (3 * np.sqrt(above))) ** 3
    elif method == "log":
        low, high = safe * np.exp(-z / np.sqrt(safe)), np.where(some, safe * np.exp(z / np.sqrt(safe)), np.inf)
    else:
        # the middle of the distribution lies within one of the count, whatever the level
        low = _root(lambda mean, c: _poisson_upper(c, mean) - alpha / 2, 0.0 * safe, safe + 1, safe)
        top = special.gammainccinv(count + 1, alpha / 2)
        high = _root(lambda mean, c: _poisson_lower(c, mean) - alpha / 2, np.maximum(count - 1, 1e-300), top, count)
    return np.where(some, low, 0.0), high


def binomial_limits(count: int, total: int, conf_level: float, method: str) -> tuple[float, float]:
    """Exact (Clopper-Pearson) or mid-p limits of a share from `count` of `total`."""

    def low(x: int) -> float:
        if x == 0:
            return 0.0
        tail = (1 - conf_level) / 2
        if method == "exact":
            return float(special.betaincinv(x, total - x + 1, tail))
        c = np.array([float(x)])
        return float(_root(lambda p, c: _binomial_upper(c, total, p) - tail, np.zeros(1), np.ones(1), c)[0])

    return low(count), 1 - low(total - count)


def poisson_p_value(count: float, mean: float, method: str) -> float:
    """Two-sided p-value of a Poisson count: all counts as improbable ("exact"), twice the mid-p tail, Byar or log z."""
    if method == "mid-p":
        c, m = np.array([count]), np.array([mean])
        return float(min(1.0, 2 * min(_poisson_upper(c, m)[0], _poisson_lower(c, m)[0])))
    if method == "byar":
        own = count if count > mean else count + 1
        z = 3 * np.sqrt(own) * (1 - 1 / (9 * own) - np.cbrt(mean / own))
        return float(2 * special.ndtr(-abs(z)))
    if method == "log":
        return float(2 * special.ndtr(-abs(np.log(count / mean)) * np.sqrt(count))) if count else float("nan")

    def probability(k: FloatArray) -> FloatArray:
        return np.exp(special.xlogy(k, mean) - mean - special.gammaln(k + 1))

    limit = float(probability(np.array([count]))[0]) * _EQUAL
    if count <= mean:
        far = np.arange(np.ceil(mean), np.ceil(2 * mean - count + 10 * np.sqrt(mean + 1) + 20))
        outside = far[probability(far) <= limit]
        upper = float(special.pdtrc(outside[0] - 1, mean)) if outside.size else 0.0
        return float(min(1.0, special.pdtr(count, mean) + upper))
    near = np.arange(0.0, np.floor(mean) + 1)
    inside = int((probability(near) <= limit).sum())
    lower = float(special.pdtr(inside - 1, mean)) if inside else 0.0
    return float(min(1.0, special.pdtrc(count - 1, mean) + lower))


def binomial_p_value(count: int, total: int, share: float, method: str) -> float:
    """Two-sided p-value of a binomial count, as :func:`poisson_p_value`."""
    if method == "mid-p":
        upper = float(_binomial_upper(np.array([float(count)]), total, np.array([share]))[0])
        return min(1.0, 2 * min(upper, 1 - upper))
    from scipy.stats import binomtest

    return float(binomtest(count, total, share).pvalue)


def _poisson_upper(count: FloatArray, mean: FloatArray) -> FloatArray:
    """P(more) + P(as many) / 2."""
    at_least = np.where(count > 0, special.gammainc(np.maximum(count, 1e-300), mean), 1.0)
    return np.asarray((at_least + special.gammainc(count + 1, mean)) / 2)


def _poisson_lower(count: FloatArray, mean: FloatArray) -> FloatArray:
    """P(fewer) + P(as many) / 2."""
    fewer = np.where(count > 0, special.gammaincc(np.maximum(count, 1e-300), mean), 0.0)
    return np.asarray((fewer + special.gammaincc(count + 1, mean)) / 2)


def _binomial_upper(count: FloatArray, total: int, share: FloatArray) -> FloatArray:
    """P(more) + P(as many) / 2."""
    at_least = np.where(count > 0, special.betainc(np.maximum(count, 1e-300), total - count + 1, share), 1.0)
    more = np.where(count < total, special.betainc(count + 1, np.maximum(total - count, 1e-300), share), 0.0)
    return np.asarray((at_least + more) / 2)


def _root(function: object, low: FloatArray, high: FloatArray, count: FloatArray) -> FloatArray:
    return np.asarray(elementwise.find_root(function, (low, high), args=(count,)).x)
