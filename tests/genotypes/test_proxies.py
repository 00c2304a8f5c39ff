"""Proxies: those of plink with the alleles in phase, and windows around genes."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import genotypes, mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError

SIX_DIGITS = 6e-6  # what plink prints


@pytest.mark.parametrize("name", ["gwasvcf", "rsparsepro"])
def test_proxies_are_those_of_plink(name, panels, plink, monkeypatch):
    panel, expected = panels(name), plink[name]["proxies"]
    for memory in (2**27, 24 * 8 * 100):  # at once, and target by target
        monkeypatch.setattr(sys.modules["dxa_causal.genotypes.proxies"], "_MEMORY", memory)
        table = genotypes.proxies(panel, list(expected))
        for target, rows in expected.items():
            found = table[(table["variant"] == target) & (table["reason"] == "")].set_index("proxy")
            assert set(found.index) == {row[0] for row in rows}
            for proxy, r2, phase in rows:
                mine = found.loc[proxy]
                assert mine["r2"] == pytest.approx(r2, rel=SIX_DIGITS)
                pairs = (
                    mine["effect_allele"] + mine["proxy_effect_allele"],
                    mine["other_allele"] + mine["proxy_other_allele"],
                )
                assert set(phase.split("/")) == set(pairs)
            assert found["r2"].is_monotonic_decreasing


def test_alleles_travel_together(panel_of):
    people = np.random.default_rng(3).integers(0, 3, 50).astype(float)
    nearly = people.copy()
    nearly[0] = np.nan
    nearly[1] = (nearly[1] + 1) % 3
    copies = np.column_stack([people, 2 - people, nearly, np.full(50, 2.0), 2 - people])
    alleles = [("A", "G"), ("C", "T"), ("T", "C"), ("A", "G"), ("G", "T")]
    panel = panel_of(copies, alleles=alleles, position=[300_000, 301_000, 299_000, 302_000, 550_001])
    table = genotypes.proxies(panel, ["rs0", "rs3", "rs77", "rs4"])
    assert table["variant"].tolist() == ["rs0", "rs0", "rs3", "rs77", "rs4"]
    assert table["proxy"].tolist()[:2] == ["rs1", "rs2"]
    assert table["proxy"].iloc[4] == "rs1"  # rs2 is too far away
    columns = ["effect_allele", "other_allele", "proxy_effect_allele", "proxy_other_allele"]
    assert table[columns].iloc[:2].to_numpy().tolist() == [["A", "G", "T", "C"], ["A", "G", "T", "C"]]
    assert table["distance"].tolist()[:2] == [1000, -1000]
    assert (table["r"].dropna() > 0).all()
    assert table["reason"].tolist()[2:4] == ["monomorphic", "not in the panel"]

    # a frame's effect allele comes first: here the other one
    frame = pl.DataFrame({"variant": ["rs0"], "effect_allele": ["G"], "other_allele": ["A"]})
    turned = genotypes.proxies(panel, frame, available=["rs2", "rs4", "rs88"])
    assert turned["proxy"].tolist() == ["rs2"]
    assert turned[columns].to_numpy().tolist() == [["G", "A", "C", "T"]]
    alone = genotypes.proxies(panel, "rs0", available=["rs4"])
    assert alone["reason"].tolist() == ["no variant with r2 of at least 0.8 within 250 kb"]
    assert genotypes.proxies(panel, "rs0", available=["rs4"], kb=251)["proxy"].tolist() == ["rs4"]
    other = pd.DataFrame({"variant": ["rs0"], "effect_allele": ["G"], "other_allele": ["C"]})
    assert genotypes.proxies(panel, other)["reason"].tolist() == ["alleles differ"]
    nothing = genotypes.proxies(panel, [])
    assert len(nothing) == 0
    with pytest.raises(OptionError, match="r2=0"):
        genotypes.proxies(panel, ["rs0"], r2=0)


def test_builds_that_differ(panel_of, drawn, tmp_path):
    panel = panel_of(drawn(20, 6), build="GRCh38")
    (tmp_path / "gwas.txt").write_text(
        "variant chromosome position effect_allele other_allele beta se\nrs0 1 1000 A G 0.1 0.01\n"
    )
    gwas = mr.read_gwas(tmp_path / "gwas.txt", build="GRCh37")
    with pytest.raises(SummaryStatisticsError, match="variants has positions of GRCh37"):
        genotypes.proxies(panel, gwas)
    with pytest.raises(SummaryStatisticsError, match="variants has positions of GRCh37"):
        genotypes.ld(panel, gwas)


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "variant": list("abcdef"),
            "chr": ["17", "chr17", "17", "17", "17", "X"],
            "pos": [40_999, 41_000, 43_500, 46_000, 46_001, 43_500],
        }
    )


def test_windows(frame):
    inside = genotypes.cis_window(frame, 17, start=43_000, end=44_000, kb=2)
    assert inside["variant"].tolist() == ["b", "c", "d"]
    assert inside.index.tolist() == [1, 2, 3]
    assert genotypes.cis_window(pl.DataFrame(frame), "chr17", start=43_000, end=44_000, kb=2)[
        "variant"
    ].to_list() == list("bcd")
    assert genotypes.cis_window(frame, "23", start=1, end=2)["variant"].tolist() == ["f"]
    assert len(genotypes.cis_window(frame, 3, start=1, end=2)) == 0
    for options, match in (
        ({"chromosome": "chr30"}, "chromosome='chr30'"),
        ({"start": 9, "end": 3}, "reverse strand"),
        ({"kb": -1}, "kb=-1"),
    ):
        with pytest.raises(OptionError, match=match):
            genotypes.cis_window(frame, **{"chromosome": 17, "start": 1, "end": 2, **options})
    with pytest.raises(SummaryStatisticsError, match="no column 'position'"):
        genotypes.cis_window(frame.drop(columns="pos"), 17, start=1, end=2)
    with pytest.raises(SummaryStatisticsError, match="every position is missing"):
        genotypes.cis_window(frame.assign(pos=np.nan), 17, start=1, end=2)


def test_a_window_of_a_file_is_a_gwas(tmp_path):
    lines = "".join(f"rs{k} 17 {1000 * (k + 1)} A G 0.1 0.01\n" for k in range(8))
    (tmp_path / "gwas.txt").write_text("variant chromosome position effect_allele other_allele beta se\n" + lines)
    gwas = mr.read_gwas(tmp_path / "gwas.txt", trait="sclerostin")
    window = genotypes.cis_window(gwas, 17, start=3000, end=4000, kb=1)
    assert isinstance(window, mr.GWAS)
    assert window.trait == "sclerostin"
    assert window.table["variant"].to_list() == ["rs1", "rs2", "rs3", "rs4"]
