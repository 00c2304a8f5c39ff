"""Figures as SVG without a date and as PNG."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A fixed salt makes the identifiers inside an SVG the same in every run.
_SVG: Any = {"svg.hashsalt": "dxa_causal", "svg.fonttype": "path"}


def write_figure(ax: Axes, stem: Path, *, dpi: int = 150) -> None:
    """Write a figure as SVG and PNG, and close it.

    Parameters
    ----------
    ax : Axes
        Any axes of the figure.
    stem : Path
        ``stem.svg`` and ``stem.png`` are written.
    dpi : int
        Resolution of the PNG.
    """
    import matplotlib

    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure")
    with matplotlib.rc_context(_SVG):
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None}, bbox_inches="tight")
    figure.savefig(stem.with_suffix(".png"), dpi=dpi, metadata={"Software": None}, bbox_inches="tight")
    if "matplotlib.pyplot" in sys.modules:  # it may manage the figure, and a run makes many
        from matplotlib import pyplot

        pyplot.close(figure)
