"""Eligibility: who was left out, for which reason, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import MissingDataError, OptionError, column_not_found, shown

BoolArray = npt.NDArray[np.bool_]


def exclude(frame: Any, steps: Mapping[str, Any], *, id: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave rows out step by step.

    Parameters
    ----------
    frame : pandas or polars DataFrame
    steps : mapping of str to mask or str
        As in :func:`flow`.
    id : str, optional
        As in :func:`flow`.

    Returns
    -------
    remaining : DataFrame
        Rows that no step left out, with their index.
    flow : DataFrame
        As :func:`flow` gives it.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"age": [45, 60, 70]})
    >>> remaining, counts = exclude(people, {"under 50": "age < 50"})
    >>> remaining["age"].tolist(), counts["n_excluded"].tolist()
    ([60, 70], [0, 1])
    """
    data = nw.from_native(frame).to_pandas()
    remaining = np.ones(len(data), dtype=bool)
    rows: list[tuple[str, int, int, int]] = [("assessed", len(data), 0, len(data))]
    if id is not None and id not in data.columns:
        raise column_not_found(id, data.columns, argument="id")
    people = [0 if id is None else data[id].nunique()]
    for name, step in steps.items():
        met = _mask(data, name, _evaluate(data, name, step) if isinstance(step, str) else step)
        excluded = int((remaining & met).sum())
        remaining &= ~met
        rows.append((name, int(met.sum()), excluded, int(remaining.sum())))
        people.append(0 if id is None else data.loc[remaining, id].nunique())
    counts = pd.DataFrame(rows, columns=["step", "n_met", "n_excluded", "n_remaining"])
    return data.loc[remaining], counts if id is None else counts.assign(n_persons=people)


def flow(frame: Any, steps: Mapping[str, Any], *, id: str | None = None) -> pd.DataFrame:
    """Count who is left out at each step and who remains.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        One row per person, or several where `id` names the person.
    steps : mapping of str to (n,) boolean mask or str
        Reason -> rows to *exclude*, in the order of exclusion: a mask over all
        rows, or an expression of columns such as ``"age < 50"``. A missing
        value never satisfies a comparison, so it stays in: exclude it by a step
        of its own, ``"grip_kg.isna()"``.
    id : str, optional
        Column of the person, to count people beside rows.

    Returns
    -------
    DataFrame
        First the row ``"assessed"``, then one row per step, in order: step,
        n_met (all rows that meet the step, also those excluded before),
        n_excluded (among those still in) and n_remaining. `n_remaining` is that
        of the line above minus `n_excluded`. With `id` also n_persons, people
        who have a row left.

    Raises
    ------
    ColumnNotFoundError
        An expression names a column that is not there.
    OptionError
        A step is neither a boolean mask of the right length and index nor an
        expression with a true or false per row.
    MissingDataError
        A mask holds missing values.

    Notes
    -----
    An expression is evaluated by ``pandas.DataFrame.eval``: it is code, to be
    taken from scripts and study files, never from a web request.

    References
    ----------
    von Elm et al. 2007, STROBE statement, item 13. doi:10.1371/journal.pmed.0040296

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"age": [45, 60, 70, 80], "grip_kg": [40.0, None, 25.0, 20.0]})
    >>> flow(people, {"under 50": "age < 50", "no grip": "grip_kg.isna()"})
           step  n_met  n_excluded  n_remaining
    0  assessed      4           0            4
    1  under 50      1           1            3
    2   no grip      1           1            2
    """
    return exclude(frame, steps, id=id)[1]


def _evaluate(data: pd.DataFrame, name: str, expression: str) -> Any:
    try:
        return data.eval(expression, engine="python", local_dict={}, global_dict={})
    except pd.errors.UndefinedVariableError as error:
        unknown = str(error).split("'")[1]
        raise column_not_found(unknown, data.columns, argument=f"step {name!r}") from None
    except (SyntaxError, TypeError, AttributeError, NotImplementedError) as error:
        raise OptionError(
            f"step {name!r}: {expression!r} cannot be evaluated ({error}); write a comparison of columns such as "
            "'age < 50'"
        ) from None


def _mask(data: pd.DataFrame, name: str, mask: Any) -> BoolArray:
    if isinstance(mask, pd.Series) and not mask.index.equals(data.index):
        raise OptionError(f"step {name!r}: the mask has another index than the frame; align it with .loc")
    if isinstance(mask, pd.DataFrame):
        raise OptionError(f"step {name!r} assigns a column instead of comparing; write == for 'equals'")
    values = np.atleast_1d(np.asarray(mask))
    if values.shape != (len(data),):
        raise OptionError(f"step {name!r}: the mask has shape {values.shape}, but the frame {len(data)} rows")
    missing = np.flatnonzero(pd.isna(values))
    if missing.size:
        raise MissingDataError(
            f"step {name!r}: {missing.size} values of the mask are missing, first row {shown(data.index[missing[0]])}; "
            "say whether these people are excluded, for instance with .fillna(False)"
        )
    if pd.api.types.infer_dtype(values) != "boolean":
        raise OptionError(f"step {name!r} must be true or false per row, but holds {values.dtype} values")
    return values.astype(bool)
