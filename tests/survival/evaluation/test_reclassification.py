"""NRI and IDI: Hmisc, brute force, influence functions by perturbation, bad input."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import OptionError

s = dc.survival

EXACT = 1e-9
OUTCOME = "Surv(time, event)"


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/calibration/expected.json")


@pytest.fixture(scope="module")
def known(frames):
    from dxa_causal._numerics.logistic import fit_logistic

    pbc = frames["pbc"]
    data = pbc[(pbc["time"] >= 2000) | (pbc["status"] == 2)].reset_index(drop=True)
    y = ((data["status"] == 2) & (data["time"] <= 2000)).astype(int)
    one = np.ones(len(y))
    p1 = fit_logistic(np.column_stack([one, data["age"]]), y.to_numpy(float)).fitted
    p2 = fit_logistic(np.column_stack([one, data["age"], np.log(data["bili"])]), y.to_numpy(float)).fitted
    return pd.DataFrame({"y": y, "p1": p1, "p2": p2})


def by_metric(fit):
    return fit.tidy().set_index("metric")


def hmisc(table, nri):
    """Values in the order of generate.R."""
    parts = [table.loc[[nri, f"{nri}, events", f"{nri}, non-events"], ["estimate", "std_error"]].to_numpy().ravel()]
    parts.append(table.loc["IDI", ["estimate", "std_error"]].to_numpy())
    parts.append([table.loc[nri, "statistic"], table.loc["IDI", "statistic"]])
    parts.append(table.loc[["IDI, events", "IDI, non-events"], "estimate"].to_numpy())
    return np.concatenate(parts).astype(float)


@pytest.mark.parametrize(("case", "digits"), [("improve_pbc", None), ("improve_tied", 1)])
def test_equals_hmisc(known, expected, case, digits):
    risks = known[["p1", "p2"]] if digits is None else known[["p1", "p2"]].round(digits)
    fit = s.reclassification(dict(risks.items()), outcome=known["y"])
    np.testing.assert_allclose(hmisc(by_metric(fit), "category-free NRI"), expected[case]["values"], rtol=EXACT)


def test_categories_equal_hmisc(known, expected):
    fit = s.reclassification({"a": "p1", "b": "p2"}, known, outcome="y", cuts=[0.2, 0.4])
    table, want = by_metric(fit), np.array(expected["improve_categories"]["values"])
    found = table.loc[["NRI", "NRI, events", "NRI, non-events"], ["estimate", "std_error"]].to_numpy().ravel()
    np.testing.assert_allclose(found.astype(float), want[:6], rtol=EXACT)
    moved = fit.tables["b"].reset_index()
    assert moved["n"].sum() == fit.nobs
    assert len(moved) == 9
    here = (known["p1"] >= 0.4) & (known["p2"] < 0.2)
    row = fit.tables["b"].loc[("0.4 to 1", "0 to 0.2")]
    assert row["n"] == here.sum()
    np.testing.assert_allclose(row["observed"], known["y"][here].mean())


def test_stored_case(known):
    table = by_metric(s.reclassification({"a": "p1", "b": "p2"}, known, outcome="y", cuts=[0.1, 0.3]))
    np.testing.assert_allclose(table.loc["NRI", "estimate"], 0.643115597029137, rtol=EXACT)
    np.testing.assert_allclose(table.loc["category-free NRI, events", "estimate"], 0.627118644067797, rtol=EXACT)
    np.testing.assert_allclose(table.loc["IDI", "estimate"], 0.435146408280823, rtol=EXACT)


@pytest.fixture(scope="module")
def competing():
    rng = np.random.default_rng(5)
    n = 60
    time, event = np.round(rng.exponential(1.2, n), 1) + 0.1, rng.integers(0, 3, n)
    return pd.DataFrame(
        {"a": rng.uniform(size=n), "b": rng.uniform(size=n), "time": time, "event": pd.Categorical(event)}
    )


def twin(data, w, method, horizon=1.0):
    """NRI with cut 0.5 and IDI of b over a, with their parts, from weighted rows."""
    time, event = data["time"].to_numpy(), data["event"].to_numpy().astype(int)

    def incidence(w):
        alive, total = 1.0, 0.0
        for t in np.unique(time[time <= horizon]):
            at_risk = w[time >= t].sum()
            total += alive * w[(time == t) & (event == 1)].sum() / at_risk
            alive *= 1 - w[(time == t) & (event > 0)].sum() / at_risk
        return total

    def free(upto, strict):
        value = 1.0
        for t in np.unique(time):
            if t < upto or (t == upto and not strict):
                at_risk = w[time > t].sum() + w[(time == t) & (event == 0)].sum()
                value *= 1 - w[(time == t) & (event == 0)].sum() / at_risk if at_risk > 0 else 1
        return value

    late = time > horizon
    ipcw = np.where(late, 1 / free(horizon, False), 0.0)
    for i in np.flatnonzero(~late & (event > 0)):
        ipcw[i] = 1 / free(time[i], True)
    case, other = (~late & (event == 1)) * ipcw * w, (late | (event == 2)) * ipcw * w
    change = (data["b"] - data["a"]).to_numpy()
    move = (data["b"] >= 0.5).to_numpy().astype(int) - (data["a"] >= 0.5).to_numpy().astype(int)
    if method == "ipcw":
        nri = [(case * move).sum() / case.sum(), -(other * move).sum() / other.sum()]
    else:
        f = incidence(w)
        (up, fu), (down, fd) = (((w * (move == d)).sum() / w.sum(), incidence(w * (move == d))) for d in (1, -1))
        nri = [(up * fu - down * fd) / f, (down * (1 - fd) - up * (1 - fu)) / (1 - f)]
    idi = [(case * change).sum() / case.sum(), -(other * change).sum() / other.sum()]
    return np.array([sum(nri), *nri, sum(idi), *idi])


@pytest.mark.parametrize("method", ["kaplan-meier", "ipcw"])
def test_survival_equals_its_definition_and_errors_those_of_perturbed_weights(competing, method):
    fit = s.reclassification(
        {"a": "a", "b": "b"}, competing, horizon=1.0, cuts=[0.5], outcome=OUTCOME, cause=1, method=method
    )
    table = by_metric(fit)
    order = [f"{m}{part}" for m in ("NRI", "IDI") for part in ("", ", events", ", non-events")]
    one = np.ones(len(competing))
    np.testing.assert_allclose(table.loc[order, "estimate"], twin(competing, one, method), rtol=1e-9)
    step = 1e-6
    slopes = [
        (twin(competing, one + step * e, method) - twin(competing, one - step * e, method)) / (2 * step)
        for e in np.eye(one.size)
    ]
    error = np.sqrt(np.sum(np.square(slopes), axis=0))
    np.testing.assert_allclose(table.loc[order, "std_error"], error, rtol=1e-5)


def test_reference_and_reversal(known):
    fit = s.reclassification({"a": "p1", "b": "p2"}, known, outcome="y", reference="b")
    back = s.reclassification({"a": "p1", "b": "p2"}, known, outcome="y")
    np.testing.assert_allclose(fit.tidy()["estimate"], -back.tidy()["estimate"], atol=1e-12)
    assert set(fit.tidy()["model"]) == {"a"}
    assert fit.glance()["reference"].iloc[0] == "b"
    fit.plot()
    assert "category-free" in str(fit)


def test_nobody_moves(known):
    table = by_metric(s.reclassification({"a": "p1", "b": "p1"}, known, outcome="y", cuts=[0.3]))
    np.testing.assert_array_equal(table["estimate"], 0.0)


def test_bad_input(known, competing):
    with pytest.raises(OptionError, match="two or more"):
        s.reclassification("p1", known, outcome="y")
    with pytest.raises(OptionError, match="cuts=.* strictly between"):
        s.reclassification({"a": "p1", "b": "p2"}, known, outcome="y", cuts=[0, 0.5])
    with pytest.raises(OptionError, match="reference='c'"):
        s.reclassification({"a": "p1", "b": "p2"}, known, outcome="y", reference="c")
    censored = competing.assign(event=lambda d: (d["event"] == 1) * (d["time"] < 0.5))
    late = float(censored["time"].max())
    with pytest.raises(OptionError, match="nobody is known to be without.*last usable"):
        s.reclassification({"a": "a", "b": "b"}, censored, horizon=late, outcome=OUTCOME)


def test_one_event_has_no_error_and_says_so():
    found = s.reclassification({"a": [0.1, 0.2, 0.3], "b": [0.2, 0.1, 0.3]}, outcome=[0, 1, 0]).tidy()
    idi = found[found["metric"].str.startswith("IDI")]
    assert idi["std_error"].isna().all()
    assert (idi["reason"] == "1 events and 2 non-events; a standard error needs two of each").all()
    with pytest.raises(OptionError, match="cuts='a' must be numbers"):
        s.reclassification({"a": [0.1, 0.2, 0.3], "b": [0.2, 0.1, 0.3]}, outcome=[0, 1, 0], cuts="a")
