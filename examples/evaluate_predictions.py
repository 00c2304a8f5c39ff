"""Does grip strength help to predict death within three and five years, in people the models have not seen?"""

import dxa_causal as dc

s = dc.survival
people = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["grip_kg"])
train, test = people.iloc[::2], people.iloc[1::2]

fits = {
    "age and sex": s.cox("Surv(time, died) ~ age + C(sex)", train),
    "with grip": s.cox("Surv(time, died) ~ age + C(sex) + grip_kg", train),
}
judged = s.evaluate(fits, test, horizons=[2, 4])
print(judged.tidy().round(3).to_string())
print(judged.differences("age and sex").round(4).to_string())
