"""Rubin's rules against R's mice and mitml, on stored imputations."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, ImputationError, OptionError
from dxa_causal._numerics.logistic import fit_logistic

RTOL = 1e-9
RTOL_GLM = 1e-7  # R's glm takes its covariance from the iteration before the last
QUANTITIES = ("estimate", "std_error", "statistic", "df", "conf_low", "conf_high", "fmi", "lambda", "riv")
pool = dc.imputation.pool


@pytest.fixture(scope="module")
def expected(reference):
    return reference("imputation/expected.json")


@pytest.fixture(scope="module")
def stored(frames, expected):
    """The imputations R made, stacked as mice writes them."""
    pbc = frames["pbc"].assign(died=lambda d: (d["status"] == 2) * 1)
    pbc = pbc[["time", "died", "age", "bili", "chol", "trig", "platelet"]]
    parts = [pbc.assign(**{".imp": 0, ".id": np.arange(1, len(pbc) + 1)})]
    for i in range(6):
        part = parts[0].assign(**{".imp": i + 1})
        for name, values in expected["values"].items():
            part.loc[part[name].isna(), name] = np.array(values)[:, i]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def imp(stored):
    return dc.imputation.from_long(stored)


def cox(d):
    return dc.survival.cox("Surv(time, died) ~ age + bili + chol + platelet", d)


def lm(d):
    return smf.ols("np.log(bili) ~ age + chol + trig", d).fit()


def glm(d):
    x = np.column_stack([np.ones(len(d)), d["age"], d["chol"]])
    fit = fit_logistic(x, (d["bili"] > 2).to_numpy(float))
    return fit.coefficients, fit.covariance


@pytest.mark.parametrize(
    ("case", "fit", "options"),
    [
        ("cox", cox, {}),
        ("lm", lm, {}),
        ("lm_infinite", lm, {"df_complete": np.inf}),
        ("glm", glm, {"df_complete": 415}),
    ],
)
def test_rules_agree_with_mice(imp, expected, case, fit, options):
    wanted = expected[case]
    pooled = pool(imp, fit, **options)
    table = pooled.tidy(conf_level=0.9)
    for name in QUANTITIES:
        np.testing.assert_allclose(table[name], wanted[name], rtol=RTOL_GLM if case == "glm" else RTOL, err_msg=name)
    np.testing.assert_allclose(table["p_value"], wanted["p_value"], rtol=1e-7)  # tails magnify the last digits
    if case != "lm_infinite":
        assert pooled.df_complete == wanted["df_complete"]


@pytest.mark.parametrize(("case", "fit"), [("cox", cox), ("lm", lm)])
def test_wald_tests_agree_with_mitml(imp, expected, case, fit):
    for wanted in expected[case]["tests"]:
        # mitml takes an infinite sample where no df are named
        complete = wanted.get("df_complete") or np.inf
        found = pool(imp, fit, df_complete=complete).test(wanted["terms"], method=wanted["method"])
        np.testing.assert_allclose(found.statistic, wanted["statistic"], rtol=RTOL)
        np.testing.assert_allclose(found.p_value, wanted["p_value"], rtol=1e-7)
        assert found.df == wanted["df1"]
        assert f"{wanted['df2']:.6g}" in found.method


def test_stored_regression_of_nhanes(reference):
    """mice's own example: what lm gave for each of five stored imputations, pooled."""
    wanted = reference("imputation/stored.json")
    fits = [(pd.Series(c, wanted["term"]), v) for c, v in zip(wanted["coef"], wanted["vcov"], strict=True)]
    table = pool(list(_numbered(5)), lambda d: fits[d.index[0]], df_complete=wanted["df_residual"]).tidy()
    assert list(table["term"]) == wanted["term"]
    for name in ("estimate", "std_error", "df", "fmi", "lambda", "riv"):
        np.testing.assert_allclose(table[name], wanted[name], rtol=RTOL, err_msg=name)


