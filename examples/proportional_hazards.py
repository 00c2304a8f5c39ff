"""Is a hazard ratio the same over follow-up? Test, look, and model what changes."""

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["gait_speed_m_s", "bmi"])
people = people.assign(slower=-10 * people["gait_speed_m_s"])
formula = "Surv(time, died) ~ age + C(sex) + slower + bmi"

fit = s.cox(formula, people)
print(s.ph_test(fit, transform="km").tidy())
s.ph_test(fit).plot(term="slower").figure.savefig("slower_over_time.svg")

# the log hazard ratio as a line in log time; sex with a baseline hazard of its own
changing = s.cox("Surv(time, died) ~ age + slower + bmi", people, strata="sex", time_varying={"slower": "log(t + 1)"})
print(changing)

# rows that pull a coefficient
influence = s.residuals(fit, type="dfbetas")
print(influence.abs().max())
print(s.anova(s.cox("Surv(time, died) ~ age + C(sex) + bmi", people), fit))
print(s.concordance({"without gait": s.cox("Surv(time, died) ~ age + C(sex) + bmi", people), "with gait": fit}))
