"""Smooth hazards of the transitions between states, with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dxa_causal.plots.style import COLOURS, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def transition_hazards(table: pd.DataFrame, *, time_label: str = "time", ax: Axes | None = None) -> Axes:
    """Draw a curve and a band per transition.

    The axis ends at twice the highest estimate; a band may leave it.

    Parameters
    ----------
    table : DataFrame
        Columns transition, time, estimate, conf_low, conf_high.
    time_label : str
        Should name the unit.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    for colour, (name, curve) in zip(COLOURS, table.groupby("transition", sort=False), strict=False):
        ax.plot(curve["time"], curve["estimate"], color=colour, linewidth=1.6, label=str(name))
        ax.fill_between(curve["time"], curve["conf_low"], curve["conf_high"], color=colour, alpha=0.15, linewidth=0)
    ax.set(
        xlabel=time_label,
        ylabel="Hazard",
        xlim=(table["time"].min(), table["time"].max()),
        ylim=(0, 2 * table["estimate"].max()),
    )
    ax.legend(frameon=False)
    strip(ax)
    return ax