def test_rules_by_hand():
    """The formulas, spelt out."""
    rng = np.random.default_rng(1)
    estimates, covariance = rng.normal(size=(5, 2)), np.diag([0.5, 2.0])
    table = pool(list(_numbered(5)), lambda d: (estimates[d.index[0]], covariance), df_complete=22).tidy()
    for k in range(2):
        b = sum((e - estimates[:, k].mean()) ** 2 for e in estimates[:, k]) / 4
        total = covariance[k, k] + 1.2 * b
        lam = 1.2 * b / total
        df = 1 / (lam**2 / 4 + 1 / (23 / 25 * 22 * (1 - lam)))
        row = table.iloc[k]
        np.testing.assert_allclose(row[["std_error", "df", "lambda"]].astype(float), [np.sqrt(total), df, lam])
        np.testing.assert_allclose(row["fmi"], (row["riv"] + 2 / (df + 3)) / (1 + row["riv"]))


def _numbered(m):
    return (pd.DataFrame({"x": [1.0]}, index=[i]) for i in range(m))


def test_without_variation_between_imputations_nothing_is_added():
    table = pool(list(_numbered(4)), lambda d: (1.0, 0.5)).tidy()
    assert table["std_error"].item() == 0.5
    assert table["riv"].item() == 0
    assert table["lambda"].item() == 0


def test_one_coefficient_tested_is_its_t_test_squared():
    estimates = np.random.default_rng(2).normal(1, 0.3, 30)
    pooled = pool(list(_numbered(30)), lambda d: ([estimates[d.index[0]]], [[0.04]]))
    np.testing.assert_allclose(pooled.test().statistic, pooled.tidy()["statistic"].item() ** 2)


def test_exponentiate_and_scales(imp):
    pooled = pool(imp, cox)
    plain, ratio = pooled.tidy(), pooled.tidy(exponentiate=True)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratio[name], np.exp(plain[name]))
    np.testing.assert_allclose(ratio["std_error"], plain["std_error"])
    np.testing.assert_allclose(pooled.covariance.diagonal(), plain["std_error"] ** 2)

    def share(d):
        return float(np.mean(d["chol"] > 300)), 0.02

    def logit(d):
        p, se = share(d)
        return np.log(p / (1 - p)), se / (p * (1 - p))

    by_scale, by_hand = pool(imp, share, scale="logit").tidy(), pool(imp, logit).tidy()
    np.testing.assert_allclose(by_scale["estimate"], 1 / (1 + np.exp(-by_hand["estimate"])))
    np.testing.assert_allclose(by_scale["conf_low"], 1 / (1 + np.exp(-by_hand["conf_low"])))
    np.testing.assert_allclose(by_scale["std_error"], by_hand["std_error"])
    for scale in ("log", "cloglog"):
        table = pool(imp, share, scale=scale).tidy()
        assert (table["conf_low"] < table["estimate"]).all()
        assert (table["conf_high"] > table["estimate"]).all()
    with pytest.raises(OptionError, match="logit scale"):
        pool(imp, share, scale="logit").tidy(exponentiate=True)
    with pytest.raises(ImputationError, match="between 0 and 1"):
        pool(imp, lambda d: (d["chol"].mean(), 1.0), scale="logit")


def test_limits_of_cloglog_are_in_order(imp):
    table = pool(imp, lambda d: (0.3, 0.02), scale="cloglog").tidy()
    assert table["conf_low"].item() < 0.3 < table["conf_high"].item()


def test_tables_are_matched_by_all_their_keys(imp):
    curves = pool(imp, lambda d: dc.survival.kaplan_meier("Surv(time, died) ~ 1", d).predict([1000, 2000]))
    assert list(curves.tidy()["time"]) == [1000, 2000]
    assert curves.test().applicable is False


def test_terms_are_chosen(imp):
    chosen = pool(imp, cox, terms=["age", "chol"])
    assert list(chosen.tidy()["term"]) == ["age", "chol"]
    pd.testing.assert_frame_equal(
        chosen.tidy().reset_index(drop=True), pool(imp, cox).tidy().iloc[[0, 2]].reset_index(drop=True)
    )
    assert chosen.covariance.shape == (2, 2)
    with pytest.raises(ColumnNotFoundError, match="chol"):
        pool(imp, cox, terms=["cho"])


@pytest.mark.slow
def test_same_for_any_number_of_jobs(imp):
    pd.testing.assert_frame_equal(pool(imp, cox, n_jobs=2).tidy(), pool(imp, cox).tidy())


