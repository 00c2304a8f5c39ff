"""Sum of single effects: the R package's printed numbers, exact posteriors of small regions, simulated coverage."""

import json
from itertools import combinations, product
from pathlib import Path

import matplotlib.axes
import numpy as np
import pandas as pd
import pytest

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.warnings import ConvergenceWarning, DxaCausalWarning
from dxa_causal.mr._kernels import susie_rss as kernel
from dxa_causal.mr.locus.coloc import coloc_abf
from dxa_causal.mr.locus.coloc_susie import coloc_susie
from dxa_causal.mr.locus.susie import susie
from dxa_causal.results import NotApplicable

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "mr" / "coloc.json").read_text())
PP = [f"PP.H{k}" for k in range(5)]
PRINTED = 2e-7  # absolute: seven decimals printed, some more
N = 2000


def region(z, *, n=N, type="quant", prefix="rs"):
    z = np.asarray(z, dtype=float)
    return pd.DataFrame(
        {"variant": [f"{prefix}{i}" for i in range(z.size)], "beta": z / np.sqrt(n), "se": 1 / np.sqrt(n), "n": n}
    ).assign(type=type, sdY=1.0)


def correlations(m, rho=0.9):
    return rho ** np.abs(np.subtract.outer(np.arange(m), np.arange(m)))


def drawn(rng, r, causal, strength=8.0):
    mean = strength * r[:, list(causal)].sum(axis=1) if len(causal) else np.zeros(len(r))
    return mean + np.linalg.cholesky(r) @ rng.standard_normal(len(r))


# --- the R package ---------------------------------------------------------------------------------------------------


def coloc_data(private_csv, name):
    return private_csv(f"coloc_test_{name}.csv").assign(type="quant", sdY=REFERENCE["sd"][name], n=1000)


@pytest.mark.parametrize("name", ["D3", "D4"])
def test_equals_susie_rss(name, private_csv):
    ld = private_csv("coloc_test_LD_D3.csv.gz")
    fit = susie(coloc_data(private_csv, name), ld=ld)
    expected = REFERENCE["susie"][name]["sets"]
    assert len(fit.sets) == len(expected)
    pip = fit.variants().set_index("variant")["pip"]
    for found, printed in zip(fit.sets, expected, strict=True):
        assert set(fit.variant[found.rows]) == set(printed["pip"])
        np.testing.assert_allclose(pip[list(printed["pip"])], list(printed["pip"].values()), atol=PRINTED)
        assert found.log_bf / np.log(10) == pytest.approx(printed["log10_bf"], abs=PRINTED * 5)
        assert found.purity**2 == pytest.approx(printed["min_r2"], abs=PRINTED)
        assert found.mean_abs_r**2 == pytest.approx(printed["mean_r2"], abs=PRINTED)


def test_equals_coloc_susie(private_csv):
    fit = coloc_susie(
        coloc_data(private_csv, "D3"), coloc_data(private_csv, "D4"), ld=private_csv("coloc_test_LD_D3.csv.gz")
    )
    table = fit.tidy()
    for row, printed in zip(table.itertuples(), REFERENCE["coloc_susie_D3_D4"], strict=True):
        assert (row.hit_1, row.hit_2) == (printed["hit1"], printed["hit2"])
    printed = [row["posterior"] for row in REFERENCE["coloc_susie_D3_D4"]]
    np.testing.assert_allclose(table[PP], printed, rtol=1e-6)


# --- exact posteriors ------------------------------------------------------------------------------------------------


def exact(z, r, n, most, variance):
    """Inclusion probabilities of `most` single effects by enumeration of all their variants, residual variance 1."""
    d, p = n - 1.0, z.size
    xty = np.sqrt(d) * kernel.adjusted(z, n)
    weight, inside = [], []
    for places in product(range(p), repeat=most):
        design = np.eye(p)[list(places)]
        a, u = d * design @ r @ design.T, design @ xty
        shrunk = np.eye(most) + variance * a
        weight.append(0.5 * variance * u @ np.linalg.solve(shrunk, u) - 0.5 * np.linalg.slogdet(shrunk)[1])
        inside.append(design.max(axis=0))
    w = np.exp(np.array(weight) - max(weight))
    return (w / w.sum()) @ np.array(inside)


def test_one_effect_is_exact():
    rng = np.random.default_rng(1)
    r = correlations(8)
    z = drawn(rng, r, [3], 4)
    fit = susie(region(z), ld=r, n_effects=1, prior_variance=0.01, estimate_prior_variance=False)
    np.testing.assert_allclose(fit.pip, exact(z, r, N, 1, 0.01), rtol=1e-10)


