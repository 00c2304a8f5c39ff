"""Falls that happen again, and death that ends them: rates, and the mean number per person."""

import numpy as np
import pandas as pd

import dxa_causal as dc

s = dc.survival
rng = np.random.default_rng(1)
rows = []
for person in range(300):
    weak, end, death = person % 2, 3.0, rng.exponential(8.0 / (1 + person % 2))
    last = min(end, death)
    fall = np.cumsum(rng.exponential(1 / (rng.gamma(2.0, 0.5) * (0.5 + 0.4 * weak)), size=12))
    moments = [0.0, *fall[fall < last], last]
    for start, stop in zip(moments[:-1], moments[1:], strict=True):
        died = int(stop == last and death < end)
        rows.append({"id": person, "weak": weak, "start": start, "stop": stop, "fall": int(stop < last), "died": died})
falls = pd.DataFrame(rows)

print(s.recurrent("Surv(start, stop, fall) ~ weak", falls, id="id"))
gap = s.recurrent("Surv(start, stop, fall) ~ weak", falls, id="id", model="pwp-gap", max_events=3)
print(gap.events)
print(gap.tidy(exponentiate=True))

means = s.mean_cumulative("Surv(start, stop, fall) ~ weak", falls, id="id", death="died")
print(means.predict([1, 3]))
print(means.test())
