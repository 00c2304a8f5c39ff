"""Which columns a formula uses, and which rows are complete in them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import EmptyDataError, MissingDataError, PredictorError, column_not_found, shown

LARGE = 50_000  # rows from which memory matters more than a fraction of a millisecond

_WORD = re.compile(
    r"`(?P<quoted>[^`]+)`"
    r"|Q\(\s*(?P<q>'[^']*'|\"[^\"]*\")\s*\)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<word>[A-Za-z_][\w.]*)(?P<follow>\s*(?:\(|=(?!=)))?"
)
# Names formulaic evaluates itself, besides calls.
_CONTEXT = {"np", "contr", "True", "False", "None"}


def columns_used(text: str, columns: Iterable[object], *, argument: str = "formula") -> list[str]:
    """Columns named in formula text, in order of appearance; an unknown word is an error.

    Examples
    --------
    >>> columns_used("log(ph.ecog) + C(sex) + bs(age, df=4) + `a b`", ["age", "sex", "ph.ecog", "a b"])
    ['ph.ecog', 'sex', 'age', 'a b']
    """
    known = {str(c) for c in columns}
    used: dict[str, None] = {}
    for match in _WORD.finditer(text):
        quoted = match["quoted"] or (match["q"] and match["q"][1:-1])
        if quoted:
            if quoted not in known:
                raise column_not_found(quoted, known_order(columns), argument=argument)
            used[quoted] = None
            continue
        word = match["word"]
        if word is None:
            continue
        if word in known and not (match["follow"] or "").strip().startswith("("):
            if (match["follow"] or "").strip() != "=":
                used[word] = None
            continue
        if match["follow"] or word in _CONTEXT or keyword.iskeyword(word) or word.split(".")[0] in _CONTEXT:
            continue
        raise column_not_found(word, known_order(columns), argument=argument)
    return list(used)


def known_order(columns: Iterable[object]) -> list[str]:
    """Column names as text, in the frame's order."""
    return [str(c) for c in columns]


def quote_dotted(text: str, columns: Sequence[str]) -> str:
    """Put backticks around dotted column names (R's ``ph.ecog``) so that formulaic reads them as names."""
    dotted = [c for c in columns if "." in c and c.isascii()]
    for name in sorted(dotted, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.`'\"]){re.escape(name)}(?![\w.`'\"(])", f"`{name}`", text)
    return text


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Rows kept for the analysis.

    Attributes
    ----------
    frame : DataFrame
        Complete rows of the columns used, original index kept.
    keep : (n_rows,) ndarray of bool
    missing : dict of str to int
        Missing values per column, for columns that have any.
    """

    frame: pd.DataFrame
    keep: npt.NDArray[np.bool_]
    missing: dict[str, int]

    @property
    def n_rows(self) -> int:
        """Rows before anything was dropped."""
        return len(self.keep)

    def number(self, name: str | None, *, argument: str, positive: bool = False) -> npt.NDArray[np.float64] | None:
        """A numeric column passed as an argument, finite (and positive) on every row analysed."""
        if name is None:
            return None
        series = self.frame[name]
        if not pd.api.types.is_numeric_dtype(series.dtype):
            raise PredictorError(f"{argument}={name!r} must be numbers, but the column holds {series.dtype} values")
        values: npt.NDArray[np.float64] = np.asarray(series, dtype=np.float64)
        for bad, need in ((~np.isfinite(values), "finite"), (values <= 0 if positive else None, "positive")):
            if bad is not None and bad.any():
                i = int(np.flatnonzero(bad)[0])
                raise PredictorError(
                    f"{argument}={name!r} must be {need}: {int(bad.sum())} values are not, first row "
                    f"{shown(self.frame.index[i])} with {values[i]:g}"
                    + ("; leave rows of weight zero out" if need == "positive" else "")
                )
        return values


def complete_rows(frame: pd.DataFrame, *, missing: str) -> Rows:
    """Keep complete rows, counting missing values per column.

    Parameters
    ----------
    frame : DataFrame
        Only the columns used.
    missing : {"drop", "raise"}
    """
    if len(frame) == 0:
        raise EmptyDataError("the frame has no rows")
    if _all_finite(frame):
        return Rows(frame, np.ones(len(frame), dtype=bool), {})
    absent = frame.isna()
    counts = {str(c): int(n) for c, n in absent.sum().items() if n}
    keep = ~absent.to_numpy().any(axis=1)
    if counts and missing == "raise":
        listed = ", ".join(f"{c!r} ({n})" for c, n in counts.items())
        first = frame.index[~keep][0]
        raise MissingDataError(
            f"{int((~keep).sum())} of {len(keep)} rows have missing values, in {listed}; the first is row "
            f"{shown(first)}. Impute them, or use missing='drop' for complete cases"
        )
    if not keep.any():
        worst = max(counts, key=lambda c: counts[c])
        raise EmptyDataError(
            f"no row is complete: all {len(keep)} rows have a missing value; "
            f"column {worst!r} alone lacks {counts[worst]}"
        )
    kept = frame if keep.all() else frame.loc[keep]
    return Rows(kept, keep, counts)


def _all_finite(frame: pd.DataFrame) -> bool:
    """Whether a frame of numbers has nothing missing, in one pass; False where only a closer look can tell."""
    if not all(isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in frame.dtypes):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        if len(frame) <= LARGE:
            return bool(np.isfinite(frame.to_numpy().sum(dtype=np.float64)))
        return all(np.isfinite(frame[name].to_numpy().sum(dtype=np.float64)) for name in frame.columns)
