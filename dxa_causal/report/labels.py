"""How columns of result tables are called in print."""

from __future__ import annotations

LABELS: dict[str, str] = {
    "term": "Term",
    "estimate": "Estimate",
    "std_error": "Std. error",
    "statistic": "Statistic",
    "p_value": "p",
    "conf_low": "95% low",
    "conf_high": "95% high",
    "effect_measure": "Measure",
    "time": "Time",
    "group": "Group",
    "method": "Method",
    "cause": "Cause",
    "df": "df",
    "n_variants": "Variants",
    "n_risk": "At risk",
    "n_event": "Events",
    "n_censor": "Censored",
    "level": "Level",
    "nobs": "Rows",
    "n_events": "Events",
    "log_likelihood": "Log-likelihood",
    "log_likelihood_null": "Log-likelihood, null",
    "aic": "AIC",
    "bic": "BIC",
    "concordance": "Concordance",
    "smd": "SMD, weighted",
    "smd_unadjusted": "SMD, before",
    "variance_ratio": "Variance ratio, weighted",
    "variance_ratio_unadjusted": "Variance ratio, before",
    "ks": "KS, weighted",
    "ks_unadjusted": "KS, before",
    "mean_treated": "Mean, treated",
    "mean_control": "Mean, control",
    "reason": "Why not",
    "estimand": "Estimand",
    "characteristic": "Characteristic",
    "overall": "Overall",
    "missing": "Missing",
    "truth": "Truth",
    "what": "What",
    "variants": "Variants",
    "qc_flag": "Quality flag",
    "people": "People",
    "error": "Error",
    "n_treated": "Treated",
    "n_control": "Controls",
    "ess_treated": "Effective n, treated",
    "ess_control": "Effective n, controls",
    "max_weight": "Largest weight",
    "max_smd": "Largest |SMD|",
}


def label(column: str) -> str:
    """Print label of a column; unknown names lose their underscores.

    Examples
    --------
    >>> label("std_error"), label("n_kept")
    ('Std. error', 'n kept')
    """
    return LABELS.get(column, column.replace("_", " "))
