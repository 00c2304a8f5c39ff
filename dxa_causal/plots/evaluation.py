"""Measures of predictive performance by horizon and model, with limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dxa_causal.plots.residuals import panels
from dxa_causal.plots.style import GREY, fold, make_room, new_axes, strip
from dxa_causal.plots.survival import CURVE_COLOURS, MANY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MARKERS = "osD^vP*X"
# Title, which way is better, and the value of no information, where it is one number.
_METRICS: dict[str, tuple[str, str, float | None]] = {
    "auc": ("AUC", "higher is better", 0.5),
    "brier": ("Brier score", "lower is better", None),
    "ipa": ("IPA", "higher is better", 0.0),
    "ibs": ("Integrated Brier score", "lower is better", None),
    "concordance_harrell": ("Concordance", "higher is better", 0.5),
    "concordance_uno": ("Concordance", "higher is better", 0.5),
}


def evaluation_figure(
    table: pd.DataFrame,
    models: Sequence[str],
    *,
    time_label: str,
    further: Sequence[Callable[[Axes], object]] = (),
) -> Axes:
    """Draw a panel per metric, both concordances in one, and then `further` panels.

    The integrated Brier score has a panel only where the Brier score has none.

    Parameters
    ----------
    table : DataFrame
        Columns model, metric, time, estimate, conf_low, conf_high.
    models : sequence of str
        In the order of their colours; others are grey.
    time_label : str
    further : sequence of functions of axes
        Draw what else belongs to the figure.

    Returns
    -------
    Axes
        The first panel.
    """
    there = [m for m in _METRICS if (table["metric"] == m).any()]
    both = tuple(m for m in there if m.startswith("concordance"))
    wanted: list[tuple[str, ...]] = [(m,) for m in there if m not in both and not (m == "ibs" and "brier" in there)]
    wanted += [both] if both else []
    _, axes = panels(len(wanted) + len(further))
    for number, (metrics, ax) in enumerate(zip(wanted, axes, strict=False)):
        part = table[table["metric"].isin(metrics)]
        evaluation_panel(part, models, time_label=time_label, ax=ax, unnamed=() if number == 0 else models)
    for draw, ax in zip(further, axes[len(wanted) :], strict=True):
        draw(ax)
    return axes[0]


def evaluation_panel(
    table: pd.DataFrame, models: Sequence[str], *, time_label: str, ax: Axes | None = None, unnamed: Sequence[str] = ()
) -> Axes:
    """Draw estimates with limits: side by side at each horizon, or one below the other for concordances.

    Parameters
    ----------
    table : DataFrame
        Lines of one metric, or of concordances.
    models : sequence of str
    time_label : str
    ax : Axes, optional
    unnamed : sequence of str
        Models that the legend leaves out.
    """
    ax = new_axes(ax)
    title, better, none = _METRICS[str(table["metric"].iloc[0])]
    if table["metric"].str.startswith("concordance").all():
        _below_each_other(table, models, ax)
        if none is not None:
            ax.axvline(none, color=GREY, linestyle=":", linewidth=1)
        ax.set_xlabel(f"{title} ({better})")
        strip(ax)
        return ax
    times = np.sort(table["time"].unique())
    others = [m for m in table["model"].unique() if m not in models]
    names = [*others, *models]
    gap = float(np.diff(times).min()) if times.size > 1 else 1.0
    for number, name in enumerate(names):
        part = table[table["model"] == name].sort_values("time")
        colour, marker = _style(name, models)
        shift = 0.12 * gap * (number - (len(names) - 1) / 2) / max(1.0, len(names) / 4)
        line = "-" if times.size > 1 and len(names) <= MANY else ""
        _points(ax, part["time"] + shift, part, colour, marker, line, "" if name in unnamed else name)
    if none is not None:
        ax.axhline(none, color=GREY, linestyle=":", linewidth=1)
    ax.set_xticks(times, [f"{t:g}" for t in times])
    ax.set_xlim(times[0] - 0.6 * gap, times[-1] + 0.6 * gap)
    ax.set(xlabel=time_label, ylabel=f"{title} ({better})")
    if set(names) - set(unnamed):
        ax.legend(frameon=False, fontsize="small")
    strip(ax)
    return ax


def _below_each_other(table: pd.DataFrame, models: Sequence[str], ax: Axes) -> None:
    kinds = list(dict.fromkeys(table["metric"]))
    labels = []
    for place, (_, line) in enumerate(table.iterrows()):
        colour, marker = _style(line["model"], models)
        low, high = line["estimate"] - line["conf_low"], line["conf_high"] - line["estimate"]
        ax.errorbar(line["estimate"], -place, xerr=[[low], [high]], fmt=marker, color=colour, capsize=2)
        kind = line["metric"].removeprefix("concordance_").capitalize()
        labels.append(fold(f"{line['model']} ({kind})" if len(kinds) > 1 else str(line["model"])))
    ax.set_yticks(-np.arange(len(labels)), labels)
    ax.set_ylim(0.6 - len(labels), 0.6)
    make_room(ax)


def _points(ax: Axes, at: pd.Series, part: pd.DataFrame, colour: str, marker: str, line: str, name: str) -> None:
    distance = [part["estimate"] - part["conf_low"], part["conf_high"] - part["estimate"]]
    ax.errorbar(
        at,
        part["estimate"],
        yerr=distance,
        fmt=marker,
        linestyle=line,
        color=colour,
        capsize=2,
        markersize=4,
        label=name,
    )


def _style(name: str, models: Sequence[str]) -> tuple[str, str]:
    if name not in models:
        return GREY, "x"
    number = list(models).index(name)
    return CURVE_COLOURS[number % MANY], _MARKERS[number % len(_MARKERS)]
