"""Bias, coverage and type I error of the multivariable estimators when instruments go wrong.

    python -m tests.simulations.multivariable_mr [study ...] [--runs 1000] [--n-jobs 1]

60 independent variants, two exposures with direct effects 0.2 and 0, whose effects correlate by 0.5. Standard errors
0.01 (exposures) and 0.02 (outcome).

- none: every variant is valid, conditional F about 100.
- balanced: direct effects on the outcome, normal around 0.
- directional: direct effects around 0.02, independent of the effects on the exposures (InSIDE holds).
- invalid 30: that share of the variants has direct effects around 0.1, the others none.
- weak: every variant is valid, with a conditional F about 6.
- overlap: as weak, and the errors of exposures and outcome correlate by 0.5, 0.4 and 0.3; methods that can are told.
"""

import warnings

import numpy as np

import dxa_causal as dc
from tests.simulations.studies import run_studies
from tests.simulations.survival import Interval, Rejection

EFFECTS = (0.2, 0.0)
N = 60
N_DRAWS = 200  # of the median's bootstrap: 5 % error of a standard error, averaged over runs
SIZE = 20_000  # people in each file, for the methods that ask
METHODS = ["ivw", "ivw_robust", "ivw_me", "egger", "median", "lasso", "cml", "gmm", "q_het"]
OVERLAP = np.array([[1, 0.3, 0.5], [0.3, 1, 0.4], [0.5, 0.4, 1]])


def study(name, *, direct=None, sx=0.01, sy=0.02, correlation=None):
    root = np.linalg.cholesky(np.eye(3) if correlation is None else correlation)

    def one(rng, truth):
        gamma = 0.1 * rng.standard_normal((N, 2)) @ np.linalg.cholesky(np.array([[1, 0.5], [0.5, 1]])).T
        gamma *= np.where(gamma[:, :1] < 0, -1.0, 1.0)
        alpha = np.zeros(N) if direct is None else direct(rng)
        error = rng.standard_normal((N, 3)) @ root.T
        h = dc.mr.MultivariableHarmonised.from_arrays(
            beta_exposures=gamma + sx * error[:, :2], se_exposures=np.full((N, 2), sx),
            beta_outcome=gamma @ EFFECTS + alpha + sy * error[:, 2], se_outcome=np.full(N, sy), n_exposures=SIZE,
            n_outcome=SIZE,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = dc.mr.mvmr(h, METHODS, correlation=correlation, seed=rng, n_draws=N_DRAWS).tidy()
        found = {}
        for row in table.to_dict("records"):
            if row["term"] == "exposure_1":
                covers = row["conf_low"] <= EFFECTS[0] <= row["conf_high"]
                found[f"{name}, {row['method']}: effect", N] = Interval(
                    row["estimate"] - EFFECTS[0], row["std_error"], bool(covers), None
                )
            elif row["term"] == "exposure_2":
                found[f"{name}, {row['method']}: no effect", N] = Rejection(bool(row["p_value"] < 0.05), None)
        return found

    return one


STUDIES = {
    "none": study("none"),
    "balanced": study("balanced", direct=lambda rng: rng.normal(0.0, 0.02, N)),
    "directional": study("directional", direct=lambda rng: rng.normal(0.02, 0.01, N)),
    "invalid 30": study("invalid 30", direct=lambda rng: np.where(np.arange(N) < 0.3 * N, rng.normal(0.1, 0.02, N), 0)),
    "weak": study("weak", sx=0.04),
    "overlap": study("overlap", sx=0.04, correlation=OVERLAP),
}

if __name__ == "__main__":
    run_studies(__doc__, STUDIES)
