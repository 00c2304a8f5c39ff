"""Table 1: the participants described, overall and by group."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import EmptyDataError, MissingDataError, OptionError, column_not_found, shown
from dxa_causal._numerics.balance import measure_balance, standardise

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

OVERALL = "overall"
MAX_LEVELS = 20  # more different texts are names or comments, not a category
TIDY = [
    *("term", "level", "group", "n", "n_missing", "mean", "sd", "median", "q1", "q3"),
    *("count", "proportion", "smd"),
]


@dataclass(frozen=True, eq=False)
class TableOne:
    """Descriptive statistics of a cohort.

    Attributes
    ----------
    by : str or None
        The grouping column.
    groups : tuple of str
        Labels of the groups, in order.
    sizes : tuple of int
        People in each group.
    """

    by: str | None
    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    _tidy: pd.DataFrame

    def tidy(self) -> pd.DataFrame:
        """One row per variable, level and group.

        Returns
        -------
        DataFrame
            term; level (empty for a continuous variable); group; n (people with
            a value) and n_missing in that group; mean, sd, median, q1, q3 of a
            continuous variable; count and proportion (of n) of a level; smd,
            the same in each line of a term and level, missing unless there are
            two groups.
        """
        return self._tidy.copy()

    def display(self, *, median: Sequence[str] = (), digits: int | None = None) -> pd.DataFrame:
        """Text for a report, one row per variable or level.

        Parameters
        ----------
        median : sequence of str
            Continuous variables to show as median [first and third quartile]
            instead of mean (SD).
        digits : int, optional
            Decimals of means, medians and percentages. When omitted: enough to
            give the standard deviation over all people two digits, from one to
            four; one for percentages.

        Returns
        -------
        DataFrame
            characteristic, level, one column per group, ``"overall"``, missing
            (overall) and, with two groups, SMD.
        """
        table = self._tidy
        known = [*dict.fromkeys(table.loc[table["count"].isna(), "term"])]
        for name in median:
            if name not in known:
                raise OptionError(f"median: {name!r} is not a continuous variable of this table; it has {known}")
        headers = {g: g if g == OVERALL else f"{self.by} = {g}" for g in (*self.groups, OVERALL)}
        total = dict(zip(self.groups, self.sizes)) | {OVERALL: sum(self.sizes)}
        overall = table[table["group"] == OVERALL].set_index("term")["sd"]
        rows = [{"characteristic": "n", "level": ""} | {headers[g]: str(total[g]) for g in headers} | {"missing": ""}]
        for (term, level), lines in table.groupby(["term", "level"], sort=False):
            continuous = bool(lines["count"].isna().any())
            form = "median [Q1, Q3]" if term in median else "mean (SD)"
            cells = {
                headers[line.group]: _continuous(
                    line, term in median, _decimals(overall.loc[term]) if digits is None else digits
                )
                if continuous
                else _share(line, 1 if digits is None else digits)
                for line in lines.itertuples()
            }
            missing = int(lines.loc[lines["group"] == OVERALL, "n_missing"].iloc[0])
            row = {"characteristic": f"{term}, {form if continuous else 'n (%)'}", "level": level, **cells}
            row["missing"] = str(missing)
            if len(self.groups) == 2:
                smd = lines["smd"].iloc[0]
                row["SMD"] = "-" if np.isnan(smd) else f"{smd:.3f}"
            rows.append(row)
        return pd.DataFrame(rows).fillna("")

    def __repr__(self) -> str:
        return self.display().to_string(index=False)

    def _repr_html_(self) -> str:
        shown_as = self.display()
        title = f"Characteristics by {self.by}" if self.by else "Characteristics"
        return f"<h4>{html.escape(title)}</h4>\n{shown_as.to_html(index=False, border=0)}"


def table_one(
    frame: Any, *, by: str | None = None, columns: Sequence[str] | None = None, categorical: Sequence[str] = ()
) -> TableOne:
    r"""Describe the participants: means and SDs, medians, counts, missing values, standardised differences.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        One row per person.
    by : str, optional
        Column of groups. Without missing values.
    columns : sequence of str, optional
        What to describe, in this order; all but `by` when not given.
    categorical : sequence of str
        Numeric columns whose numbers are codes, and texts with more than 20
        levels. Texts, categories, booleans and columns of 0 and 1 are
        categorical anyway; of the latter two only the level True or 1 is
        listed, unless named here.

    Returns
    -------
    TableOne

    Raises
    ------
    ColumnNotFoundError, EmptyDataError, MissingDataError, OptionError

    Notes
    -----
    Quartiles interpolate linearly (R's type 7); percentages are of those with a
    value. With two groups, the second (level) minus the first:

    .. math:: d = \frac{\bar x_1 - \bar x_0}{\sqrt{(s_1^2 + s_0^2) / 2}}

    with :math:`s^2 = p (1 - p)` for each level of a categorical variable. When
    both variances are zero, the variance of the whole sample stands in; a
    number with only two distinct values has the variance of a binary one.

    References
    ----------
    Austin 2009, Statistics in Medicine 28:3083. doi:10.1002/sim.3697

    Examples
    --------
    >>> people = pd.DataFrame({"age": [50, 60, 70, 80], "sex": ["f", "m", "f", "m"], "died": [0, 0, 1, 1]})
    >>> table_one(people, by="died").display()
      characteristic level    died = 0    died = 1      overall missing    SMD
    0              n                 2           2            4
    1 age, mean (SD)        55.0 (7.1)  75.0 (7.1)  65.0 (12.9)       0  2.828
    2     sex, n (%)     f    1 (50.0)    1 (50.0)     2 (50.0)       0  0.000
    3     sex, n (%)     m    1 (50.0)    1 (50.0)     2 (50.0)       0  0.000
    """
    data = nw.from_native(frame).to_pandas()
    if data.empty:
        raise EmptyDataError("table_one: the frame has no rows")
    chosen = [c for c in data.columns if c != by] if columns is None else [*columns]
    for argument, names in (("by", [by] if by is not None else []), ("columns", chosen), ("categorical", categorical)):
        for name in names:
            if name not in data.columns:
                raise column_not_found(name, data.columns, argument=argument)
    groups = _groups(data, by)
    shares = groups | {OVERALL: np.ones(len(data), dtype=bool)}
    lines = []
    for name in chosen:
        levels = _levels(data[name], coded=name in categorical)
        for level in [None] if levels is None else levels:
            numbers = _numbers(data[name], level)
            key = {"term": name, "level": "" if level is None else str(level)}
            smd = _smd(numbers, [*groups.values()])
            for group, mask in shares.items():
                lines.append(key | {"group": group} | _describe(numbers[mask], continuous=level is None) | {"smd": smd})
    sizes = tuple(int(mask.sum()) for mask in (groups or shares).values())
    return TableOne(by, tuple(groups), sizes, pd.DataFrame(lines, columns=TIDY))


def _groups(data: pd.DataFrame, by: str | None) -> dict[str, BoolArray]:
    if by is None:
        return {}
    values = data[by]
    missing = np.flatnonzero(values.isna())
    if missing.size:
        raise MissingDataError(
            f"by={by!r}: {missing.size} rows have no group, first row {shown(data.index[missing[0]])}; drop them, or "
            "give them a group of their own with .fillna"
        )
    levels = _present(values)
    if len(levels) > MAX_LEVELS and not isinstance(values.dtype, pd.CategoricalDtype):
        raise OptionError(
            f"by={by!r} has {len(levels)} distinct values; group them first, for instance with pandas.cut"
        )
    if OVERALL in levels:
        raise OptionError(f"by={by!r} has a group {OVERALL!r}, which is the name of the whole; rename it")
    return {str(level): (values == level).to_numpy(dtype=bool) for level in levels}


def _present(values: pd.Series) -> list[Any]:
    """Levels that occur, in their order."""
    found = values.dropna().unique()
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [level for level in values.cat.categories if level in found]
    return sorted(found, key=None if pd.api.types.is_numeric_dtype(values) else str)


def _levels(values: pd.Series, *, coded: bool) -> list[Any] | None:
    """Levels to list, or None for a continuous variable (and for one without any value)."""
    present = _present(values)
    boolean = pd.api.types.is_bool_dtype(values)
    if not present:
        return None
    if isinstance(values.dtype, pd.CategoricalDtype) or coded:
        return present
    if boolean or set(present) <= {0, 1}:
        return [True] if boolean else [1]
    if pd.api.types.is_numeric_dtype(values):
        return None
    if len(present) > MAX_LEVELS:
        raise OptionError(
            f"column {values.name!r} holds {len(present)} different texts, such as {shown(present[0])}; leave it out "
            "with columns=, or name it in categorical="
        )
    return present


def _numbers(values: pd.Series, level: Any) -> FloatArray:
    """The values themselves, or 1 where they are `level` and 0 elsewhere; NaN where missing."""
    missing = values.isna().to_numpy()
    if missing.all():
        return np.full(len(values), np.nan)
    if level is None:
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(missing, np.nan, (values == level).fillna(False).to_numpy(dtype=np.float64))


def _describe(numbers: FloatArray, *, continuous: bool) -> dict[str, float]:
    known = numbers[~np.isnan(numbers)]
    n, nan = known.size, float("nan")
    found = {"n": n, "n_missing": numbers.size - n}
    mean = float(known.mean()) if n else nan
    if not continuous:
        return found | {"count": int(known.sum()), "proportion": mean}
    q1, middle, q3 = np.quantile(known, [0.25, 0.5, 0.75]) if n else (nan, nan, nan)
    sd = float(known.std(ddof=1)) if n > 1 else nan
    return found | {"mean": mean, "sd": sd, "median": float(middle), "q1": float(q1), "q3": float(q3)}


def _smd(numbers: FloatArray, groups: Sequence[BoolArray]) -> float:
    if len(groups) != 2:
        return float("nan")
    known = ~np.isnan(numbers)
    second = groups[1][known]
    if not second.any() or second.all():
        return float("nan")
    one = np.ones(second.size)
    balance = measure_balance(numbers[known, None], second, one, base=one, denominator="pooled")
    return float(standardise(balance)[0][0])


def _continuous(line: Any, median: bool, digits: int) -> str:
    if not line.n:
        return "-"
    if median:
        return f"{line.median:.{digits}f} [{line.q1:.{digits}f}, {line.q3:.{digits}f}]"
    return f"{line.mean:.{digits}f} ({line.sd:.{digits}f})"


def _decimals(sd: float) -> int:
    """Decimals that give a standard deviation two digits, from one to four."""
    return 1 if not sd > 0 else int(np.clip(1 - np.floor(np.log10(sd)), 1, 4))


def _share(line: Any, digits: int) -> str:
    return f"{int(line.count)} ({100 * line.proportion:.{digits}f})" if line.n else "-"
