from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
# The reference files carry 15 digits.
RTOL = 1e-13
R_NAMES = {
    "SNP": "variant",
    "beta.exposure": "beta_exposure",
    "beta.outcome": "beta_outcome",
    "eaf.exposure": "eaf_exposure",
    "eaf.outcome": "eaf_outcome",
    "effect_allele.outcome": "effect_allele",
    "other_allele.outcome": "other_allele",
}


def frame(**columns) -> pd.DataFrame:
    size = max((len(v) for v in columns.values() if isinstance(v, list)), default=2)
    base = {
        "variant": [f"rs{i}" for i in range(size)],
        "effect_allele": ["A"] * size,
        "other_allele": ["G"] * size,
        "beta": [0.1] * size,
        "se": [0.01] * size,
        "eaf": [0.2] * size,
    }
    return pd.DataFrame({k: v for k, v in {**base, **columns}.items() if v is not None})


def assert_reconciles(h: mr.Harmonised) -> None:
    c = h.counts
    assert c["n_exposure"] == c["n_both"] + c["not_in_outcome"] + c["exposure_without_id"]
    assert c["n_outcome"] == c["n_both"] + c["not_in_exposure"] + c["outcome_without_id"]
    assert c["n_both"] == c["n_kept"] + c["n_dropped"]
    assert c["n_dropped"] == sum(n for k, n in c.items() if k.startswith("dropped_"))
    assert c["n_kept"] == sum(n for k, n in c.items() if k.startswith("kept_")) == len(h.table)
    assert len(h.audit) == c["n_exposure"] + c["n_outcome"] - c["n_both"]
    assert (h.audit["status"] == "kept").sum() == c["n_kept"]
    assert (h.audit["reason"].str.len() > 0).all()


def compare(h: mr.Harmonised, reference: pd.DataFrame, *, numbers: list[str], letters: list[str]) -> None:
    kept = reference[reference["mr_keep"]].rename(columns=R_NAMES).set_index("variant")
    ours = h.table.set_index("variant").loc[kept.index]
    assert len(ours) == len(h.table) == len(kept)
    for name in numbers:
        np.testing.assert_allclose(ours[name].to_numpy(), kept[name].to_numpy(), rtol=RTOL, err_msg=name)
    for name in letters:
        assert ours[name].fillna("").tolist() == kept[name].fillna("").tolist(), name


@pytest.mark.parametrize("action", [1, 2, 3])
def test_bmi_chd_as_twosamplemr(exposure, outcome, action):
    reference = pd.read_csv(REFERENCE / f"ref_twosamplemr_harmonise_action{action}.csv")
    h = mr.harmonise(exposure, outcome, action=action)
    audit = h.audit.set_index("variant").loc[reference["SNP"]]
    assert ((audit["status"] == "kept").to_numpy() == reference["mr_keep"].to_numpy()).all()
    for flag in ("palindromic", "ambiguous"):
        assert (audit[flag].to_numpy() == reference[flag].to_numpy()).all()
    compare(h, reference, numbers=list(R_NAMES.values())[1:5], letters=["effect_allele", "other_allele"])
    assert_reconciles(h)


@pytest.mark.parametrize("action", [1, 2, 3])
def test_every_mix_of_alleles_as_twosamplemr(action):
    letters = dict.fromkeys((f"{a}_allele.{s}" for a in ("effect", "other") for s in ("exposure", "outcome")), str)
    cases = pd.read_csv(REFERENCE / "allele_cases.csv", dtype=letters)
    reference = pd.read_csv(REFERENCE / "allele_cases_expected.csv")
    reference = reference[reference["action"] == action].reset_index(drop=True)
    h = mr.harmonise(cases, cases, action=action)
    audit = h.audit
    assert audit["variant"].tolist() == reference["SNP"].tolist()
    for flag in ("palindromic", "ambiguous"):
        assert (audit[flag] == reference[flag]).all()
    kept = audit["status"] == "kept"
    # On purpose: R keeps with action 1 what matches on no strand while one file names a single allele.
    differ = kept != reference["mr_keep"]
    assert differ.any() == (action == 1)
    one = cases["other_allele.exposure"].isna() ^ cases["other_allele.outcome"].isna()
    assert one[differ].all()
    assert not kept[differ].any()
    reference.loc[differ, "mr_keep"] = False
    compare(h, reference, numbers=list(R_NAMES.values())[1:5], letters=["effect_allele", "other_allele"])
    assert_reconciles(h)


