"""Colocalisation: the R package's numbers, sums written out, simulated regions."""

import json
from decimal import Decimal, getcontext
from itertools import product
from pathlib import Path

import matplotlib.axes
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels import bayes_factors as kernel
from dxa_causal.mr._kernels.many_traits import all_together, log_prior
from dxa_causal.mr.locus.coloc import coloc_abf
from dxa_causal.mr.locus.finemap import finemap_abf
from dxa_causal.mr.locus.hyprcoloc import hyprcoloc
from dxa_causal.mr.locus.trait import locus_data
from dxa_causal.results import NotApplicable

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "mr" / "coloc.json").read_text())
PP = [f"PP.H{k}" for k in range(5)]
RELATIVE = 1e-9  # full digits stored
PRINTED = 1e-6  # seven digits printed


def region(z, *, se=0.05, type="quant", sd=1.0, prefix="rs"):
    z = np.asarray(z, dtype=float)
    names = [f"{prefix}{i}" for i in range(z.size)]
    position = 1_000_000 + 500 * np.arange(z.size)
    return pd.DataFrame(
        {"variant": names, "beta": z * se, "se": se, "type": type, "sdY": sd, "n": 5000, "position": position}
    )


def simulated(rng, causal, *, m=60, strength=7.0, rho=0.9):
    """Statistics of a region with correlations rho^|i - j| and these causal variants."""
    r = rho ** np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    mean = strength * r[:, list(causal)].sum(axis=1) if len(causal) else np.zeros(m)
    return mean + np.linalg.cholesky(r) @ rng.standard_normal(m)


# --- the R package ---------------------------------------------------------------------------------------------------


def coloc_data(private_csv, name):
    return private_csv(f"coloc_test_{name}.csv").assign(type="quant", sdY=REFERENCE["sd"][name], n=1000)


@pytest.mark.parametrize("row", REFERENCE["coloc_abf"], ids=lambda r: f"{r['first']}-{r['second']}-{r['p12']:g}")
def test_equals_coloc(row, private_csv):
    fit = coloc_abf(*(coloc_data(private_csv, row[which]) for which in ("first", "second")), p12=row["p12"])
    np.testing.assert_allclose(fit.tidy()[PP].to_numpy()[0], row["posterior"], rtol=RELATIVE)
    assert fit.nobs == 500


def test_solved_standard_deviations_lie_within_the_rounding():
    for name, printed in REFERENCE["sd_printed"].items():
        assert REFERENCE["sd"][name] == pytest.approx(printed, abs=5.0001e-7)


def test_equals_the_vignette(private_csv):
    fit = coloc_abf(coloc_data(private_csv, "D3"), coloc_data(private_csv, "D4"))
    np.testing.assert_allclose(fit.posterior, REFERENCE["coloc_abf_D3_D4"], rtol=1e-5)  # D4's sd has six digits
    table = fit.sensitivity("H4 > 0.9")
    prior = np.array([0.892505, 0.05, 0.05, 0.002495, 0.005])  # printed for p12 = 1e-5
    near = table.iloc[(table["p12"] - 1e-5).abs().argmin()]
    np.testing.assert_allclose(near[[f"prior.H{k}" for k in (1, 2, 3)]].astype(float), prior[1:4], rtol=1e-12)


def test_equals_finemap_abf(private_csv):
    row = REFERENCE["finemap_abf"][0]
    table = finemap_abf(coloc_data(private_csv, row["data"])).tidy().head(3)
    assert table["variant"].tolist() == row["variants"]
    np.testing.assert_allclose(table["pip"], row["probability"], rtol=RELATIVE)


# --- sums written out ------------------------------------------------------------------------------------------------


def written_out(l1, l2, p1, p2, p12):
    """The five posterior probabilities in decimal numbers of sixty digits, every pair of variants added."""
    getcontext().prec = 60
    b1, b2 = ([Decimal(float(x)).exp() for x in log] for log in (l1, l2))
    p1, p2, p12 = (Decimal(p) for p in (p1, p2, p12))
    pairs = sum(x * y for i, x in enumerate(b1) for j, y in enumerate(b2) if i != j)
    terms = [Decimal(1), p1 * sum(b1), p2 * sum(b2), p1 * p2 * pairs, p12 * sum(map(Decimal.__mul__, b1, b2))]
    return [float(t / sum(terms)) for t in terms]


