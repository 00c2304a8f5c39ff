"""Clumps: those of plink, those of a loop that takes no short cuts, and an account of every row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import genotypes, mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.genotypes import grouping
from dxa_causal.genotypes._kernels import pairs
from dxa_causal.results import GLANCE, TIDY, NotApplicable

NEW_COLUMNS = {"chromosome", "position", "n_clumps"}  # of the vocabulary


def made_up(n, digits):
    """The p-values that plink was given (tests/reference/genotypes/generate.py)."""
    return [float(f"{10 ** (-10 * (0.6180339887 * (k + 1) % 1)):.{digits}g}") for k in range(n)]


def members(result):
    table = result.fates()
    table = table[table["fate"].isin(["index", "clumped"])]
    found = {name: [] for name in table.loc[table["fate"] == "index", "variant"]}
    for row in table[table["fate"] == "clumped"].itertuples():
        found[row.index_variant].append(row.variant)
    return found


@pytest.mark.parametrize("case", range(7))
@pytest.mark.parametrize("name", ["gwasvcf", "rsparsepro"])
def test_clumps_are_those_of_plink(name, case, panels, plink):
    panel, expected = panels(name), plink[name]["clump"][case]
    names = panel.variants["variant"].to_list()
    gwas = pd.DataFrame({"variant": names, "p_value": made_up(len(names), expected["digits"])})
    options = {key: expected[key] for key in ("p1", "p2", "r2", "kb")}
    result = genotypes.clump(gwas, panel, **options)
    assert set(result.kept["variant"]) == set(expected["clumps"])
    listed = set(gwas["variant"][gwas["p_value"] < expected["p2"]])  # plink leaves out what equals p2
    assert {k: [m for m in v if m in listed] for k, v in members(result).items()} == expected["clumps"]
    assert set(result.tidy()["variant"]) == set(expected["clumps"])
    backwards = genotypes.clump(gwas.iloc[::-1], panel, **options)
    assert {k: sorted(v) for k, v in members(backwards).items()} == {k: sorted(v) for k, v in members(result).items()}
    without_p2 = genotypes.clump(gwas, panel, **{**options, "p2": None})
    assert set(without_p2.kept["variant"]) == set(expected["clumps"])


def test_a_gwas_with_its_own_p_values(panels, plink):
    expected = plink["vcf"]
    rows = pd.DataFrame(expected["rows"], columns=expected["columns"])
    options = {key: expected[key] for key in ("p1", "r2", "kb")}
    result = genotypes.clump(rows, panels("gwasvcf"), **options)
    assert set(result.kept["variant"]) == set(expected["clumps"])
    renamed = rows.assign(variant=[f"v{k}" for k in range(len(rows))])  # found by place and alleles
    by_place = genotypes.clump(renamed, panels("gwasvcf"), **options)
    np.testing.assert_array_equal(by_place.fate, result.fate)
    swapped = renamed.rename(columns={"effect_allele": "other_allele", "other_allele": "effect_allele"})
    np.testing.assert_array_equal(genotypes.clump(swapped, panels("gwasvcf"), **options).fate, result.fate)


def naive(copies, position, chromosome, p, *, p1, r2, kb):
    """Index of each variant's clump by a plain loop; correlations of haplotypes from counted tables."""
    owner = np.full(p.size, -1)
    for i in np.lexsort((np.arange(p.size), p)):
        if p[i] > p1 or owner[i] >= 0:
            continue
        owner[i] = i
        for j in range(p.size):
            if (
                owner[j] >= 0
                or p[j] > p1
                or chromosome[j] != chromosome[i]
                or abs(position[j] - position[i]) >= kb * 1000
            ):
                continue
            table = [int(((copies[:, i] == 2 - a) & (copies[:, j] == 2 - b)).sum()) for a in range(3) for b in range(3)]
            if pairs.correlation(table, haplotype=True) ** 2 > r2:
                owner[j] = i
    return owner


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clumps_are_those_of_a_plain_loop(seed, panel_of, drawn, monkeypatch):
    monkeypatch.setattr(grouping, "_MEMORY", 24 * 2 * 20)  # twenty variants of 90 people at a time
    rng = np.random.default_rng(seed)
    copies = drawn(90, 150, seed=seed)
    chromosome = np.repeat([1, 2, 10], 50)
    position = np.concatenate([rng.permutation(rng.integers(1, 60_000, 50)) for _ in range(3)])  # not in order
    panel = panel_of(copies, chromosome=chromosome, position=position)
    p = np.round(10.0 ** -rng.uniform(0, 4, 150), 3)  # some alike
    for r2, kb in ((0.2, 5), (0.05, 1000), (0.5, 0.7)):
        gwas = pd.DataFrame({"variant": [f"rs{k}" for k in range(150)], "p_value": p})
        result = genotypes.clump(gwas, panel, p1=0.05, r2=r2, kb=kb)
        np.testing.assert_array_equal(result.owner, naive(copies, position, chromosome, p, p1=0.05, r2=r2, kb=kb))


