"""Figures of sample overlap and of selected effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes


def ld_score_plot(bands: pd.DataFrame, intercept: float, slope: float, ax: Axes | None = None) -> Axes:
    """Draw the mean product of two z statistics by LD score, and the regression line.

    Parameters
    ----------
    bands : DataFrame
        Columns ld_score and product: means over variants with like scores.
    intercept, slope : float
        Of the line.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.4, height=4.0)
    ends = np.array([0.0, 1.05 * bands["ld_score"].max()])
    ax.plot(bands["ld_score"], bands["product"], "o", color=COLOURS[0], markersize=4)
    ax.plot(ends, intercept + slope * ends, "-", color=COLOURS[1], linewidth=1.2)
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlim(*ends)
    ax.set_xlabel("LD score")
    ax.set_ylabel("Mean product of the two z statistics")
    strip(ax)
    return ax


def shrinkage_plot(
    z: npt.NDArray[np.float64], shrunk: npt.NDArray[np.float64], threshold: float | None, ax: Axes | None = None
) -> Axes:
    """Draw shrunken against observed z statistics, with the diagonal and the threshold of selection.

    Parameters
    ----------
    z, shrunk : (n,) ndarray
    threshold : float or None
        On the scale of z.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.0, height=4.6)
    ends = np.array([-1.05, 1.05]) * np.abs(z).max()
    ax.plot(ends, ends, "-", color=GREY, linewidth=0.8, zorder=0)
    ax.plot(z, shrunk, "o", color=COLOURS[0], markersize=3)
    if threshold is not None:
        for at in (-threshold, threshold):
            ax.axvline(at, color=COLOURS[1], linestyle=":", linewidth=1.0)
    ax.set_xlabel("Observed z statistic")
    ax.set_ylabel("z statistic, selection allowed for")
    strip(ax)
    return ax


def replication_plot(table: pd.DataFrame, slope: float, ax: Axes | None = None) -> Axes:
    """Draw effects found again against the effects that variants were selected by.

    Parameters
    ----------
    table : DataFrame
        Columns beta_selection and beta_exposure.
    slope : float
        Of the line through the origin.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.0, height=4.6)
    x, y = table["beta_selection"].to_numpy(dtype=float), table["beta_exposure"].to_numpy(dtype=float)
    ends = np.array([-1.05, 1.05]) * np.abs(x).max()
    ax.plot(ends, ends, "-", color=GREY, linewidth=0.8, zorder=0, label="no winner's curse")
    ax.plot(ends, slope * ends, "-", color=COLOURS[1], linewidth=1.2, label=f"slope {slope:.2f}")
    ax.plot(x, y, "o", color=COLOURS[0], markersize=3)
    ax.set_xlabel("Effect in the study for selection")
    ax.set_ylabel("Effect in the exposure's study")
    strip(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax
