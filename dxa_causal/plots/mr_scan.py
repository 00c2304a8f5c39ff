"""Pictures of a scan over many pairs of exposure and outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import COLOURS, GREY, fold, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_NAMED = 12
_FDR = 0.05
_LONGEST = 44  # letters of a name in a figure
_INCH = 0.062  # a letter of such a name


def volcano(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw -log10 p against the effect of every pair; pairs below a false discovery rate of 5% are coloured.

    Parameters
    ----------
    table : DataFrame
        Columns exposure, outcome, estimate, statistic, p_value, p_bh; one row per pair.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    known = table.dropna(subset=["estimate", "p_value"])
    x = known["estimate"].to_numpy(dtype=float)
    y = _strength(known)
    found = known["p_bh"].to_numpy(dtype=float) < _FDR
    named = np.argsort(-y, kind="stable")[: min(_NAMED, int(found.sum()))]
    names = _pair_names(known.iloc[named], several=known["outcome"].nunique() > 1)
    ax = new_axes(ax, width=5.2 + _INCH * max(map(len, names), default=0), height=4.6)
    ax.scatter(x[~found], y[~found], s=6, color=GREY, linewidths=0, rasterized=True, label="others")
    ax.scatter(x[found], y[found], s=14, color=COLOURS[1], linewidths=0, rasterized=True, label="FDR below 5%")
    ax.axvline(0.0, color=GREY, linewidth=0.8)
    ax.set_ylim(0.0, 1.08 * float(np.max(y, initial=1.0)))
    if x.size:
        _name(ax, names, x[named], y[named])
    else:
        ax.text(0.5, 0.5, "no pair has an estimate", transform=ax.transAxes, ha="center", color=GREY)
    ax.set_xlabel("Effect per unit of the exposure")
    ax.set_ylabel("$-\\log_{10}$ p")
    if found.any():
        ax.legend(frameon=False, fontsize=8)
    strip(ax)
    return ax


def _strength(known: pd.DataFrame) -> FloatArray:
    """-log10 p, from the normal statistic where p is too small for a double."""
    from scipy.special import log_ndtr

    p = known["p_value"].to_numpy(dtype=float)
    beyond = -(np.log(2.0) + log_ndtr(-np.abs(known["statistic"].to_numpy(dtype=float)))) / np.log(10.0)
    return np.asarray(np.where(p > 0.0, -np.log10(np.where(p > 0.0, p, 1.0)), beyond))


def _pair_names(pairs: pd.DataFrame, *, several: bool) -> list[str]:
    exposures = [fold(str(name), _LONGEST, lines=1) for name in pairs["exposure"]]
    if not several:
        return exposures
    outcomes = (fold(str(name), _LONGEST // 2 + 8, lines=1) for name in pairs["outcome"])
    return [f"{exposure}, {outcome}" for exposure, outcome in zip(exposures, outcomes, strict=True)]


def _name(ax: Axes, names: list[str], x: FloatArray, y: FloatArray) -> None:
    """Write the names of pairs in a column beside the axes, the clearest on top, each with a line to its point."""
    right = float(ax.get_xlim()[1])
    places = _apart(y, 0.045 * float(ax.get_ylim()[1]))
    for text, x_i, y_i, at in zip(names, x, y, places, strict=True):
        ax.annotate(
            text, (x_i, y_i), xytext=(right, at), fontsize=7, va="center", ha="left", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "relpos": (0.0, 0.5)},
        )  # fmt: skip


def _apart(wanted: FloatArray, gap: float) -> FloatArray:
    """Heights for names, falling and at least `gap` apart, near those wanted and not below half a gap."""
    placed = np.array(wanted, dtype=float)
    for i in range(1, placed.size):
        placed[i] = min(placed[i], placed[i - 1] - gap)
    lowest = 0.5 * gap
    for i in range(placed.size - 1, -1, -1):
        if placed[i] >= lowest:
            break
        placed[i] = lowest
        lowest += gap
    return placed


def heatmap(table: pd.DataFrame, *, n_exposures: int = 40, ax: Axes | None = None) -> Axes:
    """Draw z statistics of the exposures with the smallest p-values on all outcomes.

    Parameters
    ----------
    table : DataFrame
        Columns exposure, outcome, statistic, p_value, p_bh; one row per pair.
    n_exposures : int
        Rows drawn.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    best = table.groupby("exposure", sort=False)["p_value"].min().nsmallest(n_exposures).index
    outcomes = list(dict.fromkeys(table["outcome"]))
    drawn = table[table["exposure"].isin(best)]
    z = drawn.pivot(index="exposure", columns="outcome", values="statistic").reindex(index=best, columns=outcomes)
    rate = drawn.pivot(index="exposure", columns="outcome", values="p_bh").reindex(index=best, columns=outcomes)
    rows, columns = ([fold(str(name), _LONGEST, lines=1) for name in names] for names in (best, outcomes))
    beside, below = (_INCH * max(map(len, names), default=0) for names in (rows, columns))
    ax = new_axes(ax, width=1.2 + beside + 0.28 * max(len(columns), 8), height=0.6 + below + 0.2 * max(len(rows), 6))
    if not len(best):
        ax.text(0.5, 0.5, "no pair has an estimate", transform=ax.transAxes, ha="center", color=GREY)
        strip(ax)
        return ax
    values = z.to_numpy(dtype=float)
    limit = float(np.nanmax(np.abs(values), initial=1.0))
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    at_y, at_x = np.nonzero(rate.to_numpy(dtype=float) < _FDR)
    ax.plot(at_x, at_y, linestyle="none", marker="o", markersize=2.5, color="black")
    ax.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    ax.set_yticks(range(len(rows)), rows, fontsize=7)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6)
    bar.set_label("z (dots: FDR below 5%)", fontsize=8)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax
