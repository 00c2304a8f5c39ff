"""Bias, coverage and type I error of the estimators of Mendelian randomisation when instruments go wrong.

    python -m tests.simulations.mendelian_randomisation [study ...] [--runs 1000] [--n-jobs 1]

50 independent variants, true effect 0.2 (rows "effect": bias and coverage) or 0 (rows "no effect": share of p < 0.05).
Alleles raise the exposure by 0.05 to 0.15 with standard error 0.01 (mean F 108); outcome standard error 0.02.

- none: every variant is valid.
- balanced: direct effects on the outcome, normal around 0.
- directional: direct effects, normal around 0.02, independent of the effects on the exposure (InSIDE holds).
- invalid 30, invalid 60: that share of the variants has direct effects around 0.05, the others none.
- inside violated: 30 % of the variants work through a confounder too, on exposure and outcome.
- weak: every variant is valid, with mean F about 5.
- overlap: every variant is valid, the mean F is about 13, and the errors of the two files correlate by 0.5.
"""

import warnings

import numpy as np

import dxa_causal as dc
from dxa_causal.mr.estimators import ESTIMATORS
from tests.simulations.studies import run_studies
from tests.simulations.survival import Interval, Rejection

EFFECT = 0.2
N = 50
N_DRAWS = 200  # of the bootstraps: 5 % error of a standard error, averaged over runs
SINGLE_SIZE = 20_000  # people, for the methods that ask
LEFT_OUT = {"wald_ratio", "uwr", "sign", "hetpen", "cml_bic", "cml_ma_dp"}
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


def study(name, **design):
    def one(rng, truth):
        found = {}
        for effect in (EFFECT, 0.0):
            h = variants(rng, effect, **design)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                table = dc.mr.estimate(h, METHODS, seed=rng, n_draws=N_DRAWS).tidy()
            for row in table[table["term"] == "effect"].to_dict("records"):
                if effect:
                    covers = row["conf_low"] <= effect <= row["conf_high"]
                    found[f"{name}, {row['method']}: effect", N] = Interval(
                        row["estimate"] - effect, row["std_error"], bool(covers), None
                    )
                else:
                    found[f"{name}, {row['method']}: no effect", N] = Rejection(bool(row["p_value"] < 0.05), None)
        return found

    return one


def some(share, mean=0.05, sd=0.02):
    return lambda rng: np.where(np.arange(N) < share * N, rng.normal(mean, sd, N), 0.0)


DESIGNS = {
    "none": {},
    "balanced": {"direct": some(1.0, 0.0, 0.02)},
    "directional": {"direct": some(1.0, 0.02, 0.01)},
    "invalid 30": {"direct": some(0.3)},
    "invalid 60": {"direct": some(0.6)},
    "inside violated": {"confounded": 0.3},
    "weak": {"sx": 0.05},
    "overlap": {"sx": 0.03, "overlap": 0.5},
}
STUDIES = {name: study(name, **design) for name, design in DESIGNS.items()}

if __name__ == "__main__":
    run_studies(__doc__, STUDIES)
