"""Multi-state Cox models and state occupation: R's numbers, brute force, bad input."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import dxa_causal as dc
from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.warnings import GapWarning, HorizonWarning
from dxa_causal.survival.multistate.prediction import baseline_hazards, persons
from tests.simulations.multi_state import simulate

s = dc.survival
RTOL = 1e-8  # both iterations are converged to rounding
NEW = pd.DataFrame({"age": [60, 80], "sex": ["F", "M"]})
MGUS = "Surv(tstart, tstop, state)"
MOVES = "Surv(start, stop, to)"


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/multi_state/expected.json")


@pytest.fixture(scope="module")
def mgus(frames):
    data = frames["mgus2_ms"]
    state = pd.Categorical(data["st"], ["censor", "pcm", "death"])
    return data.assign(state=state, w=1 + data["id"] % 3 / 2)


@pytest.fixture(scope="module")
def myeloid(frames):
    data = frames["myeloid_ms"]
    return data.assign(state=pd.Categorical(data["st"], ["censor", "cr", "sct", "relapse", "death"]))


@pytest.fixture(scope="module")
def moves(frames):
    data = frames["moves"]
    return data.assign(to=pd.Categorical(data["to"], ["none", "well", "ill", "dead"]))


# Cox models


def _fit(case, mgus, myeloid, moves):
    age = {"(s0) -> death": "age + sex", "pcm -> death": "age"}
    moved = {"data": moves, "id": "id", "initial": "from"}
    return {
        "cox_mgus": lambda: s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id"),
        "cox_mgus_breslow": lambda: s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id", ties="breslow"),
        "cox_mgus_hgb": lambda: s.multi_state(f"{MGUS} ~ age + hgb", mgus, id="id"),
        "cox_mgus_weights": lambda: s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id", weights="w"),
        "cox_mgus_naive": lambda: s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id", robust=False),
        "cox_mgus_covariates": lambda: s.multi_state(f"{MGUS} ~ 1", mgus, id="id", covariates=age),
        "cox_mgus_shared": lambda: s.multi_state(
            f"{MGUS} ~ age + sex", mgus, id="id", covariates={"(s0) -> pcm": "sex"}, shared=["age"]
        ),
        "cox_myeloid": lambda: s.multi_state(f"{MGUS} ~ trt + sex", myeloid, id="id"),
        "cox_moves": lambda: s.multi_state(f"{MOVES} ~ z + arm", **moved),
        "cox_moves_cluster": lambda: s.multi_state(
            f"{MOVES} ~ z + arm", **moved, cluster="site", weights="w", ties="breslow"
        ),
    }[case]()


CASES = [
    "cox_mgus", "cox_mgus_breslow", "cox_mgus_hgb", "cox_mgus_weights", "cox_mgus_naive", "cox_mgus_covariates",
    "cox_mgus_shared", "cox_myeloid", "cox_moves", "cox_moves_cluster",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_cox_models_agree_with_r(case, expected, mgus, myeloid, moves):
    r, fit = expected[case], _fit(case, mgus, myeloid, moves)
    alias = {"cox_mgus_covariates": {"sexM_1:3": "sexM"}, "cox_mgus_shared": {"age_1:3": "age"}}.get(case, {})
    ours = [re.sub(r"\[T\.(.*?)\]", r"\1", name) for name in fit.r_names]
    ours = [alias.get(name, name) for name in ours]
    terms = r["terms"]
    assert sorted(ours) == sorted(terms)
    order = [terms.index(name) for name in ours]
    assert_allclose(fit.coefficients, np.array(r["coef"])[order], rtol=RTOL)
    assert_allclose(fit.std_error, np.array(r["se"])[order], rtol=RTOL)
    covariance = np.array(r["covariance"])[np.ix_(order, order)]
    assert_allclose(fit.covariance, covariance, rtol=RTOL, atol=1e-9 * np.abs(covariance).max())
    if r["naive_se"]:
        assert_allclose(np.sqrt(np.diag(fit.covariance_model)), np.array(r["naive_se"])[order], rtol=RTOL)
    gain = fit.log_likelihood - fit.log_likelihood_null
    assert_allclose(gain, r["loglik"][1] - r["loglik"][0], rtol=1e-9)
    if case != "cox_mgus_covariates":  # R leaves transitions without covariates out of the likelihood
        assert_allclose([fit.log_likelihood_null, fit.log_likelihood], r["loglik"], rtol=1e-12)
        assert (fit.nobs, fit.n_events) == (r["n"], r["nevent"])


def test_predictions_agree_with_survfit(expected, mgus):
    r = expected["predict_mgus_breslow"]
    fit = s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id", ties="breslow")
    table = fit.predict(NEW, times=r["times"])
    estimate = table["estimate"].to_numpy().reshape(2, 3, 3).transpose(2, 0, 1)
    assert_allclose(estimate, r["pstate"], rtol=RTOL)
    hazard = fit.predict(NEW, type="cumulative_hazard", times=r["times"])["estimate"].to_numpy()
    assert_allclose(hazard.reshape(2, 3, 3).transpose(2, 0, 1), r["cumhaz"], rtol=RTOL)


@pytest.mark.parametrize("transition", ["(s0) -> pcm", "(s0) -> death", "pcm -> death"])
def test_cumulative_hazards_and_their_errors_agree_with_survfit(transition, expected, mgus):
    r = expected[transition]
    fit = s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id", robust=False)
    table = fit.predict(NEW, type="cumulative_hazard", times=r["times"])
    table = table[table["transition"] == transition]
    assert_allclose(table["estimate"].to_numpy().reshape(2, 3).T, r["cumhaz"], rtol=RTOL)
    assert_allclose(table["std_error"].to_numpy().reshape(2, 3).T, r["se"], rtol=RTOL)


def test_without_shared_coefficients_each_transition_is_a_cox_model(moves):
    fit = s.multi_state(f"{MOVES} ~ z + C(arm)", moves, id="id", initial="from", robust=False)
    for h, j in (("well", "ill"), ("ill", "dead")):
        own = moves[moves["from"] == h]
        own = own.assign(event=own["to"] == j)
        alone = s.cox("Surv(start, stop, event) ~ z + C(arm)", own)
        table = fit.tidy().query("transition == @name", local_dict={"name": f"{h} -> {j}"})
        assert_allclose(table["estimate"], alone.coefficients, rtol=1e-10)
        assert_allclose(table["std_error"], alone.std_error, rtol=1e-10)
        at = {"centered": False}
        mine = fit.baseline_cumulative_hazard(**at).query("transition == @name", local_dict={"name": f"{h} -> {j}"})
        assert_allclose(mine["estimate"], alone.baseline_cumulative_hazard(**at)["estimate"], rtol=1e-10)


def test_two_states_are_a_survival_curve(frames):
    lung = frames["lung"].assign(id=lambda d: np.arange(len(d)), dead=lambda d: (d["status"] == 1).astype(int))
    fit = s.multi_state("Surv(time, dead) ~ age + sex", lung, id="id", robust=False)
    cox = s.cox("Surv(time, dead) ~ age + sex", lung)
    new = lung[["age", "sex"]].head(3)
    mine = fit.predict(new, type="cumulative_hazard", times=[100, 300, 600])
    theirs = cox.predict(new, type="cumulative_hazard", times=[100, 300, 600])
    assert_allclose(mine[["estimate", "std_error"]], theirs[["estimate", "std_error"]], rtol=1e-10)
    alive = fit.predict(new, times=[100, 300, 600]).query("state == '(s0)'")
    # the product of 1 - dA and exp(-A) differ by O(1/n)
    assert_allclose(alive["estimate"], np.exp(-theirs["estimate"]), atol=0.004)
    assert_allclose(alive["std_error"], np.exp(-theirs["estimate"]) * theirs["std_error"], rtol=0.05)
    stay = fit.predict(new, type="length_of_stay", times=[600]).query("state == '(s0)'")
    mean = cox.predict(new, type="rmst", times=[600])  # of exp(-A) too
    assert_allclose(stay[["estimate", "std_error"]], mean[["estimate", "std_error"]], rtol=0.02)


def _shifted(fit, beta, hazards, increment, new, at, start):
    """Probabilities and stays with other coefficients and increments: a slow twin of the kernel."""
    x = fit.design.new(new)[0]
    n = len(fit.states)
    p, area, last = np.eye(n)[0], np.zeros(n), start
    found = []
    times = hazards.time
    k = 0
    for t in at:
        while k < times.size and times[k] <= t:
            if times[k] > start:
                area, last = area + (times[k] - last) * p, times[k]
                m = np.eye(n)
                for g, (f, j) in enumerate(fit.moves):
                    step = increment[k, g] * np.exp(sum(x[0, c] * beta[b] for c, b in fit.columns[g]))
                    m[f, j] += step
                    m[f, f] -= step
                p = p @ m
            k += 1
        found.append(np.concatenate([p, area + (t - last) * p]))
    return np.array(found)


@pytest.mark.parametrize("shared", [(), ("z",)])
def test_delta_errors_are_those_of_numerical_derivatives(moves, shared):
    fit = s.multi_state(f"{MOVES} ~ z + arm", moves, id="id", initial="from", shared=shared, ties="breslow")
    new, at, start = pd.DataFrame({"z": [0.7], "arm": [1]}), np.array([9.0, 13.5]), 4.0
    hazards = baseline_hazards(fit)
    z, risk = persons(fit, fit.design.new(new)[0])
    zero, at_zero = persons(fit, np.zeros((1, 2)))
    base = hazards.increment * at_zero[0]  # increments at covariates of zero
    beta = np.array(fit.coefficients)

    # a baseline is a function of the coefficients: its slope is -(mean covariate) dA
    risk_sets = fit.histories

    def baseline(b):
        h, out = risk_sets, np.zeros_like(base)
        x, ranks = fit.design.x, np.searchsorted(h.times.distinct, hazards.time)
        for g, (f, j) in enumerate(fit.moves):
            eta = np.exp(sum(x[:, c] * b[k] for c, k in fit.columns[g]))
            for t, rank in enumerate(ranks):
                here = (h.origin == f) & (h.entry < rank) & (h.leave >= rank)
                d = ((h.target == j) & (h.leave == rank) & here).sum()
                out[t, g] = d / eta[here].sum() if d else 0.0
        return out

    assert_allclose(baseline(beta), base, rtol=1e-9)
    value = _shifted(fit, beta, hazards, base, new, at, start)
    slope = np.empty((*value.shape, beta.size))
    for k in range(beta.size):
        e = np.eye(beta.size)[k] * 1e-5
        up, down = (_shifted(fit, b, hazards, baseline(b), new, at, start) for b in (beta + e, beta - e))
        slope[..., k] = (up - down) / 2e-5
    variance = np.einsum("tsk,kl,tsl->ts", slope, fit.covariance, slope)
    noise = np.einsum("kgg->kg", hazards.noise) * at_zero[0] ** 2
    for t, g in zip(*np.nonzero(base), strict=True):
        step = np.zeros_like(base)
        step[t, g] = 1e-5
        up, down = (_shifted(fit, beta, hazards, base + sign * step, new, at, start) for sign in (1, -1))
        variance += ((up - down) / 2e-5) ** 2 * noise[t, g]
    for kind, part in (("state_probability", slice(0, 3)), ("length_of_stay", slice(3, 6))):
        table = fit.predict(new, type=kind, times=at, start=start, state="well")
        assert_allclose(table["estimate"].to_numpy().reshape(3, 2).T, value[:, part], rtol=1e-9)
        assert_allclose(table["std_error"].to_numpy().reshape(3, 2).T, np.sqrt(variance[:, part]), rtol=1e-6)


def test_errors_as_mstate_takes_them(moves):
    """The recursion with Kronecker products of de Wreede et al. (2010), as R's probtrans does it."""
    fit = s.multi_state(f"{MOVES} ~ z + arm", moves, id="id", initial="from", ties="breslow", robust=False)
    new = pd.DataFrame({"z": [0.7], "arm": [1]})
    h = baseline_hazards(fit)
    z, risk = persons(fit, fit.design.new(new)[0])
    total = np.cumsum(h.increment, axis=0)[:, :, None] * z[0] - np.cumsum(h.drift, axis=0)
    u = risk[0][:, None] * total
    covariance = u @ h.covariance @ u.transpose(0, 2, 1)
    covariance += np.cumsum(h.noise, axis=0) * np.outer(risk[0], risk[0])
    change = np.diff(np.concatenate([np.zeros((1, 4, 4)), covariance]), axis=0)
    n = len(fit.states)
    p, v = np.eye(n), np.zeros((n * n, n * n))  # entry (h, j) of P is number h + j n
    b = np.zeros((n * n, len(fit.moves)))
    for g, (f, j) in enumerate(fit.moves):
        b[f + j * n, g], b[f + f * n, g] = 1.0, -1.0
    for k in range(h.time.size):
        m = np.eye(n)
        for g, (f, j) in enumerate(fit.moves):
            step = risk[0, g] * h.increment[k, g]
            m[f, j] += step
            m[f, f] -= step
        p = p @ m
        left = np.kron(m.T, np.eye(n))
        right = np.kron(np.eye(n), p)
        v = left @ v @ left.T + right @ (b @ change[k] @ b.T) @ right.T
    for i, state in enumerate(fit.states):
        table = fit.predict(new, state=state, times=[h.time[-1]], variance="mstate")
        assert_allclose(table["estimate"], p[i], rtol=1e-10)
        assert_allclose(table["std_error"], np.sqrt(np.diag(v)[i + n * np.arange(n)]), rtol=1e-8)


