"""Does a slow gait foretell death of heart disease, when people also die of other causes?"""

import numpy as np
import pandas as pd

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["gait_speed_m_s"])
cause = np.where(people["died"] == 0, "alive", np.where(people["cause_of_death"] == "heart disease", "heart", "other"))
people["cause"] = pd.Categorical(cause, ["alive", "heart", "other"])  # the first category is censoring
people["slow"] = people["gait_speed_m_s"] < 0.8

print(s.aalen_johansen("Surv(time, cause) ~ slow", people).predict([5, 10]))
print(s.gray_test("Surv(time, cause) ~ slow", people, cause="heart"))

# the rate of dying of it among those alive ...
specific = s.cause_specific("Surv(time, cause) ~ slow + age + C(sex)", people)
print(specific)
print(specific.predict(people.head(2), times=[10]))
# ... and how many die of it
subdistribution = s.fine_gray("Surv(time, cause) ~ slow + age + C(sex)", people, cause="heart")
print(subdistribution)
