"""Maximum likelihood of proportional hazards or odds with interval-censored times, the baseline left free.

The jumps of the baseline are not negative and most are zero. A constrained Newton step (Wang 2008) takes the
jumps that are positive and, between any two of them, the region where the likelihood gains most; it maximises the
quadratic approximation in these jumps and the coefficients together, subject to the bounds; a line search follows.
The step ends where the gradient of every region is at most zero: the Kuhn-Tucker conditions.

Wang Y. Comput Stat Data Anal 2008;52:2388-2402.
Zeng D, Mao L, Lin DY. Biometrika 2016;103:253-271. doi:10.1093/biomet/asw013
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.bounded_quadratic import Dense, conjugate_gradients, minimise_bounded
from dxa_causal.survival._kernels.interval_likelihood import (
    Curvature,
    IntervalData,
    Link,
    RowTerms,
    at_risk,
    by_jump,
    counted,
    curvature,
    log_likelihood,
    row_terms,
)
from dxa_causal.survival._kernels.turnbull import Support, spent

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_DENSE = 1000  # jumps up to which the second derivatives are written out
_RIDGES = (1e-11, 1e-8)  # of matrices with ones on the diagonal
_KKT = 1e-9  # largest relative gain in a region at the end
_DECREMENT = 1e-11  # squared distance from the maximum, in standard errors, before the last step
_STILL_MOVING = 0.05
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """Maximum of the likelihood.

    Attributes
    ----------
    beta : (p,) ndarray
    active : (k,) ndarray of int64
        Regions, among those kept, with a positive jump.
    jumps : (k,) ndarray
    row_log_likelihood : (n,) ndarray
        Without weights.
    log_likelihood : float
    n_iter : int
    gain : float
        Largest gradient of a region relative to the number at risk there; zero at the maximum.
    converged : bool
    diverging : (p,) ndarray of bool
        Coefficients that still moved when the likelihood no longer did.
    """

    beta: FloatArray
    active: IntArray
    jumps: FloatArray
    row_log_likelihood: FloatArray
    log_likelihood: float
    n_iter: int
    gain: float
    converged: bool
    diverging: npt.NDArray[np.bool_]


def prepare(support: Support, weight: FloatArray, link: Link) -> IntervalData:
    """Leave out the regions in which survival falls to zero: a row that covers one has nothing after its interval."""
    gone = spent(support)
    kept = np.concatenate([[0], np.cumsum(~gone)])
    lost = np.concatenate([[0], np.cumsum(gone)])
    return IntervalData(
        entry=kept[support.entry],
        low=kept[support.low],
        high=kept[support.high],
        open=lost[support.high] > lost[support.low],
        weight=weight,
        kept=np.flatnonzero(~gone),
        link=link,
    )


def baseline(
    support: Support, data: IntervalData, estimate: IntervalEstimate, *, pass_over: bool = False
) -> FloatArray:
    """Value of the baseline after each region of the support, infinite from the first in which survival ends, (m,).

    With `pass_over` a region that nobody survives, but after which others enter, counts as if it were not there.
    """
    m = support.left.size
    early = np.arange(m) < support.entry.max()
    jumps = np.where(early & pass_over, 0.0, np.inf)
    jumps[data.kept] = 0.0
    jumps[data.kept[estimate.active]] = estimate.jumps
    value: FloatArray = np.cumsum(jumps)
    return value


def resample(
    support: Support, weight: FloatArray, x: FloatArray, link: Link, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Coefficients (missing if they run away) and baseline after each region in a sample of the rows drawn anew."""
    drawn = np.bincount(rng.integers(weight.size, size=weight.size), minlength=weight.size)
    own = np.flatnonzero(drawn)
    sample = replace(support, entry=support.entry[own], low=support.low[own], high=support.high[own])
    data = prepare(sample, (drawn * weight)[own], link)
    p = x.shape[1]
    if not data.m:
        return np.full(p, np.nan), np.full(support.left.size, np.inf)
    estimate = maximise(data, x[own])
    good = estimate.converged and not estimate.diverging.any()
    return estimate.beta if good else np.full(p, np.nan), baseline(support, data, estimate, pass_over=p > 0)


