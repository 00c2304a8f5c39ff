"""Shared people, selected instruments, and a scan of many pairs: bias, coverage and false discoveries.

    python -m tests.simulations.overlap [correction] [ldsc] [curse] [scan] [--runs 1000] [--n-jobs 1] [--csv FOLDER]

- correction: 40 000 independent variants, 2 % of them with effects on the exposure (h2 0.3, 50 000 people);
  instruments are those with p < 5e-8 in the same people, about 170 with F 45. None, half or all of the outcome's 50 000
  people are in both studies, and the traits correlate by 0.5 for other reasons than the effect (0.2, or 0). Methods are
  told h2 and the correlation of the errors; "h2 too low" is told 0.2. Three samples: instruments from one study,
  effects from another.
- ldsc: z statistics of 20 000 variants from the model of LD score regression, h2 0.4 and 0.3, genetic correlation 0.5,
  80 000 and 60 000 people, cross-trait intercept 0 or 0.3.
- curse: effects whose true z are normal (SD 4); of those selected (p < 5e-8) naive, maximum, mean and average of the
  conditional likelihood, and the coverage of its limits.
- scan: 300 proteins with 3 to 5 variants (F 10 to 100) on 5 outcomes, a tenth of the pairs with effects of 0.3 to 0.6.
  Share of false discoveries among pairs below a rate of 5 %, and of effects found. "valid"; "balanced": direct effects
  (SD one standard error of the outcome); "shared": variants with p < 5e-8, and the errors of both files correlate by
  0.5.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import false_discovery_control

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map
from tests.simulations.survival import SEED

BLOCK = 20

# Overlap --------------------------------------------------------------------------------------------------------------

M, N, H2, SHARE, RHO = 40_000, 50_000, 0.3, 0.02, 0.5
CUT = float(-ndtri(2.5e-8))  # |z| at p = 5e-8


def correction_run(rng):
    rows = []
    for effect in (0.2, 0.0):
        for shared in (0.0, 0.5, 1.0):
            gamma = np.where(rng.random(M) < SHARE, rng.normal(0.0, np.sqrt(H2 / (SHARE * M)), M), 0.0)
            # the correlation of the traits in whoever is in both: the effect's share of it included
            psi = shared * (RHO + effect)
            e = rng.standard_normal((3, M)) / np.sqrt(N)
            x, y = gamma + e[0], effect * gamma + psi * e[0] + np.sqrt(1 - psi**2) * e[1]
            chosen = np.abs(x) * np.sqrt(N) > CUT

            def harmonised(beta, which=chosen, y=y):
                se = np.full(int(which.sum()), N**-0.5)
                return dc.mr.Harmonised.from_arrays(
                    beta_exposure=beta[which], se_exposure=se, beta_outcome=y[which], se_outcome=se, n_exposure=N,
                    n_outcome=N,
                )  # fmt: skip

            h = harmonised(x)
            known = {"error_correlation": psi, "n_markers": M, "n_draws": 500}
            found = {
                "ivw": dc.mr.ivw(h),
                "divw": dc.mr.divw(h),
                "maxlik, told psi": dc.mr.maxlik(h, psi=psi),
                "overlap_correction": dc.mr.overlap_correction(h, h2=H2, seed=rng, **known),
                "overlap_correction, h2 too low": dc.mr.overlap_correction(h, h2=0.2, seed=rng, **known),
                "ivw, shrunk effects": dc.mr.ivw(dc.mr.shrink(h, estimate="average").harmonised),
            }
            if shared == 0:
                found["ivw, three samples"] = dc.mr.ivw(harmonised(gamma + e[2]))
            for method, fit in found.items():
                table = fit.tidy()
                row = table[table["term"].isin(["effect", "corrected"])].iloc[0]
                covers = row["conf_low"] <= effect <= row["conf_high"]
                rows.append((effect, shared, method, row["estimate"] - effect, row["std_error"], covers))
    return rows


def correction(runs):
    columns = ["effect", "people in both", "method", "error", "std_error", "covers"]
    return {"overlap_correction": summarised(pd.DataFrame(runs, columns=columns), columns[:3])}


def summarised(runs, keys):
    by = runs.groupby(keys, sort=False)
    table = pd.DataFrame({"runs": by.size(), "bias": by["error"].mean(), "bias_mc": by["error"].sem()})
    table["sd"], table["mean_se"] = by["error"].std(), by["std_error"].mean()
    table["covered"] = 100.0 * by["covers"].mean()
    return table.reset_index()


# LD score regression --------------------------------------------------------------------------------------------------

VARIANTS, MARKERS = 20_000, 1_000_000
TRUE_H2, RG, SIZES = (0.4, 0.3), 0.5, (80_000, 60_000)


def ldsc_run(rng):
    rows = []
    for cross in (0.0, 0.3):
        score = rng.gamma(1.5, 60.0, VARIANTS)
        covariance = np.empty((VARIANTS, 2, 2))
        for i in range(2):
            covariance[:, i, i] = SIZES[i] * TRUE_H2[i] * score / MARKERS + 1.0
        shared = np.sqrt(SIZES[0] * SIZES[1]) * RG * np.sqrt(TRUE_H2[0] * TRUE_H2[1]) * score / MARKERS + cross
        covariance[:, 0, 1] = covariance[:, 1, 0] = shared
        z = np.einsum("nij,nj->ni", np.linalg.cholesky(covariance), rng.standard_normal((VARIANTS, 2)))
        names = [f"rs{j}" for j in range(VARIANTS)]
        base = pd.DataFrame({"variant": names, "effect_allele": "A", "other_allele": "C"})
        frames = [base.assign(z=z[:, i], n=SIZES[i]) for i in range(2)]
        scores = pd.DataFrame({"SNP": names, "CHR": 1, "BP": range(VARIANTS), "L2": score})
        fit = dc.mr.overlap(*frames, ldscores=scores, n_reference=MARKERS).tidy().set_index("term")
        truth = {
            "h2_exposure": TRUE_H2[0], "intercept_exposure": 1.0, "h2_outcome": TRUE_H2[1],
            "genetic_correlation": RG, "intercept_cross": cross,
        }  # fmt: skip
        for term, value in truth.items():
            row = fit.loc[term]
            covers = row["conf_low"] <= value <= row["conf_high"]
            rows.append((cross, term, row["estimate"] - value, row["std_error"], covers))
    return rows


def ldsc(runs):
    columns = ["true intercept", "term", "error", "std_error", "covers"]
    return {"ldsc": summarised(pd.DataFrame(runs, columns=columns), columns[:2])}


# Winner's curse -------------------------------------------------------------------------------------------------------

BANDS = (0.0, 4.0, 6.0, 8.0, 12.0, np.inf)


def curse_run(rng):
    mu = np.abs(rng.normal(0.0, 4.0, 20_000))
    z = mu + rng.standard_normal(mu.size)
    mu, z = mu[np.abs(z) > CUT], z[np.abs(z) > CUT]
    gwas = pd.DataFrame({"variant": np.arange(z.size).astype(str), "effect_allele": "A", "beta": z, "se": 1.0})
    fits = {name: dc.mr.shrink(gwas, estimate=name) for name in ("mle", "mean", "average")}
    table = fits["mle"].tidy()
    covers = (table["conf_low"] <= mu) & (mu <= table["conf_high"])
    band = np.digitize(mu, BANDS[1:-1])
    rows = []
    for k in np.unique(band):
        at = band == k
        errors = [(z - mu)[at].mean(), *((fit.estimates - mu)[at].mean() for fit in fits.values())]
        rows.append((k, int(at.sum()), *errors, covers[at].mean()))
    return rows


def curse(runs):
    columns = ["band", "variants", "naive", "mle", "mean", "average", "covers"]
    found = pd.DataFrame(runs, columns=columns)
    rows = []
    for k, part in found.groupby("band"):
        w = part["variants"] / part["variants"].sum()
        rows.append(
            (f"{BANDS[k]:g} to {BANDS[k + 1]:g}", int(part["variants"].sum()),
             *((w * part[c]).sum() for c in columns[2:-1]), 100 * (w * part["covers"]).sum())
        )  # fmt: skip
    names = ["true z", "selected", "bias, naive", "bias, mle", "bias, mean", "bias, average", "covered"]
    return {"winners_curse": pd.DataFrame(rows, columns=names)}


# Scan -----------------------------------------------------------------------------------------------------------------

PROTEINS, OUTCOMES, TRUE_SHARE = 300, 5, 0.1
METHODS = ["ivw", "ivw_fe", "egger", "weighted_median"]


def instruments(rng, n, *, selected):
    """True z statistics and errors of n variants; of selected ones the estimate reaches p < 5e-8."""
    mu, error = np.empty(n), np.full(n, np.nan)
    while (open_ := np.isnan(error)).any():
        mu[open_] = rng.uniform(np.sqrt(10), 10.0, open_.sum()) * rng.choice([-1.0, 1.0], open_.sum())
        drawn = rng.standard_normal(n)
        fine = open_ & ((np.abs(mu + drawn) > CUT) | (not selected))
        error[fine] = drawn[fine]
    return mu, error


def scan_run(rng):
    rows = []
    for design in ("valid", "balanced", "shared"):
        size = rng.integers(3, 6, PROTEINS)
        code = np.repeat(np.arange(PROTEINS), size)
        n, sx, sy = code.size, 0.02, 0.015
        gamma, ex = instruments(rng, n, selected=design == "shared")
        gamma = gamma * sx
        base = pd.DataFrame({"variant": [f"rs{k}" for k in range(n)], "effect_allele": "A", "other_allele": "G"})
        exposures = base.assign(exposure=[f"P{c}" for c in code], beta=gamma + sx * ex, se=sx)
        effect = np.where(
            rng.random((PROTEINS, OUTCOMES)) < TRUE_SHARE,
            rng.uniform(0.3, 0.6, (PROTEINS, OUTCOMES)) * rng.choice([-1.0, 1.0], (PROTEINS, OUTCOMES)), 0.0,
        )  # fmt: skip
        psi = 0.5 if design == "shared" else 0.0
        outcomes = {}
        for k in range(OUTCOMES):
            direct = rng.normal(0.0, sy, n) if design == "balanced" else 0.0
            error = psi * ex + np.sqrt(1 - psi**2) * rng.standard_normal(n)
            outcomes[f"Y{k}"] = base.assign(beta=effect[code, k] * gamma + direct + sy * error, se=sy)
        result = dc.mr.scan(exposures, outcomes, METHODS, seed=rng, n_draws=200, progress=False)
        found = result.tidy().query("term == 'effect'")
        q = result.heterogeneity().query("method == 'ivw'")
        agree = found[found["method"] == "ivw"].merge(
            q.rename(columns={"p_value": "q_p"})[["exposure", "outcome", "q_p"]], on=["exposure", "outcome"]
        )
        p = {method: found[found["method"] == method] for method in METHODS}
        p["ivw, only pairs with p of Q > 0.05"] = agree[agree["q_p"] > 0.05]
        p["pooled()"] = result.pooled()
        for method, part in p.items():
            true = effect[part["exposure"].str[1:].astype(int), part["outcome"].str[1:].astype(int)] != 0
            called = false_discovery_control(part["p_value"]) < 0.05
            false = (called & ~true).sum() / max(1, called.sum())
            power = (called & true).sum() / (effect != 0).sum()
            rows.append((design, method, false, power, (part["p_value"][~true] < 0.05).mean()))
    return rows


def scan(runs):
    columns = ["design", "method", "false", "found", "type_1"]
    by = pd.DataFrame(runs, columns=columns).groupby(["design", "method"], sort=False)
    table = pd.DataFrame({"scans": by.size(), "false discoveries, %": 100 * by["false"].mean()})
    table["mc_error"] = 100 * by["false"].sem()
    table["effects found, %"] = 100 * by["found"].mean()
    table["p < 0.05 without effect, %"] = 100 * by["type_1"].mean()
    return {"scan_fdr": table.reset_index()}


# ----------------------------------------------------------------------------------------------------------------------

PARTS = {
    "correction": (correction_run, correction),
    "ldsc": (ldsc_run, ldsc),
    "curse": (curse_run, curse),
    "scan": (scan_run, scan),
}


def block(work):
    run, children = work
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [row for rng in children for row in run(rng)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    for name in arguments.parts or PARTS:
        run, collect = PARTS[name]
        children = np.random.default_rng([SEED, *name.encode()]).spawn(arguments.runs)
        pieces = [(run, children[k : k + BLOCK]) for k in range(0, len(children), BLOCK)]
        found = parallel_map(block, pieces, n_jobs=arguments.n_jobs, progress=True, description=name)
        for what, table in collect([row for part in found for row in part]).items():
            print(f"\n{what}, {arguments.runs} runs\n\n{table.round(4).to_markdown(index=False)}", flush=True)
            if arguments.csv is not None:
                table.to_csv(arguments.csv / f"{what}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    from tests.simulations import overlap  # under its own name, so that workers find its functions

    sys.exit(overlap.main())
