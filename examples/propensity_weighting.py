"""Does quitting smoking make people gain weight, and live longer? Inverse-probability weighting on NHEFS."""

import dxa_causal as dc

smokers = dc.datasets.load("nhefs").dropna(subset=["wt82_71"])
weights = dc.propensity.weight("qsmk ~ age + C(sex) + C(race) + smokeintensity + wt71", smokers, estimand="ATT")
print(weights.balance()[["term", "level", "smd_unadjusted", "smd"]])
print(dc.propensity.mean_difference("wt82_71", weights, smokers).tidy())
weighted = smokers.assign(w=weights.weights)
print(dc.survival.cox("Surv(survtime, death) ~ qsmk", weighted, weights="w", robust=True).tidy(exponentiate=True))
