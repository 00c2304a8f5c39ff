"""Variance explained by variants, out of what GWAS files print, and what follows from it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def r2_from_p(p_value: FloatArray, n: FloatArray) -> FloatArray:
    """F / (n - 2 + F) with F the upper quantile of F(1, n - 1) at p (floor 1e-300); the df are TwoSampleMR's."""
    from scipy.special import betainccinv

    df = n - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        # The upper tail of F(1, df) is the upper tail of Beta(1/2, df/2) at F / (df + F).
        x = betainccinv(0.5, df / 2.0, np.maximum(p_value, 1e-300))
        f = df * x / (1.0 - x)
        return np.asarray(f / (n - 2.0 + f))


def r2_from_beta(beta: FloatArray, se: FloatArray, n: FloatArray) -> FloatArray:
    """F / (n - 2 + F) with F = (beta / se)^2."""
    f = (beta / se) ** 2
    return np.asarray(f / (n - 2.0 + f))


def r2_in_sd(beta: FloatArray, eaf: FloatArray) -> FloatArray:
    """2 f (1 - f) beta^2: effects per allele in standard deviations, Hardy-Weinberg."""
    return np.asarray(2.0 * beta**2 * eaf * (1.0 - eaf))


def population_frequency(log_odds: FloatArray, eaf: FloatArray, share: FloatArray, prevalence: float) -> FloatArray:
    """Allele frequency in the population, from that in a sample with a `share` of cases.

    The table of allele by case with these margins and this odds ratio gives
    the frequencies in cases and controls (Plackett's root, in the form that
    stays exact where the odds ratio is 1).
    """
    odds = np.exp(log_odds)
    s = 1.0 + (eaf + share) * (odds - 1.0)
    both = 2.0 * odds * eaf * share / (s + np.sqrt(s**2 - 4.0 * odds * (odds - 1.0) * eaf * share))
    return np.asarray((1.0 - prevalence) * (eaf - both) / (1.0 - share) + prevalence * both / share)


def r2_on_liability(
    log_odds: FloatArray, eaf: FloatArray, cases: FloatArray, controls: FloatArray, prevalence: float, residual: float
) -> FloatArray:
    """Take vg / (vg + residual) with vg = beta^2 f (1 - f) at the population frequency (TwoSampleMR: no factor 2)."""
    f = population_frequency(log_odds, eaf, cases / (cases + controls), prevalence)
    vg = log_odds**2 * f * (1.0 - f)
    return np.asarray(vg / (vg + residual))


class Comparison(NamedTuple):
    """z and two-sided p of the difference of two independent correlations."""

    z: FloatArray
    p_value: FloatArray


def compare_correlations(
    r2_first: npt.ArrayLike, n_first: npt.ArrayLike, r2_second: npt.ArrayLike, n_second: npt.ArrayLike
) -> Comparison:
    """Fisher's z of sqrt(r2_first) - sqrt(r2_second)."""
    from scipy.special import ndtr

    one, two = (np.arctanh(np.sqrt(np.asarray(r2, dtype=np.float64))) for r2 in (r2_first, r2_second))
    n1, n2 = (np.asarray(n, dtype=np.float64) for n in (n_first, n_second))
    z = (one - two) / np.sqrt(1.0 / (n1 - 3.0) + 1.0 / (n2 - 3.0))
    return Comparison(np.asarray(z), np.asarray(2.0 * ndtr(-np.abs(z))))


def sensitivity_ratio(r2_exposure: float, r2_outcome: float) -> float:
    """Measurement precisions that leave the inferred direction as it is, over those that turn it (volumes)."""
    a, b = (math.sqrt(r2) for r2 in sorted((r2_exposure, r2_outcome), reverse=True))
    if b == 0.0:
        return math.inf
    log_a, log_b = math.log(a), math.log(b)
    every = a * log_a - b * log_b + a * b * (log_b - log_a)
    wrong = -2.0 * b - b * log_a - a * b * log_a + 2.0 * a * b
    return abs(every - wrong) / wrong if wrong != 0.0 else math.inf


def i_squared(effect: FloatArray, std_error: FloatArray) -> float:
    """(Q - (k - 1)) / Q of the effects, not below 0."""
    if effect.size < 2:
        return math.nan
    w = std_error**-2.0
    q = float(np.sum(w * (effect - np.sum(w * effect) / np.sum(w)) ** 2))
    return max(0.0, (q - (effect.size - 1)) / q) if q > 0.0 else 0.0
