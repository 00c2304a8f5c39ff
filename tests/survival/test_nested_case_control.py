"""Conditional logistic regression against R's clogit; sampling of controls against its definition."""

import itertools

import numpy as np
import pandas as pd
import pytest

from dxa_causal._core.errors import CollinearityError, FormulaError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import FewControlsWarning, SeparationWarning
from dxa_causal.survival.control_sampling import sample_controls
from dxa_causal.survival.cox import cox
from dxa_causal.survival.nested_case_control import nested_case_control

# R's clogit takes no tighter convergence than its default.
TIGHT = 1e-8
EXACT = 1e-12

MATCHED = {
    "infert": ("infert", "case ~ spontaneous + induced", "stratum"),
    "infert_factor": ("infert", "case ~ C(induced) + spontaneous", "stratum"),
    "infert_parity": ("infert", "case ~ spontaneous + induced + age", "parity"),
    "diabetic_pairs": ("diabetic", "status ~ trt + risk", "id"),
}


@pytest.mark.parametrize("case", MATCHED)
def test_clogit(case, frames, reference):
    data, formula, matched_set = MATCHED[case]
    want = reference("survival/sampled_cohorts/expected.json")[case]
    fit = nested_case_control(formula, frames[data], matched_set=matched_set)
    tidy = fit.tidy()
    np.testing.assert_allclose(tidy["estimate"], np.atleast_1d(want["coef"]), rtol=TIGHT)
    np.testing.assert_allclose(tidy["std_error"], np.atleast_1d(want["se"]), rtol=TIGHT)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], want["loglik"], rtol=EXACT)
    assert (fit.nobs, fit.n_events) == (want["n"], want["nevent"])
    assert fit.score_test.statistic == pytest.approx(want["score"], rel=TIGHT)
    assert fit.wald_test.statistic == pytest.approx(want["wald"], rel=TIGHT)


def _pairs(n=200, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    first = rng.random(n) < 1 / (1 + np.exp(x[:, 1] - x[:, 0]))
    case = np.column_stack([first, ~first])
    return pd.DataFrame({"pair": np.repeat(np.arange(n), 2), "x": x.ravel(), "case": case.ravel()})


def test_pairs_with_one_exposure_are_mcnemar():
    data = _pairs().assign(x=lambda d: (d["x"] > 0).astype(int))
    fit = nested_case_control("case ~ x", data, matched_set="pair")
    wide = data.pivot(index="pair", columns="case", values="x")
    only_case, only_control = ((wide[c] > wide[not c]).sum() for c in (True, False))
    assert fit.coefficients[0] == pytest.approx(np.log(only_case / only_control), rel=1e-9)
    assert fit.std_error[0] == pytest.approx(np.sqrt(1 / only_case + 1 / only_control), rel=1e-9)


def test_order_does_not_matter():
    data = _pairs()
    one = nested_case_control("case ~ x", data, matched_set="pair")
    two = nested_case_control("case ~ x", data.sample(frac=1, random_state=1), matched_set="pair")
    np.testing.assert_allclose(two.coefficients, one.coefficients, rtol=1e-10)


def test_idle_sets_are_said():
    data = pd.concat([_pairs(), pd.DataFrame({"pair": [900, 900, 901], "x": [1.0, 2.0, 3.0], "case": [0, 0, 1]})])
    fit = nested_case_control("case ~ x", data.astype({"case": int}), matched_set="pair")
    assert fit.n_sets == 200
    assert "2 of 202 sets have no case or no control" in str(fit)
    np.testing.assert_allclose(
        fit.coefficients, nested_case_control("case ~ x", _pairs(), matched_set="pair").coefficients, rtol=1e-10
    )


def test_refusals():
    data = _pairs()
    with pytest.raises(FormulaError, match="must be the indicator of a case"):
        nested_case_control("Surv(x, case) ~ x", data.abs(), matched_set="pair")
    with pytest.raises(PredictorError, match="'x' must be 0/1 or True/False"):
        nested_case_control("x ~ case", data, matched_set="pair")
    with pytest.raises(OutcomeError, match="no set of 'pair' has both a case and a control"):
        nested_case_control("case ~ x", data[data["case"]], matched_set="pair")
    with pytest.raises(CollinearityError, match="'site' is constant up to rounding within strata"):
        nested_case_control("case ~ x + site", data.assign(site=data["pair"] % 3), matched_set="pair")
    with pytest.warns(SeparationWarning, match="'x' runs to infinity"):
        nested_case_control("case ~ x", data.assign(x=1.0 * data["case"]), matched_set="pair")


def _cohort(n=300, seed=1, entry=True):
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 10, n).astype(float) if entry else np.zeros(n)
    data = pd.DataFrame({"start": start, "sex": rng.integers(0, 2, n), "x": rng.normal(size=n)})
    data["stop"] = data["start"] + rng.integers(1, 30, n)
    data["died"] = rng.random(n) < 0.15
    return data.set_index(np.arange(n) + 1000)


