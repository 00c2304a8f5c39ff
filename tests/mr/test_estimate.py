from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxa_causal import mr
from dxa_causal._core.errors import OptionError
from dxa_causal.mr._kernels import median
from dxa_causal.mr.estimators import USUAL as METHODS
from dxa_causal.results import GLANCE, TIDY, HypothesisTest, NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
RTOL = 1e-9  # the references carry 15 digits; p-values far in the tail lose some
PRINTED_RTOL = 1e-3  # the published rows, four digits
R_METHODS = {
    "mr_ivw": "ivw",
    "mr_ivw_fe": "ivw_fe",
    "mr_ivw_mre": "ivw_mre",
    "mr_egger_regression": "egger",
    "mr_simple_median": "simple_median",
    "mr_weighted_median": "weighted_median",
    "mr_penalised_weighted_median": "penalised_weighted_median",
}
R_DRAWS = 1000
OUR_DRAWS = 20_000


def arrays(bx, by, sx=0.01, sy=0.02) -> mr.Harmonised:
    n = len(bx)
    return mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=np.full(n, sx), beta_outcome=by, se_outcome=np.full(n, sy)
    )


def effects(fit: mr.MREstimates) -> pd.DataFrame:
    table = fit.tidy()
    return table[table["term"] == "effect"].set_index("method")


@pytest.fixture(scope="module")
def precise(bmi_chd) -> mr.MREstimates:
    return mr.estimate(bmi_chd, seed=20, n_draws=OUR_DRAWS)


def test_every_reference_row(precise, expected):
    ours = effects(precise)
    seen = set()
    for row in expected:
        method = R_METHODS.get(row["method"])
        if method is None:
            continue
        seen.add((method, row["kind"]))
        e = ours.loc[method]
        if row["kind"] == "published":
            assert e["estimate"] == pytest.approx(row["estimate"], rel=PRINTED_RTOL)
            continue
        assert e["estimate"] == pytest.approx(row["estimate"], rel=RTOL), method
        assert e["n_variants"] == row["nsnp"]
        if row["stochastic_se"]:
            # relative Monte-Carlo error of a bootstrap standard error is about 1 / sqrt(2 B), on both sides
            error = np.hypot(1 / np.sqrt(2 * R_DRAWS), 1 / np.sqrt(2 * OUR_DRAWS))
            assert abs(e["std_error"] / row["se"] - 1) < 4 * error, method
        else:
            assert e["std_error"] == pytest.approx(row["se"], rel=RTOL), method
            assert e["p_value"] == pytest.approx(row["p"], rel=RTOL), method
    assert len(seen) == len(R_METHODS) + 3


def test_egger_intercept_heterogeneity_and_pleiotropy(precise, bmi_chd, expected):
    row = next(r for r in expected if r["method"] == "mr_egger_regression" and "b_i" in r)
    table = precise.tidy()
    intercept = table[table["term"] == "intercept"].iloc[0]
    for name, value in (("estimate", row["b_i"]), ("std_error", row["se_i"]), ("p_value", row["pval_i"])):
        assert intercept[name] == pytest.approx(value, rel=RTOL)
    assert intercept["df"] == 77
    test = mr.pleiotropy(bmi_chd)
    assert isinstance(test, HypothesisTest)
    assert test.p_value == pytest.approx(row["pval_i"], rel=RTOL)
    q = mr.heterogeneity(bmi_chd).set_index("method")
    assert set(q.reset_index().columns) <= set(TIDY)
    for method, name in (("ivw", "Rucker Q_ivw"), ("egger", "Rucker Q_egger")):
        row = next(r for r in expected if r["method"] == name)
        assert q.loc[method, "statistic"] == pytest.approx(row["estimate"], rel=RTOL)
        assert q.loc[method, "p_value"] == pytest.approx(row["p"], rel=RTOL)
        assert q.loc[method, "df"] == row["df"]


def test_harmonise_then_ivw(exposure, outcome, expected):
    for row in expected:
        if row["method"].startswith("harmonise action="):
            action = int(row["method"].split("=")[1][0])
            h = mr.harmonise(exposure, outcome, action=action)
            e = effects(mr.estimate(h, ["ivw"])).loc["ivw"]
            assert h.n_variants == row["nsnp"]
            assert h.audit["palindromic"].sum() == row["n_palindromic"]
            assert e["estimate"] == pytest.approx(row["estimate"], rel=RTOL)
            assert e["std_error"] == pytest.approx(row["se"], rel=RTOL)
            assert e["p_value"] == pytest.approx(row["p"], rel=RTOL)


