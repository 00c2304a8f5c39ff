"""Correlations of the variants of a region, put into the order of a trait."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError, shown
from dxa_causal.genotypes.linkage import check_correlation, counts_other, refuse_indefinite

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.object_]

_ROUNDING = 0.05  # negative eigenvalues beyond it do not come from rounding


def matched_ld(
    ld: Any,
    variant: TextArray,
    name: str = "trait",
    *,
    ridge: float = 0.0,
    counted: Any = None,
    alleles: tuple[TextArray | None, TextArray | None] = (None, None),
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Correlations of the trait's variants, and which of them the matrix has.

    Parameters
    ----------
    ld : (m, m) array_like or DataFrame
        A frame is matched by its names; an array must be in the trait's order.
    variant : (p,) ndarray of str
    name : str
        Of the trait, for messages.
    ridge : float
        The matrix becomes (R + ridge I) / (1 + ridge).
    counted : mapping or Series, optional
        Allele that the matrix counts, by variant; that of the trait where omitted.
    alleles : pair of (p,) ndarray or None
        Effect and other allele of the trait.

    Returns
    -------
    r : (k, k) ndarray
    kept : (k,) ndarray of int
        Rows of the trait that are in the matrix.

    Raises
    ------
    SummaryStatisticsError
        Names or alleles do not match, or the matrix holds no correlations.
    """
    if not 0.0 <= ridge < np.inf:
        raise OptionError(f"ridge={ridge!r} must be zero or a positive number; 0.01 to 0.1 is usual")
    if isinstance(ld, str):
        raise SummaryStatisticsError(f"ld={ld!r} is text; read the matrix first, or take genotypes.ld(panel, variants)")
    if not isinstance(ld, pd.DataFrame):
        shape = np.shape(ld)
        if shape != (variant.size, variant.size):
            raise SummaryStatisticsError(
                f"ld has no names, so it must be {variant.size} by {variant.size}, in the order of {name}; its shape "
                f"is {shape}. Give a frame whose rows and columns are named by the variants"
            )
        kept = np.arange(variant.size)
        return _finished(
            check_correlation(ld, variant.size, labels=variant), variant, name, kept, ridge, counted, alleles
        ), kept
    rows, columns = ([str(v) for v in axis] for axis in (ld.index, ld.columns))
    if sorted(rows) == sorted(columns):
        ld, columns = ld[ld.columns[pd.Index(columns).get_indexer(rows)]] if rows != columns else ld, rows
    if rows != columns:
        if list(ld.index) != list(range(len(ld))) or len(rows) != len(columns):
            raise SummaryStatisticsError("ld: the names of its rows and its columns differ")
        rows = columns  # a table read without its row names
    index = pd.Index(rows)
    if not index.is_unique:
        raise SummaryStatisticsError(f"ld: {shown(index[index.duplicated()][0])} is there more than once")
    place = index.get_indexer(pd.Index(variant))
    kept = np.flatnonzero(place >= 0)
    if not kept.size:
        raise SummaryStatisticsError(
            f"ld: none of the {variant.size} variants of {name} is among its {len(rows)}; {name} has "
            f"{', '.join(map(repr, variant[:2]))}, ld has {', '.join(map(repr, rows[:2]))}"
        )
    whole = ld.to_numpy(dtype=np.float64)[np.ix_(place[kept], place[kept])]
    return _finished(
        check_correlation(whole, kept.size, labels=variant[kept]), variant, name, kept, ridge, counted, alleles
    ), kept


def named_ld(ld: Any, variant: TextArray) -> Any:
    """Give an array the names of the variants it is in the order of; a frame and what does not fit stay as they are."""
    if isinstance(ld, pd.DataFrame) or np.shape(ld) != (variant.size, variant.size):
        return ld
    return pd.DataFrame(np.asarray(ld, dtype=np.float64), variant, variant)


def _finished(
    r: FloatArray,
    variant: TextArray,
    name: str,
    kept: npt.NDArray[np.intp],
    ridge: float,
    counted: Any,
    alleles: tuple[TextArray | None, TextArray | None],
) -> FloatArray:
    if counted is not None:
        effect, other = alleles
        if effect is None or other is None:
            raise SummaryStatisticsError(
                f"ld_alleles are given, but {name} does not say its alleles: columns 'effect_allele' and 'other_allele'"
            )
        named = dict(counted)
        theirs = [str(named[v]).strip().upper() if v in named else None for v in variant[kept]]
        turned = counts_other(
            np.array(theirs, dtype=object), effect[kept], other[kept], variant[kept], where=("ld_alleles", "ld", name)
        )
        sign = np.where(turned, -1.0, 1.0)
        r = r * sign[:, None] * sign[None, :]
    if ridge:
        r = r / (1.0 + ridge)
        np.fill_diagonal(r, 1.0)
    return r


def _remedy(smallest: float) -> str:
    if smallest < -_ROUNDING:
        return (
            "That is more than rounding: each pair taken from other people, where genotypes are missing (but for "
            "genotypes.ld(..., missing='mean')), pieces of several matrices, or a mix of allele codings. mr.ld_check "
            "shows which variants disagree; a ridge would hide it"
        )
    return (
        f"Rounding or a matrix put together from pieces gives that; mr.ld_check shows which variants disagree, "
        f"ridge={max(0.01, -2.0 * smallest):.2g} makes it usable"
    )


def require_semidefinite(r: FloatArray) -> None:
    """Refuse correlations with a negative eigenvalue beyond rounding.

    A Cholesky factor tells faster than eigenvalues; those are computed for the message alone.
    """
    try:
        np.linalg.cholesky(r + 2e-6 * np.eye(len(r)))
    except np.linalg.LinAlgError:
        try:
            refuse_indefinite(r)
        except SummaryStatisticsError:
            smallest = float(np.linalg.eigvalsh(r)[0])
            raise SummaryStatisticsError(
                f"ld is not positive semidefinite: its smallest eigenvalue is {smallest:.3g}, which no correlations "
                f"have. {_remedy(smallest)}"
            ) from None
