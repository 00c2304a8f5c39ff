"""Positions through a chain file written by hand: gaps, edges, the other strand, overlapping chains."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr.reading.builds import LENGTHS

# Old chr1 [100, 150) and [160, 200) -> new chr1 [1000, 1050) and [1055, 1095): a gap of 10 here and of 5 there.
# Old chr1 [300, 310) -> the other strand of chr2 (1000 long): its base 300 is the new chr2's base 1000 - 1 - 40 = 959.
# Old chr1 [500, 520) in two chains; [510, 530) belongs to the one of lower score.
CHAIN = f"""# by hand
chain 900 chr1 {LENGTHS["GRCh37"][0]} + 100 200 chr1 {LENGTHS["GRCh38"][0]} + 1000 1095 1
50\t10\t5
40

chain 800 chr1 {LENGTHS["GRCh37"][0]} + 300 310 chr2 1000 - 40 50 2
10

chain 20 chr1 {LENGTHS["GRCh37"][0]} + 510 530 chr3 1000 + 0 20 3
20

chain 700 chr1 {LENGTHS["GRCh37"][0]} + 500 520 chr1 {LENGTHS["GRCh38"][0]} + 5000 5020 4
20
"""


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "hg19ToHg38.over.chain.gz"
    path.write_bytes(gzip.compress(CHAIN.encode(), mtime=0))
    return path


@pytest.fixture
def read(tmp_path):
    def _read(rows, build=None, **columns):
        path = tmp_path / "gwas.tsv"
        body = "".join(f"{v}\t{c}\t{p}\t{a}\t{b}\t0.1\t0.02\n" for v, c, p, a, b in rows)
        path.write_text("SNP\tCHR\tPOS\tA1\tA2\tBETA\tSE\n" + body)
        return mr.read_gwas(path, build=build)

    return _read


def at(positions, chromosome="1", alleles=("A", "G")):
    return [(f"rs{i}", chromosome, p, *alleles) for i, p in enumerate(positions)]


def counted(gwas):
    report = gwas.report
    return {k.removeprefix("liftover: "): n for k, n in zip(report["check"], report["n"], strict=True) if "lift" in k}


def test_edges_and_gaps(read, chain):
    # 1-based: the first block holds 101 to 150, the second 161 to 200.
    old = [100, 101, 150, 151, 160, 161, 200, 201]
    new = [None, 1001, 1050, None, None, 1056, 1095, None]
    lifted = read(at(old)).liftover(chain)
    assert lifted.table["position"].to_list() == new
    assert lifted.table["chromosome"].to_list() == [None if p is None else "1" for p in new]
    assert lifted.n_variants == len(old)
    n = counted(lifted)
    assert n["place not in the new build, position set to missing"] == 4
    assert n["on the other strand, alleles turned"] == n["on another chromosome"] == 0
    assert (lifted.build, lifted.table["effect_allele"].unique().to_list()) == ("GRCh38", ["A"])
    assert lifted.notes[-1] == "positions lifted from GRCh37 to GRCh38 by hg19ToHg38.over.chain.gz"
    assert lifted.report.set_index("check").loc["liftover: place not in the new build, position set to missing"][
        "first_row"
    ] == 1  # fmt: skip


def test_other_strand(read, chain):
    lifted = read([*at([301, 310]), ("rs9", "1", 305, "AT", "A"), ("rs8", "1", 305, "C", "")]).liftover(chain)
    assert lifted.table["position"].to_list() == [960, 951, None, 956]
    assert lifted.table["chromosome"].to_list() == ["2", "2", None, "2"]
    assert lifted.table["effect_allele"].to_list() == ["T", "T", "AT", "G"]
    assert lifted.table["other_allele"].to_list() == ["C", "C", "A", None]
    n = counted(lifted)
    assert n["no single base and on the other strand, position set to missing"] == 1
    assert n["on the other strand, alleles turned"] == n["on another chromosome"] == 3


def test_the_chain_of_higher_score_counts(read, chain):
    lifted = read(at([501, 511, 520, 521, 530])).liftover(chain)
    assert lifted.table["position"].to_list() == [5001, 5011, 5020, 11, 20]
    assert lifted.table["chromosome"].to_list() == ["1", "1", "1", "3", "3"]
    assert counted(lifted)["in several chains, that of the highest score taken"] == 2


def test_the_way_back(tmp_path, read):
    rng = np.random.default_rng(4)
    there, back = tmp_path / "there.chain", tmp_path / "back.chain"
    there.write_text("chain 1 chr5 1000 + 0 1000 chr6 2000 - 300 1310\n400 0 10\n600\n")
    back.write_text("chain 1 chr6 2000 + 690 1700 chr5 1000 - 0 1000\n600 10 0\n400\n")
    positions = rng.integers(1, 1001, 200)
    gwas = read(at(positions, "5"))
    again = gwas.liftover(there).liftover(back)
    for name in ("chromosome", "position", "effect_allele", "other_allele"):
        assert again.table[name].to_list() == gwas.table[name].to_list()


def test_overlapping_chains_by_brute_force(tmp_path, read):
    rng = np.random.default_rng(7)
    lines, best = [], {}
    for score in rng.permutation(12) + 1:
        t, q = (int(x) for x in rng.integers(0, 300, 2))
        strand = str(rng.choice(["+", "-"]))
        sizes, gaps = rng.integers(1, 40, 4), rng.integers(0, 15, (3, 2))
        lengths = sizes.sum() + gaps.sum(axis=0)
        lines.append(f"chain {score} chr7 900 + {t} {t + lengths[0]} chr8 1000 {strand} {q} {q + lengths[1]}")
        for size, (dt, dq) in zip(sizes, [*gaps, (0, 0)], strict=True):
            lines.append(f"{size}\t{dt}\t{dq}" if dt or dq or size is not sizes[-1] else f"{size}")
            for i in range(size):
                new = q + i + 1 if strand == "+" else 1000 - (q + i)
                best[t + i + 1] = max(best.get(t + i + 1, (0, 0)), (int(score), new))
            t, q = t + size + dt, q + size + dq
    path = tmp_path / "random.chain"
    path.write_text("\n".join(lines) + "\n")
    positions = range(1, 800)
    lifted = read(at(positions, "7")).liftover(path)
    assert lifted.table["position"].to_list() == [best[p][1] if p in best else None for p in positions]


def test_missing_places_and_ids_made_of_places(read, chain):
    rows = [
        ("", "1", 101, "A", "G"),
        ("", "1", 151, "A", "G"),
        ("rs1", "X", 101, "A", "G"),
        ("rs2", "1", "NA", "A", "G"),
    ]
    lifted = read(rows, build="hg19").liftover(chain)
    assert lifted.table["variant"].to_list() == ["1:1001:G:A", "GRCh37:1:151:G:A", "rs1", "rs2"]
    assert counted(lifted)["no position to begin with"] == 1
    assert counted(lifted)["place not in the new build, position set to missing"] == 2


def test_lifted_files_join(read, chain):
    first = read(at([101, 150, 301], alleles=("A", "G"))).liftover(chain)
    second = read([("x", "1", 1001, "A", "G"), ("y", "1", 1050, "G", "A"), ("z", "2", 960, "T", "C")], build="GRCh38")
    h = mr.harmonise(first, second)
    assert h.n_variants == 3
    np.testing.assert_allclose(h.beta_outcome, [0.1, -0.1, 0.1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no chains"),
        ("chain 1 chr1 100 + 0 10 chr1 100 + 0 10\n9\n", "chain in line 1: blocks end at 9 and 9, the header says 10"),
        ("chain 1 chr1 100 + 0 10 chr1 100 +\n10\n", "line 1: a chain header has 12 words"),
        ("chain 1 chr1 100 - 0 10 chr1 100 + 0 10\n10\n", "strands '-'"),
        ("chain 1 chr1 1x0 + 0 10 chr1 100 + 0 10\n10\n", "chain in line 1: invalid literal"),
        ("10\n", "line 1: '10' is no line of a chain file"),
        ("chain 1 chr9 100 + 0 10 chr9 100 + 0 10\n10\n", "covers none of 1 positions.*9, ... there"),
        (CHAIN.replace(str(LENGTHS["GRCh37"][0]), str(LENGTHS["NCBI36"][0])), "leads from NCBI36 .*not GRCh37"),
    ],
)
def test_bad_chains(read, tmp_path, text, said):
    path = tmp_path / "bad.chain"
    path.write_text(text)
    with pytest.raises(SummaryStatisticsError, match=said):
        read(at([101]), build="GRCh37").liftover(path)


def test_bad_input(read, chain, tmp_path):
    with pytest.raises(SummaryStatisticsError, match="no file"):
        read(at([101])).liftover(tmp_path / "none.chain")
    with pytest.raises(SummaryStatisticsError, match="leads to GRCh38.*not NCBI36"):
        read(at([101])).liftover(chain, "hg18")
    with pytest.raises(OptionError, match="to_build='mm10'"):
        read(at([101])).liftover(chain, "mm10")
    with pytest.raises(SummaryStatisticsError, match="needs chromosomes and positions"):
        read(at(["NA"])).liftover(chain)
