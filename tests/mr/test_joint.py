from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError
from dxa_causal.mr._kernels import weak_instruments as weak
from dxa_causal.mr._kernels.joint_effects import Joint, joint_effects

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"


@pytest.fixture(scope="module")
def rows() -> dict[str, dict]:
    return {r["method"]: r for r in json.loads((REFERENCE / "weak_instruments.json").read_text())}


@pytest.fixture
def calcium(private_csv) -> mr.Harmonised:
    data, ld = (private_csv(f"mendelianrandomization_calcium_{part}.csv") for part in ("fastgluc", "ld"))
    return mr.Harmonised.from_arrays(
        beta_exposure=data["calcium"], se_exposure=data["calciumse"], beta_outcome=data["fastgluc"],
        se_outcome=data["fastglucse"], ld=ld.select_dtypes("number").to_numpy()[:, -6:], n_exposure=6351,
        n_outcome=133010,
    )  # fmt: skip


@pytest.fixture
def lipids(private_csv) -> mr.Harmonised:
    data = private_csv("mendelianrandomization_lipids_chd.csv")
    return mr.Harmonised.from_arrays(
        beta_exposure=data["ldlc"], se_exposure=data["ldlcse"], beta_outcome=data["chdlodds"],
        se_outcome=data["chdloddsse"], n_exposure=17723, n_outcome=17723,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "row", "tests"),
    [
        ("lipids", "mr_clr(nx=ny=17723)", {"clr": "CLR", "k": "K"}),
        ("calcium", "mr_clr(correl,nx=6351,ny=133010)", {"clr": "CLR", "ar": "AR", "k": "K"}),
    ],
)
def test_weak_instrument_tests(request, rows, name, row, tests):
    """R gives the outermost points of a grid of step 0.01 that lie within: ours, cut to that grid."""
    h = request.getfixturevalue(name)
    sets = mr.clr(h).confidence_sets()
    for method, stem in tests.items():
        # R looks from -10 to 10; beyond, K also accepts effects where the likelihood is lowest
        within = sets[(sets["method"] == method) & (sets["conf_low"] < 10) & (sets["conf_high"] > -10)]
        low, high = within[["conf_low", "conf_high"]].to_numpy().squeeze()
        assert np.ceil(low * 100) / 100 == pytest.approx(rows[row][f"{stem}lower"], abs=1e-9)
        assert np.floor(high * 100) / 100 == pytest.approx(rows[row][f"{stem}upper"], abs=1e-9)


def test_anderson_rubin_set_may_be_empty(lipids):
    """R finds no point within: no effect agrees with all variants."""
    fit = mr.clr(lipids)
    assert not (fit.confidence_sets()["method"] == "ar").any()
    assert np.isnan(fit.tidy().set_index("method").loc["ar", ["conf_low", "conf_high"]].astype(float)).all()


@pytest.mark.parametrize("robust", [True, False])
def test_pc_gmm_reference(calcium, rows, robust):
    row = rows[f"mr_pcgmm(nx=6351,ny=133010,thres=0.99,robust={str(robust).upper()})"]
    fit = mr.pc_gmm(calcium, robust=robust)
    ours = fit.tidy().iloc[0]
    # R's optimize stops at about 1e-8 of the effect
    assert ours["estimate"] == pytest.approx(row["estimate"], rel=1e-6)
    assert ours["std_error"] == pytest.approx(row["se"], rel=1e-6)
    assert ours["p_value"] == pytest.approx(row["p"], rel=1e-6)
    more = fit.further().set_index("what")["value"]
    assert more["n_components"] == row["PCs"]
    assert more["f_statistic"] == pytest.approx(row["Fstat"], rel=1e-9)
    assert more["q"] == pytest.approx(row["Heter.Stat"] if robust else row["Heter.Stat"][0], rel=1e-9)
    if robust:
        assert more["overdispersion"] == pytest.approx(row["Overdispersion"], rel=1e-6)
        assert mr.estimate(calcium, "pc_gmm").estimates[0] == fit.estimates[0]


def made(n=8, strength=0.03, seed=2, ld=True):
    rng = np.random.default_rng(seed)
    corr = 0.6 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))) if ld else np.eye(n)
    root = np.linalg.cholesky(corr)
    gamma = strength * rng.standard_normal(n)
    se = 0.02
    bx = corr @ gamma + se * root @ rng.standard_normal(n)
    by = 0.5 * corr @ gamma + se * root @ rng.standard_normal(n)
    return mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=np.full(n, se), beta_outcome=by, se_outcome=np.full(n, se), ld=corr,
        n_exposure=2500, n_outcome=2500,
    )  # fmt: skip


