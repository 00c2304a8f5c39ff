"""A cohort read from files with scans: joined, counted, explained."""

import shutil

import pandas as pd
import pytest

import dxa_causal as dc
from dxa_causal import runner
from dxa_causal._core.errors import DxaCausalError

STUDY = """
[study]
title = "Scans from files"

[cohorts.people]
file = "people.csv"

[cohorts.people.scans]
manifest = "manifest.csv"
id = "subject_id"
calibrations.k_edge = { wedge = "calibration/wedge_k_edge", phantom = "calibration/phantom_k_edge" }

[[table_one]]
name = "who"
title = "Who"
cohort = "people"
columns = ["age", "radius_third_bmd"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    people, _ = dc.simulate.cohort(10, seed=3)
    people.write(folder)
    people.subjects.to_csv(folder / "people.csv", index=False)
    (folder / "study.toml").write_text(STUDY)
    return folder


def run(folder, tmp_path, manifest=None, people=None):
    """A copy of the folder with some of its tables replaced, run."""
    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    for name, frame in (("manifest.csv", manifest), ("people.csv", people)):
        if frame is not None:
            frame.to_csv(copy / name, index=False)
    return runner.run(copy, out=tmp_path / "out")


def test_joined_counted_and_shown(folder, tmp_path):
    manifest = pd.read_csv(folder / "manifest.csv").drop(columns="device_id").head(8)
    strangers = manifest.tail(1).assign(scan_id="x", subject_id="nobody")
    manifest = pd.concat([manifest, strangers], ignore_index=True)
    manifest.loc[2, "path"] = "scans/not_there"
    done = run(folder, tmp_path, manifest=manifest)
    tables = done.out / "tables"
    flags = pd.read_csv(tables / "people_quality.csv").set_index("qc_flag")["people"]
    assert flags.to_dict() == {"ok": 7, "unreadable": 1, "no_scan": 2}
    assert "not_there" in pd.read_csv(tables / "people_unreadable.csv")["error"].iloc[0]
    page = done.report.read_text("utf-8")
    assert "2 people without a scan (flag no_scan), 1 scans of nobody here" in page
    assert "One scan of the cohort" in page
    assert "No scan passed" not in page


def test_scans_in_other_formats_and_single_files(folder, tmp_path):
    """Folders and files of any format; a changed image is measured anew."""
    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    manifest = pd.read_csv(copy / "manifest.csv").drop(columns="device_id").head(3)
    scans = [dc.imaging.read(copy / path) for path in manifest["path"]]
    for scan, format in zip(scans, ("dicom", "png", "nifti")):
        dc.simulate.write_scan(scan, copy / format, format=format)
    (copy / "nifti" / "meta.json").rename(copy / "nifti" / "scan.json")
    manifest["path"] = ["dicom", "png", "nifti/scan.nii.gz"]
    manifest.to_csv(copy / "manifest.csv", index=False)
    done = runner.run(copy, out=tmp_path / "out")
    flags = pd.read_csv(done.out / "tables" / "people_quality.csv").set_index("qc_flag")["people"]
    assert flags.to_dict() == {"ok": 3, "no_scan": 7}
    (copy / "nifti" / "scan.nii.gz").write_bytes(b"\x80\x04 a pickle")
    done = runner.run(copy, out=tmp_path / "out")
    flags = pd.read_csv(done.out / "tables" / "people_quality.csv").set_index("qc_flag")["people"]
    assert flags.to_dict() == {"ok": 2, "unreadable": 1, "no_scan": 7}
    assert "is a Python pickle" in pd.read_csv(done.out / "tables" / "people_unreadable.csv")["error"].iloc[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, p: (m.drop(columns="path"), p), "no column 'path'"),
        (lambda m, p: (m.assign(path=m["path"].where(m.index != 3)), p), "path is empty in row 4"),
        (lambda m, p: (m.head(0), p), "no scans"),
        (lambda m, p: (m.assign(subject_id="p00001"), p), "subject_id 'p00001' stands twice"),
        (lambda m, p: (m, p.drop(columns="subject_id")), "no column 'subject_id'"),
        (lambda m, p: (m, pd.concat([p, p.head(1)])), "'p00001' twice"),
        (lambda m, p: (m, p.assign(subject_id=range(10))), "no subject_id of the cohort"),
    ],
)
def test_tables_that_do_not_fit(folder, tmp_path, change, message):
    manifest, people = change(pd.read_csv(folder / "manifest.csv"), pd.read_csv(folder / "people.csv"))
    with pytest.raises(DxaCausalError, match=message):
        run(folder, tmp_path, manifest, people)
