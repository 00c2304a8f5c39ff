"""Evaluation of predictions beside its peers: CPU seconds of the whole call, one thread, warm kernels.

    python -m tests.benchmarks.evaluation [--quick]

Three models at five horizons, n = 20 000 (2 000 with --quick). Ours gives AUC, Brier score, IPA, integrated Brier
score, Harrell's and Uno's concordance with standard errors, and all differences; scikit-survival the estimates it has
of the same; R's riskRegression AUC and Brier score with standard errors and differences.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import dxa_causal as dc

s = dc.survival
HORIZONS = [1.0, 2.0, 3.0, 4.0, 5.0]
MODELS = ("one", "two", "three")

SCORE = """
suppressMessages({library(riskRegression); library(survival)})
file <- commandArgs(trailingOnly = TRUE)[1]; d <- read.csv(file); times <- 1:5
risks <- lapply(c(one = "one", two = "two", three = "three"), function(m) as.matrix(d[, paste0(m, times)]))
start <- proc.time()
s <- suppressMessages(Score(risks, formula = Surv(time, event) ~ 1, data = d, times = times, cens.model = "km",
  metrics = c("auc", "brier"), summary = c("ipa", "ibs")))
cat(sum((proc.time() - start)[1:2]), format(s$AUC$score$AUC, digits = 17))
"""


def predictions(n, seed=1):
    """Times, events and the risks of three models by each horizon."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    failure, censoring = 5.0 * rng.exponential(size=n) * np.exp(-x @ [0.5, 0.4, 0.3]), rng.exponential(8.0, size=n)
    data = pd.DataFrame({"time": np.minimum(failure, censoring), "event": (failure <= censoring) * 1})
    slopes = np.diag([0.5, 0.4, 0.3])
    risks = {
        name: -np.expm1(-np.outer(np.exp(x @ slopes[: k + 1].sum(axis=0)), HORIZONS) / 5.0)
        for k, name in enumerate(MODELS)
    }
    return data, risks


def ours(data, risks):
    found = s.evaluate(risks, data, HORIZONS, outcome="Surv(time, event)")
    found.differences()
    table = found.tidy()
    return table[table["metric"] == "auc"]["estimate"].to_numpy()


def scikit_survival(data, risks):
    from sksurv.metrics import brier_score, concordance_index_censored, concordance_index_ipcw, cumulative_dynamic_auc
    from sksurv.util import Surv

    y = Surv.from_arrays(data["event"] == 1, data["time"])
    values = []
    for risk in risks.values():
        values.append(cumulative_dynamic_auc(y, y, risk, HORIZONS)[0])
        brier_score(y, y, 1.0 - risk, HORIZONS)
        concordance_index_censored(y["event"], y["time"], risk[:, -1])
        concordance_index_ipcw(y, y, risk[:, -1], tau=HORIZONS[-1])
    return np.concatenate(values)


def risk_regression(data, risks):
    """CPU seconds and AUCs, as R measures them; None without R."""
    if shutil.which("Rscript") is None:
        return None
    columns = {f"{name}{k + 1}": risk[:, k] for name, risk in risks.items() for k in range(len(HORIZONS))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        data.assign(**columns).to_csv(path, index=False, float_format="%.17g")
        command = ["Rscript", "-e", SCORE, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    numbers = [float(v) for v in done.stdout.split()]
    return numbers[0], np.array(numbers[1 : 1 + len(risks) * len(HORIZONS)])


def cpu(function, data, risks, repeats):
    """Smallest CPU time of `repeats` calls, and the result."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        result = function(data, risks)
        best = min(best, time.process_time() - start)
    return best, result


def main(arguments):
    n = 2_000 if "--quick" in arguments else 20_000
    data, risks = predictions(n)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours(*predictions(500))  # warm
        own, values = cpu(ours, data, risks, 5)
        lines = [("dxa_causal", own, 1.0, None, 0.0)]
        peers = [("scikit-survival", cpu(scikit_survival, data, risks, 1), 20.0)]
        peers.append(("riskRegression", risk_regression(data, risks), None))
        for name, measured, bar in peers:
            if measured is not None:
                gap = float(np.abs(measured[1] - values).max())
                lines.append((name, measured[0], measured[0] / own, bar, gap))
    table = pd.DataFrame(lines, columns=["package", "cpu_s", "times_ours", "bar", "max_difference"])
    print(f"three models, five horizons, n = {n}")
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    main(sys.argv[1:])
