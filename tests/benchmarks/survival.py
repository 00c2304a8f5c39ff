"""The survival room beside its peers: CPU seconds of the whole call, one thread, warm kernels.

    python -m tests.benchmarks.survival [name ...] [--quick]

Every package gets the same data on the same machine in the same run; each call is repeated and the
smallest CPU time counts, so that what else runs on the machine matters little. R's peers are
timed where ``Rscript`` with the packages survival and cmprsk is found. The bars are the least ratios asked for.
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
PEERS = Path(__file__).with_name("peers.R")


def right_censored(n, p, *, ties=False, seed=1):
    """Exponential times with log hazard ratio 0.1 each, about 40 % censored; 60 distinct times with `ties`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    event_time = rng.exponential(size=n) * np.exp(-x @ np.full(p, 0.1))
    censoring = rng.exponential(1.5, size=n)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)])
    frame["time"] = np.minimum(event_time, censoring)
    frame["event"] = (event_time <= censoring).astype(float)
    if ties:
        frame["time"] = np.ceil(frame["time"].clip(upper=6) * 10)
    return frame


def start_stop(n, p, seed=2):
    """About three rows per subject, covariates changing between them."""
    rng = np.random.default_rng(seed)
    base = right_censored(n, p, seed=seed)
    pieces = rng.integers(1, 6, n)
    row = np.repeat(np.arange(n), pieces)
    number = np.arange(row.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    x = base.iloc[:, :p].to_numpy()[row] + rng.normal(scale=0.3, size=(row.size, p))
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)])
    width = base["time"].to_numpy()[row] / pieces[row]
    frame["start"], frame["stop"] = number * width, (number + 1) * width
    frame["event"] = np.where(number + 1 == pieces[row], base["event"].to_numpy()[row], 0.0)
    frame["id"] = row.astype(float)
    return frame


def competing(n, p, seed=3):
    """Two causes of exponential times and censoring."""
    rng = np.random.default_rng(seed)
    frame = right_censored(n, p, seed=seed)
    frame["event"] = frame["event"] * rng.integers(1, 3, n)
    return frame


def right(frame):
    return " + ".join(c for c in frame if c.startswith("x"))


# ours -----------------------------------------------------------------------------------------------------------


def cox(frame):
    return s.cox(f"Surv(time, event) ~ {right(frame)}", frame).coefficients


def cox_start_stop(frame):
    return s.cox(f"Surv(start, stop, event) ~ {right(frame)}", frame).coefficients


def fine_gray(frame):
    fit = s.fine_gray(f"Surv(time, event) ~ {right(frame)}", frame, cause=1)
    return np.concatenate([fit.coefficients, fit.std_error])


def bootstrap(frame):
    return s.bootstrap(s.cox(f"Surv(time, event) ~ {right(frame)}", frame), n_resamples=500, seed=1).replicates[0]


class Concordance:
    """The fit is made once, outside the timed call."""

    def __init__(self, *, std_error):
        self.std_error = std_error
        self.fits = {}

    def __call__(self, frame):
        if id(frame) not in self.fits:
            self.fits[id(frame)] = s.cox("Surv(time, event) ~ x0", frame)
        fit = self.fits[id(frame)]
        fit.__dict__.pop("linear_predictor", None)
        c = s.concordance(fit)
        return np.array([c.estimate, c.std_error**2] if self.std_error else [c.estimate])


# peers ----------------------------------------------------------------------------------------------------------


def lifelines_cox(frame):
    from lifelines import CoxPHFitter

    return CoxPHFitter().fit(frame, "time", "event").params_.to_numpy()


def lifelines_start_stop(frame):
    from lifelines import CoxTimeVaryingFitter

    return CoxTimeVaryingFitter().fit(frame, id_col="id", start_col="start", stop_col="stop", event_col="event").params_


def lifelines_bootstrap(frame):
    rng = np.random.default_rng(1)
    return [lifelines_cox(frame.sample(len(frame), replace=True, random_state=rng)) for _ in range(3)][0]


def lifelines_concordance(frame):
    from lifelines.utils import concordance_index

    return np.array([concordance_index(frame["time"], -frame["x0"], frame["event"])])


def sksurv_cox(frame):
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    outcome = Surv.from_arrays(frame["event"] == 1, frame["time"])
    return CoxPHSurvivalAnalysis(ties="efron").fit(frame.drop(columns=["time", "event"]), outcome).coef_


def with_r(task, frame, repeats):
    """CPU seconds and result of a task of peers.R; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.bin"
        np.asfortranarray(frame.to_numpy(dtype=np.float64)).ravel("F").tofile(path)
        done = subprocess.run(
            ["Rscript", str(PEERS), task, str(path), ",".join(frame.columns), str(repeats)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    numbers = [float(v) for v in done.stdout.split()]
    return numbers[0], np.array(numbers[1:])


def cpu(function, frame, repeats):
    """Smallest CPU time of `repeats` calls, and the result."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        result = function(frame)
        best = min(best, time.process_time() - start)
    return best, np.asarray(result)