@pytest.fixture
def alike(panel_of):
    """Ten variants 1 000 base pairs apart, all with the same genotypes but for the last, which does not vary."""

    def make(**options):
        people = np.random.default_rng(1).integers(0, 3, 40)
        copies = np.repeat(people[:, None], 10, axis=1)
        copies[:, 9] = 1 + copies[:, 9].min()
        copies[:, 9] = 2
        return panel_of(copies, **options)

    return make


def test_ties_and_ends_of_the_window(alike):
    panel = alike()
    names = [f"rs{k}" for k in range(9)]
    gwas = pd.DataFrame({"variant": names[::-1], "p_value": [1e-9] * 9})
    result = genotypes.clump(gwas, panel, kb=2)  # less than 2 000 base pairs: one neighbour
    assert result.kept["variant"].tolist() == ["rs8", "rs6", "rs4", "rs2", "rs0"]  # the order of the data
    assert result.tidy()["n_variants"].tolist() == [1, 2, 2, 2, 2]
    wider = genotypes.clump(gwas, panel, kb=2.001)
    assert wider.kept["variant"].tolist() == ["rs6", "rs3", "rs0"]
    assert genotypes.clump(gwas.assign(p_value=5e-8), panel).kept["variant"].tolist() == ["rs0"]
    small = gwas.assign(p_value=0.0, neg_log10_p=np.arange(400.0, 409.0))  # too small for a double
    assert genotypes.clump(small, panel).kept["variant"].tolist() == ["rs0"]
    small["neg_log10_p"] = small["neg_log10_p"].to_numpy()[::-1]
    assert genotypes.clump(small, panel).kept["variant"].tolist() == ["rs8"]
    assert genotypes.clump(small.drop(columns="p_value"), panel).kept["variant"].tolist() == ["rs8"]


def test_r2_that_equals_the_limit_is_not_above_it(panel_of):
    table = [2, 2, 0, 0, 3, 1, 0, 0, 1]  # its r2 is one half, 0.5000000000000001 in floating point
    first = np.repeat([2, 2, 2, 1, 1, 1, 0, 0, 0], table)
    second = np.repeat([2, 1, 0, 2, 1, 0, 2, 1, 0], table)
    panel = panel_of(np.column_stack([first, second]))
    for p in ([1e-9, 1e-10], [1e-10, 1e-9]):
        gwas = pd.DataFrame({"variant": ["rs0", "rs1"], "p_value": p})
        assert len(genotypes.clump(gwas, panel, r2=0.5).kept) == 2
        assert len(genotypes.clump(gwas, panel, r2=0.499999).kept) == 1


def test_every_row_has_a_fate(alike):
    panel = alike()
    rows = [
        ("rs0", 1000, "A", "G", 1e-9),
        ("rs1", 2000, "G", "A", 1e-8),
        ("rs1", 2000, "G", "A", 1e-12),
        ("rs2", 3000, "T", "C", 1e-10),
        ("rs3", 4000, "A", "C", 1e-9),
        ("rs99", 99, "A", "G", 1e-9),
        ("rs9", 10000, "A", "G", 1e-20),
        ("rs4", 5000, "A", "G", 1e-6),
        ("rs5", 6000, "A", "G", np.nan),
        ("rs6", 7000, "A", "G", 1e-3),
        ("new", 8000, "A", "G", 1e-8),
    ]
    gwas = pd.DataFrame(rows, columns=["SNP", "pos", "effect_allele", "other_allele", "pval"]).assign(chr=1)
    result = genotypes.clump(gwas, panel, p2=1e-5)
    table = result.fates()
    assert table["fate"].tolist() == [
        "clumped", "repeated", "index", "clumped", "alleles differ", "not in the panel", "monomorphic", "clumped",
        "p missing", "p above p1", "clumped",
    ]  # fmt: skip
    assert table["index_variant"].dropna().unique().tolist() == ["rs1"]
    np.testing.assert_allclose(table["r2"].dropna(), 1.0)
    counts = result.counts()
    assert counts["n"].sum() == len(gwas)
    assert counts.set_index("fate")["n"].to_dict() == {
        "index": 1, "clumped": 4, "p above p1": 1, "p missing": 1, "not in the panel": 1, "alleles differ": 1,
        "monomorphic": 1, "repeated": 1, "HLA region": 0,
    }  # fmt: skip
    assert result.kept.index.tolist() == [2]
    assert result.nobs == 5
    assert result.provenance.n_used == 5
    row = {"nobs": 5, "n_clumps": 1, "n_variants": 11}
    assert result.glance().to_dict("records") == [row]
    assert set(result.tidy()) <= {*TIDY, *NEW_COLUMNS}
    assert set(row) <= {*GLANCE, *NEW_COLUMNS}
    text = str(result)
    assert "alleles differ" in text
    assert "10 variants, 40 people" in text
    assert len(result.plot().collections) == 3


