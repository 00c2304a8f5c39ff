"""Numba kernels of the survival room: arrays in, small records out."""

from dxa_causal.survival._kernels import concordance, cox, exact, firth, time_varying

__all__ = ["concordance", "cox", "exact", "firth", "time_varying"]
