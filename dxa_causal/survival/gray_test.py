"""Gray's test of equal cumulative incidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OutcomeError
from dxa_causal._core.options import Missing
from dxa_causal._design import read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import HypothesisTest, NotApplicable
from dxa_causal.survival._kernels.comparison import count_groups, quadratic_form
from dxa_causal.survival._kernels.gray import gray_score
from dxa_causal.survival.logrank import check_number, one_group


def gray_test(
    formula: str,
    data: Any,
    *,
    cause: Any = None,
    strata: str | None = None,
    rho: float = 0.0,
    missing: Missing = "drop",
) -> HypothesisTest | NotApplicable:
    r"""Test whether the cumulative incidence of a cause is the same in all groups.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group``; the event is 0 = censored and 1, 2, ... =
        causes, or a categorical whose first category is censoring.
    data : pandas or polars frame
    cause : object
        The cause compared. May be left out where there is only one.
    strata : str, optional
        Column; groups are compared within its values and the results summed.
    rho : float
        Events are weighted by :math:`(1 - \hat F_0(t-))^\rho`, with the incidence
        common to all groups.
    missing : {"drop", "raise"}

    Returns
    -------
    HypothesisTest or NotApplicable
        Chi-square with (groups - 1) degrees of freedom; the line of the cause
        in ``cuminc(...)$Tests`` of R's cmprsk.

    Notes
    -----
    The log-rank test with other causes as censoring compares the
    cause-specific hazards; Gray's compares the incidences, keeping those who
    failed from another cause at risk by the weight
    :math:`(1 - \hat F(t-)) / \hat S(t-)` of the group. Both are estimated within each
    stratum, which must therefore not be small (no matched pairs).

    References
    ----------
    Gray RJ. Ann Stat 1988;16:1141-1154. doi:10.1214/aos/1176350951

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": range(1, 9), "event": [1, 1, 2, 1, 2, 0, 1, 2], "arm": list("aaababbb")})
    >>> round(gray_test("Surv(time, event) ~ arm", data, cause=1).statistic, 4)
    0.6806
    """
    check_number("rho", rho)
    groups = read_groups(formula, data, arguments={"strata": strata}, missing=missing, causes=True)
    outcome = groups.outcome
    if outcome.entry is not None:
        raise OutcomeError("Gray's test is defined for right-censored times; Surv(entry, time, event) is not taken")
    code = outcome.cause_code(cause)
    method = "Gray's test" + (f" (rho = {rho:g})" if rho else "")
    method += " (chi-square)" + (f", stratified by {strata}" if strata else "")
    if len(groups.labels) < 2:
        return NotApplicable(one_group(groups), method)
    if not (outcome.event == code).any():
        return NotApplicable(f"no event: all {outcome.event.size} rows are censored", method)
    event = np.where(outcome.event == code, 1, np.where(outcome.event > 0, 2, 0))
    stratum = None if strata is None else pd.factorize(groups.rows.frame[strata])[0].astype(np.int64)
    counts = count_groups(
        rank_times(outcome.time), event, groups.codes, stratum, n_groups=len(groups.labels), n_causes=2
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # what has no weight is said below
        score, variance = gray_score(counts, rho=rho)
    if not (np.isfinite(score).all() and np.isfinite(variance).all()):
        return NotApplicable(
            f"the common incidence reaches 1 before the last event, where rho = {rho:g} gives no finite weight", method
        )
    statistic, df = quadratic_form(score, variance)
    if df == 0:
        return NotApplicable("no two groups are at risk together when an event happens", method)
    null = f"the cumulative incidence of cause {outcome.causes[code - 1]} is equal in all groups"
    return HypothesisTest(statistic, df, float(special.chdtrc(df, statistic)), method, null)
