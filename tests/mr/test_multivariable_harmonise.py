from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning
from dxa_causal.mr.audit import FATES
from dxa_causal.mr.multivariable.account import _WHY
from dxa_causal.mr.multivariable.harmonise import harmonise_exposures

REFERENCE = Path(__file__).parents[1] / "reference" / "mr"
RTOL = 1e-13  # both are the same decimal numbers, at most with the sign turned
IDS = {"HDL cholesterol": "ieu-a-299", "LDL cholesterol": "ieu-a-300", "Triglycerides": "ieu-a-302"}
OTHER_STRAND = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def lipids() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "twosamplemr_mv_exposure_lipids.csv")


@pytest.fixture(scope="module")
def chd() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "twosamplemr_mv_outcome_chd.csv")


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "ref_twosamplemr_mvdat_lipids_chd.csv").set_index("SNP")


def frame(**columns) -> pd.DataFrame:
    size = max((len(v) for v in columns.values() if isinstance(v, list)), default=3)
    base = {
        "variant": [f"rs{i}" for i in range(size)],
        "effect_allele": ["A"] * size,
        "other_allele": ["G"] * size,
        "beta": [0.1 + 0.01 * i for i in range(size)],
        "se": [0.01] * size,
        "eaf": [0.2] * size,
    }
    return pd.DataFrame({k: v for k, v in {**base, **columns}.items() if v is not None})


def turned(file: pd.DataFrame, rows) -> pd.DataFrame:
    """Count the other allele in these rows."""
    out, rows = file.copy(), np.asarray(rows)
    out.loc[rows, ["effect_allele", "other_allele"]] = file.loc[rows, ["other_allele", "effect_allele"]].to_numpy()
    out.loc[rows, "beta"] = -file.loc[rows, "beta"]
    out.loc[rows, "eaf"] = 1 - file.loc[rows, "eaf"]
    return out


def reasons(mh: mr.MultivariableHarmonised) -> dict[str, str]:
    return mh.audit.set_index("variant")["reason"].to_dict()


def assert_reconciles(mh: mr.MultivariableHarmonised, *exposures: pd.DataFrame) -> None:
    union = set().union(*(f["variant"].dropna() for f in exposures))
    assert len(mh.audit) == len(union)
    assert set(mh.audit["variant"]) == union
    kept = mh.audit[mh.audit["status"] == "kept"]
    assert kept["variant"].tolist() == list(mh.variant)
    assert (mh.audit["reason"].str.len() > 0).all()
    assert set(mh.audit["status"]) <= {"kept", "dropped"}


def matches(mh: mr.MultivariableHarmonised, expected: pd.DataFrame) -> None:
    assert mh.exposures == tuple(IDS)
    assert sorted(mh.variant) == sorted(expected.index)
    ours = expected.loc[mh.variant]
    for part, values in (("b", mh.beta_exposures), ("se", mh.se_exposures), ("p", mh.p_exposures)):
        theirs = ours[[f"{part}.{i.replace('-', '.')}" for i in IDS.values()]]
        np.testing.assert_allclose(values, theirs, rtol=RTOL, err_msg=part)
    np.testing.assert_allclose(mh.beta_outcome, ours["b_out"], rtol=RTOL)
    np.testing.assert_allclose(mh.se_outcome, ours["se_out"], rtol=RTOL)


@pytest.mark.parametrize("kind", ["long", "polars", "mapping"])
def test_lipids_and_chd_as_twosamplemr(lipids, chd, expected, kind):
    given = {
        "long": lipids,
        "polars": pl.from_pandas(lipids),
        "mapping": {name: lipids[lipids["id.exposure"] == study] for name, study in IDS.items()},
    }[kind]
    mh = harmonise_exposures(given, pl.from_pandas(chd) if kind == "polars" else chd)
    matches(mh, expected)
    assert list(mh.variant) == list(expected.index)
    assert mh.n_variants == 143
    assert len(mh.audit) == 144
    assert reasons(mh)["rs2247056"] == "not in Coronary heart disease"
    assert mh.outcome == "Coronary heart disease"
    assert mh.n_outcome == 184305
    assert np.isnan(mh.n_exposures).all()