def test_one_frame_with_both_suffixes_is_enough(bmi_chd):
    both = pd.read_csv(REFERENCE / "twosamplemr_harmonised_bmi_chd_dat.csv")
    h = mr.harmonise(both, both)
    assert h.exposure == "Body mass index"
    assert h.outcome == "Coronary heart disease"
    a = h.table.sort_values("variant", ignore_index=True)
    pd.testing.assert_frame_equal(a, bmi_chd.table.sort_values("variant", ignore_index=True))


def test_spellings_agree(exposure, outcome, bmi_chd):
    ssf = exposure.rename(
        columns={
            "SNP": "rsid",
            "effect_allele.exposure": "effect_allele",
            "other_allele.exposure": "other_allele",
            "beta.exposure": "beta",
            "se.exposure": "standard_error",
            "eaf.exposure": "effect_allele_frequency",
        }
    )[["rsid", "effect_allele", "other_allele", "beta", "standard_error", "effect_allele_frequency"]]
    odds = outcome.rename(columns={"SNP": "rs_id", "se.outcome": "standard_error"}).assign(
        odds_ratio=np.exp(outcome["beta.outcome"]), neg_log_10_p_value=-np.log10(outcome["pval.outcome"])
    )
    odds = odds.drop(columns=["beta.outcome", "pval.outcome"])
    h = mr.harmonise(pl.from_pandas(ssf), pl.from_pandas(odds))
    np.testing.assert_allclose(h.beta_outcome, bmi_chd.beta_outcome, atol=1e-15)
    np.testing.assert_allclose(h.table["p_outcome"], bmi_chd.table["p_outcome"], rtol=1e-12)
    np.testing.assert_array_equal(h.beta_exposure, bmi_chd.beta_exposure)


def test_input_is_not_changed_and_arrays_are_read_only(exposure, outcome):
    a, b = exposure.copy(), outcome.copy()
    h = mr.harmonise(exposure, outcome)
    pd.testing.assert_frame_equal(exposure, a)
    pd.testing.assert_frame_equal(outcome, b)
    with pytest.raises(ValueError, match="read-only"):
        h.beta_exposure[0] = 1.0


def test_lower_case_blanks_and_missing_codes():
    a = frame(effect_allele=[" a", "A", "a"], other_allele=["g", "", "NA"], eaf=["0.2", "NR", "."])
    b = frame(effect_allele=["A", "A", "A"], other_allele=["G", "G", "G"])
    h = mr.harmonise(a, b)
    assert h.audit["status"].tolist() == ["kept", "dropped", "dropped"]
    assert "frequencies do not confirm" in h.audit["reason"].iloc[1]
    assert h.table["effect_allele"].tolist() == ["A"]
    assert h.table["eaf_exposure"].tolist() == [0.2]


