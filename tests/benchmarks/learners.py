"""The elastic-net path beside scikit-survival's and glmnet's: CPU seconds, one thread, warm kernels.

    python -m tests.benchmarks.learners [--quick]

The same features, outcome and lambdas for all. What a path is worth is its objective: `excess` is the largest amount by
which that of the peer lies above ours over the path, `ours` the same the other way round. glmnet is timed where
``Rscript`` with it is found, on its own path (to lambda_max / 100). The bar: no slower than scikit-survival.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import dxa_causal as dc
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.elastic_net import partial_log_likelihood
from dxa_causal.survival._kernels.risk_sets import build_risk_sets

s = dc.survival

GLMNET = """
suppressMessages({library(glmnet); library(survival)})
folder <- commandArgs(TRUE)[1]; alpha <- as.numeric(commandArgs(TRUE)[2])
d <- as.matrix(read.csv(file.path(folder, "data.csv")))
used <- system.time(glmnet(d[, -(1:2)], Surv(d[, 1], d[, 2]), family = "cox", alpha = alpha, lambda.min.ratio = 0.01))
cat(sum(used[1:2]))
"""


def simulated(n, p, censoring, seed=1):
    """Normal features, twenty with a log hazard ratio of 0.3."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    event_time = rng.exponential(size=n) * np.exp(-0.3 * x[:, :20].sum(axis=1))
    censored = rng.exponential(censoring, size=n)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return z, s.survival_outcome(np.minimum(event_time, censored), event_time <= censored)


def objective(z, y, coefficients, lambdas, l1_ratio):
    sets = build_risk_sets(rank_times(y["time"]), y["event"].astype(np.int64), None)
    value = partial_log_likelihood(z @ coefficients.T, sets, np.ones(len(z)))
    size = l1_ratio * np.abs(coefficients).sum(axis=1) + (1 - l1_ratio) / 2 * (coefficients**2).sum(axis=1)
    return -value / len(z) + lambdas * size


def seconds(call, repeats):
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        best = min(best, time.process_time() - start)
    return best, result


def glmnet_seconds(z, y, l1_ratio):
    if shutil.which("Rscript") is None:
        return np.nan
    with tempfile.TemporaryDirectory() as folder:
        frame = pd.DataFrame(z).assign(time=y["time"], event=y["event"].astype(int))
        frame[["time", "event", *range(z.shape[1])]].to_csv(Path(folder) / "data.csv", index=False)
        script = Path(folder) / "glmnet.R"
        script.write_text(GLMNET)
        done = subprocess.run(["Rscript", script, folder, str(l1_ratio)], capture_output=True, text=True)
        return float(done.stdout) if done.returncode == 0 else np.nan


def compare(n, p, l1_ratio, censoring, repeats):
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    z, y = simulated(n, p, censoring)
    peer, theirs = seconds(lambda: CoxnetSurvivalAnalysis(l1_ratio=l1_ratio, alpha_min_ratio=0.01).fit(z, y), repeats)
    lambdas = theirs.alphas_
    own, ours = seconds(lambda: s.CoxNet(l1_ratio, lambdas=lambdas, cv=None, standardize=False).fit(z, y), repeats)
    gap = objective(z, y, theirs.coef_.T, lambdas, l1_ratio) - objective(z, y, ours.coef_path_, lambdas, l1_ratio)
    return {
        "n": n,
        "p": p,
        "l1_ratio": l1_ratio,
        "events": int(y["event"].sum()),
        "nonzero": int(ours.n_nonzero_.max()),
        "dxa_causal": own,
        "scikit-survival": peer,
        "glmnet": glmnet_seconds(z, y, l1_ratio),
        "ratio": peer / own,
        "excess": gap.max(),
        "ours": -gap.min(),
    }


def main(quick=False):
    warm, y = simulated(50, 3, 1.5)
    s.CoxNet(lambdas=[0.1]).fit(warm, y)
    cases = [(20_000, 50, 1.0, 1.5), (2000, 200, 0.5, 1.5), (300, 5000, 0.5, 1.5)]
    if not quick:
        cases += [(2000, 2000, 1.0, 1.5), (2000, 2000, 0.5, 1.5), (2000, 2000, 0.5, 0.1)]
    with threadpool_limits(1):
        rows = [compare(*case, repeats=1 if case[1] == 2000 else 3) for case in cases]
    table = pd.DataFrame(rows)
    header = "| " + " | ".join(table.columns) + " |\n|" + "---|" * table.shape[1]
    print(header)
    for row in table.itertuples(index=False):
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row) + " |")


if __name__ == "__main__":
    main("--quick" in sys.argv)
