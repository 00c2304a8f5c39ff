"""Numba kernels of the survival room: arrays in, small records out."""

from dxa_causal.survival._kernels import (
    aalen,
    comparison,
    concordance,
    control_sampling,
    cox,
    elastic_net,
    exact,
    fine_gray,
    firth,
    frailty,
    influence,
    mean_cumulative,
    state_occupation,
    time_varying,
    transition_probabilities,
)

__all__ = [
    "aalen",
    "comparison",
    "concordance",
    "control_sampling",
    "cox",
    "elastic_net",
    "exact",
    "fine_gray",
    "firth",
    "frailty",
    "influence",
    "mean_cumulative",
    "state_occupation",
    "time_varying",
    "transition_probabilities",
]
