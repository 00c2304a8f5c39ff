"""How much of the next ten years does a slow gait cost? Restricted mean survival time."""

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["gait_speed_m_s"])
people["slow"] = (people["gait_speed_m_s"] < 0.8).astype(int)

crude = s.rmst("Surv(time, died) ~ slow", people, tau=10)
print(crude)
print(s.rmst("Surv(time, died) ~ slow", people, tau=10, covariates=["age", "C(sex)"]))

# the risk of death within ten years by regression on pseudo-observations
print(s.pseudo_regression("Surv(time, died) ~ slow + age + C(sex)", people, times=10))
