"""Put a matrix of linkage disequilibrium into the order and the allele coding of a table of variants."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError, shown
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.genotypes.alleles import BoolArray, FloatArray, TextArray, complement

_SINGULAR = 1e-8
_WITH_ALLELES = re.compile(r"(.+)_([ACGT]+|[ID])_([ACGT]+|[ID])")  # as ieugwasr::ld_matrix names its rows
_ENOUGH, _SOME = 6, 0.01  # variants, and correlation, from which "none is negative" says something


def check_correlation(matrix: npt.ArrayLike, size: int, name: str = "ld", labels: Any = None) -> FloatArray:
    """Return a symmetric matrix of correlations as floats, or say why it is none.

    Parameters
    ----------
    matrix : (size, size) array_like
    size : int
    name : str
        What messages call it.
    labels : (size,) array_like of str, optional
        Names of its rows, for messages.

    Raises
    ------
    SummaryStatisticsError
        Wrong shape, not finite, not symmetric, or not correlations.
    """
    array = np.array(matrix, dtype=np.float64)
    if array.shape != (size, size):
        raise SummaryStatisticsError(
            f"{name} must be {size} by {size}, one row per variant; its shape is {array.shape}"
        )
    with np.errstate(invalid="ignore"):
        rules = (
            (~np.isfinite(array), "must be finite"),
            (np.abs(array - array.T) > 1e-8 + 1e-5 * np.abs(array.T), "must be symmetric"),
            (np.eye(size, dtype=bool) & (np.abs(array - 1.0) > 1e-6), "must hold correlations: 1 on the diagonal"),
            (np.abs(array) > 1.0 + 1e-6, "must hold correlations: none beyond -1 or 1"),
        )
    for wrong, what in rules:
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            where = f"row {i + 1}, column {j + 1}" if labels is None else f"{labels[i]!r} and {labels[j]!r}"
            raise SummaryStatisticsError(
                f"{name} {what}; {int(wrong.sum())} of its values are not so, first {array[i, j]:g} ({where})"
            )
    return array


def refuse_indefinite(matrix: FloatArray, name: str = "ld") -> FloatArray:
    """Return the matrix unless an eigenvalue is negative beyond rounding (a singular one passes)."""
    smallest = float(np.linalg.eigvalsh(matrix)[0]) if matrix.size else 0.0
    if smallest < -1e-6:
        raise SummaryStatisticsError(
            f"{name} is not positive definite: its smallest eigenvalue is {smallest:.3g}, which no correlations have; "
            f"a panel of few people or a mix of allele codings gives that (Harmonised.with_ld turns codings and takes "
            f"ridge=)"
        )
    return matrix


def align_correlation(
    matrix: Any,
    variants: Any,
    effect_alleles: Any,
    table: pd.DataFrame,
    *,
    ridge: float = 0.0,
) -> FloatArray:
    """Correlations of the alleles in `table`, in its order.

    Parameters
    ----------
    matrix : (m, m) array_like or DataFrame
        May hold further variants.
    variants : (m,) array_like of str or None
        Names of its rows; None takes them from the frame. Names such as
        rs1_A_G (variant, counted allele, other allele) are taken apart.
    effect_alleles : (m,) array_like of str or None
        Allele that the matrix counts; None means that of the table.
    table : DataFrame
        variant, effect_allele, other_allele.
    ridge : float
        The matrix becomes (R + ridge I) / (1 + ridge).

    Raises
    ------
    SummaryStatisticsError
        Names or alleles do not match, or the matrix is not positive definite.
    """
    if not 0.0 <= ridge < np.inf:
        raise OptionError(f"ridge={ridge!r} must be zero or a positive number; 0.01 to 0.1 is usual")
    names = _names(matrix, variants)
    whole = check_correlation(matrix, names.size, "matrix", names)
    wanted = table["variant"].to_numpy(dtype=object)
    position = pd.Index(names).get_indexer(wanted)
    if (position < 0).all() and (parts := [_WITH_ALLELES.fullmatch(name) for name in names]) and all(parts):
        names = np.array([part[1] for part in parts if part], dtype=object)
        effect_alleles = [part[2] for part in parts if part] if effect_alleles is None else effect_alleles
        position = pd.Index(names).get_indexer(wanted)
    unknown = wanted[position < 0]
    if unknown.size:
        there = ", ".join(repr(str(v)) for v in names[:3])
        raise SummaryStatisticsError(
            f"matrix: {unknown.size} of {wanted.size} variants are not among its {names.size}, first "
            f"{', '.join(repr(v) for v in unknown[:5])} (the matrix has {there}, ...); "
            f"harmonise with the variants that the panel has"
        )
    r = whole[np.ix_(position, position)]
    apart = r[~np.eye(wanted.size, dtype=bool)]
    if wanted.size >= _ENOUGH and (apart >= 0).all() and (apart > _SOME).mean() > 0.5:
        warn(
            "matrix: no correlation is negative, which is rare unless all variants were coded alike: is it r squared? "
            "Signed r is needed",
            SummaryStatisticsWarning,
        )
    if effect_alleles is not None:
        counted = np.array([None if pd.isna(a) else str(a).strip().upper() for a in effect_alleles], dtype=object)
        if counted.size != names.size:
            raise SummaryStatisticsError(f"effect_alleles holds {counted.size} alleles for {names.size} variants")
        effect, other = (table[f"{which}_allele"].to_numpy(dtype=object) for which in ("effect", "other"))
        said = ("effect_alleles", "the matrix", "the table")
        sign = np.where(counts_other(counted[position], effect, other, wanted, where=said), -1.0, 1.0)
        r = r * sign[:, None] * sign[None, :]
    r = (r + ridge * np.eye(wanted.size)) / (1.0 + ridge)
    np.fill_diagonal(r, 1.0)
    smallest = float(np.linalg.eigvalsh(r)[0]) if wanted.size else 1.0
    if smallest < _SINGULAR:
        raise SummaryStatisticsError(
            f"matrix is not positive definite for these {wanted.size} variants: its smallest eigenvalue is "
            f"{smallest:.3g}. {_closest(r, wanted)}Keep one of such a pair, or stabilise with ridge= "
            f"(now {ridge:g}; {max(0.01, 2.0 * (ridge - smallest)):.2g} would do)"
        )
    return r


def _names(matrix: Any, variants: Any) -> npt.NDArray[np.object_]:
    if variants is None:
        if not isinstance(matrix, pd.DataFrame):
            raise SummaryStatisticsError("matrix: its rows have no names; give them as variants=, in their order")
        if list(matrix.index) != list(matrix.columns):
            raise SummaryStatisticsError("matrix: the names of its rows and its columns differ; give variants=")
        variants = matrix.index
    names = np.array([str(v) for v in variants], dtype=object)
    twice = pd.Index(names).duplicated()
    if twice.any():
        raise SummaryStatisticsError(f"variants: {shown(names[twice][0])} is there more than once")
    return names


def counts_other(
    counted: TextArray, effect: TextArray, other: TextArray, variant: TextArray, *, where: tuple[str, str, str]
) -> BoolArray:
    """Whether a matrix counts the other allele of each variant, on either strand.

    `where` names, for the message, the argument, the matrix and the table.

    Raises
    ------
    SummaryStatisticsError
        An allele is missing or is neither of the two.
    """
    opposite = np.array([None if a is None else complement(a) for a in counted], dtype=object)
    same, turned = counted == effect, counted == other
    neither = ~same & ~turned
    same, turned = same | (neither & (opposite == effect)), turned | (neither & (opposite == other))
    wrong = np.flatnonzero((~same & ~turned) | pd.isna(counted) | pd.isna(effect))
    if wrong.size:
        i, (argument, matrix, table) = int(wrong[0]), where
        raise SummaryStatisticsError(
            f"{argument}: {wrong.size} variants do not match, first {variant[i]!r}: {matrix} counts {counted[i]!r}, "
            f"{table} has {effect[i]!r} (effect) and {other[i]!r} (other)"
        )
    return np.asarray(turned, dtype=bool)


def _closest(r: FloatArray, names: npt.NDArray[np.object_]) -> str:
    apart = np.abs(r - np.diag(np.diag(r)))
    i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return f"Nearest to each other: {names[i]!r} and {names[j]!r}, r = {r[i, j]:.4g}. " if names.size > 1 else ""
