"""Scans in DICOM, NIfTI and PNG: what is read, how it is brought to one convention, what is refused."""

import contextlib
import dataclasses
import gzip
import json
import math
import os
import pickle
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from dxa_causal import imaging, simulate
from dxa_causal._core.errors import ImageError, OptionError, UnmeasurableScanError
from dxa_causal.imaging import dicom as dicom_reader
from dxa_causal.imaging.image_file import MAX_PIXELS
from dxa_causal.imaging.texture import texture
from tests.imaging import scan_writers as files

FORMATS = ("tiff", "nifti", "dicom", "png")
REAL = os.environ.get("DXA_CAUSAL_IMG_DATA", "")
needs_real_images = pytest.mark.skipif(not REAL, reason="DXA_CAUSAL_IMG_DATA does not name a folder of real images")
FUZZED = 300  # damaged files per format
SECONDS = 1.0  # for each of them
FACTOR = {"EstimatedRadiographicMagnificationFactor": 1.1}
LARGE = "1" + "0" * 400


@pytest.fixture(scope="module")
def scan():
    return simulate.forearm(1)[0]


@pytest.fixture(scope="module")
def calibration():
    return imaging.calibrate(*simulate.calibration_scans(device="k_edge", seed=1))


def pair(folder, scan, *, meta=..., low=None, high=None, both=None, **tags):
    """low.dcm and high.dcm; `low` and `high` are tags of one, `both` and `tags` of the two."""
    folder.mkdir(exist_ok=True)
    for name, image, own in (("low", scan.low, low), ("high", scan.high, high)):
        files.dicom(folder / f"{name}.dcm", image, **(tags | (both or {}) | (own or {})))
    if meta is not ...:
        (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def folder_of(tmp_path, scan, **contents):
    """A folder with meta.json and the files given as name (dots as __) and bytes."""
    (tmp_path / "meta.json").write_text(json.dumps(dict(scan.meta)))
    for name, content in contents.items():
        (tmp_path / name.replace("__", ".")).write_bytes(content)
    return tmp_path


# what is read


@pytest.mark.parametrize("laterality", ["R", "L"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_scan(tmp_path, format, laterality):
    source = simulate.forearm(3, laterality=laterality)[0]
    source.write(tmp_path / "a", format=format)
    memory, read = imaging.read(source), imaging.read(tmp_path / "a")
    assert np.array_equal(read.low, memory.low)
    assert np.array_equal(read.high, memory.high)
    for name in ("spacing_mm", "magnification", "forearm_length_mm", "laterality", "mirrored", "device_id", "flags"):
        assert getattr(read, name) == getattr(memory, name), name
    assert read.scan_id == "sim_3"
    # what was mirrored on reading is written as it was acquired
    simulate.write_scan(read, tmp_path / "b", format=format)
    again = imaging.read(tmp_path / "b")
    assert np.array_equal(again.low, memory.low)
    assert again.mirrored == (laterality == "L")


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_scan_is_written_as_the_same_bytes(tmp_path, scan, format):
    for name in "ab":
        scan.write(tmp_path / name, format=format)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_unknown_formats_and_images_are_not_written(tmp_path, scan):
    with pytest.raises(OptionError, match="format='jpeg' is not allowed"):
        scan.write(tmp_path / "a", format="jpeg")
    with pytest.raises(OptionError, match="two of one size, uint16"):
        simulate.write_scan(dataclasses.replace(scan, high=scan.high[:-1]), tmp_path / "a")


def test_a_table_is_made_from_any_format(tmp_path, scan, calibration):
    for format in FORMATS:
        scan.write(tmp_path / format, format=format)
    files.dicom(tmp_path / "two.dcm", np.stack([scan.low, scan.high]), DeviceSerialNumber="k_edge")
    (tmp_path / "two.json").write_text(json.dumps({"forearm_length_mm": scan.meta["forearm_length_mm"]}))
    paths = [*FORMATS, "nifti/scan.nii.gz", "two.dcm"]
    (tmp_path / "nifti" / "scan.json").write_text((tmp_path / "nifti" / "meta.json").read_text())
    manifest = tmp_path / "manifest.csv"
    pd.DataFrame({"scan_id": paths, "path": paths}).to_csv(manifest, index=False)
    table = imaging.extract(manifest, calibrations={"k_edge": calibration})
    assert table["error"].tolist() == [""] * 6
    assert table["qc_flag"].tolist() == ["ok"] * 6
    assert table["radius_third_bmd"][:5].nunique() == 1


def test_a_calibration_may_be_in_any_format(tmp_path, calibration):
    pairs = simulate.calibration_scans(device="k_edge", seed=1)
    for name, one in zip(("wedge", "phantom"), pairs):
        simulate.write_scan(one, tmp_path / name, format="png")
        one.steps.to_csv(tmp_path / name / "steps.csv", index=False)
    again = imaging.calibrate(tmp_path / "wedge", tmp_path / "phantom")
    assert np.array_equal(again.response, calibration.response)


@pytest.mark.parametrize("syntax", [files.EXPLICIT, files.IMPLICIT, files.BIG, files.RLE])
def test_dicom_transfer_syntaxes(tmp_path, scan, syntax):
    read = imaging.read(pair(tmp_path / "a", scan, syntax=syntax))
    assert np.array_equal(read.low, scan.low)
    assert read.meta["modality"] == "DX"
    assert read.meta["spacing_from"] == "ImagerPixelSpacing"


def test_jpeg_2000(tmp_path, scan, monkeypatch):
    folder = tmp_path / "a"
    folder.mkdir()
    for name, image in (("low", scan.low), ("high", scan.high)):
        files.dicom(folder / f"{name}.dcm", image, syntax=files.JPEG_2000, pixels=[files.jpeg_2000(image)])
    assert np.array_equal(imaging.read(folder).high, scan.high)
    monkeypatch.setattr(dicom_reader, "_jpeg_2000_decoder", lambda syntax: False)
    with pytest.raises(ImageError, match="JPEG 2000; that needs a decoder: pip install pillow"):
        imaging.read(folder)


def test_a_jpeg_2000_image_of_another_size_is_not_decoded(tmp_path, scan):
    for image, name in ((scan.low[:-2], "low"), (scan.high, "high")):
        files.dicom(
            tmp_path / f"{name}.dcm", scan.low, syntax=files.JPEG_2000, pixels=[files.jpeg_2000(np.array(image))]
        )
    with pytest.raises(ImageError, match="does not have the size that its header says"):
        imaging.read(tmp_path)


@pytest.mark.parametrize("frames", [[0, 1], [1, 0]])
def test_two_frames(tmp_path, scan, frames):
    files.dicom(tmp_path / "scan.dcm", np.stack([scan.low, scan.high])[frames])
    if frames == [0, 1]:
        assert np.array_equal(imaging.read(tmp_path).high, scan.high)
        assert np.array_equal(imaging.read(tmp_path / "scan.dcm").high, scan.high)
    else:
        with pytest.raises(ImageError, match="look swapped"):
            imaging.read(tmp_path)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("sign", [None, -1])
def test_monochrome1_is_brought_to_counts(tmp_path, scan, sign, bits):
    top = 2**bits - 1
    low, high = (np.minimum(image >> (16 - bits), top) for image in (scan.low, scan.high))
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": bits, "HighBit": bits - 1}
    if sign:
        tags["PixelIntensityRelationshipSign"] = sign
    for name, image in (("low", low), ("high", high)):
        files.dicom(tmp_path / f"{name}.dcm", (top - image).astype(np.uint16), **tags)
    read = imaging.read(tmp_path)
    assert np.array_equal(read.low, low)
    assert read.meta["inverted"] is True
    assert read.meta["photometric"] == "MONOCHROME1"
    assert read.max_count == top


def test_monochrome1_that_counts_upwards_already_stays(tmp_path, scan):
    for tags in ({"PixelIntensityRelationshipSign": 1}, {}):
        read = imaging.read(pair(tmp_path / "a", scan, PhotometricInterpretation="MONOCHROME1", **tags))
        assert np.array_equal(read.low, scan.low)
        assert read.meta["inverted"] is False


def test_rescaling(tmp_path, scan):
    read = imaging.read(pair(tmp_path / "a", scan, RescaleSlope=0.5, RescaleIntercept=100))
    assert np.array_equal(read.low, np.rint(scan.low * 0.5 + 100))
    assert read.meta["rescale"] == [0.5, 100.0]
    for tags, message in (
        ({"RescaleSlope": 0}, "rescale slope 0.0"),
        ({"RescaleSlope": -1}, "counts cannot be negative"),
        ({"RescaleSlope": 10}, "counts up to 65535"),
        ({"RescaleSlope": 0.0001}, "a normalised picture"),
    ):
        with pytest.raises(ImageError, match=message):
            imaging.read(pair(tmp_path / "a", scan, **tags))


@pytest.mark.parametrize(
    ("tags", "spacing", "source", "magnification"),
    [
        ({"PixelSpacing": [0.5, 0.4]}, (0.5, 0.4), "PixelSpacing", 1.0),
        ({"PixelSpacing": [0.6, 0.6], **FACTOR}, (0.6, 0.6), "PixelSpacing", 1.1),
        ({"PixelSpacing": [0.5, 0.5], **FACTOR}, (0.5, 0.5), "PixelSpacing", 1.0),
        ({"PixelSpacing": [0, 0], **FACTOR}, (0.6, 0.6), "ImagerPixelSpacing", 1.1),
        ({"ImagerPixelSpacing": [0.3, 0.7]}, (0.3, 0.7), "ImagerPixelSpacing", 1.0),
    ],
)  # fmt: skip
def test_which_spacing_is_used(tmp_path, scan, tags, spacing, source, magnification):
    read = imaging.read(pair(tmp_path / "a", scan, **tags))
    assert read.spacing_mm == spacing
    assert read.meta["spacing_from"] == source
    assert read.magnification == magnification


@pytest.mark.parametrize("tags", [{"ImagerPixelSpacing": None}, {"ImagerPixelSpacing": [0, 0]}])
def test_without_spacing_a_scan_is_read_and_nothing_guessed(tmp_path, scan, calibration, tags):
    meta = {"forearm_length_mm": 240.0, "device_id": "k_edge"}
    read = imaging.read(pair(tmp_path / "a", scan, meta=meta, **tags))
    assert np.isnan(read.spacing_mm).all()
    assert read.flags == ("no_spacing",)
    row = imaging.features(read, calibration).iloc[0]
    assert row["qc_flag"] == "no_spacing"
    numbers = row.drop(["scan_id", "qc_flag", "forearm_length", "forearm_length_se"]).astype(float)
    assert numbers.isna().all()
    assert row["forearm_length"] == 240.0
    with pytest.raises(UnmeasurableScanError, match="pixel spacing is not known"):
        imaging.show(read, calibration)
    # the sidecar may bring it
    (tmp_path / "a" / "meta.json").write_text(json.dumps(meta | {"spacing_mm": [0.6, 0.6]}))
    known = imaging.read(tmp_path / "a")
    assert known.spacing_mm == (0.6, 0.6)
    assert (known.flags, known.meta["spacing_from"]) == ((), "sidecar")


def test_a_spacing_of_nothing_in_the_sidecar(tmp_path, scan):
    scan.write(tmp_path / "a")
    for value in (..., None, [0, 0.6]):
        meta = {k: v for k, v in (dict(scan.meta) | {"spacing_mm": value}).items() if v is not ...}
        (tmp_path / "a" / "meta.json").write_text(json.dumps(meta))
        assert imaging.read(tmp_path / "a").flags == ("no_spacing",)
    scan.write(tmp_path / "b", format="dicom")
    (tmp_path / "b" / "meta.json").write_text(json.dumps({"spacing_mm": [0, 0]}))
    assert imaging.read(tmp_path / "b").spacing_mm == (0.6, 0.6)


@pytest.mark.parametrize(
    ("tags", "flagged"),
    [
        ({"BurnedInAnnotation": "YES"}, True),
        ({"BurnedInAnnotation": "NO"}, False),
        ({}, False),
        ({"Modality": "SC"}, True),
        ({"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, True),
        ({"Modality": "SC", "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_a_name_in_the_picture_is_flagged(tmp_path, scan, calibration, tags, flagged):
    read = imaging.read(pair(tmp_path / "a", scan, **tags))
    assert ("burnt_in_identity" in read.flags) == flagged
    assert ("burnt_in_identity" in imaging.features(read, calibration)["qc_flag"][0]) == flagged
    assert "Patient" not in str(dict(read.meta))


def test_kvp_orders_files_of_any_name(tmp_path, scan):
    files.dicom(tmp_path / "IM1.dcm", scan.high, KVP=140)
    files.dicom(tmp_path / "IM2.dcm", scan.low, KVP=100)
    assert np.array_equal(imaging.read(tmp_path).low, scan.low)
    assert imaging.read(tmp_path).meta["kvp"] == [100, 140]
    files.dicom(tmp_path / "IM1.dcm", scan.high, KVP=100)
    with pytest.raises(ImageError, match="KVP does not tell which file is the low energy"):
        imaging.read(tmp_path)


def test_private_blocks(tmp_path, scan):
    path = tmp_path / "a.dcm"
    files.dicom(path, scan.low)
    import pydicom

    data = pydicom.dcmread(path)
    block = data.private_block(0x0021, "HOLOGIC", create=True)
    block.add_new(0x01, "LT", "<xml/>")
    block = data.private_block(0x0023, "HOLOGIC", create=True)
    block.add_new(0x01, "LO", "scan.p")
    block.add_new(0x02, "OB", b"\x01\x02\x03\x04")
    block.add_new(0x03, "UL", 4)
    block = data.private_block(0x7003, "GEMS_LUNAR_RAW", create=True)
    block.add_new(0x02, "OB", b"raw!")
    block = data.private_block(0x7003, "SOMEBODY ELSE", create=True)
    block.add_new(0x01, "OB", b"no")
    data.save_as(path)
    assert imaging.dicom_private_blocks(str(path)) == {
        "HOLOGIC (0021,xx01)": b"<xml/>",
        "HOLOGIC (0023,xx01)": b"scan.p",
        "HOLOGIC (0023,xx02)": b"\x01\x02\x03\x04",
        "HOLOGIC (0023,xx03)": b"\x04\0\0\0",
        "GEMS_LUNAR_RAW (7003,xx02)": b"raw!",
    }
    (tmp_path / "b.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ImageError, match="no mark DICM"):
        imaging.dicom_private_blocks(tmp_path / "b.dcm")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [("u2", 512), ("i4", 8), ("u4", 768), ("f4", 16), ("f8", 64)])
def test_nifti_number_types(tmp_path, scan, kind, code, order):
    images = np.stack([scan.low, scan.high]).astype(kind)
    folder_of(tmp_path, scan, scan__nii=files.nifti(images, code=code, order=order))
    read = imaging.read(tmp_path)
    assert np.array_equal(read.low, scan.low)
    assert read.meta["spacing_from"] == "pixdim"


def test_nifti_of_two_files_with_a_fourth_dimension_and_other_units(tmp_path, scan):
    rows, columns = scan.low.shape
    one = gzip.compress(files.nifti(scan.low, spacing=(600, 600), units=3))
    folder_of(tmp_path, scan, low__nii__gz=one, high__nii=files.nifti(scan.high, units=2))
    assert np.array_equal(imaging.read(tmp_path).high, scan.high)
    both = files.nifti(np.stack([scan.low, scan.high]), dims=(4, columns, rows, 1, 2, 1, 1, 1))
    (tmp_path / "x.nii").write_bytes(both)
    (tmp_path / "x.json").write_text('{"laterality": "R"}')
    assert imaging.read(tmp_path / "x.nii").spacing_mm == (0.6, 0.6)
    (tmp_path / "y.nii").write_bytes(files.nifti(np.stack([scan.low, scan.high]), units=0))
    read = imaging.read(tmp_path / "y.nii", sidecar=tmp_path / "x.json")
    assert read.flags == ("no_spacing",)  # a number without a unit is no length


def test_nifti_scaling(tmp_path, scan):
    halved = np.stack([scan.low, scan.high]) // 2
    folder_of(tmp_path, scan, scan__nii=files.nifti(halved, slope=2.0, intercept=1.0))
    assert np.array_equal(imaging.read(tmp_path).low, 2.0 * halved[0] + 1.0)


def test_files_may_be_named_one_by_one(tmp_path, scan):
    scan.write(tmp_path / "a", format="dicom")
    folder = tmp_path / "a"
    read = imaging.read(folder / "low.dcm", high=folder / "high.dcm")
    assert read.meta["laterality"] == "R"
    assert math.isnan(read.forearm_length_mm)  # that is in the sidecar
    assert imaging.read(folder / "low.dcm", high=folder / "high.dcm", sidecar=folder / "meta.json").scan_id == "sim_1"
    assert imaging.read(read) is read


def test_a_scan_of_fourteen_bits_saturates_at_its_own_maximum(tmp_path, scan, calibration):
    top = 2**14 - 1
    low, high = (np.minimum(image >> 1, top).astype(np.uint16) for image in (scan.low, scan.high))
    for name, image in (("low", low), ("high", high)):
        files.dicom(tmp_path / f"{name}.dcm", image, BitsStored=14, HighBit=13)
    row = imaging.features(tmp_path, calibration).iloc[0]
    assert {"saturated", "no_air"} <= set(row["qc_flag"].split(";"))


# radiographs


def test_a_radiograph_is_shown_never_measured(tmp_path, scan, calibration):
    files.dicom(tmp_path / "a.dcm", scan.low, PhotometricInterpretation="MONOCHROME1", ImageLaterality="L")
    radiograph = imaging.read_radiograph(tmp_path / "a.dcm")
    assert np.array_equal(radiograph.image, 65_535.0 - scan.low)
    assert not radiograph.image.flags.writeable
    assert radiograph.meta["inverted"] is True
    assert (radiograph.laterality, radiograph.spacing_mm, radiograph.flags) == ("L", (0.6, 0.6), ())
    for call in (lambda: imaging.features(radiograph, calibration), lambda: imaging.read(radiograph)):
        with pytest.raises(ImageError, match="a.dcm is a radiograph of one energy; bone mineral needs a scan of two"):
            call()
    with pytest.raises(ImageError, match="holds one image, of one energy; a scan needs two"):
        imaging.features(tmp_path / "a.dcm", calibration)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_radiographs_without_spacing(tmp_path, depth):
    image = np.arange(60 * 50, dtype=depth).reshape(60, 50)
    Image.fromarray(image).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", image)
    for name in ("a.png", "a.tif"):
        radiograph = imaging.read_radiograph(tmp_path / name)
        assert np.array_equal(radiograph.image, image)
        assert radiograph.flags == ("no_spacing",)
    with pytest.raises(ImageError, match="is a file of one energy: give high= and sidecar="):
        imaging.read(tmp_path / "a.png")


def test_pairs_colours_and_nan_are_no_radiographs(tmp_path, scan):
    files.dicom(tmp_path / "two.dcm", np.stack([scan.low, scan.high]))
    (tmp_path / "nan.nii").write_bytes(files.nifti(np.full((50, 50), np.nan, np.float32), code=16))
    Image.fromarray(np.zeros((60, 50, 3), np.uint8)).save(tmp_path / "rgb.png")
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((60, 50, 3), np.uint8), photometric="rgb")
    for name, message in (
        ("two.dcm", "holds 2 images; a radiograph is one"),
        ("nan.nii", "2500 pixels are NaN or infinite"),
        ("rgb.png", r"is a colour picture \(a screenshot"),
        ("rgb.tif", "not colour"),
        ("nothing.dcm", "cannot be opened"),
    ):
        with pytest.raises(ImageError, match=message):
            imaging.read_radiograph(tmp_path / name)


# what is refused


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "CT"}, "modality is 'CT'; DX, CR, BMD, OT, SC are read"),
        ({"PhotometricInterpretation": "RGB"}, r"is a colour picture \(RGB; a screenshot"),
        ({"NumberOfFrames": 3}, "holds 3 frames"),
        ({"Rows": 65_535, "Columns": 65_535}, "65535 x 65535 pixels; images of 1 to 25,000,000"),
        ({"Rows": 0}, "0 x 200 pixels"),
        ({"Rows": 251}, "cannot be read as DICOM"),
        ({"BitsAllocated": 32}, "pixels have 32 bits"),
        ({"BitsStored": 8, "HighBit": 7}, "pixels are 8-bit"),
        ({"ImagerPixelSpacing": [-0.6, 0.6]}, "ImagerPixelSpacing is .*two positive numbers"),
        ({"ImagerPixelSpacing": [600, 600]}, "Is it in another unit"),
        ({"ImageLaterality": "B"}, "laterality is None"),
        ({"ImageLaterality": None}, "laterality is None; the sidecar must say 'R' or 'L'"),
        ({"Laterality": "L"}, r"contradict each other \(L and R\)"),
        ({"BodyPartExamined": "CHEST"}, "BodyPartExamined is 'CHEST'; a scan of the forearm is needed"),
        ({"PixelIntensityRelationship": "LOG"}, "PixelIntensityRelationship is 'LOG'"),
        ({"PixelIntensityRelationshipSign": -1}, "more than twice as bright as its sides"),
        ({"PixelData": None}, "has no pixels"),
    ],
)
def test_dicom_headers_that_cannot_be_a_scan(tmp_path, scan, tags, message):
    with pytest.raises(ImageError, match=message):
        imaging.read(pair(tmp_path / "a", scan, **tags))


@pytest.mark.parametrize(
    ("low", "meta", "message"),
    [
        ({"PatientID": "p2"}, ..., "the two images name different patients"),
        (
            {"ImageLaterality": "L"},
            ...,
            r"low image and high image contradict each other in laterality \('L' and 'R'\)",
        ),
        ({"ImagerPixelSpacing": [0.5, 0.5]}, ..., "contradict each other in spacing_mm"),
        ({"KVP": 140}, ..., "KVP is 140 in the low and 100 in the high image; the two energies look swapped"),
        ({}, {"laterality": "L"}, r"image and sidecar contradict each other in laterality \('R' and 'L'\)"),
        ({}, {"spacing_mm": [0.5, 0.5]}, "image and sidecar contradict each other in spacing_mm"),
        ({}, {"laterality": ["R"]}, r"image and sidecar contradict each other in laterality \('R' and \['R'\]\)"),
    ],
)
def test_contradictions(tmp_path, scan, low, meta, message):
    with pytest.raises(ImageError, match=message) as caught:
        imaging.read(pair(tmp_path / "a", scan, meta=meta, low=low, high={"KVP": 100}))
    assert "p2" not in str(caught.value)


@pytest.mark.parametrize("syntax", [files.JPEG_LS, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.102"])
def test_other_transfer_syntaxes_are_named(tmp_path, scan, syntax):
    with pytest.raises(ImageError, match=r"transfer syntax .* is not read; export it uncompressed"):
        imaging.read(pair(tmp_path / "a", scan, syntax=syntax, both={"pixels": [b"\xff\xd8" + bytes(100)]}))


def test_a_deflated_dicom_file_is_not_inflated(tmp_path, scan):
    files.dicom(tmp_path / "low.dcm", scan.low)
    content = (tmp_path / "low.dcm").read_bytes()
    uid = files.EXPLICIT.encode() + b"\0"
    assert content.count(uid) == 1
    wrong = content.replace(uid, b"1.2.840.10008.1.2\0\0\0")  # says implicit, is explicit
    (tmp_path / "low.dcm").write_bytes(wrong)
    (tmp_path / "high.dcm").write_bytes(content)
    with pytest.raises(ImageError):
        imaging.read(tmp_path)
    files.dicom(tmp_path / "low.dcm", scan.low, syntax=files.DEFLATED)
    for call in (imaging.read_radiograph, imaging.dicom_private_blocks):
        with pytest.raises(ImageError, match="transfer syntax Deflated"):
            call(tmp_path / "low.dcm")


@pytest.mark.parametrize("keep", [0, 100, 131, 140, 400, 0.3, 0.9])
@pytest.mark.parametrize(
    ("format", "name"), [("dicom", "low.dcm"), ("nifti", "scan.nii.gz"), ("png", "low.png")], ids=lambda x: x
)
def test_truncated_files_are_refused(tmp_path, scan, format, name, keep):
    scan.write(tmp_path / "a", format=format)
    path = tmp_path / "a" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ImageError, match="truncated"):
        imaging.read(tmp_path / "a")


@pytest.mark.parametrize("name", ["low.dcm", "high.dcm", "low.png", "high.png"])
def test_a_missing_energy_is_named(tmp_path, scan, name):
    scan.write(tmp_path / "a", format="dicom" if name.endswith("dcm") else "png")
    (tmp_path / "a" / name).unlink()
    with pytest.raises(ImageError, match=f"{name} is missing; a scan is low"):
        imaging.read(tmp_path / "a")


def test_one_energy_twice_is_noticed(tmp_path, scan):
    scan.write(tmp_path / "a", format="png")
    (tmp_path / "a" / "high.png").write_bytes((tmp_path / "a" / "low.png").read_bytes())
    with pytest.raises(ImageError, match="both images hold the same pixels; one energy is missing"):
        imaging.read(tmp_path / "a")


def test_one_image_in_nifti_is_no_scan(tmp_path, scan):
    folder_of(tmp_path, scan, scan__nii=files.nifti(scan.low))
    with pytest.raises(ImageError, match="scan.nii holds one image, of one energy"):
        imaging.read(tmp_path)


@pytest.mark.parametrize("format", ["dicom", "png"])
def test_swapped_energies_are_noticed(tmp_path, scan, format):
    dataclasses.replace(scan, low=scan.high, high=scan.low).write(tmp_path / "a", format=format)
    with pytest.raises(ImageError, match="the two energies look swapped"):
        imaging.read(tmp_path / "a")


def test_folders_that_hold_no_scan_or_two(tmp_path, scan):
    with pytest.raises(ImageError, match="holds no scan; a scan is low.tif, high.tif and meta.json"):
        imaging.read(tmp_path)
    scan.write(tmp_path / "a")
    (tmp_path / "a" / "low.png").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"holds more than one scan \(low.tif, low.png"):
        imaging.read(tmp_path / "a")
    (tmp_path / "a" / "low.png").rename(tmp_path / "a" / "scan.dcm")
    with pytest.raises(ImageError, match="one folder is one scan"):
        imaging.read(tmp_path / "a")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_number(tmp_path, scan, value):
    images = np.stack([scan.low, scan.high]).astype(np.float32)
    images[1, 100, 100] = value
    folder_of(tmp_path, scan, scan__nii=files.nifti(images, code=16))
    with pytest.raises(ImageError, match="high energy: 1 pixels are NaN or infinite"):
        imaging.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: (a.astype(np.int32) - 60_000, 8), "the lowest value is -.*; counts cannot be negative"),
        (lambda a: (a.astype(np.int32) + 60_000, 8), "counts up to 65535 are read"),
        (lambda a: ((a / 65_535).astype(np.float32), 16), "a normalised picture, not raw counts"),
        (lambda a: ((a >> 8).astype(np.uint8), 2), r"pixels are 8-bit \(uint8\)"),
        (lambda a: ((a >> 9).astype(np.int8), 256), r"pixels are 8-bit \(int8\)"),
    ],
)
def test_values_that_are_no_counts(tmp_path, scan, change, message):
    images, code = change(np.stack([scan.low, scan.high]))
    folder_of(tmp_path, scan, scan__nii=files.nifti(images, code=code))
    with pytest.raises(ImageError, match=message):
        imaging.read(tmp_path)


def test_negative_counts_in_dicom(tmp_path, scan):
    signed = (scan.low.astype(np.int32) - 40_000).clip(-32_768, 32_767).astype(np.int16)
    for name in ("low", "high"):
        files.dicom(tmp_path / f"{name}.dcm", signed)
    with pytest.raises(ImageError, match="counts cannot be negative"):
        imaging.read(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": (3, 32_767, 32_767, 2, 1, 1, 1, 1)}, "32767 x 32767 pixels; images of 1 to 25,000,000"),
        ({"dims": (3, -5, 250, 2, 1, 1, 1, 1)}, "250 x -5 pixels"),
        ({"dims": (9, 200, 250, 2, 1, 1, 1, 1)}, "9 dimensions"),
        ({"dims": (3, 200, 250, 20, 1, 1, 1, 1)}, "one planar image, or two"),
        ({"dims": (3, 400, 250, 2, 1, 1, 1, 1)}, r"truncated or damaged\?\): 200,352 of 400,352 bytes"),
        ({"offset": math.nan}, "pixels start at byte nan"),
        ({"offset": 1e30}, "pixels start at byte"),
        ({"code": 128}, "its header says|colour picture"),
        ({"code": 32}, "data type 32 is not read"),
        ({"code": 64}, "has 64 bits, its header says 16"),
        ({"slope": math.inf}, "must be finite"),
        ({"spacing": (-0.6, 0.6)}, "pixdim is .*two positive numbers"),
    ],
)
def test_nifti_headers_that_are_refused(tmp_path, scan, options, message):
    folder_of(tmp_path, scan, scan__nii=files.nifti(np.stack([scan.low, scan.high]), **options))
    with pytest.raises(ImageError, match=message):
        imaging.read(tmp_path)