def test_conditional_distribution():
    """The integral against draws of s (k = 3), r'r being what it is."""
    rng = np.random.default_rng(1)
    draws = 400_000
    s = rng.standard_normal((draws, 3))
    r = np.array([1.5, 0.0, 0.0])
    ss, sr, rr = (s**2).sum(axis=1), s @ r, r @ r
    lr = (ss - rr + np.sqrt((ss + rr) ** 2 - 4 * (ss * rr - sr**2))) / 2
    for m in (0.5, 2.0, 5.0):
        # statistics with this likelihood ratio: s along r gives lr = s's
        f = weak.Statistics(np.array([m]), np.array([rr]), np.array([np.sqrt(m * rr)]))
        p = float(weak.likelihood_ratio(f, 3)[0])
        seen = (lr > m).mean()
        assert abs(p - seen) < 4 * np.sqrt(p * (1 - p) / draws)


def test_one_variant_is_anderson_rubin():
    x, y = Joint(np.array([0.1]), np.array([[0.01**2]])), Joint(np.array([0.05]), np.array([[0.02**2]]))
    f = weak.statistics(x, y, np.array([0.0, 0.5, 3.0]))
    np.testing.assert_allclose(weak.likelihood_ratio(f, 1), weak.anderson_rubin(f, 1), rtol=1e-10)
    assert weak.anderson_rubin(f, 1)[1] == 1.0


def test_limits_are_where_the_test_turns():
    h = made()
    fit = mr.clr(h)
    for interval in fit.intervals:
        for level in (0.8, 0.95):
            pieces = interval(level)
            ends = pieces[np.isfinite(pieces)]
            np.testing.assert_allclose(interval.p_value(ends), 1 - level, rtol=1e-6)


def test_weak_instruments_leave_the_set_unbounded():
    table = mr.clr(made(strength=0.0)).tidy().set_index("method")
    assert np.isinf(table.loc["clr", "conf_high"])


def test_joint_effects_are_those_of_the_regression():
    """From simulated people: the marginal effects and the correlations give back the joint regression."""
    rng = np.random.default_rng(5)
    n, p = 4000, 4
    g = rng.standard_normal((n, p)) @ np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))).T
    g = (g - g.mean(axis=0)) / g.std(axis=0)
    x = g @ [0.1, 0.0, -0.2, 0.05] + rng.standard_normal(n)
    x = (x - x.mean()) / x.std()
    beta = g.T @ x / n
    se = np.sqrt((1 - beta**2) / n)
    found = joint_effects(beta, se, float(n), np.corrcoef(g.T))
    coef, rss = np.linalg.lstsq(g, x, rcond=None)[:2]
    np.testing.assert_allclose(found.effect, coef, rtol=1e-9)
    np.testing.assert_allclose(found.cov, np.linalg.inv(g.T @ g) * rss[0] / (n - p + 1), rtol=1e-9)


def test_order_and_alleles_do_not_matter():
    h = made()
    sign, order = np.array([1, -1] * 4), np.random.default_rng(1).permutation(8)
    turned = mr.Harmonised.from_arrays(
        beta_exposure=(h.beta_exposure * sign)[order], se_exposure=h.se_exposure[order],
        beta_outcome=(h.beta_outcome * sign)[order], se_outcome=h.se_outcome[order],
        ld=(h.ld * np.outer(sign, sign))[np.ix_(order, order)], n_exposure=2500, n_outcome=2500,
    )  # fmt: skip
    columns = ["estimate", "p_value", "conf_low", "conf_high"]
    for f in (mr.clr, partial(mr.pc_gmm, coding="raising")):
        np.testing.assert_allclose(
            f(h).tidy()[columns].astype(float), f(turned).tidy()[columns].astype(float), rtol=1e-6
        )


def test_what_is_missing_is_said():
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0.2], se_exposure=[0.01] * 2, beta_outcome=[0.1, 0.2], se_outcome=[0.01] * 2
    )
    assert "n_exposure" in mr.clr(h).tidy()["reason"].iloc[0]
    assert "(ld)" in mr.estimate(h, "pc_gmm").tidy()["reason"].iloc[0]
    assert mr.clr(h, n_exposure=1000, n_outcome=1000).tidy()["reason"].eq("").all()
    with pytest.raises(OptionError, match="share"):
        mr.pc_gmm(made(), share=1.0)
    with pytest.raises(OptionError, match="components"):
        mr.pc_gmm(made(), components=1)


def test_p_values_far_out_and_impossible_sizes():
    """With one pair of like variants the three tests nearly agree, however small p is."""
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.1] * 2, se_exposure=[0.003] * 2, beta_outcome=[0.1] * 2, se_outcome=[0.005] * 2
    )
    p = mr.clr(h, n_exposure=1e5, n_outcome=1e5).p_values
    assert (p < 1e-170).all()
    assert (p > 0).all()
    assert np.log10(p[0]) == pytest.approx(np.log10(p[2]), abs=0.5)
    assert "explain all of exposure" in mr.clr(h, n_exposure=3, n_outcome=1e5).reason[0]
