"""What several models check before a fit and say after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import CollinearityError, OutcomeError, shown
from dxa_causal._core.warnings import AllCensoredWarning, ConvergenceWarning, OverlapWarning, SeparationWarning, warn
from dxa_causal._design import Design
from dxa_causal._numerics.times import RankedTimes
from dxa_causal.results import HypothesisTest
from dxa_causal.survival._kernels.newton import CoxEstimate

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def stratum_codes(design: Design, strata: str | None) -> tuple[IntArray | None, tuple[Any, ...]]:
    """Codes 0, 1, ... of the stratum column and the labels they stand for, sorted."""
    column = design.column(strata)
    if column is None:
        return None, ()
    codes, labels = pd.factorize(column, sort=True)
    return codes.astype(np.int64), tuple(labels)


def refuse_empty_intervals(design: Design, times: RankedTimes) -> None:
    """Refuse rows whose entry and exit are one time after merging."""
    if times.entry_rank is None:
        return
    empty = np.flatnonzero(times.entry_rank >= times.rank)
    if empty.size:
        i = int(empty[0])
        raise OutcomeError(
            f"{design.parts.outcome}: entry and exit are the same up to rounding in {empty.size} rows, first row "
            f"{shown(design.index[i])} at {design.survival.time[i]:g}"
        )


def refuse_overlap(
    design: Design, times: RankedTimes, codes: IntArray | None, *, id: str | None, cluster: str | None
) -> None:
    """Refuse overlapping rows of one `id`; warn where a cluster looks like a person and overlaps."""
    name = id or cluster
    if name is None or times.entry_rank is None:
        return
    person = pd.factorize(design.rows.frame[name])[0]
    stratum = np.zeros_like(person) if codes is None else codes
    order = np.lexsort((times.rank, times.entry_rank, stratum, person))
    before, after = order[:-1], order[1:]
    same = (person[before] == person[after]) & (stratum[before] == stratum[after])
    overlap = same & (times.entry_rank[after] < times.rank[before])
    chained = same & (times.entry_rank[after] == times.rank[before])
    # rows of a family or a hospital overlap as a rule; those of a person follow one another
    if not overlap.any() or (id is None and overlap.sum() >= chained.sum()):
        return
    i = int(np.flatnonzero(overlap)[0])
    a, b = before[i], after[i]
    entry, time, index = design.survival.entry, design.survival.time, design.index
    assert entry is not None
    found = (
        f"{int(overlap.sum())} rows overlap another row of the same {name!r}: first "
        f"{shown(design.rows.frame[name].iloc[a])} with rows {shown(index[a])} ({entry[a]:g}, {time[a]:g}] and "
        f"{shown(index[b])} ({entry[b]:g}, {time[b]:g}]"
    )
    if id is not None:
        raise OutcomeError(f"{design.parts.outcome}: {found}; a person counts once at any time")
    warn(f"{found}; if {name!r} is a person, it counts twice there", OverlapWarning)


def warn_empty_strata(event: IntArray, codes: IntArray | None, labels: tuple[Any, ...], strata: str | None) -> None:
    """Say which strata have no event."""
    if codes is None:
        return
    empty = [labels[k] for k in np.flatnonzero(np.bincount(codes, event, len(labels)) == 0)]
    if empty:
        named = ", ".join(shown(v) for v in empty[:5]) + (" ..." if len(empty) > 5 else "")
        warn(
            f"{len(empty)} of {len(labels)} strata of {strata!r} have no event and add nothing to the fit: {named}",
            AllCensoredWarning,
        )


def well_conditioned(information: FloatArray) -> bool:
    """Whether the information of standardised columns shows, by itself, that none is a combination of others."""
    own = np.diag(information)
    if not np.isfinite(information).all() or (own <= 1e-9 * own.max(initial=0.0)).any():
        return False
    scale = np.sqrt(own)
    return not scale.size or bool(np.linalg.eigvalsh(information / np.outer(scale, scale))[0] > 1e-9)


def report_convergence(estimate: CoxEstimate, terms: tuple[str, ...], strata: str | None) -> None:
    """Say what went wrong with an iteration, naming the terms."""
    if estimate.singular:
        within = " within strata" if strata else ""
        weakest = int(np.argmin(np.diag(estimate.information)))
        raise CollinearityError(
            f"the data cannot tell the coefficients apart: among those at risk when events happen some terms do "
            f"not vary{within}, or only together; look at {terms[weakest]!r} first"
        )
    if estimate.diverging.any():
        named = ", ".join(repr(t) for t, moving in zip(terms, estimate.diverging, strict=True) if moving)
        warn(
            f"the coefficient of {named} runs to infinity: the term separates events from non-events "
            "(no event on one side?). Its estimate, standard error and p-value mean nothing. Leave it out, join "
            "levels, or use cox(..., firth=True); of a Cox model the likelihood ratio test (anova) still holds",
            SeparationWarning,
        )
    elif not estimate.converged:
        largest = terms[int(np.argmax(np.abs(estimate.beta)))]
        warn(
            f"Newton's iteration did not converge in {estimate.n_iter} steps; look at {largest!r} first, which moved "
            "furthest",
            ConvergenceWarning,
        )


def chi_square_test(
    statistic: float, df: float, method: str, null: str = "all coefficients are zero"
) -> HypothesisTest:
    """A chi-square statistic as a test."""
    from scipy import special

    p_value = float(special.chdtrc(df, statistic)) if df else float("nan")
    return HypothesisTest(statistic, df, p_value, f"{method} (chi-square)", null)
