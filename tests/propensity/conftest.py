"""NHEFS, and the propensity model of What If."""

from pathlib import Path

import pandas as pd
import pytest

NHEFS = Path(__file__).parents[1] / "reference" / "propensity" / "nhefs.csv"


@pytest.fixture(scope="session")
def nhefs_all():
    return pd.read_csv(NHEFS)


@pytest.fixture(scope="session")
def nhefs(nhefs_all):
    """Rows with an outcome, as in the book; labels are not 0, 1, 2, ..."""
    return nhefs_all[nhefs_all["wt82_71"].notna()]


@pytest.fixture(scope="session")
def whatif():
    return (
        "qsmk ~ sex + race + age + I(age**2) + C(education) + smokeintensity + I(smokeintensity**2)"
        " + smokeyrs + I(smokeyrs**2) + C(exercise) + C(active) + wt71 + I(wt71**2)"
    )
