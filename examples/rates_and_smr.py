"""Death rates by age, compared between groups, with other people and at a standard age."""

import pandas as pd

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("60 <= age < 80 and time > 0").dropna(subset=["gait_speed_m_s"])
people["slow"] = (people["gait_speed_m_s"] < 0.8).astype(int)
bands = [60, 70, 80]

# people grow older during follow-up: each year counts in the band it was lived in
print(s.person_years("Surv(time, died) ~ slow", people, scales={"age band": ("age", bands)}))
print(s.rate_ratio("Surv(time, died) ~ slow", people))
split = dc.followup.lexis_split(people, exit="time", event="died", scales={"band": ("age", bands)})
print(s.rate_ratio("Surv(entry, time, died) ~ slow", split, strata="band"))

# rates of another population, per year: here NHANES III, ten years earlier
earlier = dc.datasets.load("nhanes3_mortality").query("60 <= age < 80 and time > 0")
table = s.person_years("Surv(time, died) ~ sex", earlier, scales={"age": ("age", bands)}, per=1)
rates = table.cells.assign(rate=table.tidy()["estimate"])[["sex", "age", "rate"]]
print(s.smr("Surv(time, died) ~ slow", people, rates=rates, scales={"age": "age"}, conf_method="mid-p"))

standard = pd.DataFrame({"age": bands, "population": [50, 35, 15]})
print(s.standardised_rate("Surv(time, died) ~ slow", people, standard=standard, scales={"age": "age"}))
