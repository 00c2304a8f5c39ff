"""Illness-death model with interval-censored onset: R's msm and survreg, the definition by quadrature, properties."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from threadpoolctl import threadpool_limits

import dxa_causal as dc
from dxa_causal._core.errors import CollinearityError, EmptyDataError, OptionError, OutcomeError
from dxa_causal._core.warnings import ConvergenceWarning, SeparationWarning
from dxa_causal.survival._kernels.illness_death import Persons, Quadrature, likelihood, onset_paths
from dxa_causal.survival._kernels.marquardt import maximise
from dxa_causal.survival._kernels.transition_hazards import SplineHazard, WeibullHazard
from dxa_causal.survival.multistate.illness_death_result import TRANSITIONS

s = dc.survival
ILL, DEATH = "Surv(left, right, type='interval')", "Surv(entry, time, died)"
NEW = pd.DataFrame({"arm": [1], "x": [0.5]})

ESTIMATE = 1e-7  # relative: as far as msm's iteration goes
ERROR = 5e-6  # relative: msm's Hessian is made of differences


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Kernels called by themselves do small products, which threads would only slow."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/illness_death/expected.json")


@pytest.fixture(scope="module")
def onsets(frames):
    return frames["onsets"]


def fit(data, covariates="arm + x", **options):
    return s.illness_death(**{"ill": ILL, "death": DEATH, "covariates": covariates, "data": data, **options})


@pytest.fixture(scope="module")
def exponential(onsets):
    return fit(onsets, hazards="exponential")


@pytest.fixture(scope="module")
def weibull(onsets):
    return fit(onsets)


@pytest.fixture(scope="module")
def splines(onsets):
    return fit(onsets, hazards="splines", knots=5, penalty=[100.0, 50.0, 20.0])


# R ----------------------------------------------------------------------------------------------------------------


def test_constant_hazards_agree_with_msm(exponential, expected):
    want = expected["msm"]
    for name, values in (("coefficients", want["estimate"]), ("std_error", want["std_error"])):
        rtol = ESTIMATE if name == "coefficients" else ERROR
        by_transition = np.reshape(values[3:], (2, 3)).T.ravel()  # msm: covariate by covariate
        np.testing.assert_allclose(getattr(exponential, name), by_transition, rtol=rtol)
    scale = exponential.baseline().query("term == 'scale'")
    np.testing.assert_allclose(-np.log(scale["estimate"]), want["estimate"][:3], rtol=ESTIMATE)
    np.testing.assert_allclose(scale["std_error"], want["std_error"][:3], rtol=ERROR)
    assert exponential.log_likelihood == pytest.approx(want["log_likelihood"], abs=1e-8)
    assert exponential.glance()["aic"].iloc[0] == pytest.approx(18 - 2 * want["log_likelihood"])


def test_likelihood_ratio_against_msm_without_covariates(exponential, onsets, expected):
    null = fit(onsets, "1", hazards="exponential")
    assert null.tidy().empty
    assert null.log_likelihood == pytest.approx(expected["msm_null"]["log_likelihood"], abs=1e-8)
    test = exponential.likelihood_ratio_test
    want = 2 * (expected["msm"]["log_likelihood"] - expected["msm_null"]["log_likelihood"])
    assert (test.statistic, test.df) == (pytest.approx(want, abs=1e-7), 6)


def test_predictions_agree_with_msm(exponential, expected):
    want = expected["msm"]
    found = exponential.predict(NEW, start=0, times=want["times"])
    for state in ("healthy", "ill", "dead"):
        got = found.loc[found["state"] == state, "estimate"]
        np.testing.assert_allclose(got, want["probability"][state], rtol=1e-8)
    ill = exponential.predict(NEW, start=0, times=want["times"], state="ill").query("state == 'ill'")
    np.testing.assert_allclose(ill["estimate"], want["probability"]["still_ill"], rtol=1e-8)
    forever = exponential.predict(NEW, type="life_expectancy", start=0)
    np.testing.assert_allclose(forever["estimate"][:2], want["life_expectancy"][:2], rtol=1e-8)
    until = exponential.predict(NEW, type="life_expectancy", start=0, times=6)
    np.testing.assert_allclose(until["estimate"][:2], want["until_six"][:2], rtol=1e-8)
    assert until["time"].tolist() == [6.0] * 3


def test_known_onset_agrees_with_survreg(onsets, expected):
    prompt = onsets[onsets["entry"] == 0]
    prompt = prompt.assign(left=np.minimum(prompt["onset"], prompt["time"]), right=prompt["onset"])
    found = fit(prompt, death="Surv(time, died)")
    for transition, key in (("healthy -> ill", "exact_ill"), ("healthy -> dead", "exact_dead")):
        table, base, want = found.tidy(), found.baseline(), expected[key]
        table = table[table["transition"] == transition]
        np.testing.assert_allclose(table["estimate"], want["estimate"], rtol=1e-8)
        np.testing.assert_allclose(table["std_error"], want["std_error"], rtol=1e-7)
        base = base[base["transition"] == transition].set_index("term")["estimate"]
        np.testing.assert_allclose(base[["shape", "scale"]], [want["shape"], want["scale"]], rtol=1e-8)


# from the definition --------------------------------------------------------------------------------------------


class Slow:
    """The model at given parameters, with adaptive quadrature."""

    def __init__(self, fit, x):
        self.h = [self._hazard(fit, k, x[k]) for k in range(3)]
        self.breaks = fit.baselines[0].breaks

    @staticmethod
    def _hazard(fit, k, x):
        base, beta = fit._places[k]
        theta, risk, family = fit.parameters[base], np.exp(x @ fit.parameters[beta]), fit.baselines[k]

        def one(t):
            return family.at(np.array([t]))

        return (
            lambda t: risk * np.exp(one(t).log_hazard(theta)[0][0]),
            lambda t: risk * one(t).cumulative(theta)[0][0],
        )

    def healthy(self, s, t):
        return np.exp(sum(self.h[k][1](s) - self.h[k][1](t) for k in (0, 1)))

    def ill(self, s, t):
        return np.exp(self.h[2][1](s) - self.h[2][1](t))

    def onset(self, s, low, high, t=None):
        def density(u):
            return self.healthy(s, u) * self.h[0][0](u) * (1.0 if t is None else self.ill(u, t))

        cuts = [low, *(b for b in self.breaks if low < b < high), high]
        return sum(quad(density, a, b, epsabs=1e-13, epsrel=1e-12)[0] for a, b in zip(cuts, cuts[1:]))

    def contribution(self, entry, left, right, time, died):
        dies = [self.h[k][0](time) if died else 1.0 for k in range(3)]
        if np.isinf(right):
            value = self.healthy(entry, time) * dies[1]
            return value + (self.onset(entry, left, time, time) * dies[2] if left < time else 0.0)
        if left == right:
            return self.healthy(entry, left) * self.h[0][0](left) * self.ill(left, time) * dies[2]
        return self.onset(entry, left, right, time) * dies[2]


@pytest.mark.parametrize("kind", ["weibull", "splines"])
def test_contributions_are_those_of_the_definition(kind, onsets, request):
    found = request.getfixturevalue(kind)
    lives, rows = found.lives, [*range(12), *np.flatnonzero(np.isfinite(onsets["right"]))[:8]]
    for i in rows:
        left, right = lives.left[i], lives.right[i]
        for low, high in ((left, right), (right, right)) if np.isfinite(right) else ((left, right),):
            one = Persons(*(np.array([v[i]]) for v in (lives.time, lives.died, lives.entry)), _x(found, [i]))
            paths = onset_paths(np.array([low]), np.array([high]), one.time, rule(found, found.n_nodes))
            got = likelihood(one, paths, found.baselines).value(found.parameters)
            slow = Slow(found, [d.x[i] for d in found.designs])
            want = slow.contribution(lives.entry[i], low, high, lives.time[i], lives.died[i])
            assert got == pytest.approx(np.log(want), abs=1e-8)


def rule(found, nodes):
    return Quadrature(found.baselines[0].breaks, found.baselines[0].power, nodes)


def _x(found, rows):
    return tuple(d.x[rows] for d in found.designs)


@pytest.mark.parametrize("kind", ["weibull", "splines"])
def test_predictions_are_those_of_the_definition(kind, request):
    found = request.getfixturevalue(kind)
    slow, start, t = Slow(found, [NEW.to_numpy(float)[0]] * 3), 0.7, 6.5
    states = found.predict(NEW, start=start, times=t).set_index("state")["estimate"]
    assert states["healthy"] == pytest.approx(slow.healthy(start, t), rel=1e-8)
    assert states["ill"] == pytest.approx(slow.onset(start, start, t, t), rel=1e-8)
    assert states.sum() == pytest.approx(1.0)
    incidence = found.predict(NEW, type="cumulative_incidence", start=start, times=t)["estimate"].iloc[0]
    assert incidence == pytest.approx(slow.onset(start, start, t), rel=1e-8)
    spent = found.predict(NEW, type="life_expectancy", start=start, times=t).set_index("state")["estimate"]
    cuts = [start, *(b for b in slow.breaks if start < b < t), t]
    pieces = [(b - a) / 2 * np.polynomial.legendre.leggauss(8)[1] for a, b in zip(cuts, cuts[1:])]
    at = [(a + b) / 2 + (b - a) / 2 * np.polynomial.legendre.leggauss(8)[0] for a, b in zip(cuts, cuts[1:])]
    weight, at = np.concatenate(pieces), np.concatenate(at)
    healthy = weight @ [slow.healthy(start, u) for u in at]
    ill = weight @ [slow.onset(start, start, u, u) for u in at]
    np.testing.assert_allclose(spent, [healthy, ill, healthy + ill], rtol=1e-7)


def test_life_expectancy_is_the_area_for_ever(weibull):
    slow = Slow(weibull, [NEW.to_numpy(float)[0]] * 3)
    got = weibull.predict(NEW, type="life_expectancy", start=1.0).set_index("state")["estimate"]
    assert got["healthy"] == pytest.approx(quad(lambda u: slow.healthy(1.0, u), 1, np.inf)[0], rel=1e-7)
    ill = weibull.predict(NEW, type="life_expectancy", start=1.0, state="ill").set_index("state")["estimate"]
    assert ill["ill"] == pytest.approx(quad(lambda u: slow.ill(1.0, u), 1, np.inf)[0], rel=1e-7)
    risk = weibull.predict(NEW, type="lifetime_risk", start=1.0)
    assert risk["time"].iloc[0] == np.inf
    assert risk["estimate"].iloc[0] == pytest.approx(slow.onset(1.0, 1.0, 60.0), rel=1e-7)


@pytest.mark.parametrize("kind", ["weibull", "splines"])
def test_derivatives_are_those_of_differences(kind, request):
    found = request.getfixturevalue(kind)
    lives = found.lives
    paths = onset_paths(lives.left, lives.right, lives.time, rule(found, 8))
    log = likelihood(Persons(lives.time, lives.died, lives.entry, _x(found, slice(None))), paths, found.baselines)
    at = found.parameters + 0.05
    value, gradient, hessian = log.derivatives(at)
    assert log.value(at) == pytest.approx(value)
    steps = 1e-5 * np.eye(at.size)
    differences = [(log.value(at + h) - log.value(at - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(gradient, differences, atol=1e-7 * np.abs(gradient).max())
    differences = [(log.derivatives(at + h)[1] - log.derivatives(at - h)[1]) / 2e-5 for h in steps]
    np.testing.assert_allclose(hessian, differences, atol=1e-7 * np.abs(hessian).max())
    each, score = log.contributions(at)
    assert each.sum() == pytest.approx(value)
    np.testing.assert_allclose(score.sum(axis=0), gradient, atol=1e-9 * np.abs(gradient).max())


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "state_probability", "times": 5.0},
        {"type": "cumulative_incidence", "times": 5.0},
        {"type": "life_expectancy"},
        {"type": "hazard", "times": 5.0},
        {"type": "cumulative_hazard", "times": 5.0},
    ],
    ids=lambda a: a["type"],
)
def test_standard_errors_of_predictions_are_those_of_differences(asked, weibull):
    from dataclasses import replace

    def at(parameters):
        return replace(weibull, parameters=parameters).predict(NEW, start=0.5, **asked)["estimate"].to_numpy()

    steps = 1e-5 * np.eye(weibull.parameters.size)
    gradient = np.array([(at(weibull.parameters + h) - at(weibull.parameters - h)) / 2e-5 for h in steps])
    want = np.sqrt(np.diag(gradient.T @ weibull.parameter_covariance @ gradient))
    np.testing.assert_allclose(weibull.predict(NEW, start=0.5, **asked)["std_error"], want, rtol=1e-5)


@pytest.mark.parametrize("shape", [0.7, 1.3, 6.0])
def test_more_nodes_change_nothing(shape):
    rng = np.random.default_rng(3)
    n = 250
    onset, healthy = (rng.exponential(size=n) ** (1 / shape) * scale for scale in (3.0, 6.0))
    death = np.where(onset < healthy, (onset**shape + 4**shape * rng.exponential(size=n)) ** (1 / shape), healthy)
    onset = np.where(onset < healthy, onset, np.inf)
    visits = rng.uniform(0.5, 2.5, (n, 6)).cumsum(axis=1)
    alive = visits < death[:, None]
    left = np.where(alive & (visits <= onset[:, None]), visits, 0.0).max(axis=1)
    right = np.where(alive & (visits > onset[:, None]), visits, np.inf).min(axis=1)
    data = pd.DataFrame({"left": left, "right": right, "time": np.minimum(death, 8.0), "died": death <= 8.0})
    data = data.assign(left=np.minimum(left, data["time"]), right=right.clip(max=np.inf))
    data = data[(data["right"] <= data["time"]) | np.isinf(data["right"])]
    found = fit(data, "1", death="Surv(time, died)")
    none = np.empty((len(data), 0))
    lives = found.lives
    fine = likelihood(
        Persons(lives.time, lives.died, lives.entry, (none,) * 3),
        onset_paths(lives.left, lives.right, lives.time, rule(found, 400)),
        found.baselines,
    )
    again = maximise(fine.value, fine.derivatives, found.parameters)
    assert again.value == pytest.approx(found.log_likelihood, abs=1e-7)
    np.testing.assert_allclose(again.parameters, found.parameters, atol=1e-6)


# penalised ------------------------------------------------------------------------------------------------------


def test_penalty_is_the_integral_of_the_squared_second_derivative():
    hazard = SplineHazard(np.array([1.0, 2.0, 2.5, 4.0, 7.0]))
    theta = np.random.default_rng(1).random(hazard.size)
    second = hazard._basis(2)
    pieces = zip(hazard.knots, hazard.knots[1:])
    want = sum(quad(lambda t: float(second(t) @ theta) ** 2, a, b)[0] for a, b in pieces)
    assert theta @ hazard.penalty() @ theta == pytest.approx(want)
    flat = hazard.constant(0.3)
    np.testing.assert_allclose(np.exp(hazard.at(np.linspace(1, 7, 9)).log_hazard(flat)[0]), 0.3)
    assert flat**2 @ hazard.penalty() @ flat**2 == pytest.approx(0.0, abs=1e-12)


def test_splines_without_penalty_beat_the_constant_and_a_strong_penalty_makes_lines(onsets, exponential):
    free = fit(onsets, hazards="splines", knots=4, penalty=1e-3)
    stiff = fit(onsets, hazards="splines", knots=4, penalty=1e9)
    assert exponential.log_likelihood - 1e-6 < stiff.log_likelihood < free.log_likelihood
    assert stiff.df < free.df <= free.parameters.size
    assert stiff.df == pytest.approx(12, abs=0.5)  # two of each line, six effects
    time = np.linspace(0.5, 9.5, 7)
    lines = stiff.predict(NEW, type="hazard", times=time)
    for _, line in lines.groupby("transition"):
        np.testing.assert_allclose(np.diff(line["estimate"], 2), 0.0, atol=1e-5)
    # hazards that are lines in place of constants: nearly the same effects
    np.testing.assert_allclose(stiff.coefficients, exponential.coefficients, atol=0.05)


def test_splines_stand_at_the_maximum_of_the_penalised_likelihood(splines):
    lives = splines.lives
    paths = onset_paths(lives.left, lives.right, lives.time, rule(splines, 12))
    log = likelihood(Persons(lives.time, lives.died, lives.entry, _x(splines, slice(None))), paths, splines.baselines)
    matrix = splines.baselines[0].penalty()

    def target(parameters):
        theta = [parameters[base] ** 2 for base, _ in splines._places]
        return log.value(parameters) - sum(k * t @ matrix @ t for k, t in zip(splines.penalty, theta))

    at, rng = splines.parameters, np.random.default_rng(1)
    assert log.value(at) == pytest.approx(splines.log_likelihood, abs=1e-7)
    for _ in range(20):
        assert target(at + 1e-3 * rng.normal(size=at.size)) < target(at)


@pytest.mark.slow
def test_penalties_are_chosen(onsets):
    chosen = fit(onsets, hazards="splines", knots=5)
    criterion = chosen.log_likelihood - chosen.df
    for factor in (0.05, 20.0):
        other = fit(onsets, hazards="splines", knots=5, penalty=chosen.penalty * factor)
        assert criterion > other.log_likelihood - other.df - 0.02
    given = fit(onsets, hazards="splines", knots=5, penalty=dict(zip(TRANSITIONS, chosen.penalty)))
    np.testing.assert_allclose(given.coefficients, chosen.coefficients, rtol=1e-5)


# properties -----------------------------------------------------------------------------------------------------


def test_another_unit_of_time_changes_only_the_scale(onsets, weibull):
    names = ["entry", "left", "right", "time"]
    months = fit(onsets.assign(**{name: 12 * onsets[name] for name in names}))
    np.testing.assert_allclose(months.coefficients, weibull.coefficients, rtol=1e-7)
    np.testing.assert_allclose(months.std_error, weibull.std_error, rtol=1e-7)
    one, other = weibull.baseline()["estimate"].to_numpy(), months.baseline()["estimate"].to_numpy()
    np.testing.assert_allclose(other[::2], one[::2], rtol=1e-7)
    np.testing.assert_allclose(other[1::2], 12 * one[1::2], rtol=1e-7)
    risk = [f.predict(NEW, type="lifetime_risk", start=t)["estimate"][0] for f, t in ((weibull, 1), (months, 12))]
    assert risk[0] == pytest.approx(risk[1])


def test_row_order_and_polars(onsets, weibull):
    import polars as pl

    shuffled = fit(onsets.sample(frac=1, random_state=1))
    np.testing.assert_allclose(shuffled.coefficients, weibull.coefficients, rtol=1e-8)
    np.testing.assert_allclose(fit(pl.from_pandas(onsets)).coefficients, weibull.coefficients, rtol=1e-12)


def test_covariates_by_transition(onsets, weibull):
    same = fit(onsets, dict.fromkeys(TRANSITIONS, "arm + x"))
    np.testing.assert_allclose(same.coefficients, weibull.coefficients, rtol=1e-10)
    some = fit(onsets, {"healthy -> ill": "C(arm)", "ill -> dead": "x"})
    assert some.tidy()[["transition", "term"]].to_numpy().tolist() == [
        ["healthy -> ill", "C(arm)[T.1]"],
        ["ill -> dead", "x"],
    ]
    assert some.log_likelihood < weibull.log_likelihood
    gaps = onsets.assign(x=onsets["x"].where(onsets.index != 5))
    assert fit(gaps, {"ill -> dead": "x"}).provenance.missing == {"x": 1}
    assert some.predict(NEW, type="hazard", times=2.0)["transition"].tolist() == list(TRANSITIONS)


def test_effects_are_found_and_the_diagnosis_visit_misses_onsets():
    people = dc.simulate.illness_death_cohort(6000, seed=4, visit_gap=4.0)
    found = s.illness_death(
        ill="Surv(last_free_age, first_seen_age, type='interval')",
        death="Surv(age_entry, age_end, died)",
        covariates="C(sex) + grip_z + bmd_z",
        data=people,
    )
    table = found.tidy()
    truth = np.concatenate([[*v.values()] for v in people.attrs["log_hazard_ratio"].values()])
    assert np.abs((table["estimate"] - truth) / table["std_error"]).max() < 3.5
    base = found.baseline()
    want = np.concatenate([*people.attrs["weibull"].values()])
    assert np.abs(np.log(base["estimate"] / want) / base["std_error"]).max() < 3.5
    assert np.isfinite(people["first_seen_age"]).sum() < 0.7 * (people["true_onset_age"] < people["age_end"]).sum()


def test_wald_tests_and_notes(weibull, splines):
    assert weibull.wald("arm").df == 3
    assert weibull.wald_test.df == 6
    assert not splines.likelihood_ratio_test.applicable
    assert "penalties" in str(splines)
    text = str(weibull)
    assert "289 seen ill, of whom 119 died; 152 died without illness seen" in text
    ratio = weibull.tidy(exponentiate=True)["estimate"]
    np.testing.assert_allclose(ratio, np.exp(weibull.coefficients))


def test_curves_and_figures(weibull):
    curve = weibull.predict(NEW, type="cumulative_incidence")
    assert len(curve) == 50
    assert curve["estimate"].is_monotonic_increasing
    assert curve[["conf_low", "conf_high"]].stack().between(0, 1).all()
    begin = weibull.predict(NEW, start=2.0, times=[2.0]).set_index("state")["estimate"]
    np.testing.assert_allclose(begin[["healthy", "ill", "dead"]], [1.0, 0.0, 0.0], atol=1e-12)
    assert len(weibull.plot().get_lines()) == 3
    assert weibull.plot_prediction(NEW).get_ylabel()
    assert len(weibull.predict(type="lifetime_risk")) == weibull.nobs


# bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": 99.0, "right": np.inf}, r"visit order.*in 1 rows 'left'.*'time'.*row 3, was last seen healthy at 99"),
        ({"left": 1.0, "right": 50.0}, r"visit order.*'right'.*row 3, was first seen ill at 50"),
        ({"entry": 3.0, "left": 0.5, "right": 2.0, "time": 9.0}, r"'entry' must come before the event.*row 3"),
        ({"entry": 99.0}, r"entry must come before exit"),
        ({"left": 2.0, "right": 1.0}, r"left must not come after right"),
    ],
)
def test_visits_that_contradict_follow_up(change, message, onsets):
    frame = onsets.astype({"died": float})
    for name, value in change.items():
        frame.loc[3, name] = value
    with pytest.raises(OutcomeError, match=message):
        fit(frame)


def test_transitions_nobody_makes(onsets):
    seen = np.isfinite(onsets["right"])
    with pytest.raises(OutcomeError, match="was seen ill"):
        fit(onsets.assign(right=np.inf))
    with pytest.raises(OutcomeError, match="died without having been seen ill"):
        fit(onsets.assign(died=onsets["died"] * seen))
    with pytest.raises(OutcomeError, match="died after having been seen ill"):
        fit(onsets.assign(died=onsets["died"] * ~seen))
    with pytest.raises(OutcomeError, match="onset is at time zero, first row 0"):
        fit(onsets.assign(left=0.0, right=0.0), death="Surv(time, died)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hazards": "weibul"}, "did you mean 'weibull'"),
        ({"penalty": 1.0}, "belongs to hazards='splines'"),
        ({"hazards": "splines", "penalty": [1.0, 2.0]}, "one number or three"),
        ({"hazards": "splines", "penalty": {"healthy -> ill": 1.0}}, "lacks 'healthy -> dead', 'ill -> dead'"),
        ({"hazards": "splines", "penalty": -1.0}, "must be positive"),
        ({"hazards": "splines", "knots": 2}, "at least 3"),
        ({"hazards": "splines", "knots": "7"}, "knots='7' must be a whole number"),
        ({"hazards": "splines", "knots": 3.5}, "knots=3.5 must be a whole number"),
        ({"hazards": "splines", "knots": [0.0, np.nan, 99.0]}, "different times"),
        ({"hazards": "splines", "knots": [1.0, 2.0, 3.0]}, "do not span the follow-up"),
        ({"covariates": {"ill -> healthy": "x"}}, "covariates: transition='ill -> healthy'"),
    ],
)
def test_options(options, message, onsets):
    with pytest.raises(OptionError, match=message):
        fit(onsets, **options)


def test_covariates_that_cannot_be_told_apart(onsets):
    with pytest.raises(CollinearityError, match="'y' is a linear combination of 'x'"):
        fit(onsets.assign(y=2 * onsets["x"]), "x + y")
    apart = onsets.assign(z=((onsets["died"] == 1) & np.isinf(onsets["right"]) & (onsets.index % 3 > 0)).astype(int))
    with pytest.warns(SeparationWarning, match="the coefficient of 'z' on 'healthy -> ill' runs to infinity"):
        fit(apart, {"healthy -> ill": "z"})


def test_a_hazard_that_falls_faster_than_a_weibull_can():
    people = dc.simulate.illness_death_cohort(120, seed=79)
    onset, death = "Surv(last_free_age, first_seen_age, type='interval')", "Surv(age_entry, age_end, died)"
    with pytest.warns(ConvergenceWarning, match="the shape of the hazard of 'ill -> dead' runs to zero"):
        found = s.illness_death(ill=onset, death=death, covariates="grip_z", data=people)
    assert found.converged
    hazard = found.predict(people.head(1), type="hazard", times=[70.0, 80.0]).query("transition == 'ill -> dead'")
    assert hazard["estimate"].iloc[0] * 70 == pytest.approx(hazard["estimate"].iloc[1] * 80)
    assert found.baseline()["estimate"].iloc[4] < 1e-6


def test_unseen_onsets_that_explain_every_death(onsets):
    vague = onsets.assign(left=onsets["left"].where(np.isfinite(onsets["right"]), onsets["entry"]))
    dead = (vague["died"] == 1) & np.isinf(vague["right"])
    with pytest.warns(ConvergenceWarning, match="the hazard of 'healthy -> dead' runs to zero"):
        fit(vague[~dead | (dead.cumsum() <= 3)], "1")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"type": "survival"}, "type='survival' is not allowed"),
        ({"times": 1.0, "start": 2.0}, "must not come before start=2"),
        ({"type": "lifetime_risk", "times": 1.0}, "takes no times"),
        ({"type": "lifetime_risk", "state": "ill"}, "healthy at the start"),
        ({"start": -1.0}, "start=-1.0 must be a time"),
        ({"start": "70"}, "start='70' must be a time"),
        ({"times": np.inf}, "must not come after"),
    ],
)
def test_predictions_that_cannot_be(asked, message, weibull):
    with pytest.raises(OptionError, match=message):
        weibull.predict(NEW, **asked)


def test_no_rows_to_predict(weibull):
    with pytest.raises(EmptyDataError, match="new data: the frame has no rows"):
        weibull.predict(NEW.iloc[:0])


def test_splines_are_not_extrapolated(splines):
    with pytest.raises(OptionError, match="must not come after 10.4"):
        splines.predict(NEW, times=30.0)
    with pytest.raises(OptionError, match="no shape and scale"):
        splines.baseline()
    assert splines.predict(NEW, type="life_expectancy")["time"].iloc[0] == splines.lives.time.max()
    assert WeibullHazard(1.0).reached(np.array([0.0, np.log(2.0)]), np.array([1.5])) == pytest.approx(2.0)
