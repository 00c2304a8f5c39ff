"""How many more deaths per 1000 years with a weaker grip? Additive hazards on NHANES."""

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 50").dropna(subset=["grip_kg"])
people["weaker_10_kg"] = -people["grip_kg"] / 10

# one difference of the hazard for all of follow-up
constant = s.lin_ying("Surv(time, died) ~ weaker_10_kg + age + C(sex)", people)
per_1000 = constant.tidy().set_index("term")[["estimate", "conf_low", "conf_high"]] * 1000
print(per_1000)

# differences that change with time: cumulative, and tested
free = s.aalen_additive("Surv(time, died) ~ weaker_10_kg + age + C(sex)", people, max_time=4)
print(free.predict([1, 2, 4]).query("term == 'weaker_10_kg'"))
print(free.tests())
print(free.predict(people.head(2), type="survival", times=[4]))
