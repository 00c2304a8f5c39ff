"""Survival curves whose fall is known only up to a region of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dxa_causal.plots.style import COLOURS, fold, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def interval_curves(
    table: pd.DataFrame, *, origin: float = 0.0, time_label: str = "time", ax: Axes | None = None
) -> Axes:
    """Draw a curve per group: lines where survival is known, shaded boxes where it falls in an unknown way.

    Parameters
    ----------
    table : DataFrame
        Columns group, time_left, time_right, estimate (survival after the
        region), in the order of time; conf_low and conf_high for thin lines.
    origin : float
        Where the axis begins.
    time_label : str
        Should name the unit.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    groups = list(dict.fromkeys(table["group"]))
    ends = table[["time_left", "time_right"]].to_numpy()
    last = float(ends[np.isfinite(ends)].max(initial=origin))
    for i, group in enumerate(groups):
        curve = table[table["group"] == group]
        colour = COLOURS[i % len(COLOURS)]
        left, right, after = (curve[c].to_numpy() for c in ("time_left", "time_right", "estimate"))
        before = np.concatenate([[1.0], after[:-1]])
        # the last level lasts to the end of the axis, unless its region has no end
        start = np.concatenate([[origin], right[np.isfinite(right)]])
        end = np.append(left, last)[: start.size]
        level = np.concatenate([[1.0], after])[: start.size]
        ax.hlines(level, start, end, color=colour, linewidth=1.6, label=fold(str(group)))
        for a, b, high, low in zip(left, np.minimum(right, last), before, after, strict=True):
            look: dict[str, Any] = {"color": colour, "alpha": 0.25, "linewidth": 0}
            if b > a:
                ax.fill_between([a, b], [low, low], [high, high], **look)
        point = left == right
        ax.vlines(left[point], after[point], before[point], color=colour, linewidth=1.6)
        if "conf_low" in curve:
            some = np.isfinite(right)
            for bound in ("conf_low", "conf_high"):
                ax.step(right[some], curve[bound][some], where="post", color=colour, linewidth=0.8, linestyle=":")
    ax.set(xlabel=time_label, ylabel="Survival probability", ylim=(0, 1.02), xlim=(origin, None))
    strip(ax)
    if len(groups) > 1:
        ax.legend(frameon=False)
    return ax
