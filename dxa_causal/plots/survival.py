"""Survival curves with limits and the numbers at risk below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def survival_curves(
    table: pd.DataFrame,
    *,
    at_risk: pd.DataFrame | None = None,
    time_label: str = "time",
    value_label: str = "Survival probability",
    ax: Axes | None = None,
) -> Axes:
    """Draw one step curve per group.

    Parameters
    ----------
    table : DataFrame
        Columns group, time, estimate, conf_low, conf_high, n_censor.
    at_risk : DataFrame, optional
        One row per group, one column per time: printed below the axis.
    time_label, value_label : str
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    groups = list(dict.fromkeys(table["group"]))
    ax = new_axes(ax, height=4.0 + 0.22 * len(groups))
    for i, group in enumerate(groups):
        curve = table[table["group"] == group]
        colour = COLOURS[i % len(COLOURS)]
        time = np.concatenate([[0.0], curve["time"]])
        value = np.concatenate([[1.0], curve["estimate"]])
        low, high = (np.concatenate([[1.0], curve[c]]) for c in ("conf_low", "conf_high"))
        ax.step(time, value, where="post", color=colour, label=str(group), linewidth=1.6)
        ax.fill_between(time, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        censored = curve[curve["n_censor"] > 0]
        if len(censored) <= 200:  # more marks than that hide the curve
            ax.plot(censored["time"], censored["estimate"], "|", color=colour, markersize=5)
    ax.set(xlabel=time_label, ylabel=value_label, ylim=(0, 1.02), xlim=(0, None))
    strip(ax)
    if len(groups) > 1:
        ax.legend(frameon=False, loc="best")
    if at_risk is not None:
        _numbers_at_risk(ax, at_risk, [COLOURS[i % len(COLOURS)] for i in range(len(groups))])
    return ax


def _numbers_at_risk(ax: Axes, at_risk: pd.DataFrame, colours: list[str]) -> None:
    top, step = -0.24, 0.065
    ax.set_xticks([float(c) for c in at_risk.columns], [f"{float(c):g}" for c in at_risk.columns])
    ax.text(0.0, top, "At risk", transform=ax.transAxes, fontsize=8, color=GREY, ha="left", va="center")
    for i, (group, counts) in enumerate(at_risk.iterrows()):
        y = top - (i + 1) * step
        ax.annotate(
            str(group),
            (0, y),
            xycoords="axes fraction",
            xytext=(-12, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=colours[i],
        )
        for time, n in counts.items():
            text = f"{n:.0f}" if float(n).is_integer() else f"{n:.1f}"
            ax.text(float(str(time)), y, text, transform=ax.get_xaxis_transform(), fontsize=8, ha="center", va="center")
