"""Sign test, bootstrap of MR-Egger and MR-GRIP."""

from __future__ import annotations

from dxa_causal.mr.estimator import Estimator

FAMILY: dict[str, Estimator] = {}
