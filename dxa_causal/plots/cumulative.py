"""A coefficient of an additive hazards model, cumulated over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, fold, new_axes, strip, term_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def cumulative_coefficient(
    table: pd.DataFrame, *, term: str, time_label: str = "time", ax: Axes | None = None
) -> Axes:  # fmt: skip
    """Draw a step curve from zero with its limits; its slope is the effect.

    Parameters
    ----------
    table : DataFrame
        Columns time, estimate, conf_low, conf_high.
    term, time_label : str
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    names = ("time", "estimate", "conf_low", "conf_high")
    time, value, low, high = (np.concatenate([[0.0], table[name]]) for name in names)
    ax.step(time, value, where="post", color=COLOURS[0], linewidth=1.6)
    ax.fill_between(time, low, high, step="post", color=COLOURS[0], alpha=0.15, linewidth=0)
    ax.axhline(0.0, color=GREY, linewidth=0.8, linestyle="--")
    ax.set(xlabel=time_label, ylabel=fold(f"Cumulative coefficient of {term_label(term)}", 40))
    strip(ax)
    return ax
