"""Does grip strength foretell death beyond age and sex? A Cox model on NHANES."""

import dxa_causal as dc

people = dc.datasets.load("nhanes_mortality").query("age >= 50")
fit = dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", people)
print(fit)
print(fit.tidy(exponentiate=True))
print(dc.survival.concordance(fit).tidy())