@pytest.mark.parametrize("peak", [0.0, 3.0, 12.0, 45.0])
def test_equals_sums_written_out(peak):
    rng = np.random.default_rng(int(peak))
    z1, z2 = rng.normal(size=(2, 12))
    z1[3] += peak
    z2[3] -= peak
    fit = coloc_abf(region(z1), region(z2, se=0.08, type="cc"), p1=2e-4, p2=5e-5, p12=3e-6)
    np.testing.assert_allclose(fit.posterior, written_out(*fit.log_bf, 2e-4, 5e-5, 3e-6), rtol=1e-11)
    assert fit.tidy()["variant"].item() == (f"rs{3}" if peak > 3 else fit.tidy()["variant"].item())


def test_bayes_factor_is_a_ratio_of_normal_densities():
    d = region([0.3, 4.0, -2.0], se=[0.05, 0.1, 0.2], sd=2.0)
    beta, se = d["beta"], d["se"]
    expected = stats.norm.logpdf(beta, 0, np.sqrt(se**2 + 0.3**2)) - stats.norm.logpdf(beta, 0, se)
    np.testing.assert_allclose(locus_data(d).log_bayes_factors(), expected, rtol=1e-12)


def test_many_regions_at_once_equal_one_by_one():
    rng = np.random.default_rng(5)
    l1, l2 = rng.normal(0, 3, (2, 4, 30))
    batch = kernel.hypotheses(kernel.sums(l1, l2), 1e-4, 1e-4, 1e-5)
    one_by_one = [kernel.hypotheses(kernel.sums(a, b), 1e-4, 1e-4, 1e-5) for a, b in zip(l1, l2, strict=True)]
    np.testing.assert_allclose(batch, one_by_one, rtol=1e-13)


# --- data in ---------------------------------------------------------------------------------------------------------


def test_p_values_stand_in_for_effects():
    eaf, n, z = np.array([0.1, 0.3, 0.45]), 2000.0, np.array([1.0, 5.0, 0.5])
    p = 2 * stats.norm.sf(z)
    for kind, extra, scale in (("quant", {}, 1.0), ("cc", {"s": 0.3}, 0.3 * 0.7)):
        d = pd.DataFrame({"SNP": ["a", "b", "c"], "p": p, "MAF": eaf, "N": n, "type": kind} | extra)
        trait = locus_data(d)
        variance = 1 / (2 * n * eaf * (1 - eaf) * scale)
        w = {"quant": 0.15, "cc": 0.2}[kind] ** 2
        np.testing.assert_allclose(trait.log_bayes_factors(), kernel.log_abf(z, variance, w), rtol=1e-9)
        assert not trait.signed
    cases = d.drop(columns="s").assign(n_cases=600)
    np.testing.assert_allclose(locus_data(cases).variance, variance, rtol=1e-12)


def test_what_read_gwas_returns(tmp_path):
    file = tmp_path / "bmd.csv"
    file.write_text("snp,chr,pos,ea,oa,beta,se,n\nrs1,1,15,A,G,0.1,0.02,900\nrs2,1,25,A,G,-0.2,0.02,900\n")
    trait = locus_data(mr.read_gwas(file), type="quant", sd=1)
    assert trait.variant.tolist() == ["rs1", "rs2"]
    np.testing.assert_allclose(trait.z, [5, -10])
    assert trait.effect_allele.tolist() == ["A", "A"]
    assert (trait.n, trait.sd) == (900, 1)


def test_p_values_take_the_sign_of_effects():
    d = {"variant": ["a", "b"], "beta": [0.1, -0.1], "p": [0.01, 0.2], "maf": [0.2, 0.3], "n": 500, "type": "quant"}
    trait = locus_data(d)
    assert trait.signed
    np.testing.assert_allclose(trait.z, stats.norm.isf([0.005, 0.1]) * [1, -1], rtol=1e-9)
    assert "from p-values" in trait.notes[0]


def test_bayes_factors_wait_for_what_they_need():
    trait = locus_data(region([1.0, 2.0]).drop(columns=["type", "sdY"]))
    assert trait.table()["log_bf"].isna().all()
    with pytest.raises(SummaryStatisticsError, match="its type is not given"):
        trait.log_bayes_factors()
    named = locus_data({"variant": [17, 18], "beta": ["0.1", "0.2"], "se": [0.1, 0.1]}, type="cc")
    assert named.variant.tolist() == ["17", "18"]
    assert locus_data({"variant": ["a", None], "beta": 0.1, "se": 0.1}, type="cc").missing == {"variant": 1}


