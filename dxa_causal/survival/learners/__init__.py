"""Prediction of survival with scikit-learn's interface: penalised Cox, forests, boosting and their combination."""

from dxa_causal.survival.learners.boosting import GradientBoostedSurvival
from dxa_causal.survival.learners.coxnet import CoxNet
from dxa_causal.survival.learners.forest import RandomSurvivalForest
from dxa_causal.survival.learners.importance import PermutationImportance, permutation_importance
from dxa_causal.survival.learners.learner import SurvivalLearner
from dxa_causal.survival.learners.outcome import survival_outcome
from dxa_causal.survival.learners.stacking import StackedSurvival

__all__ = [
    "CoxNet",
    "GradientBoostedSurvival",
    "PermutationImportance",
    "RandomSurvivalForest",
    "StackedSurvival",
    "SurvivalLearner",
    "permutation_importance",
    "survival_outcome",
]
