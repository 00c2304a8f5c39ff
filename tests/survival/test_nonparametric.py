"""Kaplan-Meier, Nelson-Aalen, Aalen-Johansen, log-rank and Gray: R's numbers, brute force, properties, bad input."""

import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal._core import warnings as named

s = dc.survival

# Closed forms differ by rounding only, the jackknife by the order of long sums.
EXACT = 1e-12
JACKKNIFE = 1e-11
# Chi-squares with several degrees of freedom go through two ways of inverting a matrix.
CHI_SQUARE = 1e-10
LIMITS = ("conf_low", "conf_high")


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/nonparametric/expected.json")


@pytest.fixture(scope="module")
def data(frames):
    """Frames with the columns generate.R derives."""
    made = {
        "lung": frames["lung"].dropna(subset=["inst"]),
        "pbc": frames["pbc"].assign(
            w=lambda d: 0.5 + d["age"] % 5 / 4, score=lambda d: d["stage"].map({1: 0, 2: 1, 3: 5, 4: 6})
        ),
        "heart": frames["heart"].assign(w=lambda d: 1 + d["id"] % 4 / 3, row=range(len(frames["heart"]))),
        "veteran": frames["veteran"].assign(w=lambda d: 1 + d["age"] % 3, u=lambda d: 0.7 + d["age"] % 4 / 3),
        "mgus2": frames["mgus2_cr"].assign(
            w=lambda d: 0.6 + d["age"] % 7 / 5,
            years=lambda d: np.ceil(d["etime"] / 12),
            band=lambda d: np.where(d["age"] < 65, 1, np.where(d["age"] < 75, 2, 3)),
            entry=lambda d: np.where(d["id"] % 3 == 0, 0.4 * d["etime"], 0.0),
            until=lambda d: d["etime"] + 0.5,
        ),
        "diabetic": frames["diabetic"],
        "small": pd.DataFrame(
            {
                "t": [1, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7, 8],
                "e": [1, 2, 1, 2, 0, 1, 2, 1, 2, 2, 1, 1],
                "g": list("abb") * 4,
            }
        ),
        "example": pd.DataFrame({"t": range(1, 9), "e": [1, 1, 2, 1, 2, 0, 1, 2], "g": list("aaababbb")}),
    }
    first = made["mgus2"].assign(start=0.0, stop=lambda d: np.minimum(d["until"], 20))
    first["event"] = np.where(first["until"] > 20, 0, first["event"])
    later = made["mgus2"].query("until > 20").assign(start=20.0, stop=lambda d: d["until"])
    made["split"] = pd.concat([first, later], ignore_index=True)
    return made


def close(got, want, rtol=EXACT, **options):
    np.testing.assert_allclose(np.asarray(got, dtype=float), np.asarray(want, dtype=float), rtol=rtol, **options)


KM = {
    f"km_pbc_weights_{t}": ("pbc", "Surv(time, status == 2) ~ sex", {"weights": "w", "conf_type": t})
    for t in ("plain", "log", "log-log", "logit", "arcsin")
} | {
    "km_lung_cluster": ("lung", "Surv(time, status) ~ sex", {"cluster": "inst"}),
    "km_lung_weights_cluster": ("lung", "Surv(time, status) ~ 1", {"weights": "w", "cluster": "inst"}),
    "km_diabetic_cluster": ("diabetic", "Surv(time, status) ~ 1", {"cluster": "id"}),
    "km_heart_cluster": ("heart", "Surv(start, stop, event) ~ 1", {"cluster": "id"}),
    "km_heart_weights_cluster": ("heart", "Surv(start, stop, event) ~ surgery", {"weights": "w", "cluster": "id"}),
    "km_heart_weights": ("heart", "Surv(start, stop, event) ~ 1", {"weights": "w"}),
}


