"""Colours and a fresh pair of axes: the few choices all figures share."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
GREY = "#666666"


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


def term_label(term: str) -> str:
    """Write the name of a model term as people read it.

    Examples
    --------
    >>> term_label("C(sex)[T.male]"), term_label("arm[T.b]"), term_label("I(age ** 2)"), term_label("grip_kg")
    ('sex: male', 'arm: b', 'I(age**2)', 'grip kg')
    """
    name, bracket, level = term.partition("[")
    name = re.sub(r"^C\(([^(),]+).*\)$", r"\1", name).replace(" ** ", "**").replace("_", " ")
    return f"{name}: {level.removesuffix(']').removeprefix('T.')}" if bracket else name
