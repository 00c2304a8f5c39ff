"""SMR and HEIDI: formulas written out, the tail of a quadratic form, simulated pleiotropy and linkage."""

import matplotlib.axes
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.heidi import heidi, pruned, ratio_covariance
from dxa_causal.mr._kernels.quadratic_form import upper_tail
from dxa_causal.mr.locus.smr import smr
from dxa_causal.results import NotApplicable

M = 40
NAMES = [f"rs{i}" for i in range(M)]
TAIL = 1e-9  # the contour integral's own accuracy is better; this leaves room for the twin's


def correlations(m=M, rho=0.93):
    return rho ** np.abs(np.subtract.outer(np.arange(m), np.arange(m)))


LD = pd.DataFrame(correlations(), NAMES, NAMES)


def frame(z, se, names=NAMES):
    return pd.DataFrame({"variant": names, "beta": np.asarray(z) * se, "se": se})


def pair(rng, place=15, other=None, strength=(25.0, 9.0)):
    """Expression with a causal variant at `place`, the trait with one there or at `other`."""
    r, root = correlations(), np.linalg.cholesky(correlations())
    zx = strength[0] * r[place] + root @ rng.standard_normal(M)
    zy = strength[1] * r[place if other is None else other] + root @ rng.standard_normal(M)
    return frame(zx, 0.02), frame(zy, 0.01)


# --- the tail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 5, 20])
def test_tail_of_equal_weights(m):
    for x in (1e-3, 0.3, 1.0, m, 3.0 * m, 20.0 * m, 300.0):
        assert upper_tail(2.5 * x, np.full(m, 2.5)) == pytest.approx(stats.chi2.sf(x, m), rel=TAIL)


def test_tail_of_pairs_of_weights():
    """Weights in pairs make a sum of exponential variables, whose tail has a closed form."""
    w = np.array([3.0, 1.0, 0.2])
    for x in (0.01, 0.5, 5.0, 50.0, 500.0):
        parts = [np.prod(w[i] / (w[i] - np.delete(w, i))) * np.exp(-x / (2 * w[i])) for i in range(3)]
        assert upper_tail(x, np.repeat(w, 2)) == pytest.approx(sum(parts), rel=TAIL)


def test_tail_equals_imhof():
    w = np.array([3, 1.5, 1, 0.6, 0.4, 0.3, 0.1])

    def integrand(u, x):
        angle = 0.5 * np.sum(np.arctan(w * u)) - 0.5 * x * u
        return np.sin(angle) / (u * np.prod((1 + (w * u) ** 2) ** 0.25))

    for x in (2.0, 6.9, 15.0):
        imhof = 0.5 + integrate.quad(integrand, 0, 400, args=(x,), limit=4000)[0] / np.pi
        assert upper_tail(x, w) == pytest.approx(imhof, abs=1e-6)


def test_tail_at_its_ends():
    assert upper_tail(0.0, np.ones(3)) == 1.0
    assert upper_tail(1.0, np.zeros(2)) == 0.0
    assert upper_tail(3.0, np.array([1.0, 1e-14])) == pytest.approx(stats.chi2.sf(3, 1), rel=1e-9)


# --- the test --------------------------------------------------------------------------------------------------------


def test_covariance_of_ratios_written_out():
    rng = np.random.default_rng(1)
    bx, by, sx, sy = (
        rng.uniform(0.2, 0.5, 4),
        rng.normal(0, 0.1, 4),
        rng.uniform(0.01, 0.02, 4),
        rng.uniform(0.01, 0.02, 4),
    )
    r = correlations(4, 0.7)
    found = ratio_covariance(bx, sx, by, sy, r)
    for i in range(4):
        for j in range(4):
            b, z = by / bx, bx / sx
            expected = r[i, j] * sy[i] * sy[j] / (bx[i] * bx[j]) + b[i] * b[j] * (
                r[i, j] / (z[i] * z[j]) - 1 / (z[i] * z[j]) ** 2
            )
            assert found[i, j] == pytest.approx(expected, rel=1e-12)


def test_covariance_of_ratios_is_that_of_draws():
    rng = np.random.default_rng(2)
    r, root = correlations(3, 0.8), np.linalg.cholesky(correlations(3, 0.8))
    bx, by, s = np.array([0.5, 0.45, 0.4]), np.array([0.1, 0.09, 0.08]), 0.02
    x, y = (b + s * (rng.standard_normal((200_000, 3)) @ root.T) for b in (bx, by))
    found = ratio_covariance(bx, np.full(3, s), by, np.full(3, s), r)
    np.testing.assert_allclose(np.cov((y / x).T), found, rtol=0.02)  # first-order formula; draws are good to 0.5 %