@pytest.mark.parametrize("case", KM)
def test_kaplan_meier(case, data, expected):
    frame, formula, options = KM[case]
    want = expected[case]
    fit = s.kaplan_meier(formula, data[frame], **options)
    assert fit.robust
    got = fit.predict(want["times"])
    for ours, theirs in {"n_risk": "n_risk", "estimate": "surv", "std_error": "se"}.items():
        close(got[ours], want[theirs], JACKKNIFE, err_msg=ours)
    close(got["conf_low"], want["lower"], JACKKNIFE)
    close(got["conf_high"], want["upper"], JACKKNIFE)
    median = fit.median()
    close(median["estimate"], np.ravel(want["median"]))
    close(median["conf_low"], np.ravel(want["median_lower"]))
    close(median["conf_high"], np.ravel(want["median_upper"]))


NA = {
    "veteran": ("veteran", "Surv(time, status) ~ 1", {}),
    "veteran_loglog": ("veteran", "Surv(time, status) ~ trt", {"conf_type": "log"}),
    "veteran_integer": ("veteran", "Surv(time, status) ~ 1", {"weights": "w"}),
    "veteran_weights": ("veteran", "Surv(time, status) ~ 1", {"weights": "u"}),
    "veteran_cluster": ("veteran", "Surv(time, status) ~ trt", {"weights": "u", "cluster": "celltype"}),
    "heart": ("heart", "Surv(start, stop, event) ~ 1", {}),
    "heart_cluster": ("heart", "Surv(start, stop, event) ~ 1", {"weights": "w", "cluster": "id"}),
}


@pytest.mark.parametrize(("ctype", "ties"), [(1, "nelson-aalen"), (2, "fleming-harrington")])
@pytest.mark.parametrize("case", NA)
def test_nelson_aalen(case, ctype, ties, data, expected):
    frame, formula, options = NA[case]
    want = expected[f"na_{case}_{ctype}"]
    fit = s.nelson_aalen(formula, data[frame], ties=ties, **options)
    hazard = fit.predict(want["times"])
    close(hazard["estimate"], want["hazard"])
    close(hazard["std_error"], want["hazard_se"], JACKKNIFE)
    close(hazard["n_risk"], want["n_risk"])
    if fit.robust and ctype == 1:
        return  # survfit 3.5-3 reports the error of H as that of exp(-H) here, though not for ctype = 2
    survival = fit.predict(want["times"], type="survival")
    for ours, theirs in {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}.items():
        close(survival[ours], want[theirs], JACKKNIFE, err_msg=ours)


AJ = {
    f"aj_mgus2_{t}": ("mgus2", "Surv(etime, event) ~ 1", {"conf_type": t}) for t in ("log", "plain", "log-log", "logit")
} | {
    "aj_mgus2_sex": ("mgus2", "Surv(etime, event) ~ sex", {}),
    "aj_mgus2_ties": ("mgus2", "Surv(years, event) ~ sex", {}),
    "aj_mgus2_weights": ("mgus2", "Surv(etime, event) ~ sex", {"weights": "w"}),
    "aj_mgus2_entry": ("mgus2", "Surv(entry, until, event) ~ sex", {}),
    "aj_mgus2_entry_weights": ("mgus2", "Surv(entry, until, event) ~ sex", {"weights": "w"}),
    "aj_mgus2_split": ("split", "Surv(start, stop, event) ~ sex", {"weights": "w", "cluster": "id"}),
}


