"""Coverage of intervals of multi-state and panel models on data whose truth is known.

    python -m tests.simulations.multi_state [--runs 2000] [--n-jobs 1]

Health, illness with recovery, and death at constant rates; a binary covariate acts on every rate. The histories are
analysed as they happened (to the day), and as seen at irregular visits with the day of death known.
"""

import argparse
import sys
import time

import numpy as np
import pandas as pd
from scipy.linalg import expm

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map
from tests.simulations.survival import HEADER, SEED, Interval, line, summary

s = dc.survival

STATES = ("well", "ill", "dead")
RATE = np.array([[0.0, 0.30, 0.05], [0.20, 0.0, 0.15], [0.0, 0.0, 0.0]])
EFFECT = {"well -> ill": 0.5, "well -> dead": 0.0, "ill -> well": -0.3, "ill -> dead": 0.4}
ASKED = (93.5, 96.5)
END, AT = 6.0, 4.0
PATHS = [(0, 1), (0, 2), (1, 0), (1, 2)]
NEW = pd.DataFrame({"arm": [1]})


def rates(arm):
    """Intensities of each person, (n, 3, 3)."""
    q = np.repeat(RATE[None], len(arm), axis=0)
    for (h, j), effect in zip(PATHS, EFFECT.values(), strict=True):
        q[:, h, j] *= np.exp(effect * arm)
    return q


def histories(rng, n):
    """Rows as they happened, and for each person the times and states of the path."""
    arm = np.arange(n) % 2
    q = rates(arm)
    end = rng.uniform(0.5 * END, END, n)
    now, state, alive = np.zeros(n), np.zeros(n, dtype=int), np.arange(n)
    rows, paths = [], [(np.arange(n), now.copy(), state.copy())]
    while alive.size:
        own = q[alive, state[alive]]
        step = now[alive] + rng.exponential(size=alive.size) / own.sum(axis=1)
        to = (rng.uniform(size=alive.size)[:, None] > (own / own.sum(axis=1, keepdims=True)).cumsum(axis=1)).sum(axis=1)
        moved = step <= end[alive]
        stop = np.minimum(step, end[alive])
        target = np.where(moved, to + 1, 0)
        columns = {"id": alive, "arm": arm[alive], "start": now[alive], "stop": stop}
        rows.append(pd.DataFrame({**columns, "was": state[alive], "to": target}))
        now[alive], state[alive] = stop, np.where(moved, to, state[alive])
        paths.append((alive[moved], stop[moved], to[moved]))
        alive = alive[moved & (to < 2)]
    frame = pd.concat(rows, ignore_index=True)
    names = pd.Categorical.from_codes(frame["to"], ["none", *STATES])
    frame = frame.assign(was=np.array(STATES)[frame["was"]], to=names)
    path = pd.DataFrame({k: np.concatenate([p[i] for p in paths]) for i, k in enumerate(("id", "time", "state"))})
    return frame, path.sort_values(["id", "time"], ignore_index=True), arm, end


def visits(rng, path, arm, end):
    """States at visits about a year apart, deaths, and who was alive at the end of the time in which they are known."""
    n = arm.size
    at = np.concatenate([np.zeros((n, 1)), rng.uniform(0.5, 1.5, (n, 7)).cumsum(axis=1)], axis=1)
    death = path[path["state"] == 2].set_index("id")["time"].reindex(np.arange(n)).fillna(np.inf).to_numpy()
    seen = (at <= end[:, None]) & (at < death[:, None])
    person = np.repeat(np.arange(n), 8)[seen.ravel()]
    look = pd.DataFrame({"id": person, "time": at[seen]}).sort_values("time")
    found = pd.merge_asof(look, path.sort_values("time"), on="time", by="id")
    died = path[path["state"] == 2]
    alive = np.flatnonzero(np.isinf(death))
    ends = pd.DataFrame({"id": alive, "time": end[alive], "state": 3})
    both = pd.concat([found, died, ends], ignore_index=True)
    return both.assign(arm=arm[both["id"]], state=np.array([*STATES, "alive"])[both["state"]])


def interval(row, truth):
    covers = row["conf_low"] <= truth <= row["conf_high"]
    return Interval(row["estimate"] - truth, row["std_error"], bool(covers), ASKED)


def one(rng, n=400):
    """All intervals of one data set."""
    frame, path, arm, end = histories(rng, n)
    q = rates(np.array([0, 1]))
    q -= np.stack([np.diag(row) for row in q.sum(axis=2)])
    chance = [expm(m * AT) for m in q]
    both = np.zeros((6, 6))
    both[:3, :3], both[:3, 3:] = q[1], np.eye(3)
    stay = expm(both * AT)[:3, 3:]
    found = {}
    fit = s.multi_state("Surv(start, stop, to) ~ arm", frame, id="id", initial="was")
    for row in fit.tidy().to_dict("records"):
        found[f"Cox: {row['transition']}", n] = interval(row, EFFECT[row["transition"]])
    for k, name in enumerate(STATES):
        for kind, truth in (("state_probability", chance[1]), ("length_of_stay", stay)):
            table = fit.predict(NEW, type=kind, state="well", times=[AT], conf_type="logit")
            found[f"Cox, {kind}: {name}", n] = interval(table.iloc[k], truth[0, k])
    shares = s.state_occupation("Surv(start, stop, to) ~ arm", frame, id="id", initial="was", conf_type="logit")
    table, mean = (t[t["group"] == 1] for t in (shares.predict([AT]), shares.length_of_stay(AT)))
    moves = shares.transition_probabilities([AT], start=1.0).query("group == 1 and `from` == 'ill'")
    later = expm(q[1] * (AT - 1.0))
    for k, name in enumerate(STATES):
        found[f"Aalen-Johansen: {name}", n] = interval(table.iloc[k], chance[1][0, k])
        found[f"Aalen-Johansen, stay: {name}", n] = interval(mean.iloc[k], stay[0, k])
        found[f"transition probability from ill: {name}", n] = interval(moves.iloc[k], later[1, k])
    panel = s.panel_markov(
        visits(rng, path, arm, end), state="state", time="time", id="id", exact="dead", covariates="arm",
        censored={"alive": ["well", "ill"]},
        transitions={"well": ["ill", "dead"], "ill": ["well", "dead"]},
    )  # fmt: skip
    for row in panel.tidy().query("term == 'arm'").to_dict("records"):
        own = interval(row, EFFECT[row["transition"]])
        # between two visits the direct way to death is hardly told from the way over illness
        found[f"panel: {row['transition']}", n] = (
            own._replace(asked=None) if row["transition"] == "well -> dead" else own
        )
    table = panel.predict(NEW, state="well", times=[AT])
    for k, name in enumerate(STATES):
        found[f"panel, state probability: {name}", n] = interval(table.iloc[k], chance[1][0, k])
    return found


def several(generators):
    return [one(rng) for rng in generators]


def simulate(runs, *, n_jobs=1, block=20):
    """All runs, summarised: one row per interval."""
    children = np.random.default_rng([SEED, *b"multi-state"]).spawn(runs)
    blocks = [children[k : k + block] for k in range(0, runs, block)]
    parts = parallel_map(several, blocks, n_jobs=n_jobs, progress=True, description="multi-state")
    found = [run for part in parts for run in part]
    return pd.DataFrame([summary(label, n, [run[label, n] for run in found]) for label, n in found[0]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    print(HEADER)
    for row in simulate(options.runs, n_jobs=options.n_jobs).to_dict("records"):
        print(line(row))
    print(f"{options.runs} runs: {time.perf_counter() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