def test_long_format_round_trip(imp, stored):
    back = imp.to_long(original=True)
    pd.testing.assert_frame_equal(back[stored.columns], stored, check_dtype=False)
    without = dc.imputation.from_long(stored[stored[".imp"] > 0])
    pd.testing.assert_frame_equal(without.to_long(), imp.to_long(), check_dtype=False)
    assert imp.missing["n_missing"].tolist() == [134, 136, 11]
    assert imp.complete(0)["chol"].isna().sum() == 134


def test_one_imputation_is_refused(stored):
    one = dc.imputation.from_long(stored[stored[".imp"] <= 1])
    with pytest.raises(ImputationError, match="at least two imputations, there is 1"):
        pool(one, cox)
    with pytest.raises(ImputationError, match="there are 0"):
        pool([], cox)


def test_failing_fits_are_named(imp):
    def sometimes(d):
        if d["chol"].sum() == imp.complete(3)["chol"].sum():
            raise ValueError("no convergence")
        return cox(d)

    with pytest.raises(ImputationError, match=r"failed in 1 of 6 imputations \(3\): ValueError: no convergence"):
        pool(imp, sometimes)


def test_different_terms_are_refused():
    frames = [pd.DataFrame({"term": t, "estimate": 1.0, "std_error": 1.0}) for t in (["a", "b"], ["a"])]
    with pytest.raises(ImputationError, match="imputation 2 lacks 'b'"):
        pool(frames, lambda d: d)
    with pytest.raises(ImputationError, match="imputation 2 also has 'b'"):
        pool(frames[::-1], lambda d: d)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3.0, "returned float"),
        (pd.DataFrame({"estimate": [1.0]}), "no column 'std_error'"),
        (([1.0, 2.0], [[1.0]]), "shapes"),
        ((np.nan, 1.0), "only finite ones"),
        ((1.0, 2.0, 3.0), "returned 3 values"),
    ],
)
def test_results_that_cannot_be_pooled(returned, message):
    with pytest.raises(ImputationError, match=message):
        pool(list(_numbered(2)), lambda d: returned)


def test_options_are_checked(imp):
    with pytest.raises(OptionError, match="scale='logg'"):
        pool(imp, cox, scale="logg")
    with pytest.raises(OptionError, match="df_complete"):
        pool(imp, cox, df_complete=0)
    with pytest.raises(OptionError, match="must be a list"):
        pool(imp, cox, terms="age")
    with pytest.raises(OptionError, match="made elsewhere"):
        imp.extend(m=9)


def test_long_frames_that_do_not_fit(stored):
    with pytest.raises(ColumnNotFoundError, match=r"\.imp"):
        dc.imputation.from_long(stored.drop(columns=".imp"))
    with pytest.raises(ImputationError, match="the same rows"):
        dc.imputation.from_long(stored.iloc[:-1])
    with pytest.raises(ImputationError, match="no imputation beside 0"):
        dc.imputation.from_long(stored[stored[".imp"] == 0])
    with pytest.raises(ImputationError, match="twice"):
        dc.imputation.from_long(stored.assign(**{".id": 1}))


def test_mistakes_of_a_long_day(imp, stored):
    with pytest.raises(OptionError, match="must be a function of a completed frame"):
        pool(cox, imp)
    with pytest.raises(OptionError, match="must come from imputation.chained"):
        pool(imp.complete(1), cox)
    with pytest.raises(OptionError, match="df_complete='many'"):
        pool(imp, cox, df_complete="many")
    with pytest.raises(ImputationError, match="errors not below 0"):
        pool(list(_numbered(2)), lambda d: (1.0, -1.0))
    for m in (3.5, "9"):
        with pytest.raises(OptionError, match="must be a whole number"):
            imp.extend(m)
    pooled = pool(imp, cox)
    term = pooled.keys["term"].iloc[0]
    assert pooled.test([term, term]).statistic == pooled.test([term]).statistic
    as_text = dc.imputation.from_long(stored.assign(**{".imp": stored[".imp"].astype(str)}))
    pd.testing.assert_frame_equal(as_text.missing, dc.imputation.from_long(stored).missing)