@pytest.mark.parametrize("case", AJ)
def test_aalen_johansen(case, data, expected):
    frame, formula, options = AJ[case]
    want = expected[case]
    got = s.aalen_johansen(formula, data[frame], **options).predict(want["times"])
    names = {"estimate": "estimate", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
    for i, (_, curves) in enumerate(got.groupby("group", sort=False)):
        own = slice(i * len(want["times"]), (i + 1) * len(want["times"]))
        for c, (_, curve) in enumerate(curves.groupby("cause", sort=False)):
            for ours, theirs in names.items():
                close(curve[ours], np.asarray(want[theirs])[own, c], JACKKNIFE, err_msg=ours)


@pytest.mark.parametrize(
    ("case", "frame", "formula"),
    [
        ("cuminc_mgus2_sex", "mgus2", "Surv(etime, event) ~ sex"),
        ("cuminc_mgus2_ties", "mgus2", "Surv(years, event) ~ band"),
        ("cuminc_small", "small", "Surv(t, e) ~ g"),
    ],
)
def test_cuminc_variance(case, frame, formula, data, expected):
    want = expected[case]
    got = s.aalen_johansen(formula, data[frame], variance="cmprsk").tidy()
    curves = {f"{g} {c}": curve for (g, c), curve in got.groupby(["group", "cause"])}
    for name, estimate, se in zip(want["curves"], want["estimate"], want["se"], strict=True):
        place = np.searchsorted(curves[name]["time"], want["times"], side="right") - 1
        known = np.array([v is not None for v in estimate])  # cuminc says nothing beyond the last time
        at = np.where(place < 0, 0, place)
        close(np.where(place < 0, 0, curves[name]["estimate"].to_numpy()[at])[known], np.array(estimate)[known])
        ours = np.where(place < 0, 0, curves[name]["std_error"].to_numpy()[at])
        close(ours[known], np.array(se)[known], JACKKNIFE, atol=1e-15)


GRAY = {
    "gray_sex": ("mgus2", "Surv(etime, event) ~ sex", {}),
    "gray_sex_rho": ("mgus2", "Surv(etime, event) ~ sex", {"rho": 1}),
    "gray_band": ("mgus2", "Surv(etime, event) ~ band", {}),
    "gray_ties": ("mgus2", "Surv(years, event) ~ band", {}),
    "gray_strata": ("mgus2", "Surv(years, event) ~ band", {"strata": "sex"}),
    "gray_strata_rho": ("mgus2", "Surv(etime, event) ~ sex", {"strata": "band", "rho": 0.5}),
    "gray_small": ("small", "Surv(t, e) ~ g", {}),
    "gray_example": ("example", "Surv(t, e) ~ g", {}),
}


@pytest.mark.parametrize("case", GRAY)
def test_gray(case, data, expected):
    frame, formula, options = GRAY[case]
    want = expected[case]
    for cause in (1, 2):
        got = s.gray_test(formula, data[frame], cause=cause, **options)
        close([got.statistic, got.df], [want["statistic"][cause - 1], want["df"][cause - 1]], CHI_SQUARE)
        close(got.p_value, want["p_value"][cause - 1], 1e-9, atol=1e-15)  # R: 1 - pchisq


LOGRANK = {
    "logrank_pbc": ("pbc", "Surv(time, status == 2) ~ stage", {}),
    "logrank_pbc_rho": ("pbc", "Surv(time, status == 2) ~ stage", {"rho": 0.5}),
    "logrank_pbc_strata": ("pbc", "Surv(time, status == 2) ~ stage", {"rho": 1, "strata": "sex"}),
    "logrank_diabetic_strata": ("diabetic", "Surv(time, status) ~ trt", {"strata": "id"}),
    "logrank_heart_entry": ("heart", "Surv(start, stop, event) ~ surgery", {}),
    "logrank_heart_entry_strata": ("heart", "Surv(start, stop, event) ~ surgery", {"strata": "transplant"}),
    "trend_pbc": ("pbc", "Surv(time, status == 2) ~ stage", {"trend": "order"}),
    "trend_pbc_scores": ("pbc", "Surv(time, status == 2) ~ stage", {"trend": [0, 1, 5, 6], "strata": "sex"}),
}
for weighting in ("gehan", "tarone-ware", "peto", "fh"):
    how = {"rho": 0.5, "gamma": 2} if weighting == "fh" else {"weighting": weighting}
    stage = "Surv(time, status == 2) ~ stage"
    LOGRANK[f"weighted_{weighting}"] = ("pbc", stage, how)
    LOGRANK[f"weighted_strata_{weighting}"] = ("pbc", stage, how | {"strata": "sex"})
    LOGRANK[f"weighted_trend_{weighting}"] = ("pbc", stage, how | {"strata": "sex", "trend": "values"})


@pytest.mark.parametrize("case", LOGRANK)
def test_logrank(case, data, expected):
    frame, formula, options = LOGRANK[case]
    got = s.logrank(formula, data[frame], **options)
    close([got.statistic, got.df], [expected[case]["statistic"], expected[case]["df"]], CHI_SQUARE)


def test_published_weighted_tests(frames):
    """Klein and Moeschberger (2003), Table 7.3, times to infection; Example 7.6, stages of larynx cancer."""
    kidney = frames["kidney_dialysis"]
    published = {
        2.53: {},
        0.002: {"weighting": "gehan"},
        0.40: {"weighting": "tarone-ware"},
        1.39: {"rho": 1},
        9.67: {"gamma": 1},
        9.83: {"rho": 1, "gamma": 1},
        8.18: {"rho": 0.5, "gamma": 2},
    }
    for value, options in published.items():
        got = s.logrank("Surv(time, delta) ~ type", kidney, **options).statistic
        assert got == pytest.approx(value, abs=0.5 * 10.0 ** -len(str(value).split(".")[1])), options
    larynx = frames["larynx"].assign(stage=lambda d: 1 + d["Stage_II"] + 2 * d["Stage_III"] + 3 * d["Stage_IV"])
    trend = s.logrank("Surv(time, death) ~ stage", larynx, trend="values")
    assert np.sqrt(trend.statistic) == pytest.approx(3.72, abs=0.005)


def simulated(seed, n=60):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"time": np.ceil(rng.exponential(6, n)) + 1, "event": rng.integers(0, 3, n)})
    frame["entry"] = np.where(rng.random(n) < 0.4, np.floor(frame["time"] * rng.random(n)), 0.0)
    frame["w"] = rng.choice([0.5, 1.3, 2.0], n)
    frame["k"] = rng.integers(1, 4, n)
    frame["c"] = rng.integers(0, 25, n)
    frame["g"] = rng.integers(0, 2, n)
    frame["died"] = (frame["event"] > 0).astype(int)
    return frame.assign(t=frame["time"], one=1.0)