def first_jumps(data: IntervalData) -> tuple[IntArray, FloatArray]:
    """A jump in every interval, as few as will do, with a rough size."""
    closed = ~data.open
    low, high = data.low[closed], data.high[closed]
    # least end of the intervals that begin at a region or later
    nearest = np.full(data.m + 1, data.m + 1)
    np.minimum.at(nearest, low, high)
    nearest = np.minimum.accumulate(nearest[::-1])[::-1]
    chosen: list[int] = []
    place = int(nearest[0])
    while place <= data.m:
        chosen.append(place - 1)
        place = int(nearest[place])
    active = np.array(chosen, dtype=np.int64)
    count = counted(active, data.m)
    k = active.size
    share = data.weight[closed] / (count[high] - count[low])
    events = np.cumsum(np.bincount(count[low], share, k + 1) - np.bincount(count[high], share, k + 1))[:k]
    entered = np.bincount(count[data.entry], data.weight, k + 1)
    left = np.bincount(count[data.low], data.weight, k + 1)
    return active, events / (np.cumsum(entered - left)[:k] + events)


def maximise(
    data: IntervalData,
    x: FloatArray,
    offset: FloatArray | None = None,
    start: IntervalEstimate | None = None,
    max_iter: int = 200,
) -> IntervalEstimate:
    """Maximise over the coefficients of `x` (n, p) and the jumps; `offset` (n,) is added to eta.

    Inside, eta is counted from its mean over the rows with an event: the jumps then hardly move with the
    coefficients, also where one of these runs to infinity.
    """
    n, p = x.shape
    seen = data.weight * ~data.open
    share = seen / seen.sum() if seen.any() else seen
    base = np.zeros(n) if offset is None else offset
    centre, level = share @ x, float(share @ base)
    x = x - centre
    beta = np.zeros(p) if start is None or start.beta.size != p else start.beta
    eta = base - level + x @ beta
    active, jumps = first_jumps(data) if start is None else (start.active, start.jumps * np.exp(level + centre @ beta))
    value = float(data.weight @ log_likelihood(data, eta, active, jumps))
    diverging = np.zeros(p, dtype=bool)
    converged, gain, n_iter = False, np.inf, 0
    while True:
        terms = row_terms(data, eta, active, jumps)
        gradient = by_jump(data, terms.by_v, terms.by_l, terms.by_r)
        relative = gradient / at_risk(data, eta)
        gain = float(relative.max(initial=0.0))
        active, jumps = _with_candidates(active, jumps, relative, _KKT / 10)
        move_jumps, move_beta, decrement = _step(data, x, terms, gradient, active, jumps)
        converged = gain <= _KKT and decrement <= _DECREMENT
        if n_iter >= max_iter:
            break
        n_iter += 1
        size, reached = 1.0, -np.inf
        for _ in range(40):
            trial = np.maximum(jumps + size * move_jumps, 0.0)
            new_eta = eta + size * (x @ move_beta)
            reached = float(data.weight @ log_likelihood(data, new_eta, active, trial))
            if np.isfinite(reached) and reached >= value + 1e-4 * size * decrement - 1e-14 * abs(value):
                break
            size *= 0.5
        else:
            break
        if converged:  # the last step has squared what was left of the error
            beta, eta, jumps, value = beta + size * move_beta, new_eta, trial, reached
            break
        moving = np.abs(size * move_beta) > _STILL_MOVING
        flat = abs(reached - value) <= _FLAT * max(1.0, abs(value))
        beta, eta, jumps, value = beta + size * move_beta, new_eta, trial, reached
        if flat and moving.any() and n_iter > 5:
            diverging, converged = moving, True
            break
        kept = jumps > 0.0
        active, jumps = active[kept], jumps[kept]
    kept = jumps > 0.0
    active, jumps = active[kept], jumps[kept]
    rows = log_likelihood(data, eta, active, jumps)
    terms = row_terms(data, eta, active, jumps)
    gradient = by_jump(data, terms.by_v, terms.by_l, terms.by_r) / at_risk(data, eta)
    return IntervalEstimate(
        beta=beta,
        active=active,
        jumps=jumps * np.exp(-level - centre @ beta),
        row_log_likelihood=rows,
        log_likelihood=float(data.weight @ rows),
        n_iter=n_iter,
        gain=float(gradient.max(initial=0.0)),
        converged=converged,
        diverging=diverging,
    )


def _with_candidates(
    active: IntArray, jumps: FloatArray, gain: FloatArray, tolerance: float
) -> tuple[IntArray, FloatArray]:
    """Add, between any two active regions, the one that gains most, if it gains."""
    m = gain.size
    cuts = np.concatenate([[0], active, [m]])  # region `active[j]` opens the stretch that follows it
    cuts = np.unique(cuts[cuts < m])
    best = np.maximum.reduceat(gain, cuts) if m else gain
    stretch = np.repeat(np.arange(cuts.size), np.diff(np.append(cuts, m)))
    is_active = np.zeros(m, dtype=bool)
    is_active[active] = True
    wanted = (gain > tolerance) & (gain == best[stretch]) & ~is_active
    added = np.flatnonzero(wanted)
    if not added.size:
        return active, jumps
    first = np.append(True, stretch[added][1:] != stretch[added][:-1])
    added = added[first]
    everything = np.concatenate([active, added])
    order = np.argsort(everything, kind="stable")
    return everything[order], np.concatenate([jumps, np.zeros(added.size)])[order]


