"""DICOM files of planar X-ray images, and the private blocks of densitometers."""

from __future__ import annotations

import contextlib
import math
import struct
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from dxa_causal._core.errors import ImageError
from dxa_causal._core.optional import require
from dxa_causal.imaging.image_file import MAX_COUNT, ImageFile, Pixels, check_size, file_bytes, spacing_of

MODALITIES = ("DX", "CR", "BMD", "OT", "SC")
MARK = b"DICM"  # at byte 128

_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_RLE = "1.2.840.10008.1.2.5"
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CODESTREAM = b"\xff\x4f\xff\x51"  # start of a JPEG 2000 image and of its size segment
_ELSEWHERE = ("CHEST", "SPINE", "HIP", "PELVIS", "SKULL", "HEAD", "ABDOMEN", "FEMUR", "KNEE", "LEG", "ANKLE", "FOOT",
              "BREAST", "NECK", "SHOULDER", "WHOLEBODY", "HEART", "JAW")  # fmt: skip
_PRIVATE = {  # creator, group: elements
    ("HOLOGIC", 0x0021): (0x01,),
    ("HOLOGIC", 0x0023): (0x01, 0x02, 0x03, 0x04, 0x05),
    ("GEMS_LUNAR_RAW", 0x7003): (0x01, 0x02, 0x03, 0x04),
}


def load(path: Path) -> ImageFile:
    """Read a DICOM file with one or two grey frames.

    Raises
    ------
    ImageError
        Damaged; another modality, transfer syntax or number of frames; colour;
        a JPEG 2000 file without a decoder.
    """
    require("pydicom", extra="imaging")
    with _readable(path):
        data, syntax = _open(path, pixels=True)
        return _image_file(data, syntax, path)


def dicom_private_blocks(path: str | Path) -> dict[str, bytes]:
    """Private data elements of densitometers in a DICOM file, as bytes.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to bytes
        Keys are creator and tag, such as ``"HOLOGIC (0023,xx02)"``; values are
        as stored, padding included. Empty when the file has none. A creator's
        second block in one group has ``" #2"`` after the tag.

    Raises
    ------
    ImageError
        The file is not a DICOM file, or damaged.

    Notes
    -----
    Known elements: creator HOLOGIC, (0021,xx01) analysis in XML, (0023,xx01) to
    (0023,xx03) name, data and length of the P file, (0023,xx04) and (0023,xx05)
    data and length of the R file; creator GEMS_LUNAR_RAW, (7003,xx01) to
    (7003,xx04) file name, data, length and whether modified. The formats are the
    manufacturers' own and undocumented: nothing is decoded. They may name the
    patient.

    Examples
    --------
    >>> import tempfile, dxa_causal as dc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dc.simulate.forearm(1)[0].write(folder + "/scan", format="dicom")
    ...     dc.imaging.dicom_private_blocks(folder + "/scan/low.dcm")
    {}
    """
    require("pydicom", extra="imaging")
    path = Path(path)
    found: dict[str, bytes] = {}
    with _readable(path):
        data, _ = _open(path, pixels=False)
        for (creator, group), elements in _PRIVATE.items():
            for n, block in enumerate(_blocks(data, group, creator)):
                for element in elements:
                    value = _bytes_of(data, (group, block << 8 | element))
                    if value is not None:
                        found[f"{creator} ({group:04x},xx{element:02x})" + (f" #{n + 1}" if n else "")] = value
    return found


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever damaged bytes make pydicom or a decoder raise becomes an ImageError; their warnings are dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(f"{path} cannot be read as DICOM (truncated or damaged?): {error}") from error


def _open(path: Path, *, pixels: bool) -> tuple[Any, str]:
    """The data set and its transfer syntax; a deflated one could hold anything, so it is not inflated."""
    import pydicom
    from pydicom.filereader import read_file_meta_info

    content = file_bytes(path)
    if content[128:132] != MARK:
        raise ImageError(f"{path} cannot be read as DICOM (truncated or damaged?): no mark DICM at byte 128")
    syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    allowed = (*_NATIVE, _RLE, *_JPEG_2000)
    if syntax.endswith(".1.99") or (pixels and syntax not in allowed):
        name = pydicom.uid.UID(syntax).name if syntax else "missing"
        raise ImageError(
            f"{path}: transfer syntax {name} is not read; export it uncompressed (explicit or implicit VR), as RLE or "
            "as JPEG 2000"
        )
    return pydicom.dcmread(BytesIO(content), stop_before_pixels=not pixels), syntax


