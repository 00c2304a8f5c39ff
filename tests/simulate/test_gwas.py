"""Simulated summary statistics have the moments that their formulas promise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import DxaCausalError

PANEL = Path(__file__).parents[1] / "reference" / "genotypes" / "eur"
VARIANTS = ["rs9442392", "rs13303313", "rs7513405", "rs4422949"]


@pytest.fixture(scope="module")
def panel():
    return dc.genotypes.read_panel(PANEL)


@pytest.fixture(scope="module")
def draws(panel):
    """z of four variants in 200 studies of two traits: (200, 2, 4)."""
    effects = {"x": {"rs9442392": 0.05}, "y": {"rs7513405": 0.03}}
    rng = np.random.default_rng(5)
    z = []
    for _ in range(200):
        made = dc.simulate.gwas(panel, effects, n={"x": 10_000, "y": 40_000}, error_correlation=0.4, seed=rng)
        z.append([(f.set_index("variant").loc[VARIANTS, "beta"] / f.set_index("variant").loc[VARIANTS, "se"])
                  for f in made.values()])  # fmt: skip
    return np.array(z)


def test_means_are_the_linkage_with_what_is_causal(panel, draws):
    r = dc.genotypes.ld(panel, VARIANTS).to_numpy()
    f = panel.frequencies().set_index("variant").loc[VARIANTS, "frequency"].to_numpy()
    sd = dc.genotypes.read_panel(PANEL).genotypes(VARIANTS).std(ddof=0).to_numpy()
    assert sd == pytest.approx(np.sqrt(2 * f * (1 - f)), rel=0.05)
    expected = np.array([100.0 * r[:, 0] * sd[0] * 0.05, 200.0 * r[:, 2] * sd[2] * 0.03])
    assert np.abs(draws.mean(axis=0) - expected).max() < 4 / np.sqrt(200)  # four Monte Carlo errors


def test_errors_have_the_linkage_and_the_correlation_asked_for(panel, draws):
    r = dc.genotypes.ld(panel, VARIANTS).to_numpy()
    centred = draws - draws.mean(axis=0)
    within = np.einsum("dtj,dtk->tjk", centred, centred) / 199
    across = (centred[:, 0] * centred[:, 1]).mean(axis=0)
    assert np.abs(within - r).max() < 5 / np.sqrt(200)
    assert across == pytest.approx(np.full(4, 0.4), abs=5 / np.sqrt(200))


def test_rows_and_allele_frequencies(panel):
    made = dc.simulate.gwas(panel, {"x": {}}, n=1000, seed=1)["x"]
    known = panel.frequencies()
    assert len(made) + made.attrs["monomorphic"] == panel.n_variants
    assert made.attrs["monomorphic"] == known["monomorphic"].sum()
    pd.testing.assert_series_equal(
        made["eaf"], known.loc[~known["monomorphic"], "frequency"], check_names=False, check_index=False, rtol=1e-12
    )
    again = dc.simulate.gwas(PANEL, {"x": {}}, n=1000, seed=1)["x"]
    pd.testing.assert_frame_equal(made, again)


def exposure(m=20_000):
    rng = np.random.default_rng(3)
    f = rng.uniform(0.1, 0.9, m)
    gamma = rng.normal(0, 0.05, m)
    se = 1 / np.sqrt(30_000 * 2 * f * (1 - f))
    frame = pd.DataFrame(
        {
            "variant": [f"rs{k}" for k in range(m)], "effect_allele": "A", "other_allele": "C", "eaf": f,
            "beta": gamma + se * rng.standard_normal(m), "se": se, "n": 30_000,
        }
    )  # fmt: skip
    return frame, gamma


def test_outcome_carries_effect_and_shared_error():
    x, gamma = exposure()
    y = dc.simulate.gwas_outcome(
        x, 0.4, n=120_000, true_effects=gamma, shared=0.5, correlation=0.6, case_share=0.2, seed=2
    )
    psi = 0.6 * 0.5 * 30_000 / np.sqrt(30_000 * 120_000)
    assert y.attrs == {"effect": 0.4, "error_correlation": pytest.approx(psi)}
    error = (y["beta"] - 0.4 * gamma) / y["se"]
    assert error.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(error, (x["beta"] - gamma) / x["se"])[0, 1] == pytest.approx(psi, abs=0.02)
    assert y["se"].to_numpy() == pytest.approx(x["se"] * np.sqrt(30_000 / 120_000 / 0.16))


def test_direct_effects_point_along_the_allele_that_raises_the_exposure():
    x, _ = exposure()
    y = dc.simulate.gwas_outcome(x, 0.0, n=10**9, direct_mean=0.02, direct_sd=0.01, seed=2)
    along = y["beta"] * np.sign(x["beta"])
    assert (along.mean(), along.std()) == pytest.approx((0.02, 0.01), abs=3e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"effects": {}}, "at least one trait"),
        ({"effects": {"x": {"rs0": 1.0}}}, "'rs0' of 'x' is not in the panel"),
        ({"n": {"z": 10}}, "n: 'z' is not a trait of effects; they are 'x'"),
        ({"n": {}}, "n: None for 'x'"),
        ({"effects": {"rs9442392": 0.1}}, "write {trait: {variant: effect}}"),
        ({"effects": {"x": {"rs9442392": np.nan}}}, "'rs9442392' of 'x' is nan, not a finite number"),
        ({"n": 0}, "n: 0 for 'x'"),
        ({"error_correlation": 2.0}, "error_correlation=2.0"),
    ],
)
def test_what_a_panel_cannot_simulate(panel, change, said):
    with pytest.raises(DxaCausalError, match=said):
        dc.simulate.gwas(panel, **{"effects": {"x": {}}, "n": 1000, **change})


def test_a_variant_that_does_not_vary_is_left_out_and_counted(tmp_path):
    prefix = tmp_path / "tiny"
    prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, 0b11101000, 0b00000000]))
    prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n1 rs2 0 2000 C T\n")
    prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    made = dc.simulate.gwas(prefix, {"x": {"rs1": 0.1}}, n=1000, seed=1)["x"]
    assert (made["variant"].tolist(), made.attrs["monomorphic"]) == (["rs1"], 1)
    with pytest.raises(DxaCausalError, match="'rs2' of 'x' does not vary"):
        dc.simulate.gwas(prefix, {"x": {"rs2": 1.0}}, n=1000)


@pytest.mark.parametrize(
    ("column", "value", "options", "said"),
    [
        ("eaf", None, {}, "no column 'eaf'|'eaf'"),
        ("eaf", 1.0, {}, "column 'eaf', row 3"),
        ("se", 0.0, {}, "column 'se', row 3"),
        ("beta", np.nan, {}, "column 'beta' has no value in row 3"),
        ("n", None, {"shared": 0.5, "correlation": 0.1}, "no column 'n'"),
        ("eaf", 0.5, {"shared": 0.5, "correlation": 0.1}, "shared needs true_effects"),
        ("eaf", 0.5, {"n": 0}, "n=0"),
        ("eaf", 0.5, {"case_share": 1.0}, "case_share=1.0"),
        ("eaf", 0.5, {"shared": 1.5}, "shared=1.5"),
        ("eaf", 0.5, {"true_effects": [1.0]}, "true_effects has shape"),
    ],
)
def test_what_an_exposure_must_hold(column, value, options, said):
    x = exposure(5)[0]
    x = x.drop(columns=column) if value is None else x.assign(**{column: x[column].where(x.index != 2, value)})
    with pytest.raises(DxaCausalError, match=said):
        dc.simulate.gwas_outcome(x, 0.1, **{"n": 1000, **options})