def test_multivariable_estimates_of_twosamplemr(lipids, chd):
    mh = harmonise_exposures(lipids, chd)
    seen = 0
    for row in json.loads((REFERENCE / "multivariable.json").read_text()):
        match = re.match(r"mv_multiple\(intercept=(\w+),instrument_specific=(\w+)\): (\S+)", row["method"])
        if match is None:
            continue
        intercept, specific, study = match.groups()
        fit = mr.mvmr(mh, "ivw", intercept=intercept == "TRUE", instrument_specific=specific == "TRUE")
        ours = fit.tidy().set_index("term").loc[next(name for name, i in IDS.items() if i == study)]
        np.testing.assert_allclose(ours[["estimate", "std_error"]].astype(float), [row["estimate"], row["se"]], 1e-8)
        seen += 1
    assert seen == 12


def test_exposures_of_other_coding_come_back(lipids, chd, expected):
    """TwoSampleMR's own function would take these as they stand."""
    rng = np.random.default_rng(5)
    exchanged = lipids.copy()
    rows = rng.random(len(lipids)) < 0.5
    rows &= (lipids["id.exposure"] != "ieu-a-299").to_numpy()
    pair = ["effect_allele.exposure", "other_allele.exposure"]
    exchanged.loc[rows, pair] = lipids.loc[rows, pair[::-1]].to_numpy()
    exchanged.loc[rows, "beta.exposure"] *= -1
    exchanged.loc[rows, "eaf.exposure"] = 1 - lipids.loc[rows, "eaf.exposure"]
    exchanged = exchanged.sample(frac=1, random_state=1).sort_values("id.exposure", kind="stable")
    matches(harmonise_exposures(exchanged, chd), expected)


@pytest.mark.parametrize("action", [1, 2, 3])
@pytest.mark.parametrize("other", ["HDL", "CHD"])
def test_rules_are_those_of_harmonise(action, other):
    """Two exposures and one outcome: the effects of each are those that `harmonise` gives, kept by both."""
    rng = np.random.default_rng(action)
    n = 400

    def drawn():
        pairs = [rng.permutation(list("ACGT"))[:2] if rng.random() < 0.5 else list("AT") for _ in range(n)]
        alleles = np.array(pairs)
        return frame(
            variant=[f"rs{i}" for i in range(n)], effect_allele=alleles[:, 0].tolist(),
            other_allele=alleles[:, 1].tolist(), beta=rng.normal(size=n).tolist(), se=[0.1] * n,
            eaf=np.where(rng.random(n) < 0.1, np.nan, rng.random(n)).tolist(),
        )  # fmt: skip

    files = {"LDL": drawn()}
    for name in ("HDL", "CHD"):
        base = turned(files["LDL"], np.flatnonzero(rng.random(n) < 0.5))
        strand = rng.random(n) < 0.3
        for column in ("effect_allele", "other_allele"):
            base.loc[strand, column] = base.loc[strand, column].str.translate(OTHER_STRAND)
        base["beta"] = rng.normal(size=n)
        if name == other:
            base.loc[:50, "other_allele"] = "C"
        files[name] = base
    mh = harmonise_exposures({k: files[k] for k in ("LDL", "HDL")}, files["CHD"], action=action)
    pairs = {k: mr.harmonise(files["LDL"], files[k], action=action).table.set_index("variant") for k in ("HDL", "CHD")}
    both = [v for v in pairs["HDL"].index if v in pairs["CHD"].index]
    assert 100 < len(both) < n
    assert list(mh.variant) == both
    np.testing.assert_array_equal(mh.beta_exposures[:, 0], pairs["HDL"].loc[both, "beta_exposure"])
    np.testing.assert_array_equal(mh.beta_exposures[:, 1], pairs["HDL"].loc[both, "beta_outcome"])
    np.testing.assert_array_equal(mh.beta_outcome, pairs["CHD"].loc[both, "beta_outcome"])
    assert list(mh.effect_allele) == pairs["CHD"].loc[both, "effect_allele"].tolist()
    assert list(mh.other_allele) == pairs["CHD"].loc[both, "other_allele"].tolist()
    assert_reconciles(mh, files["LDL"], files["HDL"])