def by_definition(frame, w):
    """Survival, cumulative hazard and incidences at every distinct time, one time after the other."""
    survival, hazard, incidence, rows = 1.0 + 0 * w[0], 0 * w[0], np.zeros(2, dtype=w.dtype), []
    for t in np.unique(frame["time"]):
        at_risk = ((frame["time"] >= t) & (frame["entry"] < t)).to_numpy()
        now = (frame["time"] == t).to_numpy()
        n, d = w[at_risk].sum(), np.array([w[now & (frame["event"] == c).to_numpy()].sum() for c in (1, 2)])
        incidence = incidence + survival * d / n
        hazard = hazard + d.sum() / n
        survival = survival * w[at_risk & ~(now & (frame["event"] > 0).to_numpy())].sum() / n
        rows.append([survival, hazard, *incidence])
    return np.array(rows)


def jackknife(frame, weights, clusters):
    """Square root of the sum over clusters of (sum of w times derivative)^2; derivatives by complex steps."""
    w = frame[weights].to_numpy(dtype=float)
    influence = {}
    for i in range(len(frame)):
        moved = w.astype(complex)
        moved[i] += 1e-30j
        unit = frame[clusters].iloc[i] if clusters else i
        influence[unit] = influence.get(unit, 0) + w[i] * by_definition(frame, moved).imag / 1e-30
    return np.sqrt(sum(v**2 for v in influence.values()))


