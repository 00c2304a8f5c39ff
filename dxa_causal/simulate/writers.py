"""Scans to files, in each format that scans come in."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.files import atomic_folder
from dxa_causal._core.optional import require
from dxa_causal._core.options import check_option
from dxa_causal.simulate._physics import CountArray

ScanFormat = Literal["tiff", "nifti", "dicom", "png"]

_NIFTI_UINT16, _NIFTI_MM, _NIFTI_DATA_AT = 512, 2, 352
_DX_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


class Scan(Protocol):
    """What can be written: two images and what the site knows about them."""

    @property
    def low(self) -> CountArray: ...  # noqa: D102
    @property
    def high(self) -> CountArray: ...  # noqa: D102
    @property
    def meta(self) -> Mapping[str, Any]: ...  # noqa: D102


def write_scan(scan: Scan, path: str | Path, *, format: ScanFormat = "tiff") -> None:
    """Write a scan into a folder that imaging reads.

    Parameters
    ----------
    scan : SimulatedScan or ForearmScan
        A left arm that was mirrored on reading is written as it was acquired.
    path : path
        The folder; it is whole or absent afterwards, and replaced if it is there.
    format : {"tiff", "nifti", "dicom", "png"}
        ``low.tif`` and ``high.tif`` (16 bits, Deflate); ``scan.nii.gz`` with the two
        energies in the third dimension; ``low.dcm`` and ``high.dcm`` (modality BMD,
        uncompressed); ``low.png`` and ``high.png`` (16 bits). ``meta.json`` always.

    Raises
    ------
    OptionError
        Another format, or images that are not two grey ones of 16 bits and one
        size.

    Examples
    --------
    >>> import tempfile, pathlib, dxa_causal as dc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dc.simulate.write_scan(dc.simulate.forearm(1)[0], folder + "/scan", format="png")
    ...     sorted(file.name for file in pathlib.Path(folder, "scan").iterdir())
    ['high.png', 'low.png', 'meta.json']
    """
    check_option("format", format, ScanFormat)
    low, high = (np.asarray(image) for image in (scan.low, scan.high))
    if low.ndim != 2 or low.shape != high.shape or low.dtype != np.uint16 or high.dtype != np.uint16:
        raise OptionError(
            f"scan holds images of {low.shape} {low.dtype} and {high.shape} {high.dtype}; two of one size, uint16"
        )
    if getattr(scan, "mirrored", False):
        low, high = low[:, ::-1], high[:, ::-1]
    with atomic_folder(Path(path)) as folder:
        write_images(folder, low, high, scan.meta, format=format)


def write_images(
    folder: Path, low: CountArray, high: CountArray, meta: Mapping[str, Any], *, format: ScanFormat = "tiff"
) -> None:
    """Write two images and meta.json into an existing folder."""
    if format == "nifti":
        volume = nifti_bytes(np.stack([low, high]), meta.get("spacing_mm"))
        (folder / "scan.nii.gz").write_bytes(gzip.compress(volume, mtime=0))
    else:
        for energy, image in (("low", low), ("high", high)):
            _WRITERS[format](folder, energy, np.ascontiguousarray(image), meta)
    (folder / "meta.json").write_text(json.dumps(dict(meta), indent=1) + "\n", encoding="utf-8")


def nifti_bytes(volume: CountArray, spacing_mm: Any) -> bytes:
    """A single-file NIfTI-1 image of a (n, rows, columns) volume; without a spacing its unit is unknown."""
    n, rows, columns = volume.shape
    row_mm, column_mm = spacing_mm or (0.0, 0.0)
    header = bytearray(_NIFTI_DATA_AT)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3 if n > 1 else 2, columns, rows, n, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, _NIFTI_UINT16, 16)
    struct.pack_into("<8f", header, 76, 1.0, column_mm, row_mm, 1.0, 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<3f", header, 108, float(_NIFTI_DATA_AT), 1.0, 0.0)
    header[123] = _NIFTI_MM if spacing_mm else 0
    header[344:348] = b"n+1\0"
    return bytes(header) + np.ascontiguousarray(volume, dtype="<u2").tobytes()


def _tiff(folder: Path, energy: str, image: CountArray, meta: Mapping[str, Any]) -> None:
    require("tifffile", extra="imaging")
    import tifffile

    tifffile.imwrite(folder / f"{energy}.tif", image, compression="zlib", photometric="minisblack", metadata=None)


def _png(folder: Path, energy: str, image: CountArray, meta: Mapping[str, Any]) -> None:
    require("PIL", extra="imaging")
    from PIL import Image

    Image.fromarray(image).save(folder / f"{energy}.png")


def _dicom(folder: Path, energy: str, image: CountArray, meta: Mapping[str, Any]) -> None:
    """One energy: what the header has a tag for goes there, the rest stays in the sidecar."""
    require("pydicom", extra="imaging")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    named = str(meta.get("scan_id", ""))
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
    data.SOPClassUID = UID(_DX_FOR_PROCESSING)
    # from the content, so that one seed writes the same bytes every time
    data.SOPInstanceUID = generate_uid(entropy_srcs=[named, energy, image.tobytes().hex()])
    data.StudyInstanceUID = generate_uid(entropy_srcs=[named, "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[named, "series"])
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.Modality = "BMD"
    data.PatientName = ""
    data.PatientID = str(meta.get("subject_id", ""))
    data.PatientSex = str(meta.get("sex", ""))
    if "height_cm" in meta:
        data.PatientSize = round(float(meta["height_cm"]) / 100.0, 4)
    data.SeriesDescription = f"{energy} energy"
    data.DeviceSerialNumber = str(meta.get("device_id", ""))
    data.BodyPartExamined = "FOREARM"
    data.ImageLaterality = str(meta.get("laterality", ""))
    data.BurnedInAnnotation = "NO"
    if spacing := meta.get("spacing_mm"):
        data.ImagerPixelSpacing = [float(v) for v in spacing]
        data.EstimatedRadiographicMagnificationFactor = float(meta.get("magnification", 1.0))
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelIntensityRelationship = "LIN"
    data.PixelIntensityRelationshipSign = 1
    data.Rows, data.Columns = image.shape
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = image.astype("<u2").tobytes()
    data.save_as(folder / f"{energy}.dcm", enforce_file_format=True)


_WRITERS = {"tiff": _tiff, "png": _png, "dicom": _dicom}
