"""The figure of curves predicted for a few people."""

import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core import errors

s = dc.survival


@pytest.fixture
def people():
    return pd.DataFrame({"age": [50, 70], "sex": ["F", "M"]})


@pytest.mark.parametrize("model", [s.fine_gray, s.cause_specific])
def test_incidence(model, people, frames):
    fit = model("Surv(etime, event) ~ age + sex", frames["mgus2_cr"], **({"cause": 1} if model is s.fine_gray else {}))
    ax = fit.plot_prediction(people, labels=["younger", "older"], time_label="Months")
    assert ax.get_xlabel() == "Months"
    assert ax.get_ylabel() == "Cumulative incidence"


def test_survival_on_the_age_scale(people, frames):
    data = frames["mgus2"].assign(end=lambda d: d["age"] + d["futime"] / 12 + 1e-6)
    fit = s.cox("Surv(age, end, death) ~ sex", data)
    ax = fit.plot_prediction(people[["sex"]])
    assert ax.get_xlim()[0] >= data["age"].min() - 1
    with pytest.raises(errors.OptionError, match="30 rows are more than 24"):
        fit.plot_prediction(data.head(30))
    with pytest.raises(errors.OptionError, match="type='survivl' is not allowed"):
        fit.plot_prediction(people, type="survivl")
