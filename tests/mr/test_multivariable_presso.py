from __future__ import annotations

import numpy as np
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr._kernels.multivariable import weighted
from dxa_causal.mr._kernels.presso import residual_squares_of_many, slopes_without_each
from dxa_causal.results import NotApplicable


def made(n=40, outliers=3, seed=1, k=2, **more):
    rng = np.random.default_rng(seed)
    x = rng.normal(0.1, 0.05, (n, k))
    y = x @ np.array([0.3, -0.2, 0.1])[:k] + 0.01 * rng.standard_normal(n)
    y[:outliers] += 0.15
    return mr.MultivariableHarmonised.from_arrays(
        beta_exposures=x, se_exposures=np.full((n, k), 0.005), beta_outcome=y, se_outcome=np.full(n, 0.01), **more
    )


def test_published_example(private_csv):
    """MR-PRESSO 1.0 in R on its own data, both exposures: RSS 34.71523, raw effects 0.50276 and 0.37569."""
    data = private_csv("mrpresso_SummaryStats_simulated.csv")
    h = mr.MultivariableHarmonised.from_arrays(
        beta_exposures=data[["E1_effect", "E2_effect"]], se_exposures=data[["E1_se", "E2_se"]].to_numpy(),
        beta_outcome=data["Y_effect"], se_outcome=data["Y_se"],
    )  # fmt: skip
    fit = mr.presso(h, seed=1)
    assert fit.rss_observed == pytest.approx(34.71523, abs=5e-6)
    np.testing.assert_allclose(fit.estimates[0], [0.50276, 0.37569], atol=5e-6)


def test_leave_one_out_by_refitting():
    h = made()
    x, y, w = h.beta_exposures, h.beta_outcome, h.se_outcome**-2.0
    slopes, squares = slopes_without_each(x, y, w), residual_squares_of_many(x[None], y[None], w)[0]
    for i in range(40):
        rest = np.arange(40) != i
        coef = weighted(x[rest], y[rest], w[rest]).coef
        np.testing.assert_allclose(slopes[i], coef, rtol=1e-9)
        assert squares[i] == pytest.approx(w[i] * (y[i] - x[i] @ coef) ** 2, rel=1e-8)


def test_outliers_are_found_and_left_out():
    fit = mr.presso(made(), seed=1, n_draws=2000)
    assert fit.outlier[:3].all()
    assert fit.outlier.sum() <= 6  # the three bend the line that others are judged by
    table = fit.tidy().set_index(["method", "term"])
    np.testing.assert_allclose(table.loc["outlier_corrected", "estimate"], [0.3, -0.2], atol=0.06)  # truth
    assert table.loc[("outlier_corrected", "exposure_1"), "df"] == 40 - fit.outlier.sum() - 2
    assert "outliers: variant_1, variant_2, variant_3" in str(fit)
    assert mr.presso(made(), seed=1, n_draws=2000, n_jobs=2).outliers().equals(fit.outliers())


def test_one_exposure_is_the_univariable_test():
    h = made(k=1)
    one = mr.Harmonised.from_arrays(
        beta_exposure=h.beta_exposures[:, 0], se_exposure=h.se_exposures[:, 0], beta_outcome=h.beta_outcome,
        se_outcome=h.se_outcome,
    )  # fmt: skip
    ours, theirs = mr.presso(h, seed=1, n_draws=2000), mr.presso(one, seed=1, n_draws=2000)
    assert ours.rss_observed == pytest.approx(theirs.rss_observed, rel=1e-9)
    np.testing.assert_allclose(ours.estimates[:, 0], theirs.estimates, rtol=1e-9)
    np.testing.assert_allclose(ours.std_errors[:, 0], theirs.std_errors, rtol=1e-9)


def test_level_without_outliers():
    """Rejections at 5 % in 200 data sets: 10 expected, Monte-Carlo s.e. 3."""
    rejected = sum(mr.presso(made(outliers=0, seed=s), seed=s, n_draws=200).global_p < 0.05 for s in range(200))
    assert 1 <= rejected <= 22


def test_what_it_cannot_do():
    assert isinstance(mr.presso(made(4, outliers=0)), NotApplicable)
    with pytest.raises(SummaryStatisticsError, match="correlations"):
        mr.presso(made(10, ld=0.5 * np.eye(10) + 0.5))
    assert "the global test finds no direct effects" in mr.presso(made(outliers=0, seed=4), seed=1).reason
