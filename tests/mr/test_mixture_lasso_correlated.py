from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from dxa_causal import mr
from dxa_causal._core.errors import OptionError
from dxa_causal.mr.univariable.correlated import correlated_egger, correlated_ivw, correlated_maxlik
from dxa_causal.mr.univariable.lasso import lasso
from dxa_causal.mr.univariable.mixture import conmix, hetpen

RTOL = 1e-6
GRID = 1e-9  # grid points, printed with fewer digits
# MendelianRandomization 0.10.0, run from source in R 4.2.2
VALID = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 18, 19, 21, 23, 25, 26, 27, 28]


def arrays(bx, by, sx, sy, **more) -> mr.Harmonised:
    return mr.Harmonised.from_arrays(beta_exposure=bx, se_exposure=sx, beta_outcome=by, se_outcome=sy, **more)


@pytest.fixture(scope="module")
def lipids(private_csv):
    t = private_csv("mendelianrandomization_lipids_chd.csv")
    return arrays(t["ldlc"], t["chdlodds"], t["ldlcse"], t["chdloddsse"])


@pytest.fixture(scope="module")
def calcium(private_csv):
    t = private_csv("mendelianrandomization_calcium_fastgluc.csv")
    ld = private_csv("mendelianrandomization_calcium_ld.csv").to_numpy()
    return arrays(t["calcium"], t["fastgluc"], t["calciumse"], t["fastglucse"], ld=ld)


def simulated(n=12, invalid=3, ld=None):
    rng = np.random.default_rng(7)
    bx = rng.uniform(0.05, 0.2, n)
    by = 0.4 * bx + rng.normal(0, 0.01, n)
    by[:invalid] += 0.1
    return arrays(bx, by, np.full(n, 0.01), np.full(n, 0.01), ld=ld)


def test_conmix_reference(lipids):
    fit = conmix(lipids, convention="mendelianrandomization")
    row = fit.tidy().iloc[0]
    assert row["estimate"] == pytest.approx(2.73, rel=GRID)
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((2.0, 3.43), rel=GRID)
    assert row["p_value"] == pytest.approx(4.78884056938637e-15, rel=RTOL)
    assert fit.details[0]["psi"] == pytest.approx(66.1790453126795, rel=RTOL)
    assert (np.flatnonzero(fit.valid[0]) + 1).tolist() == VALID
    assert len(fit.confidence_sets()) == 1
    assert conmix(lipids).p_values[0] > row["p_value"]  # divided by the overdispersion instead


def test_hetpen_reference(lipids):
    t = lipids.table.iloc[:10]
    ten = arrays(t["beta_exposure"], t["beta_outcome"], t["se_exposure"], t["se_outcome"])
    row = hetpen(ten, low=-1, high=5, step=0.01).tidy().iloc[0]
    assert (row["estimate"], row["conf_low"], row["conf_high"]) == pytest.approx((2.85, 1.87, 3.9), rel=GRID)
    assert "at most 18" in hetpen(lipids).reason[0]


def test_hetpen_with_two_pieces():
    bx = [0.16, 0.236, 0.149, 0.09, 0.079, 0.072, 0.047, 0.069]
    by = [0.0237903, -0.1121942, -0.0711906, -0.030848, 0.0479207, 0.0238895, 0.005528, 0.0214852]
    sx = [0.006, 0.009, 0.006, 0.005, 0.005, 0.005, 0.006, 0.011]
    sy = [0.0149064, 0.0303084, 0.0150552, 0.0148339, 0.0143077, 0.0145478, 0.0160765, 0.0255237]
    fit = hetpen(arrays(bx, by, sx, sy))
    assert fit.estimates[0] == pytest.approx(-0.437, abs=5e-4)
    pieces = fit.confidence_sets()[["conf_low", "conf_high"]].to_numpy()
    np.testing.assert_allclose(pieces, [[-0.599, -0.256], [0.014, 0.449]], atol=5e-4)


@pytest.mark.parametrize(
    ("penalty", "n_valid", "estimate", "se", "lambda_"),
    [
        (None, 26, 2.67089553033321, 0.430611747991002, 0.775755167296549),
        (0.2, 12, 2.52143627815093, 0.341712673595063, 0.2),
    ],
)
def test_lasso_reference(lipids, penalty, n_valid, estimate, se, lambda_):
    fit = lasso(lipids, lambda_=penalty)
    assert fit.valid[0].sum() == n_valid
    assert (fit.estimates[0], fit.std_errors[0]) == pytest.approx((estimate, se), rel=RTOL)
    assert fit.details[0]["lambda"] == pytest.approx(lambda_, rel=1e-6)  # glmnet's path to its eight digits