def test_audit_says_which_file():
    size = 12
    ldl = frame(variant=[f"rs{i}" for i in range(size)])
    hdl, chd = ldl.copy(), ldl.copy()
    hdl = turned(hdl, [1, 3])
    chd.loc[[2, 3], ["effect_allele", "other_allele"]] = ["T", "C"]
    for file, half in ((ldl, 0.2), (hdl, 0.2), (chd, 0.49)):
        file.loc[4, ["effect_allele", "other_allele", "eaf"]] = ["A", "T", half]
    chd.loc[5, "other_allele"] = "C"
    hdl.loc[6, "se"] = 0.0
    ldl.loc[7, "beta"] = np.nan
    ldl.loc[8, "other_allele"] = "A"
    chd.loc[9, "effect_allele"] = None
    hdl = pd.concat([hdl.drop(index=10), frame(variant=["rs90", "rs91"])], ignore_index=True)
    chd = chd.drop(index=[10, 11])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, chd)
    assert reasons(mh) == {
        "rs0": "same alleles in all files",
        "rs1": "effect turned in HDL",
        "rs2": "read on the other strand in outcome",
        "rs3": "effect turned in HDL; read on the other strand in outcome",
        "rs4": "palindromic (A/T or C/G), and a frequency in LDL or outcome is too near 0.5 to tell the strand in "
        "outcome",
        "rs5": "alleles in outcome do not match those of LDL on either strand",
        "rs6": "standard error missing, not finite or not positive in HDL",
        "rs7": "beta missing or not finite in LDL",
        "rs8": "effect and other allele are the same in LDL",
        "rs9": "no effect allele in outcome",
        "rs10": "not in HDL, outcome",
        "rs11": "not in outcome",
        "rs90": "not in LDL",
        "rs91": "not in LDL",
    }
    assert_reconciles(mh, ldl, hdl)
    assert "2 dropped: not in LDL" in str(mh.summary())
    np.testing.assert_allclose(mh.beta_exposures[:, 0], mh.beta_exposures[:, 1])


def test_reasons_cover_every_fate():
    assert set(_WHY) == {name for name in FATES if name.startswith("dropped_")}


@pytest.mark.parametrize("action", [1, 3])
def test_palindromes_by_action(action):
    ldl = frame(effect_allele=["A", "C", "A"], other_allele=["T", "G", "G"], eaf=[0.5, 0.2, 0.2])
    mh = harmonise_exposures({"LDL": ldl, "HDL": ldl}, ldl, action=action)
    assert list(mh.variant) == (["rs0", "rs1", "rs2"] if action == 1 else ["rs2"])
    if action == 3:
        assert reasons(mh)["rs0"] == "palindromic (A/T or C/G) in HDL, which action=3 drops"


def test_palindromes_without_frequency():
    ldl = frame(effect_allele=["A", "A"], other_allele=["T", "G"])
    mh = harmonise_exposures({"LDL": ldl, "HDL": ldl.drop(columns="eaf")}, ldl)
    assert list(mh.variant) == ["rs1"]
    assert reasons(mh)["rs0"].startswith("palindromic (A/T or C/G), and without frequencies in both LDL and HDL")


def test_palindromes_on_the_other_strand_are_turned():
    ldl = frame(effect_allele=["A", "A"], other_allele=["T", "G"], eaf=[0.1, 0.2])
    hdl = ldl.assign(eaf=[0.9, 0.2])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, ldl)
    assert mh.beta_exposures[0].tolist() == [0.1, -0.1]
    assert reasons(mh)["rs0"] == "effect turned in HDL; read on the other strand in HDL"


def test_insertions_and_deletions():
    ldl = frame(effect_allele=["I", "D", "CT"], other_allele=["D", "I", "C"])
    hdl = frame(effect_allele=["AT", "AT", "C"], other_allele=["A", "A", "CT"])
    chd = frame(effect_allele=["AT", "AT", "I"], other_allele=["A", "ATT", "D"])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, chd)
    assert list(mh.variant) == ["rs0", "rs2"]
    assert list(mh.effect_allele) == ["AT", "CT"]
    assert list(mh.other_allele) == ["A", "C"]
    np.testing.assert_allclose(mh.beta_exposures, [[0.1, 0.1], [0.12, -0.12]])
    # HDL (A/AT) and outcome (AT/ATT) both match D/I, yet not each other
    assert reasons(mh)["rs1"] == "alleles in outcome do not match those of LDL on either strand"