def test_the_kind_of_data_is_kept(alike, tmp_path):
    panel = alike()
    lines = [f"rs{k} 1 {1000 * (k + 1)} A G {0.06 + 0.005 * k} 0.01" for k in range(8)]
    (tmp_path / "gwas.txt").write_text(
        "variant chromosome position effect_allele other_allele beta se\n" + "\n".join(lines)
    )
    gwas = mr.read_gwas(tmp_path / "gwas.txt", trait="BMD")
    kept = genotypes.clump(gwas, panel, kb=4).kept
    assert isinstance(kept, mr.GWAS)
    assert kept.trait == "BMD"
    assert kept.table["variant"].to_list() == ["rs3", "rs7"]
    h = mr.harmonise(kept, gwas)
    assert h.table["variant"].tolist() == ["rs3", "rs7"]
    assert h.exposure == "BMD"
    unnamed = gwas.table.drop("variant")  # chromosome, position and alleles will do
    by_place = genotypes.clump(unnamed, panel, kb=4)
    assert by_place.kept["position"].to_list() == [4000, 8000]
    assert by_place.tidy()["variant"].tolist() == ["1:8000:A:G", "1:4000:A:G"]
    for frame in (gwas.table, gwas.table.lazy()):
        kept = genotypes.clump(frame, str(panel.prefix), kb=4).kept
        assert isinstance(kept, pl.DataFrame)
        assert kept["variant"].to_list() == ["rs3", "rs7"]
    two_sample = gwas.to_pandas().rename(columns={"variant": "SNP", "p_value": "pval.exposure"})
    assert genotypes.clump(two_sample.drop(columns="neg_log10_p"), panel, kb=4).kept["SNP"].tolist() == ["rs3", "rs7"]


def test_builds_that_differ(alike, tmp_path):
    panel = alike(build="hg38")
    lines = [f"rs{k} 1 {1000 * (k + 1)} A G 0.1 0.01" for k in range(8)]
    (tmp_path / "gwas.txt").write_text(
        "variant chromosome position effect_allele other_allele beta se\n" + "\n".join(lines)
    )
    gwas = mr.read_gwas(tmp_path / "gwas.txt", build="GRCh37")
    with pytest.raises(SummaryStatisticsError, match=r"gwas has positions of GRCh37, the panel .* of GRCh38"):
        genotypes.clump(gwas, panel)
    moved = gwas.to_pandas().assign(position=lambda d: d["position"] + 200)
    with pytest.raises(SummaryStatisticsError, match=r"8 of 8 ids stand elsewhere .*'rs0': 1:1200 against 1:1000"):
        genotypes.clump(moved, panel)
    one = gwas.to_pandas().assign(position=lambda d: d["position"].where(d["variant"] != "rs2", 5))
    assert genotypes.clump(one, panel).counts()["n"].iloc[:2].tolist() == [1, 7]


def test_the_hla_region(panel_of, drawn):
    position = [24_999_999, 25_000_000, 34_000_000, 34_000_001, 34_032_224]
    panel = panel_of(drawn(40, 5), chromosome=[6] * 5, position=position)
    gwas = pd.DataFrame({"variant": [f"rs{k}" for k in range(5)], "p_value": 1e-9})
    result = genotypes.clump(gwas, panel, exclude_hla=True, r2=0.999)
    inside = (result.fates()["fate"] == "HLA region").tolist()
    assert inside == [False, True, True, False, False]
    assert "GRCh37 taken" in str(result)
    there = genotypes.read_panel(panel.prefix, build="GRCh38")
    inside = (genotypes.clump(gwas, there, exclude_hla=True, r2=0.999).fates()["fate"] == "HLA region").tolist()
    assert inside == [True, True, True, True, False]
    nothing = genotypes.clump(gwas.iloc[1:3], there, exclude_hla=True)
    assert nothing.counts().set_index("fate")["n"]["HLA region"] == 2
    assert len(nothing.tidy()) == 0
    assert len(nothing.kept) == 0