def test_nonparametric_probabilities_as_mstate_and_etm(moves):
    """Without covariates: Aalen and Greenwood covariance of the matrix, (4.4.17)-(4.4.20) of Andersen et al."""
    fit = s.state_occupation(f"{MOVES} ~ 1", moves, id="id", initial="from")
    pairs, n = fit.histories.moves, 3
    place = {state: k for k, state in enumerate(fit.states)}
    from_, to = moves["from"].map(place).to_numpy(), moves["to"].astype(str).map(place).to_numpy()
    for kind in ("greenwood", "aalen"):
        p, v = np.eye(n), np.zeros((n * n, n * n))
        for t in np.sort(moves.loc[(moves["to"] != "none") & (moves["stop"] > 6), "stop"].unique()):
            here = ((moves["start"] < t) & (moves["stop"] >= t)).to_numpy()
            y = np.array([(here & (from_ == k)).sum() for k in range(n)])
            d = np.array([(here & (from_ == f) & (to == j) & (moves["stop"] == t)).sum() for f, j in pairs])
            m, w = np.eye(n), np.zeros((len(pairs), len(pairs)))
            b = np.zeros((n * n, len(pairs)))
            for g, (f, j) in enumerate(pairs):
                a = d[g] / y[f] if y[f] else 0.0
                m[f, j] += a
                m[f, f] -= a
                b[f + j * n, g], b[f + f * n, g] = 1.0, -1.0
                for k, (f2, _) in enumerate(pairs):
                    if f == f2 and y[f]:
                        w[g, k] = d[g] * (g == k) / y[f] ** 2 - (kind == "greenwood") * d[g] * d[k] / y[f] ** 3
            left, right = np.kron(m.T, np.eye(n)), np.kron(np.eye(n), p)
            v = left @ v @ left.T + right @ b @ w @ b.T @ right.T
            p = p @ m
        table = fit.transition_probabilities([19.0], start=6, variance=kind)
        for i, state in enumerate(fit.states[:2]):
            own = table[table["from"] == state]
            assert_allclose(own["estimate"], p[i], rtol=1e-10)
            assert_allclose(own["std_error"], np.sqrt(np.diag(v)[i + n * np.arange(n)]), rtol=1e-9)


