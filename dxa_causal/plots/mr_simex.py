"""Figure of simulation and extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes


def extrapolation_plot(
    lambdas: npt.NDArray[np.float64], estimates: npt.NDArray[np.float64], degree: int, ax: Axes | None = None
) -> Axes:
    """Draw the estimate by how much error was added, and the polynomial through it down to no error.

    Parameters
    ----------
    lambdas : (k,) ndarray
        Added error variance; 0 is the data as they are.
    estimates : (k,) ndarray
    degree : int
        Of the polynomial.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.4, height=4.0)
    polynomial = np.polynomial.Polynomial.fit(lambdas, estimates, degree)
    beyond, within = np.linspace(-1.0, 0.0, 50), np.linspace(0.0, lambdas.max(), 50)
    ax.plot(within, polynomial(within), "-", color=COLOURS[0])
    ax.plot(beyond, polynomial(beyond), "--", color=COLOURS[0])
    ax.plot(lambdas, estimates, "o", color="black", markersize=4, label="simulated")
    ax.plot([-1.0], [polynomial(-1.0)], "D", color=COLOURS[1], markersize=6, label="extrapolated to no error")
    ax.axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlabel("Added error (multiples of the error variance)")
    ax.set_ylabel("MR-Egger slope")
    strip(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax
