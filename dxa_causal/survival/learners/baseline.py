"""Breslow's cumulative baseline hazard of a risk score."""

from __future__ import annotations

import numpy as np

from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.risk_sets import RiskSets, build_risk_sets
from dxa_causal.survival.learners.features import FloatArray
from dxa_causal.survival.learners.outcome import TrainingOutcome


def risk_sets(outcome: TrainingOutcome) -> RiskSets:
    """Who is at risk at which event."""
    return build_risk_sets(rank_times(outcome.time, outcome.entry), outcome.event, None)


def breslow_hazard(risk: FloatArray, outcome: TrainingOutcome, weight: FloatArray, times: FloatArray) -> FloatArray:
    """Breslow's cumulative baseline hazard at `times`, for log risks."""
    sets = risk_sets(outcome)
    relative = (weight * np.exp(risk))[sets.order]
    n_groups = sets.group_closes.size
    enter = np.bincount(sets.last, relative, n_groups)
    late = sets.before >= 0
    enter -= np.bincount(sets.before[late], relative[late], n_groups)
    at_risk = np.cumsum(enter[::-1])[::-1]
    deaths = np.bincount(sets.last, weight[sets.order] * sets.event, n_groups)
    jumps = np.divide(deaths, at_risk, out=np.zeros(n_groups), where=deaths > 0)
    steps = rank_times(outcome.time, outcome.entry).distinct[sets.group_rank]
    total = np.concatenate([[0.0], np.cumsum(jumps)])
    return np.asarray(total[np.searchsorted(steps, times, side="right")])