# State occupation


def _occupation(case, mgus, myeloid, moves):
    moved = {"data": moves, "id": "id", "initial": "from"}
    return {
        "aj_mgus": lambda: s.state_occupation(f"{MGUS} ~ 1", mgus, id="id"),
        "aj_mgus_sex": lambda: s.state_occupation(f"{MGUS} ~ sex", mgus, id="id"),
        "aj_mgus_weights": lambda: s.state_occupation(f"{MGUS} ~ 1", mgus, id="id", weights="w"),
        "aj_mgus_loglog": lambda: s.state_occupation(f"{MGUS} ~ 1", mgus, id="id", conf_type="log-log"),
        "aj_myeloid": lambda: s.state_occupation(f"{MGUS} ~ trt", myeloid, id="id"),
        "aj_moves": lambda: s.state_occupation(f"{MOVES} ~ 1", **moved),
        "aj_moves_arm": lambda: s.state_occupation(f"{MOVES} ~ arm", **moved),
        "aj_moves_weights": lambda: s.state_occupation(f"{MOVES} ~ 1", **moved, weights="w"),
    }[case]()


AJ_CASES = [
    "aj_mgus", "aj_mgus_sex", "aj_mgus_weights", "aj_mgus_loglog", "aj_myeloid", "aj_moves", "aj_moves_arm",
    "aj_moves_weights",
]  # fmt: skip


