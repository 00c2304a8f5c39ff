"""Indirect standardisation: the standardised mortality (or incidence) ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, PredictorError, shown
from dxa_causal._core.options import Missing, check_conf_level, check_option
from dxa_causal.results import Provenance, Result, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.event_counts import poisson_limits, poisson_p_value
from dxa_causal.survival.person_years import only_factors, read_cells, tabulate
from dxa_causal.survival.reference_bands import cells_with_reference, group_codes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
SmrLimits = Literal["exact", "mid-p", "byar"]


@dataclass(frozen=True, eq=False, repr=False)
class StandardisedRatio(Result):
    """Observed events over those expected at reference rates.

    Attributes
    ----------
    groups : tuple
    observed, expected : (k,) ndarray
    conf_method : {"exact", "mid-p", "byar"}
    """

    title: ClassVar[str] = "Standardised mortality ratio"

    groups: tuple[Any, ...]
    observed: FloatArray
    expected: FloatArray
    conf_method: SmrLimits
    nobs: int
    provenance: Provenance
    estimand: str = "observed / expected"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group: n_event, n_expected, estimate (the ratio), p_value (of one), limits."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning: the ratios are not on the log scale")
        check_conf_level(conf_level)
        low, high = poisson_limits(self.observed, conf_level, self.conf_method)
        pairs = zip(self.observed, self.expected, strict=True)
        return pd.DataFrame(
            {
                "group": list(self.groups),
                "n_event": self.observed.astype(np.int64),
                "n_expected": self.expected,
                "estimate": self.observed / self.expected,
                "p_value": [poisson_p_value(o, e, self.conf_method) for o, e in pairs],
                "conf_low": low / self.expected,
                "conf_high": high / self.expected,
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups, method."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [int(self.observed.sum())],
                "n_groups": [len(self.groups)],
                "method": [self.conf_method],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Ratios with their limits."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure="Observed / expected", label="group", ax=ax)

    def _notes(self) -> list[str]:
        return [f"{self.conf_method} limits and p-values; expected numbers count as known", *super()._notes()]


def smr(
    formula: str,
    data: Any,
    *,
    expected: str | None = None,
    rates: Any = None,
    scales: Mapping[str, str | None] | None = None,
    conf_method: SmrLimits = "exact",
    missing: Missing = "drop",
) -> StandardisedRatio:
    r"""Compare the events of groups with those expected at reference rates.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group``, ``~ 1`` for all together, or
        ``Surv(entry, time, event) ~ ...``.
    data : pandas or polars frame
    expected : str, optional
        Column: expected number of events of each row.
    rates : pandas or polars frame, optional
        In place of `expected`: reference rates, a column "rate" (events per
        unit of time in `data`) and one column per factor: a column of `data`
        with the same values, or a time scale with the lower limit of each band.
        Every other column counts as a factor, but for n, n_event, person_time,
        std_error and limits: cells of :func:`person_years` with a rate, its
        n_event over its person_time, can go in.
    scales : mapping of str to str or None, optional
        Time scales among the columns of `rates`, and the column of `data` with
        the value at entry: ``{"age": "age_at_entry", "year": "year_at_entry"}``;
        None stands for the time of follow-up itself. Follow-up is split at
        the bands of `rates`; the last band has no end.
    conf_method : {"exact", "mid-p", "byar"}
        Limits and p-value of the observed number as a Poisson count.
    missing : {"drop", "raise"}

    Returns
    -------
    StandardisedRatio

    Raises
    ------
    MissingDataError
        Follow-up passes through a band that `rates` does not have.

    Notes
    -----
    The exact p-value sums the probabilities of all counts no more probable
    than the observed one, as R's ``poisson.test``; the exact limits have equal
    tails. The mid-p ones count half of the probability of the observed count.

    References
    ----------
    Breslow NE, Day NE. Statistical Methods in Cancer Research II. IARC, 1987, chapter 2.
    Rothman KJ, Boice JD. Epidemiologic Analysis with a Programmable Calculator. NIH, 1979.

    Examples
    --------
    >>> data = pd.DataFrame({"time": [10.0, 10.0], "died": [1, 1], "age": [45.0, 40.0], "sex": ["f", "m"]})
    >>> rates = pd.DataFrame({"sex": list("ffmm"), "age": [40, 50, 40, 50], "rate": [0.01, 0.02, 0.02, 0.04]})
    >>> smr("Surv(time, died) ~ 1", data, rates=rates, scales={"age": "age"}).tidy()[["n_event", "n_expected"]]
       n_event  n_expected
    0        2        0.35
    """
    check_option("conf_method", conf_method, SmrLimits)
    if (expected is None) == (rates is None):
        raise OptionError("give either expected= (a column) or rates= (a table of reference rates)")
    if expected is not None:
        if scales:
            raise OptionError("scales= belongs to rates=")
        read = read_cells(formula, data, scales={}, arguments={"expected": expected}, missing=missing)
        names = list(read.keys.columns)
        number = np.asarray(read.groups.rows.number(expected, argument="expected"))
        if (number < 0).any():
            i = int(np.flatnonzero(number < 0)[0])
            label = shown(read.groups.rows.frame.index[i])
            raise PredictorError(f"expected={expected!r} must not be negative, but row {label} holds {number[i]:g}")
        # one piece per row: its expected number takes the place of its time
        cells = tabulate(replace(read, person_time=number), None, names)
        cells["n_expected"] = cells["person_time"]
    else:
        table = only_factors(rates, "rate", data, argument="rates", scales=scales)
        read, names, cells = cells_with_reference(
            formula, data, table, "rate", argument="rates", scales=scales, missing=missing
        )
        cells["n_expected"] = cells["rate"] * cells["person_time"]
    labels, codes = group_codes(cells, names)
    total = np.bincount(codes, cells["n_expected"])
    if not (total > 0).all():
        k = int(np.flatnonzero(total <= 0)[0])
        raise PredictorError(f"group {shown(labels[k])}: the expected number of events is zero, so there is no ratio")
    return StandardisedRatio(
        groups=labels,
        observed=read_only(np.bincount(codes, cells["n_event"])),
        expected=read_only(total),
        conf_method=conf_method,
        nobs=read.groups.outcome.time.size,
        provenance=read.groups.provenance(
            format_call(
                "survival.smr",
                formula,
                expected=expected,
                rates=rates,
                scales=str(dict(scales)) if scales else None,
                conf_method=conf_method,
            )
        ),
    )