def test_single_variants(bmi_chd):
    reference = pd.read_csv(REFERENCE / "ref_twosamplemr_singlesnp.csv").set_index("SNP")
    ours = mr.single_variant(bmi_chd).set_index("variant")
    reference = reference.loc[ours.index]
    for name, column in (("estimate", "b"), ("std_error", "se"), ("p_value", "p")):
        np.testing.assert_allclose(ours[name], reference[column], rtol=RTOL)
    table = mr.single_variant(arrays([0.1, 0.0], [0.1, 0.1]))
    assert table["estimate"].isna().tolist() == [False, True]
    assert table["reason"].tolist() == ["", "the effect on the exposure is zero: no ratio"]


def test_mean_f_statistic(precise, expected):
    row = next(r for r in expected if "meanF" in r)
    glance = precise.glance()
    assert glance["f_statistic"].iloc[0] == pytest.approx(row["meanF"], rel=RTOL)
    assert set(glance.columns) <= set(GLANCE)


def test_wald_ratio_by_hand():
    h = arrays([-0.1], [0.05])
    table = mr.estimate(h).tidy()
    assert table["method"].tolist() == ["wald_ratio"]
    assert table["estimate"].iloc[0] == pytest.approx(-0.5)
    assert table["std_error"].iloc[0] == pytest.approx(0.2)


def test_limits_and_odds_ratios(precise):
    from scipy import stats

    table, ratio = precise.tidy(0.9), precise.tidy(0.9, exponentiate=True)
    quantile = np.where(table["df"].isna(), stats.norm.ppf(0.95), stats.t.ppf(0.95, table["df"].fillna(1)))
    np.testing.assert_allclose(table["conf_high"], table["estimate"] + quantile * table["std_error"], rtol=1e-12)
    np.testing.assert_allclose(ratio["conf_low"], np.exp(table["conf_low"]), rtol=1e-12)
    np.testing.assert_array_equal(ratio["std_error"], table["std_error"])
    assert list(table.columns) == [
        "method", "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
        "n_variants", "reason",
    ]  # fmt: skip
    assert set(table.columns) <= set(TIDY)


@pytest.mark.parametrize(
    ("n", "applies"),
    [
        (1, {"wald_ratio"}),
        (2, {"ivw", "ivw_fe", "ivw_mre"}),
        (3, set(METHODS) - {"wald_ratio"}),
    ],
)
def test_methods_that_do_not_apply_say_why(n, applies):
    h = arrays(np.linspace(0.1, 0.3, n), np.linspace(0.1, 0.2, n))
    assert set(mr.estimate(h, seed=1).method) == applies
    table = effects(mr.estimate(h, METHODS, seed=1))
    assert set(table.index) == set(METHODS)
    for method, row in table.iterrows():
        assert np.isfinite(row["estimate"]) == (method in applies)
        assert (row["reason"] == "") == (method in applies)
        assert np.isfinite(row["std_error"]) == (method in applies)
    q = mr.heterogeneity(h).set_index("method")
    assert (q.loc["egger", "reason"] == "") == (n >= 3)
    assert isinstance(mr.pleiotropy(h), HypothesisTest if n >= 3 else NotApplicable)


def test_degenerate_effects_are_rows_with_reasons():
    equal = effects(mr.estimate(arrays([0.1, -0.1, 0.1], [0.1, 0.2, 0.3]), ["ivw", "egger"]))
    assert equal.loc["ivw", "reason"] == ""
    assert "same size" in equal.loc["egger", "reason"]
    zero = effects(mr.estimate(arrays([0.1, 0.0, 0.2], [0.1, 0.2, 0.3]), METHODS, seed=1))
    assert "zero for 1 of 3 variants, first 'variant_2'" in zero.loc["weighted_median", "reason"]
    assert zero.loc["egger", "reason"] == zero.loc["ivw", "reason"] == ""
    none = effects(mr.estimate(arrays([0.0, 0.0], [0.1, 0.2]), ["ivw"]))
    assert "zero for 2 of 2" in none.loc["ivw", "reason"]
    assert "zero for 1 of 1" in effects(mr.estimate(arrays([0.0], [0.1]), ["wald_ratio"]))["reason"].iloc[0]


def test_underdispersion_narrows_only_ivw_mre():
    h = arrays([0.1, 0.2, 0.3], [0.05, 0.1, 0.151])
    table = effects(mr.estimate(h, ["ivw", "ivw_fe", "ivw_mre"]))
    assert table.loc["ivw", "std_error"] == table.loc["ivw_fe", "std_error"] > table.loc["ivw_mre", "std_error"]


