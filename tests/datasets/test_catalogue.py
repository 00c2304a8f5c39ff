"""Each data set loads, matches its codebook, and errors help."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import DatasetError

NAMES = [
    *("bmi_chd", "bmi_gwas", "chd_gwas", "fat_free_mass_gwas", "grip_gwas", "heel_bmd_gwas", "nhanes3_mortality"),
    *("nhanes_mortality", "nhefs", "opengwas_bone_muscle", "walking_pace_gwas"),
]
SHIPPED_MB = 3.0


def test_list_names_every_set_and_tells_its_size():
    listed = dc.datasets.list().set_index("name")
    assert sorted(listed.index) == NAMES
    for name in NAMES:
        assert dc.datasets.load(name).shape == (listed.loc[name, "rows"], listed.loc[name, "columns"])
    assert (listed["licence"].str.len() > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_codebook_describes_every_column(name):
    frame, codebook = dc.datasets.load(name), dc.datasets.describe(name)
    assert codebook["column"].tolist() == frame.columns.tolist()
    assert (codebook["description"].str.len() > 0).all()
    kinds = {"i": "integer", "f": "number", "b": "boolean"}
    for row in codebook.itertuples():
        values = frame[row.column]
        assert row.n_missing == values.isna().sum()
        assert row.n_implausible <= row.n_missing
        if isinstance(values.dtype, pd.CategoricalDtype):
            assert row.type == "category"
            assert row.levels == ", ".join(values.cat.categories)
        else:
            assert row.type == kinds.get(values.dtype.kind, "text")
        if row.type == "number":
            assert np.isfinite(values.dropna()).all()
            assert row.unit or row.column in {"p_value", "pval.exposure", "pval.outcome", "poverty_ratio"}
    assert {"source", "citation", "licence", "script", "notes", "source_sha256"} <= codebook.attrs.keys()


@pytest.mark.parametrize(("name", "at_least"), [("nhanes_mortality", 25), ("nhanes3_mortality", 10)])
def test_values_lie_in_their_plausible_range(name, at_least):
    frame = dc.datasets.load(name)
    about = dc.datasets.catalogue._read(dc.datasets.path(name).with_suffix(".toml"))
    checked = 0
    for column, entry in about["columns"].items():
        if "plausible" in entry:
            assert frame[column].dropna().between(*entry["plausible"]).all(), column
            checked += 1
    assert checked >= at_least


def test_gait_speed_is_plausible():
    assert dc.datasets.load("nhanes_mortality")["gait_speed_m_s"].dropna().between(0.1, 2.5).all()


@pytest.mark.parametrize("name", NAMES)
def test_load_returns_a_fresh_frame(name):
    first = dc.datasets.load(name)
    kept = first.copy()
    first.iloc[:, 0] = first.iloc[::-1, 0].to_numpy()
    first["new"] = 1
    pd.testing.assert_frame_equal(dc.datasets.load(name), kept)


@pytest.mark.parametrize("function", [dc.datasets.load, dc.datasets.describe, dc.datasets.path])
def test_wrong_name_lists_the_nearest(function):
    with pytest.raises(
        DatasetError, match=r"no data set 'nhanes'; did you mean .*'nhanes_mortality'.*\? There are: 'bmi_chd'"
    ):
        function("nhanes")
    with pytest.raises(DatasetError, match=r"no data set '\.\./catalogue'"):
        function("../catalogue")


def test_files_are_small_and_carry_their_licences():
    folder = dc.datasets.path("nhefs").parent
    assert {p.suffix for p in folder.iterdir()} == {".parquet", ".toml", ".txt"}
    assert sum(p.stat().st_size for p in folder.iterdir()) < SHIPPED_MB * 1e6
    for package in ("TwoSampleMR", "causaldata", "mr-base-methods-paper"):
        assert "Permission is hereby granted" in (folder / f"LICENSE-{package}.txt").read_text()
