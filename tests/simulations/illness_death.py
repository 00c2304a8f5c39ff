"""Coverage of the effects on the three transitions of an illness-death model, and the bias of simpler analyses.

    python -m tests.simulations.illness_death [study ...] [--runs 2000] [--n-jobs 1]

A run draws an ageing cohort whose onset is seen at visits only (`dc.simulate.illness_death_cohort`) and fits

- the illness-death model;
- Cox models of each transition with onset at the visit that found it, or in the middle of the interval; who was not
  seen ill leaves the risk set of onset at the last visit (death is censoring), and dies healthy.

The simpler analyses are shown for contrast: those who fall ill and die between two visits count as healthy deaths.
"""

from functools import partial

import numpy as np

import dxa_causal as dc
from tests.simulations.studies import run_studies
from tests.simulations.survival import Interval

s = dc.survival

COVERAGE = (93.5, 96.5)  # per cent, for 95 % intervals: 94 to 96 with the error of 2 000 runs
TERMS = {"C(sex)[T.male]": "male", "grip_z": "grip_z", "bmd_z": "bmd_z"}
RIGHT = "C(sex) + grip_z + bmd_z"
# long gaps, a disease that kills fast and an exposure that acts on that: what is missed depends on the exposure
RAPID = {
    "healthy -> ill": {"male": 0.2, "grip_z": -0.5, "bmd_z": -0.3},
    "healthy -> dead": {"male": 0.5, "grip_z": 0.0, "bmd_z": 0.0},
    "ill -> dead": {"male": 0.3, "grip_z": -0.7, "bmd_z": 0.0},
}


def noted(label, n, table, transition, truth, asked):
    """Interval of every effect on a transition, by (label, n)."""
    found = {}
    for row in table.to_dict("records"):
        value = truth[transition][TERMS[row["term"]]]
        hit = row["conf_low"] <= value <= row["conf_high"]
        name = f"{label}: {transition}, {TERMS[row['term']]}"
        found[name, n] = Interval(row["estimate"] - value, row["std_error"], bool(hit), asked)
    return found


def one(rng, truth, *, n, gap, effects, hazards):
    people = dc.simulate.illness_death_cohort(n, seed=rng, visit_gap=gap, effects=effects)
    truth = people.attrs["log_hazard_ratio"]
    onset = "Surv(last_free_age, first_seen_age, type='interval')"
    fit = s.illness_death(
        ill=onset, death="Surv(age_entry, age_end, died)", covariates=RIGHT, data=people, hazards=hazards
    )
    found = {}
    for transition, table in fit.tidy().groupby("transition", sort=False):
        found |= noted(f"illness-death, {hazards}", n, table, transition, truth, COVERAGE)
    return found | simpler(people, truth, n)


def simpler(people, truth, n):
    found = {}
    ill = np.isfinite(people["first_seen_age"])
    middle = (people["last_free_age"] + people["first_seen_age"]) / 2
    for label, at in (("diagnosis visit", people["first_seen_age"]), ("mid-point", middle)):
        onset = people.assign(t=np.where(ill, at, people["last_free_age"]), event=ill.astype(int))
        healthy = people.assign(t=np.where(ill, at, people["age_end"]), event=np.where(ill, 0, people["died"]))
        after = people.assign(begin=at)[ill & (at < people["age_end"])]
        for transition, frame, formula in (
            ("healthy -> ill", onset[onset["t"] > onset["age_entry"]], "Surv(age_entry, t, event)"),
            ("healthy -> dead", healthy, "Surv(age_entry, t, event)"),
            ("ill -> dead", after, "Surv(begin, age_end, died)"),
        ):
            table = s.cox(f"{formula} ~ {RIGHT}", frame).tidy()
            found |= noted(f"Cox, {label}", n, table, transition, truth, None)
    return found


STUDIES = {
    "plain": partial(one, n=500, gap=2.5, effects=None, hazards="weibull"),
    "rapid": partial(one, n=1000, gap=4.0, effects=RAPID, hazards="weibull"),
}


if __name__ == "__main__":
    run_studies(__doc__, STUDIES)
