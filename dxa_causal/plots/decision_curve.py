"""Decision curves: net benefit against the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dxa_causal.plots.style import GREY, new_axes, strip
from dxa_causal.plots.survival import CURVE_COLOURS, LINES, MANY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DEFAULTS = {"treat all": "-.", "treat none": ":"}


def decision_curve(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw one line per model, with a band, and grey lines for treating all and none.

    Parameters
    ----------
    table : DataFrame
        Columns model, threshold, estimate, conf_low, conf_high; a model called "treat all" or "treat none" is grey.
    ax : Axes, optional
    """
    ax = new_axes(ax)
    models = [name for name in table["model"].unique() if name not in _DEFAULTS]
    for number, name in enumerate(models):
        part = table[table["model"] == name].dropna(subset=["estimate"])
        colour, line = CURVE_COLOURS[number % MANY], LINES[number // MANY % len(LINES)]
        ax.plot(part["threshold"], part["estimate"], color=colour, linestyle=line, label=str(name))
        if len(models) <= MANY:
            ax.fill_between(part["threshold"], part["conf_low"], part["conf_high"], color=colour, alpha=0.15, lw=0)
    for name, line in _DEFAULTS.items():
        part = table[table["model"] == name]
        if len(part):
            ax.plot(part["threshold"], part["estimate"], color=GREY, linestyle=line, lw=1.2, label=name)
    drawn = table[table["model"] != "treat all"]["estimate"]
    top = max(float(drawn.max()), float(table["estimate"].max()), 0.01)
    ax.set_ylim(-0.25 * top, 1.08 * top)  # treating all falls without end
    ax.set_xlabel("Threshold risk")
    ax.set_ylabel("Net benefit")
    ax.legend(frameon=False)
    strip(ax)
    return ax