def test_every_unusable_row_is_accounted_for():
    a = frame(
        variant=["ok", "nobeta", "inf", "se0", "seneg", "senan", "noallele", "same", "alone", None, "differ", "pal"],
        beta=[0.1, np.nan, np.inf, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
        se=[0.01, 0.01, 0.01, 0.0, -0.01, np.nan, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01],
        effect_allele=["A"] * 6 + [None, "G"] + ["A"] * 4,
        other_allele=["G"] * 10 + ["C", "T"],
        eaf=[0.2] * 11 + [np.nan],
    )
    b = frame(variant=[*a["variant"].drop(index=8), "stranger"], other_allele=["G"] * 10 + ["T", "G"])
    h = mr.harmonise(a, b)
    assert h.table["variant"].tolist() == ["ok"]
    nonzero = {k: n for k, n in h.counts.items() if n}
    assert nonzero == {
        "n_exposure": 12,
        "n_outcome": 12,
        "n_both": 10,
        "n_kept": 1,
        "n_dropped": 9,
        "exposure_without_id": 1,
        "outcome_without_id": 1,
        "not_in_outcome": 1,
        "not_in_exposure": 1,
        "dropped_no_effect_allele": 1,
        "dropped_equal_alleles": 1,
        "dropped_beta": 2,
        "dropped_se": 3,
        "dropped_incompatible_alleles": 1,
        "dropped_palindromic_no_eaf": 1,
        "kept_aligned": 1,
    }
    assert_reconciles(h)
    text = str(h.summary())
    assert "3 dropped: standard error missing, not finite or not positive" in text
    assert "<table" in h._repr_html_()


def test_the_audit_is_made_when_it_is_asked_for(exposure, outcome):
    h = mr.harmonise(exposure, outcome)
    assert "Harmonised variants" in repr(h)
    assert "audit" not in vars(h)
    again = pickle.loads(pickle.dumps(h))
    pd.testing.assert_frame_equal(again.audit, h.audit)
    assert h.audit is h.audit


def test_any_polars_frame(exposure, outcome, bmi_chd):
    a = pl.from_pandas(exposure).with_columns(pl.col("effect_allele.exposure").cast(pl.Categorical))
    b = pl.from_pandas(outcome).with_columns(pl.col("other_allele.outcome").cast(pl.Enum(["A", "C", "G", "T"])))
    pieces = pl.concat([a[:30], a[30:31], a[31:]], rechunk=False)
    for first, second in ((pieces, b), (pieces.lazy(), b.lazy())):
        pd.testing.assert_frame_equal(mr.harmonise(first, second).table, bmi_chd.table)


def test_nothing_kept_warns_and_still_answers():
    a = frame(effect_allele=["A", "C"], other_allele=["T", "G"], eaf=None)
    with pytest.warns(
        SummaryStatisticsWarning,
        match="none of the 2 shared variants was kept: 2 palindromic .A/T or C/G., and without",
    ):
        h = mr.harmonise(a, a)
    assert h.n_variants == 0
    assert mr.estimate(h, ["ivw"]).tidy()["reason"].iloc[0] == "needs at least 2 variants; there are 0"
    assert mr.estimate(h).tidy()["estimate"].isna().all()
    assert len(mr.single_variant(h)) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"se": None}, "no standard errors.*cannot be invented"),
        ({"se": None, "p_value": [0.1, 0.2]}, "norm.isf"),
        ({"se": None, "std_err": [0.1, 0.2]}, "'std_err'"),
        ({"beta": None}, "no column for beta"),
        ({"effect_allele": None, "efect_allele": ["A", "A"]}, "Nearest: 'efect_allele'"),
        ({"variant": None}, "no column for variant. Looked for 'variant', 'SNP'"),
        ({"beta": None, "beta.outcome": [0.1, 0.1]}, "swapped"),
        ({"eaf": [20.0, 0.3]}, "'eaf' must lie between 0 and 1.*20 in row 0.*divided by 100"),
        ({"p_value": [0.5, 7.3]}, "neg_log_10_p_value"),
        ({"beta": ["0,12", "0.1"]}, "'0,12' in row 0"),
        ({"variant": ["rs0", "rs0"]}, "exposure: 1 shared variants are listed more than once, first 'rs0'"),
        ({"variant": ["1:5", "1:6"]}, "no variant is in both files.*1:5"),
        ({"id.exposure": ["a", "b"]}, "holds 2 studies"),
    ],
)
def test_bad_exposure(change, said):
    with pytest.raises(SummaryStatisticsError, match=f"(?s){said}"):
        mr.harmonise(frame(**change), frame())


def test_more_bad_input():
    with pytest.raises(SummaryStatisticsError, match="outcome: 1 shared variants"):
        mr.harmonise(frame(), frame(variant=["rs1", "rs1"]))
    with pytest.raises(SummaryStatisticsError, match="outcome: data must be a pandas or polars frame, not list"):
        mr.harmonise(frame(), [1, 2])
    with pytest.raises(OptionError, match="action=4"):
        mr.harmonise(frame(), frame(), action=4)
    with pytest.raises(ValueError, match="tolerance"):
        mr.harmonise(frame(), frame(), tolerance=0.6)


def test_duplicates_that_are_not_shared_do_no_harm():
    h = mr.harmonise(frame(), frame(variant=["rs0", "rs1", "rs9", "rs9"]))
    assert h.counts["not_in_exposure"] == 2
    assert_reconciles(h)


