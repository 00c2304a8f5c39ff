"""Cox model beside its peers: CPU seconds of the whole call, one thread, warm kernels.

    python -m tests.benchmarks.cox [n ...]

Every package gets the same data in one process; each call is repeated and the
smallest CPU time counts, so that what else runs on the machine matters little.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd

import dxa_causal as dc

P = 20


def simulate(n, *, ties, seed=1):
    """Exponential times with log hazard ratio 0.1 each, about 40 % censored; 60 distinct times with `ties`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, P))
    time_to_event = rng.exponential(size=n) * np.exp(-x @ np.full(P, 0.1))
    censoring = rng.exponential(1.5, size=n)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(P)])
    frame["time"] = np.minimum(time_to_event, censoring)
    frame["event"] = (time_to_event <= censoring).astype(int)
    if ties:
        frame["time"] = np.ceil(frame["time"].clip(upper=6) * 10)
    return frame


def ours(frame):
    formula = "Surv(time, event) ~ " + " + ".join(f"x{j}" for j in range(P))
    return dc.survival.cox(formula, frame).coefficients


def with_lifelines(frame):
    from lifelines import CoxPHFitter

    return CoxPHFitter().fit(frame, "time", "event").params_.to_numpy()


def with_sksurv(frame):
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    outcome = Surv.from_arrays(frame["event"] == 1, frame["time"])
    x = frame.drop(columns=["time", "event"])
    return CoxPHSurvivalAnalysis(ties="efron").fit(x, outcome).coef_


def cpu(function, frame, repeats):
    """Smallest CPU time of `repeats` calls, and the result."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        result = function(frame)
        best = min(best, time.process_time() - start)
    return best, result


def compare(n, *, ties):
    """One row per package: CPU seconds, ratio to ours, largest difference of a coefficient."""
    from threadpoolctl import threadpool_limits

    frame = simulate(n, ties=ties)
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours(frame)  # warm
        own, reference = cpu(ours, frame, 7)
        rows.append(("dxa_causal", own, 1.0, 0.0))
        for name, function in (("lifelines", with_lifelines), ("scikit-survival", with_sksurv)):
            seconds, result = cpu(function, frame, 2)
            rows.append((name, seconds, seconds / own, float(np.abs(result - reference).max())))
    table = pd.DataFrame(rows, columns=["package", "cpu_s", "times_ours", "max_difference"])
    table.insert(0, "ties", "60 times" if ties else "none")
    table.insert(0, "n", n)
    return table


if __name__ == "__main__":
    sizes = [int(a) for a in sys.argv[1:]] or [10_000]
    tables = [compare(n, ties=ties) for n in sizes for ties in (False, True)]
    print(pd.concat(tables).to_string(index=False, float_format=lambda v: f"{v:.4g}"))
