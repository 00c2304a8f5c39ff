"""Brothers and sisters die alike: a frailty shared by families."""

import numpy as np
import pandas as pd

import dxa_causal as dc

rng = np.random.default_rng(1)
family = np.repeat(np.arange(200), 3)
active = rng.integers(0, 2, family.size)
hazard = 0.1 * rng.gamma(2.0, 0.5, 200)[family] * np.exp(-0.5 * active)  # the frailty has mean 1 and variance 0.5
time = rng.exponential(1 / hazard)
people = pd.DataFrame(
    {"family": family, "active": active, "time": np.minimum(time, 10), "died": (time < 10).astype(int)}
)

shared = dc.survival.cox_frailty("Surv(time, died) ~ active", people, frailty="family")
print(shared)
print(f"variance of the frailty: {shared.theta:.2f}")
print(shared.random_effects().head())

# over the population instead of within a family: nearer to zero
print(dc.survival.cox("Surv(time, died) ~ active", people, cluster="family").tidy())
