from __future__ import annotations

import numpy as np
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning


def harmonised(slope, n=20, seed=1, noise=0.01, **more):
    rng = np.random.default_rng(seed)
    bx = rng.normal(0.1, 0.03, n)
    return mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=np.full(n, 0.002), beta_outcome=slope * bx + noise * rng.standard_normal(n),
        se_outcome=np.full(n, noise), **more,
    )  # fmt: skip


def three(seed=1):
    return [harmonised(slope, seed=seed * 3 + i) for i, slope in enumerate((0.5, 0.4, 0.6))]


def test_delta_method_by_hand():
    fit = mr.mediation(*three(), seed=1)
    t, a, b = fit.estimates[:3]
    st, sa, sb = fit.std_errors[:3]
    table = fit.tidy().query("method == 'delta'").set_index("term")
    assert table.loc["indirect", "estimate"] == pytest.approx(a * b)
    assert table.loc["indirect", "std_error"] == pytest.approx(np.sqrt(a**2 * sb**2 + b**2 * sa**2))
    assert table.loc["direct", "estimate"] == pytest.approx(t - a * b)
    variance = (sa * b / t) ** 2 + (sb * a / t) ** 2 + (st * a * b / t**2) ** 2
    assert table.loc["proportion_mediated", "std_error"] == pytest.approx(np.sqrt(variance))


def test_bootstrap_agrees_with_delta_when_effects_are_clear():
    table = mr.mediation(*three(), seed=1, n_draws=20_000).tidy().set_index(["method", "term"])
    for term in ("indirect", "direct"):
        one, other = table.loc[("delta", term)], table.loc[("bootstrap", term)]
        # the product of two normals has s_a^2 s_b^2 more variance; Monte-Carlo error of a s.d. is 0.5 %
        assert one["std_error"] == pytest.approx(other["std_error"], rel=0.02)
        assert one["conf_low"] == pytest.approx(other["conf_low"], abs=0.1 * one["std_error"])


def test_coverage_of_the_indirect_effect():
    """True indirect effect 0.24; 300 runs, Monte-Carlo error 1.3 points."""
    inside = {"delta": 0, "bootstrap": 0}
    for run in range(300):
        table = mr.mediation(*three(run), method="ivw_fe", seed=run, n_draws=500).tidy()
        for method, row in table[table["term"] == "indirect"].set_index("method").iterrows():
            inside[method] += row["conf_low"] <= 0.24 <= row["conf_high"]
    for method, count in inside.items():
        assert 0.90 <= count / 300 <= 0.985, method


def test_with_the_exposure_held_fixed():
    rng = np.random.default_rng(2)
    x = rng.normal(0.1, 0.05, (40, 2))
    multi = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=x, se_exposures=np.full((40, 2), 0.001),
        beta_outcome=x @ [0.1, 0.6] + 0.005 * rng.standard_normal(40), se_outcome=np.full(40, 0.005),
        exposures=["exposure", "muscle"],
    )  # fmt: skip
    total, first, _ = three()
    fit = mr.mediation(total, first, multi, mediator="muscle", seed=1)
    assert fit.estimates[2] == mr.mvmr(multi, "ivw").estimates[1]
    with pytest.raises(SummaryStatisticsError, match="'outcome' is not among the exposures exposure, muscle"):
        mr.mediation(total, first, multi)
    with pytest.raises(OptionError, match="leave it out"):
        mr.mediation(*three(), mediator="muscle")


def test_both_directions():
    forward = harmonised(0.5, variant=[f"rs{i}" for i in range(20)])
    back = harmonised(0.0, seed=9, variant=[f"rs{i}" for i in range(100, 120)])
    fit = mr.bidirectional(forward, back, ["ivw", "weighted_median"], seed=1)
    table = fit.tidy().set_index(["exposure", "method"])
    assert len(table) == 4
    assert fit.shared == ()
    np.testing.assert_allclose(fit.forward.estimates[0], mr.estimate(forward, "ivw").estimates[0])
    assert fit.tidy().equals(mr.bidirectional(forward, back, ["ivw", "weighted_median"], seed=1).tidy())
    with pytest.warns(SummaryStatisticsWarning, match="20 variants are instruments in both directions, first rs0"):
        both = mr.bidirectional(forward, forward, "ivw")
    assert "valid in one at most" in str(both.summary())


def test_pieces_that_do_not_belong_together():
    total = harmonised(0.5, exposure="BMI", outcome="CHD")
    first = harmonised(0.4, exposure="LDL", outcome="SBP")
    with pytest.raises(SummaryStatisticsError, match="the exposure is 'BMI' in one .* and 'LDL' in another"):
        mr.mediation(total, first, harmonised(0.6))
    with pytest.warns(SummaryStatisticsWarning, match="have other instruments: 0 are shared, 20 and 20"):
        mr.mediation(total, harmonised(0.4, variant=[f"rs{i}" for i in range(20)]), harmonised(0.6), seed=1)
    with pytest.raises(SummaryStatisticsError, match="not the same two traits"):
        mr.bidirectional(total, first, "ivw")
    assert mr.mediation(*three(), seed=1).tidy(exponentiate=True)["estimate"][1] == pytest.approx(0.4, abs=0.1)