@pytest.mark.parametrize("cluster", [None, "c"])
@pytest.mark.parametrize("seed", range(6))
def test_jackknife_by_definition(seed, cluster):
    frame = simulated(seed)
    options = {"weights": "w", "cluster": cluster}
    want, want_se = by_definition(frame, frame["w"].to_numpy()), jackknife(frame, "w", cluster)
    km = s.kaplan_meier("Surv(entry, time, died) ~ 1", frame, **options).tidy()
    na = s.nelson_aalen("Surv(entry, time, died) ~ 1", frame, **options).tidy()
    aj = s.aalen_johansen("Surv(entry, time, event) ~ 1", frame, **options).tidy()
    curves = [km, na, aj[aj["cause"] == 1], aj[aj["cause"] == 2]]
    for j, curve in enumerate(curves):
        close(curve["estimate"], want[:, j], JACKKNIFE, atol=1e-14)
        close(curve["std_error"], want_se[:, j], 1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::dxa_causal._core.warnings.RiskSetWarning")
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), variance=st.sampled_from(["survival", "cmprsk"]))
def test_incidences_and_survival_sum_to_one(seed, variance):
    frame = simulated(seed)
    formula = "Surv(time, {}) ~ g" if variance == "cmprsk" else "Surv(entry, time, {}) ~ g"
    aj = s.aalen_johansen(formula.format("event"), frame, variance=variance).tidy()
    km = s.kaplan_meier(formula.format("died"), frame).tidy()
    total = aj.groupby(["group", "time"])["estimate"].sum().to_numpy() + km["estimate"].to_numpy()
    close(total, np.ones(len(km)), 1e-14)
    assert (aj.groupby(["group", "cause"])["estimate"].diff().fillna(0) >= 0).all()
    assert aj["estimate"].between(0, 1 + 1e-14).all()
    assert (aj["std_error"] >= 0).all()


CURVES = {
    "km": lambda f, **o: s.kaplan_meier("Surv(entry, time, died) ~ g", f, **o),
    "na": lambda f, **o: s.nelson_aalen("Surv(entry, time, died) ~ g", f, **o),
    "fh": lambda f, **o: s.nelson_aalen("Surv(entry, time, died) ~ g", f, ties="fleming-harrington", **o),
    "aj": lambda f, **o: s.aalen_johansen("Surv(entry, time, event) ~ g", f, **o),
}


@pytest.mark.filterwarnings("ignore::dxa_causal._core.warnings.RiskSetWarning")
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(list(CURVES)))
def test_curves_keep_what_they_must(seed, name):
    estimate, frame = CURVES[name], simulated(seed)
    numbers = ["n_risk", "n_event", "estimate", "std_error"]
    plain = estimate(frame).tidy()[numbers]
    close(estimate(frame, weights="one").tidy()[numbers], plain)
    mixed = frame.sample(frac=1, random_state=seed)
    close(
        estimate(mixed, weights="w", cluster="c").tidy()[numbers],
        estimate(frame, weights="w", cluster="c").tidy()[numbers],
        1e-8,
        atol=1e-12,
    )
    years = frame.assign(time=frame["time"] / 12, entry=frame["entry"] / 12)
    close(estimate(years).tidy()[numbers], plain)
    if name != "fh":  # there tied deaths follow one another, and a death of weight three is not three deaths
        repeated = frame.loc[frame.index.repeat(frame["k"])].assign(one=1)
        same = ["n_risk", "n_event", "estimate"] + (["std_error"] if name != "aj" else [])
        close(estimate(frame, weights="k").tidy()[same], estimate(repeated).tidy()[same], 1e-11)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_comparisons_keep_what_they_must(seed):
    frame = simulated(seed, 90).assign(arm=lambda d: d["c"] % 3)
    calls = [
        lambda f: s.logrank("Surv(entry, time, died) ~ arm", f, strata="g", rho=0.5, gamma=0.5),
        lambda f: s.logrank("Surv(entry, time, died) ~ arm", f, weighting="peto", trend="order"),
        lambda f: s.gray_test("Surv(time, event) ~ arm", f, cause=2, strata="g", rho=1),
    ]
    for call in calls:
        value = call(frame).statistic
        close(call(frame.sample(frac=1, random_state=seed)).statistic, value, 1e-9)
        close(call(frame.assign(time=frame["time"] / 7, entry=frame["entry"] / 7)).statistic, value, 1e-9)
        close(call(frame.assign(arm=2 - frame["arm"])).statistic, value, 1e-9)


