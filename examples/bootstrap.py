"""Bootstrap of a Cox model: whole-number weights in place of copied rows."""

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 50").dropna(subset=["grip_kg"])
fit = s.cox("Surv(time, died) ~ age + C(sex) + grip_kg", people)
drawn = s.bootstrap(fit, n_resamples=500, interval="percentile", seed=1)
print(fit.tidy()[["term", "estimate", "std_error", "conf_low", "conf_high"]])
print(drawn.tidy()[["term", "estimate", "std_error", "conf_low", "conf_high"]])
print(drawn.glance())
