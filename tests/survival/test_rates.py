"""Person-time, rates, rate ratios and standardised ratios: R, Stata's and textbook examples, definitions."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from dxa_causal._core.errors import (
    DxaCausalError,
    EmptyDataError,
    FormulaError,
    MissingDataError,
    OptionError,
    OutcomeError,
    PredictorError,
)
from dxa_causal._core.warnings import AllCensoredWarning
from dxa_causal.followup.lexis import lexis_split
from dxa_causal.survival._kernels.event_counts import binomial_limits, poisson_limits, poisson_p_value
from dxa_causal.survival.direct_standardisation import standardised_rate
from dxa_causal.survival.indirect_standardisation import smr
from dxa_causal.survival.person_years import person_years
from dxa_causal.survival.rates import rate_ratio

# Closed forms and quantiles of the gamma and beta distributions differ by rounding only.
EXACT = 1e-11


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/epidemiology/expected.json")


@pytest.fixture(scope="module")
def mgus2(frames):
    return frames["mgus2"].assign(months=lambda d: d["age"] * 12.0, began=lambda d: d["dxyr"] * 12.0)


AGE = {"band": ("months", [600, 720, 840, 960])}
PERIOD = {"period": ("began", [23700, 23760, 23880])}
TABLES = {
    "mgus2_sex": ("Surv(futime, death) ~ sex", {}),
    "mgus2_years": ("Surv(futime, death) ~ sex", {"unit": 12}),
    "mgus2_age": ("Surv(futime, death) ~ sex", {"scales": AGE}),
    "mgus2_age_period": ("Surv(futime, death) ~ 1", {"scales": AGE | PERIOD}),
    "mgus2_followup": ("Surv(futime, death) ~ 1", {"scales": {"since": (None, [12, 60, 120])}}),
    "heart_entry": ("Surv(start, stop, event) ~ surgery", {"scales": {"since": (None, [30, 180])}}),
    "heart_weights": ("Surv(start, stop, event) ~ surgery", {"weights": "w"}),
}


@pytest.mark.parametrize("case", TABLES)
def test_person_years_as_pyears(case, mgus2, frames, expected):
    formula, options = TABLES[case]
    data = mgus2 if case.startswith("mgus2") else frames["heart"].assign(w=lambda d: 1 + d["id"] % 3)
    want = expected[case]
    table = person_years(formula, data, per=1, **options)
    # R's tables run through their first factor fastest
    order = table.cells.drop(columns=["n", "n_event", "person_time"]).iloc[:, ::-1]
    order = order.sort_values(list(order.columns), kind="stable").index if order.shape[1] else [0]
    got = table.tidy().loc[order]
    assert got["n"].tolist() == want["n"]
    assert got["n_event"].tolist() == want["n_event"]
    for ours in ("person_time", "conf_low", "conf_high"):
        np.testing.assert_allclose(got[ours], want[ours], rtol=EXACT, atol=1e-14, err_msg=ours)
    np.testing.assert_allclose(got["estimate"], np.divide(want["n_event"], want["person_time"]), rtol=EXACT)
    assert want["offtable"] == 0


def test_labels_of_bands(mgus2):
    labels = person_years("Surv(futime, death) ~ sex", mgus2, scales=AGE).tidy()["group"]
    assert labels.iloc[0] == "sex=F, band=<600"
    assert labels.iloc[-1] == "sex=M, band=960+"
    assert person_years("Surv(futime, death) ~ 1", mgus2, scales=AGE).tidy()["group"].tolist()[1] == "600-720"


def test_whole_weights_repeat_rows(mgus2):
    weighted = person_years("Surv(futime, death) ~ sex", mgus2.assign(w=1 + mgus2["age"] % 3), weights="w", scales=AGE)
    rows = mgus2.loc[np.repeat(mgus2.index, 1 + mgus2["age"] % 3)]
    repeated = person_years("Surv(futime, death) ~ sex", rows, scales=AGE)
    pd.testing.assert_frame_equal(weighted.tidy().drop(columns="n"), repeated.tidy().drop(columns="n"))


def test_many_cells_and_polars(mgus2):
    import polars as pl

    formula, scales = "Surv(futime, death) ~ sex + dxyr", {"band": ("months", [600, 720, 840, 960])}
    table = person_years(formula, mgus2, scales=scales)
    assert len(table.cells) > 200
    assert table.cells["person_time"].sum() == pytest.approx(mgus2["futime"].sum(), rel=1e-12)
    assert table.cells["n_event"].sum() == mgus2["death"].sum()
    pd.testing.assert_frame_equal(person_years(formula, pl.from_pandas(mgus2), scales=scales).tidy(), table.tidy())
    with pytest.raises(OptionError, match="columns of the table itself"):
        person_years("Surv(futime, death) ~ n", mgus2.assign(n=1))


# --- splits ------------------------------------------------------------------------------------------------


def _cohort(n=400, seed=1):
    rng = np.random.default_rng(seed)
    entry = rng.uniform(0, 5, n)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "entry": entry,
            "exit": entry + rng.exponential(8, n),
            "event": rng.integers(0, 2, n),
            "age_in": rng.uniform(40, 70, n),
            "year_in": rng.uniform(1990, 2000, n),
            "sex": rng.choice(["f", "m"], n),
        }
    )


SCALES = {"age": ("age_in", [50, 60, 70]), "year": ("year_in", [1995, 2000, 2005]), "since": (None, [2.5])}


def test_split_keeps_time_and_events():
    data = _cohort()
    split = lexis_split(data, entry="entry", exit="exit", event="event", scales=SCALES)
    long = (split["exit"] - split["entry"]).groupby(split["id"]).sum()
    np.testing.assert_allclose(long, data["exit"] - data["entry"], rtol=1e-12)
    assert (split.groupby("id")["event"].sum() == data["event"]).all()
    assert (split["exit"] > split["entry"]).all()
    chained = split.groupby("id")["entry"].shift(-1)
    assert (chained.dropna() == split.loc[chained.notna(), "exit"]).all()
    pd.testing.assert_frame_equal(
        split.drop_duplicates("id")[["id", "age_in", "sex"]].reset_index(drop=True), data[["id", "age_in", "sex"]]
    )


def test_split_puts_each_moment_in_its_band():
    data = _cohort()
    split = lexis_split(data, entry="entry", exit="exit", event="event", scales=SCALES)
    start = data["entry"].to_numpy()[split["id"]]
    for share in (0.001, 0.5, 0.999):
        since = split["entry"] + share * (split["exit"] - split["entry"])
        for name, (column, breaks) in SCALES.items():
            value = since if column is None else split[column] + since - start
            band = np.concatenate([[-np.inf], breaks])[np.searchsorted(breaks, value, side="right")]
            np.testing.assert_array_equal(split[name], band)


def test_split_at_the_edges():
    data = pd.DataFrame({"exit": [10.0, 20.0, 10.0 + 1e-12], "event": [1, 1, 1]})
    split = lexis_split(data, exit="exit", event="event", scales={"since": (None, [10, 20])})
    assert split["entry"].tolist() == [0, 0, 10, 0]
    assert split["event"].tolist() == [1, 0, 1, 1]
    assert split["since"].tolist() == [-np.inf, -np.inf, 10, -np.inf]


def test_split_of_causes_and_categories():
    data = pd.DataFrame({"exit": [20.0, 20.0], "cause": [2, 3], "state": pd.Categorical(["dead", "alive"])})
    split = lexis_split(data, exit="exit", event="cause", scales={"since": (None, [10])})
    assert split["cause"].tolist() == [0, 2, 0, 3]
    split = lexis_split(data, exit="exit", event="state", scales={"since": (None, [10])})
    assert split["state"].tolist() == ["alive", "dead", "alive", "alive"]


def test_split_refusals():
    data = _cohort()

    def split(frame=data, **options):
        names = {"exit": "exit", "entry": "entry", "event": "event", "scales": SCALES}
        return lexis_split(frame, **names | options)

    with pytest.raises(OptionError, match="breaks of 'age' must be increasing"):
        split(scales={"age": ("age_in", [50, 40])})
    with pytest.raises(OptionError, match="'sex' is already in the frame"):
        split(scales={"sex": ("age_in", [50])})
    with pytest.raises(DxaCausalError, match="did you mean 'age_in'"):
        split(scales={"age": ("agein", [50])})
    with pytest.raises(MissingDataError, match=r"age_in' is missing or not finite in 1 rows, first row 3"):
        split(data.assign(age_in=data["age_in"].where(data["id"] != 3)))
    with pytest.raises(OutcomeError, match="entry must come before exit; 400 rows do not"):
        split(entry="exit", exit="entry")
    with pytest.raises(OutcomeError, match=r"event='sex' holds text \('f', 'm'\)"):
        split(event="sex")
    for wrong in ([50, 60], "age_in", ("age_in", [50], 1), (5, [50])):
        with pytest.raises(OptionError, match=r"scales\['age'\] must be a pair"):
            split(scales={"age": wrong})
    with pytest.raises(OptionError, match="scales must be a mapping"):
        split(scales=("age_in", [50]))
    with pytest.raises(OptionError, match="breaks of 'age' must be increasing finite numbers, not 'a'"):
        split(scales={"age": ("age_in", "a")})
    with pytest.raises(OptionError, match=r"scales\['age'\] must be a pair"):
        person_years("Surv(entry, exit, event) ~ 1", data, scales={"age": [50, 60]})


# --- limits ------------------------------------------------------------------------------------------------


def test_poisson_limits_and_p_values_as_poisson_test(expected):
    for case in expected["one_sample"]:
        count, mean = float(case["observed"]), case["expected"]
        for level, want in ((0.95, (case["conf_low"], case["conf_high"])), (0.9, case["conf90"])):
            got = np.ravel(poisson_limits(np.array([count]), level, "exact")) / mean
            np.testing.assert_allclose(got, want, rtol=EXACT)
        assert poisson_p_value(count, mean, "exact") == pytest.approx(case["p_value"], rel=1e-9)


def _tail(count, mean):
    """P(more) + P(as many) / 2."""
    return stats.poisson.sf(count, mean) + stats.poisson.pmf(count, mean) / 2


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_mid_p_limits_solve_their_equation(level):
    for count in (0, 1, 2, 7, 50, 2000):
        low, high = np.ravel(poisson_limits(np.array([float(count)]), level, "mid-p"))
        if count:
            assert _tail(count, low) == pytest.approx((1 - level) / 2, rel=1e-9)
            # a test at the limit has the p-value of the limit
            assert poisson_p_value(count, low, "mid-p") == pytest.approx(1 - level, rel=1e-9)
        else:
            assert low == 0
        assert 1 - _tail(count, high) == pytest.approx((1 - level) / 2, rel=1e-9)
    for count, total in ((0, 5), (5, 5), (3, 11), (400, 1000)):
        low, high = binomial_limits(count, total, level, "mid-p")
        for limit, sign in ((low, 1), (high, -1)):
            if 0 < limit < 1:
                k = stats.binom(total, limit)
                beyond = k.sf(count) if sign == 1 else k.cdf(count - 1)
                assert beyond + k.pmf(count) / 2 == pytest.approx((1 - level) / 2, rel=1e-9)


def test_published_mid_p_value():
    # the example of OpenEpi's page on the SMR: 4 deaths, 3.3 expected
    assert round(poisson_p_value(4.0, 3.3, "mid-p"), 4) == 0.6571


def test_byar_is_close_to_exact():
    counts = np.array([20.0, 100.0, 1000.0])
    np.testing.assert_allclose(poisson_limits(counts, 0.95, "byar"), poisson_limits(counts, 0.95, "exact"), rtol=5e-4)


@pytest.mark.parametrize("method", ["exact", "mid-p", "log"])
def test_coverage_of_rate_limits(method):
    mean = 12.0
    counts = np.arange(0.0, 80)
    low, high = poisson_limits(counts, 0.95, method)
    covered = stats.poisson.pmf(counts, mean)[(low <= mean) & (mean <= high)].sum()
    assert covered >= {"exact": 0.95, "mid-p": 0.94, "log": 0.93}[method]


# --- rate ratios -------------------------------------------------------------------------------------------


PAIRS = {
    "colon_sex": (lambda f: f["colon"].query("etype == 2"), "Surv(time, status) ~ sex"),
    "mgus2_ratio": (lambda f: f["mgus2"], "Surv(futime, death) ~ sex"),
    "heart_surgery": (lambda f: f["heart"], "Surv(start, stop, event) ~ surgery"),
    "rotterdam_hormon": (lambda f: f["rotterdam"].query("age > 80"), "Surv(dtime, death) ~ hormon"),
}


def _limits(row):
    return row[["estimate", "conf_low", "conf_high"]].astype(float).to_numpy()


@pytest.mark.parametrize("case", PAIRS)
def test_exact_rate_ratio_as_poisson_test(case, frames, expected):
    select, formula = PAIRS[case]
    fit = rate_ratio(formula, select(frames))
    want = expected[case]
    row = fit.tidy().iloc[0]
    for name in ("estimate", "p_value", "conf_low", "conf_high"):
        assert row[name] == pytest.approx(want[name], rel=1e-10), name
    np.testing.assert_allclose(
        fit.tidy(0.9).iloc[0][["conf_low", "conf_high"]].astype(float), want["conf90"], rtol=EXACT
    )
    (a, b), (t1, t0) = want["event"], want["time"]
    difference = fit.tidy().iloc[1]
    assert difference["estimate"] == pytest.approx(a / t1 - b / t0, rel=1e-12)
    assert difference["std_error"] == pytest.approx(np.sqrt(a / t1**2 + b / t0**2), rel=1e-12)
    log = rate_ratio(formula, select(frames), conf_method="log").tidy().iloc[0]
    z = stats.norm.ppf(0.975) * np.sqrt(1 / a + 1 / b)
    np.testing.assert_allclose([log["conf_low"], log["conf_high"]], row["estimate"] * np.exp([-z, z]), rtol=1e-12)


def _rows(cells):
    """Rows whose sums are the given (group, stratum, events, person-time)."""
    parts = [pd.DataFrame({"group": [g] * d, "stratum": s, "time": t / d, "died": 1}) for g, s, d, t in cells]
    return pd.concat(parts, ignore_index=True)


# Doll & Hill (1966): coronary deaths of smoking and other doctors by age, as Stata's manual of `ir` prints them.
DOCTORS = [
    *((1, age, d, t) for age, d, t in zip(range(5), (32, 104, 206, 186, 102), (52407, 43248, 28612, 12663, 5317))),
    *((0, age, d, t) for age, d, t in zip(range(5), (2, 12, 28, 28, 31), (18790, 10673, 5710, 2585, 1462))),
]  # fmt: skip


def test_british_doctors():
    data = _rows(DOCTORS)
    crude = rate_ratio("Surv(time, died) ~ group", data).tidy().iloc[0]
    np.testing.assert_allclose(
        crude[["estimate", "conf_low", "conf_high"]].astype(float), [1.719823, 1.391992, 2.143530], atol=1e-6
    )
    young = rate_ratio("Surv(time, died) ~ group", data.query("stratum == 0")).tidy().iloc[0]
    np.testing.assert_allclose(
        young[["estimate", "conf_low", "conf_high"]].astype(float), [5.736638, 1.463557, 49.40468], rtol=1e-6
    )
    fit = rate_ratio("Surv(time, died) ~ group", data, strata="stratum")
    pooled = fit.tidy().iloc[0]
    np.testing.assert_allclose(
        pooled[["estimate", "conf_low", "conf_high"]].astype(float), [1.424682, 1.154703, 1.757784], atol=1e-6
    )
    test = fit.homogeneity["1 vs 0"]
    assert (round(test.statistic, 2), test.df, round(test.p_value, 4)) == (10.41, 4, 0.0340)


def test_one_stratum_is_no_stratum(mgus2):
    one = rate_ratio("Surv(futime, death) ~ sex", mgus2.assign(all=1), strata="all").tidy()
    pd.testing.assert_frame_equal(one, rate_ratio("Surv(futime, death) ~ sex", mgus2, conf_method="log").tidy())


def test_several_groups_and_a_group_without_events():
    data = _rows([("a", 0, 5, 100), ("b", 0, 10, 100), ("c", 0, 8, 50)])
    fit = rate_ratio("Surv(time, died) ~ group", data)
    assert fit.tidy()["term"].tolist() == ["b vs a", "b vs a", "c vs a", "c vs a"]
    pair = rate_ratio("Surv(time, died) ~ group", data.query("group != 'b'")).tidy()
    pd.testing.assert_frame_equal(fit.tidy().iloc[2:].reset_index(drop=True), pair)
    none = data.assign(died=np.where(data["group"] == "b", 0, 1))
    with pytest.warns(AllCensoredWarning, match="no event in group 'b'"):
        row = rate_ratio("Surv(time, died) ~ group", none).tidy().iloc[0]
    assert (row["estimate"], row["conf_low"]) == (0, 0)
    # the upper limit of the odds that none of five events falls in b
    assert row["conf_high"] == pytest.approx(0.025 ** (-1 / 5) - 1, rel=1e-12)


def test_rate_ratio_refusals(mgus2):
    def ratio(formula="Surv(futime, death) ~ sex", data=mgus2, **options):
        return rate_ratio(formula, data, **options)

    with pytest.raises(OptionError, match="name one column whose groups are compared"):
        ratio("Surv(futime, death) ~ 1")
    with pytest.raises(OptionError, match="conf_method='exact' is not there for a ratio pooled over strata"):
        ratio(strata="pstat", conf_method="exact")
    with pytest.raises(PredictorError, match="'sex' has one value"):
        ratio(data=mgus2.query("sex == 'F'"))
    with pytest.raises(OutcomeError, match="no event"):
        ratio(data=mgus2.assign(death=0))
    with pytest.raises(FormulaError, match="not expressions"):
        ratio("Surv(futime, death) ~ np.log(age)")


# --- standardisation ---------------------------------------------------------------------------------------


def _rates():
    grid = pd.MultiIndex.from_product([["F", "M"], [0, 600, 720, 840, 960], [0, 23760]], names=["sex", "age", "period"])
    table = grid.to_frame(index=False)
    by_age = dict(zip([0, 600, 720, 840, 960], [0.001, 0.002, 0.005, 0.01, 0.02], strict=True))
    rate = table["sex"].map({"F": 1, "M": 1.5}) * table["age"].map(by_age) * table["period"].map({0: 1, 23760: 0.8})
    return table.assign(rate=rate)


def test_smr_from_rates(mgus2, expected):
    scales = {"age": "months", "period": "began"}
    got = smr("Surv(futime, death) ~ sex", mgus2, rates=_rates(), scales=scales).tidy()
    want = expected["smr"]
    for ours, theirs in {"n_event": "observed", "n_expected": "expected"}.items():
        np.testing.assert_allclose(got[ours], want[theirs], rtol=EXACT)
    for name in ("p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-9)
    mixed = smr("Surv(futime, death) ~ sex", mgus2, rates=_rates().sample(frac=1, random_state=1), scales=scales)
    pd.testing.assert_frame_equal(mixed.tidy(), got)


def test_smr_takes_cells_of_person_years(mgus2):
    scales = {"age": ("months", [0, 720, 840])}
    cells = person_years("Surv(futime, death) ~ sex", mgus2, scales=scales).cells
    rates = cells.assign(rate=cells["n_event"] / cells["person_time"])
    own = smr("Surv(futime, death) ~ sex", mgus2, rates=rates, scales={"age": "months"}).tidy()
    np.testing.assert_allclose(own["estimate"], 1, rtol=1e-12)  # at its own rates a group has as many as expected
    plain = smr("Surv(futime, death) ~ 1", mgus2, rates=rates[["sex", "age", "rate"]], scales={"age": "months"})
    np.testing.assert_allclose(plain.tidy()["n_expected"], own["n_expected"].sum(), rtol=1e-12)
    standard = cells.assign(population=1)
    got = standardised_rate("Surv(futime, death) ~ 1", mgus2, standard=standard, scales={"age": "months"}, per=1).tidy()
    by_band = person_years("Surv(futime, death) ~ sex", mgus2, scales=scales, per=1).tidy()["estimate"]
    np.testing.assert_allclose(got["estimate"], by_band.mean(), rtol=1e-12)


@pytest.mark.parametrize("method", ["exact", "mid-p", "byar"])
def test_smr_from_a_column(method, mgus2):
    data = mgus2.assign(e=mgus2["futime"] * 0.009)
    got = smr("Surv(futime, death) ~ sex", data, expected="e", conf_method=method)
    by_sex = data.groupby("sex")[["death", "e"]].sum()
    np.testing.assert_allclose(got.tidy()["estimate"], by_sex["death"] / by_sex["e"], rtol=1e-12)
    limits = poisson_limits(by_sex["death"].to_numpy(dtype=float), 0.95, method) / by_sex["e"].to_numpy()
    np.testing.assert_allclose(got.tidy()[["conf_low", "conf_high"]].T, limits, rtol=1e-12)
    # the p-value is 5 % where a limit is one, for the methods whose test their limits invert
    if method != "exact":
        limit = by_sex["e"].iloc[0] * limits[0][0]
        assert poisson_p_value(by_sex["death"].iloc[0], limit, method) == pytest.approx(0.05, rel=1e-9)


def test_smr_refusals(mgus2):
    def fit(**options):
        return smr("Surv(futime, death) ~ 1", mgus2, **options)

    one_period = _rates().query("period == 0").drop(columns="period")
    with pytest.raises(OptionError, match="give either expected= "):
        fit()
    with pytest.raises(MissingDataError, match=r"rates has no row for 1 of the bands .* first sex F, age 840-960"):
        fit(
            rates=_rates().query("period == 0 and not (sex == 'F' and age == 840)").drop(columns="period"),
            scales={"age": "months"},
        )
    with pytest.raises(MissingDataError, match="first sex F, age <600"):
        fit(rates=one_period.query("age > 0"), scales={"age": "months"})
    with pytest.raises(PredictorError, match="repeats the band of another row"):
        fit(rates=_rates().drop(columns="period"), scales={"age": "months"})
    with pytest.raises(PredictorError, match="cannot be matched"):
        fit(rates=pd.DataFrame({"sex": [1, 2], "rate": [0.1, 0.2]}))
    with pytest.raises(DxaCausalError, match="rates: no column 'rate'"):
        fit(rates=pd.DataFrame({"sex": ["F", "M"]}))
    with pytest.raises(DxaCausalError, match="every column beside 'rate' counts as a factor, .* no column 'source'"):
        fit(rates=pd.DataFrame({"sex": ["F", "M"], "rate": [0.1, 0.2], "source": "x"}))
    with pytest.raises(OptionError, match="scales must be a mapping"):
        fit(rates=one_period, scales=["age"])
    with pytest.raises(DxaCausalError, match=r"scales \(columns of rates\): no column 'age'"):
        fit(rates=pd.DataFrame({"sex": ["F", "M"], "rate": [0.1, 0.2]}), scales={"age": "months"})
    with pytest.raises(PredictorError, match="expected='e' must not be negative"):
        smr("Surv(futime, death) ~ 1", mgus2.assign(e=-1.0), expected="e")


def test_direct_standardisation(mgus2, expected):
    standard = pd.DataFrame({"age": [0, 600, 720, 840, 960], "population": [50, 20, 15, 10, 5]})
    got = standardised_rate("Surv(futime, death) ~ sex", mgus2, standard=standard, scales={"age": "months"}, per=1)
    for row, want in zip(got.tidy().to_dict("records"), expected["direct"], strict=True):
        for ours, theirs in {
            "estimate": "rate",
            "std_error": "se",
            "conf_low": "conf_low",
            "conf_high": "conf_high",
        }.items():
            assert row[ours] == pytest.approx(want[theirs], rel=EXACT), ours
    with pytest.raises(EmptyDataError, match="group 'F' has person-time in 5 of the 6 bands"):
        standardised_rate(
            "Surv(futime, death) ~ sex",
            mgus2,
            standard=pd.DataFrame({"age": [0, 600, 720, 840, 960, 5000], "population": 1}),
            scales={"age": "months"},
        )


def test_one_band_is_the_crude_rate(mgus2):
    standard = pd.DataFrame({"all": [1], "population": [3]})
    got = standardised_rate("Surv(futime, death) ~ sex", mgus2.assign(all=1), standard=standard).tidy()
    crude = person_years("Surv(futime, death) ~ sex", mgus2).tidy()
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(got[name], crude[name], rtol=1e-12)


def test_coverage_of_gamma_limits():
    rng = np.random.default_rng(1)
    time, rate, share = np.array([900.0, 400, 100]), np.array([0.005, 0.01, 0.05]), np.array([0.3, 0.3, 0.4])
    d = rng.poisson(rate * time, (4000, 3))
    v = share / time
    y, s2, top = d @ v, d @ v**2, v.max()
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(y > 0, s2 / y * special.gammaincinv(y**2 / s2, 0.025), 0.0)
    high = (s2 + top**2) / (y + top) * special.gammainccinv((y + top) ** 2 / (s2 + top**2), 0.025)
    truth = share @ rate
    assert np.mean((low <= truth) & (truth <= high)) > 0.95
