"""Kernels of quality control: arrays in, small records out."""
