"""Harrell's and Uno's concordance of a Cox model's linear predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError
from dxa_causal._core.options import check_option
from dxa_causal._design import SurvivalOutcome, build_design, to_pandas
from dxa_causal._design.rows import columns_used
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import Provenance, Result, read_only, wald_columns
from dxa_causal.survival._kernels.concordance import concordance_later, concordance_totals, dense_ranks
from dxa_causal.survival._kernels.product_limit import product_limit
from dxa_causal.survival._kernels.risk_sets import counting_sort
from dxa_causal.survival.checks import stratum_codes
from dxa_causal.survival.cox import CoxFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Weighting = Literal["n", "uno", "S"]
_METHODS = {"n": "Harrell", "uno": "Uno", "S": "Peto-Wilcoxon"}


@dataclass(frozen=True, eq=False, slots=True)
class _Pairs:
    """What the standard error needs beyond the estimate; it costs twice the estimate, so it waits until asked for."""

    arguments: tuple[Any, ...]
    agree: FloatArray
    pairs: FloatArray
    total: float
    row: IntArray
    n_rows: int
    unit: IntArray | None
    frequency: bool

    def influence(self, estimate: float) -> FloatArray:
        agree, pairs = concordance_later(*self.arguments)
        weight = self.arguments[5]
        value = np.zeros(self.n_rows)
        value[self.row] = weight * (self.agree + agree - estimate * (self.pairs + pairs)) / self.total
        if self.unit is None:
            if self.frequency:  # a row that stands for w rows is w units, each with its own influence
                value[self.row] /= np.sqrt(weight)
            return value
        return np.asarray(np.bincount(self.unit, value), dtype=np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class Concordance(Result):
    """Concordance with its standard error and the pairs behind it.

    Attributes
    ----------
    estimate : float
    concordant, discordant, tied_score, tied_time : float
        Sums of weights of pairs; those tied in event time do not count.
    """

    title: ClassVar[str] = "Concordance"

    estimate: float
    concordant: float
    discordant: float
    tied_score: float
    tied_time: float
    weighting: Weighting
    nobs: int
    provenance: Provenance
    pairs: _Pairs
    estimand: str = "P(larger score fails first)"

    @cached_property
    def influence(self) -> FloatArray:
        """Influence of each row (or cluster) on the estimate, (n,)."""
        return read_only(self.pairs.influence(self.estimate))

    @cached_property
    def std_error(self) -> float:
        """Infinitesimal-jackknife standard error."""
        return float(np.sqrt(np.sum(self.influence**2)))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row: term "concordance", estimate, std_error and limits; the test is of one half."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a concordance")
        columns = wald_columns([self.estimate], [self.std_error], conf_level=conf_level)
        test = wald_columns([self.estimate - 0.5], [self.std_error], conf_level=conf_level)
        columns |= {"statistic": test["statistic"], "p_value": test["p_value"]}
        return pd.DataFrame({"term": ["concordance"], **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, concordance, method."""
        method = _METHODS[self.weighting]
        return pd.DataFrame({"nobs": [self.nobs], "concordance": [self.estimate], "method": [method]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The estimate with its limits."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure="Concordance", reference=0.5, log=False, ax=ax)


@dataclass(frozen=True, eq=False, repr=False)
class ConcordanceComparison(Result):
    """Concordances of several models on the same rows, and their differences from the first.

    Attributes
    ----------
    labels : tuple of str
    estimates : (k,) ndarray
    covariance : (k, k) ndarray
        Of the estimates, which share their rows.
    """

    title: ClassVar[str] = "Comparison of concordances"

    labels: tuple[str, ...]
    estimates: FloatArray
    covariance: FloatArray
    weighting: Weighting
    nobs: int
    provenance: Provenance
    estimand: str = "difference of P(larger score fails first)"

    @property
    def difference(self) -> FloatArray:
        """Concordance of each further model less that of the first, (k - 1,)."""
        return np.asarray(self.estimates[1:] - self.estimates[0])

    @property
    def difference_std_error(self) -> FloatArray:
        """Standard errors of `difference`, (k - 1,)."""
        v = np.diag(self.covariance)
        return np.asarray(np.sqrt(np.maximum(v[1:] + v[0] - 2 * self.covariance[0, 1:], 0.0)))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """A row per model (test: one half), then per difference from the first (test: zero)."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a concordance")
        se = np.sqrt(np.diag(self.covariance))
        own = wald_columns(self.estimates, se, conf_level=conf_level)
        test = wald_columns(self.estimates - 0.5, se, conf_level=conf_level)
        own |= {"statistic": test["statistic"], "p_value": test["p_value"]}
        change = wald_columns(self.difference, self.difference_std_error, conf_level=conf_level)
        terms = [*self.labels, *(f"{label} - {self.labels[0]}" for label in self.labels[1:])]
        return pd.DataFrame({"term": terms, **{k: np.concatenate([own[k], change[k]]) for k in own}})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, method."""
        return pd.DataFrame({"nobs": [self.nobs], "method": [_METHODS[self.weighting]]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The concordance of each model with its limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy().head(len(self.labels))
        return forest(table, effect_measure="Concordance", reference=0.5, log=False, ax=ax)


@overload
def concordance(
    fit: CoxFit, new: CoxFit, *, weighting: Weighting = ..., tau: float | None = ...
) -> ConcordanceComparison: ...
@overload
def concordance(fit: CoxFit, new: Any = ..., *, weighting: Weighting = ..., tau: float | None = ...) -> Concordance: ...
@overload
def concordance(
    fit: Sequence[CoxFit] | Mapping[str, CoxFit], new: Any = ..., *, weighting: Weighting = ..., tau: float | None = ...
) -> ConcordanceComparison: ...
def concordance(
    fit: CoxFit | Sequence[CoxFit] | Mapping[str, CoxFit],
    new: Any = None,
    *,
    weighting: Weighting = "n",
    tau: float | None = None,
) -> Concordance | ConcordanceComparison:
    r"""Probability that of two subjects the one with the larger linear predictor fails first.

    Parameters
    ----------
    fit : CoxFit, or sequence or mapping of CoxFit
        Several fits are compared with the first on the same rows.
    new : pandas or polars frame, or CoxFit, optional
        Rows to evaluate on; those of the fit when omitted. For a stratified
        fit only pairs within a stratum count. A second fit is compared with
        the first.
    weighting : {"n", "uno", "S"}
        "n": every comparable pair counts as its case weights say (Harrell).
        "uno": pairs are weighted by :math:`1 / \hat G(t-)^2`, with the
        Kaplan-Meier estimate G of the censoring times, so that the value does
        not depend on the censoring (Uno). "S": by
        :math:`n \hat S(t-) / n(t)`, the Peto-Wilcoxon weight.
    tau : float, optional
        Follow-up is cut here: only events before or at tau count (R's ymax).

    Returns
    -------
    Concordance or ConcordanceComparison

    Notes
    -----
    A pair is comparable when one had its event while the other was at risk
    and went on. Ties of the linear predictor count one half, ties of two
    event times not at all. The standard error is the infinitesimal
    jackknife (each row's influence through both its roles in a pair); that of
    a difference takes the difference of the influences. Cost: O(n log n).

    References
    ----------
    Harrell FE, Lee KL, Mark DB. Stat Med 1996;15:361-387.
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4
    Uno H, et al. Stat Med 2011;30:1105-1117. doi:10.1002/sim.4154
    """
    check_option("weighting", weighting, Weighting)
    if isinstance(new, CoxFit):
        if not isinstance(fit, CoxFit):
            raise OptionError("concordance: give the fits to compare as one list")
        fit, new = [fit, new], None
    if isinstance(fit, CoxFit):
        return _evaluate(fit, new, weighting, tau)
    if not isinstance(fit, Sequence | Mapping):
        raise OptionError(f"concordance needs a fit of survival.cox, not {type(fit).__name__}")
    labels, fits = _labelled(fit)
    parts = [_evaluate(f, new, weighting, tau) for f in fits]
    _refuse_unlike(fits, parts, new)
    influence = np.column_stack([p.influence for p in parts])
    return ConcordanceComparison(
        labels=labels,
        estimates=read_only([p.estimate for p in parts]),
        covariance=read_only(influence.T @ influence),
        weighting=weighting,
        nobs=parts[0].nobs,
        provenance=parts[0].provenance,
    )


def _labelled(fits: Sequence[CoxFit] | Mapping[str, CoxFit]) -> tuple[tuple[str, ...], list[CoxFit]]:
    given: list[CoxFit] = list(fits.values() if isinstance(fits, Mapping) else fits)
    if len(given) < 2 or not all(isinstance(f, CoxFit) for f in given):
        raise OptionError("concordance needs a fit of survival.cox, or at least two of them to compare")
    if isinstance(fits, Mapping):
        return tuple(str(k) for k in fits), given
    texts = [f.design.parts.fixed for f in given]
    return tuple(texts) if len(set(texts)) == len(texts) else tuple(f"model {i + 1}" for i in range(len(texts))), given


def _refuse_unlike(fits: list[CoxFit], parts: list[Concordance], new: Any) -> None:
    first = fits[0].design
    for other, part in zip(fits[1:], parts[1:]):
        d = other.design
        same = part.nobs == parts[0].nobs and part.influence.size == parts[0].influence.size
        if new is None:
            same = same and d.index.equals(first.index) and np.array_equal(d.survival.time, first.survival.time)
            same = same and np.array_equal(d.survival.event, first.survival.event)
        if not same:
            raise OptionError(
                f"concordance: the fits use different rows ({parts[0].nobs} and {part.nobs}) or outcomes; missing "
                "values in one model only? Drop the rows incomplete in any of them first"
            )


def _evaluate(fit: CoxFit, new: Any, weighting: Weighting, tau: float | None) -> Concordance:
    if not isinstance(fit, CoxFit):
        raise OptionError(f"concordance needs a fit of survival.cox, not {type(fit).__name__}")
    outcome, score, codes, weight, provenance = _fitted(fit) if new is None else _new(fit, new)
    if tau is not None:
        outcome, kept = _cut(outcome, tau)
        score, codes, weight = score[kept], codes[kept], weight[kept]
    else:
        kept = np.ones(score.size, dtype=bool)
    fitted = new is None and tau is None
    times = fit.times if fitted else rank_times(outcome.time, outcome.entry)
    death_weight = np.ones(score.size)
    if weighting != "n" and outcome.entry is not None:
        raise OptionError(f"weighting={weighting!r} needs right-censored data without delayed entry")
    if weighting == "uno":
        death_weight = _inverse_censoring(times, outcome.event, codes, weight)
    elif weighting == "S":
        death_weight = _peto(times, outcome.event, codes, weight)
    order = _sorted_rows(times.rank, codes)
    value, codes = score[order], codes[order]
    scores, n_scores = dense_ranks(value, np.argsort(value))
    if times.entry_rank is None:
        start, by_start = np.full(score.size, -1, dtype=np.int64), np.empty(0, dtype=np.int64)
    else:
        start = times.entry_rank[order]
        by_start = _sorted_rows(start, codes)
    rows = (times.rank[order], outcome.event[order], weight[order], death_weight[order])
    arguments = (scores, n_scores, start, *rows, by_start, codes)
    totals, agree, pairs = concordance_totals(*arguments)
    total = float(totals[:3].sum())
    if total == 0.0:
        raise OutcomeError("no pair of rows is comparable: concordance is undefined (too few events?)")
    cluster = fit.design.column(fit.cluster) if new is None else None
    unit = None if cluster is None else np.asarray(pd.factorize(cluster)[0], dtype=np.int64)
    return Concordance(
        estimate=float((totals[0] + 0.5 * totals[2]) / total),
        concordant=float(totals[0]),
        discordant=float(totals[1]),
        tied_score=float(totals[2]),
        tied_time=float(totals[3]),
        weighting=weighting,
        nobs=score.size,
        provenance=provenance,
        pairs=_Pairs(
            arguments, agree, pairs, total, np.flatnonzero(kept)[order], kept.size, unit, fit.weight_type == "frequency"
        ),
    )


def _sorted_rows(rank: IntArray, codes: IntArray) -> IntArray:
    """Rows sorted by stratum then rank (-1 or more)."""
    n_ranks = int(rank.max()) + 2
    size = (int(codes.max()) + 1) * n_ranks
    if size > 8 * rank.size + 1024:  # many strata: a table of all pairs would be too large
        return np.asarray(np.lexsort((rank, codes)), dtype=np.int64)
    return np.asarray(counting_sort(codes * n_ranks + rank + 1, size), dtype=np.int64)


def _cut(outcome: SurvivalOutcome, tau: float) -> tuple[SurvivalOutcome, npt.NDArray[np.bool_]]:
    """The outcome with follow-up ending at tau, and which rows have any of it."""
    if not tau > 0:
        raise OptionError(f"tau={tau!r} must be a positive time")
    kept = np.ones(outcome.time.size, dtype=bool) if outcome.entry is None else outcome.entry < tau
    time, event = outcome.time[kept], outcome.event[kept]
    entry = None if outcome.entry is None else outcome.entry[kept]
    late = time > tau
    return replace(outcome, time=np.where(late, tau, time), event=np.where(late, 0, event), entry=entry), kept


Inputs = tuple[SurvivalOutcome, FloatArray, IntArray, FloatArray, Provenance]


def _fitted(fit: CoxFit) -> Inputs:
    codes, _ = stratum_codes(fit.design, fit.strata)
    weight = fit.design.number(fit.weights, argument="weights")
    return (
        fit.design.survival,
        fit.linear_predictor,
        np.zeros(len(fit.design.x), dtype=np.int64) if codes is None else codes,
        np.ones(len(fit.design.x)) if weight is None else weight,
        fit.provenance,
    )


def _new(fit: CoxFit, new: Any) -> Inputs:
    frame = to_pandas(new)
    # covariates are coded as at the fit: new rows need not hold every level
    covariates = columns_used(fit.design.parts.fixed, fit.design.rows.frame.columns)
    arguments = {"strata": fit.strata, "weights": fit.weights, "offset": fit.offset}
    arguments |= {f"covariate {name}": name for name in covariates}
    design = build_design(f"{fit.design.parts.outcome} ~ 1", frame, arguments=arguments)
    x, _ = fit.design.new(design.rows.frame)
    score = np.zeros(len(x))
    for k, beta in enumerate(fit.coefficients):
        score += x[:, k] * beta
    offset = design.number(fit.offset, argument="offset")
    codes, _ = stratum_codes(design, fit.strata)
    weight = design.number(fit.weights, argument="weights")
    return (
        design.survival,
        score if offset is None else score + offset,
        np.zeros(score.size, dtype=np.int64) if codes is None else codes,
        np.ones(score.size) if weight is None else weight,
        design.provenance("survival.concordance(fit, data)"),
    )


def _inverse_censoring(times: RankedTimes, event: IntArray, codes: IntArray, weight: FloatArray) -> FloatArray:
    """1 / G(t-)^2 at each row's exit, G being the Kaplan-Meier of the censoring time within the stratum."""
    value = np.ones(event.size)
    for own in _by_stratum(codes):
        # a subject with an event at t was still uncensored at t: events come first at tied times
        rank = 2 * times.rank[own] + (1 - event[own])
        curve = product_limit(rank, None, 1 - event[own], weight[own], robust=False)
        before = np.searchsorted(curve.place, 2 * times.rank[own], side="left")
        g = np.concatenate([[1.0], curve.survival])[before]
        value[own] = np.where(event[own] == 1, 1.0 / np.maximum(g, np.finfo(float).tiny) ** 2, 1.0)
    return value


def _peto(times: RankedTimes, event: IntArray, codes: IntArray, weight: FloatArray) -> FloatArray:
    """N S(t-) / n(t) at each row's exit, within the stratum."""
    value = np.ones(event.size)
    for own in _by_stratum(codes):
        curve = product_limit(times.rank[own], None, event[own], weight[own], robust=False)
        place = np.searchsorted(curve.place, times.rank[own])
        before = np.concatenate([[1.0], curve.survival])[place]
        value[own] = weight[own].sum() * before / curve.n_risk[place]
    return value


def _by_stratum(codes: IntArray) -> list[IntArray]:
    """Rows of each stratum."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
