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
    time_label: str = "Time",
    ax: Axes | None = None,
) -> Axes:
    """Scaled Schoenfeld residuals with a natural spline in the transformed time, its band and the fitted coefficient.

    Residuals beyond the axis, where a few wild ones would flatten the curve,
    stand as triangles at its ends.

    Parameters
    ----------
    time, transformed, residual : (n_events,) ndarray
    variance : float
        Of one residual about the curve.
    coefficient : float
        The constant log hazard ratio of the fit.
    term, time_label : str
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
        low, high = np.quantile(residual, [0.01, 0.99])
        low, high = min(low, (smooth - half).min()), max(high, (smooth + half).max())
        margin = 0.05 * (high - low)
        ax.set_ylim(low - margin, high + margin)
        for edge, marker, beyond in ((low, "v", residual < low - margin), (high, "^", residual > high + margin)):
            places = transformed[beyond]
            edge = edge - margin / 2 if marker == "v" else edge + margin / 2
            ax.plot(places, np.full(places.size, edge), marker, color=GREY, markersize=4, alpha=0.7, markeredgewidth=0)
    ax.axhline(coefficient, color=COLOURS[1], linewidth=1, linestyle="--")
    ticks = _round_times(time, transformed)
    ax.set_xticks(list(ticks.values()), [f"{t:.10g}" for t in ticks])
    ax.set(xlabel=time_label, ylabel="Log hazard ratio")
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


def _round_times(time: FloatArray, transformed: FloatArray) -> dict[float, float]:
    """Round times and their places on the transformed axis, about evenly spread over it."""
    order = np.argsort(time, kind="stable")
    time, place = time[order], transformed[order]
    left, width = place.min(), np.ptp(place)
    ticks: dict[float, float] = {}
    for wanted in left + width * np.linspace(0.03, 0.97, 7):
        exact = float(time[np.argmin(np.abs(place - wanted))])
        rounded = (float(f"{exact:.{digits}g}") for digits in (1, 2, 3))
        for t in rounded:
            at = float(np.interp(t, time, place))
            apart = min((abs(at - other) for other in ticks.values()), default=np.inf)
            if time[0] <= t <= time[-1] and abs(at - wanted) <= 0.06 * width and apart >= 0.1 * width:
                ticks[t] = at
                break
    return ticks
