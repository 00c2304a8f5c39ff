"""Survival analysis: curves and their tests, Cox's model and its relatives, competing risks, rates, sampled cohorts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dxa_causal.survival.aalen import AalenFit, aalen_additive
from dxa_causal.survival.aalen_johansen import AalenJohansenFit, aalen_johansen
from dxa_causal.survival.anova import Anova, anova
from dxa_causal.survival.attributable import AttributableFraction, attributable_fraction
from dxa_causal.survival.bootstrap import CoxBootstrap, bootstrap
from dxa_causal.survival.case_cohort import CaseCohortFit, case_cohort
from dxa_causal.survival.cause_specific import CauseSpecificFit, cause_specific
from dxa_causal.survival.concordance import Concordance, ConcordanceComparison, concordance
from dxa_causal.survival.control_sampling import sample_controls
from dxa_causal.survival.cox import CoxFit, cox
from dxa_causal.survival.cross_validation import CrossValidation, cross_validate
from dxa_causal.survival.direct_standardisation import StandardisedRate, standardised_rate
from dxa_causal.survival.distribution_comparison import DistributionComparison, compare_distributions
from dxa_causal.survival.dose_response import DoseResponse, dose_response
from dxa_causal.survival.evaluation.calibration import Calibration, calibration
from dxa_causal.survival.evaluation.d_calibration import DCalibration, d_calibration
from dxa_causal.survival.evaluation.decision_curve import DecisionCurve, decision_curve
from dxa_causal.survival.evaluation.delong import DelongComparison, delong
from dxa_causal.survival.evaluation.evaluate import Evaluation, evaluate
from dxa_causal.survival.evaluation.nested_cross_validation import NestedCrossValidation, nested_cross_validation
from dxa_causal.survival.evaluation.optimism import OptimismCorrection, optimism
from dxa_causal.survival.evaluation.reclassification import Reclassification, reclassification
from dxa_causal.survival.evaluation.royston_d import RoystonD, royston_d
from dxa_causal.survival.evaluation.subgroups import SubgroupEvaluation, evaluate_subgroups
from dxa_causal.survival.evaluation.validation_by_site import InternalExternal, internal_external
from dxa_causal.survival.fine_gray import FineGrayFit, fine_gray, total_incidence
from dxa_causal.survival.frailty import FrailtyFit, cox_frailty
from dxa_causal.survival.gray_test import gray_test
from dxa_causal.survival.indirect_standardisation import StandardisedRatio, smr
from dxa_causal.survival.interaction import Interaction, interaction
from dxa_causal.survival.interval_cox import interval_cox
from dxa_causal.survival.interval_cox_result import IntervalCoxFit
from dxa_causal.survival.kaplan_meier import KaplanMeierFit, kaplan_meier
from dxa_causal.survival.lin_ying import LinYingFit, lin_ying
from dxa_causal.survival.logrank import logrank
from dxa_causal.survival.mean_cumulative import MeanCumulativeFit, mean_cumulative
from dxa_causal.survival.multistate.illness_death import illness_death
from dxa_causal.survival.multistate.illness_death_result import IllnessDeathFit
from dxa_causal.survival.multistate.multi_state import multi_state
from dxa_causal.survival.multistate.multi_state_result import MultiStateFit
from dxa_causal.survival.multistate.occupation import state_occupation
from dxa_causal.survival.multistate.occupation_result import StateOccupationFit
from dxa_causal.survival.multistate.panel_markov import panel_markov
from dxa_causal.survival.multistate.panel_markov_result import PanelMarkovFit
from dxa_causal.survival.nelson_aalen import NelsonAalenFit, nelson_aalen
from dxa_causal.survival.nested_case_control import NestedCaseControlFit, nested_case_control
from dxa_causal.survival.parametric import ParametricFit, parametric
from dxa_causal.survival.parametric_prediction import predict_lifetime
from dxa_causal.survival.person_years import PersonYears, person_years
from dxa_causal.survival.ph_test import PhTest, ph_test
from dxa_causal.survival.prediction import predict_cox
from dxa_causal.survival.pseudo import pseudo_observations
from dxa_causal.survival.pseudo_regression import PseudoFit, pseudo_regression
from dxa_causal.survival.rates import RateRatio, rate_ratio
from dxa_causal.survival.recurrent import RecurrentFit, recurrent
from dxa_causal.survival.residuals import residuals
from dxa_causal.survival.rmst import RmstFit, rmst
from dxa_causal.survival.royston_parmar import RoystonParmarFit, royston_parmar
from dxa_causal.survival.turnbull import TurnbullFit, turnbull

if TYPE_CHECKING:
    from dxa_causal.survival.learners import (
        CoxNet,
        GradientBoostedSurvival,
        PermutationImportance,
        RandomSurvivalForest,
        StackedSurvival,
        SurvivalLearner,
        permutation_importance,
        survival_outcome,
    )

__all__ = [
    "AalenFit",
    "AalenJohansenFit",
    "Anova",
    "AttributableFraction",
    "Calibration",
    "CaseCohortFit",
    "CauseSpecificFit",
    "Concordance",
    "ConcordanceComparison",
    "CoxBootstrap",
    "CoxFit",
    "CoxNet",
    "CrossValidation",
    "DCalibration",
    "DecisionCurve",
    "DelongComparison",
    "DistributionComparison",
    "DoseResponse",
    "Evaluation",
    "FineGrayFit",
    "FrailtyFit",
    "GradientBoostedSurvival",
    "IllnessDeathFit",
    "Interaction",
    "InternalExternal",
    "IntervalCoxFit",
    "KaplanMeierFit",
    "LinYingFit",
    "MeanCumulativeFit",
    "MultiStateFit",
    "NelsonAalenFit",
    "NestedCaseControlFit",
    "NestedCrossValidation",
    "OptimismCorrection",
    "PanelMarkovFit",
    "ParametricFit",
    "PermutationImportance",
    "PersonYears",
    "PhTest",
    "PseudoFit",
    "RandomSurvivalForest",
    "RateRatio",
    "Reclassification",
    "RecurrentFit",
    "RmstFit",
    "RoystonD",
    "RoystonParmarFit",
    "StackedSurvival",
    "StandardisedRate",
    "StandardisedRatio",
    "StateOccupationFit",
    "SubgroupEvaluation",
    "SurvivalLearner",
    "TurnbullFit",
    "aalen_additive",
    "aalen_johansen",
    "anova",
    "attributable_fraction",
    "bootstrap",
    "calibration",
    "case_cohort",
    "cause_specific",
    "compare_distributions",
    "concordance",
    "cox",
    "cox_frailty",
    "cross_validate",
    "d_calibration",
    "decision_curve",
    "delong",
    "dose_response",
    "evaluate",
    "evaluate_subgroups",
    "fine_gray",
    "gray_test",
    "illness_death",
    "interaction",
    "internal_external",
    "interval_cox",
    "kaplan_meier",
    "lin_ying",
    "logrank",
    "mean_cumulative",
    "multi_state",
    "nelson_aalen",
    "nested_case_control",
    "nested_cross_validation",
    "optimism",
    "panel_markov",
    "parametric",
    "permutation_importance",
    "person_years",
    "ph_test",
    "predict_cox",
    "predict_lifetime",
    "pseudo_observations",
    "pseudo_regression",
    "rate_ratio",
    "reclassification",
    "recurrent",
    "residuals",
    "rmst",
    "royston_d",
    "royston_parmar",
    "sample_controls",
    "smr",
    "standardised_rate",
    "state_occupation",
    "survival_outcome",
    "total_incidence",
    "turnbull",
]

_LEARNERS = {
    "CoxNet",
    "GradientBoostedSurvival",
    "PermutationImportance",
    "RandomSurvivalForest",
    "StackedSurvival",
    "SurvivalLearner",
    "permutation_importance",
    "survival_outcome",
}


def __getattr__(name: str) -> Any:
    if name in _LEARNERS:  # scikit-learn takes as long to load as all the rest
        from dxa_causal.survival import learners

        return getattr(learners, name)
    raise AttributeError(f"module 'dxa_causal.survival' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