def test_other_kinds_of_nifti_are_named(tmp_path, scan):
    content = bytearray(files.nifti(np.stack([scan.low, scan.high])))
    content[344:348] = b"ni1\0"
    pairs = bytes(content)
    content[:4] = struct.pack("<i", 540)
    for variant in (pairs, bytes(content)):
        folder_of(tmp_path, scan, scan__nii=variant)
        with pytest.raises(ImageError, match=r"NIfTI-2 and .hdr/.img pairs are not read"):
            imaging.read(tmp_path)


class _Trap:
    def __reduce__(self):
        return (open, ("pickle_was_opened", "w"))


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", ["scan.dcm", "scan.nii.gz", "low.tif", "low.png"])
def test_a_pickle_is_never_opened(tmp_path, scan, name, protocol, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a"
    folder.mkdir()
    folder_of(folder, scan)
    (folder / name).write_bytes(pickle.dumps(_Trap(), protocol=protocol))
    if name.startswith("low"):
        (folder / name.replace("low", "high")).write_bytes(b"x")
    with pytest.raises(ImageError, match="is a Python pickle|does not begin like one"):
        imaging.read(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"%PDF-1.4", "is a PDF report"),
        (b"\xff\xd8\xff\xe0", "is a JPEG picture of 8 bits"),
        (b"\x93NUMPY", "is a NumPy file"),
        (b"plain text", "not an image of a kind that is read: DICOM, TIFF, PNG, NIfTI"),
    ],
)
def test_other_files_are_named(tmp_path, start, message):
    (tmp_path / "a").write_bytes(start + bytes(500))
    with pytest.raises(ImageError, match=message):
        imaging.read_radiograph(tmp_path / "a")


