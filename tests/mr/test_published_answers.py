"""Published results on bone come out of the raw tables, which may not ship: see the folder in DXA_CAUSAL_MR2_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from dxa_causal import mr

FOLDER = os.environ.get("DXA_CAUSAL_MR2_DATA")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="tables without a licence to share; set DXA_CAUSAL_MR2_DATA to a folder that holds them"
)
# Bland et al. 2022, supplementary tables 7 and 8: IVW, its limits, Q, MR-Egger. Printed to four digits.
PUBLISHED = {
    ("MFavAdipo", "Forearm"): {"n": 14, "ivw": -0.1153, "low": -0.1857, "high": -0.0449, "q": 13.94, "egger": -0.0896},
}
# The same with more digits from the raw tables, by another program (harmonised by hand, numpy).
RECOMPUTED = {
    ("MFavAdipo", "Forearm"): (14, -0.11532, 13.941),
    ("PercentBodyFat", "Forearm"): (404, -0.01454, 499.6),
    ("PercentBodyFat", "FemoralNeck"): (402, -0.00460, 547.4),
    ("PercentBodyFat", "LS"): (402, -0.00964, 583.7),
    ("MFavAdipo", "FemoralNeck"): (14, -0.0471, None),
    ("MFavAdipo", "LS"): (14, -0.0771, None),
}


def bland(exposure: str, outcome: str) -> mr.Harmonised:
    folder = Path(FOLDER) / "bland2022_adiposity_bmd"
    name = {"MFavAdipo": "MetabolicallyFavorableAdiposity"}.get(exposure, exposure)
    first = pd.read_csv(folder / f"exposure_dat_for_{name}.txt", sep="\t")
    second = pd.read_csv(folder / f"outcome_dat_for_{outcome}BMD_to_{exposure}.txt", sep="\t", low_memory=False)
    return mr.harmonise(first, second, action=2)


@pytest.mark.parametrize(("exposure", "outcome"), RECOMPUTED)
def test_adiposity_and_bone_density(exposure, outcome):
    h = bland(exposure, outcome)
    n, beta, q = RECOMPUTED[exposure, outcome]
    assert h.n_variants == n
    estimate = mr.estimate(h, ["ivw", "egger"]).tidy().set_index(["method", "term"])
    digits = 5e-6 if len(f"{beta}") > 7 else 5e-5
    assert estimate.loc[("ivw", "effect"), "estimate"] == pytest.approx(beta, abs=digits)
    statistic = mr.heterogeneity(h).set_index("method")["statistic"]
    if q is not None:
        assert statistic["ivw"] == pytest.approx(q, abs=0.05)


def test_favourable_adiposity_and_the_forearm_as_published():
    h = bland("MFavAdipo", "Forearm")
    published = PUBLISHED["MFavAdipo", "Forearm"]
    tidy = mr.estimate(h, ["ivw", "egger"]).tidy().set_index(["method", "term"])
    ivw = tidy.loc[("ivw", "effect")]
    # Half a unit of the last digit; limits print one unit apart from 1.96 against the exact quantile.
    assert ivw["estimate"] == pytest.approx(published["ivw"], abs=5e-5)
    assert ivw[["conf_low", "conf_high"]].tolist() == pytest.approx([published["low"], published["high"]], abs=1.5e-4)
    assert tidy.loc[("egger", "effect"), "estimate"] == pytest.approx(published["egger"], abs=1.5e-4)
    q = mr.heterogeneity(h).set_index("method")["statistic"]["ivw"]
    assert q == pytest.approx(published["q"], abs=5e-3)


def test_what_was_dropped_are_palindromes_that_cannot_be_told():
    h = bland("PercentBodyFat", "Forearm")
    assert h.counts["n_both"] == 421
    dropped = {name: n for name, n in h.counts.items() if name.startswith("dropped_") and n}
    assert dropped == {"dropped_palindromic_eaf": 17}
    assert h.counts["exposure_without_id"] == 1


def sost(outcome: str) -> mr.Harmonised:
    folder = Path(FOLDER) / "sost"
    names = {"rsid": "variant", "ea": "effect_allele", "oa": "other_allele", "pvalue": "p_value"}
    exposure = pd.read_csv(folder / "00_data_pqtls.tsv", sep="\t").rename(columns=names)
    table = pd.read_csv(folder / "outcomes_at_5_zheng_pqtls.tsv", sep="\t")
    table = table[table["trait"] == outcome].drop(columns="id")
    table = table.rename(
        columns={"rsid": "variant", "alt": "effect_allele", "ref": "other_allele", "af": "eaf", "pvalue": "p_value"}
    )
    panel = pd.read_csv(folder / "ld_matrix.tsv.gz", sep="\t", index_col=0)
    counted = pd.read_csv(folder / "ld_snps.tsv", sep="\t").set_index("rsid")["alt"]
    h = mr.harmonise(exposure, table, action=2)
    keep = h.table["variant"]
    part = panel.loc[keep, keep]
    return h.with_ld(part.to_numpy(), variants=part.index, effect_alleles=counted[part.index])


@pytest.mark.parametrize(("outcome", "beta", "se"), [("BMD", -0.85504, 0.03429), ("FRAC", 1.03818, 0.12137)])
def test_sclerostin_with_correlated_instruments(outcome, beta, se):
    h = sost(outcome)
    assert h.n_variants == 5
    table = mr.ivw(h, model="fixed").tidy()
    assert table["estimate"].iloc[0] == pytest.approx(beta, abs=5e-6)
    assert table["std_error"].iloc[0] == pytest.approx(se, abs=5e-6)
