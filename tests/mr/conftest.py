from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dxa_causal import mr

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"


@pytest.fixture(scope="session")
def exposure() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "twosamplemr_bmi_exposure.csv")


@pytest.fixture(scope="session")
def outcome() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "twosamplemr_chd_outcome.csv")


@pytest.fixture(scope="session")
def bmi_chd(exposure: pd.DataFrame, outcome: pd.DataFrame) -> mr.Harmonised:
    return mr.harmonise(exposure, outcome)


@pytest.fixture(scope="session")
def expected() -> list[dict]:
    return json.loads((REFERENCE / "expected.json").read_text())


@pytest.fixture(scope="session")
def perturbations() -> int:
    """Perturbed data sets of cML: 20 000, as for the other random numbers, take a minute each."""
    return int(os.environ.get("DXA_CAUSAL_PERTURBATIONS", "2000"))


@pytest.fixture(scope="session")
def private_csv() -> Callable[[str], pd.DataFrame]:
    """Data that may not ship (GPL packages), from the folder in the variable DXA_CAUSAL_MR_DATA."""

    def read(name: str) -> pd.DataFrame:
        folder = os.environ.get("DXA_CAUSAL_MR_DATA")
        if not folder:
            pytest.skip("data under the GPL do not ship; set DXA_CAUSAL_MR_DATA to a folder that holds them")
        return pd.read_csv(Path(folder) / name)

    return read
