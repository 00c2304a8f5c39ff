"""The ageing cohort: what a study sees follows from the truth, and the truth from its hazards."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import OptionError


def test_visits_bracket_the_truth():
    people = dc.simulate.illness_death_cohort(3000, seed=1)
    seen = np.isfinite(people["first_seen_age"])
    onset = people["true_onset_age"]
    assert (people["age_entry"] <= people["last_free_age"]).all()
    assert (people["last_free_age"] < onset).all()
    assert (onset[seen] <= people["first_seen_age"][seen]).all()
    assert (people["last_free_age"] < people["age_end"]).all()
    assert (people["first_seen_age"][seen] < people["age_end"][seen]).all()
    ill = onset <= people["age_end"]
    assert ((people["true_state_at_end"] == "ill") == ill).all()
    assert 0.5 < seen.sum() / ill.sum() < 0.9  # the others died or were lost before a visit
    assert people["died"].between(0, 1).all()


def test_known_onset_gives_back_the_effects():
    people = dc.simulate.illness_death_cohort(8000, seed=2)
    onset, end = people["true_onset_age"], people["age_end"]
    healthy_end = np.minimum(onset, end)
    ill = (onset <= end).astype(int)
    frames = {
        "healthy -> ill": people.assign(begin=people["age_entry"], end=healthy_end, event=ill),
        "healthy -> dead": people.assign(begin=people["age_entry"], end=healthy_end, event=people["died"] * (1 - ill)),
        "ill -> dead": people.assign(begin=onset, end=end, event=people["died"])[ill == 1],
    }
    for transition, frame in frames.items():
        table = dc.survival.cox("Surv(begin, end, event) ~ C(sex) + grip_z + bmd_z", frame).tidy()
        truth = [*people.attrs["log_hazard_ratio"][transition].values()]
        assert (np.abs(table["estimate"] - truth) < 3.5 * table["std_error"]).all()


def test_the_seed_decides():
    one, same, other = (dc.simulate.illness_death_cohort(50, seed=k) for k in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_effects_given():
    people = dc.simulate.illness_death_cohort(20, seed=1, effects={"ill -> dead": {"grip_z": -1.0}})
    assert people.attrs["log_hazard_ratio"]["ill -> dead"] == {"male": 0.0, "grip_z": -1.0, "bmd_z": 0.0}
    assert set(people.attrs["log_hazard_ratio"]["healthy -> ill"].values()) == {0.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0 must be a whole number, at least 1"),
        ({"n": 1.5}, "n=1.5 must be a whole number"),
        ({"visit_gap": 0.0}, "visit_gap=0.0 must be positive"),
        ({"drop_out": -1.0}, "drop_out=-1.0 must not be negative"),
        ({"effects": {"ill -> healthy": {}}}, "no transition 'ill -> healthy'"),
        ({"effects": {"ill -> dead": {"age": 1.0}}}, "no covariate 'age'"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(OptionError, match=message):
        dc.simulate.illness_death_cohort(**{"n": 5, **options})
