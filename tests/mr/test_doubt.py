from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal.mr._kernels.presso import residual_squares
from dxa_causal.results import NotApplicable

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
RTOL = 1e-9
EFFECTS = ("beta_exposure", "se_exposure", "beta_outcome", "se_outcome")


def drawn(n: int, seed: int = 3) -> mr.Harmonised:
    rng = np.random.default_rng(seed)
    bx = rng.uniform(0.1, 0.5, n) * rng.choice([-1, 1], n)
    by = 0.4 * bx + rng.normal(0, 0.04, n)
    by[0] += 0.5
    return mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=np.full(n, 0.02), beta_outcome=by, se_outcome=rng.uniform(0.02, 0.05, n)
    )


def without(h: mr.Harmonised, i: int) -> mr.Harmonised:
    kept = h.table.drop(h.table.index[i])
    return mr.Harmonised.from_arrays(**{c: kept[c] for c in EFFECTS})


def test_leave_one_out_as_two_sample_mr(bmi_chd):
    ours = mr.leave_one_out(bmi_chd).set_index("variant")
    theirs = pd.read_csv(REFERENCE / "ref_twosamplemr_leaveoneout_ivw.csv").set_index("SNP")
    theirs = theirs.rename(index={"All": "all"}).loc[ours.index]
    for name, column in (("estimate", "b"), ("std_error", "se"), ("p_value", "p")):
        np.testing.assert_allclose(ours[name], theirs[column], rtol=RTOL)


@pytest.mark.parametrize("method", ["ivw", "egger"])
def test_leave_one_out_is_refitting(method):
    h = drawn(12)
    table = mr.leave_one_out(h, method=method)
    for i in range(12):
        refit = mr.estimate(without(h, i), [method]).tidy().iloc[0]
        for name in ("estimate", "std_error", "p_value", "conf_low"):
            assert table.iloc[i][name] == pytest.approx(refit[name], rel=RTOL)
    assert isinstance(mr.leave_one_out(drawn(2), method=method), NotApplicable)


def test_radial_rows(bmi_chd):
    rows = json.loads((REFERENCE / "doubt.json").read_text())["radial"]
    for weights in (1, 2, 3):
        fit = mr.radial(bmi_chd, weights=weights, seed=1, n_draws=5000)
        table = fit.tidy().set_index(["method", "term"])
        for row in (r for r in rows if f"(weights={weights})" in r["method"]):
            name = row["method"].split(": ")[1]
            key = {"Iterative": ("ivw_iterative", "effect"), "Exact (FE)": ("ivw_exact_fe", "effect"),
                   "Exact (RE)": ("ivw_exact_re", "effect"), "(Intercept)": ("egger", "intercept"),
                   "Wj": ("egger", "effect")}.get(name, ("ivw_first", "effect"))  # fmt: skip
            ours = table.loc[key]
            if key[0].startswith("ivw_exact"):  # optimize() stopped at its tolerance; ours has the smaller Q (below)
                assert ours["estimate"] == pytest.approx(row["estimate"], abs=2e-5)
                error = 4 * np.hypot(1 / np.sqrt(2 * 1000), 1 / np.sqrt(2 * 5000))  # of the bootstraps of both sides
                rel = error if key[0] == "ivw_exact_re" else 1e-6
                assert ours["std_error"] == pytest.approx(row["se"], rel=rel)
                continue
            rtol = 1e-9 if key[0] != "ivw_iterative" else 1e-7  # R stops one step earlier; z^2 times that in p
            for column, value in (("estimate", row["estimate"]), ("std_error", row["se"]), ("p_value", row["p"])):
                assert ours[column] == pytest.approx(value, rel=rtol), row["method"]
            if key[0] == "ivw_first":
                assert fit.outliers()["outlier"].sum() == row["n_outliers"]
                assert fit.q[0] == pytest.approx(row["Q"], rel=RTOL)
            elif key[0] == "egger":
                assert fit.q[4] == pytest.approx(row["Q"], rel=RTOL)


def test_the_exact_slope_has_the_smaller_q(bmi_chd):
    def q(b):
        h = bmi_chd
        return ((h.beta_outcome - b * h.beta_exposure) ** 2 / (h.se_outcome**2 + b**2 * h.se_exposure**2)).sum()

    rows = json.loads((REFERENCE / "doubt.json").read_text())["radial"]
    theirs = next(r["estimate"] for r in rows if "Exact (FE)" in r["method"])
    ours = mr.radial(bmi_chd, seed=1, n_draws=10).tidy().set_index("method").loc["ivw_exact_fe", "estimate"]
    assert q(ours) < q(theirs)
    assert q(ours) < min(q(ours - 1e-5), q(ours + 1e-5))


def test_radial_finds_effects_beyond_two():
    bx = np.linspace(0.1, 0.3, 6)
    h = mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=np.full(6, 0.01), beta_outcome=5 * bx + 0.001 * np.sin(np.arange(6)),
        se_outcome=np.full(6, 0.02),
    )  # fmt: skip
    table = mr.radial(h, seed=1, n_draws=50).tidy().query("term == 'effect'").set_index("method")["estimate"]
    assert table["ivw_exact_fe"] == pytest.approx(5.0, abs=0.05)
    assert table["ivw_exact_re"] == table["ivw_exact_fe"]  # the variants agree


