"""Contamination mixture and heterogeneity penalisation."""

from __future__ import annotations

from dxa_causal.mr.estimator import Estimator

FAMILY: dict[str, Estimator] = {}
