"""Bias, coverage and type I error of the estimators of Mendelian randomisation when instruments go wrong.

    python -m tests.simulations.mendelian_randomisation [design ...] [--runs 1000] [--keep FOLDER] [--csv FILE]

50 independent variants, true effect 0.2 (rows "effect": bias and coverage) or 0 (rows "no effect": share of p < 0.05).
Alleles raise the exposure by 0.05 to 0.15 with standard error 0.01 (mean F 108); outcome standard error 0.02.

- none: every variant is valid.
- balanced: direct effects on the outcome, normal around 0.
- directional: direct effects, normal around 0.02, independent of the effects on the exposure (InSIDE holds).
- outliers 10: a tenth of the variants has direct effects around 0.15, the others none.
- invalid 30, invalid 60: that share of the variants has direct effects around 0.05, the others none.
- inside violated: 30 % of the variants work through a confounder too, on exposure and outcome.
- weak: every variant is valid, with mean F about 5.
- overlap: every variant is valid, the mean F is about 13, and the errors of the two files correlate by 0.5.

"presso" is MR-PRESSO's estimate without outliers where it finds some, of all variants otherwise; "presso_corrected"
has only the runs in which it finds some. All designs advance together, 25 runs at a time; with --keep what has been run
stays in FOLDER, and a later call goes on from there.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import dxa_causal as dc
from dxa_causal.mr.estimators import ESTIMATORS
from tests.simulations.survival import SEED

EFFECT = 0.2
N = 50
BLOCK = 25  # runs of a design that are kept together
N_DRAWS = 100  # of the bootstraps: 7 % error of a standard error, averaged over runs
PRESSO_DRAWS = 2000
PERTURBATIONS = 20  # of cml_ma_dp, which a quarter of the runs has: 200 are usual
SINGLE_SIZE = 20_000  # people, for the methods that ask
LEFT_OUT = {"wald_ratio", "uwr", "sign", "hetpen", "cml_bic", "cml_ma_dp", "pc_gmm"}  # cml_ma_dp: see `answers`
METHODS = [name for name in ESTIMATORS if name not in LEFT_OUT]


def variants(rng, effect, *, direct=None, sx=0.01, sy=0.02, overlap=0.0, confounded=0.0):
    gamma = rng.uniform(0.05, 0.15, N)
    alpha = np.zeros(N) if direct is None else direct(rng)
    if confounded:
        through = np.where(np.arange(N) < confounded * N, rng.uniform(0.05, 0.15, N), 0.0)
        gamma, alpha = gamma + through, alpha + 0.5 * through
    first, second = rng.standard_normal((2, N))
    second = overlap * first + np.sqrt(1 - overlap**2) * second
    return dc.mr.Harmonised.from_arrays(
        beta_exposure=gamma + sx * first,
        se_exposure=np.full(N, sx),
        beta_outcome=effect * gamma + alpha + sy * second,
        se_outcome=np.full(N, sy),
        n_exposure=SINGLE_SIZE,
        n_outcome=SINGLE_SIZE,
    )


def some(share, mean=0.05, sd=0.02):
    return lambda rng: np.where(np.arange(N) < share * N, rng.normal(mean, sd, N), 0.0)


DESIGNS = {
    "none": {},
    "balanced": {"direct": some(1.0, 0.0, 0.02)},
    "directional": {"direct": some(1.0, 0.02, 0.01)},
    "outliers 10": {"direct": some(0.1, 0.15, 0.03)},
    "invalid 30": {"direct": some(0.3)},
    "invalid 60": {"direct": some(0.6)},
    "inside violated": {"confounded": 0.3},
    "weak": {"sx": 0.05},
    "overlap": {"sx": 0.03, "overlap": 0.5},
}


def answers(h, rng, slow):
    """One row per method: estimate, std_error, conf_low, conf_high, p_value."""
    tables = [dc.mr.estimate(h, METHODS, seed=rng, n_draws=N_DRAWS).tidy()]
    if slow:
        tables.append(dc.mr.cml(h, perturbations=PERTURBATIONS, seed=rng).tidy())
    presso = dc.mr.presso(h, n_draws=PRESSO_DRAWS, seed=rng)
    tables.append(presso.tidy().iloc[[0 if presso.reason else 1]].assign(method="presso"))
    if not presso.reason:
        tables.append(tables[-1].assign(method="presso_corrected"))
    table = pd.concat(tables)
    table = table[table["term"] == "effect"]
    return table[["method", "estimate", "std_error", "conf_low", "conf_high", "p_value"]]


def one_run(rng, design, slow):
    """Rows (method, what, error, std_error, hit)."""
    found = []
    for what, effect in (("effect", EFFECT), ("no effect", 0.0)):
        h = variants(rng, effect, **design)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = answers(h, rng, slow)
        covers = (table["conf_low"] <= effect) & (effect <= table["conf_high"])
        hit = covers if effect else table["p_value"] < 0.05
        found += zip(
            table["method"], [what] * len(table), table["estimate"] - effect, table["std_error"], hit, strict=True
        )
    return found


def block(name, generators):
    rows = [row for i, rng in enumerate(generators) for row in one_run(rng, DESIGNS[name], i % 4 == 0)]
    return pd.DataFrame(rows, columns=["method", "what", "error", "std_error", "hit"]).assign(design=name)


def runs_of(names, runs, keep=None):
    """All runs, one row per run, method and effect; a finished block is read from `keep`, a new one written there."""
    streams = {name: np.random.default_rng([SEED, *name.encode()]).spawn(runs) for name in names}
    found = []
    for k, start in enumerate(range(0, runs, BLOCK)):
        for name in names:
            generators = streams[name][start : start + BLOCK]
            path = None if keep is None else keep / f"{name.replace(' ', '_')}_{k:03d}_{len(generators)}.csv"
            if path is not None and path.exists():
                found.append(pd.read_csv(path))
                continue
            found.append(block(name, generators))
            if path is not None:
                keep.mkdir(parents=True, exist_ok=True)
                found[-1].to_csv(path.with_suffix(".part"), index=False)
                path.with_suffix(".part").rename(path)
    return pd.concat(found, ignore_index=True)


def summary(runs):
    """One row per design, method and effect."""
    rows = []
    for (design, method, what), part in runs.groupby(["design", "method", "what"], sort=False):
        share, n, known = part["hit"].mean(), len(part), what == "effect"
        rows.append(
            {
                "design": design,
                "method": method,
                "what": what,
                "runs": n,
                "bias": part["error"].mean() if known else np.nan,
                "sd": part["error"].std(ddof=1) if known else np.nan,
                "mean_se": part["std_error"].mean() if known else np.nan,
                "percent": 100 * share,
                "mc_se": 100 * np.sqrt(share * (1 - share) / n),
            }
        )
    return pd.DataFrame(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("designs", nargs="*", metavar="design", help=f"of {', '.join(DESIGNS)}; all if none is named")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="folder of what has been run")
    parser.add_argument("--csv", type=Path, help="write the table here too")
    options = parser.parse_args()
    unknown = [name for name in options.designs if name not in DESIGNS]
    if unknown:
        parser.error(f"no design {unknown[0]!r}; there are {', '.join(DESIGNS)}")
    table = summary(runs_of(options.designs or list(DESIGNS), options.runs, options.keep))
    if options.csv:
        table.round({"bias": 4, "sd": 4, "mean_se": 4, "percent": 2, "mc_se": 2}).to_csv(options.csv, index=False)
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