def test_one_effect_equals_bayes_factors():
    """Wakefield's factor of the adjusted z, prior variance in units of the residual variance over n - 1."""
    z = np.array([0.5, 4.0, 2.0, -1.0])
    fit = susie(region(z), ld=correlations(4), n_effects=1, prior_variance=0.0225, estimate_prior_variance=False)
    t, shrinkage = kernel.adjusted(z, N), 0.0225 / (0.0225 + 1 / (N - 1))
    np.testing.assert_allclose(fit.log_bf_variable[0], 0.5 * (np.log(1 - shrinkage) + shrinkage * t**2), rtol=1e-12)
    abf = coloc_abf(region(z), region(z)).log_bf[0]
    np.testing.assert_allclose(fit.log_bf_variable[0], abf, atol=0.08)  # n against n - 1, and the adjustment


@pytest.mark.parametrize(("causal", "near"), [((2, 9), 0.03), ((0, 5), 0.03), ((4,), 0.1)])
def test_two_effects_are_near_the_exact_posterior(causal, near):
    """The posterior is variational: an effect forced on that has no variant of its own costs accuracy."""
    rng = np.random.default_rng(sum(causal))
    r = correlations(12, 0.6)
    z = drawn(rng, r, causal, 6)
    fit = susie(
        region(z), ld=r, n_effects=2, prior_variance=0.02, estimate_prior_variance=False, tolerance=1e-9, min_abs_r=0
    )
    np.testing.assert_allclose(fit.pip, exact(z, r, N, 2, 0.02), atol=near)


def test_lower_bound_rises_and_stays_below_the_evidence():
    rng = np.random.default_rng(4)
    r = correlations(10, 0.8)
    z = drawn(rng, r, [1, 7], 5)
    fit = susie(region(z), ld=r, n_effects=2, prior_variance=0.02, estimate_prior_variance=False, tolerance=1e-10)
    assert (np.diff(fit.elbo) > -1e-9).all()
    d, xty = N - 1.0, np.sqrt(N - 1.0) * kernel.adjusted(z, N)
    null = -0.5 * N * np.log(2 * np.pi) - 0.5 * d
    factors = []
    for i, j in product(range(10), repeat=2):
        a, u = d * r[np.ix_([i, j], [i, j])], xty[[i, j]]
        shrunk = np.eye(2) + 0.02 * a
        factors.append(0.01 * u @ np.linalg.solve(shrunk, u) - 0.5 * np.linalg.slogdet(shrunk)[1])
    evidence = null + np.log(np.mean(np.exp(np.array(factors) - max(factors)))) + max(factors)
    assert evidence - 1.0 < fit.elbo[-1] < evidence
    free = susie(region(z), ld=r, tolerance=1e-10)
    assert (np.diff(free.elbo) > -1e-9).all()


def test_prior_variance_is_the_best():
    rng = np.random.default_rng(6)
    xty, log_prior = (
        np.sqrt(N - 1) * kernel.adjusted(drawn(rng, correlations(30), [10], 6), N),
        np.full(30, -np.log(30)),
    )
    best = kernel.best_prior_variance(xty, N - 1.0, 1.0, 0.2, log_prior)
    grid = np.exp(np.linspace(np.log(best) - 3, np.log(best) + 3, 400))
    likelihood = [kernel.single_effect(xty, N - 1.0, 1.0, v, log_prior).log_bf for v in grid]
    at = kernel.single_effect(xty, N - 1.0, 1.0, best, log_prior).log_bf
    assert at >= max(likelihood) - 1e-9
    assert kernel.best_prior_variance(xty * 0, N - 1.0, 1.0, 0.2, log_prior) == 0.0


