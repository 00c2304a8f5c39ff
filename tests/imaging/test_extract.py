"""Many scans to one table."""

import sys

import pandas as pd
import polars as pl
import pytest

from dxa_causal import imaging, simulate
from dxa_causal._core.errors import ColumnNotFoundError, ImageError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four scans (one damaged) of two devices and a manifest with relative paths."""
    folder = tmp_path_factory.mktemp("study")
    devices = ["k_edge", "portable", "k_edge", "k_edge"]
    for i, device in enumerate(devices):
        simulate.forearm(i, device=device)[0].write(folder / "scans" / f"p{i}")
    damaged = folder / "scans" / "p2" / "high.tif"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    names = [f"p{i}" for i in range(4)]
    manifest = pd.DataFrame(
        {"scan_id": names, "subject_id": names, "path": [f"scans/{n}" for n in names], "device_id": devices}
    )
    manifest.to_csv(folder / "manifest.csv", index=False)
    for device in ("k_edge", "portable"):
        wedge, phantom = simulate.calibration_scans(device=device, seed=2)
        wedge.write(folder / "calibration" / f"wedge_{device}")
        phantom.write(folder / "calibration" / f"phantom_{device}")
    return folder


def pairs(folder, *devices):
    base = folder / "calibration"
    return {device: (base / f"wedge_{device}", base / f"phantom_{device}") for device in devices}


def test_one_bad_image_does_not_stop_the_run(study):
    table = imaging.extract(study / "manifest.csv", calibrations=pairs(study, "k_edge", "portable"))
    assert table["scan_id"].tolist() == ["p0", "p1", "p2", "p3"]
    assert table["subject_id"].tolist() == ["p0", "p1", "p2", "p3"]
    assert "path" not in table
    assert table["qc_flag"].tolist() == ["ok", "ok", "unreadable", "ok"]
    assert table["radius_third_bmd"].isna().tolist() == [False, False, True, False]
    assert "high.tif cannot be read as TIFF" in table["error"][2]
    assert table["error"][[0, 1, 3]].tolist() == ["", "", ""]


def test_rows_equal_single_scans(study):
    calibration = imaging.calibrate(*pairs(study, "k_edge")["k_edge"])
    table = imaging.extract(study / "manifest.csv", calibrations={"k_edge": calibration})
    alone = imaging.features(study / "scans" / "p3", calibration)
    pd.testing.assert_frame_equal(
        table.loc[[3], alone.columns[1:]].reset_index(drop=True), alone.iloc[:, 1:], check_exact=True
    )
    assert table["qc_flag"][1] == "no_calibration"


@pytest.mark.slow
def test_workers_do_not_change_the_table(study):
    calibrations = pairs(study, "k_edge", "portable")
    one = imaging.extract(study / "manifest.csv", calibrations=calibrations, n_jobs=1)
    two = imaging.extract(study / "manifest.csv", calibrations=calibrations, n_jobs=2)
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_frames_of_either_kind_and_saved_calibrations(study):
    frame = pd.read_csv(study / "manifest.csv").iloc[[3]]
    frame["path"] = str(study) + "/" + frame["path"]
    before = frame.copy()
    imaging.calibrate(*pairs(study, "k_edge")["k_edge"]).save(study / "k_edge.json")
    from_pandas = imaging.extract(frame, calibrations={"k_edge": study / "k_edge.json"})
    from_polars = imaging.extract(pl.from_pandas(frame), calibrations={"k_edge": study / "k_edge.json"})
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(from_pandas, from_polars)
    assert from_pandas["qc_flag"].tolist() == ["ok"]


def test_the_device_may_come_from_the_sidecar(study):
    frame = pd.DataFrame({"scan_id": ["a"], "path": [str(study / "scans" / "p0")]})
    assert imaging.extract(frame, calibrations=pairs(study, "k_edge"))["qc_flag"].tolist() == ["ok"]


def test_a_manifest_that_contradicts_the_sidecar_is_flagged(study):
    frame = pd.DataFrame({"scan_id": ["a"], "path": [str(study / "scans" / "p0")], "device_id": ["portable"]})
    row = imaging.extract(frame, calibrations=pairs(study, "k_edge", "portable")).iloc[0]
    assert row["qc_flag"] == "device_mismatch"
    assert row["error"] == "the manifest says device 'portable', the sidecar 'k_edge'"


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ({"scan": ["a"], "path": ["x"]}, ColumnNotFoundError, "manifest: no column 'scan_id'; did you mean 'scan'"),
        ({"scan_id": ["a"]}, ColumnNotFoundError, "manifest: no column 'path'"),
        ({"scan_id": ["a", "a"], "path": ["x", "y"]}, ImageError, "scan_id 'a' occurs more than once"),
        ({"scan_id": ["a", "b"], "path": ["x", None]}, ImageError, "row 1: path is empty"),
        ({"scan_id": ["a"], "path": ["x"], "qc_flag": ["ok"]}, ImageError, "column 'qc_flag' has the name"),
    ],
)
def test_bad_manifests_are_refused(frame, error, message):
    with pytest.raises(error, match=message):
        imaging.extract(pd.DataFrame(frame))


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ImageError, match="there is no such manifest"):
        imaging.extract(tmp_path / "m.csv")


def test_a_stopped_run_goes_on_and_measures_only_what_changed(study, tmp_path, monkeypatch):
    room = sys.modules["dxa_causal.imaging.extract"]
    monkeypatch.setattr(room, "_PART", 1)
    measured = []
    real = room.features

    def counting(scan, calibration=None):
        measured.append(scan.scan_id)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return real(scan, calibration=calibration)

    monkeypatch.setattr(room, "features", counting)
    calibrations = pairs(study, "k_edge", "portable")
    out = tmp_path / "features.parquet"
    with pytest.raises(KeyboardInterrupt):
        imaging.extract(study / "manifest.csv", calibrations=calibrations, out=out)
    assert not out.exists()
    assert (tmp_path / "features.parquet.parts").is_dir()
    whole = imaging.extract(study / "manifest.csv", calibrations=calibrations, out=out)
    assert len(measured) == 4  # two before the stop, one cut short, and that one again
    assert not (tmp_path / "features.parquet.parts").exists()
    monkeypatch.setattr(room, "features", real)
    fresh = imaging.extract(study / "manifest.csv", calibrations=calibrations)
    pd.testing.assert_frame_equal(whole, fresh, check_exact=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), fresh, check_exact=True)


def test_an_unforeseen_error_is_one_row(study, monkeypatch):
    room = sys.modules["dxa_causal.imaging.extract"]

    def failing(scan, calibration=None):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(room, "features", failing)
    table = imaging.extract(study / "manifest.csv")
    assert table["qc_flag"].tolist() == ["failed", "failed", "unreadable", "failed"]
    assert table["error"][0] == "ZeroDivisionError: by nothing"


def test_the_sheet_shows_every_scan_and_flagged_ones_first(study, tmp_path):
    calibrations = pairs(study, "k_edge", "portable")
    table = imaging.extract(study / "manifest.csv", calibrations=calibrations)
    page = imaging.qc_sheet(study / "manifest.csv", table, tmp_path / "qc.html", calibrations=calibrations).read_text()
    assert page.count("data:image/png;base64,") == 3
    assert page.count("<div class='card bad'>") == 1
    assert page.index("p2") < page.index("p0")
    assert "high.tif cannot be read as TIFF" in page
    assert f"BMD 1/3 {table['radius_third_bmd'][0]:.3f} g/cm2" in page
    flagged = imaging.qc_sheet(study / "manifest.csv", table, tmp_path / "few.html", only_flagged=True).read_text()
    assert flagged.count("<div class='card bad'>") == 1
    with pytest.raises(ImageError, match="scan_id 'x' is not in the manifest"):
        imaging.qc_sheet(study / "manifest.csv", table.assign(scan_id="x"), tmp_path / "no.html")
    with pytest.raises(ColumnNotFoundError, match="qc_flag"):
        imaging.qc_sheet(study / "manifest.csv", table.drop(columns="qc_flag"), tmp_path / "no.html")
    assert not (tmp_path / "no.html").exists()
