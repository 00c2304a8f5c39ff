"""Files that tests need and no writer of the package makes: odd headers, two frames, damage."""

import io
import struct
import zlib

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"


def dicom(path, frames, *, syntax=EXPLICIT, pixels=None, **tags):
    """A DICOM file of one or more (rows, columns) frames; `tags` are set last, None removes one."""
    frames = np.asarray(frames)
    frames = frames[None] if frames.ndim == 2 else frames
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UID(syntax)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=["test"])
    data.Modality, data.PatientID, data.ImageLaterality = "DX", "p1", "R"
    data.ImagerPixelSpacing = [0.6, 0.6]
    data.Rows, data.Columns = frames.shape[1:3]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * frames.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(frames.dtype.kind == "i")
    if len(frames) > 1:
        data.NumberOfFrames = len(frames)
    little = syntax != BIG
    data.PixelData = frames.astype(frames.dtype.newbyteorder("<" if little else ">")).tobytes()
    if pixels is not None:
        data.PixelData = encapsulate(pixels)
        data["PixelData"].VR = "OB"
    data["PixelData"].VR = "OB" if pixels is not None else "OW"
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    if syntax == RLE and pixels is None:
        data.file_meta.TransferSyntaxUID = UID(EXPLICIT)
        data.compress(UID(RLE))
    pydicom.dcmwrite(path, data, enforce_file_format=True)


def jpeg_2000(image):
    """A lossless JPEG 2000 codestream of a 16-bit image."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    return buffer.getvalue()


def nifti(
    images, *, code=512, spacing=(0.6, 0.6), units=2, order="<", slope=1.0, intercept=0.0, dims=None, offset=352.0
):
    """Bytes of a NIfTI-1 file of (n, rows, columns) or (rows, columns) pixels."""
    images = np.asarray(images)
    images = images[None] if images.ndim == 2 else images
    n, rows, columns = images.shape
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, *(dims or (3, columns, rows, n, 1, 1, 1, 1)))
    struct.pack_into(order + "hh", header, 70, code, 8 * images.dtype.itemsize)
    struct.pack_into(order + "8f", header, 76, 1.0, spacing[1], spacing[0], 1.0, 0, 0, 0, 0)
    struct.pack_into(order + "3f", header, 108, offset, slope, intercept)
    header[123] = units
    header[344:348] = b"n+1\0"
    return bytes(header) + images.astype(images.dtype.newbyteorder(order)).tobytes()


def png_header(rows, columns, *, depth=16, colour=0):
    """The first bytes of a PNG file with such dimensions."""
    body = b"IHDR" + struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