def test_without_other_causes_the_incidence_is_one_minus_kaplan_meier():
    frame = simulated(3).assign(event=lambda d: d["died"])
    aj = s.aalen_johansen("Surv(time, event) ~ g", frame).tidy()
    km = s.kaplan_meier("Surv(time, event) ~ g", frame, robust=True).tidy()
    close(aj["estimate"], 1 - km["estimate"], 1e-13)
    close(aj["std_error"], km["std_error"], 1e-9)


def test_trend_of_two_groups_is_the_logrank_test():
    frame = simulated(4, 200)
    plain = s.logrank("Surv(entry, time, died) ~ g", frame)
    for trend in ("order", "values", [3, -8], [2001, 2002]):
        close(s.logrank("Surv(entry, time, died) ~ g", frame, trend=trend).statistic, plain.statistic, 1e-9)


def test_predictions_are_right_continuous():
    frame = pd.DataFrame({"time": [1, 2, 2, 3], "event": [1, 2, 1, 0]})
    got = s.aalen_johansen("Surv(time, event) ~ 1", frame).predict([0.5, 1, 1.5, 2])
    assert list(got.columns) == ["group", "time", "cause", "estimate", "std_error", "conf_low", "conf_high", "n_risk"]
    first = got[got["cause"] == 1]
    close(first["estimate"], [0, 0.25, 0.25, 0.5])
    assert first["n_risk"].tolist() == [4, 4, 3, 3]
    assert first["conf_low"].isna().tolist() == [True, False, False, False]
    hazard = s.nelson_aalen("Surv(time, event > 0) ~ 1", frame).predict([0.5, 1, 2])
    close(hazard["estimate"], [0, 1 / 4, 1 / 4 + 2 / 3])
    close(hazard["conf_low"].iloc[0], 0)


def test_many_strata_take_no_time():
    rng = np.random.default_rng(1)
    n = 20_000
    pairs = pd.DataFrame(
        {"t": rng.exponential(1, n), "died": 1, "cause": rng.integers(0, 3, n), "arm": np.arange(n) % 2}
    )
    pairs["pair"] = np.arange(n) // 2
    s.gray_test("Surv(t, cause) ~ arm", pairs.head(20), cause=1, strata="pair")  # compiles
    start = time.process_time()
    s.logrank("Surv(t, died) ~ arm", pairs, strata="pair")
    s.gray_test("Surv(t, cause) ~ arm", pairs, cause=1, strata="pair")
    assert time.process_time() - start < 1.0


def test_numbers_at_risk_stand_under_every_curve():
    frame = simulated(5, 100).assign(arm=lambda d: np.where(d["g"] == 1, "new", "old"))
    for fit, first in [
        (s.kaplan_meier("Surv(time, died) ~ arm", frame), 1.0),
        (s.nelson_aalen("Surv(time, died) ~ arm", frame), 0.0),
        (s.aalen_johansen("Surv(time, event) ~ arm", frame), 0.0),
        (s.aalen_johansen("Surv(entry, time, event) ~ arm", frame), 0.0),
    ]:
        ax = fit.plot()
        texts = [text.get_text() for text in ax.texts]
        assert {"At risk", "new", "old"} <= set(texts)
        steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
        assert all(line.get_ydata()[0] == first for line in steps)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == (
            ["new", "old"] if len(steps) == 2 else [f"{a}, cause {c}" for a in ("new", "old") for c in (1, 2)]
        )
    age = frame.assign(entry=frame["entry"] + 60, time=frame["time"] + 60)
    assert s.kaplan_meier("Surv(entry, time, died) ~ arm", age).plot().get_xlim()[0] == 60


