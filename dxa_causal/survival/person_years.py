"""Person-time, events and rates by group and by band of any time scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ColumnNotFoundError, FormulaError, OptionError, column_not_found
from dxa_causal._core.options import Missing, check_conf_level, check_option
from dxa_causal._design import Groups, read_groups, to_pandas
from dxa_causal._design.parse import parse
from dxa_causal.followup.lexis import check_breaks, check_scales, cut
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.event_counts import poisson_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_COUNTS = ("n", "n_event", "person_time", "std_error", "conf_low", "conf_high")
CountLimits = Literal["exact", "mid-p", "byar", "log"]


@dataclass(frozen=True, eq=False, repr=False)
class PersonYears(Result):
    """A table of rates.

    Attributes
    ----------
    cells : DataFrame
        One row per combination of groups and bands seen: their columns (of a
        scale, the lower limit of the band), n, n_event, person_time.
    breaks : mapping of str to (k,) ndarray
        Of the scales.
    per : float
        Person-time the rates are given for.
    conf_method : {"exact", "mid-p", "byar", "log"}
    n_events : int
    """

    title: ClassVar[str] = "Person-time and rates"

    cells: pd.DataFrame
    breaks: Mapping[str, FloatArray]
    per: float
    conf_method: CountLimits
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "rate"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per cell: group, n, n_event, person_time, estimate (events per `per` of person-time), limits."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for rates")
        check_conf_level(conf_level)
        n_event, person_time = (self.cells[c].to_numpy(dtype=np.float64) for c in ("n_event", "person_time"))
        low, high = poisson_limits(n_event, conf_level, self.conf_method)
        unit = self.per / person_time
        return pd.DataFrame(
            {
                "group": cell_labels(self.cells.drop(columns=["n", "n_event", "person_time"]), self.breaks),
                "n": self.cells["n"],
                "n_event": self.cells["n_event"],
                "person_time": person_time,
                "estimate": n_event * unit,
                "std_error": np.sqrt(n_event) * unit,
                "conf_low": low * unit,
                "conf_high": high * unit,
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, person_time, n_groups (cells)."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "person_time": [float(self.cells["person_time"].sum())],
                "n_groups": [len(self.cells)],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Rates with their limits; the dashed line is the rate of all together."""
        from dxa_causal.plots.coefficients import forest

        overall = self.cells["n_event"].sum() / self.cells["person_time"].sum() * self.per
        label = f"Events per {self.per:g} person-time"
        return forest(self.tidy(), effect_measure=label, reference=overall, log=False, label="group", ax=ax)

    def _notes(self) -> list[str]:
        return [f"events per {self.per:g} of person-time; {self.conf_method} limits", *super()._notes()]


