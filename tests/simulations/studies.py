"""Simulation files whose studies are functions of a generator: runs spread out, one row per label."""

from functools import partial

import numpy as np
import pandas as pd

from dxa_causal._core.parallel import parallel_map
from tests.simulations.survival import SEED, command_line, several, summary

BLOCK = 25  # runs per piece of work


def run_studies(doc, studies):
    """Run the studies named on the command line, each run with a generator of its own."""
    command_line(doc, studies, partial(simulate, studies))


def simulate(studies, name, runs, *, n_jobs=1):
    """All runs of a study, summarised: one row per interval."""
    children = np.random.default_rng([SEED, *name.encode()]).spawn(runs)
    blocks = [children[k : k + BLOCK] for k in range(0, runs, BLOCK)]
    work = partial(several, studies[name], None)
    found = [run for part in parallel_map(work, blocks, n_jobs=n_jobs, progress=True, description=name) for run in part]
    return pd.DataFrame([summary(label, n, [run[label, n] for run in found]) for label, n in found[0]])
