"""Figures of models of many variants: profiles, inclusion probabilities, effects by stratum."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes


def profile_plot(
    grid: npt.NDArray[np.float64],
    share: npt.NDArray[np.float64],
    estimate: float,
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
) -> Axes:
    """Draw the share of valid instruments by effect, with a line at the estimate.

    Parameters
    ----------
    grid, share : (k,) ndarray
    estimate : float
    ax : Axes, optional
    exposure : str

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.4, height=4.0)
    ax.plot(grid, share, "-", color=COLOURS[0])
    ax.axvline(estimate, color=COLOURS[1], linestyle="--", linewidth=1.2)
    ax.set_xlabel(textwrap.fill(f"Effect of {exposure}", width=64))
    ax.set_ylabel("Share of valid instruments")
    strip(ax)
    return ax


def inclusion_plot(table: pd.DataFrame, prior: float, ax: Axes | None = None) -> Axes:
    """Draw inclusion probabilities as bars, first row on top.

    Parameters
    ----------
    table : DataFrame
        Columns exposure and inclusion.
    prior : float
        Prior probability, a dashed line.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.0, height=1.2 + 0.28 * len(table))
    names = [textwrap.fill(str(name), 28) for name in table["exposure"]][::-1]
    ax.barh(range(len(table)), table["inclusion"].to_numpy(dtype=float)[::-1], color=COLOURS[0], height=0.7)
    ax.axvline(prior, color=COLOURS[1], linestyle="--", linewidth=1.0)
    ax.set_yticks(range(len(table)), names)
    ax.set_xlim(0.0, 1.0)
    ax.set_xlabel("Marginal inclusion probability (dashed: prior)")
    strip(ax)
    return ax


def strata_plot(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
    outcome: str = "outcome",
    effect: str = "Effect",
) -> Axes:
    """Draw effects in strata of the exposure against its mean there.

    Parameters
    ----------
    table : DataFrame
        Columns value, estimate, conf_low, conf_high.
    ax : Axes, optional
    exposure, outcome : str
        Names for the axes.
    effect : str
        What the estimates are.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.6, height=4.0)
    x, y = table["value"].to_numpy(dtype=float), table["estimate"].to_numpy(dtype=float)
    bars = np.abs(table[["conf_low", "conf_high"]].to_numpy(dtype=float).T - y)
    ax.errorbar(x, y, yerr=bars, fmt="o", color=COLOURS[0], markersize=4, elinewidth=1.0)
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlabel(textwrap.fill(f"Mean {exposure} in the stratum", width=64))
    ax.set_ylabel(textwrap.fill(f"{effect} of {exposure} on {outcome} (bars: 95% limits)", width=46))
    strip(ax)
    return ax
