"""Decision curves: survfit within the flagged, influence functions by perturbation, properties, bad input."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import OptionError

s = dc.survival

EXACT = 1e-9
PBC = "Surv(time, status == 2)"


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/calibration/expected.json")


@pytest.fixture(scope="module")
def fits(frames):
    return {
        "age": s.cox("Surv(time, status == 2) ~ age", frames["pbc"]),
        "full": s.cox("Surv(time, status == 2) ~ age + log(bili)", frames["pbc"]),
    }


def net(curve, model):
    table = curve.tidy()
    return table[(table["metric"] == "net benefit") & (table["model"] == model)]["estimate"].to_numpy()


def test_survival_equals_survfit(frames, fits, expected):
    case = expected["decision_survival"]
    curve = s.decision_curve(fits, frames["pbc"], horizon=2000, thresholds=case["thresholds"])
    for model in fits:
        np.testing.assert_allclose(net(curve, model), case[model], rtol=EXACT)


def test_binary_equals_counts(frames, expected):
    case = expected["decision_binary"]
    pbc = frames["pbc"]
    known = pbc[(pbc["time"] >= 2000) | (pbc["status"] == 2)]
    y = ((known["status"] == 2) & (known["time"] <= 2000)).to_numpy(float)
    from dxa_causal._numerics.logistic import fit_logistic

    one = np.ones(len(y))
    risks = {
        "p1": fit_logistic(np.column_stack([one, known["age"]]), y).fitted,
        "p2": fit_logistic(np.column_stack([one, known["age"], np.log(known["bili"])]), y).fitted,
    }
    curve = s.decision_curve(risks, outcome=y, thresholds=case["thresholds"])
    for model in risks:
        np.testing.assert_allclose(net(curve, model), case[model], rtol=EXACT)
    value = (risks["p2"] >= 0.2) * (y - (1 - y) * 0.25)
    row = curve.tidy().query("model == 'p2' and threshold == 0.2 and metric == 'net benefit'").iloc[0]
    np.testing.assert_allclose(row["std_error"], value.std() / np.sqrt(y.size), rtol=1e-10)


def test_competing_causes_equal_aalen_johansen(frames, expected):
    case = expected["decision_competing"]
    data = frames["mgus2_cr"].dropna(subset=["age", "sex", "mspike"])
    fit = s.fine_gray("Surv(etime, event) ~ age + mspike", data, cause=1)
    curve = s.decision_curve({"fg": fit}, data, horizon=120, thresholds=case["thresholds"])
    np.testing.assert_allclose(net(curve, "fg"), case["fg"], rtol=1e-6, atol=1e-9)


def test_standard_errors_are_those_of_perturbed_weights():
    """Each metric is a function of the weights of rows: the sum of its squared derivatives is the variance."""
    rng = np.random.default_rng(4)
    n, horizon = 50, 1.0
    risk = pd.DataFrame({"a": rng.uniform(size=n), "b": rng.uniform(size=n)})
    time, event = np.round(rng.exponential(1.2, n), 1) + 0.1, rng.integers(0, 3, n)
    data = risk.assign(time=time, event=pd.Categorical(event))
    curve = s.decision_curve(
        {"a": "a", "b": "b"}, data, horizon=horizon, outcome="Surv(time, event)", cause=1, thresholds=[0.3]
    )

    def incidence(w):
        alive, total = 1.0, 0.0
        for t in np.unique(time[time <= horizon]):
            at_risk = w[time >= t].sum()
            if at_risk == 0:
                break
            total += alive * w[(time == t) & (event == 1)].sum() / at_risk
            alive *= 1 - w[(time == t) & (event > 0)].sum() / at_risk
        return total

    def metrics(w):
        f, odds = incidence(w), 0.3 / 0.7
        values = []
        for name in "ab":
            flag = (risk[name] >= 0.3).to_numpy()
            own = incidence(w * flag)
            values.append((w * flag).sum() / w.sum() * (own - (1 - own) * odds))
        everyone = f - (1 - f) * odds
        return np.array([values[0], values[0] / f, 100 * (values[0] - everyone) / odds, values[1] - values[0]])

    one, step = np.ones(n), 1e-6
    slopes = np.array([(metrics(one + step * e) - metrics(one - step * e)) / (2 * step) for e in np.eye(n)])
    error = np.sqrt((slopes**2).sum(axis=0))
    own = curve.tidy().query("model == 'a'").set_index("metric")
    order = ["net benefit", "standardised net benefit", "interventions avoided per 100"]
    difference = curve.differences().iloc[0]
    np.testing.assert_allclose([*own.loc[order, "estimate"], difference["estimate"]], metrics(one), rtol=1e-9)
    np.testing.assert_allclose([*own.loc[order, "std_error"], difference["std_error"]], error, rtol=1e-6)


def test_treating_all_and_none(frames, fits):
    pbc = frames["pbc"]
    curve = s.decision_curve(
        {"all": np.ones(len(pbc)), "none": np.zeros(len(pbc)), "age": fits["age"]},
        pbc,
        horizon=2000,
        outcome=PBC,
        thresholds=[0.1, 0.4],
    )
    np.testing.assert_allclose(net(curve, "all"), net(curve, "treat all"))
    np.testing.assert_array_equal(net(curve, "none"), 0.0)
    against = curve.differences("treat all").query("model == 'all'")
    np.testing.assert_array_equal(against["std_error"], 0.0)
    assert set(curve.differences("age")["model"]) == {"all", "none"}


def test_flagged_rows_not_followed_to_the_horizon_give_a_reason():
    data = pd.DataFrame({"time": [1, 2, 3, 9, 9, 9.0], "died": [1, 0, 0, 1, 0, 0], "p": [0.9, 0.8, 0.7, 0.2, 0.1, 0.3]})
    curve = s.decision_curve({"p": "p"}, data, horizon=5, outcome="Surv(time, died)", thresholds=[0.25, 0.5])
    table = curve.tidy().query("model == 'p' and metric == 'net benefit'")
    assert table["estimate"].isna().tolist() == [False, True]
    assert "ends at 3, before the horizon" in table["reason"].iloc[1]
    assert "not known" in str(curve)
    curve.plot()


def test_figure_and_summary(frames, fits):
    curve = s.decision_curve(fits, frames["pbc"], horizon=2000)
    axes = curve.plot()
    assert axes.get_xlabel() == "Threshold risk"
    assert len(axes.get_legend().get_texts()) == 4
    assert len(str(curve).splitlines()) < 60


def test_bad_input(frames, fits):
    with pytest.raises(OptionError, match="strictly between 0 and 1"):
        s.decision_curve(fits, frames["pbc"], horizon=2000, thresholds=[0.0, 0.5])
    with pytest.raises(OptionError, match="reference='sex' is not allowed"):
        s.decision_curve(fits, frames["pbc"], horizon=2000, thresholds=[0.2]).differences("sex")
    with pytest.raises(OptionError, match="a horizon needs data"):
        s.decision_curve(fits, horizon=2000)


def test_names_and_thresholds_that_cannot_be():
    died, risk = [0, 1, 0, 1], [0.1, 0.4, 0.3, 0.8]
    with pytest.raises(OptionError, match="'treat all' is the name of a strategy"):
        s.decision_curve({"treat all": risk}, outcome=died)
    with pytest.raises(OptionError, match=r"thresholds=\['low'\] must be numbers"):
        s.decision_curve({"a": risk}, outcome=died, thresholds=["low"])
    with pytest.raises(OptionError, match="two models have one name"):
        s.decision_curve({1: risk, "1": risk}, outcome=died)
