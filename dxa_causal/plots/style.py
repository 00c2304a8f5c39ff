"""Colours and a fresh pair of axes: the few choices all figures share."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._base import _AxesBase
    from matplotlib.backend_bases import RendererBase
    from matplotlib.transforms import Bbox

# Okabe and Ito's palette, told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
GREY = "#666666"

# What axes need to the left, below and to the right for their usual labels, points.
_USUAL = np.array([46.0, 28.0, 6.0])
# One factor of a term: name or call, perhaps [level], up to ":", " (" or the end.
_FACTOR = re.compile(
    r"(?P<name>[^\W\d][^\[\]:(]*(?P<call>\(.*?\))?)(?:\[(?:T\.)?(?P<level>.*?)\])?(?=:\S|\s\(|$)", re.DOTALL
)


def new_axes(ax: Axes | None, *, width: float = 6.4, height: float = 4.0) -> Axes:
    """Return `ax`, or axes on a new figure.

    In a notebook, or where the caller uses pyplot, pyplot manages the figure,
    so that it shows up as users expect; elsewhere nothing holds on to it.
    """
    if ax is not None:
        return ax
    if "matplotlib.pyplot" in sys.modules or "ipykernel" in sys.modules:
        from matplotlib import pyplot

        return pyplot.figure(figsize=(width, height), layout="constrained").add_subplot()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def strip(ax: Axes) -> None:
    """Take away the top and right frame."""
    ax.spines[["top", "right"]].set_visible(False)


def make_room(ax: Axes) -> None:
    """Shrink axes the caller placed, so that what stands around them keeps to their share of the figure.

    Where the figure has a layout engine ("constrained", "tight") that is its task.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    if figure.get_layout_engine() is not None or ax.get_axes_locator() is not None:
        return
    ax.set_axes_locator(_Share(ax, *_overhang(ax)))


class _Share:
    """What is left of the place of axes when their labels have theirs, whatever becomes of the figure's size."""

    def __init__(self, ax: Axes, left: float, bottom: float, right: float) -> None:
        self.get_subplotspec = ax.get_subplotspec  # tight_layout asks for it
        self.left, self.bottom, self.right = left, bottom, right

    def __call__(self, ax: _AxesBase, renderer: RendererBase | None) -> Bbox:
        from matplotlib.transforms import Bbox

        box = ax.get_position(original=True)
        width, height = (float(v) * 72 / ax.figure.dpi for v in (ax.figure.bbox.width, ax.figure.bbox.height))
        x0 = box.x0 + min(self.left / width, 0.6 * box.width)
        y0 = box.y0 + min(self.bottom / height, 0.6 * box.height)
        return Bbox.from_extents(x0, y0, max(box.x1 - self.right / width, x0 + 0.2 * box.width), box.y1)


def free_width(ax: Axes) -> float:
    """Points from the left to the right end of the axis, when what stands beside it has found room."""
    left, _, right = _overhang(ax)
    return max(ax.get_window_extent().width * 72 / ax.figure.dpi - left - right, 36.0)


def _overhang(ax: Axes) -> np.ndarray:
    """Points by which labels reach further than usual to the left, below and to the right."""
    inner, outer = ax.get_window_extent(), ax.get_tightbbox()
    assert outer is not None
    overhang = np.array([inner.x0 - outer.x0, inner.y0 - outer.y0, outer.x1 - inner.x1]) * 72 / ax.figure.dpi
    return np.maximum(overhang - _USUAL, 0.0)


def fold(label: str, width: int = 28, lines: int = 3) -> str:
    """Break a long label into lines; what is too long for them loses its middle, as the ends tell labels apart.

    Examples
    --------
    >>> print(fold("stage at the first visit to a clinic: advanced"))
    stage at the first visit to
    a clinic: advanced
    """
    room = width * lines
    if len(label) > room:
        label = f"{label[: room // 2 - 8]} … {label[-(room // 2 - 8) :]}"
    return "\n".join(textwrap.wrap(label, width)) or label


def term_label(term: str) -> str:
    """Write the name of a model term as people read it; other text stays as it is.

    Examples
    --------
    >>> term_label("C(sex)[T.male]"), term_label("arm[T.b]"), term_label("I(age ** 2)"), term_label("grip_kg")
    ('sex: male', 'arm: b', 'I(age**2)', 'grip kg')
    >>> term_label("C(a)[T.x]:age"), term_label("long[T.Other]:C(sex)[T.M]"), term_label("band[T.(50, 60]]")
    ('a: x × age', 'long: Other × sex: M', 'band: (50, 60]')
    >>> term_label("sex[T.M] (cause pcm)"), term_label("rcs(bmi, 3)[1]"), term_label("tt(karno)")
    ('sex: M (cause pcm)', 'rcs(bmi, 3), column 1', 'tt(karno)')
    """
    factors, place = [], 0
    while match := _FACTOR.match(term, place):
        factors.append(_factor_label(match))
        place = match.end() + 1
        if not term.startswith(":", match.end()):
            return " × ".join(factors) + term[match.end() :].replace("_", " ")
    return term.replace("_", " ")


def _factor_label(factor: re.Match[str]) -> str:
    name, call, level = factor["name"], factor["call"], factor["level"]
    categorical = re.match(r"C\(([^(),]+)", name)
    name = (categorical[1] if categorical else name).replace(" ** ", "**").replace("_", " ")
    if level is None:
        return name
    return f"{name}, column {level}" if call and not categorical and level.isdigit() else f"{name}: {level}"
