"""Love plot: how far apart the arms are, covariate by covariate, before and after weighting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip, term_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def love(balance: pd.DataFrame, ax: Axes | None = None, *, threshold: float = 0.1) -> Axes:
    """Draw absolute standardised mean differences as dots, one line per covariate.

    Parameters
    ----------
    balance : DataFrame
        Columns term, level, smd_unadjusted, smd; drawn from top to bottom.
    ax : Axes, optional
        Drawn on; a new figure as tall as the table needs when omitted.
    threshold : float
        Where the dashed line stands; 0.1 is the usual limit.

    Returns
    -------
    Axes

    References
    ----------
    Austin PC. Stat Med 2009;28:3083-3107. doi:10.1002/sim.3697

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"term": ["age"], "level": [""], "smd_unadjusted": [0.4], "smd": [-0.02]})
    >>> love(table).get_xlabel()
    'Absolute standardised mean difference'
    """
    ax = new_axes(ax, height=1.3 + 0.26 * len(balance))
    position = range(len(balance))
    before, after = balance["smd_unadjusted"].abs(), balance["smd"].abs()
    ax.hlines(position, before, after, color="0.8", linewidth=1.0, zorder=1)
    ax.scatter(before, position, s=34, facecolor="white", edgecolor=COLOURS[1], label="before weighting", zorder=2)
    ax.scatter(after, position, s=34, color=COLOURS[0], label="after weighting", zorder=3)
    ax.axvline(threshold, color=GREY, linestyle="--", linewidth=0.9)
    ax.axvline(0.0, color=GREY, linewidth=0.9)
    ax.set_yticks(position, [_label(*row) for row in zip(balance["term"], balance["level"], strict=True)])
    ax.set_ylim(len(balance) - 0.4, -0.6)
    ax.set_xlim(left=-0.015 * max(threshold, float(before.max()), float(after.max())))
    ax.grid(axis="y", color="0.93")
    ax.set_axisbelow(True)
    ax.set_xlabel("Absolute standardised mean difference")
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, handletextpad=0.2)
    strip(ax)
    return ax


def _label(term: str, level: str) -> str:
    return f"{term_label(term)}: {level}" if level else term_label(term)
