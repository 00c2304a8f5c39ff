"""One X-ray image of one energy: to look at, never to measure mineral in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging.image_file import spacing_of
from dxa_causal.imaging.open_image import open_image


@dataclass(frozen=True, eq=False, slots=True)
class Radiograph:
    """A radiograph as it is shown.

    Attributes
    ----------
    image : (rows, columns) ndarray of float
        Grey values, read-only, in the orientation of the file.
    spacing_mm : (float, float)
        Pixel spacing (row, column), mm; NaN when the file gives none.
    laterality : {"R", "L", ""}
    flags : tuple of str
        ``no_spacing``, ``burnt_in_identity``, ``lossy_compression``.
    meta : mapping
        What the file says: where the spacing came from, whether the values were
        inverted and so on.
    name : str
        The file, for messages.
    """

    image: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float]
    laterality: str = ""
    flags: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __repr__(self) -> str:
        rows, columns = self.image.shape
        return f"Radiograph({self.name or 'unnamed'}, {rows} x {columns} px, spacing {self.spacing_mm} mm)"


def read_radiograph(path: str | Path) -> Radiograph:
    """Read a single X-ray image for display, deskewing and texture.

    Parameters
    ----------
    path : path
        DICOM, TIFF, PNG or NIfTI, one grey image of 8 or 16 bits (NIfTI: any
        number type).

    Returns
    -------
    Radiograph
        Never taken by :func:`features`: mineral density needs two energies and a
        calibration.

    Raises
    ------
    ImageError
        The file is damaged, in colour, or holds more than one image.

    Notes
    -----
    DICOM images are brought to bright bone: those with MONOCHROME1, or with a
    PixelIntensityRelationshipSign of 1, are inverted and `meta` records it. The
    other formats do not say what their values mean and are shown as stored.
    Without a spacing the image can be shown, not measured in mm.

    Examples
    --------
    >>> import tempfile, dxa_causal as dc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dc.simulate.forearm(1)[0].write(folder + "/scan", format="dicom")
    ...     dc.imaging.read_radiograph(folder + "/scan/low.dcm").spacing_mm
    (0.6, 0.6)
    """
    path = Path(path)
    file = open_image(path)
    if len(file.frames) != 1:
        raise ImageError(f"{path} holds {len(file.frames)} images; a radiograph is one (imaging.read reads pairs)")
    image = np.array(file.frames[0], dtype=np.float64)
    if image.ndim != 2:
        raise ImageError(f"{path}: the image has shape {image.shape}; one grey image is needed, not colour")
    if not np.isfinite(image).all():
        raise ImageError(f"{path}: {int((~np.isfinite(image)).sum())} pixels are NaN or infinite")
    inverted = file.monochrome1 if file.sign is None else file.sign > 0
    if inverted:
        image = file.mirror_sum - image
    image.flags.writeable = False
    spacing = spacing_of(file.meta.get("spacing_mm"), path)
    flags = file.flags if math.isfinite(spacing[0]) else (*file.flags, "no_spacing")
    meta = {"spacing_from": ""} | dict(file.meta) | {"inverted": inverted}
    side = str(file.meta.get("laterality", ""))
    return Radiograph(image=image, spacing_mm=spacing, laterality=side, flags=flags, meta=meta, name=str(path))
