"""Figures that doubt an estimate of Mendelian randomisation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes


def radial_plot(
    square_weights: npt.NDArray[np.float64],
    ratios: npt.NDArray[np.float64],
    outlier: npt.NDArray[np.bool_],
    lines: dict[str, tuple[float, float]],
    ax: Axes | None = None,
) -> Axes:
    """Draw the radial plot: weighted ratios against the square root of their weights.

    Parameters
    ----------
    square_weights, ratios : (n,) ndarray
        Horizontal and vertical axis.
    outlier : (n,) ndarray of bool
    lines : dict of str to (intercept, slope)
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.4, height=4.6)
    for marked, colour, label in ((False, "black", "variants"), (True, COLOURS[1], "outliers")):
        here = outlier == marked
        if here.any():
            ax.plot(square_weights[here], ratios[here], "o", color=colour, markersize=4, label=label)
    ends = np.array([0.0, 1.05 * square_weights.max()])
    for i, (name, (intercept, slope)) in enumerate(lines.items()):
        colour = COLOURS[(i + 2) % len(COLOURS)]
        ax.plot(ends, intercept + slope * ends, ("-", "--")[i % 2], color=colour, label=name)
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlim(*ends)
    ax.set_xlabel("Square root of the weight")
    ax.set_ylabel("Ratio times square root of the weight")
    strip(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax


def leave_one_out_plot(table: pd.DataFrame, ax: Axes | None = None, *, label: str = "Effect") -> Axes:
    """Draw the estimate without each variant, and with all of them below.

    Parameters
    ----------
    table : DataFrame
        Columns variant, estimate, conf_low, conf_high; the row of variant
        "all" holds the estimate from every variant.
    ax : Axes, optional
    label : str
        Of the horizontal axis.

    Returns
    -------
    Axes
    """
    single = table[table["variant"] != "all"].sort_values("estimate", ascending=False)
    everybody = table[table["variant"] == "all"]
    ax = new_axes(ax, width=6.4, height=1.4 + 0.17 * (len(single) + 1))
    at = np.concatenate([np.arange(len(single) + 1, 1, -1), np.ones(len(everybody))])
    names = [*("without " + single["variant"].astype(str)), *everybody["variant"]]
    for rows, position, colour, size in (
        (single, at[: len(single)], "black", 3.0),
        (everybody, [1.0], COLOURS[1], 5.5),
    ):
        ax.hlines(position, rows["conf_low"], rows["conf_high"], color=colour, linewidth=1.0)
        ax.plot(rows["estimate"], position, "o", color=colour, markersize=size)
    ax.axvline(0.0, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    ax.set_yticks(at, names, fontsize=7)
    ax.set_ylim(0.3, len(single) + 1.7)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(textwrap.fill(f"{label} (bars: 95% limits)", width=48))
    strip(ax)
    return ax
