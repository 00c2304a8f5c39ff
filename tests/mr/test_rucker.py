"""Rucker's framework against TwoSampleMR, against refitting, and its choice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.results import NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
RTOL = 1e-9


def drawn(n=20, *, spread=0.0, direct=0.0, noise=1.0, seed=2):
    """Variants with direct effects: `spread` their standard deviation, `direct` their mean."""
    rng = np.random.default_rng(seed)
    bx, sy = rng.uniform(0.1, 0.5, n), rng.uniform(0.01, 0.02, n)
    by = 0.4 * bx + direct + spread * rng.standard_normal(n) + noise * sy * rng.standard_normal(n)
    return mr.Harmonised.from_arrays(beta_exposure=bx, se_exposure=np.full(n, 0.01), beta_outcome=by, se_outcome=sy)


def test_as_two_sample_mr(bmi_chd):
    fit = mr.rucker(bmi_chd)
    rows = json.loads((REFERENCE / "rucker.json").read_text())["rows"]
    models, tests = rows[:4], rows[4:]
    for (_, ours), row in zip(fit.tidy().iterrows(), models, strict=True):
        for name, column in (("estimate", "estimate"), ("std_error", "se"), ("p_value", "p")):
            assert ours[name] == pytest.approx(row[column], rel=RTOL)
        assert fit.selected == row["selected"]
        assert ours["selected"] == (ours["model"] == row["selected"])
    for (_, ours), row in zip(fit.heterogeneity().iterrows(), tests, strict=True):
        for name, column in (("statistic", "estimate"), ("df", "df"), ("p_value", "p")):
            assert ours[name] == pytest.approx(row[column], rel=RTOL)


@pytest.mark.parametrize("name", ["less", "more"])
def test_two_conventions(name):
    """Below a residual standard error of one they part; above it they are the same."""
    h = drawn(noise=0.4 if name == "less" else 1.0, spread=0.0 if name == "less" else 0.05)
    w = 1 / h.se_outcome
    reported, by_regression, by_model = [], [], []
    for design in (h.beta_exposure[:, None], np.column_stack([h.beta_exposure, np.ones(20)])):
        weighted = design * w[:, None]
        beta, rss, *_ = np.linalg.lstsq(weighted, h.beta_outcome * w, rcond=None)
        sigma = np.sqrt(rss[0] / (20 - design.shape[1]))
        assert (sigma < 1) == (name == "less")
        plain = np.sqrt(np.linalg.inv(weighted.T @ weighted)[0, 0])
        reported += [beta[0]] * 2
        by_regression += [sigma * plain / max(sigma, 1), sigma * plain]
        by_model += [plain, plain * max(sigma, 1)]
    two_sample, other = mr.rucker(h), mr.rucker(h, convention="mendelianrandomization")
    np.testing.assert_allclose(two_sample.estimates, reported, rtol=RTOL)
    np.testing.assert_allclose(two_sample.std_errors, by_regression, rtol=RTOL)
    np.testing.assert_allclose(other.std_errors, by_model, rtol=RTOL)
    assert np.isnan(other.df).all()
    named = mr.estimate(h, ["ivw_fe", "ivw", "egger"]).tidy().query("term == 'effect'")["std_error"]
    np.testing.assert_allclose(other.std_errors[[0, 1, 3]], named, rtol=RTOL)


@pytest.mark.parametrize(
    ("letter", "options"),
    [("A", {}), ("B", {"spread": 0.04}), ("C", {"direct": 0.1}), ("D", {"direct": 0.1, "spread": 0.03})],
)
def test_selects(letter, options):
    fit = mr.rucker(drawn(40, **options))
    assert fit.selected == letter
    table = fit.tidy().set_index("model")
    assert table.index[table["selected"]].tolist() == [letter]
    assert fit.glance()["method"].item() == table.loc[letter, "method"]
    assert f"selected: {letter}" in str(fit)


def test_refusals():
    assert isinstance(mr.rucker(drawn(2)), NotApplicable)
    with pytest.raises(OptionError, match="significance=1.5"):
        mr.rucker(drawn(), significance=1.5)
    with pytest.raises(OptionError, match="convention"):
        mr.rucker(drawn(), convention="rucker")
    h = drawn(3)
    with pytest.raises(SummaryStatisticsError, match="ld holds"):
        mr.rucker(h.with_ld(0.5 * np.eye(3) + 0.5, variants=h.table["variant"].tolist()))