def test_standard_deviation_is_estimated():
    rng = np.random.default_rng(2)
    eaf, n, sd = rng.uniform(0.05, 0.5, 300), 4000, 2.5
    se = np.sqrt(sd**2 / (2 * n * eaf * (1 - eaf))) * rng.uniform(0.98, 1.02, 300)
    d = region(rng.normal(size=300)).drop(columns="sdY").assign(se=se, eaf=eaf, n=n)
    trait = locus_data(d)
    assert trait.sd == pytest.approx(sd, rel=0.01)
    regression = np.linalg.lstsq((1 / se**2)[:, None], 2 * n * eaf * (1 - eaf), rcond=None)[0].item()
    assert trait.sd == pytest.approx(np.sqrt(regression), rel=1e-10)
    assert "estimated" in str(coloc_abf(d, region(rng.normal(size=300))))
    assert locus_data(d.rename(columns={"se": "x"}).assign(varbeta=se**2)).sd == pytest.approx(trait.sd)


def test_order_signs_and_frames_do_not_matter():
    rng = np.random.default_rng(3)
    d1, d2 = region(simulated(rng, [20])), region(simulated(rng, [20]))
    fit = coloc_abf(d1, d2)
    mixed = d2.assign(beta=-d2["beta"]).sample(frac=1, random_state=1)
    for other in (mixed, pl.from_pandas(mixed), pl.from_pandas(mixed).lazy(), locus_data(mixed, name="grip")):
        np.testing.assert_allclose(coloc_abf(d1, other).posterior, fit.posterior, rtol=1e-12)
    swapped = coloc_abf(d2, d1).posterior
    np.testing.assert_allclose(swapped[[0, 2, 1, 3, 4]], fit.posterior, rtol=1e-10)