def test_equals_regression_on_genotypes():
    """In-sample linkage: effects of two causal variants and the residual variance are those of least squares."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((N, 6)) @ np.linalg.cholesky(correlations(6, 0.5)).T
    x = (x - x.mean(0)) / x.std(0, ddof=1)
    y = 0.3 * x[:, 1] - 0.25 * x[:, 4] + rng.standard_normal(N)
    y = (y - y.mean()) / y.std(ddof=1)
    b = x.T @ y / (N - 1)
    se = np.sqrt((1 - b**2) / (N - 2))
    d = region(b / se)
    fit = susie(d, ld=np.corrcoef(x.T), estimate_residual_variance=True, tolerance=1e-8)
    assert {int(s.rows[0]) for s in fit.sets} == {1, 4}
    ols = np.linalg.lstsq(x[:, [1, 4]], y, rcond=None)[0]
    np.testing.assert_allclose(
        fit.variants()["mean"].to_numpy()[[1, 4]], ols, atol=0.01
    )  # the prior shrinks by about 1 / (n s2)
    residual = np.mean((y - x[:, [1, 4]] @ ols) ** 2)
    assert fit.residual_variance == pytest.approx(residual, rel=0.01)


# --- simulated regions -----------------------------------------------------------------------------------------------


def test_credible_sets_cover():
    rng = np.random.default_rng(9)
    r = correlations(80, 0.92)
    covered, power = [], []
    for _ in range(120):
        causal = rng.choice(80, rng.integers(1, 4), replace=False)
        fit = susie(region(drawn(rng, r, causal, 6.5)), ld=r, n_effects=5)
        covered += [bool(set(s.rows) & set(causal)) for s in fit.sets]
        power += [any(c in s.rows for s in fit.sets) for c in causal]
    assert len(covered) > 150
    assert np.mean(covered) > 0.92
    assert np.mean(power) > 0.5


def test_no_set_where_nothing_is_going_on():
    rng = np.random.default_rng(10)
    r = correlations(60)
    found = [len(susie(region(drawn(rng, r, [])), ld=r, n_effects=3).sets) for _ in range(40)]
    assert np.mean(found) < 0.1
    fit = susie(region(np.zeros(60)), ld=r)
    assert len(fit.tidy()) == 0
    assert (fit.pip == 0).all()
    assert "no credible set" in str(fit)
    assert isinstance(fit.plot(), matplotlib.axes.Axes)


def test_pairs_of_signals():
    """One shared variant and one of each trait's own: coloc without SuSiE sees only the strongest."""
    rng = np.random.default_rng(12)
    r = correlations(90, 0.85)
    r1 = pd.DataFrame(r, [f"rs{i}" for i in range(90)], [f"rs{i}" for i in range(90)])
    d1, d2 = region(drawn(rng, r, [20, 60], 10)), region(drawn(rng, r, [20, 80], 10))
    fit = coloc_susie(d1, d2.sample(frac=1, random_state=3), ld=r1)
    table = fit.tidy()
    assert len(table) == 4
    assert table["PP.H4"].gt(0.9).sum() == 1
    assert table["PP.H3"].gt(0.9).sum() == 3
    np.testing.assert_allclose(table[PP].sum(axis=1), 1)
    best = table.loc[table["PP.H4"].idxmax()]
    assert best["variant"] in {"rs19", "rs20", "rs21"}
    shares = fit.variants().groupby(["set_1", "set_2"])["SNP.PP.H4"].sum()
    np.testing.assert_allclose(shares, 1)
    assert isinstance(fit.plot(), matplotlib.axes.Axes)
    assert fit.glance()["n_pairs"].item() == 4
    again = coloc_susie(susie(d1, ld=r), susie(d2, ld=r))
    np.testing.assert_allclose(again.posterior.sum(axis=0), fit.posterior.sum(axis=0), rtol=1e-6)


def test_order_does_not_matter():
    rng = np.random.default_rng(13)
    r = correlations(50, 0.8)
    names = [f"rs{i}" for i in range(50)]
    ld = pd.DataFrame(r, names, names)
    d = region(drawn(rng, r, [10, 35]))
    fit = susie(d, ld=ld)
    mixed = susie(d.sample(frac=1, random_state=1), ld=ld.sample(frac=1, random_state=2)[ld.index[::-1]].pipe(square))
    left, right = (f.variants().set_index("variant")["pip"] for f in (fit, mixed))
    np.testing.assert_allclose(right[names], left[names], atol=1e-6)
    turned = d.assign(beta=d["beta"] * np.where(np.arange(50) % 2, -1, 1))
    sign = np.where(np.arange(50) % 2, -1, 1)
    other = susie(turned, ld=r * np.outer(sign, sign))
    np.testing.assert_allclose(other.pip, fit.pip, rtol=1e-9)


def test_alleles_that_linkage_counts():
    rng = np.random.default_rng(17)
    r, names = correlations(40), [f"rs{i}" for i in range(40)]
    sign = rng.choice([-1, 1], 40)
    d = region(drawn(rng, r, [12])).assign(effect_allele="A", other_allele="G")
    counted = pd.Series(np.where(sign > 0, "A", "G"), names)
    counted.iloc[3] = "T" if sign[3] > 0 else "C"  # the other strand
    ld = pd.DataFrame(r * np.outer(sign, sign), names, names)
    fit = susie(d, ld=ld, ld_alleles=counted)
    np.testing.assert_allclose(fit.pip, susie(d, ld=r).pip, rtol=1e-9)
    with pytest.raises(SummaryStatisticsError, match="1 variants do not match, first 'rs5': ld counts 'C', d has 'A'"):
        susie(
            d.assign(other_allele=["T" if i == 5 else "G" for i in range(40)]),
            ld=ld,
            ld_alleles={**counted, "rs5": "C"},
        )
    with pytest.raises(SummaryStatisticsError, match="does not say its alleles"):
        susie(d.drop(columns="other_allele"), ld=ld, ld_alleles=counted)


