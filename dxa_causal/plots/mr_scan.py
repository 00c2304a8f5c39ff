"""Pictures of a scan over many pairs of exposure and outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_NAMED = 12
_FDR = 0.05


def volcano(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw -log10 p against the effect of every pair; pairs below a false discovery rate of 5% are coloured.

    Parameters
    ----------
    table : DataFrame
        Columns exposure, outcome, estimate, p_value, p_bh; one row per pair.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.4, height=4.6)
    known = table.dropna(subset=["estimate", "p_value"])
    x = known["estimate"].to_numpy(dtype=float)
    y = -np.log10(np.maximum(known["p_value"].to_numpy(dtype=float), 1e-300))
    found = known["p_bh"].to_numpy(dtype=float) < _FDR
    ax.scatter(x[~found], y[~found], s=6, color=GREY, linewidths=0, rasterized=True, label="others")
    ax.scatter(x[found], y[found], s=14, color=COLOURS[1], linewidths=0, rasterized=True, label="FDR below 5%")
    _name(ax, known, x, y, int(found.sum()))
    ax.axvline(0.0, color=GREY, linewidth=0.8)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("Effect per unit of the exposure")
    ax.set_ylabel("$-\\log_{10}$ p")
    if found.any():
        ax.legend(frameon=False, fontsize=8)
    strip(ax)
    return ax


def _name(ax: Axes, known: pd.DataFrame, x: FloatArray, y: FloatArray, n_found: int) -> None:
    """Write the names of the clearest pairs towards the middle, one below the other, with a line to the point."""
    several = known["outcome"].nunique() > 1
    reach, height = float(np.max(np.abs(x), initial=0.0)), float(np.max(y, initial=1.0))
    free = {-1: np.inf, 1: np.inf}  # highest free place left and right
    for i in np.argsort(-y)[: min(_NAMED, n_found)]:
        row = known.iloc[int(i)]
        side = 1 if x[i] > 0 else -1
        at = min(y[i], free[side] - 0.045 * height)
        free[side] = at
        text = f"{row['exposure']}, {row['outcome']}" if several else str(row["exposure"])
        ax.annotate(
            text, (x[i], y[i]), xytext=(x[i] - side * 0.12 * reach, at), fontsize=7, va="center",
            ha="right" if side > 0 else "left", arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4},
        )  # fmt: skip


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
    ax = new_axes(ax, width=1.6 + 0.28 * max(len(outcomes), 8), height=1.2 + 0.2 * max(len(best), 6))
    values = z.to_numpy(dtype=float)
    limit = float(np.nanmax(np.abs(values), initial=1.0))
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    at_y, at_x = np.nonzero(rate.to_numpy(dtype=float) < _FDR)
    ax.plot(at_x, at_y, linestyle="none", marker="o", markersize=2.5, color="black")
    ax.set_xticks(range(len(outcomes)), outcomes, rotation=60, ha="right", fontsize=7)
    ax.set_yticks(range(len(best)), [str(name) for name in best], fontsize=7)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6)
    bar.set_label("z (dots: FDR below 5%)", fontsize=8)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax
