"""Cox's model by its definition, and what else must hold whatever the data; `test_model_properties` asks all models."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dxa_causal as dc

s = dc.survival
FORMULA = "Surv(time, died) ~ x + z"


def simulated(seed, n=80, *, ties=True):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.integers(0, 2, n).astype(float)
    time = rng.exponential(np.exp(-0.5 * x + 0.3 * z)) + 0.05
    frame = pd.DataFrame({"x": x, "z": z, "died": rng.random(n) < 0.7, "entry": 0.0})
    frame["time"] = np.ceil(time * 8) if ties else time
    frame["entry"] = np.where(rng.random(n) < 0.3, frame["time"] * 0.5, 0.0)
    frame["w"] = rng.integers(1, 4, n)
    frame["g"] = rng.integers(0, 3, n)
    return frame


def brute_force(frame, beta, ties):
    """Log partial likelihood by its definition, one risk set at a time."""
    eta = frame[["x", "z"]].to_numpy() @ beta
    risk, w = np.exp(eta), np.ones(len(frame))
    total = 0.0
    for t in np.unique(frame["time"][frame["died"]]):
        at_risk = (frame["time"] >= t) & (frame["entry"] < t)
        dead = (frame["time"] == t) & frame["died"]
        d = int(dead.sum())
        total += (w * eta)[dead].sum()
        for k in range(d):
            less = k / d * risk[dead].sum() if ties == "efron" else 0.0
            total -= np.log(risk[at_risk].sum() - less)
    return total


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.sampled_from(["efron", "breslow"]))
def test_maximum_of_the_definition(seed, ties):
    frame = simulated(seed)
    fit = s.cox("Surv(entry, time, died) ~ x + z", frame, ties=ties)
    assert fit.log_likelihood == pytest.approx(brute_force(frame, fit.coefficients, ties), rel=1e-11)
    assert fit.log_likelihood_null == pytest.approx(brute_force(frame, np.zeros(2), ties), rel=1e-11)
    for step in (1e-4, -1e-4):
        for j in range(2):
            moved = fit.coefficients.copy()
            moved[j] += step
            assert brute_force(frame, moved, ties) < fit.log_likelihood


@pytest.mark.filterwarnings("ignore::dxa_causal._core.warnings.AllCensoredWarning")  # one of few rows may
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
@example(seed=70)
def test_concordance_by_counting_pairs(seed):
    frame = simulated(seed, n=40)
    fit = s.cox("Surv(entry, time, died) ~ x + z", frame, strata="g", weights="w")
    lp = fit.linear_predictor
    agree = pairs = 0.0
    for i in np.flatnonzero(frame["died"]):
        for j in range(len(frame)):
            later = frame["time"][j] > frame["time"][i] or (
                frame["time"][j] == frame["time"][i] and not frame["died"][j]
            )
            if i == j or not later or frame["entry"][j] >= frame["time"][i] or frame["g"][i] != frame["g"][j]:
                continue
            w = frame["w"][i] * frame["w"][j]
            pairs += w
            agree += w * (1.0 if lp[i] > lp[j] else 0.5 if lp[i] == lp[j] else 0.0)
    assert s.concordance(fit).estimate == pytest.approx(agree / pairs, rel=1e-12)


def test_concordance_standard_error_is_the_jackknife():
    frame = simulated(5, n=120, ties=False)
    fit = s.cox(FORMULA, frame)
    left_out = [s.concordance(fit, frame.drop(index=i)).estimate for i in frame.index]
    n = len(left_out)
    jackknife = np.sqrt((n - 1) / n * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    # the infinitesimal jackknife agrees up to terms of order 1/n
    assert s.concordance(fit).std_error == pytest.approx(jackknife, rel=0.03)


def test_bootstrap_draws_each_row_a_frequency_stands_for():
    frame = simulated(7)
    repeated = frame.loc[frame.index.repeat(frame["w"])]
    fits = s.cox(FORMULA, frame, weights="w", weight_type="frequency"), s.cox(FORMULA, repeated)
    errors = [s.bootstrap(fit, n_resamples=600, seed=1).tidy()["std_error"] for fit in fits]
    np.testing.assert_allclose(*errors, rtol=0.12)  # drawing rows would give errors 1.4 times as large


def test_log_rank_is_the_score_test():
    frame = simulated(9, ties=False)
    assert s.logrank("Surv(time, died) ~ z", frame).statistic == pytest.approx(
        s.cox("Surv(time, died) ~ z", frame).score_test.statistic, rel=1e-10
    )


def test_polars_and_nullable_columns():
    frame = simulated(3)
    want = s.cox(FORMULA, frame).coefficients
    np.testing.assert_array_equal(s.cox(FORMULA, pl.from_pandas(frame)).coefficients, want)
    np.testing.assert_array_equal(s.cox(FORMULA, pl.from_pandas(frame).lazy()).coefficients, want)
    np.testing.assert_array_equal(s.cox(FORMULA, frame.convert_dtypes()).coefficients, want)


def test_times_that_differ_by_rounding_are_one_time():
    frame = simulated(4)
    noisy = frame.assign(time=frame["time"] * (1 + 1e-14 * np.arange(len(frame))))
    np.testing.assert_allclose(s.cox(FORMULA, frame).coefficients, s.cox(FORMULA, noisy).coefficients, rtol=1e-12)


def test_wide_covariates_and_large_values():
    """Standardising inside keeps a badly scaled fit exact."""
    frame = simulated(6)
    shifted = frame.assign(x=frame["x"] * 1e-2 + 1e3)
    a, b = s.cox(FORMULA, frame), s.cox(FORMULA, shifted)
    assert b.coefficients[0] * 1e-2 == pytest.approx(a.coefficients[0], rel=1e-6)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-10)
