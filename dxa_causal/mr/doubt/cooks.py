"""Which variants pull the regression line."""

from __future__ import annotations

import pandas as pd

from dxa_causal.mr._kernels.leave_one_out import deletions
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.estimators import ESTIMATORS, Method
from dxa_causal.mr.harmonised import Harmonised


def cooks_distance(harmonised: Harmonised) -> pd.DataFrame:
    r"""Cook's distance of every variant in IVW and MR-Egger.

    Parameters
    ----------
    harmonised : Harmonised

    Returns
    -------
    DataFrame
        One row per method and variant: method, variant, statistic (the
        distance), leverage, influential (above 4 / n). A method that does not
        apply has no rows.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    :math:`D_j = w_j r_j^2 h_j / (k \hat\sigma^2 (1 - h_j)^2)` with k coefficients.

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> cooks_distance(h).query("method == 'ivw'")["statistic"].round(3).tolist()
    [0.001, 2.286, 0.753]
    """
    refuse_correlated(harmonised)
    h = harmonised
    tables = []
    methods: tuple[Method, ...] = ("ivw", "egger")
    for method in methods:
        if ESTIMATORS[method].reason(h):
            continue
        found = deletions(h.beta_exposure, h.beta_outcome, h.se_outcome, intercept=method == "egger")
        columns = {"method": method, "variant": h.table["variant"].to_numpy(), "statistic": found.cooks}
        tables.append(
            pd.DataFrame({**columns, "leverage": found.leverage, "influential": found.cooks > 4.0 / h.n_variants})
        )
    if not tables:
        return pd.DataFrame(columns=["method", "variant", "statistic", "leverage", "influential"])
    return pd.concat(tables, ignore_index=True)