def test_presso_is_refitting_in_every_draw():
    h = drawn(15)
    bx, by, sx, sy = h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome

    def slopes(x, y):
        w = sy**-2
        return np.array([np.delete(w * x * y, j).sum() / np.delete(w * x * x, j).sum() for j in range(x.size)])

    slope = slopes(bx, by)
    rng, own, draws = np.random.default_rng(9), np.zeros(15), 4000
    for _ in range(draws):
        x, y = rng.normal(bx, sx), rng.normal(slope * bx, sy)
        own += (y - slope * x) ** 2 > (by - slope * bx) ** 2
    fit = mr.presso(h, n_draws=20_000, seed=2)
    free = fit.outlier_p < 1  # times n, cut at one
    expected = own / draws
    error = 4 * np.sqrt(np.maximum(expected, 1e-3) * (1 / draws + 1 / 20_000))
    assert free.any()
    assert (np.abs(fit.outlier_p / 15 - expected) <= error)[free].all()


def test_presso_published(private_csv):
    d = private_csv("mrpresso_SummaryStats_simulated.csv")
    h = mr.Harmonised.from_arrays(
        beta_exposure=d["E1_effect"], se_exposure=d["E1_se"], beta_outcome=d["Y_effect"], se_outcome=d["Y_se"]
    )
    fit = mr.presso(h, seed=1, n_draws=20_000, upstream=True)
    assert fit.rss_observed == pytest.approx(133.06663282014765, rel=1e-12)
    raw, corrected = (row for _, row in fit.tidy().iterrows())
    np.testing.assert_allclose(
        raw[["estimate", "std_error", "p_value"]].astype(float), [0.539012, 0.01948158, 1.446937e-31], rtol=2e-6
    )
    np.testing.assert_allclose(
        corrected[["estimate", "std_error", "p_value"]].astype(float), [0.5092231, 0.01256607, 4.621318e-37], rtol=2e-6
    )
    assert fit.distortion == pytest.approx(5.84987758, rel=1e-8)
    theirs = 0.008
    error = np.sqrt(fit.distortion_p * (1 - fit.distortion_p) * (1 / 1000 + 1 / 20_000))
    assert abs(fit.distortion_p - theirs) < 4 * error


def test_presso_by_brute_force_and_jobs():
    h = drawn(20)
    squares, slope = residual_squares(h.beta_exposure, h.beta_outcome, h.se_outcome**-2)
    for i in range(20):
        assert slope[i] == pytest.approx(mr.estimate(without(h, i), ["ivw"]).estimates[0], rel=RTOL)
    one, two = (mr.presso(h, seed=5, n_draws=1200, n_jobs=jobs) for jobs in (1, 2))
    assert one.rss_observed == pytest.approx(squares.sum(), rel=RTOL)
    np.testing.assert_array_equal(one.outlier_p, two.outlier_p)
    assert (one.global_p, one.distortion_p) == (two.global_p, two.distortion_p)
    assert one.outliers().query("outlier")["variant"].tolist() == ["variant_1"]
    assert isinstance(mr.presso(drawn(3)), NotApplicable)


def test_presso_distortion_is_redrawing_the_others():
    h = drawn(20)
    bx, by, w = h.beta_exposure, h.beta_outcome, h.se_outcome**-2
    fit = mr.presso(h, seed=5, n_draws=4000)
    good, k = np.flatnonzero(~fit.outlier), int(fit.outlier.sum())
    assert k

    def slope(i):
        return (w * bx * by)[i].sum() / (w * bx * bx)[i].sum()

    observed = (slope(slice(None)) - slope(good)) / abs(slope(good))
    assert fit.distortion == pytest.approx(100 * observed, rel=RTOL)
    rng = np.random.default_rng(3)
    after = np.array([slope(rng.choice(good, 20 - 2 * k)) for _ in range(4000)])
    expected = np.mean(np.abs((slope(good) - after) / np.abs(after)) > abs(observed))
    assert abs(fit.distortion_p - expected) < 4 * np.sqrt(2 * 0.25 / 4000)


def test_cooks_distance_is_the_shift_of_the_fit():
    h = drawn(10)
    table = mr.cooks_distance(h).query("method == 'ivw'")
    shift = mr.leave_one_out(h)["estimate"].to_numpy()[:-1] - mr.estimate(h, ["ivw"]).estimates[0]
    information = np.sum(h.beta_exposure**2 / h.se_outcome**2)
    sigma2 = mr.heterogeneity(h)["statistic"].iloc[0] / 9
    np.testing.assert_allclose(table["statistic"], shift**2 * information / sigma2, rtol=1e-8)


def test_too_few_draws_find_no_outliers_and_no_effects_no_test():
    rng = np.random.default_rng(3)
    bx = rng.uniform(0.05, 0.15, 50)
    by = 0.3 * bx + 0.01 * rng.standard_normal(50) + np.where(np.arange(50) < 3, 0.2, 0.0)
    h = mr.Harmonised.from_arrays(
        beta_exposure=bx, se_exposure=np.full(50, 0.005), beta_outcome=by, se_outcome=np.full(50, 0.01)
    )
    few = mr.presso(h, n_draws=100, seed=1)
    assert not few.outlier.any()
    assert "could find none with n_draws=100: 50 variants need 1000" in few.reason
    assert mr.presso(h, n_draws=1000, seed=1).outlier[:3].all()
    null = mr.Harmonised.from_arrays(
        beta_exposure=[0.1, 0, 0, 0], se_exposure=[0.01] * 4, beta_outcome=[0.05] * 4, se_outcome=[0.01] * 4
    )
    assert "fewer than two variants" in mr.presso(null, seed=1).reason


def test_radial_of_variants_alike():
    h = mr.Harmonised.from_arrays(
        beta_exposure=[0.1] * 5, se_exposure=[0.01] * 5, beta_outcome=[0.05] * 5, se_outcome=[0.01] * 5
    )
    fit = mr.radial(h, seed=1, n_draws=20)
    assert fit.tidy().query("method == 'egger'")["estimate"].isna().all()
    assert "all variants have the same weight" in str(fit)