def test_second_trait_is_turned_to_the_alleles_of_the_first():
    rng = np.random.default_rng(18)
    r = correlations(60, 0.8)
    d1, d2 = (region(drawn(rng, r, [15, 45], 9)).assign(effect_allele="A", other_allele="G") for _ in range(2))
    plain = coloc_susie(d1, d2, ld=r)
    turned = d2.copy()
    turned.loc[::2, ["effect_allele", "other_allele"]] = ["G", "A"]
    turned.loc[::2, "beta"] *= -1
    np.testing.assert_allclose(coloc_susie(d1, turned, ld=r).posterior, plain.posterior, rtol=1e-9)
    turned.loc[2, "effect_allele"] = "T"
    fit = coloc_susie(d1, turned, ld=r)
    assert fit.nobs == 59
    assert "1 variants left out: their alleles do not match" in str(fit)


def square(ld):
    return ld.loc[ld.columns]


# --- options and refusals --------------------------------------------------------------------------------------------


def test_prior_weights():
    z = np.array([0.0, 5.0, 5.0, 0.0])
    r = np.eye(4)
    r[1, 2] = r[2, 1] = 0.999
    even = susie(region(z), ld=r, n_effects=1).pip
    assert even[1] == pytest.approx(even[2])
    tilted = susie(region(z), ld=r, n_effects=1, prior_weights=[1, 3, 1, 1]).pip
    assert tilted[1] / tilted[2] == pytest.approx(3, rel=1e-6)
    for weights in ([1, 1], [0, 0, 0, 0], [1, -1, 1, 1]):
        with pytest.raises(OptionError, match="prior_weights"):
            susie(region(z), ld=r, prior_weights=weights)


def test_impure_and_repeated_sets_are_left_out():
    z = np.array([3.4, 3.4, 3.4, 0.0])
    fit = susie(region(z), ld=np.eye(4), n_effects=1)
    assert not fit.sets
    assert fit.n_impure == 1
    assert "hardly correlated" in str(fit)
    assert len(susie(region(z), ld=np.eye(4), n_effects=1, min_abs_r=0).sets) == 1
    assert "every single effect is in use" in str(fit)


def test_variants_without_linkage_are_counted():
    r = correlations(20)
    names = [f"rs{i}" for i in range(20)]
    fit = susie(region(drawn(np.random.default_rng(1), correlations(25), [5])), ld=pd.DataFrame(r, names, names))
    assert fit.nobs == 20
    assert "5 variants are not in ld" in str(fit)
    assert fit.provenance.n_dropped == 5


@pytest.mark.parametrize(
    ("d", "ld", "message"),
    [
        (lambda d: d.drop(columns="n"), lambda r: r, "d: n is missing"),
        (lambda d: d, lambda r: r[:3], "must be 5 by 5"),
        (lambda d: d, lambda r: pd.DataFrame(r), "none of the 5 variants of d is among its 5; d has 'rs0', 'rs1'"),
        (lambda d: d, lambda r: pd.DataFrame(r, list("abcde"), list("abcdf")), "rows and its columns differ"),
        (lambda d: d, lambda r: pd.DataFrame(r, list("aabcd"), list("aabcd")), "'a' is there more than once"),
        (lambda d: d, lambda r: r**2 + 1, "must hold correlations"),
        (lambda d: d, lambda r: np.where(np.eye(5), 1, -0.9), "not positive semidefinite: its smallest eigenvalue"),
        (lambda d: d.drop(columns=["beta", "se"]).assign(p=0.1, eaf=0.2), lambda r: r, "p-values have no sign"),
    ],
)
def test_bad_input_is_named(d, ld, message):
    with pytest.raises(SummaryStatisticsError, match=message):
        susie(d(region(np.ones(5))), ld=ld(correlations(5)))


def test_ridge_makes_linkage_usable():
    r = np.where(np.eye(5), 1, -0.26)
    with pytest.raises(SummaryStatisticsError, match=r"-0\.04.*ridge=0\.08"):
        susie(region(np.ones(5)), ld=r)
    susie(region(np.ones(5)), ld=r, ridge=0.08)
    with pytest.raises(SummaryStatisticsError, match="a ridge would hide it"):
        susie(region(np.ones(5)), ld=np.where(np.eye(5), 1, -0.3))
    with pytest.raises(OptionError, match="ridge=-1"):
        susie(region(np.ones(5)), ld=r, ridge=-1)