@pytest.mark.parametrize("case", AJ_CASES)
def test_state_occupation_agrees_with_r(case, expected, mgus, myeloid, moves):
    r, fit = expected[case], _occupation(case, mgus, myeloid, moves)
    n, n_groups = len(r["states"]), len(fit.groups.labels)
    assert [str(v) for v in fit.states] == r["states"]
    table = fit.predict(r["times"])

    def as_in_r(name):  # group, state, time -> rows of group and time, columns of states
        return table[name].to_numpy().reshape(n_groups, n, -1).transpose(0, 2, 1).reshape(-1, n)

    assert_allclose(as_in_r("estimate"), r["pstate"], rtol=1e-10, atol=1e-14)
    assert_allclose(as_in_r("std_error"), r["se"], rtol=1e-10, atol=1e-14)
    for name, theirs in (("conf_low", "lower"), ("conf_high", "upper")):
        limits = np.array(r[theirs], dtype=float)
        positive = np.array(r["pstate"]) > 0  # R's limits at zero are NaN or NA
        assert_allclose(as_in_r(name)[positive], np.clip(limits, 0, 1)[positive], rtol=1e-9)
    stay = fit.length_of_stay(r["tau"])
    mean = stay["estimate"].to_numpy().reshape(n_groups, n)
    error = stay["std_error"].to_numpy().reshape(n_groups, n)
    assert_allclose(mean.T.ravel(), r["rmean"], rtol=1e-10)
    assert_allclose(error.T.ravel(), r["rmean_se"], rtol=1e-10, atol=1e-12)
    counts = fit.transitions.loc[:, fit.transitions.sum() > 0]
    assert_allclose(counts[counts.sum(axis=1) > 0], [row for row in r["transitions"] if sum(row) > 0])


