"""Calibration of colocalisation and fine-mapping on real linkage disequilibrium.

    python -m tests.simulations.loci [coloc] [signals] [susie] [--runs 2000] [--n-jobs 1] [--csv FOLDER]

500 variants of chromosome 1 with minor allele frequency above 5 %, genotypes of 502 Europeans of 1000 Genomes; their
correlations are the truth. z statistics of a study are normal around sqrt(n) R b with variance R.

- coloc: one causal variant per trait at most, effects from coloc's own prior, 10 000 people each. The hypotheses are
  drawn alike and weighted back to their priors (H0 to H4 as 1, 0.05, 0.05, 0.0025 and 0.005). Do shares follow PP.H4?
  "prior x 10": p12 = 1e-4 where 1e-5 is true. And does the 95 % set hold the shared variant?
- signals: each trait has two causal variants (z about 8 each): they share both, one or none. How often do coloc_abf and
  coloc_susie find a shared one (PP.H4 above 0.8), and a pair of signals that is not shared called so?
- susie: one to three causal variants, z about 7.7 each; linkage of the study itself, of a panel of 5 000 and of
  500 other people. Coverage and size of credible sets, causal variants found, calibration of inclusion probabilities.
"""

import argparse
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map

PANEL = Path(__file__).parents[1] / "reference" / "genotypes" / "eur"
M, N = 500, 10_000
P1, P12 = 1e-4, 1e-5
BLOCK = 50
BINS = np.array([0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])
PANELS = {"of the study": None, "panel of 5 000": 5000, "panel of 500": 500}


@cache
def region():
    """Standardised genotypes (people, variants), standard deviations of copies, names."""
    panel = dc.genotypes.read_panel(PANEL)
    known = panel.frequencies()
    common = known.loc[known["frequency"].between(0.05, 0.95), "variant"].tolist()[200 : 200 + M]
    copies = panel.genotypes(common).to_numpy(dtype=float)
    copies = np.where(np.isnan(copies), np.nanmean(copies, axis=0), copies)
    sd = copies.std(axis=0)
    return (copies - copies.mean(axis=0)) / sd, sd, np.array(common, dtype=object)


@cache
def linkage():
    g = region()[0]
    return g.T @ g / len(g)


def z_statistics(rng, b, n):
    """b: joint effects per standard deviation of a genotype."""
    g = region()[0]
    people = len(g)
    return np.sqrt(n) * (g.T @ (g @ b)) / people + g.T @ rng.standard_normal(people) / np.sqrt(people)


def frame(z, n=N):
    _, sd, names = region()
    se = 1.0 / (np.sqrt(n) * sd)
    return pd.DataFrame({"variant": names, "beta": z * se, "se": se, "n": n, "type": "quant", "sdY": 1.0})


def of_a_panel(rng, people):
    """Correlations in so many people drawn from the region's distribution (normal genotypes)."""
    g = region()[0]
    drawn = rng.standard_normal((people, len(g))) @ g / np.sqrt(len(g))
    return np.corrcoef(drawn.T)


# One causal variant per trait ----------------------------------------------------------------------------------------


def coloc_run(rng):
    _, sd, names = region()
    weight = {0: 1.0, 1: M * P1, 2: M * P1, 3: M * (M - 1) * P1**2, 4: M * P12}
    hypothesis = int(rng.integers(0, 5))
    causal = rng.choice(M, 2, replace=False)
    b = np.zeros((2, M))
    if hypothesis in (1, 3, 4):
        b[0, causal[0]] = 0.15 * rng.standard_normal() * sd[causal[0]]
    if hypothesis in (2, 3, 4):
        at = causal[0] if hypothesis == 4 else causal[1]
        b[1, at] = 0.15 * rng.standard_normal() * sd[at]
    first, second = (frame(z_statistics(rng, row, N)) for row in b)
    rows = []
    for prior, p12 in (("true prior", P12), ("prior x 10", 10 * P12)):
        fit = dc.mr.coloc_abf(first, second, p1=P1, p2=P1, p12=p12)
        held = names[causal[0]] in set(fit.credible_set()["variant"])
        linked = abs(linkage()[causal[0], causal[1]]) > 0.8
        rows.append((prior, hypothesis, weight[hypothesis], *fit.posterior, held, linked))
    return rows


