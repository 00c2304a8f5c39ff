"""Every kind of result the package returns, made on small data: tests of what all share go over this list."""

import numpy as np
import pandas as pd

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


def _competing():
    cohort = _cohort()
    return cohort.assign(cause=cohort["died"] * (1 + (cohort["grip_kg"] > 30)))


def _mean_difference():
    data, ps = _weighted()
    return dc.propensity.mean_difference("wt82_71", ps, data)


def _visits():
    """Start-stop rows of 40 people with events that happen again and, for some, death."""
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 3)
    stop = rng.gamma(2.0, size=(40, 3)).cumsum(axis=1).ravel()
    start = np.where(np.arange(120) % 3 == 0, 0.0, np.roll(stop, 1))
    event, died = rng.integers(0, 2, 120), rng.integers(0, 2, 120) * (np.arange(120) % 3 == 2)
    columns = {"id": person, "start": start, "stop": stop, "event": event, "died": died}
    return pd.DataFrame(columns).assign(arm=person % 2, age=50.0 + rng.normal(size=40)[person])


def _subcohort():
    cohort = _cohort().assign(sub=np.random.default_rng(1).random(800) < 0.3)
    return cohort[cohort["sub"] | cohort["died"].astype(bool)]


def _matched():
    return dc.survival.sample_controls("Surv(time, died)", _cohort(), m=2, seed=1)


def _weak():
    cohort = _cohort()
    return cohort.assign(weak=(cohort["grip_kg"] < 28).astype(int), old=(cohort["age"] >= 70).astype(int))


def _standardised(kind):
    value = {"smr": "rate", "rate": "population"}[kind]
    table = pd.DataFrame({"sex": ["female", "male"], value: [0.03, 0.05]})
    if kind == "smr":
        return dc.survival.smr("Surv(time, died) ~ old", _weak(), rates=table)
    return dc.survival.standardised_rate("Surv(time, died) ~ old", _weak(), standard=table)


RESULTS = {
    "cox": _cox,
    "cox robust": lambda: _cox(robust=True),
    "cox stratified": lambda: dc.survival.cox("Surv(time, died) ~ age + grip_kg", _cohort(), strata="sex"),
    "cox ridge": lambda: _cox(ridge=2.0),
    "cox firth": lambda: _cox(firth=True),
    "cox exact": lambda: _cox(ties="exact"),
    "cox function of time": lambda: _cox(time_varying={"age": "log(t + 1)"}),
    "cox bootstrap": lambda: dc.survival.bootstrap(_cox(), n_resamples=60, seed=1),
    "proportional hazards": lambda: dc.survival.ph_test(_cox()),
    "anova": lambda: dc.survival.anova(_cox()),
    "concordance comparison": lambda: dc.survival.concordance([_cox(), _cox(ridge=50.0)]),
    "dose-response": lambda: dc.survival.dose_response(
        dc.survival.cox("Surv(time, died) ~ age + rcs(grip_kg, 4)", _cohort()), "grip_kg", reference=30
    ),
    "frailty": lambda: dc.survival.cox_frailty(
        "Surv(time, died) ~ age + C(sex)", _cohort(), frailty="race_ethnicity", theta=0.2
    ),
    "aalen": lambda: dc.survival.aalen_additive("Surv(time, died) ~ age + C(sex) + grip_kg", _cohort(), max_time=4),
    "lin-ying": lambda: dc.survival.lin_ying("Surv(time, died) ~ age + C(sex) + grip_kg", _cohort()),
    "recurrent": lambda: dc.survival.recurrent("Surv(start, stop, event) ~ arm + age", _visits(), id="id"),
    "recurrent by event": lambda: dc.survival.recurrent(
        "Surv(start, stop, event) ~ arm", _visits(), id="id", model="pwp-gap", by_event=True, max_events=2
    ),
    "mean cumulative": lambda: dc.survival.mean_cumulative(
        "Surv(start, stop, event) ~ arm", _visits(), id="id", death="died"
    ),
    "kaplan-meier": lambda: dc.survival.kaplan_meier("Surv(time, died) ~ sex", _cohort()),
    "nelson-aalen": lambda: dc.survival.nelson_aalen("Surv(time, died) ~ sex", _cohort()),
    "aalen-johansen": lambda: dc.survival.aalen_johansen("Surv(time, cause) ~ sex", _competing()),
    "fine-gray": lambda: dc.survival.fine_gray("Surv(time, cause) ~ age + bmi", _competing(), cause=1),
    "cause-specific": lambda: dc.survival.cause_specific("Surv(time, cause) ~ age + bmi", _competing(), cause=1),
    "cause-specific, all": lambda: dc.survival.cause_specific("Surv(time, cause) ~ age + bmi", _competing()),
    "person-years": lambda: dc.survival.person_years(
        "Surv(time, died) ~ sex", _cohort(), scales={"age band": ("age", [65, 70, 75, 80])}
    ),
    "rate ratio": lambda: dc.survival.rate_ratio("Surv(time, died) ~ sex", _cohort()),
    "rate ratio pooled": lambda: dc.survival.rate_ratio("Surv(time, died) ~ sex", _weak(), strata="old"),
    "smr": lambda: _standardised("smr"),
    "standardised rate": lambda: _standardised("rate"),
    "interaction": lambda: dc.survival.interaction(
        dc.survival.cox("Surv(time, died) ~ weak * old", _weak()), "weak", "old"
    ),
    "attributable fraction": lambda: dc.survival.attributable_fraction(
        dc.survival.cox("Surv(time, died) ~ weak + age", _weak()), exposure="weak"
    ),
    "attributable fraction in time": lambda: dc.survival.attributable_fraction(
        dc.survival.cox("Surv(time, died) ~ weak + age", _weak()), exposure="weak", times=[1, 3]
    ),
    "case-cohort": lambda: dc.survival.case_cohort(
        "Surv(time, died) ~ age + C(sex)", _subcohort(), subcohort="sub", cohort_size=800
    ),
    "nested case-control": lambda: dc.survival.nested_case_control(
        "case ~ age + C(sex)", _matched(), matched_set="matched_set"
    ),
    "concordance": lambda: dc.survival.concordance(_cox()),
    "rmst": lambda: dc.survival.rmst("Surv(time, died) ~ sex", _cohort()),
    "rmst adjusted": lambda: dc.survival.rmst("Surv(time, died) ~ sex + age", _cohort()),
    "pseudo regression": lambda: dc.survival.pseudo_regression("Surv(time, died) ~ age + C(sex)", _cohort(), times=3),
    "cross-validation": lambda: dc.survival.cross_validate(
        {"age": "Surv(time, died) ~ age", "grip": "Surv(time, died) ~ age + grip_kg"}, _cohort(), seed=1
    ),
    "propensity": lambda: _weighted()[1],
    "mean difference": _mean_difference,
    "mr": lambda: dc.mr.estimate(_harmonised(), seed=1),
}

COEFFICIENTS = (
    "cox",
    "cox robust",
    "cox stratified",
    "frailty",
    "propensity",
    "lin-ying",
    "fine-gray",
    "cause-specific",
    "recurrent",
    "rmst adjusted",
    "pseudo regression",
    "case-cohort",
    "nested case-control",
)


def covariance(fit):
    """Covariance of a fit's coefficients, where it has one."""
    if hasattr(fit, "covariance"):
        return np.asarray(fit.covariance)
    return np.asarray(fit.fit.covariance)
