"""Weights, scores and balance: What If, closed forms, missing rows, bad input."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import propensity
from dxa_causal._core.errors import CollinearityError, FormulaError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import PositivityWarning, SeparationWarning
from dxa_causal.results import GLANCE, TIDY

ESTIMANDS = ("ATE", "ATT", "ATC", "ATO", "ATM")
# The reference programs stop their logistic fit at 1e-14 or so of the deviance.
REFERENCE = 1e-10


@pytest.fixture(scope="module")
def expected(reference):
    return reference("propensity/expected.json")


@pytest.fixture
def small():
    """Four kinds of rows with known scores: 1/4 where frail is 0, 2/3 where it is 1."""
    return pd.DataFrame({"treated": [1, 0, 0, 0, 1, 1, 1, 0, 0, 1], "frail": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]})


@pytest.fixture
def cohort():
    rng = np.random.default_rng(5)
    n = 400
    age, site = rng.normal(70, 8, n), rng.choice(list("abc"), n)
    treated = (rng.random(n) < 1 / (1 + np.exp(-(age - 70) / 10))).astype(int)
    return pd.DataFrame({"treated": treated, "age": age, "site": site, "sw": rng.uniform(0.5, 2, n)})


def test_weights_and_scores_of_what_if(nhefs, whatif, expected):
    ps = propensity.weight(whatif, nhefs)
    case, w, p = expected["weights_ATE"], ps.weights, ps.propensity_score
    found = [w.mean(), w.min(), w.max(), w.std(), p.mean(), p.min(), p.max()]
    wanted = [case[k] for k in ("w_mean", "w_min", "w_max", "w_sd", "ps_mean", "ps_min", "ps_max")]
    np.testing.assert_allclose(found, wanted, rtol=REFERENCE)


def test_stabilised_weights_of_what_if(nhefs, whatif, expected):
    w = propensity.weight(whatif, nhefs, stabilize=True).weights
    case = expected["weights_ATE_stabilised"]
    wanted = [case[k] for k in ("sw_mean", "sw_min", "sw_max", "sw_sd")]
    np.testing.assert_allclose([w.mean(), w.min(), w.max(), w.std()], wanted, rtol=REFERENCE)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_effective_sample_size_of_what_if(nhefs, whatif, expected, estimand):
    glance = propensity.weight(whatif, nhefs, estimand=estimand).glance().iloc[0]
    case = expected[estimand]
    assert glance["ess_treated"] == pytest.approx(case["ess_treated"], rel=REFERENCE)
    assert glance["ess_control"] == pytest.approx(case["ess_control"], rel=REFERENCE)
    assert (glance["n_treated"], glance["n_control"], glance["estimand"]) == (403, 1163, estimand)


@pytest.mark.parametrize(
    ("estimand", "treated", "control"),  # where frail is 0 (score 1/4), where it is 1 (score 2/3)
    [
        ("ATE", (4, 3 / 2), (4 / 3, 3)),
        ("ATT", (1, 1), (1 / 3, 2)),
        ("ATC", (3, 1 / 2), (1, 1)),
        ("ATO", (3 / 4, 1 / 3), (1 / 4, 2 / 3)),
        ("ATM", (1, 1 / 2), (1 / 3, 1)),
    ],
)
def test_formula_of_each_estimand(small, estimand, treated, control):
    ps = propensity.weight("treated ~ frail", small, estimand=estimand)
    wanted = np.where(small["treated"] == 1, np.take(treated, small["frail"]), np.take(control, small["frail"]))
    np.testing.assert_allclose(ps.weights, wanted, rtol=1e-12)
    stabilised = propensity.weight("treated ~ frail", small, estimand=estimand, stabilize=True)
    np.testing.assert_allclose(stabilised.weights, wanted / 2, rtol=1e-12)  # five rows in each arm


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_a_saturated_model_balances_exactly(small, estimand):
    assert propensity.weight("treated ~ frail", small, estimand=estimand).glance()["max_smd"].iloc[0] < 1e-14


def test_overlap_weights_balance_every_mean(nhefs, whatif):
    balance = propensity.weight(whatif, nhefs, estimand="ATO").balance()
    assert balance["smd"].abs()[1:].max() < 1e-12


def test_trim_lowers_the_largest_weights_only(nhefs, whatif):
    full = propensity.weight(whatif, nhefs).weights
    ps = propensity.weight(whatif, nhefs, trim=0.95)
    cap = np.sort(full)[round(0.95 * len(full)) - 1]  # R's quantile type 3: an observed weight
    np.testing.assert_allclose(ps.weights, full.clip(upper=cap))
    assert "(quantile 0.95) lowered to it" in str(ps.summary())


def test_trim_leaves_the_fixed_arm_alone(nhefs, whatif):
    ps = propensity.weight(whatif, nhefs, estimand="ATT", trim=0.9)
    assert (ps.weights[nhefs["qsmk"] == 1] == 1).all()
    full = propensity.weight(whatif, nhefs, estimand="ATT").weights[nhefs["qsmk"] == 0]
    assert (ps.weights[nhefs["qsmk"] == 0] < full).mean() == pytest.approx(0.1, abs=0.001)


def test_dropped_rows_are_missing_under_their_own_labels(cohort):
    cohort.loc[3, "age"] = np.nan
    cohort.index = [f"p{i % 399}" for i in range(400)]  # p0 twice
    ps = propensity.weight("treated ~ age", cohort)
    assigned = cohort.assign(w=ps.weights.to_numpy())
    assert ps.weights.index.equals(cohort.index)
    assert np.flatnonzero(assigned["w"].isna()).tolist() == [3]
    assert ps.propensity_score.isna().sum() == 1
    assert (ps.provenance.n_used, ps.provenance.missing) == (399, {"age": 1})


def test_user_data_and_results_do_not_change(cohort):
    before = cohort.copy()
    ps = propensity.weight("treated ~ age + C(site)", cohort)
    mine = ps.weights
    mine.iloc[0] = -1.0
    assert ps.weights.iloc[0] > 0
    with pytest.raises(ValueError, match="read-only"):
        ps.coefficients[0] = 1.0
    pd.testing.assert_frame_equal(cohort, before)


def test_polars_and_row_order(cohort):
    ps = propensity.weight("treated ~ age + C(site)", cohort)
    np.testing.assert_allclose(propensity.weight("treated ~ age + C(site)", pl.from_pandas(cohort)).weights, ps.weights)
    shuffled = propensity.weight("treated ~ age + C(site)", cohort.sort_values("age"))
    np.testing.assert_allclose(shuffled.weights.sort_index(), ps.weights, rtol=1e-10)


def test_sampling_weights_are_repeated_rows(cohort):
    cohort["n"] = np.arange(400) % 3 + 1
    ps = propensity.weight("treated ~ age + C(site)", cohort, weights="n")
    repeated = cohort.loc[cohort.index.repeat(cohort["n"])].reset_index(drop=True)
    long = propensity.weight("treated ~ age + C(site)", repeated)
    np.testing.assert_allclose(ps.coefficients, long.coefficients, rtol=1e-10)
    np.testing.assert_allclose(ps.weights.sum(), long.weights.sum(), rtol=1e-10)
    columns = ["mean_treated", "mean_control", "ks", "ks_unadjusted"]
    pd.testing.assert_frame_equal(ps.balance()[columns], long.balance()[columns])


def test_balance_has_every_level_and_the_variable_behind_a_spline(cohort):
    cohort["sex"] = np.where(np.arange(400) % 2, "male", "female")
    balance = propensity.weight("treated ~ bs(age, df=4) + C(site) * sex + I(sw**2)", cohort).balance()
    assert list(zip(balance["term"], balance["level"], strict=True)) == [
        ("propensity_score", ""),
        ("age", ""),
        ("C(site)", "a"),
        ("C(site)", "b"),
        ("C(site)", "c"),
        ("sex", "male"),
        ("I(sw ** 2)", ""),
    ]
    a = (cohort["site"] == "a")[cohort["treated"] == 1]
    w = propensity.weight("treated ~ bs(age, df=4) + C(site) * sex + I(sw**2)", cohort).weights
    assert balance["mean_treated"][2] == pytest.approx(np.average(a, weights=w[cohort["treated"] == 1]))


def test_balance_denominator_follows_the_estimand(cohort):
    arms = [cohort["age"][cohort["treated"] == v] for v in (1, 0)]
    gap = arms[0].mean() - arms[1].mean()
    sd = {"ATT": arms[0].std(), "ATC": arms[1].std(), "ATE": np.sqrt((arms[0].var() + arms[1].var()) / 2)}
    for estimand, value in sd.items():
        balance = propensity.weight("treated ~ age", cohort, estimand=estimand).balance()
        assert balance["smd_unadjusted"][1] == pytest.approx(gap / value, rel=1e-12)


def test_raw_differences_for_binary_covariates(small):
    ps = propensity.weight("treated ~ frail", small)
    assert ps.balance(binary="raw")["smd_unadjusted"][1] == pytest.approx(4 / 5 - 2 / 5)
    assert ps.balance()["smd_unadjusted"][1] == pytest.approx(0.4 / np.sqrt((0.16 + 0.24) / 2))
    with pytest.raises(OptionError, match="binary='rwa' is not allowed"):
        ps.balance(binary="rwa")


def test_no_covariates(small):
    ps = propensity.weight("treated ~ 1", small)
    np.testing.assert_allclose(ps.weights, 2.0)
    assert ps.balance()["term"].tolist() == ["propensity_score"]


def test_tables_keep_to_the_glossary(cohort):
    ps = propensity.weight("treated ~ age + C(site)", cohort)
    assert set(ps.tidy()) | set(ps.balance()) <= set(TIDY)
    assert set(ps.glance()) <= set(GLANCE)
    assert ps.tidy()["term"].tolist() == ["Intercept", "age", "C(site)[T.b]", "C(site)[T.c]"]
    np.testing.assert_allclose(ps.tidy(exponentiate=True)["estimate"], np.exp(ps.coefficients))
    assert "propensity_score" in ps.summary()._repr_html_()
    assert ps.provenance.call == "propensity.weight('treated ~ age + C(site)', data, estimand='ATE')"


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda t: t == 1, "arm ~ age"),
        (lambda t: t + 1, "arm == 2 ~ age"),
        (lambda t: t + 1, "(arm == 2) ~ age"),
        (lambda t: np.where(t == 1, "drug", "none"), "(arm == 'drug') ~ age"),
        (lambda t: pd.Categorical(np.where(t == 1, "a", "b"), categories=["b", "x", "a"]), "arm ~ age"),
        (lambda t: t.astype(bool).astype(object), "arm ~ age"),
        (lambda t: t.astype("Int64"), "arm ~ age"),
    ],
)
def test_ways_to_code_the_treatment(cohort, make, formula):
    ps = propensity.weight(formula, cohort.assign(arm=make(cohort["treated"])))
    np.testing.assert_allclose(ps.weights, propensity.weight("treated ~ age", cohort).weights)
    assert f"{int(cohort['treated'].sum())} of 400 rows" in ps.provenance.notes[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: t + 1, r"holds .*2 \(\d+ rows\).*R's coding.*\(arm == 2\) ~"),
        (lambda t: np.where(t == 1, "drug", "none"), r"holds .*'drug' \(\d+ rows\).*for instance \(arm == 'none'\) ~"),
        (lambda t: np.arange(400) % 3, r"0 \(134 rows\), 1 \(133 rows\), 2 \(133 rows\); say who is treated"),
        (lambda t: t * 0, "all 400 rows analysed are controls"),
        (lambda t: pd.Categorical(["a"] * 400), r"holds 'a' \(400 rows\)"),
        (lambda t: np.linspace(0, 1, 400), "400 different values.*make a column of 0 and 1"),
    ],
)
def test_other_codings_are_refused_with_a_cure(cohort, make, message):
    with pytest.raises(OutcomeError, match=message):
        propensity.weight("arm ~ age", cohort.assign(arm=make(cohort["treated"])))


def test_bad_calls(cohort):
    with pytest.raises(FormulaError, match="must name the treatment"):
        propensity.weight("~ age", cohort)
    with pytest.raises(CollinearityError, match=r"'I\(2 \* age\)' is a linear combination of 'age'"):
        propensity.weight("treated ~ age + I(2 * age)", cohort)
    with pytest.raises(OptionError, match="estimand='ate' is not allowed"):
        propensity.weight("treated ~ age", cohort, estimand="ate")
    with pytest.raises(OptionError, match="trim=1 must be a quantile"):
        propensity.weight("treated ~ age", cohort, trim=1)
    with pytest.raises(PredictorError, match="weights='sw' must be positive: 1 values are not, first row 7 with 0"):
        propensity.weight("treated ~ age", cohort.assign(sw=cohort["sw"].where(cohort.index != 7, 0.0)), weights="sw")


def test_separation_names_the_term(cohort):
    cohort.loc[cohort["site"] == "c", "treated"] = 1
    with pytest.warns(SeparationWarning, match=r"coefficient of 'C\(site\)\[T.c\]' runs to infinity"):
        propensity.weight("treated ~ age + C(site)", cohort)


def test_a_lopsided_score_warns_with_numbers():
    rng = np.random.default_rng(2)
    x = rng.normal(size=500)
    data = pd.DataFrame({"treated": (rng.random(500) < 1 / (1 + np.exp(-4 * x))).astype(int), "x": x})
    with pytest.warns(PositivityWarning, match=r"of 500 rows have a propensity score within 0.001.*ATE leans on"):
        propensity.weight("treated ~ x", data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        propensity.weight("treated ~ x", data, estimand="ATO")


def test_a_dominant_row_is_named():
    x = np.append(np.linspace(-1, 1, 100), 8.0)
    treated = np.append((np.arange(100) % 10 < np.linspace(1, 9, 100)).astype(int), 0)
    data = pd.DataFrame({"treated": treated, "x": x}, index=[f"id{i}" for i in range(101)])
    with pytest.warns(PositivityWarning, match=r"row 'id100' carries \d+% of the weights of the \d+ control rows"):
        propensity.weight("treated ~ x", data, estimand="ATT")


def test_love_plot_shows_every_row(cohort):
    ps = propensity.weight("treated ~ age + C(site)", cohort)
    ax = ps.plot()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["propensity score", "age", "site: a", "site: b", "site: c"]
    drawn = ax.collections[2].get_offsets()[:, 0]
    np.testing.assert_allclose(drawn, ps.balance()["smd"].abs())
