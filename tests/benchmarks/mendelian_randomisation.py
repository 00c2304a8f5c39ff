"""Speed of Mendelian randomisation: CPU seconds, one thread, warm.

    python -m tests.benchmarks.mendelian_randomisation [presso] [estimators] [files] [scan] [--quick]

- presso: MR-PRESSO of 50 variants with 1 000 draws and of 1 000 variants with 10 000 (2 000 with --quick).
- estimators: every estimator on 100 variants, 1 000 draws each, and leave-one-out.
- files: two generated files of 10 million rows (200 000 with --quick), read and harmonised; peak memory of the process.
- scan: 2 000 proteins on 50 outcomes (200 on 5 with --quick), two threads, planted effects: time, memory, recall, FDR.
"""

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

import dxa_causal as dc
from dxa_causal.mr.estimators import ESTIMATORS

SLOW_BY_NATURE = {"hetpen", "wald_ratio"}  # subsets of 100 variants; for one variant


def variants(n, seed=1):
    rng = np.random.default_rng(seed)
    gamma = rng.uniform(0.05, 0.15, n)
    return dc.mr.Harmonised.from_arrays(
        beta_exposure=gamma + 0.01 * rng.standard_normal(n),
        se_exposure=np.full(n, 0.01),
        beta_outcome=0.2 * gamma + 0.03 * rng.standard_normal(n),
        se_outcome=np.full(n, 0.02),
        n_exposure=20_000,
        n_outcome=20_000,
    )


def clocked(function):
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - cpu, time.perf_counter() - wall


def line(what, seconds, asked):
    print(f"| {what} | {seconds[0]:.2f} | {seconds[1]:.2f} | {asked} |", flush=True)


def presso(quick):
    small, large, draws = variants(50), variants(1000), 2_000 if quick else 10_000
    dc.mr.presso(small, n_draws=100, seed=1)
    line("MR-PRESSO, 50 variants, 1 000 draws", clocked(lambda: dc.mr.presso(small, n_draws=1000, seed=1)), "0.3 CPU s")
    many = clocked(lambda: dc.mr.presso(large, n_draws=draws, seed=1))
    line(f"MR-PRESSO, 1 000 variants, {draws:,} draws", many, "10 s for 10 000")


def estimators(quick):
    h = variants(100)
    methods = [name for name in ESTIMATORS if name not in SLOW_BY_NATURE]
    dc.mr.estimate(h, methods, seed=1, n_draws=10)
    all_of_them = clocked(lambda: dc.mr.estimate(h, methods, seed=1, n_draws=1000))
    line(f"{len(methods)} estimators, 100 variants, 1 000 draws", all_of_them, "5 s")
    line("leave-one-out, 100 variants", clocked(lambda: dc.mr.leave_one_out(h)), "closed form")


def write_files(folder, n):
    import polars as pl

    rng = np.random.default_rng(1)
    letters = np.array(["A", "C", "G", "T"])
    for side in ("exposure", "outcome"):
        first = rng.integers(0, 4, n)
        frame = pl.DataFrame(
            {
                "variant": np.arange(n), "effect_allele": letters[first], "other_allele": letters[(first + 1) % 4],
                "eaf": rng.uniform(0.01, 0.99, n).round(4), "beta": rng.normal(0, 0.02, n).round(5),
                "se": np.full(n, 0.01),
            }
        ).with_columns(variant=pl.format("rs{}", "variant"))  # fmt: skip
        frame.write_csv(Path(folder) / f"{side}.tsv", separator="\t")


def files(quick):
    n = 200_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:  # its memory is not ours
            other.submit(write_files, folder, n).result()
        peaks, read = [gigabytes()], []

        def read_both():
            for side in ("exposure", "outcome"):
                read.append(dc.mr.read_gwas(Path(folder) / f"{side}.tsv"))
                peaks.append(gigabytes())

        reading = clocked(read_both)
        harmonising = clocked(lambda: dc.mr.harmonise(*read))
    line(f"read two files of {n:,} rows", reading, "")
    line("harmonise them", harmonising, "90 s together")
    peaks = ", ".join(f"{peak:.2f}" for peak in (*peaks, gigabytes()))
    print(f"\npeak memory, GB: {peaks} (before, one file read, both, harmonised); asked: 4.29 (4 GiB)")


def gigabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def planted(n_proteins, n_outcomes, n_effects, seed=1):
    """Proteins of 3 to 5 variants with F about 150; effects of 0.4 for some pairs, none for the others."""
    rng = np.random.default_rng(seed)
    size = rng.integers(3, 6, n_proteins)
    code, rows = np.repeat(np.arange(n_proteins), size), int(size.sum())
    gamma, truth = rng.normal(0.12, 0.03, rows), np.zeros((n_proteins, n_outcomes))
    truth[rng.integers(0, n_proteins, n_effects), rng.integers(0, n_outcomes, n_effects)] = 0.4
    common = {"variant": [f"rs{i}" for i in range(rows)], "effect_allele": "A", "other_allele": "G", "eaf": 0.3}
    exposures = pd.DataFrame(
        {"exposure": [f"p{i}" for i in code], **common, "beta": gamma + 0.01 * rng.standard_normal(rows), "se": 0.01}
    )
    outcomes = {
        f"o{j}": pd.DataFrame({**common, "beta": truth[code, j] * gamma + 0.02 * rng.standard_normal(rows), "se": 0.02})
        for j in range(n_outcomes)
    }
    return exposures, outcomes, truth


def scan(quick):
    exposures, outcomes, truth = planted(*((200, 5, 50) if quick else (2000, 50, 500)))
    dc.mr.scan(exposures.head(10), dict(list(outcomes.items())[:1]), n_draws=10)  # compiled
    methods = ["ivw", "egger", "weighted_median"]
    done = []
    seconds = clocked(lambda: done.append(dc.mr.scan(exposures, outcomes, methods, seed=1, n_jobs=2, progress=False)))
    fit = done[0]
    line(f"scan of {fit.nobs:,} pairs: IVW, Q, Egger, weighted median (1 000 draws)", seconds, "60 s, 2 GiB")
    table = fit.tidy()
    print(f"\npeak memory, GB: {gigabytes():.2f}\n")
    print("| method | found | true | recall | false discoveries |\n|---|---|---|---|---|")
    for method in methods:
        found = table.query("method == @method and term == 'effect' and p_bh < 0.05")
        right = truth[found["exposure"].str[1:].astype(int), found["outcome"].str[1:].astype(int)] != 0
        recall, false = right.sum() / (truth != 0).sum(), (~right).sum() / max(len(found), 1)
        print(f"| {method} | {len(found)} | {right.sum()} | {recall:.3f} | {false:.3f} |")


PARTS = {"presso": presso, "estimators": estimators, "files": files, "scan": scan}


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
