"""Firth's correction by brute force; spline bases that span the same curves."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import dxa_causal as dc
from dxa_causal._core import errors

s = dc.survival


def penalised(frame, beta, ties):
    """Log-likelihood plus half the log determinant of its information, by the definition."""
    x, t = frame[["x", "z"]].to_numpy(), frame["time"].to_numpy()
    died, entry = frame["died"].to_numpy(), frame["entry"].to_numpy()
    eta = x @ beta
    value, information = 0.0, np.zeros((2, 2))
    for at in np.unique(t[died]):
        here = (t >= at) & (entry < at)
        dead = (t == at) & died
        d = int(dead.sum())
        value += eta[dead].sum()
        for k in range(d):
            w = np.exp(eta) * here
            if ties == "efron":
                w = w * (1 - k / d * dead)
            value -= np.log(w.sum())
            mean = w @ x / w.sum()
            information += (x.T * w) @ x / w.sum() - np.outer(mean, mean)
    return value + 0.5 * np.linalg.slogdet(information)[1]


@pytest.fixture
def frame():
    rng = np.random.default_rng(8)
    n = 40
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.integers(0, 2, n).astype(float)})
    data["time"] = np.ceil(8 * rng.exponential(np.exp(-0.5 * data["x"])))
    data["entry"] = np.where(rng.random(n) < 0.3, np.floor(data["time"] / 3), 0.0)
    data["died"] = rng.random(n) < 0.7
    return data


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_firth_maximises_the_penalised_likelihood(ties, frame):
    fit = s.cox("Surv(entry, time, died) ~ x + z", frame, firth=True, ties=ties)
    best = minimize(
        lambda b: -penalised(frame, b, ties), np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    # a simplex finds the place of a flat maximum to about the root of the precision of its value
    np.testing.assert_allclose(fit.coefficients, best.x, atol=1e-6)
    assert fit.log_likelihood == pytest.approx(-best.fun, rel=1e-10)
    assert fit.log_likelihood_null == pytest.approx(penalised(frame, np.zeros(2), ties), rel=1e-10)


def test_firth_is_finite_under_separation(frame):
    separated = frame.assign(z=frame["died"].astype(float))
    fit = s.cox("Surv(time, died) ~ x + z", separated, firth=True)
    assert np.isfinite(fit.coefficients).all()
    assert np.abs(fit.coefficients).max() < 10
    assert fit.converged


KNOTS = [30.0, 45.0, 55.0, 65.0, 75.0]


def test_restricted_splines_span_the_same_curves(frames):
    """rcs, ns and cr with the same knots are three bases of the natural cubic splines."""
    pbc = frames["pbc"].query("30 <= age <= 75")
    inner = ", ".join(f"{k:g}" for k in KNOTS[1:-1])
    fits = [
        s.cox(f"Surv(time, status == 2) ~ {term}", pbc)
        for term in (
            f"rcs(age, knots={KNOTS})",
            f"ns(age, knots=[{inner}], lower_bound=30, upper_bound=75)",
            f"cr(age, knots=[{inner}], lower_bound=30, upper_bound=75)",
        )
    ]
    new = pd.DataFrame({"age": [32.0, 50.0, 74.0]})
    first = fits[0].predict(new)["estimate"].diff().dropna()
    for fit in fits[1:]:
        assert fit.log_likelihood == pytest.approx(fits[0].log_likelihood, rel=1e-11)
        np.testing.assert_allclose(fit.predict(new)["estimate"].diff().dropna(), first, rtol=1e-6)


def test_natural_splines_are_straight_beyond_their_bounds(frames):
    fit = s.cox("Surv(time, status == 2) ~ ns(age, df=4)", frames["pbc"])
    lp = fit.predict(pd.DataFrame({"age": [10.0, 15.0, 20.0, 85.0, 90.0, 95.0]}))["estimate"].to_numpy()
    np.testing.assert_allclose(np.diff(lp[:3])[0], np.diff(lp[:3])[1], rtol=1e-8)
    np.testing.assert_allclose(np.diff(lp[3:])[0], np.diff(lp[3:])[1], rtol=1e-8)


def test_harrells_knots_are_quantiles(frames):
    """rms::rcs puts four knots at the 5, 35, 65 and 95 % quantiles; the first column is the covariate itself."""
    pbc = frames["pbc"]
    fit = s.cox("Surv(time, status == 2) ~ rcs(age, 4)", pbc)
    knots = np.quantile(pbc["age"], [0.05, 0.35, 0.65, 0.95]).tolist()
    by_hand = s.cox(f"Surv(time, status == 2) ~ rcs(age, knots={knots})", pbc)
    np.testing.assert_allclose(fit.coefficients, by_hand.coefficients, rtol=1e-9)
    np.testing.assert_array_equal(fit.design.x[:, 0], pbc["age"])


@pytest.mark.parametrize("term", ["rcs(age, 9)", "rcs(k, 4)", "ns(k, df=6)", "rcs(age, knots=[50, 50, 60])"])
def test_impossible_knots(term, frames):
    pbc = frames["pbc"].assign(k=lambda d: (d["age"] > 50).astype(float))
    with pytest.raises(errors.FormulaError, match="knots"):
        s.cox(f"Surv(time, status == 2) ~ {term}", pbc)
