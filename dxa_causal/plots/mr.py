"""Figures of Mendelian randomisation: variants against each other, variant by variant, and as a whole."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

_LINES = ("-", "--", "-.", ":")


def mr_scatter(
    table: pd.DataFrame,
    estimates: pd.DataFrame,
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
    outcome: str = "outcome",
) -> Axes:
    """Draw each variant's effect on the outcome against that on the exposure, and a line per method.

    Parameters
    ----------
    table : DataFrame
        Columns beta_exposure, se_exposure, beta_outcome, se_outcome. Variants
        are drawn for the allele that raises the exposure; bars are 95% limits.
    estimates : DataFrame
        Columns method, term ("effect" is the slope, "intercept" where there
        is one), estimate; rows without an estimate are left out.
    ax : Axes, optional
    exposure, outcome : str
        Names for the axes.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=7.0, height=5.0)
    x, y = table["beta_exposure"].to_numpy(dtype=float), table["beta_outcome"].to_numpy(dtype=float)
    y = np.where(x < 0, -y, y)
    x = np.abs(x)
    ax.errorbar(
        x,
        y,
        xerr=1.96 * table["se_exposure"].to_numpy(dtype=float),
        yerr=1.96 * table["se_outcome"].to_numpy(dtype=float),
        fmt="o",
        markersize=3.5,
        color="black",
        ecolor="#BBBBBB",
        elinewidth=0.7,
        zorder=2,
    )
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=1)
    limits = ax.get_xlim()
    ends = np.array([min(0.0, limits[0]), limits[1]])
    drawn = estimates[np.isfinite(estimates["estimate"].to_numpy(dtype=float))]
    intercepts = drawn[drawn["term"] == "intercept"].set_index("method")["estimate"]
    lines: dict[tuple[float, float], list[str]] = {}  # methods with one and the same line share it
    for method, slope in drawn.loc[drawn["term"] == "effect", ["method", "estimate"]].to_numpy():
        lines.setdefault((float(intercepts.get(method, 0.0)), float(slope)), []).append(str(method))
    for i, ((intercept, slope), methods) in enumerate(lines.items()):
        style, colour = _LINES[i % len(_LINES)], COLOURS[i % len(COLOURS)]
        ax.plot(ends, intercept + slope * ends, style, color=colour, linewidth=1.8, label=" / ".join(methods), zorder=3)
    ax.set_xlim(*ends)
    ax.set_xlabel(_wrapped(f"Effect per allele on {exposure} (bars: 95% limits)", 64))
    ax.set_ylabel(_wrapped(f"Effect per allele on {outcome}"))
    strip(ax)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=8, handlelength=3)
    return ax


