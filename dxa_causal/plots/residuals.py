"""Residuals against time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip, term_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]


def residuals_over_time(
    time: FloatArray,
    transformed: FloatArray,
    residual: FloatArray,
    *,
    variance: float,
    coefficient: float,
    term: str,
    ax: Axes | None = None,
) -> Axes:
    """Scaled Schoenfeld residuals with a natural spline in the transformed time, its band and the fitted coefficient.

    Parameters
    ----------
    time, transformed, residual : (n_events,) ndarray
    variance : float
        Of one residual about the curve.
    coefficient : float
        The constant log hazard ratio of the fit.
    term : str
    ax : Axes, optional
    """
    ax = new_axes(ax)
    ax.plot(transformed, residual, "o", color=GREY, markersize=3, alpha=0.5, markeredgewidth=0)
    at = np.linspace(transformed.min(), transformed.max(), 60)
    n_knots = min(4, np.unique(transformed).size - 1)
    if n_knots >= 2:
        knots = np.quantile(np.unique(transformed), np.linspace(0, 1, n_knots))
        basis, own = (_natural_cubic(v, knots) for v in (at, transformed))
        q, r = np.linalg.qr(own)
        smooth = basis @ np.linalg.solve(r, q.T @ residual)
        half = 1.96 * np.sqrt(variance * ((basis @ np.linalg.inv(r)) ** 2).sum(axis=1))
        ax.fill_between(at, smooth - half, smooth + half, color=COLOURS[0], alpha=0.15, linewidth=0)
        ax.plot(at, smooth, color=COLOURS[0], linewidth=1.6)
        # a few wild residuals must not flatten the curve
        low, high = np.quantile(residual, [0.01, 0.99])
        ax.set_ylim(min(low, (smooth - half).min()), max(high, (smooth + half).max()))
    ax.axhline(coefficient, color=COLOURS[1], linewidth=1, linestyle="--")
    places = np.unique(np.quantile(transformed, np.linspace(0.02, 0.98, 6), method="nearest"))
    ax.set_xticks(places, [f"{time[np.argmax(transformed == p)]:.3g}" for p in places])
    ax.set(xlabel="Time", ylabel="Log hazard ratio")
    ax.set_title(term_label(term), fontsize="medium")
    strip(ax)
    return ax


def panels(n: int) -> tuple[Figure, list[Axes]]:
    """A figure with `n` axes, two in a row."""
    rows = (n + 1) // 2
    columns = min(n, 2)
    figure = new_axes(None, width=5.2 * columns, height=3.4 * rows).get_figure(root=True)
    assert figure is not None
    figure.clear()
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[n:]:
        spare.set_visible(False)
    return figure, list(axes[:n])


def _natural_cubic(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Constant, x and the truncated-power columns of a natural cubic spline."""
    last = knots[-1]
    cube = np.maximum(x[:, None] - knots, 0.0) ** 3
    slope = (cube[:, :-1] - cube[:, [-1]]) / (last - knots[:-1])
    return np.column_stack([np.ones_like(x), x, slope[:, :-1] - slope[:, [-1]]])
