"""Missing grip strength and body-mass index: imputed with the outcome's help, and pooled over imputations."""

import dxa_causal as dc

people = dc.datasets.load("nhanes_mortality").query("age >= 70")
formula = "Surv(time, died) ~ age + C(sex) + grip_kg + bmi"
imp = dc.imputation.chained(people, formula, m=10, seed=1)
print(imp.missing)
print(imp.tidy()[["term", "n_missing", "mean_observed", "mean_imputed", "r_hat"]])

pooled = dc.imputation.pool(imp, lambda d: dc.survival.cox(formula, d))
print(pooled.tidy(exponentiate=True)[["term", "estimate", "conf_low", "conf_high", "df", "fmi"]])
print(pooled.test(["grip_kg", "bmi"]))

complete_cases = dc.survival.cox(formula, people)
print(complete_cases.tidy(exponentiate=True)[["term", "estimate", "conf_low", "conf_high"]])
