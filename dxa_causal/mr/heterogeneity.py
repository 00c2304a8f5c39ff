"""Do the variants agree on one effect, and is their direct effect zero on average."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from dxa_causal.mr._kernels.regression import egger, ivw
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.estimators import ESTIMATORS, Method
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import HypothesisTest, NotApplicable


def heterogeneity(harmonised: Harmonised) -> pd.DataFrame:
    r"""Test whether the variants' ratios differ by more than chance.

    Parameters
    ----------
    harmonised : Harmonised

    Returns
    -------
    DataFrame
        Rows "ivw" (Cochran's Q) and "egger" (Rucker's Q'): method, statistic,
        df, p_value, n_variants, reason.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    :math:`Q = \sum w_j (y_j - \hat\beta_0 - \hat\beta x_j)^2` with
    :math:`w_j = \sigma_{yj}^{-2}`, chi-square with n - 1 df (IVW,
    :math:`\hat\beta_0 = 0`) or n - 2 (MR-Egger).

    References
    ----------
    Bowden J et al. Stat Med 2017;36:1783-1802. doi:10.1002/sim.7221

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> heterogeneity(h)[["method", "statistic", "df"]].round(3).to_dict("list")
    {'method': ['ivw', 'egger'], 'statistic': [0.122, 0.088], 'df': [2.0, 1.0]}
    """
    from scipy.special import chdtrc

    refuse_correlated(harmonised)
    arrays = (harmonised.beta_exposure, harmonised.beta_outcome, harmonised.se_outcome)
    rows: list[dict[str, Any]] = []
    regressions: dict[Method, Any] = {"ivw": ivw, "egger": egger}
    for method, regression in regressions.items():
        reason = ESTIMATORS[method].reason(harmonised)
        fit = None if reason else regression(*arrays)
        q, df = (math.nan, math.nan) if fit is None else (fit.q, float(fit.df))
        p_value = math.nan if fit is None else float(chdtrc(df, q))
        rows.append({"method": method, "statistic": q, "df": df, "p_value": p_value, "reason": reason})
    table = pd.DataFrame(rows)
    table.insert(4, "n_variants", harmonised.n_variants)
    return table


def pleiotropy(harmonised: Harmonised) -> HypothesisTest | NotApplicable:
    """Test whether the MR-Egger intercept, the average direct effect of the variants, is zero.

    Parameters
    ----------
    harmonised : Harmonised

    Returns
    -------
    HypothesisTest or NotApplicable
        t with n - 2 df. The intercept itself stands in
        ``estimate(h, ["egger"]).tidy()``.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    References
    ----------
    Bowden J et al. Int J Epidemiol 2015;44:512-525. doi:10.1093/ije/dyv080

    Examples
    --------
    >>> h = Harmonised.from_arrays(beta_exposure=[0.1], se_exposure=[0.01], beta_outcome=[0.05], se_outcome=[0.02])
    >>> print(pleiotropy(h))
    MR-Egger intercept (t) not applicable: needs at least 3 variants; there is 1
    """
    from scipy.special import stdtr

    refuse_correlated(harmonised)
    name = "MR-Egger intercept (t)"
    reason = ESTIMATORS["egger"].reason(harmonised)
    fit = None if reason else egger(harmonised.beta_exposure, harmonised.beta_outcome, harmonised.se_outcome)
    if fit is None:
        return NotApplicable(reason, method=name)
    t = fit.intercept / fit.intercept_std_error
    return HypothesisTest(
        statistic=t,
        df=float(fit.df),
        p_value=float(2.0 * stdtr(fit.df, -abs(t))),
        method=name,
        null="the variants' average direct effect on the outcome is zero",
    )
