"""Figure of Rucker's framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def rucker_plane(q: float, q_egger: float, n_variants: int, significance: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw the two heterogeneity statistics in the plane that their tests part into the models A to D.

    Parameters
    ----------
    q, q_egger : float
        Cochran's Q of IVW and Rucker's Q' of MR-Egger.
    n_variants : int
    significance : float
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    from scipy.special import chdtri

    ax = new_axes(ax, width=5.0, height=4.6)
    first, second, gap = (float(chdtri(df, significance)) for df in (n_variants - 1, n_variants - 2, 1))
    top = 1.25 * max(q, first + gap, second + gap)
    ax.plot([0.0, top], [0.0, top], "-", color=GREY, linewidth=0.8)
    ax.plot([first, first], [0.0, first], ":", color=GREY)
    ax.plot([first, top], [first - gap, top - gap], ":", color=GREY)
    ax.plot([max(first, second + gap), top], [second, second], ":", color=GREY)
    middle = 0.5 * (first + top)
    places = {"A": (0.6 * first, 0.3 * first), "C": (0.5 * (top + first), 0.5 * second)}
    places["B"] = (middle - 0.04 * top, middle + 0.04 * top)  # its strip is narrow, and nothing can lie above it
    places["D"] = (0.97 * top, 0.5 * (max(second, 0.0) + top - gap))
    for letter, (x, y) in places.items():
        ax.text(x, y, letter, color=GREY, fontsize=11, ha="center", va="center")
    ax.plot([q], [q_egger], "o", color=COLOURS[1], markersize=7)
    ax.set_xlim(0.0, top)
    ax.set_ylim(0.0, top)
    ax.set_xlabel("Q of IVW")
    ax.set_ylabel("Q' of MR-Egger")
    strip(ax)
    return ax
