"""Follow-up split at the bands of a reference table, and the table's value for each band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import MissingDataError, PredictorError, column_not_found, shown
from dxa_causal._core.options import Missing
from dxa_causal._design import to_pandas
from dxa_causal.survival.person_years import Cells, cell_labels, read_cells, tabulate


def cells_with_reference(
    formula: str,
    data: Any,
    table: Any,
    value: str,
    *,
    argument: str,
    scales: Mapping[str, str | None] | None,
    missing: Missing,
) -> tuple[Cells, list[str], pd.DataFrame]:
    """Split follow-up at the bands of a reference table and give each cell the table's value.

    Returns what was read, the grouping columns of the formula, and a table of
    cells by group and band with n, n_event, person_time and the value.
    """
    reference = to_pandas(table)
    if value not in reference.columns:
        raise column_not_found(value, reference.columns, argument=argument)
    keys = [str(c) for c in reference.columns if c != value]
    reference = reference.assign(**{value: pd.to_numeric(reference[value], errors="coerce")})
    bad = reference.isna().any(axis=1) | ~(reference[value] >= 0)
    if bad.any():
        raise PredictorError(
            f"{argument}: {int(bad.sum())} rows miss a value or have no {value} of zero or more, first row "
            f"{shown(reference.index[bad][0])}"
        )
    clocks: dict[str, tuple[str | None, list[float]]] = {}
    for name, column in (scales or {}).items():
        if name not in keys:
            raise column_not_found(name, keys, argument=f"scales (columns of {argument})")
        reference[name] = reference[name].astype(np.float64)
        clocks[name] = (column, sorted(v for v in reference[name].unique() if np.isfinite(v)))  # -inf: below the first
    twice = reference.duplicated(keys)
    if twice.any():
        raise PredictorError(f"{argument}: row {shown(reference.index[twice][0])} repeats the band of another row")
    factors = [k for k in keys if k not in clocks]
    arguments = {f"{argument} (column {k!r})": k for k in factors}
    read = read_cells(formula, data, scales=clocks, arguments=arguments, missing=missing)
    names = [c for c in read.keys.columns if c not in clocks]
    for k in (k for k in factors if k not in names):
        read.keys[k] = read.groups.rows.frame[k].to_numpy()[read.row]
    cells = tabulate(read, None, list(dict.fromkeys([*names, *keys])))
    try:
        joined = cells[keys].merge(reference, how="left", on=keys) if keys else reference.iloc[[0] * len(cells)]
    except ValueError as error:
        raise PredictorError(f"{argument}: its columns cannot be matched with those of the data: {error}") from None
    cells[value] = joined[value].to_numpy()
    absent = cells[value].isna()
    if absent.any():
        first = cells[absent].iloc[[0]]
        named = ", ".join(f"{k} {v}" for k in keys for v in cell_labels(first[[k]], read.breaks))
        raise MissingDataError(
            f"{argument} has no row for {int(absent.sum())} of the bands followed up, first {named} "
            f"({float(first['person_time'].iloc[0]):g} person-time)"
        )
    return read, names, cells


def group_codes(cells: pd.DataFrame, names: list[str]) -> tuple[tuple[Any, ...], npt.NDArray[np.int64]]:
    """Labels of the groups of a table, and the group of each of its rows."""
    if not names:
        return ("all",), np.zeros(len(cells), dtype=np.int64)
    codes = cells.groupby(names, sort=True, observed=True).ngroup().to_numpy()
    first = np.unique(codes, return_index=True)[1]
    return tuple(cell_labels(cells[names].iloc[first], {})), codes
