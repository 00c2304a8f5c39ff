"""Which variants test heterogeneity around the top one (HEIDI), and the test."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr._kernels.heidi import heidi, pruned
from dxa_causal.mr.locus.linkage import matched_ld
from dxa_causal.results import HypothesisTest, NotApplicable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
TextArray = npt.NDArray[np.object_]


def heidi_test(
    ld: Any,
    ld_alleles: Any,
    alleles: tuple[TextArray | None, TextArray | None],
    variant: TextArray,
    effects: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    top: int,
    least_z: float,
    r2: tuple[float, float],
    fewest: int,
    most: int,
) -> tuple[HypothesisTest | NotApplicable, IntArray, FloatArray, FloatArray]:
    """The test, the variants used (top first), their correlations with the top, and the weights."""
    alone = np.array([top], dtype=np.intp), np.ones(1), np.empty(0)
    if ld is None:
        return NotApplicable("no linkage given (ld)", method="HEIDI"), *alone
    strength = np.abs(effects[0] / effects[1])
    near = np.flatnonzero((strength > least_z) | (np.arange(variant.size) == top))
    table = _named(ld, variant, near)
    letters = tuple(None if a is None else a[near] for a in alleles)
    r, kept = matched_ld(table, variant[near], "eqtl", counted=ld_alleles, alleles=(letters[0], letters[1]))
    use = near[kept]
    where = np.flatnonzero(use == top)
    if not where.size:
        return NotApplicable(f"the top variant {variant[top]} is not in ld", method="HEIDI"), *alone
    squared = r[int(where[0])] ** 2
    linked = np.flatnonzero(((squared > r2[0]) & (squared < r2[1])) | (use == top))
    inner = r[np.ix_(linked, linked)]
    lead = int(np.flatnonzero(use[linked] == top)[0])
    chosen = linked[pruned(strength[use[linked]], inner, r2[1], lead)[:most]]
    if chosen.size < fewest:
        reason = (
            f"{chosen.size} variants with the top one are associated with expression and linked with it by r squared "
            f"{r2[0]:g} to {r2[1]:g}; {fewest} are needed"
        )
        return NotApplicable(reason, method="HEIDI"), *alone
    bx, sx, by, sy = (e[use[chosen]] for e in effects)
    found = heidi(bx, sx, by, sy, r[np.ix_(chosen, chosen)], 0)
    if found is None:
        return NotApplicable(
            "variants too weakly associated with expression: the variance of a difference of ratios would be negative; "
            "a smaller p_heidi leaves them out",
            method="HEIDI",
        ), *alone
    test = HypothesisTest(
        statistic=found.statistic,
        df=None,
        p_value=found.p_value,
        method="HEIDI, weighted sum of chi-square variables",
        null="one variant is causal for expression and trait",
    )
    return test, use[chosen], r[chosen, int(np.flatnonzero(use == top)[0])], found.weights


def _named(ld: Any, variant: npt.NDArray[np.object_], near: IntArray) -> Any:
    """Rows of an array without names for the variants near the top; a frame is matched by its names later."""
    if isinstance(ld, pd.DataFrame):
        return ld
    if isinstance(ld, str):
        raise SummaryStatisticsError(f"ld={ld!r} is text; read the matrix first, or take genotypes.ld(panel, variants)")
    array = np.asarray(ld, dtype=np.float64)
    if array.shape != (variant.size, variant.size):
        raise SummaryStatisticsError(
            f"ld has no names, so it must be {variant.size} by {variant.size}, one row per common variant of eqtl and "
            f"gwas; its shape is {array.shape}. Give a frame whose rows and columns are named"
        )
    return array[np.ix_(near, near)]