@pytest.mark.parametrize(
    "options",
    [
        {"n_effects": 0},
        {"coverage": 1},
        {"min_abs_r": 2},
        {"prior_variance": 0},
        {"tolerance": 0},
        {"max_iterations": 0},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        susie(region(np.ones(5)), ld=correlations(5), **options)


def test_says_when_it_did_not_converge():
    r = correlations(40)
    z = drawn(np.random.default_rng(3), r, [5, 30])
    with pytest.warns(ConvergenceWarning, match="did not converge in 1"):
        fit = susie(region(z), ld=r, max_iterations=1)
    assert "not converged" in str(fit)


def test_not_applicable():
    r = correlations(30)
    d = region(drawn(np.random.default_rng(3), r, [5]))
    quiet = region(np.zeros(30))
    assert "d2 has no credible set" in coloc_susie(d, quiet, ld=r).reason
    with pytest.raises(SummaryStatisticsError, match="d1: ld is missing"):
        coloc_susie(d, d)
    with pytest.raises(SummaryStatisticsError, match="no variant in common"):
        coloc_susie(susie(d, ld=r), susie(region(d["beta"] * np.sqrt(N), prefix="chr"), ld=r))
    assert isinstance(susie(d.iloc[:1], ld=[[1.0]]), NotApplicable)
    assert "1 variant with linkage" in coloc_susie(d, d, ld=pd.DataFrame([[1.0]], ["rs5"], ["rs5"])).reason
    far = region(drawn(np.random.default_rng(3), r, [5, 25], 10))
    ends = susie(far.iloc[:18], ld=r[:18, :18]), susie(far.iloc[14:], ld=r[14:, 14:])
    assert "4 common variants hold less than half" in coloc_susie(*ends).reason


def test_pairs_without_common_variants_are_left_out():
    r = correlations(80, 0.8)
    rng = np.random.default_rng(15)
    one, two = drawn(rng, r, [10, 60], 10), drawn(rng, r, [10, 60], 10)
    fit = coloc_susie(susie(region(one), ld=r), susie(region(two).iloc[:40], ld=r[:40, :40]))
    assert len(fit.pairs) == 1
    assert "1 pairs left out" in str(fit)


def test_sets_differ():
    r = correlations(60, 0.7)
    fit = susie(region(drawn(np.random.default_rng(16), r, [5, 30, 50], 10)), ld=r)
    for a, b in combinations(fit.sets, 2):
        assert not set(a.rows) & set(b.rows)
    assert isinstance(fit.plot(), matplotlib.axes.Axes)
    labels = fit.variants().set_index("variant")["set"]
    assert set(labels) == {"", *(s.name for s in fit.sets)}


def test_an_array_is_in_the_order_of_the_first_trait():
    r = correlations(30)
    d = region(drawn(np.random.default_rng(3), r, [7], 9.0))
    shuffled = d.sample(frac=1, random_state=1)
    both = coloc_susie(d, shuffled, ld=r).tidy()
    pd.testing.assert_frame_equal(both, coloc_susie(d, d, ld=r).tidy())
    assert "effect alleles not given in both" in str(coloc_susie(d, shuffled, ld=r))


@pytest.mark.parametrize("how", ["signs", "order"])
def test_linkage_of_something_else_is_warned_of(how):
    rng = np.random.default_rng(11)
    r = correlations(80, 0.95)
    d = region(drawn(rng, r, [20, 50], 9.0))
    assert not susie(d, ld=r).linkage
    if how == "signs":
        sign = np.where(rng.random(80) < 0.3, -1, 1)
        wrong = r * sign[:, None] * sign
    else:
        order = rng.permutation(80)
        wrong = r[np.ix_(order, order)]
    with pytest.warns(DxaCausalWarning) as caught:
        fit = susie(d, ld=wrong)
    assert any("do not fine-map with it" in str(w.message) for w in caught)
    assert "do not fine-map with it" in str(fit)


def test_rows_and_columns_in_other_orders_are_the_same_table():
    r, names = correlations(20), [f"rs{i}" for i in range(20)]
    d = region(drawn(np.random.default_rng(1), r, [5]))
    frame = pd.DataFrame(r, names, names)
    np.testing.assert_allclose(susie(d, ld=frame[names[::-1]]).pip, susie(d, ld=frame).pip)
