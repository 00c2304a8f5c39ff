"""A look at one scan: its mineral map with what was found on it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import decompose
from dxa_causal.imaging.features import forearm_length
from dxa_causal.imaging.pair import HasImages
from dxa_causal.imaging.read import ForearmScan, read
from dxa_causal.imaging.segmentation import segment

SITES = {"third": "one-third", "mid": "mid", "ultradistal": "ultradistal"}

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def show(image: ForearmScan | HasImages | str | Path, calibration: Calibration, *, ax: Axes | None = None) -> Axes:
    """Draw a scan's bone mineral with bone outlines and the sites of the radius.

    Parameters
    ----------
    image : ForearmScan, path or simulated scan
        Anything :func:`read` takes, or what it returned.
    calibration : Calibration
        Of the scan's device.
    ax : Axes, optional

    Returns
    -------
    Axes
        Map in g/cm2 with a scale bar in mm; left arms mirrored, radius at low
        columns.

    Raises
    ------
    UnmeasurableScanError
        The scan cannot be decomposed or segmented.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> wedge, phantom = dc.simulate.calibration_scans(device="k_edge", seed=1)
    >>> ax = dc.imaging.show(dc.simulate.forearm(1)[0], dc.imaging.calibrate(wedge, phantom))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['radius', 'ulna', 'carpus', 'one-third radius', 'mid radius', 'ultradistal radius']
    """
    from dxa_causal.plots.images import scan_with_rois

    scan = read(image)
    maps = decompose(scan, calibration)
    seg = segment(maps)
    length, _ = forearm_length(scan)
    outlines = seg.site_outlines(length) if math.isfinite(length) else {}
    rois = {f"{SITES[name]} radius": corners for name, corners in outlines.items()}
    return scan_with_rois(maps.ha, seg.labels, rois, spacing=seg.pixel_mm, ax=ax)