def test_p_value_of_heidi_is_that_of_draws():
    rng = np.random.default_rng(3)
    bx, by = np.linspace(0.5, 0.3, 6), np.linspace(0.1, 0.07, 6)
    s, r = np.full(6, 0.02), correlations(6, 0.8)
    found = heidi(bx, s, by, s, r, 0)
    cov = ratio_covariance(bx, s, by, s, r)
    contrast = np.column_stack([-np.ones(5), np.eye(5)])
    spread = contrast @ cov @ contrast.T + 1e-8 * np.eye(5)
    ratio = by / bx
    assert found.statistic == pytest.approx(np.sum((ratio[1:] - ratio[0]) ** 2 / np.diag(spread)), rel=1e-10)
    z = rng.multivariate_normal(np.zeros(5), spread, 200_000) / np.sqrt(np.diag(spread))
    assert found.p_value == pytest.approx(np.mean(np.sum(z**2, axis=1) > found.statistic), abs=0.005)


def test_pruning_written_out():
    rng = np.random.default_rng(4)
    r = correlations(15, 0.97)
    strength = rng.uniform(0, 10, 15)
    kept = [3]
    for i in np.argsort(-strength):
        if i not in kept and all(r[i, k] ** 2 <= 0.9 for k in kept):
            kept.append(int(i))
    assert pruned(strength, r, 0.9, 3).tolist() == kept


def test_estimate_written_out():
    eqtl, gwas = pair(np.random.default_rng(5))
    fit = smr(eqtl, gwas, ld=LD)
    i = int(eqtl["beta"].abs().argmax())
    zx, zy = eqtl["beta"][i] / 0.02, gwas["beta"][i] / 0.01
    table = fit.tidy().set_index("method")
    assert fit.variant == NAMES[i]
    assert table.loc["SMR", "estimate"] == pytest.approx(gwas["beta"][i] / eqtl["beta"][i])
    chi2 = zx**2 * zy**2 / (zx**2 + zy**2)
    assert table.loc["SMR", "p_value"] == pytest.approx(stats.chi2.sf(chi2, 1), rel=1e-9)
    assert table.loc["HEIDI", "p_value"] == fit.heidi.p_value
    assert table.loc["HEIDI", "n_variants"] == len(fit.effects) <= 20
    squared = fit.effects["r"] ** 2
    assert squared[~fit.effects["top"]].between(0.05, 0.9).all()
    assert fit.effects["top"].tolist() == [True] + [False] * (len(fit.effects) - 1)
    assert isinstance(fit.plot(), matplotlib.axes.Axes)
    assert fit.glance()["f_statistic"].item() == pytest.approx(zx**2)
    chosen = fit.effects["variant"].tolist()
    others = [f"rs{j}" for j in range(M) if abs(eqtl["beta"][j] / 0.02) > 3.16 and 0.05 < LD.iloc[i, j] ** 2 < 0.9]
    assert set(chosen[1:]) <= set(others)


def test_level_and_power():
    rng = np.random.default_rng(6)
    same = np.array([smr(*pair(rng), ld=LD).heidi.p_value for _ in range(300)])
    assert np.mean(same < 0.05) < 0.09
    assert stats.kstest(same, "uniform").statistic < 0.12
    linked = np.array([smr(*pair(rng, 15, 21), ld=LD).heidi.p_value for _ in range(60)])
    assert np.mean(linked < 0.01) > 0.6


def test_heidi_needs_linkage_and_variants():
    eqtl, gwas = pair(np.random.default_rng(7))
    bare = smr(eqtl, gwas)
    assert "no linkage" in bare.heidi.reason
    assert bare.tidy()["reason"].tolist() == ["", bare.heidi.reason]
    assert np.isnan(bare.tidy()["p_value"].iloc[1])
    assert "HEIDI: no linkage" in str(bare)
    unlinked = pd.DataFrame(np.eye(M), NAMES, NAMES)
    assert "3 are needed" in smr(eqtl, gwas, ld=unlinked).heidi.reason
    without = LD.drop(index=bare.variant, columns=bare.variant)
    assert "is not in ld" in smr(eqtl, gwas, ld=without).heidi.reason
    assert isinstance(bare.plot(), matplotlib.axes.Axes)


def test_arrays_without_names():
    eqtl, gwas = pair(np.random.default_rng(8))
    assert smr(eqtl, gwas, ld=LD.to_numpy()).heidi.p_value == pytest.approx(smr(eqtl, gwas, ld=LD).heidi.p_value)
    with pytest.raises(SummaryStatisticsError, match="must be 40 by 40"):
        smr(eqtl, gwas, ld=np.eye(3))


