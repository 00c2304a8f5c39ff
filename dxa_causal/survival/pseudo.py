"""Pseudo-observations of survival, incidence and restricted means."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, shown
from dxa_causal._core.options import Missing, check_option
from dxa_causal._core.warnings import HorizonWarning, warn
from dxa_causal._design import SurvivalOutcome, read_groups
from dxa_causal._numerics.times import rank_times
from dxa_causal.survival._kernels.counts import count_at_risk
from dxa_causal.survival._kernels.row_curves import Curve, RowCurves, derivatives, integral, without_row
from dxa_causal.survival.step_curves import check_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PseudoType = Literal["survival", "cumulative_hazard", "cumulative_incidence", "rmst", "rmtl"]
PseudoMethod = Literal["infinitesimal", "jackknife"]

# Types that belong to one of several causes.
COMPETING = ("cumulative_incidence", "rmtl")
# The curve behind each type, and whether its integral is meant.
_CURVES: dict[str, tuple[Curve, bool]] = {
    "survival": ("survival", False),
    "cumulative_hazard": ("hazard", False),
    "cumulative_incidence": ("incidence", False),
    "rmst": ("survival", True),
    "rmtl": ("incidence", True),
}


def pseudo_observations(
    formula: str,
    data: Any,
    *,
    times: npt.ArrayLike,
    type: PseudoType = "survival",
    cause: Any = None,
    method: PseudoMethod = "infinitesimal",
    missing: Missing = "drop",
) -> pd.DataFrame:
    r"""Replace each row's censored outcome by its share in the estimate of the whole sample.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ 1``; with groups on the right side the estimate is
        that of the row's group, as it should be when censoring differs
        between them.
    data : pandas or polars frame
    times : (m,) array_like
        Times, or horizons of a restricted mean, unit of the data.
    type : {"survival", "cumulative_hazard", "cumulative_incidence", "rmst", "rmtl"}
        Kaplan-Meier, Nelson-Aalen, Aalen-Johansen of `cause`; area under the
        Kaplan-Meier and under the Aalen-Johansen curve (mean time lost to `cause`).
    cause : optional
        For cumulative_incidence and rmtl, where the event has several causes.
    method : {"infinitesimal", "jackknife"}
        "infinitesimal" is what R's ``survival::pseudo`` returns, "jackknife"
        what the R package ``pseudo`` does.
    missing : {"drop", "raise"}

    Returns
    -------
    DataFrame
        row, time, cause (for competing risks), estimate: all times of a row
        together, rows in the order of the data.

    Warns
    -----
    HorizonWarning
        A time lies beyond the last observation; the last value is carried forward.

    Notes
    -----
    With :math:`\hat\theta` of n rows, the jackknife gives
    :math:`n \hat\theta - (n - 1) \hat\theta_{(-i)}` and the infinitesimal jackknife
    :math:`\hat\theta + n \, \partial \hat\theta / \partial w_i`. Neither refits:
    O(n log n + n m). Censoring must not depend on covariates (within groups).
    Delayed entry is refused: leaving a row out changes who was at risk early.

    References
    ----------
    Andersen PK, Klein JP, Rosthoj S. Biometrika 2003;90:15-27. doi:10.1093/biomet/90.1.15

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4], "died": [1, 1, 0, 1]})
    >>> pseudo_observations("Surv(time, died) ~ 1", data, times=2.5, method="jackknife")["estimate"].round(6).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    check_option("type", type, PseudoType)
    groups = read_groups(formula, data, missing=missing, causes=type in COMPETING)
    at, code = check_request(groups.outcome, times, type, cause, method)
    for k, label in enumerate(groups.labels):
        warn_beyond(at, groups.outcome.time[groups.codes == k], f"group {shown(label)}: " if groups.names else "")
    values = pseudo_values(groups.outcome, groups.codes, at, type=type, cause=code, method=method)
    index = groups.rows.frame.index
    table = pd.DataFrame({"row": np.repeat(index, at.size), "time": np.tile(at, len(index))})
    if type in COMPETING:
        table["cause"] = groups.outcome.causes[code - 1]
    return table.assign(estimate=values.ravel())


def pseudo_values(
    outcome: SurvivalOutcome, codes: IntArray, times: FloatArray, *, type: PseudoType, cause: int, method: PseudoMethod
) -> FloatArray:
    """Pseudo-observations of every row, (n, times), each from the rows that share its code."""
    kind, area = _CURVES[type]
    ranked = rank_times(outcome.time)
    values = np.empty((outcome.time.size, times.size))
    for code in range(int(codes.max()) + 1):
        own = np.flatnonzero(codes == code)
        n, event = own.size, outcome.event[own]
        counts = count_at_risk(ranked.rank[own], None, event, np.ones(n), n_causes=len(outcome.causes))
        time = ranked.distinct[counts.place]
        place = np.searchsorted(time, times, side="right")

        def read(rows: RowCurves, time: FloatArray = time, place: IntArray = place) -> FloatArray:
            return rows.area(time, times) if area else rows.at(place)

        slopes = derivatives(kind, counts, event, cause)
        whole = integral(slopes.curve, time, times) if area else slopes.curve[place]
        if method == "infinitesimal":
            values[own] = whole + n * read(slopes)
        else:
            values[own] = n * whole - (n - 1) * read(without_row(kind, counts, event, cause))
    return values


def check_request(
    outcome: SurvivalOutcome, times: npt.ArrayLike, type: PseudoType, cause: Any, method: PseudoMethod
) -> tuple[FloatArray, int]:
    """Times as an array and the code of the cause, both checked."""
    check_option("method", method, PseudoMethod)
    refuse_delayed_entry(outcome, "pseudo-observations")
    at = check_times(times)
    if (at < 0).any():
        raise OptionError(f"times={at.min():g}: times count from 0 and cannot be negative")
    if _CURVES[type][1] and not ((at > 0) & np.isfinite(at)).all():
        raise OptionError(f"times={times!r}: the horizon of a restricted mean must be positive and finite")
    if type not in COMPETING and cause is not None:
        raise OptionError(f"cause={shown(cause)} has no meaning for type={type!r}; name the event in Surv() instead")
    return at, outcome.cause_code(cause) if type in COMPETING else 1


def refuse_delayed_entry(outcome: SurvivalOutcome, what: str) -> None:
    """Raise where rows enter after the origin."""
    if outcome.entry is not None:
        raise OutcomeError(
            f"{what} need follow-up of every row from time 0, not delayed entry or start-stop rows; "
            "write Surv(time, event)"
        )


def warn_beyond(times: FloatArray, observed: FloatArray, where: str) -> None:
    """Say that a curve is carried forward beyond its last time."""
    last = observed.max()
    if times.max() > last:
        warn(
            f"{where}time {times.max():g} lies beyond the last observation ({last:g}); the last value is carried "
            "forward",
            HorizonWarning,
        )