def test_seed_fixes_the_medians_whatever_else_is_asked(bmi_chd):
    a = effects(mr.estimate(bmi_chd, seed=3, n_draws=50))
    b = effects(mr.estimate(bmi_chd, "weighted_median", seed=3, n_draws=50))
    c = effects(mr.estimate(bmi_chd, ["weighted_median"], seed=np.random.default_rng(3), n_draws=50))
    assert a.loc["weighted_median"].equals(b.loc["weighted_median"])
    assert b.loc["weighted_median"].equals(c.loc["weighted_median"])
    assert (
        a.loc["weighted_median", "std_error"]
        != effects(mr.estimate(bmi_chd, seed=4, n_draws=50)).loc["weighted_median", "std_error"]
    )


def test_median_kernel_against_a_loop(monkeypatch):
    rng = np.random.default_rng(8)
    ratios, weights = rng.normal(size=(40, 7)), rng.random(7)
    for row, found in zip(ratios, median.weighted_medians(ratios, weights), strict=True):
        order = np.argsort(row)
        w = weights[order]
        middle = (np.cumsum(w) - 0.5 * w) / w.sum()
        below = np.flatnonzero(middle < 0.5).max()
        share = (0.5 - middle[below]) / (middle[below + 1] - middle[below])
        assert found == pytest.approx(
            row[order][below] + share * (row[order][below + 1] - row[order][below]), rel=1e-12
        )
    # all the weight on one ratio, wherever it stands
    for i in range(7):
        np.testing.assert_allclose(median.weighted_medians(ratios, np.eye(7)[i]), ratios[:, i], rtol=1e-12)
    # blocks only bound the memory
    monkeypatch.setattr(median, "_BLOCK", 7 * 13)
    one = np.full(7, 0.1)
    a = median.bootstrap_std_error(one, one, one / 50, one / 50, one, np.random.default_rng(1), 20_000)
    monkeypatch.setattr(median, "_BLOCK", 1 << 20)
    b = median.bootstrap_std_error(one, one, one / 50, one / 50, one, np.random.default_rng(1), 20_000)
    assert a == pytest.approx(b, rel=4 / np.sqrt(20_000))


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(79)))
def test_order_of_variants_does_not_matter(bmi_chd, order):
    t = bmi_chd.table.iloc[list(order)]
    h = mr.Harmonised.from_arrays(
        **{c: t[c] for c in ("beta_exposure", "se_exposure", "beta_outcome", "se_outcome")}, variant=t["variant"]
    )
    a, b = effects(mr.estimate(h, n_draws=2)), effects(mr.estimate(bmi_chd, n_draws=2))
    np.testing.assert_allclose(a["estimate"], b["estimate"], rtol=1e-10)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_units_scale_through(bmi_chd, x_unit, y_unit):
    t = bmi_chd.table
    h = mr.Harmonised.from_arrays(
        beta_exposure=t["beta_exposure"] * x_unit,
        se_exposure=t["se_exposure"] * x_unit,
        beta_outcome=t["beta_outcome"] * y_unit,
        se_outcome=t["se_outcome"] * y_unit,
    )
    a, b = effects(mr.estimate(h, seed=1, n_draws=20)), effects(mr.estimate(bmi_chd, seed=1, n_draws=20))
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(a[name], b[name] * y_unit / x_unit, rtol=1e-9)


def test_bad_options(bmi_chd):
    with pytest.raises(OptionError, match="did you mean 'egger'"):
        mr.estimate(bmi_chd, ["eger"])
    with pytest.raises(OptionError, match="methods is empty"):
        mr.estimate(bmi_chd, [])
    with pytest.raises(OptionError, match="n_draws=1"):
        mr.estimate(bmi_chd, n_draws=1)
    with pytest.raises(OptionError, match="conf_level"):
        mr.estimate(bmi_chd, "ivw").tidy(conf_level=95)


def test_summary_and_plots(precise):
    text = str(precise.summary())
    assert "effect of Body mass index on Coronary heart disease" in text
    assert "79 of 79 variants in both files kept" in text
    assert precise.plot().get_xlabel().startswith("Effect per allele on Body mass index")
    assert "per unit of" in precise.plot(kind="forest").get_xlabel()
    for kind in ("funnel", "density"):
        assert precise.plot(kind=kind).get_xlabel()
    with pytest.raises(OptionError, match="kind"):
        precise.plot(kind="volcano")
