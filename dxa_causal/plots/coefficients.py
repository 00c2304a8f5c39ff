"""Forest plot of estimates with their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def forest(
    table: pd.DataFrame,
    *,
    effect_measure: str,
    reference: float = 1.0,
    log: bool = True,
    label: str = "term",
    ax: Axes | None = None,
) -> Axes:
    """Draw one line per row of a tidy table, first row on top.

    Parameters
    ----------
    table : DataFrame
        Columns `label`, estimate, conf_low, conf_high.
    effect_measure : str
        Title of the horizontal axis, with its unit.
    reference : float
        Value of no effect.
    log : bool
        Logarithmic axis (ratios).
    label : str
        Column that names the lines.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, height=1.1 + 0.32 * len(table))
    position = np.arange(len(table))[::-1]
    estimate, low, high = (table[c].to_numpy(dtype=float) for c in ("estimate", "conf_low", "conf_high"))
    shown = np.isfinite(estimate)
    ax.hlines(position[shown], low[shown], high[shown], color=COLOURS[0], linewidth=1.6)
    ax.plot(estimate[shown], position[shown], "s", color=COLOURS[0], markersize=5)
    ax.axvline(reference, color=GREY, linewidth=0.8, linestyle="--")
    ax.set_yticks(position, [str(v) for v in table[label]])
    ax.set_ylim(-0.7, len(table) - 0.3)
    if log:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        finite = np.concatenate([low[shown & np.isfinite(low)], high[shown & np.isfinite(high)], [reference]])
        if finite.size and finite.max() / max(finite.min(), 1e-12) < 4:
            ax.xaxis.set_major_locator(LogLocator(base=10, subs=tuple(np.round(np.arange(1.0, 10.0, 0.5), 1))))
            if finite.max() / finite.min() < 1.6:
                from matplotlib.ticker import MaxNLocator

                ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(f"{effect_measure} (with {_level(table)} limits)")
    strip(ax)
    for text, y in zip(_texts(estimate, low, high), position, strict=True):
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, annotation_clip=False)
    return ax


def _level(table: pd.DataFrame) -> str:
    return str(table.attrs.get("conf_level", "95%"))


def _texts(estimate: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[str]:
    return [
        f"{e:.3g} ({a:.3g} to {b:.3g})" if np.isfinite(e) else "not estimated"
        for e, a, b in zip(estimate, low, high, strict=True)
    ]
