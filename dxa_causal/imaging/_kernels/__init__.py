"""Numba kernels of the imaging room: planar maps in, texture features and variograms out."""

from dxa_causal.imaging._kernels import texture, variogram

__all__ = ["texture", "variogram"]
