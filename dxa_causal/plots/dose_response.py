"""The hazard ratio along an exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.coefficients import log_ticks
from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BEYOND = 3.0  # how far, as a ratio, limits are drawn beyond the curve


def dose_response_curve(
    curve: pd.DataFrame,
    observed: FloatArray,
    *,
    reference: float,
    label: str,
    effect_measure: str = "Hazard ratio",
    ax: Axes | None = None,
) -> Axes:
    """Draw a ratio against a reference value, with limits, over the distribution of the exposure.

    Parameters
    ----------
    curve : DataFrame
        Columns value, estimate, conf_low, conf_high.
    observed : (n,) ndarray
        Values of the exposure, for the bars below.
    reference : float
    label, effect_measure : str
    ax : Axes, optional
    """
    from matplotlib.ticker import NullLocator

    ax = new_axes(ax)
    x = curve["value"].to_numpy()
    ax.fill_between(x, curve["conf_low"], curve["conf_high"], color=COLOURS[0], alpha=0.18, linewidth=0)
    ax.plot(x, curve["estimate"], color=COLOURS[0], linewidth=1.8)
    ax.plot([reference], [1.0], "o", color=COLOURS[0], markersize=5)
    ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--")
    ax.set_yscale("log")
    drawn = np.append(curve["estimate"], 1.0)
    low = max(float(curve["conf_low"].min()), drawn.min() / BEYOND)
    high = min(float(curve["conf_high"].max()), drawn.max() * BEYOND)
    # room for the bars below
    ax.set_ylim(low / (high / low) ** 0.12, high * (high / low) ** 0.04)
    ticks = log_ticks(np.array([low, high, 1.0]))
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
    people = ax.twinx()
    people.hist(observed, bins=40, range=(x[0], x[-1]), color="0.8", zorder=0)
    people.set_ylim(0, 5 * people.get_ylim()[1])
    people.set_axis_off()
    ax.set_zorder(people.get_zorder() + 1)
    ax.patch.set_visible(False)
    ax.set_xlim(x[0], x[-1])
    ax.set_xlabel(label)
    ax.set_ylabel(f"{effect_measure} (reference {reference:g})")
    strip(ax)
    return ax
