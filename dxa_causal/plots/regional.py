"""Figure of the associations in one region."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

_BANDS = ((0.0, "#0072B2"), (0.2, "#56B4E9"), (0.4, "#009E73"), (0.6, "#E69F00"), (0.8, "#D55E00"))


def regional_plot(
    z: npt.NDArray[np.float64],
    position: npt.NDArray[np.float64] | None = None,
    *,
    lead: str = "",
    r2: npt.NDArray[np.float64] | None = None,
    sets: dict[str, npt.NDArray[np.intp]] | None = None,
    ax: Axes | None = None,
    trait: str = "trait",
) -> Axes:
    """Draw -log10 p of the variants of a region.

    Parameters
    ----------
    z : (m,) ndarray
    position : (m,) ndarray, optional
        Base pairs; the order of the variants where omitted.
    lead : str
        Name of the variant with the largest z, written beside it.
    r2 : (m,) ndarray, optional
        With the lead variant: colours in five bands, grey where nan.
    sets : dict of str to ndarray of int, optional
        Variants of credible sets, circled.
    ax : Axes, optional
    trait : str

    Returns
    -------
    Axes
    """
    from scipy.special import log_ndtr

    ax = new_axes(ax, width=7.0, height=4.0)
    height = -(log_ndtr(-np.abs(z)) + np.log(2.0)) / np.log(10.0)
    x = np.arange(z.size) if position is None else position / 1e6
    if r2 is None:
        ax.plot(x, height, "o", markersize=3, color=COLOURS[0], alpha=0.7)
    else:
        unknown = np.isnan(r2)
        if unknown.any():
            ax.plot(x[unknown], height[unknown], "o", markersize=3, color="#BBBBBB", label="unknown")
        for low, colour in _BANDS:
            here = (r2 >= low) & ((r2 < low + 0.2) | (low == 0.8))
            if here.any():
                ax.plot(x[here], height[here], "o", markersize=3.5, color=colour, label=f"{low:.1f}-{low + 0.2:.1f}")
        ax.legend(title="r² with the lead", frameon=False, fontsize=7, title_fontsize=8)
    for k, (name, rows) in enumerate((sets or {}).items()):
        colour = COLOURS[(k + 1) % len(COLOURS)]
        ax.plot(x[rows], height[rows], "o", markersize=8, fillstyle="none", color=colour, label=name)
    if sets:
        ax.legend(title="Credible set", frameon=False, fontsize=8)
    top = int(np.argmax(height))
    ax.annotate(lead, (x[top], height[top]), xytext=(4, 4), textcoords="offset points", fontsize=8)
    ax.axhline(-np.log10(5e-8), color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    ax.set_ylim(bottom=0.0)
    ax.margins(y=0.1)
    ax.set_xlabel("Variant" if position is None else "Position (Mb)")
    ax.set_ylabel(textwrap.fill(f"-log10 p, {trait}", width=40))
    strip(ax)
    return ax
