"""Which reader a file needs, told by its first bytes and never by trying."""

from __future__ import annotations

from pathlib import Path

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging import dicom, nifti, png, tiff
from dxa_causal.imaging.image_file import ImageFile, file_bytes

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REFUSED = (
    (b"PK\x03\x04", "is a zip archive; unpack it first"),
    (b"PK\x05\x06", "is an empty zip archive"),
    (b"%PDF", "is a PDF report; the images themselves are needed"),
    (b"\xff\xd8\xff", "is a JPEG picture of 8 bits; raw counts need TIFF, PNG, NIfTI or DICOM with 16 bits"),
    (b"\x93NUMPY", "is a NumPy file; save it as TIFF, PNG, NIfTI or DICOM"),
    (b"\x89HDF", "is an HDF5 file; save it as TIFF, PNG, NIfTI or DICOM"),
)
_BY_SUFFIX = {".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG", ".dcm": "DICOM", ".nii": "NIfTI", ".gz": "NIfTI"}


def open_image(path: Path) -> ImageFile:
    """Read an image file of any format this room knows.

    Raises
    ------
    ImageError
        Another kind of file, or damaged. A pickle is refused unopened.
    """
    start = file_bytes(path, first=400)
    if start[128:132] == dicom.MARK:
        return dicom.load(path)
    if start.startswith(_TIFF):
        return tiff.load(path)
    if start.startswith(png.SIGNATURE):
        return png.load(path)
    if start.startswith(nifti.GZIP) or nifti.is_header(start):
        return nifti.load(path)
    for mark, why in _REFUSED:
        if start.startswith(mark):
            raise ImageError(f"{path} {why}")
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise ImageError(f"{path} is a Python pickle, not an image; pickles can run code and are never opened")
    expected = _BY_SUFFIX.get(path.suffix.lower())
    if expected:
        raise ImageError(f"{path} cannot be read as {expected} (truncated or damaged?): it does not begin like one")
    raise ImageError(f"{path} is not an image of a kind that is read: DICOM, TIFF, PNG, NIfTI (.nii, .nii.gz)")
