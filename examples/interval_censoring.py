"""Sarcopenia seen at visits only: when it began is known up to an interval."""

import numpy as np
import pandas as pd

import dxa_causal as dc

rng = np.random.default_rng(1)
n = 400
weak = rng.integers(0, 2, n)
onset = 8 * (rng.exponential(size=n) / 2.0**weak) ** 0.7
visit = rng.uniform(1, 3, (n, 5)).cumsum(axis=1)
left = np.where(visit < onset[:, None], visit, 0).max(axis=1)
right = np.where(visit >= onset[:, None], visit, np.inf).min(axis=1)
people = pd.DataFrame({"left": left, "right": right, "weak": weak})

onset = "Surv(left, right, type='interval')"
curves = dc.survival.turnbull(f"{onset} ~ weak", people)
print(curves.median())
fit = dc.survival.interval_cox(f"{onset} ~ weak", people)
print(fit.tidy(exponentiate=True))

# the true hazard ratio is 2; half-way between the visits is not when it began
middle = people.assign(time=np.where(np.isinf(right), left, (left + right) / 2), seen=np.isfinite(right))
print(dc.survival.cox("Surv(time, seen) ~ weak", middle).tidy(exponentiate=True))
curves.plot(time_label="Years").figure.savefig("onset.svg")
