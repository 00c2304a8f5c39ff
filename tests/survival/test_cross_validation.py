"""Cross-validated concordance: what it refuses (its numbers are tested with those of all models)."""

import numpy as np
import pandas as pd
import pytest

from dxa_causal._core.errors import OptionError, PredictorError
from dxa_causal.survival.cross_validation import cross_validate

MODEL = {"age": "Surv(time, died) ~ age"}


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"time": rng.exponential(5, 120), "died": rng.integers(0, 2, 120), "age": rng.normal(60, 8, 120)}
    )
    return frame.assign(centre=np.where(np.arange(120) == 4, "rare", "common"))


def test_formulas_and_folds(data):
    with pytest.raises(OptionError, match="formulas must name each model: {'age': .*, not 'Surv"):
        cross_validate(MODEL["age"], data)
    with pytest.raises(OptionError, match="formulas must name each model"):
        cross_validate({}, data)
    for folds in (1, 2.5, "a", 100):
        with pytest.raises(OptionError, match="folds=.* must be a number from 2 to the number of events"):
            cross_validate(MODEL, data, folds=folds)
    with pytest.raises(OptionError, match="seed='x'"):
        cross_validate(MODEL, data, seed="x")


@pytest.mark.filterwarnings("ignore::dxa_causal._core.warnings.SeparationWarning")
def test_a_level_only_one_fold_has(data):
    with pytest.raises(
        PredictorError, match="model 'both' cannot be fitted without fold . of 5.*'centre' has one level"
    ):
        cross_validate(MODEL | {"both": "Surv(time, died) ~ age + centre"}, data, seed=1)
    three = data.assign(centre=np.where(np.arange(120) % 2 == 0, "other", data["centre"]))
    three.loc[4, "centre"] = "rare"
    with pytest.raises(PredictorError, match="fold . of 5 .*holds 'rare'.*Is there a rare level"):
        cross_validate({"centre": "Surv(time, died) ~ centre"}, three, seed=1)