def test_what_is_left_out_is_counted():
    d1, d2 = region(np.zeros(10)), region(np.zeros(14)).iloc[4:]
    d1.loc[[5, 6], "se"] = np.nan
    fit = coloc_abf(d1, d2)
    assert fit.nobs == 4
    assert fit.provenance.n_dropped == 6
    assert dict(fit.provenance.missing) == {"se": 2}
    assert "4 variants in common; d1 has 8, d2 10" in str(fit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="type"), "d1: its type is not given"),
        (lambda d: d.assign(type="binary"), "d1: type='binary' is not allowed"),
        (lambda d: d.assign(type=["cc"] * 2 + ["quant"] * 3), "must hold one value"),
        (lambda d: d.drop(columns="sdY"), "cannot be estimated from se without eaf"),
        (lambda d: d.drop(columns=["sdY", "n"]), "cannot be estimated from se without n and eaf"),
        (lambda d: d.drop(columns="se"), "of the latter 'p_value', 'eaf' are missing"),
        (lambda d: d.drop(columns="variant").assign(marker="a"), "no column with the names"),
        (lambda d: d.assign(variant="rs1"), "5 variants are there|there more than once"),
        (lambda d: d.assign(se=[0.05, 0.05, 0.0, 0.05, 0.05]), "se must be greater than 0; 1 variants .* 'rs2'"),
        (lambda d: d.assign(beta=["0,1"] + ["0.1"] * 4), "must hold numbers; 1 values are not, first '0,1' in row 0"),
        (lambda d: d.assign(variant=[f"17:{i}" for i in range(5)]), "no variant is in all of the traits"),
        (lambda d: d.assign(se=np.nan), "column 'se' has no value in any row"),
        (lambda d: d.assign(se=np.nan, p_value=0.1, eaf=0.3), "column 'se' has no value in any row"),
        (lambda d: d.drop(columns="se"), "needs beta and se, or p_value, n and eaf"),
        (lambda d: d.iloc[:0], "d1: no rows"),
        (lambda d: d.set_axis(["variant", *d.columns[1:-1], "variant"], axis=1), "'variant' is there more than once"),
        (
            lambda d: d.assign(se=[0.1, *[np.nan] * 4], beta=[np.nan, *[0.1] * 4]),
            "no row has values in all of 'beta', 'se'",
        ),
        (lambda d: {"variant": ["a", "b"], "beta": [1.0]}, "d1: "),
        (lambda d: d.drop(columns=["type", "se"]).assign(p_value=0.1, eaf=0.3), "d1: its type is not given"),
        (lambda d: d.drop(columns="se").assign(p_value=0.1, eaf=0.3, type="cc", n_cases=9000), "n_cases / n is 1.8"),
        (lambda d: d.drop(columns="se").assign(p_value=0.1, eaf=[0.1, 0.2, 0.0, 0.3, 0.4]), "monomorphic"),
        (lambda d: d.assign(eaf=[0.1, 0.2, 1.2, 0.3, 0.4]), "eaf must be between 0 and 1"),
        (lambda d: d.drop(columns="se").assign(p_value=[0.1, 0, 1, 1, 1], eaf=0.3), "underflows to 0"),
        (lambda d: d.drop(columns="se").assign(p_value=0.1, eaf=0.3, type="cc"), "share of cases"),
        (lambda d: d.assign(sdY=-1.0), "sd must be greater than 0"),
        (lambda d: d.assign(sdY=[1.0, 1.0, 1.0, 1.0, 2.0]), "column for sd must hold one value, not 2"),
        (lambda d: 3, "must be a frame"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises((SummaryStatisticsError, OptionError), match=message):
        coloc_abf(change(region(np.zeros(5))), region(np.zeros(5)))


def test_priors_are_checked():
    d = region(np.zeros(200))
    with pytest.raises(OptionError, match="p12=0"):
        coloc_abf(d, d, p12=0)
    with pytest.raises(OptionError, match=r"p1=0\.01 is too large for 200 variants"):
        coloc_abf(d, d, p1=0.01)
    assert isinstance(coloc_abf(d, d.iloc[:1]), NotApplicable)


# --- what comes out --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared():
    rng = np.random.default_rng(11)
    return coloc_abf(region(simulated(rng, [20])), region(simulated(rng, [20]), type="cc", se=0.1))


def test_variants_and_credible_set(shared):
    table = shared.variants()
    assert table["SNP.PP.H4"].sum() == pytest.approx(1, abs=1e-12)
    both = np.exp(table["log_bf_1"] + table["log_bf_2"] - (table["log_bf_1"] + table["log_bf_2"]).max())
    np.testing.assert_allclose(table["SNP.PP.H4"], both / both.sum(), rtol=1e-10)
    chosen = shared.credible_set(0.9)
    assert chosen["SNP.PP.H4"].sum() >= 0.9
    assert chosen["SNP.PP.H4"].iloc[:-1].sum() < 0.9
    assert "rs20" in set(shared.credible_set()["variant"])
    assert shared.glance()["hypothesis"].item() == "H4"


def test_sensitivity(shared):
    table = shared.sensitivity("H4 > 3 * H3 and H0 < 0.1", n_points=7)
    assert table["p12"].iloc[[0, -1]].tolist() == pytest.approx([1e-8, 1e-4])
    np.testing.assert_allclose(table[[f"prior.H{k}" for k in range(5)]].sum(axis=1), 1)
    np.testing.assert_allclose(table[PP].sum(axis=1), 1)
    assert (np.diff(table["PP.H4"]) > 0).all()
    assert (table["passes"] == ((table["PP.H4"] > 3 * table["PP.H3"]) & (table["PP.H0"] < 0.1))).all()
    again = coloc_abf(shared.first, shared.second, p12=table["p12"].iloc[3])
    np.testing.assert_allclose(table[PP].iloc[3].astype(float), again.posterior, rtol=1e-10)
    for rule in ("H5 > 0.9", "H4", "import os", "H4 >"):
        with pytest.raises(OptionError, match="rule="):
            shared.sensitivity(rule)


def test_summary_says_from_where_the_prior_decides():
    fit = coloc_abf(region([0, 4.4, 0, 0, 0]), region([0, 4.2, 0, 0, 3.6]))
    passing = fit.sensitivity("H4 > 0.5")
    first = passing.loc[passing["passes"], "p12"].min()
    assert f"above one half only from p12 = {first:.2g} on" in str(fit)
    assert "little power" in str(coloc_abf(region([0, 1.0]), region([0, 9.0])))


def test_figures(shared):
    assert isinstance(shared.plot(), matplotlib.axes.Axes)
    fine = finemap_abf(shared.first)
    assert isinstance(fine.plot(), matplotlib.axes.Axes)
    assert isinstance(shared.first.plot(), matplotlib.axes.Axes)
    assert isinstance(shared.first.plot(ld=np.eye(60)), matplotlib.axes.Axes)


def test_finemap_with_the_null():
    fit = finemap_abf(region([0.1, 0.2, -0.3]))
    bf = np.exp(fit.trait.log_bayes_factors())
    np.testing.assert_allclose(fit.pip, 1e-4 * bf / (1 - 3e-4 + 1e-4 * bf.sum()), rtol=1e-12)
    assert fit.null == pytest.approx(1 - fit.pip.sum(), rel=1e-12)
    assert "no causal variant is likelier" in str(fit)
    assert fit.tidy()["variant"].iloc[-1] == "null"
    assert "rs99" not in str(finemap_abf(region(np.zeros(200))))
    with pytest.raises(OptionError, match="coverage=1"):
        fit.credible_set(1)


# --- simulated regions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "winner"), [([], [], 0), ([20], [], 1), ([], [20], 2), ([10], [45], 3), ([30], [30], 4)]
)
def test_finds_the_hypothesis_that_is_true(first, second, winner):
    rng = np.random.default_rng(100 + winner)
    picked = [
        int(np.argmax(coloc_abf(region(simulated(rng, first)), region(simulated(rng, second))).posterior))
        for _ in range(60)
    ]
    assert np.mean(np.array(picked) == winner) > 0.85


