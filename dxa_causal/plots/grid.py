"""Shares as a grid of shaded cells with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def shares(table: pd.DataFrame, *, label: str, ax: Axes | None = None) -> Axes:
    """Draw a table of numbers between 0 and 1, one row per line.

    Parameters
    ----------
    table : DataFrame
    label : str
        What the numbers are, above the grid.
    ax : Axes, optional
    """
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = table.shape
    ax = new_axes(ax, width=2.5 + 1.1 * max(columns, 2), height=1.0 + 0.28 * max(rows, 3))
    values = table.to_numpy(dtype=np.float64)
    shades = LinearSegmentedColormap.from_list("share", ["#FFFFFF", COLOURS[0]])
    ax.imshow(values, cmap=shades, vmin=0.0, vmax=1.0, aspect="auto")
    for i in range(rows):
        for j in range(columns):
            colour = "white" if values[i, j] > 0.6 else GREY
            ax.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(columns), [str(c) for c in table.columns])
    ax.set_yticks(range(rows), [str(r) for r in table.index])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(label)
    return ax