def test_bad_input():
    frame = simulated(6)
    fails = [
        (lambda: s.gray_test("Surv(time, event) ~ g", frame), errors.OutcomeError, "2 causes .*cause=1"),
        (lambda: s.gray_test("Surv(time, event) ~ g", frame, cause=3), errors.OutcomeError, "cause=3 is never seen"),
        (lambda: s.gray_test("Surv(entry, time, event) ~ g", frame, cause=1), errors.OutcomeError, "right-censored"),
        (
            lambda: s.aalen_johansen("Surv(entry, time, event) ~ g", frame, variance="cmprsk", weights="w"),
            errors.OptionError,
            "takes no weights or delayed entry",
        ),
        (lambda: s.aalen_johansen("Surv(time, event) ~ g", frame, variance="aalen"), errors.OptionError, "variance="),
        (lambda: s.aalen_johansen("Surv(time, event) ~ g", frame, conf_type="exact"), errors.OptionError, "conf_type="),
        (lambda: s.nelson_aalen("Surv(time, died) ~ g", frame, ties="efron"), errors.OptionError, "ties='efron'"),
        (lambda: s.nelson_aalen("Surv(time, died) ~ g", frame, conf_type="logit"), errors.OptionError, "conf_type="),
        (
            lambda: s.nelson_aalen("Surv(time, died) ~ g", frame).predict([1], type="risk"),
            errors.OptionError,
            "type='risk'",
        ),
        (
            lambda: s.kaplan_meier("Surv(time, died) ~ g", frame, cluster="c", robust=False),
            errors.OptionError,
            "leave robust=False out",
        ),
        (lambda: s.kaplan_meier("Surv(time, died) ~ g", frame, cluster="one"), errors.PredictorError, "has one value"),
        (
            lambda: s.kaplan_meier("Surv(time, died) ~ g", frame.assign(w=0.0), weights="w"),
            errors.PredictorError,
            "must be positive",
        ),
        (
            lambda: s.logrank("Surv(time, died) ~ g", frame, weighting="gehan", rho=1),
            errors.OptionError,
            "takes the pl",
        ),
        (lambda: s.logrank("Surv(time, died) ~ g", frame, weighting="breslow"), errors.OptionError, "weighting="),
        (lambda: s.logrank("Surv(time, died) ~ g", frame, gamma=-1), errors.OptionError, "gamma=-1"),
        (lambda: s.logrank("Surv(time, died) ~ g", frame, rho=np.nan), errors.OptionError, "rho=nan"),
        (lambda: s.logrank("Surv(time, died) ~ g", frame, trend=[1, 2, 3]), errors.OptionError, "each of the 2 groups"),
        (lambda: s.logrank("Surv(time, died) ~ g", frame, trend=[1, 1]), errors.OptionError, "all equal"),
        (
            lambda: s.logrank("Surv(time, died) ~ g", frame.assign(g=frame["g"].map({0: "a", 1: "b"})), trend="values"),
            errors.OptionError,
            "needs groups that are numbers, not 'a'",
        ),
    ]
    for call, error, text in fails:
        with pytest.raises(error, match=text):
            call()
    nobody = frame.assign(event=np.where(frame["g"] == 0, 0, frame["event"]))
    with pytest.warns(named.AllCensoredWarning, match="group 0 has no event"):
        flat = s.aalen_johansen("Surv(time, event) ~ g", nobody).tidy().query("group == 0")
    assert (flat["estimate"] == 0).all()
    with pytest.warns(named.HorizonWarning, match=r"group 1: time 1e\+06 lies beyond"):
        s.nelson_aalen("Surv(time, died) ~ g", frame.query("g == 1")).predict([1e6])
    assert "one group" in s.gray_test("Surv(time, event) ~ 1", frame, cause=1).reason
    for test in (s.logrank("Surv(time, died) ~ g", frame.assign(g="f")), s.gray_test("Surv(time, died) ~ one", frame)):
        assert re.match(r"'(g|one)' has one group \(('f'|1.0)\) in the rows analysed; a comparison needs", test.reason)
    for test in (s.logrank, s.gray_test):
        with pytest.raises(errors.OptionError, match="rho='a' must be a number"):
            test("Surv(time, died) ~ g", frame, rho="a")
    with pytest.raises(errors.OptionError, match="times is empty"):
        s.kaplan_meier("Surv(time, died) ~ 1", frame).predict([])
    apart = s.gray_test("Surv(time, event) ~ g", frame.assign(s=frame["g"]), cause=1, strata="s")
    assert "at risk together" in apart.reason


