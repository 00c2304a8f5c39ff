"""The build scripts on small made-up sources."""

import numpy as np
import pandas as pd
import pytest

from dxa_causal.datasets.build import bmi_chd, bone_muscle_gwas, nhanes3_mortality, nhanes_mortality, nhefs
from dxa_causal.datasets.build.writing import Column, drop_implausible, write_dataset


@pytest.fixture
def source():
    """Six people; the last three are left out."""
    frame = pd.DataFrame({c.source: [np.nan] * 6 for c in nhanes_mortality.COLUMNS if c.source})
    return frame.assign(
        sampleID=["1999_2", "2017_1e+05", "2001_7", "2015_8", "2003_9", "2005_10"],
        year=[1999.0, 2017, 2001, 2015, 2003, 2005],
        age=[50.0, 60, 70, 80, 55, 19],
        gender=[1.0, 2, 1, 2, 1, 2],
        pregnant=0.0,
        grip_l=[30.0, np.nan, 20, 0, 0, 0],
        grip_r=[28.0, np.nan, 25, 0, 0, 0],
        lnwalk=np.log([6.0, 1.0, 8.0, 6, 6, 6]),
        dbp=[70.0, 10, 80, 70, 70, 70],
        status=[0.0, 0, 1, np.nan, 0, 0],
        ucod_leading=[np.nan, 10, np.nan, np.nan, np.nan, np.nan],
        time=[24.0, 6, 0, 12, np.nan, 12],
    )


def test_nhanes_build(source):
    frame, implausible, rows = nhanes_mortality.build(source)
    assert frame["id"].tolist() == [2, 100000, 7]
    assert frame["sex"].tolist() == ["male", "female", "male"]
    assert frame["time"].tolist() == [2.0, 0.5, 0.0]
    assert frame["died"].tolist() == [0, 1, 1]  # a recorded cause is a death, whatever status says
    assert frame["cause_of_death"].tolist() == ["alive", "other", "not released"]
    assert frame["grip_kg"].fillna(-1).tolist() == [30.0, -1.0, 25.0]
    assert frame["walk_time_s"].fillna(-1).tolist() == [6.0, -1.0, 8.0]  # 6.1 m/s is no walk
    assert {k: n for k, n in implausible.items() if n} == {"walk_time_s": 1, "dbp_mmhg": 1}
    assert [*rows.values()] == [6, 1, 1, 1, 3]


def test_nhanes3_follow_up_ends_at_twenty_years():
    source = pd.DataFrame({c.source: [np.nan] * 7 for c in nhanes3_mortality.COLUMNS if c.source})
    source = source.assign(
        sampleID=[f"1991_{k}" for k in range(7)],
        age=60.0,
        gender=2.0,
        cyst=[0.05, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        status=[1.0, 0, 0, 0, 0, np.nan, 0],
        ucod_leading=[np.nan, 10, 1, 10, np.nan, np.nan, np.nan],
        time=[12.0, 240, 240, 239, 240, 240, np.nan],
        permth_int=[13.0, 240, 250, 240, 300, 300, 300],
    )
    frame, implausible, rows = nhanes3_mortality.build(source)
    assert frame["died"].tolist() == [1, 1, 0, 1, 0]  # the third died in the 21st year
    assert frame["cause_of_death"].tolist() == ["not released", "other", "alive", "other", "alive"]
    assert frame["time"].tolist() == [1.0, 20.0, 20.0, 239 / 12, 20.0]
    assert {k: n for k, n in implausible.items() if n} == {"cystatin_c_mg_l": 1}
    assert [*rows.values()] == [7, 1, 1, 5]


def test_nhefs_build_derives_survival_time():
    source = pd.DataFrame({c.name: [0, 0] for c in nhefs.COLUMNS if c.name != "survtime"})
    source = source.assign(death=[1, 0], yrdth=[85.0, np.nan], modth=[3.0, 4.0])
    assert nhefs.build(source)["survtime"].tolist() == [27, 120]


def test_plain_names_take_the_suffixed_column_or_the_bare_one():
    sided = {f"{stem}.outcome": [stem] for stem in bmi_chd.PLAIN.values() if stem not in ("SNP", "chr", "pos")}
    plain = bmi_chd.to_plain(pd.DataFrame({"SNP": ["rs1"], "chr": ["7"], "pos": [5], **sided}), "outcome")
    assert plain.columns.tolist() == [*bmi_chd.PLAIN]
    assert plain.loc[0, ["variant", "chr", "n"]].tolist() == ["rs1", "7", "samplesize"]


def test_implausible_values_are_counted_and_the_input_is_kept():
    frame = pd.DataFrame({"x": [1.0, 5.0, np.nan, 9.0]})
    kept, counts = drop_implausible(frame, [Column("x", "m", "Length.", low=1, high=5)])
    assert counts == {"x": 1}
    assert kept["x"].isna().sum() == 2
    assert frame["x"].isna().sum() == 1


def test_same_input_same_bytes(tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0], "g": pd.Categorical(["a", 'b"\\'])})
    columns = [Column("x", "m", "Length."), Column("g", "", 'A "quoted" name.')]
    for folder in ("one", "two"):
        about = {"name": "toy", "description": "Toy", "source_sha256": {"a file": "0"}}
        write_dataset(frame, columns, about, folder=tmp_path / folder)
    for name in ("toy.parquet", "toy.toml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one" / "toy.parquet"), frame)


def test_codebook_must_fit_the_frame(tmp_path):
    with pytest.raises(ValueError, match="codebook and frame differ"):
        write_dataset(pd.DataFrame({"x": [1]}), [Column("y", "", "Y.")], {"name": "toy"}, folder=tmp_path)


def test_studies_say_whose_people_they_are():
    rows = {
        "id": ["ukb-b-1", "ebi-a-GCST1", "ebi-a-GCST2", "ebi-a-GCST3", "finn-b-X", "ebi-a-GCST4"],
        "author": ["Ben Elsworth", "D<U+00F6>nerta<U+015F> HM", "Sakaue S", "Sakaue S", None, "Nobody N"],
        "population": ["European", None, "European", "East Asian", "European", "European"],
        "trait": ["b", "a", "c", "d", "e", "f"],
        "ncontrol": [0, 9, 9, 9, 9, None],
    }
    raw = pd.DataFrame(rows).assign(
        sample_size=10, ncase=10, build="HG19/GRCh37", unit=None, year=2020, consortium=None, pmid=None
    )
    frame = bone_muscle_gwas.studies(raw).set_index("id")
    assert frame["trait"].tolist() == list("abcdef")
    assert frame.loc["ebi-a-GCST1", "author"] == "D\u00f6nerta\u015f HM"
    wanted = {"ukb-b-1": "yes", "ebi-a-GCST1": "yes", "ebi-a-GCST2": "partly", "ebi-a-GCST3": "no", "finn-b-X": "no"}
    assert frame["uk_biobank"].to_dict() == {**wanted, "ebi-a-GCST4": "not known"}
    assert frame.loc["ukb-b-1", ["n_case", "n_control"]].isna().all()  # a quantity has no cases
    assert frame.loc["finn-b-X", "n_case"] == 10
