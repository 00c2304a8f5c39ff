"""Step curves with limits and the numbers at risk below: survival, cumulative hazard, cumulative incidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LINES = ("-", "--", ":", "-.")


def step_curves(
    table: pd.DataFrame,
    *,
    at_risk: pd.DataFrame,
    value_label: str,
    start: float,
    time_label: str = "time",
    ax: Axes | None = None,
) -> Axes:
    """Draw one step curve per group, or per group and cause, and the numbers at risk below.

    Parameters
    ----------
    table : DataFrame
        Columns group, time, estimate, conf_low, conf_high; cause for several
        curves per group; n_censor to mark censored times.
    at_risk : DataFrame
        One row per group, one column per time: printed below the axis, which
        begins at the first.
    value_label : str
    start : float
        Value before the first step: 1 for survival, 0 for what rises.
    time_label : str
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    groups = list(dict.fromkeys(table["group"]))
    causes = list(dict.fromkeys(table["cause"])) if "cause" in table else [None]
    origin = float(at_risk.columns[0])
    ax = new_axes(ax, height=4.0 + 0.22 * len(groups))
    for i, group in enumerate(groups):
        for j, cause in enumerate(causes):
            curve = table[table["group"] == group]
            if cause is not None:
                curve = curve[curve["cause"] == cause]
            # colour tells groups apart, or causes where there is one group
            colour = COLOURS[(i if len(groups) > 1 else j) % len(COLOURS)]
            time = np.concatenate([[origin], curve["time"]])
            value = np.concatenate([[start], curve["estimate"]])
            low, high = (np.concatenate([[start], curve[c]]) for c in ("conf_low", "conf_high"))
            label = ", ".join([str(group)] * (len(groups) > 1) + [f"cause {cause}"] * (cause is not None))
            line = LINES[j % len(LINES)] if len(groups) > 1 else "-"
            ax.step(time, value, where="post", color=colour, label=label, linestyle=line, linewidth=1.6)
            ax.fill_between(time, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
            if "n_censor" in curve:
                censored = curve[curve["n_censor"] > 0]
                if len(censored) <= 200:  # more marks than that hide the curve
                    ax.plot(censored["time"], censored["estimate"], "|", color=colour, markersize=5)
    ax.set(xlabel=time_label, ylabel=value_label, ylim=(0, 1.02 if start == 1.0 else None), xlim=(origin, None))
    strip(ax)
    if len(groups) * len(causes) > 1:
        ax.legend(frameon=False, loc="best")
    _numbers_at_risk(ax, at_risk, [COLOURS[i % len(COLOURS)] if len(groups) > 1 else GREY for i in range(len(groups))])
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
            xytext=(-20, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=colours[i],
        )
        for time, n in counts.items():
            text = f"{n:.0f}" if float(n).is_integer() else f"{n:.1f}"
            ax.text(float(str(time)), y, text, transform=ax.get_xaxis_transform(), fontsize=8, ha="center", va="center")
