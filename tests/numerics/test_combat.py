"""ComBat: stored output of neuroCombat, special cases, frozen batches."""

from pathlib import Path

import numpy as np
import pytest

from dxa_causal._numerics.combat import apply_combat, fit_combat

# Ten decimals are stored; both stop at the same step of the same iteration.
STORED = 1e-9
FOLDER = Path(__file__).parents[1] / "reference" / "combat"
NONE = np.empty((10, 0))


@pytest.fixture(scope="module")
def samples():
    return np.loadtxt(FOLDER / "testdata.csv", delimiter=",", skiprows=1).T


@pytest.fixture(scope="module")
def expected(reference):
    return reference("combat/expected.json")


BATCH = np.repeat([0, 1], 5)
GENDER = np.tile([1.0, 2.0], 5)[:, None]


def test_all_outputs_of_neurocombat(samples, expected):
    cases = {name: rows for name, rows in expected["cases"].items() if name.startswith(("param", "nonparam"))}
    assert len(cases) == 34
    for name, rows in cases.items():
        covariates = GENDER if "_adjusted" in name else NONE
        fit = fit_combat(
            samples, BATCH, covariates, parametric=not name.startswith("non"), mean_only="meanonly" in name,
            empirical_bayes="noeb" not in name, reference=0 if "batchref" in name else -1,
        )  # fmt: skip
        found = apply_combat(fit, samples, BATCH, covariates)
        np.testing.assert_allclose(found[:, :20].T, rows, atol=STORED, rtol=0, err_msg=name)
        assert fit.converged


def test_frozen_batches_on_new_rows(samples, expected):
    fit = fit_combat(samples, BATCH, GENDER)
    some = expected["scenario2_columns"]
    found = apply_combat(fit, samples[some], BATCH[some], np.full((4, 1), fit.covariate_mean))
    np.testing.assert_allclose(found[:, :20].T, expected["cases"]["training_test_scenario2"], atol=STORED, rtol=0)


def test_frozen_batches_on_old_rows_are_the_fit(samples):
    fit = fit_combat(samples, BATCH, GENDER, parametric=False)
    whole = apply_combat(fit, samples, BATCH, GENDER)
    np.testing.assert_allclose(apply_combat(fit, samples[[7, 2]], BATCH[[7, 2]], GENDER[[7, 2]]), whole[[7, 2]])


def test_reference_batch_stays_to_the_last_bit(samples):
    fit = fit_combat(samples, BATCH, GENDER, reference=1)
    np.testing.assert_array_equal(apply_combat(fit, samples, BATCH, GENDER)[5:], samples[5:])


def test_without_priors_batches_have_one_mean_and_spread(samples):
    fit = fit_combat(samples, BATCH, NONE, empirical_bayes=False)
    found = apply_combat(fit, samples, BATCH, NONE)
    np.testing.assert_allclose(found[:5].mean(axis=0), found[5:].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found[:5].std(axis=0), found[5:].std(axis=0), rtol=1e-12)


def test_covariate_effects_stay():
    rng = np.random.default_rng(1)
    batch, age = np.arange(400) % 4, rng.normal(60, 8, 400)
    clean = 0.1 * age[:, None] + rng.standard_normal((400, 30))
    noisy = clean * (1 + batch[:, None] / 2) + 2.0 * batch[:, None]
    noisy += (0.1 * age[:, None]) * (-batch[:, None] / 2)  # the spread of the noise only
    fit = fit_combat(noisy, batch, age[:, None])
    found = apply_combat(fit, noisy, batch, age[:, None])
    slope = np.polynomial.polynomial.polyfit(age, found, 1)[1]
    assert abs(slope.mean() - 0.1) < 0.01
    level = np.array([found[batch == i].mean() for i in range(4)])
    assert np.ptp(level - np.array([0.1 * age[batch == i].mean() for i in range(4)])) < 0.1


def test_nonparametric_prior_by_brute_force(samples):
    fit = fit_combat(samples[:, :6], BATCH, NONE, parametric=False)
    z = (samples[:, :6] - fit.mean) / fit.scale
    for i in range(2):
        own = i == BATCH
        for g in range(6):
            others = [h for h in range(6) if h != g]
            density = [
                np.prod(
                    np.exp(-((z[own, g] - fit.raw_shift[i, h]) ** 2) / (2 * fit.raw_variance[i, h]))
                    / np.sqrt(2 * np.pi * fit.raw_variance[i, h])
                )
                for h in others
            ]
            assert fit.shift[i, g] == pytest.approx(np.average(fit.raw_shift[i, others], weights=density), rel=1e-10)