def test_a_missing_allele_is_settled_by_the_next_file_for_all():
    ldl = frame(effect_allele=["A", "A", "G"], other_allele=None, beta=[0.0, 0.1, 0.2], eaf=[0.2, 0.2, 0.8])
    hdl = frame(effect_allele=["A", "A", "G"], other_allele=None, eaf=[0.2, 0.2, 0.8])
    bmi = frame(effect_allele=["G", "A", "A"], other_allele=["A", "G", "G"], eaf=[0.8, 0.2, 0.2])
    chd = frame(effect_allele=["G", "A", "A"], other_allele=["A", "C", "G"], eaf=[0.8, 0.2, 0.2])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl, "BMI": bmi}, chd)
    assert list(mh.variant) == ["rs0", "rs2"]
    assert list(mh.effect_allele) == ["G", "A"]
    np.testing.assert_allclose(mh.beta_exposures, [[0.0, -0.1, 0.1], [-0.2, -0.12, 0.12]])
    np.testing.assert_allclose(mh.beta_outcome, [0.1, 0.12])
    assert reasons(mh) == {
        "rs0": "effect turned in LDL",
        "rs1": "alleles in outcome do not match those of LDL on either strand",
        "rs2": "effect turned in LDL",
    }


def test_the_frequency_turns_with_the_allele():
    ldl = frame(effect_allele=["A", "A"], other_allele=None, eaf=[0.2, 0.2])
    hdl = frame(effect_allele=["G", "G"], other_allele=["A", "A"], eaf=[0.8, 0.8])
    chd = frame(effect_allele=["G", "G"], other_allele=None, eaf=[0.8, 0.2])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, chd)
    assert list(mh.variant) == ["rs0"]
    assert reasons(mh)["rs1"].startswith("LDL or outcome does not name the other allele")


@pytest.mark.parametrize("file", ["LDL", "HDL", "outcome"])
def test_a_variant_listed_twice_is_an_error(file):
    files = {name: frame() for name in ("LDL", "HDL", "outcome")}
    files[file] = pd.concat([frame(), frame().iloc[[1]]], ignore_index=True)
    with pytest.raises(SummaryStatisticsError, match="LDL .*rs1"):
        harmonise_exposures({k: files[k] for k in ("LDL", "HDL")}, files["outcome"])


def test_duplicates_outside_the_instruments_do_no_harm():
    twice = pd.concat([frame(), frame().iloc[[1]]], ignore_index=True)
    mh = harmonise_exposures({"LDL": twice, "HDL": twice}, twice, instruments=["rs0", "rs2"])
    assert list(mh.variant) == ["rs0", "rs2"]


def test_one_exposure_is_harmonise(exposure, outcome, bmi_chd):
    mh = harmonise_exposures({"BMI": exposure}, outcome)
    for name, values in (("beta_exposure", mh.beta_exposures[:, 0]), ("beta_outcome", mh.beta_outcome)):
        np.testing.assert_array_equal(values, bmi_chd.table[name])
    assert list(mh.variant) == bmi_chd.table["variant"].tolist()
    assert len(mh.audit) == bmi_chd.counts["n_exposure"]
    np.testing.assert_array_equal(mh.n_exposures, [bmi_chd.table["n_exposure"].median()])
    assert harmonise_exposures(exposure, outcome).exposures == ("Body mass index",)


def test_p_values_and_sizes():
    ldl = frame(p_value=[0.5, None, 1e-9], n=[100, 300, 200])
    mh = harmonise_exposures({"LDL": ldl, "HDL": frame()}, frame(n=[10.0, None, 30.0]))
    z = frame()["beta"] / 0.01
    np.testing.assert_allclose(mh.p_exposures[[0, 2], 0], [0.5, 1e-9])
    np.testing.assert_allclose(mh.p_exposures[1, 0], 2 * norm.sf(z[1]))
    np.testing.assert_allclose(mh.p_exposures[:, 1], 2 * norm.sf(z))
    np.testing.assert_array_equal(mh.n_exposures, [200, np.nan])
    assert mh.n_outcome == 20


