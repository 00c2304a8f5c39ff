"""Propensity scores: weights, balance, and the weighted difference in means."""

from dxa_causal.propensity.difference import MeanDifference, mean_difference
from dxa_causal.propensity.weighting import PropensityWeights, weight

__all__ = ["MeanDifference", "PropensityWeights", "mean_difference", "weight"]
