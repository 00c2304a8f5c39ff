"""The estimate without each variant in turn."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels.leave_one_out import deletions
from dxa_causal.mr.estimates import estimate
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.estimators import ESTIMATORS
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import NotApplicable, wald_columns


def leave_one_out(
    harmonised: Harmonised, *, method: Literal["ivw", "egger"] = "ivw", conf_level: float = 0.95
) -> pd.DataFrame | NotApplicable:
    r"""Estimate without each variant in turn.

    Parameters
    ----------
    harmonised : Harmonised
    method : {"ivw", "egger"}
    conf_level : float

    Returns
    -------
    DataFrame or NotApplicable
        One row per variant left out, then "all": variant, estimate, std_error,
        statistic, p_value, conf_low, conf_high. NotApplicable where a variant
        fewer leaves too few.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    :math:`\hat\beta_{(-j)} = \hat\beta - (Z^\top W Z)^{-1} z_j w_j r_j / (1 - h_j)`
    with residual :math:`r_j` and leverage :math:`h_j`: one fit serves all.

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> leave_one_out(h)[["variant", "estimate"]].round(3).to_dict("list")
    {'variant': ['variant_1', 'variant_2', 'variant_3', 'all'], 'estimate': [0.495, 0.523, 0.481, 0.496]}
    """
    refuse_correlated(harmonised)
    check_option("method", method, ("ivw", "egger"))
    name = f"leave one out ({ESTIMATORS[method].label})"
    reason, least, n = ESTIMATORS[method].reason(harmonised), ESTIMATORS[method].least + 1, harmonised.n_variants
    if not reason and n < least:
        reason = f"needs at least {least} variants; there are {n}"
    if reason:
        return NotApplicable(reason, method=name)
    arrays = (harmonised.beta_exposure, harmonised.beta_outcome, harmonised.se_outcome)
    found = deletions(*arrays, intercept=method == "egger")
    std_error = found.std_error_fixed * np.maximum(1.0, np.sqrt(found.q / found.df))
    everybody = estimate(harmonised, method)
    df = None if method == "ivw" else np.append(np.full(n, found.df), found.df + 1)
    slopes = np.append(found.slope, everybody.estimates[0])
    std_errors = np.append(std_error, everybody.std_errors[0])
    columns = wald_columns(slopes, std_errors, conf_level=conf_level, df=df)
    return pd.DataFrame({"variant": [*harmonised.table["variant"], "all"], **columns})