def test_instruments():
    ldl, hdl = frame(variant=["rs3", "rs1", "rs2"]), frame(variant=["rs1", "rs3", "rs4"])
    chd = frame(variant=["rs1", "rs2", "rs3"])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, chd, instruments=pd.Series(["rs1", "rs3", "rs4", "rs9", "rs1"]))
    assert list(mh.variant) == ["rs3", "rs1"]
    assert reasons(mh) == {
        "rs3": "same alleles in all files",
        "rs1": "same alleles in all files",
        "rs4": "not in LDL",
        "rs9": "in no exposure's file",
    }
    for wrong in ([], "rs1", [1]):
        with pytest.raises(SummaryStatisticsError, match="instruments must be"):
            harmonise_exposures({"LDL": ldl}, chd, instruments=wrong)
    with pytest.raises(SummaryStatisticsError, match="none of the 1 instruments is in LDL"):
        harmonise_exposures({"LDL": ldl}, chd, instruments=["1:100:A:G"])


def test_by_position():
    ldl = frame(variant=None, chromosome=["1", "1", "2"], position=[10, 20, 30])
    hdl = frame(variant=["rs1", "rs2", "rs3"], chromosome=["chr1", "1", "2"], position=[10, 20, 31])
    chd = frame(variant=["x", None, None], chromosome=["1", "1", "2"], position=[10, 20, 30])
    mh = harmonise_exposures({"LDL": ldl, "HDL": turned(hdl, [0])}, chd)
    assert list(mh.variant) == ["rs1", "rs2"]
    np.testing.assert_allclose(mh.beta_exposures[:, 0], mh.beta_exposures[:, 1])
    assert reasons(mh)["2:30:G:A"] == "not in HDL"
    assert reasons(mh)["rs3"] == "not in LDL"
    assert len(mh.audit) == 4


def test_rows_without_an_id():
    ldl = frame(variant=["rs0", None, "rs2"])
    hdl = frame(variant=["rs0", None, "rs2"])
    mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, frame())
    assert mh.n_variants == 2
    assert mh.audit["reason"].value_counts()["no variant id in LDL"] == 1
    assert mh.audit["reason"].value_counts()["no variant id in HDL"] == 1


def test_an_id_for_several_variants():
    place = {"chromosome": ["1", "1", "1"], "position": [10, 10, 20], "other_allele": ["G", "C", "G"]}
    files = frame(variant=["rs1", "rs1", "rs2"], **place)
    with pytest.raises(SummaryStatisticsError, match="'rs1' is the id of several variants"):
        harmonise_exposures({"LDL": files, "HDL": files}, files, by="position")


def test_what_read_gwas_returns(tmp_path):
    path = tmp_path / "ldl.tsv"
    names = {"variant": "rsid", "se": "standard_error", "eaf": "effect_allele_frequency"}
    file = frame(chromosome=["1", "2", "3"], base_pair_location=[1000, 2000, 3000]).rename(columns=names)
    file["p_value"] = 2 * norm.sf(file["beta"] / 0.01)
    file.to_csv(path, sep="\t", index=False)
    gwas = mr.read_gwas(path)
    mh = harmonise_exposures({"LDL": gwas, "HDL": turned(frame(), [1])}, gwas)
    assert list(mh.variant) == ["rs0", "rs1", "rs2"]
    np.testing.assert_allclose(mh.beta_exposures, np.column_stack([frame()["beta"]] * 2))


def test_names():
    two = pd.concat([frame().assign(exposure="LDL"), frame().assign(exposure="HDL")], ignore_index=True)
    assert harmonise_exposures(two, frame()).exposures == ("LDL", "HDL")
    assert harmonise_exposures(pl.from_pandas(two).lazy(), frame()).exposures == ("LDL", "HDL")
    same = two.assign(**{"id.exposure": two["exposure"].str.lower(), "exposure": "lipid"})
    assert harmonise_exposures(same, frame()).exposures == ("ldl", "hdl")
    with pytest.raises(SummaryStatisticsError, match="different names"):
        harmonise_exposures({1: frame(), "1": frame()}, frame())
    with pytest.raises(SummaryStatisticsError, match="'outcome' is the name of an exposure and of the outcome"):
        harmonise_exposures({"LDL": frame(), "outcome": frame()}, frame())
    with pytest.raises(SummaryStatisticsError, match="'LDL' is the name"):
        harmonise_exposures({"LDL": frame()}, frame().assign(outcome="LDL"))
    with pytest.raises(SummaryStatisticsError, match="column 'exposure' is empty in 1 rows, first row 2"):
        harmonise_exposures(two.assign(exposure=["LDL", "LDL", None, "HDL", "HDL", "HDL"]), frame())


