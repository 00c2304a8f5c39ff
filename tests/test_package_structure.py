"""Conventions of every public function, checked by machine."""

import inspect
import pkgutil
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import dxa_causal

ROOT = Path(dxa_causal.__file__).parent
ROOMS = [name for name in dxa_causal.__all__ if not name.startswith("__")]
JUNK = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
MODULES = [m.name for m in pkgutil.walk_packages([str(ROOT)], "dxa_causal.")]
PUBLIC = [
    (room, name)
    for room in ROOMS
    for name in import_module(f"dxa_causal.{room}").__all__
]  # fmt: skip
FUNCTIONS = [
    (room, name) for room, name in PUBLIC if inspect.isfunction(getattr(import_module(f"dxa_causal.{room}"), name))
]


def _get(room, name):
    return getattr(import_module(f"dxa_causal.{room}"), name)


@pytest.mark.parametrize("module", MODULES)
def test_no_junk_drawers(module):
    assert not JUNK & set(module.split("."))


@pytest.mark.parametrize(("room", "name"), PUBLIC)
def test_public_names_are_documented(room, name):
    value = _get(room, name)
    if inspect.isfunction(value) or inspect.isclass(value):
        assert inspect.getdoc(value), f"{room}.{name} has no docstring"


@pytest.mark.parametrize(("room", "name"), FUNCTIONS)
def test_signatures(room, name):
    parameters = inspect.signature(_get(room, name)).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert len(positional) <= 3, "at most three positional arguments"
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters), "no **kwargs in public functions"
    assert not any(isinstance(p.default, bool) for p in positional), "no boolean positionals"
    undocumented = [p.name for p in parameters if p.name not in inspect.getdoc(_get(room, name))]
    assert not undocumented, f"not in the docstring: {undocumented}"


def test_rooms_only_re_export():
    for room in ROOMS:
        source = (ROOT / room / "__init__.py").read_text()
        defined = set(re.findall(r"^(?:def|class) (\w+)", source, re.MULTILINE)) - {"__getattr__", "__dir__"}
        assert not defined, f"{room}/__init__.py defines {defined}; it may only re-export"


def test_reference_pages_list_what_is_public():
    docs = ROOT.parent / "docs" / "reference"
    for room in ROOMS:
        page = (docs / f"{room}.md").read_text()
        listed = set(re.findall(r"^\s{4}(\w+)$", page, re.MULTILINE)) | set(re.findall(r"^(\w+)$", page, re.MULTILINE))
        missing = set(import_module(f"dxa_causal.{room}").__all__) - listed
        assert not missing, f"docs/reference/{room}.md lacks {sorted(missing)}"


def test_import_module_stays_in_one_place():
    users = [p for p in ROOT.rglob("*.py") if "import_module" in p.read_text()]
    assert users == [ROOT / "__init__.py"]


def test_the_picture_matches_the_contracts():
    """Rooms of docs/explanation/architecture.md, top to bottom, are the layers the linter checks."""
    contracts = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    built = [[r.strip() for r in layer.split("|") if not r.strip().startswith("(")] for layer in layers]
    built = [sorted(layer) for layer in built if layer]
    text = (ROOT.parent / "docs" / "explanation" / "architecture.md").read_text()
    picture = text.split("```text")[1].split("```")[0]
    lines = [line for line in picture.splitlines() if line and not line.startswith("-")]
    drawn = [sorted(r.strip() for r in re.split(r"\s{2,}", line)[0].split("|")) for line in lines]
    assert drawn == built
    on_disk = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    assert on_disk == {room for layer in built for room in layer}
