"""Speed of colocalisation and fine-mapping: CPU seconds, one thread, warm.

    python -m tests.benchmarks.coloc [coloc] [susie] [--quick]

- coloc: coloc_abf over 1 000 regions (50 with --quick) of 5 000 variants, two frames each, ids and all checks included;
  and the kernel alone on arrays of all regions.
- susie: SuSiE, and the check of linkage, on 500 and 2 000 variants (500 with --quick) with three causal ones.
"""

import argparse
import time

import numpy as np
import pandas as pd

from dxa_causal.mr._kernels import bayes_factors
from dxa_causal.mr.locus.coloc import coloc_abf
from dxa_causal.mr.locus.ld_check import ld_check
from dxa_causal.mr.locus.susie import susie


def clocked(function):
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - cpu, time.perf_counter() - wall


def line(what, seconds, asked):
    print(f"| {what} | {seconds[0]:.2f} | {seconds[1]:.2f} | {asked} |", flush=True)


def frame(rng, m):
    return pd.DataFrame(
        {
            "variant": [f"rs{i}" for i in range(m)], "beta": rng.normal(0, 0.02, m), "se": np.full(m, 0.01),
            "eaf": rng.uniform(0.05, 0.5, m), "n": np.full(m, 20_000), "type": "quant",
        }
    )  # fmt: skip


def coloc(quick):
    rng, m, n = np.random.default_rng(1), 5000, 50 if quick else 1000
    pairs = [(frame(rng, m), frame(rng, m).sample(frac=0.9, random_state=k)) for k in range(10)]
    coloc_abf(*pairs[0])
    seconds = clocked(lambda: [coloc_abf(*pairs[k % 10]).posterior for k in range(n)])
    line(f"coloc_abf, {n:,} regions of 5 000 variants", seconds, "10 s for 1 000")
    log_bf = rng.normal(0, 2, (2, n, m))
    kernel = clocked(lambda: bayes_factors.hypotheses(bayes_factors.sums(*log_bf), 1e-4, 1e-4, 1e-5))
    line(f"its kernel on arrays of {n:,} regions at once", kernel, "")


def finemap(quick):
    for m in (500,) if quick else (500, 2000):
        rng = np.random.default_rng(2)
        r = 0.95 ** np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
        mean = 8.0 * r[:, [m // 5, m // 2, 4 * m // 5]].sum(axis=1)
        z = mean + np.linalg.cholesky(r) @ rng.standard_normal(m)
        d = pd.DataFrame({"variant": [f"rs{i}" for i in range(m)], "beta": 0.01 * z, "se": 0.01, "n": 10_000})
        susie(d.iloc[:50], ld=r[:50, :50])
        line(f"susie, {m:,} variants, ten effects", clocked(lambda d=d, r=r: susie(d, ld=r)), "")
        line(f"ld_check, {m:,} variants", clocked(lambda d=d, r=r: ld_check(d, r)), "")


PARTS = {"coloc": coloc, "susie": finemap}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print("| work | CPU s | wall s | asked |\n|---|---|---|---|", flush=True)
    for part in options.parts or PARTS:
        PARTS[part](options.quick)


if __name__ == "__main__":
    main()