def test_bombs_do_not_go_off(tmp_path, scan):
    """Each of these would fill far more memory than its header says."""
    large = [b"\0" * 2**20] * 256
    squeeze = zlib.compressobj(9, wbits=31)
    header = files.nifti(np.stack([scan.low, scan.high]))[:352]
    bomb = squeeze.compress(header) + b"".join(map(squeeze.compress, large)) + squeeze.flush()
    (tmp_path / "bomb.nii.gz").write_bytes(bomb)
    squeeze = zlib.compressobj(9)
    strip = b"".join(map(squeeze.compress, large)) + squeeze.flush()
    tifffile.imwrite(tmp_path / "bomb.tif", scan.low, compression="zlib", rowsperstrip=250)
    with tifffile.TiffFile(tmp_path / "bomb.tif") as file:
        tags = {name: file.pages[0].tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")}
    content = bytearray((tmp_path / "bomb.tif").read_bytes())
    struct.pack_into("<I", content, tags["StripOffsets"], len(content))
    struct.pack_into("<I", content, tags["StripByteCounts"], len(strip))
    (tmp_path / "bomb.tif").write_bytes(bytes(content) + strip)
    (tmp_path / "bomb.png").write_bytes(files.png_header(2**30, 2**30) + strip)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("low.tif", bytes(2**20))
    for name, message in (
        ("bomb.nii.gz", "decompresses to more than the 200,352 bytes its header says"),
        ("bomb.tif", "decompresses to more than the 100,000 bytes its header allows"),
        ("bomb.png", f"images of 1 to {MAX_PIXELS:,} pixels are opened"),
        ("bomb.zip", "is a zip archive; unpack it first"),
    ):
        start = time.perf_counter()
        with pytest.raises(ImageError, match=message):
            imaging.read_radiograph(tmp_path / name)
        assert time.perf_counter() - start < SECONDS


def test_a_run_length_bomb(tmp_path, scan):
    segments = struct.pack("<16L", 2, 64, 40_064, *[0] * 13) + b"\x81\0" * 40_000  # 5 MB out of 80 kB
    for name, image in (("low", scan.low), ("high", scan.high)):
        files.dicom(tmp_path / f"{name}.dcm", image, syntax=files.RLE, pixels=[segments])
    with pytest.raises(ImageError, match="a frame decompresses to more than the 100,000 bytes its header says"):
        imaging.read(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.dcm")
    for call in (imaging.read_radiograph, imaging.dicom_private_blocks):
        with pytest.raises(ImageError, match="a.dcm is not a file"):
            call(tmp_path / "a.dcm")


def test_a_file_that_is_no_image_by_its_size_is_not_opened(tmp_path):
    with open(tmp_path / "huge.tif", "wb") as handle:
        handle.write(b"II*\0")
        handle.truncate(300 * 2**20)  # sparse
    with pytest.raises(ImageError, match="image files up to 268,435,456 bytes are opened"):
        imaging.read_radiograph(tmp_path / "huge.tif")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 16, "colour": 2}, r"is a colour picture \(a screenshot"),
        ({"depth": 8, "colour": 6}, "is a colour picture"),
        ({"depth": 8, "colour": 3}, "is a colour picture"),
        ({"depth": 4, "colour": 0}, "pixels have 4 bits"),
    ],
)
def test_other_png_files(tmp_path, scan, options, message):
    header = files.png_header(250, 200, **options)
    folder_of(tmp_path, scan, low__png=header + bytes(100), high__png=header + bytes(100))
    with pytest.raises(ImageError, match=message):
        imaging.read(tmp_path)