def test_top_variant():
    eqtl, gwas = pair(np.random.default_rng(9), strength=(4.0, 4.0))
    nothing = smr(eqtl, gwas, ld=LD)
    assert isinstance(nothing, NotApplicable)
    assert "p = 5e-08" in nothing.reason
    fit = smr(eqtl, gwas, ld=LD, top="rs12")
    assert fit.variant == "rs12"
    with pytest.raises(OptionError, match="top='rs99'"):
        smr(eqtl, gwas, top="rs99")


# --- alleles ---------------------------------------------------------------------------------------------------------


def test_alleles_are_aligned():
    eqtl, gwas = pair(np.random.default_rng(10))
    plain = smr(eqtl, gwas, ld=LD)
    assert "taken as equal" in str(plain)
    coded = eqtl.assign(effect_allele="A", other_allele="G")
    turned = gwas.assign(effect_allele="A", other_allele="G", beta=gwas["beta"].copy())
    turned.loc[::3, ["effect_allele", "other_allele"]] = ["G", "A"]
    turned.loc[::3, "beta"] *= -1
    turned.loc[1::3, ["effect_allele", "other_allele"]] = ["T", "C"]  # the other strand
    fit = smr(coded, turned, ld=LD)
    assert fit.estimate == pytest.approx(plain.estimate)
    assert fit.heidi.p_value == pytest.approx(plain.heidi.p_value)
    wrong = turned.copy()
    wrong.loc[[0, 1], ["effect_allele", "other_allele"]] = ["A", "C"]
    assert "2 variants left out: their alleles do not match" in str(smr(coded, wrong, ld=LD))
    palindromic = (d.copy() for d in (coded, turned))
    coded, turned = palindromic
    for d in (coded, turned):
        d.loc[[0, 1], ["effect_allele", "other_allele"]] = ["A", "T"]
    assert "2 palindromic variants left out" in str(smr(coded, turned, ld=LD))
    with pytest.raises(SummaryStatisticsError, match="agree for none of 40"):
        smr(coded, gwas.assign(effect_allele="A", other_allele="C"), ld=LD)


def test_refusals():
    eqtl, gwas = pair(np.random.default_rng(11))
    with pytest.raises(SummaryStatisticsError, match="gwas: p-values have no sign"):
        smr(eqtl, gwas.drop(columns=["beta", "se"]).assign(p_value=0.1, n=100, eaf=0.3, type="quant"))
    with pytest.raises(SummaryStatisticsError, match="no variant is in all"):
        smr(eqtl, gwas.assign(variant=[f"chr1:{i}" for i in range(M)]))
    for options in ({"p_top": 0}, {"p_heidi": 2}, {"r2_min": 0.9}, {"min_variants": 1}, {"max_variants": 2}):
        with pytest.raises(OptionError, match=next(iter(options))):
            smr(eqtl, gwas, **options)


def test_rejection_is_said():
    fit = smr(*pair(np.random.default_rng(12), 15, 24), ld=LD)
    assert fit.heidi.p_value < 0.01
    assert "HEIDI rejects" in str(fit)


@pytest.mark.parametrize("scale", [1e-3, 1e-5, 1e3])
def test_units_do_not_matter(scale):
    rng = np.random.default_rng(8)
    r = correlations(12, 0.9)
    names = [f"rs{i}" for i in range(12)]
    eqtl = pd.DataFrame({"variant": names, "beta": 0.6 * r[4], "se": 0.02})
    noise = np.linalg.cholesky(r) @ rng.standard_normal(12)
    gwas = pd.DataFrame({"variant": names, "beta": 0.1 * r[4] + 0.05 * r[8] + 0.01 * noise, "se": 0.01})
    ld = pd.DataFrame(r, names, names)
    plain = smr(eqtl, gwas, ld=ld)
    scaled = smr(eqtl, gwas.assign(beta=gwas["beta"] * scale, se=gwas["se"] * scale), ld=ld)
    assert plain.heidi.p_value < 0.05
    assert scaled.heidi.statistic == pytest.approx(plain.heidi.statistic, rel=1e-3)  # the floor: SMR's in these units


def test_variants_without_association_have_no_ratio_to_compare():
    r = correlations(8, 0.9)
    names = [f"rs{i}" for i in range(8)]
    eqtl = pd.DataFrame({"variant": names, "beta": [0.5, *[0.002] * 7], "se": 0.02})
    gwas = pd.DataFrame({"variant": names, "beta": 0.1, "se": 0.01})
    found = smr(eqtl, gwas, ld=pd.DataFrame(r, names, names), p_heidi=1.0)
    assert isinstance(found.heidi, NotApplicable)
    assert "too weakly associated" in found.heidi.reason
