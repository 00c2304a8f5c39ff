"""Figure of clusters of variants."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes


def cluster_scatter(
    table: pd.DataFrame,
    cluster: npt.NDArray[np.object_],
    means: npt.NDArray[np.float64],
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
    outcome: str = "outcome",
) -> Axes:
    """Draw each variant's effect on the outcome against that on the exposure, by cluster.

    Parameters
    ----------
    table : DataFrame
        Columns beta_exposure, beta_outcome, se_outcome. Variants are drawn for
        the allele that raises the exposure; bars are 95% limits.
    cluster : (n,) ndarray of str
        "1", "2" ..., "null" or "junk".
    means : (k,) ndarray
        Slopes of the clusters.
    ax : Axes, optional
    exposure, outcome : str
        Names for the axes.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.4, height=4.6)
    x, y = table["beta_exposure"].to_numpy(dtype=float), table["beta_outcome"].to_numpy(dtype=float)
    x, y = np.abs(x), np.where(x < 0, -y, y)
    bars = 1.96 * table["se_outcome"].to_numpy(dtype=float)
    names = [*(str(k + 1) for k in range(means.size)), "null", "junk"]
    ends = np.array([0.0, 1.05 * x.max()])
    for k, name in enumerate(names):
        here = cluster == name
        colour = {"null": "#AAAAAA", "junk": "black"}.get(name, COLOURS[k % len(COLOURS)])
        marker = {"null": "o", "junk": "x"}.get(name, "osD^v"[k // len(COLOURS) % 5])
        if here.any():
            ax.errorbar(
                x[here], y[here], yerr=bars[here], fmt=marker, markersize=4, color=colour, elinewidth=0.6, label=name
            )
        if k < means.size:
            ax.plot(ends, means[k] * ends, "-", color=colour, linewidth=1.2)
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlim(*ends)
    ax.set_xlabel(textwrap.fill(f"Effect per allele on {exposure}", width=64))
    ax.set_ylabel(textwrap.fill(f"Effect per allele on {outcome} (bars: 95% limits)", width=46))
    strip(ax)
    ax.legend(title="Cluster", frameon=False, fontsize=8)
    return ax