def test_eight_bit_png_and_tiff(tmp_path, scan):
    folder_of(tmp_path, scan)
    for name, image in (("low", scan.low), ("high", scan.high)):
        Image.fromarray((image >> 8).astype(np.uint8)).save(tmp_path / f"{name}.png")
    with pytest.raises(ImageError, match="pixels are uint8; raw detector counts must be 16-bit"):
        imaging.read(tmp_path)


def test_a_tiff_compression_without_a_bound(tmp_path, scan):
    scan.write(tmp_path / "a")
    path = tmp_path / "a" / "low.tif"
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags["Compression"].valueoffset
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, offset, 5)
    path.write_bytes(content)
    with pytest.raises(ImageError, match="is compressed with LZW; save it uncompressed or with Deflate"):
        imaging.read(tmp_path / "a")


@pytest.mark.parametrize("options", [{"tile": (64, 64), "compression": "zlib"}, {"rowsperstrip": 60}])
def test_tiff_layouts(tmp_path, scan, options):
    scan.write(tmp_path / "a")
    tifffile.imwrite(tmp_path / "a" / "low.tif", scan.low, **options)
    assert np.array_equal(imaging.read(tmp_path / "a").low, scan.low)


def test_a_tiff_file_without_one_of_its_strips(tmp_path, scan):
    scan.write(tmp_path / "a")
    path = tmp_path / "a" / "low.tif"
    tifffile.imwrite(path, scan.low, rowsperstrip=50)
    with tifffile.TiffFile(path) as file:
        count = file.pages[0].tags["StripByteCounts"]
    n = count.valuebytecount // count.count
    content = bytearray(path.read_bytes())
    content[count.valueoffset : count.valueoffset + n] = bytes(n)
    path.write_bytes(content)
    with pytest.raises(ImageError, match="80,000 of 100,000 bytes of pixels"):
        imaging.read(tmp_path / "a")


