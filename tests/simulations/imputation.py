"""Coverage of pooled intervals where two covariates of a Cox model are missing at random.

    python -m tests.simulations.imputation [--runs 2000] [--n-jobs 1]

Each run draws a cohort of 300, hides values of a normal and of a binary covariate with a chance that rises with a
complete covariate and with the event, imputes ten times and pools; complete cases are analysed beside it. Every run has
a generator of its own, spawned from the seed. Prints a table in Markdown and fails when coverage at moderate effects
leaves 93.5 to 96.5 %; with strong ones the models of the covariates given the outcome are approximate.
"""

import argparse
import sys
import time

import numpy as np
import pandas as pd

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import spawn

SEED = 20240918
ASKED = (93.5, 96.5)  # per cent, for 95 % intervals
# log hazard ratios: those usual in epidemiology, and strong ones, shown without being asked for
TRUTHS = {"moderate": {"grip": -0.3, "weak": 0.4, "age": 0.3}, "strong": {"grip": -0.6, "weak": 0.8, "age": 0.6}}
FORMULA = "Surv(time, died) ~ grip + weak + age"
N, M = 300, 10


def cohort(rng, truth, n=N):
    """Weibull times of shape 1.3, correlated covariates; 35 % censored."""
    age = rng.normal(size=n)
    grip = -0.4 * age + rng.normal(scale=0.9, size=n)
    weak = (rng.random(n) < 1 / (1 + np.exp(0.5 + 0.8 * grip))).astype(float)
    log_hazard = truth["grip"] * grip + truth["weak"] * weak + truth["age"] * age
    event_time = (rng.exponential(size=n) * np.exp(-log_hazard)) ** (1 / 1.3)
    end = rng.exponential(2.5, size=n)
    died = (event_time <= end).astype(int)
    return pd.DataFrame({"time": np.minimum(event_time, end), "died": died, "grip": grip, "weak": weak, "age": age})


def hide(frame, rng):
    """About 30 % of each of two covariates missing, most often among the old who died: at random given the outcome."""
    died, age = frame["died"], frame["age"]
    chance = 1 / (1 + np.exp(1.8 - 0.6 * age - 0.9 * died - 1.0 * died * age))
    for name in ("grip", "weak"):
        frame = frame.assign(**{name: frame[name].where(rng.random(len(frame)) > chance)})
    return frame


def run(rng):
    rows = []
    for effects, truth in TRUTHS.items():
        frame = hide(cohort(rng, truth), rng)
        imp = dc.imputation.chained(frame, FORMULA, m=M, seed=rng, n_iterations=5)
        fits = {
            "imputed": dc.imputation.pool(imp, lambda d: dc.survival.cox(FORMULA, d)),
            "complete cases": dc.survival.cox(FORMULA, frame),
        }
        missing = frame[["grip", "weak"]].isna().to_numpy().mean()
        for label, fit in fits.items():
            found = fit.tidy().set_index("term")
            for term, true in truth.items():
                row = found.loc[term]
                hit = row["conf_low"] <= true <= row["conf_high"]
                rows.append((effects, label, term, true, row["estimate"] - true, row["std_error"], hit, missing))
    return rows


def table(runs, n_jobs):
    found = [row for rows in parallel_map(run, spawn(SEED, runs), n_jobs=n_jobs) for row in rows]
    columns = ["effects", "analysis", "term", "truth", "error", "std_error", "hit", "missing"]
    frame = pd.DataFrame(found, columns=columns)
    out = frame.groupby(columns[:4], sort=False).agg(
        bias=("error", "mean"), sd=("error", "std"), mean_se=("std_error", "mean"), coverage=("hit", "mean")
    )
    return out.assign(coverage=100 * out["coverage"]).reset_index(), frame["missing"].mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    result, missing = table(options.runs, options.n_jobs)
    print(f"{options.runs} runs, {100 * missing:.0f} % missing, {time.perf_counter() - start:.0f} s\n")
    print("| effects | analysis | log hazard ratio | bias | sd of estimates | mean s.e. | coverage % |")
    print("|---|---|---|---|---|---|---|")
    for row in result.itertuples():
        print(
            f"| {row.effects} | {row.analysis} | {row.term} = {row.truth:g} | {row.bias:+.3f} | {row.sd:.3f} "
            f"| {row.mean_se:.3f} | {row.coverage:.1f} |"
        )
    asked = result[(result["analysis"] == "imputed") & (result["effects"] == "moderate")]
    return 0 if asked["coverage"].between(*ASKED).all() else 1


if __name__ == "__main__":
    sys.exit(main())
