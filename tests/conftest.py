"""Fixtures shared by all tests."""

import json
import runpy
import sys
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def reference():
    """Load a JSON file of reference numbers: reference("survival/expected.json")."""
    return lambda name: json.loads((REFERENCE / name).read_text())


@pytest.fixture(scope="session")
def frames():
    """Data behind the survival reference numbers, with the derived columns generate.R adds."""
    loaded = runpy.run_path(str(REFERENCE / "survival" / "make_inputs.py"))["frames"]()
    loaded["lung"]["w"] = 1 + loaded["lung"]["age"] % 3 / 2
    loaded["rossi"]["w"] = 1 + loaded["rossi"]["prio"] % 3
    loaded["rossi"]["o"] = 0.05 * loaded["rossi"]["prio"]
    loaded["heart"]["w"] = 1 + loaded["heart"]["id"] % 4 / 3
    return loaded


@pytest.fixture(autouse=True)
def _close_figures():
    """Pyplot, once imported by any test, manages figures; none may pile up."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
