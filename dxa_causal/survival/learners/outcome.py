"""Survival outcomes as the structured array that scikit-learn and scikit-survival pass around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, MissingDataError, OptionError, OutcomeError, shown
from dxa_causal._design import to_pandas
from dxa_causal._design.outcome import is_survival, read_survival
from dxa_causal._design.rows import columns_used

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_CURE = "make it with survival_outcome('Surv(time, died)', data) or survival_outcome(time, event)"


def survival_outcome(time: Any, event: Any = None) -> npt.NDArray[np.void]:
    """Make the outcome `y` of a survival learner.

    Parameters
    ----------
    time : str or (n,) array_like
        ``"Surv(time, died)"`` with the frame as `event`, or the times
        themselves.
    event : pandas or polars frame, or (n,) array_like
        The frame the formula speaks of, or 0/1, True/False for censored and
        event.

    Returns
    -------
    (n,) structured ndarray
        Fields event (bool) and time (float), as scikit-survival wants them;
        a third, entry, for ``Surv(entry, time, event)``, which only
        :class:`CoxNet` takes.

    Raises
    ------
    OutcomeError
        Times that are negative or no numbers, R's coding 1/2, several causes.
    MissingDataError
        A value is missing: no row can be dropped here, as X would keep it.

    Examples
    --------
    >>> survival_outcome([5.0, 8.0], [1, 0])
    array([( True, 5.), (False, 8.)], dtype=[('event', '?'), ('time', '<f8')])
    >>> import pandas as pd
    >>> survival_outcome("Surv(years, status == 2)", pd.DataFrame({"years": [5.0, 8.0], "status": [2, 1]}))["event"]
    array([ True, False])
    """
    if event is None:
        raise OptionError("survival_outcome takes the times and the events, or 'Surv(time, died)' and the frame")
    if isinstance(time, str):
        if not is_survival(time):
            raise FormulaError(f"survival_outcome: {time!r} is not an outcome; write 'Surv(time, died)'")
        text, frame = time, to_pandas(event)
        used = columns_used(text, frame.columns)
    else:
        times, events = (pd.Series(np.asarray(v).ravel(), name=k) for k, v in (("time", time), ("event", event)))
        if len(times) != len(events):
            raise OutcomeError(f"survival_outcome: {len(times)} times and {len(events)} events")
        text, frame, used = "Surv(time, event)", pd.DataFrame({"time": times, "event": events}), ["time", "event"]
    for name in used:
        absent = frame[name].isna()
        if absent.any():
            raise MissingDataError(
                f"{text}: {name!r} is missing in {int(absent.sum())} rows, first row "
                f"{shown(frame.index[absent][0])}; leave these rows out of the frame before X and y are made"
            )
    found = read_survival(text, frame)
    fields: list[tuple[str, Any]] = [("event", bool), ("time", float)]
    y = np.empty(found.time.size, dtype=fields if found.entry is None else [*fields, ("entry", float)])
    y["event"], y["time"] = found.event == 1, found.time
    if found.entry is not None:
        y["entry"] = found.entry
    return y


@dataclass(frozen=True, eq=False, slots=True)
class TrainingOutcome:
    """A structured outcome, checked.

    Attributes
    ----------
    event : (n,) ndarray of int64
    time : (n,) ndarray
    entry : (n,) ndarray or None
    """

    event: IntArray
    time: FloatArray
    entry: FloatArray | None

    def rows(self, kept: IntArray) -> TrainingOutcome:
        """Some of the rows."""
        return TrainingOutcome(self.event[kept], self.time[kept], None if self.entry is None else self.entry[kept])

    def array(self) -> npt.NDArray[np.void]:
        """As scikit-survival wants it."""
        return survival_outcome(self.time, self.event)


def read_outcome(y: Any, n: int, *, delayed: bool = False) -> TrainingOutcome:
    """Check `y`; `delayed`: whether the learner can use entry times."""
    values: Any = np.empty(0) if y is None else np.asarray(y)
    names = values.dtype.names
    if names is None or len(names) not in (2, 3) or values.ndim != 1:
        what = "missing" if y is None else f"a {type(y).__name__} of shape {values.shape}"
        raise OutcomeError(f"y must hold event and time of each row, but is {what}; {_CURE}")
    if len(values) != n:
        raise OutcomeError(f"X has {n} rows and y has {len(values)}")
    event, time = values[names[0]], np.array(values[names[1]], dtype=np.float64)
    if event.dtype != np.bool_:
        found = ", ".join(shown(v) for v in np.unique(event)[:6])
        raise OutcomeError(
            f"the first field of y, {names[0]!r}, must be True where the event was seen, but holds {found}"
            + (" (several causes? learners take one event)" if np.unique(event).size > 2 else "")
            + f"; {_CURE}"
        )
    wrong = np.flatnonzero(~np.isfinite(time) | (time < 0))
    if wrong.size:
        raise OutcomeError(
            f"times of y must be finite and not negative: {wrong.size} are not, first at position {wrong[0]} with "
            f"{time[wrong[0]]:g}"
        )
    if not event.any():
        raise OutcomeError(f"none of the {n} rows of y has the event; nothing can be learnt of the time to it")
    entry = np.array(values[names[2]], dtype=np.float64) if len(names) == 3 else None
    if entry is not None:
        if not delayed:
            raise OutcomeError("y has entry times, which this learner cannot use; of the learners only CoxNet can")
        late = np.flatnonzero(~(entry < time))
        if late.size:
            raise OutcomeError(
                f"entry must come before exit; {late.size} rows of y do not, first at position {late[0]}"
            )
    return TrainingOutcome(event.astype(np.int64), time, entry)