@pytest.mark.parametrize("cluster", [None, "site"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_jackknife_errors_are_derivatives_in_the_weights(moves, cluster, weights):
    """Each person's (or site's) influence by the change when its weight changes, also of where people start."""
    data = moves[(moves["arm"] == 0) & (moves["id"] < 60)].assign(w=lambda d: d["w"] if weights else 1.0)
    options = {"id": "id", "initial": "from", "weights": "w"}
    fit = s.state_occupation(f"{MOVES} ~ 1", data, **options, cluster=cluster)
    times = [5.0, 9.0, 14.0]
    variance, areas = 0.0, 0.0
    for unit in data[cluster or "id"].unique():
        own = data[cluster or "id"] == unit
        up, down = (
            s.state_occupation(f"{MOVES} ~ 1", data.assign(w=data["w"] * (1 + f * own)), **options)
            for f in (1e-4, -1e-4)
        )
        slope = (up.predict(times)["estimate"] - down.predict(times)["estimate"]) / 2e-4
        variance += slope**2
        areas += ((up.length_of_stay(14)["estimate"] - down.length_of_stay(14)["estimate"]) / 2e-4) ** 2
    assert_allclose(fit.predict(times)["std_error"], np.sqrt(variance), rtol=1e-5, atol=1e-8)
    assert_allclose(fit.length_of_stay(14)["std_error"], np.sqrt(areas), rtol=1e-5)


def test_competing_risks_are_a_special_case(frames):
    data = frames["mgus2_cr"].assign(row=lambda d: np.arange(len(d)))
    ours = s.state_occupation("Surv(etime, event) ~ sex", data, id="row").predict([50, 150, 300])
    theirs = s.aalen_johansen("Surv(etime, event) ~ sex", data).predict([50, 150, 300])
    both = ours.merge(theirs, left_on=["group", "time", "state"], right_on=["group", "time", "cause"])
    assert len(both) == len(theirs)
    assert_allclose(both["estimate_x"], both["estimate_y"], rtol=1e-12)
    assert_allclose(both["std_error_x"], both["std_error_y"], rtol=1e-10)
    free = ours[ours["state"] == "(s0)"].reset_index(drop=True)
    alive = s.kaplan_meier("Surv(etime, event > 0) ~ sex", data).predict([50, 150, 300])
    assert_allclose(free["estimate"], alive["estimate"], rtol=1e-12)
    assert_allclose(free["n_risk"], alive["n_risk"])


def test_a_row_that_leads_nowhere_new_changes_nothing(moves):
    fit = s.multi_state(f"{MOVES} ~ z", moves, id="id", initial="from")
    first = moves.groupby("id").head(1).query("stop - start > 2")
    cut = moves.copy()
    cut.loc[first.index, "start"] = first["start"] + 1
    seen = first.assign(stop=first["start"] + 1, to=first["from"]).astype({"to": moves["to"].dtype})
    again = s.multi_state(f"{MOVES} ~ z", pd.concat([cut, seen]), id="id", initial="from")
    assert_allclose(again.coefficients, fit.coefficients, rtol=1e-10)
    assert_allclose(again.covariance, fit.covariance, rtol=1e-8)


def test_rows_without_covariates_still_tell_the_state(mgus):
    """The row in which the state was entered lacks a covariate; the row after it is still one in that state."""
    lost = mgus["pstat"].eq(1) & mgus["st"].eq("pcm") if "pstat" in mgus else mgus["st"].eq("pcm")
    fit = s.multi_state(f"{MGUS} ~ age", mgus.assign(age=mgus["age"].where(~lost)), id="id")
    assert fit.transitions == ("(s0) -> death", "pcm -> death")
    whole = s.multi_state(f"{MGUS} ~ age", mgus, id="id").tidy().query("transition == 'pcm -> death'")
    ours = fit.tidy().query("transition == 'pcm -> death'")
    assert_allclose(ours["estimate"], whole["estimate"], rtol=1e-10)
    assert fit.provenance.missing["age"] == lost.sum()


def test_predictions_hang_together(moves):
    fit = s.multi_state(f"{MOVES} ~ z + arm", moves, id="id", initial="from")
    new = pd.DataFrame({"z": [0.0, 1.0], "arm": [0, 1]}, index=["a", "b"])
    table = fit.predict(new, state="well")
    assert_allclose(table.groupby(["row", "time"])["estimate"].sum(), 1.0, rtol=1e-12)
    assert table["estimate"].between(0, 1).all()
    assert table["conf_low"].dropna().ge(0).all()
    later = fit.predict(new, state="ill", start=6, times=[12, 8])
    assert later["time"].tolist()[:4] == [12, 8, 12, 8]
    # Chapman and Kolmogorov
    first = fit.predict(new.head(1), state="well", times=[8])["estimate"].to_numpy()
    then = [fit.predict(new.head(1), state=k, start=8, times=[12])["estimate"].to_numpy() for k in fit.states]
    both = fit.predict(new.head(1), state="well", times=[12])["estimate"]
    assert_allclose(first @ np.array(then), both, rtol=1e-12)
    stay = fit.predict(new, type="length_of_stay", state="well", start=2, times=[12])
    assert_allclose(stay.groupby("row")["estimate"].sum(), 10.0, rtol=1e-12)
    with pytest.warns(HorizonWarning, match="lies beyond the last observation"):
        fit.predict(new, state="well", times=[100])


def test_wald_tests_of_terms(mgus):
    fit = s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id")
    assert fit.wald("sex").df == 3
    one = fit.wald("sex", transition="(s0) -> death")
    row = fit.tidy().query("transition == '(s0) -> death' and term == 'sex[T.M]'")
    assert_allclose(one.statistic, row["statistic"] ** 2, rtol=1e-10)
    with pytest.raises(OptionError, match="no term 'height'"):
        fit.wald("height")


def test_figures(moves, mgus):
    fit = s.state_occupation(f"{MOVES} ~ arm", moves, id="id", initial="from")
    assert len(fit.plot(group=1).collections) == 3
    assert len(fit.plot_curves().get_lines()) == 6
    with pytest.raises(OptionError, match="group=7 is unknown; the groups are 0, 1"):
        fit.plot(group=7)
    cox = s.multi_state(f"{MGUS} ~ age + sex", mgus, id="id")
    ax = cox.plot_states(NEW.head(1), time_label="Months")
    assert ax.get_xlabel() == "Months"
    assert ax.get_xlim()[0] == 0
    with pytest.raises(OptionError, match="draws one person"):
        cox.plot_states(NEW)


def test_bad_input(moves, mgus):
    def fit(data, **options):
        return s.multi_state(f"{MOVES} ~ z", data, **{"id": "id", "initial": "from", **options})

    overlap = moves.copy()
    overlap.loc[1, "start"] = 4.0
    with pytest.raises(OutcomeError, match=r"1 rows overlap another row of the same 'id': first 0 with rows 0"):
        fit(overlap)
    jump = moves.copy()
    jump.loc[1, "from"] = "ill"
    with pytest.raises(OutcomeError, match="rows 0 and 1, which leads to 'well' and starts in 'ill'"):
        fit(jump)
    gap = moves.copy()
    gap.loc[1, "start"] = 5.5
    with pytest.warns(GapWarning, match="rows 0 and 1"):
        fit(gap)
    with pytest.raises(OutcomeError, match="nobody changes state"):
        fit(moves.assign(to=pd.Categorical(["none"] * len(moves), ["none", "well", "ill", "dead"])))
    with pytest.raises(OutcomeError, match="stands for censoring"):
        fit(moves.assign(**{"from": moves["from"].replace("well", "none")}))
    with pytest.raises(OptionError, match=r"there is no transition 'well -> dad' \(did you mean 'well -> dead'\?\)"):
        fit(moves, covariates={"well -> dad": "z"})
    with pytest.raises(OptionError, match="shared: no term 'age'"):
        fit(moves, shared=["age"])
    with pytest.raises(OptionError, match="leave robust=False out"):
        fit(moves, cluster="site", robust=False)
    with pytest.raises(
        CollinearityError, match=r"transition ill -> dead: 'twice' is a linear combination of 'z'.*'ill -> dead': '1'"
    ):
        fit(moves.assign(twice=2 * moves["z"], one=1.0), covariates={"ill -> dead": "z + twice"})
    with pytest.raises(PredictorError, match="'site' has one value"):
        fit(moves.assign(site=1), cluster="site")
    with pytest.raises(OutcomeError, match="several rows per person|overlap"):
        s.multi_state("Surv(stop, to) ~ z", moves, id="id")
    with pytest.raises(OptionError, match="must name transitions"):
        fit(moves, covariates="z")
    good = fit(moves)
    with pytest.raises(OptionError, match="nobody changes state after it"):
        good.predict(moves.head(2), state="well", start=1e6)
    for options, message in (
        ({"state": "wel"}, r"state='wel' is unknown; the states are 'well', 'ill', 'dead' \(did you mean 'well'\?\)"),
        ({}, "persons begin in several states"),
        ({"state": "well", "start": 6, "times": [3]}, "lies before start=6"),
        ({"state": "well", "type": "length_of_stay"}, "needs a horizon"),
        ({"state": "well", "type": "length_of_stay", "times": [9], "variance": "mstate"}, "use variance='delta'"),
    ):
        with pytest.raises(OptionError, match=message):
            good.predict(moves.head(2), **options)
    with pytest.raises(OptionError, match="must be a positive number"):
        s.state_occupation(f"{MGUS} ~ 1", mgus, id="id").length_of_stay(-1)
    with pytest.raises(OptionError, match="exponentiate=True has no meaning"):
        s.state_occupation(f"{MGUS} ~ 1", mgus, id="id").tidy(exponentiate=True)


def test_the_simulation_gives_one_row_per_interval():
    table = simulate(2)
    assert set(table["runs"]) == {2}
    assert np.isfinite(table[["bias", "sd", "mean_se"]]).all(None)