def test_probabilities_are_calibrated():
    """Regions drawn from the model, in which H0 has weight 1 beside m p1 ...: H4 is true as often as PP.H4 says."""
    rng = np.random.default_rng(8)
    m, r = 20, 0.9 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    root, p = np.linalg.cholesky(r), (8e-3, 8e-3, 1.5e-2)
    n = 3000
    weights = np.array([1, m * p[0], m * p[1], m * (m - 1) * p[0] * p[1], m * p[2]])
    kinds = rng.choice(5, n, p=weights / weights.sum())
    z = np.einsum("ij,tnj->tni", root, rng.standard_normal((2, n, m)))
    ncp = rng.normal(0, 3.0, (2, n))  # effects N(0, 0.15^2), se 0.05
    place = np.stack([rng.integers(0, m, n), rng.integers(1, m, n)])
    place[1] = np.where(kinds == 3, (place[0] + place[1]) % m, place[0])
    for t, where in ((0, (1, 3, 4)), (1, (2, 3, 4))):
        z[t] += np.where(np.isin(kinds, where), ncp[t], 0.0)[:, None] * r[place[t]]
    l1, l2 = kernel.log_abf(z, np.full(m, 0.05**2), 0.15**2)
    posterior = kernel.hypotheses(kernel.sums(l1, l2), *p)
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.0)):
        here = (posterior[:, 4] >= low) & (posterior[:, 4] <= high)
        expected, seen = posterior[here, 4].mean(), (kinds[here] == 4).mean()
        assert abs(expected - seen) < 4 * np.sqrt(expected * (1 - expected) / here.sum()) + 0.005


# --- many traits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 4])
def test_many_traits_equal_loops(k):
    rng = np.random.default_rng(k)
    log_bf, m, p1, c = rng.normal(0, 2, (6, k)), 6, 1e-3, 0.05
    bf = np.exp(log_bf)
    prior = [p1 * np.prod([1 - (1 - c) ** i for i in range(1, size)]) for size in range(1, k + 1)]
    assert np.exp(log_prior(p1, c, k)) == pytest.approx(prior[-1])
    full = prior[-1] * bf.prod(axis=1).sum()
    less = [prior[-2] * np.delete(bf, j, axis=1).prod(axis=1).sum() for j in range(k)]
    apart = [
        p1 * prior[-2] * sum(np.delete(bf[i], j).prod() * bf[h, j] for i, h in product(range(m), range(m)) if i != h)
        for j in range(k)
    ]
    found = all_together(log_bf, p1, c)
    assert found.regional == pytest.approx(full / (1 + full + sum(less)), rel=1e-12)
    assert found.alignment == pytest.approx(full / (full + (0.25 if k == 2 else 1) * sum(apart)), rel=1e-10)
    assert found.drop_regional == int(np.argmax(less))
    assert found.drop_alignment == int(np.argmax(apart if k > 2 else less))


