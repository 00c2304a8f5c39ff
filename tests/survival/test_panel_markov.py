"""Markov models of panel data: msm's numbers, brute force, bad input."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, OptionError, OutcomeError
from dxa_causal._core.warnings import ConvergenceWarning

s = dc.survival
MOVES = {1: [2, 4], 2: [1, 3, 4], 3: [2, 4]}
ALIVE = {99: [1, 2, 3]}
# msm stops where its likelihood changes by less than 1e-16 of itself: parameters are then known to about 1e-6 of
# their standard errors squared; its Hessian is from differences of the gradient over steps of 1e-3.
ESTIMATE, ERROR = 3e-5, 2e-4


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/panel_markov/expected.json")


@pytest.fixture(scope="module")
def panel(frames):
    return frames["panel"]


def _fit(data, **options):
    return s.panel_markov(data, state="state", time="years", id="id", transitions=MOVES, **options)


def _case(case, panel):
    seen = panel[panel["state"] != 99]
    known = {"exact": 4, "censored": ALIVE}
    together = {"arm": ["1 -> 4", "2 -> 4", "3 -> 4"]}
    return {
        "plain": lambda: _fit(seen, exact=4),
        "interval": lambda: _fit(seen),
        "censored": lambda: _fit(panel, **known),
        "covariates": lambda: _fit(panel, **known, covariates="arm + x"),
        "by_transition": lambda: _fit(panel, **known, covariates={"1 -> 2": "arm", "3 -> 4": "x"}),
        "shared": lambda: _fit(panel, **known, covariates="arm", shared=together),
    }[case]()


@pytest.mark.parametrize("case", ["plain", "interval", "censored", "covariates", "by_transition", "shared"])
def test_panel_models_agree_with_msm(case, expected, panel):
    r, fit = expected[case], _case(case, panel)
    assert_allclose(-2 * fit.log_likelihood, r["minus2loglik"], rtol=1e-9)
    assert -2 * fit.log_likelihood <= r["minus2loglik"] + 1e-9
    for new, key in ((None, "Q"), (pd.DataFrame({"arm": [1], "x": [0.5]}), "Q_new")):
        theirs = np.array(r[key]["estimate"]), np.array(r[key]["se"])
        table = fit.intensities(new)
        place = [(int(a) - 1, int(b) - 1) for a, b in zip(table["from"], table["state"], strict=True)]
        estimate, error = (np.array([values[p] for p in place]) for values in theirs)
        assert_allclose(table["estimate"], estimate, rtol=ESTIMATE)
        assert_allclose(table["std_error"], error, rtol=ERROR)
    new = pd.DataFrame({"arm": [1], "x": [0.5]}) if fit.terms else None
    stay = fit.sojourn_times(new)
    assert_allclose(stay["estimate"], r["sojourn"], rtol=ESTIMATE)
    assert_allclose(stay["std_error"], r["sojourn_se"], rtol=ERROR)
    following = fit.next_states(new)
    pnext = [np.array(r["pnext"])[int(a) - 1, int(b) - 1] for a, b in zip(following["from"], following["state"])]
    assert_allclose(following["estimate"], pnext, rtol=ESTIMATE)
    chance = fit.predict(new, times=[2])["estimate"].to_numpy().reshape(3, 4)
    assert_allclose(chance, np.array(r["P2"])[:3], rtol=ESTIMATE)
    stays = fit.predict(new, type="length_of_stay", times=[5])["estimate"].to_numpy().reshape(3, 4)
    assert_allclose(stays[:, :3], np.array(r["length_of_stay"])[:, :3], rtol=ESTIMATE)


def test_parameters_agree_with_msm(expected, panel):
    r = expected["covariates"]
    fit = _case("covariates", panel)
    q, t = 7, np.arange(7)
    # msm lists all transitions of a covariate together
    order = np.concatenate([t, *(q + 2 * t + k for k in (0, 1))])
    assert_allclose(fit.parameters[order], r["parameters"], rtol=1e-4, atol=2e-5)
    assert_allclose(fit.std_error[order], r["se"], rtol=ERROR)
    assert_allclose(fit.means, r["means"][1:], rtol=1e-12)
    assert fit.terms[:4] == ("arm", "x", "arm", "x")
    assert fit.of_transition[:3] == ("1 -> 2", "1 -> 2", "1 -> 4")


def _slow(fit, panel, parameters):
    """Log-likelihood person by person, with matrix exponentials."""
    x = fit.design.new(panel)[0] - fit.means
    n, total = 4, 0.0
    for rows in panel.reset_index(drop=True).groupby("id").indices.values():
        vector = None
        for a, b in zip(rows[:-1], rows[1:], strict=True):
            rate = [
                np.exp(parameters[g] + sum(parameters[7 + k] * x[a, c] for c, k in pairs))
                for g, pairs in enumerate(fit.coefficients_of.columns)
            ]
            q = np.zeros((n, n))
            q[fit.model.origin, fit.model.target] = rate
            q -= np.diag(q.sum(axis=1))
            start = panel["state"].iloc[a]
            vector = np.eye(n)[start - 1] if start != 99 else vector
            vector = vector @ expm(q * (panel["years"].iloc[b] - panel["years"].iloc[a]))
            end = panel["state"].iloc[b]
            into = q[:, 3] * [1, 1, 1, 0]
            vector = vector * ({4: into, 99: np.array([1, 1, 1, 0])}.get(end, np.eye(n)[min(end, 4) - 1]))
            if end != 99 or b == rows[-1]:
                total += np.log(vector.sum())
    return total


def test_likelihood_is_that_of_a_slow_twin(panel):
    panel = panel[panel["id"] < 60]
    fit = _fit(panel, exact=4, censored=ALIVE, covariates="x", shared=["x"])
    assert_allclose(fit.log_likelihood, _slow(fit, panel, fit.parameters), rtol=1e-12)
    for k in (0, 4, 7):
        step = 1e-3 * np.eye(fit.parameters.size)[k]
        down, middle, up = (_slow(fit, panel, fit.parameters + f * step) for f in (-1, 0, 1))
        information = np.linalg.inv(fit.covariance)[k, k]
        assert_allclose(-(up - 2 * middle + down) / 1e-6, information, rtol=1e-4)
        assert abs(up - down) / 2e-3 < 1e-3


def test_errors_of_probabilities_are_those_of_derivatives(panel):
    fit = _case("covariates", panel)
    new = pd.DataFrame({"arm": [0, 1], "x": [1.0, -0.4]})
    x = fit.design.new(new)[0] - fit.means

    def probabilities(parameters, row):
        q = np.zeros((4, 4))
        for g, pairs in enumerate(fit.coefficients_of.columns):
            f, j = fit.model.origin[g], fit.model.target[g]
            q[f, j] = np.exp(parameters[g] + sum(parameters[7 + k] * x[row, c] for c, k in pairs))
        return expm(3.0 * (q - np.diag(q.sum(axis=1))))[1]

    table = fit.predict(new, state=2, times=[3.0])
    for row in (0, 1):
        own = table[table["row"] == row]
        assert_allclose(own["estimate"], probabilities(fit.parameters, row), rtol=1e-10)
        steps = 1e-4 * np.eye(fit.parameters.size)
        slope = [
            (probabilities(fit.parameters + e, row) - probabilities(fit.parameters - e, row)) / 2e-4 for e in steps
        ]
        error = np.sqrt(np.diag(np.transpose(slope) @ fit.covariance @ slope))
        assert_allclose(own["std_error"], error, rtol=1e-6)
        assert own["conf_low"].between(0, 1).all()
        assert own["conf_high"].between(0, 1).all()


def test_two_states_have_a_closed_form():
    data = pd.DataFrame(
        {
            "p": np.repeat(np.arange(50), 2),
            "t": np.tile([0.0, 2.0], 50),
            "s": np.ravel([[1, 1 + (k < 18)] for k in range(50)]),
        }
    )
    fit = s.panel_markov(data, state="s", time="t", id="p", transitions={1: [2]})
    rate = -np.log(32 / 50) / 2
    assert_allclose(np.exp(fit.parameters), [rate], rtol=1e-9)
    assert_allclose(fit.log_likelihood, 32 * np.log(0.64) + 18 * np.log(0.36), rtol=1e-12)
    # the delta method on log(-log(32/50) / 2)
    assert_allclose(fit.std_error, np.sqrt(0.36 / (0.64 * 50)) / -np.log(0.64), rtol=1e-6)
    assert_allclose(fit.sojourn_times()["estimate"], 1 / rate)


def test_equal_rates_in_a_row_are_no_trouble():
    """The matrix of a progressive model with equal rates has no basis of eigenvectors."""
    rng = np.random.default_rng(2)
    rows = []
    for p in range(120):
        moves = rng.exponential(2.0, 2).cumsum()
        for t in (0.0, 1.5, 3.0, 4.5):
            rows.append({"p": p, "t": t, "s": 1 + int((moves < t).sum())})
    same = {"1 -> 2": 0.5, "2 -> 3": 0.5}
    options = {"state": "s", "time": "t", "id": "p", "transitions": {1: [2], 2: [3]}}
    fits = [s.panel_markov(pd.DataFrame(rows), **options, initial=initial) for initial in (same, None)]
    assert_allclose(fits[0].parameters, fits[1].parameters, rtol=1e-7)
    assert fits[0].converged


def test_properties(panel):
    panel = panel[panel["id"] < 150]
    fit = _case("covariates", panel)
    shuffled = panel.sample(frac=1, random_state=1)
    assert_allclose(_case("covariates", shuffled).parameters, fit.parameters, rtol=1e-6, atol=1e-8)
    days = _case("covariates", panel.assign(years=panel["years"] * 365.25))
    assert_allclose(days.parameters[:7], fit.parameters[:7] - np.log(365.25), rtol=1e-6)
    assert_allclose(days.std_error, fit.std_error, rtol=1e-5)
    again = pd.concat([panel, panel.assign(id=panel["id"] + 1000)])
    twice = _case("covariates", again)
    assert_allclose(twice.parameters, fit.parameters, rtol=1e-6, atol=1e-8)
    assert_allclose(twice.std_error, fit.std_error / np.sqrt(2), rtol=1e-5)
    table = fit.predict(times=[0.5, 4])
    assert_allclose(table.groupby(["from", "time"])["estimate"].sum(), 1.0, rtol=1e-12)
    stays = fit.predict(type="length_of_stay", times=[4])
    assert_allclose(stays.groupby("from")["estimate"].sum(), 4.0, rtol=1e-12)
    assert fit.intensity_matrix().sum(axis=1).abs().max() < 1e-12
    assert fit.counts.loc[1, 99] > 0
    named = panel.assign(state=panel["state"].map({1: "well", 2: "ill", 3: "worse", 4: "dead"}))
    by_name = s.panel_markov(
        named.dropna(), state="state", time="years", id="id", exact="dead",
        transitions={"well": ["ill", "dead"], "ill": ["well", "worse", "dead"], "worse": ["ill", "dead"]},
    )  # fmt: skip
    assert_allclose(by_name.parameters, _case("plain", panel).parameters, rtol=1e-7)


def test_covariates_of_the_last_visit_are_not_used(panel):
    panel = panel[panel["id"] < 150]
    fit = _case("covariates", panel)
    last = panel["years"] == panel.groupby("id")["years"].transform("max")
    without = _case("covariates", panel.assign(x=panel["x"].where(~last)))
    assert_allclose(without.parameters, fit.parameters, rtol=1e-9)
    assert without.provenance.n_used == len(panel) - (panel.groupby("id")["x"].size() == 1).sum()


def test_unit_and_origin_of_a_covariate_change_nothing(panel):
    seen = panel[panel["state"] != 99]
    fit, other = (_fit(d, covariates="x") for d in (seen, seen.assign(x=1e7 + 1e6 * seen["x"])))
    assert_allclose(other.log_likelihood, fit.log_likelihood, rtol=1e-10)
    assert_allclose(other.tidy()["estimate"].iloc[-7:] * 1e6, fit.tidy()["estimate"].iloc[-7:], rtol=1e-5, atol=1e-7)
    assert_allclose(other.tidy()["std_error"].iloc[-7:] * 1e6, fit.tidy()["std_error"].iloc[-7:], rtol=1e-5)


def test_states_as_a_set_or_one_by_itself(panel):
    known = {"state": "state", "time": "years", "id": "id", "exact": 4}
    seen = panel[panel["state"] != 99]
    sets = s.panel_markov(seen, **known, transitions={h: set(j) for h, j in MOVES.items()})
    assert_allclose(sets.parameters, _fit(seen, exact=4).parameters)


def test_bad_input(panel):
    seen = panel[panel["state"] != 99].reset_index(drop=True)
    with pytest.raises(OutcomeError, match=r"rows hold a state that is not among the transitions, first row .* 99"):
        _fit(panel)
    jump = seen[seen["id"] == seen["id"][0]].head(3).assign(state=[1, 3, 1])
    with pytest.raises(OutcomeError, match=r"changes are seen that the transitions do not allow, first from 3 to 1"):
        s.panel_markov(
            pd.concat([jump, seen[seen["id"] > 5]]), state="state", time="years", id="id",
            transitions={1: [2, 4], 2: [3, 4], 3: [4]},
        )  # fmt: skip
    dead = seen["id"] == seen.loc[seen["state"] == 4, "id"].iloc[0]
    after = seen[dead].tail(1).assign(years=99.0, state=1)
    with pytest.raises(OutcomeError, match="follow a state that cannot be left"):
        _fit(pd.concat([seen, after]))
    with pytest.raises(OutcomeError, match="at the same time"):
        _fit(pd.concat([seen, seen.head(1)]))
    with pytest.raises(OutcomeError, match="no person .* is seen twice"):
        _fit(seen.groupby("id").head(1).assign(state=np.resize([1, 2, 3, 4], seen["id"].nunique())))
    with pytest.raises(OutcomeError, match="nobody is ever seen in state 5"):
        s.panel_markov(
            seen, state="state", time="years", id="id", transitions={1: [2, 4], 2: [1, 3, 4], 3: [2, 4, 5], 5: [4]}
        )
    with pytest.raises(OutcomeError, match="the first visit of .* persons is in an unknown state"):
        first = seen.groupby("id").cumcount() == 0
        _fit(seen.assign(state=seen["state"].where(~(first & (seen["id"] == 3)), 99)), censored=ALIVE)
    for options, message in (
        ({"exact": 3}, "exact=3 must be a state that can be reached and not left"),
        ({"exact": 7}, "exact: 7 is not a state of the transitions"),
        ({"censored": {4: [1, 2]}}, "censored: 4 is a state of the transitions"),
        ({"censored": {99: [1, 8]}}, "8 is not a state"),
        ({"covariates": {"1 -> 3": "x"}}, "there is no transition '1 -> 3'"),
        ({"initial": {"1 -> 2": -1}}, "must be a positive number"),
        ({"covariates": "x", "shared": ["arm"]}, "no term 'arm'"),
    ):
        with pytest.raises(OptionError, match=message):
            _fit(seen, **options)
    with pytest.raises(OptionError, match="must name transitions"):
        _fit(seen, covariates=["x"])
    with pytest.raises(OptionError, match="must list other states"):
        s.panel_markov(seen, state="state", time="years", id="id", transitions={1: [1, 2]})
    with pytest.raises(ColumnNotFoundError, match="time: no column 'year'"):
        s.panel_markov(seen, state="state", time="year", id="id", transitions=MOVES)
    fit = _fit(seen, exact=4)
    with pytest.raises(OptionError, match="state=9 is unknown"):
        fit.predict(state=9, times=[1])
    with pytest.raises(OptionError, match="not negative"):
        fit.predict(times=[-1])
    with pytest.raises(OptionError, match="inf is among them"):
        fit.predict(times=[np.inf])
    with pytest.raises(OptionError, match="until=-1 must be a positive time"):
        fit.plot_states(state=1, until=-1)


def test_what_the_data_do_not_tell_is_said(panel):
    seen = panel[panel["state"] != 99]
    alive = (seen.groupby("id")["state"].transform("max") < 4) * 1.0
    with pytest.warns(ConvergenceWarning, match=r"the data do not determine 3 -> 4, z \(3 -> 4\)"):
        fit = _fit(seen.assign(z=alive), exact=4, covariates={"3 -> 4": "z"})
    assert fit.std_error.max() > 100
    with pytest.warns(ConvergenceWarning, match="the data do not determine 1 -> 3: the likelihood is flat"):
        s.panel_markov(seen, state="state", time="years", id="id", transitions={**MOVES, 1: [2, 3, 4]}, exact=4)
    late = (seen["state"].shift(-1) == 4) & (seen["id"].shift(-1) == seen["id"]) & (seen["state"] == 1)
    with pytest.warns(ConvergenceWarning, match="the data do not determine 2 -> 3"):
        _fit(seen.assign(late=late * 1.0), exact=4, covariates={"2 -> 3": "late"})
