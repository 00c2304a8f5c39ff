"""Figures that show what was filled in: traces, distributions, patterns of missing values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, fold, new_axes, strip, term_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle


def traces(values: np.ndarray, *, label: str, ax: Axes | None = None) -> Axes:
    """Draw a statistic over iterations, a line per chain.

    Parameters
    ----------
    values : (n_iterations, m) ndarray
    label : str
    ax : Axes, optional
    """
    ax = new_axes(ax)
    ax.plot(np.arange(1, len(values) + 1), values, linewidth=0.9, alpha=0.7)
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("Iteration")
    ax.set_ylabel(term_label(label))
    strip(ax)
    return ax


def densities(observed: np.ndarray, imputed: np.ndarray, *, label: str, ax: Axes | None = None) -> Axes:
    """Draw the density of observed values and of the values of each imputation.

    Parameters
    ----------
    observed : (n,) ndarray
    imputed : (m, k) ndarray
    label : str
    ax : Axes, optional
    """
    ax = new_axes(ax)
    everything = np.append(observed, imputed)
    low, high = everything.min(), everything.max()
    margin = 0.05 * (high - low)
    at = np.linspace(low - margin, high + margin, 200)
    for i, values in enumerate(imputed):
        ax.plot(at, _density(values, at), color=COLOURS[1], linewidth=0.7, alpha=0.6, label="imputed" if i == 0 else "")
    ax.plot(at, _density(observed, at), color=COLOURS[0], linewidth=2.0, label="observed")
    ax.set_xlabel(term_label(label))
    ax.set_ylabel("Density")
    ax.set_ylim(bottom=0.0)
    ax.legend(frameon=False)
    strip(ax)
    return ax


def _density(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Gaussian kernel with Silverman's width; a thousand quantiles stand for more values."""
    if values.size > 1000:
        values = np.quantile(values, (np.arange(1000) + 0.5) / 1000)
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(float(values.std()), float(np.diff(quartiles)[0]) / 1.34) or float(values.std())
    width = 0.9 * spread * values.size**-0.2 or 0.01 * float(np.ptp(at))
    bumps = np.exp(-0.5 * ((at[:, None] - values) / width) ** 2)
    density: np.ndarray = bumps.mean(axis=1) / (width * np.sqrt(2 * np.pi))
    return density


def shares(observed: np.ndarray, imputed: np.ndarray, levels: list[str], *, label: str, ax: Axes | None = None) -> Axes:
    """Draw the share of each level among observed values, as bars, and in each imputation, as dots."""
    ax = new_axes(ax)
    place = np.arange(len(levels))
    ax.bar(place, [np.mean(observed == k) for k in place], width=0.6, color=COLOURS[0], alpha=0.4, label="observed")
    each = np.array([[np.mean(values == k) for k in place] for values in imputed])
    spread = np.linspace(-0.2, 0.2, len(imputed)) if len(imputed) > 1 else np.zeros(1)
    ax.scatter((place + spread[:, None]).ravel(), each.ravel(), s=10, color=COLOURS[1], label="imputed")
    ax.set_xticks(place, [fold(level, 14) for level in levels])
    ax.set_xlabel(term_label(label))
    ax.set_ylabel("Share")
    ax.legend(frameon=False)
    strip(ax)
    return ax


def strips(
    observed: np.ndarray, imputed: np.ndarray, *, label: str, levels: list[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw observed values, and those of each imputation, as points side by side."""
    ax = new_axes(ax)
    rng = np.random.default_rng(0)
    for place, values in enumerate([observed, *imputed]):
        drawn = values if values.size <= 500 else rng.choice(values, 500, replace=False)
        across = place + rng.uniform(-0.3, 0.3, drawn.size)
        along = drawn if levels is None else drawn + rng.uniform(-0.2, 0.2, drawn.size)
        ax.plot(across, along, ".", color=COLOURS[min(place, 1)], markersize=3, alpha=0.5)
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("Imputation (0 = observed)")
    ax.set_ylabel(term_label(label))
    if levels is not None:
        ax.set_yticks(range(len(levels)), [fold(level, 14) for level in levels])
    strip(ax)
    return ax


def patterns(table: pd.DataFrame, ax: Axes | None = None, *, most: int = 20) -> Axes:
    """Draw patterns of missing values, a line each, dark where a column is missing.

    Parameters
    ----------
    table : DataFrame
        A column of True (missing) and False for each column of the data, and n, the rows of the pattern.
    ax : Axes, optional
    most : int
        Patterns drawn, the most frequent first.
    """
    columns = [name for name in table.columns if name != "n"]
    rows = table.head(most)
    ax = new_axes(ax, width=2.5 + 0.6 * max(len(columns), 4), height=1.5 + 0.3 * len(rows))
    for i, (_, row) in enumerate(rows.iterrows()):
        for j, name in enumerate(columns):
            face = COLOURS[1] if row[name] else "#E6EEF4"
            ax.add_patch(_box(j, i, face))
    ax.set_xlim(-0.5, max(len(columns), 1) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), [fold(term_label(name), 14) for name in columns], rotation=45, ha="left")
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), [f"{n:g}" for n in rows["n"]])
    ax.set_ylabel("Rows with this pattern")
    left = len(table) - len(rows)
    told = "dark: missing" + (f"; {left} rarer patterns left out" if left else "")
    ax.set_xlabel(told, color=GREY)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _box(j: int, i: int, face: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((j - 0.45, i - 0.45), 0.9, 0.9, facecolor=face, edgecolor="none")
