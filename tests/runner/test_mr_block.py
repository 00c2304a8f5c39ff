"""``[[mr]]`` and ``dxa-causal mr``: tables are what the calls give, words stand beside every estimate."""

from pathlib import Path

import numpy as np
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


PANEL = Path(__file__).parents[1] / "reference" / "genotypes" / "eur"
LOCUS = f"""
[study]
title = "One locus"

[gwas.protein]
panel = "{PANEL}"
n = 35000
effects = {{ rs9442392 = 0.15, rs7513405 = -0.10 }}

[gwas.bone]
panel = "{PANEL}"
n = 400000
effects = {{ rs9442392 = -0.03, rs7513405 = 0.02 }}

[gwas.outcome]
at = "grip_gwas"
n = 194398
effect = 0.1
shared = 1.0
correlation = 0.2

[[mr]]
name = "locus"
title = "Locus"
exposure = "protein"
outcome = "bone"
clump = {{ panel = "{PANEL}", r2 = 0.01 }}
ld = "{PANEL}"
methods = "all"
truth = -0.2
checks = true
strobe_mr = true

[[mr]]
name = "grip"
title = "Grip"
exposure = "grip_gwas"
outcome = "outcome"
methods = ["ivw"]
people = {{ exposure = ["UK Biobank", "deCODE"], outcome = ["uk biobank"], shared = 1.0, correlation = 0.2, h2 = 0.1 }}
truth = 0.1
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "study.toml").write_text(LOCUS)
    assert CliRunner().invoke(app, ["check", str(folder)]).exit_code == 0
    done = CliRunner().invoke(app, ["run", str(folder), "--out", str(folder / "out")])
    assert done.exit_code == 0, done.output
    return folder / "out"


def named(out, name):
    return pd.read_csv(out / "tables" / f"{name}.csv")


def test_clumping_in_a_study_is_the_call(simulated):
    clumps, fates = named(simulated, "locus_clumps"), named(simulated, "locus_fates")
    assert clumps["variant"].tolist()[0] in set(fates.loc[fates["fate"] == "index", "variant"])
    assert (fates["fate"] == "index").sum() == len(clumps)
    assert named(simulated, "locus_variants")["variant"].sort_values().tolist() == sorted(clumps["variant"])


def test_methods_for_correlated_variants_only(simulated):
    estimates = named(simulated, "locus_estimates")
    assert set(estimates["method"]) == {m for m, e in ESTIMATORS.items() if e.correlated}
    ivw = estimates.query("method == 'ivw'").iloc[0]
    assert (ivw["truth"], ivw["truth_is"]) == (-0.2, "inside")
    assert abs(ivw["estimate"] + 0.2) < 3 * ivw["std_error"]
    assert "for independent variants and left out" in (simulated / "report.html").read_text("utf-8")


def test_people_in_both_studies_are_warned_of(simulated):
    page = (simulated / "report.html").read_text("utf-8")
    assert "people of UK Biobank are in both studies" in page
    assert "SharedPeopleWarning" in page
    overlap = named(simulated, "grip_overlap").set_index("what")
    psi = 0.2 * np.sqrt(194_398 / 335_842)
    assert overlap.loc["as stated", "error_correlation"] == pytest.approx(psi, abs=1e-5)
    assert overlap.loc["nobody shared", "error_correlation"] == 0
    corrected = named(simulated, "grip_overlap_correction").set_index("term")
    ivw = named(simulated, "grip_estimates")["estimate"].iloc[0]
    assert corrected.loc["observed", "in_units_of_the_files"] == pytest.approx(ivw, rel=1e-9)
    assert corrected.loc["corrected", "estimate"] < corrected.loc["observed", "estimate"]


def test_checklist_says_who_was_chosen_and_who_is_shared(simulated):
    found = named(simulated, "locus_strobe_mr").set_index("item")["found"]
    assert "clumping (r2 0.01, 10,000 kb) leaves" in found["4c"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'outcome = "bone"',
            'outcome = "bones"',
            "'bones': no such file, no [gwas.bones] and no data set of that name",
        ),
        ("r2 = 0.01", "r2 = 2", "mr[0].clump.r2 = 2"),
        (f'ld = "{PANEL}"', 'ld = "nowhere"', "ld = 'nowhere': no file"),
        ("effect = 0.1\n", "effects = { rs1 = 0.1 }\n", "effects belong to panel = ..."),
        ('at = "grip_gwas"\n', "", "give at = 'an exposure' or panel = 'prefix', one of them"),
        ("rs9442392 = 0.15", "rs0 = 0.15", "'rs0' of 'trait' is not in the panel"),
        ("truth = 0.1\n", "truth = 0.1\np_below = 0.1\nclump = { panel = 'x' }\n", "clump has its own p1"),
        ('methods = ["ivw"]', 'methods = ["iwv"]', "did you mean 'ivw'?"),
        ('methods = "all"', 'methods = ["ivw", "raps"]', "raps take the variants for independent, but ld gives"),
        ("shared = 1.0, correlation = 0.2, h2", "h2", "h2 is used with shared and correlation, which are missing"),
        ("shared = 1.0, correlation = 0.2, h2", "shared = 1.0, h2", "correlation is missing: shared and correlation"),
        ('["uk biobank"]', '["FinnGen"]', "shared = 1, but no cohort is named on both sides"),
        ('["uk biobank"]', "[]", "outcome"),
        ("[gwas.outcome]", "[gwas.chd_gwas]", "gwas.chd_gwas: a data set of this name ships"),
        ('at = "grip_gwas"', 'at = "protein"', "at = 'protein' is a simulated GWAS"),
    ],
)
def test_what_a_study_of_two_simulations_cannot_say(tmp_path, old, new, said):
    assert old in LOCUS
    (tmp_path / "study.toml").write_text(LOCUS.replace(old, new, 1))
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert said in str(done.exception)


def test_what_cannot_be_corrected_is_left_out_with_a_reason(tmp_path):
    people = 'people = { exposure = ["A"], outcome = ["a"], shared = 1.0, correlation = 0.2, h2 = 0.1 }'
    text = LOCUS.replace("checks = true\n", f"{people}\n")
    (tmp_path / "study.toml").write_text(text.replace(f'ld = "{PANEL}"\nmethods = "all"', 'methods = ["ivw"]'))
    (tmp_path / "with_ld.toml").write_text(text)
    for study, reason in (("study", "instruments are too few"), ("with_ld", "ld gives correlations")):
        out = tmp_path / f"out_{study}"
        done = CliRunner().invoke(app, ["run", str(tmp_path / f"{study}.toml"), "--out", str(out)])
        assert done.exit_code == 0, done.exception
        page = (out / "report.html").read_text("utf-8")
        assert "Not corrected for overlap by MRlap" in page
        assert reason in page
        assert named(out, "locus_estimates")["estimate"].notna().any()
        assert not (out / "tables" / "locus_overlap_correction.csv").exists()


def test_files_of_two_builds_join_by_id(tmp_path):
    made = dc.simulate.gwas(PANEL, {"x": {"rs9442392": 0.15}, "y": {"rs9442392": 0.05}}, n=50_000, seed=1)
    frames = {"same": made["y"], "x": made["x"].assign(position=made["x"]["position"] + 64_620), "y": made["y"]}
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    files = ["--exposure", str(tmp_path / "x.tsv"), "--outcome", str(tmp_path / "y.tsv"), "--methods", "ivw"]
    refused = CliRunner().invoke(app, ["mr", *files, "--out", str(tmp_path / "no")])
    assert "different genome builds" in str(refused.exception)
    out, clump = tmp_path / "out", ["--clump", str(PANEL), "--r2", "0.1"]
    done = CliRunner().invoke(app, ["mr", *files, *clump, "--by", "variant", "--out", str(out)])
    assert done.exit_code == 0, done.exception
    made["x"].to_csv(tmp_path / "x.tsv", sep="\t", index=False)
    one = CliRunner().invoke(app, ["mr", *files, *clump, "--out", str(tmp_path / "one")])
    assert one.exit_code == 0, one.exception
    pd.testing.assert_frame_equal(table(out, "estimates"), table(tmp_path / "one", "estimates"))


def test_options_that_would_do_nothing_are_refused(tmp_path):
    files = ["--exposure", "bmi_gwas", "--outcome", "chd_gwas", "--out", str(tmp_path / "out")]
    alone = CliRunner().invoke(app, ["mr", *files, "--p1", "1e-5"])
    assert "--p1: only with --clump PANEL; --p-below uses" in str(alone.exception)
    one_side = CliRunner().invoke(app, ["mr", *files, "--exposure-people", "UKB"])
    assert "--outcome-people is missing" in str(one_side.exception)
    bad = CliRunner().invoke(app, ["mr", *files, "--by", "name"])
    assert "by = 'name'" in str(bad.exception)


def test_an_edited_study_file_is_kept(tmp_path):
    arguments = ["mr", "--exposure", "bmi_gwas", "--outcome", "chd_gwas", "--methods", "ivw", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    file = tmp_path / "study.toml"
    edited = file.read_text().replace("exposure_label = ", "exposure_label = 'mine' # ")
    file.write_text(edited)
    done = CliRunner().invoke(app, arguments)
    assert "is kept as study.1.toml" in done.output
    assert (tmp_path / "study.1.toml").read_text() == edited
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert not (tmp_path / "study.2.toml").exists()


def test_command_clumps_and_says_who_is_shared(tmp_path):
    made = dc.simulate.gwas(PANEL, {"x": {"rs9442392": 0.15}, "y": {"rs9442392": 0.05}}, n=50_000, seed=1)
    for name, frame in made.items():
        frame.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    files = ["--exposure", str(tmp_path / "x.tsv"), "--outcome", str(tmp_path / "y.tsv"), "--methods", "ivw"]
    people = ["--exposure-people", "UK Biobank", "--outcome-people", "FinnGen, UK Biobank"]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["mr", *files, "--clump", str(PANEL), "--r2", "0.1", *people, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert len(table(out, "clumps")) >= 1
    assert "UK Biobank are on both sides" in table(out, "strobe_mr").set_index("item")["found"]["10d"]
    missing = CliRunner().invoke(app, ["mr", *files, "--clump", "nowhere", "--out", str(tmp_path / "other")])
    assert "no panel 'nowhere'" in str(missing.exception)
