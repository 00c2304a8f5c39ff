"""Survival by sex: Kaplan-Meier curves, numbers at risk, log-rank test."""

import dxa_causal as dc

people = dc.datasets.load("nhanes_mortality").query("age >= 70")
curves = dc.survival.kaplan_meier("Surv(time, died) ~ sex", people, conf_type="log-log")
print(curves.predict(times=[5, 10]))
print(curves.median())
print(dc.survival.logrank("Surv(time, died) ~ sex", people))
curves.plot(time_label="Years since the examination").figure.savefig("survival.svg")