def test_few_at_risk_among_large_weights():
    """Early and late risk sets of one row keep their digits, and the curve comes down to zero exactly."""
    rng = np.random.default_rng(0)
    n = 20_000
    many = pd.DataFrame({"entry": 5.0, "t": 5 + rng.exponential(1, n), "event": 0, "w": 100 * rng.random(n)})
    few = pd.DataFrame(
        {"entry": [0, 0, 0, 90, 91], "t": [1, 2, 2, 92, 93], "event": [1, 0, 2, 2, 1], "w": [0.1, 0.2, 0.3, 0.1, 0.7]}
    )
    frame = pd.concat([many, few]).assign(died=lambda d: (d["event"] > 0).astype(int))
    km = s.kaplan_meier("Surv(entry, t, died) ~ 1", frame, weights="w").predict([1, 2, 92, 93])
    close(km["estimate"], [5 / 6, 5 / 6 * 0.4, 5 / 6 * 0.4 * 0.875, 0.0])
    assert km["estimate"].iloc[-1] == 0.0
    aj = s.aalen_johansen("Surv(entry, t, event) ~ 1", frame, weights="w").predict([93])
    close(aj["estimate"].sum(), 1.0)
    assert (aj["std_error"] < 1).all()


def test_curves_spent_before_others_enter_are_said(frames):
    """On the age scale of lung the youngest dies alone: R's survfit stays at 0 from 40.36 years, in silence."""
    lung = frames["lung"].assign(exit=lambda d: d["age"] + d["time"] / 365.25)
    spent = r"at time 40.3614 all at risk \(1\) have the event.*; 22. of 228 rows enter only later.*start later"
    with pytest.warns(named.RiskSetWarning, match=spent):
        curve = s.kaplan_meier("Surv(age, exit, status) ~ 1", lung)
    assert (curve.tidy().query("time > 40.3")["estimate"] == 0).all()
    with pytest.warns(named.RiskSetWarning, match=spent):
        s.aalen_johansen("Surv(age, exit, status) ~ 1", lung)
    with pytest.warns(named.RiskSetWarning, match=spent):
        s.rmst("Surv(age, exit, status) ~ 1", lung, tau=70)
    with pytest.warns(named.RiskSetWarning) as several:
        s.kaplan_meier("Surv(age, exit, status) ~ sex", lung)
    assert [str(w.message)[:9] for w in several] == ["group 1: ", "group 2: "]
    # the cure, and weights, which change nothing; nor is an end at 0 with nobody to come a reason to warn
    later = lung[lung["exit"] > 55].assign(age=lambda d: d["age"].clip(lower=55))
    with pytest.warns(named.RiskSetWarning, match="at time 80.9938 .* 2 of 188 rows"):
        s.kaplan_meier("Surv(age, exit, status) ~ 1", later)
    s.kaplan_meier("Surv(age, exit, status) ~ 1", later[later["age"] < 80])
    with pytest.warns(named.RiskSetWarning, match=r"all at risk \(0.3\) have the event"):
        s.kaplan_meier("Surv(age, exit, status) ~ 1", lung.assign(w=0.3), weights="w")
    s.kaplan_meier("Surv(time, status) ~ 1", lung.assign(status=1))
    s.kaplan_meier("Surv(age, exit, status) ~ 1", lung.assign(age=0, status=1))
