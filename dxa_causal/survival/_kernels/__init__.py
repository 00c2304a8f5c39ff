"""Numba kernels of the survival room: arrays in, small records out."""

from dxa_causal.survival._kernels import (
    aalen,
    comparison,
    concordance,
    control_sampling,
    cox,
    exact,
    fine_gray,
    firth,
    frailty,
    influence,
    mean_cumulative,
    time_varying,
)

__all__ = [
    "aalen",
    "comparison",
    "concordance",
    "control_sampling",
    "cox",
    "exact",
    "fine_gray",
    "firth",
    "frailty",
    "influence",
    "mean_cumulative",
    "time_varying",
]