# name: (label, data, ours, how often, peers), a peer being (name, function or R task, how often, factor, bar)
def _cases():
    no_ties = [("lifelines", lifelines_cox), ("scikit-survival", sksurv_cox)]
    return {
        "cox_1e4": ("Cox, p = 20, no ties, n = 1e4", lambda: right_censored(10_000, 20), cox, 9,
                    [(n, f, 2, 1, 20) for n, f in no_ties] + [("R", "cox", 5, 1, 3)]),
        "cox_1e5": ("Cox, p = 20, no ties, n = 1e5", lambda: right_censored(100_000, 20), cox, 15,
                    [(n, f, 1, 1, 40) for n, f in no_ties] + [("R", "cox", 3, 1, 5)]),
        "cox_1e6": ("Cox, p = 20, no ties, n = 1e6", lambda: right_censored(1_000_000, 20), cox, 3,
                    [("R", "cox", 1, 1, 5)]),
        "ties_1e4": ("Cox, p = 20, 60 times, n = 1e4", lambda: right_censored(10_000, 20, ties=True), cox, 9,
                     [("lifelines", lifelines_cox, 3, 1, 2), ("R", "cox", 5, 1, 5)]),
        "ties_1e5": ("Cox, p = 20, 60 times, n = 1e5", lambda: right_censored(100_000, 20, ties=True), cox, 5,
                     [("lifelines", lifelines_cox, 2, 1, 2), ("R", "cox", 3, 1, 5)]),
        "start_stop_2e3": ("start-stop Cox, p = 10, 2 000 subjects", lambda: start_stop(2_000, 10), cox_start_stop, 60,
                           [("R", "start_stop", 30, 1, 5)]),
        "start_stop_2e4": ("start-stop Cox, p = 10, 20 000 subjects", lambda: start_stop(20_000, 10), cox_start_stop,
                           5, [("lifelines", lifelines_start_stop, 1, 1, 100), ("R", "start_stop", 3, 1, None)]),
        "start_stop_1e6": ("start-stop Cox, p = 10, 1e6 rows", lambda: start_stop(333_333, 10), cox_start_stop, 2,
                           [("R", "start_stop", 1, 1, 8)]),
        "fine_gray": ("Fine-Gray with variance, n = 5 000, p = 5", lambda: competing(5_000, 5), fine_gray, 9,
                      [("R cmprsk", "fine_gray", 1, 1, 300)]),
        "bootstrap": ("500 bootstrap fits, n = 2 000, p = 10", lambda: right_censored(2_000, 10), bootstrap, 3,
                      [("lifelines", lifelines_bootstrap, 1, 500 / 3, 60), ("R", "bootstrap", 1, 10, 4)]),
        "concordance": ("concordance, n = 1e5", lambda: right_censored(100_000, 1), Concordance(std_error=False), 9,
                        [("lifelines", lifelines_concordance, 2, 1, 40), ("R", "concordance", 3, 1, 10)]),
        "concordance_se": ("concordance with se, n = 1e5", lambda: right_censored(100_000, 1),
                           Concordance(std_error=True), 9, [("R", "concordance", 3, 1, 5)]),
    }  # fmt: skip


def compare(case):
    """One row per package: CPU seconds, times ours, the bar, largest difference from ours relative to its size."""
    label, make, function, repeats, peers = case
    frame = make()
    function(frame)  # warm
    own, result = cpu(function, frame, repeats)
    rows = [(label, "dxa_causal", own, 1.0, None, 0.0)]
    for name, peer, times, factor, bar in peers:
        measured = with_r(peer, frame, times) if isinstance(peer, str) else cpu(peer, frame, times)
        if measured is None:
            continue
        seconds, value = measured[0] * factor, measured[1]
        # a bootstrap draws other samples
        size = min(value.size, result.size)
        gap = np.nan if "bootstrap" in label else float(np.max(np.abs(value[:size] - result[:size])))
        rows.append((label, name, seconds, seconds / own, bar, gap))
    table = pd.DataFrame(rows, columns=["work", "package", "cpu_s", "times_ours", "bar", "max_difference"])
    table["met"] = np.where(table["bar"].isna(), "", np.where(table["times_ours"] >= table["bar"], "yes", "NO"))
    return table


def memory(n, p=20):
    """Peak memory of a Cox fit above the caller's frame, in sizes of its design matrix, and CPU seconds."""
    import tracemalloc

    frame = right_censored(n, p)
    cox(frame.head(1000))
    seconds, _ = cpu(cox, frame, 3)
    tracemalloc.start()
    cox(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (8 * n * p), seconds


def main(arguments):
    cases = _cases()
    wanted = [a for a in arguments if not a.startswith("-")] or [*cases, "memory"]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in wanted:
            if name == "memory":
                found = {n: memory(n) for n in (100_000, 200_000, 400_000)}
                for n, (peak, seconds) in found.items():
                    print(f"memory, n = {n}: peak {peak:.2f} times the design matrix (bar 4), {seconds:.3g} CPU s")
                growth = [found[2 * n][1] / found[n][1] for n in (100_000, 200_000)]
                print(f"doubling n costs {growth[0]:.2f} and {growth[1]:.2f} times the CPU (bar 2.3)")
                continue
            table = compare(cases[name])
            print(table.to_string(index=False, header=name == wanted[0], float_format=lambda v: f"{v:.3g}"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
