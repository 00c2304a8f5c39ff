"""Case-cohort estimators of Cox's model, with the variance that sampling adds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dxa_causal._numerics.times import RankedTimes
from dxa_causal.survival._kernels.cox import EFRON, CoxData, maximise, prepare, score_residuals
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Added to the linear predictor, takes a row out of every risk set (a factor of 4e-44) but not out of the events.
_ABSENT = -100.0


@dataclass(frozen=True, slots=True)
class CaseCohortEstimate:
    """An estimate from a case-cohort sample, on the original scale.

    Attributes
    ----------
    coefficients : (p,) ndarray
    covariance, sampling : (p, p) ndarray
        In all, and what sampling the subcohort adds.
    maximum : CoxEstimate
        Of the pseudo-likelihood, for what it says on convergence.
    """

    coefficients: FloatArray
    covariance: FloatArray
    sampling: FloatArray
    maximum: CoxEstimate


def against_subcohort(
    x: FloatArray,
    times: RankedTimes,
    case: BoolArray,
    member: BoolArray,
    *,
    size: int,
    self_prentice: bool,
    robust: bool,
) -> CaseCohortEstimate:
    """Prentice's and Self and Prentice's estimators.

    Parameters
    ----------
    x : (n, p) ndarray
    times : RankedTimes
    case, member : (n,) ndarray of bool
        Has the event; belongs to the subcohort.
    size : int
        Of the cohort.
    self_prentice : bool
        Risk sets without the case when it is not a member.
    robust : bool
    """
    # Self-Prentice: an event row per case, never at risk, and a censored row per member of the subcohort
    cases = np.flatnonzero(case & ~_alone(times, member))
    person = np.concatenate([cases, np.flatnonzero(member)])
    event = np.arange(person.size) < cases.size
    entry = None if times.entry_rank is None else times.entry_rank[person]
    stacked = replace(times, rank=times.rank[person], entry_rank=entry)
    data, fit, inverse = _fit(x[person], stacked, event, np.where(event, _ABSENT, 0.0))
    dfbeta = _dfbeta(data, fit, inverse, person.size)
    sampling = (1 - member.sum() / size) * (dfbeta[~event].T @ dfbeta[~event])
    covariance = inverse + sampling
    if robust:
        by_person = np.zeros(x.shape)
        np.add.at(by_person, person, dfbeta)
        covariance = by_person.T @ by_person
    rescale = np.outer(data.scale, data.scale)
    if self_prentice:
        return CaseCohortEstimate(fit.beta / data.scale, covariance / rescale, sampling / rescale, fit)
    # cases from outside the subcohort are at risk at their own event only; one rank more leaves room for time zero
    entry = np.zeros(case.size, dtype=np.int64) if times.entry_rank is None else times.entry_rank + 1
    room = np.concatenate([times.distinct[:1] - 1.0, times.distinct])
    own = RankedTimes(room, times.rank + 1, np.where(member, entry, times.rank))
    data, prentice, _ = _fit(x, own, case, np.zeros(case.size))
    return CaseCohortEstimate(prentice.beta / data.scale, covariance / rescale, sampling / rescale, prentice)


def _alone(times: RankedTimes, member: BoolArray) -> BoolArray:
    """Whether no member was at risk at a row's exit though some left later.

    An event there says nothing, and sums from which the members were taken out again have no digits left for
    rows that are absent.
    """
    later = member.sum() - np.searchsorted(np.sort(times.rank[member]), times.rank, side="left")
    if times.entry_rank is None:
        return np.zeros(member.size, dtype=bool)
    not_yet = member.sum() - np.searchsorted(np.sort(times.entry_rank[member]), times.rank, side="left")
    return np.asarray((later > 0) & (later == not_yet))


def weighted(
    x: FloatArray,
    times: RankedTimes,
    case: BoolArray,
    stratum: IntArray,
    *,
    size: IntArray,
    lost: int,
    robust: bool,
) -> CaseCohortEstimate:
    """Lin and Ying's estimator, Borgan's second when stratified: a non-case weighs what it stands for.

    Parameters
    ----------
    x : (n, p) ndarray
    times : RankedTimes
    case : (n,) ndarray of bool
    stratum : (n,) ndarray of int64
    size : (strata,) ndarray of int64
        Of the cohort.
    lost : int
        Degrees of freedom lost to the mean score of a stratum: 0 in Lin and Ying's formula, 1 in Borgan's.
    robust : bool
    """
    others = size - np.bincount(stratum[case], minlength=size.size)
    sampled = np.bincount(stratum[~case], minlength=size.size)
    each = others / np.maximum(sampled, 1)
    weight = np.where(case, 1.0, each[stratum])
    data, fit, inverse = _fit(x, times, case, np.log(weight))
    dfbeta = _dfbeta(data, fit, inverse, case.size)
    own, code = (dfbeta / weight[:, None])[~case], stratum[~case]
    mean = np.zeros((size.size, x.shape[1]))
    np.add.at(mean, code, own)
    own = own - (mean / np.maximum(sampled, 1)[:, None])[code]
    factor = (each - 1) * others / np.maximum(sampled - lost, 1)
    sampling = (own * factor[code, None]).T @ own
    covariance = sampling + ((dfbeta / weight[:, None]).T @ dfbeta if robust else inverse)
    rescale = np.outer(data.scale, data.scale)
    return CaseCohortEstimate(fit.beta / data.scale, covariance / rescale, sampling / rescale, fit)


def _fit(
    x: FloatArray, times: RankedTimes, event: BoolArray, offset: FloatArray
) -> tuple[CoxData, CoxEstimate, FloatArray]:
    """Sorted data, maximum and inverse information, standardised."""
    sets = build_risk_sets(times, event.astype(np.int64), None)
    data = prepare(x, sets, weight=None, offset=offset, ties=EFRON)
    fit = maximise(data)
    # a singular information is reported by the caller
    inverse = np.linalg.pinv(fit.information) if fit.singular else np.linalg.inv(fit.information)
    return data, fit, np.asarray(inverse, dtype=np.float64)


def _dfbeta(data: CoxData, fit: CoxEstimate, inverse: FloatArray, n: int) -> FloatArray:
    full = np.zeros((n, fit.beta.size))
    full[data.sets.order] = score_residuals(data, fit.beta) @ inverse
    return full
