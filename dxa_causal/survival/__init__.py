"""Survival analysis: curves and their tests, Cox's model and its relatives, competing risks, rates, sampled cohorts."""

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
from dxa_causal.survival.dose_response import DoseResponse, dose_response
from dxa_causal.survival.fine_gray import FineGrayFit, fine_gray, total_incidence
from dxa_causal.survival.frailty import FrailtyFit, cox_frailty
from dxa_causal.survival.gray_test import gray_test
from dxa_causal.survival.indirect_standardisation import StandardisedRatio, smr
from dxa_causal.survival.interaction import Interaction, interaction
from dxa_causal.survival.kaplan_meier import KaplanMeierFit, kaplan_meier
from dxa_causal.survival.lin_ying import LinYingFit, lin_ying
from dxa_causal.survival.logrank import logrank
from dxa_causal.survival.mean_cumulative import MeanCumulativeFit, mean_cumulative
from dxa_causal.survival.nelson_aalen import NelsonAalenFit, nelson_aalen
from dxa_causal.survival.nested_case_control import NestedCaseControlFit, nested_case_control
from dxa_causal.survival.person_years import PersonYears, person_years
from dxa_causal.survival.ph_test import PhTest, ph_test
from dxa_causal.survival.prediction import predict_cox
from dxa_causal.survival.pseudo import pseudo_observations
from dxa_causal.survival.pseudo_regression import PseudoFit, pseudo_regression
from dxa_causal.survival.rates import RateRatio, rate_ratio
from dxa_causal.survival.recurrent import RecurrentFit, recurrent
from dxa_causal.survival.residuals import residuals
from dxa_causal.survival.rmst import RmstFit, rmst

__all__ = [
    "AalenFit",
    "AalenJohansenFit",
    "Anova",
    "AttributableFraction",
    "CaseCohortFit",
    "CauseSpecificFit",
    "Concordance",
    "ConcordanceComparison",
    "CoxBootstrap",
    "CoxFit",
    "CrossValidation",
    "DoseResponse",
    "FineGrayFit",
    "FrailtyFit",
    "Interaction",
    "KaplanMeierFit",
    "LinYingFit",
    "MeanCumulativeFit",
    "NelsonAalenFit",
    "NestedCaseControlFit",
    "PersonYears",
    "PhTest",
    "PseudoFit",
    "RateRatio",
    "RecurrentFit",
    "RmstFit",
    "StandardisedRate",
    "StandardisedRatio",
    "aalen_additive",
    "aalen_johansen",
    "anova",
    "attributable_fraction",
    "bootstrap",
    "case_cohort",
    "cause_specific",
    "concordance",
    "cox",
    "cox_frailty",
    "cross_validate",
    "dose_response",
    "fine_gray",
    "gray_test",
    "interaction",
    "kaplan_meier",
    "lin_ying",
    "logrank",
    "mean_cumulative",
    "nelson_aalen",
    "nested_case_control",
    "person_years",
    "ph_test",
    "predict_cox",
    "pseudo_observations",
    "pseudo_regression",
    "rate_ratio",
    "recurrent",
    "residuals",
    "rmst",
    "sample_controls",
    "smr",
    "standardised_rate",
    "total_incidence",
]
