"""Reading scans: what is refused and what it says."""

import json

import numpy as np
import pytest
import tifffile

from dxa_causal import imaging, simulate
from dxa_causal._core.errors import ImageError


def edit_meta(folder, **changes):
    path = folder / "meta.json"
    meta = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in meta.items() if v is not ...}))


def test_a_folder_and_three_files_and_a_scan_in_memory_read_alike(scan_folder):
    scan, _ = simulate.forearm(1)
    folder = imaging.read(scan_folder)
    files = imaging.read(scan_folder / "low.tif", high=scan_folder / "high.tif", sidecar=str(scan_folder / "meta.json"))
    memory = imaging.read(scan)
    for other in (files, memory):
        assert np.array_equal(folder.low, other.low)
        assert folder.spacing_mm == other.spacing_mm == (0.6, 0.6)
    assert folder.pixel_mm == pytest.approx((0.6 / 1.01, 0.6 / 1.01))
    assert not folder.low.flags.writeable


def test_left_arms_are_mirrored_and_remember_it():
    right = imaging.read(simulate.forearm(2)[0])
    left = imaging.read(simulate.forearm(2, laterality="L")[0])
    assert np.array_equal(left.low, right.low)
    assert (left.laterality, left.mirrored) == ("L", True)
    assert (right.laterality, right.mirrored) == ("R", False)


@pytest.mark.parametrize("name", ["low.tif", "high.tif", "meta.json"])
def test_missing_files_are_named(scan_folder, name):
    (scan_folder / name).unlink()
    with pytest.raises(ImageError, match=f"{name} is missing; a scan is low.tif, high.tif and meta.json"):
        imaging.read(scan_folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ImageError, match="nowhere: there is no such folder or file"):
        imaging.read(tmp_path / "nowhere")


@pytest.mark.parametrize("keep", [0, 4, 200, 0.3, 0.9])
def test_a_truncated_image_is_refused(scan_folder, keep):
    path = scan_folder / "low.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ImageError, match=r"low.tif cannot be read as TIFF \(truncated or damaged"):
        imaging.read(scan_folder)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_uncompressed_image_is_refused(scan_folder, keep):
    path = scan_folder / "low.tif"
    tifffile.imwrite(path, tifffile.imread(path))
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(ImageError, match=r"low.tif cannot be read as TIFF"):
        imaging.read(scan_folder)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((250, 200), dtype=np.uint8), "pixels are uint8; raw detector counts must be 16-bit unsigned"),
        (np.zeros((250, 200), dtype=np.float32), "pixels are float32"),
        (np.zeros((250, 200, 3), dtype=np.uint16), r"shape \(250, 200, 3\); one grey image is needed, not colour"),
        (np.zeros((30, 200), dtype=np.uint16), "30 x 200 pixels; at least 40 each"),
        (np.full((251, 200), 50_000, dtype=np.uint16), r"the low image is \(251, 200\), the high image \(250, 200\)"),
    ],
)
def test_wrong_pixels_are_refused(scan_folder, image, message):
    tifffile.imwrite(scan_folder / "low.tif", image, photometric="rgb" if image.ndim == 3 else "minisblack")
    with pytest.raises(ImageError, match=message):
        imaging.read(scan_folder)


def test_a_stack_is_refused(scan_folder):
    tifffile.imwrite(scan_folder / "low.tif", np.zeros((2, 250, 200), dtype=np.uint16), photometric="minisblack")
    with pytest.raises(ImageError, match="holds 2 images; one is needed"):
        imaging.read(scan_folder)


def test_swapped_energies_are_noticed(scan_folder):
    (scan_folder / "low.tif").rename(scan_folder / "x.tif")
    (scan_folder / "high.tif").rename(scan_folder / "low.tif")
    (scan_folder / "x.tif").rename(scan_folder / "high.tif")
    with pytest.raises(ImageError, match="the two energies look swapped"):
        imaging.read(scan_folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacing_mm": [-0.6, 0.6]}, r"spacing_mm is \[-0.6, 0.6\]; it must be two positive numbers"),
        ({"spacing_mm": [600, 600]}, "spacings of 0.01 to 10 mm are allowed. Is it in another unit"),
        ({"spacing_mm": 0.6}, "spacing_mm is 0.6"),
        ({"spacing_mm": ["0.6", "0.6"]}, "two positive numbers"),
        ({"spacing_mm": [0.6, float("nan")]}, "two positive numbers"),
        ({"laterality": "left"}, "laterality is 'left'; the sidecar must say 'R' or 'L'"),
        ({"laterality": ...}, "laterality is None"),
        ({"magnification": 0}, "magnification is 0; it must be a positive number"),
        ({"forearm_length_mm": "250"}, "forearm_length_mm is '250'"),
    ],
)
def test_bad_sidecars_are_refused(scan_folder, changes, message):
    edit_meta(scan_folder, **changes)
    with pytest.raises(ImageError, match=message):
        imaging.read(scan_folder)


@pytest.mark.parametrize(("text", "message"), [("{", "is not valid JSON"), ("[1]", "must hold one JSON object")])
def test_a_sidecar_that_is_no_object_is_refused(scan_folder, text, message):
    (scan_folder / "meta.json").write_text(text)
    with pytest.raises(ImageError, match=message):
        imaging.read(scan_folder)


def test_other_objects_are_refused():
    with pytest.raises(ImageError, match="must be a folder, a file or a scan"):
        imaging.read(3)
