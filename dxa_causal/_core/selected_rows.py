"""Features that were selected carry with them on which rows: so that a model can refuse a leak.

To select features on all rows and then to cross-validate on the same rows lets the held-out rows take part in the
choice. A selector marks what it hands out; an estimator that is fitted to a part of the marked rows refuses.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import LeakageError

KEY = "dxa_causal.selected_on"
_PRIME = np.uint64(0x9E3779B97F4A7C15)


class SelectedRows:
    """Signatures of the rows a selection was made on; copied by reference, so that slices of a frame keep it.

    Parameters
    ----------
    selector : str
        Name of the selector, for messages.
    signatures : (n,) ndarray of uint64
    columns : tuple, optional
        Columns of a frame that the signatures are made from.
    """

    __slots__ = ("columns", "distinct", "n", "selector")

    def __init__(self, selector: str, signatures: npt.NDArray[np.uint64], columns: tuple[Any, ...] = ()) -> None:
        self.selector = selector
        self.columns = columns
        self.distinct = np.unique(signatures)
        self.n = signatures.size

    def __deepcopy__(self, memo: Any) -> SelectedRows:
        return self

    def refuse_part(self, signatures: npt.NDArray[np.uint64]) -> None:
        """Raise if some, but not all, of the rows selected on are there."""
        distinct = np.unique(signatures)
        shared = np.isin(distinct, self.distinct, assume_unique=True).sum()
        if 0 < shared < self.distinct.size:
            raise LeakageError(
                f"these features were selected by {self.selector} on {self.n} rows, of which this fit uses a part "
                f"({signatures.size} rows): the rows held out have taken part in the selection. Put the selector into "
                "a Pipeline with the model and cross-validate that"
            )


class SelectedArray(np.ndarray):
    """An array of selected features that remembers on which rows they were selected."""

    rows: SelectedRows | None

    def __array_finalize__(self, parent: Any) -> None:
        self.rows = getattr(parent, "rows", None)

    def __reduce__(self) -> Any:
        make, arguments, state = tuple(super().__reduce__())
        return make, arguments, (state, self.rows)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[0])
        self.rows = state[1]


def row_signatures(values: npt.ArrayLike, labels: Iterable[object] | None = None) -> npt.NDArray[np.uint64]:
    """A number per row made from its values and label, the same in every process.

    Examples
    --------
    >>> a = row_signatures([[1.0, 2.0], [1.0, 3.0]])
    >>> bool(a[0] != a[1]), bool(a[1] == row_signatures([[1.0, 3.0]])[0])
    (True, True)
    """
    matrix = np.asarray(values, dtype=np.float64)
    if labels is None:
        mixed = np.zeros(len(matrix), dtype=np.uint64)
    else:
        mixed = np.fromiter((zlib.crc32(repr(v).encode()) for v in labels), dtype=np.uint64, count=len(matrix))
    for column in matrix.T:
        bits = np.ascontiguousarray(column + 0.0).view(np.uint64)  # -0.0 is 0.0
        mixed = (mixed ^ bits) * _PRIME
        mixed ^= mixed >> np.uint64(29)
    return mixed


def selected_rows(x: Any) -> SelectedRows | None:
    """The mark a frame or array of selected features carries, if any."""
    mark = getattr(x, "attrs", {}).get(KEY) if hasattr(x, "attrs") else getattr(x, "rows", None)
    return mark if isinstance(mark, SelectedRows) else None


def refuse_leak(x: Any) -> None:
    """Refuse features selected on rows of which only a part is about to be fitted."""
    mark = selected_rows(x)
    if mark is None:
        return
    if not hasattr(x, "attrs"):
        mark.refuse_part(row_signatures(x))
    elif set(mark.columns) <= set(x.columns):
        mark.refuse_part(row_signatures(x[list(mark.columns)], x.index))


def refuse_selected(data: Any, what: str) -> None:
    """Refuse a frame of features already selected: `what` is about to hold rows out or draw new ones."""
    mark = selected_rows(data)
    if mark is not None:
        raise LeakageError(
            f"{what}: the features of this frame were selected by {mark.selector} on {mark.n} of its rows, so rows "
            "held out would have taken part in the selection; select inside the function or Pipeline that is fitted"
        )
