"""The fitted distribution drawn over what the data say without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._design.interval import IntervalOutcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dxa_causal.survival.parametric_result import LifetimeFit

FloatArray = npt.NDArray[np.float64]
_POINTS = 150


def fitted_and_observed(fit: LifetimeFit, *, ax: Axes | None, time_label: str | None) -> Axes:
    """Mean fitted survival of the rows over the Kaplan-Meier or Turnbull curve."""
    from dxa_causal.plots.style import COLOURS

    text, frame = fit.design.parts.outcome, fit.design.rows.frame
    outcome = fit.data.outcome()
    if outcome.entry is not None:
        raise OptionError(
            "plot_fit compares with a curve from time 0, which delayed entry does not show; draw plot_prediction"
        )
    if isinstance(fit.design.outcome, IntervalOutcome):
        from dxa_causal.survival.turnbull import turnbull

        ax = turnbull(f"{text} ~ 1", frame, weights=fit.weights).plot(ax=ax, time_label=time_label)
    else:
        from dxa_causal.survival.kaplan_meier import kaplan_meier

        ax = kaplan_meier(f"{text} ~ 1", frame, weights=fit.weights).plot(ax=ax, time_label=time_label)
    finite = np.where(np.isfinite(fit.data.upper), fit.data.upper, fit.data.lower)
    grid = np.linspace(0.0 if fit.positive else finite.min(), finite.max(), _POINTS + 1)[1:]
    ax.plot(grid, mean_survival(fit, grid), color=COLOURS[1], linestyle="--", label="fitted")
    ax.legend()
    return ax


def mean_survival(fit: LifetimeFit, times: FloatArray) -> FloatArray:
    """Fitted survival at some times, averaged over the rows analysed with their weights."""
    model = fit.lifetime_model(fit.design.x, fit.design.rows.frame, fit.data.offset)
    rows, weight = np.arange(fit.data.lower.size), fit.data.observed.weight
    mean = [
        np.average(np.exp(model.log_survival(fit.coefficients, rows, np.full(rows.size, t)).value), weights=weight)
        for t in times
    ]
    return np.array(mean)
