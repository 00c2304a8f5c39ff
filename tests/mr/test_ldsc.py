"""LD score regression: against lstsq and literally deleted blocks, and truths that are known."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning
from dxa_causal.mr._kernels import ldsc as kernel
from dxa_causal.mr.sample_overlap.ldsc import overlap
from dxa_causal.mr.sample_overlap.ldscores import read_ldscores
from dxa_causal.results import NotApplicable

M = 1_000_000.0


def simulated(n=8000, seed=1, h2=(0.4, 0.3), rg=0.5, cross=0.2, inflation=(1.05, 1.02), sizes=(80_000, 60_000)):
    """z statistics drawn from the model itself; sizes vary a little from variant to variant."""
    rng = np.random.default_rng(seed)
    ld = rng.gamma(1.5, 60.0, n)
    sizes = [s * rng.uniform(0.9, 1.0, n) for s in sizes]
    covariance = np.empty((n, 2, 2))
    for i in range(2):
        covariance[:, i, i] = sizes[i] * h2[i] * ld / M + inflation[i]
    covariance[:, 0, 1] = np.sqrt(sizes[0] * sizes[1]) * rg * np.sqrt(h2[0] * h2[1]) * ld / M + cross
    covariance[:, 1, 0] = covariance[:, 0, 1]
    z = np.einsum("nij,nj->ni", np.linalg.cholesky(covariance), rng.standard_normal((n, 2)))
    return z[:, 0], z[:, 1], ld, sizes[0], sizes[1]


def twin(y, x, n, weight, null, first, blocks):
    """The regression as its authors write it, with lstsq and with every block really left out."""
    mean_n = n.mean()
    scaled = n * x / mean_n

    def fit(design, response, w):
        root = np.sqrt(w) / np.sqrt(w).sum()
        return np.linalg.lstsq(design * root[:, None], response * root, rcond=None)[0]

    def reweighted(design, response, update, w, edges):
        for _ in range(2):
            w = update(fit(design, response, w))
        estimate, deleted = fit(design, response, w), []
        for a, b in zip(edges[:-1], edges[1:], strict=True):
            keep = np.r_[0:a, b : len(response)]
            root = (np.sqrt(w) / np.sqrt(w).sum())[keep]
            deleted.append(np.linalg.lstsq(design[keep] * root[:, None], response[keep] * root, rcond=None)[0])
        return estimate, np.array(deleted)

    def edges(size):
        return np.floor(np.linspace(0, size, blocks + 1)).astype(int)

    start = weight(M * (y.mean() - null) / (x * n).mean(), null, x, np.ones(y.size, bool))
    ones = np.ones_like(x)
    everything = np.ones(y.size, bool)
    if first is None:
        design = np.column_stack([scaled, ones])
        estimate, deleted = reweighted(
            design, y, lambda b: weight(M * b[0] / mean_n, b[1], x, everything), start, edges(y.size)
        )
    else:
        s1 = scaled[first]
        e1, d1 = reweighted(
            np.column_stack([s1, ones[first]]), y[first], lambda b: weight(M * b[0] / mean_n, b[1], s1, first),
            start[first], edges(first.sum()),
        )  # fmt: skip
        inner = np.flatnonzero(first)[edges(first.sum())[1:-1]]
        e2, d2 = reweighted(
            scaled[:, None], y - e1[1], lambda b: weight(M * b[0] / mean_n, e1[1], x, everything), start,
            np.r_[0, inner, y.size],
        )  # fmt: skip
        c = (start * scaled).sum() / (start * scaled**2).sum()
        estimate = np.array([e2[0], e1[1]])
        deleted = np.column_stack([d2[:, 0] - c * (d1[:, 1] - e1[1]), d1[:, 1]])
    pseudo = blocks * estimate - (blocks - 1) * deleted
    errors = np.sqrt(np.cov(pseudo.T, ddof=1).diagonal() / blocks)
    return estimate * [M / mean_n, 1], errors * [M / mean_n, 1], deleted * [M / mean_n, 1]


def h2_weight(n, ld):
    def weight(h2, constant, scores, rows):
        h2 = np.clip(h2, 0, 1)
        return 1 / (2 * (constant + h2 * n[rows] / M * np.fmax(scores, 1)) ** 2) / np.fmax(ld[rows], 1)

    return weight


@pytest.mark.parametrize("two_step", [None, 30.0])
def test_heritability_as_by_hand(two_step):
    z1, _, ld, n1, _ = simulated()
    ours = kernel.heritability(z1**2, ld, ld, n1, M, blocks=40, two_step=two_step)
    estimate, errors, deleted = twin(
        z1**2, ld, n1, h2_weight(n1, ld), 1.0, None if two_step is None else z1**2 < two_step, 40
    )
    np.testing.assert_allclose([ours.total, ours.intercept], estimate, rtol=1e-9)
    np.testing.assert_allclose([ours.total_se, ours.intercept_se], errors, rtol=1e-7)
    np.testing.assert_allclose(ours.deleted_total, deleted[:, 0], rtol=1e-8)
    assert (z1**2 >= 30).any()


@pytest.mark.parametrize("two_step", [None, 30.0])
def test_covariance_and_correlation_as_by_hand(two_step):
    z1, z2, ld, n1, n2 = simulated()
    options = {"blocks": 40, "two_step": two_step}
    one = kernel.heritability(z1**2, ld, ld, n1, M, **options)
    two = kernel.heritability(z2**2, ld, ld, n2, M, **options)
    ours = kernel.covariance(z1, z2, ld, ld, n1, n2, M, one, two, **options)

    def weight(total, constant, scores, rows):
        scores = np.fmax(scores, 1)
        a = n1[rows] * np.clip(one.total, 0, 1) * scores / M + one.intercept
        b = n2[rows] * np.clip(two.total, 0, 1) * scores / M + two.intercept
        c = np.sqrt(n1 * n2)[rows] * np.clip(total, -1, 1) * scores / M + constant
        return 1 / (a * b + c**2) / np.fmax(ld[rows], 1)

    first = None if two_step is None else (z1**2 < two_step) & (z2**2 < two_step)
    estimate, errors, deleted = twin(z1 * z2, ld, np.sqrt(n1 * n2), weight, 0.0, first, 40)
    np.testing.assert_allclose([ours.total, ours.intercept], estimate, rtol=1e-8)
    np.testing.assert_allclose([ours.total_se, ours.intercept_se], errors, rtol=1e-7)
    r = kernel.correlation(ours, one, two)
    assert r.estimate == pytest.approx(ours.total / np.sqrt(one.total * two.total), rel=1e-12)
    without = deleted[:, 0] / np.sqrt(one.deleted_total * two.deleted_total)
    pseudo = 40 * r.estimate - 39 * without
    assert r.std_error == pytest.approx(np.sqrt(pseudo.var(ddof=1) / 40), rel=1e-7)


def test_fixed_intercept_is_weighted_regression_through_it():
    z1, _, ld, n1, _ = simulated()
    n1 = np.full_like(n1, 70_000.0)
    ours = kernel.heritability(z1**2, ld, ld, n1, M, blocks=40, intercept=1.05)
    h2 = M * (np.mean(z1**2) - 1.05) / np.mean(ld * n1)
    for _ in range(3):
        w = h2_weight(n1, ld)(h2, 1.05, ld, np.ones(ld.size, bool))
        h2 = M * (w * ld * (z1**2 - 1.05)).sum() / (w * ld**2).sum() / 70_000
    assert ours.total == pytest.approx(h2, rel=1e-10)
    assert ours.intercept == 1.05
    assert ours.intercept_se == 0.0


def test_truth_is_covered():
    hits, estimates = np.zeros(5), []
    truth = np.array([0.4, 0.3, 0.5 * np.sqrt(0.12), 0.2, 0.5])
    for seed in range(60):
        z1, z2, ld, n1, n2 = simulated(n=6000, seed=seed)
        one = kernel.heritability(z1**2, ld, ld, n1, M, blocks=100)
        two = kernel.heritability(z2**2, ld, ld, n2, M, blocks=100)
        both = kernel.covariance(z1, z2, ld, ld, n1, n2, M, one, two, blocks=100)
        r = kernel.correlation(both, one, two)
        e = np.array([one.total, two.total, both.total, both.intercept, r.estimate])
        s = np.array([one.total_se, two.total_se, both.total_se, both.intercept_se, r.std_error])
        estimates.append(e)
        hits += np.abs(e - truth) < 1.96 * s
    assert (hits / 60 > 0.83).all()
    np.testing.assert_allclose(np.mean(estimates, axis=0), truth, rtol=0.06)  # means of 60 draws


def frames(n=4000, **options):
    z1, z2, ld, n1, n2 = simulated(n=n, **options)
    names = [f"rs{j}" for j in range(n)]
    base = pd.DataFrame({"variant": names, "effect_allele": "A", "other_allele": "C"})
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"SNP": names, "CHR": np.repeat(np.arange(1, 5), n // 4), "BP": np.arange(n), "L2": ld})
    return base.assign(z=z1, n=n1), base.assign(beta=z2 * 0.01, se=0.01, n=n2), table.sample(frac=1, random_state=rng)


def test_files_and_frames(tmp_path):
    a, b, table = frames()
    fit = overlap(a, b, ldscores=table, n_reference=M)
    assert fit.nobs == 4000
    z1, z2, ld, n1, n2 = simulated(n=4000)
    one = kernel.heritability(z1**2, ld, ld, n1, M, blocks=200, two_step=30.0)
    assert fit.h2_exposure.total == pytest.approx(one.total, rel=1e-12)  # sorted by place again
    turned = b.assign(
        effect_allele=np.where(np.arange(4000) % 3 == 0, "C", "A"),
        other_allele=np.where(np.arange(4000) % 3 == 0, "A", "C"),
        beta=np.where(np.arange(4000) % 3 == 0, -1, 1) * b["beta"],
    )
    assert overlap(a, turned, ldscores=table, n_reference=M).covariance.total == pytest.approx(
        fit.covariance.total, rel=1e-12
    )
    for chromosome, part in table.sort_values(["CHR", "BP"]).groupby("CHR"):
        with gzip.open(tmp_path / f"{chromosome}.l2.ldscore.gz", "wt") as file:
            part.to_csv(file, sep="\t", index=False)
        (tmp_path / f"{chromosome}.l2.M_5_50").write_text("250000\n")
    again = overlap(pl.from_pandas(a), pl.from_pandas(b), ldscores=tmp_path)
    np.testing.assert_allclose(again.tidy()["estimate"], fit.tidy()["estimate"], rtol=1e-9)
    assert again.n_reference == M
    h = mr.harmonise(a.assign(beta=a["z"], se=1.0), b, action=3)
    assert overlap(h, ldscores=table, n_reference=M).covariance.total == pytest.approx(fit.covariance.total, rel=1e-12)


def test_tables_notes_and_figure():
    a, b, table = frames()
    a.loc[:9, "n"] = np.nan
    b.loc[10:19, ["effect_allele", "other_allele"]] = ["A", "T"]
    a.loc[10:19, ["effect_allele", "other_allele"]] = ["A", "T"]
    fit = overlap(a, b, ldscores=table[table["SNP"] != "rs100"], n_reference=M, chi2_max=200.0)
    text = str(fit)
    assert "10 variants left out: not harmonised" in text
    assert "10 variants left out: no sample size" in text
    assert "1 variants left out: no LD score" in text
    assert "few" in text
    tidy = fit.tidy().set_index("term")
    c = fit.covariance
    assert tidy.loc["intercept_cross", "statistic"] == pytest.approx(c.intercept / c.intercept_se)
    assert tidy.loc["intercept_exposure", "statistic"] == pytest.approx(
        (fit.h2_exposure.intercept - 1) / fit.h2_exposure.intercept_se
    )
    assert tidy.loc["intercept_exposure", "conf_low"] < fit.h2_exposure.intercept
    assert fit.glance()["mean_chi2_exposure"].item() == fit.mean_chi2[0]
    assert fit.shared_sample(0.4) == pytest.approx(c.intercept * np.sqrt(fit.n_exposure * fit.n_outcome) / 0.4)
    assert fit.plot().get_xlabel() == "LD score"
    filled = overlap(a, b, ldscores=table, n_reference=M, n_exposure=75_000)
    assert filled.nobs == 3990


def test_correlation_needs_heritabilities():
    a, b, table = frames(h2=(0.4, 1e-9))
    b = b.assign(beta=np.random.default_rng(2).permutation(b["beta"]) / np.sqrt(table.sort_index()["L2"].to_numpy()))
    fit = overlap(a, b, ldscores=table, n_reference=M)
    row = fit.tidy().set_index("term").loc["genetic_correlation"]
    assert np.isnan(row["estimate"])
    assert row["reason"] == "a heritability is not positive"


def test_refusals(tmp_path):
    a, b, table = frames(n=400)
    assert isinstance(overlap(a[:300], b, ldscores=table, n_reference=M), NotApplicable)
    with pytest.raises(OptionError, match="n_reference"):
        overlap(a, b, ldscores=table)
    with pytest.raises(OptionError, match="n_reference=-1"):
        overlap(a, b, ldscores=table, n_reference=-1)
    with pytest.raises(OptionError, match="two_step=0"):
        overlap(a, b, ldscores=table, n_reference=M, two_step=0)
    with pytest.raises(SummaryStatisticsError, match="exposure: no sample sizes"):
        overlap(a.drop(columns="n"), b, ldscores=table, n_reference=M)
    with pytest.raises(SummaryStatisticsError, match="none of the 400 variants"):
        overlap(a, b, ldscores=table.assign(SNP=lambda d: "1:" + d["SNP"]), n_reference=M)
    with pytest.raises(SummaryStatisticsError, match="no column for ld_score"):
        overlap(a, b, ldscores=table.drop(columns="L2"), n_reference=M)
    with pytest.raises(SummaryStatisticsError, match="finite numbers; 1 rows do not, first 'rs0'"):
        overlap(a, b, ldscores=table.assign(L2=lambda d: d["L2"].where(d["SNP"] != "rs0")), n_reference=M)
    with pytest.raises(SummaryStatisticsError, match="no file of LD scores"):
        read_ldscores(tmp_path)
    with pytest.raises(SummaryStatisticsError, match="frame or a path, not int"):
        read_ldscores(3)
    with pytest.raises(SummaryStatisticsError, match="outcome: give"):
        overlap(a, ldscores=table, n_reference=M)
    with pytest.raises(OptionError, match="phenotypic_correlation"):
        overlap(a, b, ldscores=table, n_reference=M, n_blocks=100).shared_sample(0)
    with pytest.raises(SummaryStatisticsError, match="harmonised already"):
        overlap(mr.harmonise(a.assign(beta=1, se=1), b), b, ldscores=table, n_reference=M)


def test_what_has_no_regression():
    exposure, outcome, scores = frames()
    large = exposure.assign(z=exposure["z"] + 100.0)
    found = overlap(large, outcome, ldscores=scores, n_reference=M)
    assert isinstance(found, NotApplicable)
    assert "0 variants with chi-squares below two_step=30" in found.reason
    alike = overlap(exposure, outcome, ldscores=scores.assign(L2=3.0), n_reference=M)
    assert isinstance(alike, NotApplicable)
    assert "all 3" in alike.reason
    with pytest.raises(SummaryStatisticsError, match=r"no variant is left of 4000 in both files: .*alleles"), \
         pytest.warns(SummaryStatisticsWarning):  # fmt: skip
        overlap(exposure, outcome.assign(effect_allele="T"), ldscores=scores, n_reference=M)
    weight = np.where(np.arange(len(scores)) == 3, np.nan, 1.0)
    with pytest.raises(SummaryStatisticsError, match="column 'weight' must hold finite numbers"):
        read_ldscores(scores.assign(weight=weight), n_reference=M)


def test_a_lazy_frame_of_z_statistics():
    exposure, outcome, scores = frames()
    lazy = overlap(pl.LazyFrame(exposure), outcome, ldscores=scores, n_reference=M)
    pd.testing.assert_frame_equal(lazy.tidy(), overlap(exposure, outcome, ldscores=scores, n_reference=M).tidy())
