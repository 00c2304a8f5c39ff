"""``[[mr]]`` and ``dxa-causal mr``: tables are what the calls give, words stand beside every estimate."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import dxa_causal as dc
from dxa_causal.cli.app import app
from dxa_causal.mr.estimators import ESTIMATORS, METHODS
from dxa_causal.report.strobe_mr import BLANK

ASKED = "ivw,egger,weighted_median,ivw_fe"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mr") / "out"
    arguments = ["mr", "--exposure", "bmi_gwas", "--outcome", "chd_gwas", "--methods", ASKED, "--out", str(folder)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder


def table(out, name):
    return pd.read_csv(out / "tables" / f"mr_{name}.csv")


def test_estimates_are_those_of_the_call(out):
    h = dc.mr.harmonise(dc.datasets.load("bmi_gwas"), dc.datasets.load("chd_gwas"))
    wanted = dc.mr.estimate(h, ["ivw", "egger", "ivw_fe"]).tidy()
    got = table(out, "estimates").query("method != 'weighted_median'").reset_index(drop=True)
    pd.testing.assert_frame_equal(got[["method", "estimate", "std_error", "p_value"]],
                                  wanted[["method", "estimate", "std_error", "p_value"]], rtol=1e-9)  # fmt: skip


def test_words_beside_each_estimate(out):
    got = table(out, "assumptions")
    assert got["method"].tolist() == ASKED.split(",")
    assert got["assumes"].str.len().gt(10).all()
    half = (got["conf_high"] - got["conf_low"]) / 2
    normal = got["method"] != "egger"
    assert (got["detectable"] / half)[normal].round(6).eq(round(2.8015852 / 1.9599640, 6)).all()


def test_checklist_is_filled_from_the_run(out):
    found = table(out, "strobe_mr").set_index("item")["found"]
    assert "339,224" in found["4b"] or "by variant" in found["4b"]
    assert "184,305" in found["4b"]
    assert "n kept: 79" in found["10a"]
    assert "0.446" in found["11b"]
    assert "Q" in found["12b"]
    assert found[["1", "4e", "18", "20"]].eq(BLANK).all()
    assert "STROBE-MR" in (out / "report.html").read_text("utf-8")


def test_the_study_file_repeats_the_run(out):
    assert 'exposure = "bmi_gwas"' in (out / "study.toml").read_text("utf-8")
    before = (out / "tables" / "mr_estimates.csv").read_bytes()
    assert CliRunner().invoke(app, ["run", str(out / "study.toml"), "--out", str(out)]).exit_code == 0
    assert (out / "tables" / "mr_estimates.csv").read_bytes() == before


def test_a_missing_file_is_named(tmp_path):
    done = CliRunner().invoke(app, ["mr", "--exposure", "nowhere.tsv", "--outcome", "chd_gwas", "--out", str(tmp_path)])
    assert "nowhere.tsv" in str(done.exception)


def test_every_method_has_its_assumptions():
    words = dc.mr.assumptions()
    assert words["method"].tolist() == list(METHODS)
    assert set(ESTIMATORS) <= set(METHODS)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_variants_still_make_a_report(tmp_path, n):
    bmi, chd = dc.datasets.load("bmi_gwas").iloc[:n], dc.datasets.load("chd_gwas")
    bmi.to_csv(tmp_path / "exposure.csv", index=False)
    chd[chd["variant"].isin(bmi["variant"])].to_csv(tmp_path / "outcome.csv", index=False)
    files = ["--exposure", str(tmp_path / "exposure.csv"), "--outcome", str(tmp_path / "outcome.csv")]
    done = CliRunner().invoke(app, ["mr", *files, "--methods", "ivw,egger", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    estimates = table(tmp_path / "out", "estimates")
    assert estimates["estimate"].notna().any()
    assert (n < 3) == bool(estimates["reason"].notna().any())
