"""Coverage of intervals for AUC(t), Brier score, IPA and concordance, and size of the test of equal AUCs.

    python -m tests.simulations.evaluation [study ...] [--runs 2000] [--n-jobs 1]

Predictions are given functions of covariates, so that their performance in the population is a number: it comes from a
million people without censoring. Each run draws a test set, censored at random, and calls `evaluate`.
"""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map
from dxa_causal.survival._kernels.ranked_pairs import ranked_pairs
from tests.simulations.survival import SIZE, Interval, Rejection, command_line, summary

SEED = 20251125
COVERAGE = (93.5, 96.5)
HORIZONS = (2.0, 5.0)
SIZES = (200, 500)


def people(rng, n):
    """Times of failure from two causes, and the risks that three models give; two of them are equally good."""
    x = rng.normal(size=(n, 3))
    first = 6.0 * rng.exponential(size=n) * np.exp(-x @ [0.7, 0.5, 0.5])
    second = rng.exponential(10.0, size=n)
    used = {"full": [0.7, 0.5, 0.5], "second": [0.7, 0.5, 0.0], "third": [0.7, 0.0, 0.5]}
    scores = {name: x @ slope for name, slope in used.items()}
    return first, second, {k: -np.expm1(-np.outer(np.exp(v), HORIZONS) / 6.0) for k, v in scores.items()}


def censored(rng, n, *, competing):
    first, second, risks = people(rng, n)
    failure = np.minimum(first, second) if competing else first
    event = np.where(first <= failure, 1, 2)
    end = np.minimum(rng.exponential(8.0, size=n), rng.uniform(5.5, 12.0, size=n))
    return pd.DataFrame({"time": np.minimum(failure, end), "event": np.where(failure <= end, event, 0)}), risks


def truth(rng, size, *, competing):
    """Performance in the population."""
    first, second, risks = people(rng, size)
    failure = np.minimum(first, second) if competing else first
    values = {}
    for j, t in enumerate(HORIZONS):
        case = (first <= t) & (first <= failure)
        for name, risk in risks.items():
            values[name, "auc", t] = roc_auc_score(case, risk[:, j])
            values[name, "brier", t] = np.mean((case - risk[:, j]) ** 2)
            values[name, "ipa", t] = 1.0 - values[name, "brier", t] / (case.mean() * (1 - case.mean()))
    # later failures do not count: a case is paired with everybody who fails later or from the other cause
    rank, case = np.argsort(np.argsort(failure)), (first <= failure) & (first <= HORIZONS[-1])
    for name, risk in risks.items():
        pairs = ranked_pairs(rank, case, first > failure, risk[:, -1], None)
        values[name, "concordance_uno", HORIZONS[-1]] = pairs.estimate
    return values


def one(rng, values, *, competing):
    found = {}
    for n in SIZES:
        data, risks = censored(rng, n, competing=competing)
        judged = dc.survival.evaluate(
            risks,
            data,
            HORIZONS,
            outcome="Surv(time, event)",
            cause=1 if competing else None,
            metrics=["auc", "brier", "ipa", "concordance_uno"],
        )
        for row in judged.tidy().itertuples():
            known = values.get((row.model, row.metric, row.time))
            if known is not None and row.model != "third":
                hit = bool(row.conf_low <= known <= row.conf_high)
                label = f"{row.metric} at {row.time:g}, {row.model}"
                found[label, n] = Interval(row.estimate - known, row.std_error, hit, COVERAGE)
        for row in judged.differences().itertuples():
            if row.metric != "auc":
                continue
            difference = values[row.model, "auc", row.time] - values[row.reference, "auc", row.time]
            hit = bool(row.conf_low <= difference <= row.conf_high)
            label = f"auc at {row.time:g}, {row.model} - {row.reference}"
            found[label, n] = Interval(row.estimate - difference, row.std_error, hit, COVERAGE)
            if {row.model, row.reference} == {"second", "third"}:
                found[f"test of equal auc at {row.time:g}", n] = Rejection(bool(row.p_value < 0.05), SIZE)
    return found


STUDIES = {"survival": False, "competing": True}


def several(generators, values, competing):
    return [one(rng, values, competing=competing) for rng in generators]


def simulate(name, runs, *, n_jobs=1, truth_size=1_000_000, block=50):
    """All runs of a study, summarised: one row per interval or test."""
    first, *children = np.random.default_rng([SEED, *name.encode()]).spawn(1 + runs)
    competing = STUDIES[name]
    work = partial(several, values=truth(first, truth_size, competing=competing), competing=competing)
    blocks = [children[k : k + block] for k in range(0, runs, block)]
    found = [run for part in parallel_map(work, blocks, n_jobs=n_jobs, progress=True, description=name) for run in part]
    return pd.DataFrame([summary(f"{name}: {label}", n, [run[label, n] for run in found]) for label, n in found[0]])


if __name__ == "__main__":
    command_line(__doc__, STUDIES, simulate)