def _step(
    data: IntervalData, x: FloatArray, terms: RowTerms, gradient: FloatArray, active: IntArray, jumps: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Move of the jumps, move of the coefficients, and what they gain to first order."""
    p = x.shape[1]
    own = gradient[active]
    score = x.T @ terms.by_eta
    cross = np.empty((active.size, p))
    for q in range(p):
        column = x[:, q]
        cross[:, q] = -by_jump(data, terms.eta_v * column, terms.eta_l * column, terms.eta_r * column)[active]
    # where the second derivatives have the wrong sign, parts are left out until they have the right one
    for all_terms, joint in ((True, True), (True, False), (False, False)):
        second = terms.eta_eta if joint else np.minimum(terms.eta_eta, 0.0)
        both = cross if joint else np.zeros_like(cross)
        found = _solve(
            curvature(data, terms, active, all_terms=all_terms), both, -(x.T * second) @ x, own, score, jumps
        )
        if found is not None:
            gain = float(own @ found[0] + score @ found[1])
            if gain >= 0.0:
                return *found, gain
    return np.zeros_like(jumps), np.zeros(p), 0.0


@dataclass(frozen=True, slots=True)
class _Reduced:
    """Second derivatives in the jumps less what the coefficients take over, scaled to ones on the diagonal."""

    matrix: Curvature
    half: FloatArray
    scale: FloatArray

    def multiply(self, y: FloatArray) -> FloatArray:
        z = y * self.scale
        product: FloatArray = (self.matrix.multiply(z) - self.half.T @ (self.half @ z)) * self.scale
        return product

    def solve(self, own: IntArray, target: FloatArray) -> FloatArray | None:
        return conjugate_gradients(self, self.scale.size, own, target)


def _solve(
    matrix: Curvature, cross: FloatArray, inner: FloatArray, own: FloatArray, score: FloatArray, jumps: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Constrained Newton step in jumps and coefficients; None where the second derivatives have the wrong sign."""
    try:
        factor = np.linalg.cholesky(inner)
    except np.linalg.LinAlgError:
        return None
    half = np.linalg.solve(factor, cross.T)
    diagonal = matrix.diagonal() - (half**2).sum(axis=0)
    if (diagonal <= 0.0).any():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    pull = scale * (own - half.T @ np.linalg.solve(factor, score))
    free, level = jumps > 0.0, jumps / scale
    if jumps.size > _DENSE:
        reduced = _Reduced(matrix, half, scale)
        y = minimise_bounded(reduced, pull + reduced.multiply(level), free)
    else:
        array = (matrix.dense() - half.T @ half) * np.outer(scale, scale)
        for ridge in _RIDGES:  # regions that cover the same rows make it singular
            array[np.diag_indices_from(array)] = 1.0 + ridge
            y = minimise_bounded(Dense(array), pull + array @ level, free)
            if y is not None:
                break
    if y is None:
        return None
    move = y * scale - jumps
    return move, np.linalg.solve(factor.T, np.linalg.solve(factor, score - cross.T @ move))


def profile_covariance(data: IntervalData, x: FloatArray, estimate: IntervalEstimate) -> FloatArray:
    r"""Inverse of the outer products of profile scores, :math:`\{\sum_i w_i d_i d_i'\}^{-1}`, (p, p).

    The score of a row is the difference of its log-likelihood, maximised over
    the baseline for all rows together, between :math:`eta_q \pm h`, with
    :math:`h = n^{-1/2}` standard deviations of the covariate.
    """
    p = x.shape[1]
    total = float(data.weight.sum())
    centre = data.weight @ x / total
    step = 1.0 / np.sqrt(total * (data.weight @ (x - centre) ** 2 / total))
    scores = np.empty(x.shape)
    alone = np.empty((len(x), 0))
    for q in range(p):
        sides = []
        for sign in (1.0, -1.0):
            beta = estimate.beta.copy()
            beta[q] += sign * step[q]
            sides.append(maximise(data, alone, x @ beta, estimate).row_log_likelihood)
        scores[:, q] = (sides[0] - sides[1]) / (2.0 * step[q])
    information = (scores.T * data.weight) @ scores
    scale = 1.0 / np.sqrt(np.diag(information))
    covariance: FloatArray = np.linalg.inv(information * np.outer(scale, scale)) * np.outer(scale, scale)
    return (covariance + covariance.T) / 2
