"""What happens to people during follow-up: the changes that start-stop rows and landmarks are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option

MissingValue = Literal["skip", "keep"]
Kind = Literal["tdc", "cumtdc", "event", "cumevent"]


@dataclass(frozen=True, eq=False, slots=True)
class Change:
    """One variable that changes at times listed in a long frame; made by `tdc`, `cumtdc`, `event` or `cumevent`.

    Attributes
    ----------
    kind : {"tdc", "cumtdc", "event", "cumevent"}
    data : pandas or polars DataFrame
    time : str
    value : str or None
    initial : object
    missing : {"skip", "keep"}
    delay : float
    """

    kind: Kind
    data: Any
    time: str
    value: str | None
    initial: Any
    missing: MissingValue
    delay: float

    def __post_init__(self) -> None:
        check_option("missing", self.missing, MissingValue)
        if not (isinstance(self.delay, int | float) and 0 <= self.delay < np.inf):
            raise OptionError(f"delay={self.delay!r} must be a number, zero or more")
        if self.initial is not None and self.value is None:
            raise OptionError(f"initial={self.initial!r} needs value=: without values, {self.kind} starts at 0")


def tdc(
    data: Any,
    time: str,
    value: str | None = None,
    *,
    initial: Any = None,
    missing: MissingValue = "skip",
    delay: float = 0.0,
) -> Change:
    """Time-dependent covariate: holds its last value, known at the start of each row.

    Parameters
    ----------
    data : pandas or polars DataFrame
        One row per visit, in any order, with the person's column.
    time : str
        Column of the time of the visit, unit of the follow-up. A row without
        a time is no visit: the person never changes.
    value : str, optional
        Column of the new value. When omitted, the covariate is a switch: 0,
        and 1 from `time` on.
    initial : object, optional
        Value before the first visit; missing when not given.
    missing : {"skip", "keep"}
        What a missing value does: "skip", the last known one is carried
        forward; "keep", it replaces that.
    delay : float
        Added to all times after a person's first entry, so that a value acts
        only so much later (a treatment that needs two weeks).

    Returns
    -------
    Change
        For :func:`start_stop` and :func:`landmark`.

    Notes
    -----
    A value measured at the time of an event does not explain that event: it
    holds in (time, ...]. Of several values at one time the last row counts.

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> visits = pd.DataFrame({"id": [1, 1], "year": [0, 2], "grip": [31.0, 27.0]})
    >>> people = pd.DataFrame({"id": [1], "years": [5], "died": [1]})
    >>> grip = dc.followup.tdc(visits, "year", "grip")
    >>> rows, counts = dc.followup.start_stop(people, {"grip": grip}, id="id", time="years", event="died")
    >>> rows[["tstart", "tstop", "died", "grip"]].values.tolist()
    [[0.0, 2.0, 0.0, 31.0], [2.0, 5.0, 1.0, 27.0]]
    """
    return Change("tdc", data, time, value, initial, missing, delay)


def cumtdc(
    data: Any,
    time: str,
    value: str | None = None,
    *,
    initial: float | None = None,
    missing: MissingValue = "skip",
    delay: float = 0.0,
) -> Change:
    """Cumulative covariate: how often, or how much, up to the start of each row.

    Parameters
    ----------
    data : pandas or polars DataFrame
        One row per occurrence, in any order, with the person's column.
    time : str
        Column of the time, as in :func:`tdc`.
    value : str, optional
        Column of what is added (a dose); 1 when omitted.
    initial : float, optional
        Value at the beginning. When not given: 0 for a count; for a sum,
        missing until the first value.
    missing : {"skip", "keep"}
        "skip" adds nothing for a missing value; "keep" makes the sum missing
        from there on.
    delay : float
        As in :func:`tdc`.

    Returns
    -------
    Change

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> falls = pd.DataFrame({"id": [1, 1], "month": [3, 7]})
    >>> people = pd.DataFrame({"id": [1], "months": [12]})
    >>> rows, _ = dc.followup.start_stop(
    ...     people, {"falls": dc.followup.cumtdc(falls, "month")}, id="id", time="months"
    ... )
    >>> rows["falls"].tolist()
    [0, 1, 2]
    """
    return Change("cumtdc", data, time, value, initial, missing, delay)


def event(data: Any, time: str, value: str | None = None, *, missing: MissingValue = "skip") -> Change:
    """Event: marks the row that ends at its time.

    Parameters
    ----------
    data : pandas or polars DataFrame
        One row per event, in any order, with the person's column.
    time : str
        Column of the time, as in :func:`tdc`.
    value : str, optional
        Column of what happened; 1 when omitted. Rows without an event hold 0,
        False, "" or the first category, by the type of the column.
    missing : {"skip", "keep"}

    Returns
    -------
    Change

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> infections = pd.DataFrame({"id": [1, 1], "day": [219, 373]})
    >>> people = pd.DataFrame({"id": [1], "days": [414]})
    >>> rows, _ = dc.followup.start_stop(
    ...     people, {"infection": dc.followup.event(infections, "day")}, id="id", time="days"
    ... )
    >>> rows["tstop"].tolist(), rows["infection"].tolist()
    ([219.0, 373.0, 414.0], [1, 1, 0])
    """
    return Change("event", data, time, value, None, missing, 0.0)


def cumevent(data: Any, time: str, value: str | None = None) -> Change:
    """Numbered event: the row that ends at an event holds 1 for the first, 2 for the second, ...

    Parameters
    ----------
    data : pandas or polars DataFrame
        One row per event, in any order, with the person's column.
    time : str
        Column of the time, as in :func:`tdc`.
    value : str, optional
        Column of what is added up; 1 when omitted. A row of value 0 is no
        event.

    Returns
    -------
    Change

    Examples
    --------
    >>> import pandas as pd
    >>> import dxa_causal as dc
    >>> infections = pd.DataFrame({"id": [1, 1], "day": [219, 373]})
    >>> people = pd.DataFrame({"id": [1], "days": [414]})
    >>> rows, _ = dc.followup.start_stop(
    ...     people, {"infection": dc.followup.cumevent(infections, "day")}, id="id", time="days"
    ... )
    >>> rows["infection"].tolist()
    [1, 2, 0]
    """
    return Change("cumevent", data, time, value, None, "skip", 0.0)
