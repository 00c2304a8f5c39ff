"""Are the instruments strong for each exposure given the others, and do they agree."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels.joint_effects import joint_exposures
from dxa_causal.mr._kernels.multivariable import contrast_variance, weighted
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.results import HypothesisTest, NotApplicable

FloatArray = npt.NDArray[np.float64]


def conditional_f(
    harmonised: MultivariableHarmonised,
    *,
    correlation: npt.ArrayLike | None = None,
    convention: Literal["mvmr", "mendelianrandomization"] = "mvmr",
) -> pd.DataFrame:
    r"""Conditional F statistic of every exposure: below 10 the instruments are weak for it.

    Parameters
    ----------
    harmonised : MultivariableHarmonised
    correlation : (k, k) array_like, optional
        Of the errors of the exposures' effects, from overlapping samples:
        their phenotypic correlation. Zero when omitted, which is right for
        separate samples.
    convention : {"mvmr", "mendelianrandomization"}
        The latter takes the variants' joint effects, given `ld` and the sample
        sizes, and divides by n - k + 1.

    Returns
    -------
    DataFrame
        One row per exposure: term, statistic, n_variants.

    Raises
    ------
    SummaryStatisticsError
        `correlation` is not a correlation matrix of the exposures, or
        "mendelianrandomization" without sample sizes of the exposures.

    Notes
    -----
    :math:`F_k = n^{-1} \sum_j (x_{jk} - x_{j,-k}' \delta)^2 / s_{jk}^2` with
    :math:`\delta` from the unweighted regression of :math:`x_k` on the other
    exposures' effects and :math:`s_{jk}^2` the variance of the numerator's
    root. Divided by n as R's MVMR does, not by n - k + 1. With
    "mendelianrandomization" numerator and variance are those of the joint
    effects (see "gmm" in :func:`mvmr`) and their full covariance. The R package
    goes on to minimise over :math:`\delta`, and its optimiser stops where it
    started or soon after; the true minimum is one and the same number for every
    exposure, so cannot say which of them is weak, and is not taken here.

    References
    ----------
    Sanderson E et al. Stat Med 2021;40:5434-5452. doi:10.1002/sim.9133

    Examples
    --------
    >>> mh = MultivariableHarmonised.from_arrays(
    ...     beta_exposures=[[0.1, 0.0], [0.2, 0.1], [0.0, 0.1]], se_exposures=[[0.01, 0.01]] * 3,
    ...     beta_outcome=[0.05, 0.1, 0.02], se_outcome=[0.02] * 3, exposures=["LDL", "HDL"],
    ... )
    >>> conditional_f(mh)["statistic"].round(1).tolist()
    [50.0, 34.5]
    """
    check_option("convention", convention, ("mvmr", "mendelianrandomization"))
    h, size = harmonised, len(harmonised.exposures)
    error = with_outcome(correlation, size)[:size, :size]
    if convention == "mvmr":
        effects = h.beta_exposures
    elif np.isnan(h.n_exposures).any():
        raise SummaryStatisticsError("convention='mendelianrandomization' needs n_exposures in from_arrays")
    else:
        joint = joint_exposures(h.beta_exposures, h.se_exposures, h.n_exposures, h.correlations, error)
        effects = joint.effects
    found = []
    for k in range(size):
        others = np.delete(np.arange(size), k)
        direction = np.insert(-np.linalg.lstsq(effects[:, others], effects[:, k], rcond=None)[0], k, 1.0)
        gap = effects @ direction
        if convention == "mvmr":
            found.append(float(np.mean(gap**2 / contrast_variance(h.se_exposures, direction, error))))
        else:
            cov = np.einsum("i,j,ijab->ab", direction, direction, joint.cov)
            found.append(float(gap @ np.linalg.solve(cov, gap)) / (h.n_variants - size + 1))
    return pd.DataFrame({"term": h.exposures, "statistic": found, "n_variants": h.n_variants})


def q_a(
    harmonised: MultivariableHarmonised, *, correlation: npt.ArrayLike | None = None
) -> HypothesisTest | NotApplicable:
    r"""Test whether the variants agree on the direct effects.

    Parameters
    ----------
    harmonised : MultivariableHarmonised
    correlation : (k, k) array_like, optional
        As in :func:`conditional_f`.

    Returns
    -------
    HypothesisTest or NotApplicable
        Chi-square with n - k - 1 df, as R's MVMR.

    Raises
    ------
    SummaryStatisticsError
        `correlation` is not a correlation matrix of the exposures.

    Notes
    -----
    :math:`Q_A = \sum_j (y_j - x_j' \hat\theta)^2 / (\sigma_{yj}^2 + s_j^2)` with the IVW
    estimate and :math:`s_j^2` the variance of :math:`x_j' \hat\theta`.

    References
    ----------
    Sanderson E et al. Stat Med 2021;40:5434-5452. doi:10.1002/sim.9133

    Examples
    --------
    >>> mh = MultivariableHarmonised.from_arrays(
    ...     beta_exposures=[[0.1], [0.2], [0.3]], se_exposures=[[0.01]] * 3, beta_outcome=[0.05, 0.1, 0.2],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> print(q_a(mh))
    Q_A: statistic = 2.0438, df = 1, p = 0.15...; null hypothesis: no variant has a direct effect of its own
    """
    from scipy.special import chdtrc

    h, size = harmonised, len(harmonised.exposures)
    error = with_outcome(correlation, size)[:size, :size]
    df = h.n_variants - len(h.exposures) - 1
    if df < 1:
        least = len(h.exposures) + 2
        return NotApplicable(f"needs at least {least} variants; there are {h.n_variants}", method="Q_A")
    coef = weighted(h.beta_exposures, h.beta_outcome, h.se_outcome**-2.0).coef
    variance = h.se_outcome**2 + contrast_variance(h.se_exposures, coef, error)
    q = float(np.sum((h.beta_outcome - h.beta_exposures @ coef) ** 2 / variance))
    return HypothesisTest(q, float(df), float(chdtrc(df, q)), "Q_A", "no variant has a direct effect of its own")


def with_outcome(given: npt.ArrayLike | None, k: int) -> FloatArray:
    """Correlation (k + 1, k + 1) of the errors of k exposures and the outcome, checked; zero where not given."""
    if given is None:
        return np.eye(k + 1)
    matrix = np.array(given, dtype=np.float64)
    square = matrix.shape in ((k, k), (k + 1, k + 1))
    if not square or not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1.0):
        raise SummaryStatisticsError(
            f"correlation must be {k} by {k} (or {k + 1}, the outcome last), symmetric, with 1 on the diagonal; its "
            f"shape is {matrix.shape}"
        )
    if np.linalg.eigvalsh(matrix)[0] < -1e-10:
        raise SummaryStatisticsError("correlation is not positive semi-definite: no such correlations exist")
    whole = np.eye(k + 1)
    whole[: len(matrix), : len(matrix)] = matrix
    return whole
