"""Fits at the edge of what numbers hold: far-apart strata, separation, few clusters, groups that never meet."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core import errors
from dxa_causal._core import warnings as named

s = dc.survival


@pytest.fixture
def strata():
    rng = np.random.default_rng(1)
    n = 200
    z = rng.normal(size=n)
    time = rng.exponential(size=n) * np.exp(-z)
    frame = pd.DataFrame({"t": time, "e": 1, "x": z, "s": np.repeat([1, 2], 100)})
    return frame.assign(w=rng.integers(1, 4, n), o=rng.normal(size=n))


@pytest.mark.parametrize("shift", [-40.0, 20.0, 40.0, 900.0])
def test_strata_far_apart(strata, shift):
    """A shift of a covariate in one stratum changes nothing a stratified model can see."""
    moved = strata.assign(x=strata["x"] + shift * (strata["s"] == 2))
    a, b = (s.cox("Surv(t, e) ~ x", f, strata="s", robust=True) for f in (strata, moved))
    np.testing.assert_allclose(b.coefficients, a.coefficients, rtol=1e-9)
    np.testing.assert_allclose(b.covariance, a.covariance, rtol=1e-8)
    for row in (10, 150):
        p, q = (f.predict(d.iloc[[row]], type="survival", times=[0.5, 1]) for f, d in ((a, strata), (b, moved)))
        np.testing.assert_allclose(q["estimate"], p["estimate"], rtol=1e-8)
        np.testing.assert_allclose(q["std_error"], p["std_error"], rtol=1e-7)


def test_a_constant_offset_changes_nothing(strata):
    far = strata.assign(o=strata["o"] + 800)
    a, b = (s.cox("Surv(t, e) ~ x", f, offset="o", robust=True) for f in (strata, far))
    np.testing.assert_allclose(b.coefficients, a.coefficients, rtol=1e-9)
    np.testing.assert_allclose(b.covariance, a.covariance, rtol=1e-8)
    p, q = (f.predict(d.head(2), type="survival", times=[0.5]) for f, d in ((a, strata), (b, far)))
    np.testing.assert_allclose(q["estimate"], p["estimate"], rtol=1e-9)


def test_relative_predictions_are_centred_in_strata(strata):
    for options in ({"offset": "o"}, {"weights": "w"}):
        fit = s.cox("Surv(t, e) ~ x", strata, strata="s", **options)
        weight = strata["w"] if "weights" in options else 1.0 + 0 * strata["w"]
        lp = fit.predict()["estimate"]
        if "offset" in options:
            assert lp.mean() == pytest.approx(0.0, abs=1e-12)
        else:
            means = (lp * weight).groupby(strata["s"]).sum() / weight.groupby(strata["s"]).sum()
            np.testing.assert_allclose(means, 0.0, atol=1e-12)


def test_complete_separation_is_said():
    data = pd.DataFrame({"t": range(1, 9), "e": [1] * 4 + [0] * 4, "x": range(8, 0, -1)})
    with pytest.warns(named.SeparationWarning, match="'x' runs to infinity"):
        s.cox("Surv(t, e) ~ x", data)


def test_separation_within_strata_is_not_called_collinearity():
    rng = np.random.default_rng(7)
    for _ in range(40):
        data = pd.DataFrame(
            {"t": rng.exponential(size=40), "s": rng.integers(0, 4, 40), "g": rng.choice(list("abc"), 40)}
        )
        data["e"] = np.where(data["g"] == "c", 0, rng.integers(0, 2, 40))
        data = data[data.groupby("s")["e"].transform("any")]  # a stratum without events has a warning of its own
        with pytest.warns(named.SeparationWarning, match=r"g\[T\.c\]"):
            s.cox("Surv(t, e) ~ g", data, strata="s")


def test_many_levels_do_not_crash(frames):
    with pytest.warns(named.SeparationWarning):
        fit = s.cox("Surv(time, status) ~ C(age)", frames["lung"])
    assert np.isfinite(fit.log_likelihood)


def test_few_clusters(strata):
    one = strata.assign(c=1, two=np.arange(200) % 2, z=np.cos(np.arange(200.0)))
    with pytest.raises(errors.PredictorError, match="cluster='c' has one value"):
        s.cox("Surv(t, e) ~ x", one, cluster="c")
    fit = s.cox("Surv(t, e) ~ x + z", one, cluster="two")
    assert not fit.wald_test.applicable
    assert "2 clusters" in str(fit.summary())


def test_groups_that_never_meet():
    data = pd.DataFrame({"t": range(1, 9), "e": 1, "g": list("aabbccdd"), "s": [1] * 4 + [2] * 4})
    test = s.logrank("Surv(t, e) ~ g", data, strata="s")
    halves = [s.logrank("Surv(t, e) ~ g", data[data["s"] == k]).statistic for k in (1, 2)]
    assert test.df == 2
    assert test.statistic == pytest.approx(sum(halves), rel=1e-12)
    assert "at risk together" in s.logrank("Surv(t, e) ~ s", data, strata="s").reason


def test_missing_times_and_offsets(strata):
    fit = s.cox("Surv(t, e) ~ x", strata, offset="o")
    with pytest.raises(errors.OptionError, match="1 of 2 are missing"):
        fit.predict(strata.head(1), type="survival", times=[np.nan, 1])
    with pytest.raises(errors.MissingDataError, match="'o'"):
        fit.predict(strata.head(1).assign(o=np.nan))
    with pytest.raises(errors.PredictorError, match="must be numbers"):
        fit.predict(strata.head(1).assign(o="a"))
    with pytest.raises(errors.OptionError, match="missing"):
        s.kaplan_meier("Surv(t, e) ~ 1", strata).predict([np.nan])
    assert len(fit.predict(strata.head(0), type="survival", times=[1])) == 0


def test_large_frames_share_the_design_matrix(monkeypatch):
    from dxa_causal._design import matrix

    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=200), "k": rng.integers(0, 3, 200), "t": rng.exponential(size=200)})
    data["d"] = rng.integers(0, 2, 200)
    data.loc[5, "x"] = np.nan
    kept = data.copy()
    small = s.cox("Surv(t, d) ~ x + k", data, weights="t", cluster="k")
    monkeypatch.setattr(matrix, "LARGE", 10)
    large = s.cox("Surv(t, d) ~ x + k", data, weights="t", cluster="k")
    np.testing.assert_array_equal(small.covariance, large.covariance)
    pd.testing.assert_frame_equal(small.design.rows.frame, large.design.rows.frame)
    pd.testing.assert_frame_equal(small.predict(data.head(3)), large.predict(data.head(3)))
    assert large.design.spec.column_names == small.design.spec.column_names
    pd.testing.assert_frame_equal(data, kept)


def test_many_coefficients_that_run_to_infinity():
    """The others go on to the maximum: the log-likelihood is that of R (survival 3.5-3)."""
    data = pd.DataFrame(
        {"t": np.arange(1, 61), "e": np.arange(60) % 5 != 0, "level": [f"l{i // 2}" for i in range(60)]}
    )
    with pytest.warns(named.SeparationWarning, match="runs to infinity"):
        fit = s.cox("Surv(t, e) ~ level", data)
    assert fit.log_likelihood > fit.log_likelihood_null + 50
    assert np.isfinite(fit.std_error).all()


@pytest.mark.parametrize("d", [40, 400, 590])
def test_many_tied_events_in_an_exact_fit(d):
    """All at risk have the same risk: the likelihood is one over a binomial coefficient."""
    from scipy.special import gammaln

    n = 3 * d
    data = pd.DataFrame({"t": 1.0, "e": np.arange(n) < d, "x": np.arange(n) % 2})
    fit = s.cox("Surv(t, e) ~ x", data, ties="exact")
    choose = gammaln(n + 1) - gammaln(d + 1) - gammaln(n - d + 1)
    assert fit.log_likelihood_null == pytest.approx(-choose, rel=1e-10)
    with pytest.raises(errors.OptionError, match="601 events are tied at time 1"):
        s.cox("Surv(t, e) ~ x", data.assign(e=np.arange(n) < 601) if n >= 601 else _tied(601), ties="exact")


def _tied(d):
    return pd.DataFrame({"t": 1.0, "e": np.arange(2 * d) < d, "x": np.arange(2 * d) % 2})


def test_no_pair_to_compare():
    fit = s.cox("Surv(t, e) ~ x", pd.DataFrame({"t": [5] * 6, "e": 1, "x": [1, 2, 3, 4, 5, 7.0]}))
    assert np.isnan(fit.glance()["concordance"][0])
    with pytest.raises(errors.OutcomeError, match="no pair of rows is comparable"):
        s.concordance(fit)


def test_a_design_holds_no_view_of_the_data(monkeypatch):
    """What a user changes in place after a fit must not reach into it."""
    from dxa_causal._design import build_design, matrix

    monkeypatch.setattr(matrix, "LARGE", 10)
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"y": rng.normal(size=50), "x": rng.normal(size=50), "w": np.ones(50)})
    designs = [build_design(f"y ~ {right}", data, arguments={"weights": "w"}) for right in ("x", "log(x + 10)")]
    before = [(d.outcome.copy(), d.rows.frame.copy(), d.x.copy()) for d in designs]
    data.loc[:, :] = 7.0
    for design, (outcome, frame, x) in zip(designs, before, strict=True):
        pd.testing.assert_series_equal(design.outcome, outcome)
        pd.testing.assert_frame_equal(design.rows.frame, frame)
        np.testing.assert_array_equal(design.x, x)