def test_bad_input():
    with pytest.raises(SummaryStatisticsError, match="exposures is empty"):
        harmonise_exposures({}, frame())
    with pytest.raises(SummaryStatisticsError, match="a column 'exposure'; its columns are variant"):
        harmonise_exposures(frame(), frame())
    with pytest.raises(SummaryStatisticsError, match="it is a list"):
        harmonise_exposures([frame()], frame())
    with pytest.raises(SummaryStatisticsError, match="HDL: .*no standard errors"):
        harmonise_exposures({"LDL": frame(), "HDL": frame(se=None)}, frame())
    with pytest.raises(SummaryStatisticsError, match=r"LDL \(here the exposure\) and HDL .*no variant is in both"):
        harmonise_exposures({"LDL": frame(), "HDL": frame(variant=["a", "b", "c"])}, frame())
    with pytest.raises(OptionError, match="action"):
        harmonise_exposures({"LDL": frame()}, frame(), action=4)
    with pytest.raises(OptionError, match="by"):
        harmonise_exposures({"LDL": frame()}, frame(), by="name")
    with pytest.raises(ValueError, match="tolerance"):
        harmonise_exposures({"LDL": frame()}, frame(), tolerance=0.6)


@pytest.mark.parametrize("where", ["LDL", "HDL", "outcome"])
def test_nothing_kept_warns(where):
    files = {name: frame() for name in ("LDL", "HDL", "outcome")}
    files[where] = frame(beta=[np.nan] * 3)
    with pytest.warns(SummaryStatisticsWarning, match=f"none of the 3 variants was kept: 3 beta .* in {where}"):
        mh = harmonise_exposures({k: files[k] for k in ("LDL", "HDL")}, files["outcome"])
    assert mh.n_variants == 0
    assert len(mh.audit) == 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_estimates_do_not_depend_on_the_coding(seed):
    rng = np.random.default_rng(seed)
    n = 20
    names = [f"rs{i}" for i in range(n)]
    pairs = np.array([("A", "G"), ("C", "T"), ("A", "C"), ("G", "T"), ("AT", "A"), ("A", "T")])[rng.integers(6, size=n)]
    x = rng.normal(0, 0.1, (n, 2))
    effects = {"LDL": x[:, 0], "HDL": x[:, 1], "CHD": x @ [0.3, -0.2] + 0.02 * rng.standard_normal(n)}
    eaf = rng.uniform(0.05, 0.35, n)
    files = {
        name: frame(variant=names, effect_allele=pairs[:, 0].tolist(), other_allele=pairs[:, 1].tolist(),
                    beta=beta.tolist(), se=[0.02] * n, eaf=eaf.tolist())
        for name, beta in effects.items()
    }  # fmt: skip

    def fit(f):
        mh = harmonise_exposures({"LDL": f["LDL"], "HDL": f["HDL"]}, f["CHD"])
        assert mh.n_variants == n
        return mr.mvmr(mh, ["ivw", "egger"]).tidy()[["estimate", "std_error"]]

    recoded = {}
    for name, file in files.items():
        other = turned(file, np.flatnonzero(rng.random(n) < 0.5))
        strand = rng.random(n) < 0.5
        for column in ("effect_allele", "other_allele"):
            other.loc[strand, column] = other.loc[strand, column].str.translate(OTHER_STRAND)
        # the frequencies say that a palindrome is on the other strand; its letters, read so, are the other allele's
        recoded[name] = other.sample(frac=1, random_state=int(rng.integers(2**31)))
    np.testing.assert_allclose(fit(recoded), fit(files), rtol=1e-9)
