"""Numba kernels of the imaging room: texture and variograms of planar maps, statistics of quality control."""

from dxa_causal.imaging._kernels import texture, variogram

__all__ = ["texture", "variogram"]
