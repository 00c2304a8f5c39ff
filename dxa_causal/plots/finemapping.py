"""Figures of fine-mapping, of colocalisation and of linkage that disagrees."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    FloatArray = npt.NDArray[np.float64]

_NAMED = 8


def inclusion_plot(
    probability: FloatArray,
    position: FloatArray | None = None,
    *,
    sets: dict[str, npt.NDArray[np.intp]] | None = None,
    ax: Axes | None = None,
    trait: str = "trait",
    legend: str = "Credible set",
    names: Sequence[str] | None = None,
) -> Axes:
    """Draw the posterior probability of each variant to be causal, credible sets in colour.

    Parameters
    ----------
    probability : (m,) ndarray
    position : (m,) ndarray, optional
        Base pairs; the order of the variants where omitted.
    sets : dict of str to ndarray of int, optional
        Variants of credible sets.
    ax : Axes, optional
    trait : str
    legend : str
        What the sets are.
    names : (m,) sequence of str, optional
        Of the variants; the likeliest (above one half, at most eight) are named.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=7.0, height=3.6)
    x = np.arange(probability.size) if position is None else position / 1e6
    ax.plot(x, probability, "o", markersize=3, color="#999999")
    for k, (name, rows) in enumerate((sets or {}).items()):
        ax.plot(x[rows], probability[rows], "o", markersize=6, color=COLOURS[k % len(COLOURS)], label=name)
    if sets:
        ax.legend(title=legend, frameon=False, fontsize=8)
    ax.set_ylim(0.0, 1.05)
    ax.set_xlabel("Variant" if position is None else "Position (Mb)")
    ax.set_ylabel(textwrap.fill(f"Probability to be causal, {trait}", width=36))
    likely = np.argsort(-probability, kind="stable")[:_NAMED]
    shown = [] if names is None else [(str(names[i]), i) for i in likely[probability[likely] > 0.5]]
    for name, i in shown:
        side = "right" if x[i] > 0.5 * (x[0] + x[-1]) else "left"
        ax.annotate(
            name, (x[i], probability[i]), xytext=(-5 if side == "right" else 5, 0), textcoords="offset points",
            fontsize=7, va="center", ha=side,
        )  # fmt: skip
    strip(ax)
    return ax


def sensitivity_plot(table: pd.DataFrame, chosen: float, ax: Axes | None = None) -> Axes:
    """Draw the posterior probabilities of the five hypotheses by the prior that a variant is shared.

    Parameters
    ----------
    table : DataFrame
        p12, PP.H0 to PP.H4 and passes (whether H4 is above one half).
    chosen : float
        The prior used, marked by a line.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.4, height=4.0)
    for k in range(5):
        ax.plot(table["p12"], table[f"PP.H{k}"], color=COLOURS[k], label=f"H{k}")
    ax.fill_between(table["p12"], 0.0, 1.0, where=table["passes"].to_numpy(), color="#009E73", alpha=0.12, linewidth=0)
    ax.axvline(chosen, color=GREY, linestyle="--", linewidth=0.9)
    ax.set_xscale("log")
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel("Prior probability p12 that a variant is causal for both (shaded: H4 above 0.5)")
    ax.set_ylabel("Posterior probability")
    strip(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax


def hypotheses_plot(labels: list[str], posterior: FloatArray, ax: Axes | None = None) -> Axes:
    """Draw stacked bars of the posterior probabilities of the five hypotheses.

    Parameters
    ----------
    labels : list of str
        One per bar.
    posterior : (k, 5) ndarray
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=6.4, height=0.8 + 0.5 * max(len(labels), 2))
    y, left = np.arange(len(labels)), np.zeros(len(labels))
    for k in range(5):
        ax.barh(y, posterior[:, k], left=left, color=COLOURS[k], label=f"H{k}", height=0.6)
        left = left + posterior[:, k]
    ax.set_yticks(y, labels)
    ax.invert_yaxis()
    ax.set_xlim(0.0, 1.0)
    ax.set_xlabel("Posterior probability")
    strip(ax)
    ax.legend(frameon=False, fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def expected_plot(z: FloatArray, expected: FloatArray, flagged: npt.NDArray[np.bool_], ax: Axes | None = None) -> Axes:
    """Draw the observed z statistics against those that the other variants foretell.

    Parameters
    ----------
    z, expected : (m,) ndarray
    flagged : (m,) ndarray of bool
        Drawn in colour.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=4.8, height=4.6)
    ends = np.array([min(z.min(), expected.min()), max(z.max(), expected.max())])
    ax.plot(ends, ends, "-", color=GREY, linewidth=0.8, zorder=0)
    ax.plot(expected[~flagged], z[~flagged], "o", markersize=3, color="#777777")
    ax.plot(expected[flagged], z[flagged], "o", markersize=5, color=COLOURS[1], label="likelier with the sign turned")
    if flagged.any():
        ax.legend(frameon=False, fontsize=8)
    ax.set_xlabel("z expected from the other variants")
    ax.set_ylabel("z observed")
    strip(ax)
    return ax


def ratio_plot(effects: pd.DataFrame, slope: float, ax: Axes | None = None) -> Axes:
    """Draw effects on the trait against effects on the expression, with the line of the top variant's ratio.

    Parameters
    ----------
    effects : DataFrame
        beta_exposure, se_exposure, beta_outcome, se_outcome, top (bool).
    slope : float
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=5.4, height=4.2)
    sign = np.where(effects["beta_exposure"] < 0.0, -1.0, 1.0)
    x, y = (sign * effects[f"beta_{which}"] for which in ("exposure", "outcome"))
    for here, colour, label in ((~effects["top"], "#777777", "HEIDI variants"), (effects["top"], COLOURS[1], "top")):
        if here.any():
            bars = {"xerr": 1.96 * effects["se_exposure"][here], "yerr": 1.96 * effects["se_outcome"][here]}
            ax.errorbar(x[here], y[here], **bars, fmt="o", markersize=4, color=colour, elinewidth=0.6, label=label)
    ends = np.array([0.0, 1.1 * float(x.max())])
    ax.plot(ends, slope * ends, "--", color=GREY, linewidth=1.0)
    ax.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    ax.set_xlabel("Effect on expression (bars: 95% limits)")
    ax.set_ylabel("Effect on the trait")
    strip(ax)
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax
