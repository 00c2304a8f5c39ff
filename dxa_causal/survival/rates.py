"""Rate ratios and rate differences between groups, crude or pooled over strata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError, shown
from dxa_causal._core.options import Missing, check_conf_level, check_option
from dxa_causal._core.warnings import AllCensoredWarning, warn
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.event_counts import binomial_limits, binomial_p_value
from dxa_causal.survival.person_years import read_cells, tabulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
RatioLimits = Literal["exact", "mid-p", "log"]


@dataclass(frozen=True, eq=False, repr=False)
class RateRatio(Result):
    """Rates of groups compared with the rate of the first.

    Attributes
    ----------
    cells : DataFrame
        Group (and stratum), n, n_event, person_time.
    terms : tuple of str
        Comparisons, "level vs reference".
    ratio, log_std_error : (k,) ndarray
    difference, difference_std_error : (k,) ndarray
        In events per unit of person-time.
    homogeneity : mapping of str to HypothesisTest or NotApplicable
        Per comparison, whether the rate ratio is the same in all strata.
    conf_method : {"exact", "mid-p", "log"}
    strata : str or None
    n_events : int
    """

    title: ClassVar[str] = "Rate ratios"

    cells: pd.DataFrame
    terms: tuple[str, ...]
    ratio: FloatArray
    log_std_error: FloatArray
    difference: FloatArray
    difference_std_error: FloatArray
    homogeneity: Mapping[str, HypothesisTest | NotApplicable]
    conf_method: RatioLimits
    strata: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "rate ratio"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Rate ratio and rate difference of each comparison.

        Columns term, effect_measure, estimate, std_error (of a ratio, of its
        logarithm), p_value, conf_low, conf_high.
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning: the rate ratios are not on the log scale")
        check_conf_level(conf_level)
        z = float(special.ndtri(0.5 + conf_level / 2))
        limits = [self._limits(k, conf_level) for k in range(len(self.terms))]
        difference, spread = self.difference, self.difference_std_error
        with np.errstate(divide="ignore", invalid="ignore"):
            p_difference = 2 * special.ndtr(-np.abs(difference / spread))
        table = pd.DataFrame(
            {
                "term": self.terms * 2,
                "effect_measure": ["rate ratio"] * len(self.terms) + ["rate difference"] * len(self.terms),
                "estimate": np.concatenate([self.ratio, difference]),
                "std_error": np.concatenate([self.log_std_error, spread]),
                "p_value": np.concatenate([[p for _, _, p in limits], p_difference]),
                "conf_low": np.concatenate([[low for low, _, _ in limits], difference - z * spread]),
                "conf_high": np.concatenate([[high for _, high, _ in limits], difference + z * spread]),
            }
        )
        return table.sort_index(key=lambda i: i % len(self.terms), kind="stable", ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, person_time, n_groups, method."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "person_time": [float(self.cells["person_time"].sum())],
                "n_groups": [len(self.terms) + 1],
                "method": ["Mantel-Haenszel" if self.strata else self.conf_method],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Rate ratios with their limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        return forest(table[table["effect_measure"] == "rate ratio"], effect_measure="Rate ratio", ax=ax)

    def _limits(self, k: int, conf_level: float) -> tuple[float, float, float]:
        """Limits and p-value of a ratio."""
        if self.conf_method == "log":
            z = float(special.ndtri(0.5 + conf_level / 2))
            with np.errstate(divide="ignore", invalid="ignore"):
                centre, half = np.log(self.ratio[k]), z * self.log_std_error[k]
                p = float(2 * special.ndtr(-abs(centre / self.log_std_error[k])))
            return float(np.exp(centre - half)), float(np.exp(centre + half)), p
        # given the sum of events, those of the one group are binomial
        cell, reference = self.cells.iloc[k + 1], self.cells.iloc[0]
        a, total = int(cell["n_event"]), int(cell["n_event"] + reference["n_event"])
        odds = cell["person_time"] / reference["person_time"]
        low, high = binomial_limits(a, total, conf_level, self.conf_method)
        upper = high / (1 - high) / odds if high < 1 else float("inf")
        return low / (1 - low) / odds, upper, binomial_p_value(a, total, odds / (1 + odds), self.conf_method)

    def _notes(self) -> list[str]:
        pooled = f"; pooled over {self.strata} (Mantel-Haenszel)" if self.strata else ""
        notes = [f"{self.conf_method} limits{pooled}"]
        notes += [f"{term}: {test}" for term, test in self.homogeneity.items()]
        return [*notes, *super()._notes()]


def rate_ratio(
    formula: str,
    data: Any,
    *,
    strata: str | None = None,
    conf_method: RatioLimits | None = None,
    missing: Missing = "drop",
) -> RateRatio:
    r"""Compare the event rates of groups with that of the first group.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group`` or ``Surv(entry, time, event) ~ group``;
        the first level (sorted, or the first category) is the reference.
    data : pandas or polars frame
        For bands of age or calendar time, the frame that
        :func:`dxa_causal.followup.lexis_split` returns.
    strata : str, optional
        Column: ratios and differences within its values are pooled
        (Mantel-Haenszel).
    conf_method : {"exact", "mid-p", "log"}, optional
        Limits and p-value of the ratio, given the total of events, exact or
        mid-p, or by its log and standard error. Default "exact", for pooled
        ratios "log", which is the only one there.
    missing : {"drop", "raise"}

    Returns
    -------
    RateRatio

    Notes
    -----
    With a and b events in person-time :math:`T_1, T_0`, given m = a + b the
    number a is binomial with odds :math:`\theta T_1 / T_0` for a rate ratio
    :math:`\theta`. Pooled over strata with :math:`T = T_1 + T_0`,

    .. math:: \hat\theta = \frac{\sum a T_0 / T}{\sum b T_1 / T}, \quad
       \widehat{\mathrm{var}} \log\hat\theta = \frac{\sum m T_1 T_0 / T^2}{\sum a T_0 / T \, \sum b T_1 / T}.

    Homogeneity: :math:`\sum (\log\theta_s - \log\hat\theta)^2 / (1/a + 1/b)` over the
    strata with events in both groups.

    References
    ----------
    Greenland S, Robins JM. Biometrics 1985;41:55-68. doi:10.2307/2530643
    Rothman KJ, Greenland S, Lash TL. Modern Epidemiology, 3rd ed., 2008, chapters 14 and 15.

    Examples
    --------
    >>> data = pd.DataFrame({"time": [60, 40, 50, 50], "died": [1, 1, 1, 0], "arm": ["b", "b", "a", "a"]})
    >>> rate_ratio("Surv(time, died) ~ arm", data).tidy()[["term", "effect_measure", "estimate"]]
         term   effect_measure  estimate
    0  b vs a       rate ratio      2.00
    1  b vs a  rate difference      0.01
    """
    conf_method = conf_method or ("log" if strata else "exact")
    check_option("conf_method", conf_method, RatioLimits)
    if strata and conf_method != "log":
        raise OptionError(f"conf_method={conf_method!r} is not there for a ratio pooled over strata; use 'log'")
    read = read_cells(formula, data, scales={}, arguments={"strata": strata}, missing=missing)
    if not read.event.any():
        raise OutcomeError(f"no event in the {read.groups.outcome.time.size} rows analysed: there is no ratio of rates")
    names = list(read.keys.columns)
    if len(names) != 1 or names == [strata]:
        raise OptionError(f"{formula!r}: name one column whose groups are compared; adjust for others with strata=")
    if strata:
        read.keys[strata] = read.groups.rows.frame[strata].to_numpy()[read.row]
    cells = tabulate(read, None, [*names, *([strata] if strata else [])])
    levels = list(cells[names[0]].unique())
    if len(levels) < 2:
        raise PredictorError(f"{names[0]!r} has one value ({shown(levels[0])}) in the rows analysed; a ratio needs two")
    columns = ["n_event", "person_time"]
    wide = cells.set_index([*names, *([strata] if strata else [])])[columns]
    empty = [level for level in levels if not wide.loc[level, "n_event"].sum()]
    if empty:
        named = ", ".join(shown(v) for v in empty)
        warn(f"no event in group {named} of {names[0]!r}: exact and mid-p limits hold", AllCensoredWarning)
    terms = tuple(f"{_plain(level)} vs {_plain(levels[0])}" for level in levels[1:])
    pooled = [_pool(*_aligned(wide, level, levels[0], strata)) for level in levels[1:]]
    ratio, log_se, difference, difference_se = (read_only([p[0][i] for p in pooled]) for i in range(4))
    return RateRatio(
        cells=cells,
        terms=terms,
        ratio=ratio,
        log_std_error=log_se,
        difference=difference,
        difference_std_error=difference_se,
        homogeneity={t: p[1] for t, p in zip(terms, pooled, strict=True)} if strata else {},
        conf_method=conf_method,
        strata=strata,
        nobs=read.groups.outcome.time.size,
        n_events=int(read.groups.outcome.event.sum()),
        provenance=read.groups.provenance(
            format_call("survival.rate_ratio", formula, strata=strata, conf_method=conf_method)
        ),
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else shown(value)


def _aligned(wide: pd.DataFrame, level: Any, reference: Any, strata: str | None) -> tuple[FloatArray, ...]:
    """Events and person-time of both groups, per stratum that has both."""
    if strata is None:
        pair = [wide.loc[[v]] for v in (level, reference)]
    else:
        pair = [wide.xs(v, level=0) for v in (level, reference)]
        both = pair[0].index.intersection(pair[1].index)
        if not len(both):
            raise PredictorError(f"groups {shown(level)} and {shown(reference)} share no stratum of {strata!r}")
        pair = [p.loc[both] for p in pair]
    return tuple(p[c].to_numpy(dtype=np.float64) for p in pair for c in ("n_event", "person_time"))


def _pool(
    a: FloatArray, t1: FloatArray, b: FloatArray, t0: FloatArray
) -> tuple[FloatArray, HypothesisTest | NotApplicable]:
    """Rate ratio and standard error of its log, rate difference and standard error; test of homogeneity."""
    t = t1 + t0
    r, s, common = float((a * t0 / t).sum()), float((b * t1 / t).sum()), t1 * t0 / t
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.float64(r) / s
        log_se = np.sqrt(((a + b) * common / t).sum() / (np.float64(r) * s))
    difference = (common * (a / t1 - b / t0)).sum() / common.sum()
    difference_se = np.sqrt((common**2 * (a / t1**2 + b / t0**2)).sum()) / common.sum()
    method = "homogeneity of rate ratios over strata (chi-square)"
    seen = (a > 0) & (b > 0)
    df = int(seen.sum()) - 1
    if df < 1:
        test: HypothesisTest | NotApplicable = NotApplicable("fewer than two strata have events in both groups", method)
    else:
        own = np.log(a[seen] / t1[seen] * t0[seen] / b[seen])
        statistic = float(((own - np.log(ratio)) ** 2 / (1 / a[seen] + 1 / b[seen])).sum())
        p_value = float(special.chdtrc(df, statistic))
        test = HypothesisTest(statistic, df, p_value, method, "one rate ratio in all strata")
    return np.array([ratio, log_se, difference, difference_se]), test
