"""Fixtures shared by all tests."""

import json
import runpy
import sys
from pathlib import Path

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("repeatable", derandomize=True)  # the same cases in every run, so that none fails by chance
settings.load_profile("repeatable")

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def reference():
    """Load a JSON file of reference numbers: reference("survival/expected.json")."""
    return lambda name: json.loads((REFERENCE / name).read_text())


@pytest.fixture(scope="session")
def frames():
    """Data behind the survival reference numbers, with the derived columns generate.R adds."""
    load = runpy.run_path(str(REFERENCE / "survival" / "make_inputs.py"))["frames"]()
    added = {
        "lung": lambda d: d.assign(w=1 + d["age"] % 3 / 2),
        "rossi": lambda d: d.assign(w=1 + d["prio"] % 3, o=0.05 * d["prio"]),
        "heart": lambda d: d.assign(w=1 + d["id"] % 4 / 3),
    }

    class Derived(type(load)):
        def __getitem__(self, name):
            return added.get(name, lambda d: d)(super().__getitem__(name))

    return Derived()


@pytest.fixture(autouse=True)
def _close_figures():
    """Pyplot, once imported by any test, manages figures; none may pile up."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
