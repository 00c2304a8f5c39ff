"""Step curves with limits and the numbers at risk below: survival, cumulative hazard, cumulative incidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.plots.style import COLOURS, GREY, fold, free_width, make_room, new_axes, strip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LINES = ("-", "--", ":", "-.")
CURVE_COLOURS = (*COLOURS[:-1], "#8C564B")  # yellow lines are faint on white
MANY = len(CURVE_COLOURS)  # curves beyond which bands would hide each other and a legend the curves
CurveType = Literal["survival", "cumulative_incidence", "cumulative_hazard"]

_ROW = 12.0  # height of a row of numbers at risk, points
_CURVES: dict[str, tuple[str, float]] = {
    "survival": ("Survival probability", 1.0),
    "cumulative_incidence": ("Cumulative incidence", 0.0),
    "cumulative_hazard": ("Cumulative hazard", 0.0),
}


def step_curves(
    table: pd.DataFrame,
    *,
    value_label: str,
    start: float,
    at_risk: pd.DataFrame | None = None,
    origin: float = 0.0,
    time_label: str = "time",
    ax: Axes | None = None,
) -> Axes:
    """Draw one step curve per group, or per group and cause, and the numbers at risk below.

    Parameters
    ----------
    table : DataFrame
        Columns group, time, estimate; conf_low and conf_high for bands (left
        out beyond eight groups); cause for several curves per group; n_censor
        to mark censored times.
    value_label : str
    start : float
        Value before the first step: 1 for survival, 0 for what rises.
    at_risk : DataFrame, optional
        One row per group, in the order of `table`, one column per time:
        printed below the axis, its index names the groups. Left out where it
        would take more than half the height of given axes.
    origin : float
        Where the axis begins; ``at_risk.attrs["origin"]`` overrides it.
    time_label : str
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    groups = list(dict.fromkeys(table["group"]))
    names = [str(v) for v in (groups if at_risk is None else at_risk.index)]
    causes = list(dict.fromkeys(table["cause"])) if "cause" in table else [None]
    several = len(groups) > 1
    if at_risk is not None:
        origin = float(at_risk.attrs.get("origin", at_risk.columns[0]))
    given, ax = ax, new_axes(ax, height=4.0 + _ROW / 72 * (0 if at_risk is None else len(groups) + 1))
    looks = []
    for i, group in enumerate(groups):
        for j, cause in enumerate(causes):
            curve = table[table["group"] == group]
            if cause is not None:
                curve = curve[curve["cause"] == cause]
            # colour tells groups apart, or causes where there is one group
            k = i if several else j
            line = LINES[(k // MANY + several * j) % len(LINES)]
            look: dict[str, Any] = {"color": CURVE_COLOURS[k % MANY], "linestyle": line}
            looks.append(look)
            label = ", ".join([names[i]] * several + [f"cause {cause}"] * (cause is not None))
            time = np.concatenate([[origin], curve["time"]])
            value = np.concatenate([[start], curve["estimate"]])
            ax.step(time, value, where="post", label=fold(label), linewidth=1.6, **look)
            if "conf_low" in curve and len(groups) <= MANY:
                low, high = (np.concatenate([[start], curve[c]]) for c in ("conf_low", "conf_high"))
                ax.fill_between(time, low, high, step="post", color=look["color"], alpha=0.15, linewidth=0)
            if "n_censor" in curve:
                censored = curve[curve["n_censor"] > 0]
                if len(censored) <= 200:  # more marks than that hide the curve
                    ax.plot(censored["time"], censored["estimate"], "|", color=look["color"], markersize=5)
    ax.set(xlabel=time_label, ylabel=value_label, ylim=(0, 1.02 if start == 1.0 else None), xlim=(origin, None))
    strip(ax)
    if len(looks) > 1:
        _legend(ax, len(looks))
    if at_risk is not None:
        crowded = given is not None and _ROW * (len(groups) + 1) > 0.5 * ax.get_window_extent().height / _point(ax)
        _numbers_at_risk(ax, at_risk, looks[:: len(causes)], crowded=crowded, written=given is None)
    if given is not None:
        make_room(ax)
    return ax


def predicted_curves(
    table: pd.DataFrame,
    *,
    type: CurveType = "survival",
    labels: Sequence[str] | None = None,
    origin: float = 0.0,
    time_label: str = "time",
    ax: Axes | None = None,
) -> Axes:
    """Draw the curves that a model predicts for rows of covariates, one per row (and cause).

    Parameters
    ----------
    table : DataFrame
        What ``fit.predict(new, type=...)`` returns: columns row, time,
        estimate, and limits and cause where there are any.
    type : {"survival", "cumulative_incidence", "cumulative_hazard"}
        What was predicted.
    labels : sequence of str, optional
        Names of the rows, in their order; "row 3" or what the index of the new
        rows says when omitted.
    origin : float
        Where the axis begins, such as the age at which observation begins.
    time_label : str
        Should name the unit.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    OptionError
        There are not as many `labels` as rows.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> import pandas as pd
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 70 and grip_kg > 0")
    >>> fit = dc.survival.cox("Surv(time, died) ~ age + grip_kg", cohort)
    >>> weak = pd.DataFrame({"age": 75, "grip_kg": [20, 35]}, index=["20 kg", "35 kg"])
    >>> ax = predicted_curves(fit.predict(weak, type="survival"), time_label="Years since the examination")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['20 kg', '35 kg']
    """
    check_option("type", type, CurveType)
    rows = list(dict.fromkeys(table["row"]))
    if labels is not None and len(labels) != len(rows):
        raise OptionError(f"labels: {len(labels)} names for {len(rows)} rows")
    names = labels or [v if isinstance(v, str) else f"row {v}" for v in rows]
    value_label, start = _CURVES[type]
    return step_curves(
        table.assign(group=table["row"].map(dict(zip(rows, names, strict=True)))),
        value_label=value_label,
        start=start,
        origin=origin,
        time_label=time_label,
        ax=ax,
    )


def _legend(ax: Axes, n: int) -> None:
    if n <= MANY:
        narrow = ax.get_window_extent().width / _point(ax) < 300
        ax.legend(frameon=False, loc="best", fontsize="x-small" if narrow else "small" if n > 3 else None)
    else:
        columns = 1 + (n - 1) // 30
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="x-small", ncols=columns)


def _numbers_at_risk(
    ax: Axes, at_risk: pd.DataFrame, looks: list[dict[str, Any]], *, crowded: bool, written: bool
) -> None:
    """Ticks at the times of the table and, unless crowded, its numbers; rows are named or marked as their curve."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    counts = {time: [_count(n) for n in at_risk[time]] for time in at_risk.columns}
    ticks = {time: f"{float(time):g}" for time in at_risk.columns}
    widest = max(max(6.5 * len(ticks[t]), 5.5 * max(map(len, counts[t]))) for t in ticks) + 8.0
    kept = list(ticks)[:: int(np.ceil(widest * len(ticks) / free_width(ax)))]
    ax.set_xticks([float(t) for t in kept], [ticks[t] for t in kept])
    if crowded:
        return
    small: dict[str, Any] = {"fontsize": 8, "va": "center"}
    top = -16.0 - 2.6 * float(ax.xaxis.label.get_fontsize())
    ax.annotate("At risk", (0, 0), (0, top), "axes fraction", "offset points", color=GREY, **small)
    names = [str(v) for v in at_risk.index]
    written = written and max(map(len, names)) <= 20
    # inches from the left end of the axis; the stub asks for less than what the transform can do
    corner = ax.figure.dpi_scale_trans + ScaledTranslation(0.0, 0.0, ax.transAxes)  # type: ignore[arg-type]
    for i, look in enumerate(looks):
        y = top - (i + 1) * _ROW
        if len(looks) > 1 and written:
            place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
            ax.annotate(names[i], (0, 0), (-20, y), ha="right", color=look["color"], **place, **small)
        elif len(looks) > 1:
            ax.add_artist(Line2D([-0.55, -0.25], [y / 72] * 2, transform=corner, clip_on=False, **look))
        for time in kept:
            ax.annotate(
                counts[time][i],
                (float(time), 0.0),
                (0, y),
                ax.get_xaxis_transform(),
                "offset points",
                ha="center",
                annotation_clip=True,
                **small,
            )


def _count(n: float) -> str:
    return f"{n:.0f}" if float(n).is_integer() else f"{n:.1f}"


def _point(ax: Axes) -> float:
    """Pixels."""
    return float(ax.figure.dpi) / 72