def _image_file(data: Any, syntax: str, path: Path) -> ImageFile:
    modality = str(data.get("Modality", ""))
    if modality not in MODALITIES:
        raise ImageError(f"{path}: modality is {modality!r}; {', '.join(MODALITIES)} are read")
    if "PixelData" not in data:
        raise ImageError(f"{path} has no pixels (truncated, or a report?)")
    photometric = str(data.get("PhotometricInterpretation", ""))
    if int(data.get("SamplesPerPixel", 1)) != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise ImageError(f"{path} is a colour picture ({photometric}; a screenshot?); grey counts are needed")
    n = int(data.get("NumberOfFrames", None) or 1)
    if n not in (1, 2):
        raise ImageError(f"{path} holds {n} frames; one, or two (low, high), are read")
    check_size(int(data.Rows), int(data.Columns), path)
    if data.BitsAllocated not in (8, 16):
        raise ImageError(f"{path}: pixels have {data.BitsAllocated} bits; raw detector counts need 16")
    _check_compressed(data, syntax, n, path)
    stored = np.asarray(data.pixel_array).reshape(n, int(data.Rows), int(data.Columns))
    bits = int(data.BitsStored)
    if bits <= 8:
        stored = stored.astype(np.int8 if data.PixelRepresentation else np.uint8)
    frames, limits, rescale = _rescaled(stored, data, bits, path)
    meta = _meta(data, path) | {"modality": modality, "photometric": photometric, "rescale": list(rescale)}
    if 0 < limits[1] < MAX_COUNT:
        meta["max_count"] = limits[1]
    return ImageFile(
        frames=tuple(frames),
        format="dicom",
        meta=meta,
        flags=tuple(_flags(data, modality)),
        monochrome1=photometric == "MONOCHROME1",
        sign=_sign(data),
        mirror_sum=sum(limits),
        not_counts=_not_counts(data, meta),
    )


