"""Estimators of one causal effect, one family a file; each file lists its own in ``FAMILY``."""
