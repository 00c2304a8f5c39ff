"""Imputations made elsewhere, stacked in one frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dxa_causal._core.errors import EmptyDataError, ImputationError, column_not_found, shown
from dxa_causal._design import to_pandas
from dxa_causal._design.matrix import plain_types
from dxa_causal.imputation.imputations import Imputations, ImputedColumn
from dxa_causal.results import Provenance, read_only


def from_long(data: Any, imputation: str = ".imp", id: str = ".id") -> Imputations:
    """Read completed data sets stacked in one frame, as R's ``mice::complete(action = "long")`` writes them.

    Parameters
    ----------
    data : pandas or polars frame
    imputation : str
        Column that numbers the imputations. Number 0, where it is there, is the data with their missing values;
        without it, what differs between imputations counts as filled in.
    id : str
        Column that names the rows; the same rows in every imputation.

    Returns
    -------
    Imputations
        Without traces; it cannot be extended.

    Examples
    --------
    >>> import pandas as pd
    >>> long = pd.DataFrame({".imp": [1, 1, 2, 2], ".id": [7, 8, 7, 8], "grip": [31.0, 22.0, 31.0, 25.0]})
    >>> from_long(long).missing.values.tolist()
    [['grip', 1, 0.5, 'given']]
    """
    frame = to_pandas(data)
    for argument, name in (("imputation", imputation), ("id", id)):
        if name not in frame.columns:
            raise column_not_found(name, frame.columns, argument=argument)
        if frame[name].isna().any():
            raise ImputationError(f"{argument}={name!r} is missing in {int(frame[name].isna().sum())} rows")
    if len(frame) == 0:
        raise EmptyDataError("the frame has no rows")
    numbers = pd.to_numeric(frame[imputation], errors="coerce")  # a file may bring "0", "1", ... as text
    if numbers.notna().all():
        frame = frame.assign(**{imputation: numbers})
    parts = {
        number: part.drop(columns=imputation).set_index(id) for number, part in frame.groupby(imputation, sort=True)
    }
    number = next(iter(parts))
    base = parts[number].copy()
    for other, part in parts.items():
        if not part.index.is_unique:
            twice = part.index[part.index.duplicated()][0]
            raise ImputationError(f"imputation {shown(other)} holds row {shown(twice)} of {id!r} twice")
        if len(part) != len(base) or not part.index.isin(base.index).all():
            raise ImputationError(
                f"imputations {shown(number)} and {shown(other)} do not hold the same rows of {id!r} "
                f"({len(base)} and {len(part)} rows)"
            )
    original = parts.pop(number) if number == 0 else None
    if not parts:
        raise ImputationError(f"column {imputation!r} holds no imputation beside 0, the data as they came")
    stacked = [part.loc[base.index] for part in parts.values()]
    columns = []
    for name in base.columns:
        column = _read_column(name, [part[name] for part in stacked], None if original is None else original[name])
        if column is not None:
            columns.append(column)
            base[name] = base[name].where(~np.isin(np.arange(len(base)), column.rows))
    return Imputations(
        m=len(stacked),
        data=base,
        columns=tuple(columns),
        trace_mean=read_only(np.empty((0, len(stacked), 0))),
        trace_sd=read_only(np.empty((0, len(stacked), 0))),
        traced=(),
        nobs=len(base),
        provenance=Provenance(
            call=f"imputation.from_long(data, imputation={imputation!r}, id={id!r})",
            n_rows=len(base),
            n_used=len(base),
            missing={c.name: len(c.rows) for c in columns},
        ),
        plan=None,
        root=None,
    )


def _read_column(name: Any, series: list[pd.Series], original: pd.Series | None) -> ImputedColumn | None:
    """What was filled in for a column; None where nothing was."""
    plain = [plain_types(s.to_frame())[name] for s in series]
    levels = None
    if all(pd.api.types.is_numeric_dtype(s.dtype) and not pd.api.types.is_bool_dtype(s.dtype) for s in plain):
        values = np.array([s.to_numpy(dtype=np.float64) for s in plain])
    elif isinstance(series[0].dtype, pd.CategoricalDtype):
        levels = series[0].cat.categories
        values = np.array([levels.get_indexer(s) for s in series], dtype=np.float64)
    else:
        levels = pd.Index(pd.unique(pd.concat(plain).dropna()), dtype=object)
        values = np.array([levels.get_indexer(s) for s in plain], dtype=np.float64)
    unknown = np.isnan(values) if levels is None else values < 0
    if original is not None:
        filled = original.isna().to_numpy() & ~unknown.all(axis=0)
    else:
        filled = (values != values[0]).any(axis=0) & ~unknown.all(axis=0)
    if not filled.any():
        return None
    rows = np.flatnonzero(filled)
    if unknown[:, rows].any():
        i, k = np.argwhere(unknown[:, rows])[0]
        raise ImputationError(
            f"column {str(name)!r} is missing in some imputations only: in the {i + 1}-th that of row "
            f"{shown(series[0].index[rows[k]])}"
        )
    return ImputedColumn(str(name), "given", rows, read_only(values[:, rows]), levels)
