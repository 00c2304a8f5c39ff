"""Forest plot of estimates with their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip, term_label

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
    ax.set_yticks(position, [term_label(str(v)) for v in table[label]])
    ax.set_ylim(-0.7, len(table) - 0.3)
    if log:
        from matplotlib.ticker import NullLocator

        ax.set_xscale("log")
        ends = [v[shown & np.isfinite(v) & (v > 0)] for v in (low, high)]
        ticks = log_ticks(np.concatenate([*ends, [reference]]))
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(f"{effect_measure} (with {_level(table)} limits)")
    strip(ax)
    for text, y in zip(_texts(estimate, low, high), position, strict=True):
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, annotation_clip=False)
    return ax


def bars(terms: list[str], values: np.ndarray, *, label: str, ax: Axes | None = None) -> Axes:
    """One horizontal bar per term, the first on top."""
    ax = new_axes(ax, height=1.2 + 0.4 * len(terms))
    ax.barh(range(len(terms)), values, color=COLOURS[0], height=0.6)
    ax.set_yticks(range(len(terms)), [term_label(t) for t in terms])
    ax.invert_yaxis()
    ax.set_xlabel(label)
    strip(ax)
    return ax


def log_ticks(values: np.ndarray) -> list[float]:
    """Round numbers that cover positive `values` on a logarithmic axis, at least three of them, none crowded.

    Examples
    --------
    >>> log_ticks(np.array([0.5, 12.0])), log_ticks(np.array([0.97, 1.1]))
    ([0.5, 1.0, 2.0, 5.0, 10.0], [0.95, 1.0, 1.05, 1.1])
    """
    low, high = float(values.min()), float(values.max())
    decades = 10.0 ** np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 1)
    scales = ([1.0], [1.0, 2.0, 5.0], [1.0, 1.5, 2.0, 3.0, 5.0, 7.0], list(np.arange(1.0, 10.0, 0.5)))
    for fractions in scales:
        ticks = np.outer(decades, fractions).ravel()
        inside = ticks[(ticks >= low / 1.05) & (ticks <= high * 1.05)]
        crowded = np.diff(np.log(inside)) < 0.15 * np.log(high / low) if inside.size > 1 else np.array([False])
        if 3 <= inside.size <= 7 and not crowded.any():
            return [float(f"{t:.6g}") for t in inside]
    step = 10.0 ** np.floor(np.log10((high - low) / 2 or low))
    step *= next(m for m in (0.5, 1.0, 2.0, 5.0, 10.0) if (high - low) / (m * step) <= 5)
    return [float(f"{t:.6g}") for t in np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step if t > 0]


def _level(table: pd.DataFrame) -> str:
    return str(table.attrs.get("conf_level", "95%"))


def _texts(estimate: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[str]:
    return [
        f"{_three(e)} ({_three(a)} to {_three(b)})" if np.isfinite(e) else "not estimated"
        for e, a, b in zip(estimate, low, high, strict=True)
    ]


def _three(value: float) -> str:
    """Three significant digits, zeros kept."""
    return f"{value:#.3g}".rstrip(".")
