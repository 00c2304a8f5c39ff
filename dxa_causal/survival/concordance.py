"""Harrell's and Uno's concordance of a Cox model's linear predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError
from dxa_causal._core.options import check_option
from dxa_causal._design import SurvivalOutcome, build_design, to_pandas
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import Provenance, Result, wald_columns
from dxa_causal.survival._kernels.concordance import concordance_pairs
from dxa_causal.survival._kernels.product_limit import product_limit
from dxa_causal.survival.cox import CoxFit, stratum_codes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Weighting = Literal["n", "uno"]


@dataclass(frozen=True, eq=False, repr=False)
class Concordance(Result):
    """Concordance with its standard error and the pairs behind it.

    Attributes
    ----------
    estimate, std_error : float
    concordant, discordant, tied_score, tied_time : float
        Sums of weights of pairs; those tied in event time do not count.
    """

    title: ClassVar[str] = "Concordance"

    estimate: float
    std_error: float
    concordant: float
    discordant: float
    tied_score: float
    tied_time: float
    weighting: Weighting
    nobs: int
    provenance: Provenance
    estimand: str = "P(larger score fails first)"

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
        method = "Harrell" if self.weighting == "n" else "Uno"
        return pd.DataFrame({"nobs": [self.nobs], "concordance": [self.estimate], "method": [method]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The estimate with its limits."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure="Concordance", reference=0.5, log=False, ax=ax)


def concordance(fit: CoxFit, new: Any = None, *, weighting: Weighting = "n") -> Concordance:
    r"""Probability that of two subjects the one with the larger linear predictor fails first.

    Parameters
    ----------
    fit : CoxFit
    new : pandas or polars frame, optional
        Rows to evaluate on; those of the fit when omitted. For a stratified
        fit only pairs within a stratum count.
    weighting : {"n", "uno"}
        "n": every comparable pair counts as its case weights say (Harrell).
        "uno": pairs are weighted by :math:`1 / \hat G(t-)^2`, with the
        Kaplan-Meier estimate G of the censoring times, so that the value does
        not depend on the censoring (Uno).

    Returns
    -------
    Concordance

    Notes
    -----
    A pair is comparable when one had its event while the other was at risk
    and went on. Ties of the linear predictor count one half, ties of two
    event times not at all. The standard error is the infinitesimal
    jackknife (each row's influence through both its roles in a pair). Cost:
    O(n log n).

    References
    ----------
    Harrell FE, Lee KL, Mark DB. Stat Med 1996;15:361-387.
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4
    Uno H, et al. Stat Med 2011;30:1105-1117. doi:10.1002/sim.4154
    """
    check_option("weighting", weighting, Weighting)
    if not isinstance(fit, CoxFit):
        raise OptionError(f"concordance needs a fit of survival.cox, not {type(fit).__name__}")
    outcome, score, codes, weight, provenance = _fitted(fit) if new is None else _new(fit, new)
    times = rank_times(outcome.time, outcome.entry)
    death_weight = np.ones(score.size)
    if weighting == "uno":
        if outcome.entry is not None:
            raise OptionError("weighting='uno' needs right-censored data without delayed entry")
        death_weight = _inverse_censoring(times, outcome.event, codes, weight)
    ranks, scores = np.unique(score, return_inverse=True)
    start = np.full(score.size, -1, dtype=np.int64) if times.entry_rank is None else times.entry_rank
    totals, agree, pairs = concordance_pairs(
        np.ascontiguousarray(scores, dtype=np.int64),
        ranks.size,
        np.ascontiguousarray(start),
        np.ascontiguousarray(times.rank),
        outcome.event,
        weight,
        death_weight,
        np.lexsort((times.rank, codes)),
        np.lexsort((start, codes)),
        codes,
    )
    total = float(totals[:3].sum())
    if total == 0.0:
        raise OutcomeError("no pair of rows is comparable: concordance is undefined (too few events?)")
    estimate = float((totals[0] + 0.5 * totals[2]) / total)
    influence = weight * (agree - estimate * pairs) / total
    return Concordance(
        estimate=estimate,
        std_error=float(np.sqrt(np.sum(_by_cluster(fit, influence, new is None) ** 2))),
        concordant=float(totals[0]),
        discordant=float(totals[1]),
        tied_score=float(totals[2]),
        tied_time=float(totals[3]),
        weighting=weighting,
        nobs=score.size,
        provenance=provenance,
    )


Inputs = tuple[SurvivalOutcome, FloatArray, IntArray, FloatArray, Provenance]


def _fitted(fit: CoxFit) -> Inputs:
    codes, _ = stratum_codes(fit.design, fit.strata)
    weight = fit.design.number(fit.weights, argument="weights")
    return (
        fit.design.survival,
        fit.linear_predictor,
        np.zeros(fit.nobs, dtype=np.int64) if codes is None else codes,
        np.ones(fit.nobs) if weight is None else weight,
        fit.provenance,
    )


def _new(fit: CoxFit, new: Any) -> Inputs:
    frame = to_pandas(new)
    arguments = {"strata": fit.strata, "weights": fit.weights, "offset": fit.offset}
    design = build_design(f"{fit.design.parts.outcome} ~ {fit.design.parts.fixed}", frame, arguments=arguments)
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


def _by_cluster(fit: CoxFit, influence: FloatArray, fitted: bool) -> FloatArray:
    column = fit.design.column(fit.cluster) if fitted else None
    if column is None:
        return influence
    return np.asarray(np.bincount(pd.factorize(column)[0], influence), dtype=np.float64)


def _inverse_censoring(times: RankedTimes, event: IntArray, codes: IntArray, weight: FloatArray) -> FloatArray:
    """1 / G(t-)^2 at each row's exit, G being the Kaplan-Meier of the censoring time within the stratum."""
    value = np.ones(event.size)
    for code in np.unique(codes):
        own = np.flatnonzero(codes == code)
        # a subject with an event at t was still uncensored at t: events come first at tied times
        rank = 2 * times.rank[own] + (1 - event[own])
        curve = product_limit(rank, None, 1 - event[own], weight[own], robust=False)
        before = np.searchsorted(curve.place, 2 * times.rank[own], side="left")
        g = np.concatenate([[1.0], curve.survival])[before]
        value[own] = np.where(event[own] == 1, 1.0 / np.maximum(g, np.finfo(float).tiny) ** 2, 1.0)
    return value
