"""Runs: same bytes twice, finished steps kept, nothing half-written after kill -9, one run per folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from dxa_causal import runner
from dxa_causal._core.errors import OutputInUseError
from dxa_causal.cli.app import app

STUDY = """
[study]
title = "Small & quick"
seed = 7

[cohorts.people]
dataset = "nhefs"
exclude = [
  { because = "older than 70", where = "age > 70" },
  { because = "no weight at the end", where = "wt82_71.isna()" },
]

[[table_one]]
name = "who"
title = "Who took part"
cohort = "people"
by = "qsmk"
columns = ["age", "sex", "wt71"]

[[kaplan_meier]]
name = "curves"
title = "Survival"
cohort = "people"
formula = "Surv(survtime, death) ~ qsmk"

[[cox]]
name = "death"
title = "Quitting and death"
cohort = "people"
formula = "Surv(survtime, death) ~ qsmk + age + C(sex) + school"

[[weighting]]
name = "weight_gain"
title = "Quitting and weight"
cohort = "people"
formula = "qsmk ~ age + C(sex) + wt71 + smokeintensity"
outcome = "wt82_71"
survival = "Surv(survtime, death)"

[[validation]]
name = "folds"
title = "Concordance"
cohort = "people"
formulas = { age = "Surv(survtime, death) ~ age", both = "Surv(survtime, death) ~ age + C(sex)" }

[[mr]]
name = "genes"
title = "Genes"
exposure = "bmi_gwas"
outcome = "chd_gwas"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def first(study):
    return runner.run(study, out=study.parent / "first")


def contents(folder, kind, suffix):
    return {p.name: p.read_bytes() for p in sorted((folder / kind).glob(f"*{suffix}"))}


def test_what_a_run_leaves(first):
    assert {p.name for p in first.out.iterdir()} >= {"report.html", "tables", "figures", "manifest.json", "steps"}
    tables = {p.stem for p in (first.out / "tables").iterdir()}
    assert tables >= {"people_flow", "who_table", "death_hazard_ratios", "weight_gain_effect", "genes_estimates"}
    for svg in (first.out / "figures").glob("*.svg"):
        assert svg.with_suffix(".png").exists()
        assert b"<dc:date>" not in svg.read_bytes()
    assert not list(first.out.glob("steps/.step-*"))


def test_same_inputs_and_seed_give_the_same_bytes(first, study):
    second = runner.run(study, out=study.parent / "second", n_jobs=2)
    assert contents(first.out, "tables", ".csv") == contents(second.out, "tables", ".csv")
    assert contents(first.out, "figures", ".svg") == contents(second.out, "figures", ".svg")


def test_another_seed_gives_other_draws_only(first, study):
    other = runner.run(study, out=study.parent / "other", seed=8)
    a, b = contents(first.out, "tables", ".csv"), contents(other.out, "tables", ".csv")
    changed = {name for name in a if a[name] != b[name]}
    assert changed == {"genes_estimates.csv", "folds_concordance.csv"}


def test_a_second_run_keeps_what_is_finished(first, study):
    said = []
    again = runner.run(study, out=first.out, say=said.append)
    assert all(step.reused for step in again.steps)
    assert all("kept" in line for line in said)


def test_a_changed_block_is_done_again_alone(first, study, tmp_path):
    changed = tmp_path / "study.toml"
    changed.write_text(STUDY.replace("+ school", ""))
    again = runner.run(changed, out=first.out)
    assert [s.name for s in again.steps if not s.reused] == ["cox.death"]
    assert len(list((first.out / "steps").iterdir())) == len(again.steps)
    runner.run(study, out=first.out)


def test_report_is_self_contained_and_counts_what_was_dropped(first):
    page = first.report.read_text("utf-8")
    assert "Small &amp; quick" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "no weight at the end" in page
    assert "data:image/svg+xml;base64," in page
    assert "dropped for missing values (school" in page or "1,566" in page or "rows used" in page


def test_manifest(first, study):
    manifest = json.loads(first.manifest.read_text())
    assert manifest["seed"] == 7
    assert any(i["name"].endswith("nhefs.parquet") and len(i["sha256"]) == 64 for i in manifest["inputs"])
    assert any(i["name"].endswith("study.toml") for i in manifest["inputs"])
    assert {"python", "dxa_causal", "numpy"} <= set(manifest["versions"])
    assert all(step["wall_s"] >= 0 for step in manifest["steps"])
    assert "dxa-causal run" in manifest["call"]


def test_flow_reconciles(first):
    flow = pd.read_csv(first.out / "tables" / "people_flow.csv")
    assert flow["n_remaining"].iloc[0] - flow["n_excluded"].sum() == flow["n_remaining"].iloc[-1]


def test_one_run_per_folder(first, study):
    from filelock import FileLock

    with FileLock(first.out / ".lock"), pytest.raises(OutputInUseError, match="another run is writing"):
        runner.run(study, out=first.out)


def test_a_folder_with_other_files_is_left_alone(study, tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputInUseError, match="files that are not of a run"):
        runner.run(study, out=tmp_path)
    with pytest.raises(OutputInUseError, match="is a file"):
        runner.run(study, out=tmp_path / "thesis.docx")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    site = tmp_path / "website"
    (site / "tables").mkdir(parents=True)
    for name in ("manifest.json", "report.html", "tables/thesis.csv"):
        (site / name).write_text("not ours")
    with pytest.raises(OutputInUseError, match="files that are not of a run"):
        runner.run(study, out=site)
    assert all(
        (site / name).read_text() == "not ours" for name in ("manifest.json", "report.html", "tables/thesis.csv")
    )


@pytest.mark.slow
def test_killed_runs_leave_nothing_half_written(study, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dxa_causal.cli", "run", str(study), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(finished(out)) < 2:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = finished(out)
    assert len(kept) >= 2
    assert not (out / "report.html").exists()
    for folder in kept:
        assert json.loads((folder / "step.json").read_text())["name"]
    again = runner.run(study, out=out)
    assert [s.reused for s in again.steps] == [True] * len(kept) + [False] * (len(again.steps) - len(kept))
    assert not list((out / "steps").glob(".step-*"))
    assert again.report.exists()


@pytest.mark.slow
def test_interrupting_says_how_to_go_on(study, tmp_path):
    command = [sys.executable, "-m", "dxa_causal.cli", "run", str(study), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not finished(tmp_path / "out"):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in said


def finished(out: Path):
    return sorted(p for p in (out / "steps").glob("*") if not p.name.startswith("."))


def test_commands(first, study, tmp_path):
    cli = CliRunner()
    assert "all fine" in cli.invoke(app, ["check", str(study)]).output
    assert "nhanes_mortality" in cli.invoke(app, ["datasets"]).output
    assert cli.invoke(app, ["version"]).output.strip().count(".") == 2
    ran = cli.invoke(app, ["run", str(study), "--out", str(first.out)])
    assert ran.output.strip().splitlines()[-1] == f"report: {first.out / 'report.html'}"


def test_errors_on_the_command_line_are_one_message(tmp_path):
    bad = tmp_path / "study.toml"
    bad.write_text(STUDY.replace("seed = 7", "sede = 7"))
    command = [sys.executable, "-m", "dxa_causal.cli", "run", str(bad)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "did you mean 'seed'" in done.stderr
    assert "Traceback" not in done.stderr
