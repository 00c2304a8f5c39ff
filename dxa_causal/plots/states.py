"""Probabilities of several states over time: stacked for one group or person, or as lines with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dxa_causal.plots.style import fold, make_room, new_axes, strip
from dxa_causal.plots.survival import CURVE_COLOURS, LINES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def stacked_states(table: pd.DataFrame, *, time_label: str = "time", ax: Axes | None = None) -> Axes:
    """Draw the probabilities of the states on top of each other.

    Parameters
    ----------
    table : DataFrame
        Columns state, time, estimate, every state at the same times; the first
        state lies at the bottom.
    time_label : str
        Should name the unit.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    given, ax = ax, new_axes(ax)
    names = list(dict.fromkeys(table["state"]))
    time = np.sort(table["time"].unique())
    below = np.zeros(time.size)
    for k, name in enumerate(names):
        own = table[table["state"] == name].sort_values("time", kind="stable")
        top = below + own["estimate"].to_numpy()
        colour = CURVE_COLOURS[k % len(CURVE_COLOURS)]
        ax.fill_between(time, below, top, step="post", color=colour, alpha=0.75, linewidth=0, label=fold(str(name)))
        below = top
    ax.set(xlabel=time_label, ylabel="Probability of the state", ylim=(0, 1), xlim=(time[0], time[-1]))
    strip(ax)
    _legend(ax, top_first=True)
    if given is not None:
        make_room(ax)
    return ax


def state_curves(table: pd.DataFrame, *, time_label: str = "time", ax: Axes | None = None) -> Axes:
    """Draw one step curve per state and group with its limits: colours tell states apart, lines groups.

    Parameters
    ----------
    table : DataFrame
        Columns group, state, time, estimate, conf_low, conf_high.
    time_label : str
        Should name the unit.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    given, ax = ax, new_axes(ax)
    states, groups = list(dict.fromkeys(table["state"])), list(dict.fromkeys(table["group"]))
    for (state, group), own in table.groupby(["state", "group"], sort=False):
        k, line = states.index(state), groups.index(group)
        look: dict[str, Any] = {"color": CURVE_COLOURS[k % len(CURVE_COLOURS)], "linestyle": LINES[line % len(LINES)]}
        label = str(state) if len(groups) == 1 else f"{state}, {group}"
        ax.step(own["time"], own["estimate"], where="post", label=fold(label), linewidth=1.6, **look)
        if len(groups) * len(states) <= 2 * len(CURVE_COLOURS):
            band = {"step": "post", "color": look["color"], "alpha": 0.12, "linewidth": 0}
            ax.fill_between(own["time"], own["conf_low"], own["conf_high"], **band)
    ax.set(xlabel=time_label, ylabel="Probability of the state", ylim=(0, 1.02))
    ax.set_xlim(float(table["time"].min()), float(table["time"].max()))
    strip(ax)
    _legend(ax)
    if given is not None:
        make_room(ax)
    return ax


def _legend(ax: Axes, *, top_first: bool = False) -> None:
    """Beside the axes, where it hides nothing."""
    handles, labels = ax.get_legend_handles_labels()
    step = -1 if top_first else 1
    ax.legend(handles[::step], labels[::step], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
