"""Images: a bone mineral map with the outlines and regions that were measured on it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import COLOURS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BONES = {3: ("radius", COLOURS[5]), 4: ("ulna", COLOURS[4]), 5: ("carpus", COLOURS[3])}


def scan_with_rois(
    bmd_map: npt.ArrayLike,
    labels: npt.ArrayLike,
    rois: Mapping[str, npt.ArrayLike],
    *,
    spacing: tuple[float, float],
    ax: Axes | None = None,
    scale_mm: float = 20.0,
) -> Axes:
    """Draw a bone mineral map in true proportions, with bone outlines and regions.

    Parameters
    ----------
    bmd_map : (rows, columns) array_like
        Areal bone mineral, g/cm2; NaN where unknown (drawn dull red).
    labels : (rows, columns) array_like of int
        0 air, 1 soft, 2 muscle, 3 radius, 4 ulna, 5 carpus.
    rois : mapping of str to (n, 2) array_like
        Corners (row, column) in pixels of each region to draw.
    spacing : (float, float)
        Pixel size (row, column), mm.
    ax : Axes, optional
    scale_mm : float
        Length of the scale bar, mm.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((40, 30), dtype=int)
    >>> labels[5:, 8:14] = 3
    >>> box = [(20, 6), (20, 16), (30, 16), (30, 6)]
    >>> scan_with_rois(0.6 * (labels == 3), labels, {"one-third radius": box}, spacing=(0.6, 0.6)).get_title()
    ''
    """
    image, tissue = np.asarray(bmd_map, dtype=np.float64), np.asarray(labels)
    if image.shape != tissue.shape:
        raise ValueError(f"bmd_map is {image.shape}, labels {tissue.shape} pixels")
    rows, columns = image.shape
    high = float(np.nanpercentile(image[tissue >= 3], 99)) if (tissue >= 3).any() else 1.0
    ax = new_axes(ax, width=4.6, height=0.6 + 4.0 * rows * spacing[0] / (columns * spacing[1]))
    shown = ax.imshow(image, cmap="gray", vmin=0.0, vmax=high, aspect=spacing[0] / spacing[1], interpolation="nearest")
    ax.set_facecolor("#804040")
    for value, (name, colour) in BONES.items():
        if (tissue == value).any():
            ax.contour(tissue == value, levels=[0.5], colors=[colour], linewidths=1.1)
            ax.plot([], [], color=colour, linewidth=1.1, label=name)
    for (name, corners), style in zip(rois.items(), itertools.cycle(("--", ":", "-."))):
        ring = np.vstack([np.asarray(corners, dtype=np.float64), np.asarray(corners, dtype=np.float64)[:1]])
        ax.plot(ring[:, 1], ring[:, 0], color=COLOURS[7], linewidth=1.4, linestyle=style, label=name)
    _scale_bar(ax, rows, columns, spacing, scale_mm)
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.03, extend="both")
    bar.set_label("bone mineral, g/cm²")
    handles, texts = ax.get_legend_handles_labels()
    if handles:
        ax.legend(handles, texts, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, frameon=False, fontsize=8)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
    return ax


def _scale_bar(ax: Axes, rows: int, columns: int, spacing: tuple[float, float], length_mm: float) -> None:
    left, row = 0.04 * columns, 0.96 * rows
    ax.plot([left, left + length_mm / spacing[1]], [row, row], color="white", linewidth=3, solid_capstyle="butt")
    ax.text(left, row - 0.015 * rows, f"{length_mm:g} mm", color="white", fontsize=8, va="bottom")
