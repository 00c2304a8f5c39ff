"""Calibration plots: observed against predicted risk, and the bins of D-calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import GREY, new_axes, strip
from dxa_causal.plots.survival import CURVE_COLOURS, LINES, MANY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_BARS = 60  # of the histogram of risks


def calibration(
    curve: pd.DataFrame,
    groups: pd.DataFrame,
    risks: Mapping[str, npt.NDArray[np.float64]],
    *,
    label: str = "risk",
    ax: Axes | None = None,
) -> Axes:
    """Draw smooth curves with bands, groups with limits, the diagonal, and the distribution of risks below.

    Parameters
    ----------
    curve : DataFrame
        Columns model, predicted, estimate, conf_low, conf_high.
    groups : DataFrame
        The same, one row per group.
    risks : mapping of str to (n,) ndarray
        Predictions of each model.
    label : str
        What is predicted.
    ax : Axes, optional
    """
    ax = new_axes(ax, width=5.4, height=5.0)
    shown = np.concatenate([np.concatenate(list(risks.values())), groups["conf_high"].dropna(), curve["estimate"]])
    top = min(1.0, 1.05 * float(shown.max()))
    below = 0.16 * top  # room for the histogram
    ax.plot([0, top], [0, top], color=GREY, linestyle=":", lw=1, label="perfect")
    for number, (name, risk) in enumerate(risks.items()):
        colour, line = CURVE_COLOURS[number % MANY], LINES[number // MANY % len(LINES)]
        own = curve[curve["model"] == name]
        ax.plot(own["predicted"], own["estimate"], color=colour, linestyle=line, label=str(name))
        if len(risks) <= MANY:
            ax.fill_between(own["predicted"], own["conf_low"], own["conf_high"], color=colour, alpha=0.15, lw=0)
        points = groups[(groups["model"] == name) & groups["estimate"].notna()]
        distance = np.abs([points["estimate"] - points["conf_low"], points["conf_high"] - points["estimate"]])
        ax.errorbar(
            points["predicted"], points["estimate"], yerr=distance, fmt="o", ms=3.5, lw=0.8, color=colour, alpha=0.8
        )
        count, edge = np.histogram(risk, bins=_BARS, range=(0.0, top))
        ax.vlines(
            (edge[:-1] + edge[1:]) / 2,
            -below,
            -below + 0.9 * below * count / count.max(),
            color=colour,
            lw=1,
            alpha=0.6,
        )
    ax.set_xlim(0, top)
    ax.set_ylim(-below, top)
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= top])
    ax.set_xlabel(f"Predicted {label}")
    ax.set_ylabel(f"Observed {label}")
    ax.legend(frameon=False, loc="upper left")
    strip(ax)
    return ax


def survival_bins(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of rows in each bin of predicted survival, one step line per model, and the share expected.

    Parameters
    ----------
    table : DataFrame
        Columns model, low, high, n, n_expected.
    ax : Axes, optional
    """
    ax = new_axes(ax)
    for number, (name, own) in enumerate(table.groupby("model", sort=False)):
        share = own["n"].to_numpy() / own["n"].sum()
        ax.stairs(share, [*own["low"], own["high"].iloc[-1]], color=CURVE_COLOURS[number % MANY], label=str(name))
        if number == 0:
            ax.axhline(1 / len(own), color=GREY, linestyle=":", lw=1, label="expected")
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("Predicted survival at the own time")
    ax.set_ylabel("Share of rows")
    if len(table):
        ax.legend(frameon=False)
    strip(ax)
    return ax
