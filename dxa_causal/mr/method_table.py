"""Estimates by method and term as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import pandas as pd

from dxa_causal.results import wald_columns


def method_table(
    method: Sequence[str],
    term: Sequence[str],
    estimates: npt.ArrayLike,
    std_errors: npt.ArrayLike,
    df: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """Columns method, term, estimate, std_error, statistic, df, p_value, conf_low, conf_high; df nan means normal."""
    columns = wald_columns(estimates, std_errors, conf_level=conf_level, exponentiate=exponentiate, df=df)
    table = pd.DataFrame({"method": method, "term": term, **columns})
    table.insert(table.columns.get_loc("statistic") + 1, "df", df)
    return table
