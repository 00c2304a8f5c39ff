"""Numbers known from elsewhere come out of the shipped data."""

import formulaic
import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc

EXACT = 1e-12  # closed forms on the same data: only rounding differs
# underlying causes that the BioAge table does not count as deaths from ageing
EXTERNAL = ["accident", "influenza or pneumonia", "other"]


@pytest.fixture(scope="module")
def nhanes():
    return dc.datasets.load("nhanes_mortality")


def test_nhanes_rows_reconcile_with_the_source(nhanes):
    counts = dc.datasets.describe("nhanes_mortality").attrs["row_counts"]
    assert counts["source"] - sum(v for k, v in counts.items() if k not in ("source", "kept")) == counts["kept"]
    assert counts["kept"] == len(nhanes) == 41597
    assert nhanes["id"].is_unique
    assert nhanes["age"].min() == 20


def test_nhanes_counts_every_death_not_only_the_ageing_related(nhanes):
    assert nhanes["died"].sum() == 5519
    assert ((nhanes["cause_of_death"] != "alive") == (nhanes["died"] == 1)).all()
    assert nhanes["cause_of_death"].cat.categories[0] == "alive"
    assert (~nhanes.loc[nhanes["died"] == 1, "cause_of_death"].isin(EXTERNAL)).sum() == 2985


def test_nhanes_deaths_agree_with_the_linked_file_of_2003_to_2006(nhanes):
    # table of covariates and mortality in rnhanesdata (andrew-leroux/rnhanesdata, b67cff0), a copy made independently
    # of ours: ages 20 and over, examined, sum of mortstat and of permth_exm; person by person they are the same too
    cycles = nhanes[nhanes["cycle"].isin(["2003-2004", "2005-2006"])]
    assert cycles.groupby("cycle", observed=True)["died"].sum().tolist() == [962, 705]
    assert len(cycles) == 9503
    assert (cycles["time"] * 12).sum() == pytest.approx(1139859, rel=EXACT)


def test_nhanes_time_is_in_years_and_may_be_zero(nhanes):
    months = nhanes["time"] * 12
    np.testing.assert_allclose(months, months.round(), atol=1e-9)
    assert (nhanes["time"] == 0).sum() == 16
    assert (nhanes.loc[nhanes["time"] == 0, "died"] == 1).all()
    assert nhanes["time"].max() == 16.75


def test_nhanes_subsets_of_the_bone_muscle_questions(nhanes):
    ageing = (nhanes["died"] == 1) & ~nhanes["cause_of_death"].isin(EXTERNAL)
    old = nhanes[(nhanes["age"] >= 50) & (nhanes["time"] > 0)].assign(ageing=ageing)
    grip, walk = old.dropna(subset="grip_kg"), old.dropna(subset="walk_time_s")
    assert (len(grip), grip["ageing"].sum(), grip["died"].sum()) == (4629, 122, 277)
    assert (len(walk), walk["ageing"].sum(), walk["died"].sum()) == (3950, 1052, 1707)
    assert nhanes.query("grip_kg.notna() and walk_time_s.notna()").empty


def test_nhanes_derived_columns(nhanes):
    hands = nhanes[["grip_left_kg", "grip_right_kg"]].max(axis=1)
    pd.testing.assert_series_equal(nhanes["grip_kg"], hands, check_names=False)
    np.testing.assert_allclose(nhanes["gait_speed_m_s"] * nhanes["walk_time_s"], nhanes["walk_time_s"] * 0 + 6.096)
    bmi = nhanes["weight_kg"] / (nhanes["height_cm"] / 100) ** 2
    assert (bmi - nhanes["bmi"]).abs().max() < 0.051  # NHANES rounds to 1 or 2 decimals


def test_nhanes_categories_work_in_formulas(nhanes):
    matrix = formulaic.model_matrix("C(sex) + education", nhanes.dropna(subset="education"))
    assert "C(sex)[T.male]" in matrix.columns
    assert "education[T.less than 9th grade]" not in matrix.columns
    assert matrix["C(sex)[T.male]"].sum() == (nhanes.dropna(subset="education")["sex"] == "male").sum()