letters = st.sampled_from([("A", "G"), ("C", "T"), ("A", "T"), ("G", "C"), ("AT", "A"), ("I", "D"), ("A", None)])
variant = st.fixed_dictionaries(
    {
        "id": st.integers(0, 30),
        "pair": letters,
        "beta": st.floats(-0.5, 0.5),
        "eaf": st.sampled_from([0.1, 0.3, 0.45, 0.7, np.nan]),
        "se": st.sampled_from([0.01, 0.02, 0.0]),
    }
)
file = st.lists(variant, min_size=1, max_size=20, unique_by=lambda v: v["id"])


def as_frame(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variant": [f"rs{r['id']}" for r in rows],
            "effect_allele": [r["pair"][0] for r in rows],
            "other_allele": [r["pair"][1] for r in rows],
            "beta": [r["beta"] for r in rows],
            "se": [r["se"] for r in rows],
            "eaf": [r["eaf"] for r in rows],
        }
    )


@pytest.mark.filterwarnings("ignore:none of the:dxa_causal._core.warnings.SummaryStatisticsWarning")
@settings(deadline=None, max_examples=60)
@given(file, file, st.sampled_from([1, 2, 3]), st.randoms(use_true_random=False))
def test_counts_reconcile_and_row_order_does_not_matter(first, second, action, random):
    a, b = as_frame(first), as_frame(second)
    if not set(a["variant"]) & set(b["variant"]):
        with pytest.raises(SummaryStatisticsError, match="no variant is in both"):
            mr.harmonise(a, b, action=action)
        return
    h = mr.harmonise(a, b, action=action)
    assert_reconciles(h)
    shuffled = b.sample(frac=1, random_state=random.randrange(1000))
    again = mr.harmonise(a.iloc[::-1], shuffled, action=action)
    assert again.counts == h.counts
    for x, y in ((h.table, again.table), (h.audit, again.audit)):
        pd.testing.assert_frame_equal(
            x.sort_values("variant", ignore_index=True), y.sort_values("variant", ignore_index=True)
        )


@settings(deadline=None, max_examples=40)
@given(st.lists(st.booleans(), min_size=79, max_size=79))
def test_allele_coding_of_the_outcome_file_does_not_matter(exposure, outcome, bmi_chd, turn):
    turn = np.array(turn)
    coded = outcome.copy()
    for x, y in (("effect_allele.outcome", "other_allele.outcome"), ("other_allele.outcome", "effect_allele.outcome")):
        coded[x] = np.where(turn, outcome[y], outcome[x])
    coded["beta.outcome"] = np.where(turn, -outcome["beta.outcome"], outcome["beta.outcome"])
    coded["eaf.outcome"] = np.where(turn, 1 - outcome["eaf.outcome"], outcome["eaf.outcome"])
    h = mr.harmonise(exposure, coded)
    assert h.counts["kept_swapped"] == turn.sum()
    np.testing.assert_array_equal(h.beta_outcome, bmi_chd.beta_outcome)
    a, b = (mr.estimate(x, ["ivw", "egger"]).tidy() for x in (h, bmi_chd))
    pd.testing.assert_frame_equal(a, b)


@pytest.mark.slow
def test_a_million_variants():
    rng = np.random.default_rng(5)
    n = 1_000_000
    pairs = np.array([("A", "G"), ("C", "T"), ("A", "T"), ("AT", "A"), ("D", "I")], dtype=object)[rng.integers(0, 5, n)]
    big = pd.DataFrame(
        {
            "rsid": [f"rs{i}" for i in range(n)],
            "effect_allele": pairs[:, 0],
            "other_allele": pairs[:, 1],
            "beta": rng.normal(size=n),
            "standard_error": 0.1,
            "eaf": rng.random(n),
        }
    )
    h = mr.harmonise(big, big.sample(frac=1, random_state=1))
    assert h.counts["n_both"] == n
    np.testing.assert_array_equal(h.beta_exposure, h.beta_outcome)
    assert_reconciles(h)


@pytest.mark.parametrize("n", [-5, 0])
def test_sample_sizes_are_positive(n):
    frame = pd.DataFrame(
        {"variant": ["rs1", "rs2"], "effect_allele": "A", "other_allele": "G", "beta": 0.1, "se": 0.01, "n": [100, n]}
    )
    with pytest.raises(SummaryStatisticsError, match=rf"outcome: column 'n' .* above 0.*first {n} in row 1"):
        mr.harmonise(frame.drop(columns="n"), frame)