@pytest.mark.filterwarnings("ignore:.* of .* cases have fewer than")
@pytest.mark.parametrize("match_on", [[], ["sex"]])
@pytest.mark.parametrize("entry", [True, False])
def test_controls_are_at_risk(entry, match_on):
    data = _cohort(entry=entry)
    outcome = "Surv(start, stop, died)" if entry else "Surv(stop, died)"
    sample = sample_controls(outcome, data, m=3, match_on=match_on, seed=2)
    assert sample["matched_set"].nunique() == data["died"].sum()
    assert sample.loc[sample["case"] == 1, "row"].tolist() == data.index[data["died"]].tolist()
    for _, members in sample.groupby("matched_set"):
        case, controls = members[members["case"] == 1], members[members["case"] == 0]
        t, row = case["stop"].iloc[0], case["row"].iloc[0]
        assert (members["set_time"] == t).all()
        able = (data["start"] < t) & ((data["stop"] > t) | ((data["stop"] == t) & ~data["died"]))
        for name in match_on:
            able &= data[name] == data.loc[row, name]
        assert (members["n_eligible"] == able.sum()).all()
        assert able[controls["row"]].all()
        assert controls["row"].is_unique
        assert len(controls) == min(3, able.sum())
    pd.testing.assert_frame_equal(
        sample[data.columns], data.loc[sample["row"]].reset_index(drop=True), check_dtype=False
    )


@pytest.mark.filterwarnings("ignore:.* of .* cases have fewer than")
@pytest.mark.parametrize("match_on", [[], ["sex"]])
def test_weights_are_those_of_the_definition(match_on):
    data = _cohort()
    sample = sample_controls("Surv(start, stop, died)", data, m=2, match_on=match_on, seed=2)
    cases = data[data["died"]]
    for row, weight in sample.groupby("row")["weight"].first().items():
        person, missed = data.loc[row], 1.0
        for _, case in cases.iterrows():
            t, same = case["stop"], [data[n] == case[n] for n in match_on]
            able = (data["start"] < t) & ((data["stop"] > t) | ((data["stop"] == t) & ~data["died"]))
            able = able & np.logical_and.reduce(same) if same else able
            if able[row]:
                missed *= 1 - min(2, able.sum()) / able.sum()
        assert weight == pytest.approx(1.0 if person["died"] else 1 / (1 - missed), rel=1e-12)


def test_every_choice_is_as_likely():
    data = pd.DataFrame({"time": [1.0, 2, 3, 4, 5], "died": [1, 0, 0, 0, 0]})
    rng = np.random.default_rng(1)
    drawn = [
        tuple(sorted(sample_controls("Surv(time, died)", data, m=2, seed=rng).query("case == 0")["row"]))
        for _ in range(300)
    ]
    counts = pd.Series(drawn).value_counts()
    assert set(counts.index) == set(itertools.combinations(range(1, 5), 2))
    assert ((counts - 50) ** 2 / 50).sum() < 20.5  # 99.9 % of chi-square with 5 df


