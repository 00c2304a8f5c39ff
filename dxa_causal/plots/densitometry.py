"""Figures of a densitometry site: precision, agreement, control charts, batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip, term_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


def estimates_by_group(table: pd.DataFrame, *, label: str, ax: Axes | None = None) -> Axes:
    """Draw estimates with limits, one line per term, the groups side by side.

    Parameters
    ----------
    table : DataFrame
        Columns group, term, estimate and, where there are limits, conf_low, conf_high.
    label : str
        Of the horizontal axis.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    terms, groups = list(dict.fromkeys(table["term"])), list(dict.fromkeys(table["group"]))
    ax = new_axes(ax, height=1.2 + 0.3 * max(len(terms), 3))
    place = {term: len(terms) - 1 - i for i, term in enumerate(terms)}
    for i, group in enumerate(groups):
        part = table[table["group"] == group]
        height = part["term"].map(place) - 0.5 * (i - (len(groups) - 1) / 2) / len(groups)
        colour = COLOURS[i % len(COLOURS)]
        if "conf_low" in part:
            ax.hlines(height, part["conf_low"], part["conf_high"], color=colour, linewidth=1.2)
        ax.plot(part["estimate"], height, "o", color=colour, markersize=4, label=str(group))
    ax.set_yticks(range(len(terms)), [term_label(str(term)) for term in reversed(terms)])
    ax.set_ylim(-0.6, len(terms) - 0.4)
    ax.set_xlabel(label)
    if len(groups) > 1:
        ax.legend(frameon=False)
    strip(ax)
    return ax


def bland_altman(x: FloatArray, y: FloatArray, agreement: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw differences (y minus x) against means, with the mean difference and the limits of agreement.

    Parameters
    ----------
    x, y : (n,) ndarray
    agreement : DataFrame
        Columns term, estimate, conf_low, conf_high.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.8, height=4.0)
    ax.plot((x + y) / 2.0, y - x, "o", color=COLOURS[0], markersize=4)
    for i, row in enumerate(agreement.itertuples()):
        ax.axhspan(row.conf_low, row.conf_high, color=GREY, alpha=0.12, linewidth=0)
        ax.axhline(row.estimate, color=COLOURS[1], linewidth=1.2, linestyle="--" if i else "-")
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlabel("Mean of the two devices")
    ax.set_ylabel("Second minus first device")
    strip(ax)
    return ax


def control_chart(
    scans: pd.DataFrame,
    mean: float,
    limits: Mapping[str, float],
    *,
    label: str,
    changes: Sequence[Any] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw values by time with the baseline mean, its limits and the scans that complete a rule.

    Parameters
    ----------
    scans : DataFrame
        Columns time, value, rules (text, empty for none).
    mean : float
    limits : mapping of str to float
        Name and distance from the mean.
    label : str
        Of the values.
    changes : sequence
        Times to mark.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=7.2, height=3.8)
    flagged = scans["rules"] != ""
    ax.axhline(mean, color=GREY, linewidth=1.0)
    for style, (name, distance) in zip((":", "--", "-."), limits.items()):
        ax.axhline(mean + distance, color=GREY, linewidth=0.9, linestyle=style, label=name)
        ax.axhline(mean - distance, color=GREY, linewidth=0.9, linestyle=style)
    ax.plot(scans["time"], scans["value"], "o", color=COLOURS[0], markersize=3.5)
    if flagged.any():
        hit = scans[flagged]
        ax.plot(hit["time"], hit["value"], "o", color=COLOURS[1], markersize=3.5, label="completes a rule")
    _mark(ax, changes)
    ax.set_ylabel(term_label(label))
    _finish(ax)
    return ax


def cusum_chart(scans: pd.DataFrame, interval: float, changes: Sequence[Any] = (), ax: Axes | None = None) -> Axes:
    """Draw the cumulative sums, upwards and (negative) downwards, with the decision interval.

    Parameters
    ----------
    scans : DataFrame
        Columns time, cusum_up, cusum_down.
    interval : float
        Standard deviations.
    changes : sequence
        Times to mark.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=7.2, height=3.8)
    ax.plot(scans["time"], scans["cusum_up"], color=COLOURS[0], label="too large")
    ax.plot(scans["time"], -scans["cusum_down"], color=COLOURS[1], label="too small")
    for edge in (interval, -interval):
        ax.axhline(edge, color=GREY, linewidth=0.9, linestyle="--")
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    _mark(ax, changes)
    ax.set_ylabel("Cumulative sum (SD)")
    _finish(ax)
    return ax


def _mark(ax: Axes, changes: Sequence[Any]) -> None:
    for i, change in enumerate(changes):
        ax.axvline(change, color=COLOURS[2], linewidth=1.2, label="" if i else "estimated change")


def _finish(ax: Axes) -> None:
    ax.set_xlabel("Time")
    ax.tick_params(axis="x", labelrotation=25)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    strip(ax)
