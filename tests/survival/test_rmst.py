"""Restricted means: R's survRM2 and survfit, brute force, properties, bad input."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import (
    CollinearityError,
    ColumnNotFoundError,
    FormulaError,
    OptionError,
    OutcomeError,
    PredictorError,
)
from dxa_causal._core.warnings import AllCensoredWarning, ConvergenceWarning, HorizonWarning

s = dc.survival

EXACT = 1e-11  # closed forms; R's numbers have 15 digits
TIGHT = 1e-9  # log links are iterated in both programs


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/rmst/expected.json")


@pytest.fixture(scope="module")
def arms(frames):
    """The frames with the arm of each reference case."""
    lung, veteran, ovarian, pbc = (frames[n] for n in ("lung", "veteran", "ovarian", "pbc"))
    pbc = pbc.head(312).assign(years=lambda d: d["time"] / 365.25, dead=lambda d: d["status"] == 2)
    return {
        "lung": lung.assign(arm=(lung["sex"] == 2).astype(int)),
        "veteran": veteran.assign(arm=veteran["trt"] == 2),
        "ovarian": ovarian.assign(arm=ovarian["rx"]),
        "aml": frames["aml"].assign(arm=frames["aml"]["group"].map({1: "a", 2: "b"})),
        "pbc": pbc.assign(arm=pbc["trt"]),
        "rotterdam": frames["rotterdam"].assign(arm=lambda d: d["hormon"]),
    }


UNADJUSTED = {
    "lung_730": ("lung", "Surv(time, status) ~ arm", 730),
    "lung_default": ("lung", "Surv(time, status) ~ arm", None),
    "veteran_default": ("veteran", "Surv(time, status) ~ arm", None),
    "ovarian_default": ("ovarian", "Surv(futime, fustat) ~ arm", None),
    "aml_default": ("aml", "Surv(time, cens) ~ arm", None),
    "pbc_10": ("pbc", "Surv(years, dead) ~ arm", 10),
    "rotterdam_3000": ("rotterdam", "Surv(dtime, death) ~ arm", 3000),
}
ADJUSTED = {
    "lung_age": ("lung", "Surv(time, status) ~ arm", 730, ["age"]),
    "lung_three": ("lung", "Surv(time, status) ~ arm", 365, ["age", "ph.ecog", "ph.karno"]),
    "lung_default_age": ("lung", "Surv(time, status) ~ arm", None, ["age"]),
    "veteran_adjusted": ("veteran", "Surv(time, status) ~ arm", 300, ["karno", "age", "prior"]),
    "pbc_adjusted": ("pbc", "Surv(years, dead) ~ arm", 10, ["age", "bili", "albumin"]),
    "rotterdam_adjusted": ("rotterdam", "Surv(dtime, death) ~ arm", 3000, ["age", "nodes", "pgr"]),
}


def _compare_contrasts(fit, want, tolerance):
    got = fit.contrasts()
    assert got["effect_measure"].tolist() == ["RMST difference", "RMST ratio", "RMTL ratio"]
    assert (got["reason"] == "").all()
    np.testing.assert_allclose(got[["estimate", "conf_low", "conf_high", "p_value"]], want, rtol=tolerance)


@pytest.mark.parametrize("case", UNADJUSTED)
def test_survrm2_without_covariates(case, arms, expected):
    data, formula, tau = UNADJUSTED[case]
    want = expected[case]
    fit = s.rmst(formula, arms[data], tau=tau)
    assert fit.tau == want["tau"]
    by_arm = fit.by_arm()
    for row, values in zip((0, 1, 2), (want["arm0"], want["rmtl0"], want["arm1"]), strict=True):
        got = by_arm.loc[row, ["estimate", "std_error", "conf_low", "conf_high"]]
        np.testing.assert_allclose(got.to_numpy(dtype=float), values, rtol=EXACT)
    _compare_contrasts(fit, want["contrasts"], EXACT)
    tidy = fit.tidy()
    estimate, low, high, p = want["contrasts"][0]
    np.testing.assert_allclose(
        tidy.loc[0, ["estimate", "conf_low", "conf_high", "p_value"]].to_numpy(dtype=float),
        [estimate, low, high, p],
        rtol=EXACT,
    )
    np.testing.assert_allclose(
        tidy.loc[1, ["estimate", "std_error"]].to_numpy(dtype=float), want["arm0"][:2], rtol=EXACT
    )


@pytest.mark.parametrize("case", ADJUSTED)
def test_survrm2_with_covariates(case, arms, expected):
    data, formula, tau, covariates = ADJUSTED[case]
    want = expected[case]
    _compare_contrasts(s.rmst(formula, arms[data], tau=tau, covariates=covariates), want["contrasts"], TIGHT)
    for name, link, quantity in (
        ("difference", "identity", "rmst"),
        ("ratio", "log", "rmst"),
        ("lost", "log", "rmtl"),
    ):
        fit = s.rmst(formula, arms[data], tau=tau, covariates=covariates, link=link, quantity=quantity)
        tidy = fit.tidy().set_index("term").loc[["Intercept", *want["terms"][1:]]]
        rows = np.array(want[name])
        np.testing.assert_allclose(tidy[["estimate", "std_error", "statistic"]], rows[:, :3], rtol=TIGHT)
        if link == "log":
            ratio = fit.tidy(exponentiate=True).set_index("term").loc[tidy.index]
            np.testing.assert_allclose(ratio[["estimate", "conf_low", "conf_high"]], rows[:, 4:], rtol=TIGHT)


def test_factors_among_the_covariates(arms, expected):
    data = (
        arms["lung"].query("`ph.ecog` < 3").dropna(subset=["ph.karno"]).assign(ecog=lambda d: d["ph.ecog"].astype(int))
    )
    want = np.array(expected["lung_factor"]["difference"])
    fit = s.rmst("Surv(time, status) ~ arm + C(ecog) + age", data, tau=500)
    assert fit.terms == ("arm", "C(ecog)[T.1]", "C(ecog)[T.2]", "age", "Intercept")
    tidy = fit.tidy()
    np.testing.assert_allclose(tidy["estimate"], np.roll(want[:, 0], -1), rtol=TIGHT)
    np.testing.assert_allclose(tidy["std_error"], np.roll(want[:, 1], -1), rtol=TIGHT)
    same = s.rmst("Surv(time, status) ~ arm", data, tau=500, covariates=["C(ecog)", "age"])
    pd.testing.assert_frame_equal(same.tidy(), tidy)


@pytest.mark.parametrize(
    ("case", "data", "formula", "options"),
    [
        ("km_lung", "lung", "Surv(time, status) ~ 1", {}),
        ("km_celltype", "veteran", "Surv(time, status) ~ celltype", {}),
        ("km_heart", "heart", "Surv(start, stop, event) ~ 1", {}),
        ("km_weighted", "lung", "Surv(time, status) ~ sex", {"weights": "w"}),
    ],
)
def test_survfit(case, data, formula, options, frames, expected):
    want = expected[case]
    fit = s.rmst(formula, frames[data], tau=want["tau"], **options)
    by_arm = fit.by_arm().query("effect_measure == 'RMST'")
    np.testing.assert_allclose(by_arm["estimate"], np.ravel(want["rmean"]), rtol=EXACT)
    np.testing.assert_allclose(by_arm["std_error"], np.ravel(want["se"]), rtol=EXACT)


def test_several_arms_are_compared_with_the_first(frames):
    fit = s.rmst("Surv(time, status) ~ celltype", frames["veteran"], tau=150)
    means = fit.by_arm().query("effect_measure == 'RMST'").set_index("group")
    assert fit.terms == ("celltype[T.large]", "celltype[T.smallcell]", "celltype[T.squamous]", "Intercept")
    tidy = fit.tidy().set_index("term")
    for level in ("large", "smallcell", "squamous"):
        row = tidy.loc[f"celltype[T.{level}]"]
        assert row["estimate"] == pytest.approx(means["estimate"][level] - means["estimate"]["adeno"], rel=EXACT)
        se = np.hypot(means["std_error"][level], means["std_error"]["adeno"])
        assert row["std_error"] == pytest.approx(se, rel=EXACT)
    lost = s.rmst("Surv(time, status) ~ celltype", frames["veteran"], tau=150, quantity="rmtl")
    np.testing.assert_allclose(lost.tidy()["estimate"][:3], -fit.tidy()["estimate"][:3], rtol=EXACT)
    adjusted = s.rmst("Surv(time, status) ~ celltype", frames["veteran"], tau=150, covariates=["karno"])
    assert adjusted.terms == (*fit.terms[:3], "karno", "Intercept")
    assert len(adjusted.contrasts()) == 9


def _ipcw_by_hand(time, event, arm, x, tau):
    """Estimate and covariance with every sum written out (Tian, Zhao and Wei, identity link)."""
    y = np.minimum(time, tau)
    known = np.where(y == tau, 1, event)
    n, p = x.shape
    g = np.empty(n)
    for i in range(n):
        g[i] = 1.0
        for u in np.unique(y[(arm == arm[i]) & (known == 0) & (y <= y[i])]):
            own = arm == arm[i]
            g[i] *= 1 - np.sum(own & (y == u) & (known == 0)) / np.sum(own & (y >= u))
    w = np.where(known == 1, 1 / np.where(g > 0, g, 1), 0)
    beta = np.linalg.solve((x * w[:, None]).T @ x, x.T @ (w * y))
    score = x * (w * (y - x @ beta))[:, None]
    kappa = score.copy()
    for i in range(n):
        own = arm == arm[i]
        if known[i] == 0:
            kappa[i] += score[own & (y >= y[i])].sum(axis=0) / np.sum(own & (y >= y[i]))
        for j in np.flatnonzero(own & (known == 0) & (y <= y[i])):
            kappa[i] -= score[own & (y >= y[j])].sum(axis=0) / np.sum(own & (y >= y[j])) ** 2
    inverse = np.linalg.inv(x.T @ x)
    return beta, inverse @ kappa.T @ kappa @ inverse


def _simulated(n=60, seed=3, arms=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    arm = rng.choice(arms, n)
    z = rng.normal(size=n)
    time = np.ceil(rng.exponential(8 * np.exp(0.3 * z)))
    censored = np.ceil(rng.exponential(12, n))
    return pd.DataFrame(
        {"time": np.minimum(time, censored), "event": (time <= censored).astype(int), "arm": arm, "z": z}
    )


def test_regression_against_its_definition():
    data = _simulated()
    fit = s.rmst("Surv(time, event) ~ arm + z", data, tau=9)
    arm = data["arm"].to_numpy()
    x = np.column_stack([arm == "b", arm == "c", data["z"], np.ones(len(data))]).astype(float)
    beta, covariance = _ipcw_by_hand(data["time"].to_numpy(), data["event"].to_numpy(), arm, x, 9.0)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-9, atol=1e-12)


def test_pooled_censoring_without_an_arm():
    data = _simulated()
    fit = s.rmst("Surv(time, event) ~ 1", data, tau=9, covariates=["z"])
    x = np.column_stack([data["z"], np.ones(len(data))])
    beta, _ = _ipcw_by_hand(data["time"].to_numpy(), data["event"].to_numpy(), np.zeros(len(data)), x, 9.0)
    assert fit.terms == ("z", "Intercept")
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"covariates": ["z"]}, {"covariates": ["z"], "link": "log"}])
def test_properties(options):
    data = _simulated()
    fit = s.rmst("Surv(time, event) ~ arm", data, tau=9, **options)
    shuffled = s.rmst("Surv(time, event) ~ arm", data.sample(frac=1, random_state=1), tau=9, **options)
    np.testing.assert_allclose(shuffled.tidy().iloc[:, 1:], fit.tidy().iloc[:, 1:], rtol=1e-9)
    weeks = s.rmst("Surv(time, event) ~ arm", data.assign(time=data["time"] / 7), tau=9 / 7, **options)
    shift = np.where(np.array(fit.terms) == "Intercept", np.log(7), 0)
    ours = weeks.coefficients + shift if "link" in options else weeks.coefficients * 7
    np.testing.assert_allclose(ours, fit.coefficients, rtol=1e-9, atol=1e-12)
    twice = data.assign(w=np.where(data["z"] > 0, 2, 1))
    repeated = pd.concat([twice, twice[twice["w"] == 2]], ignore_index=True)
    weighted = s.rmst("Surv(time, event) ~ arm", twice, tau=9, weights="w", **options)
    np.testing.assert_allclose(
        weighted.coefficients, s.rmst("Surv(time, event) ~ arm", repeated, tau=9, **options).coefficients, rtol=1e-9
    )
    ones = s.rmst("Surv(time, event) ~ arm", data.assign(w=1), tau=9, weights="w", **options)
    np.testing.assert_allclose(ones.coefficients, fit.coefficients, rtol=1e-12)
    if options:  # without covariates the robust error is not Greenwood's
        np.testing.assert_allclose(ones.covariance, fit.covariance, rtol=1e-9)
    else:
        np.testing.assert_allclose(np.diag(ones.covariance), np.diag(fit.covariance), rtol=0.15)


def test_without_censoring_regression_is_least_squares():
    data = _simulated().assign(event=1)
    fit = s.rmst("Surv(time, event) ~ arm + z", data, tau=9)
    x = np.column_stack([data["arm"] == "b", data["arm"] == "c", data["z"], np.ones(len(data))]).astype(float)
    y = np.minimum(data["time"], 9)
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    residual = y.to_numpy() - x @ beta
    bread = np.linalg.inv(x.T @ x)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, bread @ (x.T * residual**2) @ x @ bread, rtol=1e-9)


def test_arm_is_read_as_groups():
    data = _simulated(arms=("a", "b"))
    by_text = s.rmst("Surv(time, event) ~ arm", data, tau=9)
    assert by_text.terms == ("arm[T.b]", "Intercept")
    for values in (data["arm"] == "b", (data["arm"] == "b") * 1, (data["arm"] == "b") + 1.0, (data["arm"] == "b") * 5):
        for formula in ("Surv(time, event) ~ arm", "Surv(time, event) ~ arm + z"):
            fit = s.rmst(formula, data.assign(arm=values), tau=9)
            assert fit.terms[0] == "arm"
            want = s.rmst(formula, data, tau=9)
            np.testing.assert_allclose(fit.coefficients, want.coefficients, rtol=1e-10)
    coded = s.rmst("Surv(time, event) ~ C(arm)", data.assign(arm=(data["arm"] == "b") * 1), tau=9)
    assert coded.terms == ("C(arm)[T.1]", "Intercept")
    other_way = pd.Categorical(data["arm"], ["b", "a"])
    fit = s.rmst("Surv(time, event) ~ arm", data.assign(arm=other_way), tau=9)
    assert fit.terms == ("arm[T.a]", "Intercept")
    assert fit.coefficients[0] == pytest.approx(-by_text.coefficients[0])


def test_pseudo_observations_as_response(arms, expected):
    fit = s.rmst("Surv(time, status) ~ sex + age", arms["lung"], tau=500, method="pseudo")
    want = expected["lm_rmst"]
    assert fit.terms == ("sex", "age", "Intercept")
    np.testing.assert_allclose(fit.tidy()["estimate"][:2], want["coef"][1:], rtol=EXACT)
    np.testing.assert_allclose(fit.tidy()["std_error"][:2], want["se"][1:], rtol=EXACT)
    log = s.rmst("Surv(time, status) ~ sex + age", arms["lung"], tau=500, method="pseudo", link="log")
    want = expected["gee_rmst_log"]
    np.testing.assert_allclose(log.tidy()["estimate"][:2], want["coef"][1:], rtol=TIGHT)
    np.testing.assert_allclose(log.tidy()["std_error"][:2], want["se"][1:], rtol=TIGHT)
    alone = s.rmst("Surv(time, status) ~ 1", arms["lung"], tau=500, method="pseudo")
    assert alone.terms == ("Intercept",)
    assert len(alone.contrasts()) == 0
    mean = s.rmst("Surv(time, status) ~ 1", arms["lung"], tau=500).by_arm()["estimate"][0]
    assert alone.coefficients[0] == pytest.approx(mean, rel=EXACT)


def test_the_log_scale_without_covariates_is_the_ratio(arms):
    fit = s.rmst("Surv(time, status) ~ arm", arms["lung"], tau=730, link="log", quantity="rmtl")
    ratio = fit.contrasts().query("effect_measure == 'RMTL ratio'").iloc[0]
    got = fit.tidy(exponentiate=True).iloc[0]
    for column in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert got[column] == pytest.approx(ratio[column], rel=EXACT)


def test_horizon():
    data = pd.DataFrame(
        {"time": [1, 2, 3, 4, 1, 3, 5, 8], "died": [1, 1, 0, 1, 1, 0, 1, 0], "arm": list("aaaabbbb"), "z": range(8)}
    )
    # the curve of arm a is at 0 from 4 on, so that only arm b, censored at 8, ends the horizon
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert s.rmst("Surv(time, died) ~ arm", data).tau == 8
    with pytest.warns(HorizonWarning, match=r"group 'a': tau=6 lies beyond the last observation \(4\), an event"):
        fit = s.rmst("Surv(time, died) ~ arm", data, tau=6)
    a = fit.by_arm().iloc[0]
    assert a["estimate"] == pytest.approx(s.rmst("Surv(time, died) ~ arm", data, tau=4).by_arm().loc[0, "estimate"])
    with pytest.warns(HorizonWarning) as said:
        assert s.rmst("Surv(time, died) ~ arm", data, tau=9).tau == 8
    assert "tau=9 lies beyond follow-up: group 'b' ends in censoring at 8" in str(said[0].message)
    with pytest.warns(HorizonWarning, match="the curve ends in censoring at 8"):
        assert s.rmst("Surv(time, died) ~ 1", data, tau=9).glance()["tau"][0] == 8
    ended = data.assign(died=[1, 1, 0, 1, 1, 0, 1, 1])
    assert s.rmst("Surv(time, died) ~ arm", ended).tau == 8
    with pytest.warns(HorizonWarning, match="an event"):
        s.rmst("Surv(time, died) ~ arm", ended, tau=20, covariates=["z"])
    for bad in (0, -3, np.nan, np.inf, "730"):
        with pytest.raises(OptionError, match="must be a positive number"):
            s.rmst("Surv(time, died) ~ arm", data, tau=bad)
    with pytest.raises(OutcomeError, match="no event happens before tau=0.5: every restricted mean is 0.5"):
        s.rmst("Surv(time, died) ~ arm", data, tau=0.5)


def test_an_arm_that_loses_no_time_has_no_ratio():
    data = pd.DataFrame(
        {"time": [5, 6, 7, 8, 1, 3, 5, 8], "died": [0, 0, 1, 0, 1, 0, 1, 0], "arm": list("aaaabbbb"), "z": range(8)}
    )
    table = s.rmst("Surv(time, died) ~ arm", data, tau=5).contrasts()
    assert table["reason"].tolist() == ["", "", "no time is lost in some group: no ratio exists"]
    assert np.isfinite(table["estimate"][:2]).all()
    assert np.isnan(table["conf_low"][2])
    with pytest.warns(ConvergenceWarning, match="no logarithm of the RMTL exists"):
        s.rmst("Surv(time, died) ~ arm", data, tau=5, quantity="rmtl", link="log")
    adjusted = s.rmst("Surv(time, died) ~ arm + z", data, tau=5).contrasts()
    assert adjusted["reason"][2] != ""
    with pytest.warns(AllCensoredWarning, match="'a' has no event"):
        s.rmst("Surv(time, died) ~ arm", data.assign(died=[0] * 4 + [1, 0, 1, 0]), tau=5)


def test_bad_input(arms):
    lung = arms["lung"]
    with pytest.raises(FormulaError, match="must begin with the arm"):
        s.rmst("Surv(time, status) ~ log(age) + arm", lung)
    with pytest.raises(PredictorError, match=r"the first variable on the right is the arm, but 'age' holds \d+ values"):
        s.rmst("Surv(time, status) ~ age + arm", lung)
    with pytest.raises(PredictorError, match=r"the arm 'arm' has one value \(1\).*write ~ 1"):
        s.rmst("Surv(time, status) ~ arm", lung.query("arm == 1"))
    with pytest.raises(ColumnNotFoundError, match="the arm: no column 'amr'; did you mean 'arm'"):
        s.rmst("Surv(time, status) ~ amr", lung)
    with pytest.raises(CollinearityError, match="'twice' is a linear combination of 'age'"):
        s.rmst("Surv(time, status) ~ arm + age + twice", lung.assign(twice=lung["age"] * 2), tau=365)
    seen_only_censored = lung.assign(rare=((lung["time"] < 365) & (lung["status"] == 0)) * 1)
    with pytest.raises(CollinearityError, match="rows followed to their event or to tau=365: 'rare'"):
        s.rmst("Surv(time, status) ~ arm + rare", seen_only_censored, tau=365)
    late = lung.assign(entry=0.5)
    with pytest.raises(OutcomeError, match="not delayed entry"):
        s.rmst("Surv(entry, time, status) ~ arm + age", late, tau=365)
    with pytest.raises(OptionError, match="weights are not taken with method='pseudo'"):
        s.rmst("Surv(time, status) ~ arm", lung, tau=365, method="pseudo", weights="age")
    with pytest.raises(OptionError, match="method='km' is not allowed"):
        s.rmst("Surv(time, status) ~ arm", lung, method="km")
    with pytest.raises(OptionError, match="exponentiate=True has no meaning"):
        s.rmst("Surv(time, status) ~ arm", lung, tau=365).tidy(exponentiate=True)


def test_missing_rows_are_dropped_once(arms):
    fit = s.rmst("Surv(time, status) ~ arm + ph.ecog", arms["lung"], tau=365)
    assert fit.nobs == fit.curves.nobs == 227
    assert "1 dropped" in str(fit)
    assert fit.glance().loc[0, ["nobs", "n_groups", "tau", "method"]].tolist() == [227, 2, 365, "IPCW"]


def test_plots(arms):
    ax = s.rmst("Surv(time, status) ~ arm", arms["lung"], tau=365).plot()
    assert len(ax.collections) >= 4
    labels = [
        t.get_text() for t in s.rmst("Surv(time, status) ~ arm + age", arms["lung"], tau=365).plot().get_yticklabels()
    ]
    assert labels == ["arm", "age"]


def test_names_that_need_quoting_and_polars_frames(arms):
    lung = arms["lung"].assign(**{"the arm": lambda d: d["arm"], "an.arm": lambda d: d["arm"]})
    want = s.rmst("Surv(time, status) ~ arm + age", lung, tau=365).tidy().iloc[:, 1:]
    for name, text in (("the arm", "`the arm`"), ("an.arm", "an.arm")):
        fit = s.rmst(f"Surv(time, status) ~ {text}", pl.from_pandas(lung), tau=365, covariates="age")
        assert fit.terms == (name, "age", "Intercept")
        pd.testing.assert_frame_equal(fit.tidy().iloc[:, 1:], want)