def test_seed_fixes_the_sample():
    data = _cohort()
    one, two, other = (sample_controls("Surv(start, stop, died)", data, m=2, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one["row"].equals(other["row"])


def test_everyone_drawn_is_the_cohort():
    data = _cohort(entry=False).assign(stop=lambda d: d["stop"] + np.arange(len(d)) / 1000)
    with pytest.warns(FewControlsWarning, match="cases have fewer than 300 eligible controls"):
        sample = sample_controls("Surv(stop, died)", data, m=300, seed=1)
    assert (sample["weight"] == 1).all()
    full = cox("Surv(stop, died) ~ x", data)
    fit = nested_case_control("case ~ x", sample, matched_set="matched_set")
    np.testing.assert_allclose([fit.coefficients, fit.std_error], [full.coefficients, full.std_error], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.* of .* cases have fewer than")
def test_coverage():
    rng, inside = np.random.default_rng(1), []
    for _ in range(200):
        data = pd.DataFrame({"x": rng.normal(size=1500), "g": rng.integers(0, 2, 1500)})
        entry, censoring = rng.uniform(0, 3, 1500), rng.uniform(2, 15, 1500)
        event = rng.exponential(150 * np.exp(-0.5 * data["x"] - 0.5 * data["g"]))
        data = data.assign(entry=entry, time=entry + np.minimum(event, censoring), died=event <= censoring)
        sample = sample_controls("Surv(entry, time, died)", data, m=2, match_on=["g"], seed=rng)
        matched = nested_case_control("case ~ x", sample, matched_set="matched_set")
        once = sample.drop_duplicates("row")
        weighted = cox("Surv(entry, time, died) ~ x + g", once, weights="weight", weight_type="probability")
        rows = [fit.tidy().iloc[0] for fit in (matched, weighted)]
        inside.append([r["conf_low"] <= 0.5 <= r["conf_high"] for r in rows])
    # three standard errors of a share of 0.95 in 200
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.95, atol=0.047)


def test_sampling_refusals():
    data = _cohort()
    with pytest.raises(OptionError, match="m=0 must be a whole number of controls"):
        sample_controls("Surv(stop, died)", data, m=0)
    with pytest.raises(OptionError, match="must be a list of columns"):
        sample_controls("Surv(stop, died)", data, match_on="sex")
    with pytest.raises(OptionError, match="already has a column 'weight'"):
        sample_controls("Surv(stop, died)", data.assign(weight=1))
    with pytest.raises(OutcomeError, match="no event"):
        sample_controls("Surv(stop, died)", data.assign(died=0))
    with pytest.raises(
        FormulaError, match=r"takes the outcome alone, 'Surv\(stop, died\)'; a right side has no meaning"
    ):
        sample_controls("Surv(stop, died) ~ sex", data)
    with pytest.raises(OptionError, match="seed='x'"):
        sample_controls("Surv(stop, died)", data, seed="x")


def test_the_event_of_the_cohort_is_not_the_case_of_a_set():
    sample = sample_controls("Surv(start, stop, died)", _cohort(), m=1, seed=5)
    fit = nested_case_control("case ~ x", sample, matched_set="matched_set")
    later = sample["died"].sum() - sample["case"].sum()
    assert later > 0  # controls who die later
    with pytest.raises(OutcomeError, match=f"marks {fit.n_events} cases, but 'died' marks {fit.n_events + later}"):
        nested_case_control("died ~ x", sample, matched_set="matched_set")
    same = nested_case_control("case == 1 ~ x", sample, matched_set="matched_set")
    assert same.coefficients == pytest.approx(fit.coefficients)
    # a column that happens to agree is no error, nor is another frame with a column called case
    never = sample[(sample["case"] == sample["died"])]
    nested_case_control("died ~ x", never, matched_set="matched_set")
    nested_case_control("y ~ x", _pairs().assign(y=lambda d: 1 - d["case"]), matched_set="pair")


def test_without_eligible_controls_there_is_one_warning():
    """The last to leave has nobody to be compared with; numbers do not divide by zero (warnings are errors here)."""
    data = pd.DataFrame({"time": [1.0, 2, 3], "died": [0, 0, 1]})
    with pytest.warns(
        FewControlsWarning, match="1 of 1 cases have fewer than 1 eligible controls, 1 of them none"
    ) as said:
        sample = sample_controls("Surv(time, died)", data, seed=1)
    assert len(said) == 1
    assert sample[["case", "n_eligible", "weight"]].to_numpy().tolist() == [[1, 0, 1.0]]


@pytest.mark.filterwarnings("ignore:.* of .* cases have fewer than")
def test_rows_of_one_person():
    """With start-stop rows nobody is their own control; rows that overlap are refused."""
    data = _cohort().reset_index(names="person")
    middle = (data["start"] + data["stop"]) / 2
    halves = pd.concat([data.assign(stop=middle, died=False), data.assign(start=middle)], ignore_index=True)
    whole = sample_controls("Surv(start, stop, died)", data, m=3, id="person", seed=1)
    cut = sample_controls("Surv(start, stop, died)", halves, m=3, id="person", seed=1)
    assert not cut.duplicated(["matched_set", "person"]).any()
    sizes = [d.query("case == 1").set_index("person")["n_eligible"].sort_index() for d in (cut, whole)]
    pd.testing.assert_series_equal(*sizes)
    with pytest.raises(
        OutcomeError, match=r"overlap another row of the same 'person'.*write Surv\(start, stop, event\)"
    ):
        sample_controls("Surv(stop, died)", halves, id="person")