def _check_compressed(data: Any, syntax: str, n: int, path: Path) -> None:
    """A decoder must be there, and what it will make must have the size that the header says."""
    if syntax not in (_RLE, *_JPEG_2000):
        return
    from pydicom.encaps import generate_frames

    expected = int(data.Rows) * int(data.Columns) * int(data.BitsAllocated) // 8
    frames = list(generate_frames(data.PixelData, number_of_frames=n))
    if len(frames) != n or any(len(frame) > expected + expected // 4 + 65_536 for frame in frames):
        raise ImageError(f"{path} is damaged: {len(frames)} compressed frames do not fit its header")
    if syntax == _RLE:
        if any(_run_lengths(frame, expected) > expected + 64 for frame in frames):  # room for padding
            raise ImageError(f"{path}: a frame decompresses to more than the {expected:,} bytes its header says")
        return
    for frame in frames:
        at = frame.find(_CODESTREAM)
        size = struct.unpack(">4I", frame[at + 8 : at + 24]) if at >= 0 and len(frame) >= at + 24 else None
        if size is None or (size[1] - size[3], size[0] - size[2]) != (data.Rows, data.Columns):
            raise ImageError(f"{path} is damaged: its JPEG 2000 image does not have the size that its header says")
    if not _jpeg_2000_decoder(syntax):
        raise ImageError(
            f"{path} is compressed with JPEG 2000; that needs a decoder: pip install pillow "
            "(or: pip install pylibjpeg pylibjpeg-openjpeg)"
        )


def _run_lengths(frame: bytes, expected: int) -> int:
    """Bytes that the segments of an RLE frame would make, counted little further than expected; pydicom does not."""
    n, *starts = struct.unpack("<16L", frame[:64])
    size = 0
    for start, stop in zip(starts[:n], [*starts[1:n], len(frame)]):
        at = start
        while at < stop and size <= expected + 64:
            code = frame[at]  # up to 127: so many bytes and one follow; above 128: one byte, repeated
            size += code + 1 if code < 128 else (257 - code) % 129
            at += code + 2 if code < 128 else 2 if code > 128 else 1
    return size


def _jpeg_2000_decoder(syntax: str) -> bool:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    return bool(get_decoder(UID(syntax)).is_available)


def _rescaled(
    stored: Pixels, data: Any, bits: int, path: Path
) -> tuple[Pixels, tuple[float, float], tuple[float, float]]:
    """Values, the lowest and highest that can be stored, and the slope and intercept that were applied."""
    slope, intercept = (
        _number(data, name, default) for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        raise ImageError(f"{path}: rescale slope {slope} and intercept {intercept} cannot be applied")
    limits = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.PixelRepresentation else (0, 2**bits - 1)
    if (slope, intercept) == (1.0, 0.0) or stored.dtype.itemsize == 1:  # rescaling gives 8 bits no more levels
        return stored, limits, (1.0, 0.0)
    scaled = sorted((slope * limits[0] + intercept, slope * limits[1] + intercept))
    return stored.astype(np.float64) * slope + intercept, (scaled[0], scaled[1]), (slope, intercept)


def _meta(data: Any, path: Path) -> dict[str, Any]:
    """What the header says, under the names of the sidecar; never a name or a date of birth."""
    found: dict[str, Any] = {}
    pixel = _spacing(data, "PixelSpacing", path)
    imager = _spacing(data, "ImagerPixelSpacing", path)
    magnification = _number(data, "EstimatedRadiographicMagnificationFactor", math.nan)
    for name, value in (("PixelSpacing", pixel), ("ImagerPixelSpacing", imager)):
        if value is not None and "spacing_mm" not in found:
            found |= {"spacing_mm": list(value), "spacing_from": name}
    # a PixelSpacing that differs from the detector's has been brought to the patient's plane already
    in_detector_plane = pixel is None or pixel == imager
    if imager is not None and in_detector_plane and math.isfinite(magnification) and magnification > 0:
        found["magnification"] = magnification
    side = {str(data.get(name, "") or "").strip().upper() for name in ("ImageLaterality", "Laterality")} - {""}
    if len(side) > 1:
        raise ImageError(f"{path}: ImageLaterality and Laterality contradict each other ({' and '.join(sorted(side))})")
    if side & {"R", "L"}:
        found["laterality"] = side.pop()
    for name, tag in (
        ("subject_id", "PatientID"),
        ("device_id", "DeviceSerialNumber"),
        ("sex", "PatientSex"),
        ("body_part", "BodyPartExamined"),
    ):
        if text := str(data.get(tag, "") or "").strip():
            found[name] = text
    for name, tag, unit in (("height_cm", "PatientSize", 100.0), ("kvp", "KVP", 1.0)):
        number = unit * _number(data, tag, math.nan)
        if math.isfinite(number) and number > 0:
            found[name] = round(number, 6)
    return found


def _spacing(data: Any, name: str, path: Path) -> tuple[float, float] | None:
    """A spacing tag, None when it is missing, empty or zero."""
    value = data.get(name)
    if value is None or value == "":
        return None
    numbers = [float(v) for v in value] if not isinstance(value, str | float | int) else [math.nan]
    found = spacing_of(numbers, path, name=name)
    return found if math.isfinite(found[0]) else None


def _number(data: Any, name: str, default: float) -> float:
    value = data.get(name)
    return float(default) if value is None or value == "" else float(value)


def _sign(data: Any) -> int | None:
    value = data.get("PixelIntensityRelationshipSign")
    return int(value) if value in (1, -1) else None


def _flags(data: Any, modality: str) -> Iterator[str]:
    burnt = str(data.get("BurnedInAnnotation", "") or "").strip().upper()
    capture = modality == "SC" or str(data.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE)
    if burnt == "YES" or (capture and burnt != "NO"):
        yield "burnt_in_identity"
    if str(data.get("LossyImageCompression", "")).strip() == "01":
        yield "lossy_compression"


def _not_counts(data: Any, meta: dict[str, Any]) -> str:
    part = str(meta.get("body_part", "")).upper()
    if any(word in part for word in _ELSEWHERE):
        return f"BodyPartExamined is {part!r}; a scan of the forearm is needed"
    if str(data.get("PixelIntensityRelationship", "")).strip().upper() == "LOG":
        return "PixelIntensityRelationship is 'LOG'; raw counts (LIN) are needed"
    if data.get("ModalityLUTSequence"):
        return "pixels go through a Modality LUT; raw counts are needed"
    return ""


def _blocks(data: Any, group: int, creator: str) -> Iterator[int]:
    for block in range(0x10, 0x100):
        value = _bytes_of(data, (group, block))
        if value is not None and value.decode("ascii", "replace").strip(" \0").upper() == creator:
            yield block


def _bytes_of(data: Any, tag: tuple[int, int]) -> bytes | None:
    """A value as stored: an element that pydicom has not converted yet still has its bytes."""
    if tag not in data:
        return None
    value = data.get_item(tag).value
    if value is None:
        return b""
    return value if isinstance(value, bytes) else str(value).encode()
