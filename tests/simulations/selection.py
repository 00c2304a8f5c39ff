"""False selections of stability selection beside its bound: ``python -m tests.simulations.selection``."""

import argparse
from functools import partial

import numpy as np

from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import spawn
from dxa_causal.selection import ElasticNetSelector, StabilitySelection

N, P, TRUE, RUNS = 200, 500, 6, 200
EFFECT = {"linear": 0.5, "logistic": 0.9, "cox": 0.5}


def data(rng, kind, rho):
    """Features with correlation rho^|i - j|; the first of every 80 acts."""
    x = rng.normal(size=(N, P))
    for j in range(1, P):
        x[:, j] = rho * x[:, j - 1] + np.sqrt(1 - rho**2) * x[:, j]
    acting = np.arange(TRUE) * 80
    predictor = EFFECT[kind] * x[:, acting] @ np.where(np.arange(TRUE) % 2, -1.0, 1.0)
    if kind == "linear":
        return x, predictor + rng.normal(size=N), acting
    if kind == "logistic":
        return x, (rng.random(N) < 1 / (1 + np.exp(-predictor))).astype(int), acting
    event, censored = rng.exponential(np.exp(-predictor)), rng.exponential(2.0, N)
    y = np.array(list(zip(event <= censored, np.minimum(event, censored))), dtype=[("event", bool), ("time", float)])
    return x, y, acting


def run(rng, kind, rho, bound):
    x, y, acting = data(rng, kind, rho)
    picked = StabilitySelection(bound, n_pairs=25, seed=int(rng.integers(2**31))).fit(x, y).support_
    return picked.sum() - picked[acting].sum(), picked[acting].sum()


def lasso(rng, kind, rho, bound):
    x, y, acting = data(rng, kind, rho)
    picked = ElasticNetSelector(cv=5).fit(x, y).support_
    return picked.sum() - picked[acting].sum(), picked[acting].sum()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--n-jobs", type=int, default=1)
    given = parser.parse_args()
    print(f"n = {N}, {P} features, {TRUE} of which act; {given.runs} runs\n")
    print("| outcome | correlation of neighbours | selector | promised | false, mean | MC SE | true found, mean |")
    print("|---|---|---|---|---|---|---|")
    for kind, rho in (("linear", 0.0), ("linear", 0.5), ("logistic", 0.0), ("cox", 0.0)):
        studies = [("stability", run, 1.0), ("stability", run, 3.0), ("lasso, tuned by cross-validation", lasso, None)]
        for name, study, bound in studies:
            runs = given.runs if bound else min(given.runs, 50)
            one = partial(study, kind=kind, rho=rho, bound=bound)
            results = np.array(list(parallel_map(one, spawn(1, runs), n_jobs=given.n_jobs)))
            false, true = results.mean(axis=0)
            error = results[:, 0].std(ddof=1) / np.sqrt(runs)
            promised = "-" if bound is None else f"{bound:.0f}"
            print(f"| {kind} | {rho} | {name} | {promised} | {false:.2f} | {error:.2f} | {true:.2f} |", flush=True)


if __name__ == "__main__":
    main()
