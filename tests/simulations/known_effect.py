"""Are the known effects of a simulated forearm cohort found again? Bias and coverage over many cohorts.

    python -m tests.simulations.known_effect [cohorts] [people]

Cox model for sarcopenia (dated at the visit that found it) given what the hazard is built on, and the weighted
difference in grip strength at two years given the confounders. Prints one row per estimand; coverage should lie
within 1.96 sqrt(0.95 x 0.05 / cohorts) of 95 %.
"""

import sys

import numpy as np
import pandas as pd

import dxa_causal as dc


def one_cohort(people, seed):
    """Estimate, limits and truth of both effects in one simulated cohort."""
    cohort, truth = dc.simulate.cohort(people, seed)
    latent = pd.DataFrame([cohort.scan_options(row) for row in range(people)])
    data = cohort.subjects.assign(mineral=np.log(latent["bone_scale"]), fat=latent["muscle_fat"])
    formula = "Surv(sarcopenia_time, sarcopenia) ~ age + C(sex) + bmi + mineral + fat + training"
    hazard = dc.survival.cox(formula, data).tidy().set_index("term").loc["training"]
    seen = data.dropna(subset=["grip_2y_kg"])
    weights = dc.propensity.weight("training ~ age + C(sex) + bmi", seen)
    grip = dc.propensity.mean_difference("grip_2y_kg", weights, seen).tidy().iloc[0]
    return {
        "log hazard ratio of sarcopenia": (hazard, truth["log_hazard_ratio_training"]),
        "grip at two years, kg": (grip, truth["grip_difference_training_2y"]),
    }


def study(cohorts, people):
    """Bias, spread, mean standard error and coverage per estimand."""
    found = [one_cohort(people, 1000 + k) for k in range(cohorts)]
    rows = []
    for name in found[0]:
        error = np.array([f[name][0]["estimate"] - f[name][1] for f in found])
        inside = [f[name][0]["conf_low"] <= f[name][1] <= f[name][0]["conf_high"] for f in found]
        rows.append(
            {
                "estimand": name,
                "bias": error.mean(),
                "bias_mc_se": error.std(ddof=1) / np.sqrt(cohorts),
                "sd": error.std(ddof=1),
                "mean_se": np.mean([f[name][0]["std_error"] for f in found]),
                "coverage": np.mean(inside),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    arguments = [int(a) for a in sys.argv[1:]] + [1000, 400][len(sys.argv) - 1 :]
    print(study(*arguments).to_string(index=False, float_format=lambda v: f"{v:.4f}"))
