"""Forest plot of estimates with their limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, fold, free_width, make_room, new_axes, strip, term_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DRAWABLE = (1e-300, 1e300)


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

    Limits that are infinite, or so far apart that they would hide the other
    rows, end in an arrow at the edge.

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
    letters = 28 if ax is None else max(28, int(5.7 * ax.get_window_extent().width / ax.figure.dpi))
    labels = [fold(term_label(str(v)), letters) for v in table[label]]
    lines = max((text.count("\n") + 1 for text in labels), default=1)
    given, ax = ax, new_axes(ax, height=1.1 + (0.18 + 0.14 * lines) * len(table))
    position = np.arange(len(table))[::-1]
    estimate, low, high = (table[c].to_numpy(dtype=float) for c in ("estimate", "conf_low", "conf_high"))
    if log:
        ax.set_xscale("log")
    left, right = _window(estimate, low, high, reference, log=log)
    ax.set_xlim(left, right)
    shown = np.isfinite(estimate)
    ends = (np.clip(v[shown], left, right) for v in (low, high))
    ax.hlines(position[shown], *ends, color=COLOURS[0], linewidth=1.6)
    inside = shown & (estimate >= left) & (estimate <= right)
    ax.plot(estimate[inside], position[inside], "s", color=COLOURS[0], markersize=5)
    for edge, marker, beyond in ((left, "<", low < left), (right, ">", high > right)):
        beyond = position[shown & (beyond | (estimate < left if marker == "<" else estimate > right))]
        if beyond.size:
            ax.plot(np.full(beyond.size, edge), beyond, marker, color=COLOURS[0], markersize=5, clip_on=False)
    ax.axvline(reference, color=GREY, linewidth=0.8, linestyle="--")
    row = ax.get_window_extent().height * 72 / ax.figure.dpi / max(len(table), 1)
    ax.set_yticks(position, labels, fontsize=float(np.clip(row / lines / 1.3, 5.0, 10.0)))
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_xlabel(fold(f"{effect_measure} (with {_level(table)} limits)", 48))
    strip(ax)
    for text, y in zip(_texts(estimate, low, high), position, strict=True):
        ax.annotate(
            text,
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    gap = 30.0 / free_width(ax)
    if log:
        from matplotlib.ticker import NullLocator

        ticks = log_ticks(np.array([left, right]), gap=max(0.15, gap))
        ax.set_xticks(ticks, [_tick(t) for t in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.locator_params(axis="x", nbins=int(np.clip(1 / gap, 2, 7)))
    if given is not None:
        make_room(ax)
    return ax


def bars(terms: list[str], values: np.ndarray, *, label: str, ax: Axes | None = None) -> Axes:
    """One horizontal bar per term, the first on top."""
    given, ax = ax, new_axes(ax, height=1.2 + 0.4 * len(terms))
    ax.barh(range(len(terms)), values, color=COLOURS[0], height=0.6)
    ax.set_yticks(range(len(terms)), [fold(term_label(t)) for t in terms])
    ax.invert_yaxis()
    ax.set_xlabel(label)
    strip(ax)
    if given is not None:
        make_room(ax)
    return ax


def log_ticks(values: np.ndarray, *, gap: float = 0.15) -> list[float]:
    """Round numbers within the range of positive `values` for a logarithmic axis, 1 among them, none crowded.

    Two ticks stand at least `gap` of the axis apart.

    Examples
    --------
    >>> log_ticks(np.array([0.5, 12.0])), log_ticks(np.array([0.23, 80.0]))
    ([0.5, 1.0, 2.0, 5.0, 10.0], [0.3, 1.0, 3.0, 10.0, 30.0])
    >>> log_ticks(np.array([0.94, 1.1])), log_ticks(np.array([1e-6, 1e6]))
    ([0.95, 1.0, 1.05, 1.1], [1e-06, 0.0001, 0.01, 1.0, 100.0, 10000.0, 1000000.0])
    """
    positive = np.clip(values[np.isfinite(values) & (values > 0)], *_DRAWABLE)
    low, high = (float(f(positive)) if positive.size else 1.0 for f in (np.min, np.max))
    if low == high:
        low, high = low / 1.1, high * 1.1
    best = np.empty(0)
    for ticks in _lattices(low, high):
        inside = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        uncrowded = inside.size < 2 or np.diff(np.log(inside)).min() >= gap * np.log(high / low)
        if uncrowded and inside.size > best.size and (low > 1 or high < 1 or np.isclose(inside, 1.0, rtol=1e-9).any()):
            best = inside
    return [float(f"{t:.9g}") for t in best]


def _lattices(low: float, high: float) -> Iterator[np.ndarray]:
    """Sets of round numbers around a range, the roundest first."""
    first, last = np.floor(np.log10(low)), np.ceil(np.log10(high))
    for decades in (1, 2, 3, *range(5, int(last - first) + 1, 5)):
        yield 10.0 ** (np.arange(first // decades, last // decades + 1) * decades)
    for fractions in ([1.0, 3.0], [1.0, 2.0, 5.0], [1.0, 1.5, 2.0, 3.0, 5.0, 7.0]):
        yield np.outer(10.0 ** np.arange(first, last + 1), fractions).ravel()
    for step in np.outer(10.0 ** np.floor(np.log10(high - low)), [5.0, 2.0, 1.0, 0.5, 0.2]).ravel():
        yield np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step


def _window(
    estimate: np.ndarray, low: np.ndarray, high: np.ndarray, reference: float, *, log: bool
) -> tuple[float, float]:
    """Ends of the axis: all limits but those of rows that tell nothing, which would hide the other rows."""
    widest, near = (np.log(1e4), np.log(100.0)) if log else (1e12, 1e12)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = np.array([estimate, low, high]) / (reference if log else 1.0)
        rows = np.log(rows) if log else rows
        wild = (rows[2] - rows[1] > widest) | np.isinf(rows).any(axis=0) | (np.abs(rows[0]) > 1.5 * widest)
        told = np.isfinite(rows) & np.isfinite(rows[0]) & (~wild | (np.abs(rows) <= near))
    centre = 0.0 if log else reference
    drawn = np.append(rows[told], centre)
    width = np.ptp(drawn)
    pad = 0.04 * width if width else np.log(2.0)
    ends = np.array([drawn.min() - pad, drawn.max() + pad])
    left, right = reference * np.exp(ends) if log else ends
    return float(left), float(right)


def _tick(value: float) -> str:
    """A number as on an axis: powers of ten where zeros would be many."""
    return f"{value:g}" if 1e-4 < value < 1e5 else f"$10^{{{round(np.log10(value))}}}$"


def _level(table: pd.DataFrame) -> str:
    return str(table.attrs.get("conf_level", "95%"))


def _texts(estimate: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[str]:
    limits = [
        f" ({_three(a)} to {_three(b)})" if not np.isnan([a, b]).any() else " (no limits)"
        for a, b in zip(low, high, strict=True)
    ]
    return [_three(e) + text if np.isfinite(e) else "not estimated" for e, text in zip(estimate, limits, strict=True)]


def _three(value: float) -> str:
    """Three significant digits, zeros kept."""
    return f"{value:#.3g}".rstrip(".").replace("inf", "∞")
