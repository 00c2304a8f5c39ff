"""Calibration, decision curves and reclassification when the predictions are the truth.

    python -m tests.simulations.calibration [--runs 2000] [--n-jobs 1]

Times are exponential with hazard exp(0.7 x + 0.7 z); one model knows x and z, the other x alone and integrates over
z. Both are calibrated. Rows are followed to their event, or to a time uniform on (0.3, 2). Every run has a generator
of its own. ICI is shown for its mean, which nears zero as n grows.
"""

import argparse
import sys
import time

import numpy as np
import pandas as pd
from scipy.special import roots_hermitenorm
from sklearn.base import BaseEstimator
from sksurv.functions import StepFunction

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map
from tests.simulations.survival import HEADER, Interval, line, rejects, summary

s = dc.survival

SEED = 20260401
COVERED = (93.5, 96.5)
HORIZON, THRESHOLD, BETA = 1.0, 0.5, 0.7
NODES, WEIGHTS = roots_hermitenorm(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def survival_full(frame, at):
    return np.exp(-np.outer(np.exp(BETA * (frame["x"] + frame["z"])), at))


def survival_part(frame, at):
    """Over the normal distribution of z, from a fine grid of x."""
    grid = np.linspace(-7, 7, 2001)
    rate = np.exp(BETA * (grid[:, None] + NODES))
    return np.column_stack([np.interp(frame["x"], grid, np.exp(-rate * t) @ WEIGHTS) for t in at])


class Truth(BaseEstimator):
    """An estimator that predicts the survival curves behind the data, on a fine grid of times."""

    feature_names_in_ = ("x", "z")
    times = np.concatenate([[0.0], np.geomspace(1e-5, 1e4, 4000)])

    def predict_survival_function(self, frame):
        return [StepFunction(self.times, curve) for curve in survival_full(frame, self.times)]


def draw(rng, n, censored):
    x, z = rng.normal(size=(2, n))
    event_time = rng.exponential(size=n) / np.exp(BETA * (x + z))
    end = rng.uniform(0.3, 2.0, n) if censored else np.full(n, np.inf)
    frame = pd.DataFrame({"x": x, "z": z, "time": np.minimum(event_time, end), "died": (event_time <= end).astype(int)})
    full, part = (1 - curve(frame, [HORIZON])[:, 0] for curve in (survival_full, survival_part))
    return frame.assign(full=full, part=part, early=event_time <= HORIZON)


def truths(rng, size):
    """Net benefit, NRI and IDI in a large sample without censoring."""
    data = draw(rng, size, False)
    early = data["early"].to_numpy()
    change = (data["full"] - data["part"]).to_numpy()
    flagged = (data["full"] >= THRESHOLD).to_numpy()
    odds = THRESHOLD / (1 - THRESHOLD)
    up = np.sign(change)
    return {
        "net benefit": np.mean(flagged & early) - np.mean(flagged & ~early) * odds,
        "NRI": up[early].mean() - up[~early].mean(),
        "IDI": change[early].mean() - change[~early].mean(),
    }


def one(rng, truth, n, censored):
    data = draw(rng, n, censored)
    label = "censored" if censored else "complete"
    found = {}

    def add(what, estimate, std_error, low, high, value, asked=COVERED):
        found[f"{what}, {label}", n] = Interval(estimate - value, std_error, bool(low <= value <= high), asked)

    options = {"outcome": "Surv(time, died)", "horizon": HORIZON}
    table = s.calibration({"full": "full"}, data, **options).tidy().set_index("metric")
    for metric, value in (("O/E", 1.0), ("intercept", 0.0), ("slope", 1.0)):
        row = table.loc[metric]
        add(metric, row["estimate"], row["std_error"], row["conf_low"], row["conf_high"], value)
    add("ICI", table.loc["ICI", "estimate"], np.nan, 0, 0, 0.0, None)
    models = {"full": Truth()}
    for variance in ("multinomial", "empirical"):
        test = s.d_calibration(models, data, outcome="Surv(time, died)", variance=variance).tests["full"]
        asked = {} if variance == "empirical" or not censored else {"asked": None}
        found[f"D-calibration, {variance}, {label}", n] = rejects(test)._replace(**asked)
    curve = s.decision_curve({"full": "full"}, data, thresholds=[THRESHOLD], **options).tidy()
    row = curve.query("model == 'full' and metric == 'net benefit'").iloc[0]
    add("net benefit", row["estimate"], row["std_error"], row["conf_low"], row["conf_high"], truth["net benefit"])
    for method in ("kaplan-meier", "ipcw"):
        moved = s.reclassification({"part": "part", "full": "full"}, data, method=method, **options).tidy()
        moved = moved.set_index("metric")
        for metric, key in (("category-free NRI", "NRI"), ("IDI", "IDI")):
            row = moved.loc[metric]
            if key == "NRI" or method == "ipcw":
                name = f"{key}, {method}" if key == "NRI" else key
                add(name, row["estimate"], row["std_error"], row["conf_low"], row["conf_high"], truth[key])
    return found


def several(pieces):
    return [one(*piece) for piece in pieces]


def simulate(runs, *, n_jobs=1, sizes=(500, 2000), block=25):
    first, *children = np.random.default_rng(SEED).spawn(1 + runs)
    truth = truths(first, 2_000_000)
    rows = []
    for n in sizes:
        for censored in (False, True):
            pieces = [
                (np.random.default_rng(c.bit_generator.seed_seq.spawn(1)[0]), truth, n, censored) for c in children
            ]
            blocks = [pieces[k : k + block] for k in range(0, runs, block)]
            found = [run for part in parallel_map(several, blocks, n_jobs=n_jobs) for run in part]
            rows += [summary(label, size, [run[label, size] for run in found]) for label, size in found[0]]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    print(HEADER)
    for row in simulate(options.runs, n_jobs=options.n_jobs):
        print(line(row))
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
