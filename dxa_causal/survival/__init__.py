"""Survival analysis: Cox's model, Kaplan-Meier, log-rank, concordance."""

from dxa_causal.survival.concordance import Concordance, concordance
from dxa_causal.survival.cox import CoxFit, cox
from dxa_causal.survival.cross_validation import CrossValidation, cross_validate
from dxa_causal.survival.kaplan_meier import KaplanMeierFit, kaplan_meier
from dxa_causal.survival.logrank import logrank
from dxa_causal.survival.prediction import predict_cox

__all__ = [
    "Concordance",
    "CoxFit",
    "CrossValidation",
    "KaplanMeierFit",
    "concordance",
    "cox",
    "cross_validate",
    "kaplan_meier",
    "logrank",
    "predict_cox",
]
