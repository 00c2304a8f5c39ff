"""Rubin's rules: estimates from completed data sets put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LAMBDA_MIN = 1e-4  # as R's mice: keeps the degrees of freedom finite where nothing varies between imputations


@dataclass(frozen=True, slots=True)
class Pooled:
    """Estimates over imputations.

    Attributes
    ----------
    estimate : (p,) ndarray
        Mean over imputations.
    within, between : (p,) ndarray
        Mean of the squared standard errors; variance of the estimates.
    total : (p,) ndarray
        within + (1 + 1/m) between.
    df : (p,) ndarray
        Barnard and Rubin's degrees of freedom.
    riv : (p,) ndarray
        Relative increase in variance due to non-response.
    share : (p,) ndarray
        Share of the total variance due to it, lambda.
    fmi : (p,) ndarray
        Fraction of missing information.
    """

    estimate: FloatArray
    within: FloatArray
    between: FloatArray
    total: FloatArray
    df: FloatArray
    riv: FloatArray
    share: FloatArray
    fmi: FloatArray


def pool_scalars(estimates: FloatArray, std_errors: FloatArray, df_complete: float) -> Pooled:
    """Pool each estimate by itself.

    Parameters
    ----------
    estimates, std_errors : (m, p) ndarray
    df_complete : float
        Degrees of freedom the estimates would have had without missing values; may be infinite.
    """
    m = len(estimates)
    estimate, between = estimates.mean(axis=0), estimates.var(axis=0, ddof=1)
    within = np.mean(std_errors**2, axis=0)
    extra = (1.0 + 1.0 / m) * between
    total = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        riv, share = extra / within, extra / total
    floored = np.maximum(share, LAMBDA_MIN)
    df_old = (m - 1) / floored**2
    if np.isinf(df_complete):
        df = df_old
    else:
        df_observed = (df_complete + 1.0) / (df_complete + 3.0) * df_complete * (1.0 - floored)
        df = df_old * df_observed / (df_old + df_observed)
    with np.errstate(invalid="ignore"):
        fmi = (riv + 2.0 / (df + 3.0)) / (riv + 1.0)
    return Pooled(estimate, within, between, total, df, riv, share, fmi)


@dataclass(frozen=True, slots=True)
class FTest:
    """F statistic with its degrees of freedom."""

    statistic: float
    df: int
    df_denominator: float


def wald_d1(estimates: FloatArray, covariances: FloatArray, df_complete: float) -> FTest:
    r"""Test that all estimates are zero, from their covariances (Li, Raghunathan and Rubin's D1).

    Parameters
    ----------
    estimates : (m, k) ndarray
    covariances : (m, k, k) ndarray
    df_complete : float
        Infinite for Li's denominator; Reiter's for a finite number.

    Notes
    -----
    :math:`D_1 = \bar Q' \bar U^{-1} \bar Q / (k (1 + r))` with
    :math:`r = (1 + 1/m) \operatorname{tr}(B \bar U^{-1}) / k`.
    """
    m, k = estimates.shape
    mean, within = estimates.mean(axis=0), covariances.mean(axis=0)
    between = np.atleast_2d(np.cov(estimates, rowvar=False))
    r = (1.0 + 1.0 / m) * float(np.trace(np.linalg.solve(within, between))) / k
    statistic = float(mean @ np.linalg.solve(within, mean)) / (k * (1.0 + r))
    return FTest(statistic, k, _denominator(r, k, m, df_complete))


def _denominator(r: float, k: int, m: int, df_complete: float) -> float:
    t = k * (m - 1)
    if r <= 0.0:
        return df_complete
    if t <= 4 or np.isinf(df_complete):
        if t <= 4:
            return t * (1.0 + 1.0 / k) * (1.0 + 1.0 / r) ** 2 / 2.0
        return 4.0 + (t - 4.0) * (1.0 + (1.0 - 2.0 / t) / r) ** 2
    a = r * t / (t - 2.0)
    full = (df_complete + 1.0) / (df_complete + 3.0) * df_complete
    c1, c2 = full - 2.0 * (1.0 + a), full - 4.0 * (1.0 + a)
    inner = (
        a**2 * c1 / ((1.0 + a) ** 2 * c2)
        + 8.0 * a**2 * c1 / ((1.0 + a) * c2**2)
        + 4.0 * a**2 / ((1.0 + a) * c2)
        + 4.0 * a**2 / (c2 * c1)
        + 16.0 * a**2 * c1 / c2**3
        + 8.0 * a**2 / c2**2
    )
    return 4.0 + 1.0 / (1.0 / c2 + inner / (t - 4.0))


def wald_d2(chi_square: FloatArray, k: int) -> FTest:
    """Pool the m chi-square statistics of a test on `k` degrees of freedom (Li, Meng, Raghunathan and Rubin's D2)."""
    m = len(chi_square)
    r = (1.0 + 1.0 / m) * float(np.var(np.sqrt(chi_square), ddof=1))
    statistic = (float(chi_square.mean()) / k - (m + 1.0) / (m - 1.0) * r) / (1.0 + r)
    denominator = np.inf if r == 0.0 else k ** (-3.0 / m) * (m - 1.0) * (1.0 + 1.0 / r) ** 2
    return FTest(statistic, k, denominator)
