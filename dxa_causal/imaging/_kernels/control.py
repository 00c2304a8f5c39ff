"""Rules of a control chart and cumulative sums, on standardised values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def runs(beyond: BoolArray, length: int) -> BoolArray:
    """Whether a value ends a run of at least `length` that are beyond.

    Examples
    --------
    >>> import numpy as np
    >>> runs(np.array([True, True, True, False]), 2).tolist()
    [False, True, True, False]
    """
    total = np.cumsum(beyond)
    reset = np.maximum.accumulate(np.where(beyond, 0, total))
    return np.asarray(total - reset >= length)


def sensitised_rules(z: FloatArray) -> dict[str, BoolArray]:
    """Shewhart's limit and the four sensitising rules, each at the value that completes it.

    Examples
    --------
    >>> import numpy as np
    >>> [name for name, hit in sensitised_rules(np.array([0.0, 3.5])).items() if hit.any()]
    ['3 SD']
    """
    steps = np.concatenate([[0.0], np.abs(np.diff(z))])
    return {
        "3 SD": np.abs(z) > 3.0,
        "2 in a row beyond 2 SD": runs(z > 2.0, 2) | runs(z < -2.0, 2),
        "step of 4 SD": steps > 4.0,
        "4 in a row beyond 1 SD": runs(z > 1.0, 4) | runs(z < -1.0, 4),
        "10 in a row on one side": runs(z > 0.0, 10) | runs(z < 0.0, 10),
    }


@dataclass(frozen=True, slots=True)
class Cusum:
    """One-sided cumulative sum and its first alarm.

    Attributes
    ----------
    sums : (n,) ndarray
        In standard deviations, 0 or more.
    alarm : int
        Place of the first sum beyond the decision interval; -1 for none.
    start : int
        Place of the first value after the change, by maximum likelihood; -1 without an alarm.
    size : float
        Mean from there to the alarm, standard deviations; nan without an alarm.
    """

    sums: FloatArray
    alarm: int
    start: int
    size: float


def cusum(z: FloatArray, slack: float, interval: float) -> Cusum:
    """Sum what exceeds `slack`, upwards, never below 0; date the change that raised the alarm.

    Of a step after value t the log-likelihood is that of no step plus ``S**2 / (2 m)``, S being the sum of the m
    values since. The usual estimate, the last 0 of the sum, dates steps of two or more standard deviations too early.

    Examples
    --------
    >>> import numpy as np
    >>> found = cusum(np.array([0.0, 0.0, 2.0, 2.0, 2.0, 2.0]), 0.5, 5.0)
    >>> found.alarm, found.start, found.size
    (5, 2, 2.0)
    """
    total = np.cumsum(z - slack)
    sums = total - np.minimum.accumulate(np.minimum(total, 0.0))
    over = np.flatnonzero(sums > interval)
    if over.size == 0:
        return Cusum(sums, -1, -1, float("nan"))
    alarm = int(over[0])
    since = np.cumsum(z[alarm::-1])[::-1]
    count = np.arange(alarm + 1, 0, -1)
    start = int(np.argmax(np.maximum(since, 0.0) ** 2 / count))
    return Cusum(sums, alarm, start, float(since[start] / count[start]))
