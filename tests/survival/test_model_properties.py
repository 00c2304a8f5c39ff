"""What must hold for every model of the room, as the registry `models` declares it."""

import functools
import inspect
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import DxaCausalError
from dxa_causal._core.warnings import IncidenceSumWarning

sys.path.insert(0, str(Path(__file__).parent))
from models import END, MODELS, NO_WEIGHTS, PROPERTIES, people

s = dc.survival
SEEDS = (1, *(pytest.param(k, marks=pytest.mark.slow) for k in (2, 3)))
UNITS = {1: 12.0, 2: 365.25, 3: 1 / 52}


def repeated(frame):
    """Each row as often as its weight says; the copies are other persons."""
    copies = frame.loc[frame.index.repeat(frame["w"])]
    return copies.assign(id=copies["id"] + 1000 * copies.groupby(level=0).cumcount()).reset_index(drop=True)


def split(frame):
    """Two of three rows cut in two."""
    whole, frame = frame[frame["id"] % 3 == 0], frame[frame["id"] % 3 > 0]
    cut = frame["entry"] + 0.4 * (frame["time"] - frame["entry"])
    nothing = {name: False if name != "cause" else 0 for name in ("died", "dead", "cause") if name in frame}
    parts = pd.concat([whole, frame.assign(time=cut, **nothing), frame.assign(entry=cut)])
    return parts.sort_index(kind="stable", ignore_index=True)


def optional(model):
    """Nothing, and weights and clusters where the model takes them."""
    taken = {"weights": "w"} if model.fails.get("weights of one") != NO_WEIGHTS else {}
    if {"cluster": "id"} in model.persons:
        taken["cluster"] = "site"
    return ({}, taken) if taken else ({},)


@functools.cache
def numbers(name, seed, **options):
    model = MODELS[name]
    return model.numbers(model.fit(model.data(seed), **options), 1.0)


def same(model, got, want, *, unit=1.0, left_out=()):
    assert got.keys() == want.keys()
    for key in got.keys() - set(left_out):
        expected = np.asarray(want[key], dtype=float)
        power = unit ** np.asarray(model.powers.get(key, 0), dtype=float)
        size = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        np.testing.assert_allclose(
            np.asarray(got[key], dtype=float) / power, expected, rtol=model.rtol, atol=model.rtol * size, err_msg=key
        )


def row_order(name, seed):
    model = MODELS[name]
    mixed = model.data(seed).sample(frac=1, random_state=seed)
    for options in optional(model):
        same(model, model.numbers(model.fit(mixed, **options), 1.0), numbers(name, seed, **options))


def weights_of_one(name, seed):
    model = MODELS[name]
    weighted = model.fit(model.data(seed).assign(one=1.0), weights="one")
    same(model, model.numbers(weighted, 1.0), numbers(name, seed))


def whole_weights(name, seed):
    model = MODELS[name]
    frame = repeated(model.data(seed))
    same(model, numbers(name, seed, weights="w"), model.numbers(model.fit(frame), 1.0), left_out=model.by_row)
    if {"cluster": "id"} in model.persons:  # contributions add up within clusters, of one row or many
        want = model.numbers(model.fit(frame, cluster="site"), 1.0)
        same(model, numbers(name, seed, weights="w", cluster="site"), want)


def unit_of_time(name, seed):
    model, unit = MODELS[name], UNITS[seed]
    frame = model.data(seed)
    other = frame.assign(entry=frame["entry"] * unit, time=frame["time"] * unit)
    for options in optional(model):
        got = model.numbers(model.fit(other, unit, **options), unit)
        same(model, got, numbers(name, seed, **options), unit=unit)


def split_rows(name, seed):
    model = MODELS[name]
    for options in model.persons:
        cut = model.fit(split(model.data(seed)), **options)
        same(model, model.numbers(cut, 1.0), numbers(name, seed, **options))


def curve(name, seed):
    model = MODELS[name]
    for kind, found in model.curves(model.fit(model.data(seed))).items():
        keys = [c for c in ("group", "cause", "row") if c in found]
        assert found["estimate"].notna().all()
        for _, one in found.groupby(keys):
            step = np.diff(one["estimate"])
            assert (step <= 1e-12).all() if kind == "survival" else (step >= -1e-12).all()
        shown = found[["estimate", "conf_low", "conf_high"]].dropna()
        assert (shown["conf_low"] <= shown["estimate"] + 1e-12).all()
        assert (shown["conf_high"] >= shown["estimate"] - 1e-12).all()
        if kind != "hazard":
            assert found["estimate"].between(-1e-15, 1 + 1e-15).all()
            assert shown[["conf_low", "conf_high"]].stack().between(-1e-15, 1 + 1e-15).all()


def sum_to_one(name, seed):
    model, frame = MODELS[name], MODELS[name].data(seed)
    np.testing.assert_allclose(model.sums(model.fit(frame), frame), 1.0, rtol=1e-12)


CHECKS = dict(
    zip(
        PROPERTIES,
        (row_order, weights_of_one, whole_weights, unit_of_time, split_rows, curve, sum_to_one),
        strict=True,
    )
)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "what"), [(n, p) for n, m in MODELS.items() for p in PROPERTIES if not m.why_not(p)])
def test_property(name, what, seed):
    CHECKS[what](name, seed)


@pytest.mark.parametrize(("name", "what"), [(n, p) for n, m in MODELS.items() for p in m.fails])
def test_declared_failures_are_real(name, what):
    """Where a model has come to hold a property, or to take an option, the registry must say so."""
    refused = (TypeError, DxaCausalError) if MODELS[name].fails[what].startswith("takes ") else ()
    with pytest.raises((AssertionError, *refused)):
        for seed in UNITS:
            CHECKS[what](name, seed)


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.by_row and not m.why_not("whole weights")])
def test_numbers_by_row_are(name):
    model = MODELS[name]
    many = model.numbers(model.fit(repeated(model.data(1))), 1.0)
    for key in set(model.by_row) & many.keys():
        with pytest.raises(AssertionError):
            same(model, numbers(name, 1, weights="w"), many, left_out=many.keys() - {key})


def test_subdistributions_may_sum_above_one():
    frame = people(3)
    fits = [s.fine_gray("Surv(entry, time, cause) ~ x + z", frame, cause=k) for k in (1, 2)]
    extreme = pd.DataFrame({"x": [4.0], "z": [0]})
    with pytest.warns(IncidenceSumWarning, match="more than one"):
        total = s.total_incidence(fits, extreme, times=[END])
    assert total["estimate"].item() > 1


def test_every_function_is_registered():
    public = {name for name in s.__all__ if inspect.isfunction(getattr(s, name))}
    assert {m.of for m in MODELS.values()} == public


def test_every_reason_is_of_a_property():
    for model in MODELS.values():
        assert model.fails.keys() <= PROPERTIES.keys()
        assert all(model.fails.values())