def test_many_traits_in_clusters():
    rng = np.random.default_rng(21)
    traits = {f"a{i}": region(simulated(rng, [15], strength=9)) for i in range(4)}
    traits |= {f"b{i}": region(simulated(rng, [45], strength=9), type="cc") for i in range(3)}
    traits |= {"null": region(simulated(rng, []))}
    fit = hyprcoloc(traits)
    groups = {frozenset(t.split(", ")) for t in fit.tidy()["traits"]}
    assert groups == {frozenset(f"a{i}" for i in range(4)), frozenset(f"b{i}" for i in range(3))}
    assert fit.single == ("null",)
    assert fit.glance().to_dict("list") == {"n_variants": [60], "n_traits": [8], "n_clusters": [2]}
    table = fit.tidy()
    np.testing.assert_allclose(table["posterior"], table["regional"] * table["alignment"])
    np.testing.assert_allclose(fit.variants().groupby("group")["variant_probability"].sum(), 1)
    assert isinstance(fit.plot(), matplotlib.axes.Axes)
    assert "in no cluster: null" in str(fit)
    by_alignment = hyprcoloc(traits, drop_by="alignment")
    assert {frozenset(t.split(", ")) for t in by_alignment.tidy()["traits"]} == groups


def test_many_traits_that_share_nothing():
    rng = np.random.default_rng(22)
    fit = hyprcoloc([region(simulated(rng, [])) for _ in range(3)])
    assert fit.single == ("T1", "T2", "T3")
    assert len(fit.tidy()) == len(fit.variants()) == 0
    assert isinstance(fit.plot(), matplotlib.axes.Axes)


def test_many_traits_refusals():
    d = region(np.zeros(5))
    with pytest.raises(OptionError, match="at least two"):
        hyprcoloc([d])
    with pytest.raises(OptionError, match="drop_by"):
        hyprcoloc([d, d], drop_by="both")
    with pytest.raises(OptionError, match="shared=1"):
        hyprcoloc([d, d], shared=1)
    with pytest.raises(OptionError, match="alignment_threshold=0"):
        hyprcoloc([d, d], alignment_threshold=0)
    with pytest.raises(SummaryStatisticsError, match="grip: its type"):
        hyprcoloc({"bmd": d, "grip": d.drop(columns="type")})
    assert isinstance(hyprcoloc([d, d.iloc[:1]]), NotApplicable)


def strongest():
    return pd.DataFrame(
        {
            "variant": ["rs0", "rs1", "rs2"], "beta": [0.5, 0.01, 0.02], "se": 0.01, "p_value": [0.0, 0.3, 0.05],
            "eaf": [0.0, 0.2, 0.3], "type": "quant", "sdY": 1.0, "n": 1000,
        }
    )  # fmt: skip


def test_p_values_and_frequencies_are_not_looked_at_where_effects_are_given():
    d = strongest()
    wanted = mr.finemap_abf(d.drop(columns=["p_value", "eaf"])).tidy()
    pd.testing.assert_frame_equal(mr.finemap_abf(d).tidy(), wanted)
    estimated = mr.locus_data(d.drop(columns="sdY"))
    assert estimated.sd == pytest.approx(mr.locus_data(d.iloc[1:].drop(columns="sdY")).sd)
    assert np.isnan(estimated.eaf[0])


@pytest.mark.parametrize(
    "names", [("A1", "A2"), ("ea", "oa"), ("ALT", "REF"), ("effect_allele.exposure", "other_allele.exposure")]
)
def test_alleles_by_any_spelling(names):
    d = strongest().assign(**dict(zip(names, ("A", "G"), strict=True)))
    trait = mr.locus_data(d)
    assert (trait.effect_allele[0], trait.other_allele[0]) == ("A", "G")
    ours = strongest().assign(effect_allele="G", other_allele="A", beta=-strongest()["beta"])
    assert mr.smr(d, ours).estimate == pytest.approx(1.0)


def test_minor_allele_frequencies_do_not_tell_strands():
    d = strongest().assign(effect_allele="A", other_allele="T").drop(columns="eaf")
    turned = d.assign(effect_allele="T", other_allele="A", beta=-d["beta"])
    with pytest.raises(SummaryStatisticsError, match="agree for none"):
        mr.smr(d.assign(maf=0.2), turned.assign(maf=0.2))  # all palindromic
    assert mr.smr(d.assign(eaf=0.2), turned.assign(eaf=0.8)).estimate == pytest.approx(1.0)
    known = mr.locus_data(d.drop(columns="sdY").assign(maf=0.2))
    assert known.sd == pytest.approx(mr.locus_data(d.drop(columns="sdY").assign(eaf=0.8)).sd)


def test_effects_from_p_values_are_noted():
    d = strongest().drop(columns="se").assign(p_value=[1e-20, 0.3, 0.05], eaf=0.3)
    assert "from p-values" in str(mr.smr(d, d))
