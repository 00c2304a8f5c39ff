"""The log-rank test, its weighted relatives and the test for trend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, shown
from dxa_causal._core.options import Missing, check_option
from dxa_causal._design import Groups, read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import HypothesisTest, NotApplicable
from dxa_causal.survival._kernels.comparison import GroupCounts, count_groups, lagged, product_within, quadratic_form

FloatArray = npt.NDArray[np.float64]
LogrankWeighting = Literal["gehan", "tarone-ware", "peto"]
_NAMES = {"gehan": "Gehan-Wilcoxon test", "tarone-ware": "Tarone-Ware test", "peto": "Peto-Peto test"}


def logrank(
    formula: str,
    data: Any,
    *,
    strata: str | None = None,
    rho: float = 0.0,
    gamma: float = 0.0,
    weighting: LogrankWeighting | None = None,
    trend: Literal["order", "values"] | Sequence[float] | None = None,
    missing: Missing = "drop",
) -> HypothesisTest | NotApplicable:
    r"""Test whether survival is the same in all groups.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group`` or ``Surv(entry, time, event) ~ group``.
    data : pandas or polars frame
    strata : str, optional
        Column; groups are compared within its values and the results summed.
    rho, gamma : float
        Events are weighted by :math:`\hat S(t-)^\rho (1 - \hat S(t-))^\gamma`, S the
        Kaplan-Meier estimate of all groups together: (0, 0) is the log-rank
        test, (1, 0) the Peto-Peto modification of Gehan's, gamma > 0 looks at late events.
    weighting : {"gehan", "tarone-ware", "peto"}, optional
        In place of rho and gamma: the number n at risk, its square root, or
        :math:`\prod_{s \le t} (1 - d / (n + 1))`.
    trend : {"order", "values"} or sequence of float, optional
        Test against ordered groups, with one degree of freedom: scores 0, 1,
        2, ... in the order of the groups, the groups' own numbers, or the
        scores given, one per group.
    missing : {"drop", "raise"}

    Returns
    -------
    HypothesisTest or NotApplicable
        Chi-square with (groups - 1) degrees of freedom, or 1 for a trend.

    Notes
    -----
    At each event time, given the risk set, the events of a group have
    hypergeometric mean :math:`n_k d / n` and covariance
    :math:`d (n - d) / (n - 1) \, (n_k / n) (\delta_{kl} - n_l / n)`. With weights w(t), observed
    minus expected sum to u with covariance V; the test is :math:`u' V^- u`, for a
    trend with scores c :math:`(c'u)^2 / c'Vc`.

    In R, `rho` is that of ``survdiff``, `strata` its ``strata()`` term. The
    unweighted tests, with delayed entry too, are score tests of
    ``coxph(..., ties = "exact")``, of ``factor(group)`` or, for a trend, of the scores.

    References
    ----------
    Harrington DP, Fleming TR. Biometrika 1982;69:553-566. doi:10.1093/biomet/69.3.553
    Tarone RE, Ware J. Biometrika 1977;64:156-160. doi:10.1093/biomet/64.1.156
    Peto R, Peto J. J R Stat Soc A 1972;135:185-207. doi:10.2307/2344317
    Tarone RE. Biometrika 1975;62:679-682. doi:10.1093/biomet/62.3.679

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4], "died": [1, 1, 1, 1], "arm": list("aabb")})
    >>> round(logrank("Surv(time, died) ~ arm", data).statistic, 4)
    2.8824
    """
    method = _method(rho, gamma, weighting)
    method += (" for trend" if trend is not None else "") + " (chi-square)"
    method += f", stratified by {strata}" if strata else ""
    groups = read_groups(formula, data, arguments={"strata": strata}, missing=missing)
    k = len(groups.labels)
    scores = None if trend is None else _scores(trend, groups)
    if k < 2:
        return NotApplicable(one_group(groups), method)
    outcome = groups.outcome
    if not outcome.event.any():
        return NotApplicable(f"no event: all {outcome.event.size} rows are censored", method)
    times = rank_times(outcome.time, outcome.entry)
    stratum = None if strata is None else pd.factorize(groups.rows.frame[strata])[0].astype(np.int64)
    counts = count_groups(times, outcome.event, groups.codes, stratum, n_groups=k)
    u, variance = _observed_minus_expected(counts, rho, gamma, weighting)
    null = "survival is equal in all groups"
    if scores is not None:
        u, variance = _contrast(scores, u, variance)
        null += " (against a trend)"
    statistic, df = quadratic_form(u, variance)
    if df == 0:
        return NotApplicable("no two groups are at risk together when an event happens", method)
    return HypothesisTest(statistic, df, float(special.chdtrc(df, statistic)), method, null)


def one_group(groups: Groups) -> str:
    """Say that nothing can be compared, and why."""
    if not groups.names:
        return "the formula has one group, as it names none; a comparison needs two"
    names = " and ".join(repr(n) for n in groups.names)
    made = "has" if len(groups.names) == 1 else "make"
    return f"{names} {made} one group ({shown(groups.labels[0])}) in the rows analysed; a comparison needs two"


def check_number(argument: str, value: object, *, least: float = -np.inf) -> None:
    """Refuse what is not a finite number of at least `least`."""
    number = float(value) if isinstance(value, int | float | np.number) else np.nan
    if not np.isfinite(number) or number < least:
        need = "a number" if least == -np.inf else f"a number, {least:g} or more"
        raise OptionError(f"{argument}={value!r} must be {need}")


def _method(rho: float, gamma: float, weighting: LogrankWeighting | None) -> str:
    check_number("rho", rho)
    check_number("gamma", gamma, least=0)
    if weighting is not None:
        check_option("weighting", weighting, LogrankWeighting)
        if rho or gamma:
            raise OptionError(f"weighting={weighting!r} takes the place of rho and gamma; leave them at 0")
        return _NAMES[weighting]
    if gamma:
        return f"Fleming-Harrington test (rho = {rho:g}, gamma = {gamma:g})"
    return f"G-rho test (rho = {rho:g})" if rho else "log-rank test"


def _scores(trend: Literal["order", "values"] | Sequence[float], groups: Groups) -> FloatArray:
    labels = groups.labels
    if isinstance(trend, str):
        check_option("trend", trend, ("order", "values"))
        if trend == "order":
            return np.arange(len(labels), dtype=np.float64)
        words = [v for v in labels if isinstance(v, str | bool) or not np.isreal(v)]
        if words:
            raise OptionError(f"trend='values' needs groups that are numbers, not {shown(words[0])}; give the scores")
        return np.array(labels, dtype=np.float64)
    scores = np.asarray(trend, dtype=np.float64)
    if scores.shape != (len(labels),) or not np.isfinite(scores).all():
        listed = ", ".join(shown(v) for v in labels)
        raise OptionError(f"trend={trend!r} must hold one number for each of the {len(labels)} groups: {listed}")
    if np.ptp(scores) == 0 and len(labels) > 1:
        raise OptionError(f"trend={trend!r}: the scores are all equal, which is no trend")
    return scores


def _contrast(scores: FloatArray, u: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    own = np.diag(variance)
    if own.sum() > 0:
        scores = scores - np.average(scores, weights=own)  # changes nothing but rounding, as the rows sum to zero
    spread = float(scores @ variance @ scores)
    if spread <= 1e-9 * (scores**2 @ own):
        spread = 0.0
    return np.array([scores @ u]), np.array([[spread]])


def _observed_minus_expected(
    counts: GroupCounts, rho: float, gamma: float, weighting: LogrankWeighting | None
) -> tuple[FloatArray, FloatArray]:
    """Weighted sums over event times and strata, and their covariance."""
    events, at_risk = counts.n_event[0], counts.n_risk
    d, n = events.sum(axis=0), at_risk.sum(axis=0)
    if weighting == "gehan":
        weight = n
    elif weighting == "tarone-ware":
        weight = np.sqrt(n)
    elif weighting == "peto":
        weight = product_within(1.0 - d / (n + 1.0), counts.closes)
    else:
        survival = lagged(product_within(1.0 - d / n, counts.closes), counts.closes, 1.0)
        weight = survival**rho * (1.0 - survival) ** gamma
    share = at_risk / n
    scale = weight**2 * d * np.where(n > 1, (n - d) / np.maximum(n - 1, 1.0), 0.0)
    variance = np.diag((share * scale).sum(axis=1)) - (share * scale) @ share.T
    return ((events - share * d) * weight).sum(axis=1), variance
