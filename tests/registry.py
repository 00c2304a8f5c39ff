"""Every kind of result the package returns, made on small data: tests of what all share go over this list."""

import numpy as np

import dxa_causal as dc


def _cohort():
    cohort = dc.datasets.load("nhanes_mortality").query("age >= 60")
    return cohort.dropna(subset=["grip_kg", "bmi"]).head(800).reset_index(drop=True)


def _weighted():
    data = dc.datasets.load("nhefs").dropna(subset=["wt82_71"])
    return data, dc.propensity.weight("qsmk ~ sex + age + wt71", data)


def _harmonised():
    return dc.mr.harmonise(dc.datasets.load("bmi_gwas"), dc.datasets.load("chd_gwas"))


def _cox(**options):
    return dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", _cohort(), **options)


def _mean_difference():
    data, ps = _weighted()
    return dc.propensity.mean_difference("wt82_71", ps, data)


RESULTS = {
    "cox": _cox,
    "cox robust": lambda: _cox(robust=True),
    "cox stratified": lambda: dc.survival.cox("Surv(time, died) ~ age + grip_kg", _cohort(), strata="sex"),
    "kaplan-meier": lambda: dc.survival.kaplan_meier("Surv(time, died) ~ sex", _cohort()),
    "concordance": lambda: dc.survival.concordance(_cox()),
    "cross-validation": lambda: dc.survival.cross_validate(
        {"age": "Surv(time, died) ~ age", "grip": "Surv(time, died) ~ age + grip_kg"}, _cohort(), seed=1
    ),
    "propensity": lambda: _weighted()[1],
    "mean difference": _mean_difference,
    "mr": lambda: dc.mr.estimate(_harmonised(), seed=1),
}

COEFFICIENTS = ("cox", "cox robust", "cox stratified", "propensity")


def covariance(fit):
    """Covariance of a fit's coefficients, where it has one."""
    if hasattr(fit, "covariance"):
        return np.asarray(fit.covariance)
    return np.asarray(fit.fit.covariance)
