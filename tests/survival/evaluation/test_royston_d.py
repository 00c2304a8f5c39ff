"""Royston and Sauerbrei's D: R's survival::royston, brute force, bad input."""

import numpy as np
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError
from dxa_causal.survival._kernels import normal_scores

s = dc.survival

EXACT = 1e-9
NAMES = {"R.D": "R2_D", "R.KO": "R2_KO", "R.N": "R2_N", "C.GH": "concordance (Gönen-Heller)"}


@pytest.fixture(scope="module")
def found(frames):
    pbc, lung, rotterdam = frames["pbc"], frames["lung"], frames["rotterdam"]
    three = s.cox("Surv(time, status == 2) ~ age + log(bili) + edema", pbc)
    ties = s.cox("Surv(time, status) ~ sex + Q('ph.ecog')", lung)
    half = s.cox("Surv(time, status == 2) ~ age + log(bili)", pbc.iloc[:300])
    return {
        "royston_pbc": s.royston_d(three),
        "royston_adjusted": s.royston_d(three, adjust=True),
        "royston_ties": s.royston_d(ties),
        "royston_mean_rank": s.royston_d(ties, ties=False),
        "royston_new": s.royston_d(half, pbc.iloc[300:]),
        "royston_rotterdam": s.royston_d(s.cox("Surv(rtime, recur) ~ age + nodes + grade", rotterdam)),
    }


@pytest.mark.parametrize(
    "name",
    ["royston_pbc", "royston_adjusted", "royston_ties", "royston_mean_rank", "royston_new", "royston_rotterdam"],
)
def test_equals_r(found, reference, name):
    want = reference("survival/calibration/expected.json")[name]["values"]
    table = found[name].tidy().set_index("metric")
    np.testing.assert_allclose(
        table.loc["D", ["estimate", "std_error"]].astype(float), [want["D"], want["se(D)"]], rtol=EXACT
    )
    for theirs, ours in NAMES.items():
        if theirs in want:
            np.testing.assert_allclose(table.loc[ours, "estimate"], want[theirs], rtol=EXACT)


def test_explained_variation_has_the_error_of_the_delta_method(found):
    table = found["royston_pbc"].tidy().set_index("metric")
    b, se = table.loc["D", "estimate"] / np.sqrt(8 / np.pi), table.loc["D", "std_error"] / np.sqrt(8 / np.pi)
    step = 1e-6
    slope = np.diff([(b + e) ** 2 / (np.pi**2 / 6 + (b + e) ** 2) for e in (-step, step)])[0] / (2 * step)
    np.testing.assert_allclose(table.loc["R2_D", "std_error"], slope * se, rtol=1e-6)
    assert table.loc["R2_D", "conf_low"] < table.loc["R2_D", "estimate"] < table.loc["R2_D", "conf_high"]


def test_gonen_heller_equals_all_pairs(monkeypatch):
    eta = np.round(np.random.default_rng(3).normal(size=90), 1)
    gap = np.abs(eta[:, None] - eta)[np.triu_indices(90, 1)]
    want = np.mean(1 / (1 + np.exp(-gap)))
    np.testing.assert_allclose(normal_scores.implied_concordance(eta), want, rtol=1e-12)
    monkeypatch.setattr(normal_scores, "_BLOCK", 100)  # several blocks
    np.testing.assert_allclose(normal_scores.implied_concordance(eta), want, rtol=1e-12)


def test_gonen_heller_on_a_grid(monkeypatch):
    rng = np.random.default_rng(4)
    for eta in (rng.normal(size=3000), rng.exponential(3.0, size=3000), np.round(rng.normal(size=3000), 2)):
        want = normal_scores.implied_concordance(eta)
        with monkeypatch.context() as few:
            few.setattr(normal_scores, "_EXACT", 100)
            np.testing.assert_allclose(normal_scores.implied_concordance(eta), want, rtol=1e-7)


def test_scores_and_several_models(frames):
    pbc = frames["pbc"]
    fit = s.cox("Surv(time, status == 2) ~ bili", pbc)
    both = s.royston_d({"fit": fit, "bili": "bili"}, pbc, outcome="Surv(time, status == 2)").tidy()
    one, two = (both[both["model"] == m]["estimate"].to_numpy() for m in ("fit", "bili"))
    np.testing.assert_allclose(one, two, rtol=1e-9)  # recalibrated to the same
    np.testing.assert_allclose(one[0], s.royston_d(fit).tidy()["estimate"].iloc[0], rtol=1e-9)
    s.royston_d(fit).plot()


def test_bad_input(frames):
    pbc = frames["pbc"]
    fit = s.cox("Surv(time, status == 2) ~ bili", pbc)
    with pytest.raises(OptionError, match="leave data out"):
        s.royston_d(fit, pbc, adjust=True)
    with pytest.raises(OptionError, match="give data and outcome"):
        s.royston_d("bili")
    with pytest.raises(PredictorError, match="predicts the same for all"):
        s.royston_d("flat", pbc.assign(flat=1.0), outcome="Surv(time, status == 2)")
    with pytest.raises(OutcomeError, match="one kind of event"):
        competing = s.fine_gray("Surv(time, status) ~ age", pbc, cause=2)
        s.royston_d(competing, pbc)
    few = pbc.assign(status=2 * (np.arange(len(pbc)) < 2))
    with pytest.raises(OptionError, match=r"more events \(2\) than coefficients \(2\)"):
        s.royston_d(s.cox("Surv(time, status == 2) ~ bili + age", few), adjust=True)
