"""An assay that cannot be paid for everyone: a case-cohort and a nested case-control study within NHANES."""

import numpy as np

import dxa_causal as dc

s = dc.survival
model = "Surv(time, died) ~ cystatin_c_mg_l + age + C(sex)"
cohort = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["cystatin_c_mg_l"])
cohort = cohort.assign(died=cohort["died"].eq(1) & (cohort["time"] <= 3), time=cohort["time"].clip(upper=3))
print(s.cox(model, cohort))  # what sampling should recover

# a fifth of the cohort, and everyone who died
cohort["sampled"] = np.random.default_rng(1).random(len(cohort)) < 0.2
sample = cohort.query("sampled or died")
for method in ("prentice", "lin-ying"):
    print(s.case_cohort(model, sample, subcohort="sampled", cohort_size=len(cohort), method=method))

# three controls per death, alive and of the same sex at that time
sets = s.sample_controls("Surv(time, died)", cohort, m=3, match_on=["sex"], seed=1)
print(s.nested_case_control("case ~ cystatin_c_mg_l + age", sets, matched_set="matched_set"))
