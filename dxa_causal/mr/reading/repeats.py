"""Values of a column of ids that are there more than once."""

from __future__ import annotations

import numpy as np
import polars as pl


def candidates(keys: pl.Series) -> pl.Series:
    """Rows that may hold a value that is there twice: all that do, and hardly any other.

    Equal values have equal hashes. Sorted, these tell in a fraction of the time and room that the values would take.

    Examples
    --------
    >>> candidates(pl.Series(["rs1", "rs2", None, "rs1", None])).to_list()
    [0, 3]
    """
    ordered = np.sort(keys.drop_nulls().hash().to_numpy())
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not again.size:
        return pl.Series([], dtype=pl.UInt32)
    return (keys.is_not_null() & keys.hash().is_in(pl.Series(again).implode())).arg_true()


def repeated(keys: pl.Series) -> pl.Series:
    """Values that are there more than once, each once, in the order of the rows.

    Examples
    --------
    >>> repeated(pl.Series(["rs2", "rs1", "rs2", "rs1", "rs3"])).to_list()
    ['rs2', 'rs1']
    """
    there = keys.gather(candidates(keys))
    return there.filter(there.is_duplicated()).unique(maintain_order=True)


def listed_before(keys: pl.Series) -> pl.Series:
    """Rows whose value a row before has.

    Examples
    --------
    >>> listed_before(pl.Series(["rs1", "rs2", None, "rs1", None])).to_list()
    [3]
    """
    rows = candidates(keys)
    return rows.filter(~keys.gather(rows).is_first_distinct())
