"""Direct standardisation: the rate of a standard population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import EmptyDataError, OptionError, shown
from dxa_causal._core.options import Missing, check_conf_level
from dxa_causal.results import Provenance, Result, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.person_years import only_factors
from dxa_causal.survival.reference_bands import cells_with_reference, group_codes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class StandardisedRate(Result):
    """Directly standardised rates.

    Attributes
    ----------
    groups : tuple
    observed, person_time : (k,) ndarray
        Sums over the bands.
    rate, variance : (k,) ndarray
        Standardised, per unit of person-time.
    largest : (k,) ndarray
        Largest weight of one event, the share of a band over its person-time.
    per : float
    """

    title: ClassVar[str] = "Directly standardised rate"

    groups: tuple[Any, ...]
    observed: FloatArray
    person_time: FloatArray
    rate: FloatArray
    variance: FloatArray
    largest: FloatArray
    per: float
    nobs: int
    provenance: Provenance
    estimand: str = "rate in the standard population"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group: n_event, person_time, estimate (per `per` of person-time), std_error, limits."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for rates")
        check_conf_level(conf_level)
        tail = (1 - conf_level) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            low = self.variance / self.rate * special.gammaincinv(self.rate**2 / self.variance, tail)
        upper_rate, upper_variance = self.rate + self.largest, self.variance + self.largest**2
        high = upper_variance / upper_rate * special.gammainccinv(upper_rate**2 / upper_variance, tail)
        return pd.DataFrame(
            {
                "group": list(self.groups),
                "n_event": self.observed.astype(np.int64),
                "person_time": self.person_time,
                "estimate": self.rate * self.per,
                "std_error": np.sqrt(self.variance) * self.per,
                "conf_low": np.where(self.rate > 0, low, 0.0) * self.per,
                "conf_high": high * self.per,
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, person_time, n_groups."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [int(self.observed.sum())],
                "person_time": [float(self.person_time.sum())],
                "n_groups": [len(self.groups)],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Standardised rates with their limits; the dashed line is the crude rate of all together."""
        from dxa_causal.plots.coefficients import forest

        crude = self.observed.sum() / self.person_time.sum() * self.per
        label = f"Standardised events per {self.per:g} person-time"
        return forest(self.tidy(), effect_measure=label, reference=crude, log=False, label="group", ax=ax)

    def _notes(self) -> list[str]:
        return [f"events per {self.per:g} of person-time; gamma limits (Fay and Feuer)", *super()._notes()]


def standardised_rate(
    formula: str,
    data: Any,
    *,
    standard: Any,
    scales: Mapping[str, str | None] | None = None,
    per: float = 1000.0,
    missing: Missing = "drop",
) -> StandardisedRate:
    r"""Rate that a standard population would have with the rates of each group.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ group``, ``~ 1``, or ``Surv(entry, time, event) ~ ...``.
    data : pandas or polars frame
    standard : pandas or polars frame
        The standard: a column "population" (numbers or shares) and one column
        per factor, as `rates` of :func:`smr`.
    scales : mapping of str to str or None, optional
        As for :func:`smr`.
    per : float
        Rates are given for this much person-time.
    missing : {"drop", "raise"}

    Returns
    -------
    StandardisedRate

    Raises
    ------
    EmptyDataError
        A group has no person-time in a band of the standard.

    Notes
    -----
    With shares :math:`w_j` and weights of one event :math:`v_j = w_j / T_j` the rate is
    :math:`y = \sum v_j d_j`, of variance :math:`s^2 = \sum v_j^2 d_j`. The gamma limits are
    :math:`\frac{s^2}{2y} \chi^2_{2y^2/s^2}` below and the same with :math:`y + \max v` and
    :math:`s^2 + (\max v)^2` above; with one band they are Garwood's.

    References
    ----------
    Fay MP, Feuer EJ. Stat Med 1997;16:791-801.
    doi:10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#

    Examples
    --------
    >>> data = pd.DataFrame({"time": [10.0, 10, 5, 5], "died": [1, 0, 1, 0], "sex": list("fmfm")})
    >>> standard = pd.DataFrame({"sex": ["f", "m"], "population": [1, 3]})
    >>> standardised_rate("Surv(time, died) ~ 1", data, standard=standard).tidy()["estimate"].round(2).tolist()
    [33.33]
    """
    if not per > 0:
        raise OptionError(f"per={per!r} must be positive")
    table = only_factors(standard, "population", data, argument="standard", scales=scales)
    read, names, cells = cells_with_reference(
        formula, data, table, "population", argument="standard", scales=scales, missing=missing
    )
    population = table["population"]
    shared = sorted({str(c) for c in table.columns} & set(names))
    if shared:
        raise OptionError(f"groups of {shared} cannot be compared and standardised for; take the column out of one")
    labels, codes = group_codes(cells, names)
    n_bands, seen = int((population > 0).sum()), np.bincount(codes, cells["population"] > 0)
    if (seen < n_bands).any():
        k = int(np.flatnonzero(seen < n_bands)[0])
        raise EmptyDataError(
            f"group {shown(labels[k])} has person-time in {int(seen[k])} of the {n_bands} bands of the standard; join "
            "bands or leave those out of the standard"
        )
    v = (cells["population"] / population.sum() / cells["person_time"]).to_numpy()
    d = cells["n_event"].to_numpy(dtype=np.float64)
    return StandardisedRate(
        groups=labels,
        observed=read_only(np.bincount(codes, d)),
        person_time=read_only(np.bincount(codes, cells["person_time"])),
        rate=read_only(np.bincount(codes, v * d)),
        variance=read_only(np.bincount(codes, v**2 * d)),
        largest=read_only([v[codes == k].max() for k in range(len(labels))]),
        per=per,
        nobs=read.groups.outcome.time.size,
        provenance=read.groups.provenance(
            format_call(
                "survival.standardised_rate",
                formula,
                standard=standard,
                scales=str(dict(scales)) if scales else None,
                per=per,
            )
        ),
    )