def test_lasso_keeps_all_when_none_stands_out(lipids):
    """At the highest penalty no variant is left out, whatever rounding leaves of a coefficient; numbers of R."""
    first = lipids.table.head(4)
    h = arrays(*(first[f"{what}_{side}"] for what in ("beta", "se") for side in ("exposure", "outcome")))
    fit = lasso(h)
    assert fit.valid[0].sum() == 4
    assert (fit.estimates[0], fit.std_errors[0]) == pytest.approx((3.1018, 0.431), abs=5e-4)


def test_conmix_on_upstream_grid(lipids):
    """R takes every variant to raise the exposure: with mixed signs its grid starts elsewhere."""
    turned = np.where(np.arange(28) % 2, -1, 1)
    h = arrays(lipids.beta_exposure * turned, lipids.beta_outcome * turned, lipids.se_exposure, lipids.se_outcome)
    ours = conmix(h)
    theirs = mr.estimate(h, "conmix", convention="mendelianrandomization")
    low = ((h.beta_outcome - 2 * h.se_outcome) / h.beta_exposure).min()
    steps = (theirs.estimates[0] - low) / 0.01
    assert steps == pytest.approx(round(steps), abs=1e-6)
    assert abs(ours.estimates[0] - theirs.estimates[0]) < 0.01


def test_lasso_does_not_hang_on_which_allele_is_counted():
    rng = np.random.default_rng(3)
    bx, sign = rng.uniform(0.05, 0.15, 30), np.where(rng.random(30) < 0.5, -1, 1)
    by = 0.3 * bx + 0.02 * rng.standard_normal(30) + np.where(np.arange(30) < 8, 0.1, 0.0)
    one, other = (lasso(arrays(s * bx, s * by, np.full(30, 0.01), np.full(30, 0.02))) for s in (1, sign))
    assert one.details[0]["lambda"] == pytest.approx(other.details[0]["lambda"], rel=1e-9)
    assert one.valid[0].tolist() == other.valid[0].tolist()


def test_correlated_reference(calcium):
    for model in ("random", "fixed"):
        row = correlated_ivw(calcium, model)[0]
        assert (row.estimate, row.std_error) == pytest.approx((2.24461463569637, 0.643195835021763), rel=RTOL)
        assert row.details["q"] == pytest.approx(2.05296346317848, rel=RTOL)
    effect, intercept = correlated_egger(calcium)
    assert (effect.estimate, effect.std_error) == pytest.approx((1.30190152042141, 1.5175229386033), rel=RTOL)
    assert (intercept.estimate, intercept.std_error) == pytest.approx(
        (0.00910431771402594, 0.0132740652821734), rel=RTOL
    )
    assert effect.details["q"] == pytest.approx(1.58254223495563, rel=RTOL)
    # R stops Nelder-Mead early: ours is the lower Q (R: 1.72767494417506)
    row = correlated_maxlik(calcium)[0]
    assert row.estimate == pytest.approx(2.30296962152604, rel=5e-4)
    assert row.std_error == pytest.approx(0.708689796293796, rel=5e-4)
    assert row.details["q"] < 1.72767494417506


def test_simulated_invalid_variants_are_found():
    h = simulated()
    for valid in (conmix(h).valid[0], lasso(h).valid[0]):
        assert not valid[:3].any()
        assert valid[3:].sum() >= 5
    fit = mr.estimate(h, ["conmix", "lasso", "hetpen"])
    assert fit.reason == ("", "", "")
    np.testing.assert_allclose(fit.estimates, 0.4, atol=0.1)


def test_correlated_twins():
    rng = np.random.default_rng(3)
    ld = np.corrcoef(rng.normal(size=(12, 40)) + 0.5 * rng.normal(size=40))
    h = simulated(ld=ld, invalid=0)
    bx, by = h.beta_exposure, h.beta_outcome
    omega = np.outer(h.se_outcome, h.se_outcome) * ld
    sigma = np.outer(h.se_exposure, h.se_exposure) * ld
    inverse = np.linalg.inv(omega)
    row = correlated_ivw(h, "fixed")[0]
    assert row.estimate == pytest.approx(bx @ inverse @ by / (bx @ inverse @ bx), rel=1e-9)
    assert row.std_error == pytest.approx((bx @ inverse @ bx) ** -0.5, rel=1e-9)
    si = np.linalg.inv(sigma)

    def full(p):  # the likelihood with every true effect in it
        x, t = p[:-1], p[-1]
        return (bx - x) @ si @ (bx - x) + (by - t * x) @ inverse @ (by - t * x)

    best = minimize(full, np.append(bx, 0.4), method="BFGS", options={"gtol": 1e-8})
    row = correlated_maxlik(h, model="fixed")[0]
    assert row.estimate == pytest.approx(best.x[-1], rel=1e-5)
    assert row.details["q"] <= best.fun * (1 + 1e-8)


def test_bad_options():
    h = simulated()
    for call in (
        lambda: conmix(h, step=0),
        lambda: conmix(h, psi=-1),
        lambda: hetpen(h, prior=1),
        lambda: lasso(h, lambda_=0),
    ):
        with pytest.raises(OptionError):
            call()