def test_places_are_those_of_the_right_chromosome(panel_of, drawn):
    """Neighbours on the line of the genome but on two chromosomes are never compared."""
    people = drawn(40, 1, missing=0.0)
    panel = panel_of(np.repeat(people, 4, axis=1), chromosome=[1, 1, 2, "X"], position=[100, 5000, 1, 1])
    gwas = pd.DataFrame({"variant": ["rs0", "rs1", "rs2", "rs3"], "p_value": [1e-9, 1e-10, 1e-11, 1e-12]})
    result = genotypes.clump(gwas, panel)
    assert result.fates()["fate"].tolist() == ["clumped", "index", "index", "index"]
    assert result.tidy()["chromosome"].tolist() == ["X", "2", "1"]


def test_nothing_to_clump(alike):
    panel = alike()
    gwas = pd.DataFrame({"variant": ["rs0", "rs1"], "p_value": [1e-3, np.nan]})
    found = genotypes.clump(gwas, panel)
    assert isinstance(found, NotApplicable)
    assert "p1=5e-08 (the smallest of 1 is 0.001)" in found.reason
    assert isinstance(genotypes.clump(gwas.iloc[:0], panel), NotApplicable)


def test_refusals(alike):
    panel = alike()
    gwas = pd.DataFrame({"variant": ["a", "b"], "p_value": [1e-9, 1e-9]})
    with pytest.raises(SummaryStatisticsError, match=r"none of 2 variants .*'a', 'b' against 'rs0', 'rs1', 'rs2'"):
        genotypes.clump(gwas, panel)
    with pytest.raises(SummaryStatisticsError, match=r"column 'p_value', row 2 \(variant 'b'\): 2 is not possible"):
        genotypes.clump(gwas.assign(p_value=[1e-9, 2]), panel)
    with pytest.raises(SummaryStatisticsError, match="column 'neg_log10_p', row 1"):
        genotypes.clump(gwas.assign(neg_log10_p=[-1, 2]), panel)
    with pytest.raises(SummaryStatisticsError, match="no p-values"):
        genotypes.clump(gwas[["variant"]], panel)
    with pytest.raises(SummaryStatisticsError, match="not list"):
        genotypes.clump(["a"], panel)
    for options, match in (
        ({"p1": 0}, "p1=0 "),
        ({"p2": 2}, "p2=2 "),
        ({"r2": -0.1}, "r2=-0.1"),
        ({"kb": -1}, "kb=-1"),
    ):
        with pytest.raises(OptionError, match=match):
            genotypes.clump(gwas, panel, **options)


@pytest.mark.parametrize("names", [[1.0, 1.0, np.nan], ["01", "01", "01"], ["chr1", "Chr01", "1"]])
def test_chromosomes_by_any_spelling(panel_of, drawn, names):
    panel = panel_of(drawn(50, 3))
    gwas = pd.DataFrame(
        {
            "variant": ["x0", "x1", "x2"], "chromosome": names, "position": [1000, 2000, 3000], "effect_allele": "A",
            "other_allele": "G", "p_value": [1e-9, 1e-10, 1e-11],
        }
    )  # fmt: skip
    there = pd.notna(gwas["chromosome"])
    assert (genotypes.clump(gwas, panel).fates()["fate"] != "not in the panel").tolist() == there.tolist()
    assert len(genotypes.cis_window(gwas, 1, start=1, end=10_000)) == there.sum()


def test_a_bim_file_of_chromosome_01(panel_of, drawn):
    panel = panel_of(drawn(50, 3), chromosome=["01", "01", "23"])
    assert panel.variants["chromosome"].to_list() == ["1", "1", "X"]


def test_insertions_and_deletions_by_letter_and_blanks_around_alleles(panel_of, drawn):
    panel = panel_of(drawn(50, 3), alleles=[("AC", "A"), ("T", "TGG"), ("A", "G")])
    wanted = pd.DataFrame(
        {"variant": ["rs0", "rs1", "rs2"], "effect_allele": ["D", "D", " g "], "other_allele": ["I", "I", "a"]}
    )
    found = genotypes.match(panel, wanted)
    assert found["reason"].tolist() == ["", "", ""]
    assert found["turned"].tolist() == [True, False, True]


def test_alleles_that_never_agree_are_refused(panel_of, drawn):
    panel = panel_of(drawn(50, 2))
    gwas = pd.DataFrame({"variant": ["rs0", "rs1"], "A1": ["A", "T"], "A2": ["C", "A"], "p_value": [1e-9, 1e-10]})
    with pytest.raises(
        SummaryStatisticsError, match="of 2 variants .* none has the alleles .* first 'rs0' with 'A'/'C'"
    ):
        genotypes.clump(gwas, panel)