def coloc(children, n_jobs):
    columns = ["prior", "hypothesis", "weight", *(f"PP.H{k}" for k in range(5)), "held", "linked"]
    runs = pd.DataFrame(each(coloc_run, children, n_jobs, "coloc"), columns=columns)
    parts = []
    for prior, of in runs.groupby("prior", sort=False):
        for k in (3, 4):
            cut = pd.cut(of[f"PP.H{k}"], BINS, include_lowest=True)
            for where, part in of.groupby(cut, observed=True):
                w, y = part["weight"].to_numpy(), (part["hypothesis"] == k).to_numpy()
                share = float((w * y).sum() / w.sum())
                error = float(np.sqrt((w**2 * (y - share) ** 2).sum()) / w.sum())
                said = float((w * part[f"PP.H{k}"]).sum() / w.sum())
                parts.append((prior, f"H{k}", max(where.left, 0.0), where.right, len(part), said, share, error))
    table = ["prior", "hypothesis", "from", "to", "runs", "said", "true", "mc_error"]
    calibration = pd.DataFrame(parts, columns=table)
    found = runs[(runs["hypothesis"] == 4) & (runs["PP.H4"] > 0.8)].groupby("prior", sort=False)["held"]
    sets = found.agg(["size", "mean"]).reset_index()
    sets.columns = ["prior", "runs", "set holds the shared variant"]
    apart = runs[runs["hypothesis"] == 3].assign(called=lambda d: d["PP.H4"] > 0.8)
    wrong = apart.groupby(["prior", "linked"], sort=False)["called"].agg(["size", "mean"]).reset_index()
    wrong.columns = ["prior", "distinct variants with r2 > 0.64", "runs", "called shared"]
    return {"coloc_calibration": calibration, "coloc_sets": sets, "coloc_distinct": wrong}


# Two causal variants per trait ---------------------------------------------------------------------------------------


def apart(rng, count):
    """So many variants of which no two correlate by more than 0.3."""
    r, chosen = linkage(), []
    for i in rng.permutation(M):
        if all(abs(r[i, j]) < 0.3 for j in chosen):
            chosen.append(int(i))
        if len(chosen) == count:
            return np.array(chosen)
    raise RuntimeError("the region holds too few independent variants")


def signals_run(rng):
    names = region()[2]
    rows = []
    for shared in (2, 1, 0):
        place = apart(rng, 4)
        causal = (place[:2], np.concatenate([place[:shared], place[2 : 4 - shared]]))
        b = np.zeros((2, M))
        for row, at in zip(b, causal, strict=True):
            row[at] = rng.choice([-1.0, 1.0], 2) * 8.0 / np.sqrt(N)
        first, second = (frame(z_statistics(rng, row, N)) for row in b)
        abf = dc.mr.coloc_abf(first, second, p1=P1, p2=P1, p12=P12)
        found = dc.mr.coloc_susie(first, second, ld=pd.DataFrame(linkage(), names, names), p12=P12)
        table = found.tidy() if isinstance(found, dc.mr.ColocSusieResult) else pd.DataFrame({"PP.H4": [], "hit_1": []})
        called = table[table["PP.H4"] > 0.8]
        near = [np.abs(linkage()[np.flatnonzero(names == hit)[0], place[:shared]]) for hit in called["hit_1"]]
        right = sum(bool((r > 0.8).any()) for r in near)
        rows.append((shared, abf.posterior[4] > 0.8, min(right, shared), len(called) - right, not len(table)))
    return rows


def signals(children, n_jobs):
    columns = ["shared", "abf", "right", "wrong", "no_sets"]
    runs = pd.DataFrame(each(signals_run, children, n_jobs, "signals"), columns=columns)
    by = runs.groupby("shared", sort=False)
    table = pd.DataFrame(
        {
            "runs": by.size(),
            "coloc_abf calls it shared": by["abf"].mean(),
            "shared variants found by coloc_susie": by["right"].mean(),
            "pairs wrongly called shared": by["wrong"].mean(),
            "a trait without a set": by["no_sets"].mean(),
        }
    )
    return {"coloc_signals": table.reset_index()}


