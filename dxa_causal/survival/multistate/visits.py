"""Lives seen at visits: what follow-up and the interval of onset say together, checked."""

from __future__ import annotations

import ast
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OutcomeError, shown
from dxa_causal._design import Design
from dxa_causal._design.outcome import original_name, surv_arguments
from dxa_causal._numerics.times import TIME_TOLERANCE

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class VisitedLives:
    """Follow-up of persons who were healthy at entry.

    Attributes
    ----------
    entry : (n,) ndarray
        Zero where nobody enters late.
    left : (n,) ndarray
        Last time known to be healthy, not before entry.
    right : (n,) ndarray
        First time seen ill, infinite where never.
    time : (n,) ndarray
        Death or end of follow-up.
    died : (n,) ndarray
        1 or 0.
    """

    entry: FloatArray
    left: FloatArray
    right: FloatArray
    time: FloatArray
    died: FloatArray


def visited_lives(design: Design, ill: str) -> VisitedLives:
    """Take the outcomes of a design apart, refusing visits that contradict the follow-up.

    Parameters
    ----------
    design : Design
        Of the follow-up, with the interval of onset beside.
    ill : str
        The interval's text, for messages.
    """
    outcome, interval = design.survival, design.beside
    assert interval is not None
    time, died = outcome.time, outcome.event.astype(np.float64)
    smallest = TIME_TOLERANCE * max(1.0, float(time.mean()))
    onset = np.where(np.isfinite(interval.right), interval.right, -np.inf)
    for name, what, at in (
        (interval.left_name, "was last seen healthy", interval.left),
        (interval.right_name, "was first seen ill", onset),
    ):
        late = np.flatnonzero(at > time + smallest)
        if late.size:
            i = late[0]
            raise OutcomeError(
                f"{ill}: a visit order that contradicts the intervals: in {late.size} rows {name!r} comes after the "
                f"end of follow-up {outcome.time_name!r}; the first, row {shown(design.index[i])}, {what} at "
                f"{at[i]:.10g} and followed to {time[i]:.10g}"
            )
    if outcome.entry is None:
        early = np.flatnonzero(interval.right <= 0)
        if early.size:
            raise OutcomeError(
                f"{ill}: in {early.size} rows onset is at time zero, first row {shown(design.index[early[0]])}; who is "
                "ill at the start is not at risk of falling ill: leave such rows out"
            )
    else:
        arguments, _ = surv_arguments(design.parts.outcome, design.rows.frame)
        name = original_name(ast.unparse(arguments[0]), design.rows.frame)
        interval = interval.observed_from(outcome.entry, name, design.index)
    right = np.where(np.isfinite(interval.right), np.minimum(interval.right, time), np.inf)
    left = np.minimum(interval.left, np.minimum(time, right))
    seen = np.isfinite(right)
    for count, nobody in (
        (seen.sum(), "was seen ill"),
        (died[~seen].sum(), "died without having been seen ill"),
        (died[seen].sum(), "died after having been seen ill"),
    ):
        if not count:
            raise OutcomeError(
                f"{ill}, {design.parts.outcome}: none of the {time.size} rows analysed {nobody}, so the hazard of that "
                "transition cannot be estimated; is the event coded as meant?"
            )
    entry = np.zeros_like(time) if outcome.entry is None else outcome.entry
    return VisitedLives(entry, left, right, time, died)
