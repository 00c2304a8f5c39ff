"""Correlations: those of plink, of numpy pair by pair, and of haplotypes at the maximum of their likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from dxa_causal import genotypes, mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.genotypes._kernels import bits, greedy, matrix, pairs

SIX_DIGITS = 6e-6  # what plink prints


@pytest.mark.parametrize("name", ["gwasvcf", "rsparsepro"])
def test_r_is_that_of_plink(name, panels, plink):
    panel, expected = panels(name), plink[name]["r"]
    r = genotypes.ld(panel, expected["variants"])
    np.testing.assert_allclose(r.to_numpy(), expected["matrix"], rtol=1e-9, atol=1e-11)
    assert r.index.tolist() == r.columns.tolist() == expected["variants"]
    squared = genotypes.ld(panel, expected["variants"], squared=True)
    np.testing.assert_allclose(squared, np.square(expected["matrix"]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["gwasvcf", "rsparsepro"])
def test_r2_of_haplotypes_is_that_of_plink(name, panels, plink):
    panel = panels(name)
    names = panel.variants["variant"].to_list()
    for first, second, expected in plink[name]["haplotype_r2"]:
        planes = panel.planes(np.array([names.index(first), names.index(second)]))
        r = pairs.correlation(pairs.table_of(planes, panel.n_samples), haplotype=True)
        assert any(r**2 == pytest.approx(solution, rel=SIX_DIGITS) for solution in expected)


def test_pairs_of_people_in_whom_both_are_known(panel_of, drawn):
    copies = drawn(70, 20, missing=0.2)  # more than one word of 64
    r = genotypes.ld(panel_of(copies), [f"rs{k}" for k in range(20)]).to_numpy()
    expected = pd.DataFrame(copies).corr().to_numpy()
    np.testing.assert_allclose(r, expected, atol=1e-12)


def log_likelihood(table, x):
    """Of a share x of haplotypes 11 that stem from double heterozygotes."""
    t, n = np.asarray(table, dtype=float), float(np.sum(table))
    a, b = 2 * t[0] + t[1] + t[3], 2 * t[2] + t[1] + t[5]
    c, d = 2 * t[6] + t[3] + t[7], 2 * t[8] + t[5] + t[7]
    p11, p12, p21, p22 = a / 2 / n + x, (b + t[4]) / 2 / n - x, (c + t[4]) / 2 / n - x, d / 2 / n + x
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [k * np.log(p) if k else 0.0 for k, p in ((a, p11), (b, p12), (c, p21), (d, p22))]
        return sum(terms) + (t[4] * np.log(p11 * p22 + p12 * p21) if t[4] else 0.0), p11, p11 + p12, p11 + p21


def test_haplotypes_are_at_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(4)
    for _ in range(300):
        table = rng.multinomial(rng.integers(3, 80), rng.dirichlet(np.full(9, rng.choice([0.2, 1.0, 5.0]))))
        r = pairs.correlation(table, haplotype=True)
        h = table[4] / 2 / table.sum()
        grid = np.linspace(0.0, h, 400)
        values = np.nan_to_num(np.array([log_likelihood(table, x)[0] for x in grid]), nan=-np.inf)
        k = int(values.argmax())
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, 399)]
        refined = optimize.minimize_scalar(
            lambda x, table=table: -log_likelihood(table, x)[0], bounds=(low, high), method="bounded"
        )
        best = max(values[k], -refined.fun) if high > low else values[k]
        _, p11, p, q = log_likelihood(table, 0.0)
        if min(p, q, 1 - p, 1 - q) < 1e-12:
            assert np.isnan(r)
            continue
        x = np.clip(r * np.sqrt(p * (1 - p) * q * (1 - q)) + p * q - p11, 0.0, h)
        assert log_likelihood(table, x)[0] >= best - 1e-9


def test_haplotypes_that_are_known():
    assert pairs.correlation([5, 0, 0, 0, 0, 0, 0, 0, 5], haplotype=True) == pytest.approx(1.0)
    assert pairs.correlation([0, 0, 5, 0, 0, 0, 5, 0, 0], haplotype=True) == pytest.approx(-1.0)
    assert pairs.correlation([1, 2, 1, 2, 0, 2, 1, 2, 1], haplotype=True) == pytest.approx(0.0, abs=1e-12)
    assert abs(pairs.correlation([0, 0, 0, 0, 7, 0, 0, 0, 0], haplotype=True)) == pytest.approx(1.0)
    assert np.isnan(pairs.correlation([0] * 9, haplotype=True))
    assert np.isnan(pairs.correlation([3, 4, 5, 0, 0, 0, 0, 0, 0], haplotype=True))


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_many_variants_and_neighbours(missing, drawn):
    copies = drawn(20, 150, missing=missing)
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[np.where(np.isnan(copies), 3, copies).astype(int)].T
    rows = (codes.reshape(150, -1, 4) << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(axis=2, dtype=np.uint8)
    planes = bits.pack(rows, bits.people(np.ones(20, dtype=bool)))
    counts = bits.count(planes)
    expected = pd.DataFrame(copies).corr().to_numpy()
    np.testing.assert_allclose(matrix.correlations(planes, counts, 20), expected, atol=1e-12)
    which = np.array([3, 100])
    found = matrix.neighbours(planes, counts, 20, which, np.array([0, 90]), np.array([5, 150]))
    np.testing.assert_allclose(found, np.concatenate([expected[3, :5], expected[100, 90:]]), atol=1e-12)
    alone = greedy.clumps(planes[:1], counts[:1], np.array([5]), np.array([0]), n=20, reach=1, r2=0.1, haplotype=True)
    assert (alone.owner.tolist(), alone.r.tolist()) == ([0], [1.0])


def test_alleles_of_a_frame_count(panel_of, drawn):
    panel = panel_of(drawn(60, 4), alleles=[("A", "G"), ("C", "A"), ("T", "C"), ("G", "T")])
    names = ["rs0", "rs1", "rs2", "rs3"]
    frame = pd.DataFrame(
        {"variant": names, "effect_allele": ["G", "C", "G", "A"], "other_allele": ["A", "A", "A", "C"]}
    )  # turned, as it is, other strand turned (T/C against A/G), other strand turned (G/T against C/A)
    r, plain = genotypes.ld(panel, frame), genotypes.ld(panel, names)
    sign = np.array([-1.0, 1.0, -1.0, -1.0])
    np.testing.assert_allclose(r, plain * sign[:, None] * sign)
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.1] * 4,
        se_exposure=[0.01] * 4,
        beta_outcome=[0.1] * 4,
        se_outcome=[0.01] * 4,
        variant=names,
    )
    table = h.table.assign(effect_allele=frame["effect_allele"], other_allele=frame["other_allele"])
    h = type(h)(**{**{f: getattr(h, f) for f in h.__dataclass_fields__}, "table": table})
    by_frame = h.with_ld(genotypes.ld(panel, h.table)).ld
    alleles = genotypes.match(panel, names)["allele_1"]
    np.testing.assert_allclose(by_frame, h.with_ld(plain, effect_alleles=alleles).ld)


def test_refusals(panel_of):
    nan = np.nan
    panel = panel_of([[2, 1, 1, nan], [1, 1, 0, nan], [0, 1, nan, 1], [1, 1, nan, 2]], alleles=[("A", "G")] * 4)
    with pytest.raises(SummaryStatisticsError, match="1 of 2 do not vary in .*first 'rs1'"):
        genotypes.ld(panel, ["rs0", "rs1"])
    with pytest.raises(SummaryStatisticsError, match="'rs2' and 'rs3' have no correlation"):
        genotypes.ld(panel, ["rs2", "rs3"])
    with pytest.raises(SummaryStatisticsError, match=r"1 of 2: not in the panel \(.*first 'rs9'"):
        genotypes.ld(panel, ["rs0", "rs9"])
    with pytest.raises(SummaryStatisticsError, match="alleles differ"):
        genotypes.ld(panel, pd.DataFrame({"variant": ["rs0"], "effect_allele": ["A"], "other_allele": ["C"]}))
    with pytest.raises(SummaryStatisticsError, match="'rs0' is there more than once"):
        genotypes.ld(panel, ["rs0", "rs0"])
    with pytest.raises(SummaryStatisticsError, match="'1:1000:A:G' is there more than once"):
        genotypes.ld(panel, ["rs0", "1:1000:A:G"])
    with pytest.raises(SummaryStatisticsError, match="variants is empty"):
        genotypes.ld(panel, [])
    with pytest.raises(SummaryStatisticsError, match="not int"):
        genotypes.ld(3, ["rs0"])


def test_pruned_variants_are_not_correlated(panel_of, drawn):
    copies = drawn(80, 60)
    copies[:, 11] = 2.0
    panel = panel_of(copies, chromosome=[1] * 40 + [2] * 20)
    table = genotypes.prune(panel, r2=0.2, kb=8)
    r2 = pd.DataFrame(copies).corr().to_numpy() ** 2
    place, chromosome = table["position"].to_numpy(), table["chromosome"].to_numpy()
    near = (np.abs(place[:, None] - place) < 8000) & (chromosome[:, None] == chromosome)
    kept = table["kept"].to_numpy()
    both = near & kept[:, None] & kept & ~np.eye(60, dtype=bool)
    assert kept.any()
    assert (r2[both] <= 0.2).all()
    for row in table[~table["kept"]].itertuples():
        if row.reason == "monomorphic":
            assert row.variant == "rs11"
            continue
        index = int(row.index_variant[2:])
        assert near[row.Index, index]
        assert row.r2 == pytest.approx(r2[row.Index, index])
        assert r2[row.Index, index] > 0.2
        assert table["frequency"][index] >= table["frequency"][row.Index]
    with pytest.raises(OptionError, match="r2=1"):
        genotypes.prune(panel, r2=1)
    with pytest.raises(OptionError, match="kb=0"):
        genotypes.prune(panel, kb=0)


def test_means_in_the_place_of_missing_genotypes(panel_of, drawn):
    copies = drawn(120, 25).astype(float)
    copies[np.random.default_rng(4).random(copies.shape) < 0.3] = np.nan
    panel = panel_of(copies)
    names = panel.variants["variant"].to_list()
    r = genotypes.ld(panel, names, missing="mean").to_numpy()
    filled = np.where(np.isnan(copies), np.nanmean(copies, axis=0), copies)
    np.testing.assert_allclose(r, np.corrcoef(filled.T), atol=1e-6)  # genotypes are float32
    assert np.linalg.eigvalsh(r)[0] > -1e-12
    assert np.linalg.eigvalsh(genotypes.ld(panel, names))[0] < -1e-3
    frame = panel.variants.to_pandas().rename(columns={"allele_1": "other_allele", "allele_2": "effect_allele"})
    turned = genotypes.ld(panel, frame.iloc[:3], missing="mean").to_numpy()
    np.testing.assert_allclose(turned, r[:3, :3], atol=1e-12)
    half = pd.concat([frame.iloc[:1], panel.variants.to_pandas().rename(
        columns={"allele_1": "effect_allele", "allele_2": "other_allele"}).iloc[1:2]])  # fmt: skip
    assert genotypes.ld(panel, half, missing="mean").iloc[0, 1] == pytest.approx(-r[0, 1])


def test_pairs_without_common_people_have_a_correlation_by_means(panel_of):
    nan = np.nan
    panel = panel_of([[1, nan], [0, nan], [nan, 1], [nan, 2]], alleles=[("A", "G")] * 2)
    assert genotypes.ld(panel, ["rs0", "rs1"], missing="mean").iloc[0, 1] == 0.0
    with pytest.raises(SummaryStatisticsError, match=r"so for 1 pairs\). missing='mean'"):
        genotypes.ld(panel, ["rs0", "rs1"])