def person_years(
    formula: str,
    data: Any,
    *,
    scales: Mapping[str, tuple[str | None, Sequence[float]]] | None = None,
    weights: str | None = None,
    unit: float = 1.0,
    per: float = 1000.0,
    conf_method: CountLimits = "exact",
    missing: Missing = "drop",
) -> PersonYears:
    r"""Count person-time and events, and estimate rates.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ sex + smoker``, ``~ 1`` for one total, or
        ``Surv(entry, time, event) ~ ...``.
    data : pandas or polars frame
    scales : mapping of str to (str or None, sequence of float), optional
        Time scales to split follow-up on, as for
        :func:`dxa_causal.followup.lexis_split`:
        ``{"age band": ("age_at_entry", [40, 50, 60])}``, in the unit of the
        times. The table then also runs over their bands.
    weights : str, optional
        Column of positive weights: a row's events and person-time count that
        many times (not the row, in n).
    unit : float
        Times are divided by this: 365.25 turns days into years.
    per : float
        Rates are given for this much person-time (after `unit`).
    conf_method : {"exact", "mid-p", "byar", "log"}
        Limits of a Poisson mean: exact (Garwood), mid-p, Byar's
        approximation, or symmetric on the log scale.
    missing : {"drop", "raise"}

    Returns
    -------
    PersonYears

    Notes
    -----
    The rate is :math:`d / T` with d events in person-time T, of standard error
    :math:`\sqrt d / T`. A person counts in n of every cell passed through.

    References
    ----------
    Garwood F. Biometrika 1936;28:437-442. doi:10.1093/biomet/28.3-4.437

    Examples
    --------
    >>> data = pd.DataFrame({"time": [2, 8, 5, 5], "died": [1, 0, 1, 0], "age": [45.0, 45.0, 60.0, 60.0]})
    >>> scales = {"age band": ("age", [40, 50, 60])}
    >>> person_years("Surv(time, died) ~ 1", data, scales=scales, per=1).tidy()[
    ...     ["group", "n", "n_event", "person_time", "estimate"]
    ... ]
       group  n  n_event  person_time  estimate
    0  40-50  2        1          7.0  0.142857
    1  50-60  1        0          3.0  0.000000
    2    60+  2        1         10.0  0.100000
    """
    check_option("conf_method", conf_method, CountLimits)
    for name, value in (("unit", unit), ("per", per)):
        if not value > 0:
            raise OptionError(f"{name}={value!r} must be positive")
    read = read_cells(formula, data, scales=check_scales(scales or {}), arguments={"weights": weights}, missing=missing)
    given = read.groups.rows.number(weights, argument="weights", positive=True)
    cells = tabulate(read, None if given is None else given[read.row], list(read.keys.columns))
    cells["person_time"] /= unit
    call = format_call(
        "survival.person_years",
        formula,
        scales=str(dict(scales)) if scales else None,
        weights=weights,
        unit=None if unit == 1 else unit,
        per=per,
        conf_method=conf_method,
    )
    return PersonYears(
        cells=cells,
        breaks=read.breaks,
        per=per,
        conf_method=conf_method,
        nobs=read.groups.outcome.time.size,
        n_events=int(read.groups.outcome.event.sum()),
        provenance=read.groups.provenance(call),
    )


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Pieces of follow-up and the columns that tell which cell of a table they belong to.

    Attributes
    ----------
    groups : Groups
        Outcome and rows analysed.
    row : (m,) ndarray of int64
        Row of each piece.
    event : (m,) ndarray of int64
    person_time : (m,) ndarray
    keys : DataFrame
        m rows: the grouping columns, then the bands.
    breaks : dict of str to ndarray
    """

    groups: Groups
    row: IntArray
    event: IntArray
    person_time: FloatArray
    keys: pd.DataFrame
    breaks: dict[str, FloatArray]


def read_cells(
    formula: str,
    data: Any,
    *,
    scales: Mapping[str, tuple[str | None, Sequence[float]]],
    arguments: Mapping[str, str | None],
    missing: Missing,
) -> Cells:
    """Read ``Surv(...) ~ a + b`` (any number of groups) and split follow-up on `scales`."""
    frame, parts = to_pandas(data), parse(formula)
    names = [w.strip().removeprefix("C(").removesuffix(")").strip().strip("`") for w in parts.fixed.split("+")]
    names = [n for n in names if n not in ("0", "1", "")]
    for name in names:
        if name not in frame.columns and not name.replace(".", "_").isidentifier():
            raise FormulaError(
                f"the right side {parts.fixed!r} must name grouping columns joined by '+', not expressions; make "
                f"{name!r} a column first"
            )
    taken = {"n", "n_event", "person_time"} & {*names, *scales}
    if taken:
        raise OptionError(f"{sorted(taken)} are columns of the table itself; give the grouping columns other names")
    wanted = dict(arguments) | {f"formula ({name})": name for name in names}
    wanted |= {f"scales[{name!r}]": column for name, (column, _) in scales.items()}
    groups = read_groups(f"{parts.outcome} ~ 1", frame, arguments=wanted, missing=missing)
    outcome, rows = groups.outcome, groups.rows
    entry = np.zeros(outcome.time.size) if outcome.entry is None else outcome.entry
    breaks = {name: check_breaks(name, points) for name, (_, points) in scales.items()}
    values = [rows.number(column, argument=f"scales[{name!r}]") for name, (column, _) in scales.items()]
    clocks = [(entry if v is None else v, points) for v, points in zip(values, breaks.values(), strict=True)]
    pieces = cut(entry, outcome.time, clocks)
    keys = rows.frame[names].iloc[pieces.row].reset_index(drop=True)
    for name, band in zip(scales, pieces.bands, strict=True):
        if name in names:
            raise OptionError(f"scales: {name!r} is also a grouping column; give the scale another name")
        keys[name] = band
    event = outcome.event[pieces.row] * pieces.last
    return Cells(groups, pieces.row, event, pieces.stop - pieces.start, keys, breaks)


def tabulate(cells: Cells, weight: FloatArray | None, names: list[str]) -> pd.DataFrame:
    """Sum pieces over `names`: their columns, n, n_event, person_time; one row per combination seen."""
    keys = cells.keys[names]
    w = np.ones(cells.row.size) if weight is None else weight
    if names:
        grouped = keys.groupby(names, sort=True, observed=True)
        codes = grouped.ngroup().to_numpy()
        table = keys.iloc[np.unique(codes, return_index=True)[1]].reset_index(drop=True)
    else:
        codes, table = np.zeros(cells.row.size, dtype=np.int64), pd.DataFrame(index=[0])
    # a row counts once in a cell, however many of its pieces lie there
    first = ~pd.DataFrame({"cell": codes, "row": cells.row}).duplicated().to_numpy()
    n = np.bincount(codes, first, len(table)).astype(np.int64)
    n_event = np.bincount(codes, w * cells.event, len(table))
    if np.all(w == np.floor(w)):
        n_event = n_event.astype(np.int64)
    person_time = np.bincount(codes, w * cells.person_time, len(table))
    return table.assign(n=n, n_event=n_event, person_time=person_time)


def only_factors(
    table: Any, value: str, data: Any, *, argument: str, scales: Mapping[str, str | None] | None
) -> pd.DataFrame:
    """Reference table with `value` and factors: counts of `person_years` left out, other unknown columns refused."""
    if scales is not None and not isinstance(scales, Mapping):
        raise OptionError(f"scales must be a mapping, as in scales={{'age': 'age_at_entry'}}, not {scales!r}")
    reference, known = to_pandas(table), {value, *(scales or {}), *to_pandas(data).columns}
    if value not in reference.columns:
        raise column_not_found(value, reference.columns, argument=argument)
    reference = reference.drop(columns=[c for c in reference.columns if c in _COUNTS and c not in known])
    unknown = [str(c) for c in reference.columns if c not in known]
    if unknown:
        raise ColumnNotFoundError(
            f"{argument}: every column beside {value!r} counts as a factor, but the data have no column "
            f"{unknown[0]!r}. Drop it, or name its time scale: scales={{{unknown[0]!r}: column of the value at entry}}"
        )
    return reference


def cell_labels(keys: pd.DataFrame, breaks: Mapping[str, FloatArray]) -> list[Any]:
    """One label per row of `keys`: the value itself, "a=1, b=2" for several columns, "all" for none."""
    if keys.shape[1] == 0:
        return ["all"] * len(keys)
    shown = keys.assign(
        **{name: [_band(low, points) for low in keys[name]] for name, points in breaks.items() if name in keys}
    )
    if keys.shape[1] == 1:
        return list(shown.iloc[:, 0])
    rows = shown.itertuples(index=False, name=None)
    return [", ".join(f"{n}={v}" for n, v in zip(keys.columns, row, strict=True)) for row in rows]


def _band(low: float, breaks: FloatArray) -> str:
    if low < breaks[0]:
        return f"<{breaks[0]:g}"
    after = breaks[breaks > low]
    return f"{low:g}-{after[0]:g}" if after.size else f"{low:g}+"
