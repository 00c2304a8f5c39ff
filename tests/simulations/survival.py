"""Coverage of intervals and size of tests in the survival room, on data whose truth is known.

    python -m tests.simulations.survival [study ...] [--runs 5000] [--n-jobs 1]

A study draws a data set, calls the public functions and notes whether each 95 % interval holds the truth, or each
p-value of a true null hypothesis is below 0.05. Every run has a generator of its own, spawned from the seed and the
name of the study: results depend neither on the number of jobs nor on which studies are run. Designs and results:
docs/explanation/simulations.md.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.special import roots_hermitenorm

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map

s = dc.survival

SEED = 20240917
COVERAGE = (94.0, 96.0)  # per cent, for 95 % intervals
SIZE = (4.0, 6.0)  # per cent, for tests at 5 %


class Interval(NamedTuple):
    """One interval of one run; `asked` is the range its coverage must lie in, None where it is shown for contrast."""

    error: float
    std_error: float
    hit: bool
    asked: tuple[float, float] | None


class Rejection(NamedTuple):
    """One test of one run."""

    hit: bool
    asked: tuple[float, float] | None = SIZE


def intervals(label, n, fit, truth, asked=COVERAGE):
    """Interval of every term that has a truth, by (label, n)."""
    table = fit.tidy().set_index("term")
    found = {}
    for term, value in truth.items():
        row = table.loc[term]
        covers = row["conf_low"] <= value <= row["conf_high"]
        found[f"{label}: {term}", n] = Interval(row["estimate"] - value, row["std_error"], bool(covers), asked)
    return found


def rejects(test):
    return Rejection(test.p_value < 0.05)


def censored(event_time, censoring, **columns):
    event = event_time <= censoring
    return pd.DataFrame({"time": np.minimum(event_time, censoring), "event": event.astype(int), **columns})


# Cox ------------------------------------------------------------------------------------------------------------

PLAIN = {"x": 0.5, "arm": -0.5}


def proportional(rng, n):
    """Weibull times of shape 1.5, a normal and a binary covariate; 30 % censored."""
    x, arm = rng.normal(size=n), rng.integers(0, 2, n)
    hazard = np.exp(PLAIN["x"] * x + PLAIN["arm"] * arm)
    event_time = (rng.exponential(size=n) / hazard) ** (1 / 1.5)
    return censored(event_time, rng.exponential(3.0, size=n), x=x, arm=arm)


def cox_plain(rng, truth, n=500):
    return intervals("Cox", n, s.cox("Surv(time, event) ~ x + arm", proportional(rng, n)), PLAIN)


def misspecified(rng, n):
    """The slope of `dose` is 1.5 or -0.5 by an unseen trait; the effect of `arm` ends at time 0.5; 30 % censored."""
    dose, arm = rng.uniform(-1.5, 1.5, size=n), rng.integers(0, 2, n)
    trait = rng.integers(0, 2, n)
    early = np.exp((1.5 - 2 * trait) * dose)
    left = rng.exponential(size=n) / early
    initial = np.exp(1.0 * arm)
    event_time = np.where(left < 0.5 * initial, left / initial, 0.5 + left - 0.5 * initial)
    return censored(event_time, rng.exponential(2.0, size=n), dose=dose, arm=arm)


def misspecified_truth(rng, size):
    fit = s.cox("Surv(time, event) ~ dose + arm", misspecified(rng, size))
    return dict(zip(fit.terms, fit.coefficients))


def cox_misspecified(rng, truth, n=500):
    frame, formula = misspecified(rng, n), "Surv(time, event) ~ dose + arm"
    return {
        **intervals("Cox misspecified, robust", n, s.cox(formula, frame, robust=True), truth),
        **intervals("Cox misspecified, model-based", n, s.cox(formula, frame), truth, asked=None),
    }


def shared_frailty(rng, n_clusters, per_cluster=5):
    """Clusters of 5, half of them treated, gamma frailty of mean 1 and variance 0.5; 22 % censored."""
    cluster = np.repeat(np.arange(n_clusters), per_cluster)
    treated = rng.permutation(n_clusters)[cluster] % 2
    x = rng.integers(0, 2, cluster.size)
    frailty = rng.gamma(2.0, 0.5, n_clusters)[cluster]
    event_time = rng.exponential(size=cluster.size) / (frailty * np.exp(0.7 * treated + 0.5 * x))
    return censored(event_time, rng.exponential(3.0, cluster.size), treated=treated, x=x, cluster=cluster)


def shared_frailty_truth(rng, size):
    """From clusters of one: the same margins, hence the same parameter, with a smaller error."""
    fit = s.cox("Surv(time, event) ~ treated + x", shared_frailty(rng, size, per_cluster=1))
    return dict(zip(fit.terms, fit.coefficients))


def cox_clustered(rng, truth):
    """The range is asked from 100 clusters on; 20 are there to show the shortfall."""
    found, formula = {}, "Surv(time, event) ~ treated + x"
    for n_clusters in (20, 100, 200, 400):
        frame = shared_frailty(rng, n_clusters)
        fit = s.cox(formula, frame, cluster="cluster")
        asked = COVERAGE if n_clusters >= 100 else None
        found |= intervals(f"Cox, {n_clusters} clusters, robust", len(frame), fit, truth, asked)
        if n_clusters == 200:
            naive = s.cox(formula, frame)
            found |= intervals(f"Cox, {n_clusters} clusters, model-based", len(frame), naive, truth, asked=None)
    return found


# competing risks ------------------------------------------------------------------------------------------------

SUBDISTRIBUTION = {"x": 0.5, "arm": -0.5}


def competing(rng, b1, b2, **columns):
    """P(T <= t, cause 1) = 1 - (1 - 0.6 (1 - e^-t))^exp(b1), cause 2 at the rate exp(b2); 20 % censored uniformly."""
    n, p, relative = b1.size, 0.6, np.exp(b1)
    of_one = 1 - (1 - p) ** relative
    cause = np.where(rng.uniform(size=n) < of_one, 1, 2)
    share = (1 - (1 - rng.uniform(size=n) * of_one) ** (1 / relative)) / p
    event_time = np.where(cause == 1, -np.log1p(-share), rng.exponential(size=n) / np.exp(b2))
    frame = censored(event_time, rng.uniform(0.0, 4.0, n), **columns)
    return frame.assign(event=frame["event"] * cause)


def fine_gray(rng, truth, n=500):
    x, arm = rng.normal(size=n), rng.integers(0, 2, n)
    b1 = SUBDISTRIBUTION["x"] * x + SUBDISTRIBUTION["arm"] * arm
    frame, formula = competing(rng, b1, -0.5 * x + 0.5 * arm, x=x, arm=arm), "Surv(time, event) ~ x + arm"
    found = {}
    for censoring in ("crr", "finegray"):
        fit = s.fine_gray(formula, frame, cause=1, censoring=censoring)
        found |= intervals(f"Fine-Gray, {censoring}", n, fit, SUBDISTRIBUTION)
    return found


# restricted mean ------------------------------------------------------------------------------------------------

TAU = 2.0


def weibull_arms(rng, n):
    """Weibull times of shape 1.3 by arm and a normal covariate, censored at rates that differ between the arms."""
    arm, x = rng.integers(0, 2, n), rng.normal(size=n)
    event_time = (rng.exponential(size=n) / np.exp(-0.5 * arm + 0.5 * x)) ** (1 / 1.3)
    return censored(event_time, rng.exponential(3.0 + 2.0 * arm), arm=arm, x=x)


def rmst_truth(rng, size):
    """Difference of the areas under the marginal curves: Gauss-Hermite over x, quadrature over time."""
    x, weight = roots_hermitenorm(60)
    weight = weight / weight.sum()

    def area(arm):
        return quad(lambda t: weight @ np.exp(-(t**1.3) * np.exp(-0.5 * arm + 0.5 * x)), 0, TAU)[0]

    return {"arm": area(1) - area(0)}


def rmst(rng, truth, n=500):
    frame, formula = weibull_arms(rng, n), "Surv(time, event) ~ arm"
    return {
        **intervals("RMST difference", n, s.rmst(formula, frame, tau=TAU), truth),
        **intervals("RMST difference given x", n, s.rmst(formula, frame, tau=TAU, covariates="x"), truth),
    }


# size of tests --------------------------------------------------------------------------------------------------


def ph_test(rng, truth, n=500):
    """Proportional hazards hold."""
    table = s.ph_test(s.cox("Surv(time, event) ~ x + arm", proportional(rng, n))).tidy()
    return {(f"ph_test: {t}", n): Rejection(p < 0.05) for t, p in zip(table["term"], table["p_value"])}


def logrank(rng, truth, n=200):
    """Survival is the same in both arms; then the same within four centres, where it differs, as does allocation."""
    arm, centre = rng.integers(0, 2, n), rng.integers(0, 4, n)
    event_time, censoring = rng.exponential(size=n), rng.exponential(2.0, size=n)
    plain = censored(event_time, censoring, arm=arm)
    mixed = censored(event_time * (1 + centre), 3 * censoring, centre=centre)
    mixed["arm"] = (rng.uniform(size=n) < 0.2 + 0.2 * centre).astype(int)
    return {
        ("log-rank", n): rejects(s.logrank("Surv(time, event) ~ arm", plain)),
        ("log-rank, stratified", n): rejects(s.logrank("Surv(time, event) ~ arm", mixed, strata="centre")),
    }


def gray(rng, truth, n=300):
    """The incidence of cause 1 is the same in both arms; cause 2 comes twice as fast in one."""
    arm = rng.integers(0, 2, n)
    frame = competing(rng, np.zeros(n), np.log(2.0) * arm, arm=arm)
    return {("Gray", n): rejects(s.gray_test("Surv(time, event) ~ arm", frame, cause=1))}


# the studies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """`one(rng, truth)` is one run; `truth(rng, size)` gives what a run cannot know, from one data set of that size."""

    one: Callable
    truth: Callable = lambda rng, size: None


STUDIES = {
    "cox-plain": Study(cox_plain),
    "cox-misspecified": Study(cox_misspecified, misspecified_truth),
    "cox-clustered": Study(cox_clustered, shared_frailty_truth),
    "fine-gray": Study(fine_gray),
    "rmst": Study(rmst, rmst_truth),
    "ph-test": Study(ph_test),
    "logrank": Study(logrank),
    "gray": Study(gray),
}


def several(one, truth, generators):
    return [one(rng, truth) for rng in generators]


def simulate(name, runs, *, n_jobs=1, truth_size=1_000_000, block=50):
    """All runs of a study, summarised: one row per interval or test."""
    first, *children = np.random.default_rng([SEED, *name.encode()]).spawn(1 + runs)
    study = STUDIES[name]
    work = partial(several, study.one, study.truth(first, truth_size))
    blocks = [children[k : k + block] for k in range(0, runs, block)]
    found = [run for part in parallel_map(work, blocks, n_jobs=n_jobs, progress=True, description=name) for run in part]
    return pd.DataFrame([summary(label, n, [run[label, n] for run in found]) for label, n in found[0]])


def summary(label, n, results):
    asked, runs = results[0].asked, len(results)
    share = np.mean([r.hit for r in results])
    row = {"what": label, "n": n, "runs": runs, "bias": np.nan, "sd": np.nan, "mean_se": np.nan}
    if isinstance(results[0], Interval):
        error = np.array([r.error for r in results])
        row |= {"bias": error.mean(), "sd": error.std(ddof=1), "mean_se": np.mean([r.std_error for r in results])}
    row |= {"percent": 100 * share, "mc_se": 100 * np.sqrt(share * (1 - share) / runs)}
    met = "" if asked is None else "yes" if asked[0] <= 100 * share <= asked[1] else "no"
    return row | {"asked": "" if asked is None else f"{asked[0]:g}-{asked[1]:g}", "met": met}


HEADER = """\
| | n | runs | mean bias | SD | mean SE | covered or rejected, % | MC SE | asked | met |
|---|---|---|---|---|---|---|---|---|---|"""


def line(row):
    three = ["" if np.isnan(row[c]) else f"{row[c]:.4f}" for c in ("bias", "sd", "mean_se")]
    share = [f"{row[c]:.2f}" for c in ("percent", "mc_se")]
    return f"| {' | '.join([row['what'], str(row['n']), str(row['runs']), *three, *share, row['asked'], row['met']])} |"


def command_line(doc, studies, simulate, *, runs=2000):
    """Print a table in Markdown of the studies named on the command line, of all if none is."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="study", help=f"of {', '.join(studies)}; all if none is named")
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="file for the same table with all digits")
    options = parser.parse_args()
    unknown = [name for name in options.studies if name not in studies]
    if unknown:
        parser.error(f"no study {unknown[0]!r}; there are {', '.join(studies)}")
    print(HEADER, flush=True)
    tables = []
    for name in options.studies or studies:
        start = time.perf_counter()
        table = simulate(name, options.runs, n_jobs=options.n_jobs)
        for row in table.to_dict("records"):
            print(line(row), flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        tables.append(table)
        if options.csv is not None:
            pd.concat(tables, ignore_index=True).to_csv(options.csv, index=False, float_format="%.6g")


if __name__ == "__main__":
    command_line(__doc__, STUDIES, simulate, runs=5000)