def test_a_picture_of_attenuation_is_no_scan(tmp_path, scan):
    inverted = dataclasses.replace(scan, low=65_535 - scan.low, high=65_535 - scan.high)
    inverted.write(tmp_path / "a", format="png")
    with pytest.raises(ImageError, match="more than twice as bright as its sides; counts must be highest in air"):
        imaging.read(tmp_path / "a")


def test_an_image_with_no_arm(tmp_path, scan, calibration):
    rng = np.random.default_rng(1)
    empty = [rng.poisson(50_000, scan.low.shape).astype(np.uint16) for _ in range(2)]
    dataclasses.replace(scan, low=empty[0], high=empty[1]).write(tmp_path / "a", format="nifti")
    with pytest.raises(ImageError, match="no arm in the field"):
        imaging.decompose(imaging.read(tmp_path / "a"), calibration)
    assert imaging.features(tmp_path / "a", calibration)["qc_flag"][0] == "no_arm"


def test_mask_and_image_of_different_size():
    with pytest.raises(ImageError, match=r"image .50, 50. and mask .50, 40. must be two-dimensional"):
        texture(np.ones((50, 50)), np.ones((50, 40), dtype=bool), (0.6, 0.6))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"spacing_mm": [' + LARGE + ", 1]}", '{"magnification": ' + LARGE + "}"], ids=len
)
def test_a_sidecar_made_to_trip_is_refused(tmp_path, scan, text):
    scan.write(tmp_path / "a")
    if text.startswith("{"):
        text = json.dumps(dict(scan.meta))[:-1] + ", " + text[1:]
    (tmp_path / "a" / "meta.json").write_text(text)
    with pytest.raises(ImageError):
        imaging.read(tmp_path / "a")


# damage at random


def damaged(content, rng):
    """Some bytes overwritten, a piece cut out, doubled or cut off, mostly near the start where headers are."""
    content = bytearray(content)
    reach = len(content) if rng.random() < 0.3 else min(len(content), 2000)
    kind = rng.integers(5)
    at = int(rng.integers(reach))
    if kind == 0:
        return bytes(content[:at])
    if kind == 1:
        return bytes(content[:at] + content[at + int(rng.integers(1, 200)) :])
    if kind == 2:
        return bytes(content[: at + 100] + content[at:])
    for _ in range(int(rng.integers(1, 12))):
        content[int(rng.integers(reach))] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    return bytes(content)


FUZZ = {
    "tiff": ("tiff", "low.tif"),
    "dicom": ("dicom", "low.dcm"),
    "nifti": ("nifti", "scan.nii.gz"),
    "nifti_plain": ("nifti", "scan.nii"),
    "png": ("png", "low.png"),
    "jpeg_2000": ("dicom", "low.dcm"),
    "rle": ("dicom", "low.dcm"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FUZZ)
def test_damage_ends_in_an_image_error_or_a_scan(tmp_path, scan, kind):
    format, name = FUZZ[kind]
    folder = tmp_path / "a"
    scan.write(folder, format=format)
    path = folder / name
    if kind == "nifti_plain":
        path.write_bytes(gzip.decompress((folder / "scan.nii.gz").read_bytes()))
        (folder / "scan.nii.gz").unlink()
    if kind == "jpeg_2000":
        files.dicom(path, scan.low, syntax=files.JPEG_2000, pixels=[files.jpeg_2000(scan.low)], PatientID=None)
    if kind == "rle":
        files.dicom(path, scan.low, syntax=files.RLE, PatientID=None)
    whole = path.read_bytes()
    imaging.read_radiograph(path) if kind in ("jpeg_2000", "rle") else imaging.read(folder)
    rng = np.random.default_rng(7)
    refused, slowest = 0, 0.0
    for _ in range(FUZZED):
        path.write_bytes(damaged(whole, rng))
        start = time.process_time()
        try:
            assert isinstance(imaging.read(folder), imaging.ForearmScan)
        except ImageError:
            refused += 1
        if format == "dicom":
            with contextlib.suppress(ImageError):
                imaging.dicom_private_blocks(path)
        slowest = max(slowest, time.process_time() - start)
    assert slowest < SECONDS
    assert 0 < refused <= FUZZED


# real images, where they are


@needs_real_images
def test_a_chest_is_no_forearm():
    chest = Path(REAL) / "pydicom" / "RG1_J2KI.dcm"
    with pytest.raises(ImageError, match="holds one image, of one energy; a scan needs two"):
        imaging.read(chest)
    with pytest.raises(ImageError, match="BodyPartExamined is 'CHEST'; a scan of the forearm is needed"):
        imaging.read(chest, high=chest)
    radiograph = imaging.read_radiograph(chest)
    assert {"no_spacing"} <= set(radiograph.flags)
    assert radiograph.meta["inverted"] is True
    # spine bright, lungs dark, as a radiograph is shown
    assert np.median(radiograph.image[900:1000, 880:960]) > np.median(radiograph.image[600:800, 500:700])


@needs_real_images
@pytest.mark.parametrize("name", ["RG3_J2KR.dcm", "RG3_J2KI.dcm"])
def test_a_shin_is_shown(name):
    radiograph = imaging.read_radiograph(Path(REAL) / "pydicom" / name)
    assert radiograph.image.shape == (1760, 1760)
    assert "no_spacing" in radiograph.flags
    assert radiograph.image.max() == 1023
    with pytest.raises(ImageError, match="of one energy"):
        imaging.read(Path(REAL) / "pydicom" / name)


@needs_real_images
def test_wrists_of_children_are_no_scans(calibration, tmp_path):
    for path in sorted((Path(REAL) / "grazpedwri").glob("*.png")):
        radiograph = imaging.read_radiograph(path)
        assert radiograph.flags == ("no_spacing",)
        with pytest.raises(ImageError, match="of one energy"):
            imaging.features(path, calibration)
        with pytest.raises(ImageError, match="radiograph of one energy"):
            imaging.features(radiograph, calibration)
        sidecar = tmp_path / "meta.json"
        sidecar.write_text('{"laterality": "L", "spacing_mm": [0.144, 0.144]}')
        with pytest.raises(ImageError, match="both images hold the same pixels"):
            imaging.read(path, high=path, sidecar=sidecar)
