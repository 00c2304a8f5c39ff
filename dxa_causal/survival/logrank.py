"""The log-rank test and its G-rho relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.options import Missing
from dxa_causal._design import read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import HypothesisTest, NotApplicable

FloatArray = npt.NDArray[np.float64]


def logrank(
    formula: str, data: Any, *, strata: str | None = None, rho: float = 0.0, missing: Missing = "drop"
) -> HypothesisTest | NotApplicable:
    r"""Test whether survival is the same in all groups.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group`` or ``Surv(entry, time, event) ~ group``.
    data : pandas or polars frame
    strata : str, optional
        Column; groups are compared within its values and the results summed.
    rho : float
        Events are weighted by :math:`\hat S(t-)^\rho`: 0 is the log-rank test,
        1 the Peto-Peto modification of Gehan's.
    missing : {"drop", "raise"}

    Returns
    -------
    HypothesisTest or NotApplicable
        Chi-square with (groups - 1) degrees of freedom.

    Notes
    -----
    At each event time, given the risk set, the events of a group have
    hypergeometric mean :math:`n_k d / n` and covariance
    :math:`d (n - d) / (n - 1) \, (n_k / n) (\delta_{kl} - n_l / n)`.

    References
    ----------
    Harrington DP, Fleming TR. Biometrika 1982;69:553-566. doi:10.1093/biomet/69.3.553

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4], "died": [1, 1, 1, 1], "arm": list("aabb")})
    >>> round(logrank("Surv(time, died) ~ arm", data).statistic, 4)
    2.8824
    """
    method = "log-rank test" if rho == 0 else f"G-rho test (rho = {rho:g})"
    method += " (chi-square)" + (f", stratified by {strata}" if strata else "")
    groups = read_groups(formula, data, arguments={"strata": strata}, missing=missing)
    k = len(groups.labels)
    if k < 2:
        return NotApplicable(f"{groups.names or 'the formula'} has one group; a comparison needs two", method)
    outcome = groups.outcome
    if not outcome.event.any():
        return NotApplicable(f"no event: all {outcome.event.size} rows are censored", method)
    times = rank_times(outcome.time, outcome.entry)
    column = groups.rows.frame[strata] if strata else None
    codes = np.zeros(outcome.time.size, dtype=np.int64) if column is None else pd.factorize(column)[0]
    difference, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for code in np.unique(codes):
        own = codes == code
        entry = None if times.entry_rank is None else times.entry_rank[own]
        parts = _one_stratum(times.rank[own], entry, outcome.event[own], groups.codes[own], k, rho)
        difference += parts[0]
        expected += parts[1]
        variance += parts[2]
    # a group at risk at no event time says nothing
    compared = np.flatnonzero(expected > 0)
    if compared.size < 2:
        return NotApplicable("only one group is ever at risk when an event happens", method)
    # groups that never meet (in different strata, or one gone before the other came) leave the covariance with a
    # smaller rank than the number of groups less one: that rank is the number of comparisons made
    scale = np.sqrt(np.diag(variance)[compared])
    seen = compared[scale > 0]
    scale = scale[scale > 0]
    u = difference[seen] / scale
    values, vectors = np.linalg.eigh(variance[np.ix_(seen, seen)] / np.outer(scale, scale))
    real = values > 1e-9 * max(1.0, values.max(initial=0.0))
    df = int(real.sum())
    if df == 0:
        return NotApplicable("no two groups are at risk together when an event happens", method)
    statistic = float(np.sum((vectors[:, real].T @ u) ** 2 / values[real]))
    return HypothesisTest(
        statistic, df, float(special.chdtrc(df, statistic)), method, "survival is equal in all groups"
    )


def _one_stratum(
    rank: npt.NDArray[np.int64],
    entry_rank: npt.NDArray[np.int64] | None,
    event: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    k: int,
    rho: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    size = int(rank.max()) + 1
    leave = np.zeros((k, size))
    np.add.at(leave, (group, rank), 1.0)
    at_risk = leave[:, ::-1].cumsum(axis=1)[:, ::-1]
    if entry_rank is not None:
        late = np.zeros((k, size))
        np.add.at(late, (group, entry_rank), 1.0)
        at_risk = at_risk - late[:, ::-1].cumsum(axis=1)[:, ::-1]
    events = np.zeros((k, size))
    np.add.at(events, (group[event == 1], rank[event == 1]), 1.0)
    when = events.sum(axis=0) > 0
    at_risk, events = at_risk[:, when], events[:, when]
    d, n = events.sum(axis=0), at_risk.sum(axis=0)
    survival = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]])
    weight = survival**rho
    share = at_risk / n
    difference = ((events - share * d) * weight).sum(axis=1)
    expected = (share * d * weight).sum(axis=1)
    with np.errstate(invalid="ignore"):
        scale = np.where(n > 1, weight**2 * d * (n - d) / (n - 1), 0.0)
    variance = np.diag((share * scale).sum(axis=1)) - (share * scale) @ share.T
    return difference, expected, variance