# Fine-mapping ---------------------------------------------------------------------------------------------------------


def susie_run(rng):
    names = region()[2]
    rows, counts = [], []
    for count in (1, 2, 3):
        causal = rng.choice(M, count, replace=False)
        b = np.zeros(M)
        b[causal] = rng.choice([-1.0, 1.0], count) * 7.7 / np.sqrt(N)
        d = frame(z_statistics(rng, b, N))
        truth = np.isin(np.arange(M), causal)
        for panel, people in PANELS.items():
            r = linkage() if people is None else of_a_panel(rng, people)
            fit = dc.mr.susie(d, ld=pd.DataFrame(r, names, names))
            held = [bool(truth[s.rows].any()) for s in fit.sets]
            inside = np.unique(np.concatenate([s.rows for s in fit.sets])) if fit.sets else np.array([], dtype=int)
            sizes = sum(s.rows.size for s in fit.sets)
            rows.append((panel, count, len(held), sum(held), truth[inside].sum(), sizes, bool(fit.linkage)))
            for k, where in enumerate(np.digitize(fit.pip, BINS[1:-1])):
                if fit.pip[k] > 0.01:
                    counts.append((panel, int(where), fit.pip[k], truth[k]))
    return [(rows, counts)]


def susie(children, n_jobs):
    parts = each(susie_run, children, n_jobs, "susie")
    rows = [row for part, _ in parts for row in part]
    columns = ["linkage", "causal", "sets", "held", "found", "variants", "warned"]
    by = pd.DataFrame(rows, columns=columns).groupby(["linkage", "causal"], sort=False)
    total = by.sum()
    table = pd.DataFrame(
        {
            "regions": by.size(),
            "coverage of sets": total["held"] / total["sets"],
            "causal variants in a set": total["found"] / (by.size() * total.index.get_level_values("causal")),
            "false sets per region": (total["sets"] - total["held"]) / by.size(),
            "variants per set": total["variants"] / total["sets"],
        }
    ).reset_index()
    pips = pd.DataFrame([c for _, part in parts for c in part], columns=["linkage", "bin", "pip", "causal"])
    grouped = pips.groupby(["linkage", "bin"], sort=False)
    calibration = grouped.agg(variants=("pip", "size"), said=("pip", "mean"), true=("causal", "mean")).reset_index()
    n, p = calibration["variants"], calibration["true"]
    calibration["mc_error"] = np.sqrt(p * (1 - p) / n)
    order = calibration["linkage"].map({name: k for k, name in enumerate(PANELS)})
    calibration = calibration.assign(order=order).sort_values(["order", "bin"]).drop(columns="order")
    return {"susie_sets": table, "susie_calibration": calibration.reset_index(drop=True)}


# ----------------------------------------------------------------------------------------------------------------------


def block(work):
    run, children = work
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # panels draw warnings; they are counted by what they do to the sets
        return [row for rng in children for row in run(rng)]


def each(run, children, n_jobs, name):
    pieces = [(run, children[k : k + BLOCK]) for k in range(0, len(children), BLOCK)]
    found = parallel_map(block, pieces, n_jobs=n_jobs, progress=True, description=name)
    return [row for part in found for row in part]


PARTS = {"coloc": coloc, "signals": signals, "susie": susie}
SEED = 20261125


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    for name in arguments.parts or PARTS:
        children = np.random.default_rng([SEED, *name.encode()]).spawn(arguments.runs)
        for what, table in PARTS[name](children, arguments.n_jobs).items():
            print(f"\n{what}, {arguments.runs} runs\n\n{table.round(4).to_markdown(index=False)}", flush=True)
            if arguments.csv is not None:
                table.to_csv(arguments.csv / f"{what}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    from tests.simulations import loci  # under its own name, so that workers find its functions

    sys.exit(loci.main())
