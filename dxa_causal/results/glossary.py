"""The vocabulary of result tables: every column name a result may use, and what it means.

A test refuses any other column in ``tidy()`` and ``glance()``.
"""

from __future__ import annotations

TIDY: dict[str, str] = {
    "term": "Name of the coefficient, covariate, arm or effect.",
    "estimate": "Point estimate, on the scale named by effect_measure where it is given.",
    "std_error": "Standard error of the estimate; of its logarithm when the estimate is exponentiated.",
    "statistic": "Test statistic (z, t or chi-square; the result's documentation says which).",
    "p_value": "Two-sided p-value.",
    "conf_low": "Lower confidence limit.",
    "conf_high": "Upper confidence limit.",
    "effect_measure": 'What the estimate is: "log HR", "HR", "RD", "mean difference", ...',
    "row": "Index label of the row of the data the line belongs to.",
    "time": "Time since the origin, in the unit of the data.",
    "group": "Group, arm or stratum.",
    "cause": "Cause of failure.",
    "method": "Estimator or test.",
    "df": "Degrees of freedom.",
    "n_variants": "Number of genetic variants used.",
    "n_risk": "Number (or sum of weights) at risk just before the time.",
    "n_event": "Number (or sum of weights) of events at the time.",
    "n_censor": "Number (or sum of weights) censored at the time.",
    "level": "Level of a categorical covariate.",
    "smd_unadjusted": "Standardised mean difference before weighting.",
    "smd": "Standardised mean difference after weighting.",
    "variance_ratio_unadjusted": "Ratio of variances (treated / control) before weighting; missing if binary.",
    "variance_ratio": "Ratio of variances (treated / control) after weighting; missing for binary covariates.",
    "ks_unadjusted": "Kolmogorov-Smirnov distance before weighting.",
    "ks": "Kolmogorov-Smirnov distance after weighting.",
    "mean_treated": "Weighted mean among the treated.",
    "mean_control": "Weighted mean among the controls.",
    "variant": "Identifier of a genetic variant.",
    "reason": "Why a value is missing or a test does not apply; empty when it does.",
}

GLANCE: dict[str, str] = {
    "nobs": "Rows used.",
    "n_events": "Events among them.",
    "log_likelihood": "(Partial) log-likelihood at the estimate.",
    "log_likelihood_null": "(Partial) log-likelihood without covariates.",
    "aic": "Akaike's information criterion.",
    "bic": "Bayesian information criterion (with the number of events for Cox models, as in R).",
    "concordance": "Harrell's concordance of the linear predictor.",
    "n_variants": "Number of genetic variants used.",
    "f_statistic": "Mean over variants of (effect / standard error)^2 for the exposure; below 10 means weak.",
    "n_treated": "Treated rows.",
    "n_control": "Control rows.",
    "ess_treated": "Effective sample size among the treated, (sum w)^2 / sum w^2.",
    "ess_control": "Effective sample size among the controls.",
    "estimand": "ATE, ATT, ATC, ATO or ATM.",
    "max_weight": "Largest weight.",
    "max_smd": "Largest absolute standardised mean difference after weighting.",
    "n_groups": "Number of groups.",
    "method": "Estimator.",
    "n_missing": "Rows left out because a value was missing.",
}
