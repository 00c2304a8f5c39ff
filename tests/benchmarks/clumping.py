"""Speed of clumping beside plink 1.9: CPU seconds, one thread, warm.

    python -m tests.benchmarks.clumping [--quick]

A panel of 1 million variants and 500 people (100 000 with --quick) is generated: haplotypes in blocks of 30 variants
are copies of eight templates, neighbouring blocks mostly of the same one; 0.5 percent of genotypes are missing. Of the
variants 100 000 in 1 000 regions are significant. Ours is `read_panel` and `clump` on a frame; plink reads the same
table as text. Both keep the same variants. plink stands in the path as plink1.9 (Debian's package plink1.9).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

PEOPLE, TEMPLATES, BLOCK = 500, 8, 30
SETTINGS = (("r2 0.001, 10 000 kb", 0.001, 10_000), ("r2 0.1, 250 kb", 0.1, 250))
LENGTHS = np.array(
    [249, 243, 198, 191, 181, 171, 159, 146, 141, 136, 135, 134, 115, 107, 103, 90, 81, 78, 59, 63, 48, 51]
)


def write_panel(prefix: Path, n_variants: int, seed: int = 1) -> None:
    """Files PREFIX.bed, PREFIX.bim, PREFIX.fam."""
    rng = np.random.default_rng(seed)
    per_chromosome = np.diff(np.round(np.cumsum(np.append(0, LENGTHS)) / LENGTHS.sum() * n_variants).astype(int))
    chromosome = np.repeat(np.arange(1, 23), per_chromosome)
    position = np.concatenate(
        [np.sort(rng.integers(1, 1_000_000 * size, n)) for size, n in zip(LENGTHS, per_chromosome, strict=True)]
    )
    code = np.array([3, 2, 0, 1], dtype=np.uint8)  # by number of copies, 3 = missing
    template = rng.integers(0, TEMPLATES, 2 * PEOPLE)
    with prefix.with_suffix(".bed").open("wb") as file:
        file.write(bytes([0x6C, 0x1B, 1]))
        for start in range(0, n_variants, BLOCK):
            size = min(BLOCK, n_variants - start)
            moved = rng.random(template.size) < 0.2
            template[moved] = rng.integers(0, TEMPLATES, int(moved.sum()))
            alleles = (rng.random((size, TEMPLATES)) < rng.uniform(0.1, 0.9, (size, 1)))[:, template]
            alleles ^= rng.random(alleles.shape, dtype=np.float32) < 0.02
            copies = alleles[:, :PEOPLE].astype(np.uint8) + alleles[:, PEOPLE:]
            copies[rng.random(copies.shape, dtype=np.float32) < 0.005] = 3
            quads = code[copies].reshape(size, -1, 4)
            file.write((quads << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(axis=2, dtype=np.uint8).tobytes())
    names = [f"rs{k}" for k in range(n_variants)]
    pl.DataFrame(
        {"c": chromosome, "v": names, "m": np.zeros(n_variants, dtype=int), "p": position, "a": "A", "b": "G"}
    ).write_csv(prefix.with_suffix(".bim"), separator="\t", include_header=False)
    prefix.with_suffix(".fam").write_text("".join(f"f{k} i{k} 0 0 0 -9\n" for k in range(PEOPLE)))


def write_gwas(path: Path, n_variants: int, n_significant: int, *, all_rows: bool, seed: int = 2) -> None:
    """Table SNP, P: the significant ones in regions of 100, and the others where asked for."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(1e-6, 1.0, n_variants)
    first = rng.choice(n_variants // 100, n_significant // 100, replace=False) * 100
    some = (first[:, None] + np.arange(100)).ravel()
    p[some] = 10.0 ** -(7.31 + rng.exponential(10.0, some.size))
    table = pl.DataFrame({"SNP": [f"rs{k}" for k in range(n_variants)], "P": p})
    (table if all_rows else table.filter(pl.col("P") <= 5e-8)).write_csv(path, separator="\t")


def ours(prefix: str, table: str, r2: float, kb: float) -> None:
    """Run in a process of its own: prints CPU seconds, peak memory and the variants kept."""
    import dxa_causal
    from dxa_causal import genotypes
    from dxa_causal._core.jit import _WARMERS

    dxa_causal._import_kernels()
    for warmer in _WARMERS:
        warmer()
    gwas = pl.read_csv(table, separator="\t").rename({"SNP": "variant", "P": "p_value"})
    cpu, wall = time.process_time(), time.perf_counter()
    panel = genotypes.read_panel(prefix)
    opened = time.process_time() - cpu
    found = genotypes.clump(gwas, panel, r2=r2, kb=kb)
    spent = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        json.dumps(
            {"cpu": spent[0], "wall": spent[1], "open": opened, "gib": peak, "kept": found.kept["variant"].to_list()}
        )
    )


def plink(prefix: Path, table: Path, r2: float, kb: float) -> tuple[float, set[str]]:
    """CPU seconds and the variants kept."""
    out = prefix.parent / "plink"
    options = ["--clump-p1", "5e-8", "--clump-p2", "5e-8", "--clump-r2", str(r2), "--clump-kb", str(kb)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["plink1.9", "--bfile", str(prefix), "--clump", str(table), *options, "--threads", "1", "--out", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = {line.split()[2] for line in out.with_suffix(".clumped").read_text().splitlines()[1:] if line.strip()}
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, kept


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", help="where the panel is kept; a temporary folder when omitted")
    parser.add_argument("--ours", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ours:
        prefix, table, r2, kb = given.ours
        return ours(prefix, table, float(r2), float(kb))
    n = 100_000 if given.quick else 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        prefix = folder / f"panel_{n}"
        if not prefix.with_suffix(".fam").exists():
            write_panel(prefix, n)
        environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        print("| rows | setting | kept | ours CPU s | of which reading bim | ours wall s | GiB | plink CPU s | ratio |")
        for rows in ("significant", "all"):
            table = folder / f"gwas_{n}_{rows}.txt"
            write_gwas(table, n, n // 10, all_rows=rows == "all")
            for what, r2, kb in SETTINGS:
                command = [sys.executable, "-m", "tests.benchmarks.clumping", "--ours", str(prefix), str(table)]
                done = subprocess.run(
                    [*command, str(r2), str(kb)], check=True, capture_output=True, text=True, env=environment
                )
                us = json.loads(done.stdout.splitlines()[-1])
                seconds, kept = plink(prefix, table, r2, kb)
                assert kept == set(us["kept"]), f"{len(kept)} kept by plink, {len(us['kept'])} by us"
                print(
                    f"| {rows} | {what} | {len(kept)} | {us['cpu']:.2f} | {us['open']:.2f} | {us['wall']:.2f} "
                    f"| {us['gib']:.2f} | {seconds:.2f} | {us['cpu'] / seconds:.2f} |",
                    flush=True,
                )
    return None


if __name__ == "__main__":
    main()
