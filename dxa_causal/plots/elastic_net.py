"""The path of penalised coefficients, and the curve its penalty is chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal.plots.style import COLOURS, GREY, fold, make_room, new_axes, strip, term_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


def coefficient_path(
    lambdas: FloatArray,
    coefficients: FloatArray,
    *,
    names: Sequence[str],
    chosen: float | None = None,
    value_label: str = "Coefficient",
    n_labels: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Draw one line per coefficient against the penalty, weak penalties on the right.

    Parameters
    ----------
    lambdas : (l,) ndarray
    coefficients : (l, p) ndarray
    names : sequence of str
    chosen : float, optional
        The lambda that is marked.
    value_label : str
    n_labels : int
        Only the largest coefficients are named and coloured.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    given, ax = ax, new_axes(ax)
    at = coefficients[-1] if chosen is None else coefficients[int(np.argmin(np.abs(lambdas - chosen)))]
    order = np.argsort(-np.abs(at), kind="stable")
    named = [int(j) for j in order[:n_labels] if at[j] != 0]
    grey = [j for j in range(coefficients.shape[1]) if j not in set(named) and (coefficients[:, j] != 0).any()]
    if grey:
        ax.plot(lambdas, coefficients[:, grey], color=GREY, linewidth=0.6, alpha=0.5)
    for rank, j in enumerate(named):
        label = fold(term_label(str(names[j])), 24)
        ax.plot(lambdas, coefficients[:, j], color=COLOURS[rank % len(COLOURS)], linewidth=1.6, label=label)
    _penalty_axis(ax, lambdas)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    if chosen is not None and chosen > 0:
        ax.axvline(chosen, color=GREY, linewidth=0.8, linestyle="--")
    ax.set_ylabel(value_label)
    strip(ax)
    if named:
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if given is not None:
        make_room(ax)
    return ax


def cross_validation_curve(
    table: pd.DataFrame,
    *,
    marks: Mapping[str, float],
    value_label: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw the criterion with one standard error either side against the penalty.

    Parameters
    ----------
    table : DataFrame
        lambda, estimate, std_error, n_nonzero.
    marks : mapping of str to float
        Name -> lambda marked by a vertical line.
    value_label : str
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    given, ax = ax, new_axes(ax)
    lambdas, mean, error = (table[c].to_numpy(dtype=float) for c in ("lambda", "estimate", "std_error"))
    ax.fill_between(lambdas, mean - error, mean + error, color=COLOURS[0], alpha=0.2, linewidth=0)
    ax.plot(lambdas, mean, color=COLOURS[0], linewidth=1.6)
    _penalty_axis(ax, lambdas)
    for (name, value), line in zip(marks.items(), ("--", ":", "-."), strict=False):
        count = int(table["n_nonzero"].iloc[int(np.argmin(np.abs(lambdas - value)))])
        ax.axvline(value, color=GREY, linewidth=1.0, linestyle=line, label=f"{name}: {count} features")
    ax.set_ylabel(fold(value_label, 48))
    ax.legend(frameon=False, fontsize="small")
    strip(ax)
    if given is not None:
        make_room(ax)
    return ax


def _penalty_axis(ax: Axes, lambdas: FloatArray) -> None:
    """Logarithmic, from strong to weak; a lambda of zero cannot be shown."""
    shown = lambdas[lambdas > 0]
    if shown.size > 1:
        ax.set_xscale("log")
        ax.set_xlim(shown.max(), shown.min())
    ax.set_xlabel("Penalty λ (weaker to the right)")
