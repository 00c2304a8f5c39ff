"""What stands for a survival outcome in the models of missing covariates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import MissingDataError, shown
from dxa_causal._design.interval import is_interval, read_interval, with_bounds
from dxa_causal._design.outcome import read_survival
from dxa_causal._numerics.times import rank_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def outcome_columns(text: str, frame: pd.DataFrame) -> FloatArray:
    """Event indicator and cumulative hazard, for each cause; columns that do not vary are left out.

    Parameters
    ----------
    text : str
        ``Surv(...)``.
    frame : DataFrame
        Its columns.
    """
    interval = is_interval(text, frame)
    frame = with_bounds(text, frame) if interval else frame
    absent = frame.isna()
    if absent.to_numpy().any():
        name = absent.sum().idxmax()
        incomplete = int(absent.any(axis=1).sum())
        raise MissingDataError(
            f"the outcome {text} is missing in {incomplete} rows, {name!r} in {int(absent[name].sum())} of them, first "
            f"row {shown(frame.index[absent[name]][0])}; a survival outcome is not imputed. Leave these rows out "
            f"first: data.dropna(subset={list(frame.columns)})"
        )
    if interval:
        bounds = read_interval(text, frame)
        event = np.isfinite(bounds.right).astype(np.int64)
        time = np.where(event == 1, (bounds.left + np.where(event == 1, bounds.right, 0.0)) / 2, bounds.left)
        entry, n_causes = bounds.entry, 1
    else:
        outcome = read_survival(text, frame, causes=True)
        time, event, entry, n_causes = outcome.time, outcome.event, outcome.entry, len(outcome.causes)
    columns = []
    for cause in range(1, n_causes + 1):
        happened = (event == cause).astype(np.float64)
        columns += [happened, cumulative_hazard(time, happened, entry)]
    x = np.column_stack(columns)
    sd = x.std(axis=0)
    x = x[:, sd > 0]
    standardised: FloatArray = (x - x.mean(axis=0)) / x.std(axis=0)
    return standardised


def cumulative_hazard(time: FloatArray, event: FloatArray, entry: FloatArray | None = None) -> FloatArray:
    """Nelson-Aalen estimate between entry and exit of every row.

    Examples
    --------
    >>> import numpy as np
    >>> cumulative_hazard(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 1.0])).round(3).tolist()
    [0.25, 0.583, 0.583, 1.583]
    """
    ranked = rank_times(time, entry)
    size = ranked.distinct.size
    at_risk = np.cumsum(np.bincount(ranked.rank, minlength=size)[::-1])[::-1].astype(np.float64)
    if ranked.entry_rank is not None:  # not yet entered: at risk from after entry on
        at_risk -= np.cumsum(np.bincount(ranked.entry_rank, minlength=size)[::-1])[::-1]
    died = np.bincount(ranked.rank, event, size)
    hazard = np.cumsum(np.divide(died, at_risk, out=np.zeros(size), where=died > 0))
    if ranked.entry_rank is None:
        return hazard[ranked.rank]
    return hazard[ranked.rank] - hazard[ranked.entry_rank]
