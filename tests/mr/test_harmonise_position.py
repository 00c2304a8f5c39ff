from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError


def frame(**columns) -> pd.DataFrame:
    size = max((len(v) for v in columns.values() if isinstance(v, list)), default=3)
    base = {
        "variant": [f"rs{i}" for i in range(size)],
        "chromosome": ["1"] * size,
        "position": [100 * (i + 1) for i in range(size)],
        "effect_allele": ["A"] * size,
        "other_allele": ["G"] * size,
        "beta": [0.1 * (i + 1) for i in range(size)],
        "se": [0.01] * size,
        "eaf": [0.2] * size,
    }
    return pd.DataFrame({k: v for k, v in {**base, **columns}.items() if v is not None})


def reconciles(h: mr.Harmonised) -> bool:
    c = h.counts
    return (
        c["n_exposure"] == c["n_both"] + c["not_in_outcome"] + c["exposure_without_id"]
        and c["n_outcome"] == c["n_both"] + c["not_in_exposure"] + c["outcome_without_id"]
        and len(h.audit) == c["n_exposure"] + c["n_outcome"] - c["n_both"]
    )


@pytest.mark.parametrize("by", ["auto", "position"])
def test_ids_of_another_kind_are_joined_by_place_and_alleles(by):
    # Other order of rows; alleles exchanged, on the other strand, both.
    second = frame(
        variant=["1:300:A:G", "1:100:A:G", "1:200:A:G"],
        chromosome=["chr1", "CHR1", "01"],
        position=[300, 100, 200],
        effect_allele=["G", "T", "C"],
        other_allele=["A", "C", "T"],
    )
    h = mr.harmonise(frame(), second, by=by)
    assert h.table["variant"].tolist() == ["rs0", "rs1", "rs2"]
    np.testing.assert_allclose(h.beta_outcome, [0.2, -0.3, -0.1])
    assert h.table["position"].tolist() == [100, 200, 300]
    assert h.table["chromosome"].tolist() == ["1", "1", "1"]
    assert reconciles(h)


def test_auto_takes_ids_first_and_places_for_the_rest():
    # rs2 was merged into rs99; the row of rs1 stands at another place, which within one build does no harm.
    second = frame(variant=["rs0", "rs1", "rs99"], position=[100, 201, 300])
    second = pd.concat([second, frame(variant=["rs5", "rs6", "rs7"], position=[700, 800, 900])])
    h = mr.harmonise(frame(), second)
    assert h.table["variant"].tolist() == ["rs0", "rs1", "rs2"]
    assert h.counts["not_in_exposure"] == 3
    assert reconciles(h)
    only = mr.harmonise(frame(), second, by="variant")
    assert only.table["variant"].tolist() == ["rs0", "rs1"]
    places = mr.harmonise(frame(), second, by="position")
    assert places.table["variant"].tolist() == ["rs0", "rs2"]


def test_variants_at_one_place_are_told_apart_by_their_alleles():
    first = frame(variant=["a", "b"], position=[100, 100], other_allele=["G", "C"])
    second = frame(variant=["x", "y"], position=[100, 100], other_allele=["C", "G"])
    h = mr.harmonise(first, second)
    assert h.table["other_allele"].tolist() == ["G", "C"]
    np.testing.assert_allclose(h.beta_outcome, [0.2, 0.1])


def test_files_without_ids():
    second = frame(variant=[None, "rs7", None], position=[100, 200, 999])
    h = mr.harmonise(frame(variant=None), second)
    assert h.table["variant"].tolist() == ["1:100:G:A", "rs7"]
    assert h.audit["variant"].tolist() == ["1:100:G:A", "rs7", "1:300:G:A", "1:999:G:A"]
    assert h.counts["exposure_without_id"] == h.counts["outcome_without_id"] == 0
    assert reconciles(h)
    unplaced = mr.harmonise(frame(variant=None), frame(variant=[None, None, None], position=[100, np.nan, 300]))
    assert unplaced.counts["outcome_without_id"] == 1
    assert reconciles(unplaced)


def test_another_build_is_found():
    second = frame(position=[1100, 1200, 300])
    with pytest.raises(
        SummaryStatisticsError, match="2 of 3 shared ids.*'rs0': 1:100 in the exposure, 1:1100 in the ou"
    ):
        mr.harmonise(frame(), second)
    first, other = (
        SimpleNamespace(table=pl.from_pandas(f), trait=t, build=b)
        for f, t, b in ((frame(), "BMI", "GRCh37"), (second, "heart", "GRCh38"))
    )
    with pytest.raises(SummaryStatisticsError, match=r"exposure \(GRCh37\), 1:1100 in the outcome \(GRCh38\)"):
        mr.harmonise(first, other)
    h = mr.harmonise(first, other, by="variant")
    assert (h.exposure, h.outcome, h.n_variants) == ("BMI", "heart", 3)


def test_chromosome_spellings():
    first = frame(variant=None, chromosome=[1.0, 23.0, 26.0], position=[1, 2, 3])
    second = frame(variant=None, chromosome=["chr1", "X", "chrM"], position=["1", "2", "3"])
    assert mr.harmonise(first, second).table["chromosome"].tolist() == ["1", "X", "MT"]


def test_bad_input():
    with pytest.raises(SummaryStatisticsError, match="outcome: by='position' needs columns chromosome and position"):
        mr.harmonise(frame(), frame(position=None), by="position")
    with pytest.raises(SummaryStatisticsError, match="exposure: 1 shared variants are listed more than once"):
        mr.harmonise(frame(position=[100, 100, 300]), frame(), by="position")
    with pytest.raises(OptionError, match="by='rsid'"):
        mr.harmonise(frame(), frame(), by="rsid")
    with pytest.raises(SummaryStatisticsError, match="joined by id or place and alleles"):
        mr.harmonise(frame(), frame(variant=["x", "y", "z"], position=[7, 8, 9]))
    with pytest.raises(SummaryStatisticsError, match="no column for variant"):
        mr.harmonise(frame(variant=None, position=None), frame())


def test_builds_that_are_said_to_differ_are_refused(tmp_path):
    rows = "".join(f"{c}\t{100 + i}\tA\tG\t.1\t.05\t.3\n" for i, c in enumerate("1234"))
    files = []
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_text("CHR\tPOS\tA1\tA2\tbeta\tse\teaf\n" + rows)
        files.append(tmp_path / name)
    a, b = mr.read_gwas(files[0], build="hg19"), mr.read_gwas(files[1], build="hg38")
    for by in ("auto", "position"):
        with pytest.raises(SummaryStatisticsError, match="GRCh37 in the exposure, GRCh38 in the outcome"):
            mr.harmonise(a, b, by=by)
    assert mr.harmonise(a, mr.read_gwas(files[1], build="hg19")).n_variants == 4