def mr_forest(
    single: pd.DataFrame,
    estimates: pd.DataFrame,
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
    outcome: str = "outcome",
) -> Axes:
    """Draw the ratio of every variant, smallest at the bottom, and the estimates of all variants below them.

    Parameters
    ----------
    single : DataFrame
        Columns variant, estimate, conf_low, conf_high; variants without a
        ratio are left out.
    estimates : DataFrame
        Columns method, term, estimate, conf_low, conf_high; rows "effect" are drawn.
    ax : Axes, optional
        New axes are as high as the variants need.
    exposure, outcome : str
        Names for the axis.

    Returns
    -------
    Axes
    """
    ratios = single[np.isfinite(single["estimate"].to_numpy(dtype=float))].sort_values("estimate", ascending=False)
    shown = (estimates["term"] == "effect").to_numpy() & np.isfinite(estimates["estimate"].to_numpy(dtype=float))
    overall = estimates[shown]
    lines = len(ratios) + len(overall) + 1
    ax = new_axes(ax, width=6.4, height=1.2 + 0.17 * lines)
    parts = (
        (ratios, np.arange(lines, len(overall) + 1, -1), "black", 3.0, 0.9),
        (overall, np.arange(len(overall), 0, -1), COLOURS[1], 5.5, 2.0),
    )
    for table, position, colour, size, width in parts:
        low, high = table["conf_low"].to_numpy(dtype=float), table["conf_high"].to_numpy(dtype=float)
        ax.hlines(position, low, high, color=colour, linewidth=width)
        ax.plot(table["estimate"].to_numpy(dtype=float), position, "o", color=colour, markersize=size)
    ax.axvline(0.0, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    if len(ratios):
        ax.axhline(len(overall) + 1, color=GREY, linewidth=0.5)
    names = [*ratios["variant"].astype(str), *overall["method"].astype(str)]
    ax.set_yticks(np.concatenate([parts[0][1], parts[1][1]]), names, fontsize=7 if len(ratios) > 30 else 8)
    for label in ax.get_yticklabels()[len(ratios) :]:
        label.set_fontweight("bold")
    ax.set_ylim(0.2, lines + 0.8)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(_wrapped(f"Effect on {outcome} per unit of {exposure} (bars: 95% limits)"))
    strip(ax)
    return ax


def mr_funnel(
    single: pd.DataFrame,
    estimates: pd.DataFrame,
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
    outcome: str = "outcome",
) -> Axes:
    """Draw each variant's precision against its ratio, and a vertical line per method.

    Without directional pleiotropy the variants spread evenly to both sides of
    the estimate, the wider the less precise they are.

    Parameters
    ----------
    single : DataFrame
        Columns variant, estimate, std_error; variants without a ratio are left out.
    estimates : DataFrame
        Columns method, term, estimate; rows "effect" are drawn.
    ax : Axes, optional
    exposure, outcome : str
        Names for the axis.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.4, height=4.6)
    ratios = single[np.isfinite(single["estimate"].to_numpy(dtype=float))]
    precision = 1.0 / ratios["std_error"].to_numpy(dtype=float)
    ax.plot(ratios["estimate"].to_numpy(dtype=float), precision, "o", color="black", markersize=3.5)
    _vertical_lines(ax, estimates)
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(_wrapped(f"Effect on {outcome} per unit of {exposure}, each variant"))
    ax.set_ylabel("Precision (1 / standard error)")
    strip(ax)
    return ax


def mr_density(
    single: pd.DataFrame,
    estimates: pd.DataFrame,
    ax: Axes | None = None,
    *,
    exposure: str = "exposure",
    outcome: str = "outcome",
) -> Axes:
    r"""Draw where the variants' ratios lie, each weighted by its precision, and a vertical line per method.

    Parameters
    ----------
    single : DataFrame
        Columns variant, estimate, std_error; variants without a ratio are left out.
    estimates : DataFrame
        Columns method, term, estimate; rows "effect" are drawn.
    ax : Axes, optional
    exposure, outcome : str
        Names for the axis.

    Returns
    -------
    Axes

    Notes
    -----
    Normal kernels with weights :math:`1/s_j^2` and Silverman's bandwidth
    :math:`0.9 \, \min(\text{sd}, \text{IQR}/1.34) \, n_e^{-1/5}` of the weighted ratios, with
    :math:`n_e = (\sum w)^2 / \sum w^2`. Two hills say that the variants see two effects.
    """
    ax = new_axes(ax, width=6.4, height=4.0)
    ratios = single[np.isfinite(single["estimate"].to_numpy(dtype=float))]
    x, se = ratios["estimate"].to_numpy(dtype=float), ratios["std_error"].to_numpy(dtype=float)
    if x.size:
        weight = se**-2 / np.sum(se**-2)
        width = _bandwidth(x, weight)
        at = np.linspace(x.min() - 3 * width, x.max() + 3 * width, 512)
        height = (weight * np.exp(-0.5 * ((at[:, None] - x) / width) ** 2)).sum(axis=1) / (width * np.sqrt(2 * np.pi))
        ax.fill_between(at, height, color="#DDDDDD", linewidth=0)
        ax.plot(at, height, color=GREY, linewidth=1.2)
        ax.plot(x, np.zeros_like(x), "|", color="black", markersize=9, clip_on=False)
        ax.set_ylim(bottom=0.0)
    _vertical_lines(ax, estimates)
    ax.set_xlabel(_wrapped(f"Effect on {outcome} per unit of {exposure}, each variant"))
    ax.set_ylabel("Density, by precision")
    strip(ax)
    return ax


def _bandwidth(x: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]) -> float:
    mean = float(weight @ x)
    sd = float(np.sqrt(weight @ (x - mean) ** 2))
    order = np.argsort(x)
    low, high = np.interp([0.25, 0.75], np.cumsum(weight[order]) - 0.5 * weight[order], x[order])
    noise = 1e-9 * float(np.abs(x).max())  # of rounding, where all ratios are equal
    spread = min(v for v in (sd, (high - low) / 1.34, np.inf) if v > noise)
    if not np.isfinite(spread):
        spread = max(abs(mean), 1.0) * 0.1
    return float(0.9 * spread * np.sum(weight**2) ** 0.2)


def _vertical_lines(ax: Axes, estimates: pd.DataFrame) -> None:
    shown = (estimates["term"] == "effect").to_numpy() & np.isfinite(estimates["estimate"].to_numpy(dtype=float))
    lines: dict[float, list[str]] = {}  # methods with one and the same estimate share a line
    for method, value in estimates.loc[shown, ["method", "estimate"]].to_numpy():
        lines.setdefault(float(value), []).append(str(method))
    for i, (value, methods) in enumerate(lines.items()):
        style, colour = _LINES[i % len(_LINES)], COLOURS[i % len(COLOURS)]
        ax.axvline(value, linestyle=style, color=colour, linewidth=1.8, label=" / ".join(methods))
    if lines:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False, fontsize=8, handlelength=3)


def _wrapped(label: str, width: int = 48) -> str:
    return textwrap.fill(label, width=width)
