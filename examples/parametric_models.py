"""How long until death in old age? Whole distributions of survival time on NHANES, chosen by AIC."""

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 60 and time > 0").dropna(subset=["grip_kg"])
formula = "Surv(time, died) ~ age + C(sex) + grip_kg"

print(s.compare_distributions(formula, people, distributions=["exponential", "weibull", "lognormal", "loglogistic"]))

# by how much does a kilogram of grip stretch the time to death?
stretched = s.parametric(formula, people, distribution="weibull")
print(stretched.tidy(exponentiate=True)[["term", "estimate", "conf_low", "conf_high", "effect_measure"]])

# the same as a ratio of hazards, with a baseline that may have any shape
flexible = s.royston_parmar(formula, people, knots=2)
print(flexible.tidy(exponentiate=True)[["term", "estimate", "conf_low", "conf_high", "effect_measure"]])
print(flexible.predict(people.head(2), times=[2, 4]))
print(stretched.predict(people.head(2), type="quantile", p=0.1))