def test_nhanes3_rows_and_deaths():
    frame = dc.datasets.load("nhanes3_mortality")
    counts = dc.datasets.describe("nhanes3_mortality").attrs["row_counts"]
    assert counts["source"] - sum(v for k, v in counts.items() if k not in ("source", "kept")) == counts["kept"]
    assert counts["kept"] == len(frame) == 16975
    assert frame["id"].is_unique
    assert frame["died"].sum() == 5875
    # BioAge's own indicator, without accident, influenza or pneumonia and other causes, counts 3 846
    assert (~frame.loc[frame["died"] == 1, "cause_of_death"].isin(EXTERNAL)).sum() == 3846
    assert ((frame["cause_of_death"] != "alive") == (frame["died"] == 1)).all()
    assert (frame.loc[frame["died"] == 0, "time"] == 20).all()  # nobody is lost: only the 20 years censor
    assert frame["age"].between(20, 90).all()


@pytest.mark.slow
def test_nhanes_contract_example(nhanes):
    fit = dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", nhanes)
    assert fit.nobs == 9776
    assert fit.provenance.missing["grip_kg"] == 31821
    assert fit.tidy().set_index("term").loc["grip_kg", "estimate"] < 0


def test_nhefs_crude_difference_of_the_book():
    known = dc.datasets.load("nhefs").dropna(subset="wt82_71")
    means = known.groupby("qsmk")["wt82_71"].mean()
    assert len(known) == 1566
    assert means[1] - means[0] == pytest.approx(2.5405814549558, rel=EXACT)


def test_nhefs_survival_at_120_months():
    # Hernan and Robins, chapter 17: 76.2 % of quitters and 82.0 % of the others lived to the end
    cohort = dc.datasets.load("nhefs")
    alive = cohort.groupby("qsmk")["death"].apply(lambda d: 1 - d.mean())
    assert (round(alive[1], 3), round(alive[0], 3)) == (0.762, 0.820)
    assert (cohort.loc[cohort["death"] == 0, "survtime"] == 120).all()
    died = cohort[cohort["death"] == 1]
    assert (died["survtime"] == 12 * (died["yrdth"] - 83) + died["modth"]).all()
    assert len(died) == 318


def test_bmi_chd_inverse_variance_weighted_estimate():
    # TwoSampleMR 0.6: mr_ivw of these 79 variants
    pair = dc.datasets.load("bmi_chd")
    assert (pair["effect_allele.exposure"] == pair["effect_allele.outcome"]).all()
    bx, by = pair["beta.exposure"].to_numpy(), pair["beta.outcome"].to_numpy()
    weight = pair["se.outcome"].to_numpy() ** -2.0
    slope = (weight * bx * by).sum() / (weight * bx**2).sum()
    scale = np.sqrt((weight * (by - slope * bx) ** 2).sum() / (len(pair) - 1))
    assert slope == pytest.approx(0.445909096953399, rel=EXACT)
    assert scale / np.sqrt((weight * bx**2).sum()) == pytest.approx(0.0589830187629256, rel=EXACT)


@pytest.mark.parametrize(("name", "side"), [("bmi_gwas", "exposure"), ("chd_gwas", "outcome")])
def test_one_sided_files_are_the_pair(name, side):
    pair, one = dc.datasets.load("bmi_chd").set_index("SNP"), dc.datasets.load(name).set_index("variant")
    joined = pair.loc[one.index]
    for plain, stem in {"beta": "beta", "se": "se", "p_value": "pval", "eaf": "eaf", "n": "samplesize"}.items():
        assert (joined[f"{stem}.{side}"] == one[plain]).all()
    assert (joined[f"effect_allele.{side}"] == one["effect_allele"]).all()
    assert (joined["chr"] == one["chr"]).all()
