"""Panels: what the three files hold, and what is said when they do not belong together."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from dxa_causal import genotypes
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.genotypes import panel as panel_module


@pytest.mark.parametrize("name", ["gwasvcf", "rsparsepro"])
def test_counts_are_those_of_plink(name, panels, plink):
    panel = panels(name)
    expected = np.array(plink[name]["counts"])  # both copies, one, none, missing
    frequencies = panel.frequencies().iloc[::20]
    called = expected[:, :3].sum(axis=1)
    np.testing.assert_array_equal(frequencies["n_called"], called)
    copies = 2 * expected[:, 0] + expected[:, 1]
    np.testing.assert_allclose(frequencies["frequency"], copies / (2 * called), rtol=1e-14)
    assert panel.n_monomorphic == 0
    assert not len(panel.duplicates)


def test_genotypes_are_read_back(panel_of, drawn):
    copies = drawn(37, 23)  # a last byte that is not full
    panel = panel_of(copies)
    whole = panel.genotypes()
    np.testing.assert_array_equal(whole.to_numpy(), copies)
    assert whole.index.tolist()[:2] == ["i0", "i1"]
    some = panel.genotypes(["rs7", "rs3", "1:1000:A:G"])
    assert some.columns.tolist() == ["rs7", "rs3", "1:1000:A:G"]
    np.testing.assert_array_equal(some.to_numpy(), copies[:, [7, 3, 0]])
    turned = panel.genotypes(pd.DataFrame({"variant": ["rs7"], "effect_allele": ["G"], "other_allele": ["A"]}))
    np.testing.assert_array_equal(turned.to_numpy(), 2 - copies[:, [7]])


def test_frequencies_and_what_does_not_vary(panel_of, monkeypatch):
    nan = np.nan
    copies = [[2, 0, nan, 1, 2], [1, 0, nan, 1, 2], [nan, 0, nan, 1, nan], [0, 0, nan, 1, 2], [1, 0, nan, 1, 2]]
    monkeypatch.setattr(panel_module, "_BLOCK", 3)  # two bytes a variant: one at a time
    panel = panel_of(copies)
    table = panel.frequencies()
    np.testing.assert_allclose(table["frequency"], [0.5, 0.0, nan, 0.5, 1.0])
    assert table["n_called"].tolist() == [4, 5, 0, 5, 4]
    assert table["monomorphic"].tolist() == [False, True, True, False, True]
    assert panel.n_monomorphic == 3


def test_children_do_not_count(panel_of):
    fam = ["f1 a 0 0 1 -9", "f1 b 0 0 2 -9", "f1 c a b 1 -9", "f2 d 0 0 1 -9", "f2 e 0 b 1 -9"]
    panel = panel_of([[2, 1], [0, 1], [2, 0], [2, 2], [2, 0]], fam=fam)
    assert panel.founders.tolist() == [True, True, False, True, False]
    np.testing.assert_allclose(panel.frequencies()["frequency"], [4 / 6, 4 / 6])
    assert "2 not founders" in repr(panel)


def test_white_space_chromosomes_and_repeated_ids(panel_of, drawn):
    chromosome = ["chr1", "1", "23", "chrX", "26"]
    names, alleles = ["a", "b", "a", ".", "."], [("a", "g"), ("ac", "A"), ("0", "G"), ("A", "T"), ("C", "G")]
    panel = panel_of(drawn(9, 5), names=names, chromosome=chromosome, alleles=alleles, tab="   ")
    assert panel.variants["chromosome"].to_list() == ["1", "1", "X", "X", "MT"]
    assert panel.variants["allele_1"].to_list() == ["A", "AC", "0", "A", "C"]
    assert panel.duplicates.to_dict("list") == {"variant": ["a", "."], "n": [2, 2]}
    again = pickle.loads(pickle.dumps(panel))
    pd.testing.assert_frame_equal(again.frequencies(), panel.frequencies())


def test_one_of_the_files_names_the_panel(panel_of, drawn, tmp_path):
    assert panel_of(drawn(9, 5), name="eur.chr1").prefix.name == "eur.chr1"
    assert genotypes.read_panel(str(tmp_path / "eur.chr1.bed")).n_variants == 5


def test_lines_of_windows_and_a_blank_end(panel_of, drawn, tmp_path):
    panel_of(drawn(9, 5))
    for ending in ("bim", "fam"):
        path = tmp_path / f"panel.{ending}"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    panel = genotypes.read_panel(tmp_path / "panel")
    assert (panel.n_variants, panel.n_samples) == (5, 9)
    assert panel.variants["allele_2"].to_list() == ["G"] * 5


def test_files_that_do_not_belong_together(panel_of, drawn, tmp_path):
    panel_of(drawn(9, 5))
    prefix = tmp_path / "panel"
    bed, bim, fam = (prefix.with_suffix(f".{end}") for end in ("bed", "bim", "fam"))
    whole, variants, people = bed.read_bytes(), bim.read_text(), fam.read_text()

    def refused(match):
        with pytest.raises(SummaryStatisticsError, match=match):
            genotypes.read_panel(prefix)

    bed.write_bytes(whole[:-3])
    refused(r"panel\.bed: 15 bytes; 5 variants \(panel\.bim\) of 9 people \(panel\.fam\) take 18.*fit 4 variants")
    bed.write_bytes(whole)
    bim.write_text("".join(variants.splitlines(keepends=True)[:4]))
    refused(r"18 bytes; 4 variants .* take 15\. It would fit 5 variants")
    bim.write_text(variants)
    fam.write_text(people + "f i 0 0 0 -9\n" * 4)
    refused(r"13 people .* take 23.*9 to 12 people")
    fam.write_text(people)
    bed.write_bytes(b"PK" + whole[2:])
    refused("not a bed file of plink 1")
    bed.write_bytes(whole[:2] + b"\x00" + whole[3:])
    refused("person by person")
    bed.write_bytes(whole[:-1])
    refused("cut short")
    bed.unlink()
    refused(r"panel\.bed: no such file")
    bim.write_text(variants.replace("3000", "3k"))
    refused(r"line 3, variant 'rs2': the position \(fourth column\) is '3k'")
    bim.write_text("1 rs1 1000 A G\n")
    refused(r"line 1 has 5 columns; 6 are needed")
    bim.write_text(variants + "1\trs9\n")
    refused("line 6 has fewer than 6 columns")
    bim.write_text(variants + "1\trs9\t0\t9000\tA\tG\tC\n")
    refused("a line has not 6 columns")
    bim.write_text(variants.replace("\n", "\n\n", 1))
    refused("line 2 has fewer than 6 columns|a line has not 6 columns")
    bim.write_text("")
    refused("empty")
    bim.unlink()
    refused(r"panel\.bim: no such file; a panel is three files")
    with pytest.raises(OptionError, match="build='mm10'"):
        genotypes.read_panel(panel_of(drawn(9, 5)).prefix, build="mm10")


def test_match_says_what_is_there(panel_of, drawn):
    alleles = [("A", "G"), ("C", "T"), ("A", "T"), ("AC", "A"), ("0", "G"), ("A", "G")]
    panel = panel_of(drawn(9, 6), alleles=alleles, names=["rs0", "rs1", "rs2", "rs3", "rs4", "rs4"])
    frame = pd.DataFrame(
        {
            "SNP": ["rs0", "rs0", "rs0", "rs1", "rs2", "rs3", "rs4", "new", "new", "new", "lost"],
            "chr": ["1"] * 11,
            "pos": [1000, 1000, 1000, 2000, 3000, 4000, 5000, "chr1000", 2000, 4000, 9],
            "effect_allele": ["A", "g", "T", "A", "T", "A", "A", "A", "A", "A", "A"],
            "other_allele": ["G", "A", "G", "G", "A", "AC", "G", "G", "G", "C", "G"],
        }
    )
    frame.loc[7, "pos"] = 1000
    table = genotypes.match(panel, frame)
    assert table["panel_variant"].tolist() == [
        "rs0", "rs0", None, "rs1", "rs2", "rs3", "rs4", "rs0", "rs1", None, None,
    ]  # fmt: skip
    assert table["turned"].tolist() == [False, True, False, True, True, True, False, False, True, False, False]
    reason = table["reason"].tolist()
    assert [reason[2], reason[9], reason[10]] == ["alleles differ", "not in the panel", "not in the panel"]
    assert [r for k, r in enumerate(reason) if k not in (2, 9, 10)] == [""] * 8
    with pytest.raises(SummaryStatisticsError, match=r"column 'pos', row 2: '1k' is not a number"):
        genotypes.match(panel, frame.assign(pos=["1", "1k", *range(9)]))
    with pytest.raises(SummaryStatisticsError, match="no column 'variant'"):
        genotypes.match(panel, frame.drop(columns="SNP"))
