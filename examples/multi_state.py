"""States and the moves between them: shares over time, Cox models of the moves, and states seen at visits only."""

import numpy as np
import pandas as pd

import dxa_causal as dc

s = dc.survival
rng = np.random.default_rng(1)
rate = np.array([[0.0, 0.25, 0.03], [0.20, 0.0, 0.12], [0.0, 0.0, 0.0]])  # robust, frail, dead
names = ["robust", "frail", "dead"]
rows, visits = [], []
for person in range(400):
    weak, end = person % 2, rng.uniform(4.0, 8.0)
    time, state, path = 0.0, 0, [(0.0, 0)]
    while state < 2 and time < end:
        leave = rate[state] * np.array([1.0, np.exp(0.7 * weak), np.exp(0.4 * weak)])
        stop = time + rng.exponential(1 / leave.sum())
        to = int(rng.choice(3, p=leave / leave.sum()))
        seen = stop <= end
        row = {"id": person, "weak": weak, "start": time, "stop": min(stop, end)}
        rows.append({**row, "was": names[state], "state": names[to] if seen else "no change"})
        time, state = stop, to if seen else state
        path.append((time, state))
    moments, states = np.array([t for t, _ in path]), np.array([k for _, k in path])
    looked = np.arange(0.0, min(time, end) - 1e-9, 1.0)
    visits += [{"id": person, "weak": weak, "years": t, "state": names[states[moments <= t][-1]]} for t in looked]
    if state == 2:
        visits.append({"id": person, "weak": weak, "years": time, "state": "dead"})
    else:  # deaths are known up to the end: so must be that somebody has not died
        visits.append({"id": person, "weak": weak, "years": end, "state": "alive"})
moves = pd.DataFrame(rows).assign(state=lambda d: pd.Categorical(d["state"], ["no change", *names]))

shares = s.state_occupation("Surv(start, stop, state) ~ weak", moves, id="id", initial="was")
print(shares.transitions)
print(shares.predict([2, 5]))
print(shares.length_of_stay(5))

fit = s.multi_state("Surv(start, stop, state) ~ weak", moves, id="id", initial="was")
print(fit.tidy(exponentiate=True))
people = pd.DataFrame({"weak": [0, 1]}, index=["strong", "weak"])
print(fit.predict(people, state="frail", start=1.0, times=[3, 5]))

# the same people, seen once a year; the day of death is known
panel = s.panel_markov(
    pd.DataFrame(visits),
    state="state",
    time="years",
    id="id",
    transitions={"robust": ["frail", "dead"], "frail": ["robust", "dead"]},
    exact="dead",
    censored={"alive": ["robust", "frail"]},
    covariates="weak",
)
print(panel)
print(panel.sojourn_times(people))
