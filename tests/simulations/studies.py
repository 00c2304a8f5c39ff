"""The command line of files whose studies are functions of a generator: runs spread out, one row per label."""

import argparse
import sys
import time
from functools import partial

import numpy as np

from dxa_causal._core.parallel import parallel_map
from tests.simulations.survival import HEADER, SEED, line, several, summary

BLOCK = 25  # runs per piece of work


def simulate(study, name, runs, *, n_jobs=1):
    """All runs of a study, each with a generator of its own, summarised: one row per interval."""
    children = np.random.default_rng([SEED, *name.encode()]).spawn(runs)
    blocks = [children[k : k + BLOCK] for k in range(0, runs, BLOCK)]
    work = partial(several, study, None)
    found = [run for part in parallel_map(work, blocks, n_jobs=n_jobs, progress=True, description=name) for run in part]
    return [summary(label, n, [run[label, n] for run in found]) for label, n in found[0]]


def run_studies(doc, studies):
    """Print a table in Markdown of the studies named on the command line, of all if none is."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="study", help=f"of {', '.join(studies)}; all if none is named")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    unknown = [name for name in options.studies if name not in studies]
    if unknown:
        parser.error(f"no study {unknown[0]!r}; there are {', '.join(studies)}")
    print(HEADER, flush=True)
    for name in options.studies or studies:
        start = time.perf_counter()
        for row in simulate(studies[name], name, options.runs, n_jobs=options.n_jobs):
            print(line(row), flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
